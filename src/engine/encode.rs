//! Letters to the four input channels.

use crate::model::UnknownBase;
use crate::network::graph::INPUT_CHANNELS;

/// One row of A, C, G, T per letter, position-major. Lower case reads as upper case; every other
/// letter, N among them, reads as `unknown` says (networks.md 2, "Letters").
pub fn one_hot(letters: &[u8], unknown: UnknownBase) -> Vec<f32> {
    let blank = match unknown {
        UnknownBase::Zero => [0.0; INPUT_CHANNELS],
        UnknownBase::Uniform => [1.0 / INPUT_CHANNELS as f32; INPUT_CHANNELS],
    };
    let row = |letter: &u8| match letter.to_ascii_uppercase() {
        b'A' => [1.0, 0.0, 0.0, 0.0],
        b'C' => [0.0, 1.0, 0.0, 0.0],
        b'G' => [0.0, 0.0, 1.0, 0.0],
        b'T' => [0.0, 0.0, 0.0, 1.0],
        _ => blank,
    };
    letters.iter().flat_map(row).collect()
}

/// Control tracks `[channel][position]` as rows, position-major; zeros where none are given.
pub fn control_rows(controls: &[Vec<f32>], channels: usize, positions: usize) -> Vec<f32> {
    let mut rows = vec![0.0; channels * positions];
    for (channel, track) in controls.iter().take(channels).enumerate() {
        let column = rows.iter_mut().skip(channel).step_by(channels);
        column.zip(track).for_each(|(to, from)| *to = *from);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_become_rows_of_a_c_g_t() {
        assert_eq!(one_hot(b"aT", UnknownBase::Zero), [1., 0., 0., 0., 0., 0., 0., 1.]);
        assert_eq!(one_hot(b"NR", UnknownBase::Zero), [0.; 8]);
        assert_eq!(one_hot(b"N", UnknownBase::Uniform), [0.25; 4]);
    }
}
