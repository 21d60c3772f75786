//! From a graph with weights to a list of steps: batch norms folded, elementwise operations fused
//! behind the convolution that feeds them, buffers shared.

use super::kernel::{Packed, Spectral, padded};
use crate::model::Weights;
use crate::network::{Activation, Graph, NodeId, Op, Reach, Span};

/// Where the rows of a step come from.
#[derive(Debug)]
pub enum Source {
    /// A convolution of the rows of a node.
    Conv {
        /// The node that is read.
        input: NodeId,
        /// Its weights for the direct kernel.
        packed: Packed,
        /// Its weights for transforms, where those are faster.
        spectral: Option<Box<Spectral>>,
        /// Positions between taps.
        dilation: usize,
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
}

impl Plan {
    /// Plans a network. The weights must be those that [`Graph::parameters`] asks for.
    pub fn new(graph: &Graph, weights: &Weights) -> Self {
        let steps = Fusion::new(graph, Some(weights)).steps();
        let (homes, slots) = share_buffers(graph, &steps);
        let grids = align_blocks(graph, &steps);
        Self { steps, homes, slots, grids }
    }

    /// The positions of each node that `output` positions of the last node need, in absolute
    /// coordinates on the strand that is read. Anchored blocks are computed whole.
    pub fn needed(&self, graph: &Graph, output: Span) -> Vec<Span> {
        graph.needed_in_blocks(output, |node, span| self.grids[node].cover(span))
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

fn bytes_of(slots: &[usize]) -> u64 {
    slots.iter().map(|&stride| stride as u64 * 4).sum()
}

/// Memory of the buffers of a plan per position, in bytes, without making the plan.
pub fn bytes_per_position(graph: &Graph) -> u64 {
    let (_, slots) = share_buffers(graph, &Fusion::new(graph, None).steps());
    bytes_of(&slots)
}

/// Groups nodes into steps.
struct Fusion<'a> {
    graph: &'a Graph,
    /// `None` where only the shape of the plan is wanted; steps hold no weights then.
    weights: Option<&'a Weights>,
    readers: Vec<Vec<NodeId>>,
    /// Nodes that some step computes.
    done: Vec<bool>,
    /// Nodes whose value is kept in a buffer.
    stored: Vec<bool>,
}

impl<'a> Fusion<'a> {
    fn new(graph: &'a Graph, weights: Option<&'a Weights>) -> Self {
        let mut readers = vec![vec![]; graph.nodes().len()];
        for (id, node) in graph.nodes().iter().enumerate() {
            node.inputs.iter().for_each(|&input| readers[input].push(id));
        }
        let (done, stored) = (vec![false; readers.len()], vec![false; readers.len()]);
        Self { graph, weights, readers, done, stored }
    }

    fn steps(mut self) -> Vec<Step> {
        self.done[0] = true;
        self.stored[0] = true;
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
                let spectral = Spectral::new(&packed, dilation, self.graph.channels(first));
                let spectral = spectral.map(Box::new);
                Source::Conv { input: inputs[0], packed, spectral, dilation, left }
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
        let outside = node == self.graph.output();
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
            [only] if node != self.graph.output() => Some(only),
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
            Op::Input | Op::Conv { .. } | Op::Concat => None,
        }
    }

    fn tensor(&self, node: NodeId, suffix: &str) -> &'a [f32] {
        let name = format!("{}.{suffix}", self.graph.nodes()[node].name);
        self.weights.map_or(&[], |weights| &weights[&name].values)
    }

