//! The network that all signal families share: a stem, dilated residual units, a wide profile
//! convolution, and log counts from the mean of what it reads (networks.md 3). Families differ in
//! numbers, names, padding and how a control experiment enters.

use super::Part;
use super::tensors::{LayerNames, Layout, Ledger};
use super::tracks::Output;
use crate::error::{Error, Result};
use crate::model::{Profile, TrackStrand, WITHOUT_BIAS, Window};
use crate::network::blocks::{self, Dilated};
use crate::network::{Activation, Graph, GraphBuilder, NodeId, Op, Padding};

/// Window of the published networks of these families (networks.md 3); files that do not say
/// theirs have this one unless the user says another.
pub(super) const PUBLISHED_INPUT: usize = 2114;

/// Where the activation of a residual unit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// `x + act(conv(x))`, the stem activated.
    After,
    /// `x + conv(act(x))`, the stem linear, the sum activated at the end.
    Before,
}

/// How the tracks of a control experiment enter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Control {
    /// Beside the trunk, as the profile convolution reads it; the count head reads
    /// `ln(offset + Σ)` over the window without `crop` positions on each side.
    Trunk { channels: usize, offset: f64, crop: usize },
    /// Beside the cropped profile, mixed by a convolution of one tap; the log count and
    /// `ln(tracks + Σ)` over the outputs are mixed likewise.
    Output { channels: usize, crop: usize },
}

/// One stack and its two heads.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stack {
    /// Before the names of its nodes.
    pub prefix: &'static str,
    pub filters: usize,
    /// Taps of the stem.
    pub stem: usize,
    pub dilated: Vec<Dilated>,
    pub unit: Unit,
    pub padding: Padding,
    /// Taps of the profile convolution.
    pub profile: usize,
    pub profile_bias: bool,
    /// Outputs at each position.
    pub strands: usize,
    /// Positions of the profile that are cut off on each side.
    pub crop: usize,
    /// Positions of the trunk that are cut off on each side before its mean is taken.
    pub mean_crop: usize,
    /// Log counts: one, or one per strand.
    pub counts: usize,
    pub counts_bias: bool,
    pub control: Option<Control>,
}

/// The heads of a stack.
struct Ends {
    profile: NodeId,
    counts: NodeId,
}

impl Stack {
    /// Adds the nodes.
    fn build(&self, g: &mut GraphBuilder) -> Result<Ends> {
        let name = |node: &str| format!("{}{node}", self.prefix);
        let function = Activation::Relu;
        g.pad_with(self.padding);
        let stem = Op::centred(self.filters, self.stem, 1);
        let mut x = g.add(name("stem"), stem, &[g.input()])?;
        if self.unit == Unit::After {
            x = g.add(name("stem.act"), Op::Activation { function }, &[x])?;
        }
        for (index, &taps) in self.dilated.iter().enumerate() {
            let name = name(&format!("dilated.{}", index + 1));
            x = match self.unit {
                Unit::After => blocks::residual_unit(g, &name, x, taps, function)?,
                Unit::Before => blocks::activated_unit(g, &name, x, taps, function)?,
            };
        }
        if self.unit == Unit::Before {
            x = g.add(name("trunk.act"), Op::Activation { function }, &[x])?;
        }
        let counts = self.counts(g, x)?;
        let profile = self.profile(g, x)?;
        g.pad_with(Padding::None);
        self.mix_output(g, Ends { profile, counts })
    }

    fn counts(&self, g: &mut GraphBuilder, x: NodeId) -> Result<NodeId> {
        let name = |node: &str| format!("{}{node}", self.prefix);
        let inner = crop(g, &name("inner"), x, self.mean_crop)?;
        let mut mean = g.add(name("mean"), Op::Mean, &[inner])?;
        if let Some(Control::Trunk { channels, offset, crop: sides }) = self.control {
            let control = g.add("control", Op::Control { channels }, &[])?;
            let inner = crop(g, "control.inner", control, sides)?;
            let total = g.add("control.total", Op::LogTotal { offset }, &[inner])?;
            mean = g.add(name("mean.control"), Op::Concat, &[mean, total])?;
        }
        g.add(name("counts"), head(self.counts, 1, self.counts_bias), &[mean])
    }

