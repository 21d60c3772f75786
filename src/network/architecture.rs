//! Architectures as small TOML files: a stem, stacks of dilated blocks, a head.
//!
//! ```toml
//! name = "example"
//! channels = 32
//! activation = "relu"
//! stem = { kernel = 1 }
//! head = { outputs = ["acceptor", "donor"], function = "sigmoid" }
//!
//! [[stack]]
//! block = "look-and-mix"
//! kernel = 3
//! dilations = { schedule = "exponential", base = 2, layers = 8 }
//! ```

use super::blocks::{self, Dilated};
use super::graph::{Graph, GraphBuilder, NodeId};
use super::op::{Activation, Op, Padding};
use super::ranges::Span;
use super::schedule::{Dilations, MOST_LAYERS, is_one, one};
use super::toml_error::refusal;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ops::Not;

/// Name and text of a file of `models/architectures/`.
macro_rules! preset {
    ($name:literal) => {
        ($name, include_str!(concat!("../../models/architectures/", $name, ".toml")))
    };
}

/// The architectures that come with the program: name and TOML text.
pub const PRESETS: [(&str, &str); 11] = [
    preset!("exponential-large"),
    preset!("exponential-medium"),
    preset!("exponential-small"),
    preset!("grouped"),
    preset!("profile-trunk"),
    preset!("wavenet"),
    preset!("pyramid"),
    preset!("ternary"),
    preset!("hybrid"),
    preset!("growth"),
    preset!("periodic"),
];

/// A network described by its plan of layers; see `models/architectures/` for examples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Short name.
    pub name: String,
    /// One or two sentences for people.
    #[serde(default)]
    pub description: String,
    /// Width of the trunk.
    pub channels: usize,
    /// Activation of all blocks.
    pub activation: Activation,
    /// What the convolutions of the trunk read beyond the ends of the window.
    #[serde(default, skip_serializing_if = "Padding::is_none")]
    pub padding: Padding,
    /// The window that the network is run in, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowSize>,
    /// First layer, on the encoded sequence.
    pub stem: Stem,
    /// The trunk, stack after stack.
    pub stack: Vec<Stack>,
    /// Last layers.
    pub head: Head,
}

/// How long a window is: bases in, and outputs at its middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowSize {
    /// Bases that go in.
    #[serde(rename = "in")]
    pub input: usize,
    /// Positions that come out; the larger half of an odd rest is cut off on the right.
    #[serde(rename = "out")]
    pub output: usize,
}

/// The first layer: a convolution of the sequence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stem {
    /// Taps.
    pub kernel: usize,
    /// Whether the activation follows it.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub activate: bool,
}

/// What one layer of a stack is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Block {
    /// `x + conv(act(norm(conv(act(norm(x))))))` ([`blocks::preactivation_unit`]).
    Preactivation,
    /// `x + act(conv(x))` ([`blocks::residual_unit`]).
    Residual,
    /// `x + act(norm(conv(x)))` ([`blocks::normed_residual_unit`]).
    NormedResidual,
    /// `x + mix(act(look(act(x))))` ([`blocks::look_and_mix_unit`]).
    LookAndMix,
    /// `x + norm(mix(act(norm(look(act(x))))))` through a narrow middle
    /// ([`blocks::bottleneck_unit`]).
    Bottleneck,
    /// WaveNet's gated unit; the head reads the sum of all skips ([`blocks::gated_unit`]).
    Gated,
    /// All dilations of the stack side by side, concatenated and mixed
    /// ([`blocks::parallel_unit`]).
    Parallel,
    /// The mean over the taps, which is not learned ([`blocks::average_unit`]).
    Average,
}

/// A run of layers of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stack {
    /// What each layer is.
    pub block: Block,
    /// Taps of the dilated convolutions.
    pub kernel: usize,
    /// One dilation per layer (per branch of a `parallel` block).
    pub dilations: Dilations,
    /// How often the whole run is repeated.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub repeat: usize,
    /// Whether taps look only to the left.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub causal: bool,
    /// Whether the end of the stack is added, through a pointwise convolution, to the sum that the
    /// head reads. If any stack does so, the stem is part of that sum.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub skip: bool,
    /// Channels of the narrow middle (`bottleneck` only); half the trunk unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// Epsilon of batch norms (`preactivation`, `normed-residual` and `bottleneck` only); 1e-5 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
}

