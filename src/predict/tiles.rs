//! Which stretches the network runs over: pure arithmetic on the reference's coordinates.

use crate::genome::{ContigId, Contigs, Interval, Strand};

/// The context of a tile may add at most one part in this many to its work, memory permitting.
const SHARE: u64 = 20;

/// Shortest tile that is worth a job of its own, in bases, where the network has no context.
const LEAST: u64 = 1_000;

/// Tiles of networks with little context need not be longer than this, in bases.
const COMFORTABLE: u64 = 50_000;

/// One stretch that is computed in one go: 0-based, half-open, on the reference's plus strand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Strand that the network reads.
    pub strand: Strand,
    /// Contig of the reference.
    pub contig: ContigId,
    /// First base; the first wanted one.
    pub start: u64,
    /// One past the last base; the last wanted one.
    pub end: u64,
    /// What is asked for in it: sorted, disjoint, never empty.
    pub wanted: Vec<Interval>,
    /// The window that is computed for it, where the model must be run in one.
    pub window: Option<Placed>,
}

/// A window on the reference's plus strand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Position of its first output; may lie before the contig.
    pub start: i64,
    /// Its outputs.
    pub length: u64,
    /// Lines of the region table that it is for.
    pub rows: Vec<usize>,
}

impl Tile {
    /// The positions that are computed, which may lie outside of the contig.
    pub fn computed(&self) -> (i64, u64) {
        match &self.window {
            Some(window) => (window.start, window.length),
            None => {
                let start = i64::try_from(self.start).expect("a position inside a contig");
                (start, self.end - self.start)
            }
        }
    }

    /// Positions that are computed.
    pub fn len(&self) -> u64 {
        self.computed().1
    }

    /// Bases that are wanted.
    pub fn bases(&self) -> u64 {
        self.wanted.iter().map(Interval::len).sum()
    }

    /// What is left of the tile from base `start` on.
    pub fn after(mut self, start: u64) -> Option<Self> {
        self.wanted.retain_mut(|part| {
            part.start = part.start.max(start);
            part.start < part.end
        });
        self.start = self.wanted.first()?.start;
        Some(self)
    }

    /// The part of the tile before base `end`.
    pub fn before(mut self, end: u64) -> Option<Self> {
        self.wanted.retain_mut(|part| {
            part.end = part.end.min(end);
            part.start < part.end
        });
        self.end = self.wanted.last()?.end;
        Some(self)
    }
}

/// The bases of all intervals as sorted, disjoint stretches; touching ones are joined.
pub fn union(intervals: impl IntoIterator<Item = Interval>) -> Vec<Interval> {
    let mut sorted: Vec<Interval> = intervals.into_iter().collect();
    sorted.sort_unstable();
    let mut spans: Vec<Interval> = Vec::new();
    for next in sorted {
        match spans.last_mut() {
            Some(last) if last.contig == next.contig && next.start <= last.end => {
                last.end = last.end.max(next.end);
            }
            _ => spans.push(next),
        }
    }
    spans
}

/// The parts of a stretch that none of the sorted, disjoint spans covers.
pub fn uncovered(spans: &[Interval], stretch: Interval) -> Vec<Interval> {
    let Interval { contig, mut start, end } = stretch;
    let first = spans.partition_point(|span| (span.contig, span.end) <= (contig, start));
    let mut parts = Vec::new();
    for span in &spans[first..] {
        if (span.contig, span.start) >= (contig, end) {
            break;
        }
        if start < span.start {
            parts.push(Interval { contig, start, end: span.start });
        }
        start = span.end;
    }
    if start < end {
        parts.push(Interval { contig, start, end });
    }
    parts
}