    fn profile(&self, g: &mut GraphBuilder, mut x: NodeId) -> Result<NodeId> {
        let name = |node: &str| format!("{}{node}", self.prefix);
        if let Some(Control::Trunk { .. }) = self.control {
            let control = g.find("control").expect("added with the count head");
            x = g.add(name("trunk.control"), Op::Concat, &[x, control])?;
        }
        let conv = head(self.strands, self.profile, self.profile_bias);
        let profile = g.add(name("profile"), conv, &[x])?;
        crop(g, &name("output"), profile, self.crop)
    }

    /// Mixes a control that enters behind the heads.
    fn mix_output(&self, g: &mut GraphBuilder, ends: Ends) -> Result<Ends> {
        let Some(Control::Output { channels, crop: sides }) = self.control else {
            return Ok(ends);
        };
        let control = g.add("control", Op::Control { channels }, &[])?;
        let control = crop(g, "control.output", control, sides)?;
        // ln Σ exp of ln(1 + sum) of each track is ln(tracks + total)
        let offset = channels as f64;
        let total = g.add("control.total", Op::LogTotal { offset }, &[control])?;
        let both = g.add("counts.control", Op::Concat, &[ends.counts, total])?;
        let counts = g.add("control.counts", Op::pointwise(self.counts), &[both])?;
        let both = g.add("output.control", Op::Concat, &[ends.profile, control])?;
        let profile = g.add("control.profile", Op::pointwise(self.strands), &[both])?;
        Ok(Ends { profile, counts })
    }
}

/// A convolution with or without a bias.
fn head(channels: usize, kernel: usize, bias: bool) -> Op {
    let padding = Padding::None;
    Op::Conv { channels, kernel, dilation: 1, left: (kernel - 1) / 2, bias, padding }
}

/// The value without so many positions on each side, where there are any.
fn crop(g: &mut GraphBuilder, name: &str, x: NodeId, sides: usize) -> Result<NodeId> {
    match sides {
        0 => Ok(x),
        _ => g.add(name, Op::Crop { left: sides, right: sides }, &[x]),
    }
}

/// What a signal model is beside its graph and weights.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Signal {
    pub window: Window,
    /// Name and description of each channel of the scalar head.
    pub scalars: Vec<(String, String)>,
    pub profiles: Vec<Profile>,
}

/// A model of one stack, or of one and the bias of the assay: then its outputs are the sum, the
/// stack alone and the bias alone.
pub(super) fn part(
    main: &Stack,
    bias: Option<&Stack>,
    input: usize,
    mut ledger: Ledger,
    layers: &LayerNames,
    layout: Layout,
) -> Result<Part> {
    let mut g = GraphBuilder::new();
    let ends = main.build(&mut g)?;
    // the profile is the last node that a stack adds
    if let Some(bias) = bias {
        let other = bias.build(&mut g)?;
        let sum = g.add("joint.counts", Op::LogSumExp, &[ends.counts, other.counts])?;
        g.add("log_counts", Op::Concat, &[sum, ends.counts, other.counts])?;
        let sum = g.add("joint.profile", Op::Add, &[ends.profile, other.profile])?;
        g.add("logits", Op::Concat, &[sum, ends.profile, other.profile])?;
    }
    let graph = g.finish()?;
    let window = window(&graph, input)?;
    for head in ["counts", "bias.counts", "control.counts"] {
        if let Some(layer) = layers.get(head) {
            let weight = match layout {
                Layout::Keras => format!("{layer}/kernel"),
                Layout::Torch => format!("{layer}.weight"),
            };
            ledger.dense(&weight, layout)?;
        }
    }
    let weights = ledger.fill(&graph, layers, layout)?;
    let (outputs, scalars, profiles) = match bias {
        Some(_) => joint_outputs(),
        None => outputs(main.strands, main.counts),
    };
    let signal = Some(Signal { window, scalars, profiles });
    Ok(Part { spec: None, graph, weights, outputs, unread: ledger.finish()?, signal })
}

