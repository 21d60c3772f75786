//! Convolution kernels, and which one a convolution gets.
//!
//! Activations are position-major: row `t` holds the channels of position `t`, padded to a
//! multiple of [`packed::LANES`]. What an output number is depends on the rows that it reads (direct), or
//! on those of its anchored block (transforms), never on where a tile begins.

mod direct;
mod fft;
mod packed;
mod ranged;
mod simd;
#[cfg(test)]
mod tests;
mod transform;

pub use fft::Scratch;
pub use packed::{Packed, padded};
pub use ranged::Choice;

use super::Isa;
use fft::Spectral;
use ranged::Ranged;

/// Rows that the direct kernel computes together: a multiple of each row block, few enough that
/// 32 channels stay in the first-level cache.
const ROWS: usize = 240;

/// A convolution with its weights, ready to run.
#[derive(Debug, Clone)]
pub struct Convolution {
    packed: Packed,
    /// Positions between taps.
    dilation: usize,
    kernel: Kernel,
    /// Further kernels, for edits.
    ranged: Ranged,
}

/// How a convolution is computed.
#[derive(Debug, Clone)]
enum Kernel {
    /// Sums of products, as written.
    Direct,
    /// Fourier transforms.
    Spectral(Box<Spectral>),
}

impl Convolution {
    /// Chooses the kernel, by the shape of the weights only.
    pub fn new(packed: Packed, dilation: usize) -> Self {
        let kernel = match Spectral::new(&packed, dilation) {
            Some(spectral) => Kernel::Spectral(Box::new(spectral)),
            None => Kernel::Direct,
        };
        Self { packed, dilation, kernel, ranged: Ranged::default() }
    }

    /// Length of the anchored blocks in which it is computed, in positions; 1 where any row can
    /// be computed by itself.
    pub fn block(&self) -> usize {
        match &self.kernel {
            Kernel::Direct => 1,
            Kernel::Spectral(spectral) => spectral.block(),
        }
    }

    /// How many rows are best computed by one call: a multiple of the block.
    pub fn rows_at_once(&self) -> usize {
        match &self.kernel {
            Kernel::Direct => ROWS,
            Kernel::Spectral(spectral) => spectral.blocks_at_once() * spectral.block(),
        }
    }

    /// Time per position, in multiply-adds of the direct kernel.
    pub fn work(&self) -> usize {
        match &self.kernel {
            Kernel::Direct => self.packed.work(),
            Kernel::Spectral(spectral) => spectral.work(),
        }
    }

    /// Computes the rows of a pass, whole blocks, with the chosen kernel.
    ///
    /// # Panics
    /// When the slices are shorter than the pass says, or the processor lacks the instruction set.
    pub fn compute(&self, isa: Isa, pass: Pass<'_>, scratch: &mut Scratch) {
        assert!(pass.rows.is_multiple_of(self.block()), "whole blocks only");
        match &self.kernel {
            Kernel::Direct => direct::convolve(isa, &self.packed, self.dilation, pass),
            Kernel::Spectral(spectral) => {
                fft::convolve(isa, spectral, &self.packed, pass, scratch);
            }
        }
    }
}

/// A run of consecutive output rows to compute.
pub struct Pass<'a> {
    /// Begins with the row that tap 0 of the first output row reads.
    pub input: &'a [f32],
    /// Numbers between input rows.
    pub input_stride: usize,
    /// Number of output rows.
    pub rows: usize,
    /// Output rows, one after the other, as wide as the padded output channels.
    pub output: &'a mut [f32],
}

impl Pass<'_> {
    /// Whether the slices hold every row that the kernels touch, of so many input channels.
    fn fits(&self, packed: &Packed, dilation: usize, channels: usize) -> bool {
        let last_row = self.rows - 1 + (packed.taps - 1) * dilation;
        channels <= self.input_stride
            && last_row * self.input_stride + channels <= self.input.len()
            && self.rows * packed.stride <= self.output.len()
    }
}
