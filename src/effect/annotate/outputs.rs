//! The files of a run: the annotated records, and the list of those without a score.

use super::rows::Rows;
use super::{BAD_RECORD, Report, Request, format_of};
use crate::effect::text::Print;
use crate::effect::{Outcome, Skip, VariantOutcome, Warning};
use crate::error::{Error, Result};
use crate::genome::Contigs;
use crate::genome::variants::{BadRecord, Needed, Origin, Record, VariantReader, complete};
use crate::job::journal::{Checkpoint, Journal, Settings};
use crate::job::manifest::{Finished, Join, Manifest, Role};
use crate::job::output::{commit_all, keeps_parts};
use crate::job::summary::Written;
use crate::job::{Lock, OutputFile};
use crate::track::index::Indexing;
use crate::track::name::{Format, Kind};
use crate::track::variants::{AlleleTable, InfoKeys, Kept, VariantFormat, VariantSink, create};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Columns of the list of alleles without a score.
const SKIPPED: [&str; 7] = ["contig", "pos", "ref", "alt", "line", "reason", "detail"];

pub(super) struct Outputs<'a> {
    lock: Option<Lock>,
    /// None where the output is no regular file.
    journal: Option<Journal>,
    text: &'a dyn Print,
    annotated: Annotated,
    skipped: Option<AlleleTable>,
    request: &'a Request,
}

enum Annotated {
    Vcf(Box<dyn VariantSink>, InfoKeys),
    Table(Box<AlleleTable>, Rows),
}

impl<'a> Outputs<'a> {
    /// Opens all files, before any work.
    pub(super) fn open(
        reader: &VariantReader,
        contigs: &Contigs,
        text: &'a dyn Print,
        request: &'a Request,
        settings: &Settings,
    ) -> Result<(Self, Option<Done>)> {
        let lock = Lock::take(&request.output)?;
        let part = OutputFile::part_of(&request.output)?;
        let paths = request.output_paths();
        let lengths: Vec<u64> = paths.into_iter().map(part_length).collect::<Result<_>>()?;
        let kept = match (&part, request.resume) {
            (Some(part), true) => Journal::resume::<Done>(part, settings, &lengths)?,
            (None, true) => {
                return Err(Error::usage("only a regular file can be resumed")
                    .at(&request.output)
                    .remedy("leave out --resume"));
            }
            (_, false) => None,
        };
        let (journal, points) = kept.unzip();
        let resumed = journal.is_some();
        let done = points.unwrap_or_default().pop().map(|point| (point.at, point.bytes));
        let kept = |number: usize| {
            let (done, bytes) = done.as_ref()?;
            Some(Kept { bytes: *bytes.get(number)?, records: *done.lines.get(number)? })
        };
        let opened =
            Annotated::open(reader, contigs, text, request, kept(0)).and_then(|annotated| {
                match open_skipped(request, kept(1)) {
                    Ok(skipped) => Ok((annotated, skipped)),
                    Err(error) => {
                        annotated.into_file().into_iter().for_each(|file| file.abandon(resumed));
                        Err(error)
                    }
                }
            });
        let (annotated, skipped) = match opened {
            Ok(opened) => opened,
            // What could be resumed before this failure can be resumed after it.
            Err(error) => {
                journal.into_iter().for_each(|journal| journal.abandon(true));
                return Err(error);
            }
        };
        let journal = match (journal, &part) {
            (None, Some(part)) => Some(Journal::create(part, settings)?),
            (journal, _) => journal,
        };
        let done = done.map(|(done, _)| done);
        Ok((Self { lock, journal, text, annotated, skipped, request }, done))
    }

