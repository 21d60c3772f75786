//! What is minimised, computed from logits `[example, output, position]` and, of a network that has
//! one, the log count of each example.

use super::batch::Batch;
use super::config::{CountLoss, Link, LogBins};
use super::data::{ACCEPTOR, DONOR};
use super::run::Run;
use crate::engine::torch::trainable::Answers;
use crate::error::Result;
use tch::{Device, Kind, Reduction, Tensor};

/// Added to rates before their logarithm is taken.
const TINY: f64 = 1e-8;
/// Taken off the logits of masked positions: e to the minus this is 0 in 32 bits.
const HIDDEN: f64 = 1e4;
/// Axes of what one softmax is over: outputs and positions.
const PROFILE: &[i64] = &[1, 2];

/// A sum of losses and of what they are counted by.
#[derive(Debug)]
pub struct Sum {
    /// Sum of the losses.
    pub loss: Tensor,
    /// What it is divided by: positions, bins or windows that count.
    pub count: Tensor,
}

impl Sum {
    /// The mean.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn mean(&self) -> Result<Tensor> {
        Ok(self.loss.f_div(&self.count.f_clamp_min(1.0)?)?)
    }
}

/// Largest logit whose exponential is taken: a count of three million at one base.
const MOST: f64 = 15.0;

/// What is minimised, and what makes outputs of logits.
#[derive(Debug, Clone, PartialEq)]
pub struct Loss {
    what: What,
    link: Link,
}

/// What is minimised.
#[derive(Debug, Clone, PartialEq)]
enum What {
    /// Poisson likelihood of the counts of bins.
    Poisson {
        /// Bases per bin.
        bin: usize,
        /// Also the squared error of ln(1 + sum) in these bins.
        log_bins: Vec<LogBins>,
        /// Weight of each output.
        weights: Vec<f32>,
    },
    /// Multinomial likelihood of the profile, squared error of the logarithm of the total; both of
    /// the rates of positions.
    Profile {
        /// Weight of the second part.
        count_weight: f64,
    },
    /// The same of a network with a log count: the profile is the softmax of its logits, the total
    /// the exponential of its log count.
    ProfileAndCount {
        /// Weight of the second part.
        count_weight: f64,
    },
    /// Cross-entropy of the classes of positions.
    Classes {
        /// Weight of a position that is a site.
        site_weight: f64,
    },
}

/// A batch on a device.
pub struct Placed {
    /// Codes of letters `[example, position]`.
    pub codes: Tensor,
    /// Tracks beside the sequence `[example, track, 1, position]`.
    pub controls: Option<Tensor>,
    /// As in [`Batch`]: `[example, output, position]` or `[example, position]`.
    targets: Tensor,
    /// `[example, 1, position]`
    weights: Tensor,
    /// Bases at which outputs are compared.
    pub length: usize,
}

impl Placed {
    /// Copies a batch to a device.
    ///
    /// # Errors
    /// What libtorch says; no memory on the device.
    pub fn new(batch: &Batch, device: Device) -> Result<Self> {
        let (size, length) = (batch.size as i64, batch.length as i64);
        let width = (batch.codes.len() / batch.size.max(1)) as i64;
        let codes = Tensor::f_from_data_size(&batch.codes, &[size, width], Kind::Uint8)?;
        let place = |values: &[f32], shape: &[i64]| -> Result<Tensor> {
            Ok(Tensor::f_from_slice(values)?.f_view(shape)?.f_to_device(device)?)
        };
        let controls = match batch.controls.is_empty() {
            true => None,
            false => Some(place(&batch.controls, &[size, -1, 1, width])?),
        };
        Ok(Self {
            codes: codes.f_to_device(device)?,
            controls,
            targets: place(&batch.targets, &[size, -1, length])?,
            weights: place(&batch.weights, &[size, 1, length])?,
            length: batch.length,
        })
    }
}

impl Loss {
    /// What a run asks for.
    pub fn new(run: &Run<'_>) -> Self {
        let config = &run.of.config;
        let what = match (&config.counts, &config.splice) {
            (Some(counts), _) => match counts.loss {
                CountLoss::Poisson => What::Poisson {
                    bin: counts.bin,
                    log_bins: counts.log_bins.clone(),
                    weights: counts.tracks.iter().map(|track| track.weight as f32).collect(),
                },
                CountLoss::Profile => {
                    let count_weight = counts.count_weight.unwrap_or(run.mean_total);
                    match run.net.counts {
                        None => What::Profile { count_weight },
                        Some(_) => What::ProfileAndCount { count_weight },
                    }
                }
            },
            (None, splice) => What::Classes {
                site_weight: splice.as_ref().map_or(1.0, |splice| splice.site_weight),
            },
        };
        let link = config.counts.as_ref().map_or(Link::default(), |counts| counts.link);
        Self { what, link }
    }

    /// That of networks with a log count.
    #[cfg(test)]
    pub fn of_profiles_and_counts(count_weight: f64) -> Self {
        Self { what: What::ProfileAndCount { count_weight }, link: Link::default() }
    }

