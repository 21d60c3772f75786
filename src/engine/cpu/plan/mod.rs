//! From a graph with weights to a list of steps: batch norms folded, elementwise operations fused
//! behind the convolution that feeds them, buffers shared.

mod buffers;
mod fusion;
mod grids;
mod layout;
mod pools;

pub use buffers::{bytes_of, bytes_per_position, share_buffers};
pub use layout::Layout;
pub use pools::Pool;

use super::kernel::Convolution;
use crate::model::Weights;
use crate::network::{Activation, Graph, NodeId, Span};
use fusion::Fusion;
use pools::pools;

/// Where the rows of a step come from.
#[derive(Debug)]
pub enum Source {
    /// A convolution of the rows of a node.
    Conv {
        /// The node that is read.
        input: NodeId,
        /// Its weights, in the form of the kernel that was chosen for it.
        convolution: Convolution,
        /// Reach to the left, in positions.
        left: usize,
    },
    /// The rows of some nodes, side by side: node and channels.
    Rows(Vec<(NodeId, usize)>),
}

impl Source {
    /// The nodes that are read.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        let (one, several): (_, &[(NodeId, usize)]) = match self {
            Source::Conv { input, .. } => (Some(*input), &[]),
            Source::Rows(inputs) => (None, inputs),
        };
        one.into_iter().chain(several.iter().map(|(node, _)| *node))
    }
}

/// An elementwise operation of a step; node indices name stored values.
#[derive(Debug)]
pub enum Operation {
    /// `scale · x + shift` per padded channel.
    Affine { scale: Vec<f32>, shift: Vec<f32> },
    /// An elementwise function.
    Activate(Activation),
    /// `x + node`.
    Add(NodeId),
    /// `tanh(x) · sigmoid(node)`.
    GateBy(NodeId),
    /// `tanh(node) · sigmoid(x)`.
    GateOf(NodeId),
    /// Softmax over so many channels.
    Softmax(usize),
}

/// A value that branches off a step: the step's value, through more operations.
#[derive(Debug)]
pub struct Branch {
    /// The node whose value it is.
    pub node: NodeId,
    /// What is applied.
    pub operations: Vec<Operation>,
}

/// One pass over the positions of a value.
#[derive(Debug)]
pub struct Step {
    /// The node whose value the step computes.
    pub node: NodeId,
    /// Where rows come from.
    pub source: Source,
    /// What is applied to them.
    pub operations: Vec<Operation>,
    /// Whether the value itself is kept.
    pub stored: bool,
    /// Further values made from it while it is in cache.
    pub branches: Vec<Branch>,
    /// Numbers per row.
    pub stride: usize,
}

/// Where a stored value lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home {
    /// Which buffer.
    pub slot: usize,
    /// The node whose first needed position is row 0 of the buffer.
    pub base: NodeId,
    /// Numbers per row.
    pub stride: usize,
}

/// How to run one network with one member's weights.
#[derive(Debug)]
pub struct Plan {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Where each stored node lives; `None` for the input and for values that are never stored.
    pub homes: Vec<Option<Home>>,
    /// Widest row of each buffer.
    pub slots: Vec<usize>,
    /// The kernels and anchored blocks of long stretches, or of the window of the model.
    pub layout: Layout,
    /// What is gathered over the whole window.
    pub pools: Vec<Pool>,
}

impl Plan {
    /// Plans a network, for a window of these positions if the model has one. The weights must be
    /// those that [`Graph::parameters`] asks for.
    pub fn new(graph: &Graph, weights: &Weights, window: Option<Span>) -> Self {
        let steps = Fusion::new(graph, Some(weights), window).steps();
        let (homes, slots) = share_buffers(graph, &steps, true);
        let domains = window.map(|window| graph.domains(window));
        let pools = domains.as_deref().map_or(Vec::new(), |domains| pools(graph, domains));
        let layout = Layout::for_stretches(graph, &steps, domains);
        Self { steps, homes, slots, layout, pools }
    }

    /// Memory of the buffers per position, in bytes.
    pub fn bytes_per_position(&self) -> u64 {
        bytes_of(&self.slots)
    }
}

impl Step {
    /// Stored values that the step reads position by position, beside those of its source.
    pub fn partners(&self) -> impl Iterator<Item = NodeId> {
        self.operations.iter().filter_map(|operation| match operation {
            Operation::Add(node) | Operation::GateBy(node) | Operation::GateOf(node) => Some(*node),
            _ => None,
        })
    }

    fn reads(&self) -> Vec<NodeId> {
        let mut reads: Vec<NodeId> = self.partners().collect();
        reads.extend(self.source.nodes());
        reads
    }

    /// The values that it stores.
    pub fn stores(&self) -> impl Iterator<Item = NodeId> {
        let own = self.stored.then_some(self.node);
        own.into_iter().chain(self.branches.iter().map(|branch| branch.node))
    }

    /// Values that it could be written over: read at the same position only, by this step only
    /// once. A convolution's input is read around the position and never qualifies.
    fn replaceable(&self) -> Vec<NodeId> {
        let reads = self.reads();
        let once = |node: &NodeId| reads.iter().filter(|&read| read == node).count() == 1;
        let mut nodes: Vec<NodeId> = self.partners().collect();
        if let Source::Rows(inputs) = &self.source {
            nodes.extend(inputs.iter().map(|(node, _)| node));
        }
        nodes.retain(once);
        nodes
    }
}
