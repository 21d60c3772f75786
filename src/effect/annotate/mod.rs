//! Variant files in, the same with scores out.
//!
//! [`annotate`] reads records in chunks, scores them, and writes each with what became of it, in
//! the order of the input. No record is lost: it is in the output, or counted and listed with the
//! reason.

mod outputs;
mod rows;
mod scoring;
pub mod share;
mod strongest;

use super::exhibits::Exhibits;
use super::{AlleleOutcome, Outcome, Skip, VariantOutcome, Warning};
use crate::error::{Error, Result};
use crate::genome::variants::{BadRecord, Record, VariantReader};
use crate::genome::{Reference, Resolver, Variant};
use crate::job::journal::Settings;
use crate::job::manifest::Manifest;
use crate::job::output::keeps_parts;
use crate::job::shard::Shard;
use crate::job::summary::Written;
use crate::job::{OutputFile, Progress, digest, signal};
use crate::track::Style;
use crate::track::variants::VariantFormat;
use outputs::Outputs;
pub use scoring::{Scoring, null};
use share::section;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use strongest::Strongest;

/// Records that are scored together, so that those which lie close share what is computed …
const CHUNK_RECORDS: usize = 1000;

/// … unless their text, with the genotypes of many samples, is longer than this (bytes).
const CHUNK_BYTES: usize = 64 << 20;

/// The reason of records that cannot be read.
pub const BAD_RECORD: &str = "BAD_RECORD";

/// What is written, and where.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// The annotated file; its ending names the format, and `-` (standard output) has that of the
    /// input.
    pub output: PathBuf,
    /// Makes an index of the output.
    pub write_index: bool,
    /// Replaces INFO keys, or columns of a table, that the input has already.
    pub overwrite_info: bool,
    /// A table of all alleles without a score.
    pub skipped: Option<PathBuf>,
    /// A folder for the tracks around the strongest variants, before and after, as bedGraph.
    pub delta_tracks: Option<PathBuf>,
    /// A folder for pictures of the strongest variants.
    pub plots: Option<PathBuf>,
    /// How many variants, by their largest score, those folders show.
    pub strongest: usize,
    /// How the values of tracks are written.
    pub style: Style,
    /// Accepts an input without records.
    pub allow_empty: bool,
    /// Lines that the header of VCF gains.
    pub header: Vec<String>,
    /// Do this part of the records alone, and write a manifest beside the output.
    pub shard: Option<Shard>,
    /// Continue an interrupted run of the same request, if one left its parts.
    pub resume: bool,
    /// What decides the content of the outputs, such as the hash of the model.
    pub identity: Settings,
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Records that were read, bad ones included.
    pub records: u64,
    /// Alternative alleles (one for a record without any).
    pub alleles: u64,
    /// Alleles with a score.
    pub scored: u64,
    /// Alleles without a score, by reason; bad records, as [`BAD_RECORD`].
    pub skipped: BTreeMap<&'static str, u64>,
    /// Scored alleles, by what to know of them.
    pub warnings: BTreeMap<&'static str, u64>,
    /// What was written.
    pub outputs: Vec<Written>,
}

impl Request {
    /// The files that are written, but for indexes.
    pub fn output_paths(&self) -> Vec<&Path> {
        std::iter::once(&self.output).chain(&self.skipped).map(PathBuf::as_path).collect()
    }
}

impl Request {
    /// Refuses what cannot be meant, before any work.
    fn check(&self) -> Result<()> {
        let of_all = self.delta_tracks.as_ref().or(self.plots.as_ref());
        if let (true, Some(folder)) = (self.shard.is_some() || self.resume, of_all) {
            return Err(Error::usage("the strongest variants are known only when all are scored")
                .at(folder)
                .remedy("leave the folder out, and score the strongest in a run of their own"));
        }
        if self.shard.is_some() && OutputFile::part_of(&self.output)?.is_none() {
            return Err(Error::usage("a shard is written to a regular file")
                .at(&self.output)
                .remedy("name a file for each shard; `atrous merge` can write anywhere"));
        }
        Ok(())
    }

