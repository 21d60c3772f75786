//! Convolution by minimal filtering (Winograd's F(4, 3)), for short kernels of many channels
//! (cpu-kernels.md 4c, docs/decisions/winograd.md).
//!
//! Four outputs of three taps need six products instead of twelve: six inputs are combined into
//! values at six *points* (0, ±A, ±B, infinity), each is multiplied with the weights' value at that
//! point, and the products are combined into four outputs. Longer kernels are sums of *groups* of
//! three taps, added up before the products are combined.
//!
//! A dilated convolution is a dense one on each residue of the position modulo the dilation. A
//! *tile* is four outputs of one residue; a block is a tile of each residue. Blocks lie at absolute
//! multiples of their length, so an output depends on the sequence around it and on nothing else.

use super::choice::Shape;
use super::packed::{Packed, padded};
use super::simd::{self, Lanes, Work};
use super::{Aligned, Finished, Isa, LANES, Pass, Take, direct};
use std::ops::Range;

/// Outputs of a tile.
const OUTPUTS: usize = 4;
/// Taps of a group.
const GROUP: usize = 3;
/// Inputs of a group of a tile, and points.
const POINTS: usize = OUTPUTS + GROUP - 1;
/// The finite points beside 0 are ±A and ±B: exact in f32 with their powers and products, and the
/// most accurate of those tried (docs/decisions/winograd.md).
const A: f64 = 0.625;
const B: f64 = 1.5;

/// Fewest channels, in and out, for which the transforms are worth their time.
const LEAST_CHANNELS: usize = 32;
/// Filtering must be expected to be this many times faster than sums, or those are preferred: at 11
/// taps it gains 3 % of a published network's time, and its errors reach the 2e-6 that is promised.
const LEAST_GAIN: f64 = 1.65;
/// Tiles that go through the stages together: a multiple of the direct kernel's row blocks.
const TILES: usize = 96;
/// Error in units of (root mean square of a tile's numbers) x (norm of the weights of an output).
const ERROR: f64 = 5e-7;
/// Largest estimated error; beyond it a tile is computed directly.
const LARGEST_ERROR: f64 = 2e-5;

/// A convolution's weights at the points.
#[derive(Debug, Clone)]
pub struct Winograd {
    taps: usize,
    dilation: usize,
    /// Padded input channels.
    width: usize,
    /// Per point, a matrix from the input channels of all groups to the outputs.
    points: [Packed; POINTS],
    /// One number per padded output.
    bias: Aligned,
    /// Largest sum of squares of a tile's rows that is transformed.
    largest_energy: f32,
}

/// Whether the kernel is expected to be faster than the direct one.
pub fn pays(shape: Shape) -> bool {
    let wide = shape.inputs >= LEAST_CHANNELS && shape.stride >= LEAST_CHANNELS;
    wide && shape.taps >= GROUP && work(shape) as f64 * LEAST_GAIN < shape.work() as f64
}

/// Time per output row, in multiply-adds of the direct kernel: products, and the combinations
/// before and after them.
pub fn work(shape: Shape) -> usize {
    let depth = shape.taps.div_ceil(GROUP) * padded(shape.inputs);
    let products = POINTS * depth * shape.stride;
    let combinations = 24 * (depth + shape.stride);
    (products + combinations) / OUTPUTS
}

/// Output positions of a block; blocks begin at absolute multiples of it.
pub fn block(dilation: usize) -> usize {
    OUTPUTS * dilation
}

impl Winograd {
    /// The weights at each point.
    pub fn new(packed: &Packed, dilation: usize) -> Self {
        let (taps, width) = (packed.taps, padded(packed.inputs));
        let groups = taps.div_ceil(GROUP);
        let tap = |output: usize, input: usize, tap: usize| match tap < taps {
            true if input < packed.inputs => f64::from(packed.weight(output, input, tap)),
            _ => 0.0,
        };
        let at_point = |point: usize, output: usize, row: usize| {
            let (group, input) = (row / width, row % width);
            let powers = weight_powers(point);
            let sum = (0..GROUP).map(|j| powers[j] * tap(output, input, group * GROUP + j));
            sum.sum::<f64>() as f32
        };
        let shape = (packed.stride, groups * width, 1);
        let points = std::array::from_fn(|point| {
            Packed::new(shape, |output, row, _| at_point(point, output, row), |_| 0.0)
        });
        let norm = |output: usize| -> f64 {
            let all = (0..taps).flat_map(|j| (0..packed.inputs).map(move |input| (input, j)));
            all.map(|(input, j)| tap(output, input, j).powi(2)).sum()
        };
        let norm = (0..packed.stride).map(norm).fold(f64::MIN_POSITIVE, f64::max);
        let numbers = (groups * POINTS * width) as f64;
        let largest = numbers * (LARGEST_ERROR / ERROR).powi(2) / norm;
        Self {
            taps,
            dilation,
            width,
            points,
            bias: packed.bias[..].into(),
            largest_energy: (largest as f32).min(f32::MAX),
        }
    }

