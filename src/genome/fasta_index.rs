//! The index of a FASTA file (`.fai`): where each contig's bases lie.
//!
//! Five tab columns: name, length, offset of the first base, bases per line, bytes per line
//! (formats.md 2). Offsets count uncompressed bytes.

use super::Contigs;
use super::bgzip;
use super::text::Lines;
use crate::error::{Error, Result};
use std::collections::HashSet;
use std::fmt::Write;
use std::io::{self, BufRead};
use std::path::Path;

/// Where one contig lies in the (uncompressed) FASTA file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) name: String,
    /// Number of bases.
    pub(super) length: u64,
    /// Byte of the first base.
    pub(super) offset: u64,
    /// Bases per full line; 0 only for a contig without bases.
    pub(super) line_bases: u64,
    /// Bytes per full line, with its end.
    pub(super) line_width: u64,
}

impl Record {
    /// The byte at which a base (0-based, within the contig) stands.
    pub(super) fn byte_of(&self, base: u64) -> u64 {
        self.offset + base / self.line_bases * self.line_width + base % self.line_bases
    }

    /// One past the byte of the last base.
    pub(super) fn end(&self) -> u64 {
        match self.length {
            0 => self.offset,
            length => self.byte_of(length - 1) + 1,
        }
    }
}

/// The contigs of a FASTA file in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FastaIndex {
    pub(super) records: Vec<Record>,
}

impl FastaIndex {
    /// Reads a `.fai` file.
    ///
    /// # Errors
    /// A file that cannot be read, a malformed line, a name that comes twice, no line at all.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let mut lines = Lines::open(path)?;
        let mut records: Vec<Record> = Vec::new();
        let mut names = HashSet::new();
        while let Some((_, line)) = lines.next()? {
            if line.is_empty() {
                continue;
            }
            let record = parse(line);
            let what = match &record {
                None => "malformed index line",
                Some(record) if !names.insert(record.name.clone()) => "contig name comes twice",
                Some(_) => "",
            };
            match record {
                Some(record) if what.is_empty() => records.push(record),
                _ => {
                    let found = line.to_owned();
                    return Err(remove_index(lines.error(what).found(found), path));
                }
            }
        }
        if records.is_empty() {
            return Err(remove_index(lines.error("empty index"), path));
        }
        records.sort_by_key(|record| record.offset);
        Ok(Self { records })
    }

    /// Builds the index by reading the (uncompressed) FASTA file once; `path` is its name in
    /// messages.
    ///
    /// # Errors
    /// Text before the first `>`, an empty name, a name that comes twice, sequence lines of uneven
    /// length, an empty line inside a record, no record at all; each with its line.
    pub(super) fn build(reader: &mut impl BufRead, path: &Path) -> Result<Self> {
        Builder::new(reader, path).build()
    }

    /// The index as the text of a `.fai` file.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        for Record { name, length, offset, line_bases, line_width } in &self.records {
            writeln!(text, "{name}\t{length}\t{offset}\t{line_bases}\t{line_width}")
                .expect("a String takes all text");
        }
        text
    }

    /// Names and lengths.
    pub(super) fn contigs(&self) -> Contigs {
        Contigs::new(self.records.iter().map(|r| (r.name.clone(), r.length)).collect())
    }
}

/// One line of a `.fai` file, if its numbers can be those of an index.
fn parse(line: &str) -> Option<Record> {
    let mut columns = line.split('\t');
    let name = columns.next().filter(|name| !name.is_empty())?.to_owned();
    let mut number = || columns.next()?.parse::<u64>().ok();
    let (length, offset, line_bases, line_width) = (number()?, number()?, number()?, number()?);
    let record = Record { name, length, offset, line_bases, line_width };
    // The largest byte must be a number that arithmetic and files can hold.
    let last_byte = match length {
        0 => u128::from(offset),
        _ => {
            let lines = u128::from(length.checked_div(line_bases)?);
            u128::from(offset) + lines * u128::from(line_width) + u128::from(line_bases)
        }
    };
    let lines_end = line_width > line_bases || (line_width == line_bases && length <= line_bases);
    (columns.next().is_none() && lines_end && last_byte < 1 << 63).then_some(record)
}

