//! Which edits share a reference: those of one stretch whose windows lie close together.

use crate::engine::edit::Stretch;
use crate::network::{Reach, Span};
use std::ops::Range;

/// Edits of one stretch that share a reference.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    /// Which stretch.
    pub stretch: usize,
    /// Which of its edits, in the order of their windows.
    pub edits: Vec<usize>,
    /// All their windows.
    pub windows: Span,
}

impl Group {
    /// Which letters of its stretch the windows read.
    pub fn letters(&self, stretch: &Stretch, reach: Reach) -> Range<usize> {
        let read = self.windows.widen(reach.left, reach.right);
        if read.is_empty() {
            return 0..0;
        }
        let from = usize::try_from(read.start - stretch.start);
        let from = from.expect("the letters of a stretch cover what its windows read");
        from..from + read.len()
    }
}

/// Groups the edits of each stretch: windows with more than `gap` positions between them, or that
/// span more than `longest` positions together, are apart.
pub fn groups(stretches: &[Stretch], gap: u64, longest: u64) -> Vec<Group> {
    let mut groups: Vec<Group> = vec![];
    for (stretch, Stretch { edits, .. }) in stretches.iter().enumerate() {
        let mut order: Vec<usize> = (0..edits.len()).collect();
        order.sort_by_key(|&edit| edits[edit].window.start);
        for edit in order {
            let window = edits[edit].window;
            if let Some(last) = groups.last_mut().filter(|last| last.stretch == stretch) {
                let both = last.windows.hull(window);
                let between = window.start.saturating_sub(last.windows.end);
                let near = between <= i64::try_from(gap).unwrap_or(i64::MAX);
                if near && both.len() as u64 <= longest {
                    last.windows = both;
                    last.edits.push(edit);
                    continue;
                }
            }
            groups.push(Group { stretch, edits: vec![edit], windows: window });
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::edit::Edit;

    #[test]
    fn near_edits_share_a_reference_and_far_ones_do_not() {
        let edit = |start: i64, end: i64| Edit {
            start,
            removed: 1,
            inserted: b"A".to_vec(),
            window: Span::new(start, end),
        };
        let stretch = |edits| Stretch { start: 0, letters: vec![], edits };
        let stretches = [
            stretch(vec![edit(500, 510), edit(100, 110), edit(115, 120)]),
            stretch(vec![]),
            stretch(vec![edit(500, 510), edit(505, 560), edit(530, 535), edit(600, 700)]),
        ];
        let found: Vec<(usize, Vec<usize>, Span)> = groups(&stretches, 10, 60)
            .into_iter()
            .map(|g| (g.stretch, g.edits, g.windows))
            .collect();
        let expected = [
            (0, vec![1, 2], Span::new(100, 120)),
            (0, vec![0], Span::new(500, 510)),
            (2, vec![0, 1, 2], Span::new(500, 560)),
            (2, vec![3], Span::new(600, 700)),
        ];
        assert_eq!(found, expected);
    }
}
