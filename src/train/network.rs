//! The network of a run: its graph, its first weights, and the model that becomes of it.

use super::config::{Config, CountStrand, Counts, Link, Loaded, Start};
use super::random::Random;
use crate::error::{Error, Result};
use crate::model::{
    Member, Model, Provenance, Scheme, Source, Tensor, Track, TrackStrand, UnknownBase, Weights,
    Window, file,
};
use crate::network::architecture::{Head, HeadFunction};
use crate::network::{Architecture, Graph, Node, NodeId, Op, Reach};
use std::path::Path;

/// Purpose of random numbers.
const WEIGHTS: u64 = 3;
/// The architecture where the configuration names none.
const DEFAULT: &str = "exponential-small";

/// The two ends of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Net {
    /// Up to the last convolution: what is trained, whose loss is computed from logits.
    pub logits: Graph,
    /// With the function behind it: what is exported. Its tensors are the same.
    pub full: Graph,
    /// How far an output looks.
    pub reach: Reach,
    /// Weights to begin with, of another run.
    given: Option<Weights>,
}

impl Net {
    /// The network that a configuration describes.
    ///
    /// # Errors
    /// An architecture that is not there or cannot be built; with zero padding, which would make
    /// the outputs depend on the window.
    pub fn new(of: &Loaded) -> Result<Self> {
        let config = &of.config;
        let mut architecture = architecture(of)?;
        architecture.head.outputs = config.outputs();
        let controls = config.control.as_ref().map_or(0, |control| control.files.len());
        architecture.head.function = HeadFunction::Linear;
        let logits = architecture.graph_with_controls(controls)?;
        architecture.head.function = match &config.counts {
            Some(Counts { link: Link::Softplus, .. }) => HeadFunction::Softplus,
            Some(Counts { link: Link::Exp, .. }) => HeadFunction::Exp,
            None => HeadFunction::Softmax,
        };
        let full = architecture.graph_with_controls(controls)?;
        let reach = full.reach();
        let given = config.network.weights.as_ref().map(|path| given(&of.folder.join(path), &full));
        Ok(Self { given: given.transpose()?, logits, full, reach })
    }

    /// First weights: those of the model that the configuration names; else normal, with the variance that keeps that of a rectified signal (He et al.,
    /// ICCV 2015), smaller by the number of branches in front of a sum; and a last layer that is
    /// near 0 with biases that give `priors`, the logits of what is seen on average.
    pub fn first_weights(&self, seed: u64, start: Start, priors: &[f64]) -> Weights {
        if let Some(given) = &self.given {
            return given.clone();
        }
        let graph = &self.logits;
        let sums = graph.nodes().iter().filter(|node| node.op == Op::Add).count();
        let mut weights = Weights::new();
        for (id, node) in graph.nodes().iter().enumerate() {
            let last = id == graph.output();
            let scale = match last {
                true => 0.1,
                false if ends_in_sum(graph, id) => 1.0 / (sums.max(1) as f64).sqrt(),
                false => 1.0,
            };
            for (index, parameter) in graph.node_parameters(id).into_iter().enumerate() {
                let count: usize = parameter.shape.iter().product();
                let suffix = parameter.name.rsplit('.').next().unwrap_or_default();
                let values = match (suffix, &node.op) {
                    ("weight", _) => {
                        let fan_in: usize = parameter.shape[1..].iter().product();
                        let taps = match (&node.op, start) {
                            (Op::Conv { dilation: 2.., kernel, .. }, Start::Smooth) => *kernel,
                            _ => 1,
                        };
                        // equal taps add up: their sum keeps the variance of equal inputs
                        let spread = scale * (2.0 / (fan_in * taps) as f64).sqrt();
                        let mut random = Random::of(&[seed, WEIGHTS, id as u64, index as u64]);
                        let drawn = (0..count / taps).map(|_| (spread * random.normal()) as f32);
                        drawn.flat_map(|value| std::iter::repeat_n(value, taps)).collect()
                    }
                    ("bias", _) if last => priors.iter().map(|&prior| prior as f32).collect(),
                    ("scale" | "var", _) => vec![1.0; count],
                    _ => vec![0.0; count],
                };
                weights.insert(parameter.name, Tensor { shape: parameter.shape, values });
            }
        }
        weights
    }

