//! Building blocks: each adds a few nodes to a graph and returns the last one.

use super::graph::{GraphBuilder, NodeId};
use super::op::{Activation, Op, Padding};
use crate::error::Result;
use serde::Serialize;

/// A dilated convolution's geometry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Dilated {
    /// Taps.
    pub kernel: usize,
    /// Distance between taps, in positions.
    pub dilation: usize,
    /// Reach to the left, in positions.
    pub left: usize,
}

impl Dilated {
    /// Taps centred on the output; of an odd span the smaller half is on the left.
    pub fn centred(kernel: usize, dilation: usize) -> Self {
        Self { kernel, dilation, left: kernel.saturating_sub(1).saturating_mul(dilation) / 2 }
    }

    /// Taps at and to the left of the output only (WaveNet).
    pub fn causal(kernel: usize, dilation: usize) -> Self {
        Self { kernel, dilation, left: kernel.saturating_sub(1).saturating_mul(dilation) }
    }

    /// Positions from the first tap to the last, both included (dilation.md 1).
    pub fn effective_kernel(self) -> u64 {
        (self.kernel as u64 - 1) * self.dilation as u64 + 1
    }

    /// Share of the positions between the first and the last tap that no tap reads.
    pub fn blind_fraction(self) -> f64 {
        let span = self.effective_kernel();
        (span - self.kernel as u64) as f64 / span as f64
    }

    fn conv(self, channels: usize) -> Op {
        let Self { kernel, dilation, left } = self;
        Op::Conv { channels, kernel, dilation, left, bias: true, padding: Padding::None }
    }
}

/// Pre-activation residual unit (He et al. 2016): `x + conv(act(norm(conv(act(norm(x))))))`.
/// The add takes the raw `x`; nothing follows it (networks.md 2).
///
/// Nodes `NAME.{norm1,act1,conv1,norm2,act2,conv2,add}`.
pub fn preactivation_unit(
    g: &mut GraphBuilder,
    name: &str,
    x: NodeId,
    taps: Dilated,
    function: Activation,
    epsilon: f64,
) -> Result<NodeId> {
    let channels = g.channels(x);
    let mut y = x;
    for half in 1..=2 {
        y = g.add(format!("{name}.norm{half}"), Op::BatchNorm { epsilon }, &[y])?;
        y = g.add(format!("{name}.act{half}"), Op::Activation { function }, &[y])?;
        y = g.add(format!("{name}.conv{half}"), taps.conv(channels), &[y])?;
    }
    g.add(format!("{name}.add"), Op::Add, &[x, y])
}

/// Residual unit with the activation after the convolution: `x + act(conv(x))`
/// (BPNet, ChromBPNet; networks.md 3).
///
/// Nodes `NAME.{conv,act,add}`.
pub fn residual_unit(
    g: &mut GraphBuilder,
    name: &str,
    x: NodeId,
    taps: Dilated,
    function: Activation,
) -> Result<NodeId> {
    let y = g.add(format!("{name}.conv"), taps.conv(g.channels(x)), &[x])?;
    let y = g.add(format!("{name}.act"), Op::Activation { function }, &[y])?;
    g.add(format!("{name}.add"), Op::Add, &[x, y])
}

/// The same with a batch norm before the activation: `x + act(norm(conv(x)))`, which trains
/// faster and costs nothing when it runs, because the norm folds into the convolution.
///
/// Nodes `NAME.{conv,norm,act,add}`.
pub fn normed_residual_unit(
    g: &mut GraphBuilder,
    name: &str,
    x: NodeId,
    taps: Dilated,
    function: Activation,
    epsilon: f64,
) -> Result<NodeId> {
    let y = g.add(format!("{name}.conv"), taps.conv(g.channels(x)), &[x])?;
    let y = g.add(format!("{name}.norm"), Op::BatchNorm { epsilon }, &[y])?;
    let y = g.add(format!("{name}.act"), Op::Activation { function }, &[y])?;
    g.add(format!("{name}.add"), Op::Add, &[x, y])
}

