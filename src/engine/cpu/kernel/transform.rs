//! Complex transforms of rows of 32 channels, 16 complex numbers each.

use super::fft::CHANNELS;
use super::simd::Lanes;
use std::f64::consts::TAU;

/// Channels that are real parts; as many are imaginary parts.
const HALF: usize = CHANNELS / 2;

/// Twiddle factors of one radix-4 stage: for each `p`, the powers p, 2p and 3p of the root of unity.
pub type Stage = Vec<[Root; 3]>;

/// A power of a root of unity. Its parts are sums of two numbers, because their rounding errors
/// would be the largest of a convolution: they are the same in all its outputs, and add up from
/// layer to layer (docs/decisions/when-to-transform.md).
#[derive(Debug, Clone, Copy)]
pub struct Root {
    cos: [f32; 2],
    sin: [f32; 2],
}

impl Root {
    /// The number at an angle in radians.
    fn at(angle: f64) -> Self {
        let parts = |x: f64| [x as f32, (x - f64::from(x as f32)) as f32];
        Self { cos: parts(angle.cos()), sin: parts(angle.sin()) }
    }
}

/// Twiddle factors of the radix-4 stages of a transform of `points`, longest first.
pub fn twiddles(points: usize) -> Vec<Stage> {
    let mut stages = vec![];
    let mut n = points;
    while n >= 4 {
        let root = |power: usize| Root::at(-TAU * power as f64 / n as f64);
        stages.push((0..n / 4).map(|p| [root(p), root(2 * p), root(3 * p)]).collect());
        n /= 4;
    }
    stages
}

/// A complex register: real and imaginary parts of the same channels.
#[derive(Clone, Copy)]
struct Complex<V> {
    re: V,
    im: V,
}

impl<V: Lanes> Complex<V> {
    /// # Safety
    /// As for [`Lanes`]: `HALF + V::WIDTH` numbers from `from` on.
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for the memory; so below.
        unsafe { Self { re: V::load(from), im: V::load(from.add(HALF)) } }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: see `load`.
        unsafe {
            self.re.store(to);
            self.im.store(to.add(HALF));
        }
    }

    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        // SAFETY: the instruction set is there; so below.
        unsafe { Self { re: self.re.plus(other.re), im: self.im.plus(other.im) } }
    }

    #[inline(always)]
    unsafe fn minus(self, other: Self) -> Self {
        // SAFETY: see `plus`.
        unsafe { Self { re: self.re.minus(other.re), im: self.im.minus(other.im) } }
    }

    /// `self · (−i)`, given as swapped parts and one subtraction: `self + other · (−i)`.
    #[inline(always)]
    unsafe fn minus_i(self, other: Self) -> Self {
        // SAFETY: see `plus`.
        unsafe { Self { re: self.re.plus(other.im), im: self.im.minus(other.re) } }
    }

    /// `self + other · i`
    #[inline(always)]
    unsafe fn plus_i(self, other: Self) -> Self {
        // SAFETY: see `plus`.
        unsafe { Self { re: self.re.minus(other.im), im: self.im.plus(other.re) } }
    }

    #[inline(always)]
    unsafe fn times(self, root: Root) -> Self {
        // SAFETY: see `plus`.
        unsafe {
            let [cos, cos_rest] = root.cos.map(|x| V::splat(x));
            let [sin, sin_rest] = root.sin.map(|x| V::splat(x));
            let re = self.re.times(cos_rest).sub_product(self.im, sin_rest);
            let im = self.im.times(cos_rest).add_product(self.re, sin_rest);
            Self {
                re: re.sub_product(self.im, sin).add_product(self.re, cos),
                im: im.add_product(self.re, sin).add_product(self.im, cos),
            }
        }
    }
}