impl Stack {
    /// Refuses keys that the block does not read.
    fn check(&self) -> std::result::Result<(), String> {
        let normed =
            matches!(self.block, Block::Preactivation | Block::NormedResidual | Block::Bottleneck);
        let unread = [
            ("epsilon", self.epsilon.is_some() && !normed),
            ("width", self.width.is_some() && self.block != Block::Bottleneck),
        ];
        match unread.iter().find(|(_, given)| *given) {
            Some((key, _)) => Err(format!("this block has no use for `{key}`")),
            None => Ok(()),
        }
    }
}

/// The last layers: optionally a hidden pointwise layer, then one channel per output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Names of the output channels.
    pub outputs: Vec<String>,
    /// Taps of the last convolution.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub kernel: usize,
    /// Width of a pointwise layer before it, with the activation on both sides.
    #[serde(default)]
    pub hidden: Option<usize>,
    /// What is applied to the outputs.
    #[serde(default)]
    pub function: HeadFunction,
    /// Name of a number per window, linear in the mean of those positions of the trunk that the
    /// outputs read: the log count of a profile, the logits of which are the outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<String>,
}

/// What is applied to the output channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadFunction {
    /// Nothing.
    #[default]
    Linear,
    /// Softmax over the outputs.
    Softmax,
    /// Each output by itself.
    Sigmoid,
    /// Each output by itself; for counts.
    Softplus,
    /// Each output by itself; for counts whose causes multiply.
    Exp,
}

/// Epsilon of batch norms where the file does not say it, as in PyTorch.
const DEFAULT_EPSILON: f64 = 1e-5;

impl Architecture {
    /// Reads an architecture from TOML text.
    ///
    /// # Errors
    /// Not TOML, an unknown key or a value of the wrong kind, with line and column; a network
    /// that cannot be built.
    pub fn from_toml(text: &str) -> Result<Self> {
        toml::from_str::<Self>(text).map_err(|error| refusal(text, &error))
    }

