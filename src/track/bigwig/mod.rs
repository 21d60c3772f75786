//! bigWig: values along contigs in an indexed, compressed binary file (formats.md 7).
//!
//! The layout is that of Kent et al., "BigWig and BigBed", Bioinformatics 26:2204 (2010) and its
//! supplement: a header, a B+ tree of contig names, sections of values, an R tree that finds the
//! sections, and the same values summed up at several zoom levels, each with an R tree.

mod fields;
mod index;
mod packer;
mod reader;
mod writer;
mod zoom;

pub use reader::{Facts, Reader};
pub use writer::BigWig;

use crate::error::Error;
use packer::Packer;
use std::path::Path;

/// Most items of a section that we write, as UCSC's programs have it.
const ITEMS: usize = 1024;

/// First bytes of a bigWig, and its last ones.
const MAGIC: u32 = 0x888F_FC26;
/// First bytes of its cousin for intervals.
const BIGBED_MAGIC: u32 = 0x8789_F2EB;
/// Whether a file that begins so is a bigWig (or bigBed), in either byte order.
pub fn is_magic(head: [u8; 4]) -> bool {
    [u32::from_le_bytes(head), u32::from_be_bytes(head)]
        .iter()
        .any(|&magic| magic == MAGIC || magic == BIGBED_MAGIC)
}

/// Refuses to continue a bigWig: its beginning and its indexes are written when all is known.
pub fn not_resumable(path: &Path) -> Error {
    Error::usage("a bigWig cannot be resumed")
        .at(path)
        .remedy("leave out --resume, or write .bedGraph.gz, which can be resumed")
}

/// Beginning of the B+ tree of contig names.
const NAMES_MAGIC: u32 = 0x78CA_8C91;
/// Beginning of an R tree.
const INDEX_MAGIC: u32 = 0x2468_ACE0;

/// Bytes of the header.
const HEADER: usize = 64;
/// Bytes of the header of a zoom level.
const ZOOM_HEADER: usize = 24;
/// Bytes of the header of the B+ tree.
const NAMES_HEADER: usize = 32;
/// Bytes of the header of an R tree.
const INDEX_HEADER: usize = 48;
/// Bytes of the header of a node of either tree.
const NODE_HEADER: usize = 4;
/// Bytes of an entry of an R tree's leaf, and of its other nodes.
const LEAF_ENTRY: usize = 32;
const BRANCH_ENTRY: usize = 24;
/// Bytes of the header of a section.
const SECTION_HEADER: usize = 24;
/// What the id and the length of a contig take in the B+ tree.
const NAME_VALUE: usize = 8;

/// How the values of a section are laid out: the number in its header.
const BED_GRAPH: u8 = 1;
const VARIABLE_STEP: u8 = 2;
const FIXED_STEP: u8 = 3;

/// Bytes of an item of a section: start, end and value; start and value; value.
fn item_size(kind: u8) -> Option<usize> {
    match kind {
        BED_GRAPH => Some(12),
        VARIABLE_STEP => Some(8),
        FIXED_STEP => Some(4),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
