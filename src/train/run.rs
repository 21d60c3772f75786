//! A run before its first step: data read, network built, ranges apart, everything checked.

use super::batch::Maker;
use super::config::{CountLoss, Link, Loaded};
use super::data::{Dataset, Targets};
use super::network::Net;
use super::sampler::{Example, Sampler};
use super::splits::{Leaked, Split};
use crate::error::Result;
use crate::genome::{Interval, Strand};
use std::path::PathBuf;

/// All that a run needs beside a device.
#[derive(Debug)]
pub struct Run<'a> {
    /// The configuration.
    pub of: &'a Loaded,
    /// What was read.
    pub data: Dataset,
    /// The network.
    pub net: Net,
    /// Where examples are drawn from.
    pub sampler: Sampler,
    /// Training bases from which held-out bases can be seen.
    pub leaked: Leaked,
    /// Logits that give what is seen on average, one per output.
    pub priors: Vec<f64>,
    /// Mean count of a window.
    pub mean_total: f64,
}

impl<'a> Run<'a> {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// Whatever is wrong with the configuration or the files that it names.
    pub fn new(of: &'a Loaded) -> Result<Self> {
        let config = &of.config;
        let net = Net::new(of)?;
        let data = Dataset::read(of)?;
        let (ranges, leaked) = data.splits.apart(net.reach, config.splits.leakage)?;
        let training = &config.training;
        let flip =
            training.reverse_complement && config.splice.is_none() || config.splice.is_some();
        let sampler = Sampler::new(
            &data,
            &ranges,
            &config.sampling,
            training.window,
            config.seed,
            flip,
            |path| of.file(path),
        )?;
        let bases = data.splits.bases(Split::Train) as f64;
        let train = data.splits.of(Split::Train);
        let (priors, mean_total) = match &data.targets {
            Targets::Counts(tracks) => {
                let caps = config.counts.iter().flat_map(|counts| counts.caps());
                let means = tracks.iter().zip(caps);
                let means: Vec<f64> =
                    means.map(|(track, cap)| track.total(train, cap) / bases).collect();
                let exp = config.counts.as_ref().is_some_and(|counts| counts.link == Link::Exp);
                // the inverse of the link
                let prior = |mean: &f64| if exp { *mean } else { mean.exp_m1() }.max(1e-12).ln();
                let priors = means.iter().map(prior).collect();
                (priors, means.iter().sum::<f64>() * training.window as f64)
            }
            Targets::Splice(labels) => {
                let share = |places: u64| (places.max(1) as f64 / (2.0 * bases)).ln();
                let sites = share(labels.sites_in(train).len() as u64 / 2);
                let parts = labels.bases_of_parts(train).into_iter().map(share);
                ([0.0, sites, sites].into_iter().chain(parts).collect(), 0.0)
            }
        };
        Ok(Self { of, data, net, sampler, leaked, priors, mean_total })
    }

    /// The files that decide what is learned.
    pub fn sources(&self) -> Vec<PathBuf> {
        let weights = self.of.config.network.weights.iter().map(|path| self.of.folder.join(path));
        self.data.sources.iter().cloned().chain(weights).collect()
    }

    /// Makes batches of its data.
    pub fn maker(&self) -> Maker<'_> {
        Maker::new(&self.data, self.net.reach, &self.of.config)
    }

    /// The ranges that a validation reads: all of them, or as many windows as are allowed, spread
    /// evenly.
    pub fn watched(&self) -> Vec<Interval> {
        let ranges = self.data.splits.of(Split::Valid);
        let most = self.of.config.training.validate_bases;
        if most == 0 || most >= self.data.splits.bases(Split::Valid) {
            return ranges.to_vec();
        }
        let window = self.tile() as u64;
        let windows: Vec<Interval> =
            ranges.iter().flat_map(|range| tiles(*range, window)).collect();
        let wanted = (most.div_ceil(window)).clamp(1, windows.len() as u64);
        let pick = |number: u64| windows[index(number * windows.len() as u64 / wanted)];
        (0..wanted).map(pick).collect()
    }

    /// Bases that a validation computes at once: as many as a training step.
    pub fn tile(&self) -> usize {
        let training = &self.of.config.training;
        let whole = self.of.config.counts.as_ref().is_some_and(|c| c.loss == CountLoss::Profile);
        if whole { training.window } else { training.window.saturating_mul(training.batch) }
    }

    /// The examples that cover some ranges once per strand that is read, in order.
    pub fn cover(&self, ranges: &[Interval]) -> Vec<Example> {
        let strands = self.strands();
        let tile = self.tile() as u64;
        let of = |range: &Interval| tiles(*range, tile);
        ranges
            .iter()
            .flat_map(of)
            .flat_map(|range| strands.iter().map(move |&strand| Example { range, strand }))
            .collect()
    }

    /// The strands that a prediction reads: that of the reference, for splice sites both.
    pub fn strands(&self) -> &'static [Strand] {
        strands(&self.data)
    }
}

/// The strands that predictions of a dataset read.
pub fn strands(data: &Dataset) -> &'static [Strand] {
    match data.targets {
        Targets::Counts(_) => &[Strand::Plus],
        Targets::Splice(_) => &[Strand::Plus, Strand::Minus],
    }
}

/// A range in pieces of at most so many bases.
pub fn tiles(range: Interval, length: u64) -> impl Iterator<Item = Interval> {
    let starts = (range.start..range.end).step_by(index(length.max(1)));
    starts.map(move |start| Interval { start, end: (start + length).min(range.end), ..range })
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("a range fits memory")
}
