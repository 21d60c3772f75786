//! `atrous inspect`: what a model or an architecture looks at and costs.

mod report;
mod signal;
mod text;

use super::args::{ReferenceArgs, start_threads};
use atrous::engine::{CpuEngine, Effective, cpu::Isa};
use atrous::genome::regions::parse_region;
use atrous::job::distinct::refuse_shared;
use atrous::job::output::OutputFile;
use atrous::model::{self, Model};
use atrous::network::Architecture;
use atrous::network::architecture::PRESETS;
use atrous::{Error, Result};
use clap::Args;
use report::{Report, Wanted};
use signal::SignalReport;
use std::fs;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Show what a model or architecture looks at, what it cannot see, and what it costs.
///
/// Receptive field, paths to each base, blind spots with the reason, parameters, work and memory
/// per base, tiles. Two subjects are shown side by side. Of a bigWig or bedGraph: contigs, bases
/// with data, smallest, largest and mean value.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct InspectArgs {
    /// A model file (.safetensors), an architecture (.toml), the name of a built-in one, or a
    /// bigWig or bedGraph[.gz].
    #[arg(value_name = "MODEL|ARCH.toml|PRESET|FILE.bw")]
    subject: String,
    /// Another one, shown beside it.
    #[arg(value_name = "OTHER")]
    other: Option<String>,
    /// Print one JSON document instead of text; for two subjects, a list of two.
    #[arg(long)]
    json: bool,
    /// Every node in the table, also those without parameters; every contig of a bigWig.
    #[arg(long)]
    all: bool,
    /// Number of paths to each offset.
    #[arg(long)]
    paths: bool,
    /// Which kernel of the CPU engine computes each convolution, in blocks of how many positions,
    /// and floating-point operations per position as written and as computed.
    #[arg(long)]
    plan: bool,
    /// Frequency response of each layer: of its weights (strongest pair of channels), or, for an
    /// architecture, of equal taps.
    #[arg(long)]
    spectrum: bool,
    /// Periods of --spectrum, in bases.
    #[arg(long, value_name = "BASES", value_delimiter = ',', value_parser = period,
        default_values_t = [3.0, 10.5, 147.0, 167.0])]
    period: Vec<f64>,
    /// Draw coverage, and with --spectrum and --effective also these.
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    effective: EffectiveArgs,
}

/// The measurement on real sequence.
#[derive(Debug, Args)]
#[command(next_help_heading = "Effective receptive field")]
struct EffectiveArgs {
    /// Measure how much substitutions change the tracks, by distance (models only).
    #[arg(long, requires_all = ["reference", "region"])]
    effective: bool,
    /// FASTA file, plain or bgzipped; missing indexes are built in memory.
    #[arg(short, long, value_name = "FASTA", requires = "effective")]
    reference: Option<PathBuf>,
    /// Where to substitute bases, 1-based inclusive: chr1:1,000-2,000.
    #[arg(long, value_name = "REGION", requires = "effective")]
    region: Option<String>,
    /// How many substitutions, spread evenly; each costs two runs over one receptive field.
    #[arg(long, value_name = "N", default_value_t = 16,
        value_parser = clap::value_parser!(u16).range(1..=10_000))]
    substitutions: u16,
    /// Cores to use; default: what the scheduler or the machine grants.
    #[arg(short, long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

const EXAMPLES: &str = "\
Examples:
  atrous inspect exponential-large
  atrous inspect my-network.toml --json | jq .networks[0].receptive_field
  atrous inspect grouped --plan
  atrous inspect hybrid profile-trunk --spectrum --svg compared.svg
  atrous inspect signal.bw --json | jq .total.mean
  atrous inspect model.safetensors --effective -r hg38.fa.gz --region chr1:69,000-70,000";

fn period(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(period) if period.is_finite() && period >= 2.0 => Ok(period),
        _ => Err("expected a number of 2 or more".into()),
    }
}

/// Runs the subcommand.
pub fn run(args: &InspectArgs) -> anyhow::Result<()> {
    if let Some(text) = args.signals()? {
        return print(&text);
    }
    let periods = args.spectrum.then(|| args.period.clone());
    let wanted = Wanted { paths: args.paths, periods, plan: args.plan };
    let subjects = [Some(&args.subject), args.other.as_ref()];
    if let Some(svg) = &args.svg {
        let files = subjects.into_iter().flatten().map(Path::new);
        let inputs: Vec<&Path> = files.chain(args.effective.reference.as_deref()).collect();
        refuse_shared(&[svg], &inputs)?;
    }
    let mut reports = Vec::new();
    for subject in subjects.into_iter().flatten() {
        reports.push(args.report(subject, &wanted)?);
    }
    let svg = args.svg.as_deref().map(OutputFile::create).transpose()?;
    let text = match (args.json, &reports[..]) {
        (false, _) => text::of(&reports, args.all)?,
        (true, [only]) => serde_json::to_string_pretty(only)? + "\n",
        (true, several) => serde_json::to_string_pretty(several)? + "\n",
    };
    if let Some(mut file) = svg {
        let picture = report::picture(&reports);
        file.write_all(picture.as_bytes()).map_err(|error| file.error(error))?;
        file.commit()?;
    }
    print(&text)
}

