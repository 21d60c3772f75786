//! Rows of tables: one per allele and gene, with scores in full precision.

use crate::effect::text::Print;
use crate::effect::{AlleleOutcome, Outcome, VariantOutcome};
use crate::error::{Error, Result};
use crate::genome::variants::{Origin, Record, VariantReader};

/// Columns of an input that has none of its own.
const OF_VCF: [&str; 5] = ["chrom", "pos", "id", "ref", "alt"];

/// What stands where there is nothing.
const NOTHING: &str = ".";

/// How the rows of an output table are made.
#[derive(Debug)]
pub(super) struct Rows {
    /// Names of the columns that are taken over.
    taken: Vec<String>,
    /// Which cells of an input table those are, and which of them is ALT; none for VCF.
    of_table: Option<(Vec<usize>, usize)>,
    /// Names of the columns that are added.
    added: Vec<String>,
    /// How many of those tell scores apart …
    apart: usize,
    /// … and how many are scores and positions.
    scores: usize,
}

impl Rows {
    /// For the records of a reader. Columns of an input table stay, in their order.
    ///
    /// # Errors
    /// A table that has a column of ours already, unless it is to be overwritten.
    pub(super) fn new(reader: &VariantReader, text: &dyn Print, overwrite: bool) -> Result<Self> {
        let scores = text.columns();
        let count = scores.len();
        let places = text.places();
        let apart = places.len();
        let mut added: Vec<String> = places.into_iter().map(str::to_owned).collect();
        added.extend(scores);
        added.extend(["warnings", "skip"].map(str::to_owned));
        let Some(alt) = reader.alt_column().filter(|_| reader.origin() == Origin::Table) else {
            let taken = OF_VCF.map(str::to_owned).into();
            return Ok(Self { taken, of_table: None, added, apart, scores: count });
        };
        let mut places = Vec::new();
        for (place, name) in reader.header().columns.iter().enumerate() {
            let is_ours = added.iter().any(|ours| ours.eq_ignore_ascii_case(name));
            if is_ours && !overwrite {
                return Err(Error::new(format!("the table has a column `{name}` already"))
                    .at(reader.path())
                    .remedy("rename it, or replace it with --overwrite-info"));
            }
            if !is_ours {
                places.push(place);
            }
        }
        let taken = places.iter().map(|&place| reader.header().columns[place].clone()).collect();
        Ok(Self { taken, of_table: Some((places, alt)), added, apart, scores: count })
    }

    /// Lines above the header that are kept: those of an input table.
    pub(super) fn comments(&self, reader: &VariantReader) -> Vec<Vec<u8>> {
        match (&self.of_table, reader.header().lines.split_last()) {
            (Some(_), Some((_, comments))) => comments.to_vec(),
            _ => Vec::new(),
        }
    }

    pub(super) fn columns(&self) -> Vec<String> {
        self.taken.iter().chain(&self.added).cloned().collect()
    }

    /// The rows of one record.
    pub(super) fn of(
        &self,
        record: &Record,
        outcome: &VariantOutcome<'_>,
        text: &dyn Print,
    ) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        for allele in &outcome.alleles {
            // as a table without a header writes an allele without bases
            let written = if allele.allele.is_empty() { "-" } else { &allele.allele };
            let own = self.own_cells(record, written);
            let AlleleOutcome { outcome, warnings, .. } = allele;
            let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
            let warnings = if warnings.is_empty() { NOTHING.into() } else { warnings.join("&") };
            let row = |place: Vec<String>, scores: Vec<String>, skip: &str| {
                let mut row = own.clone();
                row.extend(place);
                row.extend(scores);
                row.extend([warnings.clone(), skip.to_owned()]);
                row
            };
            match outcome {
                Outcome::Skipped(skipped) => {
                    let nothing = |count| vec![NOTHING.to_owned(); count];
                    let (place, scores) = (nothing(self.apart), nothing(self.scores));
                    rows.push(row(place, scores, skipped.reason.code()));
                }
                Outcome::Scored(scores) => rows.extend(
                    scores.iter().map(|score| row(text.place(score), text.cells(score), NOTHING)),
                ),
            }
        }
        rows
    }

    /// What the input says of one allele.
    fn own_cells(&self, record: &Record, allele: &str) -> Vec<String> {
        if let Some((places, alt)) = &self.of_table {
            let cell = |&place: &usize| match place == *alt {
                true => allele.to_owned(),
                false => record.row[place].clone(),
            };
            return places.iter().map(cell).collect();
        }
        let variant = &record.variant;
        let id = record.text.split(|&b| b == b'\t').nth(2).unwrap_or_default();
        vec![
            variant.chrom.clone(),
            variant.pos.to_string(),
            String::from_utf8_lossy(id).into_owned(),
            variant.reference.clone(),
            allele.to_owned(),
        ]
    }
}
