//! A run before its first step: data read, network built, ranges apart, everything checked.

use super::batch::Maker;
use super::config::{CountLoss, Link, Loaded};
use super::data::{Dataset, Targets};
use super::network::Net;
use super::sampler::{Example, Sampler};
use super::splits::{Leaked, Split};
use crate::error::{Error, Result};
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
    /// Logits that give what is seen on average, one per output, and behind them the log count of a
    /// network that has one.
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
        let negative = data.controls.iter().position(|track| track.least() < 0.0);
        if let (Some(name), Some(number), Some(control)) = (&net.counts, negative, &config.control)
        {
            return Err(Error::new(format!(
                "`{name}` reads the logarithm of the total of a control"
            ))
            .at(&of.file(&control.files[number]))
            .found(data.controls[number].least())
            .expected("values of 0 or more"));
        }
        let (ranges, leaked) = data.splits.apart(net.flanks, config.splits.leakage)?;
        let training = &config.training;
        let flip =
            training.reverse_complement && config.splice.is_none() || config.splice.is_some();
        let sampler = Sampler::new(
            &data,
            &ranges,
            &config.sampling,
            net.length,
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
                let total = means.iter().sum::<f64>() * net.length as f64;
                let link = config.counts.as_ref().map_or(Link::default(), |counts| counts.link);
                // the inverse of what makes expected counts of the last sums
                let prior = |mean: &f64| match (&net.counts, link) {
                    (None, Link::Softplus) => mean.exp_m1().max(1e-12).ln(),
                    _ => mean.max(1e-12).ln(),
                };
                let log_count = net.counts.iter().map(|_| total.max(1e-12).ln());
                (means.iter().map(prior).chain(log_count).collect(), total)
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
        Maker::new(&self.data, self.net.flanks, &self.of.config)
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

    /// Bases of an example of a validation: as many as a training step computes, or a window.
    pub fn tile(&self) -> usize {
        let profile = self.of.config.counts.as_ref().is_some_and(|c| c.loss == CountLoss::Profile);
        match profile || self.net.window.is_some() {
            true => self.net.length,
            false => self.net.length.saturating_mul(self.of.config.training.batch),
        }
    }

    /// The examples that cover a range once per strand that is read, in order, in groups that are
    /// computed together. A network with a window has whole windows: the last one goes beyond the
    /// range.
    pub fn cover(&self, range: Interval) -> Vec<Vec<Example>> {
        let strands = self.strands();
        let tile = self.tile() as u64;
        let whole = self.net.window.is_some();
        let piece = |piece: Interval| match whole {
            true => Interval { end: piece.start + tile, ..piece },
            false => piece,
        };
        let all: Vec<Example> = tiles(range, tile)
            .map(piece)
            .flat_map(|range| strands.iter().map(move |&strand| Example { range, strand }))
            .collect();
        let together = if whole { self.of.config.training.batch } else { 1 };
        all.chunks(together).map(<[Example]>::to_vec).collect()
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
