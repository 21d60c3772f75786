//! The frequency response: which periods of the sequence each layer passes.

use super::axis::{Axis, SMALL, Scale, bases, number};
use super::svg::{Anchor, Point, Svg};
use super::{BLUE, Frame, INK, PALE, VERMILLION};
use crate::network::spectrum::Curve;
use std::f64::consts::TAU;

/// One layer.
#[derive(Debug)]
pub struct Band {
    /// What it is called at the side.
    pub label: String,
    /// Positions between its taps.
    pub dilation: usize,
    /// Its response at dilation 1.
    pub curve: Curve,
}

/// The shortest period that a sequence of bases has.
const SHORTEST: f64 = 2.0;
/// Pixels of a column.
const COLUMN: f64 = 2.0;
/// Shades from nothing to all.
const SHADES: usize = 12;
/// Height of the curve of the whole network.
const CURVE: f64 = 110.0;
/// Where the curve ends below.
const LEAST: f64 = 1e-3;
/// Periods of DNA that are marked: a turn of the helix, the nucleosome core.
const MARKS: [(f64, &str); 2] = [(10.5, "helix 10.5"), (147.0, "nucleosome 147")];

/// Height that so many layers want, in pixels.
pub fn height(layers: usize, curve: bool) -> f64 {
    let rows = layers as f64 * row_height(layers);
    rows + 18.0 + if curve { CURVE + 14.0 } else { 0.0 }
}

fn row_height(layers: usize) -> f64 {
    (320.0 / layers.max(1) as f64).clamp(3.0, 18.0)
}

/// Draws the layers as shades over the period and, above them, the response of the network with
/// box kernels where there is one (a function of the angle per base). A column shows the largest
/// response among its frequencies, so that teeth finer than a pixel are not lost.
pub fn draw(
    svg: &mut Svg,
    frame: Frame,
    bands: &[Band],
    longest: f64,
    network: Option<&dyn Fn(f64) -> f64>,
) {
    let longest = longest.max(20.0);
    let pixels = (frame.x, frame.right());
    let along = Axis { scale: Scale::Log, values: (SHORTEST, longest), pixels };
    let columns = (frame.width / COLUMN) as usize;
    let frequencies = |column: usize| {
        let period = |edge: usize| along.value(edge as f64 / columns as f64);
        (TAU / period(column + 1), TAU / period(column))
    };
    let mut top = frame.y;
    if let Some(response) = network {
        let plot = Frame { height: CURVE, ..frame };
        let pixels = (plot.bottom(), plot.y);
        let up = Axis { scale: Scale::Log, values: (LEAST, 1.0), pixels };
        up.draw_left(svg, plot, "network", number);
        let points: Vec<_> = (0..columns)
            .map(|column| {
                let (from, to) = frequencies(column);
                let samples = (0..8).map(|i| from + (to - from) * f64::from(i) / 8.0);
                let most = samples.map(response).fold(0.0, f64::max);
                (frame.x + (column as f64 + 0.5) * COLUMN, most)
            })
            .collect();
        for lobe in points.split(|(_, response)| *response < LEAST) {
            let lobe: Vec<_> = lobe.iter().map(|&(x, response)| (x, up.at(response))).collect();
            svg.curve(&lobe, BLUE, 1.5);
        }
        top = plot.bottom() + 14.0;
    }
    let row = row_height(bands.len());
    let mut shades: Vec<Vec<(Point, f64, f64)>> = vec![vec![]; SHADES + 1];
    for (index, band) in bands.iter().enumerate() {
        let y = top + index as f64 * row;
        let peak = band.curve.peak().max(f64::MIN_POSITIVE);
        let step = band.dilation as f64;
        let mut run: Option<(usize, usize)> = None;
        let mut close = |run: Option<(usize, usize)>, end: usize| {
            if let Some((shade, start)) = run {
                let x = frame.x + start as f64 * COLUMN;
                shades[shade].push(((x, y), (end - start) as f64 * COLUMN, row - 1.0));
            }
        };
        for column in 0..columns {
            let (from, to) = frequencies(column);
            let most = band.curve.most(from * step, to * step) / peak;
            let shade = (most * SHADES as f64).round() as usize;
            if run.is_none_or(|(current, _)| current != shade) {
                close(run, column);
                run = Some((shade, column));
            }
        }
        close(run, columns);
        // labels of rows thinner than a letter are left out in between
        let every = (SMALL / row).ceil().max(1.0) as usize;
        if index % every == 0 {
            let at = (frame.x - 7.0, y + row / 2.0 + SMALL / 3.0);
            svg.text(at, SMALL, Anchor::End, &band.label);
        }
    }
    for (shade, list) in shades.into_iter().enumerate().skip(1) {
        svg.rectangles(list.into_iter(), &tint(shade));
    }
    let bottom = top + bands.len() as f64 * row;
    for (period, name) in MARKS.into_iter().filter(|(period, _)| *period < longest) {
        let x = along.at(period);
        svg.dashes((x, frame.y), (x, bottom), VERMILLION);
        svg.coloured_text((x, frame.y - 5.0), SMALL - 1.0, Anchor::Middle, VERMILLION, name);
    }
    let whole = Frame { height: bottom - frame.y + 2.0, ..frame };
    along.draw_below(svg, whole, "period (bases)", bases);
    key(svg, (frame.right() - 116.0, bottom + 29.0));
}

/// The meaning of the shades.
fn key(svg: &mut Svg, (x, y): (f64, f64)) {
    let width = 60.0 / SHADES as f64;
    svg.text((x - 6.0, y + 8.0), SMALL - 1.0, Anchor::End, "blocked");
    svg.rectangle((x - 0.5, y - 0.5), 61.0, 9.0, PALE);
    for shade in 0..SHADES {
        svg.rectangle((x + shade as f64 * width, y), width, 8.0, &tint(shade + 1));
    }
    svg.coloured_text((x + 66.0, y + 8.0), SMALL - 1.0, Anchor::Start, INK, "passed");
}

/// From white to blue, for 0 to [`SHADES`].
fn tint(shade: usize) -> String {
    let share = shade as f64 / SHADES as f64;
    let mix = |full: f64| (255.0 + share * (full - 255.0)).round() as u8;
    format!("#{:02X}{:02X}{:02X}", mix(0.0), mix(90.0), mix(160.0))
}
