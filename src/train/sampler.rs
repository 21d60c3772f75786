//! Where the examples of a step lie: a function of the seed, the step and the number of the example
//! alone.

use super::config::{Place, Sampling};
use super::data::{Dataset, Targets};
use super::random::Random;
use super::splits::without;
use crate::error::{Error, Result};
use crate::genome::regions::{Region, RegionOptions, read_bed};
use crate::genome::{Interval, Strand};
use std::path::Path;

/// Purposes of random numbers.
const EXAMPLE: u64 = 1;
const BACKGROUND: u64 = 2;

/// Windows of background are looked for this often for each that is kept.
const TRIES: u64 = 200;
/// Shares of G and C are told apart in steps of this size.
const GC_STEP: f64 = 0.02;

/// A window and the strand that it is read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    /// Bases at which outputs are compared (0-based, half-open).
    pub range: Interval,
    /// The strand that is read.
    pub strand: Strand,
}

/// Draws examples.
#[derive(Debug, Clone)]
pub struct Sampler {
    seed: u64,
    window: u64,
    /// Training ranges that hold a window.
    ranges: Vec<Interval>,
    /// Running sum of the starts that each range has.
    starts: Vec<u64>,
    /// Running sum of the shares, and what each is drawn from.
    parts: Vec<(f64, Source)>,
    flip: bool,
}

/// What a kind of example is drawn from.
#[derive(Debug, Clone)]
enum Source {
    Anywhere,
    /// Middles of windows, and by how much they may be moved.
    Middles {
        list: Vec<Interval>,
        jitter: u64,
    },
    /// Splice sites; they lie anywhere in the window.
    Sites(Vec<(Interval, Strand)>),
    /// Transcribed stretches, with the running sum of their lengths.
    Genes(Vec<(Interval, Strand)>, Vec<u64>),
}

/// What a run draws from, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supply {
    /// Kind of example.
    pub name: String,
    /// How many places it is drawn from.
    pub places: u64,
}

impl Sampler {
    /// For training ranges and kinds of examples; `file` opens the files that these name.
    ///
    /// # Errors
    /// No range that holds a window; a kind of example without a place; a file that cannot be read.
    pub fn new(
        data: &Dataset,
        ranges: &[Interval],
        sampling: &[Sampling],
        window: usize,
        seed: u64,
        flip: bool,
        file: impl Fn(&Path) -> std::path::PathBuf,
    ) -> Result<Self> {
        let window = window as u64;
        let ranges: Vec<Interval> =
            ranges.iter().filter(|range| range.len() >= window).copied().collect();
        if ranges.is_empty() {
            return Err(Error::new("the split `train` has no example: no range holds a window")
                .expected(format!("{window} bases in a row, away from held-out ranges"))
                .remedy("choose a smaller `training.window` or longer ranges"));
        }
        let starts = sums(ranges.iter().map(|range| range.len() - window + 1));
        let mut sampler = Self { seed, window, ranges, starts, parts: Vec::new(), flip };
        let mut total = 0.0;
        for part in sampling.iter().filter(|part| part.share > 0.0) {
            total += part.share;
            let source = sampler.source(data, part, &file)?;
            sampler.parts.push((total, source));
        }
        Ok(sampler)
    }

