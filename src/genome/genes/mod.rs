//! Genes as variants meet them: one row per gene, with its span and exons (splice-scoring.md B5).

mod choose;
mod index;
mod table;

pub use choose::{Choice, GeneOptions};

use super::annotation::{Annotation, Transcript, exons, read_lines};
use super::text::Lines;
use super::{ContigId, Interval, Resolver, Strand};
use crate::error::Result;
use index::Index;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

/// One row of gene models: a gene, or one transcript of it where rows are kept per transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gene {
    /// What is shown: the symbol, which several genes may share. A row per transcript adds its
    /// identifier: `SYMBOL:TRANSCRIPT`.
    pub name: String,
    /// Which contig of the reference.
    pub contig: ContigId,
    /// The strand that is transcribed.
    pub strand: Strand,
    /// From the first to the last transcribed base (0-based, half-open).
    pub span: Interval,
    /// Start and end of each exon (0-based, half-open), by position, without overlaps; at least
    /// one. Of several transcripts, the union of their exons.
    pub exons: Vec<(u64, u64)>,
    /// Identifiers of the transcripts that the row stands for; none for a row of a gene table.
    pub transcripts: Vec<String>,
}

/// The genes of a file, found by position.
#[derive(Debug, Clone, Default)]
pub struct Genes {
    list: Vec<Gene>,
    /// By contig of the reference.
    index: HashMap<ContigId, Index>,
    /// How many rows or transcripts of the file were left out, by reason.
    pub skipped: BTreeMap<&'static str, usize>,
}

impl Genes {
    /// Reads the genes of a GTF, GFF3 or gene table file, told apart by content (plain, gzip or
    /// bgzip; `-` is standard input).
    ///
    /// A gene table has tab columns `#NAME CHROM STRAND TX_START TX_END EXON_START EXON_END`;
    /// starts are 0-based, ends inclusive from 1 (that is, half-open), exon lists are separated by
    /// commas. Each of its rows is a gene, whatever `options` say.
    ///
    /// # Errors
    /// Those of [`super::read_transcripts`]; a malformed row of a table, with its line; a tag that
    /// no transcript has.
    pub fn read(path: &Path, resolver: &Resolver, options: &GeneOptions) -> Result<Self> {
        Self::from_lines(Lines::open(path)?, resolver, options)
    }

    fn from_lines(mut lines: Lines, resolver: &Resolver, options: &GeneOptions) -> Result<Self> {
        let path = lines.path().clone();
        if let Some((_, first)) = lines.peek()?
            && table::is_header(first)
        {
            return table::read(lines, resolver);
        }
        let annotation = read_lines(lines, resolver, None)?;
        Self::from_annotation(&annotation, options).map_err(|error| error.at(&path))
    }

    /// The genes of transcripts, in the order in which the first kept transcript of each comes.
    ///
    /// A gene is what has one identifier, contig and strand; its symbol may be that of another.
    ///
    /// # Errors
    /// A tag that no transcript has.
    pub fn from_annotation(annotation: &Annotation, options: &GeneOptions) -> Result<Self> {
        let mut places: HashMap<(&str, ContigId, Strand), usize> = HashMap::new();
        let mut groups: Vec<Vec<&Transcript>> = Vec::new();
        for transcript in &annotation.transcripts {
            let key = (transcript.gene_id.as_str(), transcript.contig, transcript.strand);
            let place = *places.entry(key).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[place].push(transcript);
        }
        let kept = options.choice.keep(groups)?;
        let list = if options.per_transcript {
            kept.into_iter().flatten().map(Gene::of_transcript).collect()
        } else {
            kept.into_iter().map(|transcripts| Gene::of_transcripts(&transcripts)).collect()
        };
        Ok(Self::new(list, annotation.skipped.clone()))
    }

    /// From rows in the order in which they are to be reported.
    pub fn new(list: Vec<Gene>, skipped: BTreeMap<&'static str, usize>) -> Self {
        let mut by_contig: HashMap<ContigId, Vec<usize>> = HashMap::new();
        for (place, gene) in list.iter().enumerate() {
            by_contig.entry(gene.contig).or_default().push(place);
        }
        let span = |place: usize| (list[place].span.start, list[place].span.end);
        let index = by_contig
            .into_iter()
            .map(|(contig, places)| (contig, Index::new(places, span)))
            .collect();
        Self { list, index, skipped }
    }

    /// All genes in annotation order: that of the file.
    pub fn list(&self) -> &[Gene] {
        &self.list
    }

    /// The genes that a base (0-based) lies in, in annotation order.
    pub fn at(&self, contig: ContigId, position: u64) -> impl Iterator<Item = &Gene> {
        let places = self.index.get(&contig).map(|index| index.at(position)).unwrap_or_default();
        places.into_iter().map(|place| &self.list[place])
    }

    /// Whether any gene lies on a contig.
    pub fn has_contig(&self, contig: ContigId) -> bool {
        self.index.contains_key(&contig)
    }

    /// SHA-256 of all rows, lower-case hexadecimal: the same for the same genes, whatever the
    /// format of the file.
    pub fn sha256(&self, resolver: &Resolver) -> String {
        let mut digest = Sha256::new();
        for Gene { name, contig, strand, span, exons, .. } in &self.list {
            let contig = resolver.contigs().name(*contig);
            let strand = strand.symbol();
            digest.update(format!("{name}\t{contig}\t{strand}\t{}\t{}", span.start, span.end));
            for (start, end) in exons {
                digest.update(format!("\t{start}\t{end}"));
            }
            digest.update("\n");
        }
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Gene {
    fn of_transcript(transcript: &Transcript) -> Self {
        let gene = Self::of_transcripts(&[transcript]);
        let name = match gene.name == transcript.id {
            true => gene.name,
            false => format!("{}:{}", gene.name, transcript.id),
        };
        Self { name, ..gene }
    }

    /// The row of a gene: the union of the exons of its transcripts, of which there is one.
    fn of_transcripts(transcripts: &[&Transcript]) -> Self {
        let first = transcripts.first().expect("a gene has a transcript");
        let all: Vec<_> = transcripts.iter().flat_map(|t| t.exons.iter().copied()).collect();
        let exons = exons::join(&all);
        let (start, end) = (exons[0].0, exons[exons.len() - 1].1);
        // One transcript may stand twice in a file, at two places.
        let mut seen = HashSet::new();
        let ids = transcripts.iter().map(|t| &t.id).filter(|id| seen.insert(*id)).cloned();
        Self {
            name: first.gene.clone(),
            contig: first.contig,
            strand: first.strand,
            span: Interval { contig: first.contig, start, end },
            exons,
            transcripts: ids.collect(),
        }
    }
}

#[cfg(test)]
mod tests;
