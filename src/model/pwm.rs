//! Splice-site position-weight matrices as a network: the smallest model that is of any use.
//!
//! A matrix holds, for each base around a site, the log-odds (bits) of each letter: how much more
//! often it is seen at sites than in transcribed sequence. The score of a position is the sum over
//! its window, which is one convolution. Method: Staden, Nucleic Acids Research 12:505 (1984).

mod held_out;

pub use held_out::{Cutoff, HeldOut, held_out};

use super::{Member, Model, Provenance, Source, Tensor, Track, TrackStrand, UnknownBase, Weights};
use crate::error::{Error, Result};
use crate::genome::{ContigId, Interval, Reference, Strand};
use crate::network::{Graph, GraphBuilder, Op};

/// Letters of one window, 0..4 for A, C, G, T on the strand that is read.
type Window = Vec<usize>;

/// A splice site: the exonic base at an exon's boundary (formats.md 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// Which contig of the reference.
    pub contig: ContigId,
    /// 0-based: the last exon base (donor) or the first exon base (acceptor).
    pub position: u64,
    /// Strand of the transcript.
    pub strand: Strand,
}

/// What the matrices are learned from: sorted, each site once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpliceSites {
    /// Last exon bases before an intron.
    pub donors: Vec<Site>,
    /// First exon bases after an intron.
    pub acceptors: Vec<Site>,
    /// Stretches of the transcripts on their strand, not overlapping on one strand; their letters
    /// are the background.
    pub transcribed: Vec<(Interval, Strand)>,
}

impl SpliceSites {
    /// The sites of introns `(intron, strand)` and the union of transcripts.
    pub fn new(
        introns: impl IntoIterator<Item = (Interval, Strand)>,
        transcripts: impl IntoIterator<Item = (Interval, Strand)>,
    ) -> Self {
        let mut sites = Self { transcribed: union(transcripts), ..Self::default() };
        for (intron, strand) in introns.into_iter().filter(|(intron, _)| intron.start > 0) {
            let at = |position| Site { contig: intron.contig, position, strand };
            let (before, after) = (at(intron.start - 1), at(intron.end));
            let (donor, acceptor) = match strand {
                Strand::Plus => (before, after),
                Strand::Minus => (after, before),
            };
            sites.donors.push(donor);
            sites.acceptors.push(acceptor);
        }
        for list in [&mut sites.donors, &mut sites.acceptors] {
            list.sort_unstable();
            list.dedup();
        }
        sites
    }

    /// All sites and stretches that lie on another contig.
    fn without(&self, contig: ContigId) -> Self {
        let elsewhere = |sites: &[Site]| {
            sites.iter().copied().filter(|site| site.contig != contig).collect::<Vec<_>>()
        };
        let transcribed = self.transcribed.iter().copied();
        Self {
            donors: elsewhere(&self.donors),
            acceptors: elsewhere(&self.acceptors),
            transcribed: transcribed.filter(|(place, _)| place.contig != contig).collect(),
        }
    }
}

/// Stretches joined where they touch or overlap on the same strand, sorted.
fn union(stretches: impl IntoIterator<Item = (Interval, Strand)>) -> Vec<(Interval, Strand)> {
    let mut sorted: Vec<_> = stretches.into_iter().collect();
    sorted.sort_unstable_by_key(|(place, strand)| (*strand, *place));
    let mut joined: Vec<(Interval, Strand)> = Vec::new();
    for (place, strand) in sorted {
        match joined.last_mut() {
            Some((last, on))
                if (*on, last.contig) == (strand, place.contig) && place.start <= last.end =>
            {
                last.end = last.end.max(place.end);
            }
            _ => joined.push((place, strand)),
        }
    }
    joined.sort_unstable();
    joined
}

