//! The header of a variant file: lines of any bytes, of which few are understood.

use super::Columns;
use super::names::ContigNames;
use crate::error::{Error, Result};
use std::path::Path;

/// A contig of the reference that is shorter than this part of what another file says is a piece
/// of it: assemblies of one genome differ by a few per cent.
const PIECE: u64 = 2;

/// What comes before the records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// Lines without their ends, up to and with the one that names the columns.
    pub lines: Vec<Vec<u8>>,
    /// Whether the lines end in CRLF.
    pub crlf: bool,
    /// Names of the columns of a table; none for VCF.
    pub columns: Vec<String>,
}

/// A structured line of meta-information, `##KIND=<ID=NAME,…>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// `INFO`, `contig`, …
    pub kind: String,
    /// Keys and values between the brackets, quotes removed.
    pub fields: Vec<(String, String)>,
}

impl Meta {
    /// Reads a line; `None` if it is no such line. Bytes that are not UTF-8 are replaced.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let line = String::from_utf8_lossy(line);
        let (kind, rest) = line.strip_prefix("##")?.split_once("=<")?;
        let mut fields = Vec::new();
        let mut rest = rest.trim_end().strip_suffix('>')?;
        while let Some((key, value)) = rest.split_once('=') {
            let (value, after) = match value.strip_prefix('"') {
                Some(quoted) => quoted_value(quoted),
                None => {
                    let (value, after) = value.split_once(',').unwrap_or((value, ""));
                    (value.to_owned(), after)
                }
            };
            fields.push((key.trim_start_matches(',').to_owned(), value));
            rest = after;
        }
        Some(Self { kind: kind.to_owned(), fields })
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }
}

/// The value before the closing quote, its escapes undone, and what follows.
fn quoted_value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            letter => value.push(letter),
        }
    }
    (value, "")
}

impl Header {
    /// The least that makes VCF of records: the version and the columns.
    pub fn minimal() -> Self {
        let lines = ["##fileformat=VCFv4.2".to_owned(), Columns::line()];
        Self { lines: lines.map(String::into_bytes).into(), ..Self::default() }
    }

    /// Structured lines with their places.
    pub fn meta(&self) -> impl Iterator<Item = (usize, Meta)> {
        let lines = self.lines.iter().enumerate();
        lines.filter_map(|(place, line)| Some((place, Meta::parse(line)?)))
    }

    /// Names and, where stated, lengths (bases) of the contigs that are listed.
    pub fn contigs(&self) -> Vec<(String, Option<u64>)> {
        let of_contig = |(_, meta): (usize, Meta)| {
            let name = meta.get("ID")?.to_owned();
            Some((name, meta.get("length").and_then(|length| length.parse().ok())))
        };
        self.meta().filter(|(_, meta)| meta.kind == "contig").filter_map(of_contig).collect()
    }

    /// The place of the line that declares a key of INFO.
    pub fn info_line(&self, key: &str) -> Option<usize> {
        let is_it = |meta: &Meta| meta.kind == "INFO" && meta.get("ID") == Some(key);
        self.meta().find(|(_, meta)| is_it(meta)).map(|(place, _)| place)
    }

    /// Adds lines directly before the one that names the columns.
    pub fn add(&mut self, lines: impl IntoIterator<Item = String>) {
        let place = self.lines.len().saturating_sub(1);
        self.lines.splice(place..place, lines.into_iter().map(String::into_bytes));
    }

    /// Compares the lengths of contigs with those of the reference.
    ///
    /// # Errors
    /// A contig of another length, unless the reference has a piece of it alone, which is logged.
    pub(super) fn check_lengths(&self, path: &Path, names: &ContigNames) -> Result<()> {
        for (name, length) in self.contigs() {
            // A name that nothing stands for matters only where a record has it.
            let (Some(stated), Ok(Some(contig))) = (length, names.resolver().resolve(&name)) else {
                continue;
            };
            let contigs = names.resolver().contigs();
            let (own, length) = (contigs.name(contig), contigs.length(contig));
            if stated == length {
                continue;
            }
            if length < stated / PIECE {
                tracing::warn!(
                    "{}: contig `{name}` has {stated} bases in the header and `{own}` {length} in \
                     the reference, which is taken for a piece of it",
                    path.display()
                );
                continue;
            }
            return Err(Error::new(format!("contig `{name}` is not the reference's `{own}`"))
                .at(path)
                .found(format!("{stated} bases in the header of this file"))
                .expected(format!("{length} bases, as in the reference"))
                .remedy("use the reference that the variants were called on"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::{Contigs, Resolver};

    fn header(lines: &[&str]) -> Header {
        let lines = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
        Header { lines, ..Header::default() }
    }

    #[test]
    fn structured_lines_are_read_whatever_is_quoted() {
        let line = br#"##INFO=<ID=X,Number=.,Description="a, \"b\"=<c>",Source=y>"#;
        let meta = Meta::parse(line).unwrap();
        assert_eq!((meta.kind.as_str(), meta.get("ID")), ("INFO", Some("X")));
        assert_eq!(meta.get("Description"), Some("a, \"b\"=<c>"));
        assert_eq!(meta.get("Source"), Some("y"));
        assert_eq!(Meta::parse(b"##fileformat=VCFv4.2"), None);
        assert_eq!(Meta::parse(b"##INFO=<ID=\xe9>").unwrap().get("ID"), Some("\u{fffd}"));
    }

    #[test]
    fn lines_are_found_and_added_before_the_columns() {
        let mut header = header(&["##fileformat=VCFv4.2", "##INFO=<ID=A,Number=1>", "#CHROM"]);
        assert_eq!((header.info_line("A"), header.info_line("B")), (Some(1), None));
        header.add(["##x=1".to_owned(), "##y=2".to_owned()]);
        let last: Vec<_> = header.lines[2..].iter().map(|l| String::from_utf8_lossy(l)).collect();
        assert_eq!(last, ["##x=1", "##y=2", "#CHROM"]);
    }

    #[test]
    fn lengths_must_agree_unless_the_reference_has_a_piece() {
        let contigs = Contigs::new(vec![("chr1".into(), 1000)]);
        let resolver = Resolver::new(&contigs, None).unwrap();
        let check = |line: &str| {
            let header = header(&[line, "#CHROM"]);
            header.check_lengths(Path::new("x.vcf"), &ContigNames::new(&resolver, &[]))
        };
        for fine in [
            "##contig=<ID=1,length=1000>",
            "##contig=<ID=chr1>",
            "##contig=<ID=2,length=7>",
            "##contig=<ID=1,length=249000000>",
        ] {
            check(fine).unwrap();
        }
        for length in [999, 1001, 7] {
            let error = check(&format!("##contig=<ID=1,length={length}>")).unwrap_err().to_string();
            let expected =
                format!("found {length} bases in the header of this file, expected 1000");
            assert!(error.contains("`1` is not the reference's `chr1`"), "{error}");
            assert!(error.contains(&expected), "{error}");
        }
    }
}
