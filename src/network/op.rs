//! The operations of a network: what each computes, needs and weighs.

use super::ranges::Reach;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Most channels or taps of one convolution.
const MOST_CHANNELS: usize = 1 << 16;
/// Largest dilation, in positions.
const MOST_DILATION: usize = 1 << 31;

/// An elementwise function.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// max(0, x)
    Relu,
    /// x if x > 0, else slope · x
    LeakyRelu {
        /// Factor for negative values.
        slope: f32,
    },
    /// x Φ(x), with the normal distribution's Φ
    Gelu,
    /// 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))): the form that Basenji uses
    GeluTanh,
    /// Hyperbolic tangent.
    Tanh,
    /// 1 / (1 + exp(−x))
    Sigmoid,
    /// ln(1 + exp(x))
    Softplus,
    /// exp(x)
    Exp,
}

/// What a convolution reads where its window ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// Nothing: only positions whose taps all lie inside have a value (`valid`, networks.md 1).
    #[default]
    None,
    /// Zeros, in the layer's input: it has as many positions as its input (`same`).
    Zero,
}

impl Padding {
    /// Whether nothing is read beyond the window.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// What a node computes from its inputs. Its tensors are named `NODE.SUFFIX`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Op {
    /// The encoded sequence: 4 channels A, C, G, T.
    Input,
    /// Tracks that the network reads beside the sequence, such as a control experiment, over the
    /// same positions.
    Control {
        /// Tracks.
        channels: usize,
    },
    /// Cross-correlation: `y[t, o] = bias[o] + Σ weight[o, i, j] · x[t + j·dilation − left, i]`.
    /// Tensors `weight` `[out, in, tap]` and, with `bias`, `bias` `[out]`.
    Conv {
        /// Output channels.
        channels: usize,
        /// Taps.
        kernel: usize,
        /// Distance between taps, in positions.
        dilation: usize,
        /// Reach to the left, in positions; to the right it is `(kernel − 1)·dilation − left`.
        left: usize,
        /// Whether a bias is added.
        bias: bool,
        /// What is read beyond the ends of the window.
        #[serde(default, skip_serializing_if = "Padding::is_none")]
        padding: Padding,
    },
    /// Batch normalisation in evaluation form: `scale · (x − mean) / √(var + epsilon) + shift`.
    /// Tensors `scale`, `shift`, `mean`, `var`, each `[channels]`.
    BatchNorm {
        /// Added to the variance.
        epsilon: f64,
    },
    /// Per channel `scale · x + shift`. Tensors `scale`, `shift`, each `[channels]`.
    Affine,
    /// An elementwise function.
    Activation {
        /// Which one.
        function: Activation,
    },
    /// Softmax over the channels of a position.
    Softmax,
    /// `tanh(a) · sigmoid(b)` of two inputs with equal channels (WaveNet's gated unit).
    Gate,
    /// Sum of two or more inputs with equal channels.
    Add,
    /// Channels of all inputs, one after the other.
    Concat,
    /// `ln Σ exp(x)` over two or more inputs with equal channels, channel by channel.
    LogSumExp,
    /// The value without so many positions at each end of the window.
    Crop {
        /// Positions taken off on the left.
        left: usize,
        /// Positions taken off on the right.
        right: usize,
    },
    /// Mean of each channel over all positions of the window: a scalar.
    Mean,
    /// `ln(offset + Σ x)` over all positions and channels of the window: a scalar of one channel
    /// (how networks read the size of a control experiment, networks.md 3).
    LogTotal {
        /// Added to the sum.
        offset: f64,
    },
}

/// How many inputs an operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// This many.
    Exactly(usize),
    /// This many or more.
    AtLeast(usize),
}

impl Arity {
    /// Whether `inputs` inputs are legal.
    pub fn accepts(self, inputs: usize) -> bool {
        match self {
            Arity::Exactly(n) => inputs == n,
            Arity::AtLeast(n) => inputs >= n,
        }
    }
}

impl fmt::Display for Arity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Arity::Exactly(n) => write!(f, "{n}"),
            Arity::AtLeast(n) => write!(f, "{n} or more"),
        }
    }
}

impl Op {
    /// A convolution with bias whose taps are centred on the output; of an even number of steps
    /// the smaller half goes to the left (Keras `same`, networks.md 1).
    pub fn centred(channels: usize, kernel: usize, dilation: usize) -> Self {
        let left = kernel.saturating_sub(1).saturating_mul(dilation) / 2;
        Op::Conv { channels, kernel, dilation, left, bias: true, padding: Padding::None }
    }

    /// The same convolution with another padding; other operations stay as they are.
    pub fn padded(self, padding: Padding) -> Self {
        match self {
            Op::Conv { channels, kernel, dilation, left, bias, .. } => {
                Op::Conv { channels, kernel, dilation, left, bias, padding }
            }
            other => other,
        }
    }

    /// A convolution of one tap: a linear map of the channels of each position.
    pub fn pointwise(channels: usize) -> Self {
        Self::centred(channels, 1, 1)
    }

