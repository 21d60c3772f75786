//! Saturation mutagenesis: every substitution of a region, and every deletion of one base if
//! wanted, scored like variants.

use super::outcome::{Outcome, VariantOutcome};
use super::reason::Skip;
use super::score::Scorer;
use super::text::Text;
use crate::error::{Error, Result};
use crate::genome::{Interval, Reference, Variant};
use crate::job::output::commit_all;
use crate::job::summary::Written;
use crate::job::{OutputFile, Progress};
use crate::picture::letters::{Letters, draw};
use crate::track::variants::{AlleleTable, VariantFormat};
use crate::track::{self, Segment, Style};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

/// Bases that are mutated at a time; their windows overlap, so that most is computed once.
const CHUNK: u64 = 256;
/// Longest region of a picture, in bases: beyond, a letter is thinner than three pixels.
pub const MAX_PLOT: u64 = 1000;
const BASES: [u8; 4] = *b"ACGT";

/// What is mutated, and what is written.
#[derive(Debug, Clone)]
pub struct Request {
    /// The bases.
    pub region: Interval,
    /// Whether each base is also deleted.
    pub deletions: bool,
    /// A table with a row per change and gene: `.tsv`, `.tsv.gz`, or `-`.
    pub table: PathBuf,
    /// A track of how much each base matters.
    pub importance: Option<PathBuf>,
    /// A picture of letters as tall as they matter, over a map of all changes.
    pub plot: Option<PathBuf>,
    /// How the numbers of the track are written.
    pub style: Style,
    /// What is drawn, for the second line of the picture.
    pub subtitle: String,
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Bases of the region.
    pub bases: u64,
    /// Bases other than A, C, G and T, which are not mutated.
    pub unknown: u64,
    /// Changes that were tried.
    pub alleles: u64,
    /// Changes with a score.
    pub scored: u64,
    /// Changes without a score, by reason.
    pub skipped: BTreeMap<&'static str, u64>,
    /// What was written.
    pub outputs: Vec<Written>,
}

impl Request {
    /// The files that are written, but for indexes.
    pub fn output_paths(&self) -> Vec<&std::path::Path> {
        let others = self.importance.iter().chain(&self.plot);
        std::iter::once(&self.table).chain(others).map(PathBuf::as_path).collect()
    }
}

/// Effects at one base: that of each substitution by A, C, G, T, and of its deletion. None where
/// there is no score, as at the base itself.
type Effects = [Option<f32>; 5];

/// Scores every change of the region and writes the outputs, which appear when all are complete.
///
/// A change has the rows of its genes (strands without annotation); its effect is the score of the
/// largest magnitude over those, of the first mask. The importance of a base is the mean of the
/// magnitudes of the effects of its substitutions; bases without any have none.
///
/// # Errors
/// A picture of too long a region (usage); any failure of [`Scorer::score`] or of writing.
pub fn mutate(
    reference: &mut Reference,
    scorer: &Scorer<'_>,
    request: &Request,
    progress: &Progress,
) -> Result<Report> {
    let region = request.region;
    if request.plot.is_some() && region.len() > MAX_PLOT {
        return Err(Error::usage("the region is too long for a picture of its letters")
            .found(format!("{} bases", region.len()))
            .expected(format!("at most {MAX_PLOT}"))
            .remedy("draw a part of it, or leave out --plot"));
    }
    let text = Text::new(scorer.reading(), scorer.settings());
    let mut table = Table::create(request, &text)?;
    let contigs = reference.contigs().clone();
    let open = |path: &PathBuf| track::open(path, &contigs, &request.style, None);
    let mut importance = request.importance.as_ref().map(open).transpose()?;
    let plot = request.plot.as_ref().map(|path| OutputFile::create(path)).transpose()?;
    let mut report = Report { bases: region.len(), ..Report::default() };
    let mut drawn = Drawn::default();
    progress.start(region.len());
    let mut start = region.start;
    while start < region.end {
        let end = region.end.min(start + CHUNK);
        let part = Interval { start, end, ..region };
        let (letters, changes) = changes(reference, part, request.deletions)?;
        report.unknown += letters.iter().filter(|base| !BASES.contains(base)).count() as u64;
        let variants: Vec<Variant> = changes.iter().map(|change| change.variant.clone()).collect();
        let outcomes = scorer.score(reference, &variants)?;
        let mut effects: Vec<Effects> = vec![[None; 5]; letters.len()];
        for (change, outcome) in changes.iter().zip(&outcomes) {
            report.count(outcome);
            table.write(change, outcome, &text)?;
            for (place, effect) in change.places.iter().zip(strongest(outcome)) {
                effects[change.base][*place] = effect;
            }
        }
        let matters: Vec<Option<f32>> = effects.iter().map(mean_magnitude).collect();
        if let Some(sink) = &mut importance {
            for (at, values) in runs(&matters) {
                let segment =
                    Segment { contig: region.contig, start: start + at as u64, values: &values };
                sink.write(segment)?;
            }
        }
        if plot.is_some() {
            drawn.add(letters, effects, matters);
        }
        progress.advance(end - start);
        start = end;
    }
    progress.finish();
    let mut files = vec![table.finish(&mut report)?];
    if let (Some(mut sink), Some(path)) = (importance, &request.importance) {
        sink.finish()?;
        report.outputs.push(Written { path: path.clone(), records: sink.records() });
        files.extend(sink.into_files());
    }
    if let (Some(mut file), Some(path)) = (plot, &request.plot) {
        let picture = drawn.picture(request, contigs.name(region.contig));
        file.write_all(picture.as_bytes()).map_err(|e| file.error(e))?;
        report.outputs.push(Written { path: path.clone(), records: 1 });
        files.push(file);
    }
    commit_all(files)?;
    Ok(report)
}

