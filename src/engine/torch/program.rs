//! A network with one member's weights as tensors on a device, and its evaluation.

use super::Frozen;
use crate::engine::fold::scale_and_shift;
use crate::error::Result;
use crate::model::Weights;
use crate::network::{Activation, Graph, NodeId, Op, Span};
use tch::{Device, Kind, Tensor};

/// Axis of the channels: values are `[window, channel, 1, position]`.
pub(super) const CHANNELS: i64 = 1;
/// Axis of the positions.
pub(super) const POSITIONS: i64 = 3;

/// By how much a batch moves the stored mean and variance of a normalisation.
const BATCH_SHARE: f64 = 0.1;

/// What is done at each node.
pub struct Program {
    steps: Vec<Step>,
}

/// What is done at one node, with its tensors.
pub(super) enum Step {
    /// Nothing: an input, a cropping, or a normalisation that went into the convolution before it.
    Pass,
    Conv {
        weight: Frozen,
        bias: Frozen,
        dilation: i64,
    },
    Affine {
        scale: Frozen,
        shift: Frozen,
    },
    /// Normalisation by the batch, which also moves the stored mean and variance.
    BatchNorm {
        scale: Frozen,
        shift: Frozen,
        mean: Frozen,
        var: Frozen,
        epsilon: f64,
    },
    Relu,
    LeakyRelu {
        slope: Frozen,
    },
    Gelu(&'static str),
    Tanh,
    Sigmoid,
    Softplus,
    Exp,
    Softmax(Kind),
    Gate,
    Add,
    Concat,
    LogSumExp,
    Mean,
    LogTotal {
        offset: f64,
    },
}

/// A value while a program runs: `[window, channel, 1, position]`.
pub struct Value {
    tensor: Tensor,
    /// The positions that it covers.
    span: Span,
    /// Whether nobody else reads its memory, so that it may be written over.
    own: bool,
}

impl Value {
    /// An input over some positions; programs leave it as it is.
    pub fn input(tensor: &Tensor, span: Span) -> Self {
        Self { tensor: tensor.shallow_clone(), span, own: false }
    }

    /// The part that covers `wanted`, with zeros where the value ends before.
    fn over(self, wanted: Span) -> Result<Self> {
        let own = self.own || wanted.intersect(self.span) != wanted;
        Ok(Self { tensor: over(&self.tensor, self.span, wanted)?, span: wanted, own })
    }
}

/// The part of a tensor over the positions `span` that covers `wanted`, with zeros where it ends
/// before.
pub(super) fn over(tensor: &Tensor, span: Span, wanted: Span) -> Result<Tensor> {
    let part = wanted.intersect(span);
    let mut tensor = tensor.shallow_clone();
    if part != span {
        tensor = tensor.f_narrow(POSITIONS, part.start - span.start, part.len() as i64)?;
    }
    if part != wanted {
        let zeros = [part.start - wanted.start, wanted.end - part.end];
        tensor = tensor.f_constant_pad_nd(zeros)?;
    }
    Ok(tensor)
}

/// The positions at which each node is computed.
pub struct Ranges {
    pub(super) computed: Vec<Span>,
    /// Where each node has values at all, for a network in a window.
    pub(super) domains: Option<Vec<Span>>,
}

impl Ranges {
    /// Those that some outputs need, in a sequence without ends.
    pub fn of_outputs(graph: &Graph, output: Span) -> Self {
        Self { computed: graph.needed(output), domains: None }
    }

    /// Those of a whole window.
    pub fn of_window(graph: &Graph, window: Span) -> Self {
        let domains = graph.domains(window);
        let needed = graph.needed_in_window(&domains, |_, span| span);
        let inside = needed.iter().zip(&domains).map(|(span, domain)| span.intersect(*domain));
        Self { computed: inside.collect(), domains: Some(domains) }
    }

