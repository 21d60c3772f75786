//! Counts judged: in bins, over regions, as profiles of regions.

use super::{Judge, Predicted, SHUFFLE, index, shuffle};
use crate::error::{Error, Result};
use crate::genome::{ContigId, Interval};
use crate::picture::panel::{Panel, Series};
use crate::train::metrics::{jensen_shannon, median, pearson, smooth, spearman};
use crate::train::random::Random;
use crate::train::track::Track;

/// Purpose of random numbers.
const THIN: u64 = 5;

/// A range with all that is compared there: `[track][base]`.
pub(super) struct Compared {
    contig: ContigId,
    start: u64,
    predicted: Vec<Vec<f64>>,
    measured: Vec<Vec<f64>>,
    /// Two halves of what was measured.
    halves: [Vec<Vec<f64>>; 2],
    /// Sum of masked bases before each base.
    masked: Vec<u32>,
}

impl Judge<'_> {
    pub(super) fn panels_of_counts(&self, compared: &[Compared]) -> Vec<Panel> {
        let all: Vec<&Compared> = compared.iter().collect();
        let width = self.evaluation.bins.iter().copied().max().unwrap_or(256);
        let bins = Bins::of(&all, width, self.seed);
        let pairs = bins.measured.iter().copied().zip(bins.predicted.iter().copied()).collect();
        let mut panels = vec![Panel {
            title: format!("bins of {width}, ln(1 + sum)"),
            across: "measured".into(),
            up: "predicted".into(),
            series: vec![Series::dots("a bin", pairs)],
        }];
        let names = self.data.resolver.contigs();
        if let Some((one, from, to)) = busiest(compared) {
            let smoothed = |rows: &[Vec<f64>], track: usize| -> Vec<(f64, f64)> {
                let values = smooth(&rows[track][from..to], self.evaluation.sigma);
                let place = |(offset, value)| ((one.start as usize + from + offset) as f64, value);
                values.into_iter().enumerate().map(place).collect()
            };
            for track in 0..one.measured.len() {
                panels.push(Panel {
                    title: format!(
                        "{}, track {}, smoothed ({} bp)",
                        names.name(one.contig),
                        track + 1,
                        self.evaluation.sigma
                    ),
                    across: "base".into(),
                    up: "per base".into(),
                    series: vec![
                        Series::filled("measured", smoothed(&one.measured, track)),
                        Series::line("predicted", smoothed(&one.predicted, track)),
                    ],
                });
            }
        }
        panels
    }

    pub(super) fn compare(&self, tracks: &[Track], predicted: &Predicted) -> Compared {
        let range = predicted.range;
        let wide = |values: Vec<f32>| values.into_iter().map(f64::from).collect::<Vec<_>>();
        let measured: Vec<Vec<f64>> =
            tracks[..self.judged].iter().map(|track| wide(track.values(range))).collect();
        let halves = match &self.replicates {
            Some(both) => {
                both.each_ref().map(|half| half.iter().map(|t| wide(t.values(range))).collect())
            }
            None => self.thinned(&measured, range),
        };
        let mut masked = vec![0; predicted.tracks.first().map_or(0, Vec::len) + 1];
        for stretch in self.mask.touching(range) {
            let from = stretch.start.max(range.start) - range.start;
            let to = stretch.end.min(range.end) - range.start;
            masked[index(from) + 1..=index(to)].fill(1u32);
        }
        for base in 1..masked.len() {
            masked[base] += masked[base - 1];
        }
        let positive = |row: &Vec<f32>| row.iter().map(|&x| f64::from(x.max(0.0))).collect();
        Compared {
            contig: range.contig,
            start: range.start,
            predicted: predicted.tracks[..self.judged].iter().map(positive).collect(),
            measured,
            halves,
            masked,
        }
    }

    /// Each event dealt to one of two halves.
    fn thinned(&self, measured: &[Vec<f64>], range: Interval) -> [Vec<Vec<f64>>; 2] {
        let key = [self.seed, THIN, range.contig.0 as u64, range.start];
        let mut random = Random::of(&key);
        let first: Vec<Vec<f64>> = measured
            .iter()
            .map(|row| {
                let deal = |&count: &f64| {
                    (0..count as u64).map(|_| (random.bits() & 1) as f64).sum::<f64>()
                };
                row.iter().map(deal).collect()
            })
            .collect();
        let rest = first.iter().zip(measured);
        let second = rest.map(|(a, all)| all.iter().zip(a).map(|(n, a)| n - a).collect()).collect();
        [first, second]
    }

    pub(super) fn judge_counts(
        &self,
        compared: &[&Compared],
        all: bool,
        add: &mut impl FnMut(&str, &str, f64),
    ) -> Result<()> {
        let total = |pick: fn(&Compared) -> &Vec<Vec<f64>>| -> f64 {
            compared.iter().flat_map(|one| pick(one)).flatten().sum()
        };
        let (guess, truth) = (total(|one| &one.predicted), total(|one| &one.measured));
        add("ratio_predicted_measured", "totals", guess / truth);
        for &width in &self.evaluation.bins {
            let bins = Bins::of(compared, width, self.seed);
            if bins.measured.is_empty() {
                if all {
                    return Err(Error::new(format!("no whole bin of {width} bases to judge")));
                }
                continue;
            }
            let place = format!("bins of {width}");
            add("bins", &place, bins.measured.len() as f64);
            add("pearson_log1p", &place, pearson(&bins.predicted, &bins.measured));
            add("spearman", &place, spearman(&bins.predicted, &bins.measured));
            add("shuffled_pearson_log1p", &place, pearson(&bins.shuffled, &bins.measured));
            self.add_ceiling(&bins, &place, add);
        }
        if !self.regions.is_empty() {
            self.judge_regions(compared, all, add)?;
        }
        Ok(())
    }

    /// What two replicates say that a perfect model could reach: their correlation, that of as many
    /// as make up the track (Spearman and Brown), and its square root.
    fn add_ceiling(&self, bins: &Bins, place: &str, add: &mut impl FnMut(&str, &str, f64)) {
        let r = pearson(&bins.halves[0], &bins.halves[1]);
        let n = if self.replicates.is_some() { self.evaluation.replicates_in_track } else { 2.0 };
        let whole = if r > 0.0 { n * r / (1.0 + (n - 1.0) * r) } else { 0.0 };
        let kind = if self.replicates.is_some() { "replicates" } else { "thinned" };
        add(&format!("ceiling_{kind}_r"), place, r);
        add("ceiling_whole_r", place, whole);
        add("ceiling_noiseless_r", place, whole.max(0.0).sqrt());
    }

    fn judge_regions(
        &self,
        compared: &[&Compared],
        all: bool,
        add: &mut impl FnMut(&str, &str, f64),
    ) -> Result<()> {
        let mut places = Vec::new();
        for region in &self.regions {
            let holds = |one: &&&Compared| {
                let end = one.start + (one.masked.len() - 1) as u64;
                one.contig == region.contig && one.start <= region.start && region.end <= end
            };
            if let Some(one) = compared.iter().find(holds) {
                let (from, to) = (index(region.start - one.start), index(region.end - one.start));
                if to - from >= 2 && one.masked[to] == one.masked[from] {
                    places.push((*one, from, to));
                }
            }
        }
        if places.len() < 2 {
            return match all {
                true => Err(Error::new("fewer than 2 regions lie in the held-out ranges")
                    .remedy("check `evaluation.regions`")),
                false => Ok(()),
            };
        }
        let sum = |rows: &[Vec<f64>], from: usize, to: usize| -> f64 {
            rows.iter().map(|row| row[from..to].iter().sum::<f64>()).sum()
        };
        let totals = |pick: fn(&Compared) -> &Vec<Vec<f64>>| -> Vec<f64> {
            places.iter().map(|&(one, from, to)| sum(pick(one), from, to).ln_1p()).collect()
        };
        let (guess, truth) = (totals(|one| &one.predicted), totals(|one| &one.measured));
        add("regions", "totals of regions", places.len() as f64);
        add("pearson_log1p", "totals of regions", pearson(&guess, &truth));
        add("spearman", "totals of regions", spearman(&guess, &truth));
        let mut random = Random::of(&[self.seed, SHUFFLE, 1]);
        let kept: Vec<_> =
            places.iter().zip(&truth).filter(|(_, total)| **total > 0.0).map(|(p, _)| *p).collect();
        // an empty region has no profile
        add("regions", "regions", kept.len() as f64);
        for (name, sigma) in [("regions", 0.0), ("regions, smoothed", self.evaluation.sigma)] {
            let mut scores: Vec<(&str, Vec<f64>, Vec<f64>)> =
                ["", "shuffled_", "flat_", "halves_"].map(|n| (n, vec![], vec![])).into();
            for (number, &(one, from, to)) in kept.iter().enumerate() {
                let cut = |rows: &[Vec<f64>], from: usize, to: usize| -> Vec<f64> {
                    rows.iter().flat_map(|row| smooth(&row[from..to], sigma)).collect()
                };
                let truth = cut(&one.measured, from, to);
                // another region's prediction, around its middle
                let step = 1 + random.below((kept.len() as u64 - 1).max(1));
                let (other, a, b) = kept[(number + index(step)) % kept.len()];
                let length = to - from;
                let most = other.masked.len() - 1 - length.min(other.masked.len() - 1);
                let start = (usize::midpoint(a, b).saturating_sub(length / 2)).min(most);
                let guesses = [
                    cut(&one.predicted, from, to),
                    cut(&other.predicted, start, start + length),
                    vec![1.0; truth.len()],
                ];
                for ((_, r, jsd), guess) in scores.iter_mut().zip(&guesses) {
                    r.push(pearson(guess, &truth));
                    jsd.push(jensen_shannon(guess, &truth));
                }
                let [a, b] = one.halves.each_ref().map(|half| cut(half, from, to));
                scores[3].1.push(pearson(&a, &b));
                scores[3].2.push(jensen_shannon(&a, &b));
            }
            for (prefix, r, jsd) in &scores {
                add(&format!("{prefix}pearson_median"), name, median(r));
                add(&format!("{prefix}jsd_nats_median"), name, median(jsd));
            }
        }
        Ok(())
    }
}