/// Residual unit with the activation before the convolution: `x + conv(act(x))` (the published
/// form of BPNet; networks.md 3).
///
/// Nodes `NAME.{act,conv,add}`.
pub fn activated_unit(
    g: &mut GraphBuilder,
    name: &str,
    x: NodeId,
    taps: Dilated,
    function: Activation,
) -> Result<NodeId> {
    let y = g.add(format!("{name}.act"), Op::Activation { function }, &[x])?;
    let y = g.add(format!("{name}.conv"), taps.conv(g.channels(x)), &[y])?;
    g.add(format!("{name}.add"), Op::Add, &[x, y])
}

/// Mean over the taps, each channel by itself: a convolution that is not learned. Where a network
/// is trained at some positions only, it stands for the pooling between them.
///
/// Node `NAME.average`.
pub fn average_unit(g: &mut GraphBuilder, name: &str, x: NodeId, taps: Dilated) -> Result<NodeId> {
    let mut conv = taps.conv(g.channels(x));
    if let Op::Conv { bias, .. } = &mut conv {
        *bias = false;
    }
    g.add(format!("{name}.average"), conv, &[x])
}

/// Whether a node is an [`average_unit`], by its name.
pub fn is_average(node: &str) -> bool {
    node.ends_with(".average")
}

/// The weights of a mean over `taps`, `[out, in, tap]`.
pub fn average_weights(channels: usize, taps: usize) -> Vec<f32> {
    let mut weights = vec![0.0; channels * channels * taps];
    for channel in 0..channels {
        let first = channel * (channels + 1) * taps;
        weights[first..first + taps].fill(1.0 / taps as f32);
    }
    weights
}

/// Residual unit that looks with one convolution and mixes with a pointwise one:
/// `x + mix(act(look(act(x))))`.
///
/// Nodes `NAME.{act1,look,act2,mix,add}`.
pub fn look_and_mix_unit(
    g: &mut GraphBuilder,
    name: &str,
    x: NodeId,
    taps: Dilated,
    function: Activation,
) -> Result<NodeId> {
    let channels = g.channels(x);
    let y = g.add(format!("{name}.act1"), Op::Activation { function }, &[x])?;
    let y = g.add(format!("{name}.look"), taps.conv(channels), &[y])?;
    let y = g.add(format!("{name}.act2"), Op::Activation { function }, &[y])?;
    let y = g.add(format!("{name}.mix"), Op::pointwise(channels), &[y])?;
    g.add(format!("{name}.add"), Op::Add, &[x, y])
}

/// Residual bottleneck, a dilated convolution into fewer channels and a pointwise one back
/// (Basenji2; networks.md 4): `x + norm(mix(act(norm(look(act(x))))))`.
///
/// Nodes `NAME.{act1,look,norm1,act2,mix,norm2,add}`.
pub fn bottleneck_unit(
    g: &mut GraphBuilder,
    name: &str,
    x: NodeId,
    taps: Dilated,
    width: usize,
    function: Activation,
    epsilon: f64,
) -> Result<NodeId> {
    let channels = g.channels(x);
    let y = g.add(format!("{name}.act1"), Op::Activation { function }, &[x])?;
    let y = g.add(format!("{name}.look"), taps.conv(width), &[y])?;
    let y = g.add(format!("{name}.norm1"), Op::BatchNorm { epsilon }, &[y])?;
    let y = g.add(format!("{name}.act2"), Op::Activation { function }, &[y])?;
    let y = g.add(format!("{name}.mix"), Op::pointwise(channels), &[y])?;
    let y = g.add(format!("{name}.norm2"), Op::BatchNorm { epsilon }, &[y])?;
    g.add(format!("{name}.add"), Op::Add, &[x, y])
}