    /// The model of trained weights.
    ///
    /// # Errors
    /// Weights that do not fit.
    pub fn model(&self, config: &Config, weights: &Weights, record: String) -> Result<Model> {
        let own = Member { name: "forward".into(), network: 0, weights: weights.clone() };
        let (mut networks, mut members) = (vec![self.full.clone()], vec![own]);
        let strands: Vec<CountStrand> = match &config.counts {
            Some(counts) => counts.tracks.iter().map(|track| track.strand).collect(),
            None => vec![],
        };
        if config.network.both_strands {
            let (graph, weights) = turned(&self.full, weights)?;
            let network = if graph == networks[0] { 0 } else { 1 };
            networks.extend((network == 1).then_some(graph));
            members.push(Member { name: "reverse".into(), network, weights });
        }
        let sources_of = |channel: usize, other: usize| {
            let second = members.get(1).map(|_| Source { member: 1, channel: other });
            std::iter::once(Source { member: 0, channel }).chain(second).collect()
        };
        let tracks = match &config.counts {
            Some(counts) => {
                let turned = super::data::turned(&strands);
                let track = |(channel, track): (usize, &super::config::CountTrack)| Track {
                    name: track.name.clone(),
                    unit: counts.unit.clone(),
                    description: match config.description.is_empty() {
                        true => format!("Expected number at this base: {}", track.name),
                        false => config.description.clone(),
                    },
                    strand: match track.strand {
                        CountStrand::Plus => TrackStrand::Read,
                        CountStrand::Minus => TrackStrand::Opposite,
                        CountStrand::Both => TrackStrand::None,
                    },
                    default: !track.auxiliary,
                    sources: sources_of(channel, turned[channel]),
                };
                counts.tracks.iter().enumerate().map(track).collect()
            }
            None => {
                let names = config.outputs();
                let track = |channel: usize| Track {
                    name: names[channel].clone(),
                    unit: "probability".into(),
                    description: match channel {
                        1 => "P(this base is the first one of an exon)".into(),
                        2 => "P(this base is the last one of an exon)".into(),
                        _ => format!("P(this base is part of: {})", names[channel]),
                    },
                    strand: TrackStrand::Read,
                    default: channel < 3,
                    sources: sources_of(channel, channel),
                };
                (1..names.len()).map(track).collect()
            }
        };
        let splice = || Scheme::SpliceDelta { acceptor: "acceptor".into(), donor: "donor".into() };
        let window = self.full.needs_window().then(|| {
            let flanks = self.reach.left + self.reach.right;
            let [left, flanks] =
                [self.reach.left, flanks].map(|n| usize::try_from(n).expect("a reach in memory"));
            let output = config.training.window;
            Window { input: output + flanks, output, anchor: left + output / 2 }
        });
        let model = Model {
            name: config.name.clone(),
            networks,
            members,
            window,
            tracks,
            scheme: config.splice.as_ref().map(|_| splice()),
            scalars: vec![],
            profiles: vec![],
            unknown_base: UnknownBase::Zero,
            provenance: Provenance {
                family: env!("CARGO_PKG_NAME").into(),
                licence: config.licence.clone(),
                // data are no weights: several models may come from the same
                sources: vec![],
                unread: vec![],
                record,
            },
        };
        model.validate()?;
        Ok(model)
    }
}

/// The weights of a model of this network; of a model that reads both strands, those that read the
/// strand itself.
fn given(path: &Path, full: &Graph) -> Result<Weights> {
    let model = file::read(path)?.model;
    let mut like = model.members.into_iter().filter(|one| model.networks[one.network] == *full);
    let first = like.next().ok_or_else(|| {
        Error::new("the model has another network than the one that is trained")
            .at(path)
            .remedy("let [network] and the outputs be those that the model was trained with")
    })?;
    Ok(first.weights)
}