/// Sums of bins, `ln(1 + x)`, over all tracks and ranges; without bins that touch the mask.
pub(super) struct Bins {
    pub predicted: Vec<f64>,
    pub measured: Vec<f64>,
    halves: [Vec<f64>; 2],
    /// The predictions in another order within each range and track.
    shuffled: Vec<f64>,
}

impl Bins {
    pub(super) fn of(compared: &[&Compared], width: usize, seed: u64) -> Self {
        let mut bins = Self {
            predicted: vec![],
            measured: vec![],
            halves: [vec![], vec![]],
            shuffled: vec![],
        };
        let mut random = Random::of(&[seed, SHUFFLE, 0]);
        for one in compared {
            let starts: Vec<usize> = (0..(one.masked.len() - 1) / width)
                .map(|bin| bin * width)
                .filter(|&start| one.masked[start] == one.masked[start + width])
                .collect();
            let sums = |row: &[f64]| -> Vec<f64> {
                let of = |&start: &usize| row[start..start + width].iter().sum::<f64>().ln_1p();
                starts.iter().map(of).collect()
            };
            for track in 0..one.measured.len() {
                let mut own = sums(&one.predicted[track]);
                bins.predicted.extend(&own);
                bins.measured.extend(sums(&one.measured[track]));
                for (to, from) in bins.halves.iter_mut().zip(&one.halves) {
                    to.extend(sums(&from[track]));
                }
                shuffle(&mut own, &mut random);
                bins.shuffled.extend(own);
            }
        }
        bins
    }
}

/// Bases of a chart of a stretch.
const SHOWN: usize = 4000;

/// The stretch with the middle total among those that hold much: of the stretches of a range, the
/// one at the ninth tenth, so that neither a repeat nor an empty stretch is shown.
fn busiest(compared: &[Compared]) -> Option<(&Compared, usize, usize)> {
    let stretches = compared.iter().flat_map(|one| {
        let length = one.masked.len() - 1;
        let starts = (0..length.saturating_sub(SHOWN - 1)).step_by(SHOWN);
        starts.map(move |start| (one, start, start + SHOWN))
    });
    let total = |(one, from, to): &(&Compared, usize, usize)| -> f64 {
        one.measured.iter().map(|row| row[*from..*to].iter().sum::<f64>()).sum()
    };
    let mut all: Vec<_> =
        stretches.filter(|(one, a, b)| one.masked[*a] == one.masked[*b]).collect();
    all.sort_by(|a, b| total(a).total_cmp(&total(b)));
    all.get(all.len() * 9 / 10).copied()
}
