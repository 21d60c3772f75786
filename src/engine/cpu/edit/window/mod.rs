//! Edits of a window: the reference is computed once for all of them, and each only where it
//! changes something (docs/decisions/edits.md).

mod zones;

use super::Kept;
use super::alternative::fastest;
use crate::engine::Values;
use crate::engine::cpu::CpuEngine;
use crate::engine::cpu::plan::{Home, Plan, Pool, share_buffers};
use crate::engine::cpu::run::{self, Encoded, Memory, Places, Workspace};
use crate::engine::edit::{EditedWindow, WindowEdit, WindowValues};
use crate::engine::encode::{code, rows};
use crate::engine::mix::Output;
use crate::error::Result;
use crate::model::{UnknownBase, Window};
use crate::network::graph::INPUT_CHANNELS;
use crate::network::{Graph, NodeId, Op, Span};
use rayon::prelude::*;
use std::cell::RefCell;
use zones::{Changed, Zones};

/// What the edits of the window of a network have in common, whatever the weights.
#[derive(Debug)]
pub struct WindowPlan {
    /// Where the values of an edited window live: no sum over its summand, because more of the
    /// sum is held than was computed.
    homes: Vec<Option<Home>>,
    /// Per node, the positions that have a value which is needed.
    inside: Vec<Span>,
    /// Of values that no buffer holds because the step that makes them goes on with them: the nodes
    /// that read them.
    within: Vec<Vec<NodeId>>,
}

/// The positions of every node that matter for one edit.
struct Local {
    zones: Vec<Zones>,
    /// What the computation reads of each node, beyond the ends of the window too. Of the output:
    /// all that the window gives.
    held: Vec<Span>,
}

/// A member and the reference window.
struct Before<'a> {
    member: usize,
    graph: &'a Graph,
    plan: &'a Plan,
    window_plan: &'a WindowPlan,
    kept: &'a Kept,
    /// Values of the pooling nodes.
    pooled: &'a [(NodeId, Vec<f64>)],
    controls: &'a [Vec<f32>],
}

impl WindowPlan {
    /// For all members of a network, of which `plan` is one.
    pub fn new(graph: &Graph, plan: &Plan, window: Window) -> Self {
        let (homes, _) = share_buffers(graph, &plan.steps, false);
        let domains = graph.domains(window.span());
        let needed = graph.needed_in_window(&domains, |_, span| span);
        let inside = needed.iter().zip(&domains).map(|(needed, domain)| needed.intersect(*domain));
        let mut within = vec![vec![]; graph.nodes().len()];
        for (id, node) in graph.nodes().iter().enumerate().filter(|(id, _)| !graph.is_scalar(*id)) {
            node.inputs.iter().for_each(|&input| within[input].push(id));
        }
        let ends = plan.steps.iter().map(|step| step.node);
        let stored = (0..homes.len()).filter(|&node| homes[node].is_some());
        let given = [Some(0), graph.control()].into_iter().flatten();
        ends.chain(stored).chain(given).for_each(|node| within[node].clear());
        Self { homes, inside: inside.collect(), within }
    }

    fn stride(&self, node: NodeId) -> usize {
        self.homes[node].map_or(0, |home| home.stride)
    }

    /// Walks through a network for one edit.
    fn local(&self, graph: &Graph, plan: &Plan, edit: &WindowEdit, controlled: bool) -> Local {
        let changed = self.changed(graph, plan, edit, controlled);
        let pairs = changed.iter().zip(&self.inside);
        let zones: Vec<Zones> = pairs.map(|(changed, &at)| changed.zones(at, edit)).collect();
        let mut held = vec![Span::EMPTY; zones.len()];
        held[graph.output()] = self.inside[graph.output()];
        for (id, node) in graph.nodes().iter().enumerate().filter(|(id, _)| !graph.is_scalar(*id)) {
            let reach = node.op.reach();
            for &input in &node.inputs {
                let zones = zones[id].changed.iter();
                let read = zones.map(|zone| zone.widen(reach.left, reach.right));
                held[input] = read.fold(held[input], Span::hull);
            }
        }
        for pool in &plan.pools {
            let read = if pool.input == 0 { pool.span } else { zones[pool.input].hull() };
            held[pool.input] = held[pool.input].hull(read);
        }
        Local { zones, held }
    }