    /// Scale and shift per channel of a batch norm or affine node, in f64.
    fn affine(&self, node: NodeId) -> Option<(Vec<f64>, Vec<f64>)> {
        let wide = |suffix| self.tensor(node, suffix).iter().map(|&x| f64::from(x));
        match self.graph.nodes()[node].op {
            Op::Affine => Some((wide("scale").collect(), wide("shift").collect())),
            Op::BatchNorm { epsilon } => {
                let scale: Vec<f64> =
                    wide("scale").zip(wide("var")).map(|(s, v)| s / (v + epsilon).sqrt()).collect();
                let shift = wide("shift").zip(wide("mean")).zip(&scale);
                let shift = shift.map(|((shift, mean), scale)| shift - mean * scale).collect();
                Some((scale, shift))
            }
            _ => None,
        }
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

/// The blocks in which a value is computed: block `k` begins at `offset + k · block`, in absolute
/// positions on the strand that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Positions per block; 1 where any position can be computed by itself.
    pub block: usize,
    /// Where a block begins.
    pub offset: i64,
}

impl Grid {
    /// The whole blocks that cover a range.
    pub fn cover(self, span: Span) -> Span {
        let block = i64::try_from(self.block).expect("a block fits memory");
        if span.is_empty() || block == 1 {
            return span;
        }
        let down = |position: i64| (position - self.offset).div_euclid(block) * block + self.offset;
        Span::new(down(span.start), down(span.end - 1).saturating_add(block))
    }
}

/// Places the blocks of each step so that they begin where the blocks of the step after it begin
/// to read: then only the other end of a stretch has to be rounded up, layer after layer.
fn align_blocks(graph: &Graph, steps: &[Step]) -> Vec<Grid> {
    let mut grids = vec![Grid { block: 1, offset: 0 }; graph.nodes().len()];
    for step in steps {
        grids[step.node].block = step.block();
    }
    graph.needed_in_blocks(Span::new(0, 1), |node, span| {
        grids[node].offset = span.start;
        grids[node].cover(span)
    });
    grids
}

impl Step {
    /// Length of the anchored blocks in which it is computed.
    fn block(&self) -> usize {
        match &self.source {
            Source::Conv { spectral: Some(spectral), .. } => spectral.block(),
            _ => 1,
        }
    }

    /// Multiply-adds per position, a little more for transforms.
    fn work(&self) -> usize {
        match &self.source {
            Source::Conv { spectral: Some(spectral), .. } => spectral.work(),
            Source::Conv { packed, .. } => packed.work(),
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

/// Gives each stored value a buffer; a buffer is used again when its value is no longer read, and
/// a sum is written over its summand where nobody reads that later.
fn share_buffers(graph: &Graph, steps: &[Step]) -> (Vec<Option<Home>>, Vec<usize>) {
    let mut last_read = vec![0; graph.nodes().len()];
    for (index, step) in steps.iter().enumerate() {
        step.reads().into_iter().for_each(|node| last_read[node] = index);
    }
    last_read[graph.output()] = usize::MAX;
    let mut homes: Vec<Option<Home>> = vec![None; graph.nodes().len()];
    let mut slots: Vec<usize> = vec![];
    let mut tenants: Vec<Option<NodeId>> = vec![];
    for (index, step) in steps.iter().enumerate() {
        for tenant in &mut tenants {
            *tenant = tenant.filter(|&node| last_read[node] >= index);
        }
        let mut place = |node: NodeId, over: Option<Home>, homes: &mut Vec<Option<Home>>| {
            let slot = over.map_or_else(
                || tenants.iter().position(Option::is_none).unwrap_or(tenants.len()),
                |home| home.slot,
            );
            if slot == tenants.len() {
                tenants.push(None);
                slots.push(0);
            }
            tenants[slot] = Some(node);
            slots[slot] = slots[slot].max(step.stride);
            let base = over.map_or(node, |home| home.base);
            homes[node] = Some(Home { slot, base, stride: step.stride });
        };
        if step.stored {
            let mut dying = step.replaceable().into_iter().filter(|&node| last_read[node] == index);
            let over = dying.find_map(|node| homes[node].filter(|home| home.stride == step.stride));
            place(step.node, over, &mut homes);
        }
        for branch in &step.branches {
            place(branch.node, None, &mut homes);
        }
    }
    (homes, slots)
}
