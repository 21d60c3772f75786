//! `atrous score` for models of signals: the flags, and the run.

use super::{ScoreArgs, say};
use crate::cli::args::{Chosen, count};
use crate::cli::windows::bias_apart;
use anyhow::Result;
use atrous::effect::annotate::{annotate, null};
use atrous::effect::track::{
    Background, Combine, IndelRule, StrandAverage, TrackReading, TrackScorer, TrackSettings,
    TrackText, WindowRule,
};
use atrous::effect::{Rules, Settings};
use atrous::genome::regions::{RegionOptions, read_bed};
use atrous::genome::{Reference, Region, Resolver, Strand};
use atrous::job::OutputFile;
use atrous::job::summary::ModelUsed;
use atrous::model::{Model, Track};
use atrous::track::variants::VariantFormat;
use atrous::{Error, Result as Checked};
use clap::Args;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What is computed of models of signals (profiles and counts), and what it is compared with.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Scores of signals")]
pub struct TrackFlags {
    /// Score these tracks; default: those that the model file marks.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub track: Vec<String>,
    /// Leave out the bias of the assay, where a model gives both.
    #[arg(long, conflicts_with = "track")]
    pub without_bias: bool,
    /// What is averaged over both strands of a window: counts-and-logits, tracks, or none.
    #[arg(long, value_name = "WHAT", default_value_t, value_parser = str::parse::<StrandAverage>)]
    pub rc_average: StrandAverage,
    /// How several models or members become one score: scores (each is scored), predictions (counts
    /// and logits are averaged first).
    #[arg(long, value_name = "HOW", default_value_t, value_parser = str::parse::<Combine>)]
    pub ensemble: Combine,
}

/// What is only asked of variants.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Scores of signals")]
pub struct CompareFlags {
    /// Which letters move for insertions and deletions: right-slide (those behind), center (half on
    /// either side).
    #[arg(long, value_name = "RULE", default_value_t, value_parser = str::parse::<IndelRule>)]
    pub indel: IndelRule,
    /// Where POS lies in the window: centre (the base behind the middle), basenji (before it).
    #[arg(long, value_name = "RULE", default_value_t, value_parser = str::parse::<WindowRule>)]
    pub window_rule: WindowRule,
    /// Added to both tracks for js_nats.
    #[arg(long, value_name = "COUNT", default_value_t = 0.0)]
    pub pseudocount: f64,
    /// Add Basenji's JS, jeffreys_half_nats.
    #[arg(long)]
    pub basenji_scores: bool,
    /// Sum log_sed over these regions only.
    #[arg(long, value_name = "BED")]
    pub features: Option<PathBuf>,
    /// Quantiles among these counts, one number per line.
    #[arg(long, value_name = "FILE", conflicts_with = "peaks")]
    pub background_counts: Option<PathBuf>,
    /// Quantiles among the counts of windows around these summits (narrowPeak, or middles of BED).
    #[arg(long, value_name = "PEAKS")]
    pub peaks: Option<PathBuf>,
    /// p-values against N dinucleotide shuffles of the sequence around every variant.
    #[arg(long, value_name = "N")]
    pub null: Option<usize>,
    /// Seed of the shuffles.
    #[arg(long, value_name = "S", default_value_t = 1, requires = "null")]
    pub seed: u64,
}

impl TrackFlags {
    /// The tracks that are scored.
    pub fn tracks(&self, model: &Model, member: Option<&str>) -> Checked<Vec<Track>> {
        let tracks = model.select_tracks(&self.track, member)?;
        bias_apart(model, tracks, self.without_bias, !self.track.is_empty(), member)
    }

    /// The first flag that is not as if it was not given.
    pub fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--track", !self.track.is_empty()),
            ("--without-bias", self.without_bias),
            ("--rc-average", self.rc_average != StrandAverage::default()),
            ("--ensemble", self.ensemble != Combine::default()),
        ];
        flags.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }
}

