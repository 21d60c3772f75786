//! What of a model is computed for scores.

use crate::error::{Error, Result};
use crate::model::{Model, Scheme, Track};
use crate::network::Reach;
use std::ops::Range;

/// What of a model a scheme reads: the tracks that an engine must be built for, and what they are
/// combined to.
#[derive(Debug, Clone)]
pub struct Reading {
    scheme: Option<Scheme>,
    family: String,
    reach: Reach,
    tracks: Vec<Track>,
    groups: Vec<Group>,
}

/// Tracks of the engine whose differences are averaged.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// Name of the track of the model.
    pub name: String,
    /// Indices into the tracks of the engine.
    pub channels: Range<usize>,
}

impl Reading {
    /// What a scheme reads of a model, or of one member of it (a name, or an index from 0).
    ///
    /// # Errors
    /// An unknown member, or one that a track does not come from; a model that must be run in a
    /// window.
    pub fn new(model: &Model, scheme: &Scheme, member: Option<&str>) -> Result<Self> {
        let chosen = match (scheme, member) {
            // Members of this scheme belong to tissues; one of them has one tissue.
            (Scheme::SpliceUsage { tracks }, Some(member)) => {
                let has = |name: &&String| {
                    let name: &String = name;
                    model.select_tracks(std::slice::from_ref(name), Some(member)).is_ok()
                };
                let names: Vec<String> = tracks.iter().filter(has).cloned().collect();
                let names = if names.is_empty() { tracks.clone() } else { names };
                model.select_tracks(&names, Some(member))?
            }
            _ => model.select_tracks(&scheme.tracks(), member)?,
        };
        // Whether members are averaged before or after the difference is taken (A1, A3) matters
        // where rows of insertions are joined by their maximum.
        let apart = matches!(scheme, Scheme::SpliceUsage { .. });
        Ok(Self { scheme: Some(scheme.clone()), ..Self::of_tracks(model, &chosen, apart)? })
    }

    /// The scheme of the model file, or the one that the user names.
    ///
    /// # Errors
    /// A usage error: a bad name, or neither says it.
    pub fn choose_scheme(model: &Model, named: Option<&str>) -> Result<Scheme> {
        match (named, &model.scheme) {
            (Some(text), own) => match own {
                Some(scheme) if scheme.name() == text => Ok(scheme.clone()),
                _ => Scheme::parse(text, model),
            },
            (None, Some(scheme)) => Ok(scheme.clone()),
            (None, None) => {
                Err(Error::usage("the model file does not say how its tracks score variants")
                    .found(format!("model {:?}", model.name))
                    .remedy(
                        "import the weights again, or name a scheme: --scheme splice-delta, \
                         splice-usage or tracks",
                    ))
            }
        }
    }

    /// Tracks as they are, without a scheme.
    ///
    /// # Errors
    /// A model that must be run in a window.
    pub fn without_scheme(model: &Model, tracks: &[Track]) -> Result<Self> {
        Self::of_tracks(model, tracks, false)
    }

    fn of_tracks(model: &Model, chosen: &[Track], apart: bool) -> Result<Self> {
        if model.window.is_some() {
            return Err(Error::usage(
                "the model gives one window at a time, and such windows are not scored base by base",
            )
            .found(format!("model {:?}", model.name))
            .expected("a model that can be run over any stretch"));
        }
        let mut tracks = Vec::new();
        let mut groups = Vec::new();
        for track in chosen {
            let first = tracks.len();
            match apart {
                true => tracks.extend(
                    track.sources.iter().map(|&s| Track { sources: vec![s], ..track.clone() }),
                ),
                false => tracks.push(track.clone()),
            }
            groups.push(Group { name: track.name.clone(), channels: first..tracks.len() });
        }
        let (family, reach) = (model.provenance.family.clone(), model.reach());
        Ok(Self { scheme: None, family, reach, tracks, groups })
    }

    /// The tracks that an engine must be built for, in this order.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// The scheme, if there is one.
    pub fn scheme(&self) -> Option<&Scheme> {
        self.scheme.as_ref()
    }

    /// How far the network looks, the flank of a window.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// The INFO key of the scores: the name of the published weights, or our own.
    pub fn key(&self) -> &'static str {
        match self.family.as_str() {
            "spliceai" => "SpliceAI",
            "openspliceai" => "OpenSpliceAI",
            "pangolin" => "Pangolin",
            _ => "atrous",
        }
    }

    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::tiny_model;

    #[test]
    fn members_are_averaged_before_the_difference_or_after_it() {
        let mut model = tiny_model(1);
        let delta = Reading::choose_scheme(&model, Some("splice-delta")).unwrap();
        let reading = Reading::new(&model, &delta, None).unwrap();
        assert_eq!(reading.tracks(), &model.tracks[1..]);
        let usage = Reading::choose_scheme(&model, Some("splice-usage")).unwrap();
        let reading = Reading::new(&model, &usage, None).unwrap();
        assert_eq!(reading.tracks().len(), 3, "acceptor of two members, donor of one");
        assert_eq!(reading.groups()[0].channels, 0..2);
        assert_eq!(reading.key(), "atrous");
        let one = Reading::new(&model, &usage, Some("a")).unwrap();
        assert_eq!(one.tracks().len(), 1);
        assert!(Reading::new(&model, &delta, Some("a")).is_err(), "it has no donor");

        let error = Reading::choose_scheme(&model, None).unwrap_err();
        assert!(error.to_string().contains("--scheme"), "{error}");
        model.scheme = Some(usage.clone());
        assert_eq!(Reading::choose_scheme(&model, None).unwrap(), usage);
    }
}
