//! The loop: steps, validations, checkpoints, and a model at the end.

use super::adamw::AdamW;
use super::batch::Loader;
use super::checkpoint::{Checkpoint, Place, identity};
use super::config::Keep;
use super::history::{self, Row};
use super::judge::{Judge, Predicted};
use super::loss::{Loss, Placed};
use super::run::Run;
use super::sampler::Example;
use super::schedule;
use crate::engine::Device;
use crate::engine::torch::trainable::{Trainable, numbers};
use crate::error::{Error, Result};
use crate::genome::{Interval, Strand};
use crate::job::{OutputFile, Progress, resources, signal};
use crate::model::{Weights, file};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

/// Threads that make batches, at most.
const MOST_LOADERS: usize = 4;

/// How a run is carried out.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder of what comes out: `model.safetensors`, `metrics.tsv`, `curve.svg`,
    /// `checkpoint.safetensors`.
    pub out: PathBuf,
    /// Where it computes.
    pub device: Device,
    /// Threads of the CPU.
    pub threads: usize,
    /// Go on from the checkpoint in `out`, if there is one.
    pub resume: bool,
}

/// What came out.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Steps that were done, in all tries.
    pub steps: u64,
    /// Whether patience ended first.
    pub stopped_early: bool,
    /// The row whose weights were exported.
    pub row: Option<Row>,
    /// The model file.
    pub model: PathBuf,
    /// Device.
    pub device: String,
}

/// A run on a device.
struct Loop<'a> {
    run: &'a Run<'a>,
    judge: &'a Judge<'a>,
    network: Trainable,
    optimiser: AdamW,
    loss: Loss,
    place: Place,
    best: Weights,
    /// CPU seconds of earlier tries.
    before: f64,
}

/// Trains a network and writes the model.
///
/// # Errors
/// A GPU that is not there, an output folder that cannot be written to or holds another run, a loss
/// that is no number (with its step), a signal (the run can be resumed).
pub fn fit(
    run: &Run<'_>,
    judge: &Judge<'_>,
    options: &Options,
    progress: &Progress,
) -> Result<Outcome> {
    let config = &run.of.config;
    std::fs::create_dir_all(&options.out).map_err(|e| Error::io(&options.out, "make", e))?;
    let named = |name: &str| options.out.join(name);
    // held until the end, so that two runs cannot share a folder
    let mut model_file = OutputFile::create(&named("model.safetensors"))?;
    let identity = identity(run.of, &run.sources())?;
    let kept = named("checkpoint.safetensors");
    let found = if kept.exists() { Some(Checkpoint::read(&kept)?) } else { None };
    let found = match found {
        Some(found) if options.resume => {
            found.check(&kept, &identity)?;
            Some(found)
        }
        Some(found) if !found.place.ended => {
            return Err(Error::usage("the folder holds a run that has not ended")
                .at(&kept)
                .found(format!("a checkpoint after step {}", found.place.step))
                .remedy("go on with --resume, choose another --out, or remove the checkpoint"));
        }
        _ => None,
    };
    let first = match &found {
        Some(found) => found.weights.clone(),
        None => run.net.first_weights(config.seed, config.network.start, &run.priors),
    };
    let network = Trainable::new(&run.net.logits, &first, options.device, options.threads)?;
    let network = network.in_window(run.net.window);
    let mut optimiser = AdamW::new(&network, &config.training)?;
    let (place, best) = match found {
        Some(found) => {
            optimiser.restore(&found.state)?;
            tracing::info!("going on after step {}", found.place.step);
            (found.place, found.best)
        }
        None => (Place::start(identity), Weights::new()),
    };
    let before = place.cpu_seconds - resources::cpu_seconds().unwrap_or(0.0);
    let loss = Loss::new(run);
    let mut all = Loop { run, judge, network, optimiser, loss, place, best, before };
    all.steps(options, progress, &kept)?;
    let (weights, row) = all.chosen()?;
    let device = all.network.device_name().to_string();
    let model = run.net.model(config, &weights, all.record(row.as_ref()))?;
    file::write(&model, &mut model_file).map_err(|error| error.at(&named("model.safetensors")))?;
    model_file.commit()?;
    Ok(Outcome {
        steps: all.place.step,
        stopped_early: all.place.step < config.training.steps,
        row,
        model: named("model.safetensors"),
        device,
    })
}

