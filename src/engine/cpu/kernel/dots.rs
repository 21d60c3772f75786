//! Convolutions of few output channels, such as the profile of a network: one sum of products along
//! the input channels per output, where the [direct](super::direct) kernel would fill a register of
//! output channels with zeros.
//!
//! Every output number is one chain per lane over taps, then registers of input channels; then the
//! lanes are added up in pairs. What rows are computed beside it does not matter.

use super::choice::Shape;
use super::packed::{Packed, padded};
use super::simd::{self, Lanes, Work};
use super::{Aligned, Finished, Isa, LANES, Pass, Scratch, Take};

/// Rows that are handed on together.
const ROWS: usize = 240;
/// Rows whose sums are in registers at a time: enough to hide the time that an addition takes.
const TOGETHER: usize = 12;
/// Every product loads a register, where the direct kernel has most of them in place already.
const OVERHEAD: usize = 2;
/// Adding up the lanes takes about as long as this many multiply-adds of the direct kernel.
const LANE_SUM: usize = 32;
/// It must be expected to be this many times faster than the direct kernel.
const LEAST_GAIN: usize = 2;

/// A convolution's weights along the input channels.
#[derive(Debug, Clone)]
pub struct Dots {
    taps: usize,
    dilation: usize,
    /// Padded input channels.
    width: usize,
    /// `[output][tap][input]`
    weights: Aligned,
    /// One number per output.
    bias: Vec<f32>,
}

/// Whether the kernel is expected to be much faster than the direct one. Rows of fewer channels than
/// a register holds, such as those of the sequence, may have no padding.
pub fn pays(shape: Shape) -> bool {
    shape.inputs >= LANES && LEAST_GAIN * work(shape) <= shape.work()
}

/// Time per output row, in multiply-adds of the direct kernel.
pub fn work(shape: Shape) -> usize {
    shape.outputs * (OVERHEAD * products(shape) + LANE_SUM)
}

/// Multiply-adds per output number.
pub fn products(shape: Shape) -> usize {
    shape.taps * padded(shape.inputs)
}

impl Dots {
    /// The weights of each output, one after the other.
    pub fn new(packed: &Packed, dilation: usize) -> Self {
        let (taps, width) = (packed.taps, padded(packed.inputs));
        let mut weights = vec![0.0; packed.outputs * taps * width];
        for (row, weights) in weights.chunks_exact_mut(width).enumerate() {
            for (input, weight) in weights[..packed.inputs].iter_mut().enumerate() {
                *weight = packed.weight(row / taps, input, row % taps);
            }
        }
        let bias = packed.bias[..packed.outputs].to_vec();
        Self { taps, dilation, width, weights: weights[..].into(), bias }
    }
}

/// Computes all rows of a pass, some at a time, and hands them on. `stride` is that of the output.
///
/// # Panics
/// When the input is shorter than the pass says, or the processor lacks the instruction set.
pub fn convolve(
    isa: Isa,
    dots: &Dots,
    stride: usize,
    pass: Pass<'_>,
    scratch: &mut Scratch,
    take: Take<'_>,
) {
    scratch.rows.hold(ROWS.min(pass.rows) * stride);
    for first in (0..pass.rows).step_by(ROWS) {
        let rows = ROWS.min(pass.rows - first);
        let pass = Pass { input: &pass.input[first * pass.input_stride..], rows, ..pass };
        assert!(pass.fits(dots.taps, dots.dilation, dots.width), "the input holds the pass");
        let values = &mut scratch.rows[..rows * stride];
        values.fill(0.0);
        simd::run(isa, Rows { dots, pass, stride, output: values });
        take(Finished { first, step: 1, values });
    }
}

/// A pass that fits its buffers, of at least one row.
struct Rows<'a> {
    dots: &'a Dots,
    pass: Pass<'a>,
    stride: usize,
    output: &'a mut [f32],
}

impl Work for Rows<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(mut self) {
        let rows = self.pass.rows;
        for output in 0..self.dots.bias.len() {
            // Plain loops: a closure may not be inlined, and would then lack the instruction set.
            // SAFETY: all rows are inside the pass.
            unsafe {
                match rows.checked_sub(TOGETHER) {
                    // some of the last rows twice, which is faster than one by one
                    Some(last) => {
                        for row in (0..rows).step_by(TOGETHER) {
                            self.rows::<V, TOGETHER>(output, row.min(last));
                        }
                    }
                    None => {
                        for row in 0..rows {
                            self.rows::<V, 1>(output, row);
                        }
                    }
                }
            }
        }
    }
}

impl Rows<'_> {
    /// One output of rows `[row, row + MR)`.
    ///
    /// # Safety
    /// The pass fits, has `row + MR` rows, and the instruction set is there.
    #[inline(always)]
    unsafe fn rows<V: Lanes, const MR: usize>(&mut self, output: usize, row: usize) {
        let Dots { taps, dilation, width, .. } = *self.dots;
        let stride = self.pass.input_stride;
        // SAFETY: `fits` covers `width` channels of every input row of every tap.
        let sums: [V; MR] = unsafe {
            let mut sums = [V::splat(0.0); MR];
            for tap in 0..taps {
                let weights = self.dots.weights.as_ptr().add((output * taps + tap) * width);
                let rows = self.pass.input.as_ptr().add((row + tap * dilation) * stride);
                for column in (0..width).step_by(V::WIDTH) {
                    let weight = V::load(weights.add(column));
                    for (m, sum) in sums.iter_mut().enumerate() {
                        *sum = sum.add_product(V::load(rows.add(m * stride + column)), weight);
                    }
                }
            }
            sums
        };
        for (m, sum) in sums.into_iter().enumerate() {
            let mut lanes = [0.0; LANES];
            // SAFETY: a register has at most `LANES` lanes.
            unsafe { sum.store(lanes.as_mut_ptr()) };
            let mut count = V::WIDTH;
            while count > 1 {
                count /= 2;
                (0..count).for_each(|lane| lanes[lane] += lanes[lane + count]);
            }
            self.output[(row + m) * self.stride + output] = self.dots.bias[output] + lanes[0];
        }
    }
}
