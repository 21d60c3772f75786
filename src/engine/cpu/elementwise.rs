//! What happens to rows after a convolution: affine, activation, sums, gates, softmax.
//!
//! All work on rows that are still in cache. Each number is computed by the same operations
//! wherever it lies, so the compiler may vectorise as it likes.

use super::Isa;
use super::kernel::simd::{self, Lanes, Work};
use crate::network::Activation;

/// Rows of channels, `stride` numbers apart.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Row after row.
    pub values: &'a [f32],
    /// Numbers from one row to the next.
    pub stride: usize,
}

/// Rows to be written, `stride` numbers apart.
#[derive(Debug)]
pub struct RowsMut<'a> {
    /// Row after row.
    pub values: &'a mut [f32],
    /// Numbers from one row to the next.
    pub stride: usize,
}

/// An operation of one instruction or two: several of them are done in one pass.
#[derive(Debug, Clone, Copy)]
pub enum Light<'a> {
    /// `scale · x + shift` per channel, one number per number of a row.
    Affine(&'a [f32], &'a [f32]),
    /// `max(0, x)`
    Relu,
    /// `x`, or so many times `x` below zero.
    LeakyRelu(f32),
    /// `x + other`; the other rows belong to the same positions.
    Add(Rows<'a>),
    /// `x +` what is at the place that the result goes to.
    AddTarget,
}

/// An operation that calls functions: one pass for each.
#[derive(Debug, Clone, Copy)]
pub enum Heavy<'a> {
    /// An elementwise function.
    Activate(Activation),
    /// `x + other`, of rows of any width.
    Add(Rows<'a>),
    /// `tanh(x) · sigmoid(other)`.
    GateBy(Rows<'a>),
    /// `tanh(other) · sigmoid(x)`.
    GateOf(Rows<'a>),
    /// Softmax over the first so many channels.
    Softmax(usize),
}

/// Takes rows of `width` numbers through light operations and writes them to `to`; without `from`,
/// the rows are those of `to` themselves.
///
/// # Panics
/// When the slices are too short for `count` rows, or the processor lacks the instruction set.
pub fn pass(
    isa: Isa,
    operations: &[Light<'_>],
    from: Option<Rows<'_>>,
    to: RowsMut<'_>,
    (count, width): (usize, usize),
) {
    if count == 0 {
        return;
    }
    let holds = |length: usize, stride: usize| (count - 1) * stride + width <= length;
    let fits = |operation: &Light<'_>| match operation {
        Light::Affine(scale, shift) => scale.len() >= width && shift.len() >= width,
        Light::Add(other) => holds(other.values.len(), other.stride),
        Light::Relu | Light::LeakyRelu(_) | Light::AddTarget => true,
    };
    assert!(holds(to.values.len(), to.stride) && operations.iter().all(fits));
    assert!(from.is_none_or(|from| holds(from.values.len(), from.stride)));
    assert!(width.is_multiple_of(super::kernel::LANES));
    simd::run(isa, LightPass { operations, from, to, count, width });
}

/// A pass whose rows lie inside their slices; the width is a multiple of every register's.
struct LightPass<'a> {
    operations: &'a [Light<'a>],
    from: Option<Rows<'a>>,
    to: RowsMut<'a>,
    count: usize,
    width: usize,
}

impl Work for LightPass<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(mut self) {
        /// Rows that are in registers together.
        const BLOCK: usize = 8;
        let mut row = 0;
        // SAFETY: blocks lie inside the rows.
        unsafe {
            while row + BLOCK <= self.count {
                self.rows::<V, BLOCK>(row);
                row += BLOCK;
            }
            while row < self.count {
                self.rows::<V, 1>(row);
                row += 1;
            }
        }
    }
}

impl LightPass<'_> {
    /// Rows `[row, row + N)`.
    ///
    /// # Safety
    /// `row + N <= count`; the processor has the instruction set.
    #[inline(always)]
    unsafe fn rows<V: Lanes, const N: usize>(&mut self, row: usize) {
        let to = self.to.values.as_mut_ptr();
        for column in (0..self.width).step_by(V::WIDTH) {
            // SAFETY: every slice holds `count` rows of `width` numbers, and `row + N <= count`,
            // `column + V::WIDTH <= width`.
            unsafe {
                let at = |values: *const f32, stride: usize| -> [V; N] {
                    std::array::from_fn(|i| V::load(values.add((row + i) * stride + column)))
                };
                let mut x = match self.from {
                    Some(from) => at(from.values.as_ptr(), from.stride),
                    None => at(to, self.to.stride),
                };
                for operation in self.operations {
                    match *operation {
                        Light::Affine(scale, shift) => {
                            let scale = V::load(scale.as_ptr().add(column));
                            let shift = V::load(shift.as_ptr().add(column));
                            x = x.map(|x| shift.add_product(x, scale));
                        }
                        Light::Relu => x = x.map(|x| x.or_if_negative(V::splat(0.0))),
                        Light::LeakyRelu(slope) => {
                            x = x.map(|x| x.or_if_negative(x.times(V::splat(slope))));
                        }
                        Light::Add(other) => {
                            let other = at(other.values.as_ptr(), other.stride);
                            x.iter_mut().zip(other).for_each(|(x, y)| *x = x.plus(y));
                        }
                        Light::AddTarget => {
                            let other = at(to, self.to.stride);
                            x.iter_mut().zip(other).for_each(|(x, y)| *x = x.plus(y));
                        }
                    }
                }
                for (i, x) in x.into_iter().enumerate() {
                    x.store(to.add((row + i) * self.to.stride + column));
                }
            }
        }
    }
}

