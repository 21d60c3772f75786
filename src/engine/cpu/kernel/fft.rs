//! Convolution by fast Fourier transform (overlap-save), for long kernels of 32 channels
//! (cpu-kernels.md 4b).
//!
//! A dilated convolution is a dense one on each residue of the position modulo the dilation. A
//! tile is one residue of one *block*: `N` input rows, `dilation` positions apart, give
//! `N - taps + 1` outputs. Blocks lie at absolute multiples of their length and are computed whole,
//! so an output depends on the sequence around it and on nothing else.
//!
//! The 32 channels of a row travel as 16 complex numbers, channel `c` the real and `16 + c` the
//! imaginary part, so that one complex transform serves two channels. Per frequency the tiles are
//! multiplied with a complex 32 x 32 matrix, then transformed back.

use super::choice::Shape;
use super::packed::{Packed, padded};
use super::simd::{self, Lanes, Work};
use super::transform::{Stage, finish, tangle, transform, twiddles, untangle};
use super::{Aligned, Finished, Isa, Pass, Take, direct};
use std::f64::consts::TAU;
use std::ops::Range;

/// Channels in and out, padded.
pub const CHANNELS: usize = 32;
/// Numbers of one complex row: real parts, then imaginary parts, of all channels.
const ROW: usize = 2 * CHANNELS;
/// Lengths of transforms to choose from.
pub const POINTS: [usize; 4] = [32, 64, 128, 256];
/// The shortest transform within this factor of the cheapest one is taken: short blocks waste less
/// at the ends of a stretch.
const GOOD_ENOUGH: f64 = 1.3;
/// Most tiles that go through the stages together: enough to use each weight often.
const TILES: usize = 30;
/// Tiles that are multiplied with a matrix at once.
const GROUP: usize = 6;
/// A multiply-add inside transforms takes about as long as this many of the direct kernel.
const OVERHEAD: usize = 2;
/// Transforms must be expected to be this many times faster than the direct kernel, or they are not
/// worth their blocks, which are computed whole.
const LEAST_GAIN: f64 = 1.25;
/// Error of a transform in units of (root mean square of its rows) x (norm of the weights of an
/// output), as measured (cpu-kernels.md 4b: rows 10,000 times their neighbours err by 1e-3).
const ERROR: f64 = 2e-7;
/// Largest estimated error; beyond it a tile is computed directly.
const LARGEST_ERROR: f64 = 2e-5;

/// A convolution's weights as spectra.
#[derive(Debug, Clone)]
pub struct Spectral {
    points: usize,
    /// Output rows of a tile.
    outputs: usize,
    taps: usize,
    dilation: usize,
    /// `[frequency 0..=N/2][input][real parts of 32 outputs, imaginary parts]`.
    weights: Aligned,
    bias: [f32; CHANNELS],
    /// What each input channel is multiplied with first (its weights are divided by it): powers of
    /// two near the norm of its weights, so that rounding errors weigh alike on all channels.
    balance: [f32; CHANNELS],
    /// Of each radix-4 stage of the transforms.
    twiddles: Vec<Stage>,
    /// Largest sum of squares of a tile's rows that is transformed.
    largest_energy: f32,
}

/// Whether the channels of a convolution are those that transforms are written for.
pub fn fits(shape: Shape) -> bool {
    padded(shape.inputs) == CHANNELS && shape.stride == CHANNELS
}

/// Numbers of multiply-adds per output row of a transform of `points`, or `None` if the kernel is
/// too long for it.
pub fn cost(points: usize, taps: usize) -> Option<usize> {
    let outputs = (points + 1).checked_sub(taps).filter(|&outputs| outputs > 0)?;
    Some(products(points) / outputs)
}

/// The best length of transforms for long stretches, after what it costs.
fn best(taps: usize) -> Option<(usize, usize)> {
    let costs = || POINTS.iter().filter_map(|&points| Some((cost(points, taps)?, points)));
    let (least, _) = costs().min()?;
    costs().find(|(cost, _)| *cost as f64 <= GOOD_ENOUGH * least as f64)
}

/// Points of the transforms of a convolution, where they are faster than the direct kernel.
pub fn points_for(shape: Shape) -> Option<usize> {
    let (cost, points) = best(shape.taps).filter(|_| fits(shape))?;
    (LEAST_GAIN * (OVERHEAD * cost) as f64 <= shape.work() as f64).then_some(points)
}

/// Numbers of multiply-adds of one tile.
fn products(points: usize) -> usize {
    let products = (points / 2 + 1) * 4 * CHANNELS * CHANNELS;
    products + 5 * CHANNELS * points * points.ilog2() as usize / 2
}

