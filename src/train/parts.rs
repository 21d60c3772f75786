//! What each base of a transcript is: a position of a codon, another base of an exon, an intron.
//!
//! Sites are few; these classes are on every base of every gene. A network that must tell them
//! apart learns reading frames, and so which splice sites keep one open.

use crate::genome::{ContigId, Interval, Resolver, Strand, Transcript};
use std::collections::{BTreeMap, HashMap};

/// Base of an intron, as the index of the network's output; the sites come before.
pub const INTRON: u8 = 3;
/// Base of an exon without coding sequence.
pub const UNTRANSLATED: u8 = 4;
/// First base of a codon; the second and the third follow.
pub const CODON: u8 = 5;

/// Names of the outputs from [`INTRON`] on.
pub const NAMES: [&str; 5] = ["intron", "untranslated", "codon_1", "codon_2", "codon_3"];

/// A stretch of one class, 0-based and half-open; codons go on from base to base in the direction
/// of the strand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    start: u64,
    end: u64,
    /// Of its first base.
    class: u8,
}

/// The parts of all transcripts; 16 to 24 bytes a stretch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts(HashMap<(ContigId, Strand), Vec<Run>>);

impl Parts {
    /// Of transcripts; where several lie on one strand, coding sequence goes before other exons
    /// and these before introns. Codons are counted from the first base of coding sequence. Takes
    /// a byte per base of the largest contig while it works.
    pub fn of(transcripts: &[Transcript], resolver: &Resolver) -> Self {
        let mut grouped: BTreeMap<(ContigId, Strand), Vec<&Transcript>> = BTreeMap::new();
        for one in transcripts {
            grouped.entry((one.contig, one.strand)).or_default().push(one);
        }
        let painted = grouped.into_iter().map(|((contig, strand), list)| {
            let mut bases = vec![0u8; index(resolver.contigs().length(contig))];
            let mut fill = |stretch: (u64, u64), class: u8| {
                bases[index(stretch.0)..index(stretch.1)].fill(class);
            };
            for one in &list {
                one.introns().for_each(|intron| fill((intron.start, intron.end), INTRON));
            }
            for one in &list {
                one.exons.iter().for_each(|&exon| fill(exon, UNTRANSLATED));
            }
            for one in &list {
                let all = one.coding.iter().flat_map(|&(start, end)| start..end);
                let number = |(count, base): (usize, u64)| {
                    let place = u8::try_from(count % 3).expect("0, 1 or 2");
                    bases[index(base)] = CODON + place;
                };
                match strand {
                    Strand::Plus => all.enumerate().for_each(number),
                    Strand::Minus => {
                        all.collect::<Vec<_>>().into_iter().rev().enumerate().for_each(number);
                    }
                }
            }
            ((contig, strand), runs(&bases, strand))
        });
        Self(painted.collect())
    }

    /// How many bases of each class some ranges hold, on both strands.
    pub fn bases(&self, ranges: &[Interval]) -> Vec<u64> {
        let mut bases = vec![0; NAMES.len()];
        let all =
            self.0.iter().flat_map(|((contig, _), runs)| runs.iter().map(|run| (*contig, run)));
        for (contig, run) in all {
            for range in ranges.iter().filter(|range| range.contig == contig) {
                let inside = run.end.min(range.end).saturating_sub(run.start.max(range.start));
                match run.class {
                    class if class < CODON => bases[usize::from(class - INTRON)] += inside,
                    _ => bases[usize::from(CODON - INTRON)..]
                        .iter_mut()
                        .for_each(|n| *n += inside / 3),
                }
            }
        }
        bases
    }

