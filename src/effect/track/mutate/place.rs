//! Which letters are read when the bases of a region are changed.

use super::MutateRequest;
use super::function::{Class, Function};
use crate::effect::mutate::CHUNK;
use crate::effect::signed;
use crate::effect::track::reading::{Frame, TrackReading};
use crate::error::{Error, Result};
use crate::genome::{Contigs, Interval, Reference, Strand};
use crate::network::{Reach, Span};
use crate::predict::WindowAt;
use crate::predict::windows::{Shape, grid};

/// Some bases of the region, and the letters that are read for them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    /// The bases that are changed.
    pub part: Interval,
    /// The letters: a window of the model, or all that a position and its change need.
    pub span: Span,
    /// Whether a change can reach what is measured.
    pub reaches: bool,
}

impl Place {
    /// Its letters in capitals, N beyond the contig.
    pub fn letters(&self, reference: &mut Reference) -> Result<Vec<u8>> {
        let letters = reference.fetch(self.part.contig, self.span.start, self.span.end)?;
        Ok(letters.to_ascii_uppercase())
    }

    /// What of it lies in an interval of its contig.
    pub fn within(mut self, own: Interval) -> Option<Self> {
        self.part.start = self.part.start.max(own.start);
        self.part.end = self.part.end.min(own.end);
        (self.part.start < self.part.end).then_some(self)
    }

    /// Where a position of the contig is among the letters.
    pub fn index(&self, position: u64) -> usize {
        usize::try_from(position.cast_signed() - self.span.start).expect("among the letters")
    }
}

/// The places of a request, in the order of its bases; `reach` is that of the engine.
///
/// # Errors
/// A usage error: a measure that the model does not have, a region that does not fit into a window,
/// a position that is not among its outputs.
pub(super) fn places(
    reading: &TrackReading,
    reach: Reach,
    request: &MutateRequest,
    contigs: &Contigs,
) -> Result<Vec<Place>> {
    let region = request.region;
    let places = match (reading.window(), &request.function) {
        (Some(frame), _) => windows(frame, request, contigs)?,
        (None, Function::Class(class)) => around(class, reading.reach().hull(reach), request),
        (None, _) => {
            return Err(Error::usage(
                "the model has no window whose count or profile could change",
            )
            .remedy("leave out --measure: changes of tracks are scored by position"));
        }
    };
    if let Function::Class(Class { position, .. }) = request.function {
        let length = contigs.length(region.contig);
        if position > length {
            return Err(Error::usage("the position of the class lies beyond the contig")
                .found(position)
                .expected(format!("at most {length}")));
        }
        let outputs = reading.window().map(|frame| outputs(frame, &places[0]));
        let inside =
            |outputs: Span| (outputs.start..outputs.end).contains(&(position.cast_signed() - 1));
        if places.len() > 1 && reading.window().is_some() || !outputs.is_none_or(inside) {
            return Err(Error::usage("the position of the class is no output of the one window")
                .found(position)
                .remedy("choose a region whose middle is near it, no longer than a window"));
        }
    }
    Ok(places)
}

/// The outputs of a window.
pub(super) fn outputs(frame: Frame, window: &Place) -> Span {
    let first = window.span.start + signed(frame.before);
    Span::new(first, first + signed(frame.output))
}

/// The windows: one around the middle of the region, or those of the grid whose outputs its bases
/// are. On the grid a base has its window whatever else is mutated.
fn windows(frame: Frame, request: &MutateRequest, contigs: &Contigs) -> Result<Vec<Place>> {
    let region = request.region;
    let Interval { start, end, .. } = region;
    let middle = start + (end - start) / 2;
    let around = |first: i64| Span::new(first, first + signed(frame.input));
    let span = around(middle.cast_signed() - signed(frame.anchor));
    let fits = span.start <= start.cast_signed() && end.cast_signed() <= span.end;
    let at = request.at.unwrap_or(match fits {
        true => WindowAt::Region,
        false => WindowAt::Grid,
    });
    if request.at.is_none() && at == WindowAt::Grid {
        tracing::info!(
            "the region is longer than a window: each base is changed in the window of the grid \
             whose outputs it belongs to (--window-at grid)"
        );
    }
    match at {
        WindowAt::Region if fits => Ok(vec![Place { part: region, span, reaches: true }]),
        WindowAt::Region => {
            Err(Error::usage("the region does not fit into the window of the model")
                .found(format!("{} bases", end - start))
                .expected(format!("at most {}", frame.input))
                .remedy("cover it with windows: --window-at grid"))
        }
        WindowAt::Summit => {
            Err(Error::usage("the region has no summit").remedy("--window-at region, or grid"))
        }
        WindowAt::Grid => {
            let anchor = signed(frame.anchor) - signed(frame.before);
            let shape = Shape { length: frame.output as u64, anchor };
            let tiles = grid(&[region], Strand::Plus, contigs, shape);
            let place = |tile: crate::predict::tiles::Tile| {
                let part = Interval { contig: tile.contig, start: tile.start, end: tile.end };
                let first = tile.window.map_or(tile.start.cast_signed(), |window| window.start);
                Place { part, span: around(first - signed(frame.before)), reaches: true }
            };
            Ok(tiles.into_iter().map(place).collect())
        }
    }
}

