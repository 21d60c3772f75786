//! Which kernel computes a convolution: a function of its shape and the context of its network and
//! nothing else, so that every member, tile and thread takes the same one.

use super::packed::padded;
use super::{dots, fft, lookup, winograd};
use crate::network::{Graph, NodeId, Op, Span};
use serde::Serialize;

/// Blocks of filtering are at most one part in so many of the network's receptive field, because
/// one at each end of a stretch may be computed for the sake of one position.
const CONTEXT_SHARE: usize = 8;
/// Or this many positions: little beside tiles of tens of thousands.
const SHORT: usize = 2_048;
/// Blocks of filtering are at most one part in so many of a window, of which every position counts.
const WINDOW_SHARE: usize = 2;

/// The shape of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Taps.
    pub taps: usize,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Output channels, padded to whole registers.
    pub stride: usize,
    /// Positions between taps.
    pub dilation: usize,
}

/// A way to compute a convolution. Its costs are those of the AVX-512 kernels (cpu-kernels.md 4, and
/// measured); the other instruction sets keep their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Sums of products, as written.
    Direct,
    /// Fourier transforms of so many points.
    Transforms(usize),
    /// Winograd's F(4, 3).
    Filtering,
    /// Sums of products along the input channels.
    Dots,
    /// Sums of weights of letters.
    Lookup,
}

impl Method {
    /// The fastest one that is accurate enough; blocks of filtering are at most `longest`.
    pub fn of(shape: Shape, longest: usize) -> Self {
        match fft::points_for(shape) {
            Some(points) => Method::Transforms(points),
            None if winograd::pays(shape) && winograd::block(shape.dilation) <= longest => {
                Method::Filtering
            }
            None if dots::pays(shape) => Method::Dots,
            None if lookup::pays(shape) => Method::Lookup,
            None => Method::Direct,
        }
    }

    /// Positions of an anchored block; 1 where any row can be computed by itself.
    fn block(self, shape: Shape) -> usize {
        match self {
            Method::Direct | Method::Dots | Method::Lookup => 1,
            Method::Transforms(points) => (points - shape.taps + 1) * shape.dilation,
            Method::Filtering => winograd::block(shape.dilation),
        }
    }

    /// Floating-point operations per output row; a multiply-add counts as two.
    fn flops(self, shape: Shape) -> usize {
        match self {
            Method::Direct => 2 * shape.work(),
            Method::Transforms(points) => 2 * fft::cost(points, shape.taps).unwrap_or(0),
            Method::Filtering => 2 * winograd::work(shape),
            Method::Dots => 2 * shape.outputs * dots::products(shape),
            Method::Lookup => lookup::additions(shape),
        }
    }
}

impl Shape {
    /// Multiply-adds per output row of the direct kernel.
    pub fn work(self) -> usize {
        self.taps * self.inputs * self.stride
    }
}

/// The longest blocks of filtering that suit a network, or its window.
pub fn longest_block(graph: &Graph, window: Option<Span>) -> usize {
    match window {
        Some(window) => window.len() / WINDOW_SHARE,
        None => {
            let field = usize::try_from(graph.reach().receptive_field()).unwrap_or(usize::MAX);
            (field / CONTEXT_SHARE).max(SHORT)
        }
    }
}

/// How a convolution of a network is computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// Its node.
    pub name: String,
    /// Taps.
    pub taps: usize,
    /// Positions between taps.
    pub dilation: usize,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// `direct`, `fourier`, `winograd`, `dots` (for few outputs) or `lookup` (of letters).
    pub kernel: &'static str,
    /// Points of a transform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub points: Option<usize>,
    /// Positions of an anchored block, all of which are computed; 1 where there are no blocks.
    pub block: usize,
    /// Floating-point operations per position of the sums as written; a multiply-add counts as two.
    pub direct_flops: u64,
    /// Floating-point operations per position of the kernel, padding included.
    pub flops: u64,
}

/// How the convolutions of a network are computed in long stretches, or in a window.
pub fn planned(graph: &Graph, window: Option<Span>) -> Vec<Planned> {
    let longest = longest_block(graph, window);
    let planned = |node: NodeId| {
        let Op::Conv { kernel: taps, dilation, channels: outputs, .. } = graph.nodes()[node].op
        else {
            return None;
        };
        let inputs = graph.input_channels(node);
        let shape = Shape { taps, inputs, outputs, stride: padded(outputs), dilation };
        let method = Method::of(shape, longest);
        Some(Planned {
            name: graph.nodes()[node].name.clone(),
            taps,
            dilation,
            inputs,
            outputs,
            kernel: match method {
                Method::Direct => "direct",
                Method::Transforms(_) => "fourier",
                Method::Filtering => "winograd",
                Method::Dots => "dots",
                Method::Lookup => "lookup",
            },
            points: match method {
                Method::Transforms(points) => Some(points),
                _ => None,
            },
            block: method.block(shape),
            direct_flops: graph.node_flops(node),
            flops: method.flops(shape) as u64,
        })
    };
    let nodes = 0..graph.nodes().len();
    nodes.filter(|&node| !graph.is_scalar(node)).filter_map(planned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Architecture;

    #[test]
    fn each_shape_gets_its_kernel() {
        let shape = |taps, inputs, outputs, dilation| Shape {
            taps,
            inputs,
            outputs,
            stride: padded(outputs),
            dilation,
        };
        for (shape, method) in [
            (shape(41, 32, 32, 25), Method::Transforms(128)),
            (shape(11, 32, 32, 1), Method::Transforms(64)),
            (shape(5, 32, 32, 1), Method::Direct),
            (shape(3, 64, 64, 2), Method::Filtering),
            (shape(3, 64, 64, 512), Method::Direct), // blocks of 2,048 positions
            (shape(1, 64, 64, 1), Method::Direct),
            (shape(3, 16, 16, 1), Method::Direct),
            (shape(21, 4, 64, 1), Method::Lookup),
            (shape(1, 4, 64, 1), Method::Direct),
            (shape(75, 64, 1, 1), Method::Dots),
            (shape(75, 2, 1, 1), Method::Direct), // control tracks have no padding
            (shape(1, 32, 3, 1), Method::Direct),
        ] {
            assert_eq!(Method::of(shape, 1_000), method, "{shape:?}");
        }
    }

    #[test]
    fn a_plan_lists_every_convolution_with_its_cost() {
        let graph = Architecture::preset("grouped").unwrap().unwrap().graph().unwrap();
        let plan = planned(&graph, None);
        let direct: u64 = plan.iter().map(|planned| planned.direct_flops).sum();
        assert_eq!(direct, graph.flops_per_base());
        // 41 taps of 32 channels: 83,968 as written; 65 frequencies of 4 x 32 x 32 products and
        // two transforms of 128 points, for 88 outputs
        let long = plan.iter().find(|planned| planned.taps == 41).unwrap();
        assert_eq!((long.kernel, long.points, long.block), ("fourier", Some(128), 2_200));
        assert_eq!((long.direct_flops, long.flops), (83_968, 7_680));
    }
}
