//! The command line: one file per subcommand, shared flags in [`args`].
//!
//! A subcommand turns flags into a request, calls the library, and reports what was done.

mod args;
mod closing;
mod completions;
mod design;
mod doctor;
mod engine;
mod evaluate;
mod import;
mod inspect;
pub mod log;
mod man;
mod merge;
mod mutate;
mod plan;
mod predict;
mod pwm;
mod score;
mod train;
mod windows;

use clap::{Parser, Subcommand};

/// Deep dilated convolution networks over genomes: FASTA and BED in, base-resolution tracks out.
#[derive(Debug, Parser)]
#[command(version, about, long_about = None, after_help = EXAMPLES, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    pub log: log::LogArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    Predict(Box<predict::PredictArgs>),
    Score(Box<score::ScoreArgs>),
    Mutate(Box<mutate::MutateArgs>),
    Plan(plan::PlanArgs),
    Merge(merge::MergeArgs),
    Import(import::ImportArgs),
    Inspect(inspect::InspectArgs),
    Design(design::DesignArgs),
    Pwm(pwm::PwmArgs),
    Train(train::TrainArgs),
    Evaluate(Box<evaluate::EvaluateArgs>),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

impl Cli {
    /// Runs the chosen subcommand.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Predict(args) => predict::run(&args),
            Command::Score(args) => score::run(&args),
            Command::Mutate(args) => mutate::run(&args),
            Command::Plan(args) => plan::run(&args),
            Command::Merge(args) => merge::run(&args),
            Command::Import(args) => import::run(&args),
            Command::Inspect(args) => inspect::run(&args),
            Command::Design(args) => design::run(&args),
            Command::Pwm(args) => pwm::run(&args),
            Command::Train(args) => train::run(&args),
            Command::Evaluate(args) => evaluate::run(&args),
            Command::Doctor(args) => doctor::run(&args),
            Command::Completions(args) => completions::run(&args),
            Command::Man(args) => man::run(&args),
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  atrous import spliceai spliceai[1-5].h5 -o spliceai.safetensors
  atrous inspect spliceai.safetensors
  atrous predict -m spliceai.safetensors -r hg38.fa.gz --regions genes.bed -o tracks.bedGraph.gz
  atrous score -m spliceai.safetensors -r hg38.fa.gz -a genes.gtf.gz in.vcf.gz -o scored.vcf.gz

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 and 143 stopped by a signal.";