    /// Puts the classes of the bases from `start` on (0-based) of a strand of a contig into a row
    /// in the direction of the reference; bases of no transcript stay as they are.
    pub fn fill(&self, contig: ContigId, strand: Strand, start: u64, row: &mut [f32]) {
        let Some(runs) = self.0.get(&(contig, strand)) else { return };
        let end = start + row.len() as u64;
        let first = runs.partition_point(|run| run.end <= start);
        for run in runs[first..].iter().take_while(|run| run.start < end) {
            for base in run.start.max(start)..run.end.min(end) {
                row[index(base - start)] = f32::from(run.class_at(base, strand));
            }
        }
    }
}

impl Run {
    fn class_at(self, base: u64, strand: Strand) -> u8 {
        let steps = u8::try_from((base - self.start) % 3).expect("0, 1 or 2");
        match (self.class, strand) {
            (class, _) if class < CODON => class,
            (class, Strand::Plus) => CODON + (class - CODON + steps) % 3,
            (class, Strand::Minus) => CODON + (class - CODON + 3 - steps) % 3,
        }
    }
}

fn runs(bases: &[u8], strand: Strand) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (base, &class) in bases.iter().enumerate().filter(|(_, class)| **class > 0) {
        let base = base as u64;
        match runs.last_mut() {
            Some(run) if run.end == base && run.class_at(base, strand) == class => run.end += 1,
            _ => runs.push(Run { start: base, end: base + 1, class }),
        }
    }
    runs
}

fn index(bases: u64) -> usize {
    usize::try_from(bases).expect("a contig fits memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::Contigs;

    fn transcript(strand: Strand, exons: &[(u64, u64)], coding: &[(u64, u64)]) -> Transcript {
        Transcript {
            id: "t".into(),
            gene: "g".into(),
            gene_id: "g".into(),
            tags: vec![],
            coding: coding.into(),
            contig: ContigId(0),
            strand,
            exons: exons.into(),
        }
    }

    fn painted(transcripts: &[Transcript], strand: Strand) -> String {
        let contigs = Contigs::new(vec![("c".to_string(), 16)]);
        let parts = Parts::of(transcripts, &Resolver::new(&contigs, None).unwrap());
        let mut row = vec![0.0; 16];
        parts.fill(ContigId(0), strand, 0, &mut row);
        let letter = |&class: &f32| char::from(b".ADiu123"[class as usize]);
        let all: String = row.iter().map(letter).collect();
        // the same from any base on
        for start in 0..16 {
            let mut row = vec![0.0; 4.min(16 - start)];
            parts.fill(ContigId(0), strand, start as u64, &mut row);
            assert_eq!(row.iter().map(letter).collect::<String>(), all[start..start + row.len()]);
        }
        all
    }

    #[test]
    fn codons_go_on_over_introns_in_the_direction_of_the_strand() {
        let (exons, coding) = ([(1, 6), (9, 15)], [(2, 6), (9, 13)]);
        let plus = transcript(Strand::Plus, &exons, &coding);
        assert_eq!(painted(&[plus], Strand::Plus), ".u1231iii2312uu.");
        let minus = transcript(Strand::Minus, &exons, &coding);
        assert_eq!(painted(std::slice::from_ref(&minus), Strand::Minus), ".u2132iii1321uu.");
        assert_eq!(painted(&[minus], Strand::Plus), "................");
        let contigs = Contigs::new(vec![("c".to_string(), 16)]);
        let plus = transcript(Strand::Plus, &exons, &coding);
        let parts = Parts::of(&[plus], &Resolver::new(&contigs, None).unwrap());
        let range = Interval { contig: ContigId(0), start: 3, end: 14 };
        assert_eq!(parts.bases(&[range]), [3, 1, 2, 2, 2], "of 3 and 4 coding bases a third each");
    }

    #[test]
    fn coding_sequence_goes_before_exons_and_these_before_introns() {
        let one = transcript(Strand::Plus, &[(0, 3), (12, 16)], &[(1, 3)]);
        let other = transcript(Strand::Plus, &[(2, 8)], &[]);
        assert_eq!(painted(&[one, other], Strand::Plus), "u12uuuuuiiiiuuuu");
    }
}
