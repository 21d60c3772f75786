//! Groups the nodes of a graph into steps: batch norms folded, elementwise operations behind the
//! convolution that feeds them.

use super::pools::{aside, pooled};
use super::{Branch, Operation, Source, Step};
use crate::engine::cpu::kernel::{Convolution, Packed, longest_block, padded};
use crate::engine::fold::scale_and_shift;
use crate::model::Weights;
use crate::network::{Graph, NodeId, Op, Span};

/// Groups nodes into steps.
pub struct Fusion<'a> {
    graph: &'a Graph,
    /// `None` where only the shape of the plan is wanted; steps hold no weights then.
    weights: Option<&'a Weights>,
    readers: Vec<Vec<NodeId>>,
    /// Nodes that some step computes.
    done: Vec<bool>,
    /// Nodes whose value is kept in a buffer.
    stored: Vec<bool>,
    /// Nodes whose value is kept for pooling, whoever else reads it.
    pooled: Vec<bool>,
    /// Longest blocks of filtering.
    longest: usize,
}

impl<'a> Fusion<'a> {
    /// For one network, with blocks of filtering that suit its window; without weights the steps
    /// have the shape of the plan only.
    pub fn new(graph: &'a Graph, weights: Option<&'a Weights>, window: Option<Span>) -> Self {
        let mut readers = vec![vec![]; graph.nodes().len()];
        for (id, node) in graph.nodes().iter().enumerate() {
            node.inputs.iter().for_each(|&input| readers[input].push(id));
        }
        let done = aside(graph);
        readers.iter_mut().for_each(|readers| readers.retain(|&reader| !done[reader]));
        let stored = vec![false; readers.len()];
        let longest = longest_block(graph, window);
        Self { graph, weights, readers, done, stored, pooled: pooled(graph), longest }
    }

    /// The steps, in order.
    pub fn steps(mut self) -> Vec<Step> {
        for input in [Some(0), self.graph.control()].into_iter().flatten() {
            self.done[input] = true;
            self.stored[input] = true;
        }
        let mut steps = vec![];
        for node in 1..self.graph.nodes().len() {
            if !self.done[node] {
                steps.push(self.step(node));
            }
        }
        steps
    }

    /// The step that begins with node `first`.
    fn step(&mut self, first: NodeId) -> Step {
        self.done[first] = true;
        let mut node = first;
        let inputs = &self.graph.nodes()[first].inputs;
        let mut operations = vec![];
        let source = match self.graph.nodes()[first].op {
            Op::Conv { dilation, left, .. } => {
                let norm =
                    self.only_reader(first).and_then(|next| Some((next, self.affine(next)?)));
                if let Some((next, _)) = norm {
                    self.done[next] = true;
                    node = next;
                }
                let packed = self.pack(first, norm.map(|(_, affine)| affine));
                let convolution = Convolution::new(packed, dilation, self.longest);
                Source::Conv { input: inputs[0], convolution, left }
            }
            Op::Concat => self.rows(inputs),
            _ => {
                operations = self
                    .operations(first, inputs[0])
                    .expect("earlier steps have stored all inputs of the first open node");
                self.rows(&inputs[..1])
            }
        };
        while let Some(next) = self.only_reader(node) {
            let Some(more) = self.operations(next, node) else { break };
            self.done[next] = true;
            operations.extend(more);
            node = next;
        }
        let branches = self.branches(node);
        let outside = node == self.graph.output() || self.pooled[node];
        let stored = outside || self.readers[node].iter().any(|&reader| !self.done[reader]);
        self.stored[node] = stored;
        Step {
            node,
            source,
            operations,
            stored,
            branches,
            stride: padded(self.graph.channels(node)),
        }
    }

    fn rows(&self, nodes: &[NodeId]) -> Source {
        Source::Rows(nodes.iter().map(|&node| (node, self.graph.channels(node))).collect())
    }

