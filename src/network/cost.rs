//! What a network costs: parameters, multiply-adds, context (dilation.md 6 and 7).

use super::graph::{Graph, NodeId};
use super::ranges::Span;

impl Graph {
    /// Number of trained and stored numbers of one member.
    pub fn parameter_count(&self) -> u64 {
        self.parameters().iter().map(|p| p.shape.iter().map(|&n| n as u64).product::<u64>()).sum()
    }

    /// Floating-point operations of one node per position; a multiply-add counts as two. Those of
    /// scalars, which a window has once, are not counted.
    pub fn node_flops(&self, node: NodeId) -> u64 {
        if self.is_scalar(node) {
            return 0;
        }
        self.nodes()[node].op.flops_per_position(self.input_channels(node))
    }

    /// Floating-point operations per output base of an infinitely long tile.
    pub fn flops_per_base(&self) -> u64 {
        (0..self.nodes().len()).map(|node| self.node_flops(node)).sum()
    }

    /// Bytes of activations that training keeps per position: input and output of each
    /// convolution, in 32 bits (dilation.md 6).
    pub fn training_bytes_per_position(&self) -> u64 {
        let convolutions = (0..self.nodes().len())
            .filter(|&node| matches!(self.nodes()[node].op, super::op::Op::Conv { .. }));
        convolutions.map(|id| 4 * (self.input_channels(id) + self.channels(id)) as u64).sum()
    }

    /// Floating-point operations for a tile of `length` output positions, computing in each layer
    /// only what the output needs.
    pub fn tile_flops(&self, length: u64) -> u128 {
        let needed = self.needed(Span::new(0, i64::try_from(length).unwrap_or(i64::MAX)));
        let nodes = needed.iter().enumerate();
        nodes.map(|(node, span)| span.len() as u128 * u128::from(self.node_flops(node))).sum()
    }

    /// What the context around a tile costs, as a number of output positions of equal work. The
    /// same for every tile length; 0 for a network of no reach.
    pub fn overhead_positions(&self) -> u64 {
        let whole = u128::from(self.flops_per_base());
        let context = self.tile_flops(1).saturating_sub(whole);
        context.checked_div(whole).map_or(0, |n| u64::try_from(n).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use crate::network::Architecture;

    #[test]
    fn cost_of_the_published_splice_network() {
        let graph = Architecture::preset("grouped").unwrap().unwrap().graph().unwrap();
        // networks.md 2 (parameters with mean and variance) and dilation.md 6
        assert_eq!(graph.parameter_count(), 698_787);
        assert_eq!(graph.flops_per_base(), 1_386_944);
        // dilation.md 7: tiling overhead of the trapezoid at 5,000 and 200,000 outputs
        for (length, ratio) in [(1_000, 7.414), (5_000, 2.283), (20_000, 1.321), (200_000, 1.032)] {
            let whole = u128::from(graph.flops_per_base() * length);
            let got = graph.tile_flops(length) as f64 / whole as f64;
            assert!((got - ratio).abs() < 1e-3, "{length}: {got}");
        }
        assert_eq!(graph.overhead_positions(), 6_414);
    }
}
