//! Every kernel against plain sums in f64, on every instruction set of this machine.

use super::fft::Spectral;
use super::*;
use proptest::prelude::*;

/// A convolution's weights `(output, input, tap)`, and what it should compute.
struct Sample<F> {
    packed: Packed,
    dilation: usize,
    weight: F,
    input: Vec<f32>,
    rows: usize,
}

impl<F: Fn(usize, usize, usize) -> f32> Sample<F> {
    fn input_stride(&self) -> usize {
        padded(self.packed.inputs)
    }

    /// The sums, one number at a time, in f64.
    fn reference(&self) -> Vec<f64> {
        let Packed { taps, inputs, stride, bias, .. } = &self.packed;
        let sum = |row: usize, output: usize| {
            let mut sum = f64::from(bias[output]);
            for tap in 0..*taps {
                for input in 0..*inputs {
                    let x = self.input[(row + tap * self.dilation) * self.input_stride() + input];
                    sum += f64::from((self.weight)(output, input, tap)) * f64::from(x);
                }
            }
            sum
        };
        (0..self.rows * stride).map(|i| sum(i / stride, i % stride)).collect()
    }

    /// What a kernel makes of the wanted rows, where the last block ends with the last row; other
    /// rows are not a number.
    fn computed(&self, isa: Isa, kernel: &Kernel, wanted: Range<usize>) -> Vec<f32> {
        let (packed, dilation, stride) = (self.packed.clone(), self.dilation, self.packed.stride);
        let ranged = Ranged::default();
        let convolution = Convolution { packed, dilation, kernel: kernel.clone(), ranged };
        let first = wanted.start / convolution.block() * convolution.block();
        let rows = self.rows - first;
        let input = &self.input[first * self.input_stride()..];
        let pass = Pass { input, input_stride: self.input_stride(), rows };
        let mut output = vec![f32::NAN; self.rows * stride];
        let mut times = vec![0; self.rows];
        let part = wanted.start - first..wanted.end - first;
        convolution.compute(isa, pass, part, &mut Scratch::default(), &mut |finished| {
            for (i, row) in finished.values.chunks_exact(stride).enumerate() {
                let to = first + finished.first + i * finished.step;
                output[to * stride..][..stride].copy_from_slice(row);
                times[to] += 1;
            }
        });
        assert!(times[wanted].iter().all(|&times| times == 1), "wanted rows are handed on once");
        assert!(times.iter().all(|&times| times <= 1), "no row is handed on twice");
        output
    }
}

