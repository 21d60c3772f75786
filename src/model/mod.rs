//! A network with weights: members, output tracks, letters, provenance.

mod bytes;
mod ensemble;
pub mod file;
mod float;
pub mod import;
mod json;
pub mod pwm;
mod scheme;
mod select;
#[cfg(test)]
pub(crate) mod testing;
mod validate;

use crate::network::{Graph, Reach};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use file::Loaded;
pub use scheme::Scheme;

/// A dense array of f32 in C order.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Axis lengths.
    pub shape: Vec<usize>,
    /// Values, last axis fastest.
    pub values: Vec<f32>,
}

/// The tensors of one member by neutral name (`unit.0.conv1.weight`, …).
pub type Weights = BTreeMap<String, Tensor>;

/// One trained network of an ensemble.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// What `--member` calls it: the stem of the source file.
    pub name: String,
    /// Index into [`Model::networks`].
    pub network: usize,
    /// Its tensors; exactly those that the network asks for.
    pub weights: Weights,
}

/// Where a track comes from: one output channel of one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Index into [`Model::members`].
    pub member: usize,
    /// Output channel of that member's network.
    pub channel: usize,
}

/// Which strand the numbers of a track belong to, seen from the strand that the network reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrackStrand {
    /// The strand that the network reads (splice sites).
    Read,
    /// The other strand (the second output of a stranded assay).
    Opposite,
    /// Both strands together (accessibility).
    None,
}

/// One output track: its name, unit and sources, which are averaged (in f32, in the order given,
/// divided once).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Track {
    /// Short name, used in file names and `--track`: letters, digits, `_`, `-`.
    pub name: String,
    /// Unit of the numbers, such as `probability`.
    pub unit: String,
    /// One sentence for people.
    pub description: String,
    /// Which strand the numbers belong to.
    pub strand: TrackStrand,
    /// Whether it is written when no `--track` is given.
    pub default: bool,
    /// The channels that are averaged.
    pub sources: Vec<Source>,
}

/// What a network reads for N and every other letter that is not A, C, G or T.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownBase {
    /// Four zeros.
    Zero,
    /// 0.25 in each channel.
    Uniform,
}

/// A source file of the weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// File name without folders.
    pub name: String,
    /// SHA-256 of the bytes, lower-case hexadecimal.
    pub sha256: String,
}

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Family, such as `spliceai`; `atrous` for our own.
    pub family: String,
    /// Licence of the weights as the user states it, or `unknown`.
    pub licence: String,
    /// Files that the weights were read from.
    pub sources: Vec<SourceFile>,
    /// Tensors of the sources that the network never reads, checked for shape.
    pub unread: Vec<String>,
    /// Program and version that wrote the file, and how the model was made.
    pub record: String,
}

/// A network, or an ensemble of them, ready to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Short name for logs.
    pub name: String,
    /// The distinct graphs of the members.
    pub networks: Vec<Graph>,
    /// The trained networks.
    pub members: Vec<Member>,
    /// The outputs.
    pub tracks: Vec<Track>,
    /// How its tracks become scores of variants, where they can.
    pub scheme: Option<Scheme>,
    /// How unknown letters are read.
    pub unknown_base: UnknownBase,
    /// Where it comes from.
    pub provenance: Provenance,
}

impl Model {
    /// How far one output position looks: the hull over all networks, in bases.
    pub fn reach(&self) -> Reach {
        self.networks.iter().map(Graph::reach).fold(Reach::default(), Reach::hull)
    }

    /// How many numbers the members hold together, stored means and variances included.
    pub fn parameter_count(&self) -> usize {
        let tensors = self.members.iter().flat_map(|member| member.weights.values());
        tensors.map(|tensor| tensor.values.len()).sum()
    }
}
