//! Variant files out: VCF text and BCF with what was added to INFO, and tables with a row per allele.

mod bcf;
mod info;
mod order;
mod table;
mod vcf;

pub use info::InfoKeys;
pub use table::AlleleTable;

use super::index::Indexing;
use super::name::in_place;
use crate::error::{Error, Result};
use crate::genome::Contigs;
use crate::genome::variants::{Header, Record};
use crate::job::OutputFile;
use crate::job::manifest::Groups;
use bcf::BcfFile;
use serde::{Deserialize, Serialize};
use std::path::Path;
use vcf::VcfText;

/// What the name of an output asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VariantFormat {
    /// VCF text, in BGZF blocks or plain.
    Vcf {
        /// Whether in BGZF blocks.
        bgzip: bool,
    },
    /// BCF, whose header must declare all that its records use
    /// ([`crate::genome::variants::complete`]).
    Bcf,
    /// A table with a row per allele and gene.
    Table {
        /// Whether in BGZF blocks.
        bgzip: bool,
    },
}

impl VariantFormat {
    /// By the ending of a name; `None` where the name has none to follow: `-` and existing pipes
    /// and devices.
    ///
    /// # Errors
    /// An unknown ending (usage).
    pub fn of(path: &Path) -> Result<Option<Self>> {
        if path == Path::new("-") || in_place(path) {
            return Ok(None);
        }
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let (plain, bgzip) = name.strip_suffix(".gz").map_or((name, false), |name| (name, true));
        match plain.rsplit_once('.') {
            Some((stem, "vcf")) if !stem.is_empty() => Ok(Some(Self::Vcf { bgzip })),
            Some((stem, "bcf")) if !stem.is_empty() && !bgzip => Ok(Some(Self::Bcf)),
            Some((stem, "tsv")) if !stem.is_empty() => Ok(Some(Self::Table { bgzip })),
            _ => Err(Error::usage("the ending of the output's name is not known")
                .at(path)
                .expected("NAME.vcf or NAME.tsv, each also with .gz, NAME.bcf, or - for stdout")),
        }
    }

    /// Whether the table of the changes of a region is bgzipped.
    ///
    /// # Errors
    /// Anything but a table (usage).
    pub fn of_changes(path: &Path) -> Result<bool> {
        match Self::of(path) {
            Ok(None) => Ok(false),
            Ok(Some(Self::Table { bgzip })) => Ok(bgzip),
            // no other ending is one here
            Ok(Some(_)) | Err(_) => Err(Error::usage("changes of a region are written as a table")
                .at(path)
                .expected("NAME.tsv, NAME.tsv.gz, or - for standard output")),
        }
    }
}

/// What of an output is there when an interrupted run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Its length in bytes.
    pub bytes: u64,
    /// Its records.
    pub records: u64,
}

/// Takes the records of a variant file in their order.
pub trait VariantSink: Send {
    /// Adds a record as `line`, which is its VCF text with whatever was added to INFO.
    ///
    /// # Errors
    /// Any failure to write; with an index, a record that is not in order.
    fn write(&mut self, record: &Record, line: &[u8]) -> Result<()>;

    /// Hands all records to the operating system; a run can go on after them.
    ///
    /// # Errors
    /// Any failure to write.
    fn checkpoint(&mut self) -> Result<Kept>;

    /// Writes what is left and makes the output complete (but not yet visible under its name).
    ///
    /// # Errors
    /// Any failure to write.
    fn finish(&mut self) -> Result<()>;

    /// What an index of the joined file is made of, where the file is a part and there is to be one.
    fn groups(&self) -> Option<Groups>;

    /// Records so far.
    fn records(&self) -> u64;

    /// Bytes of the file before its records, which each of several parts has.
    fn head(&self) -> u64;

    /// Gives up the files, data before index, to be committed or abandoned.
    fn into_files(self: Box<Self>) -> Vec<OutputFile>;
}

/// Opens a variant file for these records, before any work, or continues the part of an interrupted
/// run after what it `kept`; bgzipped VCF and BCF can have an index.
///
/// # Errors
/// The file cannot be opened; an index of a file that can have none, a table (usage).
pub fn create(
    path: &Path,
    format: VariantFormat,
    header: &Header,
    contigs: &Contigs,
    indexing: Indexing,
    kept: Option<Kept>,
) -> Result<Box<dyn VariantSink>> {
    match format {
        VariantFormat::Vcf { bgzip } if bgzip || indexing == Indexing::None => {
            Ok(Box::new(VcfText::create(path, bgzip, header, contigs, indexing, kept)?))
        }
        VariantFormat::Bcf => Ok(Box::new(BcfFile::create(path, header, contigs, indexing, kept)?)),
        VariantFormat::Vcf { .. } | VariantFormat::Table { .. } => {
            Err(Error::usage("this output can have no index")
                .at(path)
                .expected("NAME.vcf.gz or NAME.bcf")
                .remedy("leave out --write-index, or choose another name"))
        }
    }
}

#[cfg(test)]
mod tests;
