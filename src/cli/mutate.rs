//! `atrous mutate`: every change of a region, scored.

use super::args::{Chosen, ModelArgs, ReferenceArgs, RunArgs, ShardArgs, count, files_read};
use super::closing::Ran;
use super::engine::EngineArgs;
use super::plan::without_shard;
use super::score::GeneArgs;
use super::score::track::{TrackFlags, refuse};
use anyhow::Result;
use atrous::effect::mutate::{Report, Request, mutate, share};
use atrous::effect::track::{
    self, Class, Combine, Function, MutateRequest, StrandAverage, TrackReading,
};
use atrous::effect::{Reading, Scorer, Settings};
use atrous::genome::{Strand, parse_region};
use atrous::job::distinct::refuse_shared;
use atrous::job::journal::Settings as Identity;
use atrous::job::progress::rate;
use atrous::job::shard::{Shard, Share};
use atrous::job::summary::ModelUsed;
use atrous::job::{OutputFile, Summary, signal};
use atrous::model::{Model, Track};
use atrous::predict::WindowAt;
use atrous::predict::locus::svg_name;
use atrous::track::Style;
use atrous::track::number::Rounding;
use atrous::{Error, Result as Checked};
use clap::Args;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Score every substitution of a region, and every deletion of one base if wanted.
///
/// Splice models give the scores of `atrous score`; models of profiles and counts the change of
/// --measure in the window around the middle of the region; other models, or splice models with
/// --track, the largest change of each track and where it is. The importance of a base is the mean
/// magnitude over its three substitutions.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct MutateArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    reference: ReferenceArgs,
    #[command(flatten)]
    what: WhatArgs,
    #[command(flatten)]
    signals: SignalArgs,
    #[command(flatten)]
    genes: GeneArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    shard: ShardArgs,
    #[command(flatten)]
    run: RunArgs,
}

/// Which changes, and what is measured.
#[derive(Debug, Args)]
#[command(next_help_heading = "Changes")]
struct WhatArgs {
    /// The region, 1-based inclusive: chr1:69,000-69,200.
    #[arg(long, value_name = "REGION")]
    region: String,
    /// Delete each base, too.
    #[arg(long)]
    deletions: bool,
    /// Bases on either side of a change that are looked at, up to 4999.
    #[arg(short, long, value_name = "BASES", default_value_t = 50)]
    distance: usize,
    /// How tracks become scores: splice-delta or splice-usage; default: as the model file says.
    #[arg(long, value_name = "SCHEME", conflicts_with = "track")]
    scheme: Option<String>,
}

/// What is measured of models of signals.
#[derive(Debug, Args)]
#[command(next_help_heading = "Scores of signals")]
struct SignalArgs {
    /// What is measured: logcount, profile-summary (the sum of softmax times logits, these less
    /// their mean), jsd (distance of the profile from that of the reference), or, of any model,
    /// class:TRACK@POS, the value of a track (its name or number) at a position of the contig.
    #[arg(long, value_name = "WHAT", default_value_t, value_parser = str::parse::<Function>)]
    measure: Function,
    /// Where windows lie: `region`, one around the middle of the region (default where it fits);
    /// `grid`, as in `predict`: each base is changed in the window whose outputs it belongs to.
    #[arg(long, value_name = "PLACE", value_parser = str::parse::<WindowAt>)]
    window_at: Option<WindowAt>,
    /// Subtract the mean over the four bases.
    #[arg(long)]
    center: bool,
    /// Write the base that is there alone.
    #[arg(long, requires = "center")]
    project: bool,
    #[command(flatten)]
    tracks: TrackFlags,
}

/// What is written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
struct OutputArgs {
    /// A row per change and gene: .tsv or .tsv.gz, `-` for stdout.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// How much each base matters, as .bedGraph[.gz] or .bw.
    #[arg(long, value_name = "FILE")]
    importance: Option<PathBuf>,
    /// A picture: letters as tall as they matter, over a map of all changes.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Continue an interrupted run from its partial table; not with --importance or --plot.
    #[arg(long)]
    resume: bool,
    /// Digits after the decimal point of --importance.
    #[arg(long, value_name = "N", default_value_t = 4)]
    decimals: u8,
}

