//! Regions to predict: what a region is, and whole contigs as regions. BED files are read by
//! [`read_bed`], region strings by [`parse_region`].

use super::{ContigId, Contigs, Interval, Resolver, Strand};
use crate::error::{Error, Result};
use std::path::Path;
use std::sync::Arc;

pub use super::bed::read_bed;
pub use super::region_text::parse_region;

/// A requested stretch of the reference (0-based, half-open), never empty, inside its contig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// Where.
    pub interval: Interval,
    /// Column 4 of a BED line, or the region string as the user wrote it.
    pub name: Option<String>,
    /// Column 6 of a BED line when it is `+` or `-`.
    pub strand: Option<Strand>,
    /// Base of the summit (0-based), from column 10 of a narrowPeak line.
    pub summit: Option<u64>,
    /// Who asked for it, for messages.
    pub origin: Origin,
}

/// Where a region was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line (from 1) of a file.
    Line {
        /// The file's name as the user gave it.
        file: Arc<Path>,
        /// Its line, from 1.
        line: u64,
    },
    /// A region string, a contig's name or the whole reference.
    Request,
}

impl Origin {
    /// An error about the region, at its file and line when it has one.
    pub fn error(&self, what: impl Into<String>) -> Error {
        self.locate(Error::new(what))
    }

    /// The error with the region's file and line, when it has one.
    pub(super) fn locate(&self, error: Error) -> Error {
        match self {
            Self::Line { file, line } => error.at(file).line(*line),
            Self::Request => error,
        }
    }
}

/// What to do with regions that do not fit the reference; by default both are errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RegionOptions {
    /// Cut regions at the end of their contig.
    pub clip: bool,
    /// Leave out regions on contigs that the reference does not have.
    pub skip_unknown_contigs: bool,
}

/// The regions of a request, in its order, and what was left out of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Regions {
    /// The regions.
    pub list: Vec<Region>,
    /// The records without a region.
    pub skipped: Vec<Skip>,
}

impl Regions {
    /// How many records were left out for a reason.
    pub fn skipped_for(&self, reason: SkipReason) -> usize {
        self.skipped.iter().filter(|skip| skip.reason == reason).count()
    }
}

/// A record that became no region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// Why.
    pub reason: SkipReason,
    /// The contig's name as the record has it.
    pub contig: Arc<str>,
    /// Where the record stands.
    pub origin: Origin,
}

/// Why a record became no region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkipReason {
    /// It holds no base.
    Empty,
    /// The reference has no such contig.
    UnknownContig,
}

impl SkipReason {
    /// The code that tables and summaries use.
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "EMPTY",
            Self::UnknownContig => "UNKNOWN_CONTIG",
        }
    }
}

/// The whole of each contig that is named, in the given order; contigs without bases are skipped.
///
/// # Errors
/// A name that the reference does not have, or that could mean two contigs.
pub fn whole_contigs(names: &[String], resolver: &Resolver) -> Result<Regions> {
    let resolver = resolver.for_names(names);
    let mut regions = Regions::default();
    for name in names {
        let id = resolver.resolve(name)?.ok_or_else(|| unknown_contig(name, &resolver))?;
        regions.add_whole(resolver.contigs(), id);
    }
    Ok(regions)
}

/// The whole of every contig, in FASTA order; contigs without bases are skipped.
pub fn whole_reference(contigs: &Contigs) -> Regions {
    let mut regions = Regions::default();
    for (id, _, _) in contigs.iter() {
        regions.add_whole(contigs, id);
    }
    regions
}

impl Regions {
    fn add_whole(&mut self, contigs: &Contigs, contig: ContigId) {
        let name = contigs.name(contig);
        let interval = Interval { contig, start: 0, end: contigs.length(contig) };
        let origin = Origin::Request;
        if interval.is_empty() {
            self.skipped.push(Skip { reason: SkipReason::Empty, contig: name.into(), origin });
        } else {
            let name = Some(name.into());
            self.list.push(Region { interval, name, strand: None, summit: None, origin });
        }
    }
}

/// The error for a contig that the reference does not have.
pub(super) fn unknown_contig(name: &str, resolver: &Resolver) -> Error {
    Error::new(format!("contig `{name}` is not in the reference"))
        .expected(format!("one of {}", resolver.reference_names()))
        .remedy("use the reference's names, or name the pairs in a table (--aliases)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_contigs_are_regions_and_empty_ones_are_counted() {
        let list = [("chr1", 10), ("none", 0), ("chr2", 5)];
        let contigs = Contigs::new(list.map(|(name, length)| (name.into(), length)).into());
        let all = whole_reference(&contigs);
        let spans: Vec<_> =
            all.list.iter().map(|r| (r.interval.contig.0, r.interval.end)).collect();
        assert_eq!(spans, [(0, 10), (2, 5)]);
        assert_eq!(all.skipped_for(SkipReason::Empty), 1);
        assert_eq!(&*all.skipped[0].contig, "none");

        let resolver = Resolver::new(&contigs, None).unwrap();
        let some = whole_contigs(&["2".into(), "chr1".into()], &resolver).unwrap();
        let names: Vec<_> = some.list.iter().map(|r| r.name.as_deref().unwrap()).collect();
        assert_eq!(names, ["chr2", "chr1"]);
        let error = whole_contigs(&["chr3".into()], &resolver).unwrap_err().to_string();
        assert!(error.contains("`chr3` is not in the reference (expected one of chr1"), "{error}");
    }
}
