//! Whether the parts of a model fit together: every index, name, tensor and shape.

use super::{Model, Profile, Scalar, Source, Tensor, Track, Weights};
use crate::error::{Error, Result};
use crate::network::{Graph, Op};
use std::collections::{BTreeMap, BTreeSet};

impl Model {
    /// Checks that the parts fit together. A model that passes can be run without further checks.
    ///
    /// # Errors
    /// The first thing that does not fit, by name.
    pub fn validate(&self) -> Result<()> {
        self.validate_members()?;
        self.validate_windows()?;
        self.validate_scalars()?;
        let mut names = BTreeSet::new();
        for track in &self.tracks {
            // Names become file names, and some file systems do not tell cases apart.
            if !names.insert(track.name.to_ascii_lowercase()) {
                return Err(Error::new(format!("two tracks have the name {:?}", track.name)));
            }
            self.validate_track(track)?;
        }
        if let Some(fault) = self.scheme.as_ref().and_then(|s| s.fault(&self.tracks)) {
            return Err(Error::new(fault));
        }
        if !self.tracks.iter().any(|track| track.default) {
            return Err(Error::new("no track of the model is marked as default"));
        }
        Ok(())
    }

    fn validate_members(&self) -> Result<()> {
        if self.members.is_empty() {
            return Err(Error::new("the model has no members"));
        }
        let mut names = BTreeSet::new();
        let mut used = vec![false; self.networks.len()];
        for (index, member) in self.members.iter().enumerate() {
            let name = &member.name;
            if name.is_empty() || name.chars().any(char::is_control) {
                return Err(Error::new("a member has no printable name").found(format!("{name:?}")));
            }
            if !names.insert(name) {
                return Err(Error::new(format!("two members have the name {name:?}")));
            }
            let Some(graph) = self.networks.get(member.network) else {
                return Err(Error::new(format!("member {name:?} has no network"))
                    .found(format!("index {}", member.network))
                    .expected(format!("below {}", self.networks.len())));
            };
            used[member.network] = true;
            check_weights(graph, &member.weights, index)?;
        }
        match used.iter().position(|used| !used) {
            Some(index) => Err(Error::new(format!("no member uses network {index}"))),
            None => Ok(()),
        }
    }

    fn validate_track(&self, track: &Track) -> Result<()> {
        let name = &track.name;
        if !is_name(name) {
            return Err(Error::new("a track name cannot be used in a file name")
                .found(format!("{name:?}"))
                .expected("letters, digits, _ and -"));
        }
        if track.sources.is_empty() {
            return Err(Error::new(format!("track {name:?} has no sources")));
        }
        self.validate_sources(&format!("track {name:?}"), &track.sources, Graph::output_channels)
    }

    fn validate_sources(
        &self,
        what: &str,
        sources: &[Source],
        channels: impl Fn(&Graph) -> usize,
    ) -> Result<()> {
        for source in sources {
            let member = self.members.get(source.member);
            let channels = member.map(|member| channels(&self.networks[member.network]));
            if channels.is_none_or(|channels| source.channel >= channels) {
                return Err(Error::new(format!("{what} reads what is not there"))
                    .found(format!("channel {} of member {}", source.channel, source.member))
                    .expected(match channels {
                        Some(0) => "a network with such outputs".into(),
                        Some(channels) => format!("a channel below {channels}"),
                        None => format!("a member below {}", self.members.len()),
                    }));
            }
        }
        Ok(())
    }

