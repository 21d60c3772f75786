//! Tracks out: bedGraph (plain, or BGZF with a tabix index), bigWig, and region tables; signals in:
//! bigWig and bedGraph. Never sees a tensor.

pub mod bedgraph;
pub mod bigwig;
pub mod index;
pub mod name;
pub mod number;
mod runs;
pub mod signal;
pub mod statistics;
pub mod table;
pub(crate) mod text;
pub mod variants;

pub use crate::genome::END_BLOCK;
pub use bedgraph::BedGraph;
pub use bigwig::BigWig;
pub use signal::{Missing, Signal, SignalFile};
pub use table::RegionTable;

use crate::error::Result;
use crate::genome::{ContigId, Contigs};
use crate::job::OutputFile;
use name::Kind;
use number::Rounding;
use std::path::Path;

/// Runs of equal values and BGZF blocks end at absolute multiples of this many bases of a contig,
/// so that pieces made separately join byte for byte.
pub const CHUNK: u64 = 100_000;

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

/// How the values of a track are written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Style {
    /// Rounding of the printed numbers.
    pub rounding: Rounding,
    /// Values below this are left out.
    pub min_value: Option<f32>,
    /// Text after `track type=bedGraph ` in a first line for genome browsers; none by default,
    /// because converters to bigWig reject such a line.
    pub track_line: Option<String>,
    /// The file is a part that will be joined with others: the list of its lines
    /// ([`index::Indexing::Groups`]) stands in for an index.
    pub part: bool,
}

/// Takes the segments of one track in genome order, each base at most once.
pub trait Sink: Send {
    /// Adds a segment; it starts at or after the end of the one before.
    ///
    /// # Errors
    /// Any failure to write.
    fn write(&mut self, segment: Segment<'_>) -> Result<()>;

    /// Hands all that was added to the operating system and returns the output's length in bytes.
    /// Only right where the next segment begins in another [`CHUNK`]: the output can be resumed
    /// there.
    ///
    /// # Errors
    /// Any failure to write.
    fn checkpoint(&mut self) -> Result<u64>;

    /// Writes what is left and makes the output complete (but not yet visible under its name).
    ///
    /// # Errors
    /// Any failure to write.
    fn finish(&mut self) -> Result<()>;

    /// Data lines so far; in a bigWig, runs of one value.
    fn records(&self) -> u64;

    /// Bytes of the file before its values, which each of several parts has.
    fn head(&self) -> u64;

    /// Gives up the files, data before index, to be committed or abandoned.
    fn into_files(self: Box<Self>) -> Vec<OutputFile>;
}

/// Opens a track output by the ending of its name, before any work. With `kept` bytes the partial
/// output of an interrupted run is continued after them.
///
/// # Errors
/// An unknown ending, or the file cannot be opened.
pub fn open(
    path: &Path,
    contigs: &Contigs,
    style: &Style,
    kept: Option<u64>,
) -> Result<Box<dyn Sink>> {
    let kind = name::Format::of_track(path)?.kind;
    let bgzip = kind == Kind::Bgzf;
    Ok(match (kind, kept) {
        (Kind::BigWig, None) => Box::new(BigWig::create(path, contigs, style)?),
        (Kind::BigWig, Some(_)) => return Err(bigwig::not_resumable(path)),
        (_, None) => Box::new(BedGraph::create(path, bgzip, contigs, style)?),
        (_, Some(bytes)) => Box::new(BedGraph::resume(path, bgzip, contigs, style, bytes)?),
    })
}