/// Time of one tile, in multiply-adds of the direct kernel.
pub fn work(points: usize) -> usize {
    OVERHEAD * products(points)
}

impl Spectral {
    /// Spectra of the weights, for transforms of so many points all of whose outputs are used.
    pub fn new(packed: &Packed, dilation: usize, points: usize) -> Self {
        Self::of_size(packed, dilation, (points, points - packed.taps + 1))
    }

    /// Spectra of the weights for transforms of so many points, of which so many become outputs:
    /// at most those that no tap reaches around.
    pub fn of_size(packed: &Packed, dilation: usize, (points, outputs): (usize, usize)) -> Self {
        let taps = packed.taps;
        let weight = |tap: usize, input: usize| match input < packed.inputs {
            true => &packed.weights[(tap * packed.inputs + input) * CHANNELS..][..CHANNELS],
            false => &[0.0; CHANNELS],
        };
        let balance: [f32; CHANNELS] = std::array::from_fn(|input| {
            let squares =
                (0..taps).flat_map(|tap| weight(tap, input)).map(|&w| f64::from(w).powi(2));
            let norm = squares.sum::<f64>().sqrt();
            if norm > 0.0 { norm.log2().round().clamp(-60.0, 60.0).exp2() as f32 } else { 1.0 }
        });
        // 1/N of the inverse transform and 1/2 of the untangling are folded in
        let scale = 0.5 / points as f64;
        let mut weights = Vec::with_capacity((points / 2 + 1) * CHANNELS * ROW);
        for frequency in 0..=points / 2 {
            let roots: Vec<(f64, f64)> = (0..taps)
                .map(|tap| (TAU * (frequency * tap % points) as f64 / points as f64).sin_cos())
                .collect();
            for (input, balance) in balance.iter().enumerate() {
                let mut sums = [[0.0; CHANNELS]; 2];
                for (tap, (sin, cos)) in roots.iter().enumerate() {
                    // the conjugate: a correlation, not a convolution
                    for (output, &w) in weight(tap, input).iter().enumerate() {
                        sums[0][output] += f64::from(w) * cos;
                        sums[1][output] += f64::from(w) * sin;
                    }
                }
                let scale = scale / f64::from(*balance);
                weights.extend(sums.as_flattened().iter().map(|sum| (sum * scale) as f32));
            }
        }
        let norm = |output: usize| -> f64 {
            let inputs = (0..CHANNELS).flat_map(|input| {
                (0..taps).map(move |tap| f64::from(weight(tap, input)[output] / balance[input]))
            });
            inputs.map(|w| w * w).sum()
        };
        let norm = (0..CHANNELS).map(norm).fold(f64::MIN_POSITIVE, f64::max);
        let largest_energy = points as f64 * (LARGEST_ERROR / ERROR).powi(2) / norm;
        Self {
            points,
            outputs,
            taps,
            dilation,
            weights: weights[..].into(),
            bias: packed.bias[..].try_into().expect("32 padded outputs"),
            balance,
            twiddles: twiddles(points),
            largest_energy: (largest_energy as f32).min(f32::MAX),
        }
    }

    /// Output positions of a block; blocks begin at absolute multiples of it.
    pub fn block(&self) -> usize {
        self.outputs * self.dilation
    }

    /// First row of a tile, in the input as in the output.
    fn first_row(&self, tile: usize) -> usize {
        tile / self.dilation * self.block() + tile % self.dilation
    }

    /// How many tiles so many rows need; the last ones may be cut short.
    fn tiles(&self, rows: usize) -> usize {
        rows / self.block() * self.dilation + self.dilation.min(rows % self.block())
    }

    /// Output rows of a tile that lie within so many rows.
    fn outputs_within(&self, tile: usize, rows: usize) -> usize {
        self.outputs.min((rows - self.first_row(tile)).div_ceil(self.dilation))
    }

    /// Time per output row, in multiply-adds of the direct kernel.
    pub fn work(&self) -> usize {
        OVERHEAD * cost(self.points, self.taps).expect("chosen because it fits")
    }
}

/// Buffers of the transforms, used again from pass to pass.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Two rows of points each: a transform goes back and forth between them.
    points: [Aligned; 2],
    /// `[frequency][tile][ROW]`
    spectra: Aligned,
    /// Which tiles are computed directly.
    too_loud: Vec<bool>,
}

