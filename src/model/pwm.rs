//! Splice-site position-weight matrices as a network: the smallest model that is of any use.
//!
//! A matrix holds, for each base around a site, the log-odds (bits) of each letter: how much more
//! often it is seen at sites than in transcribed sequence. The score of a position is the sum over
//! its window, which is one convolution. Method: Staden, Nucleic Acids Research 12:505 (1984).

mod held_out;
mod sites;
mod windows;

pub use held_out::{Cutoff, HeldOut, held_out};
pub use sites::{Site, SpliceSites};

use super::{Member, Model, Provenance, Source, Tensor, Track, TrackStrand, UnknownBase, Weights};
use crate::error::{Error, Result};
use crate::genome::{Interval, Reference, Strand};
use crate::network::{Graph, GraphBuilder, Op, Padding};
use windows::{Piece, for_each_piece, letters, window_fits};

/// Letters of one window, 0..4 for A, C, G, T on the strand that is read.
type Window = Vec<usize>;

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
            let conv = Op::Conv {
                channels: 1,
                kernel,
                dilation: 1,
                left: matrix.left,
                bias: false,
                padding: Padding::None,
            };
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
            scheme: None,
            window: None,
            scalars: Vec::new(),
            profiles: Vec::new(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::ContigId;
    use std::io::Write;

    /// A reference of these records, each on one line.
    fn reference(records: &[(&str, &str)]) -> (tempfile::NamedTempFile, Reference) {
        let mut file = tempfile::NamedTempFile::with_suffix(".fa").unwrap();
        for (name, bases) in records {
            writeln!(file, ">{name}\n{bases}").unwrap();
        }
        file.flush().unwrap();
        let reference = Reference::open(file.path()).unwrap();
        (file, reference)
    }

    fn place(contig: usize, start: u64, end: u64) -> Interval {
        Interval { contig: ContigId(contig), start, end }
    }

    /// Exon, intron, exon as written; and the same read on the minus strand of a second contig.
    const GENE: &str = "CCAAGGTAAGTTCCTTTCAGGATTACA";
    const INTRON: (u64, u64) = (5, 20);

    fn both_strands() -> (tempfile::NamedTempFile, Reference, SpliceSites) {
        let mut minus = GENE.as_bytes().to_vec();
        crate::genome::sequence::reverse_complement(&mut minus);
        let (file, reference) =
            reference(&[("plus", GENE), ("minus", std::str::from_utf8(&minus).unwrap())]);
        let length = GENE.len() as u64;
        let sites = SpliceSites::new(
            [
                (place(0, INTRON.0, INTRON.1), Strand::Plus),
                (place(1, length - INTRON.1, length - INTRON.0), Strand::Minus),
            ],
            [(place(0, 0, length), Strand::Plus), (place(1, 0, length), Strand::Minus)],
        );
        (file, reference, sites)
    }

    fn narrow() -> Settings {
        Settings { acceptor_intron: 4, ..Settings::default() }
    }

    #[test]
    fn sites_are_exonic_boundary_bases_on_both_strands() {
        let (_file, _, sites) = both_strands();
        let positions = |list: &[Site]| list.iter().map(|s| s.position).collect::<Vec<_>>();
        let last = GENE.len() as u64 - 1;
        assert_eq!(positions(&sites.donors), [4, last - 4]);
        assert_eq!(positions(&sites.acceptors), [20, last - 20]);
    }

    #[test]
    fn a_gene_counts_the_same_on_either_strand() {
        let (_file, mut reference, sites) = both_strands();
        let pwm = SplicePwm::learn(&mut reference, &sites, &narrow()).unwrap();
        assert_eq!((pwm.donor.sites, pwm.donor.canonical), (2, 2));
        assert_eq!((pwm.acceptor.sites, pwm.acceptor.canonical), (2, 2));
        // GENE has A 8, C 6, G 5, T 8 letters of 27, and so has its reverse complement read back.
        let shares = [8.0, 6.0, 5.0, 8.0].map(|count: f64| count / 27.0);
        assert_eq!(pwm.background, shares);
        // The first intron base is G at both sites: log2((2 + q) / (2 + 1) / q), q = 5 / 27.
        let q = 5.0_f64 / 27.0;
        let expected = ((2.0 + q) / 3.0 / q).log2();
        assert!((pwm.donor.columns[3][2] - expected).abs() <= 0.5 / STEPS_PER_BIT);
        // T is never there: log2(q / 3 / q) = -log2 3.
        assert!((pwm.donor.columns[3][3] + 3f64.log2()).abs() <= 0.5 / STEPS_PER_BIT);
    }

    #[test]
    fn sites_that_cannot_be_counted_are_counted_as_left_out() {
        let (_file, mut reference) = reference(&[("c", "AGGTANNTACGTTTTTTTCAGGACGT")]);
        let introns = [(2, 20), (12, 20)].map(|(s, e)| (place(0, s, e), Strand::Plus));
        let sites = SpliceSites::new(introns, [(place(0, 0, 26), Strand::Plus)]);
        let narrow = Settings { donor_exon: 3, acceptor_exon: 4, ..narrow() };
        let pwm = SplicePwm::learn(&mut reference, &sites, &narrow).unwrap();
        assert_eq!((pwm.donor.sites, pwm.donor.outside, pwm.donor.unknown), (1, 1, 0));
        assert_eq!(pwm.acceptor.sites, 1, "both introns share one acceptor");
        let wide = Settings { donor_exon: 1, ..narrow };
        let pwm = SplicePwm::learn(&mut reference, &sites, &wide).unwrap();
        assert_eq!((pwm.donor.sites, pwm.donor.outside, pwm.donor.unknown), (1, 0, 1));
    }

    #[test]
    fn settings_and_annotations_that_teach_nothing_are_refused() {
        let (_file, mut reference, sites) = both_strands();
        let mut refused = |sites: &SpliceSites, settings: Settings| {
            SplicePwm::learn(&mut reference, sites, &settings).unwrap_err().to_string()
        };
        let cases = [
            (Settings { donor_exon: 0, ..narrow() }, "expected 1 to 1000"),
            (Settings { donor_intron: 1, ..narrow() }, "expected 2 to 1000"),
            (Settings { acceptor_exon: 1001, ..narrow() }, "found 1001"),
            (Settings { pseudo_count: 0.0, ..narrow() }, "pseudo-count"),
            (Settings { pseudo_count: f64::NAN, ..narrow() }, "pseudo-count"),
        ];
        for (settings, expected) in cases {
            let message = refused(&sites, settings);
            assert!(message.contains(expected), "{message:?} should say {expected:?}");
        }
        let none = SpliceSites { donors: vec![], ..sites };
        assert!(refused(&none, narrow()).contains("no usable donor site"));
    }

    #[test]
    fn the_network_scores_the_labelled_base() {
        use crate::engine::{Engine, Job, oracle::Oracle};
        let (_file, mut reference, sites) = both_strands();
        let pwm = SplicePwm::learn(&mut reference, &sites, &narrow()).unwrap();
        let provenance = Provenance {
            family: "atrous".into(),
            licence: "CC0".into(),
            sources: vec![],
            unread: vec![],
            record: "test".into(),
        };
        let model = pwm.to_model("toy", provenance).unwrap();
        model.validate().unwrap();
        let engine = Oracle::new(&model, &model.tracks);
        let reach = engine.reach();
        let length = GENE.len();
        let mut letters = vec![b'N'; usize::try_from(reach.left).unwrap()];
        letters.extend(GENE.bytes());
        letters.extend(vec![b'N'; usize::try_from(reach.right).unwrap()]);
        let values = engine.run(&[Job::new(0, length, letters)], &|_| Ok(())).unwrap();
        let best = |track: &[f32]| (0..length).max_by(|&a, &b| track[a].total_cmp(&track[b]));
        assert_eq!(best(&values[0].tracks[0]), Some(4), "the last exon base");
        assert_eq!(best(&values[0].tracks[1]), Some(20), "the first exon base");
        let sum: f64 = (0..9)
            .map(|j| {
                pwm.donor.columns[j]
                    [b"ACGT".iter().position(|b| *b == GENE.as_bytes()[2 + j]).unwrap()]
            })
            .sum();
        assert!((f64::from(values[0].tracks[0][4]) - sum).abs() < 1e-5);
    }

    #[test]
    fn held_out_scores_come_from_other_contigs() {
        let (_file, mut reference, sites) = both_strands();
        let [donor, acceptor] = held_out(&mut reference, &sites, &narrow()).unwrap();
        // The two contigs hold the same gene, so each predicts the other's sites perfectly.
        assert_eq!((donor.sites, donor.positions), (2, 54));
        assert_eq!((donor.even.found, donor.even.called), (2, 2));
        assert_eq!((acceptor.most.found, acceptor.most.called), (2, 2));
        let one = sites.without(ContigId(1));
        let error = held_out(&mut reference, &one, &narrow()).unwrap_err().to_string();
        assert!(error.contains("found 1 contig"), "{error}");
    }
}