    /// Notes that all records before a line are written.
    pub(super) fn checkpoint(&mut self, line: u64, report: &Report) -> Result<()> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let mut kept = vec![match &mut self.annotated {
            Annotated::Vcf(sink, _) => sink.checkpoint()?,
            Annotated::Table(table, _) => table.checkpoint()?,
        }];
        if let Some(table) = &mut self.skipped {
            kept.push(table.checkpoint()?);
        }
        let bytes = kept.iter().map(|kept| kept.bytes).collect();
        let lines = kept.iter().map(|kept| kept.records).collect();
        journal.record(&Checkpoint { at: Done { line, lines, counts: Counts::of(report) }, bytes })
    }

    /// Ends without outputs; their parts are removed, or kept for `resume`.
    pub(super) fn abandon(self, keep: bool) {
        let keep = keep && self.journal.is_some();
        if keep {
            tracing::info!("--resume continues the run");
        }
        self.annotated
            .into_file()
            .into_iter()
            .chain(self.skipped.map(AlleleTable::into_file))
            .for_each(|file| file.abandon(keep));
        if let Some(journal) = self.journal {
            journal.abandon(keep);
        }
        drop(self.lock);
    }

    /// Adds records with what became of them.
    pub(super) fn write(
        &mut self,
        bad: &[BadRecord],
        records: &[Record],
        outcomes: &[VariantOutcome<'_>],
    ) -> Result<()> {
        // in the order of the file, so that it does not matter which records come together
        let mut bad = bad.iter().peekable();
        for (record, outcome) in records.iter().zip(outcomes) {
            while let Some(bad) = bad.next_if(|bad| bad.line < record.variant.line) {
                self.list_bad(bad)?;
            }
            match &mut self.annotated {
                Annotated::Vcf(sink, keys) => {
                    let fields = self.text.fields(outcome);
                    let fields: Vec<String> =
                        fields.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
                    sink.write(record, &keys.add(record, &fields.join(";"))?)?;
                }
                Annotated::Table(table, rows) => {
                    for row in rows.of(record, outcome, self.text) {
                        table.write(&row)?;
                    }
                }
            }
            self.list_skipped(record, outcome)?;
        }
        bad.try_for_each(|bad| self.list_bad(bad))
    }

    fn list_bad(&mut self, bad: &BadRecord) -> Result<()> {
        let Some(table) = &mut self.skipped else { return Ok(()) };
        let BadRecord { line, text, why } = bad;
        let (line, why) = (line.to_string(), format!("{why}: {text}"));
        table.write(&[".", ".", ".", ".", &line, BAD_RECORD, &why])
    }

    fn list_skipped(&mut self, record: &Record, outcome: &VariantOutcome<'_>) -> Result<()> {
        let Some(table) = &mut self.skipped else { return Ok(()) };
        let variant = &record.variant;
        for allele in &outcome.alleles {
            let Outcome::Skipped(skipped) = &allele.outcome else { continue };
            let detail = match skipped.detail.as_str() {
                "" => skipped.reason.explain(),
                detail => detail,
            };
            let (pos, line) = (variant.pos.to_string(), variant.line.to_string());
            let (chrom, reference) = (variant.chrom.as_str(), variant.reference.as_str());
            let reason = skipped.reason.code();
            table.write(&[chrom, &pos, reference, &allele.allele, &line, reason, detail])?;
        }
        Ok(())
    }

    /// Completes all files and gives them their names, and a shard its manifest.
    pub(super) fn commit(mut self, manifest: Option<Manifest>) -> Result<Vec<Written>> {
        let finished = match &mut self.annotated {
            Annotated::Vcf(sink, _) => sink.finish(),
            Annotated::Table(..) => Ok(()),
        };
        if let Err(error) = finished {
            self.abandon(keeps_parts(&error));
            return Err(error);
        }
        let mut written = Vec::new();
        let mut finished = Vec::new();
        let mut note = |path: &Path, records| {
            written.push(Written { path: path.to_path_buf(), records });
        };
        let output = &self.request.output;
        let bgzipped =
            |path: &Path| path.extension().is_some_and(|ending| ending == "gz" || ending == "bcf");
        let (records, head, index, files) = match self.annotated {
            Annotated::Vcf(sink, _) => {
                (sink.records(), sink.head(), sink.groups(), sink.into_files())
            }
            Annotated::Table(table, _) => (table.rows(), table.head(), None, vec![table.finish()?]),
        };
        note(output, records);
        let join = Join::Append { head, bgzip: bgzipped(output), index };
        finished.push(Finished { role: Role::Variants, join, records, files });
        if let (Some(table), Some(path)) = (self.skipped, &self.request.skipped) {
            let (records, head) = (table.rows(), table.head());
            note(path, records);
            let join = Join::Append { head, bgzip: bgzipped(path), index: None };
            let files = vec![table.finish()?];
            finished.push(Finished { role: Role::Skipped, join, records, files });
        }
        match manifest {
            Some(manifest) => manifest.commit(output, finished)?,
            None => commit_all(finished.into_iter().flat_map(|output| output.files).collect())?,
        }
        Ok(written)
    }
}