    /// Every network fits the window, and gives outputs at the same positions of it.
    fn validate_windows(&self) -> Result<()> {
        let Some(window) = self.window else {
            return match self.networks.iter().any(Graph::needs_window) {
                true => Err(Error::new("a network of the model needs a window of given ends")
                    .found("none")
                    .expected("the numbers in, out and anchor")),
                false => Ok(()),
            };
        };
        if !(1..=LONGEST_WINDOW).contains(&window.input) || window.anchor >= window.input {
            return Err(Error::new("the window of the model is impossible")
                .found(format!("{} bases, anchor {}", window.input, window.anchor))
                .expected(format!("1 to {LONGEST_WINDOW} bases, and the anchor among them")));
        }
        let first = self.networks.first().map(|graph| window.outputs(graph));
        for graph in &self.networks {
            let outputs = window.outputs(graph);
            if outputs.len() != window.output || outputs.is_empty() || Some(outputs) != first {
                return Err(Error::new("the window of the model does not fit its network")
                    .found(format!(
                        "outputs {} to {} of {} bases",
                        outputs.start, outputs.end, window.input
                    ))
                    .expected(format!("{} outputs, the same of every network", window.output)));
            }
            let domains = graph.domains(window.span());
            if let Some(empty) = domains.iter().position(|domain| domain.is_empty()) {
                let name = &graph.nodes()[empty].name;
                return Err(Error::new(format!("the window has no position for node {name:?}"))
                    .found(format!("{} bases", window.input)));
            }
        }
        let controls = self.control_channels();
        let channels = |graph: &Graph| graph.control().map(|node| graph.channels(node));
        if self.networks.iter().any(|graph| channels(graph).is_some_and(|n| n != controls)) {
            return Err(Error::new("the networks of the model read different control tracks"));
        }
        Ok(())
    }

    fn validate_scalars(&self) -> Result<()> {
        let mut names = BTreeSet::new();
        for Scalar { name, sources, .. } in &self.scalars {
            let what = format!("scalar {name:?}");
            if !names.insert(name) || !is_name(name) || sources.is_empty() {
                return Err(Error::new(format!("{what} has no name of its own, or no sources"))
                    .expected("letters, digits, _ and -, and a channel of a member"));
            }
            self.validate_sources(&what, sources, Graph::scalar_channels)?;
        }
        let mut used = BTreeSet::new();
        for Profile { tracks, log_count } in &self.profiles {
            let known = |name: &String| self.tracks.iter().any(|track| track.name == *name);
            if tracks.is_empty() || !tracks.iter().all(known) || !names.contains(log_count) {
                return Err(Error::new("a profile of the model reads what is not there")
                    .found(format!("tracks {}, scalar {log_count}", list(tracks))));
            }
            if let Some(twice) = tracks.iter().find(|track| !used.insert(*track)) {
                return Err(Error::new(format!("two profiles of the model hold track {twice:?}")));
            }
        }
        Ok(())
    }
}

/// Longest window in bases: beyond any published network, and small enough to hold its layers.
const LONGEST_WINDOW: usize = 1 << 24;

/// Whether a name can be part of a file's name.
fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !name.is_empty() && name.chars().all(allowed)
}

/// Checks that `weights` are exactly the tensors that `graph` needs, and can be computed with.
fn check_weights(graph: &Graph, weights: &Weights, member: usize) -> Result<()> {
    let epsilons = variance_epsilons(graph);
    let parameters = graph.parameters();
    for parameter in &parameters {
        let full = format!("member.{member}.{}", parameter.name);
        let Some(tensor) = weights.get(&parameter.name) else {
            return Err(Error::new(format!("tensor {full} is missing"))
                .expected(format!("a tensor of shape {:?}", parameter.shape)));
        };
        let count = tensor.shape.iter().try_fold(1usize, |count, &n| count.checked_mul(n));
        if tensor.shape != parameter.shape || count != Some(tensor.values.len()) {
            return Err(Error::new(format!("tensor {full} has the wrong shape"))
                .found(format!("{:?} with {} values", tensor.shape, tensor.values.len()))
                .expected(format!("{:?}", parameter.shape)));
        }
        check_values(&full, tensor, epsilons.get(&parameter.name).copied())?;
    }
    if weights.len() > parameters.len() {
        let needed: BTreeSet<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
        let unused: Vec<_> =
            weights.keys().filter(|name| !needed.contains(name.as_str())).collect();
        return Err(Error::new(format!("member {member} has tensors that its network never uses"))
            .found(list(&unused)));
    }
    Ok(())
}