    fn source(
        &self,
        data: &Dataset,
        part: &Sampling,
        file: &impl Fn(&Path) -> std::path::PathBuf,
    ) -> Result<Source> {
        let regions = || -> Result<(std::path::PathBuf, Vec<Region>)> {
            let path = file(part.file.as_deref().unwrap_or(Path::new("")));
            let options = RegionOptions { clip: false, skip_unknown_contigs: true };
            let list = read_bed(&path, &data.resolver, &options)?.list;
            Ok((path, list))
        };
        let none = |what: &str, path: Option<&Path>| {
            let error = Error::new(format!("the split `train` has no example: {what}"));
            path.map_or(Error::new(error.what()), |path| Error::new(error.what()).at(path))
        };
        let labels = match &data.targets {
            Targets::Splice(labels) => Some(labels),
            Targets::Counts(_) => None,
        };
        Ok(match part.place {
            Place::Anywhere => Source::Anywhere,
            Place::Regions => {
                let (path, regions) = regions()?;
                let all = regions.len();
                let list: Vec<Interval> = regions.iter().map(middle).collect();
                let list: Vec<Interval> =
                    list.into_iter().filter(|at| self.range_of(at).is_some()).collect();
                if list.is_empty() {
                    return Err(none("no region has its middle in a training range", Some(&path)));
                }
                tracing::info!("{}: {} of {all} regions to train on", path.display(), list.len());
                Source::Middles { list, jitter: part.jitter }
            }
            Place::Background => {
                let (path, regions) = regions()?;
                let list = self.background(data, &regions);
                if list.is_empty() {
                    return Err(none(
                        "no window of background lies apart from the regions",
                        Some(&path),
                    ));
                }
                Source::Middles { list, jitter: 0 }
            }
            Place::Sites => {
                let sites = labels.map_or_else(Vec::new, |labels| labels.sites_in(&self.ranges));
                let sites: Vec<_> = sites
                    .into_iter()
                    .map(|site| {
                        let (start, end) = (site.position, site.position + 1);
                        (Interval { contig: site.contig, start, end }, site.strand)
                    })
                    .collect();
                if sites.is_empty() {
                    return Err(none("no splice site lies in a training range", None));
                }
                Source::Sites(sites)
            }
            Place::Genes => {
                let stretches = labels.map_or(&[][..], |labels| &labels.sites.transcribed);
                let inside: Vec<(Interval, Strand)> = stretches
                    .iter()
                    .flat_map(|&(place, strand)| {
                        self.ranges.iter().filter_map(move |range| {
                            let (start, end) =
                                (place.start.max(range.start), place.end.min(range.end));
                            (range.contig == place.contig && start < end)
                                .then_some((Interval { start, end, ..place }, strand))
                        })
                    })
                    .collect();
                if inside.is_empty() {
                    return Err(none("no transcript lies in a training range", None));
                }
                let lengths = sums(inside.iter().map(|(place, _)| place.len()));
                Source::Genes(inside, lengths)
            }
        })
    }

    /// Middles of windows that touch no region, one for each region, with the share of G and C of
    /// the window at the region.
    fn background(&self, data: &Dataset, regions: &[Region]) -> Vec<Interval> {
        let bin = |range: Interval| (data.gc(range) / GC_STEP).round() as i64;
        let mut wanted = std::collections::HashMap::<i64, usize>::new();
        for at in regions.iter().map(middle) {
            if let Some(range) = self.range_of(&at) {
                *wanted.entry(bin(self.place(at.start, range))).or_default() += 1;
            }
        }
        let apart: Vec<Interval> = regions.iter().map(|region| region.interval).collect();
        let mut random = Random::of(&[self.seed, BACKGROUND]);
        let mut list = Vec::new();
        let total: usize = wanted.values().sum();
        for _ in 0..(total as u64).saturating_mul(TRIES) {
            if list.len() == total {
                break;
            }
            let window = self.anywhere(&mut random);
            let Some(left) = wanted.get_mut(&bin(window)).filter(|left| **left > 0) else {
                continue;
            };
            if without(window, &apart) == [window] {
                *left -= 1;
                let start = window.start + self.window / 2;
                list.push(Interval { start, end: start + 1, ..window });
            }
        }
        if list.len() < total {
            tracing::warn!(
                "background: {} windows with the composition of {total} regions",
                list.len()
            );
        }
        list
    }

    /// How many places each kind of example is drawn from.
    pub fn supply(&self) -> Vec<Supply> {
        let starts = self.starts.last().copied().unwrap_or(0);
        let of = |source: &Source| match source {
            Source::Anywhere => ("anywhere", starts),
            Source::Middles { list, jitter: 0 } => {
                ("background or unmoved regions", list.len() as u64)
            }
            Source::Middles { list, .. } => ("regions", list.len() as u64),
            Source::Sites(list) => ("splice sites", list.len() as u64),
            Source::Genes(_, lengths) => ("bases of genes", lengths.last().copied().unwrap_or(0)),
        };
        let named = self.parts.iter().map(|(_, source)| of(source));
        named.map(|(name, places)| Supply { name: name.into(), places }).collect()
    }

