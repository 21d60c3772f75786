//! The reference: an indexed FASTA file with one checked way to read bases.

use super::{ContigId, Contigs};
use crate::error::Result;
use std::path::Path;

/// A plain or bgzipped FASTA file with its index.
#[derive(Debug)]
pub struct Reference {}

impl Reference {
    /// Opens the file and its `.fai` / `.gzi`; missing ones are built in memory.
    pub fn open(_path: &Path) -> Result<Self> {
        unimplemented!()
    }

    /// The contigs, in FASTA order.
    pub fn contigs(&self) -> &Contigs {
        unimplemented!()
    }

    /// Bases `[start, end)` of a contig (0-based, may leave the contig), letters as in the file,
    /// `N` beyond either end of the contig. The only way to read sequence.
    pub fn fetch(&mut self, _contig: ContigId, _start: i64, _end: i64) -> Result<Vec<u8>> {
        unimplemented!()
    }
}
