//! Held-out predictions judged: bins, profiles of regions, splice sites; per contig and over all.

mod counts;
mod splice;

use self::counts::{Bins, Compared};
use super::config::{Evaluation, Loaded};
use super::data::{Dataset, Mask, Targets};
use super::metrics::pearson;
use super::random::Random;
use super::track::{Kind, Track};
use crate::error::{Error, Result};
use crate::genome::Interval;
use crate::genome::regions::{RegionOptions, read_bed};
use crate::picture::panel::{Panel, Series};
use std::path::PathBuf;

/// Purpose of random numbers.
const SHUFFLE: u64 = 4;

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
                    let genes = splice::ranking(labels, predicted, kind, true, &self.mask);
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
                    splice::judge_splice(labels, &owned, &self.mask, self.seed, &mut add);
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
                    let points = splice::precision_recall(splice::scored(
                        labels, predicted, kind, true, &self.mask,
                    ));
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
}

fn shuffle<T>(list: &mut [T], random: &mut Random) {
    for last in (1..list.len()).rev() {
        list.swap(last, index(random.below(last as u64 + 1)));
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("a range fits memory")
}
