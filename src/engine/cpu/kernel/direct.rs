//! The direct convolution: a block of rows x columns of sums in registers, one broadcast input
//! number and a few weight registers at a time (cpu-kernels.md 4a: 85-96 % of the multiply-add
//! peak on AVX-512).
//!
//! Every output number is one chain `bias + w·x + w·x + …` over taps, then input channels,
//! whatever rows are computed beside it: so a value does not depend on where a tile begins.

use super::packed::{Packed, Panel};
use super::simd::{self, Lanes, Work};
use super::{Finished, Isa, Pass, Scratch, Take};

/// Rows that are handed on together: a multiple of each row block, few enough that 32 channels
/// stay in the first-level cache.
const ROWS: usize = 240;

/// Rows of a register block where there are fewer than a full one holds.
const FEW: usize = 4;

/// Computes all rows of a pass, some at a time, and hands them on.
///
/// # Panics
/// As [`convolve`].
pub fn convolve_by_parts(
    isa: Isa,
    packed: &Packed,
    dilation: usize,
    pass: Pass<'_>,
    scratch: &mut Scratch,
    take: Take<'_>,
) {
    scratch.rows.hold(ROWS.min(pass.rows) * packed.stride);
    for first in (0..pass.rows).step_by(ROWS) {
        let rows = ROWS.min(pass.rows - first);
        let part = Pass { input: &pass.input[first * pass.input_stride..], rows, ..pass };
        let values = &mut scratch.rows[..rows * packed.stride];
        convolve(isa, packed, dilation, part, values);
        take(Finished { first, step: 1, values });
    }
}

/// Computes all rows of a pass, one after the other.
///
/// # Panics
/// When the slices are shorter than the pass says, or the processor lacks the instruction set.
pub fn convolve(isa: Isa, packed: &Packed, dilation: usize, pass: Pass<'_>, output: &mut [f32]) {
    if pass.rows > 0 {
        assert!(pass.fits(packed.taps, dilation, packed.inputs), "the input holds the pass");
        assert!(pass.rows * packed.stride <= output.len(), "the output holds the pass");
        simd::run(isa, Direct { packed, dilation, pass, output });
    }
}

/// A pass that fits its buffers.
struct Direct<'a> {
    packed: &'a Packed,
    dilation: usize,
    pass: Pass<'a>,
    output: &'a mut [f32],
}

impl Work for Direct<'_> {
    /// In register blocks of as many rows and columns as the registers hold.
    #[inline(always)]
    unsafe fn run<V: Lanes>(mut self) {
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

impl Direct<'_> {
    /// All rows of one panel, `NV` registers of columns at a time.
    ///
    /// # Safety
    /// The pass fits; `panel.width` is a multiple of `NV * V::WIDTH`.
    #[inline(always)]
    unsafe fn columns<V: Lanes, const MR: usize, const NV: usize>(&mut self, panel: &Panel<'_>) {
        for column in (0..panel.width).step_by(NV * V::WIDTH) {
            let mut row = 0;
            // SAFETY: each block lies inside the rows of the pass and the columns of the panel.
            unsafe {
                while row + MR <= self.pass.rows {
                    self.block::<V, MR, NV>(panel, column, row);
                    row += MR;
                }
                if row < self.pass.rows && self.pass.rows >= MR {
                    // some rows again, which is faster than the last ones one by one
                    self.block::<V, MR, NV>(panel, column, self.pass.rows - MR);
                    continue;
                }
                while row + FEW <= self.pass.rows {
                    self.block::<V, FEW, NV>(panel, column, row);
                    row += FEW;
                }
                while row < self.pass.rows {
                    self.block::<V, 1, NV>(panel, column, row);
                    row += 1;
                }
            }
        }
    }

    /// Rows `[row, row + MR)`, `NV` registers of columns from `column` on.
    ///
    /// # Safety
    /// As for `columns`; `row + MR <= pass.rows`, `column + NV * V::WIDTH <= panel.width`.
    #[inline(always)]
    unsafe fn block<V: Lanes, const MR: usize, const NV: usize>(
        &mut self,
        panel: &Panel<'_>,
        column: usize,
        row: usize,
    ) {
        let Self { packed, dilation, pass, output } = self;
        let stride = pass.input_stride;
        // SAFETY: `fits` covers every input row + tap and every output row; the panel holds
        // taps * inputs rows of `panel.width` weights and one row of bias.
        unsafe {
            let bias: [V; NV] =
                std::array::from_fn(|v| V::load(panel.bias.as_ptr().add(column + v * V::WIDTH)));
            let mut sums = [bias; MR];
            let mut weights = panel.weights.as_ptr().add(column);
            let mut tap_row = pass.input.as_ptr().add(row * stride);
            for _ in 0..packed.taps {
                for input in 0..packed.inputs {
                    let w: [V; NV] = std::array::from_fn(|v| V::load(weights.add(v * V::WIDTH)));
                    weights = weights.wrapping_add(panel.width);
                    for (m, sums) in sums.iter_mut().enumerate() {
                        let x = V::splat(*tap_row.add(m * stride + input));
                        for (sum, w) in sums.iter_mut().zip(w) {
                            *sum = sum.add_product(x, w);
                        }
                    }
                }
                tap_row = tap_row.wrapping_add(*dilation * stride);
            }
            for (m, sums) in sums.iter().enumerate() {
                let to = (row + m) * packed.stride + panel.first + column;
                for (v, sum) in sums.iter().enumerate() {
                    sum.store(output.as_mut_ptr().add(to + v * V::WIDTH));
                }
            }
        }
    }
}