/// Cuts sorted, disjoint spans into tiles in genome order. Tiles end at absolute multiples of
/// `length` on the strand that is read; spans with at most `gap` bases between them share a tile.
pub fn cut(
    spans: &[Interval],
    strand: Strand,
    contigs: &Contigs,
    length: u64,
    gap: u64,
) -> Vec<Tile> {
    let mut tiles: Vec<Tile> = Vec::new();
    for &Interval { contig, start, end } in spans {
        // Position t of the plus strand is position contig length - 1 - t of the minus strand.
        let phase = match strand {
            Strand::Plus => 0,
            Strand::Minus => contigs.length(contig) % length,
        };
        let border = |base: u64| base + length - (base + length - phase) % length;
        let mut start = start;
        while start < end {
            let part = Interval { contig, start, end: end.min(border(start)) };
            match tiles.last_mut() {
                Some(last)
                    if last.contig == contig
                        && start - last.end <= gap
                        && border(last.start) == border(start) =>
                {
                    last.end = part.end;
                    last.wanted.push(part);
                }
                _ => {
                    let (end, wanted) = (part.end, vec![part]);
                    tiles.push(Tile { strand, contig, start, end, wanted, window: None });
                }
            }
            start = part.end;
        }
    }
    tiles
}

/// What decides how long a tile should be.
#[derive(Debug, Clone, Copy)]
pub struct Sizing {
    /// Bases to compute in all.
    pub total: u64,
    /// Threads that compute.
    pub threads: u64,
    /// Bytes that one thread's working buffers may take.
    pub memory: u64,
    /// Bytes that they take for each position.
    pub bytes_per_position: u64,
    /// Positions of context that are held besides the tile.
    pub context: u64,
    /// What the context costs, in positions of equal work.
    pub overhead: u64,
}

