//! Plain charts under each other: lines, dots and filled profiles over numeric axes.

use super::axis::{Axis, SMALL, Scale, number};
use super::svg::{Anchor, Point, Svg, text_width};
use super::{BLUE, Frame, INK, ORANGE, PALE, VERMILLION};

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A line through its points.
    Line,
    /// Small dots.
    Dots,
    /// Filled down to 0.
    Filled,
}

/// Points of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What it is called beside the chart.
    pub name: String,
    /// How it is drawn.
    pub style: Style,
    /// Places; those that are not finite are left out.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// A line.
    pub fn line(name: &str, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), style: Style::Line, points }
    }

    /// Dots.
    pub fn dots(name: &str, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), style: Style::Dots, points }
    }

    /// A filled profile.
    pub fn filled(name: &str, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), style: Style::Filled, points }
    }
}

/// A chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// Above it.
    pub title: String,
    /// Below it.
    pub across: String,
    /// Left of it.
    pub up: String,
    /// What it shows.
    pub series: Vec<Series>,
}

const WIDTH: f64 = 760.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 190.0;
const HEIGHT: f64 = 170.0;
const ABOVE: f64 = 46.0;
const BELOW: f64 = 52.0;
/// Most dots of one series.
const DOTS: usize = 4000;
/// Colours of the series, in order.
const COLOURS: [&str; 6] = [BLUE, VERMILLION, ORANGE, "#009E73", "#CC79A7", INK];

/// Draws charts under each other, with a title.
pub fn draw(title: &str, panels: &[Panel]) -> String {
    let each = ABOVE + HEIGHT + BELOW;
    let mut svg = Svg::new(WIDTH, 30.0 + each * panels.len() as f64);
    svg.heading((20.0, 26.0), 16.0, title);
    for (index, panel) in panels.iter().enumerate() {
        let y = 30.0 + each * index as f64 + ABOVE;
        let frame = Frame { x: LEFT, y, width: WIDTH - LEFT - RIGHT, height: HEIGHT };
        draw_panel(&mut svg, frame, panel);
    }
    svg.finish()
}

fn draw_panel(svg: &mut Svg, frame: Frame, panel: &Panel) {
    svg.heading((frame.x, frame.y - 10.0), 13.0, &panel.title);
    let finite = |point: &&(f64, f64)| point.0.is_finite() && point.1.is_finite();
    let all: Vec<(f64, f64)> =
        panel.series.iter().flat_map(|s| s.points.iter().filter(finite)).copied().collect();
    let span = |values: Vec<f64>| {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if least.is_finite() && most > least { (least, most) } else { (0.0, most.max(1.0)) }
    };
    let (least, most) = span(all.iter().map(|point| point.1).collect());
    let filled = panel.series.iter().any(|series| series.style == Style::Filled);
    let margin = (most - least) * 0.05;
    let least = if filled { least.min(0.0) } else { least - margin };
    let across = Axis {
        scale: Scale::Linear,
        values: span(all.iter().map(|point| point.0).collect()),
        pixels: (frame.x, frame.x + frame.width),
    };
    let up = Axis {
        scale: Scale::Linear,
        values: (least, most + margin),
        pixels: (frame.y + frame.height, frame.y),
    };
    up.draw_left(svg, frame, &panel.up, number);
    svg.strokes([((frame.x, frame.y), (frame.x, frame.y + frame.height))].into_iter(), PALE, 1.0);
    for (index, series) in panel.series.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let places: Vec<Point> =
            series.points.iter().filter(finite).map(|p| (across.at(p.0), up.at(p.1))).collect();
        match series.style {
            Style::Line => svg.curve(&places, colour, 1.6),
            Style::Dots => {
                let step = places.len().div_ceil(DOTS).max(1);
                let dots =
                    places.iter().step_by(step).map(|&(x, y)| ((x - 0.8, y - 0.8), 1.6, 1.6));
                svg.rectangles(dots, colour);
            }
            Style::Filled => {
                let floor = up.at(0.0);
                let ends = places.first().zip(places.last());
                if let Some((first, last)) = ends {
                    let outline: Vec<Point> = std::iter::once((first.0, floor))
                        .chain(places.iter().copied())
                        .chain(std::iter::once((last.0, floor)))
                        .collect();
                    svg.area(&outline, colour);
                }
            }
        }
        let (x, y) = (frame.x + frame.width + 14.0, frame.y + 12.0 + 17.0 * index as f64);
        svg.rectangle((x, y - 5.0), 14.0, 3.0, colour);
        let room = RIGHT - 40.0;
        let name = match text_width(&series.name, SMALL) > room {
            true => series.name.chars().take(22).chain("…".chars()).collect(),
            false => series.name.clone(),
        };
        svg.text((x + 20.0, y), SMALL, Anchor::Start, &name);
    }
    across.draw_below(svg, frame, &panel.across, |value| match value.abs() >= 1e4 {
        true => super::axis::grouped(value.abs() as u64),
        false => number(value),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_of_nothing_or_of_one_point_is_still_a_picture() {
        let panel = |points| Panel {
            title: "t".into(),
            across: "x".into(),
            up: "y".into(),
            series: vec![Series::line("a", points)],
        };
        for points in [vec![], vec![(1.0, 2.0)], vec![(0.0, f64::NAN), (1.0, 3.0)]] {
            let picture = draw("title", &[panel(points)]);
            assert!(picture.starts_with("<svg") && !picture.contains("NaN"), "{picture}");
        }
    }
}
