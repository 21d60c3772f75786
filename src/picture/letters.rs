//! Letters of a stretch of sequence, as tall as they matter, over a map of what each change does.

use super::axis::{Axis, SMALL, Scale, grouped, number};
use super::svg::{Anchor, Svg, text_width};
use super::{BLUE, Frame, INK, ORANGE, PALE, VERMILLION};

/// What is drawn.
#[derive(Debug)]
pub struct Letters<'a> {
    /// The heading.
    pub title: &'a str,
    /// A second line: what the numbers are.
    pub subtitle: &'a str,
    /// Name of the sequence, for the axis.
    pub contig: &'a str,
    /// Position of the first letter, counted from 1.
    pub first: u64,
    /// The letters.
    pub letters: &'a [u8],
    /// How much each matters, upwards or downwards; none where it was not measured.
    pub importance: &'a [Option<f32>],
    /// Rows of the map: a name, and the signed effect at each letter.
    pub rows: &'a [(String, Vec<Option<f32>>)],
}

/// Where the words above the plots begin.
const EDGE: f64 = 20.0;
/// Pixels that are kept free around the plots.
const LEFT: f64 = 84.0;
const RIGHT: f64 = 96.0;
const TOP: f64 = 64.0;
const BELOW: f64 = 56.0;
/// Height of the letters, of a row of the map, and between them.
const TALL: f64 = 130.0;
const ROW: f64 = 18.0;
const GAP: f64 = 26.0;
/// Width of all letters together, where each is neither too thin nor too wide.
const WIDTH: f64 = 1100.0;
const THINNEST: f64 = 3.0;
const WIDEST: f64 = 22.0;
/// Letters thinner than this are bars.
const LEGIBLE: f64 = 5.0;
/// Share of a cell that a letter or a square fills.
const FILLED: f64 = 0.92;

/// Draws the whole picture.
pub fn draw(of: &Letters<'_>) -> String {
    let count = of.letters.len().max(1) as f64;
    let pitch = (WIDTH / count).clamp(THINNEST, WIDEST);
    let words = EDGE + text_width(of.subtitle, SMALL) - LEFT;
    let width = (pitch * count).max(360.0).max(words);
    let map = ROW * of.rows.len() as f64;
    let mut svg = Svg::new(LEFT + width + RIGHT, TOP + TALL + GAP + map + BELOW);
    svg.heading((EDGE, 26.0), 16.0, of.title);
    svg.text((EDGE, 46.0), SMALL, Anchor::Start, of.subtitle);
    let plot = Frame { x: LEFT, y: TOP, width: pitch * count, height: TALL };
    draw_letters(&mut svg, plot, pitch, of);
    let frame = Frame { y: TOP + TALL + GAP, height: map, ..plot };
    draw_map(&mut svg, frame, pitch, of);
    let first = of.first as f64;
    let along = Axis {
        scale: Scale::Linear,
        values: (first - 0.5, first + count - 0.5),
        pixels: (frame.x, frame.x + frame.width),
    };
    let position = |value: f64| grouped(value.round() as u64);
    along.draw_below(&mut svg, frame, &format!("position on {}", of.contig), position);
    svg.finish()
}

fn draw_letters(svg: &mut Svg, plot: Frame, pitch: f64, of: &Letters<'_>) {
    let most = of.importance.iter().flatten().copied().fold(0.0, f32::max);
    let top = if most > 0.0 { f64::from(most) } else { 1.0 };
    let least = of.importance.iter().flatten().copied().fold(0.0, f32::min);
    let low = f64::from(least);
    let top = if most == 0.0 && low < 0.0 { -low * 0.1 } else { top };
    let up = Axis { scale: Scale::Linear, values: (low, top), pixels: (plot.bottom(), plot.y) };
    let base = up.at(0.0);
    up.draw_left(svg, plot, "importance", number);
    for (index, (letter, importance)) in of.letters.iter().zip(of.importance).enumerate() {
        let x = plot.x + pitch * index as f64;
        let Some(importance) = importance else { continue };
        // what is negative hangs below
        let end = up.at(f64::from(*importance));
        let (y, height) = (end.min(base), (base - end).abs());
        let width = pitch * FILLED;
        match pitch < LEGIBLE {
            true => svg.rectangle((x, y), width, height, colour(*letter)),
            false => svg.letter((x, y), width, height, colour(*letter), *letter),
        }
    }
}

