//! Letters around sites and along transcripts, on the strand that is read.

use super::Site;
use crate::error::Result;
use crate::genome::{Interval, Reference, Strand};

/// Bases that are read at a time.
const PIECE: u64 = 1 << 20;

/// Calls `see(piece, letters)` for consecutive pieces of the stretches; the letters reach `left`
/// and `right` beyond the piece, on the strand that is read.
pub(super) fn for_each_piece(
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
pub(super) struct Piece {
    pub core: Interval,
    pub strand: Strand,
}

impl Piece {
    /// The site at index `i` of the core, counted in the direction of reading.
    pub fn site(self, i: u64) -> Site {
        let position = match self.strand {
            Strand::Plus => self.core.start + i,
            Strand::Minus => self.core.end - 1 - i,
        };
        Site { contig: self.core.contig, position, strand: self.strand }
    }
}

/// Letters of the piece with `left` and `right` more on the strand read, 5' to 3'; `None` for
/// anything that is not A, C, G or T, and beyond the contig.
pub(super) fn letters(
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

/// Whether the window of a site lies inside its contig.
pub(super) fn window_fits(reference: &Reference, site: Site, left: usize, right: usize) -> bool {
    let (before, after) = match site.strand {
        Strand::Plus => (left, right),
        Strand::Minus => (right, left),
    };
    let length = reference.contigs().length(site.contig);
    site.position >= before as u64 && site.position + (after as u64) < length
}
