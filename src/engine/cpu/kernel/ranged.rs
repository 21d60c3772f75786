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
    /// Transforms of the length with this index in [`POINTS`].
    Transform(usize),
}

/// Spectra of every length, made when they are first asked for.
#[derive(Debug, Clone, Default)]
pub struct Ranged {
    spectra: [OnceLock<Box<Spectral>>; POINTS.len()],
}

impl Convolution {
    /// The kernels that can compute it.
    pub fn choices(&self) -> impl Iterator<Item = Choice> {
        let usable = |index: &usize| fft::fits(&self.packed) && self.tile(*index).is_some();
        let transforms = (0..POINTS.len()).filter(usable).map(Choice::Transform);
        [Choice::Own, Choice::Direct].into_iter().chain(transforms)
    }

    /// The fastest kernel for a range of so many rows: a function of that number and the shape of
    /// the weights alone.
    pub fn fastest(&self, rows: usize) -> Choice {
        let ranged = self.choices().filter(|&choice| choice != Choice::Own);
        ranged.min_by_key(|&choice| self.work_of_range(choice, rows)).unwrap_or(Choice::Direct)
    }

    /// [`Self::block`] of another kernel.
    pub fn block_of(&self, choice: Choice) -> usize {
        match choice {
            Choice::Own => self.block(),
            Choice::Direct => 1,
            Choice::Transform(index) => {
                self.tile(index).map_or(1, |(_, outputs)| outputs * self.dilation)
            }
        }
    }

    /// [`Self::work`] of another kernel.
    pub fn work_of(&self, choice: Choice) -> usize {
        match choice {
            Choice::Own => self.work(),
            Choice::Direct => self.packed.work(),
            Choice::Transform(index) => {
                self.tile(index).map_or(usize::MAX, |(work, outputs)| work / outputs)
            }
        }
    }

    /// Time that a range of rows takes, computed from its first row on, in multiply-adds of the
    /// direct kernel.
    pub fn work_of_range(&self, choice: Choice, rows: usize) -> usize {
        match choice {
            Choice::Own | Choice::Direct => rows * self.work_of(choice),
            Choice::Transform(index) => self.tile(index).map_or(usize::MAX, |(work, outputs)| {
                let blocks = rows.div_ceil(self.dilation).div_ceil(outputs);
                blocks * self.dilation.min(rows) * work
            }),
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
                let make = || Box::new(Spectral::with_points(packed, *dilation, POINTS[index]));
                let spectral = self.ranged.spectra[index].get_or_init(make);
                fft::convolve(isa, spectral, packed, pass, scratch, take);
            }
        }
    }

    /// Time and output rows of a tile of transforms; `None` where the kernel is too long.
    fn tile(&self, index: usize) -> Option<(usize, usize)> {
        fft::tile(POINTS[index], self.packed.taps)
    }
}
