//! Which positions of a window before and after an edit are compared (track-effects.md B2).

use std::ops::Range;

/// Positions of the reference and of the alternative that stand for the same base: before the edit
/// and the letters that both alleles have, and behind the edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pairs {
    /// Ranges of equal lengths, reference and alternative.
    ranges: [[Range<usize>; 2]; 2],
    /// Positions of the reference and of the alternative.
    pub lengths: [usize; 2],
}

/// An edit as the positions of outputs see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moved {
    /// Position of the first letter of the edit in the reference; may lie outside.
    pub at: i64,
    /// Letters that are removed there.
    pub removed: i64,
    /// Letters that take their place.
    pub inserted: i64,
    /// By how much the positions before the edit move.
    pub left: i64,
}

impl Pairs {
    /// Of `lengths` positions before and after an edit.
    pub fn new(lengths: [usize; 2], moved: Moved) -> Self {
        let Moved { at, removed, inserted, left } = moved;
        let [r, a] = lengths.map(|length| i64::try_from(length).unwrap_or(i64::MAX));
        let range = |start: i64, end: i64, by: i64| {
            let start = start.max(0).max(-by);
            let end = end.min(r).min(a - by).max(start);
            let of = |by: i64| {
                let place = |x: i64| usize::try_from(x + by).unwrap_or(0);
                place(start)..place(end)
            };
            if start < end { [of(0), of(by)] } else { [0..0, 0..0] }
        };
        let ranges = [
            range(i64::MIN / 2, at + removed.min(inserted), left),
            range(at + removed, i64::MAX / 2, left + inserted - removed),
        ];
        Self { ranges, lengths }
    }

    /// All positions of a window that keeps its place.
    #[cfg(test)]
    pub fn unchanged(length: usize) -> Self {
        Self::new([length; 2], Moved { at: 0, removed: 0, inserted: 0, left: 0 })
    }

    /// The compared positions of all tracks of the reference (side 0) or the alternative (1), one
    /// track after the other.
    pub fn tracks(&self, tracks: &[Vec<f64>], side: usize) -> Vec<f64> {
        let own = |track: &Vec<f64>| -> Vec<f64> {
            self.ranges.iter().flat_map(|pair| track[pair[side].clone()].iter().copied()).collect()
        };
        tracks.iter().flat_map(own).collect()
    }

    /// Every compared position of the reference with that of the alternative, ascending.
    pub fn positions(&self) -> impl Iterator<Item = (usize, usize)> {
        self.ranges.iter().flat_map(|[r, a]| r.clone().zip(a.clone()))
    }

    /// The difference of largest magnitude over all tracks, and where it is in the reference: the
    /// first of several.
    pub fn largest(&self, reference: &[Vec<f64>], alternative: &[Vec<f64>]) -> (usize, f64) {
        let mut best = (0, 0.0f64);
        let mut any = false;
        for (r, a) in self.positions() {
            for (reference, alternative) in reference.iter().zip(alternative) {
                let difference = alternative[a] - reference[r];
                if !any || difference.abs() > best.1.abs() {
                    best = (r, difference);
                    any = true;
                }
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(at: i64, removed: i64, inserted: i64, left: i64) -> Vec<(usize, usize)> {
        Pairs::new([8, 8], Moved { at, removed, inserted, left }).positions().collect()
    }

    #[test]
    fn shared_letters_are_compared_and_extra_ones_left_out() {
        // track-effects.md A1, h = 4: of three letters for one, columns 5 and 6 are dropped
        assert_eq!(pairs(4, 3, 1, 0), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (7, 5)]);
        assert_eq!(pairs(4, 1, 3, 0), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 7)]);
        assert_eq!(pairs(4, 2, 2, 0).len(), 8);
        // without an anchor base
        assert_eq!(pairs(4, 2, 0, 0), [(0, 0), (1, 1), (2, 2), (3, 3), (6, 4), (7, 5)]);
        // both sides slide
        assert_eq!(pairs(4, 1, 3, -1), [(1, 0), (2, 1), (3, 2), (4, 3), (5, 6), (6, 7)]);
        assert_eq!(pairs(4, 3, 1, 1), [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (7, 6)]);
    }

    #[test]
    fn edits_beside_the_outputs_compare_what_is_left() {
        assert_eq!(pairs(-3, 1, 3, 0), (0..6).map(|i| (i, i + 2)).collect::<Vec<_>>());
        assert_eq!(pairs(20, 1, 3, 0).len(), 8);
        assert!(pairs(0, 1, 99, 0).len() == 1);
        assert!(pairs(-1, 20, 1, 0).is_empty(), "nothing is left to compare");
    }
}
