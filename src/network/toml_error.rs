//! What is wrong with a TOML file, in the words of the house: architectures and training files.

use crate::error::Error;

/// What is wrong with a TOML text: line, column, and for a mistyped name the nearest legal one.
pub(crate) fn refusal(text: &str, error: &toml::de::Error) -> Error {
    let what = error.message().replace('\n', " ");
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() as u64 + 1;
    let column = (before.len() - before.rfind('\n').map_or(0, |i| i + 1)) as u64 + 1;
    let refused = Error::new(&*what).line(line).column(column);
    match nearest(&what) {
        Some(name) => refused.remedy(format!("did you mean `{name}`?")),
        None => refused,
    }
}

/// Of the names between backticks in a message, the first is wrong and the others are legal: the
/// legal one that takes the fewest edits, if that is at most a third of the letters.
fn nearest(message: &str) -> Option<&str> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut names = message.split('`').skip(1).step_by(2);
    let wrong = names.next()?;
    let best = names.map(|name| (edits(wrong, name), name)).min_by_key(|(edits, _)| *edits)?;
    (best.0 <= wrong.len().div_ceil(3)).then_some(best.1)
}

/// How many letters must be put in, taken out or changed to turn one word into another.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, letter) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}
