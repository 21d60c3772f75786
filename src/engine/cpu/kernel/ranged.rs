//! Kernels of one convolution beside the one that its plan chose: for edits, which compute short
//! ranges, and many of them (cpu-kernels.md 4d).

use super::fft::{self, POINTS, Spectral};
use super::{Convolution, Isa, Pass, Scratch, Take, direct};
use std::ops::Range;
use std::sync::OnceLock;

/// Which kernel computes some rows of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The one that was chosen for long stretches.
    Own,
    /// Sums of products: any row by itself.
    Direct,
    /// One of the [`TRANSFORMS`] kinds of transforms, by index.
    Transform(usize),
}

/// Kinds of transforms: each of [`POINTS`] with all outputs that it can give, and with so many
/// that blocks fit the reach of the convolution without a rest.
const TRANSFORMS: usize = 2 * POINTS.len();

/// Spectra of every length, made when they are first asked for.
#[derive(Debug, Clone, Default)]
pub struct Ranged {
    spectra: Box<[OnceLock<Spectral>; TRANSFORMS]>,
}

impl Convolution {
    /// The kernels that can compute it.
    pub fn choices(&self) -> impl Iterator<Item = Choice> {
        let fits = fft::fits(self.packed.shape(self.dilation));
        let usable = move |index: &usize| fits && self.outputs(*index) > 0;
        let transforms = (0..TRANSFORMS).filter(usable).map(Choice::Transform);
        [Choice::Own, Choice::Direct].into_iter().chain(transforms)
    }

    /// The fastest kernel for a range of so many rows: a function of that number and the shape of
    /// the weights alone.
    pub fn fastest(&self, rows: usize) -> Choice {
        let by_itself = self.block() == 1;
        let ranged = self.choices().filter(|&choice| choice != Choice::Own || by_itself);
        ranged.min_by_key(|&choice| self.work_of_range(choice, rows)).unwrap_or(Choice::Direct)
    }

    /// [`Self::block`] of another kernel.
    pub fn block_of(&self, choice: Choice) -> usize {
        match choice {
            Choice::Own => self.block(),
            Choice::Direct => 1,
            Choice::Transform(index) => self.outputs(index) * self.dilation,
        }
    }

    /// [`Self::work`] of another kernel.
    pub fn work_of(&self, choice: Choice) -> usize {
        match choice {
            Choice::Own => self.work(),
            Choice::Direct => self.packed.shape(self.dilation).work(),
            Choice::Transform(index) => fft::work(POINTS[index / 2]) / self.outputs(index),
        }
    }

    /// Time that a range of rows takes, computed from its first row on, in multiply-adds of the
    /// direct kernel.
    pub fn work_of_range(&self, choice: Choice, rows: usize) -> usize {
        match choice {
            Choice::Own | Choice::Direct => rows * self.work_of(choice),
            Choice::Transform(index) => {
                let blocks = rows.div_ceil(self.dilation).div_ceil(self.outputs(index));
                blocks * self.dilation.min(rows) * fft::work(POINTS[index / 2])
            }
        }
    }

    /// Computes the rows of a pass with any of its kernels, in blocks from the first row on, and
    /// hands the wanted ones on.
    ///
    /// # Panics
    /// As [`Self::compute`].
    pub fn compute_as(
        &self,
        choice: Choice,
        isa: Isa,
        pass: Pass<'_>,
        wanted: Range<usize>,
        scratch: &mut Scratch,
        take: Take<'_>,
    ) {
        let Self { packed, dilation, .. } = self;
        match choice {
            Choice::Own => self.compute(isa, pass, wanted, scratch, take),
            Choice::Direct => {
                direct::convolve_by_parts(isa, packed, *dilation, pass, scratch, take);
            }
            Choice::Transform(index) => {
                let size = (POINTS[index / 2], self.outputs(index));
                let make = || Spectral::of_size(packed, *dilation, size);
                let spectral = self.ranged.spectra[index].get_or_init(make);
                fft::convolve(isa, spectral, packed, pass, scratch, take);
            }
        }
    }

    /// Taps, dilation and channels: what the choice of a kernel looks at.
    pub fn shape(&self) -> [usize; 4] {
        [self.packed.taps, self.dilation, self.packed.inputs, self.packed.stride]
    }

    /// Output rows of a tile of transforms; 0 where the kernel is too long for them.
    fn outputs(&self, index: usize) -> usize {
        let most = (POINTS[index / 2] + 1).saturating_sub(self.packed.taps);
        let reach = self.packed.taps - 1;
        match index % 2 {
            0 => most,
            _ if reach == 0 || most == 0 => 0,
            _ if most >= reach => most / reach * reach,
            _ => (1..=most).rev().find(|outputs| reach.is_multiple_of(*outputs)).unwrap_or(0),
        }
    }
}
