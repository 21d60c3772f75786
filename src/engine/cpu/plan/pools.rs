//! What a network gathers over a whole window: pooling nodes, and the nodes that no step computes.

use crate::network::{Graph, Node, NodeId, Op, Span};

/// A pooling node and the values that it gathers.
#[derive(Debug, Clone, Copy)]
pub struct Pool {
    /// The pooling node.
    pub node: NodeId,
    /// The node whose stored rows it reads.
    pub input: NodeId,
    /// The positions that it reads.
    pub span: Span,
}

/// The pooling nodes of a window.
pub fn pools(graph: &Graph, domains: &[Span]) -> Vec<Pool> {
    let pooling = graph.nodes().iter().enumerate().filter(|(_, node)| node.op.pools());
    let pool = |(id, node): (NodeId, &Node)| {
        let input = node.inputs[0];
        Pool { node: id, input: uncropped(graph, input), span: domains[input] }
    };
    pooling.map(pool).collect()
}

/// The nodes whose rows some pooling node reads.
pub fn pooled(graph: &Graph) -> Vec<bool> {
    let mut pooled = vec![false; graph.nodes().len()];
    for node in graph.nodes().iter().filter(|node| node.op.pools()) {
        pooled[uncropped(graph, node.inputs[0])] = true;
    }
    pooled
}

/// The nodes that no step computes: scalars, and croppings that only pooling reads.
pub fn aside(graph: &Graph) -> Vec<bool> {
    let nodes = graph.nodes();
    let mut read = vec![false; nodes.len()];
    read[graph.output()] = true;
    let mut aside = vec![false; nodes.len()];
    for (id, node) in nodes.iter().enumerate().rev() {
        let cropping = matches!(node.op, Op::Crop { .. });
        aside[id] = graph.is_scalar(id) || (cropping && !read[id]);
        if !aside[id] {
            node.inputs.iter().for_each(|&input| read[input] = true);
        }
    }
    aside
}

/// The node whose rows a cropping takes, or the node itself.
fn uncropped(graph: &Graph, mut node: NodeId) -> NodeId {
    while let Node { op: Op::Crop { .. }, inputs, .. } = &graph.nodes()[node] {
        node = inputs[0];
    }
    node
}