/// Applies a heavy operation to rows of `width` numbers, one after the other.
pub fn apply(isa: Isa, operation: Heavy<'_>, rows: &mut [f32], width: usize) {
    simd::run(isa, HeavyPass { operation, rows, width });
}

struct HeavyPass<'a> {
    operation: Heavy<'a>,
    rows: &'a mut [f32],
    width: usize,
}

impl Work for HeavyPass<'_> {
    /// Safe loops, compiled once for each instruction set.
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { operation, rows, width } = self;
        match operation {
            Heavy::Activate(function) => match function {
                Activation::Relu => each(rows, |x| keep_positive(x, 0.0)),
                Activation::LeakyRelu { slope } => each(rows, |x| keep_positive(x, slope)),
                Activation::Gelu => each(rows, gelu),
                Activation::GeluTanh => each(rows, gelu_tanh),
                Activation::Tanh => each(rows, f32::tanh),
                Activation::Sigmoid => each(rows, sigmoid),
                Activation::Softplus => each(rows, |x| x.max(0.0) + (-x.abs()).exp().ln_1p()),
                Activation::Exp => each(rows, f32::exp),
            },
            Heavy::Add(other) => pairs(rows, width, other, |x, y| x + y),
            Heavy::GateBy(other) => pairs(rows, width, other, |x, y| x.tanh() * sigmoid(y)),
            Heavy::GateOf(other) => pairs(rows, width, other, |x, y| y.tanh() * sigmoid(x)),
            Heavy::Softmax(channels) => {
                for row in rows.chunks_exact_mut(width) {
                    softmax(&mut row[..channels]);
                }
            }
        }
    }
}

#[inline(always)]
fn each(rows: &mut [f32], f: impl Fn(f32) -> f32) {
    rows.iter_mut().for_each(|x| *x = f(*x));
}

#[inline(always)]
fn pairs(rows: &mut [f32], width: usize, other: Rows<'_>, f: impl Fn(f32, f32) -> f32) {
    for (row, other) in rows.chunks_exact_mut(width).zip(other.values.chunks(other.stride)) {
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
            Activation::Exp,
        ];
        let points: Vec<f32> = (-160..160).map(|i| i as f32 * 0.05).collect();
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            for function in functions {
                let mut rows = points.clone();
                apply(isa, Heavy::Activate(function), &mut rows, 16);
                for (x, got) in points.iter().zip(rows) {
                    let want = activate(function, f64::from(*x));
                    let allowed = 1e-6 * want.abs().max(1.0);
                    let error = (f64::from(got) - want).abs();
                    assert!(error < allowed, "{isa} {function:?}({x}): {got}");
                }
            }
        }
    }

    #[test]
    fn softmax_leaves_the_padding_alone_and_sums_to_one() {
        let mut row = vec![0.0; 16];
        row[..3].copy_from_slice(&[1.0, 2.0, 3.0]);
        apply(Isa::best(), Heavy::Softmax(3), &mut row, 16);
        assert!((row[..3].iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((row[2] - 0.665_240_96).abs() < 1e-6);
        assert_eq!(row[3..], [0.0; 13]);
    }

    #[test]
    fn a_nan_is_not_hidden() {
        let mut row = vec![f32::NAN; 16];
        apply(Isa::best(), Heavy::Activate(Activation::Relu), &mut row, 16);
        assert!(row.iter().all(|x| x.is_nan()));
    }

    #[test]
    fn light_operations_in_one_pass_are_those_one_by_one_at_any_stride() {
        let number = |i: usize| (i * 7919 % 101) as f32 / 50.0 - 1.0;
        let (count, width, apart) = (11, 32, 48);
        let from: Vec<f32> = (0..count * width).map(number).collect();
        let other: Vec<f32> = (0..count * apart).map(|i| number(i + 5)).collect();
        let (scale, shift) = (&other[..32], &other[32..64]);
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            let partner = Rows { values: &other, stride: apart };
            let operations =
                [Light::Affine(scale, shift), Light::LeakyRelu(0.5), Light::Add(partner)];
            let operations = [&operations[..], &[Light::AddTarget, Light::Relu]].concat();
            let mut to = other.clone();
            let rows = RowsMut { values: &mut to, stride: apart };
            let source = Some(Rows { values: &from, stride: width });
            pass(isa, &operations, source, rows, (count, width));
            for (row, got) in to.chunks(apart).enumerate() {
                for (channel, got) in got.iter().enumerate() {
                    let old = other[row * apart + channel];
                    let wanted = match from.get(row * width + channel) {
                        Some(x) if channel < width => {
                            let x = scale[channel] * x + shift[channel];
                            (keep_positive(x, 0.5) + old + old).max(0.0)
                        }
                        _ => old, // between rows
                    };
                    assert!((got - wanted).abs() < 1e-6, "{isa} {row} {channel}: {got} {wanted}");
                }
            }
        }
    }

    #[test]
    fn a_nan_is_not_hidden_by_a_light_operation() {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            for operation in [Light::Relu, Light::LeakyRelu(0.1)] {
                let mut row = vec![f32::NAN; 16];
                pass(isa, &[operation], None, RowsMut { values: &mut row, stride: 16 }, (1, 16));
                assert!(row.iter().all(|x| x.is_nan()));
            }
        }
    }
}