    /// Expected counts of logits.
    fn rates(&self, logits: &Tensor) -> Result<Tensor> {
        Ok(match self.link {
            Link::Softplus => logits.f_softplus()?,
            Link::Exp => logits.f_clamp_max(MOST)?.f_exp()?,
        })
    }

    /// What predictions make of answers: expected counts or probabilities, `[example, output,
    /// position]`.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn outputs(&self, answers: &Answers) -> Result<Tensor> {
        Ok(match self.what {
            What::Poisson { .. } | What::Profile { .. } => self.rates(&answers.rows)?,
            What::Classes { .. } => answers.rows.f_softmax(1, Kind::Float)?,
            // in 64 bits, as the readout of the exported model
            What::ProfileAndCount { .. } => {
                let logits = answers.rows.f_to_kind(Kind::Double)?;
                let shares = logits.f_sub(&logits.f_logsumexp(PROFILE, true)?)?;
                let log_rates = shares.f_add(&log_count(answers)?.f_to_kind(Kind::Double)?)?;
                log_rates.f_exp()?.f_to_kind(Kind::Float)?
            }
        })
    }

    /// The loss of answers for a batch.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn of(&self, answers: &Answers, batch: &Placed) -> Result<Sum> {
        let logits = &answers.rows;
        match &self.what {
            What::Poisson { bin, log_bins, weights } => {
                let rates = self.rates(logits)?;
                let factors = Tensor::f_from_slice(weights)?.f_view([1, -1, 1])?;
                let factors = factors.f_to_device(logits.device())?;
                let mut sum = poisson(&Bins::of(&rates, batch, *bin)?, &factors)?;
                for bins in log_bins {
                    let own = squared(&Bins::of(&rates, batch, bins.width)?, &factors)?;
                    // counted as the likelihood is
                    let mean = own.mean()?.f_mul_scalar(bins.weight)?;
                    sum.loss = sum.loss.f_add(&mean.f_mul(&sum.count)?)?;
                }
                Ok(sum)
            }
            What::Profile { count_weight } => profile(&self.rates(logits)?, batch, *count_weight),
            What::ProfileAndCount { count_weight } => {
                profile_and_count(answers, batch, *count_weight)
            }
            What::Classes { site_weight } => classes(logits, batch, *site_weight),
        }
    }
}

/// `Σ factor · (rate − count · ln rate)` over bins; a bin with a masked base does not count.
fn poisson(bins: &Bins, factors: &Tensor) -> Result<Sum> {
    let Bins { rates, counts, .. } = bins;
    bins.sum(&rates.f_sub(&counts.f_mul(&rates.f_add_scalar(TINY)?.f_log()?)?)?, factors)
}

/// `Σ factor · (ln(1 + rate) − ln(1 + count))²` over bins.
fn squared(bins: &Bins, factors: &Tensor) -> Result<Sum> {
    bins.sum(&bins.rates.f_log1p()?.f_sub(&bins.counts.f_log1p()?)?.f_square()?, factors)
}

/// Rates and counts added up in bins `[example, output, bin]`; weights `[example, 1, bin]` are 0
/// where a base is masked.
struct Bins {
    rates: Tensor,
    counts: Tensor,
    weights: Tensor,
}

impl Bins {
    fn of(rates: &Tensor, batch: &Placed, width: usize) -> Result<Self> {
        let (rates, counts) = (rates.shallow_clone(), batch.targets.shallow_clone());
        let weights = batch.weights.shallow_clone();
        if width == 1 {
            return Ok(Self { rates, counts, weights });
        }
        let (examples, _, length) = rates.size3()?;
        let width = width as i64;
        let bins = |tensor: &Tensor| {
            let whole = tensor.f_narrow(2, 0, length / width * width)?;
            // weights have one row for all outputs
            let rows = tensor.size3()?.1;
            whole.f_reshape([examples, rows, length / width, width])
        };
        let last = [3].as_slice();
        Ok(Self {
            rates: bins(&rates)?.f_sum_dim_intlist(last, false, Kind::Float)?,
            counts: bins(&counts)?.f_sum_dim_intlist(last, false, Kind::Float)?,
            weights: bins(&weights)?.f_amin(last, false)?,
        })
    }

    /// The losses of the bins that count, each times the factor of its output.
    fn sum(&self, each: &Tensor, factors: &Tensor) -> Result<Sum> {
        let weights = self.weights.f_mul(factors)?;
        Ok(Sum {
            loss: each.f_mul(&weights)?.f_sum(Kind::Float)?,
            count: weights.f_sum(Kind::Float)?,
        })
    }
}