/// Of a model without a window: some bases at a time, with all that the position reads where a
/// change of them can be seen.
fn around(class: &Class, reach: Reach, request: &MutateRequest) -> Vec<Place> {
    let region = request.region;
    let at = class.position.cast_signed() - 1;
    let (left, right) = match request.strand {
        Strand::Plus => (reach.left, reach.right),
        Strand::Minus => (reach.right, reach.left),
    };
    let seen = Span::new(at, at + 1).widen(left, right);
    let place = |start: u64| {
        let part = Interval { start, end: region.end.min(start + CHUNK), ..region };
        let own = Span::new(part.start.cast_signed(), part.end.cast_signed());
        let reaches = own.start < seen.end && seen.start < own.end;
        Place { part, span: if reaches { own.hull(seen) } else { own }, reaches }
    };
    let step = usize::try_from(CHUNK).expect("a small number");
    (region.start..region.end).step_by(step).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::track::{Combine, StrandAverage};
    use crate::genome::ContigId;
    use crate::job::journal::Settings;
    use crate::track::Style;

    fn request(start: u64, end: u64, at: Option<WindowAt>) -> MutateRequest {
        MutateRequest {
            region: Interval { contig: ContigId(0), start, end },
            function: Function::LogCount,
            at,
            strand: Strand::Plus,
            strands: StrandAverage::None,
            combine: Combine::Scores,
            center: false,
            project: false,
            table: "-".into(),
            importance: None,
            plot: None,
            style: Style::default(),
            subtitle: String::new(),
            shard: None,
            identity: Settings::new(),
        }
    }

    #[test]
    fn a_region_lies_in_one_window_or_each_of_its_bases_in_that_of_the_grid() {
        let contigs = Contigs::new(vec![("c".into(), 57)]);
        let frame = Frame { input: 16, output: 10, before: 3, anchor: 8 };
        let places = |start, end, at| {
            let places = windows(frame, &request(start, end, at), &contigs)?;
            let of = |p: Place| ((p.part.start, p.part.end), (p.span.start, p.span.end));
            Ok::<_, Error>(places.into_iter().map(of).collect::<Vec<_>>())
        };
        let region = Some(WindowAt::Region);
        assert_eq!(places(20, 31, region).unwrap(), [((20, 31), (17, 33))]);
        assert_eq!(places(20, 31, None).unwrap(), [((20, 31), (17, 33))]);
        assert!(places(20, 38, region).unwrap_err().to_string().contains("--window-at"));
        assert!(places(20, 38, Some(WindowAt::Summit)).is_err());
        let grid = Some(WindowAt::Grid);
        let whole = places(8, 26, grid).unwrap();
        assert_eq!(whole, [((8, 10), (-3, 13)), ((10, 20), (7, 23)), ((20, 26), (17, 33))]);
        assert_eq!(places(8, 26, None).unwrap(), whole, "longer than a window");
        // in parts, the same windows
        let mut parts = places(8, 15, grid).unwrap();
        parts.extend(places(15, 26, grid).unwrap());
        type Ends = ((u64, u64), (i64, i64));
        let spans = |list: &[Ends]| {
            let base = |&((from, to), span): &Ends| (from..to).map(move |b| (b, span));
            list.iter().flat_map(base).collect::<Vec<_>>()
        };
        assert_eq!(spans(&parts), spans(&whole));
    }
}
