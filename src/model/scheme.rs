//! How the tracks of a model become scores of variants.

use super::{Model, Track};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A scoring scheme and the tracks that it reads, by name (splice-scoring.md A1, A3). The model
/// file says which one its tracks were made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "scheme", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Scheme {
    /// Gain and loss of acceptors and donors; members are averaged before the difference.
    SpliceDelta {
        /// Track of acceptors: first bases of exons.
        acceptor: String,
        /// Track of donors: last bases of exons.
        donor: String,
    },
    /// Gain and loss of splice sites of any kind, the extreme over tissues; members are averaged
    /// after the difference.
    SpliceUsage {
        /// One track per tissue.
        tracks: Vec<String>,
    },
}

impl Scheme {
    /// `splice-delta` or `splice-usage`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SpliceDelta { .. } => "splice-delta",
            Self::SpliceUsage { .. } => "splice-usage",
        }
    }

    /// Names of the tracks that it reads: acceptor and donor, or one per tissue.
    pub fn tracks(&self) -> Vec<String> {
        match self {
            Self::SpliceDelta { acceptor, donor } => vec![acceptor.clone(), donor.clone()],
            Self::SpliceUsage { tracks } => tracks.clone(),
        }
    }

    /// Reads `splice-delta[:ACCEPTOR,DONOR]` or `splice-usage[:TRACK,…]`. Without names, the tracks
    /// are those called `acceptor` and `donor`, or all that the model marks as default.
    ///
    /// # Errors
    /// A usage error: another scheme, another number of tracks, a track that the model lacks.
    pub fn parse(text: &str, model: &Model) -> Result<Self> {
        let (name, names) = match text.split_once(':') {
            Some((name, names)) => (name, Some(names.split(',').map(String::from).collect())),
            None => (text, None),
        };
        let scheme = match name {
            "splice-delta" => {
                let names: Vec<String> =
                    names.unwrap_or_else(|| ["acceptor", "donor"].map(String::from).into());
                let [acceptor, donor] = names.as_slice() else {
                    return Err(Error::usage("splice-delta reads two tracks")
                        .found(names.len())
                        .expected("--scheme splice-delta:ACCEPTOR,DONOR"));
                };
                Self::SpliceDelta { acceptor: acceptor.clone(), donor: donor.clone() }
            }
            "splice-usage" => {
                let default = || model.tracks.iter().filter(|track| track.default);
                let names =
                    names.unwrap_or_else(|| default().map(|track| track.name.clone()).collect());
                Self::SpliceUsage { tracks: names }
            }
            other => {
                return Err(Error::usage("there is no such scoring scheme")
                    .found(format!("{other:?}"))
                    .expected("splice-delta or splice-usage"));
            }
        };
        match scheme.fault(&model.tracks) {
            None => Ok(scheme),
            Some(fault) => Err(Error::usage(fault)
                .remedy(format!("name the tracks: --scheme {}:NAME,…", scheme.name()))),
        }
    }

    /// What keeps it from scoring with these tracks.
    pub(super) fn fault(&self, tracks: &[Track]) -> Option<String> {
        let names = self.tracks();
        if names.is_empty() {
            return Some(format!("scheme {} reads no track", self.name()));
        }
        names.iter().enumerate().find_map(|(index, name)| {
            if !tracks.iter().any(|track| track.name == *name) {
                return Some(format!("scheme {self} reads track {name:?}, which is not there"));
            }
            names[..index].contains(name).then(|| format!("scheme {self} reads a track twice"))
        })
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name(), self.tracks().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::tiny_model;

    #[test]
    fn schemes_are_read_with_and_without_names_of_tracks() {
        let model = tiny_model(1);
        for (text, read) in [
            ("splice-delta", "splice-delta:acceptor,donor"),
            ("splice-delta:donor,none", "splice-delta:donor,none"),
            ("splice-usage", "splice-usage:acceptor,donor"),
            ("splice-usage:none", "splice-usage:none"),
        ] {
            assert_eq!(Scheme::parse(text, &model).unwrap().to_string(), read);
        }
    }

    #[test]
    fn what_cannot_be_meant_is_a_usage_error() {
        let model = tiny_model(1);
        for (text, why) in [
            ("splice", "no such scoring scheme"),
            ("splice-delta:acceptor", "two tracks (found 1"),
            ("splice-delta:acceptor,acceptor", "a track twice"),
            ("splice-delta:acceptor,x", "reads track \"x\", which is not there"),
            ("splice-usage:", "reads track \"\", which"),
        ] {
            let error = Scheme::parse(text, &model).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