    /// What changes of each node. A step computes the same positions of all that it makes.
    fn changed(
        &self,
        graph: &Graph,
        plan: &Plan,
        edit: &WindowEdit,
        controlled: bool,
    ) -> Vec<Changed> {
        let mut changed = vec![Changed::NOTHING; graph.nodes().len()];
        changed[0] = Changed::of(edit).and(Changed::at_ends(self.inside[0], edit));
        for (id, node) in graph.nodes().iter().enumerate().skip(1) {
            if let Op::Control { .. } = node.op {
                // what is counted stays where it is when letters move
                if controlled && (edit.left, edit.right) != (0, 0) {
                    changed[id] = Changed::EVERYTHING;
                }
                continue;
            }
            let reach = node.op.reach();
            let inputs = node.inputs.iter().map(|&input| changed[input].seen_from(reach));
            let ends = Changed::at_ends(self.inside[id], edit);
            changed[id] = inputs.fold(ends, Changed::and);
        }
        for step in &plan.steps {
            let made = step.stores().map(|node| changed[node]);
            let whole = made.fold(changed[step.node], Changed::and);
            changed[step.node] = whole;
            step.stores().for_each(|node| changed[node] = whole);
        }
        for (node, readers) in self.within.iter().enumerate().rev() {
            let readers = readers.iter().map(|&reader| changed[reader]);
            changed[node] = readers.fold(changed[node], Changed::and);
        }
        changed
    }
}

impl CpuEngine {
    /// See [`crate::engine::Engine::run_window_edits`].
    pub(in crate::engine::cpu) fn window_edits(
        &self,
        window: Window,
        windows: &[EditedWindow],
        after_each: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<Vec<WindowValues>> {
        // A thread that waits for parts of its window would begin another one and keep both.
        let apart = windows.len() >= rayon::current_num_threads();
        let one = |(index, edited): (usize, &EditedWindow)| {
            let values = self.edited_window(window, edited, !apart);
            after_each(index)?;
            Ok(values)
        };
        windows.par_iter().enumerate().map(one).collect()
    }

    fn edited_window(&self, window: Window, edited: &EditedWindow, parallel: bool) -> WindowValues {
        let EditedWindow { job, edits } = edited;
        let mut reference = self.mixer.sums(job.length);
        let mut alternatives: Vec<Values> = edits.iter().map(|_| reference.clone()).collect();
        for &member in self.mixer.members() {
            let (network, plan) = self.member(member);
            let graph = &self.networks[network];
            let window_plan = self.window_plans[network].as_ref();
            let window_plan = window_plan.expect("planned with its member");
            let mut kept = self.kept.take();
            kept.make_room(window_plan.inside.clone(), |node| window_plan.stride(node));
            let pooled = RefCell::new(Vec::new());
            let head = |values: &[(NodeId, Vec<f64>)]| {
                pooled.replace(values.to_vec());
                self.head(graph, member, values)
            };
            let (start, rows, controls) = self.window_input(job, graph, plan, window);
            let input = Encoded { start, rows: &rows, controls: &controls };
            let network = (graph, plan, &plan.layout);
            let mut workspace = self.workspaces.take();
            let kept_in = Some(&mut *kept);
            let output =
                run::run(self.isa, network, input, window.span(), head, &mut workspace, kept_in);
            self.mixer.add(&mut reference, member, output);
            drop(workspace);
            let before = Before {
                member,
                graph,
                plan,
                window_plan,
                kept: &kept,
                pooled: &pooled.into_inner(),
                controls: &job.controls,
            };
            let one = |(sums, edit): (&mut Values, &WindowEdit)| {
                let mut workspace = self.workspaces.take();
                let output = self.alternative(&before, edit, &mut workspace);
                self.mixer.add(sums, member, output);
            };
            match parallel {
                true => alternatives.par_iter_mut().zip(edits).for_each(one),
                false => alternatives.iter_mut().zip(edits).for_each(one),
            }
        }
        let mean = |sums| self.mixer.mean(sums);
        WindowValues {
            reference: mean(reference),
            alternatives: alternatives.into_iter().map(mean).collect(),
        }
    }
    /// Computes a window after an edit.
    fn alternative<'w>(
        &self,
        before: &Before<'_>,
        edit: &WindowEdit,
        workspace: &'w mut Workspace,
    ) -> Output<'w> {
        let Before { graph, plan, window_plan, kept, controls, .. } = *before;
        let controlled = controls.iter().flatten().any(|&count| count != 0.0);
        let local = window_plan.local(graph, plan, edit, controlled);
        let control = graph.control().map(|node| (node, graph.channels(node)));
        let held = &local.held[..];
        let read = control.map_or(held[0], |(node, _)| held[0].hull(held[node]));
        let rows = encode(&edit.letters, read, self.unknown);
        let control_rows =
            control.map_or_else(Vec::new, |(_, channels)| given(controls, channels, read));
        let input = Encoded { start: read.start, rows: &rows, controls: &control_rows };
        let homes = &window_plan.homes[..];
        workspace.make_room(homes, held);
        let Workspace { slots, buffers, scalars } = workspace;
        let (layout, spans, extents) = (&plan.layout, held, held);
        let places = Places { isa: self.isa, layout, homes, spans, extents, input, control };
        let mut memory = Memory { places, slots, kept: None };
        let mut pooled = before.pooled.to_vec();
        let mut pool = |memory: &Memory<'_>, made: &dyn Fn(NodeId) -> bool| {
            for pool in plan.pools.iter().filter(|pool| made(pool.input)) {
                let value = pooled.iter_mut().find(|(node, _)| *node == pool.node);
                let (_, value) = value.expect("every pooling node was run");
                before.pool(pool, &local.zones[pool.input], edit, memory, value);
            }
        };
        pool(&memory, &|input| input == 0);
        for step in &plan.steps {
            for zone in local.zones[step.node].changed {
                memory.run(step, fastest(step, zone.len()), zone, zone, buffers);
            }
            for node in step.stores() {
                for copied in local.zones[node].copied.map(|copied| copied.within(held[node])) {
                    let rows = kept.rows(node, copied.source(), step.stride);
                    memory.store(node, copied.to, rows);
                }
            }
            memory.clear_margins(step);
            let made = |node| step.stores().any(|stored| stored == node);
            pool(&memory, &made);
        }
        *scalars = self.head(graph, before.member, &pooled);
        let home = homes[graph.output()].expect("the output is stored");
        let values = &slots[home.slot][..held[graph.output()].len() * home.stride];
        Output { values, stride: home.stride, scalars }
    }
}

