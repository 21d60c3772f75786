//! Edits of a sequence: the reference is computed once for all edits of a stretch, and each edit
//! only where it changes something that its window needs (docs/decisions/edits.md).

mod alternative;
mod cone;
mod group;
mod kept;
mod window;

pub use kept::Kept;
pub use window::WindowPlan;

use super::plan::{Home, Layout, Plan, bytes_of, share_buffers};
use super::run::{self, Encoded};
use super::{CpuEngine, one_hot};
use crate::engine::Values;
use crate::engine::edit::{Edit, EditValues, Stretch};
use crate::engine::mix::Output;
use crate::error::Result;
use crate::network::{Graph, NodeId, Reach, Span};
use cone::Cone;
use group::Group;
use rayon::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Most memory for the values that one thread keeps of the reference, in bytes.
const MOST_KEPT: u64 = 192 << 20;

/// What the edits of a network have in common, whatever the weights.
#[derive(Debug)]
pub struct EditPlan {
    /// Kernels and blocks of the reference.
    layout: Layout,
    /// Where the values of an edited sequence live: no sum over its summand, because more of the
    /// sum is held than was computed.
    homes: Vec<Option<Home>>,
    /// Positions between windows from which on they are computed apart.
    gap: u64,
    /// Longest hull of windows whose kept values fit [`MOST_KEPT`].
    longest: u64,
}

impl EditPlan {
    /// For all members of a network, of which `plan` is one.
    pub fn new(graph: &Graph, plan: &Plan) -> Self {
        let layout = Layout::for_edits(graph, &plan.steps);
        let (homes, _) = share_buffers(graph, &plan.steps, false);
        let strides: Vec<usize> = homes.iter().flatten().map(|home| home.stride).collect();
        let gap = layout.overhead_positions(graph, &plan.steps);
        let context = graph.reach().receptive_field() - 1;
        let longest = (MOST_KEPT / bytes_of(&strides).max(1)).saturating_sub(context);
        Self { layout, homes, gap, longest }
    }

    /// How far beyond its windows the reference is read.
    pub fn reach(&self, graph: &Graph) -> Reach {
        self.layout.reach(graph)
    }

    fn stride(&self, node: NodeId) -> usize {
        self.homes[node].map_or(0, |home| home.stride)
    }
}

/// One edit in one network.
struct Local {
    cone: Cone,
    /// The edited sequence, encoded, where the cone holds it.
    input: Vec<f32>,
}

/// The edits of a group in one network, and what they read of the reference.
struct Locals {
    edits: Vec<Local>,
    kept: Vec<Span>,
}

/// Sums over the members so far.
struct Running<'a> {
    edit: &'a Edit,
    reference: Values,
    alternative: Values,
}

