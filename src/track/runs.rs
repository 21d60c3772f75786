//! Runs of equal printed values: what every format of tracks writes, so that all of them say the
//! same.

use super::number::{Number, Rounding};
use super::{CHUNK, Segment, Style};
use crate::error::{Error, Result};
use crate::genome::ContigId;

/// Consecutive bases `[start, end)` (0-based) with the same printed value, within one chunk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run {
    pub contig: ContigId,
    pub start: u64,
    pub end: u64,
    pub number: Number,
}

/// Rounds values, leaves out those below the smallest that is wanted, and joins equal neighbours.
pub struct Runs {
    rounding: Rounding,
    min_value: Option<f32>,
    open: Option<Run>,
}

impl Runs {
    /// No value yet.
    pub fn new(style: &Style) -> Self {
        Self { rounding: style.rounding, min_value: style.min_value, open: None }
    }

    /// Takes the value of a base; gives the run that ends before it, if one does.
    ///
    /// # Errors
    /// A value that is not finite.
    pub fn push(&mut self, contig: ContigId, base: u64, value: f32) -> Result<Option<Run>> {
        if self.min_value.is_some_and(|least| value < least) {
            return Ok(self.open.take());
        }
        let number = self.rounding.round(value);
        match &mut self.open {
            Some(run) if run.number == number && run.end == base && run.contig == contig => {
                run.end = base + 1;
                Ok(None)
            }
            _ if !value.is_finite() => {
                Err(Error::new("a value of a track is not a finite number").found(value))
            }
            open => Ok(open.replace(Run { contig, start: base, end: base + 1, number })),
        }
    }

    /// Ends the run that is open, if there is one.
    pub fn end(&mut self) -> Option<Run> {
        self.open.take()
    }
}

impl<'a> Segment<'a> {
    /// The segment cut where a chunk of the contig ends, each piece with the number of its chunk.
    pub(super) fn by_chunk(self) -> impl Iterator<Item = (u64, Segment<'a>)> {
        let Segment { contig, mut start, mut values } = self;
        std::iter::from_fn(move || {
            let left = CHUNK - start % CHUNK;
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(values.len());
            let (piece, rest) = values.split_at(length);
            let cut = (start / CHUNK, Segment { contig, start, values: piece });
            start += length as u64;
            values = rest;
            (length > 0).then_some(cut)
        })
    }
}
