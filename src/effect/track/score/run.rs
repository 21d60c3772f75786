//! How an engine is asked for what variants need.

use super::TrackScorer;
use super::place::Place;
use crate::effect::score::at_line;
use crate::effect::track::letters::{Change, Work};
use crate::engine::{EditedWindow, Values, WindowValues};
use crate::error::{Error, Result};
use crate::genome::Variant;
use crate::job::signal;

/// Values that are held before scores are made of them: 64 MiB.
const MOST_VALUES: usize = 16 << 20;

/// What a network gives before and after an edit, on the strands that are read.
pub(super) struct Given<'v> {
    pub before: &'v Values,
    pub after: &'v Values,
    /// The same of the reverse complement.
    pub reverse: Option<(&'v Values, &'v Values)>,
}

impl TrackScorer<'_> {
    /// Variants whose values fit [`MOST_VALUES`].
    pub(super) fn at_once(&self, sequences: usize) -> usize {
        let numbers = self.shape.outputs() * self.reading.wanted().tracks.len().max(1);
        (MOST_VALUES / (2 * numbers * sequences).max(1)).max(1)
    }

    /// Computes all places; each case comes back once through `take`, in order.
    pub(super) fn run(
        &self,
        places: &[Place],
        mut take: impl FnMut(&Place, usize, Given<'_>) -> Result<()>,
    ) -> Result<()> {
        for chunk in places.chunks(self.at_once(4)) {
            let work = chunk.iter().map(|place| {
                let changes: Vec<Change> =
                    place.cases.iter().map(|case| case.change.clone()).collect();
                let Place { around, start, length, .. } = place;
                self.shape.work(around, &changes, *start, *length, self.both_strands())
            });
            let values = self.compute(work.collect())?;
            for (place, (before, after)) in chunk.iter().zip(values) {
                for (number, after) in after.iter().enumerate() {
                    let reverse = before.get(1).zip(after.get(1));
                    // models without a window give a reference for every edit
                    let given = Given { before: &before[0], after: &after[0], reverse };
                    take(place, number, given)?;
                }
            }
        }
        Ok(())
    }

    /// Runs the engine: per place the reference by strand, and per edit the alternative by strand.
    #[expect(clippy::type_complexity, reason = "two lists by strand")]
    pub(super) fn compute(&self, work: Vec<Work>) -> Result<Vec<(Vec<Values>, Vec<Vec<Values>>)>> {
        let mut windows = Vec::new();
        let mut stretches = Vec::new();
        for work in work {
            match work {
                Work::Windows(forward, reverse) => {
                    windows.push(forward);
                    windows.extend(reverse);
                }
                Work::Stretch(stretch) => stretches.push(stretch),
            }
        }
        if !stretches.is_empty() {
            let values = self.engine.run_edits(&stretches, &|_| signal::check())?;
            return Ok(values
                .into_iter()
                .map(|edits| {
                    let reference = edits.first().map(|edit| edit.reference.clone());
                    let after = edits.into_iter().map(|edit| vec![edit.alternative]);
                    (reference.into_iter().collect(), after.collect())
                })
                .collect());
        }
        let strands = if self.both_strands() { 2 } else { 1 };
        let mut values = self.engine.run_window_edits(&windows, &|_| signal::check())?.into_iter();
        let mut all = Vec::with_capacity(windows.len() / strands);
        for edited in windows.chunks(strands) {
            let by_strand: Vec<_> = values.by_ref().take(strands).collect();
            let before = by_strand.iter().map(|values| values.reference.clone()).collect();
            let after = |number: usize| {
                let pairs = by_strand.iter().zip(edited);
                // the same letters are the same window, to the last bit
                let one = |(values, window): (&WindowValues, &EditedWindow)| match window.edits
                    [number]
                    .letters
                    == window.job.letters
                {
                    true => values.reference.clone(),
                    false => values.alternatives[number].clone(),
                };
                pairs.map(one).collect()
            };
            all.push((before, (0..edited[0].edits.len()).map(after).collect()));
        }
        Ok(all)
    }
}

impl Given<'_> {
    /// A value that is no finite number is an error of the model, never a printed value.
    pub fn check_finite(&self, variant: &Variant) -> Result<()> {
        let reverse = self.reverse.into_iter().flat_map(|(before, after)| [before, after]);
        for values in [self.before, self.after].into_iter().chain(reverse) {
            let tracks = values.tracks.iter().flatten().map(|&x| f64::from(x));
            let scalars = values.scalars.iter().copied();
            if let Some(value) = tracks.chain(scalars).find(|value| !value.is_finite()) {
                let place = format!("{}:{}", variant.chrom, variant.pos);
                return Err(at_line(
                    variant,
                    Error::new(format!("the network has no finite value around {place}"))
                        .found(value)
                        .remedy("check where the model comes from, or choose other members"),
                ));
            }
        }
        Ok(())
    }
}