impl CpuEngine {
    /// See [`crate::engine::Engine::run_edits`].
    pub(super) fn edits(
        &self,
        stretches: &[Stretch],
        after_each: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<Vec<Vec<EditValues>>> {
        let plans = || self.edit_plans.iter().flatten();
        let gap = plans().map(|plan| plan.gap).max().unwrap_or(0);
        let longest = plans().map(|plan| plan.longest).min().unwrap_or(0);
        let groups = group::groups(stretches, gap, longest);
        let missing: Vec<AtomicUsize> = stretches.iter().map(|_| AtomicUsize::new(0)).collect();
        for group in &groups {
            missing[group.stretch].fetch_add(1, Ordering::Relaxed);
        }
        for (index, missing) in missing.iter().enumerate() {
            if missing.load(Ordering::Relaxed) == 0 {
                after_each(index)?;
            }
        }
        // A thread that waits for parts of its group would begin another one and keep both.
        let apart = groups.len() >= rayon::current_num_threads();
        let one = |group: &Group| {
            let values = self.group(group, &stretches[group.stretch], !apart);
            if missing[group.stretch].fetch_sub(1, Ordering::AcqRel) == 1 {
                after_each(group.stretch)?;
            }
            Ok(values)
        };
        let values: Vec<Vec<EditValues>> = groups.par_iter().map(one).collect::<Result<_>>()?;
        let mut all: Vec<Vec<Option<EditValues>>> =
            stretches.iter().map(|stretch| vec![None; stretch.edits.len()]).collect();
        for (group, values) in groups.iter().zip(values) {
            for (&edit, values) in group.edits.iter().zip(values) {
                all[group.stretch][edit] = Some(values);
            }
        }
        let complete = |values: Vec<Option<EditValues>>| {
            values.into_iter().map(|values| values.expect("every edit is in one group")).collect()
        };
        Ok(all.into_iter().map(complete).collect())
    }

    /// Values of the edits of a group, in its order.
    fn group(&self, group: &Group, stretch: &Stretch, parallel: bool) -> Vec<EditValues> {
        let edits: Vec<&Edit> = group.edits.iter().map(|&edit| &stretch.edits[edit]).collect();
        let locals: Vec<Option<Locals>> = self
            .networks
            .iter()
            .zip(&self.edit_plans)
            .map(|(graph, plan)| plan.as_ref().map(|_| self.locals(graph, stretch, &edits)))
            .collect();
        let letters = group.letters(stretch, self.reach);
        let rows = one_hot(&stretch.letters[letters.clone()], self.unknown);
        let input =
            Encoded { start: stretch.start + letters.start as i64, rows: &rows, controls: &[] };
        let mut running: Vec<Running<'_>> = edits
            .iter()
            .map(|edit| Running {
                edit,
                reference: self.mixer.sums(edit.window.len()),
                alternative: self.mixer.sums(edit.window_after().len()),
            })
            .collect();
        for &member in self.mixer.members() {
            let (network, plan) = self.member(member);
            let graph = &self.networks[network];
            let edit_plan = self.edit_plans[network].as_ref().expect("planned with its member");
            let locals = locals[network].as_ref().expect("as its plan");
            let mut kept = self.kept.take();
            kept.make_room(locals.kept.clone(), |node| edit_plan.stride(node));
            let whole = (graph, plan, &edit_plan.layout);
            run::run(
                self.isa,
                whole,
                input,
                group.windows,
                |_| vec![],
                &mut self.workspaces.take(),
                Some(&mut kept),
            );
            let one = |(running, local): (&mut Running<'_>, &Local)| {
                let (output, stride) = (graph.output(), edit_plan.stride(graph.output()));
                let values = kept.rows(output, running.edit.window, stride);
                self.mixer.add(
                    &mut running.reference,
                    member,
                    Output { values, stride, scalars: &[] },
                );
                let mut workspace = self.workspaces.take();
                let input =
                    Encoded { start: local.cone.held[0].start, rows: &local.input, controls: &[] };
                let part = (graph, plan, &edit_plan.homes[..]);
                let output =
                    alternative::run(self.isa, part, &local.cone, input, &kept, &mut workspace);
                self.mixer.add(&mut running.alternative, member, output);
            };
            match parallel {
                true => running.par_iter_mut().zip(&locals.edits).for_each(one),
                false => running.iter_mut().zip(&locals.edits).for_each(one),
            }
        }
        let values = |running: Running<'_>| EditValues {
            reference: self.mixer.mean(running.reference),
            alternative: self.mixer.mean(running.alternative),
        };
        running.into_iter().map(values).collect()
    }

    /// The edits of a group in one network.
    fn locals(&self, graph: &Graph, stretch: &Stretch, edits: &[&Edit]) -> Locals {
        let mut kept = vec![Span::EMPTY; graph.nodes().len()];
        let mut locals = Vec::with_capacity(edits.len());
        for edit in edits {
            let cone = Cone::new(graph, edit);
            for (node, kept) in kept.iter_mut().enumerate().skip(1) {
                for copied in cone.copied(node) {
                    *kept = kept.hull(copied.source());
                }
            }
            kept[graph.output()] = kept[graph.output()].hull(edit.window);
            let input = one_hot(&stretch.edited(edit, cone.held[0]), self.unknown);
            locals.push(Local { cone, input });
        }
        Locals { edits: locals, kept }
    }
}