const EXAMPLES: &str = "\
Examples:
  atrous mutate -m spliceai.safetensors -r hg38.fa.gz -a genes.gtf.gz \\
    --region chr1:69,000-69,200 -o changes.tsv --plot letters.svg
  atrous mutate -m model.safetensors -r hg38.fa.gz --region chr1:69,000-69,200 --track donor \\
    --strand - --deletions -o changes.tsv --importance importance.bedGraph.gz
  atrous mutate -m chrombpnet.safetensors -r hg38.fa.gz --region chr1:69,000-69,200 --center \\
    --without-bias -o changes.tsv --plot letters.svg

Region strings and positions in the table are 1-based; bedGraph is 0-based half-open.";

/// Refuses what cannot be meant, scores, and says what was done.
pub fn run(args: &MutateArgs) -> Result<()> {
    let start = Instant::now();
    let threads = args.run.start_threads()?;
    signal::install()?;
    signal::end_within_grace()?;
    args.refuse_shared_outputs()?;
    let (model, used) = args.model.read()?;
    if model.window.is_some() || matches!(args.signals.measure, Function::Class(_)) {
        return args.run_signals((model, used), threads, start);
    }
    refuse(args.signals.given(), "models without a window")?;
    let reading = args.reading(&model)?;
    let style = Style { rounding: Rounding::new(args.output.decimals)?, ..Style::default() };
    let summary = args.shard.summary(args.run.summary.as_deref());
    let summary = summary.as_deref().map(OutputFile::create).transpose()?;
    let (mut reference, resolver) = args.reference.open()?;
    let region = parse_region(&args.what.region, &resolver)?;
    let genes = args.genes.read(&resolver)?;
    let engine = args.engine.build(&model, reading.tracks())?;
    let chosen = Chosen::new(model, used, reading.tracks().to_vec());
    let settings = Settings {
        distance: args.what.distance,
        strands: args.genes.strands().to_vec(),
        ..Settings::default()
    };
    let scorer = Scorer::new(&reading, engine.as_ref(), genes.as_ref(), settings)?;
    let scheme = reading.scheme().map_or("largest change per track", |scheme| scheme.name());
    tracing::info!(
        "{}: {scheme} of {} on {}, {}",
        chosen.model.name,
        count(region.interval.len(), "base"),
        engine.describe(),
        count(threads as u64, "thread"),
    );
    let request = Request {
        region: region.interval,
        deletions: args.what.deletions,
        table: args.shard.place(&args.output.output),
        importance: args.output.importance.as_deref().map(|path| args.shard.place(path)),
        plot: args.output.plot.clone(),
        style,
        subtitle: format!(
            "{}: {scheme}, {} bases on either side; importance: mean over substitutions of the \
             largest change",
            chosen.model.name, args.what.distance
        ),
        shard: args.shard.shard,
        resume: args.output.resume,
        identity: args.identity(&chosen, scheme, genes.as_ref().map(|g| g.sha256(&resolver))),
    };
    let report = mutate(&mut reference, &scorer, &request, &args.run.progress())?;

    let ran = args.run.ran(&args.output.output, &reference, engine.as_ref(), (threads, start));
    args.end(&ran, args.settings_used(&chosen), chosen.used, summary, &report)
}

impl SignalArgs {
    /// The first flag that only models of signals know.
    fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--measure", self.measure != Function::default()),
            ("--window-at", self.window_at.is_some()),
            ("--center", self.center),
            ("--without-bias", self.tracks.without_bias),
            ("--rc-average", self.tracks.rc_average != StrandAverage::default()),
            ("--ensemble", self.tracks.ensemble != Combine::default()),
        ];
        flags.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }
}

impl MutateArgs {
    /// Says what was done, and writes the summary.
    fn end(
        &self,
        ran: &Ran<'_>,
        settings: BTreeMap<String, serde_json::Value>,
        models: Vec<ModelUsed>,
        summary: Option<OutputFile>,
        report: &Report,
    ) -> Result<()> {
        let record = ran.record(settings, models, &report.skipped, &report.outputs);
        let record = Summary { bases: report.bases, regions: 1, ..record };
        ran.end(record, summary, |record| say(record, report))?;
        Ok(())
    }

