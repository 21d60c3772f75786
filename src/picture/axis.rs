//! Axes: from values to pixels, with ticks at round numbers.

use super::svg::{Anchor, Svg, text_width};
use super::{Frame, INK, PALE};

/// Font size of tick labels and axis titles.
pub const SMALL: f64 = 12.0;

/// How values are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// By their logarithm; values must be positive.
    Log,
    /// By the logarithm of one more, so that 0 has a place.
    LogFromZero,
}

/// An axis: the values of its two ends and their pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    /// How values are spread.
    pub scale: Scale,
    /// Values of the two ends.
    pub values: (f64, f64),
    /// Pixels of the two ends.
    pub pixels: (f64, f64),
}

impl Axis {
    /// The pixel of a value; values beyond the ends go to the end.
    pub fn at(&self, value: f64) -> f64 {
        let (from, to) = (self.spread(self.values.0), self.spread(self.values.1));
        let share = if to > from { (self.spread(value) - from) / (to - from) } else { 0.5 };
        self.pixels.0 + share.clamp(0.0, 1.0) * (self.pixels.1 - self.pixels.0)
    }

    /// The value at a share of the way from the first end to the second.
    pub fn value(&self, share: f64) -> f64 {
        let (from, to) = (self.spread(self.values.0), self.spread(self.values.1));
        let place = from + share * (to - from);
        match self.scale {
            Scale::Linear => place,
            Scale::Log => 10f64.powf(place),
            Scale::LogFromZero => 10f64.powf(place) - 1.0,
        }
    }

    fn spread(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(f64::MIN_POSITIVE).log10(),
            Scale::LogFromZero => (1.0 + value.max(0.0)).log10(),
        }
    }

    /// Round values between the ends, about as many as `wanted`.
    pub fn ticks(&self, wanted: usize) -> Vec<f64> {
        let (from, to) = self.values;
        let wanted = wanted.max(1) as f64;
        match self.scale {
            Scale::Linear => {
                let rough = (to - from) / wanted;
                if rough <= 0.0 {
                    return vec![from];
                }
                let power = 10f64.powf(rough.log10().floor());
                let factors = [1.0, 2.0, 5.0, 10.0];
                let step = power * factors.into_iter().find(|f| f * power >= rough).unwrap_or(10.0);
                let first = (from / step).ceil();
                let ticks = (0u32..).map(|i| (first + f64::from(i)) * step);
                ticks.take_while(|tick| *tick <= to + step * 1e-9).collect()
            }
            Scale::Log | Scale::LogFromZero => {
                let low = if self.scale == Scale::Log { from } else { from.max(1.0) };
                let (first, last) = (low.log10().floor() as i32, to.log10().floor() as i32);
                let decades = f64::from(last - first + 1);
                // two more ticks in each tenfold where there is room, else every so many tenfolds
                let (step, factors) = match decades * 3.0 <= wanted {
                    true => (1, &[1.0, 2.0, 5.0][..]),
                    false => ((decades / wanted).ceil() as usize, &[1.0][..]),
                };
                let powers = (first..=last).step_by(step.max(1)).map(|power| 10f64.powi(power));
                let ticks = powers.flat_map(|power| factors.iter().map(move |f| f * power));
                let inside = low * (1.0 - 1e-9)..=to * (1.0 + 1e-9);
                let ticks = ticks.filter(|tick| inside.contains(tick));
                let zero = self.scale == Scale::LogFromZero && from <= 0.0;
                zero.then_some(0.0).into_iter().chain(ticks).collect()
            }
        }
    }

    /// Draws it below a frame, with a title and ticks named by `name`.
    pub fn draw_below(
        &self,
        svg: &mut Svg,
        frame: Frame,
        title: &str,
        name: impl Fn(f64) -> String,
    ) {
        let y = frame.bottom();
        svg.strokes([((frame.x, y), (frame.right(), y))].into_iter(), INK, 1.0);
        // a longer label than these would run into its neighbour
        let ticks = self.ticks((frame.width / 90.0) as usize);
        svg.strokes(ticks.iter().map(|&t| ((self.at(t), y), (self.at(t), y + 5.0))), INK, 1.0);
        let mut free = f64::NEG_INFINITY;
        for tick in ticks {
            let label = name(tick);
            let half = text_width(&label, SMALL) / 2.0;
            if self.at(tick) - half > free {
                svg.text((self.at(tick), y + 18.0), SMALL, Anchor::Middle, &label);
                free = self.at(tick) + half + 6.0;
            }
        }
        svg.text((frame.x + frame.width / 2.0, y + 36.0), SMALL, Anchor::Middle, title);
    }

    /// Draws it left of a frame, with a title, pale lines across and ticks named by `name`.
    pub fn draw_left(
        &self,
        svg: &mut Svg,
        frame: Frame,
        title: &str,
        name: impl Fn(f64) -> String,
    ) {
        let ticks = self.ticks((frame.height / 26.0) as usize);
        let line = |&t: &f64| ((frame.x, self.at(t)), (frame.right(), self.at(t)));
        svg.strokes(ticks.iter().map(line), PALE, 1.0);
        let mut free = f64::INFINITY;
        for &tick in &ticks {
            let y = self.at(tick) + SMALL / 3.0;
            if y <= free {
                svg.text((frame.x - 7.0, y), SMALL, Anchor::End, &name(tick));
                free = y - SMALL;
            }
        }
        let middle = frame.y + frame.height / 2.0;
        svg.upward_text((frame.x - 58.0, middle), SMALL, title);
    }
}

