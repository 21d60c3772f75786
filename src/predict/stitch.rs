//! Between the reference's coordinates and those of the strand that is read.
//!
//! On the minus strand the network reads the reverse complement of the contig, at positions
//! `u = contig length - 1 - t`. This file is the only one that turns one into the other.

use super::letters::Letters;
use super::tiles::Tile;
use crate::engine::{Job, Values};
use crate::error::Result;
use crate::genome::sequence::reverse_complement;
use crate::genome::{Reference, Strand};
use crate::network::Reach;

/// Reads the letters that a tile needs, and counts those of its own bases.
///
/// # Errors
/// Any failure to read the reference.
pub fn job(
    reference: &mut Reference,
    tile: &Tile,
    reach: Reach,
    counter: &mut Letters,
) -> Result<Job> {
    let contig = reference.contigs().length(tile.contig);
    let (before, after) = match tile.strand {
        Strand::Plus => (reach.left, reach.right),
        Strand::Minus => (reach.right, reach.left),
    };
    let (start, length) = tile.computed();
    let end = start + signed(length);
    let first = start - signed(before);
    let mut letters = reference.fetch(tile.contig, first, end + signed(after))?;
    counter.count(tile, first, &letters);
    let start = match tile.strand {
        Strand::Plus => start,
        Strand::Minus => {
            reverse_complement(&mut letters);
            signed(contig) - end
        }
    };
    Ok(Job::new(start, index(length), letters))
}

/// The same window read from the other strand of a contig of so many bases. What lies on both sides
/// of its outputs must be equally long, and so must the control tracks, which change places.
pub fn reverse(job: &Job, contig: u64) -> Job {
    let mut other = job.clone();
    let end = job.start.saturating_add_unsigned(job.length as u64);
    other.start = signed(contig).saturating_sub(end);
    reverse_complement(&mut other.letters);
    reverse_controls(&mut other.controls);
    other
}

/// Control tracks as the other strand reads them.
pub fn reverse_controls(controls: &mut [Vec<f32>]) {
    controls.reverse();
    controls.iter_mut().for_each(|track| track.reverse());
}

fn signed(position: u64) -> i64 {
    i64::try_from(position).expect("a position inside a contig or a reach in memory")
}

/// The values of a tile in genome order.
#[derive(Debug)]
pub struct Piece {
    tile: Tile,
    /// `[track][base]`, from the tile's first computed position on.
    tracks: Vec<Vec<f32>>,
    /// `[scalar]`, of the tile's window.
    scalars: Vec<f64>,
}

impl Piece {
    /// Turns what came out for a tile into genome order.
    pub fn new(tile: Tile, values: Values) -> Self {
        let mut tracks = values.tracks;
        if tile.strand == Strand::Minus {
            tracks.iter_mut().for_each(|values| values.reverse());
        }
        Self { tile, tracks, scalars: values.scalars }
    }

    /// The numbers of the tile's window.
    pub fn scalars(&self) -> &[f64] {
        &self.scalars
    }

    /// First base and values of all computed positions that lie in a contig of so many bases.
    pub fn inside(&self, contig: u64) -> (u64, Vec<&[f32]>) {
        let (first, length) = self.tile.computed();
        let start = first.max(0);
        let end = (first + signed(length)).min(signed(contig)).max(start);
        (start.unsigned_abs(), self.values(start.unsigned_abs(), end.unsigned_abs()))
    }

    /// Where the values belong.
    pub fn tile(&self) -> &Tile {
        &self.tile
    }

    /// The values of bases `[start, end)` inside the tile, one slice per track.
    pub fn values(&self, start: u64, end: u64) -> Vec<&[f32]> {
        let (first, _) = self.tile.computed();
        let offset = |base| usize::try_from(signed(base) - first).expect("a base of the tile");
        let [from, to] = [start, end].map(offset);
        self.tracks.iter().map(|values| &values[from..to]).collect()
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("a tile fits memory")
}
