//! Runs a plan over one stretch of sequence.

use super::Isa;
use super::edit::Kept;
use super::elementwise::{self, Rows};
use super::kernel::{Choice, Pass, Scratch};
use super::plan::{Home, Layout, Operation, Plan, Source, Step};
use crate::engine::mix::Output;
use crate::network::graph::INPUT_CHANNELS;
use crate::network::{Graph, NodeId, Op, Span};

/// Rows that go through elementwise operations together: few enough that 32 channels stay in the
/// first-level cache.
const ROWS: usize = 240;

/// Buffers that are used again from job to job.
#[derive(Debug, Default)]
pub struct Workspace {
    /// Stored values.
    pub slots: Vec<Vec<f32>>,
    /// What one step computes at a time.
    pub buffers: Buffers,
    scalars: Vec<f64>,
}

/// What one step computes at a time.
#[derive(Debug, Default)]
pub struct Buffers {
    /// Rows of the step.
    rows: Vec<f32>,
    /// Rows of a branch of it.
    branch: Vec<f32>,
    /// For transforms.
    scratch: Scratch,
}

impl Workspace {
    /// Makes room for all stored values: these positions of each base.
    pub fn make_room(&mut self, homes: &[Option<Home>], extents: &[Span]) {
        for home in homes.iter().flatten() {
            let need = extents[home.base].len() * home.stride;
            self.slots.resize_with(self.slots.len().max(home.slot + 1), Vec::new);
            if self.slots[home.slot].len() < need {
                self.slots[home.slot].resize(need, 0.0);
            }
        }
    }
}

/// Encoded sequence: rows of four channels from an absolute position on.
#[derive(Debug, Clone, Copy)]
pub struct Encoded<'a> {
    /// Position of the first row, on the strand that is read, or in the window.
    pub start: i64,
    /// Row after row.
    pub rows: &'a [f32],
    /// Rows of the control tracks, if the network reads any.
    pub controls: &'a [f32],
}

/// A network to run: its graph, the plan of a member, and how that is laid out.
pub type Network<'a> = (&'a Graph, &'a Plan, &'a Layout);

/// Computes `output` positions of the network's last node, or all outputs of a window. `input`
/// covers what they need ([`Layout::needed`]). `scalar_head` makes the scalar head's channels of
/// the values of pooling nodes. Values that `kept` has room for are copied there.
pub fn run<'w>(
    isa: Isa,
    (graph, plan, layout): Network<'_>,
    input: Encoded<'_>,
    output: Span,
    scalar_head: impl Fn(&[(NodeId, Vec<f64>)]) -> Vec<f64>,
    workspace: &'w mut Workspace,
    kept: Option<&mut Kept>,
) -> Output<'w> {
    let spans = layout.needed(graph, output);
    let mut extents = spans.clone();
    for (node, home) in plan.homes.iter().enumerate() {
        if let Some(home) = home {
            extents[home.base] = extents[home.base].hull(spans[node]);
        }
    }
    workspace.make_room(&plan.homes, &extents);
    let Workspace { slots, buffers, scalars } = workspace;
    let control = graph.control().map(|node| (node, graph.channels(node)));
    let (homes, spans) = (&plan.homes[..], &spans[..]);
    let extents = &extents[..];
    let mut memory = Memory { isa, layout, homes, spans, extents, input, control, slots, kept };
    let mut pooled = Vec::with_capacity(plan.pools.len());
    memory.pool(graph, plan, |input| plan.homes[input].is_none(), &mut pooled);
    for (index, step) in plan.steps.iter().enumerate() {
        let (wanted, choice) = (layout.inside(step.node, spans[step.node]), layout.choice(index));
        let (whole, length) = (layout.grid(step.node).cover(wanted), step.rows_at_once(choice));
        for start in (whole.start..whole.end).step_by(length) {
            let block = Span::new(start, whole.end.min(start + length as i64));
            memory.fill(step, choice, block, buffers);
            memory.finish(step, block, wanted, buffers);
        }
        memory.clear_margins(step);
        let made = |node| node == step.node || step.branches.iter().any(|b| b.node == node);
        memory.pool(graph, plan, made, &mut pooled);
    }
    *scalars = scalar_head(&pooled);
    let home = plan.homes[graph.output()].expect("the output is stored");
    let first = (spans[graph.output()].start - extents[home.base].start) as usize * home.stride;
    let values = &slots[home.slot][first..][..spans[graph.output()].len() * home.stride];
    Output { values, stride: home.stride, scalars }
}

impl Step {
    /// How many positions are computed at a time.
    pub fn rows_at_once(&self, choice: Choice) -> usize {
        match &self.source {
            Source::Conv { convolution, .. } => convolution.rows_at_once_of(choice),
            Source::Rows(_) => ROWS,
        }
    }

    /// The values that it stores.
    pub fn stores(&self) -> impl Iterator<Item = NodeId> {
        let own = self.stored.then_some(self.node);
        own.into_iter().chain(self.branches.iter().map(|branch| branch.node))
    }
}

/// All stored values while a plan runs.
pub struct Memory<'a> {
    /// The instruction set.
    pub isa: Isa,
    /// How the plan is laid out.
    pub layout: &'a Layout,
    /// Where each value lives.
    pub homes: &'a [Option<Home>],
    /// What is wanted of each node.
    pub spans: &'a [Span],
    /// What the buffers of each base hold: its own and what is written over it.
    pub extents: &'a [Span],
    /// The sequence.
    pub input: Encoded<'a>,
    /// Node and channels of the control tracks.
    pub control: Option<(NodeId, usize)>,
    /// The buffers.
    pub slots: &'a mut [Vec<f32>],
    /// What outlives the run.
    pub kept: Option<&'a mut Kept>,
}

