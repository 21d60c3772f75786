//! The first layer of a network: its rows are letters, so products with them are the weights of a
//! letter, or nothing. Those are looked up and added.
//!
//! The sums are those of the [direct](super::direct) kernel, bit by bit: products with one are
//! exact, products with zero add nothing, and the order is the same. Rows that are no letters, as of
//! an unknown base that counts as a quarter of each, are left to it.

use super::choice::Shape;
use super::packed::{Packed, Panel};
use super::simd::{self, Lanes, Work};
use super::{Aligned, Finished, Isa, Pass, Scratch, Take, direct};

/// Letters: the channels of an encoded sequence.
const LETTERS: usize = 4;
/// Rows that are handed on together.
const ROWS: usize = 240;
/// Fewest taps for which finding the letters is worth its time.
const LEAST_TAPS: usize = 3;
/// What a row may be: one of the letters, or none.
const CASES: usize = LETTERS + 1;

/// What each tap adds.
#[derive(Debug, Clone)]
pub struct Lookup {
    dilation: usize,
    /// Panel after panel, as in [`Packed`]: `[tap][case][output of the panel]`.
    weights: Aligned,
}

impl Lookup {
    /// The weights of each letter, and zeros.
    pub fn new(packed: &Packed, dilation: usize) -> Self {
        let mut weights = vec![];
        for panel in packed.panels() {
            for tap in panel.weights.chunks_exact(LETTERS * panel.width) {
                weights.extend_from_slice(tap);
                weights.resize(weights.len() + panel.width, 0.0);
            }
        }
        Self { dilation, weights: weights[..].into() }
    }
}

/// Whether a convolution may read letters.
pub fn pays(shape: Shape) -> bool {
    shape.inputs == LETTERS && shape.taps >= LEAST_TAPS
}

/// Additions per output row.
pub fn additions(shape: Shape) -> usize {
    shape.taps * shape.stride
}

/// Time per output row, in multiply-adds of the direct kernel: each addition loads a register.
pub fn work(shape: Shape) -> usize {
    additions(shape) * 3 / 2
}

/// Computes all rows of a pass, some at a time, and hands them on. `packed` holds the same weights;
/// it serves rows that are no letters.
///
/// # Panics
/// When the input is shorter than the pass says, or the processor lacks the instruction set.
pub fn convolve(
    isa: Isa,
    lookup: &Lookup,
    packed: &Packed,
    pass: Pass<'_>,
    scratch: &mut Scratch,
    take: Take<'_>,
) {
    let Packed { taps, stride, .. } = *packed;
    scratch.rows.hold(ROWS.min(pass.rows) * stride);
    for first in (0..pass.rows).step_by(ROWS) {
        let rows = ROWS.min(pass.rows - first);
        let pass = Pass { input: &pass.input[first * pass.input_stride..], rows, ..pass };
        assert!(pass.fits(taps, lookup.dilation, LETTERS), "the input holds the pass");
        let values = &mut scratch.rows[..rows * stride];
        let read = rows + (taps - 1) * lookup.dilation;
        scratch.letters.clear();
        let cases = pass.input.chunks(pass.input_stride).take(read).map_while(case);
        scratch.letters.extend(cases);
        if scratch.letters.len() == read {
            let letters = &scratch.letters;
            simd::run(isa, Sums { lookup, packed, letters, rows, output: values });
        } else {
            direct::convolve(isa, packed, lookup.dilation, pass, values);
        }
        take(Finished { first, step: 1, values });
    }
}

/// Which letter a row is, or [`LETTERS`] for none; nothing for a row that is anything else.
fn case(row: &[f32]) -> Option<u8> {
    match row[..LETTERS] {
        [1.0, 0.0, 0.0, 0.0] => Some(0),
        [0.0, 1.0, 0.0, 0.0] => Some(1),
        [0.0, 0.0, 1.0, 0.0] => Some(2),
        [0.0, 0.0, 0.0, 1.0] => Some(3),
        [0.0, 0.0, 0.0, 0.0] => Some(4),
        _ => None,
    }
}

/// Rows of letters to sum up.
struct Sums<'a> {
    lookup: &'a Lookup,
    packed: &'a Packed,
    /// The case of every row that is read: below [`CASES`].
    letters: &'a [u8],
    rows: usize,
    output: &'a mut [f32],
}

impl Work for Sums<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(mut self) {
        let Packed { taps, stride, .. } = *self.packed;
        assert_eq!(self.letters.len(), self.rows + (taps - 1) * self.lookup.dilation);
        assert!(self.output.len() >= self.rows * stride);
        for panel in self.packed.panels() {
            // SAFETY: passed on; the columns of a panel are 16 or 32, so whole registers.
            unsafe {
                match (V::WIDTH, panel.width) {
                    (16, 32) => self.columns::<V, 12, 2>(&panel),
                    (16, _) => self.columns::<V, 12, 1>(&panel),
                    (8, _) => self.columns::<V, 6, 2>(&panel),
                    _ => self.columns::<V, 4, 2>(&panel),
                }
            }
        }
    }
}

impl Sums<'_> {
    /// All rows of one panel, `NV` registers of columns at a time.
    ///
    /// # Safety
    /// `panel.width` is a multiple of `NV * V::WIDTH`; the instruction set is there.
    #[inline(always)]
    unsafe fn columns<V: Lanes, const MR: usize, const NV: usize>(&mut self, panel: &Panel<'_>) {
        for column in (0..panel.width).step_by(NV * V::WIDTH) {
            // SAFETY: each block lies inside the rows and the columns of the panel.
            unsafe {
                match self.rows.checked_sub(MR) {
                    // some of the last rows twice, which is faster than one by one
                    Some(last) => {
                        for row in (0..self.rows).step_by(MR) {
                            self.block::<V, MR, NV>(panel, column, row.min(last));
                        }
                    }
                    None => {
                        for row in 0..self.rows {
                            self.block::<V, 1, NV>(panel, column, row);
                        }
                    }
                }
            }
        }
    }

    /// Rows `[row, row + MR)`, `NV` registers of columns from `column` on.
    ///
    /// # Safety
    /// As for `columns`, and the rows and columns are there.
    #[inline(always)]
    unsafe fn block<V: Lanes, const MR: usize, const NV: usize>(
        &mut self,
        panel: &Panel<'_>,
        column: usize,
        row: usize,
    ) {
        let (taps, width) = (self.packed.taps, panel.width);
        // SAFETY: the table holds a row of each tap and case; letters reach as far as the taps of
        // the last row, and are cases.
        unsafe {
            let first = panel.first * taps * CASES + column;
            let mut weights = self.lookup.weights.as_ptr().add(first);
            let bias: [V; NV] =
                std::array::from_fn(|v| V::load(panel.bias.as_ptr().add(column + v * V::WIDTH)));
            let mut sums = [bias; MR];
            for tap in 0..taps {
                let letters = self.letters.as_ptr().add(row + tap * self.lookup.dilation);
                for (m, sums) in sums.iter_mut().enumerate() {
                    let from = weights.add(usize::from(*letters.add(m)) * width);
                    for (v, sum) in sums.iter_mut().enumerate() {
                        *sum = sum.plus(V::load(from.add(v * V::WIDTH)));
                    }
                }
                weights = weights.wrapping_add(CASES * width);
            }
            for (m, sums) in sums.iter().enumerate() {
                let to = (row + m) * self.packed.stride + panel.first + column;
                for (v, sum) in sums.iter().enumerate() {
                    sum.store(self.output.as_mut_ptr().add(to + v * V::WIDTH));
                }
            }
        }
    }
}
