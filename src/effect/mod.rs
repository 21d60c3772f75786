//! Variants to effects: exact scores, and a reason for every record that has none.
//!
//! A [`Reading`] says what of a model is computed; a [`Scorer`] takes variants in any order, sorts
//! them into stretches of sequence that share what an engine computes, and gives back what became
//! of each allele ([`VariantOutcome`]); [`Text`] prints that as INFO fields. The rules, and those
//! of the published programs, are those of splice-scoring.md.

mod align;
mod allele;
pub mod annotate;
mod delta;
pub mod exhibits;
mod mask;
pub mod mutate;
mod outcome;
mod reading;
mod reason;
mod rules;
mod score;
mod settings;
mod stretches;
pub mod text;
pub mod track;
mod usage;

pub use crate::model::Scheme;
pub use exhibits::Exhibits;
pub use outcome::{
    AlleleOutcome, DELTA_NAMES, DeltaScores, GeneScore, Outcome, Scores, Skipped, TrackScore,
    UsageScores, VariantOutcome, Window, WindowTrack,
};
pub use reading::Reading;
pub use reason::{Skip, Warning};
pub use score::Scorer;
pub use settings::{MAX_DISTANCE, Mask, RefMismatch, Rules, Settings};
pub use text::{Print, Text};

#[cfg(test)]
mod tests;

/// A length as a difference of positions.
fn signed(length: usize) -> i64 {
    i64::try_from(length).expect("a length that fits in memory")
}
