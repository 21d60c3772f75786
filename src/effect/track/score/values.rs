//! The values of a variant: what each member predicts before and after, and the scores of that.

use super::place::{Case, Place};
use super::run::Given;
use super::{TrackEffect, TrackScorer};
use crate::effect::signed;
use crate::effect::track::column::{Column, Values};
use crate::effect::track::letters::Change;
use crate::effect::track::measure::{Options, Prediction, measure};
use crate::effect::track::pairs::Pairs;
use crate::effect::track::reading::{Raw, Task, combine};
use crate::effect::track::settings::Combine;
use crate::engine;
use crate::genome::{Interval, Strand};

impl TrackScorer<'_> {
    /// What each member, or their average, predicts before and after.
    pub(super) fn predictions(&self, task: &Task, given: &Given<'_>) -> Vec<[Prediction; 2]> {
        let minus = !self.reading.is_windowed() && self.settings.strand == Strand::Minus;
        let raws = |member: usize| -> [Vec<Raw>; 2] {
            let one = |values: &engine::Values| match minus {
                true => task.reverse(member, values),
                false => task.forward(member, values),
            };
            let mut both = [vec![one(given.before)], vec![one(given.after)]];
            if let Some((before, after)) = given.reverse {
                both[0].push(task.reverse(member, before));
                both[1].push(task.reverse(member, after));
            }
            both
        };
        let strands = self.settings.strands;
        let members = (0..self.reading.members()).map(raws);
        match self.settings.combine {
            Combine::Scores => {
                members.map(|both| both.map(|raws| combine(raws, strands))).collect()
            }
            Combine::Predictions => {
                let mut all = [Vec::new(), Vec::new()];
                for both in members {
                    all.iter_mut().zip(both).for_each(|(all, raws)| all.extend(raws));
                }
                vec![all.map(|raws| combine(raws, strands))]
            }
        }
    }

    pub(super) fn pairs(&self, change: &Change) -> Pairs {
        let lengths = [self.shape.outputs(), self.shape.outputs_after(change)];
        Pairs::new(lengths, self.shape.moved(change))
    }

    /// The scores of each member for one task, and what it predicts.
    pub(super) fn members(
        &self,
        place: &Place,
        case: &Case,
        given: &Given<'_>,
        index: usize,
        task: &Task,
    ) -> Vec<(Values, [Prediction; 2])> {
        let pairs = self.pairs(&case.change);
        let first = self.shape.first_output(place.start);
        let features = self.features.as_ref().map(|f| mask(f, place, first, &pairs));
        let options = Options {
            pseudocount: self.settings.pseudocount,
            features: features.as_ref().map(|[before, after]| [&before[..], &after[..]]),
            basenji: self.settings.basenji,
        };
        let start = first - place.start;
        let one = |(member, both): (usize, [Prediction; 2])| {
            let mut values = measure(&both[0], &both[1], &pairs, start, options);
            if let Some(background) = self.background.get(index) {
                background[member].compare(&mut values);
            }
            values.multiply();
            (values, both)
        };
        self.predictions(task, given).into_iter().enumerate().map(one).collect()
    }

    /// The effects of a case on all tasks.
    pub(super) fn effects(
        &self,
        place: &Place,
        case: &Case,
        given: &Given<'_>,
    ) -> Vec<TrackEffect> {
        let one = |(index, task): (usize, &Task)| {
            let members = self.members(place, case, given, index, task);
            let (all, predictions): (Vec<Values>, Vec<[Prediction; 2]>) =
                members.into_iter().unzip();
            let mut values = Values::mean(&all);
            if all.len() > 1 {
                values.set(Column::LogfcSd, deviation(&all));
                // a mean of positions would be none
                let [before, after] = mean_values(&predictions);
                let (at, difference) = self.pairs(&case.change).largest(&before, &after);
                let from = self.shape.first_output(place.start) - place.start;
                values.set(Column::MaxAbsDiff, Some(difference));
                values.set(Column::MaxAbsPos, Some((from + signed(at)) as f64));
            }
            let p = self.null.as_ref().map(|null| null.p_values(index, &all));
            TrackEffect { task: task.name.clone(), values, p: p.unwrap_or_default() }
        };
        self.reading.list().iter().enumerate().map(one).collect()
    }
}

/// Standard deviation of `logfc` over members, with n − 1.
fn deviation(all: &[Values]) -> Option<f64> {
    let logs: Vec<f64> =
        all.iter().map(|values| values.get(Column::Logfc)).collect::<Option<_>>()?;
    let mean = logs.iter().sum::<f64>() / logs.len() as f64;
    let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
    Some((squares / (logs.len() as f64 - 1.0)).sqrt())
}

/// The mean of the values of several predictions before and after: `[track][position]`.
pub(super) fn mean_values(all: &[[Prediction; 2]]) -> [Vec<Vec<f64>>; 2] {
    [0, 1].map(|side| {
        let mut sums = all[0][side].values.clone();
        for other in &all[1..] {
            let pairs = sums.iter_mut().flatten().zip(other[side].values.iter().flatten());
            pairs.for_each(|(sum, x)| *sum += x);
        }
        let count = all.len() as f64;
        sums.iter_mut().flatten().for_each(|sum| *sum /= count);
        sums
    })
}

/// Which positions of the reference and the alternative lie in features; letters that are there in
/// one of them only belong to the base before them.
fn mask(features: &[Interval], place: &Place, first: i64, pairs: &Pairs) -> [Vec<bool>; 2] {
    let inside = |position: i64| {
        let after = features.partition_point(|feature| {
            (feature.contig, feature.start.cast_signed()) <= (place.contig, position)
        });
        after.checked_sub(1).is_some_and(|index| {
            let Interval { contig, end, .. } = features[index];
            contig == place.contig && position < end.cast_signed()
        })
    };
    let before: Vec<bool> = (first..).take(pairs.lengths[0]).map(inside).collect();
    let mut stands: Vec<Option<bool>> = vec![None; pairs.lengths[1]];
    pairs.positions().for_each(|(r, a)| stands[a] = Some(before[r]));
    let mut last = before.first().copied().unwrap_or(false);
    let after = stands.into_iter().map(|own| {
        last = own.unwrap_or(last);
        last
    });
    let after = after.collect();
    [before, after]
}
