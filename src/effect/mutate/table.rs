//! The table of all changes, which an interrupted run leaves for another to go on with.

use super::{Change, Report, Request};
use crate::effect::text::{Print, Text};
use crate::effect::{Outcome, Skip, VariantOutcome};
use crate::error::Result;
use crate::genome::Variant;
use crate::job::OutputFile;
use crate::job::journal::{Checkpoint, Journal, Settings};
use crate::job::manifest::{Finished, Join, Role};
use crate::track::variants::{AlleleTable, Kept, VariantFormat};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;

/// One row per change and gene.
pub(super) struct Table {
    rows: AlleleTable,
    scores: usize,
    /// None where the run cannot be resumed.
    journal: Option<Journal>,
}

impl Table {
    /// Opens the table, or continues that of an interrupted run; then also tells how far it is.
    pub(super) fn open(
        request: &Request,
        text: &Text,
        settings: &Settings,
    ) -> Result<(Self, Option<Done>)> {
        let path = &request.table;
        let bgzip = VariantFormat::of_changes(path)?;
        // what else is written is known only when all is
        let alone = request.importance.is_none() && request.plot.is_none();
        let part = OutputFile::part_of(path)?.filter(|_| alone);
        let kept = match (&part, request.resume) {
            (Some(part), true) => {
                let length = fs::metadata(part).map_or(0, |found| found.len());
                Journal::resume::<Done>(part, settings, &[length])?
            }
            _ => None,
        };
        let (mut journal, points) = kept.unzip();
        let done = points.unwrap_or_default().pop();
        let scores = text.columns();
        let mut columns =
            ["chrom", "pos", "ref", "alt", "gene", "strand"].map(String::from).to_vec();
        let count = scores.len();
        columns.extend(scores);
        columns.push("skip".to_string());
        let kept = done.as_ref().map(|done| Kept { bytes: done.bytes[0], records: done.at.rows });
        let rows = match AlleleTable::create(path, bgzip, &[], &columns, kept) {
            Ok(rows) => rows,
            Err(error) => {
                journal.into_iter().for_each(|journal| journal.abandon(true));
                return Err(error);
            }
        };
        if let (None, Some(part)) = (&journal, &part) {
            journal = Some(Journal::create(part, settings)?);
        }
        Ok((Self { rows, scores: count, journal }, done.map(|done| done.at)))
    }

    /// Notes that all changes before a base are written.
    pub(super) fn checkpoint(&mut self, end: u64, report: &Report) -> Result<()> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let Kept { bytes, records } = self.rows.checkpoint()?;
        journal.record(&Checkpoint { at: Done::of(end, records, report), bytes: vec![bytes] })
    }

    /// Ends without a table; its part is removed, or kept for `resume`.
    pub(super) fn abandon(self, keep: bool) {
        let keep = keep && self.journal.is_some();
        if keep {
            tracing::info!("--resume continues the run");
        }
        self.rows.into_file().abandon(keep);
        self.journal.into_iter().for_each(|journal| journal.abandon(keep));
    }

    /// Adds the rows of a change.
    pub(super) fn write(
        &mut self,
        change: &Change,
        outcome: &VariantOutcome<'_>,
        text: &Text,
    ) -> Result<()> {
        let Variant { chrom, pos, reference, .. } = &change.variant;
        for allele in &outcome.alleles {
            let own = [chrom.clone(), pos.to_string(), reference.clone(), allele.allele.clone()];
            let row = |gene: &str, strand: &str, scores: Vec<String>, skip: &str| {
                let mut row = own.to_vec();
                row.extend([gene.to_string(), strand.to_string()]);
                row.extend(scores);
                row.push(skip.to_string());
                row
            };
            match &allele.outcome {
                Outcome::Skipped(skipped) => {
                    let nothing = vec![".".to_string(); self.scores];
                    self.rows.write(&row(".", ".", nothing, skipped.reason.code()))?;
                }
                Outcome::Scored(genes) => {
                    for gene in genes {
                        let strand = gene.strand.symbol().to_string();
                        self.rows.write(&row(gene.symbol(), &strand, text.cells(gene), "."))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes what is left; the table is finished but not yet committed.
    pub(super) fn finish(self) -> Result<Finished> {
        finished(self.rows)
    }
}

/// A complete table of changes; those of shards are joined one after the other.
pub(in crate::effect) fn finished(rows: AlleleTable) -> Result<Finished> {
    let (records, head) = (rows.rows(), rows.head());
    let file = rows.finish()?;
    let bgzip = file.path().extension().is_some_and(|ending| ending == "gz");
    let join = Join::Append { head, bgzip, index: None };
    Ok(Finished { role: Role::Variants, join, records, files: vec![file] })
}

/// How far the region is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Done {
    /// One past the last base whose changes are written, 0-based.
    pub(super) end: u64,
    /// Rows of the table.
    rows: u64,
    unknown: u64,
    alleles: u64,
    scored: u64,
    skipped: BTreeMap<String, u64>,
}

impl Done {
    fn of(end: u64, rows: u64, report: &Report) -> Self {
        let Report { unknown, alleles, scored, .. } = *report;
        let named = |(&code, &count): (&&'static str, &u64)| (code.to_owned(), count);
        let skipped = report.skipped.iter().map(named).collect();
        Self { end, rows, unknown, alleles, scored, skipped }
    }

    /// The report to go on with, of a region of so many bases.
    pub(super) fn report(&self, bases: u64) -> Report {
        let Self { unknown, alleles, scored, .. } = *self;
        let codes = Skip::ALL.iter().map(|skip| skip.code());
        let skipped = codes.filter_map(|code| Some((code, *self.skipped.get(code)?))).collect();
        Report { bases, unknown, alleles, scored, skipped, outputs: Vec::new() }
    }
}
