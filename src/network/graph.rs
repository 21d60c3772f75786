//! The graph: nodes in topological order, each an operation on earlier nodes.
//!
//! A value is a table `[position, channel]`; every operation here keeps the grid (stride 1), so
//! position `t` of every node is the same base `t`. Convolutions are evaluated without padding:
//! a range of outputs needs a wider range of inputs (networks.md 1, `valid`).

use serde::{Deserialize, Serialize};

/// Index of a node in its graph.
pub type NodeId = usize;

/// An elementwise function.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Activation {
    /// max(0, x)
    Relu,
    /// x if x > 0, else slope * x
    LeakyRelu {
        /// Factor for negative values.
        slope: f32,
    },
    /// 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
    GeluTanh,
    /// x * Phi(x), with the error function
    Gelu,
    /// Hyperbolic tangent.
    Tanh,
    /// 1 / (1 + exp(-x))
    Sigmoid,
    /// ln(1 + exp(x))
    Softplus,
    /// exp(x)
    Exp,
}

/// What a node computes from its inputs. Weights are found by the node's name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Op {
    /// The encoded sequence: 4 channels A, C, G, T.
    Input,
    /// Cross-correlation: `y[t, o] = bias[o] + sum_ij weight[o, i, j] x[t + j*dilation - left, i]`.
    /// Tensors `NAME.weight` [out, in, tap] and, with `bias`, `NAME.bias` [out].
    /// Reach: `left` given, right = (kernel - 1) * dilation - left.
    Conv {
        /// Output channels.
        channels: usize,
        /// Taps.
        kernel: usize,
        /// Distance between taps, in positions.
        dilation: usize,
        /// Reach to the left, in positions.
        left: usize,
        /// Whether a bias is added.
        bias: bool,
    },
    /// Evaluation-form batch normalisation: `scale (x - mean) / sqrt(var + epsilon) + shift`.
    /// Tensors `NAME.scale`, `NAME.shift`, `NAME.mean`, `NAME.var`, each [channels].
    BatchNorm {
        /// Added to the variance.
        epsilon: f64,
    },
    /// Per channel `scale x + shift`. Tensors `NAME.scale`, `NAME.shift`, each [channels].
    Affine,
    /// Elementwise function.
    Activation {
        /// Which one.
        function: Activation,
    },
    /// Softmax over all channels of a position.
    Softmax,
    /// `tanh(a) * sigmoid(b)` of two inputs of equal channels (WaveNet's gated unit).
    Gate,
    /// Elementwise sum of two or more inputs of equal channels.
    Add,
    /// Channels of all inputs, one after the other.
    Concat,
}

/// One step of a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Unique name; the prefix of the node's tensors.
    pub name: String,
    /// Earlier nodes that it reads.
    pub inputs: Vec<NodeId>,
    /// What it computes.
    #[serde(flatten)]
    pub op: Op,
}

/// A network without weights: nodes in topological order, the last one is the output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Graph {
    nodes: Vec<Node>,
}

/// A tensor that a graph needs: full name (`NODE.weight`, …) and shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Name within one member.
    pub name: String,
    /// Axis lengths; convolutions are [out, in, tap].
    pub shape: Vec<usize>,
}
