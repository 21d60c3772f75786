//! The scores of two predictions of one window: formulas of track-effects.md A1, A2 and B3.

use super::column::{Column, Values};
use super::pairs::Pairs;
use std::f64::consts::LN_2;

/// What one member, or an average of several, predicts for one task: some tracks whose positions
/// share one count.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Prediction {
    /// Natural logarithm of the count; none where the count is not above 0.
    pub log_count: Option<f64>,
    /// The count.
    pub count: f64,
    /// How the count is spread over all positions and tracks; none where it is not a distribution.
    pub shares: Option<Vec<Vec<f64>>>,
    /// Expected counts, or the values of the track as they are: `[track][position]`.
    pub values: Vec<Vec<f64>>,
}

impl Prediction {
    /// Of a profile: logits, and the logarithm of the count that is spread by their softmax.
    pub fn of_profile(logits: Vec<Vec<f64>>, log_count: f64) -> Self {
        let shares = softmax(logits);
        let count = log_count.exp();
        Self {
            log_count: Some(log_count),
            count,
            values: scaled(&shares, count),
            shares: Some(shares),
        }
    }

    /// Of tracks that are linear: their sum is the count.
    pub fn of_values(values: Vec<Vec<f64>>) -> Self {
        let count: f64 = values.iter().flatten().sum();
        let spread = count > 0.0 && values.iter().flatten().all(|&x| x >= 0.0);
        Self {
            log_count: (count > 0.0).then(|| count.ln()),
            count,
            shares: spread.then(|| scaled(&values, 1.0 / count)),
            values,
        }
    }
}

/// What the scores need besides the predictions.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Options<'a> {
    /// κ of `js_nats`.
    pub pseudocount: f64,
    /// Positions of the reference that `log_sed` sums, and those of the alternative; all of them
    /// where there are none.
    pub features: Option<[&'a [bool]; 2]>,
    /// Whether `jeffreys_half_nats` is computed.
    pub basenji: bool,
}

/// Every column that follows from two predictions of one task. `start` is the distance of the first
/// position of the reference from the variant.
pub(super) fn measure(
    reference: &Prediction,
    alternative: &Prediction,
    pairs: &Pairs,
    start: i64,
    options: Options<'_>,
) -> Values {
    let mut values = Values::default();
    let mut set = |column: Column, value: Option<f64>| values.set(column, value);
    set(Column::RefCount, Some(reference.count));
    set(Column::AltCount, Some(alternative.count));
    let logs = reference.log_count.zip(alternative.log_count);
    let logfc = logs.map(|(reference, alternative)| (alternative - reference) / LN_2);
    set(Column::Logfc, logfc);
    if let Some((p, q)) = reference.shares.as_ref().zip(alternative.shares.as_ref()) {
        let paired = |tracks: &[Vec<f64>], side| normalised(pairs.tracks(tracks, side));
        let corrected = paired(p, 0).zip(paired(q, 1)).map(|(p, q)| jsd_distance(&p, &q));
        set(Column::JsdDistance, corrected);
        let raw =
            (pairs.lengths[0] == pairs.lengths[1]).then(|| jsd_distance(&p.concat(), &q.concat()));
        set(Column::JsdDistanceRaw, raw);
    }
    let (r, a) = (pairs.tracks(&reference.values, 0), pairs.tracks(&alternative.values, 1));
    if r.is_empty() {
        return values;
    }
    let sum =
        |f: &dyn Fn(f64, f64) -> f64| -> f64 { r.iter().zip(&a).map(|(&r, &a)| f(r, a)).sum() };
    set(Column::SumDiff, Some(sum(&|r, a| a - r)));
    set(Column::D1, Some(sum(&|r, a| (a - r).abs())));
    set(Column::D2, Some(sum(&|r, a| (a - r).powi(2)).sqrt()));
    if r.iter().chain(&a).all(|&x| x > -1.0) {
        let log = |r: f64, a: f64| ((a + 1.0) / (r + 1.0)).log2();
        set(Column::LogSumDiff, Some(sum(&log)));
        set(Column::LogD1, Some(sum(&|r, a| log(r, a).abs())));
        set(Column::LogD2, Some(sum(&|r, a| log(r, a).powi(2)).sqrt()));
    }
    set(Column::LogSed, log_sed(reference, alternative, options.features));
    let (at, difference) = pairs.largest(&reference.values, &alternative.values);
    set(Column::MaxAbsDiff, Some(difference));
    set(Column::MaxAbsPos, Some(start as f64 + at as f64));
    let lifted = |values: &[f64], by: f64| -> Option<Vec<f64>> {
        let lifted = values.iter().map(|&x| x + by).collect::<Vec<_>>();
        normalised(lifted)
    };
    let kappa = options.pseudocount;
    let js = lifted(&r, kappa).zip(lifted(&a, kappa)).map(|(p, q)| js_bits(&p, &q) * LN_2);
    set(Column::JsNats, js);
    if options.basenji {
        let kappa = percentile(&r, 0.25);
        let both = lifted(&r, kappa).zip(lifted(&a, kappa));
        set(Column::JeffreysHalfNats, both.and_then(|(p, q)| jeffreys_half(&p, &q)));
    }
    values
}

