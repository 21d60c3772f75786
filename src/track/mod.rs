//! Tracks out: bedGraph (plain, or BGZF with a tabix index) and region tables. Never sees a tensor.

use crate::error::Result;
use crate::genome::ContigId;

/// Values of consecutive bases: `values[i]` belongs to base `start + i` (0-based) of `contig`.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    /// Which contig of the reference.
    pub contig: ContigId,
    /// First base.
    pub start: u64,
    /// One value per base; never NaN or infinite.
    pub values: &'a [f32],
}

/// Takes the segments of one track in genome order, each base at most once.
pub trait Sink: Send {
    /// Adds a segment; it starts at or after the end of the one before.
    ///
    /// # Errors
    /// Any failure to write.
    fn write(&mut self, segment: Segment<'_>) -> Result<()>;

    /// Writes what is left and makes the output complete (but not yet visible under its name).
    ///
    /// # Errors
    /// Any failure to write.
    fn finish(&mut self) -> Result<()>;
}
