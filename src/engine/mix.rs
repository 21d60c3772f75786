//! From member outputs to tracks: ensemble means.

use super::Values;
use crate::error::Result;
use crate::model::Track;

/// Output of one member: rows of channels, one row per position.
pub struct Output<'a> {
    /// Position-major numbers.
    pub values: &'a [f32],
    /// Numbers per row, at least as many as there are channels.
    pub stride: usize,
}

/// Which members a list of tracks needs, and how their channels are averaged: summed in f32 in
/// the order of the members, then divided once (networks.md 6, point 3).
#[derive(Debug, Clone)]
pub struct Mixer {
    tracks: Vec<Track>,
    members: Vec<usize>,
}

impl Mixer {
    /// For a list of tracks.
    pub fn new(tracks: &[Track]) -> Self {
        let mut members: Vec<usize> =
            tracks.iter().flat_map(|track| track.sources.iter().map(|s| s.member)).collect();
        members.sort_unstable();
        members.dedup();
        Self { tracks: tracks.to_vec(), members }
    }

    /// The members that must be run, ascending.
    pub fn members(&self) -> &[usize] {
        &self.members
    }

    /// Runs each member once through `run`, which hands its output to the callback that it gets,
    /// and averages `length` positions into tracks.
    ///
    /// # Errors
    /// What `run` returns.
    pub fn mix(
        &self,
        length: usize,
        mut run: impl FnMut(usize, &mut dyn FnMut(Output<'_>)) -> Result<()>,
    ) -> Result<Values> {
        let mut tracks = vec![vec![0.0; length]; self.tracks.len()];
        for &member in &self.members {
            run(member, &mut |output| {
                for (sum, track) in tracks.iter_mut().zip(&self.tracks) {
                    for source in track.sources.iter().filter(|s| s.member == member) {
                        let rows = output.values.chunks_exact(output.stride);
                        for (sum, row) in sum.iter_mut().zip(rows) {
                            *sum += row[source.channel];
                        }
                    }
                }
            })?;
        }
        for (sum, track) in tracks.iter_mut().zip(&self.tracks) {
            let count = track.sources.len() as f32;
            sum.iter_mut().for_each(|value| *value /= count);
        }
        Ok(Values { tracks })
    }
}
