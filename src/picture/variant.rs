//! Tracks before and after a variant, their difference, and the exons under them.

use super::axis::{Axis, SMALL, Scale, grouped, number};
use super::svg::{Anchor, Svg};
use super::{BLUE, Frame, INK, ORANGE, VERMILLION};

/// What is drawn. Positions are counted from 1.
#[derive(Debug)]
pub struct VariantPlot<'a> {
    /// The heading: the variant.
    pub title: &'a str,
    /// A second line: gene, strand, distance.
    pub subtitle: &'a str,
    /// Name of the sequence, for the axis.
    pub contig: &'a str,
    /// Position of the first value; may lie before the start of the sequence.
    pub first: i64,
    /// First and last base of REF.
    pub variant: (i64, i64),
    /// The tracks, all of one length.
    pub tracks: Vec<Panel<'a>>,
    /// The gene, if there is one.
    pub gene: Option<GeneModel<'a>>,
}

/// One track.
#[derive(Debug)]
pub struct Panel<'a> {
    /// Its name.
    pub name: &'a str,
    /// On the reference.
    pub reference: &'a [f32],
    /// On the alternative, aligned.
    pub alternative: &'a [f32],
    /// Alternative less reference.
    pub difference: &'a [f32],
}

/// A gene and its exons, first and last bases.
#[derive(Debug)]
pub struct GeneModel<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it is read towards higher positions.
    pub forward: bool,
    /// First and last base.
    pub span: (i64, i64),
    /// First and last base of each exon.
    pub exons: Vec<(i64, i64)>,
}

/// Pixels that are kept free around the plots, and heights of the parts.
const LEFT: f64 = 90.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 66.0;
const WIDTH: f64 = 860.0;
const VALUES: f64 = 96.0;
const DIFFERENCE: f64 = 64.0;
const GAP: f64 = 24.0;
const GENE: f64 = 34.0;
const BELOW: f64 = 50.0;
/// A track that stays below this is drawn on a scale that ends here: what is nothing looks so.
const SMALLEST: f64 = 0.1;

/// Draws the whole picture.
pub fn draw(of: &VariantPlot<'_>) -> String {
    let panel = VALUES + GAP / 2.0 + DIFFERENCE + GAP;
    let gene = if of.gene.is_some() { GENE } else { 0.0 };
    let height = TOP + panel * of.tracks.len() as f64 + gene + BELOW;
    let mut svg = Svg::new(LEFT + WIDTH + RIGHT, height);
    svg.heading((20.0, 26.0), 16.0, of.title);
    svg.text((20.0, 46.0), SMALL, Anchor::Start, of.subtitle);
    key(&mut svg);
    let count = of.tracks.first().map_or(1, |track| track.reference.len().max(1));
    let first = of.first as f64;
    let along = Axis {
        scale: Scale::Linear,
        values: (first - 0.5, first + count as f64 - 0.5),
        pixels: (LEFT, LEFT + WIDTH),
    };
    let bottom = height - BELOW;
    mark(&mut svg, &along, of.variant, bottom);
    let mut y = TOP;
    for track in &of.tracks {
        let values = Frame { x: LEFT, y, width: WIDTH, height: VALUES };
        draw_values(&mut svg, values, &along, of.first, track);
        let under = Frame { y: y + VALUES + GAP / 2.0, height: DIFFERENCE, ..values };
        draw_difference(&mut svg, under, &along, of.first, track.difference);
        y += panel;
    }
    if let Some(gene) = &of.gene {
        draw_gene(&mut svg, Frame { x: LEFT, y, width: WIDTH, height: GENE }, &along, gene);
    }
    let frame = Frame { x: LEFT, y: TOP, width: WIDTH, height: bottom - TOP };
    let position = |value: f64| match value.round() {
        value if value < 1.0 => String::new(),
        value => grouped(value as u64),
    };
    along.draw_below(&mut svg, frame, &format!("position on {}", of.contig), position);
    svg.finish()
}

fn key(svg: &mut Svg) {
    let x = LEFT + WIDTH - 200.0;
    for (place, (colour, name)) in
        [(BLUE, "reference"), (ORANGE, "alternative")].into_iter().enumerate()
    {
        let x = x + 100.0 * place as f64;
        svg.rectangle((x, 37.0), 10.0, 10.0, colour);
        svg.text((x + 15.0, 46.0), SMALL, Anchor::Start, name);
    }
}

/// The bases of REF.
fn mark(svg: &mut Svg, along: &Axis, (from, to): (i64, i64), bottom: f64) {
    let (left, right) = (along.at(from as f64 - 0.5), along.at(to as f64 + 0.5));
    let width = (right - left).max(1.5);
    svg.rectangle((left, TOP - 8.0), width, bottom - TOP + 8.0, "#EFEFEF");
}

