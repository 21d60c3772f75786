//! The effective receptive field: change of the output by the distance of the changed base.

use super::axis::{Axis, SMALL, Scale, bases, number};
use super::svg::{Anchor, Point, Svg};
use super::{BLUE, Frame, INK, ORANGE};
use crate::engine::Effective;

/// Points per tenfold of distance.
const PER_DECADE: f64 = 12.0;
/// Changes below this are rounding in 32 bits and are not drawn.
const FLOOR: f64 = 1e-7;

/// Distance ranges, both ends included, that grow with the distance: 0, 1, 2, …, then twelve per
/// tenfold.
pub fn ranges(farthest: u64) -> Vec<(u64, u64)> {
    let mut ranges = Vec::new();
    let mut from = 0u64;
    while from <= farthest {
        let grown = (from as f64 * 10f64.powf(1.0 / PER_DECADE)) as u64;
        let to = grown.clamp(from, farthest);
        ranges.push((from, to));
        from = to + 1;
    }
    ranges
}

/// Draws the two sides as curves: left solid blue, right orange with dots.
pub fn draw(svg: &mut Svg, frame: Frame, effect: &Effective) {
    let reach = effect.reach.left.max(effect.reach.right);
    let signed = |bases: u64| i64::try_from(bases).unwrap_or(i64::MAX);
    let side = |sign: i64| -> Vec<(f64, f64)> {
        let value = |(from, to): (u64, u64)| {
            let (a, b) = (sign * signed(from), sign * signed(to));
            let rms = effect.rms(a.min(b), a.max(b))?;
            Some(((from as f64 + to as f64) / 2.0, rms))
        };
        ranges(reach).into_iter().filter_map(value).collect()
    };
    let (left, right) = (side(-1), side(1));
    let sizes = || left.iter().chain(&right).map(|(_, rms)| *rms).filter(|rms| *rms >= FLOOR);
    let most = sizes().fold(FLOOR, f64::max);
    let least = sizes().fold(most, f64::min);
    let values = (10f64.powf(least.log10().floor()), 10f64.powf(most.log10().ceil()));
    let up = Axis { scale: Scale::Log, values, pixels: (frame.bottom(), frame.y) };
    let values = (0.0, (reach as f64).max(10.0));
    let along = Axis { scale: Scale::LogFromZero, values, pixels: (frame.x, frame.right()) };
    up.draw_left(svg, frame, "rms change of output", number);
    for (share, name) in [(0.9, "90 %"), (0.99, "99 % of energy")] {
        let x = along.at(effect.radius(share) as f64);
        svg.dashes((x, frame.y), (x, frame.bottom()), INK);
        // a label that would leave the frame hangs to the left of its line; one line lower, so that
        // it cannot meet the other
        let outer = share > 0.95;
        let (anchor, by) = match outer && x < frame.right() - 100.0 {
            true => (Anchor::Start, 5.0),
            false => (Anchor::End, -5.0),
        };
        let y = frame.y + if outer { 24.0 } else { 10.0 };
        svg.text((x + by, y), SMALL - 1.0, anchor, name);
    }
    for (points, colour, dotted) in [(&left, BLUE, false), (&right, ORANGE, true)] {
        let place = |&(distance, rms): &(f64, f64)| (along.at(distance), up.at(rms));
        for stretch in points.split(|(_, rms)| *rms < FLOOR) {
            let line: Vec<Point> = stretch.iter().map(place).collect();
            svg.curve(&line, colour, 1.8);
            for &at in line.iter().filter(|_| dotted) {
                svg.dot(at, 2.2, colour, colour);
            }
        }
    }
    let y = frame.y - 22.0;
    for (name, colour, x) in [
        ("bases to the left", BLUE, frame.right() - 310.0),
        ("bases to the right (dots)", ORANGE, frame.right() - 170.0),
    ] {
        svg.strokes([((x, y), (x + 20.0, y))].into_iter(), colour, 2.5);
        svg.text((x + 26.0, y + 4.0), SMALL - 1.0, Anchor::Start, name);
    }
    let title = "distance of the substituted base (bases)";
    along.draw_below(svg, frame, title, bases);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_each_distance_once() {
        let ranges = ranges(1000);
        assert_eq!(ranges[..4], [(0, 0), (1, 1), (2, 2), (3, 3)]);
        assert_eq!(ranges.last().unwrap().1, 1000);
        assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0));
        assert!(ranges.len() < 45);
    }
}