/// The window of so many bases; its outputs follow from the graph.
pub(super) fn window(graph: &Graph, input: usize) -> Result<Window> {
    let window = Window { input, output: 0, anchor: input / 2 };
    let output = window.outputs(graph).len();
    if output == 0 {
        return Err(Error::new("the window is too short for the network to have an output")
            .found(format!("{input} bases"))
            .remedy("say how long the input of the network is with --window"));
    }
    Ok(Window { output, ..window })
}

type Outputs = (Vec<Output>, Vec<(String, String)>, Vec<Profile>);

/// Names of log counts.
const LOG_COUNTS: &str = "log_counts";

/// Tracks of one stack: one for both strands together, or one per strand that is read.
fn outputs(strands: usize, counts: usize) -> Outputs {
    let names: Vec<String> = match strands {
        1 => vec!["signal".into()],
        2 => ["forward", "reverse"].map(String::from).into(),
        _ => (0..strands).map(|strand| format!("signal{strand}")).collect(),
    };
    let output = |(channel, name): (usize, &String)| Output {
        name: name.clone(),
        unit: "logit",
        description: match (strands, channel) {
            (2, 0) => "Profile of the strand that is read".into(),
            (2, 1) => "Profile of the opposite strand".into(),
            _ => "Profile".into(),
        },
        strand: match (strands, channel) {
            (2, 0) => TrackStrand::Read,
            (2, 1) => TrackStrand::Opposite,
            _ => TrackStrand::None,
        },
        default: true,
        channel,
        rank: channel,
    };
    let tracks = names.iter().enumerate().map(output).collect();
    if counts == 1 {
        let scalar = (LOG_COUNTS.into(), "Log of the count in the window".into());
        return (
            tracks,
            vec![scalar],
            vec![Profile { tracks: names, log_count: LOG_COUNTS.into() }],
        );
    }
    let each = |name: &String| (format!("{LOG_COUNTS}_{name}"), format!("Log count of {name}"));
    let scalars: Vec<(String, String)> = names.iter().map(each).collect();
    let profiles = names.iter().zip(&scalars);
    let profiles = profiles
        .map(|(name, (count, _))| Profile { tracks: vec![name.clone()], log_count: count.clone() });
    let profiles = profiles.collect();
    (tracks, scalars, profiles)
}

/// Tracks of a stack with the bias of the assay: the sum, without the bias, the bias.
fn joint_outputs() -> Outputs {
    let named = [
        ("signal".to_string(), LOG_COUNTS.to_string(), "signal with the bias of the assay"),
        (format!("signal{WITHOUT_BIAS}"), format!("{LOG_COUNTS}{WITHOUT_BIAS}"), "signal alone"),
        ("bias".to_string(), format!("{LOG_COUNTS}_bias"), "bias of the assay alone"),
    ];
    let output = |(channel, (name, _, what)): (usize, &(String, String, &str))| Output {
        name: name.clone(),
        unit: "logit",
        description: format!("Profile of the {what}"),
        strand: TrackStrand::None,
        default: channel == 0,
        channel,
        rank: channel,
    };
    let tracks = named.iter().enumerate().map(output).collect();
    let scalar = |(_, count, what): &(String, String, &str)| {
        (count.clone(), format!("Log of the count in the window: {what}"))
    };
    let scalars = named.iter().map(scalar).collect();
    let profiles = named
        .iter()
        .map(|(name, count, _)| Profile { tracks: vec![name.clone()], log_count: count.clone() });
    let profiles = profiles.collect();
    (tracks, scalars, profiles)
}