/// What a gated unit gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gated {
    /// The residual stream, input of the next unit.
    pub stream: NodeId,
    /// What the unit adds to the skip sum.
    pub skip: NodeId,
}

/// WaveNet's gated unit (van den Oord et al. 2016): `z = tanh(filter(x)) · sigmoid(gate(x))`,
/// stream `x + mix(z)`, skip `skip(z)`.
///
/// Nodes `NAME.{filter,gate,product,mix,skip,add}`.
pub fn gated_unit(g: &mut GraphBuilder, name: &str, x: NodeId, taps: Dilated) -> Result<Gated> {
    let channels = g.channels(x);
    let filter = g.add(format!("{name}.filter"), taps.conv(channels), &[x])?;
    let gate = g.add(format!("{name}.gate"), taps.conv(channels), &[x])?;
    let z = g.add(format!("{name}.product"), Op::Gate, &[filter, gate])?;
    let skip = g.add(format!("{name}.skip"), Op::pointwise(channels), &[z])?;
    let y = g.add(format!("{name}.mix"), Op::pointwise(channels), &[z])?;
    let stream = g.add(format!("{name}.add"), Op::Add, &[x, y])?;
    Ok(Gated { stream, skip })
}

/// Atrous spatial pyramid (DeepLab v3, Chen et al. 2017) without the global branch: parallel
/// branches on one input, each a convolution with activation, concatenated and mixed to the
/// width of the input.
///
/// Nodes `NAME.{branch.I, branch.I.act, concat, mix, act}`.
pub fn parallel_unit(
    g: &mut GraphBuilder,
    name: &str,
    x: NodeId,
    branches: &[Dilated],
    function: Activation,
) -> Result<NodeId> {
    let channels = g.channels(x);
    let mut ends = Vec::with_capacity(branches.len());
    for (i, taps) in branches.iter().enumerate() {
        let y = g.add(format!("{name}.branch.{i}"), taps.conv(channels), &[x])?;
        ends.push(g.add(format!("{name}.branch.{i}.act"), Op::Activation { function }, &[y])?);
    }
    let y = match ends[..] {
        [only] => only,
        _ => g.add(format!("{name}.concat"), Op::Concat, &ends)?,
    };
    let y = g.add(format!("{name}.mix"), Op::pointwise(channels), &[y])?;
    g.add(format!("{name}.act"), Op::Activation { function }, &[y])
}

/// Geometry of a grouped network (the shape of SpliceAI, networks.md 2).
#[derive(Debug, Clone, PartialEq)]
pub struct GroupedSpec {
    /// Width of every layer.
    pub channels: usize,
    /// Convolution geometry of each unit, group by group.
    pub groups: Vec<Vec<Dilated>>,
    /// Activation of the units.
    pub activation: Activation,
    /// Epsilon of the batch norms.
    pub epsilon: f64,
}

/// A pointwise stem, groups of pre-activation units, and a sum of pointwise skips: one from the
/// stem and one from the end of each group. Returns the skip sum (no head).
///
/// Nodes `stem`, `skip.G`, `unit.U.…` with units counted through, `skip.G.add`.
pub fn grouped(g: &mut GraphBuilder, spec: &GroupedSpec) -> Result<NodeId> {
    let mut x = g.add("stem", Op::pointwise(spec.channels), &[g.input()])?;
    let mut skip = g.add("skip.0", Op::pointwise(spec.channels), &[x])?;
    let mut unit = 0;
    for (group, units) in spec.groups.iter().enumerate() {
        for &taps in units {
            let name = format!("unit.{unit}");
            x = preactivation_unit(g, &name, x, taps, spec.activation, spec.epsilon)?;
            unit += 1;
        }
        let name = format!("skip.{}", group + 1);
        let end = g.add(name.as_str(), Op::pointwise(spec.channels), &[x])?;
        skip = g.add(format!("{name}.add"), Op::Add, &[skip, end])?;
    }
    Ok(skip)
}
