//! AdamW (Loshchilov and Hutter, ICLR 2019) over the tensors of a network, with its state in plain
//! sight, so that a checkpoint can hold it bit for bit.

use super::config::Training;
use crate::engine::torch::trainable::{Trainable, Variables, numbers};
use crate::error::{Error, Result};
use crate::model::{self, Weights};
use tch::{Kind, Tensor};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// Means of gradients and of their squares, and where wanted of the weights themselves.
pub struct AdamW {
    first: Variables,
    second: Variables,
    /// Averaged weights, of every tensor of the network.
    average: Option<Variables>,
}

/// The state as plain numbers, by what it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// Means of gradients.
    pub first: Weights,
    /// Means of squares of gradients.
    pub second: Weights,
    /// Averaged weights; empty where none are kept.
    pub average: Weights,
}

impl AdamW {
    /// At the beginning of a run.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn new(network: &Trainable, training: &Training) -> Result<Self> {
        let zeros = || -> Result<Variables> {
            let zero = |(name, tensor): (&String, &Tensor)| {
                Ok((name.clone(), tensor.f_detach()?.f_zeros_like()?))
            };
            network.learned().map(zero).collect()
        };
        let copy = |(name, tensor): (&String, &Tensor)| {
            Ok((name.clone(), tensor.f_detach()?.f_add_scalar(0.0)?))
        };
        let average = (training.average > 0.0)
            .then(|| network.variables().iter().map(copy).collect::<Result<_>>())
            .transpose()?;
        Ok(Self { first: zeros()?, second: zeros()?, average })
    }

    /// Moves the weights against the gradient of a loss, after steps `0..step`, and returns the
    /// length of the gradient before it was clipped.
    ///
    /// # Errors
    /// A gradient that is no number, or what libtorch says.
    pub fn step(
        &mut self,
        network: &Trainable,
        loss: &Tensor,
        training: &Training,
        rate: f64,
        step: u64,
    ) -> Result<f64> {
        let (names, learned): (Vec<&String>, Vec<&Tensor>) = network.learned().unzip();
        let gradients = Tensor::f_run_backward(&[loss], &learned, false, false)?;
        tch::no_grad(|| {
            let squares = gradients
                .iter()
                .map(|gradient| gradient.f_square()?.f_sum(Kind::Double))
                .collect::<std::result::Result<Vec<_>, _>>()?;
            let length = Tensor::f_stack(&squares, 0)?.f_sum(Kind::Double)?.f_sqrt()?;
            let length = length.f_double_value(&[])?;
            if !length.is_finite() {
                return Err(Error::new("the gradient is no number"));
            }
            let shrink = (training.clip / (length + 1e-6)).min(1.0);
            let time = i32::try_from(step + 1).unwrap_or(i32::MAX);
            let (c1, c2) = (1.0 - BETA1.powi(time), 1.0 - BETA2.powi(time));
            for ((name, weight), gradient) in names.iter().zip(learned).zip(&gradients) {
                let gradient = gradient.f_mul_scalar(shrink)?;
                let first = self.first.get_mut(*name).expect("one for each tensor");
                let second = self.second.get_mut(*name).expect("one for each tensor");
                let _ = first.f_mul_scalar_(BETA1)?.f_add_(&gradient.f_mul_scalar(1.0 - BETA1)?)?;
                let square = gradient.f_square()?.f_mul_scalar(1.0 - BETA2)?;
                let _ = second.f_mul_scalar_(BETA2)?.f_add_(&square)?;
                let size = second.f_div_scalar(c2)?.f_sqrt()?.f_add_scalar(EPSILON)?;
                let change = first.f_div(&size)?.f_mul_scalar(rate / c1)?;
                let mut weight = weight.f_detach()?;
                if name.ends_with(".weight") {
                    let _ = weight.f_mul_scalar_(1.0 - rate * training.weight_decay)?;
                }
                let _ = weight.f_sub_(&change)?;
            }
            if let Some(average) = &mut self.average {
                // the first steps are forgotten faster
                let past = training.average.min((1.0 + step as f64) / (10.0 + step as f64));
                for (name, kept) in average {
                    let now = network.variables()[name].f_detach()?.f_mul_scalar(1.0 - past)?;
                    let _ = kept.f_mul_scalar_(past)?.f_add_(&now)?;
                }
            }
            Ok(length)
        })
    }

    /// The weights that predict: the averaged ones where they are kept.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn weights(&self, network: &Trainable) -> Result<Weights> {
        let mut weights = network.weights()?;
        for (name, tensor) in self.average.iter().flatten() {
            if let Some(kept) = weights.get_mut(name) {
                kept.values = numbers(tensor)?;
            }
        }
        Ok(weights)
    }

    /// The state as plain numbers.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn state(&self) -> Result<State> {
        let empty = Variables::new();
        Ok(State {
            first: plain(&self.first)?,
            second: plain(&self.second)?,
            average: plain(self.average.as_ref().unwrap_or(&empty))?,
        })
    }

    /// Takes a state back.
    ///
    /// # Errors
    /// A state of another network, or what libtorch says.
    pub fn restore(&mut self, state: &State) -> Result<()> {
        let average = self.average.iter_mut().map(|average| (average, &state.average));
        let parts = [(&mut self.first, &state.first), (&mut self.second, &state.second)];
        for (variables, plain) in parts.into_iter().chain(average) {
            overwrite(variables, plain)?;
        }
        Ok(())
    }
}

/// The values of some tensors.
fn plain(variables: &Variables) -> Result<Weights> {
    let one = |(name, tensor): (&String, &Tensor)| {
        let shape = tensor.size().into_iter().map(|axis| axis as usize).collect();
        Ok((name.clone(), model::Tensor { shape, values: numbers(tensor)? }))
    };
    variables.iter().map(one).collect()
}

/// Writes values over some tensors.
///
/// # Errors
/// Other names or sizes, or what libtorch says.
pub fn overwrite(variables: &mut Variables, plain: &Weights) -> Result<()> {
    if !variables.keys().eq(plain.keys()) {
        return Err(Error::new("the checkpoint is of another network"));
    }
    tch::no_grad(|| {
        for (name, tensor) in variables {
            let values = &plain[name].values;
            if values.len() != tensor.numel() {
                return Err(Error::new(format!("the checkpoint has another size of {name}")));
            }
            let source = Tensor::f_from_slice(values)?.f_view(tensor.size().as_slice())?;
            tensor.f_detach()?.f_copy_(&source)?;
        }
        Ok(())
    })
}
