//! One line of a GFF3 or GTF file, read by noodles.

use super::super::Strand;
use crate::error::{Error, Result};
use noodles::gff::feature::Record;
use noodles::gff::feature::record::{Attributes, Strand as AnyStrand};
use noodles::{gff, gtf};
use std::io;

/// Which of the two formats a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Gff3,
    Gtf,
}

impl Format {
    /// Judges by the attributes of a feature line: `key=value` or `key "value"`.
    pub(super) fn of(line: &str) -> Self {
        let attributes = line.splitn(9, '\t').nth(8).unwrap_or_default().trim_start();
        match attributes.find(['=', ' ', '"']).map(|at| attributes.as_bytes()[at]) {
            Some(b' ' | b'"') => Self::Gtf,
            _ => Self::Gff3,
        }
    }
}

/// What a row says about a transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Exon,
    /// Coding sequence, UTR, start or stop codon.
    Coding,
    Intron,
}

impl Part {
    /// The part that a feature type stands for; other types may be transcripts or genes.
    pub(super) fn of(kind: &str) -> Option<Self> {
        match kind {
            "exon" => Some(Self::Exon),
            "CDS" | "five_prime_UTR" | "three_prime_UTR" | "UTR" | "5UTR" | "3UTR"
            | "five_prime_utr" | "three_prime_utr" | "start_codon" | "stop_codon" => {
                Some(Self::Coding)
            }
            "intron" => Some(Self::Intron),
            _ => None,
        }
    }
}

/// A feature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) contig: String,
    pub(super) kind: String,
    /// 0-based, half-open; `None` if the line has none that make sense, which matters only when
    /// the row is used.
    pub(super) span: Option<(u64, u64)>,
    pub(super) strand: Option<Strand>,
    /// GFF3: `ID`. GTF: `transcript_id`.
    pub(super) id: Option<String>,
    /// GFF3: the features that it belongs to.
    pub(super) parents: Vec<String>,
    /// The gene's name as this row has it. GTF: else `gene_id`.
    pub(super) gene: Option<String>,
    /// GTF: `gene_id`.
    pub(super) gene_id: Option<String>,
    pub(super) tags: Vec<String>,
}

impl Row {
    /// Reads a line.
    ///
    /// # Errors
    /// Fewer than 9 columns, attributes that cannot be read, an unknown strand.
    pub(super) fn parse(line: &str, format: Format) -> Result<Self> {
        let columns = line.split('\t').count();
        let name = match format {
            Format::Gff3 => "GFF3",
            Format::Gtf => "GTF",
        };
        if columns < 9 {
            let remedy = "columns are separated by tabs; comments start with `#`";
            return Err(Error::new(format!("malformed {name} line"))
                .found(format!("{columns} columns"))
                .expected("9")
                .remedy(remedy));
        }
        let malformed = |error: io::Error| {
            Error::new(format!("malformed {name} line: {error}"))
                .found(line)
                .expected("9 columns, a strand of `+`, `-` or `.`, complete attributes")
        };
        match format {
            Format::Gff3 => Self::parse_gff3(line),
            Format::Gtf => Self::parse_gtf(line),
        }
        .map_err(malformed)
    }

    fn parse_gff3(line: &str) -> io::Result<Self> {
        // Blanks after a semicolon are common; noodles would take them for part of the key.
        let tidy = line.replace("; ", ";");
        let mut read = gff::Line::default();
        gff::io::Reader::new(tidy.trim_end().as_bytes()).read_line(&mut read)?;
        let record = read.as_record().ok_or(io::ErrorKind::InvalidData)??;
        let attributes = record.attributes();
        let gene = ["Name", "gene", "gene_name"];
        Ok(Self {
            id: joined(&attributes, "ID")?,
            parents: values(&attributes, "Parent")?,
            gene: first_of(&attributes, &gene)?,
            tags: values(&attributes, "tag")?,
            ..Self::columns(&record)?
        })
    }

    fn parse_gtf(line: &str) -> io::Result<Self> {
        let mut read = gtf::Line::default();
        gtf::io::Reader::new(line.trim_end().as_bytes()).read_line(&mut read)?;
        let record = read.as_record().ok_or(io::ErrorKind::InvalidData)??;
        // Not the trait's `attributes`, which panics on malformed ones.
        let attributes = record.attributes()?;
        Ok(Self {
            id: joined(&attributes, "transcript_id")?.filter(|id| !id.is_empty()),
            parents: Vec::new(),
            gene: first_of(&attributes, &["gene_name", "gene_id"])?,
            gene_id: first_of(&attributes, &["gene_id"])?,
            tags: values(&attributes, "tag")?,
            ..Self::columns(&record)?
        })
    }

