//! What a designer wants to know of a network: receptive field, layers, cost.

use super::graph::{Graph, NodeId};
use super::op::{Activation, Op};
use super::ranges::Reach;
use serde::Serialize;

/// One node of a network, as a row of a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Layer {
    /// Name of the node.
    pub name: String,
    /// What it computes, in a word.
    pub operation: String,
    /// Names of the nodes that it reads.
    pub inputs: Vec<String>,
    /// Channels of its value.
    pub channels: usize,
    /// Taps; 1 where there is no convolution.
    pub kernel: usize,
    /// Positions between taps.
    pub dilation: usize,
    /// How far it looks, over all layers up to it, in bases.
    pub reach: Reach,
    /// Trained and stored numbers.
    pub parameters: u64,
    /// Floating-point operations per position (a multiply-add counts as two; convolutions only).
    pub flops_per_base: u64,
}

/// Facts about a network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Facts {
    /// Bases that one output sees: `reach.left + 1 + reach.right`.
    pub receptive_field: u64,
    /// How far one output looks, in bases.
    pub reach: Reach,
    /// Trained and stored numbers of one member.
    pub parameters: u64,
    /// Floating-point operations per output base of an infinitely long tile.
    pub flops_per_base: u64,
    /// What the context around a tile costs, in output bases of equal work.
    pub tile_overhead_bases: u64,
    /// Every node.
    pub layers: Vec<Layer>,
}

impl Facts {
    /// Of a network.
    pub fn of(graph: &Graph) -> Self {
        let reaches = reaches(graph);
        let layers = (0..graph.nodes().len()).map(|id| layer(graph, id, reaches[id])).collect();
        let reach = graph.reach();
        Self {
            receptive_field: reach.receptive_field(),
            reach,
            parameters: graph.parameter_count(),
            flops_per_base: graph.flops_per_base(),
            tile_overhead_bases: graph.overhead_positions(),
            layers,
        }
    }
}

/// How far each node looks into the sequence.
pub(super) fn reaches(graph: &Graph) -> Vec<Reach> {
    let mut reaches: Vec<Reach> = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let inputs = node.inputs.iter().map(|&input| reaches[input]);
        let (hull, own) = (inputs.fold(Reach::default(), Reach::hull), node.op.reach());
        reaches.push(Reach {
            left: hull.left.saturating_add(own.left),
            right: hull.right.saturating_add(own.right),
        });
    }
    reaches
}

fn layer(graph: &Graph, id: NodeId, reach: Reach) -> Layer {
    let node = &graph.nodes()[id];
    let (kernel, dilation) = match node.op {
        Op::Conv { kernel, dilation, .. } => (kernel, dilation),
        _ => (1, 1),
    };
    let sizes = graph.node_parameters(id).into_iter();
    Layer {
        name: node.name.clone(),
        operation: operation(&node.op).into(),
        inputs: node.inputs.iter().map(|&input| graph.nodes()[input].name.clone()).collect(),
        channels: graph.channels(id),
        kernel,
        dilation,
        reach,
        parameters: sizes.map(|p| p.shape.iter().map(|&n| n as u64).product::<u64>()).sum(),
        flops_per_base: graph.node_flops(id),
    }
}

fn operation(op: &Op) -> &'static str {
    match op {
        Op::Input => "input",
        Op::Control { .. } => "control",
        Op::Conv { .. } => "conv",
        Op::BatchNorm { .. } => "batch norm",
        Op::Affine => "affine",
        Op::Activation { function } => match function {
            Activation::Relu => "relu",
            Activation::LeakyRelu { .. } => "leaky relu",
            Activation::Gelu => "gelu",
            Activation::GeluTanh => "gelu (tanh)",
            Activation::Tanh => "tanh",
            Activation::Sigmoid => "sigmoid",
            Activation::Softplus => "softplus",
            Activation::Exp => "exp",
        },
        Op::Softmax => "softmax",
        Op::Gate => "gate",
        Op::Add => "add",
        Op::Concat => "concat",
        Op::LogSumExp => "log-sum-exp",
        Op::Crop { .. } => "crop",
        Op::Mean => "mean",
        Op::LogTotal { .. } => "log total",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Architecture;

    #[test]
    fn reach_grows_layer_by_layer_to_that_of_the_network() {
        for (name, _) in crate::network::architecture::PRESETS {
            let graph = Architecture::preset(name).unwrap().unwrap().graph().unwrap();
            let facts = Facts::of(&graph);
            // counted forward from the input here, backward from the output there
            assert_eq!(facts.layers.last().unwrap().reach, facts.reach, "{name}");
            let sum: u64 = facts.layers.iter().map(|layer| layer.parameters).sum();
            assert_eq!(sum, facts.parameters, "{name}");
        }
    }

    #[test]
    fn reach_after_each_group_of_the_grouped_network() {
        // dilation.md 7: cumulative reach 0, 40, 200, 1000, 5000
        let graph = Architecture::preset("grouped").unwrap().unwrap().graph().unwrap();
        let facts = Facts::of(&graph);
        let reach = |name: &str| facts.layers.iter().find(|l| l.name == name).unwrap().reach;
        for (name, side) in
            [("stem", 0), ("unit.3.add", 40), ("unit.7.add", 200), ("unit.11.add", 1000)]
        {
            assert_eq!(reach(name), Reach { left: side, right: side });
        }
    }
}