fn draw_map(svg: &mut Svg, frame: Frame, pitch: f64, of: &Letters<'_>) {
    let values = || of.rows.iter().flat_map(|(_, values)| values.iter().flatten());
    let most = values().map(|value| value.abs()).fold(0.0, f32::max);
    for (index, (name, values)) in of.rows.iter().enumerate() {
        let y = frame.y + ROW * index as f64;
        svg.text((frame.x - 8.0, y + ROW * 0.72), SMALL, Anchor::End, name);
        let square = pitch * FILLED;
        for (place, value) in values.iter().enumerate() {
            let x = frame.x + pitch * place as f64;
            if let Some(value) = value {
                let fill = shade(if most > 0.0 { value / most } else { 0.0 });
                svg.rectangle((x, y + 1.0), square, ROW - 2.0, &fill);
            }
        }
        // what is not measured at a letter is that letter itself, or unknown
        let own = values.iter().enumerate().filter(|(_, value)| value.is_none());
        let centre = y + ROW / 2.0;
        let dash = own.map(|(place, _)| {
            let x = frame.x + pitch * place as f64 + pitch * 0.3;
            ((x, centre), (x + pitch * 0.35, centre))
        });
        svg.strokes(dash, PALE, 1.0);
    }
    legend(svg, frame, f64::from(most));
}

/// The scale of colours, right of the map.
fn legend(svg: &mut Svg, frame: Frame, most: f64) {
    let x = frame.right() + 14.0;
    let steps = 20;
    let height = frame.height / f64::from(steps);
    for step in 0..steps {
        let value = 1.0 - 2.0 * (f64::from(step) + 0.5) / f64::from(steps);
        let y = frame.y + height * f64::from(step);
        svg.rectangle((x, y), 12.0, height + 0.5, &shade(value as f32));
    }
    let name = |value: f64| match value.abs() {
        size if size >= 0.01 => format!("{value:.2}"),
        _ => number(value),
    };
    let label = |svg: &mut Svg, y: f64, text: &str| {
        svg.text((x + 16.0, y), 11.0, Anchor::Start, text);
    };
    label(svg, frame.y + 9.0, &format!("+{} gain", name(most)));
    label(svg, frame.y + frame.height / 2.0 + 4.0, "0");
    label(svg, frame.bottom(), &format!("−{} loss", name(most)));
}

fn colour(letter: u8) -> &'static str {
    match letter.to_ascii_uppercase() {
        b'A' => GREEN,
        b'C' => BLUE,
        b'G' => ORANGE,
        b'T' => VERMILLION,
        _ => INK,
    }
}

/// Of Okabe and Ito, like the others.
const GREEN: &str = "#009E73";

/// Blue for losses, white for nothing, vermillion for gains; −1 to 1.
fn shade(value: f32) -> String {
    let mix = |from: f32, to: f32, share: f32| (from + (to - from) * share).round();
    let end = if value > 0.0 { [213.0, 94.0, 0.0] } else { [0.0, 114.0, 178.0] };
    // small effects are the many, so that they can be told from none
    let share = value.abs().min(1.0).powf(0.7);
    let [red, green, blue] = end.map(|end| mix(250.0, end, share));
    format!("#{:02X}{:02X}{:02X}", byte(red), byte(green), byte(blue))
}

fn byte(value: f32) -> u8 {
    // rounded and between two colours, so that nothing is cut off
    value.clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_run_from_blue_over_white_to_vermillion() {
        assert_eq!([shade(-1.0), shade(0.0), shade(1.0)], ["#0072B2", "#FAFAFA", "#D55E00"]);
    }

    #[test]
    fn each_measured_letter_is_drawn_once() {
        let rows = [("A".to_string(), vec![None, Some(0.5), Some(-0.25)])];
        let picture = Letters {
            title: "t",
            subtitle: "s",
            contig: "c",
            first: 10,
            letters: b"ACG",
            importance: &[None, Some(0.5), Some(0.0)],
            rows: &rows,
        };
        let text = draw(&picture);
        assert_eq!(text.matches(">C</text>").count(), 1);
        assert_eq!(text.matches(">G</text>").count(), 0, "nothing to see of it");
        assert!(text.contains("+0.50 gain"), "{text}");

        let words = "long words above few letters ".repeat(9);
        let wide = draw(&Letters { subtitle: &words, ..picture });
        let width = wide.split("width=\"").nth(1).and_then(|rest| rest.split('"').next());
        let width: f64 = width.unwrap().parse().unwrap();
        assert!(width > text_width(&words, SMALL) + 2.0 * EDGE, "{width}");
    }
}
