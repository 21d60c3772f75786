//! Tracks of one region above each other: what is predicted, and what was measured.

use super::axis::{Axis, SMALL, Scale, grouped, number};
use super::svg::{Anchor, Point, Svg};
use super::{BLUE, Frame, INK, ORANGE};

/// What is drawn.
#[derive(Debug)]
pub struct LocusPlot<'a> {
    /// The heading: the region.
    pub title: &'a str,
    /// A second line: the model and what is shown of it.
    pub subtitle: &'a str,
    /// Name of the sequence, for the axis.
    pub contig: &'a str,
    /// Position of the first value, from 1.
    pub first: u64,
    /// From top to bottom; predicted ones of one unit have one scale.
    pub panels: Vec<Panel<'a>>,
}

/// One track, or those of two strands back to back. Values that are not finite are left out.
#[derive(Debug)]
pub struct Panel<'a> {
    /// Above it.
    pub name: String,
    /// Left of it.
    pub unit: &'a str,
    /// Whether it was measured.
    pub measured: bool,
    /// One value per base.
    pub up: &'a [f32],
    /// Values that are drawn downward; of 0 and more, as are those upward.
    pub down: Option<&'a [f32]>,
}

/// Pixels that are kept free around the plots, and heights of the parts.
const LEFT: f64 = 92.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 84.0;
const WIDTH: f64 = 780.0;
const HEIGHT: f64 = 104.0;
const GAP: f64 = 38.0;
const BELOW: f64 = 50.0;
/// How much longer a scale is than its largest value.
const ROOM: f64 = 1.05;
/// Measured values upward and downward: paler than what is predicted.
const GREY: &str = "#6F6F6F";
const PALER: &str = "#A8A8A8";

/// Draws the whole picture.
pub fn draw(of: &LocusPlot<'_>) -> String {
    let count = of.panels.len().max(1) as f64;
    let height = TOP + HEIGHT * count + GAP * (count - 1.0) + BELOW;
    let mut svg = Svg::new(LEFT + WIDTH + RIGHT, height);
    svg.heading((20.0, 28.0), 16.0, of.title);
    svg.text((20.0, 48.0), SMALL, Anchor::Start, of.subtitle);
    let bases = of.panels.first().map_or(1, |panel| panel.up.len().max(1));
    let first = of.first as f64;
    let along = Axis {
        scale: Scale::Linear,
        values: (first - 0.5, first + bases as f64 - 0.5),
        pixels: (LEFT, LEFT + WIDTH),
    };
    let mut frame = Frame { x: LEFT, y: TOP, width: WIDTH, height: HEIGHT };
    for panel in &of.panels {
        draw_panel(&mut svg, frame, panel, ends(panel, &of.panels));
        frame.y += HEIGHT + GAP;
    }
    let all = Frame { x: LEFT, y: TOP, width: WIDTH, height: height - BELOW - TOP };
    let title = format!("position on {} (bases)", of.contig);
    along.draw_below(&mut svg, all, &title, |value| grouped(value.round().max(0.0) as u64));
    svg.finish()
}

/// The ends of the scale of a panel, with some room: that of all that is predicted in its unit. What
/// was measured has a scale of its own, because files do not say their units.
fn ends(panel: &Panel<'_>, panels: &[Panel<'_>]) -> (f64, f64) {
    let like = panels.iter().filter(|other| match panel.measured {
        true => std::ptr::eq(*other, panel),
        false => !other.measured && other.unit == panel.unit,
    });
    let (mut low, mut high) = (0f64, 0f64);
    for other in like {
        let finite = |values: &[f32]| -> Vec<f64> {
            values.iter().filter(|x| x.is_finite()).map(|&x| f64::from(x)).collect()
        };
        for value in finite(other.up) {
            (low, high) = (low.min(value), high.max(value));
        }
        for value in finite(other.down.unwrap_or_default()) {
            low = low.min(-value);
        }
    }
    match (ROOM * low, ROOM * high) {
        (0.0, 0.0) => (0.0, 1.0),
        // strands back to back have one scale
        (low, high) if panel.down.is_some() => (low.min(-high), high.max(-low)),
        ends => ends,
    }
}

fn draw_panel(svg: &mut Svg, frame: Frame, panel: &Panel<'_>, ends: (f64, f64)) {
    let up = Axis { scale: Scale::Linear, values: ends, pixels: (frame.bottom(), frame.y) };
    let both = panel.down.is_some();
    up.draw_left(svg, frame, panel.unit, |value| number(if both { value.abs() } else { value }));
    svg.heading((frame.x, frame.y - 9.0), SMALL + 1.0, &panel.name);
    let (above, below) = match panel.measured {
        true => (GREY, PALER),
        false => (BLUE, ORANGE),
    };
    fill(svg, frame, &up, panel.up, 1.0, above);
    if let Some(down) = panel.down {
        fill(svg, frame, &up, down, -1.0, below);
    }
    svg.strokes([((frame.x, up.at(0.0)), (frame.right(), up.at(0.0)))].into_iter(), INK, 0.8);
}

