//! Which positions of a window an edit changes, node by node, and where the others come from.
//!
//! Positions are those of the window after the edit. Before the edit what is not changed comes from
//! so many positions further left as the letters there have moved, and behind it likewise. Where
//! letters move, an end of the window lies elsewhere among them: what reads beyond it, or comes from
//! there, is changed too.

use super::super::cone::Copied;
use crate::engine::edit::WindowEdit;
use crate::network::{Reach, Span};

/// Before all positions and behind them, with room for the reach of any network beside them.
const ENDS: Span = Span { start: i64::MIN / 2, end: i64::MAX / 2 };

/// Neutral where ranges are joined.
const NOWHERE: Span = Span { start: ENDS.end, end: ENDS.start };

/// What can differ from the reference: all before `left`, `middle`, and all from `right` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed {
    left: i64,
    /// An empty range still says where: there, letters were removed. One that ends before it starts
    /// is nowhere.
    middle: Span,
    right: i64,
}

impl Changed {
    /// Nothing.
    pub const NOTHING: Self = Self { left: ENDS.start, middle: NOWHERE, right: ENDS.end };
    /// All positions.
    pub const EVERYTHING: Self = Self { left: ENDS.end, middle: NOWHERE, right: ENDS.start };

    /// The letters that an edit changes.
    pub fn of(edit: &WindowEdit) -> Self {
        Self { middle: edit.changed, ..Self::NOTHING }
    }

    /// What changes besides because values that lie `inside` have moved against the ends.
    pub fn at_ends(inside: Span, edit: &WindowEdit) -> Self {
        let Span { start, end } = inside;
        // an edit near an end may leave room for letters that come from beyond the other one
        let middle = Span {
            start: if edit.left < 0 { end + edit.left } else { NOWHERE.start },
            end: if edit.right > 0 { start + edit.right } else { NOWHERE.end },
        };
        Self {
            left: if edit.left == 0 { ENDS.start } else { start + edit.left.max(0) },
            middle,
            right: if edit.right == 0 { ENDS.end } else { end + edit.right.min(0) },
        }
    }

    /// What sees it from so far. A place between two positions grows to those that see both sides.
    pub fn seen_from(self, reach: Reach) -> Self {
        let middle = Span {
            start: self.middle.start.saturating_sub_unsigned(reach.right),
            end: self.middle.end.saturating_add_unsigned(reach.left),
        };
        Self {
            left: self.left.saturating_add_unsigned(reach.left),
            middle,
            right: self.right.saturating_sub_unsigned(reach.right),
        }
    }

    /// What is changed in either.
    pub fn and(self, other: Self) -> Self {
        let (a, b) = (self.middle, other.middle);
        let middle = Span::new(a.start.min(b.start), a.end.max(b.end));
        Self { left: self.left.max(other.left), middle, right: self.right.min(other.right) }
    }

    /// The same for the positions of a node that lie `inside`.
    pub fn zones(self, inside: Span, edit: &WindowEdit) -> Zones {
        let Span { start, end } = if inside.is_empty() { Span::EMPTY } else { inside };
        let left = self.left.clamp(start, end);
        let right = self.right.clamp(left, end);
        let from = self.middle.start.clamp(left, right);
        let to = self.middle.end.clamp(from, right);
        let copied = |start, end, by| Copied { to: Span::new(start, end), from: start - by };
        Zones {
            changed: [Span::new(start, left), Span::new(from, to), Span::new(right, end)],
            copied: [copied(left, from, edit.left), copied(to, right, edit.right)],
        }
    }
}

/// The positions of a node: what is changed, and what comes from the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zones {
    /// At the left end, at the edit and at the right end; apart from each other, perhaps empty.
    pub changed: [Span; 3],
    /// Before the edit and behind it.
    pub copied: [Copied; 2],
}