/// Forward transform (Stockham, radix 4, a radix-2 stage at the end where needed) of the points in
/// `from`, back and forth between both buffers; gives the one that holds the result.
///
/// # Safety
/// Both buffers hold all points, and the instruction set is there.
#[inline(always)]
pub unsafe fn transform<V: Lanes>(
    twiddles: &[Stage],
    mut from: *mut f32,
    mut to: *mut f32,
    points: usize,
) -> *const f32 {
    let (mut n, mut s) = (points, 1);
    // SAFETY: every stage reads and writes points 0..N of the given buffers.
    unsafe {
        for powers in twiddles {
            let m = n / 4;
            for (p, powers) in powers.iter().enumerate() {
                for q in 0..s {
                    let from = from.add((q + s * p) * CHANNELS);
                    let to = to.add((q + s * 4 * p) * CHANNELS);
                    for lane in (0..HALF).step_by(V::WIDTH) {
                        let x =
                            |k: usize| Complex::<V>::load(from.add(s * m * k * CHANNELS + lane));
                        let (x0, x1, x2, x3) = (x(0), x(1), x(2), x(3));
                        let (sum02, dif02) = (x0.plus(x2), x0.minus(x2));
                        let (sum13, dif13) = (x1.plus(x3), x1.minus(x3));
                        let y = |k: usize| to.add(s * k * CHANNELS + lane);
                        sum02.plus(sum13).store(y(0));
                        let (y1, y2) = (dif02.minus_i(dif13), sum02.minus(sum13));
                        let y3 = dif02.plus_i(dif13);
                        if p == 0 {
                            y1.store(y(1));
                            y2.store(y(2));
                            y3.store(y(3));
                        } else {
                            y1.times(powers[0]).store(y(1));
                            y2.times(powers[1]).store(y(2));
                            y3.times(powers[2]).store(y(3));
                        }
                    }
                }
            }
            n = m;
            s *= 4;
            (from, to) = (to, from);
        }
        if n == 2 {
            for q in 0..s {
                for lane in (0..HALF).step_by(V::WIDTH) {
                    let x = Complex::<V>::load(from.add(q * CHANNELS + lane));
                    let y = Complex::<V>::load(from.add((q + s) * CHANNELS + lane));
                    x.plus(y).store(to.add(q * CHANNELS + lane));
                    x.minus(y).store(to.add((q + s) * CHANNELS + lane));
                }
            }
            return to;
        }
    }
    from
}

/// From the transform of `even + i·odd` to twice the transforms of both, frequencies 0 to N/2.
///
/// # Safety
/// `z` holds all points; `to` has room for `points / 2 + 1` rows, `stride` apart.
#[inline(always)]
pub unsafe fn untangle<V: Lanes>(z: *const f32, points: usize, to: *mut f32, stride: usize) {
    // SAFETY: frequencies and their mirrors are below N.
    unsafe {
        for frequency in 0..=points / 2 {
            let mirror = (points - frequency) % points;
            let to = to.add(frequency * stride);
            for lane in (0..HALF).step_by(V::WIDTH) {
                let f = Complex::<V>::load(z.add(frequency * CHANNELS + lane));
                let g = Complex::<V>::load(z.add(mirror * CHANNELS + lane));
                f.re.plus(g.re).store(to.add(lane));
                f.im.plus(g.im).store(to.add(HALF + lane));
                f.im.minus(g.im).store(to.add(CHANNELS + lane));
                g.re.minus(f.re).store(to.add(CHANNELS + HALF + lane));
            }
        }
    }
}

/// The way back: from both transforms to that of `even + i·odd`, with real and imaginary parts
/// swapped, so that a forward transform inverts it.
///
/// # Safety
/// `from` holds `points / 2 + 1` rows, `stride` apart; `z` has room for all points.
#[inline(always)]
pub unsafe fn tangle<V: Lanes>(from: *const f32, stride: usize, z: *mut f32, points: usize) {
    // SAFETY: frequencies and their mirrors are below N.
    unsafe {
        for frequency in 0..=points / 2 {
            let mirror = (points - frequency) % points;
            let from = from.add(frequency * stride);
            for lane in (0..HALF).step_by(V::WIDTH) {
                let even = (V::load(from.add(lane)), V::load(from.add(CHANNELS + lane)));
                let odd =
                    (V::load(from.add(HALF + lane)), V::load(from.add(CHANNELS + HALF + lane)));
                let at = |point: usize| z.add(point * CHANNELS + lane);
                Complex { re: even.1.plus(odd.0), im: even.0.minus(odd.1) }.store(at(frequency));
                if mirror != frequency {
                    Complex { re: odd.0.minus(even.1), im: even.0.plus(odd.1) }.store(at(mirror));
                }
            }
        }
    }
}

/// Bias added and parts swapped back: the first `outputs` points become output rows.
///
/// # Safety
/// `z` holds all points; `output` has room for `outputs` rows.
#[inline(always)]
pub unsafe fn finish<V: Lanes>(
    z: *const f32,
    bias: &[f32; CHANNELS],
    output: *mut f32,
    outputs: usize,
) {
    // SAFETY: see above.
    unsafe {
        for t in 0..outputs {
            for lane in (0..HALF).step_by(V::WIDTH) {
                let x = Complex::<V>::load(z.add(t * CHANNELS + lane));
                let to = output.add(t * CHANNELS + lane);
                x.im.plus(V::load(bias.as_ptr().add(lane))).store(to);
                x.re.plus(V::load(bias.as_ptr().add(HALF + lane))).store(to.add(HALF));
            }
        }
    }
}
