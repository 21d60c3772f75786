//! The network of a run: its graph, its first weights, and the model that becomes of it.

use super::config::{Config, CountStrand, CountTrack, Counts, Link, Loaded, Start, Training};
use super::plan::architecture;
use super::random::Random;
use crate::error::{Error, Result};
use crate::model::{
    Member, Model, Profile, Provenance, Scalar, Scheme, Source, Tensor, Track, TrackStrand,
    UnknownBase, Weights, Window, file,
};
use crate::network::architecture::HeadFunction;
use crate::network::{Graph, Node, NodeId, Op, Parameter, Reach, blocks};
use std::path::Path;

/// Purpose of random numbers.
const WEIGHTS: u64 = 3;

/// The two ends of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Net {
    /// Up to the last convolution: what is trained, whose loss is computed from logits.
    pub logits: Graph,
    /// With the function behind it: what is exported. Its tensors are the same.
    pub full: Graph,
    /// Outputs of an example.
    pub length: usize,
    /// What an example reads beside its outputs: as far as an output looks, or the rest of the
    /// window.
    pub flanks: Reach,
    /// The window that its architecture has: padding, croppings and means refer to it.
    pub window: Option<Window>,
    /// Name of the log count of a window; the outputs are the logits of one profile then.
    pub counts: Option<String>,
    /// Weights to begin with, of another run.
    given: Option<Weights>,
}

impl Net {
    /// The network that a configuration describes.
    ///
    /// # Errors
    /// An architecture that is not there or cannot be built; settings that mean nothing to it;
    /// names that no model can have.
    pub fn new(of: &Loaded) -> Result<Self> {
        let config = &of.config;
        let mut architecture = architecture(of)?;
        let window = Window::of(&architecture);
        let said = config.training.window.unwrap_or(Training::WINDOW);
        let length = window.map_or(said, |window| window.output);
        if let Some(counts) = &config.counts {
            counts.check_bins(length).map_err(|error| error.at(&of.path))?;
        }
        architecture.head.outputs = config.outputs();
        let controls = config.control.as_ref().map_or(0, |control| control.files.len());
        architecture.head.function = HeadFunction::Linear;
        let logits = architecture.graph_with_controls(controls)?;
        let counts = architecture.head.counts.clone();
        architecture.head.function = match (&config.counts, &counts) {
            (_, Some(_)) => HeadFunction::Linear,
            (Some(Counts { link: Link::Softplus, .. }), None) => HeadFunction::Softplus,
            (Some(Counts { link: Link::Exp, .. }), None) => HeadFunction::Exp,
            (None, None) => HeadFunction::Softmax,
        };
        let full = architecture.graph_with_controls(controls)?;
        let flanks = window.map_or(full.reach(), |window| {
            let outputs = window.outputs(&full);
            let right = (window.span().end - outputs.end).unsigned_abs();
            Reach { left: outputs.start.unsigned_abs(), right }
        });
        let given = config.network.weights.as_ref().map(|path| given(&of.folder.join(path), &full));
        let net = Self { given: given.transpose()?, logits, full, length, flanks, window, counts };
        // what would be refused after the last step is refused here
        let zeros = |parameter: Parameter| {
            let values = vec![0.0; parameter.shape.iter().product()];
            (parameter.name, Tensor { shape: parameter.shape, values })
        };
        let weights = net.full.parameters().into_iter().map(zeros).collect();
        net.model(config, &weights, String::new()).map_err(|error| error.at(&of.path))?;
        Ok(net)
    }