/// Per window, over its outputs and positions together: `−Σ count · ln share` and
/// `weight · (ln(1 + Σ rate) − ln(1 + Σ count))²`.
fn profile(rates: &Tensor, batch: &Placed, count_weight: f64) -> Result<Sum> {
    let rates = rates.f_mul(&batch.weights)?;
    let counts = batch.targets.f_mul(&batch.weights)?;
    let axes = [1, 2].as_slice();
    let total = rates.f_sum_dim_intlist(axes, true, Kind::Float)?;
    let true_total = counts.f_sum_dim_intlist(axes, true, Kind::Float)?;
    let shares = rates.f_div(&total.f_add_scalar(TINY)?)?;
    let likelihood = counts.f_mul(&shares.f_add_scalar(TINY)?.f_log()?)?.f_sum(Kind::Float)?;
    let errors = total.f_log1p()?.f_sub(&true_total.f_log1p()?)?;
    let errors = errors.f_square()?.f_sum(Kind::Float)?;
    Ok(Sum {
        loss: errors.f_mul_scalar(count_weight)?.f_sub(&likelihood)?,
        count: Tensor::f_from_slice(&[rates.size3()?.0 as f32])?.f_to_device(rates.device())?,
    })
}

/// The log count of each example, `[example, 1, 1]`.
fn log_count(answers: &Answers) -> Result<Tensor> {
    let scalars = answers.scalars.as_ref().expect("a network with a log count");
    Ok(scalars.f_reshape([-1, 1, 1])?)
}

/// Per window, over its outputs and positions together: `−Σ count · ln share`, where shares are the
/// softmax of the logits, and `weight · (ln(1 + total) − ln(1 + Σ count))²`, where the total is the
/// exponential of the log count (networks.md 3). Where positions are masked, shares are of the
/// others, and so is the total: the log count stands for the whole window.
fn profile_and_count(answers: &Answers, batch: &Placed, count_weight: f64) -> Result<Sum> {
    let counts = batch.targets.f_mul(&batch.weights)?;
    let hidden = batch.weights.f_sub_scalar(1.0)?.f_mul_scalar(HIDDEN)?;
    let seen = answers.rows.f_add(&hidden)?;
    let (all, kept) = (answers.rows.f_logsumexp(PROFILE, true)?, seen.f_logsumexp(PROFILE, true)?);
    let likelihood = counts.f_mul(&seen.f_sub(&kept)?)?.f_sum(Kind::Float)?;
    let log_total = log_count(answers)?.f_to_kind(Kind::Float)?.f_add(&kept.f_sub(&all)?)?;
    let true_total = counts.f_sum_dim_intlist(PROFILE, true, Kind::Float)?;
    // softplus is ln(1 + exp)
    let errors = log_total.f_softplus()?.f_sub(&true_total.f_log1p()?)?;
    let errors = errors.f_square()?.f_sum(Kind::Float)?;
    Ok(Sum {
        loss: errors.f_mul_scalar(count_weight)?.f_sub(&likelihood)?,
        count: Tensor::f_from_slice(&[counts.size3()?.0 as f32])?.f_to_device(counts.device())?,
    })
}

/// `−Σ weight · ln P(class)` over positions.
fn classes(logits: &Tensor, batch: &Placed, site_weight: f64) -> Result<Sum> {
    let classes = batch.targets.f_squeeze_dim(1)?.f_to_kind(Kind::Int64)?;
    let outputs = logits.size3()?.1 as usize;
    let site = |class: usize| class == usize::from(ACCEPTOR) || class == usize::from(DONOR);
    let factors: Vec<f32> =
        (0..outputs).map(|class| if site(class) { site_weight as f32 } else { 1.0 }).collect();
    let factors = Tensor::f_from_slice(&factors)?.f_to_device(logits.device())?;
    let likely = logits.f_log_softmax(1, Kind::Float)?;
    let each = likely.f_nll_loss_nd(&classes, Some(&factors), Reduction::None, -100)?;
    let weights = batch.weights.f_squeeze_dim(1)?;
    Ok(Sum { loss: each.f_mul(&weights)?.f_sum(Kind::Float)?, count: weights.f_sum(Kind::Float)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_and_a_log_count_are_compared_where_positions_are_not_masked() {
        let answers = Answers {
            rows: Tensor::from_slice(&[0.0f32, 3f32.ln(), 0.0]).view([1, 1, 3]),
            scalars: Some(Tensor::from_slice(&[10f64.ln()]).view([1, 1])),
        };
        let batch = Batch {
            size: 1,
            length: 3,
            codes: vec![0; 3],
            targets: vec![1.0, 3.0, 9.0],
            weights: vec![1.0, 1.0, 0.0],
            controls: vec![],
        };
        let loss = Loss::of_profiles_and_counts(2.0);
        let sum = loss.of(&answers, &Placed::new(&batch, Device::Cpu).unwrap()).unwrap();
        // shares 1/4 and 3/4 of the two, of 10 events 8: ln 4 + 3 ln(4/3) + 2 ln(9/5)²
        assert!((sum.loss.double_value(&[]) - 2.940_327).abs() < 1e-5, "{:?}", sum.loss);
        assert_eq!(sum.count.double_value(&[]), 1.0);
        let rates = loss.outputs(&answers).unwrap();
        for (position, expected) in [2.0, 6.0, 2.0].into_iter().enumerate() {
            let rate = rates.double_value(&[0, 0, position as i64]);
            assert!((rate - expected).abs() < 1e-5, "{rate}, {expected}");
        }
    }
}
