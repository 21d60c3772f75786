//! What a shard does of a request: a contiguous part of the walk, strand by strand and contig by
//! contig, cut where [`CHUNK`]s end, so that the parts of a track join byte for byte.

use super::tiles::Tile;
use crate::genome::{ContigId, Contigs, Interval, Strand};
use crate::job::shard::{Shard, Share};
use crate::track::CHUNK;

/// A base of the walk: the strand that is read comes first, then the contig.
type Place = (Strand, ContigId, u64);

/// The part of the walk from one place up to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    from: Place,
    /// None for the end of the walk.
    to: Option<Place>,
    /// What it is of the whole, in bases.
    pub share: Share,
}

impl Section {
    /// What a shard does of a walk over sorted, disjoint spans of each strand.
    pub fn of(shard: Shard, spans: &[(Strand, Vec<Interval>)], contigs: &Contigs) -> Self {
        let (mut places, mut ends): (Vec<(Place, Place)>, Vec<u64>) = (Vec::new(), Vec::new());
        let mut total = 0;
        for (strand, spans) in spans {
            for &Interval { contig, mut start, end } in spans {
                while start < end {
                    let until = end.min((start / CHUNK + 1) * CHUNK);
                    total += until - start;
                    let last = (*strand, contig, until - 1);
                    match places.last_mut().zip(ends.last_mut()) {
                        Some(((first, before), sum))
                            if (first.0, first.1, before.2 / CHUNK)
                                == (*strand, contig, start / CHUNK) =>
                        {
                            (*before, *sum) = (last, total);
                        }
                        _ => {
                            places.push(((*strand, contig, start), last));
                            ends.push(total);
                        }
                    }
                    start = until;
                }
            }
        }
        let pieces = shard.pieces(&ends);
        // a piece is cut at the beginning of its chunk
        let border = |piece: usize| {
            let ((strand, contig, start), _) = *places.get(piece)?;
            Some((strand, contig, start / CHUNK * CHUNK))
        };
        let beginning = (Strand::Plus, ContigId(0), 0);
        let from = match (pieces.start, border(pieces.start)) {
            (0, _) => Some(beginning),
            (_, place) => place,
        };
        let units = |piece: usize| piece.checked_sub(1).map_or(0, |last| ends[last]);
        let tell = |(strand, contig, base): Place| {
            format!("{} {}:{}", strand.symbol(), contigs.name(contig), base + 1)
        };
        let own = &places[pieces.clone()];
        let share = Share {
            unit: "bases".into(),
            from: units(pieces.start),
            to: units(pieces.end),
            of: total,
            begins: own.first().map_or_else(String::new, |(first, _)| tell(*first)),
            ends: own.last().map_or_else(String::new, |(_, last)| tell(*last)),
        };
        match from {
            Some(from) if !pieces.is_empty() => Self { from, to: border(pieces.end), share },
            // nothing: what would begin where it ends
            _ => Self { from: beginning, to: Some(beginning), share },
        }
    }

    /// Whether a place belongs to this section; each belongs to one.
    fn holds(&self, place: Place) -> bool {
        self.from <= place && self.to.is_none_or(|to| place < to)
    }

    /// The part of an interval, read on a strand, that lies in this section.
    pub fn clip(&self, strand: Strand, interval: Interval) -> Option<Interval> {
        let Interval { contig, mut start, mut end } = interval;
        let here = (strand, contig);
        if here < (self.from.0, self.from.1) {
            return None;
        }
        if here == (self.from.0, self.from.1) {
            start = start.max(self.from.2);
        }
        if let Some(to) = self.to {
            if here > (to.0, to.1) {
                return None;
            }
            if here == (to.0, to.1) {
                end = end.min(to.2);
            }
        }
        (start < end).then_some(Interval { contig, start, end })
    }

    /// The tiles that have bases in this section, or begin in it, cut to it. The lines of a table
    /// that a window is for belong to the section in which it begins.
    pub fn cut(&self, tiles: Vec<Tile>) -> Vec<Tile> {
        tiles.into_iter().filter_map(|tile| self.cut_tile(tile)).collect()
    }

    fn cut_tile(&self, mut tile: Tile) -> Option<Tile> {
        let begins_here = self.holds((tile.strand, tile.contig, tile.start));
        tile.wanted.retain_mut(|part| match self.clip(tile.strand, *part) {
            Some(clipped) => {
                *part = clipped;
                true
            }
            None => false,
        });
        if let Some(window) = tile.window.as_mut().filter(|_| !begins_here) {
            window.rows.clear();
        }
        let has_rows = tile.window.as_ref().is_some_and(|window| !window.rows.is_empty());
        if let (Some(first), Some(last)) = (tile.wanted.first(), tile.wanted.last()) {
            (tile.start, tile.end) = (first.start, last.end);
            return Some(tile);
        }
        has_rows.then_some(tile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predict::tiles::cut;

    fn contigs() -> Contigs {
        Contigs::new(vec![("a".into(), 250_000), ("b".into(), 1), ("c".into(), 100_000)])
    }

    fn whole() -> Vec<Interval> {
        contigs().iter().map(|(contig, _, end)| Interval { contig, start: 0, end }).collect()
    }

    #[test]
    fn sections_are_cut_at_chunks_and_tell_their_share() {
        let spans = [(Strand::Plus, whole()), (Strand::Minus, Vec::new())];
        let section = |number, of| Section::of(Shard { number, of }, &spans, &contigs());
        // 350,001 bases in pieces that end at 100,000, 200,000, 250,000, 250,001, 350,001
        let tell =
            |s: &Section| (s.share.from, s.share.to, s.share.begins.clone(), s.share.ends.clone());
        let texts = |a: &str, b: &str| (a.to_string(), b.to_string());
        let (begins, ends) = texts("+ a:1", "+ a:200000");
        assert_eq!(tell(&section(1, 2)), (0, 200_000, begins, ends));
        let (begins, ends) = texts("+ a:200001", "+ c:100000");
        assert_eq!(tell(&section(2, 2)), (200_000, 350_001, begins, ends));
        let empty = (1..=9).filter(|&number| section(number, 9).share.begins.is_empty()).count();
        assert_eq!(empty, 4, "five pieces in nine shards");
    }

    #[test]
    fn every_base_and_every_line_of_a_table_is_in_one_section() {
        let spans: Vec<(Strand, Vec<Interval>)> =
            [Strand::Plus, Strand::Minus].map(|strand| (strand, whole())).into();
        let tiles = || -> Vec<Tile> {
            let own = |(strand, spans): &(Strand, Vec<Interval>)| {
                cut(spans, *strand, &contigs(), 30_000, 0)
            };
            spans.iter().flat_map(own).collect()
        };
        for of in [1, 2, 3, 5, 8, 30] {
            let mut bases = 0;
            let mut begun = 0;
            for shard in Shard::all(of) {
                let section = Section::of(shard, &spans, &contigs());
                let own: u64 = section.cut(tiles()).iter().map(Tile::bases).sum();
                assert_eq!(own, section.share.to - section.share.from, "{shard}");
                bases += own;
                begun += tiles()
                    .iter()
                    .filter(|tile| section.holds((tile.strand, tile.contig, tile.start)))
                    .count();
                let clipped: u64 = spans
                    .iter()
                    .flat_map(|(strand, spans)| {
                        spans.iter().filter_map(|span| section.clip(*strand, *span))
                    })
                    .map(|span| span.len())
                    .sum();
                assert_eq!(clipped, own, "{shard}");
            }
            assert_eq!((bases, begun), (700_002, tiles().len()), "{of} shards");
        }
    }
}
