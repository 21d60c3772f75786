//! What is minimised, computed from logits `[example, output, position]`.

use super::batch::Batch;
use super::config::{Config, CountLoss, LogBins};
use crate::error::Result;
use tch::{Device, Kind, Reduction, Tensor};

/// Added to rates before their logarithm is taken.
const TINY: f64 = 1e-8;

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

/// What is minimised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// Poisson likelihood of the counts of bins.
    Poisson {
        /// Bases per bin.
        bin: usize,
        /// Also the squared error of ln(1 + sum) in wide bins.
        log_bins: Option<LogBins>,
    },
    /// Multinomial likelihood of the profile, squared error of the logarithm of the total.
    Profile {
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
    /// What a configuration asks for; `mean_total` is the mean count of a window.
    pub fn new(config: &Config, mean_total: f64) -> Self {
        match (&config.counts, &config.splice) {
            (Some(counts), _) => match counts.loss {
                CountLoss::Poisson => Self::Poisson { bin: counts.bin, log_bins: counts.log_bins },
                CountLoss::Profile => {
                    Self::Profile { count_weight: counts.count_weight.unwrap_or(mean_total) }
                }
            },
            (None, splice) => Self::Classes {
                site_weight: splice.as_ref().map_or(1.0, |splice| splice.site_weight),
            },
        }
    }

    /// What the function at the end of the network makes of logits: counts or probabilities.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn outputs(&self, logits: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Poisson { .. } | Self::Profile { .. } => logits.f_softplus()?,
            Self::Classes { .. } => logits.f_softmax(1, Kind::Float)?,
        })
    }

    /// The loss of logits for a batch.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn of(&self, logits: &Tensor, batch: &Placed) -> Result<Sum> {
        match *self {
            Self::Poisson { bin, log_bins } => {
                let mut sum = poisson(logits, batch, bin)?;
                if let Some(log_bins) = log_bins {
                    let wide = squared(logits, batch, log_bins)?;
                    // counted as the likelihood is
                    sum.loss = sum.loss.f_add(&wide.mean()?.f_mul(&sum.count)?)?;
                }
                Ok(sum)
            }
            Self::Profile { count_weight } => profile(logits, batch, count_weight),
            Self::Classes { site_weight } => classes(logits, batch, site_weight),
        }
    }
}

/// `Σ rate − count · ln rate` over bins; a bin with a masked base does not count.
fn poisson(logits: &Tensor, batch: &Placed, bin: usize) -> Result<Sum> {
    let Bins { rates, counts, weights } = Bins::of(logits, batch, bin)?;
    let each = rates.f_sub(&counts.f_mul(&rates.f_add_scalar(TINY)?.f_log()?)?)?;
    let outputs = rates.size3()?.1 as f64;
    Ok(Sum {
        loss: each.f_mul(&weights)?.f_sum(Kind::Float)?,
        count: weights.f_sum(Kind::Float)?.f_mul_scalar(outputs)?,
    })
}

/// `weight · (ln(1 + Σ rate) − ln(1 + Σ count))²` over wide bins.
fn squared(logits: &Tensor, batch: &Placed, log_bins: LogBins) -> Result<Sum> {
    let Bins { rates, counts, weights } = Bins::of(logits, batch, log_bins.width)?;
    let errors = rates.f_log1p()?.f_sub(&counts.f_log1p()?)?.f_square()?;
    let outputs = rates.size3()?.1 as f64;
    Ok(Sum {
        loss: errors.f_mul(&weights)?.f_sum(Kind::Float)?.f_mul_scalar(log_bins.weight)?,
        count: weights.f_sum(Kind::Float)?.f_mul_scalar(outputs)?,
    })
}

/// Rates and counts added up in bins `[example, output, bin]`; weights `[example, 1, bin]` are 0
/// where a base is masked.
struct Bins {
    rates: Tensor,
    counts: Tensor,
    weights: Tensor,
}

impl Bins {
    fn of(logits: &Tensor, batch: &Placed, width: usize) -> Result<Self> {
        let (rates, counts) = (logits.f_softplus()?, batch.targets.shallow_clone());
        let weights = batch.weights.shallow_clone();
        if width == 1 {
            return Ok(Self { rates, counts, weights });
        }
        let (examples, _, length) = rates.size3()?;
        let width = width as i64;
        let bins = |tensor: &Tensor| {
            let whole = tensor.f_narrow(2, 0, length / width * width)?;
            whole.f_reshape([examples, -1, length / width, width])
        };
        let last = [3].as_slice();
        Ok(Self {
            rates: bins(&rates)?.f_sum_dim_intlist(last, false, Kind::Float)?,
            counts: bins(&counts)?.f_sum_dim_intlist(last, false, Kind::Float)?,
            weights: bins(&weights)?.f_amin(last, false)?,
        })
    }
}

/// Per window, over its outputs and positions together: `−Σ count · ln share` and
/// `weight · (ln(1 + Σ rate) − ln(1 + Σ count))²`.
fn profile(logits: &Tensor, batch: &Placed, count_weight: f64) -> Result<Sum> {
    let rates = logits.f_softplus()?.f_mul(&batch.weights)?;
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

/// `−Σ weight · ln P(class)` over positions.
fn classes(logits: &Tensor, batch: &Placed, site_weight: f64) -> Result<Sum> {
    let classes = batch.targets.f_squeeze_dim(1)?.f_to_kind(Kind::Int64)?;
    let outputs = logits.size3()?.1 as usize;
    let factors: Vec<f32> =
        (0..outputs).map(|class| if class == 0 { 1.0 } else { site_weight as f32 }).collect();
    let factors = Tensor::f_from_slice(&factors)?.f_to_device(logits.device())?;
    let likely = logits.f_log_softmax(1, Kind::Float)?;
    let each = likely.f_nll_loss_nd(&classes, Some(&factors), Reduction::None, -100)?;
    let weights = batch.weights.f_squeeze_dim(1)?;
    Ok(Sum { loss: each.f_mul(&weights)?.f_sum(Kind::Float)?, count: weights.f_sum(Kind::Float)? })
}
