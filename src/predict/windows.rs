//! Which windows a model is run in: pure arithmetic on the reference's coordinates.

use super::tiles::{Placed, Tile, cut};
use crate::error::{Error, Result};
use crate::genome::{ContigId, Contigs, Interval, Region, Strand};
use crate::model::{Model, Window};
use std::collections::BTreeMap;
use std::str::FromStr;

/// Where windows lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WindowAt {
    /// Their outputs tile each contig, at absolute multiples of their length on the strand that is
    /// read; only the bases of the regions are written.
    #[default]
    Grid,
    /// One around the middle of each region; its outputs are written in place of the region.
    Region,
    /// One around the summit of each region, or its middle where it has none (narrowPeak).
    Summit,
}

impl FromStr for WindowAt {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "grid" => Ok(Self::Grid),
            "region" => Ok(Self::Region),
            "summit" => Ok(Self::Summit),
            _ => Err(Error::usage("no such place of windows")
                .found(text)
                .expected("grid, region or summit")),
        }
    }
}

impl WindowAt {
    /// The name that the command line has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grid => "grid",
            Self::Region => "region",
            Self::Summit => "summit",
        }
    }
}

/// Length of the outputs of a window, and where its anchor lies from their first one.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Outputs.
    pub length: u64,
    /// Offset of the anchor from the first output; may lie outside of them.
    pub anchor: i64,
}

impl Shape {
    /// Of a model that has a window.
    pub fn of(model: &Model, window: Window) -> Self {
        let left = i64::try_from(model.flanks().left).unwrap_or(i64::MAX);
        let anchor = i64::try_from(window.anchor).unwrap_or(i64::MAX) - left;
        Self { length: window.output as u64, anchor }
    }

    /// The first output of the window around the middle or the summit of a region. It is the same
    /// window on both strands.
    fn start(self, region: &Region, at: WindowAt) -> i64 {
        let Interval { start, end, .. } = region.interval;
        let middle = start + (end - start) / 2;
        let centre = match at {
            WindowAt::Summit => region.summit.unwrap_or(middle),
            _ => middle,
        };
        signed(centre).saturating_sub(self.anchor)
    }
}