/// A number of bases, short: 250, 5 kb, −2.5 kb, 1 Mb.
pub fn bases(value: f64) -> String {
    let sign = if value < 0.0 { "−" } else { "" };
    let size = value.abs();
    match size {
        s if s >= 1e6 => format!("{sign}{} Mb", short(s / 1e6)),
        s if s >= 1e4 || (s >= 1e3 && s % 100.0 == 0.0) => format!("{sign}{} kb", short(s / 1e3)),
        s => format!("{sign}{}", short(s)),
    }
}

/// A count with commas between groups of three digits.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).expect("digits are ASCII"))
        .collect();
    groups.join(",")
}

/// A count or a size, short: 7, 0.25, 10⁶.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e4).contains(&size) {
        let power = size.log10().floor();
        let head = value / 10f64.powf(power);
        let power = superscript(&format!("{power:.0}"));
        return match short(head).as_str() {
            "1" => format!("10{power}"),
            head => format!("{head}·10{power}"),
        };
    }
    short(value)
}

/// At most three decimals, no trailing zeros.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

fn superscript(digits: &str) -> String {
    let raised = |c: char| match c {
        '-' => '⁻',
        '0' => '⁰',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        _ => '⁹',
    };
    digits.chars().map(raised).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(scale: Scale, from: f64, to: f64) -> Axis {
        Axis { scale, values: (from, to), pixels: (100.0, 200.0) }
    }

    #[test]
    fn ticks_are_round_numbers_inside_the_ends() {
        assert_eq!(axis(Scale::Linear, -8.0, 8.0).ticks(4), [-5.0, 0.0, 5.0]);
        assert_eq!(axis(Scale::Linear, 0.0, 7.0).ticks(4), [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(axis(Scale::Log, 2.0, 10_001.0).ticks(9), [10.0, 100.0, 1e3, 1e4]);
        assert_eq!(axis(Scale::Log, 2.0, 20.0).ticks(6), [2.0, 5.0, 10.0, 20.0]);
        assert_eq!(axis(Scale::LogFromZero, 0.0, 500.0).ticks(8), [0.0, 1.0, 10.0, 100.0]);
        assert_eq!(axis(Scale::Log, 1.0, 1e12).ticks(4), [1.0, 1e4, 1e8, 1e12]);
        assert_eq!(axis(Scale::Linear, 3.0, 3.0).ticks(4), [3.0]);
    }

    #[test]
    fn values_and_pixels_go_both_ways() {
        for axis in [axis(Scale::Linear, -5.0, 5.0), axis(Scale::LogFromZero, 0.0, 99.0)] {
            for share in [0.0, 0.3, 1.0] {
                assert!((axis.at(axis.value(share)) - (100.0 + 100.0 * share)).abs() < 1e-9);
            }
            assert_eq!(axis.at(1e9), 200.0);
        }
    }

    #[test]
    fn numbers_are_named_for_people() {
        assert_eq!([bases(-5000.0), bases(2.0e6), bases(250.0)], ["−5 kb", "2 Mb", "250"]);
        assert_eq!([grouped(7), grouped(999), grouped(1_065_535)], ["7", "999", "1,065,535"]);
        assert_eq!([number(0.25), number(1e6), number(3e-7)], ["0.25", "10⁶", "3·10⁻⁷"]);
    }
}
