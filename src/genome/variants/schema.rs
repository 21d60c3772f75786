//! Tables of variants without a header, by what their columns are (track-effects.md A1).

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// Which columns a table without a header has. Positions are 1-based but for `bed`; `-` is an
/// allele without bases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// `chr pos allele1 allele2 variant_id`
    Chrombpnet,
    /// `chr pos variant_id allele1 allele2`
    Original,
    /// `chr variant_id ignore pos allele1 allele2`
    Plink,
    /// `chr variant_id pos allele1 allele2`
    Plink2,
    /// `chr pos end allele1 allele2 variant_id`, positions 0-based
    Bed,
}

impl Schema {
    const ALL: [Self; 5] = [Self::Chrombpnet, Self::Original, Self::Plink, Self::Plink2, Self::Bed];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chrombpnet => "chrombpnet",
            Self::Original => "original",
            Self::Plink => "plink",
            Self::Plink2 => "plink2",
            Self::Bed => "bed",
        }
    }

    /// Names of the columns.
    pub(super) fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Chrombpnet => &["chr", "pos", "allele1", "allele2", "variant_id"],
            Self::Original => &["chr", "pos", "variant_id", "allele1", "allele2"],
            Self::Plink => &["chr", "variant_id", "ignore", "pos", "allele1", "allele2"],
            Self::Plink2 => &["chr", "variant_id", "pos", "allele1", "allele2"],
            Self::Bed => &["chr", "pos", "end", "allele1", "allele2", "variant_id"],
        }
    }

    /// Where contig, position and alleles are among them.
    pub(super) fn places(self) -> [usize; 4] {
        ["chr", "pos", "allele1", "allele2"].map(|name| {
            let place = self.columns().iter().position(|column| *column == name);
            place.expect("every schema has these columns")
        })
    }

    /// What is added to positions so that they count from 1.
    pub(super) fn offset(self) -> u64 {
        u64::from(self == Self::Bed)
    }
}

impl FromStr for Schema {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|schema| schema.name() == text).ok_or_else(|| {
            Error::usage("there is no such schema")
                .found(text)
                .expected(Self::ALL.map(Self::name).join(", "))
        })
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
