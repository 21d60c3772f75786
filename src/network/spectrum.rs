//! Frequency response of dilated convolutions (dilation.md 4).
//!
//! A kernel of response `H(ω)` has at dilation `d` the response `H(dω)`: the same curve, `d` times
//! compressed and repeated. Frequencies are angles per base, `ω = 2π / period`.

use super::graph::{Graph, NodeId};
use super::op::Op;
use std::f64::consts::{PI, TAU};

/// Response of a kernel of equal taps relative to that of a constant, with the taps centred on the
/// output: real, 1 at frequency 0, negative where the phase turns.
pub fn box_response(kernel: usize, angle: f64) -> f64 {
    let middle = (kernel as f64 - 1.0) / 2.0;
    (0..kernel).map(|tap| (angle * (tap as f64 - middle)).cos()).sum::<f64>() / kernel as f64
}

/// The largest `|Σ_j w_j e^(−ij·angle)|` over all pairs of channels of a convolution's weights
/// [out, in, tap].
pub fn largest_response(weights: &[f32], kernel: usize, angle: f64) -> f64 {
    let turns: Vec<(f64, f64)> =
        (0..kernel).map(|tap| (angle * tap as f64).sin_cos()).map(|(s, c)| (c, -s)).collect();
    let square = |pair: &[f32]| {
        let terms = pair.iter().zip(&turns);
        let (re, im) = terms.fold((0.0, 0.0), |(re, im), (&w, (c, s))| {
            (re + f64::from(w) * c, im + f64::from(w) * s)
        });
        re * re + im * im
    };
    weights.chunks_exact(kernel).map(square).fold(0.0, f64::max).sqrt()
}

/// Magnitude of a kernel's response over the angles 0 to π of one tap's step; it is even and
/// repeats every 2π, so this is all of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    magnitudes: Vec<f64>,
}

impl Curve {
    /// Samples per tap: lobes are `2π / kernel` wide, so this draws each with 32 points.
    const SAMPLES_PER_TAP: usize = 16;
    /// Longer kernels are sampled as if they had this many taps: their lobes are finer than pixels.
    const MOST_TAPS: usize = 256;

    /// Samples a response for a kernel of so many taps.
    pub fn new(kernel: usize, response: impl Fn(f64) -> f64) -> Self {
        let steps = kernel.clamp(4, Self::MOST_TAPS) * Self::SAMPLES_PER_TAP;
        let angle = |i: usize| PI * i as f64 / steps as f64;
        Self { magnitudes: (0..=steps).map(|i| response(angle(i)).abs()).collect() }
    }

    /// The largest magnitude of all.
    pub fn peak(&self) -> f64 {
        self.magnitudes.iter().copied().fold(0.0, f64::max)
    }

    /// The largest magnitude over a range of angles (of one tap's step: `dilation · ω`).
    pub fn most(&self, from: f64, to: f64) -> f64 {
        if to - from >= PI {
            return self.peak();
        }
        let steps = (self.magnitudes.len() - 1) as f64;
        let within = ((to - from) / PI * steps).ceil();
        let sample = |i: f64| self.at(from + (to - from) * i / within.max(1.0));
        let indices = std::iter::successors(Some(0.0), |i| Some(i + 1.0));
        indices.take_while(|i| *i <= within).map(sample).fold(0.0, f64::max)
    }

    /// The magnitude at one angle, between the samples in a straight line.
    pub fn at(&self, angle: f64) -> f64 {
        let turned = angle.rem_euclid(TAU);
        let folded = if turned > PI { TAU - turned } else { turned };
        let last = self.magnitudes.len() - 1;
        let place = folded / PI * last as f64;
        let before = (place as usize).min(last - 1);
        let share = place - before as f64;
        self.magnitudes[before] * (1.0 - share) + self.magnitudes[before + 1] * share
    }
}

/// The response of a whole network whose kernels are boxes and whose other operations pass values
/// on: the Fourier transform of its path counts, relative to their sum.
pub fn path_response(graph: &Graph, frequency: f64) -> f64 {
    // Each value is (re, im) relative to its number of paths, and the logarithm of that number,
    // which itself may exceed all floats.
    let mut done: Vec<(f64, f64, f64)> = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let inputs = || node.inputs.iter().map(|&input| done[input]);
        let most = inputs().map(|(_, _, log)| log).fold(f64::NEG_INFINITY, f64::max);
        let weigh = |log: f64| (log - most).exp();
        let total: f64 = inputs().map(|(_, _, log)| weigh(log)).sum();
        let (re, im) = inputs().fold((0.0, 0.0), |(re, im), (a, b, log)| {
            (re + a * weigh(log) / total, im + b * weigh(log) / total)
        });
        done.push(match node.op {
            Op::Input => (1.0, 0.0, 0.0),
            Op::Conv { kernel, dilation, left, .. } => {
                let angle = frequency * dilation as f64;
                let size = box_response(kernel, angle);
                let middle = (kernel as f64 - 1.0) / 2.0 * dilation as f64 - left as f64;
                let (s, c) = (frequency * middle).sin_cos();
                let (c, s) = (size * c, -size * s);
                (re * c - im * s, re * s + im * c, most + total.ln() + (kernel as f64).ln())
            }
            _ => (re, im, most + total.ln()),
        });
    }
    let (re, im, _) = done[graph.output()];
    re.hypot(im)
}