    /// What `node` reads of its input `input`.
    pub(super) fn read(&self, graph: &Graph, node: NodeId, input: NodeId) -> Span {
        let op = &graph.nodes()[node].op;
        match &self.domains {
            Some(domains) if op.pools() => domains[input],
            _ => self.computed[node].widen(op.reach().left, op.reach().right),
        }
    }
}

/// What a network computes.
pub struct Outputs {
    /// `[window, channel, 1, position]` of the last node.
    pub rows: Tensor,
    /// `[window, channel, 1, 1]` of the scalar head, if there is one.
    pub scalars: Option<Tensor>,
}

impl Program {
    /// Puts the weights on a device, with normalisations folded into the convolutions before them
    /// (in f64). The weights must be those that [`Graph::parameters`] asks for.
    ///
    /// # Errors
    /// What libtorch says; no memory on the device.
    pub fn new(graph: &Graph, weights: &Weights, device: Device, kind: Kind) -> Result<Self> {
        let builder = Builder { graph, weights, device, kind };
        let folded: Vec<Option<NodeId>> =
            (0..graph.nodes().len()).map(|node| builder.folded(node)).collect();
        let step = |node: NodeId| match folded.contains(&Some(node)) {
            true => Ok(Step::Pass),
            false => builder.step(node, folded[node]),
        };
        let steps = (0..graph.nodes().len()).map(step).collect::<Result<_>>()?;
        Ok(Self { steps })
    }

    /// Evaluates the network; each node at the positions that are needed of it, and no others.
    /// `letters` and `controls` cover what is read of them.
    ///
    /// # Errors
    /// What libtorch says; no memory on the device.
    pub fn run(
        &self,
        graph: &Graph,
        ranges: &Ranges,
        letters: Value,
        mut controls: Option<Value>,
    ) -> Result<Outputs> {
        let mut readers = graph.readers();
        let mut values: Vec<Option<Value>> = Vec::with_capacity(self.steps.len());
        values.push(Some(letters));
        for (node, step) in self.steps.iter().enumerate().skip(1) {
            let inputs = &graph.nodes()[node].inputs;
            let mut operands = Vec::with_capacity(inputs.len());
            for &input in inputs {
                readers[input] -= 1;
                let value = match (readers[input], &mut values[input]) {
                    (0, value) => value.take(),
                    (_, Some(value)) => Some(Value::input(&value.tensor, value.span)),
                    (_, None) => None,
                };
                let mut value = value.expect("a value stays until its last reader");
                value.own &= inputs.iter().filter(|&&other| other == input).count() == 1;
                operands.push(value.over(ranges.read(graph, node, input))?);
            }
            values.push(match operands.is_empty() {
                true => Some(controls.take().expect("controls for a network that reads them")),
                false => {
                    let own = operands[0].own || !matches!(step, Step::Pass);
                    let written = operands[0].own;
                    let tensors = operands.into_iter().map(|value| value.tensor).collect();
                    let tensor = step.apply(tensors, written)?;
                    Some(Value { tensor, span: ranges.computed[node], own })
                }
            });
        }
        let mut end = |node: NodeId| values[node].take();
        let output = end(graph.output()).expect("a graph has an output");
        let output = output.over(ranges.computed[graph.output()])?;
        let scalars = graph.scalar_head().and_then(&mut end).map(|value| value.tensor);
        Ok(Outputs { rows: output.tensor, scalars })
    }