fn remove_index(error: Error, path: &Path) -> Error {
    error.expected("name, length, offset, bases per line and bytes per line").remedy(format!(
        "remove {}: it is built in memory when missing, or make it again with `samtools faidx`",
        path.display()
    ))
}

/// What one line of the file was.
struct Line {
    /// Bytes with the line end.
    width: u64,
    /// Bytes without white space at the end.
    bases: u64,
}

/// Reads a FASTA file line by line without holding a line, which may be a whole chromosome.
struct Builder<'a, R> {
    reader: &'a mut R,
    path: &'a Path,
    /// Number of the current line, from 1.
    line: u64,
    /// Byte after the current line.
    at: u64,
    records: Vec<Record>,
    names: HashSet<String>,
}

impl<'a, R: BufRead> Builder<'a, R> {
    fn new(reader: &'a mut R, path: &'a Path) -> Self {
        Self { reader, path, line: 0, at: 0, records: Vec::new(), names: HashSet::new() }
    }

    fn build(mut self) -> Result<FastaIndex> {
        self.reject_other_formats()?;
        while let Some(first) = self.peek()? {
            if first == b'>' {
                let name = self.read_header()?;
                let record = self.read_sequence(name)?;
                self.records.push(record);
            } else if self.skip_line()?.bases > 0 {
                return Err(self
                    .error("text before the first sequence")
                    .expected("a line `>name`"));
            }
        }
        if self.records.is_empty() {
            return Err(Error::new("no sequence in the file")
                .at(self.path)
                .found("only empty lines")
                .expected("FASTA: a line `>name`, then bases"));
        }
        Ok(FastaIndex { records: self.records })
    }

