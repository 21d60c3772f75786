//! `atrous train`: from a genome and a signal to a model.

use super::args::{RunArgs, grouped};
use anyhow::Result;
use atrous::engine::Device;
use atrous::job::summary::Summary;
use atrous::job::{OutputFile, signal};
use atrous::network::Facts;
use atrous::train::config::Loaded;
use atrous::train::judge::Judge;
use atrous::train::run::Run;
use atrous::train::splits::Split;
use clap::Args;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

/// Train a network on counts along a genome or on splice sites (needs a build with libtorch).
///
/// One TOML file says it all: data, splits, network, loss, schedule, seed; see docs/training.md.
/// The folder gets model.safetensors, metrics.tsv and curve.svg (a row and a point per
/// validation), and checkpoint.safetensors, from which a run that was stopped goes on to the same
/// bits. Nothing of the test split is looked at: `atrous evaluate` does that.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TrainArgs {
    /// The TOML file.
    #[arg(short, long, value_name = "TRAIN.toml")]
    config: PathBuf,
    /// Folder of what comes out; it is made if need be.
    #[arg(short, long, value_name = "FOLDER", required_unless_present = "dry_run")]
    out: Option<PathBuf>,
    /// Go on from the checkpoint in --out, if there is one.
    #[arg(long)]
    resume: bool,
    /// Read and check everything, print shapes, examples, memory and time, and stop.
    #[arg(long)]
    dry_run: bool,
    /// Folder of the data, in the place of `root` of the file.
    #[arg(long, value_name = "FOLDER")]
    root: Option<PathBuf>,
    /// Seed, in the place of that of the file.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// `cpu`, `cuda`, `cuda:N` for the N-th GPU from 0, or `auto`: a GPU where there is one.
    #[arg(long, default_value_t, value_name = "DEVICE", value_parser = str::parse::<Device>)]
    device: Device,
    #[command(flatten)]
    run: RunArgs,
}

const EXAMPLES: &str = "\
Examples:
  atrous train --config models/yeast-atac/quick.toml --dry-run
  atrous train --config models/yeast-atac/quick.toml --out runs/yeast-atac -t 1
  atrous train --config models/yeast-atac/quick.toml --out runs/yeast-atac -t 1 --resume
  atrous evaluate -m runs/yeast-atac/model.safetensors --config models/yeast-atac/quick.toml \\
    --split valid -o runs/yeast-atac/valid";

/// Checks, and trains or says what would be trained.
pub fn run(args: &TrainArgs) -> Result<()> {
    let start = Instant::now();
    let threads = args.run.start_threads()?;
    signal::install()?;
    let mut loaded = Loaded::read(&args.config, args.root.as_deref())?;
    loaded.config.seed = args.seed.unwrap_or(loaded.config.seed);
    torch::check(args)?;
    let summary = args.run.summary.as_deref().map(OutputFile::create).transpose()?;
    let run = Run::new(&loaded)?;
    let judge = Judge::new(&loaded, &run.data)?;
    print!("{}", describe(&run)?);
    let device = torch::run(args, threads, &run, &judge)?;
    if let Some(file) = summary {
        let mut report = Summary::new();
        report.sample = args.run.sample(args.out.as_deref());
        report.settings.insert("config".into(), args.config.display().to_string().into());
        report.settings.insert("dry_run".into(), args.dry_run.into());
        report.engine = format!("training ({device})");
        report.threads = threads;
        report.measure(start);
        report.write(file)?;
    }
    Ok(())
}

