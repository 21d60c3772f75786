//! Convolution kernels: direct, and by Fourier transform where kernels are long.
//!
//! Activations are position-major: row `t` holds the channels of position `t`, padded to a
//! multiple of [`LANES`]. What an output number is depends on the rows that it reads (direct), or
//! on those of its anchored block (transforms), never on where a tile begins.

mod direct;
mod fft;
mod simd;
mod transform;

pub use fft::{Scratch, Spectral};

use super::Isa;
use simd::Portable;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m512};

/// Row strides are multiples of this many numbers: one AVX-512 register.
pub const LANES: usize = 16;
/// Output channels that a full panel of packed weights covers.
const PANEL: usize = 2 * LANES;

/// Channels rounded up to whole registers: the stride of a row.
pub fn padded(channels: usize) -> usize {
    channels.next_multiple_of(LANES)
}

/// A convolution's weights in the order in which the kernels read them.
#[derive(Debug, Clone)]
pub struct Packed {
    /// Taps.
    pub taps: usize,
    /// Input channels.
    pub inputs: usize,
    /// Output channels, padded: the row stride of the output.
    pub stride: usize,
    /// Panel after panel: `[tap][input][output of the panel]`; panels cover 32 outputs, the last
    /// one 16 if that is all there is left.
    weights: Vec<f32>,
    /// One number per padded output.
    bias: Vec<f32>,
}

impl Packed {
    /// From `weight(output, input, tap)` and `bias(output)`; padded outputs get zeros.
    pub fn new(
        (outputs, inputs, taps): (usize, usize, usize),
        weight: impl Fn(usize, usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Self {
        let stride = padded(outputs);
        let mut weights = Vec::with_capacity(stride * inputs * taps);
        for panel in (0..stride).step_by(PANEL) {
            for tap in 0..taps {
                for input in 0..inputs {
                    let columns = panel..stride.min(panel + PANEL);
                    weights.extend(columns.map(|output| {
                        if output < outputs { weight(output, input, tap) } else { 0.0 }
                    }));
                }
            }
        }
        let bias =
            (0..stride).map(|output| if output < outputs { bias(output) } else { 0.0 }).collect();
        Self { taps, inputs, stride, weights, bias }
    }

    /// Multiply-adds per output row.
    pub fn work(&self) -> usize {
        self.taps * self.inputs * self.stride
    }

    /// Panels: first output, width, and weights.
    fn panels(&self) -> impl Iterator<Item = Panel<'_>> {
        let size = self.taps * self.inputs;
        (0..self.stride).step_by(PANEL).map(move |first| {
            let width = PANEL.min(self.stride - first);
            let weights = &self.weights[first * size..][..width * size];
            Panel { first, width, weights, bias: &self.bias[first..][..width] }
        })
    }
}

/// The weights of up to 32 output channels.
struct Panel<'a> {
    first: usize,
    width: usize,
    weights: &'a [f32],
    bias: &'a [f32],
}

/// A run of consecutive output rows to compute.
pub struct Pass<'a> {
    /// Begins with the row that tap 0 of the first output row reads.
    pub input: &'a [f32],
    /// Numbers between input rows.
    pub input_stride: usize,
    /// Input rows between taps.
    pub dilation: usize,
    /// Number of output rows.
    pub rows: usize,
    /// Output rows, `packed.stride` numbers each.
    pub output: &'a mut [f32],
}

impl Pass<'_> {
    /// Whether the slices hold every row that the kernels touch, of so many input channels.
    fn fits(&self, packed: &Packed, channels: usize) -> bool {
        let last_row = self.rows - 1 + (packed.taps - 1) * self.dilation;
        channels <= self.input_stride
            && last_row * self.input_stride + channels <= self.input.len()
            && self.rows * packed.stride <= self.output.len()
    }
}

/// Computes the rows of a pass.
///
/// # Panics
/// When the slices are shorter than the pass says, or the processor lacks the instruction set.
pub fn convolve(isa: Isa, packed: &Packed, pass: Pass<'_>) {
    if pass.rows == 0 {
        return;
    }
    assert!(isa.is_available());
    assert!(pass.fits(packed, packed.inputs), "a pass must lie inside its buffers");
    // SAFETY: the processor has the instruction set, and the pass fits.
    unsafe {
        match isa {
            Isa::Portable => direct::convolve::<Portable, 4, 2>(packed, pass),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => direct_avx2(packed, pass),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => direct_avx512(packed, pass),
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::Avx512 => unreachable!("not available"),
        }
    }
}

