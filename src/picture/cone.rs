//! The cone: the positions that one output looks at, layer by layer down to the sequence.

use super::axis::{Axis, SMALL, Scale, bases};
use super::svg::{Anchor, Svg};
use super::{BLUE, Frame, PALE, VERMILLION};
use crate::network::Coverage;
use crate::network::blocks::Dilated;
use std::collections::BTreeSet;

/// Widest receptive field of which every position has a dot that can be seen.
const MOST_BASES: u64 = 130;
/// Most layers that have room under each other.
const MOST_LAYERS: usize = 12;

/// Whether layers in a row, from input to output, are few and small enough to be drawn so, and
/// are all that the network looks with.
pub fn fits(layers: &[Dilated], coverage: &Coverage) -> bool {
    if !(1..=MOST_LAYERS).contains(&layers.len()) || coverage.hull > MOST_BASES {
        return false;
    }
    let offsets = (coverage.first..).zip(&coverage.counts);
    let seen: Vec<i64> = offsets.filter(|(_, paths)| **paths > 0.0).map(|(m, _)| m).collect();
    rows(layers).last().is_some_and(|last| last.iter().copied().eq(seen))
}

/// The positions reached after each layer, from the output down.
fn rows(layers: &[Dilated]) -> Vec<BTreeSet<i64>> {
    let mut rows = vec![BTreeSet::from([0])];
    for &layer in layers.iter().rev() {
        let reached = rows[rows.len() - 1].iter();
        rows.push(reached.flat_map(|&from| taps(layer).map(move |tap| from + tap)).collect());
    }
    rows
}

/// Height that the drawing of so many layers wants, in pixels.
pub fn height(layers: &[Dilated]) -> f64 {
    34.0 * (layers.len() + 1) as f64
}

/// Draws layers in a row, from input to output, that [`fits`]; the output is on top.
pub fn draw(svg: &mut Svg, frame: Frame, layers: &[Dilated], coverage: &Coverage) {
    let last = coverage.first + i64::try_from(coverage.hull).unwrap_or(i64::MAX) - 1;
    let ends = (coverage.first as f64 - 0.5, last as f64 + 0.5);
    let along = Axis { scale: Scale::Linear, values: ends, pixels: (frame.x, frame.right()) };
    let pitch = (frame.height - 16.0) / layers.len() as f64;
    let down = |depth: usize| frame.y + 8.0 + depth as f64 * pitch;
    let at = |offset: i64, depth: usize| (along.at(offset as f64), down(depth));
    let radius = (frame.width / coverage.hull as f64 * 0.35).clamp(1.2, 5.0);
    let rows = rows(layers);
    for (depth, &layer) in layers.iter().rev().enumerate() {
        let lines = rows[depth].iter().flat_map(|&from| {
            taps(layer).map(move |tap| (at(from, depth), at(from + tap, depth + 1)))
        });
        svg.strokes(lines, BLUE, if radius > 3.0 { 1.0 } else { 0.5 });
    }
    for (depth, seen) in rows.iter().enumerate() {
        for offset in coverage.first..=last {
            match (seen.contains(&offset), depth == layers.len()) {
                (true, _) => svg.dot(at(offset, depth), radius, BLUE, BLUE),
                (false, true) => svg.dot(at(offset, depth), radius, "#FFFFFF", VERMILLION),
                (false, false) => svg.dot(at(offset, depth), radius * 0.4, PALE, PALE),
            }
        }
        let label = match depth {
            0 => "output".into(),
            _ => format!("rate {}", layers[layers.len() - depth].dilation),
        };
        svg.text((frame.x - 10.0, down(depth) + SMALL / 3.0), SMALL, Anchor::End, &label);
    }
    let title = "offset from the output (bases); open circles: bases that no path reaches";
    along.draw_below(svg, frame, title, bases);
}

/// Offsets of a layer's taps from its output.
fn taps(layer: Dilated) -> impl Iterator<Item = i64> {
    let Dilated { kernel, dilation, left } = layer;
    let signed = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    (0..kernel).map(move |tap| signed(tap * dilation) - signed(left))
}
