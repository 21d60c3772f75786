//! One step of a plan while it runs: its rows are computed, taken through its operations and
//! stored while they are in cache.

use super::edit::Kept;
use super::elementwise::{self, Heavy, Light, Rows, RowsMut};
use super::kernel::{Aligned, Choice, Finished, Pass, Scratch};
use super::plan::{Operation, Source, Step};
use super::run::Places;
use crate::network::{Activation, NodeId, Span};

/// Rows that go through elementwise operations together: few enough that 32 channels stay in the
/// first-level cache.
const ROWS: usize = 240;

/// A buffer while a step runs.
enum Buffer<'a> {
    /// The step reads it.
    Source(&'a [f32]),
    /// The step writes it, and may read what it writes over.
    Target(&'a mut [f32]),
}

/// A step and what it reads and writes.
pub struct Stage<'a> {
    places: Places<'a>,
    step: &'a Step,
    /// Positions to compute.
    wanted: Span,
    /// By slot.
    buffers: Vec<Buffer<'a>>,
    kept: Option<&'a mut Kept>,
    branch: &'a mut Aligned,
}

impl<'a> Stage<'a> {
    /// Sorts the buffers into those that are written and those that are read only.
    pub fn new(
        places: Places<'a>,
        step: &'a Step,
        wanted: Span,
        slots: &'a mut [Aligned],
        kept: Option<&'a mut Kept>,
        branch: &'a mut Aligned,
    ) -> Self {
        let slot_of = |node: NodeId| places.homes[node].map(|home| home.slot);
        let is_target = |slot: usize| step.stores().any(|node| slot_of(node) == Some(slot));
        let buffer = |(slot, numbers): (usize, &'a mut Aligned)| match is_target(slot) {
            true => Buffer::Target(numbers),
            false => Buffer::Source(numbers),
        };
        let buffers = slots.iter_mut().enumerate().map(buffer).collect();
        Self { places, step, wanted, buffers, kept, branch }
    }

    /// Computes the whole blocks `whole`, and of these keeps what is wanted.
    pub fn run(&mut self, choice: Choice, whole: Span, rows: &mut Aligned, scratch: &mut Scratch) {
        let (isa, step) = (self.places.isa, self.step);
        match &step.source {
            Source::Conv { input, convolution, left } => {
                let from = self.source(*input, whole.start - *left as i64);
                let (input, input_stride) = (from.values, from.stride);
                let pass = Pass { input, input_stride, rows: whole.len() };
                let row = |position: i64| (position.max(whole.start) - whole.start) as usize;
                let wanted = row(self.wanted.start)..row(self.wanted.end.min(whole.end));
                convolution.compute_as(choice, isa, pass, wanted, scratch, &mut |finished| {
                    self.finish(whole.start + finished.first as i64, finished);
                });
            }
            Source::Rows(inputs) => {
                rows.hold(ROWS * step.stride);
                for first in (0..whole.len()).step_by(ROWS) {
                    let start = whole.start + first as i64;
                    let count = ROWS.min(whole.len() - first);
                    let values = &mut rows[..count * step.stride];
                    self.side_by_side(inputs, start, values);
                    self.finish(start, Finished { first, step: 1, values });
                }
            }
        }
    }

    /// The rows of some nodes from a position on, side by side, padded with zeros.
    fn side_by_side(&self, inputs: &[(NodeId, usize)], start: i64, rows: &mut [f32]) {
        rows.fill(0.0);
        let mut first = 0;
        for &(input, channels) in inputs {
            let from = self.rows(input, start, 1);
            let rows = rows.chunks_exact_mut(self.step.stride);
            for (to, from) in rows.zip(from.values.chunks(from.stride)) {
                to[first..first + channels].copy_from_slice(&from[..channels]);
            }
            first += channels;
        }
    }

