//! Runs a plan over one stretch of sequence.

use super::Isa;
use super::edit::Kept;
use super::elementwise::Rows;
use super::kernel::{Aligned, Choice, Scratch};
use super::plan::{Home, Layout, Plan, Step};
use super::stage::Stage;
use super::waves;
use crate::engine::mix::Output;
use crate::network::graph::INPUT_CHANNELS;
use crate::network::{Graph, NodeId, Op, Span};

/// Buffers that are used again from job to job.
#[derive(Debug, Default)]
pub struct Workspace {
    /// Stored values.
    pub slots: Vec<Aligned>,
    /// What one step computes at a time.
    pub buffers: Buffers,
    /// The scalar head's channels.
    pub scalars: Vec<f64>,
}

/// What one step computes at a time.
#[derive(Debug, Default)]
pub struct Buffers {
    /// Rows of a step that is no convolution.
    pub rows: Aligned,
    /// Rows of a branch.
    pub branch: Aligned,
    /// For the kernels.
    pub scratch: Scratch,
}

impl Workspace {
    /// Makes room for all stored values: these positions of each base.
    pub fn make_room(&mut self, homes: &[Option<Home>], extents: &[Span]) {
        for home in homes.iter().flatten() {
            let need = extents[home.base].len() * home.stride;
            self.slots.resize_with(self.slots.len().max(home.slot + 1), Aligned::default);
            self.slots[home.slot].hold(need);
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
    let places = Places { isa, layout, homes, spans, extents, input, control };
    let mut memory = Memory { places, slots, kept };
    let mut pooled = Vec::with_capacity(plan.pools.len());
    memory.pool(graph, plan, |input| plan.homes[input].is_none(), &mut pooled);
    for turn in waves::turns(plan, layout, spans, extents) {
        let step = &plan.steps[turn.step];
        memory.run(step, layout.choice(turn.step), turn.whole, turn.wanted, buffers);
        if layout.has_window() {
            memory.clear_margins(step);
            memory.pool(graph, plan, |node| step.stores().any(|n| n == node), &mut pooled);
        }
    }
    *scalars = scalar_head(&pooled);
    let home = plan.homes[graph.output()].expect("the output is stored");
    let first = (spans[graph.output()].start - extents[home.base].start) as usize * home.stride;
    let values = &slots[home.slot][first..][..spans[graph.output()].len() * home.stride];
    Output { values, stride: home.stride, scalars }
}

/// Where everything lies while a plan runs.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
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
}

impl<'a> Places<'a> {
    /// Where the row of a position begins in the buffer of its value.
    pub fn offset(&self, home: Home, position: i64) -> usize {
        (position - self.extents[home.base].start) as usize * home.stride
    }

    /// The part of a value that is wanted and not beyond the window.
    pub fn kept(&self, node: NodeId) -> Span {
        self.layout.inside(node, self.spans[node])
    }

    /// Rows of the sequence or the control tracks: every `apart`-th position from `from` on.
    pub fn given(&self, node: NodeId, from: i64, apart: usize) -> Rows<'a> {
        let first = (from - self.input.start) as usize;
        let (values, stride) = match self.control {
            Some((control, channels)) if control == node => (self.input.controls, channels),
            _ => (self.input.rows, INPUT_CHANNELS),
        };
        Rows { values: &values[first * stride..], stride: stride * apart }
    }
}

/// All stored values while a plan runs.
pub struct Memory<'a> {
    /// Where they lie.
    pub places: Places<'a>,
    /// The buffers.
    pub slots: &'a mut [Aligned],
    /// What outlives the run.
    pub kept: Option<&'a mut Kept>,
}

impl Memory<'_> {
    /// Computes the `wanted` positions of a step with a kernel that computes `whole`.
    pub fn run(
        &mut self,
        step: &Step,
        choice: Choice,
        whole: Span,
        wanted: Span,
        buffers: &mut Buffers,
    ) {
        if !wanted.is_empty() {
            let Buffers { rows, branch, scratch } = buffers;
            let kept = self.kept.as_deref_mut();
            let mut stage = Stage::new(self.places, step, wanted, self.slots, kept, branch);
            stage.run(choice, whole, rows, scratch);
        }
    }

    /// Stores rows that were computed elsewhere, as far as they are wanted.
    pub fn store(&mut self, node: NodeId, block: Span, rows: &[f32]) {
        let home = self.places.homes[node].expect("stored values have a home");
        let wanted = block.intersect(self.places.kept(node));
        if wanted.is_empty() {
            return;
        }
        let skip = (wanted.start - block.start) as usize * home.stride;
        let count = wanted.len() * home.stride;
        let to = self.places.offset(home, wanted.start);
        self.slots[home.slot][to..to + count].copy_from_slice(&rows[skip..skip + count]);
    }

    /// The rows of a stored value from a position on.
    pub fn rows(&self, node: NodeId, from: i64) -> Rows<'_> {
        match self.places.homes[node] {
            Some(home) => {
                let values = &self.slots[home.slot][self.places.offset(home, from)..];
                Rows { values, stride: home.stride }
            }
            None => self.places.given(node, from, 1),
        }
    }

    /// Zeros what readers see of a step's values beyond the window.
    pub fn clear_margins(&mut self, step: &Step) {
        for node in step.stores() {
            let (span, home) = (self.places.spans[node], self.places.homes[node]);
            let (inside, home) = (self.places.kept(node), home.expect("stored values"));
            for margin in [Span::new(span.start, inside.start), Span::new(inside.end, span.end)] {
                if !margin.is_empty() {
                    let from = self.places.offset(home, margin.start);
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