/// `log₂(ΣT₂ + 1) − log₂(ΣT₁ + 1)` over the features.
fn log_sed(
    reference: &Prediction,
    alternative: &Prediction,
    features: Option<[&[bool]; 2]>,
) -> Option<f64> {
    let sum = |prediction: &Prediction, side: usize| -> f64 {
        let own = |track: &Vec<f64>| -> f64 {
            match features {
                None => track.iter().sum(),
                Some(sides) => track
                    .iter()
                    .zip(sides[side])
                    .filter(|(_, inside)| **inside)
                    .map(|(x, _)| x)
                    .sum(),
            }
        };
        prediction.values.iter().map(own).sum()
    };
    let [before, after] = [sum(reference, 0), sum(alternative, 1)];
    (before > -1.0 && after > -1.0).then(|| (after + 1.0).log2() - (before + 1.0).log2())
}

/// The softmax over all rows together.
pub(super) fn softmax(mut logits: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let largest = logits.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for x in logits.iter_mut().flatten() {
        *x = (*x - largest).exp();
        sum += *x;
    }
    logits.iter_mut().flatten().for_each(|x| *x /= sum);
    logits
}

/// The profile summary of bpnet-lite (track-effects.md A3): with ℓ less its mean,
/// Σ softmax(ℓ) · ℓ, all tracks together.
pub(super) fn profile_summary(logits: &[Vec<f64>]) -> f64 {
    let count = logits.iter().map(Vec::len).sum::<usize>() as f64;
    let mean = logits.iter().flatten().sum::<f64>() / count;
    let shares = softmax(logits.to_vec());
    shares.iter().flatten().zip(logits.iter().flatten()).map(|(p, l)| p * (l - mean)).sum()
}

fn scaled(tracks: &[Vec<f64>], by: f64) -> Vec<Vec<f64>> {
    tracks.iter().map(|track| track.iter().map(|x| x * by).collect()).collect()
}

/// The same with a sum of 1; none where something is negative or all is zero.
fn normalised(mut values: Vec<f64>) -> Option<Vec<f64>> {
    let sum: f64 = values.iter().sum();
    let fits = sum > 0.0 && values.iter().all(|&x| x >= 0.0);
    fits.then(|| {
        values.iter_mut().for_each(|x| *x /= sum);
        values
    })
}

/// Jensen–Shannon divergence of two distributions in bits. Terms of 0 add nothing.
fn js_bits(p: &[f64], q: &[f64]) -> f64 {
    let term = |x: f64, middle: f64| if x > 0.0 { x * (x / middle).log2() } else { 0.0 };
    let both = p.iter().zip(q).map(|(&p, &q)| {
        let middle = f64::midpoint(p, q);
        term(p, middle) + term(q, middle)
    });
    (both.sum::<f64>() / 2.0).max(0.0)
}

/// Jensen–Shannon distance of two distributions, base 2: 0 to 1.
pub(super) fn jsd_distance(p: &[f64], q: &[f64]) -> f64 {
    js_bits(p, q).sqrt()
}

/// Half of the symmetrised Kullback–Leibler divergence in nats; none where only one is 0.
fn jeffreys_half(p: &[f64], q: &[f64]) -> Option<f64> {
    let both = p.iter().zip(q).filter(|&(&p, &q)| p != q);
    let sum: f64 = both.map(|(&p, &q)| (p - q) * (p / q).ln()).sum();
    sum.is_finite().then_some(sum / 2.0)
}

