//! Saturation mutagenesis: every substitution of a region, and every deletion of one base if
//! wanted, scored like variants.

mod beside;
mod table;

pub(super) use beside::{Beside, Ending, check};
pub(super) use table::finished;

use super::outcome::{Outcome, VariantOutcome};
use super::reason::Skip;
use super::score::Scorer;
use super::text::Text;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::genome::{Contigs, Interval, Reference, Variant};
use crate::job::journal::Settings;
use crate::job::output::keeps_parts;
use crate::job::shard::{Shard, Share};
use crate::job::summary::Written;
use crate::job::{Lock, OutputFile, Progress, digest, signal};
use crate::track::Style;
use std::collections::BTreeMap;
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
        check(self.region, &self.table, self.plot.as_deref(), self.shard)?;
        let other = self.importance.as_ref().or(self.plot.as_ref());
        if let (true, Some(other)) = (self.resume, other) {
            return Err(Error::usage("only the table of changes can be resumed")
                .at(other)
                .remedy("leave out --resume"));
        }
        if self.resume && OutputFile::part_of(&self.table)?.is_none() {
            return Err(Error::usage("what can be resumed is written to a regular file")
                .at(&self.table)
                .remedy("name a file"));
        }
        Ok(())
    }

    /// What decides the bytes of the outputs.
    fn settings(&self, reference: &Reference, engine: &dyn Engine) -> Result<Settings> {
        let decimals = self.style.rounding.decimals();
        let mut settings =
            settings(&self.identity, reference, engine, (self.region, decimals), self.shard)?;
        settings.insert("deletions".into(), self.deletions.to_string());
        Ok(settings)
    }

    /// The files that are written, but for indexes.
    pub fn output_paths(&self) -> Vec<&std::path::Path> {
        let others = self.importance.iter().chain(&self.plot);
        std::iter::once(&self.table).chain(others).map(PathBuf::as_path).collect()
    }
}

/// What decides the bytes of the outputs of a region, beside what `identity` says.
pub(super) fn settings(
    identity: &Settings,
    reference: &Reference,
    engine: &dyn Engine,
    (region, decimals): (Interval, u8),
    shard: Option<Shard>,
) -> Result<Settings> {
    let mut settings = identity.clone();
    let mut set = |name: &str, value: String| settings.insert(name.into(), value);
    let Interval { contig, start, end } = region;
    set("program version", env!("CARGO_PKG_VERSION").into());
    set("engine", engine.describe());
    set("reference", digest::of_reference(reference)?);
    set("region", format!("{}:{}-{end}", reference.contigs().name(contig), start + 1));
    set("decimals", decimals.to_string());
    if let Some(shard) = shard {
        set("shard", shard.to_string());
        set("reference file", digest::of_file(reference.path())?);
    }
    Ok(settings)
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
    let text = Text::new(scorer.reading(), scorer.settings());
    let settings = request.settings(reference, scorer.engine())?;
    let contigs = reference.contigs().clone();
    let _lock = Lock::take(&request.table)?;
    let (table, done) = Table::open(request, &text, &settings)?;
    let (importance, plot) = (request.importance.as_ref(), request.plot.as_ref());
    let beside = Beside::open(importance, plot, &contigs, &request.style)?;
    let shard = request.shard.map(|shard| (shard, share(region, shard, &contigs), settings));
    let own = shard.as_ref().map_or(region, |(_, share, _)| part(region, share));
    let mut report = Report { bases: own.len(), ..Report::default() };
    let mut left = own;
    if let Some(done) = done {
        tracing::info!("resuming after {} of {} bases", done.end - own.start, own.len());
        (left.start, report) = (done.end, done.report(own.len()));
    }
    let mut outputs = Outputs { table, beside };
    progress.start(left.len());
    let worked =
        score_all(reference, scorer, request, left, &text, &mut outputs, &mut report, progress);
    progress.finish();
    let Outputs { table, beside } = outputs;
    if let Err(error) = worked {
        table.abandon(keeps_parts(&error));
        return Err(error);
    }
    let (subtitle, deletions) = (&request.subtitle, request.deletions);
    let ending = Ending { region, contigs: &contigs, subtitle, deletions, shard };
    beside.finish(table.finish()?, ending, &mut report)?;
    Ok(report)
}

/// What is written while changes are scored.
struct Outputs {
    table: Table,
    beside: Beside,
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
        let matters = effects.iter().map(mean_magnitude).collect();
        outputs.beside.add((region.contig, start), &letters, effects, matters)?;
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

/// The bases that a share of a region has.
pub(super) fn part(region: Interval, share: &Share) -> Interval {
    let (start, end) = (region.start + share.from, region.start + share.to);
    Interval { start, end, ..region }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn importance_is_the_mean_over_substitutions_that_have_a_score() {
        let effects = [Some(-0.5), None, Some(0.25), Some(0.0), Some(9.0)];
        assert_eq!(mean_magnitude(&effects), Some(0.25));
        assert_eq!(mean_magnitude(&[None, None, None, None, Some(1.0)]), None);
    }
}
