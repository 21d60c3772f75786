//! Several model files as one ensemble.

use super::{Loaded, Model, Source, Track};
use crate::error::{Error, Result};
use std::collections::BTreeMap;

impl Model {
    /// Joins like models into one whose tracks average over the members of all of them, in order.
    ///
    /// # Errors
    /// No model; the same file twice; weights from one source file in two of them; models that
    /// differ in family, reach, tracks or the reading of unknown letters.
    pub fn ensemble(models: Vec<Loaded>) -> Result<Self> {
        let mut hashes: BTreeMap<String, String> = BTreeMap::new();
        for loaded in &models {
            let name = &loaded.model.name;
            let own = std::iter::once(&loaded.sha256);
            let sources = loaded.model.provenance.sources.iter().map(|source| &source.sha256);
            for hash in own.chain(sources) {
                if let Some(other) = hashes.insert(hash.clone(), name.clone()) {
                    return Err(Error::usage("the same weights are given twice")
                        .found(format!("sha256 {hash} in model {other:?} and in model {name:?}"))
                        .remedy("give each model once"));
                }
            }
        }
        let mut models = models.into_iter().map(|loaded| loaded.model);
        let Some(mut joined) = models.next() else {
            return Err(Error::usage("an ensemble needs at least one model"));
        };
        for model in models {
            joined.check_like(&model)?;
            joined.append(model);
        }
        joined.validate()?;
        Ok(joined)
    }

    fn check_like(&self, other: &Self) -> Result<()> {
        let differ = |what: &str, found: String, expected: String| {
            Err(Error::usage(format!("models of one ensemble differ in {what}"))
                .found(format!("{found} in {:?}", other.name))
                .expected(format!("{expected} as in {:?}", self.name))
                .remedy("run them one by one"))
        };
        let family = |model: &Self| model.provenance.family.clone();
        if family(self) != family(other) {
            return differ("family", family(other), family(self));
        }
        if self.reach() != other.reach() {
            let text = |model: &Self| format!("{:?}", model.reach());
            return differ("reach", text(other), text(self));
        }
        if self.window != other.window || self.flanks() != other.flanks() {
            let text = |model: &Self| format!("{:?}", model.window);
            return differ("window", text(other), text(self));
        }
        let scalars = |model: &Self| -> Vec<_> {
            model.scalars.iter().map(|s| (s.name.clone(), s.unit.clone())).collect()
        };
        if scalars(self) != scalars(other) || self.profiles != other.profiles {
            let text = |model: &Self| format!("{:?}, {:?}", scalars(model), model.profiles);
            return differ("scalars or profiles", text(other), text(self));
        }
        if self.unknown_base != other.unknown_base {
            let text = |model: &Self| format!("{:?}", model.unknown_base);
            return differ("the reading of unknown letters", text(other), text(self));
        }
        let face = |track: &Track| (track.name.clone(), track.unit.clone(), track.strand);
        let faces = |model: &Self| model.tracks.iter().map(face).collect::<Vec<_>>();
        if faces(self) != faces(other) {
            let text = |model: &Self| {
                let names: Vec<_> =
                    model.tracks.iter().map(|t| format!("{} [{}]", t.name, t.unit)).collect();
                names.join(", ")
            };
            return differ("tracks", text(other), text(self));
        }
        // Files of older versions do not say it; like tracks then mean the same.
        if let (Some(own), Some(others)) = (&self.scheme, &other.scheme)
            && own != others
        {
            return differ("scoring scheme", others.to_string(), own.to_string());
        }
        Ok(())
    }

    fn append(&mut self, other: Self) {
        let networks: Vec<usize> = other
            .networks
            .into_iter()
            .map(|graph| match self.networks.iter().position(|known| *known == graph) {
                Some(index) => index,
                None => {
                    self.networks.push(graph);
                    self.networks.len() - 1
                }
            })
            .collect();
        let first = self.members.len();
        for mut member in other.members {
            member.network = networks[member.network];
            member.name = unused_name(&member.name, |name| {
                self.members.iter().any(|member| member.name == name)
            });
            self.members.push(member);
        }
        let moved = |sources: Vec<Source>| {
            sources
                .into_iter()
                .map(move |source| Source { member: source.member + first, ..source })
        };
        for (track, others) in self.tracks.iter_mut().zip(other.tracks) {
            track.sources.extend(moved(others.sources));
        }
        for (scalar, others) in self.scalars.iter_mut().zip(other.scalars) {
            scalar.sources.extend(moved(others.sources));
        }
        self.scheme = self.scheme.take().or(other.scheme);
        self.name = format!("{}+{}", self.name, other.name);
        let provenance = &mut self.provenance;
        if provenance.licence != other.provenance.licence {
            provenance.licence = format!("{}; {}", provenance.licence, other.provenance.licence);
        }
        provenance.sources.extend(other.provenance.sources);
        provenance.unread.extend(other.provenance.unread);
        provenance.record = format!("{}; {}", provenance.record, other.provenance.record);
    }
}

/// `name`, or `name-2`, `name-3`, … when it is taken.
pub(super) fn unused_name(name: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(name) {
        return name.to_string();
    }
    (2u64..).map(|n| format!("{name}-{n}")).find(|name| !taken(name)).expect("numbers do not end")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::{loaded, tiny_model};
    use crate::model::{Source, UnknownBase};
    use crate::network::{GraphBuilder, Op};

    #[test]
    fn members_and_sources_follow_one_another_and_like_graphs_are_kept_once() {
        let joined = Model::ensemble(vec![loaded(tiny_model(1)), loaded(tiny_model(2))]).unwrap();
        let names: Vec<_> = joined.members.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "a-2", "b-2"]);
        assert_eq!(joined.networks.len(), 1);
        let source = |member| Source { member, channel: 2 };
        assert_eq!(joined.tracks[2].sources, [source(1), source(3)]);
        assert_eq!(joined.members[3].weights, tiny_model(2).members[1].weights);
        assert_eq!(joined.provenance.sources.len(), 2);
    }

    #[test]
    fn one_model_is_its_own_ensemble() {
        assert_eq!(Model::ensemble(vec![loaded(tiny_model(1))]).unwrap(), tiny_model(1));
        assert!(Model::ensemble(Vec::new()).is_err());
    }

    #[test]
    fn the_same_file_or_source_twice_is_refused() {
        let twice = vec![loaded(tiny_model(1)), loaded(tiny_model(1))];
        assert!(Model::ensemble(twice).unwrap_err().to_string().contains("given twice"));
        let mut renamed = loaded(tiny_model(1));
        renamed.sha256 = "another file with the same source".to_string();
        assert!(Model::ensemble(vec![loaded(tiny_model(1)), renamed]).is_err());
    }

    #[test]
    fn unlike_models_are_refused_with_the_difference() {
        type Change = fn(&mut Model);
        let cases: [(&str, Change); 4] = [
            ("family", |m| m.provenance.family = "other".to_string()),
            ("tracks", |m| m.tracks[1].unit = "usage".to_string()),
            ("unknown letters", |m| m.unknown_base = UnknownBase::Uniform),
            ("reach", |m| {
                let mut g = GraphBuilder::new();
                g.add("head", Op::centred(3, 3, 1), &[g.input()]).unwrap();
                m.networks = vec![g.finish().unwrap()];
            }),
        ];
        for (what, change) in cases {
            let mut other = tiny_model(2);
            change(&mut other);
            let error = Model::ensemble(vec![loaded(tiny_model(1)), loaded(other)]).unwrap_err();
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}