impl Sizing {
    /// A length at which the context is a small share of the work, the buffers fit the memory and
    /// every thread has work. A third of the work may be context if memory is short, half if
    /// threads would have nothing to do otherwise, and no more.
    pub fn length(&self) -> u64 {
        let least = self.overhead.max(LEAST);
        let fitting = (self.memory / self.bytes_per_position.max(1)).saturating_sub(self.context);
        let affordable = fitting.max(least.saturating_mul(2));
        let longest = self.overhead.saturating_mul(SHARE).max(COMFORTABLE).min(affordable);
        let threads = self.threads.max(1);
        let tiles = self.total.div_ceil(longest).next_multiple_of(threads).max(1);
        // with work for more than two rounds the longest are best, and memory is that of any genome
        if tiles > 2 * threads { longest } else { self.total.div_ceil(tiles).max(least) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LENGTH: u64 = 1_000;

    fn contigs() -> Contigs {
        Contigs::new(vec![("c1".into(), LENGTH), ("c2".into(), 777)])
    }

    fn span(contig: usize, start: u64, end: u64) -> Interval {
        Interval { contig: ContigId(contig), start, end }
    }

    fn ends(tiles: &[Tile]) -> Vec<(u64, u64)> {
        tiles.iter().map(|tile| (tile.start, tile.end)).collect()
    }

    #[test]
    fn overlapping_and_touching_intervals_become_one() {
        let spans = union([span(1, 5, 9), span(0, 4, 8), span(0, 0, 2), span(0, 2, 5)]);
        assert_eq!(spans, [span(0, 0, 8), span(1, 5, 9)]);
    }

    #[test]
    fn tiles_end_at_multiples_on_the_strand_that_is_read() {
        let spans = [span(1, 90, 350)];
        let plus = cut(&spans, Strand::Plus, &contigs(), 100, 0);
        assert_eq!(ends(&plus), [(90, 100), (100, 200), (200, 300), (300, 350)]);
        // The contig has 777 bases: u = 777 - t is a multiple of 100 at t = 77, 177, 277, 377.
        let minus = cut(&spans, Strand::Minus, &contigs(), 100, 0);
        assert_eq!(ends(&minus), [(90, 177), (177, 277), (277, 350)]);
    }

    #[test]
    fn near_spans_share_a_tile_and_only_wanted_bases_count() {
        let spans = [span(0, 10, 20), span(0, 25, 30), span(0, 60, 70), span(0, 98, 105)];
        let tiles = cut(&spans, Strand::Plus, &contigs(), 100, 5);
        assert_eq!(ends(&tiles), [(10, 30), (60, 70), (98, 100), (100, 105)]);
        assert_eq!(tiles[0].wanted, [span(0, 10, 20), span(0, 25, 30)]);
        assert_eq!((tiles[0].len(), tiles[0].bases()), (20, 15));
        assert_eq!(tiles[0].clone().after(27).unwrap().wanted, [span(0, 27, 30)]);
        assert_eq!(tiles[0].clone().before(24).unwrap().wanted, [span(0, 10, 20)]);
        assert!(tiles[0].clone().after(30).is_none() && tiles[0].clone().before(10).is_none());
    }

    #[test]
    fn parts_outside_of_spans_are_found() {
        let spans = [span(0, 10, 20), span(0, 30, 40), span(1, 0, 5)];
        let cases = [
            (span(0, 0, 50), vec![span(0, 0, 10), span(0, 20, 30), span(0, 40, 50)]),
            (span(0, 12, 18), vec![]),
            (span(0, 20, 30), vec![span(0, 20, 30)]),
            (span(0, 35, 60), vec![span(0, 40, 60)]),
            (span(1, 3, 8), vec![span(1, 5, 8)]),
            (span(2, 0, 4), vec![span(2, 0, 4)]),
        ];
        for (stretch, expected) in cases {
            assert_eq!(uncovered(&spans, stretch), expected, "{stretch:?}");
        }
    }

    #[test]
    fn the_length_follows_work_memory_and_context() {
        let usual = Sizing {
            total: 10_000_000,
            threads: 2,
            memory: 1 << 30,
            bytes_per_position: 500,
            context: 10_000,
            overhead: 7_000,
        };
        // 20 * 7,000 bases, as for any genome
        assert_eq!(usual.length(), 140_000);
        // two rounds of two threads: all tiles are made equally long
        assert_eq!(Sizing { total: 500_000, ..usual }.length(), 125_000);
        assert_eq!(Sizing { total: 200_000, ..usual }.length(), 100_000);
        assert_eq!(Sizing { total: 200_000, threads: 1, ..usual }.length(), 100_000);
        // 40,000 positions fit, 10,000 of them are context.
        assert_eq!(Sizing { memory: 20_000_000, ..usual }.length(), 30_000);
        assert_eq!(Sizing { total: 5_000, threads: 64, ..usual }.length(), 7_000);
        assert_eq!(Sizing { total: 0, memory: 0, overhead: 0, ..usual }.length(), LEAST);
    }

    proptest! {
        #[test]
        fn each_wanted_base_is_in_exactly_one_tile(
            places in proptest::collection::vec((0usize..2, 0u64..770, 1u64..300), 0..12),
            length in 1u64..400,
            gap in 0u64..50,
            minus: bool,
        ) {
            let contigs = contigs();
            let regions: Vec<Interval> = places
                .into_iter()
                .map(|(c, start, size)| span(c, start, (start + size).min(777)))
                .collect();
            let strand = if minus { Strand::Minus } else { Strand::Plus };
            let tiles = cut(&union(regions.clone()), strand, &contigs, length, gap);
            let mut seen = [vec![0u8; 1_000], vec![0u8; 1_000]];
            let mut last = (ContigId(0), 0);
            for tile in &tiles {
                prop_assert!(tile.len() <= length);
                prop_assert_eq!(tile.start, tile.wanted[0].start);
                prop_assert_eq!(tile.end, tile.wanted.last().unwrap().end);
                for part in &tile.wanted {
                    prop_assert!((part.contig, part.start) >= last && !part.is_empty());
                    last = (part.contig, part.end);
                    for base in part.start..part.end {
                        seen[tile.contig.0][base as usize] += 1;
                    }
                }
                for pair in tile.wanted.windows(2) {
                    prop_assert!(pair[1].start - pair[0].end <= gap);
                }
            }
            for (contig, seen) in seen.iter().enumerate() {
                for (base, &count) in seen.iter().enumerate() {
                    let base = base as u64;
                    let inside = |r: &Interval| {
                        r.contig.0 == contig && r.start <= base && base < r.end
                    };
                    prop_assert_eq!(count, u8::from(regions.iter().any(inside)));
                }
            }
        }
    }
}
