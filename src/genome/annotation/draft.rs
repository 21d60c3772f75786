//! The rows of a gene model file gathered by the feature that they belong to.

use super::super::Strand;
use super::super::text::Lines;
use super::row::{Format, Part, Row};
use crate::error::{Error, Result};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// A feature that may turn out to be a transcript or a gene: its own rows and those of its parts,
/// as far as read. Coordinates are 0-based, half-open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) id: String,
    /// The feature type; `None` as long as only its parts were seen.
    pub(super) kind: Option<String>,
    pub(super) parents: Vec<String>,
    /// The name of the gene by this feature's own row.
    pub(super) gene: Option<String>,
    /// GTF: the identifier of the gene.
    pub(super) gene_id: Option<String>,
    pub(super) tags: Vec<Arc<str>>,
    /// Its `CDS` rows.
    pub(super) cds: Vec<(u64, u64)>,
    /// Index of [`Drafts::contigs`].
    pub(super) contig: usize,
    pub(super) strand: Option<Strand>,
    /// Whether rows on another contig or strand belong to it.
    pub(super) several_places: bool,
    /// From the first to the last base of its own rows.
    pub(super) span: Option<(u64, u64)>,
    pub(super) exons: Vec<(u64, u64)>,
    pub(super) coding: Vec<(u64, u64)>,
    pub(super) introns: Vec<(u64, u64)>,
    /// Its own row, or the first row of its parts, from 1.
    pub(super) line: u64,
}

impl Draft {
    fn has_parts(&self) -> bool {
        !(self.exons.is_empty() && self.coding.is_empty() && self.introns.is_empty())
    }

    fn add(&mut self, part: Part, row: &Row) {
        if row.kind == "CDS" {
            self.cds.extend(row.span);
        }
        let list = match part {
            Part::Exon => &mut self.exons,
            Part::Coding => &mut self.coding,
            Part::Intron => &mut self.introns,
        };
        list.extend(row.span);
    }

    fn widen(&mut self, span: Option<(u64, u64)>) {
        self.span = match (self.span, span) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (one, other) => one.or(other),
        };
    }
}

/// All features of a file that can be or hold transcripts.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    /// Names of contigs in order of appearance.
    pub(super) contigs: Vec<String>,
    list: Vec<Draft>,
    by_key: HashMap<String, usize>,
    contig_index: HashMap<String, usize>,
    /// Every tag once; drafts share them.
    tags: HashSet<Arc<str>>,
}

impl Drafts {
    /// Reads a file to its end or to its `##FASTA` part.
    ///
    /// # Errors
    /// A malformed line, a part without valid coordinates or without a transcript, a parent that
    /// the file does not have.
    pub(super) fn read(mut lines: Lines) -> Result<Self> {
        let path = lines.path().clone();
        let mut drafts = Self::default();
        let mut format = None;
        let mut orphans = 0_usize;
        while let Some((number, line)) = lines.next()? {
            if line.starts_with("##FASTA") || line.starts_with('>') {
                break;
            }
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let format = *format.get_or_insert_with(|| Format::of(line));
            let located = |error: Error| error.at(&path).line(number);
            let row = Row::parse(line, format).map_err(located)?;
            let part = Part::of(&row.kind);
            if part.is_some() && row.span.is_none() {
                return Err(located(
                    Error::new(format!("a row of type {} without valid coordinates", row.kind))
                        .found(columns_4_and_5(line))
                        .expected("start and end, counted from 1, with start <= end"),
                ));
            }
            match (format, part) {
                (Format::Gff3, Some(part)) if row.parents.is_empty() => {
                    // Prokaryotic files list CDS rows of their own; introns without a transcript
                    // mean nothing.
                    orphans += usize::from(part != Part::Intron);
                }
                (Format::Gff3, Some(part)) => {
                    for parent in &row.parents {
                        drafts.draft(parent.clone(), parent, &row, number).add(part, &row);
                    }
                }
                (Format::Gff3, None) => drafts.add_feature(&row, number),
                (Format::Gtf, _) => drafts.add_gtf(&row, part, number).map_err(located)?,
            }
        }
        if orphans > 0 {
            let path = path.display();
            tracing::warn!("{path}: {orphans} rows of exons or coding sequence without a Parent");
        }
        match drafts.list.iter().find(|draft| draft.kind.is_none()) {
            Some(draft) => Err(Error::new(format!("no feature has the ID `{}`", draft.id))
                .at(&path)
                .line(draft.line)
                .found(format!("Parent={}", draft.id))
                .expected("a row with this ID")
                .remedy("use the whole file, or remove the rows of this feature")),
            None => Ok(drafts),
        }
    }