/// How wide the matrices are and how small counts are smoothed.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Exon bases of the donor matrix; at least 1, the labelled base itself.
    pub donor_exon: usize,
    /// Intron bases of the donor matrix; at least 2, the GT.
    pub donor_intron: usize,
    /// Intron bases of the acceptor matrix; at least 2, the AG.
    pub acceptor_intron: usize,
    /// Exon bases of the acceptor matrix; at least 1, the labelled base itself.
    pub acceptor_exon: usize,
    /// Imaginary sites added to the counts of each column, with the background's composition.
    pub pseudo_count: f64,
}

/// Widest side of a matrix, in bases.
const WIDEST: usize = 1000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            donor_exon: 3,
            donor_intron: 6,
            acceptor_intron: 20,
            acceptor_exon: 3,
            pseudo_count: 1.0,
        }
    }
}

impl Settings {
    fn check(&self) -> Result<()> {
        for (name, width, least) in [
            ("exon bases of the donor matrix", self.donor_exon, 1),
            ("intron bases of the donor matrix", self.donor_intron, 2),
            ("intron bases of the acceptor matrix", self.acceptor_intron, 2),
            ("exon bases of the acceptor matrix", self.acceptor_exon, 1),
        ] {
            if !(least..=WIDEST).contains(&width) {
                return Err(Error::usage(format!("the number of {name} is out of range"))
                    .found(width)
                    .expected(format!("{least} to {WIDEST}")));
            }
        }
        if !(self.pseudo_count > 0.0 && self.pseudo_count <= 1e6) {
            return Err(Error::usage("the pseudo-count is out of range")
                .found(self.pseudo_count)
                .expected("more than 0, at most 1000000"));
        }
        Ok(())
    }
}

/// One kind of site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Donor,
    Acceptor,
}

impl Kind {
    /// Window of the matrix: bases left and right of the labelled base, on the strand read.
    fn window(self, settings: &Settings) -> (usize, usize) {
        match self {
            Kind::Donor => (settings.donor_exon - 1, settings.donor_intron),
            Kind::Acceptor => (settings.acceptor_intron, settings.acceptor_exon - 1),
        }
    }

    /// Whether the intron has the usual two bases here: GT after a donor, AG before an acceptor.
    fn is_canonical(self, letters: &[usize], left: usize) -> bool {
        const A: usize = 0;
        const G: usize = 2;
        const T: usize = 3;
        match self {
            Kind::Donor => letters[left + 1..=left + 2] == [G, T],
            Kind::Acceptor => letters[left - 2..left] == [A, G],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Donor => "donor",
            Kind::Acceptor => "acceptor",
        }
    }

    fn boundary(self) -> &'static str {
        match self {
            Kind::Donor => "last exon base before an intron",
            Kind::Acceptor => "first exon base after an intron",
        }
    }

    fn sites(self, sites: &SpliceSites) -> &[Site] {
        match self {
            Kind::Donor => &sites.donors,
            Kind::Acceptor => &sites.acceptors,
        }
    }
}

/// A learned matrix and what it was learned from.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// Bases before the labelled base; the matrix has `columns.len()` bases in all.
    pub left: usize,
    /// Log-odds in bits of A, C, G, T for each base, 5' to 3'.
    pub columns: Vec<[f64; 4]>,
    /// Sites that were counted.
    pub sites: usize,
    /// Of these, how many have GT (donor) or AG (acceptor) in the intron.
    pub canonical: usize,
    /// Sites left out because their window leaves the contig.
    pub outside: usize,
    /// Sites left out because their window holds a letter other than A, C, G, T.
    pub unknown: usize,
    /// Relative entropy against the background, summed over the columns, in bits.
    pub information: f64,
}

/// Both matrices.
#[derive(Debug, Clone, PartialEq)]
pub struct SplicePwm {
    /// Of the donor sites.
    pub donor: Matrix,
    /// Of the acceptor sites.
    pub acceptor: Matrix,
    /// Shares of A, C, G, T in the transcribed stretches, read on their strand.
    pub background: [f64; 4],
}

