//! Held-out predictions judged: bins, profiles of regions, splice sites; per contig and over all.

use super::config::{Evaluation, Loaded};
use super::data::{Dataset, Labels, Mask, Targets};
use super::metrics::{Ranking, jensen_shannon, median, pearson, smooth, spearman};
use super::random::Random;
use super::track::{Kind, Track};
use crate::error::{Error, Result};
use crate::genome::regions::{RegionOptions, read_bed};
use crate::genome::{ContigId, Interval, Strand};
use crate::picture::panel::{Panel, Series};
use std::path::PathBuf;

/// Purposes of random numbers.
const SHUFFLE: u64 = 4;
const THIN: u64 = 5;

/// Predictions for a held-out range, in the direction of the reference: one row per track of
/// counts; or acceptors and donors of the plus strand, then acceptors and donors of the minus
/// strand.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicted {
    /// Where.
    pub range: Interval,
    /// `[track][base]`
    pub tracks: Vec<Vec<f32>>,
}

/// A number that was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Name of a contig, or `all`.
    pub contig: String,
    /// What was measured: `pearson_log1p`, `top_k`, …
    pub metric: String,
    /// Where: `bins of 256`, `regions, smoothed`, `donor, in genes`.
    pub place: String,
    /// The number.
    pub value: f64,
}

/// What predictions are held against.
#[derive(Debug)]
pub struct Judge<'a> {
    data: &'a Dataset,
    /// How many tracks are judged; auxiliary ones come after them.
    judged: usize,
    evaluation: &'a Evaluation,
    /// What is left out.
    mask: Mask,
    regions: Vec<Interval>,
    /// Two replicates of each track.
    replicates: Option<[Vec<Track>; 2]>,
    seed: u64,
}

/// A range with all that is compared there: `[track][base]`.
struct Compared {
    contig: ContigId,
    start: u64,
    predicted: Vec<Vec<f64>>,
    measured: Vec<Vec<f64>>,
    /// Two halves of what was measured.
    halves: [Vec<Vec<f64>>; 2],
    /// Sum of masked bases before each base.
    masked: Vec<u32>,
}

