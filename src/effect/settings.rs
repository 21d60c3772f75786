//! What the user chooses about scores.

use crate::error::{Error, Result};
use crate::genome::Strand;
use crate::model::Scheme;
use std::fmt;
use std::str::FromStr;

/// Longest distance that is reported (splice-scoring.md A1).
pub const MAX_DISTANCE: usize = 4999;

/// Whose rules decide what is scored and how it is printed (splice-scoring.md B1). The arithmetic
/// follows from the weights, never from the rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rules {
    /// Ours: a score wherever there can be one, a reason everywhere else.
    #[default]
    Atrous,
    /// Those of SpliceAI.
    SpliceAi,
    /// Those of OpenSpliceAI.
    OpenSpliceAi,
    /// Those of Pangolin.
    Pangolin,
}

/// Which differences count, by the exons of the gene (splice-scoring.md B4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mask {
    /// All.
    #[default]
    None,
    /// Gains at the exon boundary nearest to the variant and losses elsewhere become 0 after the
    /// extremes were found (A1).
    Nearest,
    /// Gains at annotated sites and losses elsewhere become 0 before the extremes are found (A4;
    /// in splice-usage that of A3).
    All,
}

/// What happens where REF differs from the reference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RefMismatch {
    /// The record has no score.
    #[default]
    Skip,
    /// The run stops.
    Error,
    /// REF is believed: it is put into the reference for this record.
    UseVcf,
}

impl Rules {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Atrous => "atrous",
            Self::SpliceAi => "spliceai",
            Self::OpenSpliceAi => "openspliceai",
            Self::Pangolin => "pangolin",
        }
    }

    /// Decimals of scores where the user does not say.
    pub fn decimals(self) -> u8 {
        if self == Self::Atrous { 4 } else { 2 }
    }
}

impl Mask {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Nearest => "nearest",
            Self::All => "all",
        }
    }
}

impl RefMismatch {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Error => "error",
            Self::UseVcf => "use-vcf",
        }
    }
}

/// Reads and prints a choice by its names.
macro_rules! named {
    ($type:ty, $what:literal, [$($variant:ident),+]) => {
        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                let all = [$(Self::$variant),+];
                all.into_iter().find(|choice| choice.name() == text).ok_or_else(|| {
                    Error::usage(concat!("there are no such ", $what))
                        .found(text)
                        .expected(all.map(Self::name).join(", "))
                })
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

pub(super) use named;

named!(Rules, "rules", [Atrous, SpliceAi, OpenSpliceAi, Pangolin]);
named!(Mask, "masks", [None, Nearest, All]);
named!(RefMismatch, "policies", [Skip, Error, UseVcf]);

/// Everything that decides a score besides the variant, the gene and the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How many bases on either side of the variant are looked at.
    pub distance: usize,
    /// One set of scores for each, in the order none, nearest, all.
    pub masks: Vec<Mask>,
    /// Whether the start and the end of a transcript count as annotated sites of mask `all`; in
    /// splice-usage they always do.
    pub mask_tss: bool,
    /// Whose rules.
    pub rules: Rules,
    /// What happens where REF differs from the reference.
    pub ref_mismatch: RefMismatch,
    /// Longest ALT that is scored, in letters.
    pub max_alt: usize,
    /// The strands that are read where there is no annotation.
    pub strands: Vec<Strand>,
    /// Digits after the decimal point in text; by the rules where none is given.
    pub decimals: Option<u8>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            distance: 50,
            masks: vec![Mask::None],
            mask_tss: false,
            rules: Rules::Atrous,
            ref_mismatch: RefMismatch::Skip,
            max_alt: 10_000,
            strands: vec![Strand::Plus],
            decimals: None,
        }
    }
}