impl SplicePwm {
    /// Learns both matrices.
    ///
    /// # Errors
    /// Settings out of range; no usable site of either kind; a letter that the transcribed
    /// stretches never hold; a failure to read the reference.
    pub fn learn(
        reference: &mut Reference,
        sites: &SpliceSites,
        settings: &Settings,
    ) -> Result<Self> {
        settings.check()?;
        let background = background(reference, &sites.transcribed)?;
        let mut learn = |kind| learn_matrix(reference, kind, sites, settings, &background);
        Ok(Self { donor: learn(Kind::Donor)?, acceptor: learn(Kind::Acceptor)?, background })
    }

    /// The matrices as a model with the tracks `donor` and `acceptor`, in bits.
    ///
    /// # Errors
    /// None for matrices that [`SplicePwm::learn`] made.
    pub fn to_model(&self, name: &str, provenance: Provenance) -> Result<Model> {
        let mut graph = GraphBuilder::new();
        let mut weights = Weights::new();
        let mut heads = Vec::new();
        for (kind, matrix) in [(Kind::Donor, &self.donor), (Kind::Acceptor, &self.acceptor)] {
            let kernel = matrix.columns.len();
            let conv =
                Op::Conv { channels: 1, kernel, dilation: 1, left: matrix.left, bias: false };
            heads.push(graph.add(kind.name(), conv, &[graph.input()])?);
            weights.insert(format!("{}.weight", kind.name()), tensor(&matrix.columns));
        }
        graph.add("sites", Op::Concat, &heads)?;
        let network: Graph = graph.finish()?;
        let tracks = [Kind::Donor, Kind::Acceptor].into_iter().enumerate();
        Ok(Model {
            name: name.to_string(),
            networks: vec![network],
            members: vec![Member { name: "pwm".into(), network: 0, weights }],
            tracks: tracks
                .map(|(channel, kind)| Track {
                    name: kind.name().into(),
                    unit: "bits".into(),
                    description: format!("Log-odds that this is the {}", kind.boundary()),
                    strand: TrackStrand::Read,
                    default: true,
                    sources: vec![Source { member: 0, channel }],
                })
                .collect(),
            unknown_base: UnknownBase::Zero,
            provenance,
        })
    }
}

/// Columns as a convolution weight [1, letter, tap].
fn tensor(columns: &[[f64; 4]]) -> Tensor {
    let letters = (0..4).flat_map(|letter| columns.iter().map(move |column| column[letter]));
    let values = letters.map(|bits| bits as f32).collect();
    Tensor { shape: vec![1, 4, columns.len()], values }
}

/// Shares of the four letters; other letters are not counted.
fn background(reference: &mut Reference, stretches: &[(Interval, Strand)]) -> Result<[f64; 4]> {
    let mut counts = [0u64; 4];
    for_each_piece(reference, stretches, 0, 0, |_, letters| {
        for letter in letters.iter().flatten() {
            counts[*letter] += 1;
        }
    })?;
    let total: u64 = counts.iter().sum();
    if counts.contains(&0) {
        return Err(Error::new("the annotated transcripts do not hold all of A, C, G and T")
            .found(format!("{counts:?}"))
            .remedy("check that the annotation belongs to this FASTA file"));
    }
    Ok(counts.map(|count| count as f64 / total as f64))
}

/// Bases that are read at a time.
const PIECE: u64 = 1 << 20;

/// Calls `see(piece, letters)` for consecutive pieces of the stretches; the letters reach `left`
/// and `right` beyond the piece, on the strand that is read.
fn for_each_piece(
    reference: &mut Reference,
    stretches: &[(Interval, Strand)],
    left: usize,
    right: usize,
    mut see: impl FnMut(Piece, &[Option<usize>]),
) -> Result<()> {
    for &(place, strand) in stretches {
        let mut start = place.start;
        while start < place.end {
            let end = place.end.min(start + PIECE);
            let piece = Piece { core: Interval { start, end, ..place }, strand };
            see(piece, &letters(reference, piece, left, right)?);
            start = end;
        }
    }
    Ok(())
}

