//! Variant files record by record, whatever their format.

use super::header::Header;
use super::names::ContigNames;
use super::table::Table;
use super::{Columns, Record, line, list};
use crate::error::{Error, Kind, Result};
use crate::genome::Resolver;
use crate::genome::text::Lines;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// What becomes of a record that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBadRecord {
    /// It ends the run.
    #[default]
    Error,
    /// It is left out and counted.
    Skip,
}

impl FromStr for OnBadRecord {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "error" => Ok(Self::Error),
            "skip" => Ok(Self::Skip),
            _ => Err(Error::usage("no such way").found(text).expected("error or skip")),
        }
    }
}

/// A record that was left out because it could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord {
    /// Line of the file, from 1.
    pub line: u64,
    /// The line as far as it is text.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

/// What records come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// VCF text.
    Vcf,
    /// A table with columns of its own.
    Table,
    /// Variants that were named one by one.
    List,
}

/// Reads the records of a file, or of a list, in their order.
pub struct VariantReader {
    source: Source,
    path: Arc<Path>,
    header: Header,
    names: ContigNames,
    on_bad: OnBadRecord,
    bad: Vec<BadRecord>,
}

enum Source {
    Vcf(Lines),
    Table(Lines, Table),
    List(std::vec::IntoIter<Record>),
}

impl VariantReader {
    /// Opens a file and reads its header: VCF (plain, gzip, bgzip), or a table with the columns
    /// chrom, pos, ref and alt separated by tabs or commas; told apart by content. `-` is standard
    /// input.
    ///
    /// # Errors
    /// A file that cannot be read or has no header; contigs that the header gives another length
    /// than the reference does.
    pub fn open(path: &Path, resolver: &Resolver, on_bad: OnBadRecord) -> Result<Self> {
        Self::from_lines(Lines::open(path)?.with_longest(LONGEST_LINE), resolver, on_bad)
    }

    fn from_lines(mut lines: Lines, resolver: &Resolver, on_bad: OnBadRecord) -> Result<Self> {
        let path = Arc::clone(lines.path());
        let mut header = Header::default();
        let source = loop {
            let Some(line) = lines.next_bytes()? else {
                return Err(without_header(&path, &header));
            };
            header.crlf |= line.crlf;
            if line.bytes.starts_with(b"##") {
                header.lines.push(line.bytes.to_vec());
            } else if Columns::are_named_by(line.bytes) {
                header.lines.push(line.bytes.to_vec());
                break Source::Vcf(lines);
            } else {
                let text = String::from_utf8_lossy(line.bytes);
                let Some(table) = Table::of_header(&text) else {
                    return Err(no_header(line.bytes).at(&path).line(line.number));
                };
                header.lines.push(line.bytes.to_vec());
                header.columns.clone_from(&table.columns);
                break Source::Table(lines, table);
            }
        };
        let listed: Vec<String> = header.contigs().into_iter().map(|(name, _)| name).collect();
        let mut names = ContigNames::new(resolver, &listed);
        header.check_lengths(&path, &mut names)?;
        Ok(Self { source, path, header, names, on_bad, bad: Vec::new() })
    }

    /// Variants named one by one, as `chr1:69511:A:G` (POS 1-based, several ALT alleles separated
    /// by commas).
    ///
    /// # Errors
    /// The first that cannot be read (usage).
    pub fn of_list(texts: &[String], resolver: &Resolver) -> Result<Self> {
        let mut names = ContigNames::new(resolver, &[]);
        let records: Vec<Record> = (1..)
            .zip(texts)
            .map(|(number, text)| list::parse(text, number, &mut names))
            .collect::<Result<_>>()?;
        Ok(Self {
            source: Source::List(records.into_iter()),
            path: PathBuf::from("--variant").into(),
            header: Header::minimal(),
            names,
            on_bad: OnBadRecord::Error,
            bad: Vec::new(),
        })
    }

    /// What comes before the records.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The header for writing the records as VCF: that of VCF input as it is, else the least that
    /// is needed.
    pub fn vcf_header(&self) -> Header {
        match self.origin() {
            Origin::Table => Header::minimal(),
            Origin::Vcf | Origin::List => self.header.clone(),
        }
    }

