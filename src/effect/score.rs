//! Scores of variants.

use super::outcome::{
    AlleleOutcome, GeneScore, Outcome, Scores, Skipped, TrackScore, VariantOutcome, Window,
    WindowTrack,
};
use super::reading::Reading;
use super::reason::{Skip, Warning};
use super::rules::{self, Site};
use super::settings::{RefMismatch, Settings};
use super::stretches::{self, Pair, Task};
use super::{allele, delta, signed, usage};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::genome::genes::{Gene, Genes};
use crate::genome::{Reference, Strand, Variant};
use crate::model::Scheme;

/// Scores variants of one reference with one model.
///
/// A score is a function of the variant, the gene, the model and the settings alone: in which order
/// variants come, and with which others, changes nothing.
pub struct Scorer<'a> {
    reading: &'a Reading,
    engine: &'a dyn Engine,
    genes: Option<&'a Genes>,
    settings: Settings,
}

/// Where the scores of a task belong.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    variant: usize,
    allele: usize,
    target: usize,
    gene: Option<&'a Gene>,
}

/// The tasks of some variants, and the outcomes as far as they are known without computing.
struct Work<'a> {
    outcomes: Vec<VariantOutcome<'a>>,
    places: Vec<Place<'a>>,
    tasks: Vec<Task>,
}

impl<'a> Scorer<'a> {
    /// With an engine that was built for [`Reading::tracks`]; without genes every variant is scored
    /// on the strands of the settings.
    ///
    /// # Errors
    /// A usage error: settings that do not fit ([`Settings::checked`]).
    pub fn new(
        reading: &'a Reading,
        engine: &'a dyn Engine,
        genes: Option<&'a Genes>,
        settings: Settings,
    ) -> Result<Self> {
        let settings = settings.checked(reading.scheme(), genes.is_some())?;
        Ok(Self { reading, engine, genes, settings })
    }

