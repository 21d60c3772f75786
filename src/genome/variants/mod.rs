//! Variants: where they are and which alleles they have (formats.md 5).

use super::ContigId;

/// One record of a variant file. POS is 1-based as the formats have it; [`Variant::start`] is
/// 0-based.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Line of the file, counted from 1 (in BCF: number of the record).
    pub line: u64,
    /// Name of the contig as the file writes it.
    pub chrom: String,
    /// The contig of the reference, where it has one of this name.
    pub contig: Option<ContigId>,
    /// 1-based position of the first letter of REF; 0 is legal and no base.
    pub pos: u64,
    /// REF as written.
    pub reference: String,
    /// ALT alleles as written; none for `.`.
    pub alternates: Vec<String>,
}

impl Variant {
    /// 0-based position of the first letter of REF; none for POS 0.
    pub fn start(&self) -> Option<u64> {
        self.pos.checked_sub(1)
    }
}