    /// All but the attributes.
    fn columns(record: &impl Record) -> io::Result<Self> {
        // Positions of noodles count from 1, so that 0 and negative numbers are errors.
        let position = |read: io::Result<noodles::core::Position>| {
            u64::try_from(usize::from(read.ok()?)).ok().filter(|&n| i64::try_from(n).is_ok())
        };
        let start = position(record.feature_start()).map(|start| start - 1);
        let span = start.zip(position(record.feature_end())).filter(|(start, end)| start < end);
        Ok(Self {
            contig: record.reference_sequence_name().to_string(),
            kind: record.ty().to_string(),
            span,
            strand: match record.strand()? {
                AnyStrand::Forward => Some(Strand::Plus),
                AnyStrand::Reverse => Some(Strand::Minus),
                AnyStrand::None | AnyStrand::Unknown => None,
            },
            id: None,
            parents: Vec::new(),
            gene: None,
            gene_id: None,
            tags: Vec::new(),
        })
    }
}

/// All values of an attribute.
fn values(attributes: &dyn Attributes, key: &str) -> io::Result<Vec<String>> {
    let Some(value) = attributes.get(key.as_bytes()).transpose()? else { return Ok(Vec::new()) };
    value.iter().map(|one| Ok(one?.to_string())).collect()
}

/// An attribute that has one value; a comma in it was meant literally.
fn joined(attributes: &dyn Attributes, key: &str) -> io::Result<Option<String>> {
    let values = values(attributes, key)?;
    Ok((!values.is_empty()).then(|| values.join(",")))
}

/// The first attribute of several that is there and not empty.
fn first_of(attributes: &dyn Attributes, keys: &[&str]) -> io::Result<Option<String>> {
    for key in keys {
        if let Some(value) = joined(attributes, key)?.filter(|value| !value.is_empty()) {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn svec(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn gff3_rows_know_their_parents_and_percent_codes() {
        let line = "chr1\tx\tmRNA\t11\t20\t.\t-\t.\tID=t%3B1; Parent=g1,g2;Name=a%20b;tag=c,d";
        assert_eq!(Format::of(line), Format::Gff3);
        let row = Row::parse(line, Format::Gff3).unwrap();
        assert_eq!(
            (row.contig.as_str(), row.span, row.strand),
            ("chr1", Some((10, 20)), Some(Strand::Minus))
        );
        assert_eq!((row.id.as_deref(), row.gene.as_deref()), (Some("t;1"), Some("a b")));
        assert_eq!((row.parents, row.tags), (svec(&["g1", "g2"]), svec(&["c", "d"])));
        let region = Row::parse("chr1\tx\tregion\t0\t20\t.\t.\t.\t.", Format::Gff3).unwrap();
        assert_eq!((region.span, region.strand, region.id), (None, None, None));
    }

    #[test]
    fn gtf_rows_know_transcript_and_gene() {
        let line =
            "1\tx\texon\t5\t9\t.\t+\t.\tgene_id \"G\"; transcript_id \"T\"; tag \"a\"; tag \"b\";";
        assert_eq!(Format::of(line), Format::Gtf);
        let row = Row::parse(line, Format::Gtf).unwrap();
        assert_eq!((row.id.as_deref(), row.gene.as_deref()), (Some("T"), Some("G")));
        assert_eq!((row.span, row.gene_id.as_deref()), (Some((4, 9)), Some("G")));
        assert_eq!(row.tags, ["a", "b"]);
    }

    #[test]
    fn malformed_lines_are_errors() {
        for (line, format, message) in [
            ("chr1 x exon 1 2 . + . ID=a", Format::Gff3, "malformed GFF3 line (found 1 columns"),
            ("c\tx\texon\t1\t2\t.\t+\t.\tID", Format::Gff3, "malformed GFF3 line: "),
            ("c\tx\texon\t1\t2\t.\tplus\t.\tID=a", Format::Gff3, "invalid strand"),
            ("c\tx\texon\t1\t2\t.\t+\t.\tgene_id \"G", Format::Gtf, "malformed GTF line: "),
        ] {
            let error = Row::parse(line, format).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_the_reader_panic(
            line in "(.{0,4}\t){0,9}([a-z]{1,3}[= ]\"?[a-z,;%0-9]{0,5}\"?;? ?){0,3}.{0,9}"
        ) {
            let span = |row: Row| row.span;
            for format in [Format::of(&line), Format::Gff3, Format::Gtf] {
                if let Ok(Some((start, end))) = Row::parse(&line, format).map(span) {
                    prop_assert!(start < end);
                }
            }
        }
    }
}
