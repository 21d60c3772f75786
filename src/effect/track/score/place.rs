//! What is read of a variant: which of its alleles are scored, and the letters around them.

use super::TrackScorer;
use crate::effect::Rules;
use crate::effect::outcome::{AlleleOutcome, Outcome};
use crate::effect::reason::Warning;
use crate::effect::rules::{self, Site};
use crate::effect::score::{bases, refuse_mismatch};
use crate::effect::settings::Settings;
use crate::effect::track::letters::{Around, Change};
use crate::error::Result;
use crate::genome::{ContigId, Reference, Variant};

/// One ALT that is scored.
pub(super) struct Case {
    pub variant: usize,
    pub allele: usize,
    pub change: Change,
}

/// The cases of one variant, and what is computed for them.
pub(super) struct Place {
    pub cases: Vec<Case>,
    pub contig: ContigId,
    pub start: i64,
    pub length: i64,
    pub around: Around,
    /// How many of the letters of its window are no bases, and all.
    pub unknown: (usize, usize),
}

impl TrackScorer<'_> {
    /// Judges every allele of a variant; what is computed for those that are scored.
    pub(super) fn prepare<'g>(
        &self,
        reference: &mut Reference,
        variant: &Variant,
        index: usize,
    ) -> Result<(Vec<AlleleOutcome<'g>>, Option<Place>)> {
        let length = variant.contig.map(|contig| reference.contigs().length(contig));
        let found = bases(reference, variant, length)?;
        let settings = Settings {
            // REF must fit in the outputs on either side of POS together
            distance: self.shape.outputs() / 2,
            rules: Rules::Atrous,
            ref_mismatch: self.settings.ref_mismatch,
            max_alt: self.settings.max_alt,
            ..Settings::default()
        };
        let site = Site {
            variant,
            length,
            annotated: true,
            targets: &[None],
            bases: &found,
            flank: self.reading.reach(),
            settings: &settings,
        };
        let missing = [".".to_string()];
        let alternates: &[String] =
            if variant.alternates.is_empty() { &missing } else { &variant.alternates };
        let believed = rules::difference(&site).is_some();
        let mut alleles = Vec::with_capacity(alternates.len());
        let mut cases = Vec::new();
        for (allele, alt) in alternates.iter().enumerate() {
            let mut warnings = Vec::new();
            let outcome = match rules::judge_for_tracks(&site, alt, allele) {
                Some(skipped) => {
                    refuse_mismatch(&settings, variant, &skipped)?;
                    Outcome::Skipped(skipped)
                }
                None => {
                    let inserted = alt.to_ascii_uppercase().into_bytes();
                    if inserted.contains(&b'N') {
                        warnings.push(Warning::NInAlt);
                    }
                    let change = Change { removed: variant.reference.len(), inserted };
                    cases.push(Case { variant: index, allele, change });
                    Outcome::Scored(Vec::new())
                }
            };
            alleles.push(AlleleOutcome { allele: alt.clone(), outcome, warnings });
        }
        let place = variant.contig.zip(variant.start()).filter(|_| !cases.is_empty());
        let Some((contig, start)) = place else { return Ok((alleles, None)) };
        let (start, length) = (start.cast_signed(), length.unwrap_or(0).cast_signed());
        let changes: Vec<Change> = cases.iter().map(|case| case.change.clone()).collect();
        let reads = self.shape.reads(start, &changes);
        let mut letters = reference.fetch(contig, reads.start, reads.end)?;
        let at = usize::try_from(start - reads.start).expect("POS is read");
        if believed {
            let written = variant.reference.as_bytes();
            letters[at..at + written.len()].copy_from_slice(written);
        }
        let span = self.shape.span(start);
        let beyond = (-span.start).max(0) + (span.end - length).max(0);
        for case in &cases {
            let warnings = &mut alleles[case.allele].warnings;
            if beyond > 0 {
                let beyond = usize::try_from(beyond).expect("not more than a window");
                warnings.push(Warning::ContigEdge(beyond));
            }
            if believed {
                warnings.push(Warning::RefMismatch);
            }
            warnings.sort_unstable();
        }
        let known = |letter: &&u8| matches!(letter.to_ascii_uppercase(), b'A' | b'C' | b'G' | b'T');
        let unknown = (letters.len() - letters.iter().filter(known).count(), letters.len());
        let around = Around { letters, at };
        Ok((alleles, Some(Place { cases, contig, start, length, around, unknown })))
    }
}