    /// How far an output position looks into the input.
    pub fn reach(&self) -> Reach {
        match *self {
            Op::Conv { kernel, dilation, left, .. } => {
                let span = (kernel as u64 - 1) * dilation as u64;
                Reach { left: left as u64, right: span - left as u64 }
            }
            _ => Reach::default(),
        }
    }

    /// How many inputs it takes.
    pub fn arity(&self) -> Arity {
        match self {
            Op::Input | Op::Control { .. } => Arity::Exactly(0),
            Op::Conv { .. }
            | Op::Crop { .. }
            | Op::Mean
            | Op::LogTotal { .. }
            | Op::BatchNorm { .. }
            | Op::Affine
            | Op::Activation { .. }
            | Op::Softmax => Arity::Exactly(1),
            Op::Gate => Arity::Exactly(2),
            Op::Add | Op::Concat | Op::LogSumExp => Arity::AtLeast(2),
        }
    }

    /// Whether it needs all positions of the window at once and gives a scalar.
    pub fn pools(&self) -> bool {
        matches!(self, Op::Mean | Op::LogTotal { .. })
    }

    /// Whether it means something in a window of given ends only.
    pub fn needs_window(&self) -> bool {
        let zeros = matches!(self, Op::Conv { padding: Padding::Zero, .. });
        zeros || self.pools() || matches!(self, Op::Control { .. } | Op::Crop { .. })
    }

    /// Channels of the output for inputs of the given channels, or why they do not fit.
    pub(super) fn output_channels(&self, inputs: &[usize]) -> Result<usize, String> {
        match self {
            Op::Input => Ok(super::graph::INPUT_CHANNELS),
            &Op::Control { channels } if !(1..=MOST_CHANNELS).contains(&channels) => {
                Err(format!("{channels} channels, expected 1 to {MOST_CHANNELS}"))
            }
            &Op::Control { channels } => Ok(channels),
            &Op::Conv { channels, kernel, dilation, left, .. } => {
                let legal = 1..=MOST_CHANNELS;
                if !legal.contains(&channels) || !legal.contains(&kernel) {
                    return Err(format!(
                        "{channels} channels and {kernel} taps, expected 1 to {MOST_CHANNELS}"
                    ));
                }
                if !(1..=MOST_DILATION).contains(&dilation) {
                    return Err(format!("dilation {dilation}, expected 1 to {MOST_DILATION}"));
                }
                let span = (kernel - 1) * dilation;
                if left > span {
                    return Err(format!("reach to the left {left}, the taps span only {span}"));
                }
                Ok(channels)
            }
            Op::BatchNorm { epsilon } if !(epsilon.is_finite() && *epsilon >= 0.0) => {
                Err(format!("epsilon {epsilon}, expected a number of 0 or more"))
            }
            Op::Activation { function: Activation::LeakyRelu { slope } } if !slope.is_finite() => {
                Err(format!("slope {slope}, expected a number"))
            }
            Op::LogTotal { offset } if !(offset.is_finite() && *offset > 0.0) => {
                Err(format!("offset {offset}, expected a number above 0"))
            }
            Op::LogTotal { .. } => Ok(1),
            Op::BatchNorm { .. }
            | Op::Affine
            | Op::Activation { .. }
            | Op::Softmax
            | Op::Crop { .. }
            | Op::Mean => Ok(inputs[0]),
            Op::Gate | Op::Add | Op::LogSumExp => {
                match inputs.iter().find(|&&width| width != inputs[0]) {
                    Some(other) => {
                        Err(format!("inputs of {} and {other} channels, expected equal", inputs[0]))
                    }
                    None => Ok(inputs[0]),
                }
            }
            Op::Concat => {
                let sum = inputs.iter().sum();
                if sum > MOST_CHANNELS {
                    return Err(format!("{sum} channels, expected at most {MOST_CHANNELS}"));
                }
                Ok(sum)
            }
        }
    }

    /// Suffixes and shapes of its tensors, for an input of `width` channels.
    pub(super) fn parameters(&self, width: usize) -> Vec<(&'static str, Vec<usize>)> {
        match *self {
            Op::Conv { channels, kernel, bias, .. } => {
                let mut list = vec![("weight", vec![channels, width, kernel])];
                if bias {
                    list.push(("bias", vec![channels]));
                }
                list
            }
            Op::BatchNorm { .. } => {
                ["scale", "shift", "mean", "var"].map(|name| (name, vec![width])).into()
            }
            Op::Affine => ["scale", "shift"].map(|name| (name, vec![width])).into(),
            _ => vec![],
        }
    }

    /// Multiply-adds count as two; bias, normalisation and activations are not counted
    /// (dilation.md 6).
    pub fn flops_per_position(&self, width: usize) -> u64 {
        match *self {
            Op::Conv { channels, kernel, .. } => 2 * kernel as u64 * width as u64 * channels as u64,
            _ => 0,
        }
    }
}