impl Annotated {
    fn open(
        reader: &VariantReader,
        contigs: &Contigs,
        text: &dyn Print,
        request: &Request,
        kept: Option<Kept>,
    ) -> Result<Self> {
        Ok(match format_of(reader, request)? {
            VariantFormat::Table { .. } if request.write_index => {
                return Err(Error::usage("a table can have no index")
                    .at(&request.output)
                    .remedy("leave out --write-index"));
            }
            format @ (VariantFormat::Vcf { .. } | VariantFormat::Bcf) => {
                let keys = text.keys().into_iter().map(str::to_owned).collect();
                let keys = InfoKeys::new(keys, request.overwrite_info);
                if reader.origin() == Origin::Table {
                    tracing::info!(
                        "{}: a table as VCF: only chrom, pos, ref and alt are kept",
                        reader.path().display()
                    );
                }
                let mut header = reader.vcf_header();
                keys.clear_header(&mut header, reader.path())?;
                header.add(request.header.iter().cloned());
                if format == VariantFormat::Bcf {
                    let needed = needed(reader, contigs)?;
                    complete(&mut header, &needed)
                        .map_err(|error| error.of_line_in(reader.path()))?;
                }
                let indexing = match (request.write_index, request.shard) {
                    (false, _) => Indexing::None,
                    (true, None) => Indexing::Index,
                    (true, Some(_)) => Indexing::Groups,
                };
                let output = &request.output;
                let sink = create(output, format, &header, contigs, indexing, kept)?;
                Self::Vcf(sink, keys)
            }
            VariantFormat::Table { bgzip } => {
                let rows = Rows::new(reader, text, request.overwrite_info)?;
                let comments = rows.comments(reader);
                let columns = rows.columns();
                let table = AlleleTable::create(&request.output, bgzip, &comments, &columns, kept)?;
                Self::Table(Box::new(table), rows)
            }
        })
    }

    /// The file of the records, unfinished.
    fn into_file(self) -> Option<OutputFile> {
        match self {
            Self::Vcf(sink, _) => sink.into_files().into_iter().next(),
            Self::Table(table, _) => Some(table.into_file()),
        }
    }
}

fn open_skipped(request: &Request, kept: Option<Kept>) -> Result<Option<AlleleTable>> {
    let Some(path) = &request.skipped else { return Ok(None) };
    let bgzip = Format::of_table(path)?.kind == Kind::Bgzf;
    let columns = SKIPPED.map(str::to_owned);
    AlleleTable::create(path, bgzip, &[], &columns, kept).map(Some)
}

/// The length of what an interrupted run left of an output.
fn part_length(path: &Path) -> Result<u64> {
    let part = OutputFile::part_of(path)?;
    Ok(part.and_then(|part| fs::metadata(part).ok()).map_or(0, |found| found.len()))
}

/// How far the records are done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Done {
    /// The line after the last one that is done.
    pub(super) line: u64,
    /// Lines of each output.
    lines: Vec<u64>,
    /// What was counted.
    pub(super) counts: Counts,
}

/// A [`Report`] as a journal has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Counts {
    pub(super) records: u64,
    alleles: u64,
    scored: u64,
    skipped: BTreeMap<String, u64>,
    warnings: BTreeMap<String, u64>,
}

impl Counts {
    fn of(report: &Report) -> Self {
        let named = |counts: &BTreeMap<&'static str, u64>| {
            counts.iter().map(|(&code, &count)| (code.to_owned(), count)).collect()
        };
        let Report { records, alleles, scored, .. } = *report;
        let (skipped, warnings) = (named(&report.skipped), named(&report.warnings));
        Self { records, alleles, scored, skipped, warnings }
    }

    /// The report to go on with.
    pub(super) fn report(&self) -> Report {
        let Self { records, alleles, scored, .. } = *self;
        let skips = Skip::ALL.iter().map(|skip| skip.code()).chain([BAD_RECORD]);
        let known = |counts: &BTreeMap<String, u64>,
                     codes: &mut dyn Iterator<Item = &'static str>| {
            codes.filter_map(|code| Some((code, *counts.get(code)?))).collect()
        };
        Report {
            records,
            alleles,
            scored,
            skipped: known(&self.skipped, &mut skips.into_iter()),
            warnings: known(&self.warnings, &mut Warning::CODES.into_iter()),
            outputs: Vec::new(),
        }
    }
}

/// What the records of a file use, for a header that has to declare it all: told by a look through
/// the whole file, or where it can be read only once, what is known beforehand.
fn needed(reader: &VariantReader, contigs: &Contigs) -> Result<Needed> {
    let Some(mut again) = reader.again()? else {
        let mut needed = Needed::of_reference(contigs);
        for (name, contig) in reader.names().seen() {
            needed.add_contig(name, contig.map(|contig| contigs.length(contig)));
        }
        return Ok(needed);
    };
    let mut needed = Needed::default();
    while let Some(record) = again.next_record()? {
        needed.add(&record.variant, &record.text, contigs);
    }
    Ok(needed)
}