/// The architecture that a configuration names, with the parts that it replaces.
fn architecture(of: &Loaded) -> Result<Architecture> {
    let network = &of.config.network;
    let path = network.file.as_ref().map(|file| of.folder.join(file));
    let whole = !network.stack.is_empty() && network.channels.is_some() && network.stem.is_some();
    let mut found = match (&network.preset, &path) {
        (Some(_), Some(_)) => {
            return Err(Error::new("[network] has both a preset and a file").at(&of.path));
        }
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))?;
            Architecture::from_toml(&text).map_err(|error| error.at(path))?
        }
        (None, None) if !network.stack.is_empty() && !whole => {
            return Err(Error::new("[network] has a stack of its own but not all of the rest")
                .at(&of.path)
                .expected("`channels`, `stem` and `stack`, or a `preset`"));
        }
        (name, None) => {
            let name = name.as_deref().unwrap_or(DEFAULT);
            let names = || crate::network::architecture::PRESETS.map(|(name, _)| name).join(", ");
            Architecture::preset(name).ok_or_else(|| {
                Error::new("no such preset").at(&of.path).found(name).expected(names())
            })??
        }
    };
    if found.window.is_some() || found.head.counts.is_some() {
        return Err(Error::new(
            "the architecture has a window, and training makes networks for \
             stretches of any length",
        )
        .at(path.as_deref().unwrap_or(&of.path))
        .remedy("leave out `window`, `padding` and `head.counts`"));
    }
    if !network.stack.is_empty() {
        found.stack = network.stack.clone();
        found.head = Head {
            outputs: vec![],
            kernel: 1,
            hidden: None,
            function: HeadFunction::default(),
            counts: None,
        };
    }
    found.channels = network.channels.unwrap_or(found.channels);
    found.activation = network.activation.unwrap_or(found.activation);
    found.stem = network.stem.clone().unwrap_or(found.stem);
    if let Some(head) = &network.head {
        (found.head.kernel, found.head.hidden) = (head.kernel, head.hidden);
    }
    Ok(found)
}

/// Whether a convolution goes into a sum, by itself or through an elementwise function.
fn ends_in_sum(graph: &Graph, node: NodeId) -> bool {
    if !matches!(graph.nodes()[node].op, Op::Conv { .. }) {
        return false;
    }
    let readers = |of: NodeId| {
        graph.nodes().iter().enumerate().filter(move |(_, reader)| reader.inputs.contains(&of))
    };
    let sum = |node: &Node| node.op == Op::Add;
    readers(node).any(|(id, reader)| {
        sum(reader)
            || (matches!(reader.op, Op::Activation { .. })
                && readers(id).any(|(_, reader)| sum(reader)))
    })
}

/// The same network for the other strand: it answers, at a base of one strand, what the network
/// answers at that base of the reverse complement. Taps change their direction, and the letters of
/// the first layer their complements.
fn turned(graph: &Graph, weights: &Weights) -> Result<(Graph, Weights)> {
    let mut nodes = graph.nodes().to_vec();
    let mut turned = weights.clone();
    for node in &mut nodes {
        let of_letters = node.inputs.contains(&0);
        let Op::Conv { kernel, dilation, left, .. } = &mut node.op else {
            if of_letters {
                return Err(Error::new("a layer other than a convolution reads the letters")
                    .remedy("leave out `both_strands`"));
            }
            continue;
        };
        *left = (*kernel - 1) * *dilation - *left;
        let name = format!("{}.weight", node.name);
        let tensor =
            turned.get_mut(&name).ok_or_else(|| Error::new(format!("no tensor {name}")))?;
        tensor.values.chunks_exact_mut(*kernel).for_each(<[f32]>::reverse);
        if of_letters {
            for output in tensor.values.chunks_exact_mut(4 * *kernel) {
                let own = output.to_vec();
                let letters = output.chunks_exact_mut(*kernel);
                letters.zip(own.chunks_exact(*kernel).rev()).for_each(|(to, from)| {
                    to.copy_from_slice(from);
                });
            }
        }
    }
    Ok((Graph::from_nodes(nodes)?, turned))
}

