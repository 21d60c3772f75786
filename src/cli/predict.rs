//! `atrous predict`: the main job, from FASTA and regions to tracks and tables.

use super::args::{Chosen, ModelArgs, ReferenceArgs, RunArgs, ShardArgs, count, files_read};
use super::engine::{EngineArgs, measured};
use super::plan::without_shard;
use super::windows::WindowArgs;
use anyhow::Result;
use atrous::engine::Wanted;
use atrous::genome::regions::{RegionOptions, Regions, whole_contigs, whole_reference};
use atrous::genome::regions::{parse_region, read_bed};
use atrous::genome::{Contigs, Resolver};
use atrous::job::distinct::refuse_shared;
use atrous::job::progress::rate;
use atrous::job::shard::Share;
use atrous::job::{OutputFile, Summary, signal};
use atrous::model::Model;
use atrous::predict::locus::{plotted, svg_name};
use atrous::predict::{
    Measured, Plot, Report, Request, Strands, Windowed, predict, predict_windows, shares,
};
use atrous::track::number::Rounding;
use atrous::track::{Signal, Style};
use atrous::{Error, Result as Checked};
use clap::Args;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Compute base-resolution tracks over regions of a reference.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PredictArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    reference: ReferenceArgs,
    #[command(flatten)]
    regions: RegionArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    windows: WindowArgs,
    #[command(flatten)]
    engine: EngineArgs,
    /// Bases per tile; memory grows with it, results never depend on it.
    #[arg(long, value_name = "BASES", hide_short_help = true, help_heading = "Computing")]
    tile: Option<NonZeroU64>,
    #[command(flatten)]
    shard: ShardArgs,
    #[command(flatten)]
    run: RunArgs,
}

/// Which stretches are computed; without any of these flags, the whole FASTA file.
#[derive(Debug, Args)]
#[command(next_help_heading = "Regions (default: the whole FASTA file)")]
struct RegionArgs {
    /// A region, 1-based inclusive: chr1, chr1:1000, chr1:1,000-2,000; repeatable.
    #[arg(long, value_name = "REGION")]
    region: Vec<String>,
    /// Regions from a BED file of 3 or more columns, plain or gzipped; `-` for stdin.
    #[arg(long, value_name = "BED")]
    regions: Option<PathBuf>,
    /// Whole contigs, by name.
    #[arg(long, value_name = "A,B", value_delimiter = ',', conflicts_with_all = ["region", "regions"])]
    contigs: Vec<String>,
    /// The strand that the network reads: +, -, both, or bed (column 6 of the BED file).
    #[arg(
        long,
        default_value = "+",
        value_name = "STRAND",
        value_parser = str::parse::<Strands>,
        allow_hyphen_values = true
    )]
    strand: Strands,
    /// Cut regions that reach beyond a contig's end instead of refusing them.
    #[arg(long)]
    clip: bool,
    /// Leave out (and count) regions on contigs that the reference does not have.
    #[arg(long)]
    skip_unknown_contigs: bool,
    /// Accept that there is no region at all; the outputs are then empty.
    #[arg(long)]
    allow_empty: bool,
}

/// What is written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
struct OutputArgs {
    /// Tracks: .bedGraph or .bedGraph.gz (BGZF, with a .tbi index), .bw (bigWig), `-` for bedGraph
    /// on stdout. Several tracks or strands go to STEM.TRACK.STRAND.bedGraph[.gz] or .bw.
    #[arg(short, long, value_name = "FILE", required_unless_present_any = ["table", "plot"])]
    output: Option<PathBuf>,
    /// One row per region: name, mean, maximum, its position and sum of each track; log counts where
    /// windows lie around regions.
    #[arg(long, value_name = "FILE.tsv[.gz]")]
    table: Option<PathBuf>,
    /// A picture of the tracks of one region.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// What was measured there, beside them in the picture: bigWig or bedGraph; of a stranded assay
    /// that of the plus strand first.
    #[arg(long, value_name = "FILE,FILE", value_delimiter = ',', requires = "plot")]
    measured: Vec<PathBuf>,
    /// Tracks to compute, by name; default: those that the model marks.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    track: Vec<String>,
    /// Digits after the decimal point in tracks.
    #[arg(long, value_name = "N", default_value = "4", value_parser = parse_decimals)]
    decimals: Rounding,
    /// Leave out values below this; absence then no longer means `not computed`.
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = parse_finite)]
    min_value: Option<f32>,
    /// Continue an interrupted run from its partial outputs (bedGraph alone: a bigWig and a region
    /// table are complete only at the end).
    #[arg(long, requires = "output")]
    resume: bool,
}

