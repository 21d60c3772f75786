//! Edits of a sequence and the values before and after them: what variants ask of an engine.

use super::{Engine, Job, Values};
use crate::error::Result;
use crate::network::{Reach, Span};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A stretch of sequence and the edits to try on it, each alone. Coordinates are 0-based positions
/// on the strand that is read.
#[derive(Debug, Clone, Default)]
pub struct Stretch {
    /// Position of the first letter (absolute, for anchored blocks).
    pub start: i64,
    /// Letters 5' to 3' on that strand. They cover every edit, and the window of every edit
    /// widened by the engine's reach.
    pub letters: Vec<u8>,
    /// What to change.
    pub edits: Vec<Edit>,
}

/// One replacement of letters, and the outputs that are wanted around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Position of the first letter that is replaced, or before which letters are inserted.
    pub start: i64,
    /// How many letters are removed there.
    pub removed: usize,
    /// What takes their place.
    pub inserted: Vec<u8>,
    /// Output positions before the edit; after it, the window ends as many positions later as the
    /// sequence has become longer.
    pub window: Span,
}

impl Edit {
    /// By how much the sequence becomes longer.
    pub fn growth(&self) -> i64 {
        self.inserted.len() as i64 - self.removed as i64
    }

    /// The output positions after the edit: those of the window before it, moved with the letters
    /// behind the edit. Empty where the edit removes more than the window holds.
    pub fn window_after(&self) -> Span {
        let end = self.window.end + self.growth();
        Span::new(self.window.start, end.max(self.window.start))
    }
}

/// Values of the window of an edit.
#[derive(Debug, Clone, PartialEq)]
pub struct EditValues {
    /// Of [`Edit::window`], on the sequence as it is.
    pub reference: Values,
    /// Of [`Edit::window_after`], on the edited sequence.
    pub alternative: Values,
}

/// A window of a model, and other sequences that are tried in its place, each alone.
#[derive(Debug, Clone)]
pub struct EditedWindow {
    /// The window as it is.
    pub job: Job,
    /// What else is tried.
    pub edits: Vec<WindowEdit>,
}

/// The letters of a window after an edit, and where they come from. Positions count from the start
/// of the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowEdit {
    /// All letters of the window, as many as before.
    pub letters: Vec<u8>,
    /// The letters that are new. An empty range still says where: there, letters were removed.
    pub changed: Span,
    /// By how many positions the letters before `changed` lie further right than in the window as
    /// it is; further left where negative. What enters the window at its end may be any letters.
    pub left: i64,
    /// The same for the letters behind `changed`.
    pub right: i64,
}

/// Values of a window, and of what was tried in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowValues {
    /// Of the window as it is.
    pub reference: Values,
    /// After each edit.
    pub alternatives: Vec<Values>,
}

impl WindowEdit {
    /// A replacement of as many letters of a window, from position `at` on, by others.
    pub fn substitution(letters: &[u8], at: usize, by: &[u8]) -> Self {
        let mut letters = letters.to_vec();
        letters[at..at + by.len()].copy_from_slice(by);
        Self { letters, changed: Span::new(at as i64, (at + by.len()) as i64), left: 0, right: 0 }
    }
}

impl Stretch {
    /// The job that computes an output range of the sequence as it is.
    pub(super) fn reference(&self, window: Span, reach: Reach) -> Job {
        job(window, reach, |read| {
            let from = (read.start - self.start) as usize;
            self.letters[from..from + read.len()].to_vec()
        })
    }

    /// The job that computes the window of an edit on the edited sequence.
    pub(super) fn alternative(&self, edit: &Edit, reach: Reach) -> Job {
        job(edit.window_after(), reach, |read| self.edited(edit, read))
    }

    /// Letters of the edited sequence at some of its positions.
    pub(super) fn edited(&self, edit: &Edit, span: Span) -> Vec<u8> {
        let inserted_end = edit.start + edit.inserted.len() as i64;
        let letter = |at: i64| {
            if (edit.start..inserted_end).contains(&at) {
                return edit.inserted[(at - edit.start) as usize];
            }
            let from = if at < edit.start { at } else { at - edit.growth() };
            self.letters[(from - self.start) as usize]
        };
        (span.start..span.end).map(letter).collect()
    }
}

/// The job of a window, from the letters that it reads.
fn job(window: Span, reach: Reach, letters: impl Fn(Span) -> Vec<u8>) -> Job {
    let letters = match window.is_empty() {
        // nothing is computed, and a removal may leave no letters here
        true => vec![b'N'; (reach.left + reach.right) as usize],
        false => letters(window.widen(reach.left, reach.right)),
    };
    Job::new(window.start, window.len(), letters)
}