    /// Where the records come from.
    pub fn origin(&self) -> Origin {
        match &self.source {
            Source::Vcf(_) => Origin::Vcf,
            Source::Table(..) => Origin::Table,
            Source::List(_) => Origin::List,
        }
    }

    /// Where the alternative alleles are among the columns of a table.
    pub fn alt_column(&self) -> Option<usize> {
        match &self.source {
            Source::Table(_, table) => Some(table.alt_place()),
            _ => None,
        }
    }

    /// The file's name for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes of the file were read so far, compressed as it is, and its size where that is
    /// known.
    pub fn consumed(&self) -> (u64, Option<u64>) {
        match &self.source {
            Source::Vcf(lines) | Source::Table(lines, _) => lines.consumed(),
            Source::List(_) => (0, None),
        }
    }

    /// The names of contigs that were met so far.
    pub fn names(&self) -> &ContigNames {
        &self.names
    }

    /// The next record.
    ///
    /// # Errors
    /// A read failure; a record that cannot be read, with its line, unless those are left out.
    pub fn next_record(&mut self) -> Result<Option<Record>> {
        loop {
            let Some((number, text, parsed)) = self.parse_next()? else { return Ok(None) };
            let error = match parsed {
                Ok(record) => return Ok(Some(record)),
                Err(error) => error,
            };
            if self.on_bad == OnBadRecord::Error || error.kind() != Kind::Data {
                return Err(error.at(&self.path).line(number));
            }
            self.bad.push(BadRecord { line: number, text, why: error.to_string() });
        }
    }

    /// The records that were left out since this was asked last.
    pub fn take_bad(&mut self) -> Vec<BadRecord> {
        std::mem::take(&mut self.bad)
    }

    /// Number, text (as far as it is needed for messages) and content of the next record.
    fn parse_next(&mut self) -> Result<Option<(u64, String, Result<Record>)>> {
        let (lines, table) = match &mut self.source {
            Source::List(records) => {
                return Ok(records
                    .next()
                    .map(|record| (record.variant.line, String::new(), Ok(record))));
            }
            Source::Vcf(lines) => (lines, None),
            Source::Table(lines, table) => (lines, Some(table)),
        };
        let names = &mut self.names;
        loop {
            let Some(line) = lines.next_bytes()? else { return Ok(None) };
            let (bytes, number) = (line.bytes, line.number);
            // Editors leave empty lines at the end; tables have comments.
            if bytes.iter().all(u8::is_ascii_whitespace)
                || (table.is_some() && bytes.starts_with(b"#"))
            {
                continue;
            }
            let parsed = match &table {
                Some(table) => table.parse(bytes, number, names),
                None => line::parse(bytes, number, names).map(|variant| Record {
                    variant,
                    text: bytes.to_vec(),
                    crlf: line.crlf,
                    row: Vec::new(),
                }),
            };
            let text = match &parsed {
                Ok(_) => String::new(),
                Err(_) => shown(bytes),
            };
            return Ok(Some((number, text, parsed)));
        }
    }
}

/// Longest line of a variant file, in bytes: those of large cohorts reach tens of megabytes.
const LONGEST_LINE: u64 = 256 << 20;

/// The beginning of a line, for people.
fn shown(line: &[u8]) -> String {
    const SHOWN: usize = 100;
    String::from_utf8_lossy(&line[..line.len().min(SHOWN)]).replace('\t', " ")
}

const REMEDY: &str = "a VCF file begins with ##fileformat=VCFv4.2 and names its columns in a line \
                      #CHROM POS ID REF ALT QUAL FILTER INFO; a table names at least chrom, pos, \
                      ref and alt";

fn no_header(line: &[u8]) -> Error {
    if Columns::are_named_with_spaces(line) {
        return Error::new("the columns of this VCF file are separated by spaces")
            .expected("tabs")
            .remedy("separate them by tabs: `sed -E '/^##/!s/ +/\\t/g' IN > OUT`");
    }
    Error::new("no header: neither VCF nor a table of variants").found(shown(line)).remedy(REMEDY)
}

/// The file ends before its columns are named.
fn without_header(path: &Path, header: &Header) -> Error {
    let error = Error::new("no variant file: it ends before its columns are named").at(path);
    match header.lines.len() {
        0 => error.found("an empty file").remedy(REMEDY),
        lines => error.found(format!("{lines} header lines")).remedy(REMEDY),
    }
}

#[cfg(test)]
mod tests;
