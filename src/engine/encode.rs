//! Letters to the four input channels.

use crate::model::UnknownBase;
use crate::network::graph::INPUT_CHANNELS;

/// Code of a letter that is not A, C, G or T.
const UNKNOWN: u8 = 4;

/// The code of a letter: A, C, G, T are 0 to 3, every other letter, N among them, is 4. Lower case
/// reads as upper case.
pub fn code(letter: u8) -> u8 {
    match letter.to_ascii_uppercase() {
        b'A' => 0,
        b'C' => 1,
        b'G' => 2,
        b'T' => 3,
        _ => UNKNOWN,
    }
}

/// The row of each code; that of unknown letters is as `unknown` says (networks.md 2, "Letters").
pub fn rows(unknown: UnknownBase) -> [[f32; INPUT_CHANNELS]; UNKNOWN as usize + 1] {
    let blank = match unknown {
        UnknownBase::Zero => [0.0; INPUT_CHANNELS],
        UnknownBase::Uniform => [1.0 / INPUT_CHANNELS as f32; INPUT_CHANNELS],
    };
    [[1., 0., 0., 0.], [0., 1., 0., 0.], [0., 0., 1., 0.], [0., 0., 0., 1.], blank]
}

/// One row of A, C, G, T per letter, position-major.
pub fn one_hot(letters: &[u8], unknown: UnknownBase) -> Vec<f32> {
    let rows = rows(unknown);
    letters.iter().flat_map(|&letter| rows[usize::from(code(letter))]).collect()
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