/// Changes at one base as a record.
struct Change {
    variant: Variant,
    /// Index of the base in its part of the region.
    base: usize,
    /// Which of the effects of the base each ALT is.
    places: Vec<usize>,
}

/// The letters of a part of the region, in capitals, and all changes of them.
fn changes(
    reference: &mut Reference,
    part: Interval,
    deletions: bool,
) -> Result<(Vec<u8>, Vec<Change>)> {
    let (start, end) = (part.start.cast_signed(), part.end.cast_signed());
    // with the base before, which anchors a deletion
    let letters = reference.fetch(part.contig, start - 1, end)?.to_ascii_uppercase();
    let chrom = reference.contigs().name(part.contig).to_string();
    let text = |letters: &[u8]| String::from_utf8_lossy(letters).into_owned();
    let variant = |pos: u64, reference: String, alternates: Vec<String>| Variant {
        line: 0,
        chrom: chrom.clone(),
        contig: Some(part.contig),
        pos,
        reference,
        alternates,
    };
    let mut changes = Vec::new();
    for (base, pair) in letters.windows(2).enumerate() {
        let (before, own) = (pair[0], pair[1]);
        if !BASES.contains(&own) {
            continue;
        }
        let pos = part.start + base as u64 + 1;
        let places: Vec<usize> = (0..4).filter(|&place| BASES[place] != own).collect();
        let alternates = places.iter().map(|&place| text(&BASES[place..=place])).collect();
        changes.push(Change { variant: variant(pos, text(&[own]), alternates), base, places });
        if deletions && BASES.contains(&before) {
            let variant = variant(pos - 1, text(pair), vec![text(&[before])]);
            changes.push(Change { variant, base, places: vec![4] });
        }
    }
    Ok((letters[1..].to_vec(), changes))
}

/// The signed effect of each ALT: of the largest magnitude over genes.
fn strongest(outcome: &VariantOutcome<'_>) -> impl Iterator<Item = Option<f32>> {
    outcome.alleles.iter().map(|allele| match &allele.outcome {
        Outcome::Skipped(_) => None,
        Outcome::Scored(genes) => genes
            .iter()
            .filter_map(|gene| gene.scores.first())
            .map(super::Scores::strongest)
            .reduce(|best, next| if next.abs() > best.abs() { next } else { best }),
    })
}

/// The mean over the substitutions that have a score.
fn mean_magnitude(effects: &Effects) -> Option<f32> {
    let sizes: Vec<f32> = effects[..4].iter().flatten().map(|effect| effect.abs()).collect();
    (!sizes.is_empty()).then(|| sizes.iter().sum::<f32>() / sizes.len() as f32)
}

/// Stretches of bases that have a value, with the index of the first.
fn runs(values: &[Option<f32>]) -> Vec<(usize, Vec<f32>)> {
    let mut runs: Vec<(usize, Vec<f32>)> = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let Some(value) = *value else { continue };
        match runs.last_mut().filter(|(start, run)| start + run.len() == index) {
            Some((_, run)) => run.push(value),
            None => runs.push((index, vec![value])),
        }
    }
    runs
}