/// A percentile with linear interpolation.
fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let place = share * (sorted.len() - 1) as f64;
    let low = sorted[place.floor() as usize];
    low + (sorted[place.ceil() as usize] - low) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: Option<f64>, expected: f64) {
        let found = found.expect("a number");
        assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
    }

    fn linear(reference: &[f64], alternative: &[f64], options: Options<'_>) -> Values {
        let pairs = Pairs::unchanged(reference.len());
        let [r, a] = [reference, alternative].map(|x| Prediction::of_values(vec![x.to_vec()]));
        measure(&r, &a, &pairs, -1, options)
    }

    #[test]
    fn the_worked_numbers_of_the_basenji_scores_come_out() {
        // track-effects.md A2
        let options = Options { basenji: true, ..Options::default() };
        let values = linear(&[1., 3., 7.], &[3., 3., 1.], options);
        for (column, expected) in [
            (Column::SumDiff, -4.0),
            (Column::LogSumDiff, -1.0),
            (Column::LogSed, -0.584_963),
            (Column::MaxAbsDiff, -6.0),
            (Column::MaxAbsPos, 1.0),
            (Column::D1, 8.0),
            (Column::D2, 6.324_555),
            (Column::LogD2, 2.236_068),
            (Column::JeffreysHalfNats, 0.217_209),
            (Column::RefCount, 11.0),
            (Column::Logfc, (7.0f64 / 11.0).log2()),
        ] {
            near(values.get(column), expected);
        }
        // the true divergence with the same pseudocount of 2
        let options = Options { pseudocount: 2.0, ..Options::default() };
        let values = linear(&[1., 3., 7.], &[3., 3., 1.], options);
        near(values.get(Column::JsNats), 0.052_935);
        assert_eq!(values.get(Column::JeffreysHalfNats), None);
    }

    #[test]
    fn the_worked_distance_comes_out() {
        // track-effects.md A1
        let (p, q) = ([0.5, 0.5, 0.0], [0.25, 0.25, 0.5]);
        near(Some(jsd_distance(&p, &q)), 0.557_923);
        near(Some(js_bits(&p, &q)), 0.311_278);
        near(Some(js_bits(&p, &q) * LN_2), 0.215_762);
    }

    #[test]
    fn swapped_alleles_negate_differences_and_keep_distances() {
        let profile = |logits: &[f64], count| Prediction::of_profile(vec![logits.to_vec()], count);
        let (r, a) = (profile(&[0.1, 2.0, -1.0, 0.5], 3.0), profile(&[0.4, 1.0, -1.5, 0.7], 3.5));
        let pairs = Pairs::unchanged(4);
        let there = measure(&r, &a, &pairs, 0, Options::default());
        let back = measure(&a, &r, &pairs, 0, Options::default());
        for column in [Column::Logfc, Column::SumDiff, Column::LogSumDiff, Column::LogSed] {
            near(back.get(column), -there.get(column).unwrap());
        }
        for column in [Column::JsdDistance, Column::JsdDistanceRaw, Column::D1, Column::JsNats] {
            near(back.get(column), there.get(column).unwrap());
        }
        let same = measure(&r, &r, &pairs, 0, Options::default());
        for column in [Column::Logfc, Column::JsdDistance, Column::SumDiff, Column::D2] {
            assert_eq!(same.get(column), Some(0.0), "{}", column.name());
        }
        assert_eq!(there.get(Column::Logfc), Some(0.5 / LN_2), "log counts alone: no overflow");
        let far = measure(
            &profile(&[0.0], 800.0),
            &profile(&[0.0], 801.0),
            &Pairs::unchanged(1),
            0,
            Options::default(),
        );
        near(far.get(Column::Logfc), 1.0 / LN_2);
    }

    #[test]
    fn what_is_not_defined_is_no_number() {
        let values = linear(&[0., 0.], &[0., 0.], Options::default());
        assert_eq!(values.get(Column::JsNats), None);
        assert_eq!(values.get(Column::JsdDistance), None);
        assert_eq!(values.get(Column::Logfc), None);
        assert_eq!(values.get(Column::SumDiff), Some(0.0));
        let values = linear(&[1., -3.], &[1., 2.], Options::default());
        assert_eq!(values.get(Column::Logfc), None, "a negative count");
        assert_eq!(values.get(Column::LogSumDiff), None, "below -1");
        assert_eq!(values.get(Column::D1), Some(5.0));
    }

    #[test]
    fn a_profile_summary_forgets_a_constant() {
        let logits = [vec![0.0, 3f64.ln()]];
        // less the mean: -ln(3)/2 and ln(3)/2, with shares 1/4 and 3/4
        assert!((profile_summary(&logits) - 3f64.ln() / 4.0).abs() < 1e-12);
        let moved = [vec![5.0, 5.0 + 3f64.ln()]];
        assert!((profile_summary(&moved) - 3f64.ln() / 4.0).abs() < 1e-12);
    }
}
