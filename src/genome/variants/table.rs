//! Tables of variants: columns chrom, pos, ref and alt among others, separated by tabs or commas.

use super::names::ContigNames;
use super::{Record, Schema, Variant, line};
use crate::error::{Error, Result};

/// The columns that say what a variant is.
const NEEDED: [&str; 4] = ["chrom", "pos", "ref", "alt"];

/// What the header line of a table says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    separator: u8,
    /// Every column, as written.
    pub(super) columns: Vec<String>,
    /// Where those of [`NEEDED`] are.
    places: [usize; 4],
    /// What says so, where there is no header.
    schema: Option<Schema>,
}

impl Table {
    /// Reads a header line: `None` if it does not have the needed columns, whose case does not
    /// matter (`#CHROM` is a chrom, too).
    pub(super) fn of_header(text: &str) -> Option<Self> {
        let separator = if text.contains('\t') { b'\t' } else { b',' };
        let columns = cells(text.as_bytes(), separator).ok()?;
        let place = |name: &str| {
            columns.iter().position(|column| {
                let column = column.trim();
                column.strip_prefix('#').unwrap_or(column).eq_ignore_ascii_case(name)
            })
        };
        let [chrom, pos, reference, alt] = NEEDED.map(place);
        Some(Self { separator, places: [chrom?, pos?, reference?, alt?], columns, schema: None })
    }

    /// A table without a header, its columns separated by tabs.
    pub(super) fn of_schema(schema: Schema) -> Self {
        let columns = schema.columns().iter().map(|&name| name.to_owned()).collect();
        Self { separator: b'\t', columns, places: schema.places(), schema: Some(schema) }
    }

    /// Reads a row.
    ///
    /// # Errors
    /// Another number of columns than the header or the schema has; a bad position or allele.
    pub(super) fn parse(
        &self,
        text: &[u8],
        number: u64,
        names: &mut ContigNames,
    ) -> Result<Record> {
        let row = cells(text, self.separator)?;
        if row.len() != self.columns.len() {
            return Err(Error::new("a row that does not fit the header of the table")
                .found(format!("{} columns", row.len()))
                .expected(self.columns.len()));
        }
        let [chrom, pos, reference, alternates] = self.places.map(|place| row[place].trim());
        // An empty cell is how spreadsheets say that there is nothing.
        let alternates = if alternates.is_empty() { "." } else { alternates };
        let columns = [chrom, pos, reference, alternates];
        if let Some(schema) = self.schema {
            let variant = of_schema(schema, columns, number, names)?;
            return Ok(Record { variant, text: Vec::new(), crlf: false, row });
        }
        let variant = line::variant(columns.map(str::as_bytes), number, names)?;
        let text = format!("{chrom}\t{pos}\t.\t{reference}\t{alternates}\t.\t.\t.").into_bytes();
        Ok(Record { variant, text, crlf: false, row })
    }

    /// Where the column of alternative alleles is.
    pub(super) fn alt_place(&self) -> usize {
        self.places[3]
    }
}

/// A variant whose alleles may be `-`.
fn of_schema(
    schema: Schema,
    [chrom, pos, reference, alternative]: [&str; 4],
    number: u64,
    names: &mut ContigNames,
) -> Result<Variant> {
    // a letter in the place of nothing, for the tests that other alleles go through
    let written =
        [chrom, pos, reference, alternative].map(|cell| if cell == "-" { "N" } else { cell });
    let mut variant = line::variant(written.map(str::as_bytes), number, names)?;
    if alternative.contains([',', '.']) {
        return Err(Error::new("a table without a header has one alternative allele per row")
            .found(alternative));
    }
    variant.pos += schema.offset();
    if reference == "-" {
        variant.reference.clear();
    }
    if alternative == "-" {
        variant.alternates[0].clear();
    }
    Ok(variant)
}

/// The cells of one line; quotes may hold separators.
fn cells(line: &[u8], separator: u8) -> Result<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .quoting(separator == b',')
        .from_reader(line);
    let mut record = csv::StringRecord::new();
    reader.read_record(&mut record).map_err(|_| {
        Error::new("a row of a table that is not UTF-8 text").remedy("convert it with iconv")
    })?;
    Ok(record.iter().map(str::to_owned).collect())
}