impl Loop<'_> {
    fn steps(&mut self, options: &Options, progress: &Progress, kept: &Path) -> Result<()> {
        let training = &self.run.of.config.training;
        if self.place.ended {
            return Ok(());
        }
        let left = self.place.step..training.steps;
        progress.start_counting(left.end.saturating_sub(left.start), "steps");
        let maker = self.run.maker();
        let loaders = options.threads.clamp(1, MOST_LOADERS);
        let (run, out) = (self.run, &options.out);
        thread::scope(|scope| {
            let mut loader =
                Loader::start(scope, maker, &run.sampler, training.batch, left.clone(), loaders);
            for step in left {
                if let Err(stopped) = signal::check() {
                    self.checkpoint()?.write(kept)?;
                    return Err(stopped.remedy("go on with --resume"));
                }
                let batch = loader
                    .next_batch()
                    .ok_or_else(|| Error::new("a thread that makes examples has ended"))?;
                self.step(step, &Placed::new(&batch, self.network.device())?)?;
                progress.advance(1);
                let done = self.place.step;
                let last = done == training.steps;
                if done.is_multiple_of(training.validate_every) || last {
                    self.validate(out)?;
                    self.place.ended = last || self.place.plateau.stops(training);
                }
                if done.is_multiple_of(training.checkpoint_every) || self.place.ended {
                    self.checkpoint()?.write(kept)?;
                }
                if self.place.ended {
                    break;
                }
            }
            progress.finish();
            Ok(())
        })
    }

    fn step(&mut self, step: u64, batch: &Placed) -> Result<()> {
        let training = &self.run.of.config.training;
        let at = |error: Error| {
            Error::new(format!("step {}: {}", step + 1, error.what()))
                .remedy("lower `training.rate`, lower `counts.cap` or look at the data")
        };
        let answers = self.network.forward(
            &batch.codes,
            batch.controls.as_ref(),
            batch.length,
            if step < training.hold_steps { training.hold } else { 1 },
        )?;
        let loss = self.loss.of(&answers, batch)?.mean()?;
        let value = loss.f_double_value(&[])?;
        if !value.is_finite() {
            return Err(at(Error::new(format!("the loss is {value}"))));
        }
        let rate = schedule::rate(training, &self.place.plateau, step);
        let length = self.optimiser.step(&self.network, &loss, training, rate, step).map_err(at)?;
        let (losses, gradients) = self.place.sums();
        self.place.set_sums(losses + value, gradients + length);
        self.place.since += 1;
        self.place.step = step + 1;
        Ok(())
    }

    /// Predicts the validation split with the weights as they are, and notes how well that went.
    fn validate(&mut self, out: &Path) -> Result<()> {
        let training = &self.run.of.config.training;
        let weights = self.optimiser.weights(&self.network)?;
        let (valid_loss, predicted) = self.predict(&weights)?;
        let metrics = self.judge.brief(&predicted);
        let best = self.place.plateau.take(valid_loss, training);
        if best {
            self.best = weights;
        }
        let (loss, gradient) = self.place.sums();
        let since = self.place.since.max(1) as f64;
        let step = self.place.step;
        let row = Row {
            step,
            rate: schedule::rate(training, &self.place.plateau, step.saturating_sub(1)),
            train_loss: loss / since,
            gradient: gradient / since,
            valid_loss,
            best,
            metrics,
            cpu_seconds: self.seconds(),
        };
        self.place.set_sums(0.0, 0.0);
        self.place.since = 0;
        let metrics: Vec<String> =
            row.metrics.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
        tracing::info!(
            "step {step} of {}: loss {:.5}, validation {valid_loss:.5}{}, {}; {:.0} CPU s",
            training.steps,
            row.train_loss,
            if best { " (lowest)" } else { "" },
            metrics.join(", "),
            row.cpu_seconds,
        );
        self.place.rows.push(row);
        history::write_table(&self.place.rows, &out.join("metrics.tsv"))?;
        history::draw(&self.place.rows, &self.run.of.config.name, &out.join("curve.svg"))
    }

    /// Loss and predictions of the ranges that are watched.
    fn predict(&self, weights: &Weights) -> Result<(f64, Vec<Predicted>)> {
        let snapshot = self.network.snapshot(weights)?;
        let maker = self.run.maker();
        let (mut loss, mut count) = (0.0, 0.0);
        let mut all = Vec::new();
        for range in self.run.watched() {
            let mut predicted = self.blank(range);
            for examples in self.run.cover(range) {
                let batch = maker.covering(&examples, range);
                let batch = Placed::new(&batch, self.network.device())?;
                let answers =
                    snapshot.forward(&batch.codes, batch.controls.as_ref(), batch.length)?;
                let sum = tch::no_grad(|| self.loss.of(&answers, &batch))?;
                loss += sum.loss.f_double_value(&[])?;
                count += sum.count.f_double_value(&[])?;
                let values = numbers(&self.loss.outputs(&answers)?)?;
                let splice = self.run.of.config.splice.is_some();
                let each = values.chunks_exact(values.len() / examples.len());
                for (example, values) in examples.iter().zip(each) {
                    place(&mut predicted, example, values, splice);
                }
            }
            all.push(predicted);
        }
        Ok((loss / f64::max(count, 1.0), all))
    }

    fn blank(&self, range: Interval) -> Predicted {
        let rows = match self.run.strands().len() {
            1 => self.run.data.outputs(),
            _ => 4,
        };
        let length = usize::try_from(range.len()).expect("a range fits memory");
        Predicted { range, tracks: vec![vec![0.0; length]; rows] }
    }

    fn seconds(&self) -> f64 {
        self.before + resources::cpu_seconds().unwrap_or(0.0)
    }

    fn checkpoint(&self) -> Result<Checkpoint> {
        let mut place = self.place.clone();
        place.cpu_seconds = self.seconds();
        Ok(Checkpoint {
            place,
            weights: self.network.weights()?,
            state: self.optimiser.state()?,
            best: self.best.clone(),
        })
    }

    /// The weights that are exported, and the row that they belong to.
    fn chosen(&self) -> Result<(Weights, Option<Row>)> {
        let rows = &self.place.rows;
        match self.run.of.config.training.keep {
            Keep::Best if !self.best.is_empty() => {
                Ok((self.best.clone(), rows.iter().rev().find(|row| row.best).cloned()))
            }
            _ => Ok((self.optimiser.weights(&self.network)?, rows.last().cloned())),
        }
    }

    /// How the model was made, for its file.
    fn record(&self, row: Option<&Row>) -> String {
        let config = &self.run.of.config;
        let row = row.map_or(String::new(), |row| {
            let list: Vec<String> =
                row.metrics.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
            format!(
                "; step {}, validation loss {:.6}, {}",
                row.step,
                row.valid_loss,
                list.join(", ")
            )
        });
        // the identity of a run names its files with their SHA-256
        let files = self.place.identity.iter().filter_map(|(name, hash)| {
            Some(format!("{} sha256 {}", name.strip_prefix("file ")?, hash.as_str()?))
        });
        let files: Vec<String> = files.collect();
        format!(
            "{} {} train, seed {}, {} of {} steps of {} windows of {} bases{row}; data {}",
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            config.seed,
            self.place.step,
            config.training.steps,
            config.training.batch,
            self.run.net.length,
            files.join(", "),
        )
    }
}

