//! Counts the letters of predicted bases that the network cannot tell apart.

use super::tiles::{Tile, uncovered};
use crate::error::Result;
use crate::genome::sequence::LetterCounts;
use crate::genome::{Contigs, Interval, Reference, Strand};

/// Counts each predicted base once, also when both strands of it are read.
#[derive(Debug)]
pub struct Letters {
    counts: LetterCounts,
    /// What is read on the plus strand, sorted and disjoint; the minus strand leaves it out.
    plus: Vec<Interval>,
}

impl Letters {
    /// Nothing counted yet; `plus` is what will be counted when the plus strand is read.
    pub fn new(plus: Vec<Interval>) -> Self {
        Self { counts: LetterCounts::default(), plus }
    }

    /// Counts the wanted bases of a tile in letters of the plus strand that begin at base `start`,
    /// at or before the tile.
    pub fn count(&mut self, tile: &Tile, start: i64, letters: &[u8]) {
        let offset = |base: u64| {
            let offset = i64::try_from(base).ok().and_then(|base| base.checked_sub(start));
            offset.and_then(|offset| usize::try_from(offset).ok()).expect("a base inside")
        };
        for &wanted in &tile.wanted {
            let parts = match tile.strand {
                Strand::Plus => vec![wanted],
                Strand::Minus => uncovered(&self.plus, wanted),
            };
            for part in parts {
                self.counts.add(part.contig, &letters[offset(part.start)..offset(part.end)]);
            }
        }
    }

    /// Counts the wanted bases of a tile that need not be computed again.
    ///
    /// # Errors
    /// Any failure to read the reference.
    pub fn count_only(&mut self, tile: &Tile, reference: &mut Reference) -> Result<()> {
        let [start, end] = [tile.start, tile.end]
            .map(|base| i64::try_from(base).expect("a position inside a contig"));
        let letters = reference.fetch(tile.contig, start, end)?;
        self.count(tile, start, &letters);
        Ok(())
    }

    /// Says once per contig what was found, and gives up the counts.
    pub fn report(self, contigs: &Contigs) -> LetterCounts {
        let found: Vec<_> = self.counts.iter().collect();
        for group in found.chunk_by(|a, b| a.0 == b.0) {
            let letters: Vec<String> =
                group.iter().map(|(_, letter, count)| format!("{letter} {count}")).collect();
            tracing::warn!(
                "{}: letters other than A, C, G, T and N are read as unknown bases: {}",
                contigs.name(group[0].0),
                letters.join(", ")
            );
        }
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::ContigId;

    #[test]
    fn a_base_that_is_read_on_both_strands_counts_once() {
        let contig = ContigId(0);
        let tile = |strand, start, end| Tile {
            strand,
            contig,
            start,
            end,
            wanted: vec![
                Interval { contig, start, end: start + 2 },
                Interval { contig, start: end - 2, end },
            ],
            window: None,
        };
        let mut letters = Letters::new(vec![Interval { contig, start: 10, end: 14 }]);
        letters.count(&tile(Strand::Plus, 10, 14), 8, b"NNRAAYACGTRR");
        letters.count(&tile(Strand::Minus, 10, 20), 10, b"RAAYACGTRR");
        let counts = letters.report(&Contigs::new(vec![("c".into(), 100)]));
        let found: Vec<_> = counts.iter().collect();
        assert_eq!(found, [(contig, 'R', 3), (contig, 'Y', 1)]);
    }
}