    /// Memory of the values that are kept at the same time, in numbers per position: of the
    /// largest moment, counting what an operation makes beside what it reads.
    pub fn numbers_per_position(graph: &Graph) -> u64 {
        let mut readers = graph.readers();
        let mut kept = graph.channels(0);
        let mut most = kept;
        for (node, step) in graph.nodes().iter().enumerate().skip(1) {
            kept += graph.channels(node);
            most = most.max(kept);
            for &input in &step.inputs {
                readers[input] -= 1;
                if readers[input] == 0 {
                    kept -= graph.channels(input);
                }
            }
        }
        most as u64
    }
}

impl Step {
    /// The value, from inputs over the positions that this reads; the first one may be written
    /// over if it is the caller's `own`.
    pub(super) fn apply(&self, operands: Vec<Tensor>, own: bool) -> Result<Tensor> {
        let mut rest = operands.into_iter();
        let mut x = rest.next().expect("every operation reads a value");
        Ok(match self {
            Step::Pass => x,
            Step::Conv { weight, bias, dilation } => {
                x.f_conv2d(weight, Some(&**bias), [1, 1], [0, 0], [1, *dilation], 1)?
            }
            Step::Affine { scale, shift } => shift.f_addcmul(&x, scale)?,
            Step::BatchNorm { scale, shift, mean, var, epsilon } => {
                let tensors = [scale, shift, mean, var].map(|tensor| Some(&**tensor));
                let [scale, shift, mean, var] = tensors;
                x.f_batch_norm(scale, shift, mean, var, true, BATCH_SHARE, *epsilon, false)?
            }
            Step::Relu if own => x.f_relu_()?,
            Step::Relu => x.f_relu()?,
            Step::LeakyRelu { slope } => x.f_prelu(slope)?,
            Step::Gelu(form) => x.f_gelu(form)?,
            Step::Tanh => x.f_tanh()?,
            Step::Sigmoid => x.f_sigmoid()?,
            Step::Softplus => x.f_softplus()?,
            Step::Exp => x.f_exp()?,
            Step::Softmax(kind) => x.f_softmax(CHANNELS, *kind)?,
            Step::Gate => {
                let gate = rest.next().expect("a gate reads two values");
                x.f_tanh()?.f_mul(&gate.f_sigmoid()?)?
            }
            Step::Add => {
                let second = rest.next().expect("a sum has two terms or more");
                let mut sum = if own { x.f_add_(&second)? } else { x.f_add(&second)? };
                for term in rest {
                    sum = sum.f_add_(&term)?;
                }
                sum
            }
            Step::Concat => {
                let all: Vec<Tensor> = std::iter::once(x).chain(rest).collect();
                Tensor::f_cat(&all, CHANNELS)?
            }
            Step::LogSumExp => {
                let all: Vec<Tensor> = std::iter::once(x).chain(rest).collect();
                Tensor::f_stack(&all, 0)?.f_logsumexp(0, false)?
            }
            Step::Mean => x.f_mean_dim(POSITIONS, true, Kind::Double)?,
            Step::LogTotal { offset } => {
                let axes = [CHANNELS, POSITIONS].as_slice();
                let total = x.f_sum_dim_intlist(axes, true, Kind::Double)?;
                total.f_add_scalar(*offset)?.f_log()?
            }
        })
    }
}

/// Makes the steps.
pub(super) struct Builder<'a> {
    pub(super) graph: &'a Graph,
    pub(super) weights: &'a Weights,
    pub(super) device: Device,
    pub(super) kind: Kind,
}

impl<'a> Builder<'a> {
    /// The normalisation that can be folded into a node: the only reader of a convolution.
    fn folded(&self, node: NodeId) -> Option<NodeId> {
        if !matches!(self.graph.nodes()[node].op, Op::Conv { .. }) || node == self.graph.output() {
            return None;
        }
        let mut readers =
            (0..self.graph.nodes().len()).filter(|&id| self.graph.nodes()[id].inputs == [node]);
        let norm =
            |id: &NodeId| matches!(self.graph.nodes()[*id].op, Op::BatchNorm { .. } | Op::Affine);
        readers.next().filter(|id| self.graph.readers()[node] == 1 && norm(id))
    }

