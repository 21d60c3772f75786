//! Which alleles are scored: our rules and those of the published programs, each as the list of its
//! tests in order (splice-scoring.md A1, A3, B2).
//!
//! Three things hold under all rules: letters are compared without regard to case, what is not
//! A, C, G, T or N has no score, and ALT has a longest length (B1, "deliberate exceptions").

use super::allele::{Kind, foreign_letter};
use super::outcome::Skipped;
use super::reason::Skip;
use super::settings::{RefMismatch, Rules, Settings};
use crate::genome::Variant;
use crate::genome::genes::Gene;
use crate::network::Reach;

/// A record with what the reference and the annotation say about its place.
pub(super) struct Site<'v, 'a> {
    pub variant: &'v Variant,
    /// Bases of the contig; none where the reference does not have it.
    pub length: Option<u64>,
    /// Whether the annotation has a gene on the contig; true where there is no annotation.
    pub annotated: bool,
    /// What is scored at POS: genes, or strands without annotation.
    pub targets: &'v [Option<&'a Gene>],
    /// What the reference has in place of REF, in capitals; shorter beyond the contig's end.
    pub bases: &'v [u8],
    pub flank: Reach,
    pub settings: &'v Settings,
}

/// One ALT of a record.
struct Case<'s, 'v, 'a> {
    site: &'s Site<'v, 'a>,
    alt: &'s str,
    index: usize,
}

type Test = for<'s, 'v, 'a> fn(&Case<'s, 'v, 'a>) -> Option<Skipped<'a>>;

/// B2.
const ATROUS: &[Test] = &[
    no_alt,
    contig,
    annotation,
    out_of_contig,
    no_gene,
    mismatch,
    ref_letters,
    alt_kind,
    no_change,
    ref_too_long,
    alt_too_long,
];

/// A1, in the order of its table.
const SPLICEAI: &[Test] = &[
    no_alt,
    contig,
    annotation,
    out_of_contig,
    no_gene,
    mismatch,
    centred_window,
    ref_too_long,
    alt_marks,
    both_long,
    ref_letters,
    alt_kind,
    alt_too_long,
];

/// A3.
const PANGOLIN: &[Test] = &[
    no_alt,
    contig,
    out_of_contig,
    first_alt,
    alt_kind,
    lengths_differ,
    ref_too_long,
    whole_window,
    mismatch,
    annotation,
    no_gene,
    ref_letters,
    alt_too_long,
];

/// Track effects (track-effects.md B1): those of B2 without genes; an allele may have no letter.
const TRACKS: &[Test] = &[
    no_alt_at_all,
    contig,
    out_of_contig,
    mismatch,
    some_ref_letters,
    some_alt_kind,
    no_change,
    ref_too_long,
    alt_too_long,
];

/// Why an ALT has no effect on tracks, if it has none.
pub(super) fn judge_for_tracks<'a>(
    site: &Site<'_, 'a>,
    alt: &str,
    index: usize,
) -> Option<Skipped<'a>> {
    let case = Case { site, alt, index };
    TRACKS.iter().find_map(|test| test(&case))
}

/// Why an ALT has no score, if it has none.
pub(super) fn judge<'a>(site: &Site<'_, 'a>, alt: &str, index: usize) -> Option<Skipped<'a>> {
    let tests = match site.settings.rules {
        Rules::Atrous => ATROUS,
        Rules::SpliceAi | Rules::OpenSpliceAi => SPLICEAI,
        Rules::Pangolin => PANGOLIN,
    };
    let case = Case { site, alt, index };
    tests.iter().find_map(|test| test(&case))
}

/// What REF and the reference have, where they differ.
pub(super) fn difference(site: &Site<'_, '_>) -> Option<String> {
    let written = &site.variant.reference;
    if site.bases.len() < written.len() {
        return Some(format!("REF of {} letters ends beyond the contig", written.len()));
    }
    let differs = !written.as_bytes().eq_ignore_ascii_case(site.bases);
    differs.then(|| {
        let bases = String::from_utf8_lossy(site.bases);
        format!("REF is {}, the reference has {}", brief(written), brief(&bases))
    })
}

/// Long alleles by their first letters and length.
fn brief(bases: &str) -> String {
    const SHOWN: usize = 20;
    match bases.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}… ({} letters)", &bases[..end], bases.chars().count()),
        None => bases.to_owned(),
    }
}

fn skip<'a>(reason: Skip, detail: impl Into<String>) -> Option<Skipped<'a>> {
    Some(Skipped { reason, detail: detail.into(), dots: Vec::new() })
}

impl Case<'_, '_, '_> {
    fn removed(&self) -> usize {
        self.site.variant.reference.len()
    }

    /// Whether the bases from `left` before POS to `right` from POS on are in the contig.
    fn fits(&self, left: u64, right: u64) -> bool {
        let Some((start, length)) = self.site.variant.start().zip(self.site.length) else {
            return false;
        };
        start >= left && start.checked_add(right).is_some_and(|end| end <= length)
    }
}

fn no_alt<'a>(case: &Case<'_, '_, 'a>) -> Option<Skipped<'a>> {
    (Kind::of(case.alt) == Kind::Missing).then(|| skip(Skip::NoAlt, ""))?
}

fn no_alt_at_all<'a>(case: &Case<'_, '_, 'a>) -> Option<Skipped<'a>> {
    if case.alt.is_empty() { None } else { no_alt(case) }
}

fn some_ref_letters<'a>(case: &Case<'_, '_, 'a>) -> Option<Skipped<'a>> {
    if case.site.variant.reference.is_empty() { None } else { ref_letters(case) }
}

