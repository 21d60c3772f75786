//! The graph: nodes in topological order, each an operation on earlier nodes.
//!
//! A value is a table `[position, channel]`. Every operation keeps the grid (stride 1), so
//! position `t` of every node is the same base `t`. Convolutions are evaluated without padding:
//! a range of outputs needs a wider range of inputs (networks.md 1, `valid`).
//!
//! A graph may also hold operations that mean something in a window only: zero padding, croppings,
//! controls, and pooling, whose values are scalars: one row without a position. It then has one
//! more end beside the last node: the scalar head.

use super::op::{Op, Padding};
use super::ranges::{self, Span};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Index of a node in its graph.
pub type NodeId = usize;

/// Channels of the encoded sequence: A, C, G, T.
pub const INPUT_CHANNELS: usize = 4;

/// Most nodes of a graph: far beyond any real network, small enough to walk at once.
const MOST_NODES: usize = 100_000;
/// Most numbers in the tensors of one network (weight-files.md 6).
const MOST_PARAMETERS: usize = 1 << 31;
/// Longest reach to either side, in bases: the longest known chromosomes are below 2^32.
const LONGEST_REACH: u64 = 1 << 32;

/// One step of a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Unique name; the prefix of the node's tensors. Letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Earlier nodes that it reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<NodeId>,
}

/// A network without weights: nodes in topological order; the first is the input, the last the
/// output, and every other one is read by a later one, but for one scalar: the scalar head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Node>", into = "Vec<Node>")]
pub struct Graph {
    nodes: Vec<Node>,
    channels: Vec<usize>,
    scalars: Vec<bool>,
    scalar_head: Option<NodeId>,
}

/// A tensor that a graph needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Name within one member: `NODE.weight`, `NODE.bias`, …
    pub name: String,
    /// Axis lengths; convolutions are [out, in, tap].
    pub shape: Vec<usize>,
}

impl Graph {
    /// Checks the nodes and derives the channels of each.
    ///
    /// # Errors
    /// A graph that no network file should hold: no input, a node that reads a later one, channels
    /// that do not fit, a node that nobody reads, absurd sizes. The message names the node.
    pub fn from_nodes(nodes: Vec<Node>) -> Result<Self> {
        let mut builder = GraphBuilder::default();
        for node in nodes {
            builder.push(node)?;
        }
        builder.finish()
    }

    /// All nodes, in topological order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Channels of a node's value.
    pub fn channels(&self, node: NodeId) -> usize {
        self.channels[node]
    }

    /// The last node.
    pub fn output(&self) -> NodeId {
        self.nodes.len() - 1
    }

    /// Channels of the output.
    pub fn output_channels(&self) -> usize {
        self.channels[self.output()]
    }

    /// Whether a node's value is one row for the whole window.
    pub fn is_scalar(&self, node: NodeId) -> bool {
        self.scalars[node]
    }

    /// The scalar that no node reads: the network's outputs without a position.
    pub fn scalar_head(&self) -> Option<NodeId> {
        self.scalar_head
    }

    /// Channels of the scalar head; 0 without one.
    pub fn scalar_channels(&self) -> usize {
        self.scalar_head.map_or(0, |head| self.channels[head])
    }

    /// The node of the tracks that are read beside the sequence.
    pub fn control(&self) -> Option<NodeId> {
        self.nodes.iter().position(|node| matches!(node.op, Op::Control { .. }))
    }

    /// Whether some operation means something in a window of given ends only.
    pub fn needs_window(&self) -> bool {
        self.nodes.iter().any(|node| node.op.needs_window())
    }

    /// Channels of the first input of a node; 0 for the input node itself.
    pub fn input_channels(&self, node: NodeId) -> usize {
        self.nodes[node].inputs.first().map_or(0, |&input| self.channels[input])
    }

    /// The tensors that a member of this network must have, in node order.
    pub fn parameters(&self) -> Vec<Parameter> {
        (0..self.nodes.len()).flat_map(|node| self.node_parameters(node)).collect()
    }

