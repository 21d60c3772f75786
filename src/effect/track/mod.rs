//! Effects of variants on signals: counts and profiles before and after, compared by the columns of
//! track-effects.md B3.
//!
//! A [`TrackReading`] says which tasks of a model are computed; a [`TrackScorer`] compares alleles,
//! with the counts of peaks ([`Background`]) and with shuffled sequences ([`Null`]) where it is
//! given them.

mod background;
mod column;
mod letters;
mod measure;
mod mutate;
mod pairs;
mod reading;
mod score;
mod settings;
mod shuffle;
mod text;

pub use background::{Background, Null, Tested};
pub use column::{Column, Values};
pub use mutate::{Class, Function, MutateRequest, mutate};
pub use reading::TrackReading;
pub use score::{TrackEffect, TrackScorer};
pub use settings::{Combine, IndelRule, StrandAverage, TrackSettings, WindowRule};
pub use shuffle::{Random, shuffle};
pub use text::TrackText;