fn print(text: &str) -> anyhow::Result<()> {
    let written = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(written.map_err(|error| Error::io(Path::new("-"), "write", error))?)
}

impl InspectArgs {
    /// The text about files of values; none if networks are asked about.
    fn signals(&self) -> anyhow::Result<Option<String>> {
        let paths = [Some(&self.subject), self.other.as_ref()].into_iter().flatten().map(Path::new);
        let reports: Vec<Option<SignalReport>> =
            paths.map(SignalReport::of).collect::<Result<_>>()?;
        if reports.iter().all(Option::is_none) {
            return Ok(None);
        }
        let Some(reports) = reports.into_iter().collect::<Option<Vec<_>>>() else {
            return Err(Error::usage("a network and a file of values have nothing in common")
                .remedy("inspect one at a time")
                .into());
        };
        if self.svg.is_some() || self.spectrum || self.paths || self.effective.effective {
            return Err(Error::usage(
                "--svg, --spectrum, --paths and --effective are about networks",
            )
            .at(Path::new(&self.subject))
            .into());
        }
        Ok(Some(match (self.json, &reports[..]) {
            (true, [only]) => serde_json::to_string_pretty(only)? + "\n",
            (true, several) => serde_json::to_string_pretty(several)? + "\n",
            (false, reports) => {
                let texts = reports.iter().map(|report| report.text(self.all));
                texts.collect::<std::result::Result<Vec<_>, _>>()?.join("\n")
            }
        }))
    }

    fn report(&self, subject: &str, wanted: &Wanted) -> Result<Report> {
        match load(subject)? {
            Subject::Architecture(_) if self.effective.effective => {
                Err(Error::usage("--effective needs weights, and this is an architecture")
                    .at(Path::new(subject))
                    .remedy("give a model file"))
            }
            Subject::Architecture(architecture) => Report::of_architecture(*architecture, wanted)
                .map_err(|error| error.at(Path::new(subject))),
            Subject::Model(loaded) => {
                let measured = match self.effective.effective {
                    true => Some(self.effective.measure(&loaded.model)?),
                    false => None,
                };
                Ok(Report::of_model(*loaded, wanted, measured))
            }
        }
    }
}

impl EffectiveArgs {
    fn measure(&self, model: &Model) -> Result<Effective> {
        start_threads(self.threads)?;
        let (Some(reference), Some(region)) = (&self.reference, &self.region) else {
            return Err(Error::usage("--effective needs --reference and --region"));
        };
        let sequence =
            ReferenceArgs { reference: reference.clone(), write_fai: false, aliases: None };
        let (mut reference, resolver) = sequence.open()?;
        let interval = parse_region(region, &resolver)?.interval;
        // a substitution is followed further than the outputs of one window
        let stretches = model.window.map(|_| model.without_window()).transpose()?;
        let model = stretches.as_ref().unwrap_or(model);
        let engine = CpuEngine::new(model, &model.select_tracks(&[], None)?, Isa::best())?;
        let signed = |base: u64| i64::try_from(base).unwrap_or(i64::MAX);
        let range = signed(interval.start)..signed(interval.end);
        let mut fetch = |start, end| reference.fetch(interval.contig, start, end);
        let count = usize::from(self.substitutions);
        Effective::measure(&engine, model.reach(), range, count, &mut fetch)
    }
}

/// What is inspected.
enum Subject {
    Architecture(Box<Architecture>),
    Model(Box<model::Loaded>),
}

fn load(subject: &str) -> Result<Subject> {
    let path = Path::new(subject);
    if path.extension().is_some_and(|extension| extension == "toml") {
        let text =
            fs::read_to_string(path).map_err(|error| Error::io(path, "read the file", error))?;
        let architecture = Architecture::from_toml(&text).map_err(|error| error.at(path))?;
        return Ok(Subject::Architecture(Box::new(architecture)));
    }
    match Architecture::preset(subject) {
        Some(preset) if !path.exists() => Ok(Subject::Architecture(Box::new(preset?))),
        None if !path.exists() => {
            let presets: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).collect();
            Err(Error::new("no such file, and no built-in architecture of that name")
                .at(path)
                .expected(format!("a model file, a .toml file, or one of {}", presets.join(", "))))
        }
        _ => Ok(Subject::Model(Box::new(model::file::read(path)?))),
    }
}
