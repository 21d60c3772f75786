//! The direct convolution: a block of rows x columns of sums in registers, one broadcast input
//! number and a few weight registers at a time (cpu-kernels.md 4a: 85-96 % of the multiply-add
//! peak on AVX-512).
//!
//! Every output number is one chain `bias + w·x + w·x + …` over taps, then input channels,
//! whatever rows are computed beside it: so a value does not depend on where a tile begins.

use super::simd::Lanes;
use super::{Packed, Panel, Pass};

/// Computes all rows of a pass in register blocks of `MR` rows and `NV` registers of columns.
///
/// # Safety
/// The processor has the instruction set of `V`, and the pass fits its buffers (`Pass::fits`).
#[inline(always)]
pub unsafe fn convolve<V: Lanes, const MR: usize, const NV: usize>(
    packed: &Packed,
    mut pass: Pass<'_>,
) {
    for panel in packed.panels() {
        // SAFETY: passed on; the columns of a panel are a multiple of 16, so of one register.
        unsafe {
            if panel.width.is_multiple_of(NV * V::WIDTH) {
                columns::<V, MR, NV>(packed, &panel, &mut pass);
            } else {
                columns::<V, MR, 1>(packed, &panel, &mut pass);
            }
        }
    }
}

/// All rows of one panel, `NV` registers of columns at a time.
///
/// # Safety
/// See [`convolve`]; `panel.width` is a multiple of `NV * V::WIDTH`.
#[inline(always)]
unsafe fn columns<V: Lanes, const MR: usize, const NV: usize>(
    packed: &Packed,
    panel: &Panel<'_>,
    pass: &mut Pass<'_>,
) {
    for column in (0..panel.width).step_by(NV * V::WIDTH) {
        let mut row = 0;
        // SAFETY: each block lies inside the rows of the pass and the columns of the panel.
        unsafe {
            while row + MR <= pass.rows {
                block::<V, MR, NV>(packed, panel, column, pass, row);
                row += MR;
            }
            while row < pass.rows {
                block::<V, 1, NV>(packed, panel, column, pass, row);
                row += 1;
            }
        }
    }
}

/// Rows `[row, row + MR)`, `NV` registers of columns from `column` on.
///
/// # Safety
/// See [`columns`]; `row + MR <= pass.rows`, `column + NV * V::WIDTH <= panel.width`.
#[inline(always)]
unsafe fn block<V: Lanes, const MR: usize, const NV: usize>(
    packed: &Packed,
    panel: &Panel<'_>,
    column: usize,
    pass: &mut Pass<'_>,
    row: usize,
) {
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
            tap_row = tap_row.wrapping_add(pass.dilation * stride);
        }
        for (m, sums) in sums.iter().enumerate() {
            let to = (row + m) * packed.stride + panel.first + column;
            for (v, sum) in sums.iter().enumerate() {
                sum.store(pass.output.as_mut_ptr().add(to + v * V::WIDTH));
            }
        }
    }
}
