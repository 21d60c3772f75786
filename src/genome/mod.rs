//! Sequence in: contig names, intervals, regions and the reference.
//!
//! Inside the program every interval is 0-based and half-open; conversion happens once, at the
//! reader. This room and `track` are the only users of noodles.

pub mod contigs;
pub mod interval;
pub mod reference;
pub mod regions;

pub use contigs::{ContigId, Contigs};
pub use interval::{Interval, Strand};
pub use reference::Reference;
pub use regions::Region;