impl<'a> Judge<'a> {
    /// Reads what the configuration names for evaluation.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn new(of: &'a Loaded, data: &'a Dataset) -> Result<Self> {
        let evaluation = &of.config.evaluation;
        let exclude: Vec<PathBuf> = evaluation.exclude.iter().map(|path| of.file(path)).collect();
        let mask = data.mask().and(&Mask::read(&exclude, &data.resolver)?);
        let options = RegionOptions { clip: false, skip_unknown_contigs: true };
        let mut regions = Vec::new();
        for path in &evaluation.regions {
            let list = read_bed(&of.file(path), &data.resolver, &options)?.list;
            regions.extend(list.into_iter().map(|region| region.interval));
        }
        let judged = of.config.counts.as_ref().map_or(0, |counts| counts.judged());
        let tracks = of.config.counts.iter().flat_map(|counts| &counts.tracks[..judged]);
        let files: Vec<&[PathBuf]> = tracks.map(|track| track.replicates.as_slice()).collect();
        let given = files.iter().filter(|files| files.len() == 2).count();
        let skip = of.config.data.skip_unknown_contigs;
        let replicate = |number: usize| -> Result<Vec<Track>> {
            let read = |files: &&[PathBuf]| {
                let path = of.file(&files[number]);
                Track::read(&path, &data.resolver, &data.splits, Kind::Counts, skip)
            };
            files.iter().map(read).collect()
        };
        let replicates = match given {
            0 => None,
            n if n == files.len() => Some([replicate(0)?, replicate(1)?]),
            n => {
                return Err(Error::new("replicates are given for some tracks only")
                    .at(&of.path)
                    .found(format!("{n} of {}", files.len())));
            }
        };
        let seed = of.config.seed;
        Ok(Self { data, judged, evaluation, mask, regions, replicates, seed })
    }

    /// The numbers that a training run watches.
    pub fn brief(&self, predicted: &[Predicted]) -> Vec<(String, f64)> {
        match &self.data.targets {
            Targets::Counts(tracks) => {
                let compared: Vec<Compared> =
                    predicted.iter().map(|one| self.compare(tracks, one)).collect();
                let all: Vec<&Compared> = compared.iter().collect();
                let widths = self.evaluation.bins.iter();
                widths
                    .map(|&width| {
                        let bins = Bins::of(&all, width, self.seed);
                        (format!("pearson_log1p_{width}"), pearson(&bins.predicted, &bins.measured))
                    })
                    .collect()
            }
            Targets::Splice(labels) => [("acceptor", 0), ("donor", 1)]
                .into_iter()
                .flat_map(|(name, kind)| {
                    let genes = ranking(labels, predicted, kind, true, &self.mask);
                    [
                        (format!("{name}_top_k"), genes.top_k),
                        (format!("{name}_auprc"), genes.average_precision),
                    ]
                })
                .collect(),
        }
    }

    /// Every number, per contig and over all.
    ///
    /// # Errors
    /// Nothing to judge: no whole bin, fewer than two regions where regions are asked for.
    pub fn rows(&self, predicted: &[Predicted]) -> Result<Vec<Row>> {
        let contigs = self.data.resolver.contigs();
        let mut scopes: Vec<(String, Vec<&Predicted>)> = Vec::new();
        for one in predicted {
            let name = contigs.name(one.range.contig).to_string();
            match scopes.iter_mut().find(|(scope, _)| *scope == name) {
                Some((_, list)) => list.push(one),
                None => scopes.push((name, vec![one])),
            }
        }
        scopes.insert(0, ("all".into(), predicted.iter().collect()));
        let single = scopes.len() == 2;
        let mut rows = Vec::new();
        for (scope, list) in scopes.into_iter().take(if single { 1 } else { usize::MAX }) {
            let mut add = |metric: &str, place: &str, value: f64| {
                rows.push(Row {
                    contig: scope.clone(),
                    metric: metric.into(),
                    place: place.into(),
                    value,
                });
            };
            match &self.data.targets {
                Targets::Counts(tracks) => {
                    let compared: Vec<Compared> =
                        list.iter().map(|one| self.compare(tracks, one)).collect();
                    let compared: Vec<&Compared> = compared.iter().collect();
                    self.judge_counts(&compared, scope == "all", &mut add)?;
                }
                Targets::Splice(labels) => {
                    let owned: Vec<Predicted> = list.into_iter().cloned().collect();
                    judge_splice(labels, &owned, &self.mask, self.seed, &mut add);
                }
            }
        }
        Ok(rows)
    }

    /// Charts of predictions beside what was measured.
    pub fn panels(&self, predicted: &[Predicted]) -> Vec<Panel> {
        match &self.data.targets {
            Targets::Counts(tracks) => {
                let compared: Vec<Compared> =
                    predicted.iter().map(|one| self.compare(tracks, one)).collect();
                self.panels_of_counts(&compared)
            }
            Targets::Splice(labels) => {
                let curve = |(name, kind): (&str, usize)| {
                    let points =
                        precision_recall(scored(labels, predicted, kind, true, &self.mask));
                    Series::line(name, points)
                };
                vec![Panel {
                    title: "splice sites in genes".into(),
                    across: "recall".into(),
                    up: "precision".into(),
                    series: [("donors", 1), ("acceptors", 0)].map(curve).into(),
                }]
            }
        }
    }

    fn panels_of_counts(&self, compared: &[Compared]) -> Vec<Panel> {
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

    fn compare(&self, tracks: &[Track], predicted: &Predicted) -> Compared {
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

    fn judge_counts(
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
        add("regions", "regions", places.len() as f64);
        add("pearson_log1p", "totals of regions", pearson(&guess, &truth));
        add("spearman", "totals of regions", spearman(&guess, &truth));
        let mut random = Random::of(&[self.seed, SHUFFLE, 1]);
        let kept: Vec<_> =
            places.iter().zip(&truth).filter(|(_, total)| **total > 0.0).map(|(p, _)| *p).collect();
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
    fn of(compared: &[&Compared], width: usize, seed: u64) -> Self {
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

/// Recall and precision at falling scores, thinned to what a picture can show.
fn precision_recall(mut scored: Vec<(f32, bool)>) -> Vec<(f64, f64)> {
    const POINTS: f64 = 400.0;
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let truths = scored.iter().filter(|(_, is)| *is).count().max(1) as f64;
    let (mut seen, mut found, mut shown) = (0.0, 0.0, -1.0);
    let mut points = Vec::new();
    for tied in scored.chunk_by(|a, b| a.0 == b.0) {
        seen += tied.len() as f64;
        found += tied.iter().filter(|(_, is)| *is).count() as f64;
        let step = (found / truths * POINTS).floor();
        if step > shown {
            points.push((found / truths, found / seen));
            shown = step;
        }
    }
    points
}

fn shuffle<T>(list: &mut [T], random: &mut Random) {
    for last in (1..list.len()).rev() {
        list.swap(last, index(random.below(last as u64 + 1)));
    }
}

/// Index of the predicted row of a kind of site on a strand.
fn row_of(kind: usize, strand: Strand) -> usize {
    kind + if strand == Strand::Plus { 0 } else { 2 }
}

/// Sites of a kind (0 acceptors, 1 donors) on both strands, in genes of that strand or everywhere.
fn ranking(
    labels: &Labels,
    predicted: &[Predicted],
    kind: usize,
    genes: bool,
    mask: &Mask,
) -> Ranking {
    Ranking::of(scored(labels, predicted, kind, genes, mask))
}

/// Score of each place that is not masked, and whether a site is there.
pub(super) fn scored(
    labels: &Labels,
    predicted: &[Predicted],
    kind: usize,
    genes: bool,
    mask: &Mask,
) -> Vec<(f32, bool)> {
    let sites = if kind == 0 { &labels.sites.acceptors } else { &labels.sites.donors };
    let mut all = Vec::new();
    for one in predicted {
        let range = one.range;
        let length = index(range.len());
        for strand in [Strand::Plus, Strand::Minus] {
            let mut truth = vec![false; length];
            let here = sites.iter().filter(|site| {
                site.contig == range.contig
                    && site.strand == strand
                    && (range.start..range.end).contains(&site.position)
            });
            here.for_each(|site| truth[index(site.position - range.start)] = true);
            let mut inside = vec![!genes; length];
            for (place, of) in labels.sites.transcribed.iter().filter(|_| genes) {
                let (from, to) = (place.start.max(range.start), place.end.min(range.end));
                if place.contig == range.contig && *of == strand && from < to {
                    inside[index(from - range.start)..index(to - range.start)].fill(true);
                }
            }
            for stretch in mask.touching(range) {
                let (from, to) = (stretch.start.max(range.start), stretch.end.min(range.end));
                inside[index(from - range.start)..index(to - range.start)].fill(false);
            }
            let row = &one.tracks[row_of(kind, strand)];
            let places = row.iter().zip(truth).zip(inside);
            all.extend(places.filter(|(_, inside)| *inside).map(|((&x, is), _)| (x, is)));
        }
    }
    all
}

fn judge_splice(
    labels: &Labels,
    predicted: &[Predicted],
    mask: &Mask,
    seed: u64,
    add: &mut impl FnMut(&str, &str, f64),
) {
    for (kind, name) in [(1, "donor"), (0, "acceptor")] {
        for (genes, place) in [(true, "in genes"), (false, "everywhere")] {
            let place = format!("{name}, {place}");
            let scored = scored(labels, predicted, kind, genes, mask);
            let mut shuffled: Vec<f32> = scored.iter().map(|(score, _)| *score).collect();
            shuffle(&mut shuffled, &mut Random::of(&[seed, SHUFFLE, 2]));
            let truths = scored.iter().map(|(_, is)| *is);
            let chance = Ranking::of(shuffled.into_iter().zip(truths).collect());
            let ranking = Ranking::of(scored);
            add("places", &place, ranking.places as f64);
            add("sites", &place, ranking.truths as f64);
            add("top_k", &place, ranking.top_k);
            add("top_k_standard_error", &place, ranking.top_k_error());
            add("auprc", &place, ranking.average_precision);
            add("shuffled_top_k", &place, chance.top_k);
            add("shuffled_auprc", &place, chance.average_precision);
        }
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("a range fits memory")
}