    /// Says what a file is that is no FASTA.
    fn reject_other_formats(&mut self) -> Result<()> {
        let head = self.reader.fill_buf().map_err(|e| bgzip::read_error(self.path, e))?;
        let looks_like = match head {
            [b'@', ..] => "FASTQ",
            [b';', ..] => "FASTA of the old kind with `;` comments",
            [0x1a, 0x41, 0x27, 0x43, ..] | [0x43, 0x27, 0x41, 0x1a, ..] => "2bit",
            [b'B', b'Z', b'h', ..] => "bzip2",
            [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
            [0xfd, b'7', b'z', b'X', b'Z', ..] => "xz",
            [b'P', b'K', 3, 4, ..] => "zip",
            [b'B', b'A', b'M', 1, ..] => "BAM",
            [b'C', b'R', b'A', b'M', ..] => "CRAM",
            [0xef, 0xbb, 0xbf, ..] => "text with a byte-order mark",
            head if head.starts_with(b"LOCUS") => "GenBank",
            head if head.starts_with(b"##fileformat=VCF") => "VCF",
            head if head.starts_with(b"##gff") => "GFF",
            head if head.iter().take(512).any(|byte| *byte == 0) => "a binary file",
            _ => return Ok(()),
        };
        let remedy = match looks_like {
            "2bit" => "convert it: `twoBitToFa IN.2bit OUT.fa`",
            "text with a byte-order mark" => {
                "remove the mark: `sed '1s/^\\xef\\xbb\\xbf//' IN > OUT`"
            }
            _ => "give a FASTA file, plain or compressed with bgzip",
        };
        Err(Error::new("not a FASTA file")
            .at(self.path)
            .line(1)
            .found(format!("what looks like {looks_like}"))
            .expected("a line that starts with `>`")
            .remedy(remedy))
    }

    /// The next byte, which starts a line.
    fn peek(&mut self) -> Result<Option<u8>> {
        let buffer = self.reader.fill_buf().map_err(|e| bgzip::read_error(self.path, e))?;
        Ok(buffer.first().copied())
    }

    /// The name of a header line: the text after `>` up to white space.
    fn read_header(&mut self) -> Result<String> {
        /// Longest header that is taken for one, in bytes.
        const LONGEST_HEADER: u64 = 1 << 20;
        let mut header = Vec::new();
        let read = io::Read::take(&mut *self.reader, LONGEST_HEADER)
            .read_until(b'\n', &mut header)
            .map_err(|e| bgzip::read_error(self.path, e))?;
        self.line += 1;
        self.at += read as u64;
        if read as u64 == LONGEST_HEADER {
            return Err(self.error("header line too long for a FASTA file"));
        }
        let text = header.trim_ascii_end();
        if text.contains(&b'\r') {
            return Err(self
                .error("line ends of the old Macintosh kind (CR alone)")
                .expected("LF or CRLF")
                .remedy("convert them: `tr '\\r' '\\n' < IN > OUT`"));
        }
        let name = text[1..].split(u8::is_ascii_whitespace).next().unwrap_or_default();
        let name = match std::str::from_utf8(name) {
            Ok("") => {
                return Err(self
                    .error("a sequence without a name")
                    .found(String::from_utf8_lossy(text))
                    .expected("`>` and, without a space, the name"));
            }
            Ok(name) => name.to_owned(),
            Err(_) => return Err(self.error("a sequence name that is not UTF-8 text")),
        };
        if !self.names.insert(name.clone()) {
            return Err(self
                .error(format!("sequence name `{name}` comes twice"))
                .expected("each name once")
                .remedy("rename or remove one of the two sequences"));
        }
        Ok(name)
    }

    /// The sequence lines up to the next header.
    fn read_sequence(&mut self, name: String) -> Result<Record> {
        let mut record = Record { name, length: 0, offset: self.at, line_bases: 0, line_width: 0 };
        // A line that is shorter than the first may only be followed by empty lines.
        let mut short: Option<Line> = None;
        while let Some(first) = self.peek()? {
            if first == b'>' {
                break;
            }
            let line = self.skip_line()?;
            let is_first = record.length == 0 && short.is_none();
            if line.bases > 0 {
                if let Some(short) = short {
                    return Err(self.uneven(&record, &short));
                }
                if is_first {
                    record.line_bases = line.bases;
                    record.line_width = line.width;
                } else if line.bases > record.line_bases || line.width > record.line_width {
                    return Err(self.ragged(&record, &line, self.line));
                }
                record.length += line.bases;
            }
            let is_full = line.bases == record.line_bases && line.width == record.line_width;
            short = (line.bases == 0 || !is_full).then_some(line);
        }
        Ok(record)
    }

    /// The error for a short line that another line follows.
    fn uneven(&self, record: &Record, short: &Line) -> Error {
        if short.bases == 0 {
            return Error::new(format!("an empty line inside sequence `{}`", record.name))
                .at(self.path)
                .line(self.line - 1)
                .expected("sequence lines without a gap")
                .remedy("remove the empty lines: `grep -v '^\\s*$' IN > OUT`");
        }
        self.ragged(record, short, self.line - 1)
    }

    fn ragged(&self, record: &Record, line: &Line, number: u64) -> Error {
        let (what, found, expected) = if line.bases == record.line_bases {
            let bytes = |width: u64| format!("a line end of {} bytes", width - line.bases);
            ("mixed line ends", bytes(line.width), bytes(record.line_width))
        } else {
            let bases = |bases: u64| format!("{bases} bases");
            ("sequence lines of uneven length", bases(line.bases), bases(record.line_bases))
        };
        Error::new(format!("{what} in sequence `{}`", record.name))
            .at(self.path)
            .line(number)
            .found(found)
            .expected(format!("{expected} as in its first line"))
            .remedy("wrap it anew, for example `seqkit seq -w 60 IN > OUT`")
    }

    /// Passes over one line.
    fn skip_line(&mut self) -> Result<Line> {
        let mut width = 0;
        let mut trailing_space = 0;
        let mut ended = false;
        while !ended {
            let buffer = self.reader.fill_buf().map_err(|e| bgzip::read_error(self.path, e))?;
            if buffer.is_empty() {
                break;
            }
            let end = buffer.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            ended = end.is_some();
            let piece = &buffer[..end.unwrap_or(buffer.len())];
            let space = piece.len() - piece.trim_ascii_end().len();
            let all_space = space == piece.len();
            trailing_space = if all_space { trailing_space } else { 0 } + space as u64;
            let length = piece.len();
            width += length as u64;
            self.reader.consume(length);
        }
        self.line += 1;
        self.at += width;
        Ok(Line { width, bases: width - trailing_space })
    }

    fn error(&self, what: impl Into<String>) -> Error {
        Error::new(what).at(self.path).line(self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn build(text: &[u8]) -> Result<FastaIndex> {
        // A tiny buffer, so that lines and white space are split between reads.
        FastaIndex::build(&mut io::BufReader::with_capacity(5, text), Path::new("x.fa"))
    }

    #[test]
    fn the_built_index_is_that_of_samtools() {
        // Expected: `samtools faidx` 1.16 on the same bytes, the empty record by its definition.
        let text = b">one first\nACGT\nACGT\nAC\n>two\r\nACG\r\nA\r\n\r\n>empty\n>last\nAC";
        assert_eq!(
            build(text).unwrap().to_text(),
            "one\t10\t11\t4\t5\ntwo\t4\t30\t3\t5\nempty\t0\t47\t0\t0\nlast\t2\t53\t2\t2\n"
        );
        assert_eq!(build(b"\n>a\nAC  \nA\n").unwrap().to_text(), "a\t3\t4\t2\t5\n");
    }

    #[test]
    fn bytes_of_bases_follow_the_lines() {
        let record = build(b">a\nACG\nTAC\nG\n").unwrap().records.remove(0);
        let bytes: Vec<_> = (0..7).map(|base| record.byte_of(base)).collect();
        assert_eq!(bytes, [3, 4, 5, 7, 8, 9, 11]);
        assert_eq!(record.end(), 12);
    }

    #[test]
    fn what_is_no_fasta_is_refused_with_its_line() {
        let cases: &[(&[u8], &str)] = &[
            (b"", "no sequence in the file"),
            (b"\n\n", "no sequence in the file"),
            (b"\nACGT\n>a\nAC\n", "x.fa:2: text before the first sequence"),
            (b"@read\nACGT\n+\nIIII\n", "x.fa:1: not a FASTA file (found what looks like FASTQ"),
            (b"C'A\x1a\0\0", "2bit"),
            (b"AC\0\0", "a binary file"),
            (b">\nACGT\n", "x.fa:1: a sequence without a name"),
            (b"> chr1\nACGT\n", "x.fa:1: a sequence without a name"),
            (b">a\nAC\n>b\nAC\n>a\nAC\n", "x.fa:5: sequence name `a` comes twice"),
            (
                b">a\nACGT\nAC\nACGT\n",
                "x.fa:3: sequence lines of uneven length in sequence `a` \
              (found 2 bases, expected 4 bases as in its first line); wrap it anew",
            ),
            (b">a\nAC\nACGT\n", "x.fa:3: sequence lines of uneven length"),
            (b">a\nACGT\n\nACGT\n", "x.fa:3: an empty line inside sequence `a`"),
            (b">a\n\nACGT\n", "x.fa:2: an empty line inside sequence `a`"),
            (b">a\nACGT\nACGT\r\nACGT\n", "x.fa:3: mixed line ends in sequence `a`"),
            (b">a\rACGT\rACGT\r", "x.fa:1: line ends of the old Macintosh kind"),
        ];
        for (text, message) in cases {
            let error = build(text).unwrap_err().to_string();
            assert!(error.contains(message), "{error}\n  should have {message}");
        }
    }

    #[test]
    fn malformed_index_lines_are_refused_with_their_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.fa.fai");
        for (text, message) in [
            ("", "x.fa.fai:1: empty index"),
            ("a\t4\t3\t4\t5\nb\t4\t3\t4\n", "x.fa.fai:2: malformed index line"),
            ("a\t4\tthree\t4\t5\n", "x.fa.fai:1: malformed index line"),
            ("a\t4\t3\t0\t0\n", "x.fa.fai:1: malformed index line"),
            ("a\t8\t3\t4\t4\n", "x.fa.fai:1: malformed index line"),
            ("a\t18446744073709551615\t3\t1\t9\n", "x.fa.fai:1: malformed index line"),
            ("a\t4\t3\t4\t5\na\t4\t11\t4\t5\n", "x.fa.fai:2: contig name comes twice"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = FastaIndex::read(&path).unwrap_err().to_string();
            assert!(error.contains(message) && error.contains("remove "), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_builder_panic_and_its_lines_can_be_read_back(
            text in "(>?[a-cAC \r\t>@-]{0,5}\n){0,9}.{0,5}"
        ) {
            if let Ok(index) = build(text.as_bytes()) {
                for (line, record) in index.to_text().lines().zip(&index.records) {
                    prop_assert_eq!(parse(line), Some(record.clone()));
                    prop_assert!(record.end() <= text.len() as u64);
                }
            }
        }
    }
}
