//! Weights in the order in which the kernels read them.

use super::Aligned;
use super::choice::Shape;

/// Row strides are multiples of this many numbers: one AVX-512 register.
pub const LANES: usize = 16;
/// Output channels that a full panel of packed weights covers.
pub const PANEL: usize = 2 * LANES;

/// Channels rounded up to whole registers: the stride of a row.
pub fn padded(channels: usize) -> usize {
    channels.next_multiple_of(LANES)
}

/// A convolution's weights in the order in which the kernels read them.
#[derive(Debug, Clone)]
pub struct Packed {
    /// Taps.
    pub taps: usize,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Output channels, padded: the row stride of the output.
    pub stride: usize,
    /// Panel after panel: `[tap][input][output of the panel]`; panels cover 32 outputs, the last
    /// one 16 if that is all there is left.
    pub weights: Aligned,
    /// One number per padded output.
    pub bias: Vec<f32>,
}

impl Packed {
    /// From `weight(output, input, tap)` and `bias(output)`; padded outputs get zeros.
    pub fn new(
        (outputs, inputs, taps): (usize, usize, usize),
        weight: impl Fn(usize, usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Self {
        let stride = padded(outputs);
        let mut weights = Vec::with_capacity(stride * inputs * taps);
        for panel in (0..stride).step_by(PANEL) {
            for tap in 0..taps {
                for input in 0..inputs {
                    let columns = panel..stride.min(panel + PANEL);
                    weights.extend(columns.map(|output| {
                        if output < outputs { weight(output, input, tap) } else { 0.0 }
                    }));
                }
            }
        }
        let bias =
            (0..stride).map(|output| if output < outputs { bias(output) } else { 0.0 }).collect();
        Self { taps, inputs, outputs, stride, weights: weights[..].into(), bias }
    }

    /// A weight, of a padded output too.
    pub fn weight(&self, output: usize, input: usize, tap: usize) -> f32 {
        let panel = output / PANEL * PANEL;
        let width = PANEL.min(self.stride - panel);
        let row = tap * self.inputs + input;
        self.weights[panel * self.taps * self.inputs + row * width + output - panel]
    }

    /// Its shape, with a dilation.
    pub fn shape(&self, dilation: usize) -> Shape {
        let Self { taps, inputs, outputs, stride, .. } = *self;
        Shape { taps, inputs, outputs, stride, dilation }
    }

    /// Panels: first output, width, and weights.
    pub fn panels(&self) -> impl Iterator<Item = Panel<'_>> {
        let size = self.taps * self.inputs;
        (0..self.stride).step_by(PANEL).map(move |first| {
            let width = PANEL.min(self.stride - first);
            let weights = &self.weights[first * size..][..width * size];
            Panel { first, width, weights, bias: &self.bias[first..][..width] }
        })
    }
}

/// The weights of up to 32 output channels.
pub struct Panel<'a> {
    /// The first one.
    pub first: usize,
    /// How many.
    pub width: usize,
    /// `[tap][input][output of the panel]`.
    pub weights: &'a [f32],
    /// One number per output.
    pub bias: &'a [f32],
}
