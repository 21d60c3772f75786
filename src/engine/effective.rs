//! The effective receptive field: how much an output changes when a base far away changes.
//!
//! Reach is a bound, not a size of effect (dilation.md 3). One substitution changes the outputs at
//! every distance up to the reach, so one run over the substituted and one over the original
//! stretch measure all distances at once.

use super::{Engine, Job};
use crate::error::{Error, Result};
use crate::network::Reach;
use serde::Serialize;
use std::ops::Range;

/// Changes of the outputs by the offset of the substituted base from the output.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effective {
    /// How far an output looks.
    pub reach: Reach,
    /// Substitutions that were made.
    pub substitutions: usize,
    /// Places that were left out because no base is known there.
    pub unknown: usize,
    /// Mean square of the change, summed over the tracks, from offset `-left` to `right`.
    #[serde(skip)]
    pub energy: Vec<f64>,
    /// Largest change of any track, from offset `-left` to `right`.
    #[serde(skip)]
    pub largest: Vec<f64>,
}

/// Substitutions that are run at once; it bounds the memory.
const BATCH: usize = 8;
const BASES: &[u8; 4] = b"ACGT";

impl Effective {
    /// Substitutes `count` bases spread evenly over a region, one at a time, each by another base
    /// in turn. `reach` is that of the networks; the engine may want more letters for whole blocks.
    /// `fetch` gives the letters of a stretch (0-based, half-open, may leave the contig).
    ///
    /// # Errors
    /// No place with a known base; what `fetch` or the engine returns; a change that is no number.
    pub fn measure(
        engine: &dyn Engine,
        reach: Reach,
        region: Range<i64>,
        count: usize,
        fetch: &mut dyn FnMut(i64, i64) -> Result<Vec<u8>>,
    ) -> Result<Self> {
        let signed = |bases: u64| i64::try_from(bases).unwrap_or(i64::MAX / 4);
        let (left, right) = (signed(reach.left), signed(reach.right));
        let around = engine.reach();
        let (before, after) = (signed(around.left), signed(around.right));
        let length = usize::try_from(left + right + 1)
            .map_err(|_| Error::new("the receptive field is longer than memory"))?;
        let mut jobs = Vec::new();
        let mut sums = Sums::new(length);
        let mut unknown = 0;
        for (number, place) in places(region, count).into_iter().enumerate() {
            let start = place - right;
            let letters = fetch(start - before, place + left + 1 + after)?;
            let at = usize::try_from(right + before).expect("not more than the letters");
            let Some(changed) = other_base(letters[at], number) else {
                unknown += 1;
                continue;
            };
            let mut substituted = letters.clone();
            substituted[at] = changed;
            jobs.push(Job::new(start, length, letters));
            jobs.push(Job::new(start, length, substituted));
            if jobs.len() == 2 * BATCH {
                sums.run(engine, &mut jobs)?;
            }
        }
        sums.run(engine, &mut jobs)?;
        if sums.substitutions == 0 {
            return Err(Error::new("no base to substitute in this region")
                .expected("A, C, G or T at some of the places")
                .remedy("choose a region that is sequenced"));
        }
        let substitutions = sums.substitutions;
        let energy = sums.energy.iter().map(|sum| sum / substitutions as f64).collect();
        Ok(Self { reach, substitutions, unknown, energy, largest: sums.largest })
    }

    /// Offset of the first value.
    pub fn first(&self) -> i64 {
        -i64::try_from(self.reach.left).unwrap_or(i64::MAX)
    }

    /// Root of the mean energy of the offsets in a range (both ends included) that the network
    /// reaches; none if it reaches none of them.
    pub fn rms(&self, from: i64, to: i64) -> Option<f64> {
        let index = |offset: i64| usize::try_from(offset - self.first()).ok();
        let end = i64::try_from(self.energy.len()).unwrap_or(i64::MAX) + self.first();
        let reached = index(from.max(self.first()))?..index((to + 1).min(end))?;
        let values = self.energy.get(reached)?;
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (!values.is_empty()).then(|| mean.sqrt())
    }

    /// The smallest distance within which a share of all energy lies.
    pub fn radius(&self, share: f64) -> u64 {
        let mut by_distance: Vec<f64> = Vec::new();
        for (offset, energy) in self.by_offset(&self.energy) {
            let distance = offset.unsigned_abs() as usize;
            by_distance.resize(by_distance.len().max(distance + 1), 0.0);
            by_distance[distance] += energy;
        }
        let total: f64 = by_distance.iter().sum();
        let mut sum = 0.0;
        let within = by_distance.iter().position(|energy| {
            sum += energy;
            sum >= share * total
        });
        within.unwrap_or(by_distance.len() - 1) as u64
    }

    /// The largest distance at which some track changed by more than `size`.
    pub fn farthest(&self, size: f64) -> Option<u64> {
        let changes = self.by_offset(&self.largest).filter(|(_, change)| *change > size);
        changes.map(|(offset, _)| offset.unsigned_abs()).max()
    }

    fn by_offset<'a>(&self, values: &'a [f64]) -> impl Iterator<Item = (i64, f64)> + use<'a> {
        (self.first()..).zip(values.iter().copied())
    }
}