    /// The settings, checked and put in order.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What computes.
    pub fn engine(&self) -> &'a dyn Engine {
        self.engine
    }

    /// What is read of the model.
    pub fn reading(&self) -> &Reading {
        self.reading
    }

    /// The genes that variants are looked for in, where there is an annotation.
    pub fn genes(&self) -> Option<&'a Genes> {
        self.genes
    }

    /// What becomes of each variant, in the order given.
    ///
    /// Memory grows with the number of variants and their windows are let go of as they are done, so
    /// that some thousand variants at once are fine; the more of them lie close together, the more
    /// they share.
    ///
    /// # Errors
    /// A failure to read the reference, a signal, a value of the network that is no finite number,
    /// or REF that differs from the reference under `--ref-mismatch error`.
    pub fn score(
        &self,
        reference: &mut Reference,
        variants: &[Variant],
    ) -> Result<Vec<VariantOutcome<'a>>> {
        let mut work = self.prepare(reference, variants)?;
        let (outcomes, places) = (&mut work.outcomes, &work.places);
        stretches::run(reference, self.engine, self.reading, &work.tasks, |index, pair| {
            let place = &places[index];
            let variant = &variants[place.variant];
            check_finite(&pair, variant)?;
            let allele = &mut outcomes[place.variant].alleles[place.allele];
            if 2 * pair.unknown.0 > pair.unknown.1 && !allele.warnings.contains(&Warning::ManyN) {
                allele.warnings.push(Warning::ManyN);
                allele.warnings.sort_unstable();
            }
            if let Outcome::Scored(genes) = &mut allele.outcome {
                genes[place.target].scores = self.scores(&work.tasks[index], &pair, place.gene);
            }
            Ok(())
        })?;
        Ok(work.outcomes)
    }

    /// The values that the scores of one variant are taken from, per ALT and gene that is scored.
    ///
    /// # Errors
    /// As [`Scorer::score`].
    pub fn windows(&self, reference: &mut Reference, variant: &Variant) -> Result<Vec<Window<'a>>> {
        let work = self.prepare(reference, std::slice::from_ref(variant))?;
        let mut windows: Vec<Option<Window<'a>>> = work.tasks.iter().map(|_| None).collect();
        stretches::run(reference, self.engine, self.reading, &work.tasks, |index, pair| {
            check_finite(&pair, variant)?;
            let (task, place) = (&work.tasks[index], &work.places[index]);
            windows[index] = Some(Window {
                allele: place.allele,
                gene: place.gene,
                strand: task.strand,
                contig: task.contig,
                start: task.first(),
                tracks: self.window_tracks(&pair),
            });
            Ok(())
        })?;
        Ok(windows.into_iter().flatten().collect())
    }

    /// Judges every allele and makes tasks of those that are scored.
    fn prepare(&self, reference: &mut Reference, variants: &[Variant]) -> Result<Work<'a>> {
        let mut work = Work { outcomes: Vec::new(), places: Vec::new(), tasks: Vec::new() };
        for (index, variant) in variants.iter().enumerate() {
            let alleles = self.prepare_one(reference, variant, index, &mut work)?;
            work.outcomes.push(VariantOutcome { alleles });
        }
        Ok(work)
    }

    fn prepare_one(
        &self,
        reference: &mut Reference,
        variant: &Variant,
        index: usize,
        work: &mut Work<'a>,
    ) -> Result<Vec<AlleleOutcome<'a>>> {
        let targets = self.targets(variant);
        let genes: Vec<Option<&Gene>> = targets.iter().map(|(gene, _)| *gene).collect();
        let length = variant.contig.map(|contig| reference.contigs().length(contig));
        let bases = bases(reference, variant, length)?;
        let on_contig = |genes: &Genes| variant.contig.is_some_and(|id| genes.has_contig(id));
        let site = Site {
            variant,
            length,
            annotated: self.genes.is_none_or(on_contig),
            targets: &genes,
            bases: &bases,
            flank: self.reading.reach(),
            settings: &self.settings,
        };
        let missing = [".".to_string()];
        let alternates: &[String] =
            if variant.alternates.is_empty() { &missing } else { &variant.alternates };
        let mut alleles = Vec::with_capacity(alternates.len());
        for (allele, alt) in alternates.iter().enumerate() {
            let (outcome, warnings) = match rules::judge(&site, alt, allele) {
                Some(skipped) => {
                    refuse_mismatch(&self.settings, variant, &skipped)?;
                    (Outcome::Skipped(skipped), Vec::new())
                }
                None => {
                    let task = self.task(&site, alt)?;
                    let warnings = self.warnings(reference, &site, &task)?;
                    let place = |target, gene| Place { variant: index, allele, target, gene };
                    for (target, &(gene, strand)) in targets.iter().enumerate() {
                        work.places.push(place(target, gene));
                        let span = gene.filter(|_| self.masks_sequence());
                        let gene = span.map(|gene| (gene.span.start, gene.span.end));
                        work.tasks.push(Task { strand, gene, ..task.clone() });
                    }
                    let unscored = |&(gene, strand)| GeneScore { gene, strand, scores: vec![] };
                    (Outcome::Scored(targets.iter().map(unscored).collect()), warnings)
                }
            };
            alleles.push(AlleleOutcome { allele: alt.clone(), outcome, warnings });
        }
        Ok(alleles)
    }

    /// Genes at POS, or the strands of the settings where there is no annotation.
    fn targets(&self, variant: &Variant) -> Vec<(Option<&'a Gene>, Strand)> {
        let Some(genes) = self.genes else {
            return self.settings.strands.iter().map(|&strand| (None, strand)).collect();
        };
        let Some((contig, start)) = variant.contig.zip(variant.start()) else { return vec![] };
        let mut targets: Vec<_> =
            genes.at(contig, start).map(|gene| (Some(gene), gene.strand)).collect();
        if self.is_usage() {
            // A3 goes through the strands one after the other.
            targets.sort_by_key(|(_, strand)| *strand);
        }
        targets
    }

    fn is_usage(&self) -> bool {
        matches!(self.reading.scheme(), Some(Scheme::SpliceUsage { .. }))
    }

    /// Whether bases outside the gene are read as N (A1) or as they are (A3).
    fn masks_sequence(&self) -> bool {
        matches!(self.reading.scheme(), Some(Scheme::SpliceDelta { .. }))
    }

    /// What is computed for an allele, but for strand and gene.
    fn task(&self, site: &Site<'_, 'a>, alt: &str) -> Result<Task> {
        let Site { variant, .. } = site;
        let no_place = || Error::new("a variant without a place was to be scored");
        let (contig, start) = variant.contig.zip(variant.start()).ok_or_else(no_place)?;
        let distance = self.settings.distance;
        let removed = variant.reference.len();
        let upper = |text: &str| text.to_ascii_uppercase().into_bytes();
        Ok(Task {
            contig,
            strand: Strand::Plus,
            gene: None,
            start: start.cast_signed(),
            removed,
            inserted: upper(alt),
            believed: rules::difference(site).map(|_| upper(&variant.reference)),
            left: distance,
            // Rows of A1 are centred on POS, those of A3 go around all of REF.
            right: if self.is_usage() { distance + removed } else { distance + 1 },
        })
    }

    fn warnings(
        &self,
        reference: &mut Reference,
        site: &Site<'_, 'a>,
        task: &Task,
    ) -> Result<Vec<Warning>> {
        let mut warnings = Vec::new();
        if task.inserted.contains(&b'N') {
            warnings.push(Warning::NInAlt);
        }
        let reads = task.reads(self.reading.reach());
        let length = site.length.unwrap_or(0).cast_signed();
        let beyond = (-reads.start).max(0) + (reads.end - length).max(0);
        if beyond > 0 {
            let beyond = usize::try_from(beyond).expect("not more than a window");
            warnings.push(Warning::ContigEdge(beyond));
        }
        if let Some(grown) = task.inserted.len().checked_sub(task.removed).filter(|n| *n > 0) {
            let (start, end) = (task.start, task.start + signed(task.removed));
            let letters =
                reference.fetch(task.contig, start - signed(grown), end + signed(grown))?;
            let letters = letters.to_ascii_uppercase();
            if allele::duplicates(&letters, grown, task.removed, &task.inserted) {
                warnings.push(Warning::DuplicatingInsertion);
            }
        }
        if task.believed.is_some() {
            warnings.push(Warning::RefMismatch);
        }
        warnings.sort_unstable();
        Ok(warnings)
    }

    /// The scores under every mask.
    fn scores(&self, task: &Task, pair: &Pair, gene: Option<&Gene>) -> Vec<Scores> {
        let (position, distance) = (task.start, self.settings.distance);
        match self.reading.scheme() {
            Some(Scheme::SpliceDelta { .. }) => {
                let channel = |c: usize| (&pair.reference[c][..], &pair.alternative[c][..]);
                let sites = delta::Sites { position, distance, channels: [channel(0), channel(1)] };
                let score = |&mask| delta::score(&sites, gene, mask, self.settings.mask_tss);
                self.settings.masks.iter().map(score).map(Scores::Delta).collect()
            }
            Some(Scheme::SpliceUsage { .. }) => {
                let tracks = self.window_tracks(pair);
                let differences: Vec<Vec<f32>> =
                    tracks.into_iter().map(|track| track.difference).collect();
                let score = |&mask| usage::score(&differences, position, distance, gene, mask);
                self.settings.masks.iter().map(score).map(Scores::Usage).collect()
            }
            None => {
                let score = |track: WindowTrack| {
                    let sizes = track.difference.iter().map(|difference| difference.abs());
                    let (row, _) = delta::first_largest(sizes);
                    let difference = track.difference.get(row).copied().unwrap_or(0.0);
                    TrackScore { difference, position: signed(row) - signed(distance) }
                };
                vec![Scores::Tracks(self.window_tracks(pair).into_iter().map(score).collect())]
            }
        }
    }

    fn window_tracks(&self, pair: &Pair) -> Vec<WindowTrack> {
        window_tracks(self.reading, pair)
    }
}

