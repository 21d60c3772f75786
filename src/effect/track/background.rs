//! What scores are compared with: counts of peaks, and scores of shuffled sequences
//! (track-effects.md A1).

use super::column::{Column, Values};
use crate::error::{Error, Result};
use crate::genome::text::Lines;
use std::path::Path;

/// Counts of windows, in ascending order.
#[derive(Debug, Clone, PartialEq)]
pub struct Background(Vec<f64>);

impl Background {
    /// # Errors
    /// No count at all, or one that is no number.
    pub fn new(mut counts: Vec<f64>) -> Result<Self> {
        if counts.is_empty() || counts.iter().any(|count| count.is_nan()) {
            return Err(Error::new("a background needs counts").found(counts.len()));
        }
        counts.sort_unstable_by(f64::total_cmp);
        Ok(Self(counts))
    }

    /// Reads a file with one count per line; lines that begin with `#` are comments.
    ///
    /// # Errors
    /// A file that cannot be read, a line that is no number, no line.
    pub fn read(path: &Path) -> Result<Self> {
        let mut lines = Lines::open(path)?;
        let mut counts = Vec::new();
        while let Some(line) = lines.next_bytes()? {
            let text = String::from_utf8_lossy(line.bytes);
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            match text.parse::<f64>() {
                Ok(count) if count.is_finite() => counts.push(count),
                _ => {
                    return Err(Error::new("not a count")
                        .at(path)
                        .line(line.number)
                        .found(text)
                        .expected("one number per line"));
                }
            }
        }
        Self::new(counts).map_err(|error| error.at(path))
    }

    /// How many counts there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none; there always are.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The share of counts below, at least that of one.
    pub fn quantile(&self, count: f64) -> f64 {
        let below = self.0.partition_point(|&other| other < count);
        below.max(1) as f64 / self.0.len() as f64
    }

    /// Fills in the columns of quantiles.
    pub(super) fn compare(&self, values: &mut Values) {
        let quantile = |column| values.get(column).map(|count| self.quantile(count));
        let (reference, alternative) = (quantile(Column::RefCount), quantile(Column::AltCount));
        let both = reference.zip(alternative);
        values.set(Column::RefQuantile, reference);
        values.set(Column::AltQuantile, alternative);
        values.set(Column::ActiveQuantile, both.map(|(r, a)| r.max(a)));
        values.set(Column::QuantileChange, both.map(|(r, a)| a - r));
    }
}

/// Which extremes of a score are of interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    Both,
    Right,
}

/// A score that has a p-value: of a column or of its magnitude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tested {
    column: Column,
    magnitude: bool,
    tail: Tail,
}

impl Tested {
    /// All of them (A1), those that need a background or not.
    pub fn all(background: bool) -> Vec<Self> {
        let both = |column| {
            let signed = Self { column, magnitude: false, tail: Tail::Both };
            [signed, Self { magnitude: true, tail: Tail::Right, ..signed }]
        };
        let right = |column| [Self { column, magnitude: false, tail: Tail::Right }];
        let mut all = Vec::new();
        all.extend(both(Column::Logfc));
        all.extend(right(Column::JsdDistance));
        all.extend(both(Column::LogfcJsd));
        if background {
            all.extend(right(Column::ActiveQuantile));
            all.extend(both(Column::QuantileChange));
            all.extend(both(Column::LogfcActive));
            all.extend(right(Column::JsdActive));
            all.extend(both(Column::LogfcJsdActive));
        }
        all
    }

    /// The name of its column.
    pub fn name(self) -> String {
        let magnitude = if self.magnitude { "abs_" } else { "" };
        format!("p_{magnitude}{}", self.column.name())
    }

    /// The score.
    pub fn of(self, values: &Values) -> Option<f64> {
        let value = values.get(self.column)?;
        Some(if self.magnitude { value.abs() } else { value })
    }

    /// The p-value of a score against sorted ones of shuffled sequences, at most 1.
    pub fn p(self, score: f64, null: &[f64]) -> f64 {
        let count = null.len();
        let share = |beyond: usize| (beyond + 1) as f64 / (count + 1) as f64;
        let right = share(count - null.partition_point(|&other| other < score));
        let left = share(null.partition_point(|&other| other <= score));
        match self.tail {
            Tail::Right => right,
            Tail::Both => (2.0 * right.min(left)).min(1.0),
        }
    }
}

