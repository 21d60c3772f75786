//! Variant files record by record, whatever their format.

use super::bcf::{self, Dictionary};
use super::header::Header;
use super::names::ContigNames;
use super::table::Table;
use super::{Columns, Record, Schema, line, list};
use crate::error::{Error, Kind, Result};
use crate::genome::Resolver;
use crate::genome::text::Lines;
use std::ops::Range;
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
    /// BCF.
    Bcf,
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
    /// Lines (of BCF: records) that are read.
    lines: Range<u64>,
    /// Of a table without a header.
    schema: Option<Schema>,
}

/// All lines of a file.
pub(crate) const ALL_LINES: Range<u64> = 0..u64::MAX;

enum Source {
    Vcf(Lines),
    /// With the number of the last record.
    Bcf(Lines, Box<Dictionary>, u64),
    Table(Lines, Table),
    List(std::vec::IntoIter<Record>),
}

impl VariantReader {
    /// Opens a file and reads its header: VCF (plain, gzip, bgzip), BCF, or a table with the columns
    /// chrom, pos, ref and alt separated by tabs or commas; told apart by content. `-` is standard
    /// input.
    ///
    /// # Errors
    /// A file that cannot be read or has no header; contigs that the header gives another length
    /// than the reference does.
    pub fn open(path: &Path, resolver: &Resolver, on_bad: OnBadRecord) -> Result<Self> {
        let reader = Self::begin(path, resolver, on_bad)?;
        reader.header.check_lengths(&reader.path, &reader.names)?;
        Ok(reader)
    }