/// `count` places, or as many as there are, in the middles of equal parts of a region.
fn places(region: Range<i64>, count: usize) -> Vec<i64> {
    let length = region.end.saturating_sub(region.start).max(0);
    let count = i64::try_from(count).unwrap_or(i64::MAX).min(length);
    let middle = |i: i64| {
        let place = (2 * i128::from(i) + 1) * i128::from(length) / (2 * i128::from(count));
        region.start + i64::try_from(place).unwrap_or(0)
    };
    (0..count).map(middle).collect()
}

/// One of the three other bases, in turn; none for a letter that is no base.
fn other_base(letter: u8, turn: usize) -> Option<u8> {
    let index = BASES.iter().position(|base| base.eq_ignore_ascii_case(&letter))?;
    Some(BASES[(index + 1 + turn % 3) % 4])
}

/// What the runs so far add up to.
struct Sums {
    energy: Vec<f64>,
    largest: Vec<f64>,
    substitutions: usize,
}

impl Sums {
    fn new(length: usize) -> Self {
        Self { energy: vec![0.0; length], largest: vec![0.0; length], substitutions: 0 }
    }

    /// Runs pairs of original and substituted stretch, and empties the list.
    fn run(&mut self, engine: &dyn Engine, jobs: &mut Vec<Job>) -> Result<()> {
        let values = engine.run(jobs, &|_| Ok(()))?;
        jobs.clear();
        for pair in values.chunks_exact(2) {
            self.substitutions += 1;
            for (before, after) in pair[0].tracks.iter().zip(&pair[1].tracks) {
                // the output furthest right sees the base at the lowest offset
                let changes = before.iter().zip(after).rev().map(|(b, a)| f64::from(a - b));
                for (index, change) in changes.enumerate() {
                    if !change.is_finite() {
                        return Err(Error::new("the network computes something that is no number")
                            .found(change));
                    }
                    self.energy[index] += change * change;
                    self.largest[index] = self.largest[index].max(change.abs());
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{CpuEngine, cpu::Isa};
    use crate::model::testing::tiny_model;
    use crate::model::{Model, Tensor};
    use crate::network::{GraphBuilder, Op, Padding};

    /// One convolution, 3 taps at distance 2, one tap further left than centred; only A weighs:
    /// 1, 10 and 100 from the left.
    fn model() -> Model {
        let mut g = GraphBuilder::new();
        let conv = Op::Conv {
            channels: 1,
            kernel: 3,
            dilation: 2,
            left: 4,
            bias: false,
            padding: Padding::None,
        };
        g.add("conv", conv, &[0]).unwrap();
        let mut model = tiny_model(1);
        model.networks = vec![g.finish().unwrap()];
        model.members.truncate(1);
        let mut values = vec![0.0; 12];
        values[..3].copy_from_slice(&[1.0, 10.0, 100.0]);
        let weight = Tensor { shape: vec![1, 4, 3], values };
        model.members[0].weights = [("conv.weight".to_string(), weight)].into();
        model.tracks.truncate(1);
        model.tracks[0].sources.truncate(1);
        model
    }

    fn measure(letters: &'static [u8], count: usize) -> Result<Effective> {
        let model = model();
        let engine = CpuEngine::new(&model, &model.tracks, Isa::Portable).unwrap();
        let letter = |t: i64| usize::try_from(t).ok().and_then(|t| letters.get(t)).unwrap_or(&b'N');
        let mut fetch = |start, end| Ok((start..end).map(|t| *letter(t)).collect());
        let region = 0..letters.len() as i64;
        Effective::measure(&engine, model.reach(), region, count, &mut fetch)
    }

    #[test]
    fn each_offset_gets_the_change_that_its_tap_makes() {
        // every A becomes another base: the output falls by the weight of the tap
        let found = measure(b"AAAAAAAA", 8).unwrap();
        assert_eq!(found.largest, [1.0, 0.0, 10.0, 0.0, 100.0]);
        assert_eq!(found.energy, [1.0, 0.0, 100.0, 0.0, 10_000.0]);
        assert_eq!((found.first(), found.substitutions, found.unknown), (-4, 8, 0));
        assert_eq!(found.rms(-4, -3), Some(0.5f64.sqrt()));
        assert_eq!((found.rms(1, 5), found.rms(-9, -5)), (None, None));
        assert_eq!((found.radius(0.9), found.radius(0.999), found.radius(1.0)), (0, 2, 4));
        assert_eq!((found.farthest(5.0), found.farthest(1e3)), (Some(2), None));
    }

    #[test]
    fn unknown_letters_are_counted_and_a_region_of_them_is_refused() {
        let found = measure(b"ANNNNNNA", 8).unwrap();
        assert_eq!((found.substitutions, found.unknown), (2, 6));
        assert!(measure(b"NNNN", 2).unwrap_err().to_string().contains("no base to substitute"));
    }

    #[test]
    fn places_are_spread_over_the_region() {
        assert_eq!(places(100..200, 4), [112, 137, 162, 187]);
        assert_eq!(places(5..7, 9), [5, 6]);
        assert!(places(5..5, 9).is_empty());
    }
}
