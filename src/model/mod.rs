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

use crate::error::{Error, Result};
use crate::network::architecture::WindowSize;
use crate::network::{Architecture, Graph, Reach, Span, Stretched};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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

impl Track {
    /// Refuses to average a track that stands alone over both strands, where its numbers belong to
    /// one of them: those of the other strand are about other events.
    ///
    /// # Errors
    /// A usage error, for a stranded track.
    pub fn refuse_strand_average(&self) -> Result<()> {
        match self.strand {
            TrackStrand::None => Ok(()),
            _ => Err(Error::usage(format!("track {:?} belongs to one strand", self.name))
                .expected("a track of both strands where these are averaged")
                .remedy("read one strand: --rc-average none")),
        }
    }
}

/// The window that a model must be run in, in bases: what it reads and what it gives. Windows are
/// cut out of a strand by the positions of their outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Bases that go in.
    #[serde(rename = "in")]
    pub input: usize,
    /// Positions that come out.
    #[serde(rename = "out")]
    pub output: usize,
    /// The base of the input, from 0, that lies on the middle of a region, on a summit or on a
    /// variant.
    pub anchor: usize,
}

/// One number per window: a channel of the scalar heads of some members, averaged like a track.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scalar {
    /// Short name: letters, digits, `_`, `-`.
    pub name: String,
    /// Unit of the number, such as `ln(count)`.
    pub unit: String,
    /// One sentence for people.
    pub description: String,
    /// The channels that are averaged.
    pub sources: Vec<Source>,
}

/// Tracks that are the logits of one distribution over all their positions together, and the
/// logarithm of the count that is spread over it: `softmax(logits) · exp(log count)` is the number
/// of events that is expected at a position (networks.md 3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Names of the tracks.
    pub tracks: Vec<String>,
    /// Name of the scalar.
    pub log_count: String,
}

/// Ending of the names of tracks and scalars that leave out the bias of the assay, in models that
/// also give the sum.
pub const WITHOUT_BIAS: &str = "_without_bias";

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
    /// The window that it must be run in; none where any stretch can be computed.
    pub window: Option<Window>,
    /// The outputs at each position.
    pub tracks: Vec<Track>,
    /// How its tracks become scores of variants, where they can.
    pub scheme: Option<Scheme>,
    /// The outputs for each window.
    pub scalars: Vec<Scalar>,
    /// How tracks and scalars are to be read together.
    pub profiles: Vec<Profile>,
    /// How unknown letters are read.
    pub unknown_base: UnknownBase,
    /// Where it comes from.
    pub provenance: Provenance,
}

impl Window {
    /// That of an architecture, if it has one; its anchor is the middle of the input.
    pub fn of(architecture: &Architecture) -> Option<Self> {
        let WindowSize { input, output } = architecture.window?;
        Some(Self { input, output, anchor: input / 2 })
    }

    /// The positions that go in, from 0.
    pub fn span(&self) -> Span {
        Span::new(0, i64::try_from(self.input).unwrap_or(i64::MAX))
    }

    /// The positions of the window at which a network has outputs.
    pub fn outputs(&self, graph: &Graph) -> Span {
        graph.domains(self.span())[graph.output()]
    }
}

impl Model {
    /// How far one output position looks: the hull over all networks, in bases.
    pub fn reach(&self) -> Reach {
        self.networks.iter().map(Graph::reach).fold(Reach::default(), Reach::hull)
    }

    /// How many bases a job needs on each side of its outputs: the reach, or in a window all that
    /// lies outside of the outputs.
    pub fn flanks(&self) -> Reach {
        let Some(window) = self.window else { return self.reach() };
        let outputs = self.networks.first().map(|graph| window.outputs(graph));
        outputs.map_or(Reach::default(), |outputs| Reach {
            left: outputs.start.unsigned_abs(),
            right: (window.span().end - outputs.end).unsigned_abs(),
        })
    }

    /// The same model for stretches of any length, without scalars and profiles: its tracks are
    /// those of the windows where these leave out as much on each side as the networks reach.
    ///
    /// # Errors
    /// No window, one that the outputs see the ends of, or control tracks (usage).
    pub fn without_window(&self) -> Result<Self> {
        let networks: Vec<Graph> =
            self.networks.iter().map(Graph::without_window).collect::<Result<_>>()?;
        let reach = networks.iter().map(Graph::reach).fold(Reach::default(), Reach::hull);
        let flanks = self.flanks();
        if self.window.is_none() || reach.left > flanks.left || reach.right > flanks.right {
            return Err(Error::usage("the outputs of the model see the ends of its window")
                .found(format!("a reach of {} and {} bases", reach.left, reach.right))
                .expected(format!("at most {} and {}", flanks.left, flanks.right))
                .remedy("run it in its windows"));
        }
        self.with_networks(networks)
    }

    /// The same model for stretches of any length, whose networks also give the columns that the
    /// scalars are means of; and what these networks are. It has the same tracks, without scalars
    /// and profiles.
    ///
    /// # Errors
    /// No window, or networks that need theirs ([`Graph::stretched`]; usage).
    pub fn stretched(&self) -> Result<(Self, Vec<Stretched>)> {
        let window = self.window.ok_or_else(|| Error::usage("the model has no window"))?;
        let stretched = |graph: &Graph| graph.stretched(window.span());
        let networks: Vec<Stretched> =
            self.networks.iter().map(stretched).collect::<Result<_>>()?;
        let graphs = networks.iter().map(|network| network.graph.clone()).collect();
        Ok((self.with_networks(graphs)?, networks))
    }

    /// The members with other networks, of whose tensors these need a part, and without a window.
    fn with_networks(&self, networks: Vec<Graph>) -> Result<Self> {
        let mut model = self.clone();
        for member in &mut model.members {
            let needed: BTreeSet<String> =
                networks[member.network].parameters().into_iter().map(|p| p.name).collect();
            member.weights.retain(|name, _| needed.contains(name));
        }
        model.networks = networks;
        model.window = None;
        model.scalars.clear();
        model.profiles.clear();
        model.validate()?;
        Ok(model)
    }

    /// Tracks that the model reads beside the sequence.
    pub fn control_channels(&self) -> usize {
        let channels = |graph: &Graph| graph.control().map_or(0, |node| graph.channels(node));
        self.networks.iter().map(channels).max().unwrap_or(0)
    }

    /// How many numbers the members hold together, stored means and variances included.
    pub fn parameter_count(&self) -> usize {
        let tensors = self.members.iter().flat_map(|member| member.weights.values());
        tensors.map(|tensor| tensor.values.len()).sum()
    }
}