    /// The features that count as transcripts, in the order of the file.
    pub(super) fn transcripts<'a>(
        &'a self,
        types: Option<&'a [String]>,
    ) -> impl Iterator<Item = &'a Draft> {
        self.list.iter().filter(move |draft| match (types, draft.kind.as_deref()) {
            (Some(types), kind) => types.iter().any(|wanted| Some(wanted.as_str()) == kind),
            (None, Some("mRNA" | "transcript")) => true,
            (None, _) => draft.has_parts(),
        })
    }

    /// The feature types of the file, each once.
    pub(super) fn types(&self) -> impl Iterator<Item = &str> {
        self.list.iter().filter_map(|d| d.kind.as_deref()).collect::<BTreeSet<_>>().into_iter()
    }

    /// Identifier and name of a transcript's gene; a gene without a name has its identifier for
    /// one, and a transcript without a gene is its own.
    pub(super) fn gene_of<'a>(&'a self, transcript: &'a Draft) -> (&'a str, &'a str) {
        let parent = transcript.parents.first();
        let parent = parent.and_then(|id| self.by_key.get(id)).map(|index| &self.list[*index]);
        let (id, name) = match parent {
            Some(parent) => (Some(&parent.id), parent.gene.as_ref()),
            None => (transcript.gene_id.as_ref(), transcript.gene.as_ref()),
        };
        let name = name.or(id).unwrap_or(&transcript.id);
        (id.unwrap_or(&transcript.id), name)
    }

    /// A GFF3 feature that is no part; without an ID nothing can belong to it.
    fn add_feature(&mut self, row: &Row, line: u64) {
        let Some(id) = &row.id else {
            self.contig(&row.contig);
            return;
        };
        let tags = self.shared(&row.tags);
        let draft = self.draft(id.clone(), id, row, line);
        if draft.kind.is_none() {
            draft.tags = tags;
            draft.kind = Some(row.kind.clone());
            draft.parents.clone_from(&row.parents);
            draft.gene.clone_from(&row.gene);
            draft.line = line;
        }
        draft.widen(row.span);
    }

    /// A GTF row: a part, or a transcript's own row. Other rows (gene, Selenocysteine) say nothing
    /// about exons.
    fn add_gtf(&mut self, row: &Row, part: Option<Part>, line: u64) -> Result<()> {
        let is_transcript = row.kind.ends_with("RNA") || row.kind.ends_with("transcript");
        if part.is_none() && !is_transcript {
            self.contig(&row.contig);
            return Ok(());
        }
        let Some(id) = &row.id else {
            return Err(Error::new(format!("a row of type {} without a transcript_id", row.kind))
                .expected("gene_id \"…\"; transcript_id \"…\";"));
        };
        // Some files give one transcript several places and the same identifier.
        let strand = row.strand.map_or('.', Strand::symbol);
        let key = format!("{id}\t{}\t{strand}", row.contig);
        let tags = self.shared(&row.tags);
        let draft = self.draft(key, id, row, line);
        for tag in tags {
            if !draft.tags.contains(&tag) {
                draft.tags.push(tag);
            }
        }
        match part {
            Some(part) => draft.add(part, row),
            None => {
                draft.kind = Some(row.kind.clone());
                draft.line = line;
                draft.widen(row.span);
            }
        }
        draft.kind.get_or_insert_with(|| "transcript".to_owned());
        if draft.gene.is_none() {
            draft.gene.clone_from(&row.gene);
        }
        if draft.gene_id.is_none() {
            draft.gene_id.clone_from(&row.gene_id);
        }
        Ok(())
    }

    /// Tags without a copy of their own: a file has few, and many rows.
    fn shared(&mut self, tags: &[String]) -> Vec<Arc<str>> {
        let mut share = |tag: &String| match self.tags.get(tag.as_str()) {
            Some(tag) => Arc::clone(tag),
            None => {
                let tag: Arc<str> = tag.as_str().into();
                self.tags.insert(Arc::clone(&tag));
                tag
            }
        };
        tags.iter().map(&mut share).collect()
    }

    /// The draft of this key, made if it is new, after a look at where the row lies.
    fn draft(&mut self, key: String, id: &str, row: &Row, line: u64) -> &mut Draft {
        let contig = self.contig(&row.contig);
        let list = &mut self.list;
        let index = *self.by_key.entry(key).or_insert_with(|| {
            let id = id.to_owned();
            list.push(Draft { id, contig, strand: row.strand, line, ..Draft::default() });
            list.len() - 1
        });
        let draft = &mut list[index];
        draft.several_places |= draft.contig != contig || draft.strand != row.strand;
        draft
    }

    fn contig(&mut self, name: &str) -> usize {
        if let Some(index) = self.contig_index.get(name) {
            return *index;
        }
        self.contigs.push(name.to_owned());
        self.contig_index.insert(name.to_owned(), self.contigs.len() - 1);
        self.contigs.len() - 1
    }
}

fn columns_4_and_5(line: &str) -> String {
    line.split('\t').skip(3).take(2).collect::<Vec<_>>().join("\t")
}
