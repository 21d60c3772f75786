//! What shards will take, from a few short runs.

use serde::Serialize;

/// One short run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// Units of work that it did.
    pub units: u64,
    /// Wall-clock seconds, with what a run takes to start.
    pub seconds: f64,
    /// CPU seconds of all threads, where known.
    pub cpu_seconds: Option<f64>,
    /// Highest resident memory, where known.
    pub peak_memory_bytes: Option<u64>,
}

/// Seconds as a straight line over units: a start and so much for each.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Line {
    /// Seconds that any run takes.
    pub start: f64,
    /// Seconds for each unit.
    pub each: f64,
}

/// Memory is asked for in multiples of this …
const STEP: u64 = 64 << 20;
/// … after what was measured was raised by one part in this many, for longer rows and queues.
const SPARE: u64 = 8;

impl Line {
    /// The line that is nearest to the points by least squares of the relative error, so that a long
    /// run counts no more than a short one; neither part is negative.
    pub fn through(points: &[(f64, f64)]) -> Self {
        // weights 1 / y²; normal equations of y ≈ start + each * x
        let mut sums = [0.0; 5];
        for &(x, y) in points.iter().filter(|(_, y)| *y > 0.0) {
            let weight = 1.0 / (y * y);
            for (sum, term) in sums.iter_mut().zip([1.0, x, x * x, y, x * y]) {
                *sum += weight * term;
            }
        }
        let [w, wx, wxx, wy, wxy] = sums;
        let determinant = w * wxx - wx * wx;
        let (mut start, mut each) = match determinant > f64::EPSILON * w * wxx {
            true => ((wxx * wy - wx * wxy) / determinant, (w * wxy - wx * wy) / determinant),
            false => (0.0, 0.0),
        };
        if start < 0.0 || (start, each) == (0.0, 0.0) {
            (start, each) = (0.0, if wxx > 0.0 { wxy / wxx } else { 0.0 });
        }
        if each < 0.0 {
            (start, each) = (if w > 0.0 { wy / w } else { 0.0 }, 0.0);
        }
        Self { start, each }
    }

    /// Seconds for so many units.
    pub fn seconds(self, units: u64) -> f64 {
        self.start + self.each * units as f64
    }
}

/// Wall-clock seconds over units.
pub fn wall(runs: &[Measured]) -> Line {
    Line::through(&runs.iter().map(|run| (run.units as f64, run.seconds)).collect::<Vec<_>>())
}

/// CPU seconds over units, where they are known.
pub fn cpu(runs: &[Measured]) -> Option<Line> {
    let points: Option<Vec<_>> =
        runs.iter().map(|run| Some((run.units as f64, run.cpu_seconds?))).collect();
    points.map(|points| Line::through(&points))
}

/// Memory to ask for, in bytes: the most that was measured, and some to spare.
pub fn memory(runs: &[Measured]) -> Option<u64> {
    let most = runs.iter().filter_map(|run| run.peak_memory_bytes).max()?;
    Some((most + most / SPARE).next_multiple_of(STEP))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(line: Line, start: f64, each: f64) {
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(close(line.start, start) && close(line.each, each), "{line:?}");
    }

    #[test]
    fn a_line_is_found_again_and_no_part_of_it_is_negative() {
        near(Line::through(&[(1.0, 5.0), (2.0, 7.0), (4.0, 11.0)]), 3.0, 2.0);
        near(Line::through(&[(1.0, 1.0), (2.0, 3.0)]), 0.0, (1.0 + 2.0 / 3.0) / (1.0 + 4.0 / 9.0));
        near(Line::through(&[(10.0, 5.0), (20.0, 5.0)]), 5.0, 0.0);
        near(Line::through(&[(10.0, 5.0)]), 0.0, 0.5);
        near(Line::through(&[]), 0.0, 0.0);
    }

    #[test]
    fn memory_is_rounded_up_with_some_to_spare() {
        let run =
            |peak| Measured { units: 1, seconds: 1.0, cpu_seconds: None, peak_memory_bytes: peak };
        assert_eq!(memory(&[run(Some(100 << 20)), run(Some(160 << 20))]), Some(192 << 20));
        assert_eq!(memory(&[run(None)]), None);
        assert!(cpu(&[run(None)]).is_none());
    }
}
