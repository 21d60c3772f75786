//! Runs a network: one trait; an oracle (f64, the definition), the CPU engine and, with the feature
//! `torch`, libtorch.

pub mod cpu;
mod device;
mod edit;
pub mod effective;
pub(crate) mod encode;
mod fold;
mod mix;
pub mod oracle;
#[cfg(feature = "torch")]
pub mod torch;

pub use cpu::CpuEngine;
pub use device::{Coarseness, Device, Precision};
pub use edit::{
    Edit, EditValues, EditedWindow, Stretch, WindowEdit, WindowValues, run_in_full,
    run_windows_in_full,
};
pub use effective::Effective;
pub use oracle::Oracle;
#[cfg(feature = "torch")]
pub use torch::TorchEngine;

use crate::error::Result;
use crate::model::{Scalar, Track};
use crate::network::Reach;

/// One stretch to compute. Coordinates are 0-based positions on the strand that is read.
///
/// A model with a window computes exactly its `window.output` positions, from exactly the letters
/// of its window.
#[derive(Debug, Clone)]
pub struct Job {
    /// First output position on the strand that is read (absolute, for anchored blocks).
    pub start: i64,
    /// Number of output positions.
    pub length: usize,
    /// Letters of `[start - reach.left, start + length + reach.right)`, 5' to 3' on that strand.
    pub letters: Vec<u8>,
    /// `[control track][position]` over the same positions as the letters; empty where the model
    /// reads no control tracks, and for zeros.
    pub controls: Vec<Vec<f32>>,
}

impl Job {
    /// A job without control tracks.
    pub fn new(start: i64, length: usize, letters: Vec<u8>) -> Self {
        Self { start, length, letters, controls: Vec::new() }
    }
}

/// What came out: one row of `length` numbers per requested track, one number per requested scalar.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values {
    /// `[track][position]`, positions in the order of the strand that was read.
    pub tracks: Vec<Vec<f32>>,
    /// `[scalar]`
    pub scalars: Vec<f64>,
}

/// The outputs that an engine is built for, each the mean over the members that it comes from.
/// A list of tracks alone is one of them without scalars.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// What is wanted at each position.
    pub tracks: Vec<Track>,
    /// What is wanted for each window.
    pub scalars: Vec<Scalar>,
}

impl From<&[Track]> for Wanted {
    fn from(tracks: &[Track]) -> Self {
        Self { tracks: tracks.to_vec(), scalars: Vec::new() }
    }
}

impl From<&Vec<Track>> for Wanted {
    fn from(tracks: &Vec<Track>) -> Self {
        tracks.as_slice().into()
    }
}

/// Computes tracks of one model on one device. Built for a fixed list of tracks.
pub trait Engine: Send + Sync {
    /// Engine, device and instruction set, for the log: `cpu (avx512)`.
    fn describe(&self) -> String;

    /// How far beyond its output positions a job's letters must go: the hull of the networks'
    /// reaches, or more where an engine computes whole blocks. For a model with a window what lies
    /// of it on each side of the outputs.
    fn reach(&self) -> Reach;

    /// Memory that one running job takes per output position, in bytes (working buffers).
    fn bytes_per_position(&self) -> u64;

    /// What the context of a job costs, as a number of output positions of equal work: a gap of
    /// up to this many positions is cheaper to compute than to start a new job after it.
    fn overhead_positions(&self) -> u64;

    /// Whether the model must be run in its window: then every job is one.
    fn is_windowed(&self) -> bool {
        false
    }

    /// How far coarse arithmetic was found to be from that of 32 bits; `None` before the first run,
    /// and of an engine that computes in 32 bits or more.
    fn coarseness(&self) -> Option<Coarseness> {
        None
    }

    /// Runs all jobs, in parallel where the device can, and returns values in the order of jobs.
    /// `after_each` is called with the index of each finished job, from any thread; its error stops
    /// the run.
    /// Numbers are not judged here: a NaN comes back as a NaN.
    ///
    /// # Errors
    /// What `after_each` returned.
    fn run(
        &self,
        jobs: &[Job],
        after_each: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<Vec<Values>>;

    /// Runs every edit of every stretch alone, in parallel where the device can, and returns the
    /// values before and after each, in order. What comes out of an edit depends on the model, its
    /// own window and the letters that the window reads, never on the stretch around it or on the
    /// other edits. `after_each` is called with the index of each finished stretch, from any
    /// thread; its error stops the run.
    ///
    /// # Errors
    /// What `after_each` returned.
    fn run_edits(
        &self,
        stretches: &[Stretch],
        after_each: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<Vec<Vec<EditValues>>> {
        run_in_full(self, stretches, after_each)
    }

    /// Runs every window, and every edit of it alone, in parallel where the device can, and returns
    /// the values before and after each, in order. What comes out of an edit depends on the model
    /// and the letters of its window before and after it, never on the other edits. `after_each` is
    /// called with the index of each finished window, from any thread; its error stops the run.
    ///
    /// # Errors
    /// What `after_each` returned.
    fn run_window_edits(
        &self,
        windows: &[EditedWindow],
        after_each: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<Vec<WindowValues>> {
        run_windows_in_full(self, windows, after_each)
    }
}
