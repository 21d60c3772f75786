//! The letters that alleles are predicted from (track-effects.md A1, B1, B2).

use super::pairs::Moved;
use super::reading::Frame;
use super::settings::IndelRule;
use crate::effect::signed;
use crate::engine::{Edit, EditedWindow, Job, Stretch, WindowEdit};
use crate::genome::Strand;
use crate::genome::sequence::reverse_complement;
use crate::network::{Reach, Span};

/// One ALT in place of REF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// Letters of REF.
    pub removed: usize,
    /// ALT in capitals.
    pub inserted: Vec<u8>,
}

/// How far letters before a change and behind it move to the right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shifts {
    left: i64,
    right: i64,
}

impl Change {
    fn growth(&self) -> i64 {
        signed(self.inserted.len()) - signed(self.removed)
    }

    fn shifts(&self, rule: IndelRule) -> Shifts {
        let growth = self.growth();
        let left = match rule {
            IndelRule::RightSlide => 0,
            // half of the difference, the smaller half, moves out of the window or into it
            IndelRule::Center => -growth.signum() * (growth.abs() / 2),
        };
        Shifts { left, right: left + growth }
    }
}

/// What is read around a variant.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// A window, with POS on one of its bases.
    Window {
        frame: Frame,
        /// The base that POS lies on.
        anchor: usize,
        indel: IndelRule,
    },
    /// So many rows on either side of POS, and what the network reads around them.
    Rows { distance: usize, reach: Reach, strand: Strand },
}

/// Letters around a variant on the plus strand.
#[derive(Debug, Clone)]
pub(super) struct Around {
    /// The letters, with REF as the record has it.
    pub letters: Vec<u8>,
    /// Where POS is among them.
    pub at: usize,
}

/// What an engine is asked for.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// Of a model with a window: the strand as it is, and its reverse complement.
    Windows(EditedWindow, Option<EditedWindow>),
    /// Of a model without one.
    Stretch(Stretch),
}

impl Shape {
    /// Genomic range of the letters that some changes at a position need.
    pub fn reads(&self, start: i64, changes: &[Change]) -> Span {
        match *self {
            Self::Window { frame, anchor, indel } => {
                let shifts = || changes.iter().map(|change| change.shifts(indel));
                let before = shifts().map(|shifts| shifts.left.max(0)).max().unwrap_or(0);
                let behind = shifts().map(|shifts| (-shifts.right).max(0)).max().unwrap_or(0);
                let first = start - signed(anchor);
                Span::new(first - before, first + signed(frame.input) + behind)
            }
            Self::Rows { distance, reach, strand } => {
                let (left, right) = match strand {
                    Strand::Plus => (reach.left, reach.right),
                    Strand::Minus => (reach.right, reach.left),
                };
                let rows = Span::new(start - signed(distance), start + signed(distance) + 1);
                let removed = changes.iter().map(|change| signed(change.removed)).max();
                rows.widen(left, right).hull(Span::new(start, start + removed.unwrap_or(0)))
            }
        }
    }

    /// Genomic range of the window, or of the rows.
    pub fn span(&self, start: i64) -> Span {
        match *self {
            Self::Window { frame, anchor, .. } => {
                let first = start - signed(anchor);
                Span::new(first, first + signed(frame.input))
            }
            Self::Rows { .. } => self.reads(start, &[]),
        }
    }

    /// Genomic position of the first output.
    pub fn first_output(&self, start: i64) -> i64 {
        match *self {
            Self::Window { frame, anchor, .. } => start - signed(anchor) + signed(frame.before),
            Self::Rows { distance, .. } => start - signed(distance),
        }
    }

    /// Outputs before an edit.
    pub fn outputs(&self) -> usize {
        match *self {
            Self::Window { frame, .. } => frame.output,
            Self::Rows { distance, .. } => 2 * distance + 1,
        }
    }

    /// Outputs after an edit.
    pub fn outputs_after(&self, change: &Change) -> usize {
        match *self {
            Self::Window { frame, .. } => frame.output,
            Self::Rows { distance, .. } => {
                usize::try_from(signed(2 * distance + 1) + change.growth()).unwrap_or(0)
            }
        }
    }

    /// The change as outputs see it.
    pub fn moved(&self, change: &Change) -> Moved {
        let (at, left) = match *self {
            Self::Window { frame, anchor, indel } => {
                (signed(anchor) - signed(frame.before), change.shifts(indel).left)
            }
            Self::Rows { distance, .. } => (signed(distance), 0),
        };
        let [removed, inserted] = [change.removed, change.inserted.len()].map(signed);
        Moved { at, removed, inserted, left }
    }

