//! What happens to rows after a convolution: affine, activation, sums, gates, softmax.
//!
//! All work on a block of rows that is still in cache. Each number is computed by the same
//! operations wherever it lies in the block, so the compiler may vectorise as it likes.

use super::Isa;
use crate::network::Activation;

/// Rows of channels, `stride` numbers apart.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Row after row.
    pub values: &'a [f32],
    /// Numbers per row.
    pub stride: usize,
}

/// One elementwise step on a block of rows; rows of `other` belong to the same positions.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// `scale · x + shift` per channel (`scale.len()` is the stride).
    Affine {
        /// Per padded channel.
        scale: &'a [f32],
        /// Per padded channel.
        shift: &'a [f32],
    },
    /// An elementwise function.
    Activate(Activation),
    /// `x + other`.
    Add(Rows<'a>),
    /// `tanh(x) · sigmoid(other)`.
    GateBy(Rows<'a>),
    /// `tanh(other) · sigmoid(x)`.
    GateOf(Rows<'a>),
    /// Softmax over the first so many channels.
    Softmax(usize),
}

/// Applies a step to rows of `stride` numbers.
pub fn apply(isa: Isa, step: Step<'_>, rows: &mut [f32], stride: usize) {
    match isa {
        Isa::Portable => apply_here(step, rows, stride),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => {
            assert!(isa.is_available());
            // SAFETY: the processor has AVX2; the function is safe Rust otherwise.
            unsafe { apply_avx2(step, rows, stride) }
        }
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => {
            assert!(isa.is_available());
            // SAFETY: the processor has AVX-512F; the function is safe Rust otherwise.
            unsafe { apply_avx512(step, rows, stride) }
        }
        #[cfg(not(target_arch = "x86_64"))]
        Isa::Avx2 | Isa::Avx512 => unreachable!("refused when the engine was built"),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn apply_avx2(step: Step<'_>, rows: &mut [f32], stride: usize) {
    apply_here(step, rows, stride);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn apply_avx512(step: Step<'_>, rows: &mut [f32], stride: usize) {
    apply_here(step, rows, stride);
}

/// The loops, compiled once for each instruction set.
#[inline(always)]
fn apply_here(step: Step<'_>, rows: &mut [f32], stride: usize) {
    match step {
        Step::Affine { scale, shift } => {
            for row in rows.chunks_exact_mut(stride) {
                for ((x, scale), shift) in row.iter_mut().zip(scale).zip(shift) {
                    *x = scale * *x + shift;
                }
            }
        }
        Step::Activate(function) => match function {
            Activation::Relu => each(rows, |x| keep_positive(x, 0.0)),
            Activation::LeakyRelu { slope } => each(rows, |x| keep_positive(x, slope)),
            Activation::Gelu => each(rows, gelu),
            Activation::GeluTanh => each(rows, gelu_tanh),
            Activation::Tanh => each(rows, f32::tanh),
            Activation::Sigmoid => each(rows, sigmoid),
            Activation::Softplus => each(rows, |x| x.max(0.0) + (-x.abs()).exp().ln_1p()),
        },
        Step::Add(other) => pairs(rows, stride, other, |x, y| x + y),
        Step::GateBy(other) => pairs(rows, stride, other, |x, y| x.tanh() * sigmoid(y)),
        Step::GateOf(other) => pairs(rows, stride, other, |x, y| y.tanh() * sigmoid(x)),
        Step::Softmax(channels) => {
            for row in rows.chunks_exact_mut(stride) {
                softmax(&mut row[..channels]);
            }
        }
    }
}

#[inline(always)]
fn each(rows: &mut [f32], f: impl Fn(f32) -> f32) {
    rows.iter_mut().for_each(|x| *x = f(*x));
}

#[inline(always)]
fn pairs(rows: &mut [f32], stride: usize, other: Rows<'_>, f: impl Fn(f32, f32) -> f32) {
    if other.stride == stride {
        rows.iter_mut().zip(other.values).for_each(|(x, &y)| *x = f(*x, y));
        return;
    }
    let others = other.values.chunks_exact(other.stride);
    for (row, other) in rows.chunks_exact_mut(stride).zip(others) {
        row.iter_mut().zip(other).for_each(|(x, &y)| *x = f(*x, y));
    }
}

/// `x`, or `slope · x` below zero. A NaN stays a NaN, so that it can be reported.
#[inline(always)]
fn keep_positive(x: f32, slope: f32) -> f32 {
    if x < 0.0 { slope * x } else { x }
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[inline(always)]
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2))
}

#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    let scale = std::f32::consts::FRAC_2_PI.sqrt();
    0.5 * x * (1.0 + (scale * (x + 0.044_715 * x * x * x)).tanh())
}

#[inline(always)]
fn softmax(row: &mut [f32]) {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for x in row.iter_mut() {
        *x = (*x - largest).exp();
        sum += *x;
    }
    row.iter_mut().for_each(|x| *x /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::oracle::activate;

    #[test]
    fn every_function_follows_its_definition_on_every_instruction_set() {
        let functions = [
            Activation::Relu,
            Activation::LeakyRelu { slope: 0.1 },
            Activation::Gelu,
            Activation::GeluTanh,
            Activation::Tanh,
            Activation::Sigmoid,
            Activation::Softplus,
        ];
        let points: Vec<f32> = (-160..160).map(|i| i as f32 * 0.05).collect();
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            for function in functions {
                let mut rows = points.clone();
                apply(isa, Step::Activate(function), &mut rows, 16);
                for (x, got) in points.iter().zip(rows) {
                    let want = activate(function, f64::from(*x));
                    assert!((f64::from(got) - want).abs() < 1e-6, "{isa} {function:?}({x}): {got}");
                }
            }
        }
    }

    #[test]
    fn softmax_leaves_the_padding_alone_and_sums_to_one() {
        let mut row = vec![0.0; 16];
        row[..3].copy_from_slice(&[1.0, 2.0, 3.0]);
        apply(Isa::best(), Step::Softmax(3), &mut row, 16);
        assert!((row[..3].iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((row[2] - 0.665_240_96).abs() < 1e-6);
        assert_eq!(row[3..], [0.0; 13]);
    }

    #[test]
    fn a_nan_is_not_hidden() {
        let mut row = vec![f32::NAN; 16];
        apply(Isa::best(), Step::Activate(Activation::Relu), &mut row, 16);
        assert!(row.iter().all(|x| x.is_nan()));
    }
}
