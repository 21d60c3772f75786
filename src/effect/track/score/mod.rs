//! Effects of variants on tracks: the scorer. What is read of a variant is in `place`, how an engine
//! is asked in `run`, what comes of its values in `values`, what they are compared with in `peaks` and
//! `shuffled`.

mod peaks;
mod place;
mod run;
mod shuffled;
mod values;

use super::background::{Background, Null};
use super::column::{Column, Values};
use super::letters::Shape;
use super::reading::TrackReading;
use super::settings::{Combine, StrandAverage, TrackSettings, WindowRule};
use crate::effect::outcome::{GeneScore, Outcome, Scores, VariantOutcome, Window, WindowTrack};
use crate::effect::reason::Warning;
use crate::engine::Engine;
use crate::error::Result;
use crate::genome::{Interval, Reference, Region, Variant};
use values::mean_values;

/// The effect of one allele on one task.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackEffect {
    /// Name of the task.
    pub task: String,
    /// Its numbers.
    pub values: Values,
    /// p-values in the order of [`Null::tested`]; empty without shuffled sequences.
    pub p: Vec<Option<f64>>,
}

/// Scores variants of one reference by what they do to the tracks of one model.
///
/// A score is a function of the variant, the model, the settings and what it is compared with: in
/// which order variants come, and with which others, changes nothing.
pub struct TrackScorer<'a> {
    reading: &'a TrackReading,
    engine: &'a dyn Engine,
    settings: TrackSettings,
    shape: Shape,
    /// `[task][member]`, or none.
    background: Vec<Vec<Background>>,
    /// Sorted, apart from each other.
    features: Option<Vec<Interval>>,
    null: Option<Null>,
}

impl<'a> TrackScorer<'a> {
    /// With an engine that was built for [`TrackReading::wanted`].
    ///
    /// # Errors
    /// A usage error: settings that do not fit ([`TrackSettings::check`]).
    pub fn new(
        reading: &'a TrackReading,
        engine: &'a dyn Engine,
        settings: TrackSettings,
    ) -> Result<Self> {
        settings.check()?;
        let shape = match reading.window() {
            Some(frame) => {
                let left = usize::from(settings.window == WindowRule::Basenji);
                let anchor = frame.anchor.saturating_sub(left);
                Shape::Window { frame, anchor, indel: settings.indel }
            }
            None => {
                let own = reading.reach();
                let reach = own.hull(engine.reach());
                Shape::Rows { distance: settings.distance, reach, strand: settings.strand }
            }
        };
        let (background, features, null) = (Vec::new(), None, None);
        Ok(Self { reading, engine, settings, shape, background, features, null })
    }

    /// Restricts `log_sed` to some regions.
    pub fn with_features(mut self, regions: &[Region]) -> Self {
        let mut features: Vec<Interval> = regions.iter().map(|region| region.interval).collect();
        features.sort_unstable_by_key(|f| (f.contig, f.start, f.end));
        let mut apart: Vec<Interval> = Vec::with_capacity(features.len());
        for feature in features {
            match apart.last_mut() {
                Some(last) if last.contig == feature.contig && feature.start <= last.end => {
                    last.end = last.end.max(feature.end);
                }
                _ => apart.push(feature),
            }
        }
        self.features = Some(apart);
        self
    }

    /// The settings.
    pub fn settings(&self) -> &TrackSettings {
        &self.settings
    }

    /// What is read of the model.
    pub fn reading(&self) -> &TrackReading {
        self.reading
    }

    /// What runs the network.
    pub fn engine(&self) -> &dyn Engine {
        self.engine
    }

    /// The pool that scores are compared with, if there is one.
    pub fn null(&self) -> Option<&Null> {
        self.null.as_ref()
    }

    /// The columns that the scores have, in the order in which they are written.
    pub fn columns(&self) -> Vec<Column> {
        let own = |column: &Column| match column {
            Column::LogfcSd => {
                self.reading.members() > 1 && self.settings.combine == Combine::Scores
            }
            Column::JeffreysHalfNats => self.settings.basenji,
            column => !column.needs_background() || !self.background.is_empty(),
        };
        Column::ALL.into_iter().filter(own).collect()
    }

    /// Members that are scored apart.
    fn pools(&self) -> usize {
        match self.settings.combine {
            Combine::Scores => self.reading.members(),
            Combine::Predictions => 1,
        }
    }

    fn both_strands(&self) -> bool {
        self.reading.is_windowed() && self.settings.strands != StrandAverage::None
    }

    /// What becomes of each variant, in the order given.
    ///
    /// # Errors
    /// A failure to read the reference, a signal, a value of the network that is no finite number,
    /// or REF that differs from the reference under `--ref-mismatch error`.
    pub fn score<'g>(
        &self,
        reference: &mut Reference,
        variants: &[Variant],
    ) -> Result<Vec<VariantOutcome<'g>>> {
        let mut outcomes = Vec::with_capacity(variants.len());
        let mut places = Vec::new();
        for (index, variant) in variants.iter().enumerate() {
            let (alleles, place) = self.prepare(reference, variant, index)?;
            outcomes.push(VariantOutcome { alleles });
            places.extend(place);
        }
        self.run(&places, |place, number, given| {
            let case = &place.cases[number];
            given.check_finite(&variants[case.variant])?;
            let effects = self.effects(place, case, &given);
            let allele = &mut outcomes[case.variant].alleles[case.allele];
            if 2 * place.unknown.0 > place.unknown.1 {
                allele.warnings.push(Warning::ManyN);
                allele.warnings.sort_unstable();
            }
            let strand = self.settings.strand;
            let scores = effects.into_iter().map(|effect| GeneScore {
                gene: None,
                strand,
                scores: vec![Scores::Effect(Box::new(effect))],
            });
            allele.outcome = Outcome::Scored(scores.collect());
            Ok(())
        })?;
        Ok(outcomes)
    }

    /// The tracks of a variant before and after it, per ALT that is scored; over members the mean.
    ///
    /// # Errors
    /// As [`TrackScorer::score`].
    pub fn windows<'g>(
        &self,
        reference: &mut Reference,
        variant: &Variant,
    ) -> Result<Vec<Window<'g>>> {
        let (_, place) = self.prepare(reference, variant, 0)?;
        let mut windows = Vec::new();
        self.run(place.as_slice(), |place, number, given| {
            let case = &place.cases[number];
            let pairs = self.pairs(&case.change);
            let mut tracks = Vec::new();
            for task in self.reading.list() {
                let means = mean_values(&self.predictions(task, &given));
                let [before, after] = means;
                for ((name, before), after) in task.tracks.iter().zip(before).zip(after) {
                    let mut aligned = vec![0.0; before.len()];
                    pairs.positions().for_each(|(r, a)| aligned[r] = after[a] as f32);
                    let reference: Vec<f32> = before.iter().map(|&x| x as f32).collect();
                    let differences = aligned.iter().zip(&reference).map(|(a, r)| a - r);
                    let difference = differences.collect();
                    let name = name.clone();
                    tracks.push(WindowTrack { name, reference, alternative: aligned, difference });
                }
            }
            windows.push(Window {
                allele: case.allele,
                gene: None,
                strand: self.settings.strand,
                contig: place.contig,
                start: self.shape.first_output(place.start),
                tracks,
            });
            Ok(())
        })?;
        Ok(windows)
    }
}