impl Before<'_> {
    /// Brings the value of a pooling node up to date. Where no letter moves, by the positions that
    /// the edit changes alone.
    fn pool(
        &self,
        pool: &Pool,
        zones: &Zones,
        edit: &WindowEdit,
        memory: &Memory<'_>,
        value: &mut [f64],
    ) {
        let mut sums = vec![0.0; self.graph.channels(pool.input)];
        let mut add = |values: &[f32], stride: usize, count: usize, sign: f64| {
            for row in values.chunks(stride).take(count) {
                sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += sign * f64::from(x));
            }
        };
        let stride = self.window_plan.stride(pool.input);
        let letters = pool.input == 0;
        let moved = letters || (edit.left, edit.right) != (0, 0);
        let changed = match letters {
            true => [pool.span, Span::EMPTY, Span::EMPTY],
            false => zones.changed.map(|zone| zone.intersect(pool.span)),
        };
        for zone in changed.into_iter().filter(|zone| !zone.is_empty()) {
            let rows = memory.rows(pool.input, zone.start);
            add(rows.values, rows.stride, zone.len(), 1.0);
            if !moved {
                add(self.kept.rows(pool.input, zone, stride), stride, zone.len(), -1.0);
            }
        }
        let copied = zones.copied.map(|copied| copied.within(pool.span));
        for copied in copied.into_iter().filter(|copied| moved && !letters && !copied.to.is_empty())
        {
            add(self.kept.rows(pool.input, copied.source(), stride), stride, copied.to.len(), 1.0);
        }
        match self.graph.nodes()[pool.node].op {
            Op::LogTotal { offset } => {
                let old = if moved { 0.0 } else { value[0].exp() - offset };
                value[0] = (offset + old + sums.iter().sum::<f64>()).ln();
            }
            _ => value.iter_mut().zip(sums).for_each(|(value, sum)| {
                let old = if moved { 0.0 } else { *value };
                *value = old + sum / pool.span.len() as f64;
            }),
        }
    }
}

/// Rows of letters at some positions of a window; zeros beyond its ends.
fn encode(letters: &[u8], span: Span, unknown: UnknownBase) -> Vec<f32> {
    let rows = rows(unknown);
    let letter = |position: i64| letters.get(usize::try_from(position).ok()?);
    let row =
        |position| letter(position).map_or([0.0; INPUT_CHANNELS], |&l| rows[code(l) as usize]);
    (span.start..span.end).flat_map(row).collect()
}

/// Rows of control tracks at some positions of a window; zeros where none are given.
fn given(controls: &[Vec<f32>], channels: usize, span: Span) -> Vec<f32> {
    let mut rows = vec![0.0; channels * span.len()];
    for (channel, track) in controls.iter().take(channels).enumerate() {
        for (row, position) in rows.chunks_exact_mut(channels).zip(span.start..) {
            let value = usize::try_from(position).ok().and_then(|position| track.get(position));
            row[channel] = value.copied().unwrap_or(0.0);
        }
    }
    rows
}
