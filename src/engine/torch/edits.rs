//! Edits: every window before and after its edit, all of them in one run, so that those of equal
//! length are stacked wherever they come from.

use super::TorchEngine;
use crate::engine::{EditValues, Engine, Stretch};
use crate::error::Result;
use crate::network::Span;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A window to compute.
struct Window {
    stretch: usize,
    /// The edit of the stretch that it shows, or `None` for the sequence as it is.
    edit: Option<usize>,
    span: Span,
}

/// Runs the edits of all stretches. Windows of the sequence as it is that several edits share are
/// computed once; the letters of a window are made when its turn has come.
pub fn run(
    engine: &TorchEngine,
    stretches: &[Stretch],
    after_each: &(dyn Fn(usize) -> Result<()> + Sync),
) -> Result<Vec<Vec<EditValues>>> {
    let reach = engine.reach();
    let mut windows: Vec<Window> = Vec::new();
    // per stretch and edit, the numbers of its windows before and after
    let mut pairs: Vec<Vec<(usize, usize)>> = Vec::with_capacity(stretches.len());
    // per stretch, the windows that are still to come
    let mut left: Vec<AtomicUsize> = Vec::with_capacity(stretches.len());
    for (index, stretch) in stretches.iter().enumerate() {
        let first = windows.len();
        let mut known: HashMap<(i64, i64), usize> = HashMap::new();
        let mut add = |edit, span| {
            windows.push(Window { stretch: index, edit, span });
            windows.len() - 1
        };
        let pair = |(number, edit): (usize, &crate::engine::Edit)| {
            let key = (edit.window.start, edit.window.end);
            let before = *known.entry(key).or_insert_with(|| add(None, edit.window));
            (before, add(Some(number), edit.window_after()))
        };
        pairs.push(stretch.edits.iter().enumerate().map(pair).collect());
        left.push(AtomicUsize::new(windows.len() - first));
    }
    let lengths: Vec<usize> = windows.iter().map(|window| window.span.len()).collect();
    let job = |window: usize| {
        let Window { stretch, edit, span } = &windows[window];
        let stretch = &stretches[*stretch];
        Cow::Owned(match edit {
            None => stretch.reference(*span, reach),
            Some(edit) => stretch.alternative(&stretch.edits[*edit], reach),
        })
    };
    let finished = |window: usize| {
        let stretch = windows[window].stretch;
        match left[stretch].fetch_sub(1, Ordering::Relaxed) {
            1 => after_each(stretch),
            _ => Ok(()),
        }
    };
    let values = engine.run_windows(&lengths, &job, &finished)?;
    stretches
        .iter()
        .enumerate()
        .filter(|(_, s)| s.edits.is_empty())
        .try_for_each(|(i, _)| after_each(i))?;
    let of = |(before, after): (usize, usize)| EditValues {
        reference: values[before].clone(),
        alternative: values[after].clone(),
    };
    Ok(pairs.into_iter().map(|pairs| pairs.into_iter().map(of).collect()).collect())
}