fn some_alt_kind<'a>(case: &Case<'_, '_, 'a>) -> Option<Skipped<'a>> {
    if case.alt.is_empty() { None } else { alt_kind(case) }
}

fn contig<'a>(case: &Case<'_, '_, 'a>) -> Option<Skipped<'a>> {
    let known = case.site.length.is_some();
    (!known).then(|| skip(Skip::ContigNotInReference, case.site.variant.chrom.clone()))?
}

fn annotation<'a>(case: &Case<'_, '_, 'a>) -> Option<Skipped<'a>> {
    let name = || case.site.variant.chrom.clone();
    (!case.site.annotated).then(|| skip(Skip::ContigNotInAnnotation, name()))?
}

fn out_of_contig<'a>(case: &Case<'_, '_, 'a>) -> Option<Skipped<'a>> {
    let length = case.site.length.unwrap_or(0);
    let inside = case.site.variant.start().is_some_and(|start| start < length);
    (!inside).then(|| skip(Skip::OutOfContig, format!("the contig has {length} bases")))?
}

fn no_gene<'a>(case: &Case<'_, '_, 'a>) -> Option<Skipped<'a>> {
    case.site.targets.is_empty().then(|| skip(Skip::NoGene, ""))?
}

fn mismatch<'a>(case: &Case<'_, '_, 'a>) -> Option<Skipped<'a>> {
    let believed = case.site.settings.ref_mismatch == RefMismatch::UseVcf
        && case.site.bases.len() == case.removed();
    let detail = difference(case.site).filter(|_| !believed)?;
    skip(Skip::RefMismatch, detail)
}

fn ref_letters<'a>(case: &Case<'_, '_, 'a>) -> Option<Skipped<'a>> {
    let reference = &case.site.variant.reference;
    match foreign_letter(reference) {
        Some(letter) => skip(Skip::RefNotAcgtn, letter.to_string()),
        None => reference.is_empty().then(|| skip(Skip::RefNotAcgtn, "REF is empty"))?,
    }
}

fn alt_kind<'a>(case: &Case<'_, '_, 'a>) -> Option<Skipped<'a>> {
    match Kind::of(case.alt) {
        Kind::Bases => None,
        Kind::Missing => skip(Skip::NoAlt, ""),
        Kind::Symbolic => skip(Skip::Symbolic, ""),
        Kind::Star => skip(Skip::Star, ""),
        Kind::Breakend => skip(Skip::Breakend, ""),
        Kind::Other(letter) => skip(Skip::AltNotAcgtn, letter.to_string()),
    }
}

fn no_change<'a>(case: &Case<'_, '_, 'a>) -> Option<Skipped<'a>> {
    let same = case.alt.eq_ignore_ascii_case(&case.site.variant.reference);
    same.then(|| skip(Skip::NoChange, ""))?
}

fn ref_too_long<'a>(case: &Case<'_, '_, 'a>) -> Option<Skipped<'a>> {
    let longest = 2 * case.site.settings.distance;
    let removed = case.removed();
    let detail = || format!("{removed} letters, at most {longest}");
    (removed > longest).then(|| skip(Skip::RefTooLong, detail()))?
}

fn alt_too_long<'a>(case: &Case<'_, '_, 'a>) -> Option<Skipped<'a>> {
    let (length, longest) = (case.alt.len(), case.site.settings.max_alt);
    let detail = || format!("{length} letters, at most {longest}");
    (length > longest).then(|| skip(Skip::AltTooLong, detail()))?
}

/// The window of A1, centred on POS, lies in the contig.
fn centred_window<'a>(case: &Case<'_, '_, 'a>) -> Option<Skipped<'a>> {
    let side = case.site.flank.left.max(case.site.flank.right) + distance(case);
    (!case.fits(side, side + 1)).then(|| skip(Skip::ContigEdge, "the window leaves the contig"))?
}

/// The window of A3, around all of REF, lies in the contig.
fn whole_window<'a>(case: &Case<'_, '_, 'a>) -> Option<Skipped<'a>> {
    let side = case.site.flank.left.max(case.site.flank.right) + distance(case);
    let right = side + case.removed() as u64;
    (!case.fits(side, right)).then(|| skip(Skip::ContigEdge, "the window leaves the contig"))?
}

fn distance(case: &Case<'_, '_, '_>) -> u64 {
    case.site.settings.distance as u64
}

/// Marks that make an ALT of A1 silent, wherever they stand.
fn alt_marks<'a>(case: &Case<'_, '_, 'a>) -> Option<Skipped<'a>> {
    case.alt.contains(['.', '-', '*', '<', '>']).then(|| alt_kind(case))?
}

/// A1 prints dots for every gene.
fn both_long<'a>(case: &Case<'_, '_, 'a>) -> Option<Skipped<'a>> {
    let long = case.removed() > 1 && case.alt.len() > 1;
    long.then(|| Skipped {
        reason: Skip::PeerRules,
        detail: "REF and ALT have more than one letter each".into(),
        dots: case.site.targets.to_vec(),
    })
}

fn lengths_differ<'a>(case: &Case<'_, '_, 'a>) -> Option<Skipped<'a>> {
    let (removed, inserted) = (case.removed(), case.alt.len());
    let complex = removed > 1 && inserted > 1 && removed != inserted;
    let detail = "REF and ALT have more than one letter each, and not as many";
    complex.then(|| skip(Skip::PeerRules, detail))?
}

fn first_alt<'a>(case: &Case<'_, '_, 'a>) -> Option<Skipped<'a>> {
    (case.index > 0).then(|| skip(Skip::PeerRules, "not the first ALT of its record"))?
}