impl Report {
    fn count(&mut self, outcome: &VariantOutcome<'_>) {
        for allele in &outcome.alleles {
            self.alleles += 1;
            match &allele.outcome {
                Outcome::Scored(_) => self.scored += 1,
                Outcome::Skipped(skipped) => {
                    *self.skipped.entry(Skip::code(skipped.reason)).or_default() += 1;
                }
            }
        }
    }
}

/// One row per change and gene.
struct Table {
    rows: AlleleTable,
    path: PathBuf,
    scores: usize,
}

impl Table {
    fn create(request: &Request, text: &Text) -> Result<Self> {
        let path = request.table.clone();
        let bgzip = match VariantFormat::of(&path)? {
            None => false,
            Some(VariantFormat::Table { bgzip }) => bgzip,
            Some(_) => {
                return Err(Error::usage("changes of a region are written as a table")
                    .at(&path)
                    .expected("NAME.tsv, NAME.tsv.gz, or - for standard output"));
            }
        };
        let scores = text.columns();
        let mut columns =
            ["chrom", "pos", "ref", "alt", "gene", "strand"].map(String::from).to_vec();
        let count = scores.len();
        columns.extend(scores);
        columns.push("skip".to_string());
        Ok(Self { rows: AlleleTable::create(&path, bgzip, &[], &columns)?, path, scores: count })
    }

    fn write(&mut self, change: &Change, outcome: &VariantOutcome<'_>, text: &Text) -> Result<()> {
        let Variant { chrom, pos, reference, .. } = &change.variant;
        for allele in &outcome.alleles {
            let own = [chrom.clone(), pos.to_string(), reference.clone(), allele.allele.clone()];
            let row = |gene: &str, strand: &str, scores: Vec<String>, skip: &str| {
                let mut row = own.to_vec();
                row.extend([gene.to_string(), strand.to_string()]);
                row.extend(scores);
                row.push(skip.to_string());
                row
            };
            match &allele.outcome {
                Outcome::Skipped(skipped) => {
                    let nothing = vec![".".to_string(); self.scores];
                    self.rows.write(&row(".", ".", nothing, skipped.reason.code()))?;
                }
                Outcome::Scored(genes) => {
                    for gene in genes {
                        let strand = gene.strand.symbol().to_string();
                        self.rows.write(&row(gene.symbol(), &strand, text.cells(gene), "."))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn finish(self, report: &mut Report) -> Result<OutputFile> {
        report.outputs.push(Written { path: self.path, records: self.rows.rows() });
        self.rows.finish()
    }
}

/// What the picture shows.
#[derive(Default)]
struct Drawn {
    letters: Vec<u8>,
    effects: Vec<Effects>,
    importance: Vec<Option<f32>>,
}

impl Drawn {
    fn add(&mut self, letters: Vec<u8>, effects: Vec<Effects>, importance: Vec<Option<f32>>) {
        self.letters.extend(letters);
        self.effects.extend(effects);
        self.importance.extend(importance);
    }

    fn picture(&self, request: &Request, contig: &str) -> String {
        let Interval { start, end, .. } = request.region;
        let names = ["A", "C", "G", "T", "del"];
        let shown = if request.deletions { 5 } else { 4 };
        let rows: Vec<(String, Vec<Option<f32>>)> = (0..shown)
            .map(|place| {
                let effects = self.effects.iter().map(|effects| effects[place]).collect();
                (names[place].to_string(), effects)
            })
            .collect();
        draw(&Letters {
            title: &format!("{contig}:{}-{end}", start + 1),
            subtitle: &request.subtitle,
            contig,
            first: start + 1,
            letters: &self.letters,
            importance: &self.importance,
            rows: &rows,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn importance_is_the_mean_over_substitutions_that_have_a_score() {
        let effects = [Some(-0.5), None, Some(0.25), Some(0.0), Some(9.0)];
        assert_eq!(mean_magnitude(&effects), Some(0.25));
        assert_eq!(mean_magnitude(&[None, None, None, None, Some(1.0)]), None);
    }

    #[test]
    fn bases_without_a_value_part_the_runs() {
        let values = [None, Some(1.0), Some(2.0), None, Some(3.0)];
        assert_eq!(runs(&values), [(1, vec![1.0, 2.0]), (4, vec![3.0])]);
    }
}