    /// What an engine computes for some changes; `start` and `contig` are the position of POS and
    /// the length of its contig.
    pub fn work(
        &self,
        around: &Around,
        changes: &[Change],
        start: i64,
        contig: i64,
        both_strands: bool,
    ) -> Work {
        match *self {
            Self::Window { frame, anchor, indel } => {
                let origin = around.at - anchor;
                let letters = around.letters[origin..origin + frame.input].to_vec();
                let edit = |change: &Change| window_edit(around, origin, frame, change, indel);
                let edits = changes.iter().map(edit).collect();
                let job = Job::new(0, frame.output, letters);
                let forward = EditedWindow { job, edits };
                let reverse = both_strands.then(|| reversed(&forward));
                Work::Windows(forward, reverse)
            }
            Self::Rows { distance, strand, .. } => {
                let first = start - signed(around.at);
                let edit = |change: &Change| Edit {
                    start,
                    removed: change.removed,
                    inserted: change.inserted.clone(),
                    window: Span::new(start - signed(distance), start + signed(distance) + 1),
                };
                let edits = changes.iter().map(edit).collect();
                let stretch = Stretch { start: first, letters: around.letters.clone(), edits };
                Work::Stretch(match strand {
                    Strand::Plus => stretch,
                    Strand::Minus => turned(stretch, contig),
                })
            }
        }
    }
}

/// The window after a change.
fn window_edit(
    around: &Around,
    origin: usize,
    frame: Frame,
    change: &Change,
    indel: IndelRule,
) -> WindowEdit {
    let Shifts { left, right } = change.shifts(indel);
    let mut edited = around.letters.clone();
    let inserted = change.inserted.iter().copied();
    edited.splice(around.at..around.at + change.removed, inserted);
    let from = usize::try_from(signed(origin) - left).expect("letters before the window");
    let start = signed(around.at - origin) + left;
    let changed = Span::new(start, start + signed(change.inserted.len()));
    WindowEdit { letters: edited[from..from + frame.input].to_vec(), changed, left, right }
}

/// The reverse complement of a window and of its edits.
fn reversed(window: &EditedWindow) -> EditedWindow {
    let turn = |letters: &[u8]| {
        let mut letters = letters.to_vec();
        reverse_complement(&mut letters);
        letters
    };
    let length = signed(window.job.letters.len());
    let edit = |edit: &WindowEdit| WindowEdit {
        letters: turn(&edit.letters),
        changed: Span::new(length - edit.changed.end, length - edit.changed.start),
        left: -edit.right,
        right: -edit.left,
    };
    let job = Job { letters: turn(&window.job.letters), ..window.job.clone() };
    EditedWindow { job, edits: window.edits.iter().map(edit).collect() }
}

/// A stretch as the minus strand of a contig has it.
pub(super) fn turned(stretch: Stretch, contig: i64) -> Stretch {
    let Stretch { start, mut letters, edits } = stretch;
    let first = contig - (start + signed(letters.len()));
    reverse_complement(&mut letters);
    let edit = |edit: Edit| {
        let mut inserted = edit.inserted;
        reverse_complement(&mut inserted);
        let window = Span::new(contig - edit.window.end, contig - edit.window.start);
        let start = contig - (edit.start + signed(edit.removed));
        Edit { start, removed: edit.removed, inserted, window }
    };
    Stretch { start: first, letters, edits: edits.into_iter().map(edit).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(removed: usize, inserted: &[u8]) -> Change {
        Change { removed, inserted: inserted.to_vec() }
    }

    /// A window of eight letters, POS on the fifth, in CCCCCCAGTTTTTTTT from its third letter.
    fn edited(removed: usize, inserted: &[u8], indel: IndelRule) -> (String, WindowEdit) {
        let frame = Frame { input: 8, output: 4, before: 2, anchor: 4 };
        let shape = Shape::Window { frame, anchor: 4, indel };
        let contig = b"CCCCCCAGTTTTTTTT";
        let changes = [change(removed, inserted)];
        let reads = shape.reads(6, &changes);
        let [from, to] = [reads.start, reads.end].map(|x| usize::try_from(x).unwrap());
        let around = Around { letters: contig[from..to].to_vec(), at: 6 - from };
        let Work::Windows(window, Some(reverse)) = shape.work(&around, &changes, 6, 16, true)
        else {
            unreachable!("a window with both strands")
        };
        assert_eq!(window.job.letters, b"CCCCAGTT");
        assert_eq!(reverse.job.letters, b"AACTGGGG");
        let back = reversed(&EditedWindow { job: reverse.job, edits: reverse.edits });
        assert_eq!(back.edits, window.edits);
        let edit = window.edits[0].clone();
        (String::from_utf8(edit.letters.clone()).unwrap(), edit)
    }

    #[test]
    fn letters_slide_to_the_right_or_to_both_sides() {
        use IndelRule::{Center, RightSlide};
        for (removed, inserted, rule, letters, left, right) in [
            (1, &b"T"[..], RightSlide, "CCCCTGTT", 0, 0),
            (1, b"ACA", RightSlide, "CCCCACAG", 0, 2),
            (2, b"A", RightSlide, "CCCCATTT", 0, -1),
            (4, b"A", RightSlide, "CCCCATTT", 0, -3),
            (2, b"", RightSlide, "CCCCTTTT", 0, -2),
            (0, b"GG", RightSlide, "CCCCGGAG", 0, 2),
            // of three letters, one leaves on the left and two on the right
            (1, b"ACAC", Center, "CCCACACG", -1, 2),
            (4, b"A", Center, "CCCCCATT", 1, -2),
        ] {
            let (found, edit) = edited(removed, inserted, rule);
            assert_eq!(found, letters, "{removed} {inserted:?} {rule}");
            assert_eq!((edit.left, edit.right), (left, right));
            assert_eq!(edit.changed.start, 4 + left);
            assert_eq!(edit.changed.len(), inserted.len());
        }
    }
}