/// Computes every window in full, before and after its edit: right for any engine, and the
/// yardstick of faster ways.
pub fn run_in_full(
    engine: &(impl Engine + ?Sized),
    stretches: &[Stretch],
    after_each: &(dyn Fn(usize) -> Result<()> + Sync),
) -> Result<Vec<Vec<EditValues>>> {
    let reach = engine.reach();
    let compute = |(index, stretch): (usize, &Stretch)| {
        let pair =
            |edit: &Edit| [stretch.reference(edit.window, reach), stretch.alternative(edit, reach)];
        let jobs: Vec<Job> = stretch.edits.iter().flat_map(pair).collect();
        let mut values = engine.run(&jobs, &|_| Ok(()))?.into_iter();
        let mut next = || values.next().expect("values for every job");
        let pairs = stretch
            .edits
            .iter()
            .map(|_| EditValues { reference: next(), alternative: next() })
            .collect();
        after_each(index)?;
        Ok(pairs)
    };
    stretches.iter().enumerate().map(compute).collect()
}

/// Computes every window in full, before and after each edit: right for any engine, and the
/// yardstick of faster ways.
pub fn run_windows_in_full(
    engine: &(impl Engine + ?Sized),
    windows: &[EditedWindow],
    after_each: &(dyn Fn(usize) -> Result<()> + Sync),
) -> Result<Vec<WindowValues>> {
    let mut jobs = Vec::new();
    let mut window_of = Vec::new();
    for (index, EditedWindow { job, edits }) in windows.iter().enumerate() {
        let edited = |edit: &WindowEdit| Job { letters: edit.letters.clone(), ..job.clone() };
        jobs.push(job.clone());
        jobs.extend(edits.iter().map(edited));
        window_of.resize(jobs.len(), index);
    }
    let left: Vec<AtomicUsize> =
        windows.iter().map(|window| AtomicUsize::new(1 + window.edits.len())).collect();
    let finished = |job: usize| match left[window_of[job]].fetch_sub(1, Ordering::AcqRel) {
        1 => after_each(window_of[job]),
        _ => Ok(()),
    };
    let mut values = engine.run(&jobs, &finished)?.into_iter();
    let mut next = || values.next().expect("values for every job");
    let of = |window: &EditedWindow| WindowValues {
        reference: next(),
        alternatives: window.edits.iter().map(|_| next()).collect(),
    };
    Ok(windows.iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Oracle;
    use crate::model::testing::tiny_model;

    #[test]
    fn a_window_moves_with_the_letters_behind_its_edit() {
        let edit = |removed, inserted: &[u8]| Edit {
            start: 10,
            removed,
            inserted: inserted.to_vec(),
            window: Span::new(5, 16),
        };
        assert_eq!(edit(1, b"A").window_after(), Span::new(5, 16));
        assert_eq!(edit(1, b"ACG").window_after(), Span::new(5, 18));
        assert_eq!(edit(9, b"A").window_after(), Span::new(5, 8));
        assert_eq!(edit(99, b"A").window_after(), Span::new(5, 5));
    }

    #[test]
    fn an_edit_gives_the_values_of_the_sequence_before_and_after_it() {
        let model = tiny_model(1);
        let engine = Oracle::new(&model, &model.tracks);
        let reach = engine.reach();
        let (left, right) = (reach.left as usize, reach.right as usize);
        let letters = b"ACGTTGCAAGGCTTACGATCGGATTACAGCTAGCTAAGCT".to_vec();
        let window = Span::new(100 + left as i64, 100 + left as i64 + 9);
        let at = left + 4;
        let edit = Edit { start: 100 + at as i64, removed: 3, inserted: b"TTTTT".to_vec(), window };
        let stretch = Stretch { start: 100, letters: letters.clone(), edits: vec![edit] };
        let values = engine.run_edits(&[stretch], &|_| Ok(())).unwrap().remove(0).remove(0);

        let mut edited = letters.clone();
        edited.splice(at..at + 3, *b"TTTTT");
        let whole = |letters: &[u8], length: usize| {
            let letters = letters[..length + left + right].to_vec();
            let job = Job::new(window.start, length, letters);
            engine.run(&[job], &|_| Ok(())).unwrap().remove(0)
        };
        assert_eq!(values.reference, whole(&letters, 9));
        assert_eq!(values.alternative, whole(&edited, 11));
    }
}