    /// First weights: those of the model that the configuration names; else normal, with the
    /// variance that keeps that of a rectified signal (He et al., ICCV 2015), smaller by the number
    /// of branches in front of a sum; and last layers that are near 0 with biases that give `priors`, the logits of what is seen on average, and behind them
    /// those of the scalars.
    pub fn first_weights(&self, seed: u64, start: Start, priors: &[f64]) -> Weights {
        if let Some(given) = &self.given {
            return given.clone();
        }
        let graph = &self.logits;
        let sums = graph.nodes().iter().filter(|node| node.op == Op::Add).count();
        let mut weights = Weights::new();
        for (id, node) in graph.nodes().iter().enumerate() {
            let priors = match id {
                _ if id == graph.output() => Some(&priors[..graph.channels(id)]),
                _ if Some(id) == graph.scalar_head() => Some(&priors[graph.output_channels()..]),
                _ => None,
            };
            let scale = match priors {
                Some(_) => 0.1,
                None if ends_in_sum(graph, id) => 1.0 / (sums.max(1) as f64).sqrt(),
                None => 1.0,
            };
            for (index, parameter) in graph.node_parameters(id).into_iter().enumerate() {
                let count: usize = parameter.shape.iter().product();
                let suffix = parameter.name.rsplit('.').next().unwrap_or_default();
                let values = match (suffix, priors) {
                    ("weight", _) if blocks::is_average(&node.name) => {
                        blocks::average_weights(graph.channels(id), parameter.shape[2])
                    }
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
                    ("bias", Some(priors)) => priors.iter().map(|&prior| prior as f32).collect(),
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
                let track = |(channel, track): (usize, &CountTrack)| Track {
                    name: track.name.clone(),
                    unit: match self.counts {
                        Some(_) => "logit".into(),
                        None => counts.unit.clone(),
                    },
                    description: match (&self.counts, config.description.is_empty()) {
                        (Some(_), true) => format!("Profile of {}", track.name),
                        (None, true) => format!("Expected number at this base: {}", track.name),
                        (_, false) => config.description.clone(),
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
        // controls alone need a window too, of as much as the outputs see
        let of_controls = || {
            let [left, right] = [self.flanks.left, self.flanks.right]
                .map(|bases| usize::try_from(bases).expect("a reach in memory"));
            let output = self.length;
            Window { input: left + output + right, output, anchor: left + output / 2 }
        };
        let window = self.window.or_else(|| self.full.needs_window().then(of_controls));
        let scalars: Vec<Scalar> = self
            .counts
            .iter()
            .map(|name| Scalar {
                name: name.clone(),
                unit: "ln(count)".into(),
                description: "Logarithm of the expected count in the window".into(),
                sources: sources_of(0, 0),
            })
            .collect();
        // one distribution over all outputs and positions, as the loss has it
        let profile =
            |scalar: &Scalar| Profile { tracks: config.outputs(), log_count: scalar.name.clone() };
        let profiles = scalars.iter().map(profile).collect();
        let model = Model {
            name: config.name.clone(),
            networks,
            members,
            window,
            tracks,
            scheme: config.splice.as_ref().map(|_| splice()),
            scalars,
            profiles,
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
    use crate::train::evaluate::readout;
    use crate::train::loss::Loss;
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
            let [left, right] = [net.flanks.left, net.flanks.right].map(|n| n as usize);
            let letters = letters(left + length + right);
            let trained = Trainable::new(&net.logits, &weights, Device::Cpu, 1).unwrap();
            let codes: Vec<u8> = letters.iter().map(|&letter| code(letter)).collect();
            let codes = Torch::from_data_size(&codes, &[1, letters.len() as i64], Kind::Uint8);
            let snapshot = trained.snapshot(&trained.weights().unwrap()).unwrap();
            let logits = snapshot.forward(&codes, None, length).unwrap().rows;
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
    fn an_average_is_the_mean_of_its_taps_and_is_not_learned() {
        let text = "name = 'x'\ndata = { reference = 'x.fa' }\nsplits = { train = ['a'] }\n\
             [counts]\ntracks = [{ name = 'n', file = 'n.bw' }]\n\
             [network]\nchannels = 3\nactivation = 'relu'\nstem = { kernel = 1 }\n\
             [[network.stack]]\nblock = 'average'\nkernel = 5\ndilations = [1]\n";
        let config = Config::from_toml(text).unwrap();
        let (path, folder, root) = ("x.toml".into(), PathBuf::new(), PathBuf::new());
        let net = Net::new(&Loaded { config, path, folder, root }).unwrap();
        let weights = net.first_weights(3, Start::Random, &[0.0]);
        let average = &weights["unit.0.average.weight"];
        assert_eq!(average.shape, [3, 3, 5]);
        for (index, &weight) in average.values.iter().enumerate() {
            let own = index / 15 == index / 5 % 3;
            assert_eq!(weight, if own { 0.2 } else { 0.0 }, "{index}");
        }
        let network = Trainable::new(&net.logits, &weights, Device::Cpu, 1).unwrap();
        let learned: Vec<&str> = network.learned().map(|(name, _)| name.as_str()).collect();
        assert_eq!(learned, ["head.bias", "head.weight", "stem.bias", "stem.weight"]);
    }

    #[test]
    fn a_windowed_model_predicts_in_the_cpu_engine_profile_times_count_as_training_does() {
        let text = "name = 'x'\ndata = { reference = 'x.fa' }\nsplits = { train = ['a'] }\n\
             control = { files = ['c.bw'] }\n[counts]\nloss = 'profile'\n\
             tracks = [{ name = 'p', file = 'p.bw', strand = '+' }, \
             { name = 'm', file = 'm.bw', strand = '-' }]\n\
             [network]\nchannels = 6\nactivation = 'relu'\npadding = 'zero'\n\
             window = { in = 61, out = 30 }\nstem = { kernel = 5, activate = true }\n\
             head = { kernel = 5, counts = 'log_counts' }\n[[network.stack]]\n\
             block = 'residual'\nkernel = 3\ndilations = [1, 2, 4, 8]\n";
        let config = Config::from_toml(text).unwrap();
        let of = Loaded {
            config: config.clone(),
            path: "x.toml".into(),
            folder: PathBuf::new(),
            root: PathBuf::new(),
        };
        let net = Net::new(&of).unwrap();
        assert_eq!((net.length, net.flanks), (30, Reach { left: 15, right: 16 }));
        assert!(net.logits.reach().left > net.flanks.left, "the outputs see the ends");
        let mut weights = net.first_weights(3, Start::Random, &[-1.0, 0.0, 2.5]);
        for tensor in weights.values_mut() {
            tensor.values.iter_mut().for_each(|value| *value *= 1.5);
        }
        let letters = letters(61);
        let control: Vec<f32> = (0..61).map(|base| (base % 7) as f32).collect();
        let trained = Trainable::new(&net.logits, &weights, Device::Cpu, 1).unwrap();
        let trained = trained.in_window(net.window);
        let codes: Vec<u8> = letters.iter().map(|&letter| code(letter)).collect();
        let codes = Torch::from_data_size(&codes, &[1, 61], Kind::Uint8);
        let controls = Torch::from_slice(&control).view([1, 1, 1, 61]);
        let snapshot = trained.snapshot(&weights).unwrap();
        let answers = snapshot.forward(&codes, Some(&controls), 30).unwrap();
        let loss = Loss::of_profiles_and_counts(1.0);
        let expected = numbers(&loss.outputs(&answers).unwrap()).unwrap();
        let model = net.model(&config, &weights, String::new()).unwrap();
        let readout = readout(&model, &model.tracks).unwrap();
        let engine = CpuEngine::new(&model, readout.wanted().clone(), Isa::best()).unwrap();
        let job = Job { controls: vec![control], ..Job::new(0, 30, letters) };
        let got = readout.combine(&engine.run(&[job], &|_| Ok(())).unwrap()[0], None);
        for (a, b) in got.tracks.concat().iter().zip(&expected) {
            assert!((a - b).abs() < 1e-5 * b.abs(), "{a} against {b}");
        }
        let total: f64 = expected.iter().map(|&rate| f64::from(rate)).sum();
        assert!((total / got.scalars[0].exp() - 1.0).abs() < 1e-5, "the log count is of the sum");
        // with gradients, in windows of a batch
        let learning = trained.forward(&codes, Some(&controls), 30, 1).unwrap();
        for (a, b) in numbers(&loss.outputs(&learning).unwrap()).unwrap().iter().zip(&expected) {
            assert!((a - b).abs() < 1e-5 * b.abs(), "{a} against {b}");
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
        assert_ne!(one.flanks.left, one.flanks.right, "an even kernel looks farther to one side");
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
