//! Every kernel against plain sums in f64, on every instruction set of this machine.

use super::fft::Spectral;
use super::*;
use proptest::prelude::*;

/// The same chain of operations, one number at a time, in f64.
fn reference(
    packed: &Packed,
    dilation: usize,
    pass: &Pass<'_>,
    weight: impl Fn(usize, usize, usize) -> f32,
) -> Vec<f64> {
    let mut values = vec![];
    for row in 0..pass.rows {
        for output in 0..packed.stride {
            let mut sum = f64::from(packed.bias[output]);
            for tap in 0..packed.taps {
                for input in 0..packed.inputs {
                    let x = pass.input[(row + tap * dilation) * pass.input_stride + input];
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
                direct::convolve(isa, &packed, dilation, Pass { input, input_stride, rows, output });
            };
            run(0, rows, &mut output);
            let pass = Pass { input: &input, input_stride, rows, output: &mut [] };
            for (got, want) in output.iter().zip(reference(&packed, dilation, &pass, weight)) {
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
        let spectral = Spectral::new(&packed, dilation).expect("long kernels pay");
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
                let pass = Pass { input, input_stride: 32, rows, output: output_rows };
                fft::convolve(isa, &spectral, &packed, pass, &mut Scratch::default());
                output
            };
            let whole = run(0, rows);
            let mut direct = vec![f32::NAN; rows * 32];
            let output = &mut direct;
            let pass = Pass { input: &input, input_stride: 32, rows, output };
            direct::convolve(isa, &packed, dilation, pass);
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
        let spectral = Spectral::new(&packed, 1).expect("long kernels pay");
        let rows = 4 * spectral.block();
        let count = (rows + taps - 1) * 32;
        let input: Vec<f32> = (0..count).map(|i| uniform().max(0.0) * scale(i % 32)).collect();
        let (mut output, mut expected) = (vec![0.0; rows * 32], vec![]);
        let mut error = |transform: bool| {
            let output = &mut output;
            let pass = Pass { input: &input, input_stride: 32, rows, output };
            if expected.is_empty() {
                expected = reference(&packed, 1, &pass, weight);
            }
            match transform {
                true => {
                    let scratch = &mut Scratch::default();
                    fft::convolve(Isa::best(), &spectral, &packed, pass, scratch);
                }
                false => direct::convolve(Isa::best(), &packed, 1, pass),
            }
            let squares = output.iter().zip(&expected).map(|(o, e)| (f64::from(*o) - e).powi(2));
            squares.sum::<f64>().sqrt()
        };
        let (transformed, summed) = (error(true), error(false));
        assert!(transformed < summed, "{taps} taps: {transformed:e} against {summed:e}");
    }
}