    /// Applies the operations of the step to the wanted ones of finished rows, the first of which
    /// belongs to position `start`, and stores what is kept.
    fn finish(&mut self, start: i64, finished: Finished<'_>) {
        let Finished { step: apart, values, .. } = finished;
        let (step, width) = (self.step, self.step.stride);
        let all = Run { start, apart, count: values.len() / width };
        let (skipped, run) = all.clip(self.wanted);
        if run.count == 0 {
            return;
        }
        let values = &mut values[skipped * width..][..run.count * width];
        let target = step.stored.then_some(step.node);
        self.through(&step.operations, run, values, target);
        for next in &step.branches {
            if next.operations.iter().all(|operation| self.is_light(operation)) {
                self.write(&next.operations, run, target.is_none().then_some(values), next.node);
                continue;
            }
            let mut branch = std::mem::take(self.branch);
            branch.hold(values.len());
            let copy = &mut branch[..values.len()];
            let from = match target {
                Some(node) => self.rows(node, run.start, apart),
                None => Rows { values, stride: width },
            };
            let to = RowsMut { values: copy, stride: width };
            elementwise::pass(self.places.isa, &[], Some(from), to, (run.count, width));
            self.through(&next.operations, run, copy, Some(next.node));
            *self.branch = branch;
        }
    }

    /// Takes the rows of a run through operations in `values`, and in the end to the home of
    /// `target`, if there is one.
    fn through(
        &mut self,
        operations: &[Operation],
        run: Run,
        values: &mut [f32],
        target: Option<NodeId>,
    ) {
        let (isa, stride) = (self.places.isa, self.step.stride);
        for (index, operation) in operations.iter().enumerate() {
            let rest = &operations[index..];
            // light operations that no heavy one follows are done on the way to the target
            if let Some(target) = target
                && rest.iter().all(|operation| self.is_light(operation))
            {
                return self.write(rest, run, Some(values), target);
            }
            if self.is_light(operation) {
                let (light, to) = (self.light(operation, run, None), RowsMut { values, stride });
                elementwise::pass(isa, &[light], None, to, (run.count, stride));
            } else {
                elementwise::apply(isa, self.heavy(operation, run), values, stride);
            }
        }
        if let Some(target) = target {
            self.write(&[], run, Some(values), target);
        }
    }

    /// Takes the rows of a run, those in `values` or else the stored ones of the step, through
    /// light operations to the home of `target`, as far as that value is needed.
    fn write(&mut self, light: &[Operation], run: Run, values: Option<&[f32]>, target: NodeId) {
        let home = self.places.homes[target].expect("a stored value has a home");
        let width = self.step.stride;
        if let Some(kept) = self.kept.take() {
            let (skipped, run) = run.clip(kept.span(target));
            if run.count > 0 {
                let light = self.lights(light, run, None);
                let to = kept.rows_mut(target, run.start, home.stride);
                let to = RowsMut { values: to, stride: home.stride * run.apart };
                let from = self.from(values, skipped, run);
                elementwise::pass(self.places.isa, &light, Some(from), to, (run.count, width));
            }
            self.kept = Some(kept);
        }
        let (skipped, run) = run.clip(self.places.kept(target));
        if run.count == 0 {
            return;
        }
        let mut buffer = std::mem::replace(&mut self.buffers[home.slot], Buffer::Source(&[]));
        let Buffer::Target(numbers) = &mut buffer else { unreachable!("a target of the step") };
        let to = &mut numbers[self.places.offset(home, run.start)..];
        let to = RowsMut { values: to, stride: home.stride * run.apart };
        let light = self.lights(light, run, Some(home.slot));
        let from = self.from(values, skipped, run);
        elementwise::pass(self.places.isa, &light, Some(from), to, (run.count, width));
        self.buffers[home.slot] = buffer;
    }

    /// The rows of a run, of those in `values` after some that are skipped, or the stored ones.
    fn from<'b>(&'b self, values: Option<&'b [f32]>, skipped: usize, run: Run) -> Rows<'b> {
        let stride = self.step.stride;
        match values {
            Some(values) => Rows { values: &values[skipped * stride..], stride },
            None => self.rows(self.step.node, run.start, run.apart),
        }
    }