const EXAMPLES: &str = "\
Examples:
  atrous predict -m model.safetensors -r hg38.fa.gz --regions genes.bed -o tracks.bedGraph.gz
  atrous predict -m model.safetensors -r hg38.fa.gz --region chr1:65,001-70,500 -o - --track donor
  atrous predict -m model.safetensors -r genome.fa --strand both -o both.bw
  atrous predict -m model.safetensors -r hg38.fa.gz --regions genes.bed --strand bed --table genes.tsv
  atrous predict -m model.safetensors -r hg38.fa.gz --shard 3/64 -o parts/3.bedGraph.gz
  atrous predict -m folds.safetensors -r hg38.fa.gz --regions peaks.narrowPeak --window-at summit \
    -o accessibility.bw --table counts.tsv
  atrous predict -m folds.safetensors -r hg38.fa.gz --region chr1:1,000,000-1,004,000 \
    --plot locus.svg --measured atac.bw

Region strings are 1-based inclusive; BED and bedGraph are 0-based half-open.";

/// Refuses what cannot be meant, computes, and says what was done.
pub fn run(args: &PredictArgs) -> Result<()> {
    let start = Instant::now();
    let threads = args.run.start_threads()?;
    signal::install()?;
    signal::end_within_grace()?;
    let chosen = args.model.load(&args.output.track)?;
    let chosen = args.adapt(chosen)?;
    let readout = args.windows.readout(&chosen)?;
    let mut request = args.request(&chosen, threads);
    if let Some(readout) = &readout {
        request.tracks = readout.tracks().to_vec();
    }
    args.refuse_shared_outputs(&request)?;
    let summary = args.shard.summary(args.run.summary.as_deref());
    let summary = summary.as_deref().map(OutputFile::create).transpose()?;
    let wanted = readout.as_ref().map(|readout| readout.wanted().clone());
    let wanted = wanted.unwrap_or_else(|| Wanted::from(&chosen.tracks));
    let build = |model: &Model, wanted: Wanted| args.engine.build(model, wanted);
    let engine = args.windows.engine(&chosen.model, wanted, request.tile, build)?;
    let (mut reference, resolver) = args.reference.open()?;
    let regions = args.regions.read(&resolver)?;
    let skipped = skipped_by_reason(&regions);
    for (reason, number) in &skipped {
        tracing::warn!("{} left out: {reason}", count(*number, "record"));
    }
    tracing::info!(
        "{} ({}): {} of {} on {}, {}",
        chosen.model.name,
        count(chosen.used.iter().map(|file| file.members.len() as u64).sum(), "member"),
        track_names(&chosen),
        count(regions.list.len() as u64, "region"),
        engine.describe(),
        count(threads as u64, "thread"),
    );
    request.regions = regions.list;
    args.windows.tell_missing_summits(&request.regions);
    let (engine, progress) = (engine.as_ref(), args.run.progress());
    let windowed = |readout| args.windows.windowed(&chosen.model, readout, &resolver);
    let mut windowed = readout.map(windowed).transpose()?;
    request.plot = args.output.plot(&request, windowed.as_ref(), &resolver, &chosen)?;
    let report = match &mut windowed {
        None => predict(&mut reference, engine, &request, &progress)?,
        Some(windowed) => predict_windows(&mut reference, engine, &request, windowed, &progress)?,
    };

    let mut record = Summary {
        sample: args.run.sample(request.output.as_deref().or(request.table.as_deref())),
        settings: settings(&request),
        models: chosen.used,
        reference: Some(reference.describe()),
        engine: engine.describe(),
        threads,
        skipped,
        ..Summary::new()
    };
    record.settings.extend(measured(engine));
    take_report(&mut record, report, reference.contigs());
    record.measure(start);
    say(&record);
    if let Some(file) = summary {
        record.write(file)?;
    }
    Ok(())
}

