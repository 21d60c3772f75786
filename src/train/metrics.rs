//! How well predictions agree with what was measured: correlation, profiles, ranked sites.
//!
//! Definitions are those of the usual tools, and in each corner (ties, constants, empty profiles)
//! said here.

/// Pearson correlation; 0 where one side is constant or there are fewer than two pairs.
///
/// # Panics
/// When the sides differ in length.
pub fn pearson(x: &[f64], y: &[f64]) -> f64 {
    assert_eq!(x.len(), y.len(), "pairs");
    let n = x.len() as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
    let (mx, my) = (mean(x), mean(y));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (&a, &b) in x.iter().zip(y) {
        xx += (a - mx) * (a - mx);
        yy += (b - my) * (b - my);
        xy += (a - mx) * (b - my);
    }
    // standard deviations below 1e-12 are rounding of a constant
    let constant = |squares: f64| (squares / n).sqrt() < 1e-12;
    if x.len() < 2 || constant(xx) || constant(yy) {
        return 0.0;
    }
    (xy / (xx * yy).sqrt()).clamp(-1.0, 1.0)
}

/// Ranks from 0; equal values share the mean of theirs.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = before as f64 + (tied.len() - 1) as f64 / 2.0;
        tied.iter().for_each(|&index| ranks[index] = rank);
        before += tied.len();
    }
    ranks
}

/// Spearman correlation: that of the ranks.
pub fn spearman(x: &[f64], y: &[f64]) -> f64 {
    pearson(&ranks(x), &ranks(y))
}

/// Jensen-Shannon divergence in nats (0 to ln 2) of two profiles, each scaled to the sum 1; a
/// profile without anything counts as flat.
pub fn jensen_shannon(p: &[f64], q: &[f64]) -> f64 {
    let scaled = |values: &[f64]| -> Vec<f64> {
        let sum: f64 = values.iter().sum();
        match sum > 0.0 {
            true => values.iter().map(|value| value / sum).collect(),
            false => vec![1.0 / values.len() as f64; values.len()],
        }
    };
    let (p, q) = (scaled(p), scaled(q));
    let towards_mean = |from: &[f64]| -> f64 {
        let pairs = from.iter().zip(p.iter().zip(&q));
        let positive = pairs.filter(|(own, _)| **own > 0.0);
        positive.map(|(own, (p, q))| own * (2.0 * own / (p + q)).ln()).sum()
    };
    (0.5 * (towards_mean(&p) + towards_mean(&q))).max(0.0)
}

/// Taps of the Gaussian that smooths profiles.
const TAPS: usize = 81;

/// Convolution with a Gaussian of width `sigma`, 81 bp wide, the ends mirrored; as it is for 0.
pub fn smooth(values: &[f64], sigma: f64) -> Vec<f64> {
    if sigma <= 0.0 || values.is_empty() {
        return values.to_vec();
    }
    let half = TAPS / 2;
    let weight = |tap: usize| {
        let distance = tap as f64 - half as f64;
        (-0.5 * (distance / sigma).powi(2)).exp()
    };
    let total: f64 = (0..TAPS).map(weight).sum();
    let taps: Vec<f64> = (0..TAPS).map(|tap| weight(tap) / total).collect();
    // position `place` of the profile that is mirrored at both ends without end, both ends doubled
    let n = values.len();
    let mirrored = |place: usize| {
        let period = 2 * n;
        // `half` periods before 0 keep the difference positive
        let at = (place + half * period - half) % period;
        values[if at < n { at } else { period - 1 - at }]
    };
    let position = |start: usize| -> f64 {
        taps.iter().enumerate().map(|(tap, weight)| weight * mirrored(start + tap)).sum()
    };
    (0..n).map(position).collect()
}

/// The middle value; the mean of the two middle ones of an even number.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// How well scores find the true ones among many places.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ranking {
    /// Places.
    pub places: usize,
    /// True ones among them: k.
    pub truths: usize,
    /// Share of true ones among the k best scores; among equal scores, what is expected of drawing
    /// from them.
    pub top_k: f64,
    /// Average precision; equal scores are one step.
    pub average_precision: f64,
}

