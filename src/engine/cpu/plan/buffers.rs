//! Which buffer each stored value lives in.

use super::fusion::Fusion;
use super::{Home, Step};
use crate::network::{Graph, NodeId};

/// Bytes per position of buffers of these widest rows.
pub fn bytes_of(slots: &[usize]) -> u64 {
    slots.iter().map(|&stride| stride as u64 * 4).sum()
}

/// Memory of the buffers of a plan per position, in bytes, without making the plan.
pub fn bytes_per_position(graph: &Graph) -> u64 {
    let (_, slots) = share_buffers(graph, &Fusion::new(graph, None, None).steps(), true);
    bytes_of(&slots)
}

/// Gives each stored value a buffer; a buffer is used again when its value is no longer read, and
/// with `in_place`, a sum is written over its summand where nobody reads that later.
pub fn share_buffers(
    graph: &Graph,
    steps: &[Step],
    in_place: bool,
) -> (Vec<Option<Home>>, Vec<usize>) {
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
            let replaceable = if in_place { step.replaceable() } else { vec![] };
            let mut dying = replaceable.into_iter().filter(|&node| last_read[node] == index);
            let over = dying.find_map(|node| homes[node].filter(|home| home.stride == step.stride));
            place(step.node, over, &mut homes);
        }
        for branch in &step.branches {
            place(branch.node, None, &mut homes);
        }
    }
    (homes, slots)
}