#[cfg(feature = "torch")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cpu::{CpuEngine, Isa};
    use crate::engine::encode::code;
    use crate::engine::torch::trainable::{Trainable, numbers};
    use crate::engine::{Device, Engine, Job};
    use crate::genome::sequence::reverse_complement;
    use crate::model::testing::Noise;
    use std::path::PathBuf;
    use tch::{Kind, Tensor as Torch};

    const TRACKS: &str = "[counts]\ntracks = [{ name = 'p', file = 'p.bw', strand = '+' }, \
                          { name = 'm', file = 'm.bw', strand = '-' }, { name = 'n', file = 'n.bw' }]";
    const SPLICE: &str = "[splice]\nannotation = 'genes.gff3'";

    /// A network with batch norms and an even kernel, and weights as if it were trained.
    fn net(target: &str, both: bool) -> (Config, Net, Weights) {
        let text = format!(
            "name = 'x'\ndata = {{ reference = 'x.fa' }}\nsplits = {{ train = ['a'] }}\n{target}\n\
             [network]\nchannels = 6\nactivation = 'relu'\nstem = {{ kernel = 4, activate = true }}\n\
             both_strands = {both}\n[[network.stack]]\nblock = 'normed-residual'\nkernel = 3\n\
             dilations = [1, 4]\n[[network.stack]]\nblock = 'preactivation'\nkernel = 2\n\
             dilations = [3]\n"
        );
        let config = Config::from_toml(&text).unwrap();
        let (path, folder, root) = ("x.toml".into(), PathBuf::new(), PathBuf::new());
        let of = Loaded { config: config.clone(), path, folder, root };
        let net = Net::new(&of).unwrap();
        let mut weights = net.first_weights(3, Start::Random, &[-1.0, 0.0, 0.5]);
        let mut noise = Noise::new(9);
        for (name, tensor) in &mut weights {
            if !name.ends_with("weight") {
                tensor.values.iter_mut().for_each(|value| *value += 0.4 * (noise.value() - 0.5));
            }
        }
        (config, net, weights)
    }

    fn letters(count: usize) -> Vec<u8> {
        let mut noise = Noise::new(4);
        (0..count).map(|_| b"ACGTN"[(noise.value() * 1000.0) as usize % 5]).collect()
    }

    #[test]
    fn the_exported_model_predicts_in_the_cpu_engine_what_the_trained_network_does() {
        for (target, tracks) in [(TRACKS, vec![0, 1, 2]), (SPLICE, vec![1, 2])] {
            let (config, net, weights) = net(target, false);
            let length = 300;
            let [left, right] = [net.reach.left, net.reach.right].map(|n| n as usize);
            let letters = letters(left + length + right);
            let trained = Trainable::new(&net.logits, &weights, Device::Cpu, 1).unwrap();
            let codes: Vec<u8> = letters.iter().map(|&letter| code(letter)).collect();
            let codes = Torch::from_data_size(&codes, &[1, letters.len() as i64], Kind::Uint8);
            let snapshot = trained.snapshot(&trained.weights().unwrap()).unwrap();
            let logits = snapshot.forward(&codes, None, length).unwrap();
            let outputs = match config.counts {
                Some(_) => logits.softplus(),
                None => logits.softmax(1, Kind::Float),
            };
            let expected = numbers(&outputs).unwrap();
            let model = net.model(&config, &weights, String::new()).unwrap();
            let engine = CpuEngine::new(&model, &model.tracks, Isa::best()).unwrap();
            let got = engine.run(&[Job::new(0, length, letters)], &|_| Ok(())).unwrap();
            for (row, channel) in got[0].tracks.iter().zip(tracks) {
                let expected = &expected[channel * length..][..length];
                for (a, b) in row.iter().zip(expected) {
                    assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{a} against {b}");
                }
            }
        }
    }

    #[test]
    fn a_model_of_both_strands_is_the_mean_of_its_network_on_both() {
        let (config, one, weights) = net(TRACKS, false);
        let (both_config, both, _) = net(TRACKS, true);
        let run = |config: &Config, net: &Net, letters: Vec<u8>, length: usize| {
            let model = net.model(config, &weights, String::new()).unwrap();
            let engine = CpuEngine::new(&model, &model.tracks, Isa::best()).unwrap();
            // the network reaches farther to one side; the engine of both asks for the hull
            let reach = engine.reach();
            let cut = |side: u64| 30 - usize::try_from(side).unwrap();
            let inner = letters[cut(reach.left)..letters.len() - cut(reach.right)].to_vec();
            let job = Job::new(0, length, inner);
            engine.run(&[job], &|_| Ok(())).unwrap().remove(0).tracks
        };
        assert_ne!(one.reach.left, one.reach.right, "an even kernel looks farther to one side");
        let length = 200;
        let forward = letters(length + 60);
        let mut reverse = forward.clone();
        reverse_complement(&mut reverse);
        let a = run(&config, &one, forward.clone(), length);
        let b = run(&config, &one, reverse, length);
        let mean = run(&both_config, &both, forward, length);
        for (track, other) in [(0, 1), (1, 0), (2, 2)] {
            for base in 0..length {
                let expected = f32::midpoint(a[track][base], b[other][length - 1 - base]);
                let got = mean[track][base];
                assert!((got - expected).abs() < 1e-5 * expected.max(1.0), "{got}, {expected}");
            }
        }
    }
}
