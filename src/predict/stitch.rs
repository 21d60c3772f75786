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
    let first = signed(tile.start) - signed(before);
    let mut letters = reference.fetch(tile.contig, first, signed(tile.end) + signed(after))?;
    counter.count(tile, first, &letters);
    let start = match tile.strand {
        Strand::Plus => tile.start,
        Strand::Minus => {
            reverse_complement(&mut letters);
            contig - tile.end
        }
    };
    Ok(Job::new(signed(start), index(tile.len()), letters))
}

fn signed(position: u64) -> i64 {
    i64::try_from(position).expect("a position inside a contig or a reach in memory")
}

/// The values of a tile in genome order.
#[derive(Debug)]
pub struct Piece {
    tile: Tile,
    /// `[track][base]`, from the tile's first base on.
    tracks: Vec<Vec<f32>>,
}

impl Piece {
    /// Turns what came out for a tile into genome order.
    pub fn new(tile: Tile, values: Values) -> Self {
        let mut tracks = values.tracks;
        if tile.strand == Strand::Minus {
            tracks.iter_mut().for_each(|values| values.reverse());
        }
        Self { tile, tracks }
    }

    /// Where the values belong.
    pub fn tile(&self) -> &Tile {
        &self.tile
    }

    /// The values of bases `[start, end)` inside the tile, one slice per track.
    pub fn values(&self, start: u64, end: u64) -> Vec<&[f32]> {
        let [from, to] = [start, end].map(|base| index(base - self.tile.start));
        self.tracks.iter().map(|values| &values[from..to]).collect()
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("a tile fits memory")
}
