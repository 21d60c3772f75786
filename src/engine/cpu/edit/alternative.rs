//! Runs a network over an edited sequence, where that differs from the reference.

use super::cone::Cone;
use super::kept::Kept;
use crate::engine::cpu::Isa;
use crate::engine::cpu::kernel::Choice;
use crate::engine::cpu::plan::{Home, Plan, Source, Step};
use crate::engine::cpu::run::{Encoded, Memory, Places, Workspace};
use crate::engine::mix::Output;
use crate::network::Graph;

/// Computes the window of an edit on the edited sequence. `input` covers what the cone holds of
/// it, `reference` what it copies.
pub fn run<'w>(
    isa: Isa,
    (graph, plan, homes): (&Graph, &Plan, &[Option<Home>]),
    cone: &Cone,
    input: Encoded<'_>,
    reference: &Kept,
    workspace: &'w mut Workspace,
) -> Output<'w> {
    let (layout, held) = (&plan.layout, &cone.held[..]);
    workspace.make_room(homes, held);
    let Workspace { slots, buffers, .. } = workspace;
    let (spans, extents) = (held, held);
    let places = Places { isa, layout, homes, spans, extents, input, control: None };
    let mut memory = Memory { places, slots, kept: None };
    for step in &plan.steps {
        let wanted = cone.computed[step.node];
        memory.run(step, fastest(step, wanted.len()), wanted, wanted, buffers);
        for node in step.stores() {
            for copied in cone.copied(node).into_iter().filter(|copied| !copied.to.is_empty()) {
                let rows = reference.rows(node, copied.source(), step.stride);
                memory.store(node, copied.to, rows);
            }
        }
    }
    let home = homes[graph.output()].expect("the output is stored");
    let values = &slots[home.slot][..held[graph.output()].len() * home.stride];
    Output { values, stride: home.stride, scalars: &[] }
}

/// The kernel for so many rows of a step.
pub fn fastest(step: &Step, rows: usize) -> Choice {
    match &step.source {
        Source::Conv { convolution, .. } => convolution.fastest(rows),
        Source::Rows(_) => Choice::Direct,
    }
}