/// Puts the values `[output][position]` of an example, as its strand reads them, where they belong,
/// without those beyond the range: of splice sites the first output is `none`, and each strand has
/// rows of its own.
fn place(predicted: &mut Predicted, example: &Example, values: &[f32], splice: bool) {
    let Example { range, strand } = *example;
    let index = |bases: u64| usize::try_from(bases).expect("a range fits memory");
    let start = index(range.start - predicted.range.start);
    let kept = index(range.end.min(predicted.range.end) - range.start);
    let rows: Vec<&[f32]> = values.chunks_exact(index(range.len())).collect();
    let (rows, first) = match (splice, strand) {
        (false, _) => (&rows[..], 0),
        (true, Strand::Plus) => (&rows[1..3], 0),
        (true, Strand::Minus) => (&rows[1..3], 2),
    };
    for (row, to) in rows.iter().zip(&mut predicted.tracks[first..]) {
        let to = &mut to[start..start + kept];
        match strand {
            Strand::Plus => to.copy_from_slice(&row[..kept]),
            Strand::Minus => {
                to.copy_from_slice(&row[row.len() - kept..]);
                to.reverse();
            }
        }
    }
}

/// The device, and about how many seconds a run takes there: measured on two steps of its own and
/// a piece of the validation split.
///
/// # Errors
/// A GPU that is not there, no memory on it, or what libtorch says.
pub fn estimate(run: &Run<'_>, options: &Options) -> Result<(String, f64)> {
    let config = &run.of.config;
    let training = &config.training;
    let weights = run.net.first_weights(config.seed, config.network.start, &run.priors);
    let network = Trainable::new(&run.net.logits, &weights, options.device, options.threads)?;
    let network = network.in_window(run.net.window);
    let mut optimiser = AdamW::new(&network, training)?;
    let loss = Loss::new(run);
    let maker = run.maker();
    let mut measured = [0.0; 2];
    for (step, seconds) in measured.iter_mut().enumerate() {
        let batch = maker.of_step(&run.sampler, step as u64, training.batch);
        let start = Instant::now();
        let batch = Placed::new(&batch, network.device())?;
        let hold = if training.hold_steps > 0 { training.hold } else { 1 };
        let controls = batch.controls.as_ref();
        let answers = network.forward(&batch.codes, controls, batch.length, hold)?;
        let mean = loss.of(&answers, &batch)?.mean()?;
        optimiser.step(&network, &mean, training, training.rate, step as u64)?;
        let _ = numbers(&mean)?;
        *seconds = start.elapsed().as_secs_f64();
    }
    // the first one also sets everything up
    let step = measured[1];
    let bases: u64 = run.watched().iter().map(Interval::len).sum();
    let bases = bases as f64 * run.strands().len() as f64;
    let per_base = step / (training.batch * run.net.length) as f64;
    // forward alone is about a third of a step
    let validation = bases * per_base / 3.0;
    let validations = training.steps.div_ceil(training.validate_every) as f64;
    let seconds = step * training.steps as f64 + validation * validations;
    Ok((network.device_name().to_string(), seconds))
}
