//! Which of many stretches a base lies in, found in logarithmic time.

/// Stretches of one contig, as a balanced tree laid out in one list.
///
/// The root of the places `[low, high)` is the middle one; `highest` of a root is the largest end
/// in its tree, so that trees which end too early are never entered.
#[derive(Debug, Clone)]
pub(super) struct Index {
    /// By start.
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    start: u64,
    end: u64,
    highest: u64,
    item: usize,
}

impl Index {
    /// An index of items, each with the stretch (0-based, half-open) that `span` gives.
    pub(super) fn new(items: Vec<usize>, span: impl Fn(usize) -> (u64, u64)) -> Self {
        let node = |item| {
            let (start, end) = span(item);
            Node { start, end, highest: end, item }
        };
        let mut nodes: Vec<Node> = items.into_iter().map(node).collect();
        nodes.sort_by_key(|node| (node.start, node.item));
        fill(&mut nodes);
        Self { nodes }
    }

    /// The items that a base (0-based) lies in, in ascending order.
    pub(super) fn at(&self, position: u64) -> Vec<usize> {
        let mut found = Vec::new();
        gather(&self.nodes, position, &mut found);
        found.sort_unstable();
        found
    }
}

/// Sets the largest end of each tree and returns that of the whole.
fn fill(nodes: &mut [Node]) -> u64 {
    let middle = nodes.len() / 2;
    let (left, rest) = nodes.split_at_mut(middle);
    let Some((root, right)) = rest.split_first_mut() else { return 0 };
    root.highest = root.end.max(fill(left)).max(fill(right));
    root.highest
}

fn gather(nodes: &[Node], position: u64, found: &mut Vec<usize>) {
    let (left, rest) = nodes.split_at(nodes.len() / 2);
    let Some((root, right)) = rest.split_first() else { return };
    if root.highest <= position {
        return;
    }
    gather(left, position, found);
    if root.start <= position {
        if position < root.end {
            found.push(root.item);
        }
        gather(right, position, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_tree_finds_what_a_look_at_each_stretch_finds(
            spans in prop::collection::vec((0_u64..60, 1_u64..30), 0..40),
            position in 0_u64..100,
        ) {
            let span = |item: usize| (spans[item].0, spans[item].0 + spans[item].1);
            let index = Index::new((0..spans.len()).collect(), span);
            let holds = |item: &usize| (span(*item).0..span(*item).1).contains(&position);
            let expected: Vec<usize> = (0..spans.len()).filter(holds).collect();
            prop_assert_eq!(index.at(position), expected);
        }
    }
}