/// Steps from zero to each value: of a base, or to both extremes of those that share a pixel.
fn fill(svg: &mut Svg, frame: Frame, up: &Axis, values: &[f32], sign: f64, colour: &str) {
    let columns = values.len().min(2 * frame.width as usize).max(1);
    let mut tops: Vec<Option<(f64, f64)>> = Vec::with_capacity(columns);
    for column in 0..columns {
        let from = column * values.len() / columns;
        let to = ((column + 1) * values.len() / columns).max(from + 1).min(values.len());
        let own = values[from.min(to)..to].iter().filter(|x| x.is_finite());
        tops.push(own.map(|&x| sign * f64::from(x)).fold(None, |ends, value| {
            let (low, high) = ends.unwrap_or((0.0, 0.0));
            Some((value.min(low), value.max(high)))
        }));
    }
    let pitch = frame.width / columns as f64;
    let mut outlines: Vec<Vec<Point>> = Vec::new();
    for pick in [|ends: (f64, f64)| ends.1, |ends: (f64, f64)| ends.0] {
        let mut open: Vec<Point> = Vec::new();
        for column in 0..=columns {
            let ends = tops.get(column).copied().flatten();
            let x = frame.x + column as f64 * pitch;
            match ends.map(pick).filter(|&top| top != 0.0) {
                Some(top) => {
                    if open.is_empty() {
                        open.push((x, up.at(0.0)));
                    }
                    open.extend([(x, up.at(top)), (x + pitch, up.at(top))]);
                }
                None if open.is_empty() => {}
                None => {
                    open.push((x, up.at(0.0)));
                    outlines.push(std::mem::take(&mut open));
                }
            }
        }
    }
    svg.areas(&outlines, colour);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel<'a>(name: &str, up: &'a [f32], down: Option<&'a [f32]>, measured: bool) -> Panel<'a> {
        Panel { name: name.into(), unit: "count", measured, up, down }
    }

    #[test]
    fn the_picture_names_what_it_shows_and_draws_every_step() {
        let panels = vec![
            panel("predicted", &[0.0, 4.0, 2.0, 0.0, 1.0], None, false),
            panel("seen & counted", &[0.0, f32::NAN, 30.0, 0.0, 0.0], None, true),
        ];
        let plot = LocusPlot {
            title: "chr1:9,999-10,003",
            subtitle: "a model",
            contig: "chr1",
            first: 9_999,
            panels,
        };
        let text = draw(&plot);
        for words in ["chr1:9,999-10,003", "seen &amp; counted", "position on chr1 (bases)"] {
            assert!(text.contains(words), "{words} in {text}");
        }
        // two runs above zero, and one
        let runs = |colour: &str| {
            let shape = text.lines().find(|line| line.contains(&format!("z\" fill=\"{colour}\"")));
            shape.unwrap().matches('z').count()
        };
        assert_eq!((runs(BLUE), runs(GREY)), (2, 1), "{text}");
        assert!(!text.contains("NaN"), "{text}");
    }

    #[test]
    fn predicted_panels_of_one_unit_have_one_scale_and_strands_stand_back_to_back() {
        let list = [
            panel("a", &[0.3], None, false),
            panel("b", &[1.8], None, false),
            panel("c", &[70.0], None, true),
            panel("d", &[-0.2, 3.0], None, true),
        ];
        let near = |found: (f64, f64), low: f64, high: f64| {
            let far = (found.0 - ROOM * low).abs().max((found.1 - ROOM * high).abs());
            assert!(far < 1e-6, "{found:?}");
        };
        near(ends(&list[0], &list), 0.0, 1.8);
        near(ends(&list[2], &list), 0.0, 70.0);
        near(ends(&list[3], &list), -0.2, 3.0);
        let both = [panel("e", &[0.7], Some(&[1.2]), false)];
        near(ends(&both[0], &both), -1.2, 1.2);
        let nothing = [panel("f", &[0.0], None, false)];
        assert_eq!(ends(&nothing[0], &nothing), (0.0, 1.0));
    }

    #[test]
    fn of_many_bases_in_a_pixel_the_largest_is_seen() {
        let mut values = vec![0.0; 100_000];
        values[77_777] = 5.0;
        let plot = LocusPlot {
            title: "t",
            subtitle: "s",
            contig: "c",
            first: 1,
            panels: vec![panel("p", &values, None, false)],
        };
        let text = draw(&plot);
        assert!(text.len() < 10_000, "{} bytes", text.len());
        assert_eq!(text.matches(&format!("z\" fill=\"{BLUE}\"")).count(), 1);
    }
}