impl PredictArgs {
    /// Cores that are used.
    pub fn threads(&self) -> u64 {
        self.run.threads()
    }

    /// What was chosen of the model, as the flags of windows want it.
    fn adapt(&self, chosen: Chosen) -> Checked<Chosen> {
        let (named, member) = (!self.output.track.is_empty(), self.model.member.as_deref());
        self.windows.adapt(chosen, named, member)
    }

    /// What each shard does.
    pub fn shares(&self, of: u64) -> Checked<Vec<Share>> {
        without_shard(self.shard.shard)?;
        let chosen = self.model.load(&self.output.track)?;
        let chosen = self.adapt(chosen)?;
        let readout = self.windows.readout(&chosen)?;
        let (reference, resolver) = self.reference.open()?;
        let regions = self.regions.read(&resolver)?.list;
        let request = Request { regions, ..self.request(&chosen, 1) };
        let windowed = readout
            .map(|readout| self.windows.windowed(&chosen.model, readout, &resolver))
            .transpose()?;
        shares(&request, windowed.as_ref(), reference.contigs(), of)
    }

    /// What is asked for, but for the regions.
    fn request(&self, chosen: &Chosen, threads: usize) -> Request {
        Request {
            strands: self.regions.strand,
            output: self.output.output.as_deref().map(|path| self.shard.place(path)),
            table: self.output.table.as_deref().map(|path| self.shard.place(path)),
            style: Style {
                rounding: self.output.decimals,
                min_value: self.output.min_value,
                ..Style::default()
            },
            tile: self.tile.map(NonZeroU64::get),
            threads,
            resume: self.output.resume,
            shard: self.shard.shard,
            identity: self
                .model
                .identity(chosen)
                .into_iter()
                .chain(self.windows.identity())
                .collect(),
            ..Request::new(Vec::new(), chosen.tracks.clone())
        }
    }

    /// Refuses to write over what is read, before any work.
    fn refuse_shared_outputs(&self, request: &Request) -> Checked<()> {
        let mut outputs = request.output_paths()?;
        outputs.extend(request.manifest_path());
        if let Some(plot) = &self.output.plot {
            svg_name(plot)?;
            outputs.push(plot.clone());
        }
        outputs.extend(self.run.summary.clone());
        let read = files_read(&self.model, &self.reference);
        let inputs: Vec<&Path> = read
            .iter()
            .chain(&self.regions.regions)
            .map(PathBuf::as_path)
            .chain(self.windows.control_files())
            .chain(self.output.measured.iter().map(PathBuf::as_path))
            .collect();
        refuse_shared(&outputs.iter().map(PathBuf::as_path).collect::<Vec<_>>(), &inputs)
    }
}

impl OutputArgs {
    /// The picture that is asked for, with what was measured.
    fn plot(
        &self,
        request: &Request,
        windowed: Option<&Windowed>,
        resolver: &Resolver,
        chosen: &Chosen,
    ) -> Checked<Option<Plot>> {
        let Some(path) = &self.plot else { return Ok(None) };
        let bases = plotted(request, windowed, resolver.contigs())?;
        let read = |path: &PathBuf| Measured::read(&mut Signal::open(path, resolver)?, bases);
        let measured = self.measured.iter().map(read).collect::<Checked<_>>()?;
        let members: u64 = chosen.used.iter().map(|file| file.members.len() as u64).sum();
        let subtitle = format!("{} ({})", chosen.model.name, count(members, "member"));
        Ok(Some(Plot { path: path.clone(), subtitle, measured }))
    }
}

