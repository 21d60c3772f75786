//! In which order the steps of a plan compute their positions: in waves, so that a value is read
//! while it is in cache. What is computed does not depend on it.

use super::plan::{Home, Layout, Plan, Source, Step};
use crate::network::{NodeId, Span};

/// Numbers of the widest value that one wave computes: a megabyte.
const WAVE: usize = 1 << 18;

/// What a step computes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Which step.
    pub step: usize,
    /// Whole blocks.
    pub whole: Span,
    /// What of them is kept.
    pub wanted: Span,
}

/// The turns of all steps: in waves, or one after the other where values that share a buffer would
/// come into each other's way. `spans` is what is wanted of each node, `extents` what the buffers
/// of each base hold.
pub fn turns(plan: &Plan, layout: &Layout, spans: &[Span], extents: &[Span]) -> Vec<Turn> {
    let all: Vec<Turn> = plan
        .steps
        .iter()
        .enumerate()
        .map(|(step, Step { node, .. })| {
            let wanted = layout.inside(*node, spans[*node]);
            Turn { step, whole: layout.grid(*node).cover(wanted), wanted }
        })
        .collect();
    let longest = WAVE / plan.slots.iter().max().copied().unwrap_or(1).max(1);
    if layout.has_window() || all.iter().all(|turn| turn.whole.len() <= longest) {
        return all;
    }
    let waves = in_waves(plan, layout, &all, longest as i64);
    match keep_apart(plan, &waves, extents) {
        true => waves,
        false => all,
    }
}

/// In each wave, every step goes as far as what it reads is there.
fn in_waves(plan: &Plan, layout: &Layout, all: &[Turn], longest: i64) -> Vec<Turn> {
    let mut there: Vec<i64> = vec![i64::MAX; plan.homes.len()];
    let mut done: Vec<i64> = all.iter().map(|turn| turn.whole.start).collect();
    for turn in all {
        plan.steps[turn.step].stores().for_each(|node| there[node] = turn.whole.start);
    }
    let mut turns = vec![];
    while all.iter().any(|turn| done[turn.step] < turn.whole.end) {
        for turn in all.iter().filter(|turn| !turn.whole.is_empty()) {
            let step = &plan.steps[turn.step];
            let block = layout.grid(step.node).block as i64;
            let from = done[turn.step];
            let to = turn.whole.end.min(from + (longest / block).max(1) * block);
            let to = to.min(readable(step, &there, turn.wanted.end));
            let to = if to >= turn.whole.end { turn.whole.end } else { to - (to - from) % block };
            if to <= from {
                continue;
            }
            done[turn.step] = to;
            let end = if to == turn.whole.end { i64::MAX } else { to };
            step.stores().for_each(|node| there[node] = end);
            let whole = Span::new(from, to);
            turns.push(Turn { step: turn.step, whole, wanted: whole.intersect(turn.wanted) });
        }
    }
    turns
}

/// How far a step can go: what it reads is there before position `there` of each node. Of what lies
/// beyond `wanted`, it reads the source alone.
fn readable(step: &Step, there: &[i64], wanted: i64) -> i64 {
    let partners = step.partners().map(|node| there[node]);
    let partners = partners.min().filter(|&end| end < wanted).unwrap_or(i64::MAX);
    let source = match &step.source {
        Source::Conv { input, convolution, left } => {
            there[*input].saturating_sub(convolution.span() as i64 - *left as i64)
        }
        Source::Rows(inputs) => {
            inputs.iter().map(|(node, _)| there[*node]).min().unwrap_or(i64::MAX)
        }
    };
    partners.min(source)
}

/// Whether no value is written over another one that is still read, and none over a later one.
fn keep_apart(plan: &Plan, turns: &[Turn], extents: &[Span]) -> bool {
    let offset = |home: Home, position: i64| {
        (position - extents[home.base].start) * i64::try_from(home.stride).unwrap_or(i64::MAX)
    };
    // by slot, its tenants in the order of their steps: node, and numbers written so far
    let mut tenants: Vec<Vec<(NodeId, i64)>> = vec![vec![]; plan.slots.len()];
    for node in plan.steps.iter().flat_map(Step::stores) {
        if let Some(home) = plan.homes[node] {
            tenants[home.slot].push((node, 0));
        }
    }
    // whether the numbers of a node are its own from a position on
    let own = |tenants: &[Vec<(NodeId, i64)>], node: NodeId, from: i64| {
        plan.homes[node].is_none_or(|home| {
            let others = tenants[home.slot].iter().skip_while(|tenant| tenant.0 != node).skip(1);
            others.map(|&(_, written)| written).max().unwrap_or(0) <= offset(home, from)
        })
    };
    turns.iter().filter(|turn| !turn.wanted.is_empty()).all(|turn| {
        let step = &plan.steps[turn.step];
        let from = match &step.source {
            Source::Conv { left, .. } => turn.whole.start - *left as i64,
            Source::Rows(_) => turn.wanted.start,
        };
        let fine = step.source.nodes().all(|node| own(&tenants, node, from))
            && step
                .partners()
                .chain(step.stores())
                .all(|node| own(&tenants, node, turn.wanted.start));
        for node in step.stores() {
            if let Some(home) = plan.homes[node] {
                let mut all = tenants[home.slot].iter_mut();
                if let Some(tenant) = all.find(|tenant| tenant.0 == node) {
                    tenant.1 = offset(home, turn.wanted.end);
                }
            }
        }
        fine
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Tensor, Weights};
    use crate::network::{Architecture, Graph};

    fn turns_of(graph: &Graph, length: i64) -> (Plan, Vec<Turn>) {
        let zeros = |parameter: crate::network::Parameter| {
            let values = vec![0.0; parameter.shape.iter().product()];
            (parameter.name, Tensor { shape: parameter.shape, values })
        };
        let weights: Weights = graph.parameters().into_iter().map(zeros).collect();
        let plan = Plan::new(graph, &weights, None);
        let spans = plan.layout.needed(graph, Span::new(0, length));
        let mut extents = spans.clone();
        for (node, home) in plan.homes.iter().enumerate() {
            if let Some(home) = home {
                extents[home.base] = extents[home.base].hull(spans[node]);
            }
        }
        let turns = turns(&plan, &plan.layout, &spans, &extents);
        (plan, turns)
    }

    #[test]
    fn every_preset_is_computed_in_waves_that_cover_each_step_once() {
        for preset in ["grouped", "exponential-large", "hybrid", "profile-trunk"] {
            let graph = Architecture::preset(preset).unwrap().unwrap().graph().unwrap();
            let (plan, turns) = turns_of(&graph, 50_000);
            assert!(turns.len() > 2 * plan.steps.len(), "{preset}: {} turns", turns.len());
            let mut ends = vec![None; plan.steps.len()];
            for turn in &turns {
                let end = ends[turn.step].replace(turn.whole.end);
                assert!(end.is_none_or(|end| end == turn.whole.start), "{preset}: {turn:?}");
            }
            let alone = plan.steps.iter().enumerate().map(|(step, _)| {
                turns.iter().rev().find(|turn| turn.step == step).map(|turn| turn.whole.end)
            });
            assert_eq!(ends, alone.collect::<Vec<_>>(), "{preset}");
        }
    }
}