    /// The tensors of one node.
    pub fn node_parameters(&self, node: NodeId) -> Vec<Parameter> {
        let Node { name, op, .. } = &self.nodes[node];
        op.parameters(self.input_channels(node))
            .into_iter()
            .map(|(suffix, shape)| Parameter { name: format!("{name}.{suffix}"), shape })
            .collect()
    }

    /// How many later nodes read each node; the output and the scalar head count one reader
    /// outside.
    pub fn readers(&self) -> Vec<usize> {
        let mut readers = vec![0; self.nodes.len()];
        for &input in self.nodes.iter().flat_map(|node| &node.inputs) {
            readers[input] += 1;
        }
        readers[self.output()] += 1;
        if let Some(head) = self.scalar_head {
            readers[head] += 1;
        }
        readers
    }
}

impl TryFrom<Vec<Node>> for Graph {
    type Error = Error;
    fn try_from(nodes: Vec<Node>) -> Result<Self> {
        Self::from_nodes(nodes)
    }
}

impl From<Graph> for Vec<Node> {
    fn from(graph: Graph) -> Self {
        graph.nodes
    }
}

/// Builds a graph node by node, checking each as it comes.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    nodes: Vec<Node>,
    channels: Vec<usize>,
    scalars: Vec<bool>,
    names: HashSet<String>,
    parameters: usize,
    padding: Padding,
}

impl GraphBuilder {
    /// A graph that holds the input node, `input`, alone.
    pub fn new() -> Self {
        let mut builder = Self::default();
        builder
            .push(Node { name: "input".into(), op: Op::Input, inputs: vec![] })
            .expect("an input node alone is valid");
        builder
    }

    /// The input node.
    pub fn input(&self) -> NodeId {
        0
    }