    /// What decides the bytes of the outputs.
    fn settings(
        &self,
        reference: &Reference,
        scorer: &dyn Scoring<'_>,
        input: &Path,
    ) -> Result<Settings> {
        let mut settings = self.identity.clone();
        let mut set = |name: &str, value: String| settings.insert(name.into(), value);
        set("program version", env!("CARGO_PKG_VERSION").into());
        set("engine", scorer.engine().describe());
        set("reference", digest::of_reference(reference)?);
        set("header", digest::short(self.header.join("\n").as_bytes()));
        set("index", self.write_index.to_string());
        if self.shard.is_some() || self.resume || input.is_file() {
            let bytes = std::fs::metadata(input).map_or(0, |found| found.len());
            set("size of the input", bytes.to_string());
        }
        if let Some(shard) = self.shard {
            set("shard", shard.to_string());
            set("input", digest::of_file(input)?);
            set("reference file", digest::of_file(reference.path())?);
        }
        Ok(settings)
    }
}

/// Scores the records of a reader and writes them, annotated, to the outputs of a request, which
/// appear under their names when all are complete.
///
/// # Errors
/// A bad record (unless the reader leaves them out), any failure of [`Scoring::score`], of reading
/// or of writing; an INFO key that is there already; no record at all; contigs none of which are in
/// the reference or in the annotation.
pub fn annotate(
    reader: &mut VariantReader,
    reference: &mut Reference,
    scorer: &dyn Scoring<'_>,
    request: &Request,
    progress: &Progress,
) -> Result<Report> {
    let text = scorer.print();
    request.check()?;
    let section = request.shard.map(|shard| section(reader, shard)).transpose()?;
    let settings = request.settings(reference, scorer, reader.path())?;
    let (mut outputs, done) =
        Outputs::open(reader, reference.contigs(), text.as_ref(), request, &settings)?;
    let (tracks, plots) = (request.delta_tracks.as_deref(), request.plots.as_deref());
    let mut exhibits = Exhibits::open(tracks, plots, request.style.clone())?;
    let shown = if tracks.or(plots).is_some() { request.strongest } else { 0 };
    let mut strongest = Strongest::new(shown);
    let mut report = Report::default();
    let mut lines = section.as_ref().map_or(0..u64::MAX, |section| section.lines.clone());
    if let Some(done) = done {
        tracing::info!("resuming after {} records", done.counts.records);
        (lines.start, report) = (done.line, done.counts.report());
    }
    reader.keep_lines(lines);
    let mut bytes = Consumed::default();
    if let (_, Some(size)) = reader.consumed() {
        progress.start_counting(size, "bytes");
    }
    let scored = loop {
        let chunk = chunk(reader, reference, scorer, &mut report, &mut strongest, &mut outputs);
        match chunk {
            Ok(true) => progress.advance(bytes.since(reader)),
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    progress.finish();
    let finished = scored.and_then(|()| {
        if request.shard.is_none() {
            refuse_empty(&report, reader, request)?;
            refuse_strangers(&report, reader, scorer)?;
        }
        let mut shown = Vec::new();
        for variant in strongest.into_variants() {
            signal::check()?;
            shown.extend(exhibits.add(scorer, reference, &variant)?);
        }
        Ok(shown)
    });
    match finished {
        Ok(shown) => {
            let manifest = request
                .shard
                .zip(section)
                .map(|(shard, section)| Manifest::new("score", shard, section.share, settings));
            report.outputs = outputs.commit(manifest)?;
            report.outputs.extend(shown);
            Ok(report)
        }
        Err(error) => {
            outputs.abandon(keeps_parts(&error));
            Err(error)
        }
    }
}

/// Scores and writes the next records; false where there is none.
fn chunk(
    reader: &mut VariantReader,
    reference: &mut Reference,
    scorer: &dyn Scoring<'_>,
    report: &mut Report,
    strongest: &mut Strongest,
    outputs: &mut Outputs<'_>,
) -> Result<bool> {
    let records = read_chunk(reader)?;
    let bad = reader.take_bad();
    let last = records.last().map(|record| record.variant.line);
    let Some(last) = last.max(bad.last().map(|bad| bad.line)) else { return Ok(false) };
    signal::check()?;
    let variants: Vec<Variant> = records.iter().map(|record| record.variant.clone()).collect();
    let outcomes =
        scorer.score(reference, &variants).map_err(|error| error.of_line_in(reader.path()))?;
    report.count(&bad, &outcomes);
    for (variant, outcome) in variants.iter().zip(&outcomes) {
        strongest.take(variant, outcome);
    }
    let written = outputs.write(&bad, &records, &outcomes);
    written.map_err(|error| error.of_line_in(reader.path()))?;
    outputs.checkpoint(last + 1, report)?;
    Ok(true)
}

/// An input without records is a mistake unless it is meant.
fn refuse_empty(report: &Report, reader: &VariantReader, request: &Request) -> Result<()> {
    if report.records > 0 || request.allow_empty {
        return Ok(());
    }
    Err(Error::new("there is no variant to score")
        .at(reader.path())
        .remedy("empty outputs are written with --allow-empty"))
}

fn read_chunk(reader: &mut VariantReader) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    let mut bytes = 0;
    while records.len() < CHUNK_RECORDS && bytes < CHUNK_BYTES {
        let Some(record) = reader.next_record()? else { break };
        bytes += record.text.len();
        records.push(record);
    }
    Ok(records)
}

/// How much of the input the progress has been told.
#[derive(Default)]
struct Consumed(u64);

impl Consumed {
    fn since(&mut self, reader: &VariantReader) -> u64 {
        let (now, _) = reader.consumed();
        let more = now.saturating_sub(self.0);
        self.0 = now;
        more
    }
}

impl Report {
    fn count(&mut self, bad: &[BadRecord], outcomes: &[VariantOutcome<'_>]) {
        if !bad.is_empty() {
            *self.skipped.entry(BAD_RECORD).or_default() += bad.len() as u64;
        }
        self.records += (bad.len() + outcomes.len()) as u64;
        for AlleleOutcome { outcome, warnings, .. } in outcomes.iter().flat_map(|o| &o.alleles) {
            self.alleles += 1;
            match outcome {
                Outcome::Scored(_) => self.scored += 1,
                Outcome::Skipped(skipped) => {
                    *self.skipped.entry(skipped.reason.code()).or_default() += 1;
                }
            }
            let codes: BTreeSet<&'static str> =
                warnings.iter().map(|w: &Warning| w.code()).collect();
            for code in codes {
                *self.warnings.entry(code).or_default() += 1;
            }
        }
    }

    fn all_are(&self, reason: Skip) -> bool {
        self.alleles > 0 && self.skipped.get(reason.code()) == Some(&self.alleles)
    }
}

/// Files that have no contig in common are a mistake, not a result (splice-scoring.md B2).
fn refuse_strangers(
    report: &Report,
    reader: &VariantReader,
    scorer: &dyn Scoring<'_>,
) -> Result<()> {
    let mut names: Vec<&str> = reader.names().seen().map(|(name, _)| name).collect();
    names.sort_unstable();
    let resolver: &Resolver = reader.names().resolver();
    if report.all_are(Skip::ContigNotInReference) {
        return Err(resolver.nothing_matches(reader.path(), &names));
    }
    if let Some(genes) = scorer.genes()
        && report.all_are(Skip::ContigNotInAnnotation)
    {
        let contigs = resolver.contigs();
        let with_genes = contigs.iter().filter(|(id, ..)| genes.has_contig(*id));
        let known: Vec<&str> = with_genes.map(|(_, name, _)| name).take(5).collect();
        names.truncate(5);
        return Err(Error::new("no gene of the annotation is on a contig of these variants")
            .at(reader.path())
            .found(names.join(", "))
            .expected(known.join(", "))
            .remedy("use the annotation of these contigs, or name pairs in a table (--aliases)"));
    }
    Ok(())
}

/// The format of the output for an input.
fn format_of(reader: &VariantReader, request: &Request) -> Result<VariantFormat> {
    let natural = match reader.origin() {
        crate::genome::variants::Origin::Table => VariantFormat::Table { bgzip: false },
        _ => VariantFormat::Vcf { bgzip: false },
    };
    Ok(VariantFormat::of(&request.output)?.unwrap_or(natural))
}