fn signed(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

/// The regions that are written when windows lie around regions: the outputs of each window, as far
/// as they lie in the contig.
///
/// # Errors
/// A window that has no output in its contig.
pub fn regions(
    regions: &[Region],
    at: WindowAt,
    shape: Shape,
    contigs: &Contigs,
) -> Result<Vec<Region>> {
    let outputs = |region: &Region| {
        let contig = region.interval.contig;
        let start = shape.start(region, at);
        let end = start.saturating_add(signed(shape.length));
        let length = signed(contigs.length(contig));
        match (start.max(0), end.min(length)) {
            (start, end) if start < end => {
                let [start, end] = [start, end].map(i64::unsigned_abs);
                Ok(Region { interval: Interval { contig, start, end }, ..region.clone() })
            }
            _ => Err(region.origin.error("the window of a region has no output in its contig")),
        }
    };
    regions.iter().map(outputs).collect()
}

/// The windows of a strand over spans, at absolute multiples of their length.
pub fn grid(spans: &[Interval], strand: Strand, contigs: &Contigs, shape: Shape) -> Vec<Tile> {
    let mut tiles = cut(spans, strand, contigs, shape.length, shape.length);
    for tile in &mut tiles {
        let phase = match strand {
            Strand::Plus => 0,
            // position t of the plus strand is position contig length - 1 - t of the minus strand
            Strand::Minus => signed(contigs.length(tile.contig) % shape.length),
        };
        let length = signed(shape.length);
        let start = (signed(tile.start) - phase).div_euclid(length) * length + phase;
        tile.window = Some(Placed { start, length: shape.length, rows: Vec::new() });
    }
    tiles
}

/// The windows of a strand around regions, each window once. Where windows overlap, each base is
/// written from the one with the nearer centre (formats.md 7). `reads` are regions as they were
/// asked for, with their line in the table.
pub fn centred<'a>(
    reads: impl Iterator<Item = (usize, &'a Region)>,
    strand: Strand,
    at: WindowAt,
    shape: Shape,
    contigs: &Contigs,
) -> Vec<Tile> {
    let mut windows: BTreeMap<(ContigId, i64), Vec<usize>> = BTreeMap::new();
    for (row, region) in reads {
        let place = (region.interval.contig, shape.start(region, at));
        windows.entry(place).or_default().push(row);
    }
    let windows: Vec<_> = windows.into_iter().collect();
    let length = signed(shape.length);
    // twice the middle of the outputs, halved once
    let between = |a: i64, b: i64| (a + b + length).div_euclid(2);
    let tile = |index: usize| {
        let ((contig, start), rows) = windows[index].clone();
        let neighbour = |index: Option<usize>| {
            let ((other, start), _) = windows.get(index?)?;
            (*other == contig).then_some(*start)
        };
        let from = neighbour(index.checked_sub(1)).map_or(0, |left| between(left, start));
        let to = neighbour(Some(index + 1)).map_or(i64::MAX, |right| between(start, right));
        let (from, to) = (from.max(start).max(0), to.min(start + length));
        let to = to.min(signed(contigs.length(contig)));
        let [start_base, end] = [from, to.max(from)].map(i64::unsigned_abs);
        let wanted = Interval { contig, start: start_base, end };
        let window = Some(Placed { start, length: shape.length, rows });
        Tile { strand, contig, start: start_base, end, wanted: vec![wanted], window }
    };
    (0..windows.len()).map(tile).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::regions::Origin;

    const SHAPE: Shape = Shape { length: 10, anchor: 5 };

    fn contigs() -> Contigs {
        Contigs::new(vec![("c".into(), 57)])
    }

    fn region(start: u64, end: u64, summit: Option<u64>) -> Region {
        let interval = Interval { contig: ContigId(0), start, end };
        Region { interval, name: None, strand: None, summit, origin: Origin::Request }
    }

    fn places(tiles: &[Tile]) -> Vec<(i64, u64, u64)> {
        tiles.iter().map(|t| (t.window.as_ref().unwrap().start, t.start, t.end)).collect()
    }

    #[test]
    fn a_grid_covers_spans_with_windows_at_multiples_on_the_strand_that_is_read() {
        let spans = [Interval { contig: ContigId(0), start: 8, end: 23 }];
        let plus = grid(&spans, Strand::Plus, &contigs(), SHAPE);
        assert_eq!(places(&plus), [(0, 8, 10), (10, 10, 20), (20, 20, 23)]);
        // u = 56 - t: borders where 57 - t is a multiple of 10
        let minus = grid(&spans, Strand::Minus, &contigs(), SHAPE);
        assert_eq!(places(&minus), [(7, 8, 17), (17, 17, 23)]);
        let whole = [Interval { contig: ContigId(0), start: 0, end: 57 }];
        assert_eq!(
            grid(&whole, Strand::Minus, &contigs(), SHAPE)[0].window.as_ref().unwrap().start,
            -3
        );
    }

    #[test]
    fn windows_lie_around_middles_or_summits_and_each_base_goes_to_the_nearer_centre() {
        let list = [region(20, 31, Some(28)), region(29, 30, None), region(1, 4, None)];
        let tiles = |at| {
            let tiles = centred(list.iter().enumerate(), Strand::Plus, at, SHAPE, &contigs());
            places(&tiles)
        };
        // middles 25, 29 and 2: windows 20-30, 24-34 and -3-7
        assert_eq!(tiles(WindowAt::Region), [(-3, 0, 7), (20, 20, 27), (24, 27, 34)]);
        // summits 28, 29 (its middle) and 2
        assert_eq!(tiles(WindowAt::Summit), [(-3, 0, 7), (23, 23, 28), (24, 28, 34)]);
        let written = regions(&list, WindowAt::Region, SHAPE, &contigs()).unwrap();
        let ends: Vec<_> = written.iter().map(|r| (r.interval.start, r.interval.end)).collect();
        assert_eq!(ends, [(20, 30), (24, 34), (0, 7)]);
    }

    #[test]
    fn regions_with_one_window_share_it() {
        let list = [region(20, 30, None), region(25, 26, None), region(0, 50, None)];
        let tiles =
            centred(list.iter().enumerate(), Strand::Minus, WindowAt::Region, SHAPE, &contigs());
        assert_eq!(tiles.len(), 1);
        assert_eq!(tiles[0].window.as_ref().unwrap().rows, [0, 1, 2]);
    }
}
