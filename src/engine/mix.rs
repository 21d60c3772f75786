//! From member outputs to tracks: ensemble means.

use super::{Values, Wanted};
use crate::error::Result;
use crate::model::Source;

/// Output of one member: rows of channels, one row per position.
pub struct Output<'a> {
    /// Position-major numbers.
    pub values: &'a [f32],
    /// Numbers per row, at least as many as there are channels.
    pub stride: usize,
    /// The channels of the scalar head, if there is one.
    pub scalars: &'a [f64],
}

/// Which members a list of outputs needs, and how their channels are averaged: summed in f32 in
/// the order of the members, then divided once (networks.md 6, point 3).
#[derive(Debug, Clone)]
pub struct Mixer {
    wanted: Wanted,
    members: Vec<usize>,
}

impl Mixer {
    /// For a list of outputs.
    pub fn new(wanted: Wanted) -> Self {
        let tracks = wanted.tracks.iter().flat_map(|track| &track.sources);
        let scalars = wanted.scalars.iter().flat_map(|scalar| &scalar.sources);
        let mut members: Vec<usize> = tracks.chain(scalars).map(|source| source.member).collect();
        members.sort_unstable();
        members.dedup();
        Self { wanted, members }
    }

    /// The members that must be run, ascending.
    pub fn members(&self) -> &[usize] {
        &self.members
    }

    /// Runs each member once through `run`, which hands its output to the callback that it gets,
    /// and averages `length` positions into tracks, and scalars.
    ///
    /// # Errors
    /// What `run` returns.
    pub fn mix(
        &self,
        length: usize,
        mut run: impl FnMut(usize, &mut dyn FnMut(Output<'_>)) -> Result<()>,
    ) -> Result<Values> {
        let mut sums = self.sums(length);
        for &member in &self.members {
            run(member, &mut |output| self.add(&mut sums, member, output))?;
        }
        Ok(self.mean(sums))
    }

    /// Sums over no member yet, for `length` positions.
    pub fn sums(&self, length: usize) -> Values {
        let Wanted { tracks, scalars } = &self.wanted;
        Values { tracks: vec![vec![0.0; length]; tracks.len()], scalars: vec![0.0; scalars.len()] }
    }

    /// Adds the output of a member to the sums; members come in ascending order.
    pub fn add(&self, sums: &mut Values, member: usize, output: Output<'_>) {
        let own = move |source: &&Source| source.member == member;
        for (sum, track) in sums.tracks.iter_mut().zip(&self.wanted.tracks) {
            for source in track.sources.iter().filter(own) {
                let rows = output.values.chunks_exact(output.stride);
                for (sum, row) in sum.iter_mut().zip(rows) {
                    *sum += row[source.channel];
                }
            }
        }
        for (sum, scalar) in sums.scalars.iter_mut().zip(&self.wanted.scalars) {
            let sources = scalar.sources.iter().filter(own);
            *sum += sources.map(|source| output.scalars[source.channel]).sum::<f64>();
        }
    }

    /// Means from the sums over all members.
    pub fn mean(&self, mut sums: Values) -> Values {
        for (sum, track) in sums.tracks.iter_mut().zip(&self.wanted.tracks) {
            let count = track.sources.len() as f32;
            sum.iter_mut().for_each(|value| *value /= count);
        }
        for (sum, scalar) in sums.scalars.iter_mut().zip(&self.wanted.scalars) {
            *sum /= scalar.sources.len() as f64;
        }
        sums
    }
}
