//! Saturation mutagenesis: every substitution of a region, and every deletion of one base if
//! wanted, scored like variants.

mod table;

use super::outcome::{Outcome, VariantOutcome};
use super::reason::Skip;
use super::score::Scorer;
use super::text::Text;
use crate::error::{Error, Result};
use crate::genome::{Contigs, Interval, Reference, Variant};
use crate::job::journal::Settings;
use crate::job::manifest::{Finished, Join, Manifest, Role};
use crate::job::output::{commit_all, keeps_parts};
use crate::job::shard::{Shard, Share};
use crate::job::summary::Written;
use crate::job::{Lock, OutputFile, Progress, digest, signal};
use crate::picture::letters::{Letters, draw};
use crate::track::{self, Segment, Sink, Style};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use table::Table;

/// Bases that are mutated at a time; their windows overlap, so that most is computed once.
pub(super) const CHUNK: u64 = 256;
/// Longest region of a picture, in bases: beyond, a letter is thinner than three pixels.
pub const MAX_PLOT: u64 = 1000;
pub(super) const BASES: [u8; 4] = *b"ACGT";

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
    /// Do this part of the region alone, and write a manifest beside the table.
    pub shard: Option<Shard>,
    /// Continue an interrupted run of the same request, if one left its parts.
    pub resume: bool,
    /// What decides the content of the outputs, such as the hash of the model.
    pub identity: Settings,
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
    /// Refuses what cannot be meant, before any work.
    fn check(&self) -> Result<()> {
        if let (Some(_), Some(plot)) = (self.shard, &self.plot) {
            return Err(Error::usage("a shard draws no picture of a region that it has a part of")
                .at(plot)
                .remedy("leave out --plot"));
        }
        let other = self.importance.as_ref().or(self.plot.as_ref());
        if let (true, Some(other)) = (self.resume, other) {
            return Err(Error::usage("only the table of changes can be resumed")
                .at(other)
                .remedy("leave out --resume"));
        }
        if (self.shard.is_some() || self.resume) && OutputFile::part_of(&self.table)?.is_none() {
            return Err(Error::usage(
                "a shard, and what can be resumed, is written to a regular file",
            )
            .at(&self.table)
            .remedy("name a file"));
        }
        Ok(())
    }

    /// What decides the bytes of the outputs.
    fn settings(&self, reference: &Reference, scorer: &Scorer<'_>) -> Result<Settings> {
        let mut settings = self.identity.clone();
        let mut set = |name: &str, value: String| settings.insert(name.into(), value);
        let Interval { contig, start, end } = self.region;
        set("program version", env!("CARGO_PKG_VERSION").into());
        set("engine", scorer.engine().describe());
        set("reference", digest::of_reference(reference)?);
        set("region", format!("{}:{}-{end}", reference.contigs().name(contig), start + 1));
        set("deletions", self.deletions.to_string());
        set("decimals", self.style.rounding.decimals().to_string());
        if let Some(shard) = self.shard {
            set("shard", shard.to_string());
            set("reference file", digest::of_file(reference.path())?);
        }
        Ok(settings)
    }

    /// The files that are written, but for indexes.
    pub fn output_paths(&self) -> Vec<&std::path::Path> {
        let others = self.importance.iter().chain(&self.plot);
        std::iter::once(&self.table).chain(others).map(PathBuf::as_path).collect()
    }
}

/// Effects at one base: that of each substitution by A, C, G, T, and of its deletion. None where
/// there is no score, as at the base itself.
pub(super) type Effects = [Option<f32>; 5];

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
    request.check()?;
    if request.plot.is_some() && region.len() > MAX_PLOT {
        return Err(Error::usage("the region is too long for a picture of its letters")
            .found(format!("{} bases", region.len()))
            .expected(format!("at most {MAX_PLOT}"))
            .remedy("draw a part of it, or leave out --plot"));
    }
    let text = Text::new(scorer.reading(), scorer.settings());
    let settings = request.settings(reference, scorer)?;
    let contigs = reference.contigs().clone();
    let _lock = Lock::take(&request.table)?;
    let (table, done) = Table::open(request, &text, &settings)?;
    let open = |path: &PathBuf| track::open(path, &contigs, &request.style, None);
    let importance = request.importance.as_ref().map(open).transpose()?;
    let plot = request.plot.as_ref().map(|path| OutputFile::create(path)).transpose()?;
    let share = request.shard.map(|shard| share(region, shard, &contigs));
    let mut own = region;
    if let Some(share) = &share {
        (own.start, own.end) = (region.start + share.from, region.start + share.to);
    }
    let mut report = Report { bases: own.len(), ..Report::default() };
    let mut left = own;
    if let Some(done) = done {
        tracing::info!("resuming after {} of {} bases", done.end - own.start, own.len());
        (left.start, report) = (done.end, done.report(own.len()));
    }
    let mut outputs = Outputs { table, importance, drawn: plot.is_some().then(Drawn::default) };
    progress.start(left.len());
    let worked =
        score_all(reference, scorer, request, left, &text, &mut outputs, &mut report, progress);
    progress.finish();
    let Outputs { table, importance, drawn } = outputs;
    if let Err(error) = worked {
        table.abandon(keeps_parts(&error));
        return Err(error);
    }
    let mut finished = vec![table.finish(&mut report)?];
    if let (Some(mut sink), Some(path)) = (importance, &request.importance) {
        sink.finish()?;
        let records = sink.records();
        report.outputs.push(Written { path: path.clone(), records });
        let (role, join) = (Role::Importance, Join::Values);
        finished.push(Finished { role, join, records, files: sink.into_files() });
    }
    if let (Some(share), Some(shard)) = (share, request.shard) {
        let mut manifest = Manifest::new("mutate", shard, share, settings);
        manifest.contigs =
            contigs.iter().map(|(_, name, length)| (name.to_owned(), length)).collect();
        manifest.commit(&request.table, finished)?;
        return Ok(report);
    }
    let mut files: Vec<OutputFile> = finished.into_iter().flat_map(|output| output.files).collect();
    if let (Some(mut file), Some(path), Some(drawn)) = (plot, &request.plot, drawn) {
        let picture = drawn.picture(
            region,
            &request.subtitle,
            contigs.name(region.contig),
            request.deletions,
        );
        file.write_all(picture.as_bytes()).map_err(|e| file.error(e))?;
        report.outputs.push(Written { path: path.clone(), records: 1 });
        files.push(file);
    }
    commit_all(files)?;
    Ok(report)
}