impl Memory<'_> {
    /// Applies the operations of a step to the wanted part of a block and stores what is kept, a
    /// few rows at a time.
    pub fn finish(&mut self, step: &Step, block: Span, wanted: Span, buffers: &mut Buffers) {
        let Buffers { rows, branch, .. } = buffers;
        let wanted = block.intersect(wanted);
        for start in (wanted.start..wanted.end).step_by(ROWS) {
            let part = Span::new(start, wanted.end.min(start + ROWS as i64));
            let first = (part.start - block.start) as usize * step.stride;
            let rows = &mut rows[first..first + part.len() * step.stride];
            self.apply(&step.operations, part, rows, step.stride);
            if step.stored {
                self.store(step.node, part, rows);
            }
            for next in &step.branches {
                branch.clear();
                branch.extend_from_slice(rows);
                self.apply(&next.operations, part, branch, step.stride);
                self.store(next.node, part, branch);
            }
        }
    }

    /// The rows of a step before its operations.
    pub fn fill(&self, step: &Step, choice: Choice, block: Span, buffers: &mut Buffers) {
        let Buffers { rows, scratch, .. } = buffers;
        rows.resize(block.len() * step.stride, 0.0);
        match &step.source {
            Source::Conv { input, convolution, left } => {
                let from = self.rows(*input, block.start - *left as i64);
                let (input, input_stride) = (from.values, from.stride);
                let pass = Pass { input, input_stride, rows: block.len(), output: rows };
                convolution.compute_as(choice, self.isa, pass, scratch);
            }
            Source::Rows(inputs) => {
                rows.fill(0.0);
                let mut first = 0;
                for &(input, channels) in inputs {
                    let from = self.rows(input, block.start);
                    let rows = rows.chunks_exact_mut(step.stride);
                    for (to, from) in rows.zip(from.values.chunks(from.stride)) {
                        to[first..first + channels].copy_from_slice(&from[..channels]);
                    }
                    first += channels;
                }
            }
        }
    }

    fn apply(&self, operations: &[Operation], block: Span, rows: &mut [f32], stride: usize) {
        use elementwise::Step as Do;
        for operation in operations {
            let step = match operation {
                Operation::Affine { scale, shift } => Do::Affine { scale, shift },
                Operation::Activate(function) => Do::Activate(*function),
                Operation::Add(node) => Do::Add(self.rows(*node, block.start)),
                Operation::GateBy(node) => Do::GateBy(self.rows(*node, block.start)),
                Operation::GateOf(node) => Do::GateOf(self.rows(*node, block.start)),
                Operation::Softmax(channels) => Do::Softmax(*channels),
            };
            elementwise::apply(self.isa, step, rows, stride);
        }
    }

    /// The rows of a stored value from a position on.
    fn rows(&self, node: NodeId, from: i64) -> Rows<'_> {
        match self.homes[node] {
            Some(home) => {
                let values = &self.slots[home.slot][self.offset(home, from)..];
                Rows { values, stride: home.stride }
            }
            None => {
                let first = (from - self.input.start) as usize;
                let (values, stride) = match self.control {
                    Some((control, channels)) if control == node => (self.input.controls, channels),
                    _ => (self.input.rows, INPUT_CHANNELS),
                };
                Rows { values: &values[first * stride..], stride }
            }
        }
    }

    /// Keeps the part of a block that later steps need.
    pub fn store(&mut self, node: NodeId, block: Span, rows: &[f32]) {
        let home = self.homes[node].expect("stored values have a home");
        if let Some(kept) = &mut self.kept {
            kept.take(node, block, rows, home.stride);
        }
        let wanted = block.intersect(self.layout.inside(node, self.spans[node]));
        if wanted.is_empty() {
            return;
        }
        let skip = (wanted.start - block.start) as usize * home.stride;
        let count = wanted.len() * home.stride;
        let to = self.offset(home, wanted.start);
        self.slots[home.slot][to..to + count].copy_from_slice(&rows[skip..skip + count]);
    }

    fn offset(&self, home: Home, position: i64) -> usize {
        (position - self.extents[home.base].start) as usize * home.stride
    }

    /// Zeros what readers see of a step's values beyond the window.
    fn clear_margins(&mut self, step: &Step) {
        for node in step.stores() {
            let (span, home) = (self.spans[node], self.homes[node]);
            let (inside, home) = (self.layout.inside(node, span), home.expect("stored values"));
            for margin in [Span::new(span.start, inside.start), Span::new(inside.end, span.end)] {
                if !margin.is_empty() {
                    let from = self.offset(home, margin.start);
                    self.slots[home.slot][from..][..margin.len() * home.stride].fill(0.0);
                }
            }
        }
    }

    /// Adds the values of pooling nodes whose input is ready: sums in f64, in the order of the
    /// positions.
    fn pool(
        &self,
        graph: &Graph,
        plan: &Plan,
        ready: impl Fn(NodeId) -> bool,
        pooled: &mut Vec<(NodeId, Vec<f64>)>,
    ) {
        for pool in plan.pools.iter().filter(|pool| ready(pool.input)) {
            let mut sums = vec![0.0; graph.channels(pool.input)];
            let from = self.rows(pool.input, pool.span.start);
            for row in from.values.chunks(from.stride).take(pool.span.len()) {
                sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
            }
            let value = match graph.nodes()[pool.node].op {
                Op::LogTotal { offset } => vec![(offset + sums.iter().sum::<f64>()).ln()],
                _ => sums.into_iter().map(|sum| sum / pool.span.len() as f64).collect(),
            };
            pooled.push((pool.node, value));
        }
    }
}