/// Computes whole blocks by transforms; `pass.rows` is a multiple of [`Spectral::block`], and
/// `packed` holds the same weights.
///
/// # Panics
/// As for [`convolve`].
pub fn convolve_blocks(
    isa: Isa,
    spectral: &Spectral,
    packed: &Packed,
    pass: Pass<'_>,
    scratch: &mut Scratch,
) {
    if pass.rows == 0 {
        return;
    }
    assert!(isa.is_available());
    assert!(pass.rows.is_multiple_of(spectral.block()), "whole blocks only");
    assert!(pass.fits(packed, fft::CHANNELS), "a pass must lie inside its buffers");
    // SAFETY: the processor has the instruction set, and the pass fits.
    unsafe {
        match isa {
            Isa::Portable => {
                fft::convolve::<Portable, 2, 2>(isa, spectral, packed, pass, scratch);
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => fft_avx2(isa, spectral, packed, pass, scratch),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => fft_avx512(isa, spectral, packed, pass, scratch),
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::Avx512 => unreachable!("not available"),
        }
    }
}

/// # Safety
/// See [`direct::convolve`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn direct_avx2(packed: &Packed, pass: Pass<'_>) {
    // SAFETY: passed on.
    unsafe { direct::convolve::<__m256, 6, 2>(packed, pass) }
}

/// # Safety
/// See [`direct::convolve`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn direct_avx512(packed: &Packed, pass: Pass<'_>) {
    // SAFETY: passed on.
    unsafe { direct::convolve::<__m512, 12, 2>(packed, pass) }
}

/// # Safety
/// See [`fft::convolve`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn fft_avx2(
    isa: Isa,
    spectral: &Spectral,
    packed: &Packed,
    pass: Pass<'_>,
    scratch: &mut Scratch,
) {
    // SAFETY: passed on.
    unsafe { fft::convolve::<__m256, 2, 2>(isa, spectral, packed, pass, scratch) }
}

