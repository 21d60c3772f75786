//! Regions to predict: BED files and region strings.

use super::{Interval, Strand};

/// A requested stretch of the reference (0-based, half-open), never empty, inside its contig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// Where.
    pub interval: Interval,
    /// Column 4 of a BED line, or the region string as the user wrote it.
    pub name: Option<String>,
    /// Column 6 of a BED line when it is `+` or `-`.
    pub strand: Option<Strand>,
}
