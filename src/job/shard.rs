//! Shards: a job cut into contiguous parts of about equal work, the same on every machine.
//!
//! A job is a row of pieces that no shard parts (the chunks of a track, groups of variants), each
//! with so many units of work. Nothing but these numbers and `I/N` decides who does what.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// Most shards of a job.
const MOST: u64 = 100_000;

/// Which part of a job: `2/4` is the second of four.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// From 1.
    pub number: u64,
    /// How many there are.
    pub of: u64,
}

/// The units `[from, to)` of a job, counted from 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// What is counted: `bases`, `variants`.
    pub unit: String,
    /// The first unit.
    pub from: u64,
    /// One past the last unit.
    pub to: u64,
    /// Units of the whole job.
    pub of: u64,
    /// Where the first unit is, for people; empty where there is none.
    pub begins: String,
    /// Where the last unit is, for people.
    pub ends: String,
}

impl Shard {
    /// All shards of a job.
    pub fn all(of: u64) -> impl Iterator<Item = Self> {
        (1..=of).map(move |number| Self { number, of })
    }

    /// Whether there can be such a shard.
    pub fn is_possible(self) -> bool {
        (1..=self.of).contains(&self.number) && self.of <= MOST
    }

    /// The pieces of this shard, given where each piece ends, in units from the start of the job.
    /// Shards are cut at the end of a piece that lies nearest to equal parts.
    pub fn pieces(self, ends: &[u64]) -> Range<usize> {
        border(ends, self.number - 1, self.of)..border(ends, self.number, self.of)
    }
}

/// How many pieces lie before the end of shard `number`.
fn border(ends: &[u64], number: u64, of: u64) -> usize {
    let total = ends.last().copied().unwrap_or(0);
    // at both ends also pieces of no length
    match number {
        0 => return 0,
        _ if number >= of => return ends.len(),
        _ => {}
    }
    let ideal = u64::try_from(u128::from(total) * u128::from(number) / u128::from(of))
        .expect("a part of a number of 64 bits");
    let place = ends.partition_point(|&end| end <= ideal);
    let before = place.checked_sub(1).map_or(0, |last| ends[last]);
    match ends.get(place) {
        Some(&after) if after - ideal < ideal - before => place + 1,
        _ => place,
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('/');
        let numbers = parts.and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((number, of)) if (Self { number, of }).is_possible() => Ok(Self { number, of }),
            _ => Err(Error::usage("no such shard")
                .found(text)
                .expected(format!("I/N: the I-th of N shards, 1/N to N/N, N at most {MOST}"))),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(ends: &[u64], of: u64) -> Vec<Range<usize>> {
        Shard::all(of).map(|shard| shard.pieces(ends)).collect()
    }

    #[test]
    fn shards_end_at_the_piece_that_is_nearest_to_equal_parts() {
        // thirds of 60 end at 20 and 40
        assert_eq!(cut(&[10, 20, 30, 40, 50, 60], 3), [0..2, 2..4, 4..6]);
        assert_eq!(cut(&[18, 37, 60], 3), [0..1, 1..2, 2..3]);
        // one long piece: whole shards are empty
        assert_eq!(cut(&[5, 95, 100], 4), [0..1, 1..1, 1..2, 2..3]);
        assert_eq!(cut(&[1], 3), [0..0, 0..0, 0..1]);
        // nor is a piece of no length lost
        assert_eq!(cut(&[0, 0, 4], 2), [0..2, 2..3]);
        assert_eq!(cut(&[], 2), [0..0, 0..0]);
    }

    #[test]
    fn a_shard_is_written_as_number_of_count() {
        assert_eq!("2/4".parse::<Shard>().unwrap(), Shard { number: 2, of: 4 });
        assert_eq!(Shard { number: 2, of: 4 }.to_string(), "2/4");
        for bad in ["0/4", "5/4", "1", "1/0", "a/b", "1/4/2", "-1/4", "1/100001", ""] {
            assert_eq!(bad.parse::<Shard>().unwrap_err().exit_code(), 2, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn shards_hold_each_piece_once_and_differ_by_at_most_a_piece_at_each_end(
            lengths in proptest::collection::vec(0u64..1000, 0..60),
            of in 1u64..20,
        ) {
            let ends: Vec<u64> = lengths
                .iter()
                .scan(0, |sum, length| {
                    *sum += length;
                    Some(*sum)
                })
                .collect();
            let mut next = 0;
            let longest = lengths.iter().copied().max().unwrap_or(0);
            let total = ends.last().copied().unwrap_or(0);
            for pieces in cut(&ends, of) {
                prop_assert_eq!(pieces.start, next);
                prop_assert!(pieces.end >= pieces.start);
                let work: u64 = lengths[pieces.clone()].iter().sum();
                prop_assert!(work.abs_diff(total / of) <= longest + 1);
                next = pieces.end;
            }
            prop_assert_eq!(next, lengths.len());
        }
    }
}