    pub(super) fn step(&self, node: NodeId, folded: Option<NodeId>) -> Result<Step> {
        let place = |values: &[f32], shape: &[i64]| self.place(node, values, shape);
        let per_channel = |values: Vec<f64>| {
            let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
            place(&values, &[1, self.graph.channels(node) as i64, 1, 1])
        };
        Ok(match self.graph.nodes()[node].op {
            Op::Input | Op::Control { .. } | Op::Crop { .. } => Step::Pass,
            Op::Conv { channels, kernel, dilation, bias, .. } => {
                let (weight, bias) = self.convolution(node, bias, folded);
                let inputs = self.graph.input_channels(node);
                let weight = place(&weight, &[channels, inputs, 1, kernel].map(|n| n as i64))?;
                let bias = place(&bias, &[channels as i64])?;
                Step::Conv { weight, bias, dilation: dilation as i64 }
            }
            Op::BatchNorm { .. } | Op::Affine => {
                let (scale, shift) = self.norm(node);
                Step::Affine { scale: per_channel(scale)?, shift: per_channel(shift)? }
            }
            Op::Activation { function } => match function {
                Activation::Relu => Step::Relu,
                Activation::LeakyRelu { slope } => {
                    Step::LeakyRelu { slope: place(&[slope], &[1])? }
                }
                Activation::Gelu => Step::Gelu("none"),
                Activation::GeluTanh => Step::Gelu("tanh"),
                Activation::Tanh => Step::Tanh,
                Activation::Sigmoid => Step::Sigmoid,
                Activation::Softplus => Step::Softplus,
                Activation::Exp => Step::Exp,
            },
            // the last one in full precision: it makes the probabilities
            Op::Softmax if node == self.graph.output() => Step::Softmax(Kind::Float),
            Op::Softmax => Step::Softmax(self.kind(node)),
            Op::Gate => Step::Gate,
            Op::Add => Step::Add,
            Op::Concat => Step::Concat,
            Op::LogSumExp => Step::LogSumExp,
            Op::Mean => Step::Mean,
            Op::LogTotal { offset } => Step::LogTotal { offset },
        })
    }

    /// Scalars are few, and sums of many: they are computed in 64 bits.
    fn kind(&self, node: NodeId) -> Kind {
        if self.graph.is_scalar(node) { Kind::Double } else { self.kind }
    }

    fn tensor(&self, node: NodeId, suffix: &str) -> &'a [f32] {
        &self.weights[&format!("{}.{suffix}", self.graph.nodes()[node].name)].values
    }

    fn norm(&self, node: NodeId) -> (Vec<f64>, Vec<f64>) {
        scale_and_shift(&self.graph.nodes()[node].op, |suffix| self.tensor(node, suffix))
            .expect("called for normalisations only")
    }

    /// Weight `[out, in, tap]` and bias of a convolution, with what is folded into it.
    fn convolution(
        &self,
        node: NodeId,
        biased: bool,
        folded: Option<NodeId>,
    ) -> (Vec<f32>, Vec<f32>) {
        let weight = self.tensor(node, "weight");
        let channels = self.graph.channels(node);
        let (scale, shift) = folded
            .map_or_else(|| (vec![1.0; channels], vec![0.0; channels]), |norm| self.norm(norm));
        let rows = weight.chunks_exact(weight.len() / channels).zip(&scale);
        let weight =
            rows.flat_map(|(row, scale)| row.iter().map(move |&w| (f64::from(w) * scale) as f32));
        let bias = if biased { self.tensor(node, "bias") } else { &vec![0.0; channels] };
        let bias = bias.iter().zip(&scale).zip(&shift);
        let bias = bias.map(|((&b, scale), shift)| (f64::from(b) * scale + shift) as f32);
        (weight.collect(), bias.collect())
    }

    /// Values as a tensor of a node on the device. On the CPU channels lie innermost, which is what its
    /// convolutions are fastest with (cpu-kernels.md 3).
    fn place(&self, node: NodeId, values: &[f32], shape: &[i64]) -> Result<Frozen> {
        let tensor = Tensor::f_from_slice(values)?.f_view(shape)?;
        let tensor = match self.device == Device::Cpu && shape.len() == 4 {
            true => {
                let inner = tensor.f_permute([0, 2, 3, 1])?.f_contiguous()?;
                inner.f_permute([0, 3, 1, 2])?
            }
            false => tensor,
        };
        Ok(Frozen(tensor.f_to_kind(self.kind(node))?.f_to_device(self.device)?))
    }
}