    /// The text that [`Architecture::from_toml`] reads.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("names, numbers and tables are all that TOML needs")
    }

    /// A built-in architecture by name.
    pub fn preset(name: &str) -> Option<Result<Self>> {
        let (_, text) = PRESETS.iter().find(|(preset, _)| *preset == name)?;
        Some(Self::from_toml(text))
    }

    /// The network.
    ///
    /// # Errors
    /// Numbers that no network can have; the message names the stack or node.
    pub fn graph(&self) -> Result<Graph> {
        self.graph_with_controls(0)
    }

    /// The network, with so many control tracks that the last convolution reads beside the trunk.
    ///
    /// # Errors
    /// As [`Architecture::graph`].
    pub fn graph_with_controls(&self, controls: usize) -> Result<Graph> {
        let mut g = GraphBuilder::new();
        g.pad_with(self.padding);
        let stem = Op::centred(self.channels, self.stem.kernel, 1);
        let mut x = g.add("stem", stem, &[g.input()])?;
        if self.stem.activate {
            x = g.add("stem.act", self.activation(), &[x])?;
        }
        let mut skips = Skips::default();
        if self.stack.iter().any(|stack| stack.skip) {
            skips.add(&mut g, self.channels, x)?;
        }
        let mut unit = 0;
        for (number, stack) in self.stack.iter().enumerate() {
            let wrong = |what: String| Error::new(format!("stack {}: {what}", number + 1));
            stack.check().map_err(wrong)?;
            let dilations = stack.dilations.list().map_err(wrong)?;
            let layers = dilations.len().saturating_mul(stack.repeat);
            if layers == 0 || layers > MOST_LAYERS {
                return Err(wrong(format!("{layers} layers, expected 1 to {MOST_LAYERS}")));
            }
            let taps: Vec<Dilated> = dilations
                .into_iter()
                .map(|dilation| match stack.causal {
                    true => Dilated::causal(stack.kernel, dilation),
                    false => Dilated::centred(stack.kernel, dilation),
                })
                .collect();
            for _ in 0..stack.repeat {
                x = self.run(&mut g, stack, &taps, x, &mut unit, &mut skips)?;
            }
            if stack.skip {
                skips.add(&mut g, self.channels, x)?;
            }
        }
        let x = skips.sum.unwrap_or(x);
        g.pad_with(Padding::None);
        let x = self.inner(&mut g, x)?;
        self.end(&mut g, x, controls)?;
        g.finish_used()
    }

    /// One run of a stack's layers.
    fn run(
        &self,
        g: &mut GraphBuilder,
        stack: &Stack,
        taps: &[Dilated],
        mut x: NodeId,
        unit: &mut usize,
        skips: &mut Skips,
    ) -> Result<NodeId> {
        let function = self.activation;
        let epsilon = stack.epsilon.unwrap_or(DEFAULT_EPSILON);
        let mut name = || {
            *unit += 1;
            format!("unit.{}", *unit - 1)
        };
        if stack.block == Block::Parallel {
            return blocks::parallel_unit(g, &name(), x, taps, function);
        }
        for &taps in taps {
            let name = name();
            x = match stack.block {
                Block::Preactivation => {
                    blocks::preactivation_unit(g, &name, x, taps, function, epsilon)?
                }
                Block::Residual => blocks::residual_unit(g, &name, x, taps, function)?,
                Block::NormedResidual => {
                    blocks::normed_residual_unit(g, &name, x, taps, function, epsilon)?
                }
                Block::LookAndMix => blocks::look_and_mix_unit(g, &name, x, taps, function)?,
                Block::Bottleneck => {
                    let width = stack.width.unwrap_or(self.channels.div_ceil(2));
                    blocks::bottleneck_unit(g, &name, x, taps, width, function, epsilon)?
                }
                Block::Gated => {
                    let gated = blocks::gated_unit(g, &name, x, taps)?;
                    skips.join(g, gated.skip)?;
                    gated.stream
                }
                Block::Average => blocks::average_unit(g, &name, x, taps)?,
                Block::Parallel => unreachable!("built above"),
            };
        }
        Ok(x)
    }

    /// The positions of the trunk that the outputs of the window read; all of them without one.
    fn inner(&self, g: &mut GraphBuilder, trunk: NodeId) -> Result<NodeId> {
        let Some(WindowSize { input, output }) = self.window else {
            let key = match (&self.head.counts, self.padding) {
                (Some(_), _) => "head.counts",
                (None, Padding::Zero) => "padding",
                (None, Padding::None) => return Ok(trunk),
            };
            return Err(Error::new(format!("`{key}` means something in a window only"))
                .remedy("say how long it is: window = { in = 2114, out = 1000 }"));
        };
        let reach = Op::centred(1, self.head.kernel, 1).reach();
        let position = |bases: usize| i64::try_from(bases).unwrap_or(i64::MAX / 4);
        let domain = g.domain(trunk, Span::new(0, position(input)));
        let first = position(input.saturating_sub(output) / 2);
        let read = Span::new(first, first + position(output)).widen(reach.left, reach.right);
        let sides = [read.start - domain.start, domain.end - read.end].map(usize::try_from);
        let ([Ok(left), Ok(right)], false) = (sides, read.is_empty()) else {
            let context = reach.left + reach.right;
            let most = (domain.len() as u64).saturating_sub(context);
            return Err(Error::new("the window is too short for its outputs")
                .found(format!("{output} outputs of {input} bases"))
                .expected(format!("1 to {most} outputs, or more bases")));
        };
        match (left, right) {
            (0, 0) => Ok(trunk),
            _ => g.add("inner", Op::Crop { left, right }, &[trunk]),
        }
    }

    /// The head.
    fn end(&self, g: &mut GraphBuilder, mut x: NodeId, controls: usize) -> Result<NodeId> {
        let head = &self.head;
        for (index, output) in head.outputs.iter().enumerate() {
            if output.is_empty() || head.outputs[..index].contains(output) {
                return Err(Error::new("an output without a name of its own")
                    .found(format!("{:?}", head.outputs))
                    .expected("a different name for each output"));
            }
        }
        if head.counts.is_some() {
            if head.function != HeadFunction::Linear {
                return Err(Error::new("the outputs beside `head.counts` are logits")
                    .remedy("leave out `head.function`"));
            }
            let mut mean = g.add("mean", Op::Mean, &[x])?;
            if controls > 0 {
                let total = self.control_total(g, x, controls)?;
                mean = g.add("mean.control", Op::Concat, &[mean, total])?;
            }
            g.add("counts", Op::pointwise(1), &[mean])?;
        }
        if let Some(width) = head.hidden {
            x = g.add("head.act1", self.activation(), &[x])?;
            x = g.add("head.hidden", Op::pointwise(width), &[x])?;
            x = g.add("head.act2", self.activation(), &[x])?;
        }
        if controls > 0 {
            let control = match g.find("control") {
                Some(control) => control,
                None => g.add("control", Op::Control { channels: controls }, &[])?,
            };
            x = g.add("head.concat", Op::Concat, &[x, control])?;
        }
        x = g.add("head", Op::centred(head.outputs.len(), head.kernel, 1), &[x])?;
        let function = match head.function {
            HeadFunction::Linear => return Ok(x),
            HeadFunction::Softmax => Op::Softmax,
            HeadFunction::Sigmoid => Op::Activation { function: Activation::Sigmoid },
            HeadFunction::Softplus => Op::Activation { function: Activation::Softplus },
            HeadFunction::Exp => Op::Activation { function: Activation::Exp },
        };
        g.add("output", function, &[x])
    }

    /// How much the controls hold at the positions of the trunk that the outputs read:
    /// `ln(1 + Σ)`, what counts depend on beside the sequence (networks.md 3).
    fn control_total(&self, g: &mut GraphBuilder, x: NodeId, controls: usize) -> Result<NodeId> {
        let control = g.add("control", Op::Control { channels: controls }, &[])?;
        let input = self.window.map_or(0, |window| window.input);
        let window = Span::new(0, i64::try_from(input).unwrap_or(i64::MAX / 4));
        let domain = g.domain(x, window);
        let sides = [domain.start - window.start, window.end - domain.end];
        let [left, right] = sides.map(|bases| usize::try_from(bases).unwrap_or(0));
        let inner = match (left, right) {
            (0, 0) => control,
            _ => g.add("control.inner", Op::Crop { left, right }, &[control])?,
        };
        g.add("control.total", Op::LogTotal { offset: 1.0 }, &[inner])
    }

    fn activation(&self) -> Op {
        Op::Activation { function: self.activation }
    }
}