/// Computes the rows of a pass in blocks from its first row on, tile by tile, and hands them on.
/// The last block may be cut short, as if zeros followed. `packed` holds the same weights; it
/// serves the tiles whose numbers are too large for transforms.
///
/// # Panics
/// When the input is shorter than the pass says, or the processor lacks the instruction set.
pub fn convolve(
    isa: Isa,
    spectral: &Spectral,
    packed: &Packed,
    pass: Pass<'_>,
    scratch: &mut super::Scratch,
    take: Take<'_>,
) {
    if pass.rows == 0 {
        return;
    }
    assert!(pass.fits(spectral.taps, spectral.dilation, CHANNELS), "the input holds the pass");
    let tiles = spectral.tiles(pass.rows);
    scratch.rows.hold(spectral.outputs * CHANNELS);
    let together = tiles.div_ceil(tiles.div_ceil(TILES)).next_multiple_of(GROUP);
    for first in (0..tiles).step_by(together) {
        let tiles = first..tiles.min(first + together);
        let super::Scratch { rows: all_rows, transforms: scratch, .. } = &mut *scratch;
        scratch.too_loud.clear();
        simd::run(isa, Forward { spectral, pass, scratch, tiles: tiles.clone() });
        for tile in tiles.clone() {
            let from = spectral.first_row(tile);
            let outputs = spectral.outputs_within(tile, pass.rows);
            let rows = &mut all_rows[..outputs * CHANNELS];
            if scratch.too_loud[tile - tiles.start] {
                let input = &pass.input[from * pass.input_stride..];
                let input_stride = spectral.dilation * pass.input_stride;
                direct::convolve(isa, packed, 1, Pass { input, input_stride, rows: outputs }, rows);
            } else {
                let (tile, count) = (tile - tiles.start, tiles.len());
                simd::run(isa, Back { spectral, scratch, tile, count, rows });
            }
            take(Finished { first: from, step: spectral.dilation, values: rows });
        }
    }
}

/// From input rows to products of spectra, for tiles of a pass that fits its buffers.
struct Forward<'a> {
    spectral: &'a Spectral,
    pass: Pass<'a>,
    scratch: &'a mut Scratch,
    tiles: Range<usize>,
}

impl Work for Forward<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: passed on.
        unsafe {
            match V::WIDTH {
                16 => self.products::<V, GROUP, 2>(),
                _ => self.products::<V, 2, 2>(),
            }
        }
    }
}

impl Forward<'_> {
    /// # Safety
    /// As for [`Work::run`], and the pass fits.
    #[inline(always)]
    unsafe fn products<V: Lanes, const MR: usize, const NV: usize>(self) {
        let Self { spectral, pass, scratch, tiles } = self;
        let Spectral { points, dilation, .. } = *spectral;
        let count = tiles.len();
        scratch.points.iter_mut().for_each(|half| half.hold(points * CHANNELS));
        scratch.spectra.hold((points / 2 + 1) * count * ROW);
        let [a, b] = &mut scratch.points;
        let (a, b) = (a.as_mut_ptr(), b.as_mut_ptr());
        let spectra = scratch.spectra.as_mut_ptr();
        let step = dilation * pass.input_stride;
        // SAFETY: `fits` covers all input rows of the taps of all output rows, which are those of
        // the tiles; spectra hold all frequencies of all tiles; a and b hold all points.
        unsafe {
            for (tile, to) in tiles.zip(0..) {
                let input = pass.input.as_ptr().add(spectral.first_row(tile) * pass.input_stride);
                let given = spectral.outputs_within(tile, pass.rows) + spectral.taps - 1;
                gather::<V>(input, step, &spectral.balance, b, (given, points));
                let energy = energy::<V>(b, points);
                scratch.too_loud.push(energy.is_nan() || energy > spectral.largest_energy);
                let z = transform::<V>(&spectral.twiddles, b, a, points);
                untangle::<V>(z, points, spectra.add(to * ROW), count * ROW);
            }
            for frequency in 0..=points / 2 {
                let weights = spectral.weights.as_ptr().add(frequency * CHANNELS * ROW);
                let rows = spectra.add(frequency * count * ROW);
                let mut tile = 0;
                while tile + MR <= count {
                    multiply::<V, MR, NV>(rows.add(tile * ROW), weights);
                    tile += MR;
                }
                while MR > 3 && tile + 3 <= count {
                    multiply::<V, 3, NV>(rows.add(tile * ROW), weights);
                    tile += 3;
                }
                while tile < count {
                    multiply::<V, 1, NV>(rows.add(tile * ROW), weights);
                    tile += 1;
                }
            }
        }
    }
}

/// From the products of spectra to the output rows of one of `count` tiles.
struct Back<'a> {
    spectral: &'a Spectral,
    scratch: &'a mut Scratch,
    tile: usize,
    count: usize,
    rows: &'a mut [f32],
}

