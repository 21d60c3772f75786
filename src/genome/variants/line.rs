//! A data line of VCF text: POS, REF and ALT are parsed, the rest is bytes.

use super::Variant;
use super::names::ContigNames;
use crate::error::{Error, Result};
use std::ops::Range;

/// Columns that every data line has.
const FIXED: [&str; 8] = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"];

/// Which column INFO is, from 0.
const INFO: usize = 7;

/// The columns of VCF text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns;

impl Columns {
    /// The line that names the columns of a file without samples.
    pub fn line() -> String {
        FIXED.join("\t")
    }

    /// Whether a line names the columns of VCF.
    pub(super) fn are_named_by(line: &[u8]) -> bool {
        line.split(|&b| b == b'\t').take(FIXED.len()).eq(FIXED.map(str::as_bytes))
    }

    /// Whether a line would name the columns of VCF if its separators were tabs.
    pub(super) fn are_named_with_spaces(line: &[u8]) -> bool {
        let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        !Self::are_named_by(line) && words.take(FIXED.len()).eq(FIXED.map(str::as_bytes))
    }
}

/// Reads a data line.
///
/// # Errors
/// Fewer than 8 columns, a POS that is no number, an empty allele, an ambiguous contig.
pub(super) fn parse(line: &[u8], number: u64, names: &mut ContigNames) -> Result<Variant> {
    let mut columns = [&b""[..]; FIXED.len()];
    let mut found = 0;
    for (place, column) in columns.iter_mut().zip(line.split(|&b| b == b'\t')) {
        *place = column;
        found += 1;
    }
    if found < FIXED.len() {
        let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count();
        let error = Error::new("too few columns in a VCF record").found(found);
        let error = error.expected(format!("at least {}, separated by tabs", FIXED.len()));
        return Err(if words >= FIXED.len() {
            error.remedy("separate the columns by tabs, not spaces: `sed -E 's/ +/\\t/g' IN > OUT`")
        } else {
            error.remedy("complete or remove the line, or leave it out: --on-bad-record skip")
        });
    }
    let [chrom, pos, _, reference, alternates, ..] = columns;
    variant([chrom, pos, reference, alternates], number, names)
}

/// The variant of the columns CHROM, POS, REF and ALT.
///
/// # Errors
/// As [`parse`].
pub(super) fn variant(columns: [&[u8]; 4], line: u64, names: &mut ContigNames) -> Result<Variant> {
    let text = |place: usize, column: &str| {
        let text = std::str::from_utf8(columns[place]).ok().filter(|text| !text.is_empty());
        text.ok_or_else(|| {
            let shown = String::from_utf8_lossy(columns[place]);
            Error::new(format!("{column} is empty or no text")).found(format!("`{shown}`"))
        })
    };
    let chrom = text(0, "CHROM")?;
    let digits = text(1, "POS")?;
    let pos = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u64>().ok());
    let pos = pos.flatten().filter(|&n| i64::try_from(n).is_ok()).ok_or_else(|| {
        Error::new("POS is not a position").found(digits).expected("a whole number, from 1")
    })?;
    let alleles = text(3, "ALT")?;
    let alternates: Vec<String> = match alleles {
        "." => Vec::new(),
        alleles => alleles.split(',').map(str::to_owned).collect(),
    };
    if alternates.iter().any(String::is_empty) {
        return Err(Error::new("an empty allele in ALT")
            .found(alleles)
            .expected("alleles separated by single commas, or `.`"));
    }
    Ok(Variant {
        line,
        contig: names.find(chrom)?,
        chrom: chrom.to_owned(),
        pos,
        reference: text(2, "REF")?.to_owned(),
        alternates,
    })
}

/// Where the INFO column of a data line lies.
pub fn info_column(line: &[u8]) -> Option<Range<usize>> {
    let mut start = 0;
    for _ in 0..INFO {
        start += line[start..].iter().position(|&b| b == b'\t')? + 1;
    }
    let length = line[start..].iter().position(|&b| b == b'\t');
    Some(start..length.map_or(line.len(), |length| start + length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::{ContigId, Contigs, Resolver};

    fn names() -> ContigNames {
        let contigs = Contigs::new(vec![("chr1".into(), 1000)]);
        ContigNames::new(&Resolver::new(&contigs, None).unwrap(), &[])
    }

    #[test]
    fn position_and_alleles_are_read_and_the_rest_is_bytes() {
        let line = b"1\t0\trs1\tac\tA,<DEL>,*\t\xff\t\tA=\xe9;B\tGT\t0/1";
        let variant = parse(line, 7, &mut names()).unwrap();
        assert_eq!(variant.contig, Some(ContigId(0)));
        assert_eq!((variant.line, variant.pos, variant.start()), (7, 0, None));
        assert_eq!((variant.reference.as_str(), variant.chrom.as_str()), ("ac", "1"));
        assert_eq!(variant.alternates, ["A", "<DEL>", "*"]);
        assert_eq!(&line[info_column(line).unwrap()], b"A=\xe9;B");
        let short = b"2\t5\t.\tA\t.\t.\t.\tX";
        let variant = parse(short, 1, &mut names()).unwrap();
        assert_eq!((variant.contig, variant.alternates.len()), (None, 0));
        assert_eq!(&short[info_column(short).unwrap()], b"X");
        assert_eq!(info_column(b"1\t2"), None);
    }

    #[test]
    fn bad_lines_say_what_is_wrong() {
        for (line, message) in [
            ("1\t5\t.\tA\tC\t.\t.", "too few columns in a VCF record (found 7, expected at least"),
            ("1 5 . A C . . .", "by tabs, not spaces"),
            ("1\t-5\t.\tA\tC\t.\t.\t.", "POS is not a position (found -5"),
            ("1\t1e3\t.\tA\tC\t.\t.\t.", "POS is not a position (found 1e3"),
            ("1\t99999999999999999999\t.\tA\tC\t.\t.\t.", "POS is not a position"),
            ("1\t5\t.\t\tC\t.\t.\t.", "REF is empty or no text"),
            ("1\t5\t.\tA\t\t.\t.\t.", "ALT is empty or no text"),
            ("1\t5\t.\tA\tC,,G\t.\t.\t.", "an empty allele in ALT (found C,,G"),
            ("\t5\t.\tA\tC\t.\t.\t.", "CHROM is empty or no text"),
        ] {
            let error = parse(line.as_bytes(), 1, &mut names()).unwrap_err().to_string();
            assert!(error.contains(message), "{error}\n  should have {message}");
        }
    }
}