impl Settings {
    /// The same, checked and put in order, for a scheme or for tracks as they are (`None`); without
    /// masks, those of the rules.
    ///
    /// # Errors
    /// A usage error: a distance beyond [`MAX_DISTANCE`], rules or a mask of the other scheme, a
    /// mask without annotation, too many decimals, no strand.
    pub fn checked<'s>(
        mut self,
        scheme: impl Into<Option<&'s Scheme>>,
        annotated: bool,
    ) -> Result<Self> {
        let scheme = scheme.into();
        if self.distance > MAX_DISTANCE {
            return Err(Error::usage("the distance is too long")
                .found(self.distance)
                .expected(format!("at most {MAX_DISTANCE}")));
        }
        let usage = matches!(scheme, Some(Scheme::SpliceUsage { .. }));
        let name = scheme.map_or("tracks without a scheme", Scheme::name);
        let of_usage = self.rules == Rules::Pangolin;
        if self.rules != Rules::Atrous && (scheme.is_none() || usage != of_usage) {
            return Err(Error::usage("these rules are not those of the model's scores")
                .found(format!("--rules {} for {name}", self.rules))
                .expected(match (scheme, usage) {
                    (None, _) => "atrous",
                    (_, true) => "pangolin or atrous",
                    (_, false) => "another than pangolin",
                }));
        }
        if self.masks.is_empty() {
            // The published program masks by default (A3).
            let masked = self.rules == Rules::Pangolin && annotated;
            self.masks = vec![if masked { Mask::All } else { Mask::None }];
        }
        self.masks.sort_unstable();
        self.masks.dedup();
        if usage && self.masks.contains(&Mask::Nearest) {
            return Err(Error::usage("mask nearest is defined for splice-delta only")
                .expected("--mask none, all or both"));
        }
        if !annotated && self.masks != [Mask::None] {
            return Err(Error::usage("a mask needs the exons of genes")
                .remedy("give them with --annotation, or leave out --mask"));
        }
        if scheme.is_none() && self.masks != [Mask::None] {
            return Err(Error::usage("masks are defined for scoring schemes only"));
        }
        if self.decimals.is_some_and(|decimals| decimals > 12) {
            return Err(Error::usage("too many decimals").expected("at most 12"));
        }
        if self.strands.is_empty() && !annotated {
            return Err(Error::usage("no strand is read").remedy("name one with --strand"));
        }
        Ok(self)
    }

    /// Digits after the decimal point in text.
    pub fn decimals(&self) -> u8 {
        self.decimals.unwrap_or(self.rules.decimals())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta() -> Scheme {
        Scheme::SpliceDelta { acceptor: "acceptor".into(), donor: "donor".into() }
    }

    fn usage() -> Scheme {
        Scheme::SpliceUsage { tracks: vec!["heart".into()] }
    }

    #[test]
    fn choices_are_read_by_their_names() {
        assert_eq!("openspliceai".parse::<Rules>().unwrap(), Rules::OpenSpliceAi);
        assert_eq!("nearest".parse::<Mask>().unwrap(), Mask::Nearest);
        assert_eq!("use-vcf".parse::<RefMismatch>().unwrap(), RefMismatch::UseVcf);
        let error = "some".parse::<Mask>().unwrap_err().to_string();
        assert!(error.contains("expected none, nearest, all"), "{error}");
    }

    #[test]
    fn masks_come_in_order_and_once_and_by_default_from_the_rules() {
        let masks = |masks: &[Mask], rules, scheme: &Scheme| {
            let settings = Settings { masks: masks.to_vec(), rules, ..Settings::default() };
            settings.checked(scheme, true).unwrap().masks
        };
        let three = [Mask::All, Mask::None, Mask::All, Mask::Nearest];
        assert_eq!(
            masks(&three, Rules::SpliceAi, &delta()),
            [Mask::None, Mask::Nearest, Mask::All]
        );
        assert_eq!(masks(&[], Rules::SpliceAi, &delta()), [Mask::None]);
        assert_eq!(masks(&[], Rules::Pangolin, &usage()), [Mask::All]);
    }

    #[test]
    fn what_cannot_be_meant_is_a_usage_error() {
        let base = Settings::default;
        let cases: [(Settings, Scheme, bool, &str); 7] = [
            (Settings { distance: 5000, ..base() }, delta(), true, "distance"),
            (Settings { rules: Rules::Pangolin, ..base() }, delta(), true, "rules pangolin"),
            (Settings { rules: Rules::SpliceAi, ..base() }, usage(), true, "rules spliceai"),
            (Settings { masks: vec![Mask::Nearest], ..base() }, usage(), true, "nearest"),
            (Settings { masks: vec![Mask::All], ..base() }, delta(), false, "--annotation"),
            (Settings { decimals: Some(13), ..base() }, delta(), true, "decimals"),
            (Settings { strands: vec![], ..base() }, delta(), false, "--strand"),
        ];
        for (settings, scheme, annotated, why) in cases {
            let error = settings.checked(&scheme, annotated).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
