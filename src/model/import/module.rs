//! A PyTorch network that was saved as a whole object: records of known classes, flattened to
//! tensors and settings by dotted path (weight-files.md 3.2).

use super::pickle::{Dict, Id, Object, Pickle};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

/// Tensors of a pickle by name.
pub(super) type Named = Vec<(String, Id)>;

/// What a saved network says beside its tensors.
#[derive(Debug)]
pub(super) struct Module {
    /// Module and name of the class of the whole.
    pub class: &'static str,
    /// Classes of its parts by dotted path; the whole has the empty path.
    classes: BTreeMap<String, &'static str>,
    /// Whole numbers and tuples of them, by dotted path.
    settings: BTreeMap<String, Vec<i64>>,
}

impl Module {
    /// The network and the tensors in it, if the pickle holds one.
    ///
    /// # Errors
    /// A part that is no module, or that occurs twice.
    pub fn of(pickle: &Pickle) -> Result<Option<(Self, Named)>> {
        let Object::Record(root) = pickle.root() else { return Ok(None) };
        let mut module =
            Self { class: root.class, classes: BTreeMap::new(), settings: BTreeMap::new() };
        let mut tensors = Vec::new();
        let mut seen = BTreeSet::new();
        let mut open = vec![(String::new(), pickle.root_id())];
        while let Some((path, id)) = open.pop() {
            let damaged = |what: &str| {
                Error::new(format!("part {path:?} of the saved network {what}")).remedy(
                    "save its weights alone: torch.save(model.state_dict(), \"weights.pt\")",
                )
            };
            let Object::Record(record) = pickle.get(id) else {
                return Err(damaged("is no module"));
            };
            if !seen.insert(id) {
                return Err(damaged("is also another part"));
            }
            module.classes.insert(path.trim_end_matches('.').to_string(), record.class);
            let Some(Object::Dict(state)) = record.state.map(|state| pickle.get(state)) else {
                return Err(damaged("holds nothing"));
            };
            for (name, value) in named(pickle, state) {
                if let Some(numbers) = numbers(pickle, value) {
                    module.settings.insert(format!("{path}{name}"), numbers);
                }
            }
            let children = |key: &str| match pickle.entry(state, key) {
                Some(Object::Dict(children)) => Ok(named(pickle, children)),
                _ => Err(damaged(&format!("has no {key}"))),
            };
            for (name, value) in children("_parameters")?.into_iter().chain(children("_buffers")?) {
                match pickle.get(value) {
                    Object::Tensor(_) => tensors.push((format!("{path}{name}"), value)),
                    Object::None => {}
                    _ => return Err(damaged("holds what is no tensor")),
                }
            }
            let modules = children("_modules")?;
            open.extend(modules.into_iter().map(|(name, id)| (format!("{path}{name}."), id)));
        }
        Ok(Some((module, tensors)))
    }

    /// A whole number by its path.
    pub fn number(&self, path: &str) -> Option<usize> {
        match self.settings.get(path)?.as_slice() {
            [number] => usize::try_from(*number).ok(),
            _ => None,
        }
    }

    /// Checks that a part is a plain convolution with this dilation and zero padding.
    ///
    /// # Errors
    /// Another class or setting, by name.
    pub fn check_conv(&self, path: &str, dilation: usize, padding: usize) -> Result<()> {
        if self.classes.get(path) != Some(&"torch.nn.modules.conv Conv1d") {
            return Err(Error::new(format!("part {path:?} of the saved network is no Conv1d")));
        }
        for (setting, expected) in
            [("dilation", dilation), ("padding", padding), ("stride", 1), ("groups", 1)]
        {
            let found = self.number(&format!("{path}.{setting}"));
            if found != Some(expected) {
                return Err(Error::new(format!("{path}.{setting} is not that of a known network"))
                    .found(found.map_or("no whole number".into(), |n| n.to_string()))
                    .expected(expected));
            }
        }
        Ok(())
    }
}

/// The entries of a dict whose keys are texts.
fn named<'p>(pickle: &'p Pickle, dict: &Dict) -> Vec<(&'p str, Id)> {
    let entries = dict.entries.iter();
    let text = |&(key, value): &(Id, Id)| match pickle.get(key) {
        Object::Text(name) => Some((name.as_str(), value)),
        _ => None,
    };
    entries.filter_map(text).collect()
}

/// A whole number or a tuple of them.
fn numbers(pickle: &Pickle, value: Id) -> Option<Vec<i64>> {
    let number = |id: Id| match pickle.get(id) {
        Object::Int(number) => Some(*number),
        _ => None,
    };
    match pickle.get(value) {
        Object::Tuple(items) => items.iter().map(|&id| number(id)).collect(),
        _ => Some(vec![number(value)?]),
    }
}