impl RegionArgs {
    /// The regions that the flags ask for; without any flag, the whole reference.
    fn read(&self, resolver: &Resolver) -> Checked<Regions> {
        if self.strand == Strands::Bed && self.regions.is_none() {
            return Err(Error::usage("--strand bed takes the strands from --regions")
                .remedy("name a BED file with strands in column 6"));
        }
        let options =
            RegionOptions { clip: self.clip, skip_unknown_contigs: self.skip_unknown_contigs };
        let mut regions = match &self.regions {
            Some(bed) => read_bed(bed, resolver, &options)?,
            None if !self.contigs.is_empty() => whole_contigs(&self.contigs, resolver)?,
            None if self.region.is_empty() => whole_reference(resolver.contigs()),
            None => Regions::default(),
        };
        let strings = self.region.iter().map(|text| parse_region(text, resolver));
        regions.list.splice(0..0, strings.collect::<Checked<Vec<_>>>()?);
        if regions.list.is_empty() && !self.allow_empty {
            return Err(self.nothing_to_compute(&regions));
        }
        Ok(regions)
    }

    fn nothing_to_compute(&self, regions: &Regions) -> Error {
        let mut error = Error::new("there is no region to compute")
            .remedy("empty outputs are written with --allow-empty");
        if !regions.skipped.is_empty() {
            let counts = skipped_by_reason(regions);
            let reasons: Vec<_> =
                counts.iter().map(|(reason, number)| format!("{number} {reason}")).collect();
            error = error.found(format!("records left out: {}", reasons.join(", ")));
        }
        match &self.regions {
            Some(bed) if bed == Path::new("-") => error.at(Path::new("standard input")),
            Some(bed) => error.at(bed),
            None => error,
        }
    }
}

fn parse_decimals(text: &str) -> Checked<Rounding> {
    let decimals =
        text.parse().map_err(|_| Error::usage("not a small whole number").found(text))?;
    Rounding::new(decimals)
}

fn parse_finite(text: &str) -> Checked<f32> {
    let number = text.parse::<f32>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| Error::usage("not a finite number").found(text))
}

fn track_names(chosen: &Chosen) -> String {
    chosen.tracks.iter().map(|track| track.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn skipped_by_reason(regions: &Regions) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for skip in &regions.skipped {
        *counts.entry(skip.reason.code().to_string()).or_default() += 1;
    }
    counts
}

/// What decides the numbers, for the summary.
fn settings(request: &Request) -> BTreeMap<String, serde_json::Value> {
    let tracks: Vec<&str> = request.tracks.iter().map(|track| track.name.as_str()).collect();
    let style = &request.style;
    let identity =
        request.identity.iter().map(|(name, value)| (name.clone(), value.as_str().into()));
    let mut settings: BTreeMap<String, serde_json::Value> = identity.collect();
    settings.insert("tracks".into(), tracks.into());
    settings.insert("strand".into(), format!("{:?}", request.strands).to_lowercase().into());
    settings.insert("decimals".into(), style.rounding.decimals().into());
    settings.insert("min_value".into(), style.min_value.into());
    settings
}

fn take_report(record: &mut Summary, report: Report, contigs: &Contigs) {
    record.regions = report.regions;
    record.bases = report.bases;
    record.tiles = report.tiles;
    record.outputs = report.outputs;
    record.count_letters(&report.letters, contigs);
}

/// The last lines of the log: what was computed, where it is, how fast it went.
fn say(record: &Summary) {
    for output in record.outputs.iter().filter(|output| output.path != Path::new("-")) {
        tracing::info!("{}: {}", output.path.display(), count(output.records, "line"));
    }
    let speed = rate(record.bases_per_second.unwrap_or(0.0));
    let Summary { regions, bases, seconds, engine, threads, .. } = record;
    tracing::info!(
        "{} in {}: {seconds:.2} s on {engine}, {}: {speed} bases/s",
        count(*bases, "base"),
        count(*regions, "region"),
        count(*threads as u64, "thread"),
    );
}