    fn lights<'b>(
        &'b self,
        operations: &'b [Operation],
        run: Run,
        target: Option<usize>,
    ) -> Vec<Light<'b>> {
        operations.iter().map(|operation| self.light(operation, run, target)).collect()
    }

    /// Whether an operation is done in one pass with others. (Rows of encoded sequence are
    /// narrower than registers.)
    fn is_light(&self, operation: &Operation) -> bool {
        match operation {
            Operation::Affine { .. } => true,
            Operation::Activate(f) => matches!(f, Activation::Relu | Activation::LeakyRelu { .. }),
            Operation::Add(node) => self.places.homes[*node].is_some(),
            Operation::GateBy(_) | Operation::GateOf(_) | Operation::Softmax(_) => false,
        }
    }

    fn light<'b>(&'b self, operation: &'b Operation, run: Run, target: Option<usize>) -> Light<'b> {
        match operation {
            Operation::Affine { scale, shift } => Light::Affine(scale, shift),
            Operation::Activate(Activation::LeakyRelu { slope }) => Light::LeakyRelu(*slope),
            Operation::Activate(_) => Light::Relu,
            Operation::Add(node) => match self.places.homes[*node] {
                Some(home) if Some(home.slot) == target => Light::AddTarget,
                _ => Light::Add(self.rows(*node, run.start, run.apart)),
            },
            _ => unreachable!("not light"),
        }
    }

    fn heavy(&self, operation: &Operation, run: Run) -> Heavy<'_> {
        let rows = |node: NodeId| self.rows(node, run.start, run.apart);
        match operation {
            Operation::Activate(function) => Heavy::Activate(*function),
            Operation::Add(node) => Heavy::Add(rows(*node)),
            Operation::GateBy(node) => Heavy::GateBy(rows(*node)),
            Operation::GateOf(node) => Heavy::GateOf(rows(*node)),
            Operation::Softmax(channels) => Heavy::Softmax(*channels),
            Operation::Affine { .. } => unreachable!("light"),
        }
    }

    /// The rows of a stored value, of every `apart`-th position from `from` on.
    fn rows(&self, node: NodeId, from: i64, apart: usize) -> Rows<'_> {
        match self.places.homes[node] {
            Some(home) => {
                let numbers: &[f32] = match &self.buffers[home.slot] {
                    Buffer::Source(numbers) => numbers,
                    Buffer::Target(numbers) => numbers,
                };
                let values = &numbers[self.places.offset(home, from)..];
                Rows { values, stride: home.stride * apart }
            }
            None => self.places.given(node, from, apart),
        }
    }

    /// The rows of a value that a convolution of the step reads: never one that the step writes.
    fn source(&self, node: NodeId, from: i64) -> Rows<'a> {
        match self.places.homes[node] {
            Some(home) => {
                let Buffer::Source(numbers) = self.buffers[home.slot] else {
                    unreachable!("a convolution is never written over its input")
                };
                Rows { values: &numbers[self.places.offset(home, from)..], stride: home.stride }
            }
            None => self.places.given(node, from, 1),
        }
    }
}

/// Positions `start`, `start + apart`, …
#[derive(Debug, Clone, Copy)]
struct Run {
    start: i64,
    apart: usize,
    count: usize,
}

impl Run {
    /// The part inside a span, and how many rows come before it.
    fn clip(self, span: Span) -> (usize, Self) {
        let before = |position: i64| {
            let positions = usize::try_from(position - self.start).unwrap_or(0);
            positions.div_ceil(self.apart).min(self.count)
        };
        let (skipped, end) = (before(span.start), before(span.end));
        let start = self.start + (skipped * self.apart) as i64;
        (skipped, Self { start, apart: self.apart, count: end.saturating_sub(skipped) })
    }
}