impl Ranking {
    /// Of scores, each with whether its place is true. The order of the pairs does not matter.
    pub fn of(mut scored: Vec<(f32, bool)>) -> Self {
        let places = scored.len();
        let truths = scored.iter().filter(|(_, is)| *is).count();
        if truths == 0 {
            return Self { places, ..Self::default() };
        }
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        let k = truths as f64;
        let (mut seen, mut found, mut precision) = (0.0, 0.0, 0.0);
        let mut top_k = None;
        for tied in scored.chunk_by(|a, b| a.0 == b.0) {
            let hits = tied.iter().filter(|(_, is)| *is).count() as f64;
            let size = tied.len() as f64;
            if top_k.is_none() && seen + size >= k {
                top_k = Some((found + (k - seen) * hits / size) / k);
            }
            (seen, found) = (seen + size, found + hits);
            precision += found / seen * hits;
        }
        let top_k = top_k.unwrap_or(found / k);
        Self { places, truths, top_k, average_precision: precision / k }
    }

    /// Standard error of the share, as of k independent draws.
    pub fn top_k_error(&self) -> f64 {
        (self.top_k * (1.0 - self.top_k) / self.truths.max(1) as f64).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn correlations_of_small_lists_are_those_of_numpy() {
        // numpy.corrcoef of the values and of the ranks
        let (x, y) = ([1.0, 2.0, 4.0, 8.0], [2.0, 1.0, 5.0, 5.0]);
        assert!(close(pearson(&x, &y), 0.796_518_425_855_954_6));
        assert_eq!(ranks(&y), [1.0, 0.0, 2.5, 2.5]);
        assert!(close(spearman(&x, &y), 0.737_864_787_372_621_8));
        assert_eq!(pearson(&x, &[3.0; 4]), 0.0);
        assert_eq!(pearson(&[1.0], &[1.0]), 0.0);
    }

    #[test]
    fn divergence_is_0_of_equals_and_ln_2_of_strangers() {
        assert!(close(jensen_shannon(&[1.0, 3.0], &[10.0, 30.0]), 0.0));
        assert!(close(jensen_shannon(&[1.0, 0.0], &[0.0, 5.0]), 2f64.ln()));
        assert!(close(jensen_shannon(&[0.0, 0.0], &[2.0, 2.0]), 0.0));
    }

    #[test]
    fn smoothing_keeps_the_sum_and_mirrors_the_ends() {
        let mut values = vec![0.0; 200];
        (values[0], values[120]) = (3.0, 5.0);
        let smoothed = smooth(&values, 7.0);
        assert!(close(smoothed.iter().sum(), 8.0));
        assert!(smoothed[120] > smoothed[121] && close(smoothed[119], smoothed[121]));
        assert_eq!(smooth(&values, 0.0), values);
        // a profile that is shorter than the Gaussian
        assert!(close(smooth(&[1.0, 2.0, 3.0], 7.0).iter().sum(), 6.0));
    }

    #[test]
    fn ranked_sites_with_ties_are_expected_values() {
        let ranking = Ranking::of(vec![(0.9, true), (0.5, false), (0.5, true), (0.1, false)]);
        // k = 2: the first, and one of two that are equal
        assert_eq!((ranking.truths, ranking.top_k), (2, 0.75));
        // recall 1/2 at precision 1, then 1/2 more at precision 2/3
        assert!(close(ranking.average_precision, 0.5 + 0.5 * 2.0 / 3.0));
        assert_eq!(Ranking::of(vec![(0.3, false)]), Ranking { places: 1, ..Ranking::default() });
        let all_tied = Ranking::of(vec![(0.0, true), (0.0, false), (0.0, false), (0.0, false)]);
        assert_eq!((all_tied.top_k, all_tied.average_precision), (0.25, 0.25));
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!([median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0])], [2.0, 2.5]);
        assert!(median(&[]).is_nan());
    }
}