    /// Cores that are used.
    pub fn threads(&self) -> u64 {
        self.run.threads()
    }

    /// What each shard does.
    pub fn shares(&self, of: u64) -> Checked<Vec<Share>> {
        without_shard(self.shard.shard)?;
        let (reference, resolver) = self.reference.open()?;
        let region = parse_region(&self.what.region, &resolver)?.interval;
        Ok(Shard::all(of).map(|shard| share(region, shard, reference.contigs())).collect())
    }

    /// Mutates a window of a model of signals, and says what was done.
    fn run_signals(
        &self,
        (model, used): (Model, Vec<ModelUsed>),
        threads: usize,
        start: Instant,
    ) -> Result<()> {
        let splicing = [
            ("--annotation", self.genes.path().is_some()),
            ("--deletions", self.what.deletions),
            ("--distance", self.what.distance != Settings::default().distance),
            ("--resume", self.output.resume),
            ("--scheme", self.what.scheme.as_deref().is_some_and(|scheme| scheme != "tracks")),
        ];
        refuse_given(&splicing, "what --measure asks for")?;
        let SignalArgs { window_at, center, project, tracks: flags, .. } = &self.signals;
        let (measure, tracks) = self.measured(&model)?;
        let [strand] = *self.genes.strands() else {
            return Err(Error::usage("changes are measured on one strand")
                .remedy("name + or - with --strand")
                .into());
        };
        let strands = match model.window {
            None => {
                let given = [
                    ("--window-at", window_at.is_some()),
                    ("--rc-average", flags.rc_average != StrandAverage::default()),
                ];
                refuse_given(&given, "models without a window")?;
                StrandAverage::None
            }
            Some(_) => {
                refuse_given(&[("--strand", strand == Strand::Minus)], "models with a window")?;
                flags.rc_average
            }
        };
        let reading = TrackReading::new(&model, &tracks, strands)?;
        if model.control_channels() > 0 {
            tracing::info!("the control tracks of the model are read as zeros");
        }
        let style = Style { rounding: Rounding::new(self.output.decimals)?, ..Style::default() };
        let summary = self.shard.summary(self.run.summary.as_deref());
        let summary = summary.as_deref().map(OutputFile::create).transpose()?;
        let (mut reference, resolver) = self.reference.open()?;
        let region = parse_region(&self.what.region, &resolver)?;
        let engine = self.engine.build(&model, reading.wanted().clone())?;
        let chosen = Chosen::new(model, used, tracks);
        let tasks = reading.tasks().collect::<Vec<_>>().join(", ");
        tracing::info!(
            "{}: {measure} of {tasks}, {} on {}, {}",
            chosen.model.name,
            count(region.interval.len(), "base"),
            engine.describe(),
            count(threads as u64, "thread"),
        );
        let first = reading.tasks().next().unwrap_or_default();
        let importance = match center {
            true => "its difference from the mean of the four bases",
            false => "mean magnitude over substitutions",
        };
        let subtitle = format!(
            "{}: change of {measure} of {first}; importance: {importance}",
            chosen.model.name
        );
        let request = MutateRequest {
            region: region.interval,
            function: measure.clone(),
            at: *window_at,
            strand,
            strands,
            combine: flags.ensemble,
            center: *center,
            project: *project,
            table: self.shard.place(&self.output.output),
            importance: self.output.importance.as_deref().map(|path| self.shard.place(path)),
            plot: self.output.plot.clone(),
            style,
            subtitle,
            shard: self.shard.shard,
            identity: self.model.identity(&chosen),
        };
        let progress = self.run.progress();
        let report = track::mutate(&mut reference, &reading, engine.as_ref(), &request, &progress)?;
        let mut settings = self.settings_used(&chosen);
        settings.remove("distance");
        settings.insert("measure".into(), measure.to_string().into());
        settings.insert("window_at".into(), window_at.map(WindowAt::name).into());
        settings.insert("strand".into(), strand.symbol().to_string().into());
        settings.insert("rc_average".into(), strands.name().into());
        settings.insert("ensemble".into(), flags.ensemble.name().into());
        let ran = self.run.ran(&self.output.output, &reference, engine.as_ref(), (threads, start));
        self.end(&ran, settings, chosen.used, summary, &report)
    }

