//! Gene models: the exons of transcripts from GFF3 and GTF files (formats.md 6).

mod draft;
pub(super) mod exons;
mod row;

use super::text::Lines;
use super::{ContigId, Interval, Resolver, Strand};
use crate::error::{Error, Result};
use draft::Drafts;
use exons::Rule;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A transcript and its exons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    /// Its identifier in the file.
    pub id: String,
    /// Name of its gene, or the gene's identifier, or its own where the file names no gene.
    pub gene: String,
    /// Identifier of its gene, or its own where the file names no gene.
    pub gene_id: String,
    /// What the file says about its standing, such as `basic` or `MANE_Select`.
    pub tags: Vec<Arc<str>>,
    /// Start and end of each stretch of coding sequence (0-based, half-open), by position; none
    /// where the file has no CDS rows.
    pub coding: Vec<(u64, u64)>,
    /// Which contig of the reference.
    pub contig: ContigId,
    /// The strand that is transcribed.
    pub strand: Strand,
    /// Start and end of each exon (0-based, half-open), by position; at least one, and each gap
    /// between two is an intron.
    pub exons: Vec<(u64, u64)>,
}

impl Transcript {
    /// From the first to the last base of its exons.
    pub fn span(&self) -> Interval {
        let first = self.exons.first().expect("a transcript has an exon");
        let last = self.exons.last().expect("a transcript has an exon");
        Interval { contig: self.contig, start: first.0, end: last.1 }
    }

    /// Bases of coding sequence.
    pub fn coding_bases(&self) -> u64 {
        self.coding.iter().map(|(start, end)| end - start).sum()
    }

    /// The gaps between its exons, by position.
    pub fn introns(&self) -> impl Iterator<Item = Interval> {
        let gaps = self.exons.windows(2).map(|pair| (pair[0].1, pair[1].0));
        gaps.map(|(start, end)| Interval { contig: self.contig, start, end })
    }
}

/// The transcripts of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotation {
    /// In the order of the file.
    pub transcripts: Vec<Transcript>,
    /// How many transcripts were left out, by reason: `UNKNOWN_CONTIG` (the reference does not have
    /// it), `NO_STRAND`, `SEVERAL_PLACES` (on more than one contig or strand).
    pub skipped: BTreeMap<&'static str, usize>,
}

/// Reads the transcripts of a GFF3 or GTF file, told apart by content (plain, gzip or bgzip; `-` is
/// standard input).
///
/// `types` names the feature types that count as transcripts; without it these are `mRNA`,
/// `transcript` and every feature that owns exons, coding sequence, UTRs or introns. Exons are the
/// `exon` rows; else the union of CDS and UTR rows; else the span without its `intron` rows; else
/// the span. Gaps of less than 4 bp between exons are no introns. Transcripts on contigs that the
/// reference does not have are left out, counted and logged.
///
/// # Errors
/// A file that cannot be read, a malformed line, a parent that the file does not have, coordinates
/// before or after the contig, each with its line; no transcript at all; no contig of the file in
/// the reference.
pub fn read_transcripts(
    path: &Path,
    resolver: &Resolver,
    types: Option<&[String]>,
) -> Result<Annotation> {
    read_lines(Lines::open(path)?, resolver, types)
}

/// [`read_transcripts`] from lines that are open already.
pub(super) fn read_lines(
    lines: Lines,
    resolver: &Resolver,
    types: Option<&[String]>,
) -> Result<Annotation> {
    let path = lines.path().clone();
    build(&Drafts::read(lines)?, &path, resolver, types)
}

