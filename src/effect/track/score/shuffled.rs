//! Scores of shuffled sequences, which p-values are taken from.

use super::TrackScorer;
use super::place::{Case, Place};
use crate::effect::signed;
use crate::effect::track::background::{Null, Tested};
use crate::effect::track::letters::Around;
use crate::effect::track::shuffle::{Random, shuffle};
use crate::error::{Error, Result};
use crate::genome::{Reference, Variant};

/// Most numbers of the scores of shuffled sequences: 2 GiB.
const MOST_NULL: usize = 256 << 20;

impl TrackScorer<'_> {
    /// Compares scores with a pool of those of shuffled sequences.
    pub fn with_null(mut self, mut null: Null) -> Self {
        null.finish();
        self.null = Some(null);
        self
    }

    /// Adds the scores of `count` shuffles of every allele that has a score to a pool
    /// ([`TrackScorer::new_null`]): all but the alleles is shuffled, each in its own way.
    ///
    /// # Errors
    /// As [`TrackScorer::score`]; more scores than memory should hold.
    pub fn add_null(
        &self,
        reference: &mut Reference,
        variants: &[Variant],
        (count, seed): (usize, u64),
        null: &mut Null,
    ) -> Result<()> {
        for (index, variant) in variants.iter().enumerate() {
            let (_, place) = self.prepare(reference, variant, index)?;
            let Some(place) = place else { continue };
            let name = reference.contigs().name(place.contig).to_owned();
            let mut shuffled = Vec::new();
            for case in &place.cases {
                let reads = self.shape.reads(place.start, std::slice::from_ref(&case.change));
                let first = place.start - signed(place.around.at);
                let [from, to] = [reads.start, reads.end]
                    .map(|x| usize::try_from(x - first).expect("letters around the variant"));
                let at = place.around.at - from;
                let own = place.around.letters[at + from..][..case.change.removed].to_vec();
                for replicate in 0..count {
                    let mut letters = place.around.letters[from..to].to_vec();
                    let alt = &variant.alternates[case.allele];
                    let mut random = Random::of_allele(seed, &name, variant, alt, replicate);
                    shuffle(&mut letters, &mut random);
                    letters[at..at + own.len()].copy_from_slice(&own);
                    let change = case.change.clone();
                    shuffled.push(Place {
                        cases: vec![Case { variant: index, allele: case.allele, change }],
                        around: Around { letters, at },
                        unknown: (0, 0),
                        ..place
                    });
                }
            }
            if null.size().saturating_mul(null.tested().len()) > MOST_NULL {
                return Err(Error::usage("so many shuffles do not fit memory")
                    .found(format!("more than {} scores", null.size()))
                    .remedy("ask for fewer with --null"));
            }
            self.run(&shuffled, |place, number, given| {
                given.check_finite(variant)?;
                let case = &place.cases[number];
                for (index, task) in self.reading.list().iter().enumerate() {
                    let members = self.members(place, case, &given, index, task);
                    for (member, (values, _)) in members.iter().enumerate() {
                        null.add(index, member, values);
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// An empty pool for what this scores.
    pub fn new_null(&self) -> Null {
        let tested = Tested::all(!self.background.is_empty());
        Null::new(tested, self.reading.list().len(), self.pools())
    }
}