    /// What is measured, and the tracks that it is measured of.
    fn measured(&self, model: &Model) -> Checked<(Function, Vec<Track>)> {
        let (flags, member) = (&self.signals.tracks, self.model.member.as_deref());
        let Function::Class(class) = &self.signals.measure else {
            return Ok((self.signals.measure.clone(), flags.tracks(model, member)?));
        };
        let named = [("--track", !flags.track.is_empty()), ("--without-bias", flags.without_bias)];
        refuse_given(&named, "a class, which names its track")?;
        let track = class.of(model, member)?;
        let class = Class { track: track.name.clone(), ..class.clone() };
        Ok((Function::Class(class), vec![track]))
    }

    /// The scheme of the model, or the tracks that are asked for, or those of a model without one.
    fn reading(&self, model: &Model) -> Checked<Reading> {
        let member = self.model.member.as_deref();
        let named = self.what.scheme.as_deref();
        if self.signals.tracks.track.is_empty() && (named.is_some() || model.scheme.is_some()) {
            let scheme = Reading::choose_scheme(model, named)?;
            return Reading::new(model, &scheme, member);
        }
        let tracks = model.select_tracks(&self.signals.tracks.track, member)?;
        Reading::without_scheme(model, &tracks)
    }

    /// What decides the numbers, for the journal and the manifest.
    fn identity(&self, chosen: &Chosen, scheme: &str, genes: Option<String>) -> Identity {
        let mut identity = self.model.identity(chosen);
        let tracks: Vec<&str> = chosen.tracks.iter().map(|track| track.name.as_str()).collect();
        identity.insert("tracks".into(), tracks.join(", "));
        identity.insert("scheme".into(), scheme.into());
        identity.insert("distance".into(), self.what.distance.to_string());
        identity.insert("strands".into(), format!("{:?}", self.genes.strands()));
        identity.insert("annotation".into(), genes.unwrap_or_else(|| "none".into()));
        identity
    }

    /// Refuses to write over what is read, before any work.
    fn refuse_shared_outputs(&self) -> Checked<()> {
        let OutputArgs { output, importance, plot, .. } = &self.output;
        let manifest = self.shard.manifest_of(output);
        let outputs: Vec<&Path> = std::iter::once(output)
            .chain(importance)
            .chain(plot)
            .chain(&self.run.summary)
            .chain(&manifest)
            .map(PathBuf::as_path)
            .collect();
        plot.iter().try_for_each(|plot| svg_name(plot))?;
        let read = files_read(&self.model, &self.reference);
        let inputs: Vec<&Path> =
            read.iter().chain(self.genes.path()).map(PathBuf::as_path).collect();
        refuse_shared(&outputs, &inputs)
    }

    /// What decides the numbers, for the summary.
    fn settings_used(&self, chosen: &Chosen) -> BTreeMap<String, serde_json::Value> {
        let mut used = self.model.settings(chosen);
        used.insert("distance".into(), self.what.distance.into());
        used.insert("deletions".into(), self.what.deletions.into());
        used.insert("region".into(), self.what.region.clone().into());
        used
    }
}

/// Refuses the first flag that is given where it means nothing.
fn refuse_given(flags: &[(&'static str, bool)], what: &str) -> Checked<()> {
    refuse(flags.iter().find(|(_, given)| *given).map(|(name, _)| *name), what)
}

/// The last lines of the log: what has no score and why, where the rest is, how fast it went.
fn say(record: &Summary, report: &Report) {
    if report.unknown > 0 {
        tracing::info!("{} not mutated: neither A, C, G nor T", count(report.unknown, "base"));
    }
    for (code, number) in &report.skipped {
        tracing::info!("{} without a score: {code}", count(*number, "change"));
    }
    for output in record.outputs.iter().filter(|output| output.path != Path::new("-")) {
        tracing::info!("{}: {}", output.path.display(), count(output.records, "line"));
    }
    let speed = rate(report.scored as f64 / record.seconds.max(f64::MIN_POSITIVE));
    tracing::info!(
        "{} of {} scored: {:.2} s on {}, {}: {speed} changes/s",
        count(report.scored, "change"),
        report.alleles,
        record.seconds,
        record.engine,
        count(record.threads as u64, "thread"),
    );
}
