//! Sequence in: contig names, intervals, regions and the reference.
//!
//! Inside the program every interval is 0-based and half-open; conversion happens once, at the
//! reader. This room and `track` are the only users of noodles.

mod aliases;
mod bgzip;
pub mod contigs;
mod fasta_index;
mod index_check;
pub mod interval;
pub mod reference;
pub mod regions;
pub mod resolver;
mod roman;
pub mod sequence;
mod source;
mod text;

pub use contigs::{ContigId, Contigs};
pub use interval::{Interval, Strand};
pub use reference::{Reference, ReferenceInfo};
pub use regions::Region;
pub use resolver::Resolver;
