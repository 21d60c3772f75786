//! AVX2 + FMA: 6 rows x 16 channels in 12 accumulators, two weight registers, one broadcast.

use super::{LANES, Packed, Panel, Pass};
use std::arch::x86_64::{
    __m256, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

/// Rows of the main register block.
const ROWS: usize = 6;
/// Numbers of one register.
const WIDTH: usize = 8;
/// Registers that cover the columns of one block.
const NV: usize = LANES / WIDTH;

/// Computes all rows of a pass.
///
/// # Safety
/// The processor has AVX2 and FMA, and the pass fits its buffers (`Pass::fits`).
#[target_feature(enable = "avx2,fma")]
pub unsafe fn convolve(packed: &Packed, mut pass: Pass<'_>) {
    for panel in packed.panels() {
        for column in (0..panel.width).step_by(LANES) {
            let mut row = 0;
            // SAFETY: each block lies inside the rows of the pass and the columns of the panel.
            unsafe {
                while row + ROWS <= pass.rows {
                    block::<ROWS>(packed, &panel, column, &mut pass, row);
                    row += ROWS;
                }
                while row < pass.rows {
                    block::<1>(packed, &panel, column, &mut pass, row);
                    row += 1;
                }
            }
        }
    }
}

/// Rows `[row, row + MR)`, columns `[column, column + LANES)` of one panel.
///
/// # Safety
/// See [`convolve`]; `row + MR <= pass.rows`, `column + LANES <= panel.width`.
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn block<const MR: usize>(
    packed: &Packed,
    panel: &Panel<'_>,
    column: usize,
    pass: &mut Pass<'_>,
    row: usize,
) {
    let stride = pass.input_stride;
    // SAFETY: `fits` covers every input row + tap and every output row; the panel holds
    // taps * inputs rows of `panel.width` weights.
    unsafe {
        let mut sums = [[_mm256_setzero_ps(); NV]; MR];
        for sums in &mut sums {
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = _mm256_loadu_ps(panel.bias.as_ptr().add(column + v * WIDTH));
            }
        }
        let mut weights = panel.weights.as_ptr().add(column);
        let mut tap_row = pass.input.as_ptr().add(row * stride);
        for _ in 0..packed.taps {
            for input in 0..packed.inputs {
                let w: [__m256; NV] =
                    std::array::from_fn(|v| _mm256_loadu_ps(weights.add(v * WIDTH)));
                weights = weights.wrapping_add(panel.width);
                for (m, sums) in sums.iter_mut().enumerate() {
                    let x = _mm256_set1_ps(*tap_row.add(m * stride + input));
                    for (sum, w) in sums.iter_mut().zip(w) {
                        *sum = _mm256_fmadd_ps(x, w, *sum);
                    }
                }
            }
            tap_row = tap_row.wrapping_add(pass.dilation * stride);
        }
        for (m, sums) in sums.iter().enumerate() {
            for (v, &sum) in sums.iter().enumerate() {
                let to = (row + m) * packed.stride + panel.first + column + v * WIDTH;
                _mm256_storeu_ps(pass.output.as_mut_ptr().add(to), sum);
            }
        }
    }
}