    /// Values that readers of `node` make by elementwise functions of it alone.
    fn branches(&mut self, node: NodeId) -> Vec<Branch> {
        let mut branches = vec![];
        for first in self.readers[node].clone() {
            let unary = |fusion: &Self, next: NodeId, value: NodeId| {
                let inputs = &fusion.graph.nodes()[next].inputs;
                (inputs.len() == 1).then(|| fusion.operations(next, value)).flatten()
            };
            if self.done[first] {
                continue;
            }
            let Some(mut operations) = unary(self, first, node) else { continue };
            let mut end = first;
            self.done[first] = true;
            while let Some(next) = self.only_reader(end) {
                let Some(more) = unary(self, next, end) else { break };
                self.done[next] = true;
                operations.extend(more);
                end = next;
            }
            self.stored[end] = true;
            branches.push(Branch { node: end, operations });
        }
        branches
    }

    /// The single reader of a node that is not the output.
    fn only_reader(&self, node: NodeId) -> Option<NodeId> {
        match self.readers[node][..] {
            [only] if node != self.graph.output() && !self.pooled[node] => Some(only),
            _ => None,
        }
    }

    /// What `node` does to rows that hold the value of `value`, if it is elementwise and all its
    /// other inputs are stored.
    fn operations(&self, node: NodeId, value: NodeId) -> Option<Vec<Operation>> {
        let inputs = &self.graph.nodes()[node].inputs;
        let others = || {
            let mut others = inputs.clone();
            others.remove(inputs.iter().position(|&input| input == value)?);
            others.iter().all(|&other| self.stored[other]).then_some(others)
        };
        match self.graph.nodes()[node].op {
            Op::BatchNorm { .. } | Op::Affine => {
                let (scale, shift) = self.affine(node)?;
                let pad = |values: Vec<f64>| -> Vec<f32> {
                    let mut padded_values: Vec<f32> =
                        values.into_iter().map(|value| value as f32).collect();
                    padded_values.resize(padded(self.graph.channels(node)), 0.0);
                    padded_values
                };
                Some(vec![Operation::Affine { scale: pad(scale), shift: pad(shift) }])
            }
            Op::Activation { function } => Some(vec![Operation::Activate(function)]),
            Op::Softmax => Some(vec![Operation::Softmax(self.graph.channels(node))]),
            Op::Add => Some(others()?.into_iter().map(Operation::Add).collect()),
            Op::Gate => {
                let [other] = others()?[..] else { unreachable!("a gate has two inputs") };
                let operation = match inputs[0] == value {
                    true => Operation::GateBy(other),
                    false => Operation::GateOf(other),
                };
                Some(vec![operation])
            }
            Op::Crop { .. } => Some(vec![]),
            Op::Input | Op::Control { .. } | Op::Conv { .. } | Op::Concat => None,
            Op::Mean | Op::LogTotal { .. } | Op::LogSumExp => None,
        }
    }

    fn tensor(&self, node: NodeId, suffix: &str) -> &'a [f32] {
        let name = format!("{}.{suffix}", self.graph.nodes()[node].name);
        self.weights.map_or(&[], |weights| &weights[&name].values)
    }

    /// Scale and shift per channel of a batch norm or affine node, in f64.
    fn affine(&self, node: NodeId) -> Option<(Vec<f64>, Vec<f64>)> {
        scale_and_shift(&self.graph.nodes()[node].op, |suffix| self.tensor(node, suffix))
    }

    /// Weights of a convolution, with a following scale and shift folded in.
    fn pack(&self, node: NodeId, norm: Option<(Vec<f64>, Vec<f64>)>) -> Packed {
        let Op::Conv { channels, kernel, bias, .. } = self.graph.nodes()[node].op else {
            unreachable!("called for convolutions only")
        };
        if self.weights.is_none() {
            return Packed::new((0, 0, 0), |_, _, _| 0.0, |_| 0.0);
        }
        let inputs = self.graph.input_channels(node);
        let weight = self.tensor(node, "weight");
        let bias = bias.then(|| self.tensor(node, "bias"));
        let scale = |o: usize| norm.as_ref().map_or(1.0, |(scale, _)| scale[o]);
        let shift = |o: usize| norm.as_ref().map_or(0.0, |(_, shift)| shift[o]);
        Packed::new(
            (channels, inputs, kernel),
            |o, i, j| (f64::from(weight[(o * inputs + i) * kernel + j]) * scale(o)) as f32,
            |o| (bias.map_or(0.0, |bias| f64::from(bias[o])) * scale(o) + shift(o)) as f32,
        )
    }
}
