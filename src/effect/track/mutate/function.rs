//! What of a prediction is measured (track-effects.md B7).

use crate::effect::track::measure::{jsd_distance, profile_summary};
use crate::effect::track::reading::{Raw, combine};
use crate::effect::track::settings::StrandAverage;
use crate::error::{Error, Result};
use crate::model::{Model, Track};
use std::fmt;
use std::str::FromStr;

/// What of a prediction is measured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Function {
    /// The logarithm of the count.
    #[default]
    LogCount,
    /// With ℓ the logits less their mean, Σ softmax(ℓ) · ℓ.
    ProfileSummary,
    /// The Jensen–Shannon distance (base 2) of the profile from that of the reference.
    Jsd,
    /// The value of a track at one position.
    Class(Class),
}

/// A track at one position of the contig that is mutated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// The track: its name, or its number from 0.
    pub track: String,
    /// The position, from 1.
    pub position: u64,
}

impl Class {
    /// The track of a model.
    ///
    /// # Errors
    /// A usage error: no track of this name or number.
    pub fn of(&self, model: &Model, member: Option<&str>) -> Result<Track> {
        let numbered = || model.tracks.get(self.track.parse::<usize>().ok()?);
        let known = model.tracks.iter().any(|track| track.name == self.track);
        let name = match numbered().filter(|_| !known) {
            Some(track) => track.name.clone(),
            None => self.track.clone(),
        };
        Ok(model.select_tracks(&[name], member)?.remove(0))
    }
}

impl FromStr for Function {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let class = || {
            let (track, position) = text.strip_prefix("class:")?.rsplit_once('@')?;
            let position =
                position.replace(',', "").parse().ok().filter(|&position| position > 0)?;
            (!track.is_empty()).then(|| Self::Class(Class { track: track.into(), position }))
        };
        match text {
            "logcount" => Ok(Self::LogCount),
            "profile-summary" => Ok(Self::ProfileSummary),
            "jsd" => Ok(Self::Jsd),
            _ => class().ok_or_else(|| {
                Error::usage("there is no such measure").found(text).expected(
                    "logcount, profile-summary, jsd, or class:TRACK@POS such as class:donor@69,091",
                )
            }),
        }
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LogCount => f.write_str("logcount"),
            Self::ProfileSummary => f.write_str("profile-summary"),
            Self::Jsd => f.write_str("jsd"),
            Self::Class(Class { track, position }) => write!(f, "class:{track}@{position}"),
        }
    }
}

impl Function {
    /// By how much the measure becomes larger, of what was given before and after by the strands
    /// that were read. `place` is the row and the position of a [`Function::Class`] among outputs.
    pub(super) fn difference(
        &self,
        before: &[Raw],
        after: Vec<Raw>,
        strands: StrandAverage,
        place: (usize, usize),
    ) -> Option<f64> {
        match self {
            Self::LogCount => {
                let log = |raws: Vec<Raw>| combine(raws, strands).log_count;
                Some(log(after)? - log(before.to_vec())?)
            }
            Self::ProfileSummary => {
                let summary = |raws: &[Raw]| profile_summary(&Raw::mean(raws).rows);
                Some(summary(&after) - summary(before))
            }
            Self::Jsd => {
                let shares = |raws: Vec<Raw>| combine(raws, strands).shares;
                let (p, q) = (shares(before.to_vec())?.concat(), shares(after)?.concat());
                Some(jsd_distance(&p, &q))
            }
            Self::Class(_) => {
                let value = |raws: &[Raw]| Raw::mean(raws).rows[place.0][place.1];
                Some(value(&after) - value(before))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::tiny_model;

    #[test]
    fn measures_are_read_as_they_are_written() {
        for text in ["logcount", "profile-summary", "jsd", "class:donor@69091", "class:a@b@7"] {
            assert_eq!(text.parse::<Function>().unwrap().to_string(), text);
        }
        assert_eq!("class:1@69,091".parse::<Function>().unwrap().to_string(), "class:1@69091");
        for text in
            ["", "counts", "class:", "class:@5", "class:donor", "class:donor@0", "class:d@x"]
        {
            let error = text.parse::<Function>().unwrap_err();
            assert!(error.to_string().contains("class:TRACK@POS"), "{text}: {error}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn a_class_is_a_name_or_a_number() {
        let model = tiny_model(1);
        let of = |track: &str| {
            let class = Class { track: track.into(), position: 1 };
            class.of(&model, None).map(|track| track.name)
        };
        assert_eq!([of("donor").unwrap(), of("1").unwrap()], ["donor", "acceptor"]);
        assert!(of("3").unwrap_err().to_string().contains("none, acceptor, donor"));
    }
}
