//! AVX-512: 12 rows x 32 channels in 24 accumulators, two weight registers, one broadcast
//! (cpu-kernels.md 4a: 85-96 % of the multiply-add peak).

use super::{LANES, Packed, Panel, Pass};
use std::arch::x86_64::{
    __m512, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

/// Rows of the main register block.
const ROWS: usize = 12;

/// Computes all rows of a pass.
///
/// # Safety
/// The processor has AVX-512F, and the pass fits its buffers (`Pass::fits`).
#[target_feature(enable = "avx512f")]
pub unsafe fn convolve(packed: &Packed, mut pass: Pass<'_>) {
    for panel in packed.panels() {
        // SAFETY: passed on from the caller; a panel is one or two registers wide.
        unsafe {
            match panel.width {
                LANES => rows::<1>(packed, &panel, &mut pass),
                _ => rows::<2>(packed, &panel, &mut pass),
            }
        }
    }
}

/// All rows of one panel of `NV` registers.
///
/// # Safety
/// See [`convolve`]; `panel.width == NV * LANES`.
#[target_feature(enable = "avx512f")]
unsafe fn rows<const NV: usize>(packed: &Packed, panel: &Panel<'_>, pass: &mut Pass<'_>) {
    let mut row = 0;
    // SAFETY: each block lies inside the rows of the pass.
    unsafe {
        while row + ROWS <= pass.rows {
            block::<ROWS, NV>(packed, panel, pass, row);
            row += ROWS;
        }
        while row + 4 <= pass.rows {
            block::<4, NV>(packed, panel, pass, row);
            row += 4;
        }
        while row < pass.rows {
            block::<1, NV>(packed, panel, pass, row);
            row += 1;
        }
    }
}

/// Rows `[row, row + MR)` of one panel.
///
/// # Safety
/// See [`rows`]; `row + MR <= pass.rows`.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn block<const MR: usize, const NV: usize>(
    packed: &Packed,
    panel: &Panel<'_>,
    pass: &mut Pass<'_>,
    row: usize,
) {
    let stride = pass.input_stride;
    // SAFETY: `fits` covers every input row + tap and every output row; the panel holds
    // taps * inputs * NV registers of weights and NV of bias.
    unsafe {
        let mut sums = [[_mm512_setzero_ps(); NV]; MR];
        for sums in &mut sums {
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = _mm512_loadu_ps(panel.bias.as_ptr().add(v * LANES));
            }
        }
        let mut weights = panel.weights.as_ptr();
        let mut tap_row = pass.input.as_ptr().add(row * stride);
        for _ in 0..packed.taps {
            for input in 0..packed.inputs {
                let w: [__m512; NV] =
                    std::array::from_fn(|v| _mm512_loadu_ps(weights.add(v * LANES)));
                weights = weights.add(NV * LANES);
                for (m, sums) in sums.iter_mut().enumerate() {
                    let x = _mm512_set1_ps(*tap_row.add(m * stride + input));
                    for (sum, w) in sums.iter_mut().zip(w) {
                        *sum = _mm512_fmadd_ps(x, w, *sum);
                    }
                }
            }
            tap_row = tap_row.wrapping_add(pass.dilation * stride);
        }
        for (m, sums) in sums.iter().enumerate() {
            for (v, &sum) in sums.iter().enumerate() {
                let to = (row + m) * packed.stride + panel.first + v * LANES;
                _mm512_storeu_ps(pass.output.as_mut_ptr().add(to), sum);
            }
        }
    }
}
