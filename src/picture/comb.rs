//! The coverage comb: how many paths join the output to each base, and which bases have none.

use super::axis::{Axis, SMALL, Scale, bases, number};
use super::svg::{Anchor, Svg};
use super::{BLUE, Frame, VERMILLION};
use crate::network::Coverage;

/// Up to this many bases each has a tooth of its own.
const TEETH: u64 = 150;
/// Counts beyond this are drawn by their logarithm.
const LINEAR: f64 = 100.0;
/// Height of the strip for unseen bases, and the space above it, in pixels.
const STRIP: f64 = 12.0;
const GAP: f64 = 9.0;

/// Draws it; needs some 40 pixels below the frame and 70 to its left.
pub fn draw(svg: &mut Svg, frame: Frame, coverage: &Coverage) {
    let plot = Frame { height: frame.height - STRIP - GAP, ..frame };
    let most = coverage.counts.iter().copied().fold(4.0, f64::max);
    let scale = if most > LINEAR { Scale::LogFromZero } else { Scale::Linear };
    let up = Axis { scale, values: (0.0, most), pixels: (plot.bottom(), plot.y) };
    let last = coverage.first + i64::try_from(coverage.hull).unwrap_or(i64::MAX) - 1;
    let half = 0.5;
    let ends = (coverage.first as f64 - half, last as f64 + half);
    let along = Axis { scale: Scale::Linear, values: ends, pixels: (frame.x, frame.right()) };
    up.draw_left(svg, plot, "paths", number);
    if coverage.hull <= TEETH {
        teeth(svg, plot, coverage, &along, &up);
    } else {
        band(svg, plot, coverage, &up);
    }
    let strip = Frame { y: plot.bottom() + GAP, height: STRIP, ..frame };
    blind(svg, strip, coverage, &along);
    along.draw_below(svg, frame, "offset from the output (bases)", bases);
}

/// One tooth per base.
fn teeth(svg: &mut Svg, plot: Frame, coverage: &Coverage, along: &Axis, up: &Axis) {
    let pitch = plot.width / coverage.hull as f64;
    let width = (pitch * 0.6).min(14.0);
    let tooth = |(index, &count): (usize, &f64)| {
        let x = along.at(coverage.first as f64 + index as f64) - width / 2.0;
        ((x, up.at(count)), width, plot.bottom() - up.at(count))
    };
    let counts = coverage.counts.iter().enumerate();
    svg.rectangles(counts.filter(|(_, count)| **count > 0.0).map(tooth), BLUE);
}

/// The range of counts in each column of pixels.
fn band(svg: &mut Svg, plot: Frame, coverage: &Coverage, up: &Axis) {
    let columns = plot.width as usize;
    let mut bars = Vec::with_capacity(columns);
    for column in 0..columns {
        let counts = share(&coverage.counts, column, columns);
        let most = counts.iter().copied().fold(0.0, f64::max);
        if most > 0.0 {
            let x = plot.x + column as f64;
            bars.push(((x, up.at(most)), 1.0, plot.bottom() - up.at(most)));
        }
    }
    svg.rectangles(bars.into_iter(), BLUE);
}

/// The values that fall into a column; at least one.
fn share(values: &[f64], column: usize, columns: usize) -> &[f64] {
    let from = (column * values.len() / columns).min(values.len() - 1);
    let to = ((column + 1) * values.len() / columns).clamp(from + 1, values.len());
    &values[from..to]
}

/// The strip of bases that no path reaches, and its name.
fn blind(svg: &mut Svg, strip: Frame, coverage: &Coverage, along: &Axis) {
    let named = (strip.x - 7.0, strip.bottom() - 2.0);
    svg.coloured_text(named, SMALL, Anchor::End, VERMILLION, "unseen");
    // a lone base of a long field is thinner than a pixel; more than one run may share a pixel
    let mut marks: Vec<(f64, f64)> = Vec::new();
    for &[from, to] in &coverage.blind_runs {
        let gap = if coverage.hull <= TEETH { 0.3 } else { 0.5 };
        let (x1, x2) = (along.at(from as f64 - gap), along.at(to as f64 + gap));
        let x2 = x2.max(x1 + 0.4);
        match marks.last_mut() {
            Some((_, end)) if x1 <= *end + 0.2 => *end = x2.max(*end),
            _ => marks.push((x1, x2)),
        }
    }
    let marks = marks.into_iter().map(|(x1, x2)| ((x1, strip.y), x2 - x1, strip.height));
    svg.rectangles(marks, VERMILLION);
}