/// Number `i` of a sequence, between -0.5 and 0.5 (the mixing function of SplitMix64).
fn number(seed: u32, i: usize) -> f32 {
    let mut z = ((u64::from(seed) << 32) + i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32 - 0.5
}

/// Random weights and rows. `blocks` says how many rows there are, given the weights.
fn sample(
    (outputs, inputs, taps): (usize, usize, usize),
    dilation: usize,
    seed: u32,
    rows: impl FnOnce(&Packed) -> usize,
) -> Sample<impl Fn(usize, usize, usize) -> f32> {
    let weight = move |o: usize, i: usize, j: usize| match o < outputs {
        true => number(seed, (o * 641 + i) * 71 + j),
        false => 0.0,
    };
    let packed = Packed::new((outputs, inputs, taps), weight, |o| number(seed, o + 7));
    let rows = rows(&packed);
    let count = (rows + (taps - 1) * dilation) * padded(inputs);
    let input = (0..count).map(|i| number(seed, i * 3 + 1)).collect();
    Sample { packed, dilation, weight, input, rows }
}

fn isas() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_available())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn direct_sums_are_right_and_no_row_depends_on_its_neighbours(
        outputs in 1usize..70, inputs in 1usize..40, taps in 1usize..8,
        dilation in 1usize..5, rows in 1usize..300, skip in 0usize..300, seed in any::<u32>(),
    ) {
        let sample = sample((outputs, inputs, taps), dilation, seed, |_| rows);
        let reference = sample.reference();
        for isa in isas() {
            let whole = sample.computed(isa, &Kernel::Direct, 0..rows);
            for (got, want) in whole.iter().zip(&reference) {
                prop_assert!((f64::from(*got) - want).abs() < 2e-5, "{isa}: {got} {want}");
            }
            let skip = skip.min(rows - 1);
            let part = sample.computed(isa, &Kernel::Direct, skip..rows);
            let skipped = skip * sample.packed.stride;
            prop_assert_eq!(&part[skipped..], &whole[skipped..], "{}", isa);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn sums_along_input_channels_are_right_and_no_row_depends_on_its_neighbours(
        outputs in 1usize..5, inputs in 16usize..70, taps in 1usize..80,
        dilation in 1usize..5, rows in 1usize..300, skip in 0usize..300, seed in any::<u32>(),
    ) {
        let sample = sample((outputs, inputs, taps), dilation, seed, |_| rows);
        let reference = sample.reference();
        let kernel = Kernel::Dots(Box::new(Dots::new(&sample.packed, dilation)));
        for isa in isas() {
            let whole = sample.computed(isa, &kernel, 0..rows);
            for (i, (got, want)) in whole.iter().zip(&reference).enumerate() {
                let want = if i % sample.packed.stride < outputs { *want } else { 0.0 };
                prop_assert!((f64::from(*got) - want).abs() < 5e-5, "{isa}: {got} {want}");
            }
            let skip = skip.min(rows - 1);
            let part = sample.computed(isa, &kernel, skip..rows);
            let skipped = skip * sample.packed.stride;
            prop_assert_eq!(&part[skipped..], &whole[skipped..], "{}", isa);
        }
    }

    #[test]
    fn weights_of_letters_add_up_to_the_bits_of_sums_of_products(
        outputs in 1usize..70, taps in 3usize..25, dilation in 1usize..5, rows in 1usize..600,
        quarters in any::<bool>(), seed in any::<u32>(),
    ) {
        let mut sample = sample((outputs, 4, taps), dilation, seed, |_| rows);
        for (i, row) in sample.input.chunks_exact_mut(16).enumerate() {
            let letter = (number(seed, i) * 5.0 + 2.5) as usize;
            row.fill(0.0);
            match row[..4].get_mut(letter) {
                Some(letter) => *letter = 1.0,
                None if quarters && i % 7 == 0 => row[..4].fill(0.25),
                None => {}
            }
        }
        let kernel = Kernel::Lookup(Box::new(Lookup::new(&sample.packed, dilation)));
        for isa in isas() {
            let summed = sample.computed(isa, &Kernel::Direct, 0..rows);
            prop_assert_eq!(sample.computed(isa, &kernel, 0..rows), summed, "{}", isa);
        }
    }
}

#[test]
fn a_pass_of_no_rows_hands_nothing_on() {
    let sample = sample((32, 32, 21), 1, 1, |_| 0);
    let spectral = Spectral::new(&sample.packed, 1, 64);
    let winograd = Kernel::Winograd(Box::new(Winograd::new(&sample.packed, 1)));
    let dots = Kernel::Dots(Box::new(Dots::new(&sample.packed, 1)));
    for kernel in [Kernel::Direct, Kernel::Spectral(Box::new(spectral)), winograd, dots] {
        assert_eq!(sample.computed(Isa::best(), &kernel, 0..0), [0.0; 0]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn transforms_compute_the_same_sums_and_no_block_depends_on_its_neighbours(
        outputs in 17usize..33, inputs in 28usize..33, taps in 20usize..70,
        dilation in 1usize..30, blocks in 1usize..4, spike in any::<bool>(), seed in any::<u32>(),
    ) {
        let spectral = |packed: &Packed| {
            let points = fft::points_for(packed.shape(dilation)).expect("long kernels pay");
            Spectral::new(packed, dilation, points)
        };
        let mut sample = sample((outputs, inputs, taps), dilation, seed, |packed| {
            blocks * spectral(packed).block()
        });
        if spike {
            // one row 10,000 times its neighbours (cpu-kernels.md 4b)
            let middle = sample.input.len() / 64 * 32;
            sample.input[middle..][..32].iter_mut().for_each(|x| *x *= 1e4);
        }
        let spectral = spectral(&sample.packed);
        let last = sample.rows - spectral.block();
        let kernel = Kernel::Spectral(Box::new(spectral));
        for isa in isas() {
            let whole = sample.computed(isa, &kernel, 0..sample.rows);
            let direct = sample.computed(isa, &Kernel::Direct, 0..sample.rows);
            for (i, (got, want)) in whole.iter().zip(&direct).enumerate() {
                let near = 3e-5f32.max(want.abs() * 1e-5);
                prop_assert!((got - want).abs() < near, "{isa} row {}: {got} {want}", i / 32);
            }
            let part = sample.computed(isa, &kernel, last..sample.rows);
            prop_assert_eq!(&part[last * 32..], &whole[last * 32..], "{}", isa);
        }
    }
}

#[test]
fn transforms_are_as_accurate_as_sums_whatever_the_scale_of_channels() {
    for (taps, decades) in [(21, 0.0), (26, 2.0), (41, 0.0), (41, 2.0)] {
        let scale = |c: usize| 10f32.powf((c * 7 % 32) as f32 / 32.0 * decades);
        let weight = |o: usize, i: usize, j: usize| number(1, (o * 32 + i) * 64 + j) / scale(i);
        let packed = Packed::new((32, 32, taps), weight, |_| 0.0);
        let points = fft::points_for(packed.shape(1)).expect("long kernels pay");
        let spectral = Spectral::new(&packed, 1, points);
        let rows = 4 * spectral.block();
        let count = (rows + taps - 1) * 32;
        let input = (0..count).map(|i| number(2, i).max(0.0) * scale(i % 32)).collect();
        let sample = Sample { packed, dilation: 1, weight, input, rows };
        let reference = sample.reference();
        let error = |kernel: &Kernel| {
            let output = sample.computed(Isa::best(), kernel, 0..rows);
            let squares = output.iter().zip(&reference).map(|(o, e)| (f64::from(*o) - e).powi(2));
            squares.sum::<f64>().sqrt()
        };
        let transformed = error(&Kernel::Spectral(Box::new(spectral)));
        let summed = error(&Kernel::Direct);
        assert!(transformed < summed, "{taps} taps: {transformed:e} against {summed:e}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn filtering_computes_the_same_sums_and_no_tile_depends_on_its_neighbours(
        outputs in 17usize..70, inputs in 17usize..70, taps in 3usize..14,
        dilation in prop_oneof![1usize..20, 90usize..110, 200usize..220], blocks in 1usize..4,
        from in 0usize..1000, to in 0usize..1000, spike in any::<bool>(), seed in any::<u32>(),
    ) {
        let rows = blocks * 4 * dilation;
        let mut sample = sample((outputs, inputs, taps), dilation, seed, |_| rows);
        if spike {
            let middle = sample.input.len() / 2;
            let row = middle - middle % padded(inputs);
            sample.input[row..][..inputs].iter_mut().for_each(|x| *x *= 1e4);
        }
        let kernel = Kernel::Winograd(Box::new(Winograd::new(&sample.packed, dilation)));
        let stride = sample.packed.stride;
        for isa in isas() {
            let whole = sample.computed(isa, &kernel, 0..rows);
            let direct = sample.computed(isa, &Kernel::Direct, 0..rows);
            for (i, (got, want)) in whole.iter().zip(&direct).enumerate() {
                let near = 6e-5f32.max(want.abs() * 1e-5);
                prop_assert!((got - want).abs() < near, "{isa} row {}: {got} {want}", i / stride);
            }
            let (from, to) = (from % rows, to % rows);
            let wanted = from.min(to)..from.max(to);
            let part = sample.computed(isa, &kernel, wanted.clone());
            for row in wanted {
                let row = row * stride..(row + 1) * stride;
                prop_assert_eq!(&part[row.clone()], &whole[row], "{}", isa);
            }
        }
    }
}

#[test]
fn filtering_errs_at_most_twice_as_much_as_sums() {
    for (channels, taps) in [(32, 11), (64, 3), (128, 3)] {
        let sample = sample((channels, channels, taps), 1, 3, |_| 240);
        let reference = sample.reference();
        let winograd = Kernel::Winograd(Box::new(Winograd::new(&sample.packed, 1)));
        let error = |kernel: &Kernel| {
            let output = sample.computed(Isa::best(), kernel, 0..240);
            let squares = output.iter().zip(&reference).map(|(o, e)| (f64::from(*o) - e).powi(2));
            squares.sum::<f64>().sqrt()
        };
        let (filtered, summed) = (error(&winograd), error(&Kernel::Direct));
        assert!(filtered < 2.0 * summed, "{channels} channels: {filtered:e} against {summed:e}");
    }
}

/// The measurement behind the costs in `choice.rs`:
/// `cargo test --release --lib kernels_take -- --ignored --nocapture`
#[test]
#[ignore = "prints a table and asserts nothing"]
fn how_long_the_kernels_take() {
    let fastest = |convolution: &Convolution, isa: Isa, sample: &[f32], rows: usize| {
        let pass = Pass { input: sample, input_stride: padded(convolution.packed.inputs), rows };
        let mut scratch = Scratch::default();
        let mut run = || {
            let start = std::time::Instant::now();
            convolution.compute(isa, pass, 0..rows, &mut scratch, &mut |finished| {
                std::hint::black_box(finished.values);
            });
            start.elapsed().as_secs_f64()
        };
        (0..15).map(|_| run()).fold(f64::INFINITY, f64::min) * 1e9 / rows as f64
    };
    println!("isa       taps channels      kernel  expected  ns per row  of direct");
    for isa in isas() {
        for (outputs, inputs, taps) in [
            (32, 32, 3),
            (32, 32, 11),
            (32, 32, 21),
            (32, 32, 41),
            (64, 64, 3),
            (64, 64, 7),
            (128, 128, 3),
            (256, 256, 3),
            (512, 512, 3),
            (1, 64, 75),
            (2, 64, 75),
            (3, 32, 1),
        ] {
            let dilation = if taps == 1 { 1 } else { 4 };
            let sample = sample((outputs, inputs, taps), dilation, 1, |_| 9_000);
            let shape = sample.packed.shape(dilation);
            let direct = ("direct".to_string(), shape.work(), Kernel::Direct);
            let mut kernels = vec![direct];
            if fft::fits(shape) {
                for points in fft::POINTS.into_iter().filter(|&points| points > 2 * taps) {
                    let spectral = Spectral::new(&sample.packed, dilation, points);
                    let work = spectral.work();
                    let kernel = Kernel::Spectral(Box::new(spectral));
                    kernels.push((format!("fourier {points}"), work, kernel));
                }
            }
            if taps > 1 && outputs > 2 {
                let filtering = Kernel::Winograd(Box::new(Winograd::new(&sample.packed, dilation)));
                kernels.push(("winograd".into(), winograd::work(shape), filtering));
            }
            if outputs < 4 {
                let dots = Kernel::Dots(Box::new(Dots::new(&sample.packed, dilation)));
                kernels.push(("dots".into(), dots::work(shape), dots));
            }
            let mut slowest = None;
            for (name, work, kernel) in kernels {
                let (packed, ranged) = (sample.packed.clone(), Ranged::default());
                let convolution = Convolution { packed, dilation, kernel, ranged };
                let rows = 8_000 / convolution.block() * convolution.block();
                let time = fastest(&convolution, isa, &sample.input, rows);
                let direct: f64 = *slowest.get_or_insert(time);
                println!(
                    "{:9} {taps:>4} {inputs:>3} > {outputs:>3} {name:>12} {:>9.2} {time:>11.1} {:>10.2}",
                    isa.to_string(),
                    work as f64 / shape.work() as f64,
                    time / direct
                );
            }
        }
    }
}
