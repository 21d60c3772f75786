//! From a graph with weights to a list of steps: batch norms folded, elementwise operations fused
//! behind the convolution that feeds them, buffers shared.

mod buffers;
mod fusion;
mod grids;
mod pools;

pub use buffers::bytes_per_position;
pub use grids::Grid;
pub use pools::Pool;

use super::kernel::Convolution;
use crate::model::Weights;
use crate::network::{Activation, Graph, NodeId, Reach, Span};
use buffers::{bytes_of, share_buffers};
use fusion::Fusion;
use grids::align_blocks;
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
    /// Per node, the anchored blocks in which it is computed.
    grids: Vec<Grid>,
    /// Per node, where it has values in the window of the model, if there is one; positions count
    /// from the start of the window then.
    domains: Option<Vec<Span>>,
    /// What is gathered over the whole window.
    pub pools: Vec<Pool>,
}

impl Plan {
    /// Plans a network, for a window of these positions if the model has one. The weights must be
    /// those that [`Graph::parameters`] asks for.
    pub fn new(graph: &Graph, weights: &Weights, window: Option<Span>) -> Self {
        let steps = Fusion::new(graph, Some(weights)).steps();
        let (homes, slots) = share_buffers(graph, &steps);
        let domains = window.map(|window| graph.domains(window));
        let grids = align_blocks(graph, &steps, domains.as_deref());
        let pools = domains.as_deref().map_or(Vec::new(), |domains| pools(graph, domains));
        Self { steps, homes, slots, grids, domains, pools }
    }

    /// The positions of each node that `output` positions of the last node need, in absolute
    /// coordinates on the strand that is read, or that the outputs of a window need. Anchored
    /// blocks are computed whole.
    pub fn needed(&self, graph: &Graph, output: Span) -> Vec<Span> {
        let whole = |node: NodeId, span| self.grids[node].cover(span);
        match &self.domains {
            None => graph.needed_in_blocks(output, whole),
            Some(domains) => graph.needed_in_window(domains, whole),
        }
    }

    /// The part of a range of a node that has values; beyond it, readers see zeros.
    pub fn inside(&self, node: NodeId, span: Span) -> Span {
        self.domains.as_ref().map_or(span, |domains| span.intersect(domains[node]))
    }

    /// The blocks in which a node is computed.
    pub fn grid(&self, node: NodeId) -> Grid {
        self.grids[node]
    }

    /// How far beyond its output positions a job reads at most: the network's reach, and the rest
    /// of the outermost anchored blocks wherever they may begin.
    pub fn reach(&self, graph: &Graph) -> Reach {
        let needed = graph.needed_in_blocks(Span::new(0, 1), |node, span| {
            let rest = self.grids[node].block - 1;
            span.widen(rest as u64, rest as u64)
        });
        Reach { left: needed[0].start.unsigned_abs(), right: needed[0].end.unsigned_abs() - 1 }
    }

    /// What the context of a job costs, as a number of output positions of equal work: the mean
    /// over a few places where it may begin.
    pub fn overhead_positions(&self, graph: &Graph) -> u64 {
        const PLACES: i64 = 8;
        let longest = self.grids.iter().map(|grid| grid.block as i64).max().unwrap_or(1);
        let work = |place: i64| -> u128 {
            let start = place * longest / PLACES;
            let needed = self.needed(graph, Span::new(start, start + 1));
            let computed = |step: &Step| self.grids[step.node].cover(needed[step.node]).len();
            self.steps.iter().map(|step| step.work() as u128 * computed(step) as u128).sum()
        };
        let single: u128 = self.steps.iter().map(|step| step.work() as u128).sum();
        let mean = (0..PLACES).map(work).sum::<u128>() / PLACES as u128;
        let positions = mean.saturating_sub(single).checked_div(single).unwrap_or(0);
        u64::try_from(positions).unwrap_or(u64::MAX)
    }

    /// Memory of the buffers per position, in bytes.
    pub fn bytes_per_position(&self) -> u64 {
        bytes_of(&self.slots)
    }
}

impl Step {
    /// Length of the anchored blocks in which it is computed.
    fn block(&self) -> usize {
        match &self.source {
            Source::Conv { convolution, .. } => convolution.block(),
            Source::Rows(_) => 1,
        }
    }

    /// Time per position, in multiply-adds of the direct kernel.
    fn work(&self) -> usize {
        match &self.source {
            Source::Conv { convolution, .. } => convolution.work(),
            Source::Rows(_) => 0,
        }
    }

    /// Stored values that the step reads position by position, beside those of its source.
    fn partners(&self) -> impl Iterator<Item = NodeId> {
        self.operations.iter().filter_map(|operation| match operation {
            Operation::Add(node) | Operation::GateBy(node) | Operation::GateOf(node) => Some(*node),
            _ => None,
        })
    }

    fn reads(&self) -> Vec<NodeId> {
        let mut reads: Vec<NodeId> = self.partners().collect();
        match &self.source {
            Source::Conv { input, .. } => reads.push(*input),
            Source::Rows(inputs) => reads.extend(inputs.iter().map(|(node, _)| node)),
        }
        reads
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
