//! Gene tables: one row per gene (splice-scoring.md A1).

use super::super::annotation::exons;
use super::super::text::Lines;
use super::{Gene, Genes};
use crate::error::{Error, Result};
use crate::genome::{ContigId, Interval, Resolver, Strand};
use std::collections::BTreeMap;

/// The columns of a table, by place; more may follow.
const COLUMNS: [&str; 7] =
    ["NAME", "CHROM", "STRAND", "TX_START", "TX_END", "EXON_START", "EXON_END"];

/// Whether a line is the header of a gene table.
pub(super) fn is_header(line: &str) -> bool {
    let line = line.strip_prefix('#').unwrap_or(line);
    line.split('\t').map(str::trim).take(COLUMNS.len()).eq(COLUMNS)
}

/// A row, before its contig is looked up.
struct Row {
    line: u64,
    name: String,
    contig: String,
    strand: Strand,
    /// 0-based, half-open.
    span: (u64, u64),
    exons: Vec<(u64, u64)>,
}

/// Reads the rows of a table whose next line is its header.
///
/// Exons are as the row has them, however short the gaps between them; only overlaps are joined.
pub(super) fn read(mut lines: Lines, resolver: &Resolver) -> Result<Genes> {
    lines.next()?;
    let mut rows = Vec::new();
    while let Some((line, text)) = lines.next()? {
        if text.trim().is_empty() || text.starts_with('#') {
            continue;
        }
        match parse(text, line) {
            Ok(row) => rows.push(row),
            Err(error) => return Err(error.at(lines.path()).line(line)),
        }
    }
    let path = lines.path();
    if rows.is_empty() {
        return Err(Error::new("no gene in the table").at(path).expected("rows below the header"));
    }
    let names: Vec<&str> = rows.iter().map(|row| row.contig.as_str()).collect();
    let resolver = resolver.for_names(&names);
    let mut genes = Vec::new();
    let mut skipped = BTreeMap::new();
    for row in &rows {
        match resolver.resolve(&row.contig).map_err(|e| e.at(path).line(row.line))? {
            Some(contig) => {
                genes.push(row.place(contig, &resolver).map_err(|e| e.at(path).line(row.line))?);
            }
            None => *skipped.entry("UNKNOWN_CONTIG").or_default() += 1,
        }
    }
    if genes.is_empty() {
        return Err(resolver.nothing_matches(path, &names));
    }
    for (reason, count) in &skipped {
        tracing::warn!("{}: {count} genes left out: {reason}", path.display());
    }
    Ok(Genes::new(genes, skipped))
}

fn parse(text: &str, line: u64) -> Result<Row> {
    let columns: Vec<&str> = text.split('\t').map(str::trim).collect();
    let [name, contig, strand, tx_start, tx_end, starts, ends, ..] = columns[..] else {
        return Err(Error::new("too few columns in a gene table")
            .found(columns.len())
            .expected(format!("{}: {}", COLUMNS.len(), COLUMNS.join(", ")))
            .remedy("separate the columns by tabs"));
    };
    let strand = match strand {
        "+" => Strand::Plus,
        "-" => Strand::Minus,
        _ => return Err(Error::new("STRAND is neither + nor -").found(strand)),
    };
    let span = stretch((tx_start, "TX_START"), (tx_end, "TX_END"))?;
    let list = |text: &str| -> Vec<String> {
        text.strip_suffix(',').unwrap_or(text).split(',').map(|n| n.trim().to_owned()).collect()
    };
    let (starts, ends) = (list(starts), list(ends));
    if starts.len() != ends.len() {
        return Err(Error::new("EXON_START and EXON_END differ in number")
            .found(format!("{} starts and {} ends", starts.len(), ends.len()))
            .expected("as many ends as starts"));
    }
    let exons: Vec<(u64, u64)> = starts
        .iter()
        .zip(&ends)
        .map(|(start, end)| stretch((start, "EXON_START"), (end, "EXON_END")))
        .collect::<Result<_>>()?;
    if let Some((start, end)) = exons.iter().find(|exon| exon.0 < span.0 || exon.1 > span.1) {
        return Err(Error::new("an exon outside its gene")
            .found(format!("{start}-{end}"))
            .expected(format!("within TX_START {} and TX_END {}", span.0, span.1)));
    }
    let [name, contig] = [name, contig].map(str::to_owned);
    Ok(Row { line, name, contig, strand, span, exons: exons::without_overlaps(&exons) })
}

/// A start (0-based) and an end (inclusive from 1), which are half-open together.
fn stretch(start: (&str, &str), end: (&str, &str)) -> Result<(u64, u64)> {
    let number = |(text, column): (&str, &str)| {
        let number = text.parse::<u64>().ok().filter(|&n| i64::try_from(n).is_ok());
        number.ok_or_else(|| Error::new(format!("{column} is not a position")).found(text))
    };
    let (first, last) = (number(start)?, number(end)?);
    if first >= last {
        return Err(Error::new(format!("{} is not before {}", start.1, end.1))
            .found(format!("{first} and {last}"))
            .expected("a start from 0 and an end from 1"));
    }
    Ok((first, last))
}

impl Row {
    fn place(&self, contig: ContigId, resolver: &Resolver) -> Result<Gene> {
        let length = resolver.contigs().length(contig);
        if self.span.1 > length {
            let name = resolver.contigs().name(contig);
            return Err(Error::new(format!("gene `{}` ends past its contig", self.name))
                .found(format!("end {}", self.span.1))
                .expected(format!("at most {length}, the length of contig `{name}`"))
                .remedy("use the genes of the reference's own assembly"));
        }
        Ok(Gene {
            name: self.name.clone(),
            contig,
            strand: self.strand,
            span: Interval { contig, start: self.span.0, end: self.span.1 },
            exons: self.exons.clone(),
            transcripts: Vec::new(),
        })
    }
}