/// # Safety
/// See [`fft::convolve`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn fft_avx512(
    isa: Isa,
    spectral: &Spectral,
    packed: &Packed,
    pass: Pass<'_>,
    scratch: &mut Scratch,
) {
    // SAFETY: passed on.
    unsafe { fft::convolve::<__m512, 6, 2>(isa, spectral, packed, pass, scratch) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same chain of operations, one number at a time, in f64.
    fn reference(
        packed: &Packed,
        pass: &Pass<'_>,
        weight: impl Fn(usize, usize, usize) -> f32,
    ) -> Vec<f64> {
        let mut values = vec![];
        for row in 0..pass.rows {
            for output in 0..packed.stride {
                let mut sum = f64::from(packed.bias[output]);
                for tap in 0..packed.taps {
                    for input in 0..packed.inputs {
                        let x = pass.input[(row + tap * pass.dilation) * pass.input_stride + input];
                        sum += f64::from(weight(output, input, tap)) * f64::from(x);
                    }
                }
                values.push(sum);
            }
        }
        values
    }

    /// Number `i` of a sequence, between -0.5 and 0.5 (the mixing function of SplitMix64).
    fn number(seed: u32, i: usize) -> f32 {
        let mut z = ((u64::from(seed) << 32) + i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32 - 0.5
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn every_path_computes_the_sum_and_no_row_depends_on_its_neighbours(
            outputs in 1usize..70, inputs in 1usize..40, taps in 1usize..8,
            dilation in 1usize..5, rows in 1usize..60, skip in 0usize..60, seed in any::<u32>(),
        ) {
            let number = |i: usize| number(seed, i);
            let weight = |o: usize, i: usize, j: usize| {
                if o < outputs { number((o * 41 + i) * 9 + j) } else { 0.0 }
            };
            let packed = Packed::new((outputs, inputs, taps), weight, |o| number(o + 7));
            let input_stride = padded(inputs);
            let need = rows + (taps - 1) * dilation;
            let input: Vec<f32> = (0..need * input_stride).map(|i| number(i * 3 + 1)).collect();
            for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
                let mut output = vec![f32::NAN; rows * packed.stride];
                let run = |first: usize, rows: usize, output: &mut [f32]| {
                    let input = &input[first * input_stride..];
                    convolve(isa, &packed, Pass { input, input_stride, dilation, rows, output });
                };
                run(0, rows, &mut output);
                let pass = Pass { input: &input, input_stride, dilation, rows, output: &mut [] };
                for (got, want) in output.iter().zip(reference(&packed, &pass, weight)) {
                    prop_assert!((f64::from(*got) - want).abs() < 2e-5, "{isa}: {got} {want}");
                }
                let skip = skip.min(rows - 1);
                let mut part = vec![f32::NAN; (rows - skip) * packed.stride];
                run(skip, rows - skip, &mut part);
                prop_assert_eq!(&part[..], &output[skip * packed.stride..], "{}", isa);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn transforms_compute_the_same_sums_and_no_block_depends_on_its_neighbours(
            outputs in 17usize..33, inputs in 28usize..33, taps in 20usize..70,
            dilation in 1usize..30, blocks in 1usize..4, spike in any::<bool>(), seed in any::<u32>(),
        ) {
            let number = |i: usize| number(seed, i);
            let weight = |o: usize, i: usize, j: usize| {
                if o < outputs { number((o * 41 + i) * 61 + j) } else { 0.0 }
            };
            let packed = Packed::new((outputs, inputs, taps), weight, |o| number(o + 7));
            let spectral = Spectral::new(&packed, dilation, outputs).expect("long kernels pay");
            let rows = blocks * spectral.block();
            let need = rows + (taps - 1) * dilation;
            let mut input: Vec<f32> = (0..need * 32).map(|i| number(i * 3 + 1)).collect();
            if spike {
                // one row 10,000 times its neighbours (cpu-kernels.md 4b)
                input[need / 2 * 32..][..32].iter_mut().for_each(|x| *x *= 1e4);
            }
            for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
                let run = |first: usize, rows: usize| {
                    let mut output = vec![f32::NAN; rows * 32];
                    let (input, output_rows) = (&input[first * 32..], &mut output);
                    let pass =
                        Pass { input, input_stride: 32, dilation, rows, output: output_rows };
                    convolve_blocks(isa, &spectral, &packed, pass, &mut Scratch::default());
                    output
                };
                let whole = run(0, rows);
                let mut direct = vec![f32::NAN; rows * 32];
                let output = &mut direct;
                convolve(isa, &packed, Pass { input: &input, input_stride: 32, dilation, rows, output });
                for (i, (got, want)) in whole.iter().zip(&direct).enumerate() {
                    let near = 3e-5f32.max(want.abs() * 1e-5);
                    prop_assert!((got - want).abs() < near, "{isa} row {}: {got} {want}", i / 32);
                }
                let last = rows - spectral.block();
                prop_assert_eq!(&run(last, spectral.block())[..], &whole[last * 32..], "{}", isa);
            }
        }
    }

    #[test]
    fn transforms_are_as_accurate_as_sums_whatever_the_scale_of_channels() {
        let mut drawn = 0;
        let mut uniform = || {
            drawn += 1;
            number(1, drawn)
        };
        for (taps, decades) in [(21, 0.0), (26, 2.0), (41, 0.0), (41, 2.0)] {
            let scale = |c: usize| 10f32.powf((c * 7 % 32) as f32 / 32.0 * decades);
            let numbers: Vec<f32> = (0..32 * 32 * taps).map(|_| uniform()).collect();
            let weight = |o: usize, i: usize, j: usize| numbers[(o * 32 + i) * taps + j] / scale(i);
            let packed = Packed::new((32, 32, taps), weight, |_| 0.0);
            let spectral = Spectral::new(&packed, 1, 32).expect("long kernels pay");
            let rows = 4 * spectral.block();
            let count = (rows + taps - 1) * 32;
            let input: Vec<f32> = (0..count).map(|i| uniform().max(0.0) * scale(i % 32)).collect();
            let (mut output, mut expected) = (vec![0.0; rows * 32], vec![]);
            let mut error = |transform: bool| {
                let output = &mut output;
                let pass = Pass { input: &input, input_stride: 32, dilation: 1, rows, output };
                if expected.is_empty() {
                    expected = reference(&packed, &pass, weight);
                }
                match transform {
                    true => {
                        let scratch = &mut Scratch::default();
                        convolve_blocks(Isa::best(), &spectral, &packed, pass, scratch);
                    }
                    false => convolve(Isa::best(), &packed, pass),
                }
                let squares =
                    output.iter().zip(&expected).map(|(o, e)| (f64::from(*o) - e).powi(2));
                squares.sum::<f64>().sqrt()
            };
            let (transformed, summed) = (error(true), error(false));
            assert!(transformed < summed, "{taps} taps: {transformed:e} against {summed:e}");
        }
    }
}
