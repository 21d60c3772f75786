//! Runs a plan over one stretch of sequence.

use super::Isa;
use super::elementwise::{self, Rows};
use super::kernel::{Pass, Scratch};
use super::plan::{Home, Operation, Plan, Source, Step};
use crate::engine::mix::Output;
use crate::network::graph::INPUT_CHANNELS;
use crate::network::{Graph, NodeId, Span};

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
}

/// Encoded sequence: rows of four channels from an absolute position on.
#[derive(Debug, Clone, Copy)]
pub struct Encoded<'a> {
    /// Position of the first row, on the strand that is read.
    pub start: i64,
    /// Row after row.
    pub rows: &'a [f32],
}

/// Computes `output` positions of the network's last node. `input` covers what they need
/// ([`Plan::reach`]).
pub fn run<'w>(
    isa: Isa,
    graph: &Graph,
    plan: &Plan,
    input: Encoded<'_>,
    output: Span,
    workspace: &'w mut Workspace,
) -> Output<'w> {
    let spans = plan.needed(graph, output);
    let Workspace { slots, rows, branch, scratch } = workspace;
    slots.resize_with(slots.len().max(plan.slots.len()), Vec::new);
    for home in plan.homes.iter().flatten() {
        let need = spans[home.base].len() * home.stride;
        if slots[home.slot].len() < need {
            slots[home.slot].resize(need, 0.0);
        }
    }
    let mut memory = Memory { plan, spans: &spans, input, slots };
    for step in &plan.steps {
        let span = spans[step.node];
        let (whole, length) = (plan.grid(step.node).cover(span), step.rows_at_once());
        for start in (whole.start..whole.end).step_by(length) {
            let block = Span::new(start, whole.end.min(start + length as i64));
            rows.resize(block.len() * step.stride, 0.0);
            memory.fill(isa, step, block, rows, scratch);
            memory.finish(isa, step, block, rows, branch);
        }
    }
    let home = plan.homes[graph.output()].expect("the output is stored");
    Output { values: &slots[home.slot][..output.len() * home.stride], stride: home.stride }
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
    spans: &'a [Span],
    input: Encoded<'a>,
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
        let wanted = block.intersect(self.spans[step.node]);
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
                Rows { values: &self.input.rows[first * INPUT_CHANNELS..], stride: INPUT_CHANNELS }
            }
        }
    }

    /// Keeps the part of a block that later steps need.
    fn store(&mut self, node: NodeId, block: Span, rows: &[f32]) {
        let home = self.plan.homes[node].expect("stored values have a home");
        let kept = block.intersect(self.spans[node]);
        if kept.is_empty() {
            return;
        }
        let skip = (kept.start - block.start) as usize * home.stride;
        let count = kept.len() * home.stride;
        let to = self.offset(home, kept.start);
        self.slots[home.slot][to..to + count].copy_from_slice(&rows[skip..skip + count]);
    }

    fn offset(&self, home: Home, position: i64) -> usize {
        (position - self.spans[home.base].start) as usize * home.stride
    }
}