/// What will be trained, as a table of two columns.
fn describe(run: &Run<'_>) -> Result<String> {
    let config = &run.of.config;
    let training = &config.training;
    let facts = Facts::of(&run.net.logits);
    let (length, flanks) = (run.net.length as u64, run.net.flanks);
    let width = length + flanks.left + flanks.right;
    let mut text = String::new();
    let mut say = |name: &str, value: String| {
        writeln!(text, "{name:<22} {value}").expect("a string takes everything");
    };
    say("model", config.name.clone());
    say("outputs", config.outputs().join(", "));
    if let Some(name) = &run.net.counts {
        say("log count", format!("{name}; the outputs are the logits of one profile"));
    }
    if run.net.window.is_some() {
        say("window", format!("{} bases in, {} out", grouped(width), grouped(length)));
    }
    say("input", format!("{} x 4 x {} bases", training.batch, grouped(width)));
    say(
        "targets",
        format!(
            "{} x {} x {} bases",
            training.batch,
            if config.splice.is_some() { 1 } else { run.data.outputs() },
            grouped(length)
        ),
    );
    let reach = facts.reach;
    say(
        "receptive field",
        format!("{} bases (-{} .. +{})", grouped(facts.receptive_field), reach.left, reach.right),
    );
    say("parameters", grouped(facts.parameters));
    say("arithmetic", format!("{} FLOP per base, forward", grouped(facts.flops_per_base)));
    for split in Split::ALL {
        let ranges = run.data.splits.of(split);
        let bases = run.data.splits.bases(split);
        let what = match split {
            Split::Train => format!("{} windows side by side", grouped(run.sampler.windows())),
            _ => format!("{} windows", grouped(bases / length)),
        };
        say(
            &split.to_string(),
            format!("{} ranges, {} bases, {what}", ranges.len(), grouped(bases)),
        );
    }
    for supply in run.sampler.supply() {
        say("examples from", format!("{} {}", grouped(supply.places), supply.name));
    }
    say(
        "leakage",
        format!(
            "{} of {} training bases within {} of a held-out range: {}",
            grouped(run.leaked.bases),
            grouped(run.leaked.of),
            flanks.left.max(flanks.right),
            match (run.leaked.bases, config.splits.leakage) {
                (0, _) => "nothing to do",
                (_, atrous::train::config::Leakage::Warn) => "learned from (leakage = \"warn\")",
                _ => "left out",
            },
        ),
    );
    let seen = training.steps as f64 * training.batch as f64 * length as f64;
    let passes = seen / run.data.splits.bases(Split::Train) as f64;
    say(
        "steps",
        format!(
            "{} of {} windows: {passes:.1} times the training bases",
            grouped(training.steps),
            training.batch
        ),
    );
    let activations = run.net.logits.training_bytes_per_position() * width * training.batch as u64;
    let weights = 4 * 6 * facts.parameters;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    say("memory", format!("about {:.0} MiB beside the data", mib(2 * activations + weights)));
    Ok(text)
}

#[cfg(feature = "torch")]
mod torch {
    use super::{Judge, Result, Run, TrainArgs};
    use atrous::train::fit::{Options, estimate, fit};
    use std::path::Path;

    pub fn check(_: &TrainArgs) -> Result<()> {
        Ok(())
    }

    /// Trains, or estimates; the device.
    pub fn run(
        args: &TrainArgs,
        threads: usize,
        run: &Run<'_>,
        judge: &Judge<'_>,
    ) -> Result<String> {
        let out = args.out.clone().unwrap_or_default();
        let options = Options { out, device: args.device, threads, resume: args.resume };
        if args.dry_run {
            let (device, seconds) = estimate(run, &options)?;
            let time = indicatif::HumanDuration(std::time::Duration::from_secs_f64(seconds));
            println!("{:<22} {time} on {device}, validations included", "estimated time");
            return Ok(device);
        }
        let outcome = fit(run, judge, &options, &args.run.progress())?;
        let shown = |path: &Path| path.display().to_string();
        tracing::info!(
            "{} after {} steps on {}{}",
            shown(&outcome.model),
            outcome.steps,
            outcome.device,
            if outcome.stopped_early { ", stopped early" } else { "" },
        );
        Ok(outcome.device)
    }
}

#[cfg(not(feature = "torch"))]
mod torch {
    use super::{Judge, Result, Run, TrainArgs};
    use atrous::Error;

    pub fn check(args: &TrainArgs) -> Result<()> {
        match args.dry_run {
            true => Ok(()),
            false => Err(Error::usage("this build has no libtorch, which training needs")
                .remedy("build with `make torch`; --dry-run works without it")
                .into()),
        }
    }

    pub fn run(_: &TrainArgs, _: usize, _: &Run<'_>, _: &Judge<'_>) -> Result<String> {
        println!("{:<22} unknown: this build has no libtorch", "estimated time");
        Ok("none".into())
    }
}
