//! Scheme splice-delta: gain and loss of acceptors and donors (splice-scoring.md A1, A4).

use super::mask::{marked, nearest_boundary, sites};
use super::outcome::DeltaScores;
use super::settings::Mask;
use super::signed;
use crate::genome::genes::Gene;

/// Aligned values of acceptor and donor, reference and alternative.
pub(super) struct Sites<'a> {
    /// Position of POS (0-based).
    pub position: i64,
    /// Distance, and so the row of POS.
    pub distance: usize,
    /// Acceptor and donor: reference and alternative.
    pub channels: [(&'a [f32], &'a [f32]); 2],
}

/// The scores under one mask.
pub(super) fn score(
    of: &Sites<'_>,
    gene: Option<&Gene>,
    mask: Mask,
    with_ends: bool,
) -> DeltaScores {
    let centre = signed(of.distance);
    let mut scores = DeltaScores { score: [0.0; 4], position: [0; 4] };
    let annotated = match (mask, gene) {
        (Mask::All, Some(gene)) => Some(sites(gene, with_ends)),
        _ => None,
    };
    for (channel, (reference, alternative)) in of.channels.into_iter().enumerate() {
        let marks = annotated
            .as_ref()
            .map(|sites| marked(&sites[channel], of.position - centre, reference.len()));
        // A gain where a site is known, and a loss where there is none, do not count.
        let counts = |row: usize, gain: bool| match &marks {
            Some(marks) => marks[row] != gain,
            None => true,
        };
        let difference = |(row, (r, a)): (usize, (&f32, &f32))| {
            let difference = a - r;
            if counts(row, difference > 0.0) { difference } else { 0.0 }
        };
        let rows = || reference.iter().zip(alternative).enumerate().map(difference);
        let extremes = [first_largest(rows()), first_largest(rows().map(|d| 0.0 - d))];
        for (kind, (row, value)) in extremes.into_iter().enumerate() {
            scores.score[2 * channel + kind] = value;
            scores.position[2 * channel + kind] = signed(row) - centre;
        }
    }
    if mask == Mask::Nearest {
        let boundary = gene.and_then(|gene| nearest_boundary(gene, of.position));
        for (place, (score, position)) in scores.score.iter_mut().zip(&scores.position).enumerate()
        {
            let gain = place % 2 == 0;
            let known = Some(*position) == boundary;
            if gain == known {
                // not set to 0: the sign of a negative maximum is kept, as the peer prints it
                *score *= 0.0;
            }
        }
    }
    scores
}

/// The largest value and the first row that has it.
pub(super) fn first_largest(values: impl Iterator<Item = f32>) -> (usize, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (row, value) in values.enumerate() {
        if value > best.1 {
            best = (row, value);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::super::mask::testing::gene;
    use super::*;
    use crate::genome::Strand;

    const REFERENCE: [f32; 5] = [0.1, 0.2, 0.8, 0.1, 0.0];

    fn scored(alternative: &[f32], gene: Option<&Gene>, mask: Mask) -> DeltaScores {
        let still = [0.0; 5];
        let channels = [(&REFERENCE[..], alternative), (&still[..], &still[..])];
        score(&Sites { position: 100, distance: 2, channels }, gene, mask, false)
    }

    #[test]
    fn the_worked_examples_come_out() {
        // splice-scoring.md A1, one channel, D = 2
        let cases: [([f32; 5], f32, i64, f32, i64); 3] = [
            ([0.1, 0.2, 0.3, 0.6, 0.0], 0.5, 1, 0.5, 0),
            ([0.1, 0.2, 0.7, 0.0, 0.0], 0.0, -2, 0.1, 0),
            ([0.1, 0.2, 0.9, 0.1, 0.0], 0.1, 0, 0.0, -2),
        ];
        for (alternative, gain, gain_at, loss, loss_at) in cases {
            let scores = scored(&alternative, None, Mask::None);
            assert!((scores.score[0] - gain).abs() < 1e-6 && (scores.score[1] - loss).abs() < 1e-6);
            assert_eq!(scores.position[..2], [gain_at, loss_at]);
            assert_eq!((scores.score[2], scores.position[2]), (0.0, -2), "ties: the first row");
        }
    }

    #[test]
    fn the_nearest_mask_zeroes_after_the_extremes_and_keeps_positions() {
        // boundaries 101 and 110: nearest to 100 is +1, where the gain is
        let gene = gene("g", Strand::Plus, &[(101, 111)]);
        let scores = scored(&[0.1, 0.2, 0.3, 0.6, 0.0], Some(&gene), Mask::Nearest);
        assert_eq!((scores.score[0], scores.position[0]), (0.0, 1));
        assert_eq!((scores.score[1], scores.position[1]), (0.0, 0), "a loss elsewhere");
        let less = REFERENCE.map(|value| value - 0.05);
        let scores = scored(&less, Some(&gene), Mask::Nearest);
        assert!(scores.score[0] < 0.0, "no position is at the boundary");
    }

    #[test]
    fn the_full_mask_goes_by_the_kind_of_a_site_before_the_extremes() {
        // acceptors 101 and 120, without the start of the transcript only 120; donors 102, 130
        let gene = gene("g", Strand::Plus, &[(90, 95), (101, 103), (120, 131)]);
        let scores = scored(&[0.1, 0.3, 0.3, 0.6, 0.0], Some(&gene), Mask::All);
        // the gain at 101 is at a known acceptor, so the next best, at 99, counts
        assert!((scores.score[0] - 0.1).abs() < 1e-6);
        assert_eq!(scores.position[0], -1);
        // the loss at 100 is at no acceptor
        assert_eq!((scores.score[1], scores.position[1]), (0.0, -2));
    }
}
