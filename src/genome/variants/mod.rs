//! Variants: where they are and which alleles they have (formats.md 5).
//!
//! [`VariantReader`] reads VCF, BCF and tables of variants, told apart by content, and gives
//! [`Record`]s: what is scored, and the text that is written again as it was.

mod bcf;
mod header;
mod line;
mod list;
mod names;
mod reader;
mod schema;
mod table;

pub use bcf::{Dictionary, Needed, complete, encode};
pub use header::Header;
pub use line::{Columns, info_column};
pub use names::ContigNames;
pub use reader::{BadRecord, OnBadRecord, Origin, VariantReader};
pub use schema::Schema;

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
    /// REF as written; of a [`Schema`] it may have no letter.
    pub reference: String,
    /// ALT alleles as written; none for `.`. Of a [`Schema`] one may have no letter.
    pub alternates: Vec<String>,
}

impl Variant {
    /// 0-based position of the first letter of REF; none for POS 0.
    pub fn start(&self) -> Option<u64> {
        self.pos.checked_sub(1)
    }
}

/// A variant and the record that it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What the record says.
    pub variant: Variant,
    /// The record as a line of VCF without its end: of a VCF file byte for byte (which need not be
    /// UTF-8), of BCF converted, else made of the variant alone.
    pub text: Vec<u8>,
    /// Whether the line ended in CRLF.
    pub crlf: bool,
    /// The columns of a table's row, as [`Header::columns`] names them; else none.
    pub row: Vec<String>,
}