impl Zones {
    /// From the first changed position to the last.
    pub fn hull(&self) -> Span {
        let zones = self.changed.into_iter().filter(|zone| !zone.is_empty());
        zones.fold(Span::EMPTY, Span::hull)
    }
}

impl Copied {
    /// The part of it that lies in a range.
    pub fn within(self, span: Span) -> Self {
        let to = self.to.intersect(span);
        Self { to, from: self.from + (to.start - self.to.start) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(changed: (i64, i64), left: i64, right: i64) -> WindowEdit {
        let changed = Span::new(changed.0, changed.1);
        WindowEdit { letters: vec![], changed, left, right }
    }

    /// Zones of the letters of a window of 20, and of what sees three of them.
    fn zones(edit: &WindowEdit) -> [Zones; 2] {
        let inside = Span::new(0, 20);
        let ends = Changed::at_ends(inside, edit);
        let letters = Changed::of(edit).and(ends);
        let seen = letters.seen_from(Reach { left: 1, right: 1 }).and(ends);
        [letters.zones(inside, edit), seen.zones(inside, edit)]
    }

    fn pairs(zones: &Zones) -> [(i64, i64); 3] {
        zones.changed.map(|zone| (zone.start, zone.end))
    }

    #[test]
    fn a_substitution_changes_what_sees_it() {
        let [letters, seen] = zones(&edit((10, 11), 0, 0));
        assert_eq!(pairs(&letters), [(0, 0), (10, 11), (20, 20)]);
        assert_eq!(pairs(&seen), [(0, 0), (9, 12), (20, 20)]);
        assert_eq!((seen.copied[0].to, seen.copied[0].from), (Span::new(0, 9), 0));
        assert_eq!((seen.copied[1].to, seen.copied[1].from), (Span::new(12, 20), 12));
    }

    #[test]
    fn letters_that_move_change_the_end_that_they_move_over() {
        // two letters inserted: those behind lie two further, and the last two are gone
        let [letters, seen] = zones(&edit((10, 13), 0, 2));
        assert_eq!(pairs(&letters), [(0, 0), (10, 13), (20, 20)]);
        assert_eq!((letters.copied[1].to, letters.copied[1].from), (Span::new(13, 20), 11));
        assert_eq!(pairs(&seen), [(0, 0), (9, 14), (19, 20)], "19 sees the end of the window");
        // two letters removed: two enter at the end
        let [letters, seen] = zones(&edit((10, 10), 0, -2));
        assert_eq!(pairs(&letters), [(0, 0), (10, 10), (18, 20)]);
        assert_eq!(pairs(&seen), [(0, 0), (9, 11), (17, 20)]);
        assert_eq!((seen.copied[1].to, seen.copied[1].from), (Span::new(11, 17), 13));
        // to both sides
        let [letters, seen] = zones(&edit((10, 10), 1, -1));
        assert_eq!(pairs(&letters), [(0, 1), (10, 10), (19, 20)]);
        assert_eq!(pairs(&seen), [(0, 2), (9, 11), (18, 20)]);
        assert_eq!((seen.copied[0].to, seen.copied[0].from), (Span::new(2, 9), 1));
    }

    #[test]
    fn zones_that_meet_hold_each_position_once() {
        let [_, seen] = zones(&edit((18, 19), 0, -1));
        assert_eq!(pairs(&seen), [(0, 0), (17, 18), (18, 20)]);
        assert!(seen.copied[1].to.is_empty());
        let inside = Span::new(0, 20);
        let all = Changed::EVERYTHING.zones(inside, &edit((3, 4), 0, 1));
        assert_eq!(pairs(&all), [(0, 20), (20, 20), (20, 20)]);
        assert!(all.copied.iter().all(|copied| copied.to.is_empty()));
        let none = Changed::NOTHING.zones(inside, &edit((3, 4), 0, 1));
        assert_eq!((none.copied[0].to, none.hull()), (inside, Span::EMPTY));
    }
}
