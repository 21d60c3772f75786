//! Sequence in: contig names, intervals, regions and the reference.
//!
//! Inside the program every interval is 0-based and half-open; conversion happens once, at the
//! reader. This room and `track` are the only users of noodles.

mod aliases;
pub mod annotation;
mod bed;
mod bgzip;
pub mod contigs;
mod fasta_index;
pub mod genes;
mod index_check;
pub mod interval;
pub mod reference;
mod region_text;
pub mod regions;
pub mod resolver;
mod roman;
pub mod sequence;
mod source;
pub(crate) mod text;
pub mod variants;

pub use annotation::{Annotation, Transcript, read_transcripts};
pub use bgzip::END_BLOCK;
pub use contigs::{ContigId, Contigs};
pub use genes::{Gene, Genes};
pub use interval::{Interval, Strand};
pub use reference::{Reference, ReferenceInfo};
pub use regions::{Region, RegionOptions, Regions, parse_region, read_bed};
pub use resolver::Resolver;
pub use variants::Variant;