    /// A node that is already there, by its name.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().position(|node| node.name == name)
    }

    /// Channels of a node that is already there.
    pub fn channels(&self, node: NodeId) -> usize {
        self.channels[node]
    }

    /// The positions at which a node that is already there has a value, in a window of these.
    pub fn domain(&self, node: NodeId, window: Span) -> Span {
        ranges::domains(&self.nodes[..=node], window)[node]
    }

    /// Pads every convolution that is added from now on and has more than one tap.
    pub fn pad_with(&mut self, padding: Padding) {
        self.padding = padding;
    }

    /// Adds a node and returns its index.
    ///
    /// # Errors
    /// See [`Graph::from_nodes`].
    pub fn add(&mut self, name: impl Into<String>, op: Op, inputs: &[NodeId]) -> Result<NodeId> {
        let looks = matches!(op, Op::Conv { kernel, .. } if kernel > 1);
        let op = match looks && !self.padding.is_none() {
            true => op.padded(self.padding),
            false => op,
        };
        self.push(Node { name: name.into(), op, inputs: inputs.to_vec() })
    }

    fn push(&mut self, node: Node) -> Result<NodeId> {
        let id = self.nodes.len();
        let channels = self.check(&node)?;
        let scalar = node.op.pools() || node.inputs.iter().any(|&input| self.scalars[input]);
        self.scalars.push(scalar);
        self.names.insert(node.name.clone());
        self.nodes.push(node);
        self.channels.push(channels);
        Ok(id)
    }

    /// Channels of the new node, if it is valid here.
    fn check(&mut self, node: &Node) -> Result<usize> {
        let Node { name, op, inputs } = node;
        let id = self.nodes.len();
        let bad = |what: String| Err(Error::new(format!("network node '{name}': {what}")));
        let legal = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        if name.is_empty() || name.len() > 200 || !name.chars().all(legal) {
            return bad("a node name is 1 to 200 letters, digits, '.', '_' or '-'".into());
        }
        if self.names.contains(name) {
            return bad("the name is used twice".into());
        }
        if id >= MOST_NODES {
            return bad(format!("more than {MOST_NODES} nodes"));
        }
        if (*op == Op::Input) != (id == 0) {
            return bad("the first node, and no other, is the input".into());
        }
        let wanted = op.arity();
        if !wanted.accepts(inputs.len()) {
            return bad(format!("{} inputs, expected {wanted}", inputs.len()));
        }
        if let Some(later) = inputs.iter().find(|&&input| input >= id) {
            return bad(format!("reads node {later}, which does not come before it ({id})"));
        }
        if matches!(op, Op::Control { .. })
            && self.nodes.iter().any(|node| matches!(node.op, Op::Control { .. }))
        {
            return bad("a network has one node of control tracks at most".into());
        }
        let scalars = inputs.iter().filter(|&&input| self.scalars[input]).count();
        if *op == Op::LogSumExp && scalars < inputs.len() {
            return bad("it is computed for scalars only".into());
        }
        let one_row = match op {
            Op::Conv { kernel, .. } => *kernel == 1,
            Op::Crop { .. } | Op::Mean | Op::LogTotal { .. } => false,
            _ => true,
        };
        if scalars > 0 && !(one_row && scalars == inputs.len()) {
            return bad("it would need a scalar at several positions".into());
        }
        let widths: Vec<usize> = inputs.iter().map(|&input| self.channels[input]).collect();
        let channels = match op.output_channels(&widths) {
            Ok(channels) => channels,
            Err(what) => return bad(what),
        };
        let width = widths.first().copied().unwrap_or(0);
        for (_, shape) in op.parameters(width) {
            let size = shape.iter().try_fold(1usize, |size, &axis| size.checked_mul(axis));
            self.parameters = size
                .and_then(|size| self.parameters.checked_add(size))
                .filter(|&total| total <= MOST_PARAMETERS)
                .ok_or_else(|| {
                    Error::new(format!("network node '{name}': over {MOST_PARAMETERS} parameters"))
                })?;
        }
        Ok(channels)
    }

    /// The graph without the nodes that lead neither to the last one nor to a scalar head, such as
    /// the residual stream behind the last gated unit.
    ///
    /// # Errors
    /// See [`Graph::from_nodes`].
    pub fn finish_used(self) -> Result<Graph> {
        let mut used = vec![false; self.nodes.len()];
        used[0] = true;
        if let Some(output) = used.last_mut() {
            *output = true;
        }
        let read: HashSet<NodeId> =
            self.nodes.iter().flat_map(|node| node.inputs.iter().copied()).collect();
        for head in (0..self.nodes.len()).filter(|id| self.scalars[*id] && !read.contains(id)) {
            used[head] = true;
        }
        for (id, node) in self.nodes.iter().enumerate().rev() {
            if used[id] {
                node.inputs.iter().for_each(|&input| used[input] = true);
            }
        }
        let place = |id: NodeId| used[..id].iter().filter(|&&used| used).count();
        let kept = self.nodes.iter().zip(&used).filter(|(_, used)| **used).map(|(node, _)| Node {
            inputs: node.inputs.iter().map(|&input| place(input)).collect(),
            ..node.clone()
        });
        Graph::from_nodes(kept.collect())
    }

    /// The same with a node in the place of the last one; later nodes are left out.
    ///
    /// # Errors
    /// See [`Graph::from_nodes`].
    pub fn finish_used_to(mut self, output: NodeId) -> Result<Graph> {
        self.nodes.truncate(output + 1);
        self.finish_used()
    }

    /// The graph; its last node is the output.
    ///
    /// # Errors
    /// See [`Graph::from_nodes`].
    pub fn finish(self) -> Result<Graph> {
        if self.nodes.len() < 2 {
            return Err(Error::new("a network needs an input and at least one operation"));
        }
        let Self { nodes, channels, scalars, .. } = self;
        let mut graph = Graph { nodes, channels, scalars, scalar_head: None };
        if graph.is_scalar(graph.output()) {
            let name = &graph.nodes[graph.output()].name;
            return Err(Error::new(format!("network node '{name}': the last node is a scalar"))
                .expected("a value at each position"));
        }
        let readers = graph.readers();
        let mut unread = (0..readers.len()).filter(|&id| readers[id] == 0);
        graph.scalar_head = unread.clone().find(|&id| graph.is_scalar(id));
        if let Some(unread) = unread.find(|id| graph.scalar_head != Some(*id)) {
            let name = &graph.nodes[unread].name;
            return Err(Error::new(format!("network node '{name}': no later node reads it")));
        }
        let reach = graph.reach();
        if reach.left.max(reach.right) > LONGEST_REACH {
            return Err(Error::new("the network reaches further than any chromosome is long")
                .found(format!("{} left, {} right", reach.left, reach.right)));
        }
        Ok(graph)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conv(channels: usize, kernel: usize, dilation: usize) -> Op {
        Op::centred(channels, kernel, dilation)
    }

    #[test]
    fn channels_and_parameters_follow_from_the_nodes() {
        let mut g = GraphBuilder::new();
        let x = g.add("stem", conv(8, 3, 2), &[0]).unwrap();
        let n = g.add("norm", Op::BatchNorm { epsilon: 1e-3 }, &[x]).unwrap();
        let y = g.add("both", Op::Concat, &[x, n]).unwrap();
        g.add("head", conv(3, 1, 1), &[y]).unwrap();
        let graph = g.finish().unwrap();
        assert_eq!(graph.output_channels(), 3);
        let names: Vec<_> =
            graph.parameters().into_iter().map(|p| (p.name, p.shape)).collect::<Vec<_>>();
        assert_eq!(names[0], ("stem.weight".to_string(), vec![8, 4, 3]));
        assert_eq!(names[1], ("stem.bias".to_string(), vec![8]));
        assert_eq!(names[5], ("norm.var".to_string(), vec![8]));
        assert_eq!(names[6], ("head.weight".to_string(), vec![3, 16, 1]));
    }

    #[test]
    fn a_graph_survives_json() {
        let mut g = GraphBuilder::new();
        let x = g.add("stem", conv(8, 4, 3), &[0]).unwrap();
        g.add("out", Op::Softmax, &[x]).unwrap();
        let graph = g.finish().unwrap();
        let text = serde_json::to_string(&graph).unwrap();
        assert_eq!(serde_json::from_str::<Graph>(&text).unwrap(), graph);
    }

    #[test]
    fn broken_graphs_are_refused_with_the_node_named() {
        let node = |name: &str, op: Op, inputs: &[usize]| Node {
            name: name.into(),
            op,
            inputs: inputs.into(),
        };
        let input = node("input", Op::Input, &[]);
        let stem = node("stem", conv(8, 3, 1), &[0]);
        let cases: [(&str, Vec<Node>); 9] = [
            ("at least one operation", vec![]),
            ("first node, and no other", vec![stem.clone()]),
            ("used twice", vec![input.clone(), stem.clone(), stem.clone()]),
            ("does not come before", vec![input.clone(), node("a", Op::Softmax, &[1])]),
            ("expected 1", vec![input.clone(), node("a", Op::Softmax, &[0, 0])]),
            ("4 and 8 channels", vec![input.clone(), stem.clone(), node("a", Op::Add, &[0, 1])]),
            (
                "no later node reads it",
                vec![input.clone(), stem.clone(), node("a", Op::Softmax, &[0])],
            ),
            ("parameters", vec![input.clone(), node("a", conv(65_536, 65_536, 1), &[0])]),
            ("reaches further", vec![input.clone(), node("a", conv(1, 65_536, 1 << 30), &[0])]),
        ];
        for (expected, nodes) in cases {
            let error = Graph::from_nodes(nodes).unwrap_err().to_string();
            assert!(error.contains(expected), "{error:?} should say {expected:?}");
        }
        let error = Graph::from_nodes(vec![input, node("a b", Op::Softmax, &[0])]).unwrap_err();
        assert!(error.to_string().contains("node name"));
    }
}