/// A stretch and the strand on which it is read.
#[derive(Debug, Clone, Copy)]
struct Piece {
    core: Interval,
    strand: Strand,
}

impl Piece {
    /// The site at index `i` of the core, counted in the direction of reading.
    fn site(self, i: u64) -> Site {
        let position = match self.strand {
            Strand::Plus => self.core.start + i,
            Strand::Minus => self.core.end - 1 - i,
        };
        Site { contig: self.core.contig, position, strand: self.strand }
    }
}

/// Letters of the piece with `left` and `right` more on the strand read, 5' to 3'; `None` for
/// anything that is not A, C, G or T, and beyond the contig.
fn letters(
    reference: &mut Reference,
    piece: Piece,
    left: usize,
    right: usize,
) -> Result<Vec<Option<usize>>> {
    let Piece { core, strand } = piece;
    let (before, after) = match strand {
        Strand::Plus => (left, right),
        Strand::Minus => (right, left),
    };
    let signed = |position: u64| i64::try_from(position).expect("contigs are shorter than 2^63");
    let (before, after) = (signed(before as u64), signed(after as u64));
    let bases =
        reference.fetch(core.contig, signed(core.start) - before, signed(core.end) + after)?;
    let plus =
        bases.iter().map(|base| b"ACGT".iter().position(|b| b == &base.to_ascii_uppercase()));
    Ok(match strand {
        Strand::Plus => plus.collect(),
        Strand::Minus => plus.rev().map(|letter| letter.map(|l| 3 - l)).collect(),
    })
}

/// Log-odds are rounded to this many steps per bit, so that a file does not depend on the last
/// digit of a platform's logarithm.
const STEPS_PER_BIT: f64 = 10_000.0;

fn learn_matrix(
    reference: &mut Reference,
    kind: Kind,
    all: &SpliceSites,
    settings: &Settings,
    background: &[f64; 4],
) -> Result<Matrix> {
    let (left, right) = kind.window(settings);
    let width = left + 1 + right;
    let mut counts = vec![[0u32; 4]; width];
    let mut matrix = Matrix {
        left,
        columns: Vec::with_capacity(width),
        sites: 0,
        canonical: 0,
        outside: 0,
        unknown: 0,
        information: 0.0,
    };
    for &site in kind.sites(all) {
        if !window_fits(reference, site, left, right) {
            matrix.outside += 1;
            continue;
        }
        let core = Interval { contig: site.contig, start: site.position, end: site.position + 1 };
        let piece = Piece { core, strand: site.strand };
        let Some(window) =
            letters(reference, piece, left, right)?.into_iter().collect::<Option<Window>>()
        else {
            matrix.unknown += 1;
            continue;
        };
        matrix.sites += 1;
        matrix.canonical += usize::from(kind.is_canonical(&window, left));
        for (column, letter) in counts.iter_mut().zip(window) {
            column[letter] += 1;
        }
    }
    if matrix.sites == 0 {
        return Err(Error::new(format!("no usable {} site", kind.name()))
            .found(format!("{} annotated", kind.sites(all).len()))
            .remedy("check that the annotation has spliced transcripts on these contigs"));
    }
    let total = matrix.sites as f64 + settings.pseudo_count;
    for counts in counts {
        let mut column = [0.0; 4];
        for letter in 0..4 {
            let smoothed = f64::from(counts[letter]) + settings.pseudo_count * background[letter];
            let share = smoothed / total;
            let bits = (share / background[letter]).log2();
            matrix.information += share * bits;
            column[letter] = (bits * STEPS_PER_BIT).round() / STEPS_PER_BIT;
        }
        matrix.columns.push(column);
    }
    Ok(matrix)
}

/// Whether the window of a site lies inside its contig.
fn window_fits(reference: &Reference, site: Site, left: usize, right: usize) -> bool {
    let (before, after) = match site.strand {
        Strand::Plus => (left, right),
        Strand::Minus => (right, left),
    };
    let length = reference.contigs().length(site.contig);
    site.position >= before as u64 && site.position + (after as u64) < length
}
