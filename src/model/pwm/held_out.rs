//! How well the matrices find sites of contigs that they were not learned from.

use super::{Kind, Matrix, Settings, Site, SplicePwm, SpliceSites, windows::for_each_piece};
use crate::error::{Error, Result};
use crate::genome::{ContigId, Reference};
use std::collections::HashSet;

/// Scores are counted in bins of this many per bit.
const BINS_PER_BIT: f64 = 100.0;
/// Bins: scores beyond ±500 bits share the outermost ones.
const BINS: usize = 100_000;

/// Result of leaving out each contig in turn, for one kind of site.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOut {
    /// `donor` or `acceptor`.
    pub kind: &'static str,
    /// Annotated sites among the scored positions.
    pub sites: u64,
    /// Scored positions: every base of the transcribed stretches, on their strand.
    pub positions: u64,
    /// Where as many positions are called as there are sites; its recall is the top-k accuracy.
    pub even: Cutoff,
    /// The highest cutoff that finds 90 % of the sites.
    pub most: Cutoff,
}

/// A score from which a position is called a site.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cutoff {
    /// Least score, in bits.
    pub bits: f64,
    /// Sites called.
    pub found: u64,
    /// Positions called, sites among them.
    pub called: u64,
}

/// Scores every transcribed base with matrices learned from the other contigs. Every base that is
/// not an annotated site counts as wrong, so the precision is a lower bound.
///
/// # Errors
/// Fewer than two contigs with sites, and those of [`SplicePwm::learn`].
pub fn held_out(
    reference: &mut Reference,
    sites: &SpliceSites,
    settings: &Settings,
) -> Result<[HeldOut; 2]> {
    let contigs: Vec<ContigId> = {
        let mut all: Vec<_> = sites.transcribed.iter().map(|(place, _)| place.contig).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    if contigs.len() < 2 {
        return Err(Error::new("nothing can be held out")
            .found(format!("{} contig with transcripts", contigs.len()))
            .expected("2 or more"));
    }
    let mut donor = Histogram::new(&sites.donors);
    let mut acceptor = Histogram::new(&sites.acceptors);
    for contig in contigs {
        let learned = SplicePwm::learn(reference, &sites.without(contig), settings)?;
        let places: Vec<_> =
            sites.transcribed.iter().copied().filter(|(place, _)| place.contig == contig).collect();
        for (matrix, histogram) in
            [(&learned.donor, &mut donor), (&learned.acceptor, &mut acceptor)]
        {
            let right = matrix.columns.len() - 1 - matrix.left;
            for_each_piece(reference, &places, matrix.left, right, |piece, letters| {
                for (i, window) in (0..).zip(letters.windows(matrix.columns.len())) {
                    histogram.add(piece.site(i), score(matrix, window));
                }
            })?;
        }
    }
    Ok([donor.result(Kind::Donor), acceptor.result(Kind::Acceptor)])
}

/// The sum of the log-odds; an unknown letter adds nothing.
fn score(matrix: &Matrix, window: &[Option<usize>]) -> f64 {
    let known = matrix.columns.iter().zip(window);
    known.filter_map(|(column, letter)| letter.map(|letter| column[letter])).sum()
}

/// How many positions, and how many sites, have each score.
struct Histogram {
    truth: HashSet<Site>,
    positions: Vec<u64>,
    sites: Vec<u64>,
}

impl Histogram {
    fn new(sites: &[Site]) -> Self {
        Self {
            truth: sites.iter().copied().collect(),
            positions: vec![0; BINS],
            sites: vec![0; BINS],
        }
    }

    fn add(&mut self, site: Site, bits: f64) {
        let middle = (BINS / 2) as f64;
        let bin = (bits * BINS_PER_BIT + middle).floor().clamp(0.0, (BINS - 1) as f64);
        let bin = bin as usize; // a whole number inside the bins
        self.positions[bin] += 1;
        self.sites[bin] += u64::from(self.truth.contains(&site));
    }

    /// The highest cutoff at which `enough(sites found, positions called)` holds.
    fn cutoff(&self, enough: impl Fn(u64, u64) -> bool) -> Cutoff {
        let (mut found, mut called) = (0, 0);
        for bin in (0..BINS).rev() {
            found += self.sites[bin];
            called += self.positions[bin];
            if enough(found, called) {
                let bits = (bin as f64 - (BINS / 2) as f64) / BINS_PER_BIT;
                return Cutoff { bits, found, called };
            }
        }
        Cutoff { bits: f64::NEG_INFINITY, found, called }
    }

    fn result(&self, kind: Kind) -> HeldOut {
        let sites: u64 = self.sites.iter().sum();
        HeldOut {
            kind: kind.name(),
            sites,
            positions: self.positions.iter().sum(),
            even: self.cutoff(|_, called| called >= sites),
            most: self.cutoff(|found, _| 10 * found >= 9 * sites),
        }
    }
}
