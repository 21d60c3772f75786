//! The annotated sites of a gene as masks see them (splice-scoring.md A1, A3, B4). Positions are
//! 0-based and genomic.

use crate::genome::Strand;
use crate::genome::genes::Gene;

/// The exon boundary nearest to a position, as a distance from it; the lower one of two.
pub(super) fn nearest_boundary(gene: &Gene, position: i64) -> Option<i64> {
    boundaries(gene).map(|boundary| boundary - position).min_by_key(|d| (d.abs(), *d))
}

/// First and last bases of all exons.
pub(super) fn boundaries(gene: &Gene) -> impl Iterator<Item = i64> {
    gene.exons.iter().flat_map(|&(start, end)| [start.cast_signed(), end.cast_signed() - 1])
}

/// First bases of exons in the direction of the transcript, and last ones. The start and the end of
/// the transcript count if `with_ends`.
pub(super) fn sites(gene: &Gene, with_ends: bool) -> [Vec<i64>; 2] {
    let first = |&(start, _): &(u64, u64)| start.cast_signed();
    let last = |&(_, end): &(u64, u64)| end.cast_signed() - 1;
    let left_skipped = usize::from(!with_ends);
    let right_kept = gene.exons.len() - left_skipped.min(gene.exons.len());
    let left: Vec<i64> = gene.exons.iter().skip(left_skipped).map(first).collect();
    let right: Vec<i64> = gene.exons.iter().take(right_kept).map(last).collect();
    match gene.strand {
        Strand::Plus => [left, right],
        Strand::Minus => [right, left],
    }
}

/// Which of `length` positions from `start` on are among `sites`.
pub(super) fn marked(sites: &[i64], start: i64, length: usize) -> Vec<bool> {
    let mut marked = vec![false; length];
    for site in sites {
        let index = site.checked_sub(start).and_then(|index| usize::try_from(index).ok());
        if let Some(place) = index.and_then(|index| marked.get_mut(index)) {
            *place = true;
        }
    }
    marked
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::genome::{ContigId, Interval};

    /// A gene of the first contig.
    pub fn gene(name: &str, strand: Strand, exons: &[(u64, u64)]) -> Gene {
        let (start, end) = (exons[0].0, exons[exons.len() - 1].1);
        Gene {
            name: name.into(),
            contig: ContigId(0),
            strand,
            span: Interval { contig: ContigId(0), start, end },
            exons: exons.to_vec(),
            transcripts: vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::gene;
    use super::*;

    #[test]
    fn the_nearest_boundary_is_the_lower_of_two() {
        let gene = gene("g", Strand::Plus, &[(10, 21), (30, 40)]);
        // boundaries 10, 20, 30, 39
        for (position, distance) in [(12, -2), (15, -5), (16, 4), (25, -5), (26, 4), (50, -11)] {
            assert_eq!(nearest_boundary(&gene, position), Some(distance), "{position}");
        }
    }

    #[test]
    fn acceptors_and_donors_follow_the_strand() {
        let exons = [(10, 21), (30, 40), (50, 60)];
        let plus = gene("g", Strand::Plus, &exons);
        assert_eq!(sites(&plus, false), [vec![30, 50], vec![20, 39]]);
        assert_eq!(sites(&plus, true), [vec![10, 30, 50], vec![20, 39, 59]]);
        let minus = gene("g", Strand::Minus, &exons);
        assert_eq!(sites(&minus, false), [vec![20, 39], vec![30, 50]]);
        assert_eq!(marked(&[20, 39, 9], 10, 11), {
            let mut marks = vec![false; 10];
            marks.push(true);
            marks
        });
    }
}