/// The nodes that look at more than one position: convolutions with more than one tap.
pub fn looking_nodes(graph: &Graph) -> Vec<NodeId> {
    let nodes = graph.nodes().iter().enumerate();
    let looks = nodes.filter(|(_, node)| matches!(node.op, Op::Conv { kernel, .. } if kernel > 1));
    looks.map(|(id, _)| id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::coverage::Coverage;
    use crate::network::{Architecture, GraphBuilder};

    #[test]
    fn response_of_three_equal_taps_at_the_periods_of_dna() {
        // dilation.md 4, table: period, then the response at each dilation
        let dilations = [5, 8, 10, 16, 21, 32, 42, 64, 128, 147, 167];
        let table = [
            (
                10.5,
                [-0.3259, 0.3832, 0.9704, -0.3259, 1.0, 0.9704, 1.0, 0.8842, 0.5769, 1.0, 0.8842],
            ),
            (
                147.0,
                [0.9848, 0.9614, 0.94, 0.8501, 0.749, 0.4678, 0.185, -0.2791, 0.792, 1.0, 0.7709],
            ),
            (
                167.0,
                [0.9882, 0.97, 0.9534, 0.8828, 0.8025, 0.5724, 0.3271, -0.1618, 0.4022, 0.82, 1.0],
            ),
        ];
        for (period, row) in table {
            for (dilation, expected) in dilations.into_iter().zip(row) {
                let found = box_response(3, TAU / period * f64::from(dilation));
                assert!((found - expected).abs() < 6e-5, "{period}, {dilation}: {found}");
                let formula = (1.0 + 2.0 * (TAU * f64::from(dilation) / period).cos()) / 3.0;
                assert!((found - formula).abs() < 1e-12);
            }
        }
        // the first zero is at the period 3d
        assert!(box_response(3, TAU / (3.0 * 8.0) * 8.0).abs() < 1e-12);
    }

    #[test]
    fn real_weights_have_the_response_of_their_strongest_pair() {
        // pairs (1, 1, 1), and (1, -1, 0) whose response is 2 sin(ω/2)
        let weights = [1.0, 1.0, 1.0, 1.0, -1.0, 0.0];
        for angle in [0.0, 0.3, 1.0, 2.0, 3.0] {
            let expected = (3.0 * box_response(3, angle)).abs().max(2.0 * (angle / 2.0).sin());
            assert!((largest_response(&weights, 3, angle) - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn a_curve_repeats_and_knows_its_largest_value_in_a_range() {
        let curve = Curve::new(3, |angle| box_response(3, angle));
        for angle in [0.0, 0.5, 3.0, 4.0, 6.2, 100.0, -2.0] {
            assert!((curve.at(angle) - box_response(3, angle).abs()).abs() < 2e-3, "{angle}");
        }
        assert_eq!(curve.peak(), 1.0);
        assert_eq!(curve.most(5.0, 9.0), 1.0);
        // between the first zero (2π/3) and π the magnitude rises to 1/3
        assert!((curve.most(2.2, PI) - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn the_response_of_a_network_is_the_transform_of_its_path_counts() {
        let mut graphs: Vec<Graph> = ["hybrid", "wavenet", "pyramid", "profile-trunk"]
            .map(|name| Architecture::preset(name).unwrap().unwrap().graph().unwrap())
            .to_vec();
        let mut g = GraphBuilder::new();
        let x = g.add("even", Op::centred(4, 4, 3), &[0]).unwrap();
        g.add("join", Op::Add, &[x, 0, x]).unwrap();
        graphs.push(g.finish().unwrap());
        for graph in graphs {
            let coverage = Coverage::of(&graph).unwrap();
            for frequency in [0.0, 0.01, 0.3, 1.0, 2.5] {
                let (mut re, mut im) = (0.0, 0.0);
                for (i, count) in coverage.counts.iter().enumerate() {
                    let (s, c) = (frequency * i as f64).sin_cos();
                    (re, im) = (re + count * c, im + count * s);
                }
                let expected = f64::hypot(re, im) / coverage.paths;
                let found = path_response(&graph, frequency);
                assert!((found - expected).abs() < 1e-9, "{frequency}: {found}, {expected}");
            }
        }
    }

    #[test]
    fn a_stack_multiplies_the_responses_of_its_layers() {
        let mut g = GraphBuilder::new();
        let x = g.add("a", Op::centred(4, 3, 2), &[0]).unwrap();
        g.add("b", Op::centred(4, 5, 7), &[x]).unwrap();
        let graph = g.finish().unwrap();
        let product = |w: f64| (box_response(3, 2.0 * w) * box_response(5, 7.0 * w)).abs();
        for frequency in [0.1, 0.7, 2.9] {
            assert!((path_response(&graph, frequency) - product(frequency)).abs() < 1e-12);
        }
    }
}
