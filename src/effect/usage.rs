//! Scheme splice-usage: gain and loss of splice sites over tissues (splice-scoring.md A3).

use super::delta::first_largest;
use super::mask::{boundaries, marked};
use super::outcome::UsageScores;
use super::settings::Mask;
use super::signed;
use crate::genome::genes::Gene;

/// The scores under one mask. `differences` holds, per tissue, alternative less reference averaged
/// over members; its first row is `distance` before `position` (0-based).
///
/// The mask is taken from a copy, so that genes do not see each other's.
pub(super) fn score(
    differences: &[Vec<f32>],
    position: i64,
    distance: usize,
    gene: Option<&Gene>,
    mask: Mask,
) -> UsageScores {
    let centre = signed(distance);
    let rows = differences.first().map_or(0, Vec::len);
    let extreme = |row: usize, pick: fn(f32, f32) -> f32| {
        differences.iter().map(|tissue| tissue[row]).reduce(pick).unwrap_or(0.0)
    };
    let marks = match (mask, gene) {
        (Mask::All, Some(gene)) => {
            let sites: Vec<i64> = boundaries(gene).collect();
            Some(marked(&sites, position - centre, rows))
        }
        _ => None,
    };
    let gain = |row: usize| {
        let gain = extreme(row, f32::max);
        if marks.as_ref().is_some_and(|marks| marks[row]) { gain.min(0.0) } else { gain }
    };
    let loss = |row: usize| {
        let loss = extreme(row, f32::min);
        if marks.as_ref().is_some_and(|marks| !marks[row]) { loss.max(0.0) } else { loss }
    };
    let (gain_row, gain) = first_largest((0..rows).map(gain));
    let (loss_row, loss) = first_largest((0..rows).map(|row| 0.0 - loss(row)));
    UsageScores {
        gain,
        gain_position: signed(gain_row) - centre,
        loss: 0.0 - loss,
        loss_position: signed(loss_row) - centre,
    }
}

#[cfg(test)]
mod tests {
    use super::super::mask::testing::gene;
    use super::*;
    use crate::genome::Strand;

    #[test]
    fn the_extreme_over_tissues_is_taken_by_position() {
        let tissues = [vec![0.1, -0.2, 0.0], vec![0.3, 0.05, -0.4]];
        let scores = score(&tissues, 10, 1, None, Mask::None);
        let expected = UsageScores { gain: 0.3, gain_position: -1, loss: -0.4, loss_position: 1 };
        assert_eq!(scores, expected);
    }

    #[test]
    fn the_mask_drops_gains_at_sites_and_losses_elsewhere() {
        // sites 9 and 29
        let gene = gene("g", Strand::Minus, &[(9, 30)]);
        let tissues = [vec![0.3, -0.2, 0.1], vec![-0.1, 0.05, -0.4]];
        let scores = score(&tissues, 10, 1, Some(&gene), Mask::All);
        assert_eq!((scores.gain, scores.gain_position), (0.1, 1));
        assert_eq!((scores.loss, scores.loss_position), (-0.1, -1));
    }
}
