//! Any processor: the same blocking in plain Rust, left to the compiler to vectorise. Sixteen
//! 128-bit registers hold a block's sums, weights and inputs (SSE2; NEON has 32).

use super::{LANES, Packed, Panel, Pass};

/// Rows of the main block.
const ROWS: usize = 4;
/// Columns of a block.
const COLUMNS: usize = LANES / 2;

/// Computes all rows of a pass.
pub fn convolve(packed: &Packed, mut pass: Pass<'_>) {
    for panel in packed.panels() {
        for column in (0..panel.width).step_by(COLUMNS) {
            let whole = pass.rows - pass.rows % ROWS;
            for row in (0..whole).step_by(ROWS) {
                block::<ROWS>(packed, &panel, column, &mut pass, row);
            }
            for row in whole..pass.rows {
                block::<1>(packed, &panel, column, &mut pass, row);
            }
        }
    }
}

/// Rows `[row, row + MR)`, columns `[column, column + COLUMNS)` of one panel.
fn block<const MR: usize>(
    packed: &Packed,
    panel: &Panel<'_>,
    column: usize,
    pass: &mut Pass<'_>,
    row: usize,
) {
    let columns = |row: &[f32]| -> [f32; COLUMNS] {
        row[column..column + COLUMNS].try_into().expect("a block of columns")
    };
    let mut sums = [columns(panel.bias); MR];
    let mut weights = panel.weights.chunks_exact(panel.width);
    for tap in 0..packed.taps {
        let rows: [&[f32]; MR] = std::array::from_fn(|m| {
            &pass.input[(row + m + tap * pass.dilation) * pass.input_stride..][..packed.inputs]
        });
        for input in 0..packed.inputs {
            let w = columns(weights.next().expect("one row of weights per tap and input"));
            for (sums, x) in sums.iter_mut().zip(rows) {
                for (sum, w) in sums.iter_mut().zip(w) {
                    *sum += w * x[input];
                }
            }
        }
    }
    for (m, sums) in sums.iter().enumerate() {
        let to = (row + m) * packed.stride + panel.first + column;
        pass.output[to..to + COLUMNS].copy_from_slice(sums);
    }
}