    /// Opens a table without a header.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn open_table(
        path: &Path,
        resolver: &Resolver,
        on_bad: OnBadRecord,
        schema: Schema,
    ) -> Result<Self> {
        let lines = Lines::open(path)?.with_longest(LONGEST_LINE);
        let path = Arc::clone(lines.path());
        let table = Table::of_schema(schema);
        let header = Header { columns: table.columns.clone(), ..Header::default() };
        let names = ContigNames::new(resolver, &[]);
        let source = Source::Table(lines, table);
        let (schema, bad, lines) = (Some(schema), Vec::new(), ALL_LINES);
        Ok(Self { source, path, header, names, on_bad, bad, lines, schema })
    }

    /// Opens a file without a look at the lengths of contigs.
    fn begin(path: &Path, resolver: &Resolver, on_bad: OnBadRecord) -> Result<Self> {
        Self::from_lines(Lines::open(path)?.with_longest(LONGEST_LINE), resolver, on_bad)
    }

    fn from_lines(mut lines: Lines, resolver: &Resolver, on_bad: OnBadRecord) -> Result<Self> {
        let path = Arc::clone(lines.path());
        let mut header = Header::default();
        let source = if lines.starts_with(bcf::MAGIC)? {
            header.lines = read_bcf_header(&mut lines)?;
            let names = Dictionary::new(&header).map_err(|error| error.at(&path))?;
            header.lines.iter_mut().for_each(strip_number);
            Source::Bcf(lines, Box::new(names), 0)
        } else {
            Self::text(lines, &mut header)?
        };
        let listed: Vec<String> = header.contigs().into_iter().map(|(name, _)| name).collect();
        let names = ContigNames::new(resolver, &listed);
        let (bad, lines) = (Vec::new(), ALL_LINES);
        Ok(Self { source, path, header, names, on_bad, bad, lines, schema: None })
    }

    /// Reads the header of a text file.
    fn text(mut lines: Lines, header: &mut Header) -> Result<Source> {
        let path = Arc::clone(lines.path());
        Ok(loop {
            let Some(line) = lines.next_bytes()? else {
                return Err(without_header(&path, header));
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
        })
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
            lines: ALL_LINES,
            schema: None,
        })
    }

    /// The same file from its start, bad records left out; `None` where it can be read only once.
    ///
    /// # Errors
    /// A file that is not what it was.
    pub fn again(&self) -> Result<Option<Self>> {
        let is_file = matches!(self.consumed(), (_, Some(_)));
        let resolver = self.names.resolver();
        let open = || match self.schema {
            Some(schema) => Self::open_table(&self.path, resolver, OnBadRecord::Skip, schema),
            None => Self::begin(&self.path, resolver, OnBadRecord::Skip),
        };
        is_file.then(open).transpose()
    }

    /// Gives from now on only the records whose [`Variant::line`] lies in a range.
    ///
    /// [`Variant::line`]: super::Variant::line
    pub fn keep_lines(&mut self, lines: Range<u64>) {
        self.lines = lines;
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
            Origin::Vcf | Origin::Bcf | Origin::List => self.header.clone(),
        }
    }

    /// Where the records come from.
    pub fn origin(&self) -> Origin {
        match &self.source {
            Source::Vcf(_) => Origin::Vcf,
            Source::Bcf(..) => Origin::Bcf,
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
            Source::Vcf(lines) | Source::Bcf(lines, ..) | Source::Table(lines, _) => {
                lines.consumed()
            }
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
            if number >= self.lines.end {
                return Ok(None);
            }
            if number < self.lines.start {
                continue;
            }
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
            Source::Bcf(lines, dictionary, number) => {
                *number += 1;
                let place = *number;
                let read = read_bcf_record(lines, dictionary).map_err(|error| error.line(place));
                let Some(text) = read? else { return Ok(None) };
                let parsed = text.map_err(|why| Error::new(format!("malformed BCF record: {why}")));
                let parsed = parsed.and_then(|text| {
                    let variant = line::parse(&text, place, &mut self.names)?;
                    Ok(Record { variant, text, crlf: false, row: Vec::new() })
                });
                return Ok(Some((place, String::new(), parsed)));
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

/// The lines of the header of a BCF file, as the file has them.
fn read_bcf_header(lines: &mut Lines) -> Result<Vec<Vec<u8>>> {
    let mut start = [0; 9];
    let truncated = |lines: &Lines| {
        Error::new("truncated BCF file")
            .at(lines.path())
            .found("an incomplete header")
            .remedy("copy or download the file again")
    };
    if !lines.read_exact(&mut start)? {
        return Err(truncated(lines));
    }
    let [.., minor, a, b, c, d] = start;
    let size = u64::from(u32::from_le_bytes([a, b, c, d]));
    if !(1..=2).contains(&minor) || size > LONGEST_LINE {
        return Err(Error::new("not a BCF file of version 2.1 or 2.2")
            .at(lines.path())
            .found(format!("version 2.{minor}, a header of {size} bytes"))
            .remedy("convert it: `bcftools view -Ob`"));
    }
    let mut text = Vec::new();
    if !read_sized(lines, size, &mut text)? {
        return Err(truncated(lines));
    }
    Ok(bcf::header_lines(&text))
}

/// The next record of a BCF file as a line of VCF, or what is wrong with it.
fn read_bcf_record(
    lines: &mut Lines,
    names: &Dictionary,
) -> Result<Option<std::result::Result<Vec<u8>, String>>> {
    let mut sizes = [0; 8];
    if !lines.read_exact(&mut sizes)? {
        return Ok(None);
    }
    let [a, b, c, d, e, f, g, h] = sizes;
    let sizes = [[a, b, c, d], [e, f, g, h]].map(|bytes| u64::from(u32::from_le_bytes(bytes)));
    let mut parts = [Vec::new(), Vec::new()];
    for (size, part) in sizes.into_iter().zip(&mut parts) {
        if size > LONGEST_LINE {
            return Err(Error::new("a BCF record that is too long")
                .at(lines.path())
                .found(format!("{size} bytes"))
                .expected(format!("at most {LONGEST_LINE}"))
                .remedy("check that the file is complete: `bcftools view`"));
        }
        if !read_sized(lines, size, part)? {
            return Err(Error::new("truncated BCF file")
                .at(lines.path())
                .remedy("copy or download the file again"));
        }
    }
    Ok(Some(bcf::decode(&parts[0], &parts[1], names)))
}

/// Reads so many bytes, which a damaged file may claim without having them: in pieces.
fn read_sized(lines: &mut Lines, size: u64, bytes: &mut Vec<u8>) -> Result<bool> {
    const PIECE: usize = 1 << 20;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    while bytes.len() < size {
        let from = bytes.len();
        bytes.resize(size.min(from + PIECE), 0);
        if !lines.read_exact(&mut bytes[from..])? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes the number that only BCF has from a line of its header.
fn strip_number(line: &mut Vec<u8>) {
    let Some(start) = line.windows(5).rposition(|part| part == b",IDX=") else { return };
    let digits = line[start + 5..].iter().take_while(|b| b.is_ascii_digit()).count();
    if digits > 0 && line[start + 5 + digits..].starts_with(b">") {
        line.drain(start..start + 5 + digits);
    }
}

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
