//! Convolution kernels, and which one a convolution gets.
//!
//! Activations are position-major: row `t` holds the channels of position `t`, padded to a
//! multiple of [`LANES`]. What an output number is depends on the rows that it reads (direct), or
//! on those of its anchored block (transforms), never on where a tile begins.

mod aligned;
mod choice;
mod direct;
mod dots;
mod fft;
mod lookup;
mod packed;
mod ranged;
pub mod simd;
#[cfg(test)]
mod tests;
mod transform;
mod winograd;

pub use aligned::Aligned;
pub use choice::{Planned, longest_block, planned};
pub use packed::{LANES, Packed, padded};
pub use ranged::Choice;

use super::Isa;
use choice::Method;
use dots::Dots;
use fft::Spectral;
use lookup::Lookup;
use ranged::Ranged;
use std::ops::Range;
use winograd::Winograd;

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
    /// Minimal filtering.
    Winograd(Box<Winograd>),
    /// Sums along the input channels.
    Dots(Box<Dots>),
    /// Weights of letters.
    Lookup(Box<Lookup>),
}

impl Convolution {
    /// Chooses the kernel by the shape of the weights; blocks of filtering are at most `longest`
    /// positions.
    pub fn new(packed: Packed, dilation: usize, longest: usize) -> Self {
        let kernel = match Method::of(packed.shape(dilation), longest) {
            Method::Direct => Kernel::Direct,
            Method::Transforms(points) => {
                Kernel::Spectral(Box::new(Spectral::new(&packed, dilation, points)))
            }
            Method::Filtering => Kernel::Winograd(Box::new(Winograd::new(&packed, dilation))),
            Method::Dots => Kernel::Dots(Box::new(Dots::new(&packed, dilation))),
            Method::Lookup => Kernel::Lookup(Box::new(Lookup::new(&packed, dilation))),
        };
        Self { packed, dilation, kernel, ranged: Ranged::default() }
    }

    /// Positions from the first tap to the last.
    pub fn span(&self) -> usize {
        (self.packed.taps - 1) * self.dilation
    }

    /// Length of the anchored blocks in which it is computed, in positions; 1 where any row can
    /// be computed by itself.
    pub fn block(&self) -> usize {
        match &self.kernel {
            Kernel::Direct | Kernel::Dots(_) | Kernel::Lookup(_) => 1,
            Kernel::Spectral(spectral) => spectral.block(),
            Kernel::Winograd(winograd) => winograd.block(),
        }
    }

    /// Time per position, in multiply-adds of the direct kernel.
    pub fn work(&self) -> usize {
        let shape = self.packed.shape(self.dilation);
        match &self.kernel {
            Kernel::Direct => shape.work(),
            Kernel::Spectral(spectral) => spectral.work(),
            Kernel::Winograd(_) => winograd::work(shape),
            Kernel::Dots(_) => dots::work(shape),
            Kernel::Lookup(_) => lookup::work(shape),
        }
    }

    /// Computes the wanted rows of a pass, whole blocks, with the chosen kernel, and hands them on;
    /// other rows of their blocks may come too.
    ///
    /// # Panics
    /// When the slices are shorter than the pass says, or the processor lacks the instruction set.
    pub fn compute(
        &self,
        isa: Isa,
        pass: Pass<'_>,
        wanted: Range<usize>,
        scratch: &mut Scratch,
        take: Take<'_>,
    ) {
        assert!(pass.rows.is_multiple_of(self.block()), "whole blocks only");
        match &self.kernel {
            Kernel::Direct => {
                direct::convolve_by_parts(isa, &self.packed, self.dilation, pass, scratch, take);
            }
            Kernel::Spectral(spectral) => {
                fft::convolve(isa, spectral, &self.packed, pass, scratch, take);
            }
            Kernel::Winograd(winograd) => {
                winograd::convolve(isa, winograd, &self.packed, pass, wanted, scratch, take);
            }
            Kernel::Dots(dots) => {
                dots::convolve(isa, dots, self.packed.stride, pass, scratch, take);
            }
            Kernel::Lookup(lookup) => {
                lookup::convolve(isa, lookup, &self.packed, pass, scratch, take);
            }
        }
    }
}

/// A run of consecutive output rows to compute.
#[derive(Debug, Clone, Copy)]
pub struct Pass<'a> {
    /// Begins with the row that tap 0 of the first output row reads.
    pub input: &'a [f32],
    /// Numbers between input rows.
    pub input_stride: usize,
    /// Number of output rows.
    pub rows: usize,
}

impl Pass<'_> {
    /// Whether the input holds every row that the kernels touch, of so many channels.
    fn fits(&self, taps: usize, dilation: usize, channels: usize) -> bool {
        let last_row = self.rows - 1 + (taps - 1) * dilation;
        channels <= self.input_stride && last_row * self.input_stride + channels <= self.input.len()
    }
}

/// Output rows that a kernel has just computed, while they are in cache.
#[derive(Debug)]
pub struct Finished<'a> {
    /// Row of the pass that comes first.
    pub first: usize,
    /// Rows of the pass from one to the next.
    pub step: usize,
    /// Row after row, as wide as the padded output channels.
    pub values: &'a mut [f32],
}

/// What happens to finished rows. Every wanted row of a pass is handed on once, in any order.
pub type Take<'a> = &'a mut dyn FnMut(Finished<'_>);

/// Buffers of the kernels, used again from pass to pass.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Output rows.
    rows: Aligned,
    /// Which letter each input row is.
    letters: Vec<u8>,
    transforms: fft::Scratch,
    winograd: winograd::Scratch,
}