    /// Output positions of a block.
    pub fn block(&self) -> usize {
        block(self.dilation)
    }

    fn groups(&self) -> usize {
        self.taps.div_ceil(GROUP)
    }

    /// Taps of a group: the last one may have fewer.
    fn taps_of(&self, group: usize) -> usize {
        GROUP.min(self.taps - group * GROUP)
    }

    /// Numbers per tile and point that are multiplied with the weights.
    fn depth(&self) -> usize {
        self.groups() * self.width
    }
}

/// What the taps of a group are multiplied with at a point: its powers over the product of its
/// distances from the other points.
fn weight_powers(point: usize) -> [f64; GROUP] {
    let at = |x: f64, distances: f64| [1.0, x, x * x].map(|power| power / distances);
    let (aa, bb) = (A * A, B * B);
    match point {
        0 => at(0.0, aa * bb),
        1 => at(A, 2.0 * aa * (aa - bb)),
        2 => at(-A, 2.0 * aa * (aa - bb)),
        3 => at(B, 2.0 * bb * (bb - aa)),
        4 => at(-B, 2.0 * bb * (bb - aa)),
        _ => [0.0, 0.0, 1.0],
    }
}

/// Buffers, used again from pass to pass.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Inputs at the points: `[point][tile][group][input channel]`.
    inputs: Aligned,
    /// Products: `[point][tile][output channel]`.
    products: Aligned,
    /// Which tiles are computed directly.
    too_loud: Vec<bool>,
}

/// Tiles of consecutive residues, of one block or of several whole ones.
#[derive(Debug, Clone)]
struct Batch {
    blocks: Range<usize>,
    residues: Range<usize>,
}

impl Batch {
    fn tiles(&self) -> usize {
        self.blocks.len() * self.residues.len()
    }

    /// Block, from the first one on, and residue, from the first one on, of a tile.
    fn place(&self, tile: usize) -> (usize, usize) {
        (tile / self.residues.len(), tile % self.residues.len())
    }

    /// Which of the batch's rows an output of a tile is: rows of a block stay in their order.
    fn row(&self, tile: usize, output: usize) -> usize {
        let (block, residue) = self.place(tile);
        (block * OUTPUTS + output) * self.residues.len() + residue
    }

    /// Row of the pass that a tile begins with.
    fn first_row(&self, tile: usize, dilation: usize) -> usize {
        let (block, residue) = self.place(tile);
        (self.blocks.start + block) * OUTPUTS * dilation + self.residues.start + residue
    }
}

/// The batches that hold all wanted rows of whole blocks.
fn batches(dilation: usize, wanted: Range<usize>) -> Vec<Batch> {
    let block = OUTPUTS * dilation;
    let mut batches = vec![];
    let blocks = wanted.start / block..wanted.end.div_ceil(block);
    if dilation <= TILES {
        let together = TILES / dilation;
        for first in blocks.clone().step_by(together) {
            let blocks = first..blocks.end.min(first + together);
            batches.push(Batch { blocks, residues: 0..dilation });
        }
        return batches;
    }
    for block_index in blocks {
        let start = block_index * block;
        let (from, to) = (wanted.start.max(start) - start, wanted.end.min(start + block) - start);
        let parts = match (to - from < dilation, from % dilation, (to - 1) % dilation + 1) {
            (false, ..) => [0..dilation, 0..0],
            (true, from, to) if from < to => [from..to, 0..0],
            (true, from, to) => [0..to, from..dilation],
        };
        for part in parts {
            // of equal size: each batch reads all weights
            let size = part.len().div_ceil(part.len().div_ceil(TILES).max(1)).max(1);
            for first in part.clone().step_by(size) {
                let residues = first..part.end.min(first + size);
                batches.push(Batch { blocks: block_index..block_index + 1, residues });
            }
        }
    }
    batches
}