    /// Windows that the training ranges hold side by side.
    pub fn windows(&self) -> u64 {
        self.ranges.iter().map(|range| range.len() / self.window).sum()
    }

    /// An example of a step.
    pub fn example(&self, step: u64, number: u64) -> Example {
        let mut random = Random::of(&[self.seed, EXAMPLE, step, number]);
        let total = self.parts.last().map_or(0.0, |(sum, _)| *sum);
        let drawn = random.share() * total;
        let part = self.parts.iter().find(|(sum, _)| drawn < *sum).or(self.parts.last());
        let other = |random: &mut Random| match self.flip && random.below(2) == 1 {
            true => Strand::Minus,
            false => Strand::Plus,
        };
        match part.map(|(_, source)| source) {
            None | Some(Source::Anywhere) => {
                let range = self.anywhere(&mut random);
                Example { range, strand: other(&mut random) }
            }
            Some(Source::Middles { list, jitter }) => {
                let at = pick(list, &mut random);
                let range = self.range_of(at).unwrap_or(self.ranges[0]);
                let moved = (at.start + random.below(2 * jitter + 1)).saturating_sub(*jitter);
                let range = self.place(moved.clamp(range.start, range.end - 1), range);
                Example { range, strand: other(&mut random) }
            }
            Some(Source::Sites(list)) => {
                let (at, strand) = pick(list, &mut random);
                let range = self.range_of(at).unwrap_or(self.ranges[0]);
                let middle = (at.start + self.window / 2).saturating_sub(random.below(self.window));
                let middle = middle.clamp(range.start, range.end - 1);
                Example { range: self.place(middle, range), strand: *strand }
            }
            Some(Source::Genes(list, lengths)) => {
                let (index, offset) = draw(lengths, &mut random);
                let (place, strand) = list[index];
                let at = Interval { start: place.start + offset, ..place };
                let range = self.range_of(&at).unwrap_or(self.ranges[0]);
                Example { range: self.place(at.start, range), strand }
            }
        }
    }

    fn anywhere(&self, random: &mut Random) -> Interval {
        let (index, offset) = draw(&self.starts, random);
        let range = self.ranges[index];
        let start = range.start + offset;
        Interval { start, end: start + self.window, ..range }
    }

    /// The window around a base, moved into a range.
    fn place(&self, middle: u64, range: Interval) -> Interval {
        let start = middle.saturating_sub(self.window / 2);
        let start = start.clamp(range.start, range.end - self.window);
        Interval { start, end: start + self.window, ..range }
    }

    /// The training range that a base lies in.
    fn range_of(&self, at: &Interval) -> Option<Interval> {
        let holds = |range: &&Interval| {
            range.contig == at.contig && (range.start..range.end).contains(&at.start)
        };
        self.ranges.iter().find(holds).copied()
    }
}

/// The summit of a region, or its middle.
fn middle(region: &Region) -> Interval {
    let place = region.interval;
    let start = region.summit.unwrap_or(place.start + place.len() / 2);
    Interval { start, end: start + 1, ..place }
}

fn sums(lengths: impl Iterator<Item = u64>) -> Vec<u64> {
    lengths
        .scan(0, |sum, length| {
            *sum += length;
            Some(*sum)
        })
        .collect()
}

/// One of all units that the running sums count: the index of its sum, and its place there.
fn draw(sums: &[u64], random: &mut Random) -> (usize, u64) {
    let drawn = random.below(sums.last().copied().unwrap_or(1));
    let index = sums.partition_point(|sum| *sum <= drawn);
    (index, drawn - if index == 0 { 0 } else { sums[index - 1] })
}

fn pick<'a, T>(list: &'a [T], random: &mut Random) -> &'a T {
    let index = random.below(list.len() as u64);
    &list[usize::try_from(index).expect("an index")]
}
