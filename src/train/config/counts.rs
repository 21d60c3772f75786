//! What is learned where each base has counts.

use super::{one, unit_weight};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Counts of events at each base: reads, insertions, starts of transcripts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// The measured tracks; the network has one output for each.
    pub tracks: Vec<CountTrack>,
    /// Counts above are taken as this while learning.
    #[serde(default)]
    pub cap: Option<f32>,
    /// What is minimised.
    #[serde(default)]
    pub loss: CountLoss,
    /// What makes expected counts of the network's last sums.
    #[serde(default)]
    pub link: Link,
    /// Bases whose counts are added up before they are compared (`poisson` only).
    #[serde(default = "one")]
    pub bin: usize,
    /// Also the squared error of ln(1 + sum) in bins of these widths (`poisson` only): gives the
    /// ups and downs between peaks a weight that likelihood alone gives to peaks.
    #[serde(default)]
    pub log_bins: Vec<LogBins>,
    /// Weight of the squared error of ln(1 + total) beside the profile's likelihood (`profile`
    /// only); the mean total of a window unless said, so that both weigh about the same.
    #[serde(default)]
    pub count_weight: Option<f64>,
    /// Unit of the outputs, for the model file.
    #[serde(default = "count")]
    pub unit: String,
}

fn count() -> String {
    "count".into()
}

/// Bins whose squared error is part of the loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogBins {
    /// Bases per bin.
    pub width: usize,
    /// Weight of the mean squared error beside the mean likelihood of a base.
    pub weight: f64,
}

/// What is minimised for counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CountLoss {
    /// Negative log likelihood of a Poisson distribution at each base or bin.
    #[default]
    Poisson,
    /// Multinomial negative log likelihood of a window's profile, and the squared error of the
    /// logarithm of its total (Avsec et al., Nature Genetics 53:354, 2021).
    Profile,
}

/// What makes expected counts of the network's last sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// ln(1 + exp(x)): where much is expected, what speaks for it adds up.
    #[default]
    Softplus,
    /// exp(x): what speaks for it multiplies, such as the level of a promoter and the preference of
    /// an enzyme for a base.
    Exp,
}

/// A measured track.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountTrack {
    /// Name of the output: letters, digits, `_`, `-`.
    pub name: String,
    /// bigWig or bedGraph.
    pub file: PathBuf,
    /// `+` and `-` change places when the other strand is read.
    #[serde(default)]
    pub strand: CountStrand,
    /// Two files of replicates of this track, to say what a perfect model could reach.
    #[serde(default)]
    pub replicates: Vec<PathBuf>,
    /// Counts above are taken as this while learning, in the place of that of all tracks.
    #[serde(default)]
    pub cap: Option<f32>,
    /// Weight of its losses (`poisson` only).
    #[serde(default = "unit_weight")]
    pub weight: f64,
    /// Learned for what it teaches the trunk: not judged, and not predicted unless asked for.
    #[serde(default)]
    pub auxiliary: bool,
}

impl Counts {
    /// Counts of each track above these are taken as these while learning.
    pub fn caps(&self) -> Vec<f32> {
        let of = |track: &CountTrack| track.cap.or(self.cap).unwrap_or(f32::MAX);
        self.tracks.iter().map(of).collect()
    }

    /// The tracks that are judged; they come before the auxiliary ones.
    pub fn judged(&self) -> usize {
        self.tracks.iter().take_while(|track| !track.auxiliary).count()
    }

    /// Refuses settings that cannot be meant.
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::new(what));
        if self.tracks.is_empty() {
            return wrong("`counts.tracks` is empty".into());
        }
        let of = |strand| self.tracks.iter().filter(move |track| track.strand == strand).count();
        if of(CountStrand::Plus) != of(CountStrand::Minus) {
            return Err(Error::new(
                "stranded tracks come in pairs, which change places when the \
                 other strand is read",
            )
            .found(format!("{} of +, {} of -", of(CountStrand::Plus), of(CountStrand::Minus)))
            .expected("as many, in the same order"));
        }
        let caps = self.tracks.iter().map(|track| track.cap).chain([self.cap]);
        if caps.flatten().any(|cap| !(cap > 0.0 && cap.is_finite())) {
            return wrong("`counts.cap`, and that of a track, must be above 0".into());
        }
        if self.judged() == 0 || self.tracks[self.judged()..].iter().any(|t| !t.auxiliary) {
            return wrong(
                "auxiliary tracks stand behind the others, one of which is needed".into(),
            );
        }
        if let Some(track) = self.tracks.iter().find(|t| !(t.weight > 0.0 && t.weight <= 1e6)) {
            return Err(Error::new(format!("track {:?}: `weight` is out of range", track.name))
                .found(track.weight)
                .expected("above 0, at most 1000000"));
        }
        if self.loss == CountLoss::Profile && self.tracks.iter().any(|t| t.weight != 1.0) {
            return wrong("`weight` of a track means nothing to the loss `profile`".into());
        }
        if self.loss == CountLoss::Profile && self.bin != 1 {
            return wrong("`counts.bin` means nothing to the loss `profile`".into());
        }
        if self.loss == CountLoss::Poisson && self.count_weight.is_some() {
            return wrong("`counts.count_weight` means nothing to the loss `poisson`".into());
        }
        if self.loss == CountLoss::Profile && !self.log_bins.is_empty() {
            return wrong("`counts.log_bins` means nothing to the loss `profile`".into());
        }
        match self.tracks.iter().find(|track| !matches!(track.replicates.len(), 0 | 2)) {
            Some(track) => Err(Error::new(format!("track {:?}: replicates", track.name))
                .found(track.replicates.len())
                .expected("two files, or none")),
            None => Ok(()),
        }
    }

    /// Holds the bins of the loss against the outputs of an example.
    ///
    /// # Errors
    /// Bins that do not fit.
    pub(in crate::train) fn check_bins(&self, length: usize) -> Result<()> {
        if self.bin == 0 || !length.is_multiple_of(self.bin) {
            return Err(Error::new("`training.window` is no multiple of `counts.bin`")
                .found(format!("{length} and {}", self.bin)));
        }
        let fits = |bins: &LogBins| {
            (1..=length).contains(&bins.width) && bins.weight >= 0.0 && bins.weight.is_finite()
        };
        match self.log_bins.iter().find(|bins| !fits(bins)) {
            Some(LogBins { width, weight }) => Err(Error::new("`counts.log_bins` is out of range")
                .found(format!("width {width}, weight {weight}"))
                .expected("a width of 1 to `training.window`, a weight of 0 or more")),
            None => Ok(()),
        }
    }
}

/// The strand that counts belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum CountStrand {
    /// Of the reference as written.
    #[serde(rename = "+")]
    Plus,
    /// Of its reverse complement.
    #[serde(rename = "-")]
    Minus,
    /// Both together.
    #[default]
    #[serde(rename = ".")]
    Both,
}