impl Work for Back<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { spectral, scratch, tile, count, rows } = self;
        let (points, outputs) = (spectral.points, rows.len() / CHANNELS);
        let [a, b] = &mut scratch.points;
        let (a, b) = (a.as_mut_ptr(), b.as_mut_ptr());
        // SAFETY: `Forward` has made room for all frequencies of all tiles and for all points.
        unsafe {
            tangle::<V>(scratch.spectra.as_ptr().add(tile * ROW), count * ROW, a, points);
            let z = transform::<V>(&spectral.twiddles, a, b, points);
            finish::<V>(z, &spectral.bias, rows.as_mut_ptr(), outputs);
        }
    }
}

/// Copies the `given` rows of a tile, `step` numbers apart, and balances their channels; zeros fill
/// the rest of the points.
///
/// # Safety
/// The rows are there, `to` has room for all points, and the instruction set is there.
#[inline(always)]
unsafe fn gather<V: Lanes>(
    rows: *const f32,
    step: usize,
    balance: &[f32; CHANNELS],
    to: *mut f32,
    (given, points): (usize, usize),
) {
    // SAFETY: see above.
    unsafe {
        for column in (0..CHANNELS).step_by(V::WIDTH) {
            let balance = V::load(balance.as_ptr().add(column));
            for point in 0..given {
                let x = V::load(rows.add(point * step + column));
                x.times(balance).store(to.add(point * CHANNELS + column));
            }
            for point in given..points {
                V::splat(0.0).store(to.add(point * CHANNELS + column));
            }
        }
    }
}

/// Sum of squares of the rows of a tile. Not a number if one of them is not.
///
/// # Safety
/// The rows are there, and so is the instruction set.
#[inline(always)]
unsafe fn energy<V: Lanes>(rows: *const f32, points: usize) -> f32 {
    // SAFETY: the caller vouches for the rows.
    unsafe {
        let mut sums = [V::splat(0.0); 4];
        for group in (0..points * CHANNELS).step_by(4 * V::WIDTH) {
            for (v, sum) in sums.iter_mut().enumerate() {
                let x = V::load(rows.add(group + v * V::WIDTH));
                *sum = sum.add_product(x, x);
            }
        }
        let sum = sums[0].plus(sums[1]).plus(sums[2].plus(sums[3]));
        let mut lanes = [0.0; 16];
        sum.store(lanes.as_mut_ptr());
        lanes.iter().sum()
    }
}

/// Multiplies the rows of `MR` tiles with the complex matrix of one frequency, in place.
///
/// # Safety
/// `rows` holds `MR` rows, `weights` one matrix; the instruction set is there.
#[inline(always)]
unsafe fn multiply<V: Lanes, const MR: usize, const NV: usize>(
    rows: *mut f32,
    weights: *const f32,
) {
    // SAFETY: all offsets lie inside MR rows and one matrix of CHANNELS x ROW.
    unsafe {
        let mut x = [[0.0f32; ROW]; MR];
        std::ptr::copy_nonoverlapping(rows, x.as_mut_ptr().cast(), MR * ROW);
        for column in (0..CHANNELS).step_by(NV * V::WIDTH) {
            let mut halves = [[[[V::splat(0.0); NV]; MR]; 2]; 2];
            for (half, [re, im]) in halves.iter_mut().enumerate() {
                for input in half * CHANNELS / 2..(half + 1) * CHANNELS / 2 {
                    let row = weights.add(input * ROW + column);
                    let a: [V; NV] = std::array::from_fn(|v| V::load(row.add(v * V::WIDTH)));
                    let b: [V; NV] =
                        std::array::from_fn(|v| V::load(row.add(CHANNELS + v * V::WIDTH)));
                    for m in 0..MR {
                        let real = V::splat(x[m][input]);
                        for v in 0..NV {
                            re[m][v] = re[m][v].add_product(real, a[v]);
                            im[m][v] = im[m][v].add_product(real, b[v]);
                        }
                        let imaginary = V::splat(x[m][CHANNELS + input]);
                        for v in 0..NV {
                            re[m][v] = re[m][v].sub_product(imaginary, b[v]);
                            im[m][v] = im[m][v].add_product(imaginary, a[v]);
                        }
                    }
                }
            }
            let [[first_re, first_im], [mut re, mut im]] = halves;
            for m in 0..MR {
                for v in 0..NV {
                    re[m][v] = re[m][v].plus(first_re[m][v]);
                    im[m][v] = im[m][v].plus(first_im[m][v]);
                }
            }
            for m in 0..MR {
                for v in 0..NV {
                    let to = rows.add(m * ROW + column + v * V::WIDTH);
                    re[m][v].store(to);
                    im[m][v].store(to.add(CHANNELS));
                }
            }
        }
    }
}