/// The variances among the tensors of a graph, and what is added to each before its root is taken.
pub(super) fn variance_epsilons(graph: &Graph) -> BTreeMap<String, f64> {
    let nodes = graph.nodes().iter();
    nodes
        .filter_map(|node| match node.op {
            Op::BatchNorm { epsilon } => Some((format!("{}.var", node.name), epsilon)),
            _ => None,
        })
        .collect()
}

/// Checks that all values are finite and, for a variance (`epsilon` given), above `-epsilon`.
///
/// # Errors
/// The first bad value with `name` and its index.
pub(super) fn check_values(name: &str, tensor: &Tensor, epsilon: Option<f64>) -> Result<()> {
    let values = &tensor.values;
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        return Err(Error::new(format!("tensor {name} holds a value that is not finite"))
            .found(format!("{} at index {index}", values[index])));
    }
    let Some(epsilon) = epsilon else { return Ok(()) };
    match values.iter().position(|&value| f64::from(value) <= -epsilon) {
        Some(index) => Err(Error::new(format!("tensor {name} holds an impossible variance"))
            .found(format!("{} at index {index}", values[index]))
            .expected(format!("above -{epsilon}"))),
        None => Ok(()),
    }
}

/// Up to ten names, then how many more there are.
pub(super) fn list<T: AsRef<str>>(names: &[T]) -> String {
    const SHOWN: usize = 10;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    let more = names.len().saturating_sub(SHOWN);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{tail}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::tiny_model;

    #[test]
    fn a_sound_model_passes() {
        tiny_model(1).validate().unwrap();
    }

    #[test]
    fn every_misfit_is_named() {
        type Change = fn(&mut Model);
        let cases: [(&str, Change); 17] = [
            ("no members", |m| m.members.clear()),
            ("two members have the name \"a\"", |m| m.members[1].name = "a".to_string()),
            ("printable name", |m| m.members[0].name = "\u{7}".to_string()),
            ("\"a\" has no network", |m| m.members[0].network = 1),
            ("no member uses network 1", |m| m.networks.push(m.networks[0].clone())),
            ("cannot be used in a file name", |m| m.tracks[0].name = "a/b".to_string()),
            ("two tracks have the name", |m| m.tracks[0].name = "Donor".to_string()),
            ("\"donor\" has no sources", |m| m.tracks[2].sources.clear()),
            ("channel 3 of member 1", |m| m.tracks[2].sources[0].channel = 3),
            ("a member below 2", |m| m.tracks[2].sources[0].member = 2),
            ("marked as default", |m| m.tracks.iter_mut().for_each(|t| t.default = false)),
            ("marked as default", |m| m.tracks.clear()),
            ("member.1.skip.0.bias is missing", |m| {
                m.members[1].weights.remove("skip.0.bias");
            }),
            ("never uses (found head.scale)", |m| {
                let tensor = m.members[0].weights["head.bias"].clone();
                m.members[0].weights.insert("head.scale".to_string(), tensor);
            }),
            ("found [3, 4] with 12 values, expected [3, 4, 1]", |m| {
                m.members[0].weights.get_mut("stem.weight").unwrap().shape.pop();
            }),
            ("found NaN at index 5", |m| {
                m.members[0].weights.get_mut("unit.0.conv2.weight").unwrap().values[5] = f32::NAN;
            }),
            ("impossible variance", |m| {
                m.members[0].weights.get_mut("unit.0.norm1.var").unwrap().values[2] = -1e-3;
            }),
        ];
        for (what, change) in cases {
            let mut model = tiny_model(1);
            change(&mut model);
            let error = model.validate().unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let names: Vec<String> = (0..12).map(|n| n.to_string()).collect();
        assert_eq!(list(&names), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more");
    }
}