/// Computes the blocks of a pass that hold its wanted rows, and hands them on. `packed` holds the
/// same weights; it serves the tiles whose numbers are too large.
///
/// # Panics
/// When the input is shorter than the pass says, or the processor lacks the instruction set.
pub fn convolve(
    isa: Isa,
    winograd: &Winograd,
    packed: &Packed,
    pass: Pass<'_>,
    wanted: Range<usize>,
    scratch: &mut super::Scratch,
    take: Take<'_>,
) {
    if wanted.is_empty() {
        return;
    }
    assert!(
        pass.fits(winograd.taps, winograd.dilation, winograd.width),
        "the input holds the pass"
    );
    assert!(wanted.end <= pass.rows && pass.rows.is_multiple_of(winograd.block()), "whole blocks");
    let super::Scratch { rows, winograd: scratch, .. } = scratch;
    let (dilation, depth, stride) = (winograd.dilation, winograd.depth(), packed.stride);
    rows.hold(TILES * OUTPUTS * stride);
    scratch.inputs.hold(POINTS * TILES * depth);
    scratch.products.hold(POINTS * TILES * stride);
    for batch in batches(dilation, wanted) {
        let tiles = batch.tiles();
        scratch.too_loud.clear();
        simd::run(isa, Inputs { winograd, pass, batch: &batch, scratch });
        for (point, weights) in winograd.points.iter().enumerate() {
            let input = &scratch.inputs[point * tiles * depth..];
            let product = &mut scratch.products[point * tiles * stride..];
            direct::convolve(
                isa,
                weights,
                1,
                Pass { input, input_stride: depth, rows: tiles },
                product,
            );
        }
        let values = &mut rows[..tiles * OUTPUTS * stride];
        let products = &scratch.products;
        simd::run(isa, Outputs { winograd, batch: &batch, products, stride, values });
        for tile in (0..tiles).filter(|&tile| scratch.too_loud[tile]) {
            let mut output = vec![0.0; OUTPUTS * stride];
            let input = &pass.input[batch.first_row(tile, dilation) * pass.input_stride..];
            let input_stride = dilation * pass.input_stride;
            direct::convolve(
                isa,
                packed,
                1,
                Pass { input, input_stride, rows: OUTPUTS },
                &mut output,
            );
            for (output, row) in output.chunks_exact(stride).enumerate() {
                values[batch.row(tile, output) * stride..][..stride].copy_from_slice(row);
            }
        }
        // whole blocks are one run of rows, and so is each output of a part of one
        let first = batch.first_row(0, dilation);
        if batch.residues.len() == dilation {
            take(Finished { first, step: 1, values });
        } else {
            for (output, values) in values.chunks_exact_mut(tiles * stride).enumerate() {
                take(Finished { first: first + output * dilation, step: 1, values });
            }
        }
    }
}

/// From input rows to values at the points, for tiles of a pass that fits its buffers.
struct Inputs<'a> {
    winograd: &'a Winograd,
    pass: Pass<'a>,
    batch: &'a Batch,
    scratch: &'a mut Scratch,
}

impl Work for Inputs<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { winograd, pass, batch, scratch } = self;
        let Winograd { dilation, width, .. } = *winograd;
        let (tiles, depth) = (batch.tiles(), winograd.depth());
        let step = dilation * pass.input_stride;
        assert!(scratch.inputs.len() >= POINTS * tiles * depth);
        for tile in 0..tiles {
            let first = batch.first_row(tile, dilation) * pass.input_stride;
            let mut energy = 0.0;
            for group in 0..winograd.groups() {
                // rows that only taps beyond the last one would read may be missing: zeros do
                let rows = OUTPUTS - 1 + winograd.taps_of(group);
                // SAFETY: `fits` covers every row of the taps of the tile's outputs, and the
                // buffer holds all points of all tiles.
                unsafe {
                    let from = pass.input.as_ptr().add(first + group * GROUP * step);
                    let to = scratch.inputs.as_mut_ptr().add(tile * depth + group * width);
                    energy += match rows {
                        POINTS => at_points::<V, POINTS>(from, step, to, tiles * depth, width),
                        5 => at_points::<V, 5>(from, step, to, tiles * depth, width),
                        _ => at_points::<V, 4>(from, step, to, tiles * depth, width),
                    };
                }
            }
            scratch.too_loud.push(energy.is_nan() || energy > winograd.largest_energy);
        }
    }
}

