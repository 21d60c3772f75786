//! Counts that those of a variant are compared with: of a file, or of windows around peaks.

use super::TrackScorer;
use super::run::Given;
use crate::effect::signed;
use crate::effect::track::background::Background;
use crate::effect::track::letters::{Around, Shape};
use crate::error::{Error, Result};
use crate::genome::{Interval, Reference, Region};
use crate::job::signal;
use std::collections::HashSet;

impl TrackScorer<'_> {
    /// Compares counts with those of a file.
    pub fn with_counts(mut self, counts: &Background) -> Self {
        let members = self.pools();
        self.background = vec![vec![counts.clone(); members]; self.reading.list().len()];
        self
    }

    /// Compares counts with those of windows around the summits of peaks; peaks that are there twice
    /// count once, and windows that leave their contig do not (track-effects.md A1). Returns how
    /// many of each were left out.
    ///
    /// # Errors
    /// A model without a window (usage), a failure to read the reference, no window that is left.
    pub fn with_peaks(
        mut self,
        reference: &mut Reference,
        peaks: &[Region],
    ) -> Result<(Self, [usize; 2])> {
        let Some(frame) = self.reading.window() else {
            return Err(Error::usage("peaks are compared by windows, and the model has none")
                .remedy("give counts with --background-counts"));
        };
        let mut seen = HashSet::new();
        let mut windows = Vec::new();
        let mut left_out = [0; 2];
        for peak in peaks {
            let Interval { contig, start, end } = peak.interval;
            let summit = peak.summit.unwrap_or(start + (end - start) / 2);
            if !seen.insert((contig, start, end, summit)) {
                left_out[0] += 1;
                continue;
            }
            let first = summit.cast_signed() - signed(frame.anchor);
            let last = first + signed(frame.input);
            if first < 0 || last > reference.contigs().length(contig).cast_signed() {
                left_out[1] += 1;
                continue;
            }
            windows.push((contig, first, last));
        }
        let mut counts: Vec<Vec<Vec<f64>>> =
            vec![vec![Vec::new(); self.pools()]; self.reading.list().len()];
        for chunk in windows.chunks(self.at_once(2)) {
            signal::check()?;
            let mut places = Vec::with_capacity(chunk.len());
            for &(contig, first, last) in chunk {
                let letters = reference.fetch(contig, first, last)?;
                let around = Around { letters, at: frame.anchor };
                let shape =
                    Shape::Window { frame, anchor: frame.anchor, indel: self.settings.indel };
                places.push(shape.work(&around, &[], 0, 0, self.both_strands()));
            }
            for (before, _) in self.compute(places)? {
                for (task, counts) in self.reading.list().iter().zip(&mut counts) {
                    let given = Given {
                        before: &before[0],
                        after: &before[0],
                        reverse: before.get(1).map(|reverse| (reverse, reverse)),
                    };
                    let all = self.predictions(task, &given);
                    for (counts, [prediction, _]) in counts.iter_mut().zip(all) {
                        counts.push(prediction.count);
                    }
                }
            }
        }
        let of_member = |counts: Vec<f64>| Background::new(counts);
        let of_task =
            |members: Vec<Vec<f64>>| members.into_iter().map(of_member).collect::<Result<_>>();
        self.background = counts.into_iter().map(of_task).collect::<Result<_>>()?;
        Ok((self, left_out))
    }
}
