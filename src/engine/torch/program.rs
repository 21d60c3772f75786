//! A network with one member's weights as tensors on a device, and its evaluation.

use super::Frozen;
use crate::engine::fold::scale_and_shift;
use crate::error::Result;
use crate::model::Weights;
use crate::network::{Activation, Graph, NodeId, Op, Span};
use tch::{Device, Kind, Tensor};

/// Axis of the channels: values are `[window, channel, 1, position]`.
const CHANNELS: i64 = 1;
/// Axis of the positions.
const POSITIONS: i64 = 3;

/// What is done at each node.
pub struct Program {
    steps: Vec<Step>,
}

/// What is done at one node, with its tensors.
enum Step {
    /// Nothing: the sequence, or a normalisation that went into the convolution before it.
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
    Relu,
    LeakyRelu {
        slope: Frozen,
    },
    Gelu(&'static str),
    Tanh,
    Sigmoid,
    Softplus,
    Softmax(Kind),
    Gate,
    Add,
    Concat,
}

/// A value that a node reads.
struct Operand {
    tensor: Tensor,
    /// Whether nobody else reads it any more, so that it may be written over.
    last: bool,
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
        Ok(Self { steps: (0..graph.nodes().len()).map(step).collect::<Result<_>>()? })
    }

    /// The positions `spans[output]` of the output, `[window, channel, 1, position]`, from an input
    /// that covers `spans[0]`; `spans` are those of [`Graph::needed`]. Only needed positions are
    /// computed.
    ///
    /// # Errors
    /// What libtorch says; no memory on the device.
    pub fn run(&self, graph: &Graph, spans: &[Span], input: Tensor) -> Result<Tensor> {
        let mut readers = graph.readers();
        let mut values: Vec<Option<Tensor>> = Vec::with_capacity(spans.len());
        values.push(Some(input));
        for (node, step) in self.steps.iter().enumerate().skip(1) {
            let inputs = &graph.nodes()[node].inputs;
            let reach = graph.nodes()[node].op.reach();
            let wanted = spans[node].widen(reach.left, reach.right);
            let mut operands = Vec::with_capacity(inputs.len());
            for &input in inputs {
                readers[input] -= 1;
                let value = match readers[input] {
                    0 => values[input].take(),
                    _ => values[input].as_ref().map(Tensor::shallow_clone),
                };
                let value = value.expect("a value stays until its last reader");
                let once = inputs.iter().filter(|&&other| other == input).count() == 1;
                let tensor = narrow(value, spans[input], wanted)?;
                operands.push(Operand { tensor, last: once && readers[input] == 0 });
            }
            values.push(Some(step.apply(operands)?));
        }
        Ok(values.pop().flatten().expect("a graph has an output"))
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

/// The part of a value that covers `wanted`.
fn narrow(value: Tensor, has: Span, wanted: Span) -> Result<Tensor> {
    Ok(match has == wanted {
        true => value,
        false => value.f_narrow(POSITIONS, wanted.start - has.start, wanted.len() as i64)?,
    })
}

impl Step {
    fn apply(&self, operands: Vec<Operand>) -> Result<Tensor> {
        let mut rest = operands.into_iter();
        let Operand { tensor: mut x, last } = rest.next().expect("every operation reads a value");
        Ok(match self {
            Step::Pass => x,
            Step::Conv { weight, bias, dilation } => {
                x.f_conv2d(weight, Some(&**bias), [1, 1], [0, 0], [1, *dilation], 1)?
            }
            Step::Affine { scale, shift } => shift.f_addcmul(&x, scale)?,
            Step::Relu if last => x.f_relu_()?,
            Step::Relu => x.f_relu()?,
            Step::LeakyRelu { slope } => x.f_prelu(slope)?,
            Step::Gelu(form) => x.f_gelu(form)?,
            Step::Tanh => x.f_tanh()?,
            Step::Sigmoid => x.f_sigmoid()?,
            Step::Softplus => x.f_softplus()?,
            Step::Softmax(kind) => x.f_softmax(CHANNELS, *kind)?,
            Step::Gate => {
                let gate = rest.next().expect("a gate reads two values").tensor;
                x.f_tanh()?.f_mul(&gate.f_sigmoid()?)?
            }
            Step::Add => {
                let second = rest.next().expect("a sum has two terms or more").tensor;
                let mut sum = if last { x.f_add_(&second)? } else { x.f_add(&second)? };
                for term in rest {
                    sum = sum.f_add_(&term.tensor)?;
                }
                sum
            }
            Step::Concat => {
                let all: Vec<Tensor> =
                    std::iter::once(x).chain(rest.map(|operand| operand.tensor)).collect();
                Tensor::f_cat(&all, CHANNELS)?
            }
        })
    }
}

/// Makes the steps.
struct Builder<'a> {
    graph: &'a Graph,
    weights: &'a Weights,
    device: Device,
    kind: Kind,
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

    fn step(&self, node: NodeId, folded: Option<NodeId>) -> Result<Step> {
        let per_channel = |values: Vec<f32>| {
            let channels = [1, self.graph.channels(node) as i64, 1, 1];
            self.place(&values, &channels)
        };
        Ok(match self.graph.nodes()[node].op {
            Op::Input => Step::Pass,
            Op::Conv { channels, kernel, dilation, bias, .. } => {
                let (weight, bias) = self.convolution(node, bias, folded);
                let inputs = self.graph.input_channels(node);
                let weight =
                    self.place(&weight, &[channels, inputs, 1, kernel].map(|n| n as i64))?;
                let bias = self.place(&bias, &[channels as i64])?;
                Step::Conv { weight, bias, dilation: dilation as i64 }
            }
            Op::BatchNorm { .. } | Op::Affine => {
                let (scale, shift) = self.norm(node);
                let scale = per_channel(scale.into_iter().map(|x| x as f32).collect())?;
                let shift = per_channel(shift.into_iter().map(|x| x as f32).collect())?;
                Step::Affine { scale, shift }
            }
            Op::Activation { function } => match function {
                Activation::Relu => Step::Relu,
                Activation::LeakyRelu { slope } => {
                    Step::LeakyRelu { slope: self.place(&[slope], &[1])? }
                }
                Activation::Gelu => Step::Gelu("none"),
                Activation::GeluTanh => Step::Gelu("tanh"),
                Activation::Tanh => Step::Tanh,
                Activation::Sigmoid => Step::Sigmoid,
                Activation::Softplus => Step::Softplus,
            },
            // the last one in full precision: it makes the probabilities
            Op::Softmax if node == self.graph.output() => Step::Softmax(Kind::Float),
            Op::Softmax => Step::Softmax(self.kind),
            Op::Gate => Step::Gate,
            Op::Add => Step::Add,
            Op::Concat => Step::Concat,
        })
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

    /// Values as a tensor on the device. On the CPU channels lie innermost, which is what its
    /// convolutions are fastest with (cpu-kernels.md 3).
    fn place(&self, values: &[f32], shape: &[i64]) -> Result<Frozen> {
        let tensor = Tensor::f_from_slice(values)?.f_view(shape)?;
        let tensor = match self.device == Device::Cpu && shape.len() == 4 {
            true => {
                let inner = tensor.f_permute([0, 2, 3, 1])?.f_contiguous()?;
                inner.f_permute([0, 3, 1, 2])?
            }
            false => tensor,
        };
        Ok(Frozen(tensor.f_to_kind(self.kind)?.f_to_device(self.device)?))
    }
}