/// Scores of shuffled sequences, pooled over all variants: per task, member and tested score.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Null {
    tested: Vec<Tested>,
    members: usize,
    /// `[(task · members + member) · tested + index]`
    pools: Vec<Vec<f64>>,
}

impl Null {
    /// Without any score yet.
    pub(super) fn new(tested: Vec<Tested>, tasks: usize, members: usize) -> Self {
        let pools = vec![Vec::new(); tasks * members * tested.len()];
        Self { tested, members, pools }
    }

    /// What has p-values.
    pub fn tested(&self) -> &[Tested] {
        &self.tested
    }

    /// Scores in the pool of one task and member.
    pub fn size(&self) -> usize {
        self.pools.iter().map(Vec::len).max().unwrap_or(0)
    }

    fn place(&self, task: usize, member: usize) -> usize {
        (task * self.members + member) * self.tested.len()
    }

    /// Adds the scores of one shuffled sequence.
    pub(super) fn add(&mut self, task: usize, member: usize, values: &Values) {
        let first = self.place(task, member);
        for (index, tested) in self.tested.iter().enumerate() {
            self.pools[first + index].extend(tested.of(values));
        }
    }

    /// Puts the pools in order.
    pub(super) fn finish(&mut self) {
        self.pools.iter_mut().for_each(|pool| pool.sort_unstable_by(f64::total_cmp));
    }

    /// The p-values of a task from the scores of each member: the geometric mean over members.
    pub(super) fn p_values(&self, task: usize, members: &[Values]) -> Vec<Option<f64>> {
        let of = |(index, tested): (usize, &Tested)| {
            let logs: Option<Vec<f64>> = members
                .iter()
                .enumerate()
                .map(|(member, values)| {
                    let pool = &self.pools[self.place(task, member) + index];
                    Some(tested.p(tested.of(values)?, pool).ln())
                })
                .collect();
            let logs = logs.filter(|logs| !logs.is_empty())?;
            Some((logs.iter().sum::<f64>() / logs.len() as f64).exp())
        };
        self.tested.iter().enumerate().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_count_what_is_strictly_below_and_have_a_floor() {
        let one = Background::new(vec![5.0]).unwrap();
        assert_eq!([1.0, 5.0, 9.0].map(|count| one.quantile(count)), [1.0; 3]);
        let ten = Background::new((1..=10).rev().map(f64::from).collect()).unwrap();
        assert_eq!([0.5, 1.0, 3.0, 99.0].map(|c| ten.quantile(c)), [0.1, 0.1, 0.2, 1.0]);
        assert!(Background::new(vec![]).is_err());
    }

    #[test]
    fn the_worked_p_values_come_out() {
        // track-effects.md A1; that of both tails is capped
        let null = [1.0, 2.0, 3.0, 4.0, 5.0];
        let [both, right] = [false, true].map(|magnitude| {
            let all = Tested::all(false);
            all.into_iter().find(|t| t.column == Column::Logfc && t.magnitude == magnitude).unwrap()
        });
        for (score, right_p, both_p) in
            [(4.0, 0.5, 1.0), (3.0, 2.0 / 3.0, 1.0), (9.0, 1.0 / 6.0, 1.0 / 3.0)]
        {
            assert!((right.p(score, &null) - right_p).abs() < 1e-12);
            assert!((both.p(score, &null) - both_p).abs() < 1e-12);
        }
        assert_eq!(right.p(0.0, &[]), 1.0);
    }

    #[test]
    fn p_values_of_members_are_averaged_as_logarithms() {
        let mut null = Null::new(Tested::all(false), 1, 2);
        let values = |logfc: f64| {
            let mut values = Values::default();
            values.set(Column::Logfc, Some(logfc));
            values
        };
        for score in [-3.0, -1.0, 1.0] {
            null.add(0, 0, &values(score));
            null.add(0, 1, &values(score * 2.0));
        }
        null.finish();
        assert_eq!(null.size(), 3);
        let p = null.p_values(0, &[values(2.0), values(-7.0)]);
        // both tails: 2 · (0 + 1) / 4 and the same
        assert!((p[0].unwrap() - 0.5).abs() < 1e-12);
        // magnitudes: of 1, 1 and 3, one is 2 or more: 2/4; of 2, 2 and 6, none is 7: 1/4
        assert!((p[1].unwrap() - (0.5f64 * 0.25).sqrt()).abs() < 1e-12);
        assert_eq!(p[2], None, "no distance");
    }
}
