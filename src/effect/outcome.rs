//! What became of a variant.

use super::reason::{Skip, Warning};
use super::track::{Column, TrackEffect};
use crate::genome::genes::Gene;
use crate::genome::{ContigId, Strand};

/// What became of one record.
#[derive(Debug, Clone, PartialEq)]
pub struct VariantOutcome<'a> {
    /// One per ALT in the order of the record; a record without ALT has one, with allele `.`.
    pub alleles: Vec<AlleleOutcome<'a>>,
}

/// What became of one ALT.
#[derive(Debug, Clone, PartialEq)]
pub struct AlleleOutcome<'a> {
    /// ALT as written.
    pub allele: String,
    /// Its scores, or why it has none.
    pub outcome: Outcome<'a>,
    /// What to know of its scores, in ascending order.
    pub warnings: Vec<Warning>,
}

/// Scores, or why there are none.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome<'a> {
    /// One per gene in annotation order (in splice-usage those of the plus strand first), or one
    /// per strand where there is no annotation.
    Scored(Vec<GeneScore<'a>>),
    /// No score.
    Skipped(Skipped<'a>),
}

/// Why an allele has no score.
#[derive(Debug, Clone, PartialEq)]
pub struct Skipped<'a> {
    /// The reason.
    pub reason: Skip,
    /// What was found and expected, in words; may be empty.
    pub detail: String,
    /// The genes for which a published program prints an entry of dots all the same.
    pub dots: Vec<Option<&'a Gene>>,
}

/// Scores of one allele for one gene or strand.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneScore<'a> {
    /// The gene; none where there is no annotation.
    pub gene: Option<&'a Gene>,
    /// The strand that was read.
    pub strand: Strand,
    /// One per mask, in the order of the settings.
    pub scores: Vec<Scores>,
}

impl GeneScore<'_> {
    /// The symbol of the gene, `.` where there is none.
    pub fn symbol(&self) -> &str {
        symbol(self.gene)
    }
}

pub(super) fn symbol(gene: Option<&Gene>) -> &str {
    gene.map_or(".", |gene| &gene.name)
}

/// Scores of one scheme.
#[derive(Debug, Clone, PartialEq)]
pub enum Scores {
    /// Of splice-delta.
    Delta(DeltaScores),
    /// Of splice-usage.
    Usage(UsageScores),
    /// Of tracks without a scheme, one per track.
    Tracks(Vec<TrackScore>),
    /// Of one task of a model of signals.
    Effect(Box<TrackEffect>),
}

impl Scores {
    /// The score of the largest magnitude, gains positive and losses negative; the first of several.
    pub fn strongest(&self) -> f32 {
        let signed: Vec<f32> = match self {
            Self::Delta(DeltaScores { score: [ag, al, dg, dl], .. }) => vec![*ag, -al, *dg, -dl],
            Self::Usage(scores) => vec![scores.gain, scores.loss],
            Self::Tracks(tracks) => tracks.iter().map(|track| track.difference).collect(),
            // the change of the count, or where there is none the largest at a position
            Self::Effect(effect) => {
                let value = |column| effect.values.get(column);
                let value = value(Column::Logfc).or_else(|| value(Column::MaxAbsDiff));
                vec![value.unwrap_or(0.0) as f32]
            }
        };
        let first = |best: f32, next: f32| if next.abs() > best.abs() { next } else { best };
        signed.into_iter().fold(0.0, first)
    }
}

/// The largest difference of one track in either direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackScore {
    /// Alternative less reference.
    pub difference: f32,
    /// Bases from POS, positive towards higher coordinates.
    pub position: i64,
}

/// Names of the four scores of splice-delta: gain and loss of acceptor and donor.
pub const DELTA_NAMES: [&str; 4] = ["AG", "AL", "DG", "DL"];

/// Acceptor gain, acceptor loss, donor gain, donor loss (splice-scoring.md A1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeltaScores {
    /// The largest difference, DS.
    pub score: [f32; 4],
    /// Where it is, DP: bases from POS, positive towards higher coordinates.
    pub position: [i64; 4],
}

/// The largest gain and the largest loss over tissues (splice-scoring.md A3).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UsageScores {
    /// The largest increase.
    pub gain: f32,
    /// Bases from POS, positive towards higher coordinates.
    pub gain_position: i64,
    /// The largest decrease, as a negative number.
    pub loss: f32,
    /// Bases from POS, positive towards higher coordinates.
    pub loss_position: i64,
}

/// What the scores of one allele and gene were taken from.
#[derive(Debug, Clone, PartialEq)]
pub struct Window<'a> {
    /// Index of the ALT in its record.
    pub allele: usize,
    /// The gene; none where there is no annotation.
    pub gene: Option<&'a Gene>,
    /// The strand that was read.
    pub strand: Strand,
    /// The contig.
    pub contig: ContigId,
    /// Position of the first value (0-based; below 0 beyond the start of the contig).
    pub start: i64,
    /// One per track of the scheme, in the order of genomic positions.
    pub tracks: Vec<WindowTrack>,
}

/// One track before and after a variant, as scored: the alternative is aligned to the reference.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowTrack {
    /// Name of the track.
    pub name: String,
    /// On the reference.
    pub reference: Vec<f32>,
    /// On the alternative: 0 where bases are deleted, the maximum over inserted ones.
    pub alternative: Vec<f32>,
    /// Alternative less reference, as the scheme combines it over members.
    pub difference: Vec<f32>,
}
