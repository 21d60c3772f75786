//! Examples as arrays: letters, what was measured, what counts in the loss; and the threads that
//! make them while the device computes.

use super::config::Config;
use super::data::{Dataset, Targets};
use super::sampler::{Example, Sampler};
use crate::genome::{Interval, Strand};
use crate::network::Reach;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, ScopedJoinHandle};

/// What a network is shown and should answer; each array in C order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// Examples.
    pub size: usize,
    /// Bases of each at which outputs are compared.
    pub length: usize,
    /// Codes of letters `[example, position]`, as far as the network reads beyond these bases.
    pub codes: Vec<u8>,
    /// Counts `[example, output, position]`; or the class of each position, `[example, position]`.
    pub targets: Vec<f32>,
    /// 1 where a position counts, 0 where it is masked: `[example, position]`.
    pub weights: Vec<f32>,
    /// Tracks beside the sequence, `[example, track, position]` over the positions of the letters.
    pub controls: Vec<f32>,
}

/// Makes batches of a dataset.
#[derive(Debug, Clone)]
pub struct Maker<'a> {
    data: &'a Dataset,
    flanks: Reach,
    /// Counts of each track above these are taken as these.
    caps: Vec<f32>,
}

impl<'a> Maker<'a> {
    /// For a network that reads so much beside its outputs.
    pub fn new(data: &'a Dataset, flanks: Reach, config: &Config) -> Self {
        let caps = config.counts.iter().flat_map(|counts| counts.caps()).collect();
        Self { data, flanks, caps }
    }

    /// The arrays of examples of equal length.
    pub fn batch(&self, examples: &[Example]) -> Batch {
        let length = examples.first().map_or(0, |example| index(example.range.len()));
        let mut batch = Batch { size: examples.len(), length, ..Batch::default() };
        for example in examples {
            self.add(example, &mut batch);
        }
        batch
    }

    /// The same of examples that cover a range and may go beyond its end: what lies there does not
    /// count.
    pub fn covering(&self, examples: &[Example], range: Interval) -> Batch {
        let mut batch = self.batch(examples);
        for (example, row) in examples.iter().zip(batch.weights.chunks_exact_mut(batch.length)) {
            let kept = index(range.end.min(example.range.end) - example.range.start);
            match example.strand {
                Strand::Plus => row[kept..].fill(0.0),
                Strand::Minus => row[..batch.length - kept].fill(0.0),
            }
        }
        batch
    }

    fn add(&self, example: &Example, batch: &mut Batch) {
        let Example { range, strand } = *example;
        let minus = strand == Strand::Minus;
        let (before, after) = match minus {
            false => (self.flanks.left, self.flanks.right),
            true => (self.flanks.right, self.flanks.left),
        };
        let start = signed(range.start).saturating_sub_unsigned(before);
        let end = signed(range.end).saturating_add_unsigned(after);
        batch.codes.extend(self.data.codes(range.contig, start, end, strand));
        let turn = |row: &mut [f32]| {
            if minus {
                row.reverse();
            }
        };
        let mut row = vec![0.0; index((end - start).unsigned_abs())];
        let controls = self.data.controls.len();
        for number in 0..controls {
            let from = if minus { controls - 1 - number } else { number };
            self.data.controls[from].fill(range.contig, start, end, &mut row);
            turn(&mut row);
            batch.controls.extend_from_slice(&row);
        }
        let mut row = vec![0.0; batch.length];
        match &self.data.targets {
            Targets::Counts(tracks) => {
                for number in 0..tracks.len() {
                    let from = if minus { self.data.turned[number] } else { number };
                    let (start, end) = (signed(range.start), signed(range.end));
                    tracks[from].fill(range.contig, start, end, &mut row);
                    row.iter_mut().for_each(|value| *value = value.min(self.caps[from]));
                    turn(&mut row);
                    batch.targets.extend_from_slice(&row);
                }
            }
            Targets::Splice(labels) => {
                labels.fill(range.contig, strand, range.start, &mut row);
                turn(&mut row);
                batch.targets.extend_from_slice(&row);
            }
        }
        let mut row = vec![1.0; batch.length];
        for masked in self.data.mask().touching(range) {
            let from = masked.start.max(range.start) - range.start;
            let to = masked.end.min(range.end) - range.start;
            row[index(from)..index(to)].fill(0.0);
        }
        turn(&mut row);
        batch.weights.extend_from_slice(&row);
    }

    /// The batch of a step.
    pub fn of_step(&self, sampler: &Sampler, step: u64, size: usize) -> Batch {
        let examples: Vec<Example> =
            (0..size as u64).map(|number| sampler.example(step, number)).collect();
        self.batch(&examples)
    }
}

/// Batches of consecutive steps, made by threads of their own: thread k of n makes every n-th.
#[derive(Debug)]
pub struct Loader<'scope> {
    lanes: Vec<Receiver<Batch>>,
    next: usize,
    _threads: Vec<ScopedJoinHandle<'scope, ()>>,
}

/// Batches that each thread makes ahead.
const AHEAD: usize = 2;

impl<'scope> Loader<'scope> {
    /// Starts the threads. They end when the steps do, or when this is dropped.
    pub fn start<'env>(
        scope: &'scope thread::Scope<'scope, 'env>,
        maker: Maker<'env>,
        sampler: &'env Sampler,
        size: usize,
        steps: std::ops::Range<u64>,
        threads: usize,
    ) -> Self {
        let lane = |number: usize| -> (Receiver<Batch>, ScopedJoinHandle<'scope, ()>) {
            let (sender, receiver): (SyncSender<Batch>, _) = sync_channel(AHEAD);
            let maker = maker.clone();
            let steps = steps.clone().skip(number).step_by(threads);
            let work = move || {
                for step in steps {
                    if sender.send(maker.of_step(sampler, step, size)).is_err() {
                        break;
                    }
                }
            };
            (receiver, scope.spawn(work))
        };
        let (lanes, threads) = (0..threads).map(lane).unzip();
        Self { lanes, next: 0, _threads: threads }
    }

    /// The batch of the next step; `None` after the last.
    pub fn next_batch(&mut self) -> Option<Batch> {
        let batch = self.lanes[self.next].recv().ok();
        self.next = (self.next + 1) % self.lanes.len();
        batch
    }
}

fn index(bases: u64) -> usize {
    usize::try_from(bases).expect("a window fits memory")
}

fn signed(base: u64) -> i64 {
    i64::try_from(base).expect("a position inside a contig")
}