/// Stems side by side, reference left and alternative right of the middle of a base.
fn draw_values(svg: &mut Svg, frame: Frame, along: &Axis, first: i64, track: &Panel<'_>) {
    let all = || track.reference.iter().chain(track.alternative).map(|&value| f64::from(value));
    let (low, high) = (-round_up(-all().fold(0.0, f64::min)), round_up(all().fold(0.0, f64::max)));
    let low = if all().any(|value| value < 0.0) { low } else { 0.0 };
    let up = Axis { scale: Scale::Linear, values: (low, high), pixels: (frame.bottom(), frame.y) };
    up.draw_left(svg, frame, track.name, number);
    let pitch = frame.width / track.reference.len().max(1) as f64;
    let width = (pitch * 0.4).max(1.2);
    for (values, colour, shift) in
        [(track.reference, BLUE, -width), (track.alternative, ORANGE, 0.0)]
    {
        let stem = |(x, value): (f64, f32)| stem(&up, x + shift, width, value);
        let stems: Vec<_> = places(along, first, values).filter_map(stem).collect();
        svg.rectangles(stems.into_iter(), colour);
    }
    svg.strokes([((frame.x, up.at(0.0)), (frame.right(), up.at(0.0)))].into_iter(), INK, 0.8);
}

fn draw_difference(svg: &mut Svg, frame: Frame, along: &Axis, first: i64, values: &[f32]) {
    let most = round_up(values.iter().map(|value| f64::from(value.abs())).fold(0.0, f64::max));
    let pixels = (frame.bottom(), frame.y);
    let up = Axis { scale: Scale::Linear, values: (-most, most), pixels };
    up.draw_left(svg, frame, "change", number);
    let width = (frame.width / values.len().max(1) as f64 * 0.8).max(1.2);
    for (colour, up_only) in [(VERMILLION, true), (BLUE, false)] {
        let stems: Vec<_> = places(along, first, values)
            .filter(|(_, value)| (*value > 0.0) == up_only)
            .filter_map(|(x, value)| stem(&up, x - width / 2.0, width, value))
            .collect();
        svg.rectangles(stems.into_iter(), colour);
    }
    svg.strokes([((frame.x, up.at(0.0)), (frame.right(), up.at(0.0)))].into_iter(), INK, 0.8);
}

/// The end of an axis that reaches a value: round, so that it has a tick.
fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.max(SMALLEST).log10().floor());
    let ends = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    ends.into_iter().find(|end| *end >= value * (1.0 - 1e-9)).unwrap_or(value)
}

/// The pixel of the middle of each base, and its value.
fn places<'v>(
    along: &'v Axis,
    first: i64,
    values: &'v [f32],
) -> impl Iterator<Item = (f64, f32)> + 'v {
    (first..).zip(values).map(|(position, value)| (along.at(position as f64), *value))
}

/// A bar from zero to a value, unless it is thinner than anyone sees.
fn stem(up: &Axis, x: f64, width: f64, value: f32) -> Option<((f64, f64), f64, f64)> {
    let (zero, tip) = (up.at(0.0), up.at(f64::from(value)));
    ((tip - zero).abs() >= 0.1).then(|| ((x, zero.min(tip)), width, (tip - zero).abs()))
}

/// A line from end to end with arrowheads in the direction of the transcript, exons as boxes.
fn draw_gene(svg: &mut Svg, frame: Frame, along: &Axis, gene: &GeneModel<'_>) {
    let y = frame.y + 12.0;
    let ends = |(from, to): (i64, i64)| (along.at(from as f64 - 0.5), along.at(to as f64 + 0.5));
    let (left, right) = ends(gene.span);
    svg.text((frame.x - 8.0, y + 4.0), SMALL, Anchor::End, gene.name);
    svg.strokes([((left, y), (right, y))].into_iter(), INK, 1.2);
    let tip = if gene.forward { 4.0 } else { -4.0 };
    let arrows = (1..30).map(|step| frame.x + frame.width * f64::from(step) / 30.0);
    let arrows = arrows.filter(|x| *x > left + 4.0 && *x < right - 4.0);
    let heads = arrows.flat_map(|x| [((x, y - 4.0), (x + tip, y)), ((x, y + 4.0), (x + tip, y))]);
    svg.strokes(heads, INK, 0.8);
    let boxes = gene.exons.iter().map(|exon| ends(*exon)).filter(|(from, to)| to > from);
    svg.rectangles(boxes.map(|(from, to)| ((from, y - 7.0), (to - from).max(1.0), 14.0)), INK);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_names_what_it_shows_and_draws_what_changes() {
        let track = Panel {
            name: "donor",
            reference: &[0.0, 0.9, 0.0],
            alternative: &[0.0, 0.1, 0.0],
            difference: &[0.0, -0.8, 0.0],
        };
        let gene = GeneModel { name: "G", forward: true, span: (1, 900), exons: vec![(99, 100)] };
        let text = draw(&VariantPlot {
            title: "c:100 A>G",
            subtitle: "s",
            contig: "c",
            first: 99,
            variant: (100, 100),
            tracks: vec![track],
            gene: Some(gene),
        });
        for words in ["c:100 A&gt;G", ">donor<", ">change<", ">G<", "position on c"] {
            assert!(text.contains(words), "{words} in {text}");
        }
        assert_eq!(
            text.matches(&format!("z\" fill=\"{BLUE}\"")).count(),
            2,
            "one stem, one change"
        );
    }
}