/// What is written while changes are scored.
struct Outputs {
    table: Table,
    importance: Option<Box<dyn Sink>>,
    drawn: Option<Drawn>,
}

#[expect(clippy::too_many_arguments, reason = "the state of the walk over one region")]
fn score_all(
    reference: &mut Reference,
    scorer: &Scorer<'_>,
    request: &Request,
    region: Interval,
    text: &Text,
    outputs: &mut Outputs,
    report: &mut Report,
    progress: &Progress,
) -> Result<()> {
    let mut start = region.start;
    while start < region.end {
        signal::check()?;
        let end = region.end.min(start + CHUNK);
        let part = Interval { start, end, ..region };
        let (letters, changes) = changes(reference, part, request.deletions)?;
        report.unknown += letters.iter().filter(|base| !BASES.contains(base)).count() as u64;
        let variants: Vec<Variant> = changes.iter().map(|change| change.variant.clone()).collect();
        let outcomes = scorer.score(reference, &variants)?;
        let mut effects: Vec<Effects> = vec![[None; 5]; letters.len()];
        for (change, outcome) in changes.iter().zip(&outcomes) {
            report.count(outcome);
            outputs.table.write(change, outcome, text)?;
            for (place, effect) in change.places.iter().zip(strongest(outcome)) {
                effects[change.base][*place] = effect;
            }
        }
        let matters: Vec<Option<f32>> = effects.iter().map(mean_magnitude).collect();
        if let Some(sink) = &mut outputs.importance {
            for (at, values) in runs(&matters) {
                let segment =
                    Segment { contig: region.contig, start: start + at as u64, values: &values };
                sink.write(segment)?;
            }
        }
        if let Some(drawn) = &mut outputs.drawn {
            drawn.add(letters, effects, matters);
        }
        progress.advance(end - start);
        start = end;
        outputs.table.checkpoint(end, report)?;
    }
    Ok(())
}

/// What a shard does of a region, in bases; cut where chunks end.
pub fn share(region: Interval, shard: Shard, contigs: &Contigs) -> Share {
    let chunks = region.len().div_ceil(CHUNK);
    let ends: Vec<u64> = (1..=chunks).map(|chunk| (chunk * CHUNK).min(region.len())).collect();
    let pieces = shard.pieces(&ends);
    let base = |piece: usize| piece.checked_sub(1).map_or(0, |last| ends[last]);
    let (from, to) = (base(pieces.start), base(pieces.end));
    let tell = |base: u64| match pieces.is_empty() {
        true => String::new(),
        false => format!("{}:{base}", contigs.name(region.contig)),
    };
    let (begins, ends) = (tell(region.start + from + 1), tell(region.start + to));
    Share { unit: "bases".into(), from, to, of: region.len(), begins, ends }
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
pub(super) fn mean_magnitude(effects: &Effects) -> Option<f32> {
    let sizes: Vec<f32> = effects[..4].iter().flatten().map(|effect| effect.abs()).collect();
    (!sizes.is_empty()).then(|| sizes.iter().sum::<f32>() / sizes.len() as f32)
}

/// Stretches of bases that have a value, with the index of the first.
pub(super) fn runs(values: &[Option<f32>]) -> Vec<(usize, Vec<f32>)> {
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

/// What the picture shows.
#[derive(Default)]
pub(super) struct Drawn {
    letters: Vec<u8>,
    effects: Vec<Effects>,
    importance: Vec<Option<f32>>,
}

impl Drawn {
    pub(super) fn add(
        &mut self,
        letters: Vec<u8>,
        effects: Vec<Effects>,
        importance: Vec<Option<f32>>,
    ) {
        self.letters.extend(letters);
        self.effects.extend(effects);
        self.importance.extend(importance);
    }

    pub(super) fn picture(
        &self,
        region: Interval,
        subtitle: &str,
        contig: &str,
        deletions: bool,
    ) -> String {
        let Interval { start, end, .. } = region;
        let names = ["A", "C", "G", "T", "del"];
        let shown = if deletions { 5 } else { 4 };
        let rows: Vec<(String, Vec<Option<f32>>)> = (0..shown)
            .map(|place| {
                let effects = self.effects.iter().map(|effects| effects[place]).collect();
                (names[place].to_string(), effects)
            })
            .collect();
        draw(&Letters {
            title: &format!("{contig}:{}-{end}", start + 1),
            subtitle,
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