/// The tracks of a reading before and after an edit; differences are averaged over members.
pub(super) fn window_tracks(reading: &Reading, pair: &Pair) -> Vec<WindowTrack> {
    reading
        .groups()
        .iter()
        .map(|group| {
            let members = group.channels.clone();
            let differences = members.clone().map(|channel| {
                let rows = pair.reference[channel].iter().zip(&pair.alternative[channel]);
                rows.map(|(reference, alternative)| alternative - reference).collect::<Vec<f32>>()
            });
            let of = |tracks: &[Vec<f32>]| mean(members.clone().map(|c| tracks[c].clone()));
            WindowTrack {
                name: group.name.clone(),
                reference: of(&pair.reference),
                alternative: of(&pair.alternative),
                difference: mean(differences),
            }
        })
        .collect()
}

/// The mean of rows, summed in f32 in the order given and divided once.
fn mean(mut lists: impl ExactSizeIterator<Item = Vec<f32>>) -> Vec<f32> {
    let count = lists.len() as f32;
    let mut sum = lists.next().unwrap_or_default();
    for list in lists {
        sum.iter_mut().zip(list).for_each(|(sum, value)| *sum += value);
    }
    sum.iter_mut().for_each(|value| *value /= count);
    sum
}

/// Stops where REF differs from the reference and that is to end the run.
pub(super) fn refuse_mismatch(
    settings: &Settings,
    variant: &Variant,
    skipped: &Skipped<'_>,
) -> Result<()> {
    if skipped.reason != Skip::RefMismatch || settings.ref_mismatch != RefMismatch::Error {
        return Ok(());
    }
    let what = format!("{}:{}: {}", variant.chrom, variant.pos, skipped.detail);
    Err(at_line(
        variant,
        Error::new(what).remedy(
            "use the reference that the variants were called on, or choose --ref-mismatch skip or \
             use-vcf",
        ),
    ))
}

/// What the reference has in place of REF, in capitals.
pub(super) fn bases(
    reference: &mut Reference,
    variant: &Variant,
    length: Option<u64>,
) -> Result<Vec<u8>> {
    let place = variant.contig.zip(variant.start()).zip(length);
    let Some(((contig, start), length)) = place.filter(|((_, start), l)| start < l) else {
        return Ok(Vec::new());
    };
    let end = start.saturating_add(variant.reference.len() as u64).min(length);
    let bases = reference.fetch(contig, start.cast_signed(), end.cast_signed())?;
    Ok(bases.to_ascii_uppercase())
}

/// A value that is no finite number is an error of the model, never a printed value.
fn check_finite(pair: &Pair, variant: &Variant) -> Result<()> {
    let mut values = pair.reference.iter().chain(&pair.alternative).flatten();
    match values.find(|value| !value.is_finite()) {
        None => Ok(()),
        Some(value) => Err(at_line(
            variant,
            Error::new(format!(
                "the network has no finite value around {}:{}",
                variant.chrom, variant.pos
            ))
            .found(value)
            .remedy("check where the model comes from, or choose other members"),
        )),
    }
}

/// The failure with the line of the record, where it came from a file.
pub(super) fn at_line(variant: &Variant, error: Error) -> Error {
    if variant.line > 0 { error.line(variant.line) } else { error }
}