impl CompareFlags {
    /// The first flag that is not as if it was not given.
    pub fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--indel", self.indel != IndelRule::default()),
            ("--window-rule", self.window_rule != WindowRule::default()),
            ("--pseudocount", self.pseudocount != 0.0),
            ("--basenji-scores", self.basenji_scores),
            ("--features", self.features.is_some()),
            ("--background-counts", self.background_counts.is_some()),
            ("--peaks", self.peaks.is_some()),
            ("--null", self.null.is_some()),
        ];
        flags.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }

    /// The files that are read.
    pub fn inputs(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.features, &self.background_counts, &self.peaks].into_iter().flatten()
    }
}

/// Whether a model is scored by its tracks, and not by a scheme of splice sites.
pub fn scores_tracks(model: &Model, scheme: Option<&str>) -> bool {
    match scheme {
        Some(name) => name == "tracks",
        None => model.scheme.is_none() && model.window.is_some(),
    }
}

/// Refuses flags of one kind of scores for the other.
pub fn refuse(flag: Option<&'static str>, what: &str) -> Checked<()> {
    match flag {
        None => Ok(()),
        Some(flag) => Err(Error::usage(format!("{flag} means nothing to {what}"))
            .remedy(format!("leave out {flag}"))),
    }
}

impl ScoreArgs {
    /// The first flag of splice scores that is given.
    fn given_of_splicing(&self) -> Option<&'static str> {
        let flags = [
            ("--annotation", self.genes.annotation.is_some()),
            ("--mask", !self.scores.mask.is_empty()),
            ("--mask-tss", self.scores.mask_tss),
            ("--rules", self.scores.rules != Rules::Atrous),
        ];
        flags.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }

    fn track_settings(&self) -> Checked<TrackSettings> {
        let [strand] = self.genes.strand.0[..] else {
            return Err(Error::usage("signals are scored on one strand, or averaged over both")
                .remedy("name + or - with --strand"));
        };
        Ok(TrackSettings {
            window: self.compare.window_rule,
            indel: self.compare.indel,
            strands: self.tracks.rc_average,
            strand,
            distance: self.scores.distance,
            combine: self.tracks.ensemble,
            pseudocount: self.compare.pseudocount,
            basenji: self.compare.basenji_scores,
            ref_mismatch: self.variants.ref_mismatch,
            max_alt: self.variants.max_alt,
            decimals: self.scores.decimals,
        })
    }

    /// Scores by tracks, and says what was done.
    pub(super) fn run_tracks(
        &self,
        (model, used): (Model, Vec<ModelUsed>),
        threads: usize,
        start: Instant,
    ) -> Result<()> {
        refuse(self.given_of_splicing(), "scores of signals")?;
        let settings = self.track_settings()?;
        settings.check()?;
        let format = VariantFormat::of(&self.output.output)?;
        let table = matches!(format, None | Some(VariantFormat::Table { .. }));
        if self.variants.schema.is_some() && !table {
            return Err(Error::usage("a table without a header is written as a table")
                .at(&self.output.output)
                .expected("a name that ends in .tsv or .tsv.gz")
                .into());
        }
        if model.window.is_some() {
            let flags = [
                ("--strand", settings.strand == Strand::Minus),
                ("--distance", settings.distance != Settings::default().distance),
            ];
            let given = flags.into_iter().find(|(_, given)| *given).map(|(name, _)| name);
            refuse(given, "models that are run in a window")?;
        }
        let tracks = self.tracks.tracks(&model, self.model.member.as_deref())?;
        let strands = if model.window.is_some() { settings.strands } else { StrandAverage::None };
        let settings = TrackSettings { strands, ..settings };
        let reading = TrackReading::new(&model, &tracks, strands)?;
        if model.control_channels() > 0 {
            tracing::info!("the control tracks of the model are read as zeros");
        }
        let summary = self.shard.summary(self.run.summary.as_deref());
        let summary = summary.as_deref().map(OutputFile::create).transpose()?;
        let (mut reference, resolver) = self.reference.open()?;
        let mut reader = self.variants.open(&resolver)?;
        let engine = self.engine.build(&model, reading.wanted().clone())?;
        let chosen = Chosen::new(model, used, tracks);
        let scorer = TrackScorer::new(&reading, engine.as_ref(), settings)?;
        tracing::info!(
            "{} ({}): {} on {}, {}",
            chosen.model.name,
            count(reading.members() as u64, "member"),
            reading.tasks().collect::<Vec<_>>().join(", "),
            engine.describe(),
            count(threads as u64, "thread"),
        );
        let progress = self.run.progress();
        let scorer = self.compared(scorer, &mut reference, &resolver)?;
        let scorer = match self.compare.null {
            None => scorer,
            Some(shuffles) => {
                let (seed, reader) = (self.compare.seed, &reader);
                let pool = null(reader, &mut reference, &scorer, (shuffles, seed), &progress)?;
                tracing::info!("p-values against {}", count(pool.size() as u64, "shuffle"));
                scorer.with_null(pool)
            }
        };
        let hashes: Vec<String> = chosen.used.iter().map(|file| file.sha256.clone()).collect();
        let header = TrackText::new(&scorer).header(&hashes);
        let request = self.request(header, &chosen, None);
        let report = annotate(&mut reader, &mut reference, &scorer, &request, &progress)?;
        let ran = self.run.ran(&self.output.output, &reference, engine.as_ref(), (threads, start));
        let settings = self.track_settings_used(&chosen, scorer.settings());
        let record = ran.record(settings, chosen.used, &report.skipped, &report.outputs);
        ran.end(record, summary, |record| say(record, &report))?;
        Ok(())
    }

    /// The scorer with what it compares with.
    fn compared<'a>(
        &self,
        mut scorer: TrackScorer<'a>,
        reference: &mut Reference,
        resolver: &Resolver,
    ) -> Checked<TrackScorer<'a>> {
        if let Some(path) = &self.compare.features {
            scorer = scorer.with_features(&regions(path, resolver)?);
        }
        if let Some(path) = &self.compare.background_counts {
            let counts = Background::read(path)?;
            tracing::info!("quantiles among {}", count(counts.len() as u64, "count"));
            scorer = scorer.with_counts(&counts);
        }
        if let Some(path) = &self.compare.peaks {
            let peaks = regions(path, resolver)?;
            let (with, [twice, beyond]) = scorer.with_peaks(reference, &peaks)?;
            tracing::info!(
                "quantiles among {}; {twice} left out as they were there twice, {beyond} whose \
                 window leaves its contig",
                count((peaks.len() - twice - beyond) as u64, "peak"),
            );
            scorer = with;
        }
        Ok(scorer)
    }

    fn track_settings_used(
        &self,
        chosen: &Chosen,
        settings: &TrackSettings,
    ) -> BTreeMap<String, serde_json::Value> {
        let mut used = self.model.settings(chosen);
        let path =
            |path: &Option<PathBuf>| path.as_deref().map(Path::display).map(|p| p.to_string());
        used.insert("scheme".into(), "tracks".into());
        used.insert("window_rule".into(), settings.window.name().into());
        used.insert("indel".into(), settings.indel.name().into());
        used.insert("rc_average".into(), settings.strands.name().into());
        used.insert("ensemble".into(), settings.combine.name().into());
        used.insert("pseudocount".into(), settings.pseudocount.into());
        used.insert("ref_mismatch".into(), settings.ref_mismatch.name().into());
        used.insert("max_alt".into(), settings.max_alt.into());
        used.insert("features".into(), path(&self.compare.features).into());
        used.insert("background_counts".into(), path(&self.compare.background_counts).into());
        used.insert("peaks".into(), path(&self.compare.peaks).into());
        used.insert("null".into(), self.compare.null.into());
        used.insert("seed".into(), self.compare.seed.into());
        used
    }
}

/// The regions of a BED or narrowPeak file.
fn regions(path: &Path, resolver: &Resolver) -> Checked<Vec<Region>> {
    Ok(read_bed(path, resolver, &RegionOptions::default())?.list)
}