/// Values at the points, `plane` numbers apart, of `ROWS` rows of `width` channels and zeros after
/// them; gives the sum of their squares.
///
/// # Safety
/// The rows are there, `step` numbers apart, and `to` has room; the instruction set is there.
#[inline(always)]
unsafe fn at_points<V: Lanes, const ROWS: usize>(
    from: *const f32,
    step: usize,
    to: *mut f32,
    plane: usize,
    width: usize,
) -> f32 {
    const AA: f32 = (A * A) as f32;
    const BB: f32 = (B * B) as f32;
    // SAFETY: the caller vouches for the memory and the instruction set.
    unsafe {
        let [aa, bb, a, b] = [AA, BB, A as f32, B as f32].map(|x| V::splat(x));
        let (sum, product) = (V::splat(AA + BB), V::splat(AA * BB));
        let mut energy = V::splat(0.0);
        for column in (0..width).step_by(V::WIDTH) {
            let x: [V; POINTS] = std::array::from_fn(|row| match row < ROWS {
                true => V::load(from.add(row * step + column)),
                false => V::splat(0.0),
            });
            for x in x {
                energy = energy.add_product(x, x);
            }
            let store = |point: usize, x: V| x.store(to.add(point * plane + column));
            store(0, x[4].sub_product(sum, x[2]).add_product(product, x[0]));
            let (even, odd) = (x[4].sub_product(bb, x[2]), a.times(x[3].sub_product(bb, x[1])));
            store(1, even.plus(odd));
            store(2, even.minus(odd));
            let (even, odd) = (x[4].sub_product(aa, x[2]), b.times(x[3].sub_product(aa, x[1])));
            store(3, even.plus(odd));
            store(4, even.minus(odd));
            store(5, x[5].sub_product(sum, x[3]).add_product(product, x[1]));
        }
        let mut lanes = [0.0; LANES];
        energy.store(lanes.as_mut_ptr());
        lanes.iter().sum()
    }
}

/// From products at the points to output rows.
struct Outputs<'a> {
    winograd: &'a Winograd,
    batch: &'a Batch,
    products: &'a [f32],
    stride: usize,
    values: &'a mut [f32],
}

impl Work for Outputs<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { winograd, batch, products, stride, values } = self;
        let tiles = batch.tiles();
        assert!(products.len() >= POINTS * tiles * stride && winograd.bias.len() == stride);
        assert!(values.len() >= OUTPUTS * tiles * stride);
        // SAFETY: the slices hold all points or outputs of all tiles; columns are below `stride`.
        unsafe {
            let power = |x: f64, n: i32| V::splat(x.powi(n) as f32);
            let (a, b): ([V; 4], [V; 4]) = (
                std::array::from_fn(|n| power(A, n as i32)),
                std::array::from_fn(|n| power(B, n as i32)),
            );
            for tile in 0..tiles {
                for column in (0..stride).step_by(V::WIDTH) {
                    let product = |point: usize| {
                        V::load(products.as_ptr().add((point * tiles + tile) * stride + column))
                    };
                    let bias = V::load(winograd.bias.as_ptr().add(column));
                    let (even_a, odd_a) =
                        (product(1).plus(product(2)), product(1).minus(product(2)));
                    let (even_b, odd_b) =
                        (product(3).plus(product(4)), product(3).minus(product(4)));
                    let mut store = |output: usize, y: V| {
                        let to = batch.row(tile, output) * stride + column;
                        y.plus(bias).store(values.as_mut_ptr().add(to));
                    };
                    store(0, product(0).plus(even_a.plus(even_b)));
                    store(1, odd_a.times(a[1]).add_product(odd_b, b[1]));
                    store(2, even_a.times(a[2]).add_product(even_b, b[2]));
                    store(3, product(5).plus(odd_a.times(a[3]).add_product(odd_b, b[3])));
                }
            }
        }
    }
}
