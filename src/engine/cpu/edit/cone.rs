//! Which positions of a network an edit changes, which of them its window needs, and where the
//! others come from.
//!
//! Positions here are those of the edited sequence unless said otherwise. To the left of what is
//! changed they are those of the reference; to the right they lie further by the edit's growth.

use crate::engine::edit::Edit;
use crate::network::{Graph, NodeId, Span};

/// Positions that no sequence reaches, with room for the reach of any network beside them.
const EVERYWHERE: Span = Span { start: i64::MIN / 2, end: i64::MAX / 2 };

/// The positions of every node that matter for one edit.
#[derive(Debug)]
pub struct Cone {
    /// What can differ from the reference. An empty range still says where: there, letters were
    /// removed.
    changed: Vec<Span>,
    /// What is computed: changed, and needed by the window after the edit.
    pub computed: Vec<Span>,
    /// What the computation reads: computed positions, and positions of the reference beside them.
    /// Of the output: the window after the edit.
    pub held: Vec<Span>,
    growth: i64,
}

/// Positions of an edited sequence that are those of the reference: where they begin in either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Positions in the edited sequence.
    pub to: Span,
    /// The first of them in the reference.
    pub from: i64,
}

impl Copied {
    /// The positions in the reference.
    pub fn source(self) -> Span {
        Span::new(self.from, self.from + self.to.len() as i64)
    }
}

impl Cone {
    /// Walks through a network for one edit.
    pub fn new(graph: &Graph, edit: &Edit) -> Self {
        let window = edit.window_after();
        let needed = graph.needed(window);
        let changed = changed(graph, edit);
        let computed: Vec<Span> = needed
            .iter()
            .zip(&changed)
            .map(|(needed, changed)| needed.intersect(*changed))
            .collect();
        let mut held = vec![Span::EMPTY; computed.len()];
        held[graph.output()] = window;
        for (node, computed) in graph.nodes().iter().zip(&computed) {
            let reach = node.op.reach();
            for &input in &node.inputs {
                held[input] = held[input].hull(computed.widen(reach.left, reach.right));
            }
        }
        Self { changed, computed, held, growth: edit.growth() }
    }

    /// What is held of a node without being changed: to the left of the change and to the right.
    pub fn copied(&self, node: NodeId) -> [Copied; 2] {
        let (held, changed) = (self.held[node], self.changed[node]);
        let left = held.intersect(Span::new(held.start, changed.start));
        let right = held.intersect(Span::new(changed.end, held.end));
        [
            Copied { to: left, from: left.start },
            Copied { to: right, from: right.start - self.growth },
        ]
    }
}

/// The positions of each node that can change.
fn changed(graph: &Graph, edit: &Edit) -> Vec<Span> {
    let (start, removed_end) = (edit.start, edit.start + edit.removed as i64);
    let aside = start > edit.window.end || removed_end < edit.window.start;
    if edit.growth() > 0 && (aside || edit.window.is_empty()) {
        // Letters that no output of the reference's window reads move into the window.
        return vec![EVERYWHERE; graph.nodes().len()];
    }
    let mut changed = vec![Span::new(start, start + edit.inserted.len() as i64)];
    for node in &graph.nodes()[1..] {
        let reach = node.op.reach();
        // unlike `Span::widen`, a place between two positions grows to those that see both sides
        let widened = node.inputs.iter().map(|&input| Span {
            start: changed[input].start.saturating_sub_unsigned(reach.right),
            end: changed[input].end.saturating_add_unsigned(reach.left),
        });
        let hull = |a: Span, b: Span| Span::new(a.start.min(b.start), a.end.max(b.end));
        changed.push(widened.reduce(hull).expect("every node but the first reads another"));
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{GraphBuilder, Op};

    /// Two convolutions of three taps and one of a single tap.
    fn graph() -> Graph {
        let mut g = GraphBuilder::new();
        let x = g.add("a", Op::centred(1, 3, 1), &[0]).unwrap();
        let x = g.add("b", Op::centred(1, 3, 2), &[x]).unwrap();
        g.add("c", Op::pointwise(1), &[x]).unwrap();
        g.finish().unwrap()
    }

    fn edit(start: i64, removed: usize, inserted: &[u8], window: (i64, i64)) -> Edit {
        let window = Span::new(window.0, window.1);
        Edit { start, removed, inserted: inserted.to_vec(), window }
    }

    #[test]
    fn a_substitution_is_computed_where_it_is_seen_and_needed() {
        let cone = Cone::new(&graph(), &edit(100, 1, b"A", (90, 102)));
        let spans = [(100, 101), (99, 102), (97, 102), (97, 102)];
        assert_eq!(cone.computed, spans.map(|(a, b)| Span::new(a, b)));
        let held = [(98, 103), (95, 104), (97, 102), (90, 102)];
        assert_eq!(cone.held, held.map(|(a, b)| Span::new(a, b)));
        let [left, right] = cone.copied(1);
        assert_eq!((left.to, left.from), (Span::new(95, 99), 95));
        assert_eq!((right.to, right.from), (Span::new(102, 104), 102));
        assert!(cone.copied(3)[1].to.is_empty());
    }

    #[test]
    fn what_lies_behind_an_indel_comes_from_where_it_was() {
        let cone = Cone::new(&graph(), &edit(100, 5, b"A", (90, 120)));
        assert_eq!(cone.held[3], Span::new(90, 116));
        assert_eq!(cone.computed[3], Span::new(97, 104));
        let [left, right] = cone.copied(3);
        assert_eq!((left.to, left.from), (Span::new(90, 97), 90));
        assert_eq!((right.to, right.source()), (Span::new(104, 116), Span::new(108, 120)));
    }

    #[test]
    fn removed_letters_leave_a_place_that_is_seen_from_both_sides() {
        let cone = Cone::new(&graph(), &edit(100, 2, b"", (90, 120)));
        assert!(cone.computed[0].is_empty());
        assert_eq!(cone.computed[1], Span::new(99, 101));
        assert_eq!(cone.computed[3], Span::new(97, 103));
        let [left, right] = cone.copied(0);
        assert_eq!((left.to, right.source()), (Span::new(98, 100), Span::new(102, 104)));
    }

    #[test]
    fn letters_that_move_into_the_window_make_everything_new() {
        let cone = Cone::new(&graph(), &edit(50, 0, b"ACGT", (90, 100)));
        assert_eq!(cone.computed[3], Span::new(90, 104));
        assert!(cone.copied(1).iter().all(|copied| copied.to.is_empty()));
        let far = Cone::new(&graph(), &edit(50, 1, b"A", (90, 100)));
        assert!(far.computed.iter().all(|span| span.is_empty()));
        assert_eq!(far.copied(3)[1].source(), Span::new(90, 100));
    }
}
