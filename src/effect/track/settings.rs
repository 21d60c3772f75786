//! What the user chooses about track effects.

use crate::effect::RefMismatch;
use crate::effect::settings::named;
use crate::error::{Error, Result};
use crate::genome::Strand;
use std::fmt;
use std::str::FromStr;

/// Where POS lies in the window (track-effects.md B1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WindowRule {
    /// At the anchor of the model: the base behind the middle of a window of even length.
    #[default]
    Centre,
    /// One base further left, as Basenji has it.
    Basenji,
}

/// Which letters move for an insertion or deletion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IndelRule {
    /// Those behind it.
    #[default]
    RightSlide,
    /// Half of the difference on either side, the smaller half before it.
    Center,
}

/// What is averaged over the two strands of a window (B4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StrandAverage {
    /// Nothing: one strand is read.
    None,
    /// Counts and logits.
    #[default]
    CountsAndLogits,
    /// Expected counts at each position.
    Tracks,
}

/// How members become one score (B5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Combine {
    /// Each is scored, and scores are averaged.
    #[default]
    Scores,
    /// Their counts and logits are averaged, and that is scored.
    Predictions,
}

impl WindowRule {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Centre => "centre",
            Self::Basenji => "basenji",
        }
    }
}

impl IndelRule {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::RightSlide => "right-slide",
            Self::Center => "center",
        }
    }
}

impl StrandAverage {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::CountsAndLogits => "counts-and-logits",
            Self::Tracks => "tracks",
        }
    }
}

impl Combine {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scores => "scores",
            Self::Predictions => "predictions",
        }
    }
}

named!(WindowRule, "places of POS", [Centre, Basenji]);
named!(IndelRule, "ways to move letters", [RightSlide, Center]);
named!(StrandAverage, "averages", [None, CountsAndLogits, Tracks]);
named!(Combine, "ways to combine members", [Scores, Predictions]);

/// Everything that decides the effects of a variant on tracks besides the variant and the model.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackSettings {
    /// Where POS lies in the window of the model.
    pub window: WindowRule,
    /// Which letters move.
    pub indel: IndelRule,
    /// What is averaged over strands; models without a window read [`TrackSettings::strand`].
    pub strands: StrandAverage,
    /// The strand that models without a window read.
    pub strand: Strand,
    /// Bases on either side of POS that models without a window are compared at.
    pub distance: usize,
    /// How members are combined.
    pub combine: Combine,
    /// Added to both tracks for `js_nats`.
    pub pseudocount: f64,
    /// Whether `jeffreys_half_nats` is given.
    pub basenji: bool,
    /// What happens where REF differs from the reference.
    pub ref_mismatch: RefMismatch,
    /// Longest ALT that is scored, in letters.
    pub max_alt: usize,
    /// Digits after the decimal point in INFO; seven significant ones where none are given.
    pub decimals: Option<u8>,
}

impl Default for TrackSettings {
    fn default() -> Self {
        Self {
            window: WindowRule::default(),
            indel: IndelRule::default(),
            strands: StrandAverage::default(),
            strand: Strand::Plus,
            distance: 500,
            combine: Combine::default(),
            pseudocount: 0.0,
            basenji: false,
            ref_mismatch: RefMismatch::default(),
            max_alt: 10_000,
            decimals: None,
        }
    }
}

impl TrackSettings {
    /// # Errors
    /// A usage error: numbers that nothing can be computed with.
    pub fn check(&self) -> Result<()> {
        if !(self.pseudocount.is_finite() && self.pseudocount >= 0.0) {
            return Err(Error::usage("the pseudocount is no count")
                .found(self.pseudocount)
                .expected("a number of 0 or more"));
        }
        if self.decimals.is_some_and(|decimals| decimals > 12) {
            return Err(Error::usage("too many decimals").expected("at most 12"));
        }
        if self.distance > crate::effect::MAX_DISTANCE {
            return Err(Error::usage("the distance is too long")
                .found(self.distance)
                .expected(format!("at most {}", crate::effect::MAX_DISTANCE)));
        }
        Ok(())
    }
}