fn build(
    drafts: &Drafts,
    path: &Path,
    resolver: &Resolver,
    types: Option<&[String]>,
) -> Result<Annotation> {
    let contigs = resolve_contigs(drafts, path, resolver)?;
    let mut annotation = Annotation::default();
    let mut disagreeing = Tally::default();
    let mut without_parts = Tally::default();
    for draft in drafts.transcripts(types) {
        let at_line = |what: String| Error::new(what).at(path).line(draft.line);
        let Some(contig) = contigs[draft.contig] else {
            *annotation.skipped.entry("UNKNOWN_CONTIG").or_default() += 1;
            continue;
        };
        let reason = if draft.several_places { "SEVERAL_PLACES" } else { "NO_STRAND" };
        let Some(strand) = draft.strand.filter(|_| !draft.several_places) else {
            *annotation.skipped.entry(reason).or_default() += 1;
            continue;
        };
        let Some((exons, rule)) = exons::of(draft) else {
            return Err(at_line(format!("transcript `{}` has no valid coordinates", draft.id))
                .expected("start and end, counted from 1, with start <= end"));
        };
        match rule {
            Rule::CodingAndUtr { introns_agree: false } => disagreeing.add(&draft.id),
            Rule::Span => without_parts.add(&draft.id),
            _ => {}
        }
        let length = resolver.contigs().length(contig);
        let end = exons.last().map_or(0, |exon| exon.1);
        if end > length {
            let name = resolver.contigs().name(contig);
            return Err(at_line(format!("transcript `{}` ends past its contig", draft.id))
                .found(format!("end {end}"))
                .expected(format!("at most {length}, the length of contig `{name}`"))
                .remedy("use the annotation of the reference's own assembly"));
        }
        let (gene_id, gene) = drafts.gene_of(draft);
        annotation.transcripts.push(Transcript {
            id: draft.id.clone(),
            gene: gene.to_owned(),
            gene_id: gene_id.to_owned(),
            tags: draft.tags.clone(),
            coding: exons::without_overlaps(&draft.cds),
            contig,
            strand,
            exons,
        });
    }
    if annotation.transcripts.is_empty() && annotation.skipped.is_empty() {
        return Err(no_transcript(drafts, path, types));
    }
    let file = path.display();
    disagreeing.warn(&format!("{file}: intron rows differ from the gaps between CDS and UTR rows"));
    without_parts
        .warn(&format!("{file}: without exon, CDS, UTR or intron rows, taken as one exon"));
    for (reason, count) in &annotation.skipped {
        tracing::warn!("{file}: {count} transcripts left out: {reason}");
    }
    Ok(annotation)
}

/// The reference's contig for each name of the file.
fn resolve_contigs(
    drafts: &Drafts,
    path: &Path,
    resolver: &Resolver,
) -> Result<Vec<Option<ContigId>>> {
    let names = &drafts.contigs;
    let resolver = resolver.for_names(names);
    let resolved = names.iter().map(|name| resolver.resolve(name).map_err(|e| e.at(path)));
    let resolved = resolved.collect::<Result<Vec<_>>>()?;
    if !names.is_empty() && resolved.iter().all(Option::is_none) {
        return Err(resolver.nothing_matches(path, names));
    }
    Ok(resolved)
}

fn no_transcript(drafts: &Drafts, path: &Path, types: Option<&[String]>) -> Error {
    let found: Vec<_> = drafts.types().collect();
    let found = if found.is_empty() { "no feature".to_owned() } else { found.join(", ") };
    let expected = types.map_or("features with exons".to_owned(), |types| types.join(", "));
    Error::new("no transcript in the file")
        .at(path)
        .found(found)
        .expected(expected)
        .remedy("name the feature types that are transcripts in this file")
}

/// Transcripts that share a remark, told in one line.
#[derive(Default)]
struct Tally {
    count: usize,
    first: String,
}

impl Tally {
    fn add(&mut self, id: &str) {
        if self.count == 0 {
            self.first = id.to_owned();
        }
        self.count += 1;
    }

    fn warn(&self, what: &str) {
        if self.count > 0 {
            tracing::warn!("{what}: {} transcripts, the first is `{}`", self.count, self.first);
        }
    }
}

#[cfg(test)]
mod tests;
