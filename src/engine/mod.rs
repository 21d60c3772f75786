//! Runs a network: one trait, an oracle (f64, the definition) and the CPU engine.

use crate::error::Result;
use crate::network::Reach;

/// One stretch to compute. Coordinates are 0-based positions on the strand that is read.
#[derive(Debug, Clone)]
pub struct Job {
    /// First output position on the strand that is read (absolute, for anchored blocks).
    pub start: i64,
    /// Number of output positions.
    pub length: usize,
    /// Letters of `[start - reach.left, start + length + reach.right)`, 5' to 3' on that strand.
    pub letters: Vec<u8>,
}

/// What came out: one row of `length` numbers per requested track.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// `[track][position]`, positions in the order of the strand that was read.
    pub tracks: Vec<Vec<f32>>,
}

/// Computes tracks of one model on one device. Built for a fixed list of tracks.
pub trait Engine: Send + Sync {
    /// Engine, device and instruction set, for the log: `cpu (avx512)`.
    fn describe(&self) -> String;

    /// How far an output position looks: the hull over the members that are run.
    fn reach(&self) -> Reach;

    /// Runs all jobs, in parallel where the device can, and returns values in the order of jobs.
    /// `after_each` is called once for each finished job from any thread; its error stops the run.
    ///
    /// # Errors
    /// A NaN or infinity in an output (with its position), or what `after_each` returned.
    fn run(
        &self,
        jobs: &[Job],
        after_each: &(dyn Fn(&Job) -> Result<()> + Sync),
    ) -> Result<Vec<Values>>;
}
