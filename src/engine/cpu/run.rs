//! Runs a plan over one stretch of sequence.

use super::Isa;
use super::elementwise::{self, Rows};
use super::kernel::{Pass, Scratch};
use super::plan::{Home, Operation, Plan, Source, Step};
use crate::engine::mix::Output;
use crate::network::graph::INPUT_CHANNELS;
use crate::network::{Graph, NodeId, Op, Span};

/// Rows that go through elementwise operations together: few enough that 32 channels stay in the
/// first-level cache.
const ROWS: usize = 240;

/// Buffers that are used again from job to job.
#[derive(Debug, Default)]
pub struct Workspace {
    slots: Vec<Vec<f32>>,
    rows: Vec<f32>,
    branch: Vec<f32>,
    scratch: Scratch,
    scalars: Vec<f64>,
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

/// Computes `output` positions of the network's last node, or all outputs of a window. `input`
/// covers what they need ([`Plan::needed`]). `scalar_head` makes the scalar head's channels of the
/// values of pooling nodes.
pub fn run<'w>(
    isa: Isa,
    graph: &Graph,
    plan: &Plan,
    input: Encoded<'_>,
    output: Span,
    scalar_head: impl Fn(&[(NodeId, Vec<f64>)]) -> Vec<f64>,
    workspace: &'w mut Workspace,
) -> Output<'w> {
    let spans = plan.needed(graph, output);
    let mut extents = spans.clone();
    for (node, home) in plan.homes.iter().enumerate() {
        if let Some(home) = home {
            extents[home.base] = extents[home.base].hull(spans[node]);
        }
    }
    let Workspace { slots, rows, branch, scratch, scalars } = workspace;
    slots.resize_with(slots.len().max(plan.slots.len()), Vec::new);
    for home in plan.homes.iter().flatten() {
        let need = extents[home.base].len() * home.stride;
        if slots[home.slot].len() < need {
            slots[home.slot].resize(need, 0.0);
        }
    }
    let control = graph.control().map(|node| (node, graph.channels(node)));
    let mut memory = Memory { plan, spans: &spans, extents: &extents, input, control, slots };
    let mut pooled = Vec::with_capacity(plan.pools.len());
    memory.pool(graph, |input| plan.homes[input].is_none(), &mut pooled);
    for step in &plan.steps {
        let span = plan.inside(step.node, spans[step.node]);
        let (whole, length) = (plan.grid(step.node).cover(span), step.rows_at_once());
        for start in (whole.start..whole.end).step_by(length) {
            let block = Span::new(start, whole.end.min(start + length as i64));
            rows.resize(block.len() * step.stride, 0.0);
            memory.fill(isa, step, block, rows, scratch);
            memory.finish(isa, step, block, rows, branch);
        }
        memory.clear_margins(step);
        let made = |node| node == step.node || step.branches.iter().any(|b| b.node == node);
        memory.pool(graph, made, &mut pooled);
    }
    *scalars = scalar_head(&pooled);
    let home = plan.homes[graph.output()].expect("the output is stored");
    let first = (spans[graph.output()].start - extents[home.base].start) as usize * home.stride;
    let values = &slots[home.slot][first..][..spans[graph.output()].len() * home.stride];
    Output { values, stride: home.stride, scalars }
}

impl Step {
    /// How many positions are computed at a time.
    fn rows_at_once(&self) -> usize {
        match &self.source {
            Source::Conv { convolution, .. } => convolution.rows_at_once(),
            Source::Rows(_) => ROWS,
        }
    }
}

/// All stored values while a plan runs.
struct Memory<'a> {
    plan: &'a Plan,
    /// What is wanted of each node.
    spans: &'a [Span],
    /// What the buffers of each base hold: its own and what is written over it.
    extents: &'a [Span],
    input: Encoded<'a>,
    /// Node and channels of the control tracks.
    control: Option<(NodeId, usize)>,
    slots: &'a mut [Vec<f32>],
}

impl Memory<'_> {
    /// Applies the operations of a step to the wanted part of a block and stores what is kept, a
    /// few rows at a time.
    fn finish(
        &mut self,
        isa: Isa,
        step: &Step,
        block: Span,
        rows: &mut [f32],
        branch: &mut Vec<f32>,
    ) {
        let wanted = block.intersect(self.plan.inside(step.node, self.spans[step.node]));
        for start in (wanted.start..wanted.end).step_by(ROWS) {
            let part = Span::new(start, wanted.end.min(start + ROWS as i64));
            let first = (part.start - block.start) as usize * step.stride;
            let rows = &mut rows[first..first + part.len() * step.stride];
            self.apply(isa, &step.operations, part, rows, step.stride);
            if step.stored {
                self.store(step.node, part, rows);
            }
            for next in &step.branches {
                branch.clear();
                branch.extend_from_slice(rows);
                self.apply(isa, &next.operations, part, branch, step.stride);
                self.store(next.node, part, branch);
            }
        }
    }

    /// The rows of a step before its operations.
    fn fill(&self, isa: Isa, step: &Step, block: Span, rows: &mut [f32], scratch: &mut Scratch) {
        match &step.source {
            Source::Conv { input, convolution, left } => {
                let from = self.rows(*input, block.start - *left as i64);
                let (input, input_stride) = (from.values, from.stride);
                let pass = Pass { input, input_stride, rows: block.len(), output: rows };
                convolution.compute(isa, pass, scratch);
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

    fn apply(
        &self,
        isa: Isa,
        operations: &[Operation],
        block: Span,
        rows: &mut [f32],
        stride: usize,
    ) {
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
            elementwise::apply(isa, step, rows, stride);
        }
    }

    /// The rows of a stored value from a position on.
    fn rows(&self, node: NodeId, from: i64) -> Rows<'_> {
        match self.plan.homes[node] {
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
    fn store(&mut self, node: NodeId, block: Span, rows: &[f32]) {
        let home = self.plan.homes[node].expect("stored values have a home");
        let kept = block.intersect(self.plan.inside(node, self.spans[node]));
        if kept.is_empty() {
            return;
        }
        let skip = (kept.start - block.start) as usize * home.stride;
        let count = kept.len() * home.stride;
        let to = self.offset(home, kept.start);
        self.slots[home.slot][to..to + count].copy_from_slice(&rows[skip..skip + count]);
    }

    fn offset(&self, home: Home, position: i64) -> usize {
        (position - self.extents[home.base].start) as usize * home.stride
    }

    /// Zeros what readers see of a step's values beyond the window.
    fn clear_margins(&mut self, step: &Step) {
        let own = step.stored.then_some(step.node);
        for node in own.into_iter().chain(step.branches.iter().map(|branch| branch.node)) {
            let (span, home) = (self.spans[node], self.plan.homes[node]);
            let (inside, home) = (self.plan.inside(node, span), home.expect("stored values"));
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
        ready: impl Fn(NodeId) -> bool,
        pooled: &mut Vec<(NodeId, Vec<f64>)>,
    ) {
        for pool in self.plan.pools.iter().filter(|pool| ready(pool.input)) {
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