/// The sum that the head reads instead of the trunk.
#[derive(Default)]
struct Skips {
    count: usize,
    sum: Option<NodeId>,
}

impl Skips {
    /// Adds a value through a pointwise convolution `skip.G`.
    fn add(&mut self, g: &mut GraphBuilder, channels: usize, x: NodeId) -> Result<()> {
        let skip = g.add(format!("skip.{}", self.count), Op::pointwise(channels), &[x])?;
        self.join(g, skip)
    }

    /// Adds a value as it is.
    fn join(&mut self, g: &mut GraphBuilder, skip: NodeId) -> Result<()> {
        self.sum = Some(match self.sum {
            Some(sum) => g.add(format!("skip.{}.add", self.count), Op::Add, &[sum, skip])?,
            None => skip,
        });
        self.count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Reach;
    use crate::network::blocks::GroupedSpec;

    #[test]
    fn every_preset_builds_and_has_the_reach_that_its_text_promises() {
        // 1 + sum of (kernel - 1) * dilation over the layers of each file
        let expected = [65_535, 4_095, 511, 10_001, 1_041, 3_070, 73, 59_049, 129, 425, 615];
        for ((name, _), receptive_field) in PRESETS.iter().zip(expected) {
            let architecture = Architecture::preset(name).unwrap().unwrap();
            assert_eq!(architecture.name, *name);
            let reach = architecture.graph().unwrap().reach();
            assert_eq!(reach.receptive_field(), receptive_field, "{name}");
        }
    }

    #[test]
    fn the_default_network_is_the_one_that_the_readme_names() {
        let graph = Architecture::preset("exponential-large").unwrap().unwrap().graph().unwrap();
        assert_eq!(graph.reach(), Reach { left: 32_767, right: 32_767 });
        assert_eq!(graph.channels(graph.output() - 2), 128);
    }

    #[test]
    fn the_grouped_preset_is_the_published_shape_with_the_published_names() {
        let graph = Architecture::preset("grouped").unwrap().unwrap().graph().unwrap();
        let groups = [(11, 1), (11, 4), (21, 10), (41, 25)];
        let spec = GroupedSpec {
            channels: 32,
            groups: groups.map(|(k, d)| vec![Dilated::centred(k, d); 4]).to_vec(),
            activation: Activation::Relu,
            epsilon: 1e-3,
        };
        let mut g = GraphBuilder::new();
        let x = blocks::grouped(&mut g, &spec).unwrap();
        let x = g.add("head", Op::pointwise(3), &[x]).unwrap();
        g.add("output", Op::Softmax, &[x]).unwrap();
        assert_eq!(graph, g.finish().unwrap());
    }

    #[test]
    fn a_window_says_what_is_cut_off_and_counts_read_what_the_outputs_read() {
        let text = |padding: &str, output: usize| {
            format!(
                "name = 'x'\nchannels = 8\nactivation = 'relu'\npadding = '{padding}'\n\
                 window = {{ in = 2114, out = {output} }}\n\
                 stem = {{ kernel = 21, activate = true }}\n\
                 head = {{ outputs = ['signal'], kernel = 75, counts = 'log_counts' }}\n\
                 [[stack]]\nblock = 'residual'\nkernel = 3\n\
                 dilations = {{ schedule = 'exponential', base = 2, first = 2, layers = 8 }}\n"
            )
        };
        // networks.md 3: 2114 bases less 2 (10 + 510 + 37) are 1000, and 1074 enter the mean
        for (padding, cropped) in [("zero", true), ("none", false)] {
            let architecture = Architecture::from_toml(&text(padding, 1000)).unwrap();
            assert_eq!(
                Architecture::from_toml(&architecture.to_toml()).unwrap(),
                architecture,
                "through its own text"
            );
            let graph = architecture.graph().unwrap();
            let domains = graph.domains(Span::new(0, 2114));
            assert_eq!(domains[graph.output()], Span::new(557, 1557), "{padding}");
            let mean = graph.nodes().iter().find(|node| node.op == Op::Mean).unwrap();
            assert_eq!(domains[mean.inputs[0]], Span::new(520, 1594), "{padding}");
            let crops = graph.nodes().iter().any(|node| matches!(node.op, Op::Crop { .. }));
            assert_eq!(crops, cropped, "{padding}");
            assert_eq!(graph.scalar_channels(), 1);
        }
        let error = Architecture::from_toml(&text("none", 1001)).unwrap().graph().unwrap_err();
        assert!(error.to_string().contains("1 to 1000 outputs"), "{error}");
        assert!(Architecture::from_toml(&text("zero", 1001)).unwrap().graph().is_ok());
    }

    #[test]
    fn bad_files_are_refused_with_line_and_key() {
        let good = "name = 'x'\nchannels = 8\nactivation = 'relu'\nstem = { kernel = 1 }\n\
                    head = { outputs = ['a'] }\n[[stack]]\nblock = 'residual'\nkernel = 3\n\
                    dilations = [1, 2]\n";
        assert!(Architecture::from_toml(good).unwrap().graph().is_ok());
        for (from, to, expected) in [
            ("channels = 8", "chanels = 8", "line 2, column 1: unknown field `chanels`"),
            ("channels = 8", "chanels = 8", "did you mean `channels`?"),
            ("kernel = 3", "kernel = 'three'", "line 8, column 10: invalid type"),
            ("'residual'", "'resnet'", "line 7, column 9: unknown variant `resnet`"),
            ("[1, 2]", "{ schedule = 'exponential', layers = 3 }", "line 9, column 13: "),
            ("kernel = 3", "kernel = 3\ncolour = 1", "unknown field `colour`"),
            ("[1, 2]", "[]", "stack 1: 0 layers"),
            ("[1, 2]", "[0]", "dilation 0"),
            ("[1, 2]", "{ schedule = 'exponential', base = 10, layers = 99 }", "beyond all bounds"),
            ("kernel = 3", "kernel = 0", "0 taps"),
            ("channels = 8", "channels = 99999999", "99999999 channels"),
            ("['a']", "[]", "0 channels"),
            ("['a']", "['a', 'b', 'a']", "name of its own"),
            ("['a']", "['']", "name of its own"),
            ("name", "na me", "line 1, column"),
            ("channels = 8", "channels = 8\npadding = 'zero'", "`padding` means something in"),
            ("['a']", "['a'], counts = 'log_counts'", "`head.counts` means something in"),
            ("kernel = 1 }", "kernel = 1 }\nwindow = { in = 5, out = 0 }", "too short"),
            (
                "kernel = 3",
                "kernel = 3\nepsilon = 1e-3",
                "stack 1: this block has no use for `epsilon`",
            ),
            ("kernel = 3", "kernel = 3\nwidth = 4", "stack 1: this block has no use for `width`"),
            ("[1, 2]", "{ schedule = 'hdc', patern = [1] }", "unknown field `patern`"),
        ] {
            let text = good.replacen(from, to, 1);
            let result = Architecture::from_toml(&text).and_then(|a| a.graph());
            let error = result.unwrap_err().to_string();
            assert!(error.contains(expected), "{error:?} should say {expected:?}");
        }
    }
}
