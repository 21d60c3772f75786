//! The engines against the oracle on random networks: the CPU engine on every instruction set of
//! this machine, the torch engine (feature `torch`) on the CPU.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use atrous::engine::cpu::Isa;
use atrous::engine::{CpuEngine, Edit, EditValues, Engine, Job, Oracle, Stretch, run_in_full};
use atrous::model::{
    Member, Model, Provenance, Source, Tensor, Track, TrackStrand, UnknownBase, Weights,
};
use atrous::network::blocks::{self, Dilated};
use atrous::network::{Activation, Graph, GraphBuilder, Op, Padding, Reach, Span};
use proptest::prelude::*;

/// A small reproducible source of numbers (a linear congruential generator, upper bits).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    /// Between -0.5 and 0.5.
    fn small(&mut self) -> f32 {
        self.below(1 << 20) as f32 / (1 << 20) as f32 - 0.5
    }
}

const FUNCTIONS: [Activation; 7] = [
    Activation::Relu,
    Activation::LeakyRelu { slope: 0.1 },
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Tanh,
    Activation::Sigmoid,
    Activation::Softplus,
];

/// A network of random blocks: kernels 1 to 45 (even ones too), dilations 1 to 20, any width,
/// values that several later nodes read.
fn random_network(n: &mut Numbers) -> Graph {
    let mut g = GraphBuilder::new();
    let channels = if n.below(2) == 0 { 17 + n.below(16) } else { 1 + n.below(70) };
    let taps = |n: &mut Numbers| {
        // every third is long enough for transforms, if the network is of a width for them
        let longest = if n.below(3) == 0 { 45 } else { 9 };
        let (kernel, dilation) = (1 + n.below(longest), 1 + n.below(20));
        Dilated { kernel, dilation, left: n.below((kernel - 1) * dilation + 1) }
    };
    let first = taps(n);
    let stem = Op::Conv {
        channels,
        kernel: first.kernel,
        dilation: first.dilation,
        left: first.left,
        bias: n.below(2) == 0,
        padding: Padding::None,
    };
    let mut x = g.add("stem", stem, &[0]).unwrap();
    let mut side = vec![];
    for i in 0..1 + n.below(5) {
        let (name, taps, function) = (format!("block.{i}"), taps(n), FUNCTIONS[n.below(7)]);
        let wide = [taps, Dilated::centred(1 + n.below(4), 1 + n.below(9))];
        x = match n.below(9) {
            0 => blocks::preactivation_unit(&mut g, &name, x, taps, function, 1e-3).unwrap(),
            1 => blocks::residual_unit(&mut g, &name, x, taps, function).unwrap(),
            2 => blocks::look_and_mix_unit(&mut g, &name, x, taps, function).unwrap(),
            3 => {
                let gated = blocks::gated_unit(&mut g, &name, x, taps).unwrap();
                side.push(gated.skip);
                gated.stream
            }
            4 => blocks::parallel_unit(&mut g, &name, x, &wide, function).unwrap(),
            5 => {
                let width = 1 + n.below(20);
                blocks::bottleneck_unit(&mut g, &name, x, taps, width, function, 1e-3).unwrap()
            }
            6 => g.add(name, Op::Affine, &[x]).unwrap(),
            7 => g.add(name, Op::Add, &[x, x]).unwrap(),
            _ => {
                let y =
                    g.add(format!("{name}.a"), Op::centred(1 + n.below(20), 3, 2), &[x]).unwrap();
                let y = g.add(format!("{name}.b"), Op::Concat, &[y, x, y]).unwrap();
                let y = g.add(format!("{name}.s"), Op::Softmax, &[y]).unwrap();
                g.add(format!("{name}.c"), Op::pointwise(channels), &[y]).unwrap()
            }
        };
    }
    for (i, skip) in side.into_iter().enumerate() {
        x = g.add(format!("skips.{i}"), Op::Add, &[skip, x]).unwrap();
    }
    let x = g.add("head", Op::pointwise(1 + n.below(20)), &[x]).unwrap();
    match n.below(3) {
        0 => drop(g.add("end", Op::Softmax, &[x]).unwrap()),
        1 => drop(g.add("end", Op::Activation { function: FUNCTIONS[n.below(7)] }, &[x]).unwrap()),
        _ => {}
    }
    g.finish().unwrap()
}

/// Weights of a size that keeps activations near 1; variances are positive.
fn random_weights(graph: &Graph, n: &mut Numbers) -> Weights {
    let tensor = |parameter: atrous::network::Parameter| {
        let count: usize = parameter.shape.iter().product();
        let fan_in = parameter.shape[1..].iter().product::<usize>() as f32;
        let gain = if parameter.shape.len() == 3 { 2.0 / fan_in.sqrt() } else { 0.5 };
        let positive = parameter.name.ends_with(".var");
        let values =
            (0..count).map(|_| n.small() * gain + if positive { 0.6 } else { 0.0 }).collect();
        (parameter.name, Tensor { shape: parameter.shape, values })
    };
    graph.parameters().into_iter().map(tensor).collect()
}

/// An ensemble of one or two members; track `i` is channel `i`, averaged.
fn model_of(graphs: Vec<(Graph, Weights)>) -> Model {
    let channels = graphs.iter().map(|(graph, _)| graph.output_channels()).min().unwrap();
    let members = 0..graphs.len();
    let track = |channel: usize| Track {
        name: format!("track{channel}"),
        unit: "none".into(),
        description: "A random channel.".into(),
        strand: TrackStrand::Read,
        default: true,
        sources: members.clone().map(|member| Source { member, channel }).collect(),
    };
    let (networks, weights): (Vec<_>, Vec<_>) = graphs.into_iter().unzip();
    let member = |(network, weights)| Member { name: format!("m{network}"), network, weights };
    Model {
        name: "random".into(),
        networks,
        members: weights.into_iter().enumerate().map(member).collect(),
        tracks: (0..channels).map(track).collect(),
        scheme: None,
        window: None,
        scalars: Vec::new(),
        profiles: Vec::new(),
        unknown_base: UnknownBase::Zero,
        provenance: Provenance {
            family: "atrous".into(),
            licence: "unknown".into(),
            sources: vec![],
            unread: vec![],
            record: "test".into(),
        },
    }
}

fn job(engine: &dyn Engine, letters: &dyn Fn(i64) -> u8, start: i64, length: usize) -> Job {
    let reach = engine.reach();
    let (left, right) = (reach.left as i64, reach.right as i64);
    let letters = (start - left..start + length as i64 + right).map(letters).collect();
    Job::new(start, length, letters)
}

fn run(engine: &dyn Engine, jobs: &[Job]) -> Vec<Vec<Vec<f32>>> {
    let values = engine.run(jobs, &|_| Ok(())).unwrap();
    values.into_iter().map(|values| values.tracks).collect()
}

fn random_model(n: &mut Numbers) -> Model {
    let member = |n: &mut Numbers| {
        let graph = random_network(n);
        let weights = random_weights(&graph, n);
        (graph, weights)
    };
    model_of((0..1 + n.below(2)).map(|_| member(n)).collect())
}

/// An edit of any kind: substitutions, insertions, deletions and both at once; short and long,
/// inside its window, across its ends, beside it.
fn random_edit(n: &mut Numbers) -> Edit {
    let length = |n: &mut Numbers, most: usize| match n.below(4) {
        0 => 0,
        1 => 1,
        2 => 1 + n.below(8),
        _ => n.below(most),
    };
    let (removed, inserted) = (length(n, 60), length(n, 400));
    let inserted = (0..inserted).map(|_| b"ACGTNacgt"[n.below(9)]).collect();
    let start = n.below(900) as i64;
    let window = match n.below(6) {
        0 => n.below(900) as i64,
        _ => start - n.below(60) as i64,
    };
    let width = if n.below(8) == 0 { 0 } else { n.below(120) as i64 };
    Edit { start, removed, inserted, window: Span::new(window, window + width) }
}

/// A stretch whose letters cover its edits and what their windows read.
fn stretch(reach: Reach, letters: &dyn Fn(i64) -> u8, edits: Vec<Edit>) -> Stretch {
    let (left, right) = (reach.left as i64, reach.right as i64);
    let start = edits.iter().map(|edit| edit.start.min(edit.window.start - left)).min().unwrap();
    let end = |edit: &Edit| (edit.start + edit.removed as i64).max(edit.window.end + right);
    let end = edits.iter().map(end).max().unwrap();
    Stretch { start, letters: (start..end).map(letters).collect(), edits }
}

fn run_edits(engine: &dyn Engine, stretches: &[Stretch]) -> Vec<Vec<EditValues>> {
    engine.run_edits(stretches, &|_| Ok(())).unwrap()
}

/// Both value tables of an edit, one after the other.
fn tables(values: &EditValues) -> impl Iterator<Item = &Vec<f32>> {
    values.reference.tracks.iter().chain(&values.alternative.tracks)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn edits_computed_where_they_matter_equal_edits_computed_in_full(seed in any::<u64>()) {
        let mut n = Numbers(seed);
        let model = random_model(&mut n);
        let letters = move |t: i64| b"ACGTNacgtR"[Numbers(seed ^ t as u64).below(1 << 20) % 10];
        let edits: Vec<Edit> = (0..1 + n.below(6)).map(|_| random_edit(&mut n)).collect();
        let oracle = Oracle::new(&model, &model.tracks);
        let all = [stretch(oracle.reach(), &letters, edits.clone())];
        let defined = &run_in_full(&oracle, &all, &|_| Ok(())).unwrap()[0];
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            let engine = CpuEngine::new(&model, &model.tracks, isa).unwrap();
            let all = [stretch(engine.reach(), &letters, edits.clone())];
            let got = &run_edits(&engine, &all)[0];
            let full = &run_in_full(&engine, &all, &|_| Ok(())).unwrap()[0];
            for (edit, ((got, full), defined)) in edits.iter().zip(got.iter().zip(full).zip(defined)) {
                for ((got, full), defined) in tables(got).zip(tables(full)).zip(tables(defined)) {
                    prop_assert_eq!(got.len(), defined.len());
                    let largest = defined.iter().fold(1.0f32, |m, x| m.max(x.abs()));
                    for ((got, full), defined) in got.iter().zip(full).zip(defined) {
                        prop_assert!(
                            (got - defined).abs() <= 2e-5 * largest && (got - full).abs() <= 2e-5 * largest,
                            "{isa}, {edit:?}: {got} against {defined}, in full {full}"
                        );
                    }
                }
            }
            // each alone, in a stretch of its own
            let alone: Vec<Stretch> =
                edits.iter().map(|e| stretch(engine.reach(), &letters, vec![e.clone()])).collect();
            for (values, got) in run_edits(&engine, &alone).into_iter().zip(got) {
                prop_assert_eq!(&values[0], got, "{}: other edits show", isa);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn long_stretches_which_are_computed_in_waves_equal_short_ones(seed in any::<u64>()) {
        let mut n = Numbers(seed);
        let model = random_model(&mut n);
        let letters = move |t: i64| b"ACGTNacgtR"[Numbers(seed ^ t as u64).below(1 << 20) % 10];
        // a wave is 262,144 numbers of the widest value
        let (length, piece) = (40_000, 2_500);
        let engine = CpuEngine::new(&model, &model.tracks, Isa::best()).unwrap();
        let whole = &run(&engine, &[job(&engine, &letters, 5, length)])[0];
        let starts = (0..length).step_by(piece);
        let pieces: Vec<Job> =
            starts.clone().map(|start| job(&engine, &letters, 5 + start as i64, piece)).collect();
        for (start, part) in starts.zip(run(&engine, &pieces)) {
            for (whole, part) in whole.iter().zip(&part) {
                let first = (0..piece).find(|&i| whole[start + i] != part[i]);
                prop_assert_eq!(first, None, "in the piece from {}", start);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn the_cpu_engine_computes_what_the_oracle_defines_in_any_tiling(seed in any::<u64>()) {
        let mut n = Numbers(seed);
        let model = random_model(&mut n);
        let letters = move |t: i64| b"ACGTNacgtR"[Numbers(seed ^ t as u64).below(1 << 20) % 10];
        let length = 1 + n.below(600);
        let oracle = Oracle::new(&model, &model.tracks);
        let whole = job(&oracle, &letters, -7, length);
        let expected = &run(&oracle, std::slice::from_ref(&whole))[0];
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            let engine = CpuEngine::new(&model, &model.tracks, isa).unwrap();
            let whole = job(&engine, &letters, -7, length);
            let got = &run(&engine, &[whole])[0];
            for (track, (got, expected)) in got.iter().zip(expected).enumerate() {
                let largest = expected.iter().fold(1.0f32, |m, x| m.max(x.abs()));
                for (t, (got, expected)) in got.iter().zip(expected).enumerate() {
                    prop_assert!(
                        (got - expected).abs() <= 2e-5 * largest,
                        "{isa}, track {track}, position {t}: {got} against {expected}"
                    );
                }
            }
            let cut = n.below(length);
            let tiles = [
                job(&engine, &letters, -7, cut),
                job(&engine, &letters, -7 + cut as i64, length - cut),
            ];
            let parts = run(&engine, &tiles);
            for (track, whole) in got.iter().enumerate() {
                let joined: Vec<f32> = [&parts[0][track][..], &parts[1][track][..]].concat();
                prop_assert_eq!(&joined, whole, "{}: the cut at {} shows", isa, cut);
            }
        }
    }
}

#[cfg(feature = "torch")]
mod torch {
    use super::*;
    use atrous::engine::{Device, Edit, Precision, Stretch, TorchEngine, Wanted, run_in_full};
    use atrous::model::{Scalar, Window};
    use atrous::network::{Padding, Span};

    fn torch(model: &Model) -> TorchEngine {
        TorchEngine::new(model, &model.tracks, Device::Cpu, Precision::Fp32).unwrap()
    }

    fn random_model(n: &mut Numbers) -> Model {
        let graphs = (0..1 + n.below(2)).map(|_| {
            let graph = random_network(n);
            let weights = random_weights(&graph, n);
            (graph, weights)
        });
        model_of(graphs.collect())
    }

    fn close(got: &[f32], expected: &[f32]) -> Result<(), TestCaseError> {
        prop_assert_eq!(got.len(), expected.len());
        let largest = expected.iter().fold(1.0f32, |m, x| m.max(x.abs()));
        for (t, (got, expected)) in got.iter().zip(expected).enumerate() {
            let apart = (got - expected).abs();
            prop_assert!(apart <= 2e-5 * largest, "position {t}: {got} against {expected}");
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn the_torch_engine_computes_what_the_oracle_defines(seed in any::<u64>()) {
            let mut n = Numbers(seed);
            let model = random_model(&mut n);
            let letters = move |t: i64| b"ACGTNacgtR"[Numbers(seed ^ t as u64).below(1 << 20) % 10];
            // equal lengths are stacked, and no job may see its neighbours
            let length = 1 + n.below(300);
            let shapes = [length, 1 + n.below(300), length, 0, length];
            let (oracle, engine) = (Oracle::new(&model, &model.tracks), torch(&model));
            let jobs: Vec<Job> = shapes
                .iter()
                .enumerate()
                .map(|(i, &length)| job(&engine, &letters, 1000 * i as i64 - 7, length))
                .collect();
            for (got, expected) in run(&engine, &jobs).iter().zip(run(&oracle, &jobs)) {
                for (got, expected) in got.iter().zip(&expected) {
                    close(got, expected)?;
                }
            }
        }

        #[test]
        fn the_torch_engine_runs_edits_as_the_oracle_does(seed in any::<u64>()) {
            let mut n = Numbers(seed);
            let model = random_model(&mut n);
            let (oracle, engine) = (Oracle::new(&model, &model.tracks), torch(&model));
            let (left, right) = (engine.reach().left as i64, engine.reach().right as i64);
            let stretches: Vec<Stretch> = (0..3).map(|_| {
                let start = n.below(1000) as i64;
                let length = 60 + left as usize + right as usize;
                let letters = (0..length).map(|_| b"ACGTN"[n.below(5)]).collect();
                let edits = (0..n.below(5)).map(|_| {
                    let at = start + left + 10 + n.below(20) as i64;
                    let window = Span::new(at - n.below(10) as i64, at + 1 + n.below(9) as i64);
                    let inserted = (0..n.below(4)).map(|_| b"ACGT"[n.below(4)]).collect();
                    Edit { start: at, removed: n.below(6), inserted, window }
                });
                let edits = edits.collect();
                Stretch { start, letters, edits }
            }).collect();
            let finished = std::sync::Mutex::new(vec![]);
            let after_each = |index| {
                finished.lock().unwrap().push(index);
                Ok(())
            };
            let got = engine.run_edits(&stretches, &after_each).unwrap();
            let expected = run_in_full(&oracle, &stretches, &|_| Ok(())).unwrap();
            let mut finished = finished.into_inner().unwrap();
            finished.sort_unstable();
            prop_assert_eq!(finished, [0, 1, 2]);
            for (got, expected) in got.iter().flatten().zip(expected.iter().flatten()) {
                for (got, expected) in
                    [(&got.reference, &expected.reference), (&got.alternative, &expected.alternative)]
                {
                    for (got, expected) in got.tracks.iter().zip(&expected.tracks) {
                        close(got, expected)?;
                    }
                }
            }
        }
    }

    /// A network in a window: padded or not, cropped, with control tracks and scalars.
    fn windowed_model(n: &mut Numbers) -> Model {
        let mut g = GraphBuilder::new();
        g.pad_with(if n.below(3) > 0 { Padding::Zero } else { Padding::None });
        let control = g.add("control", Op::Control { channels: 2 }, &[]).unwrap();
        let mut x = g.add("stem", Op::centred(8, 1 + n.below(9), 1), &[0]).unwrap();
        for i in 0..1 + n.below(3) {
            let taps = Dilated::centred(2 + n.below(2), 1 << n.below(4));
            let function = FUNCTIONS[n.below(7)];
            let name = format!("block.{i}");
            x = match n.below(2) {
                0 => blocks::residual_unit(&mut g, &name, x, taps, function).unwrap(),
                _ => blocks::preactivation_unit(&mut g, &name, x, taps, function, 1e-3).unwrap(),
            };
        }
        let total = g.add("total", Op::LogTotal { offset: 1.0 }, &[control]).unwrap();
        let mean = g.add("mean", Op::Mean, &[x]).unwrap();
        let both = g.add("both", Op::Concat, &[mean, total]).unwrap();
        let count = g.add("count", Op::pointwise(1), &[both]).unwrap();
        let bias = g.add("bias", Op::pointwise(1), &[mean]).unwrap();
        g.add("log_sum", Op::LogSumExp, &[count, bias]).unwrap();
        let (left, right) = (n.below(20), n.below(20));
        let x = g.add("crop", Op::Crop { left, right }, &[x]).unwrap();
        // read again after an operation that may write in place
        let y = g.add("relu", Op::Activation { function: Activation::Relu }, &[x]).unwrap();
        let x = g.add("uncropped", Op::Add, &[x, y]).unwrap();
        let x = g.add("profile", Op::centred(3, 1 + n.below(7), 1), &[x]).unwrap();
        let control = g.add("scaled", Op::pointwise(3), &[control]).unwrap();
        g.add("output", Op::Add, &[x, control]).unwrap();
        let graph = g.finish().unwrap();
        let weights = random_weights(&graph, n);
        let input = 120 + n.below(100);
        let domain = graph.domains(Span::new(0, input as i64))[graph.output()];
        let mut model = model_of(vec![(graph, weights)]);
        model.window = Some(Window { input, output: domain.len(), anchor: input / 2 });
        model.scalars = vec![Scalar {
            name: "log_count".into(),
            unit: "ln(count)".into(),
            description: "A random scalar.".into(),
            sources: vec![Source { member: 0, channel: 0 }],
        }];
        model
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn the_torch_engine_computes_windows_as_the_oracle_defines(seed in any::<u64>()) {
            let mut n = Numbers(seed);
            let model = windowed_model(&mut n);
            let wanted = Wanted { tracks: model.tracks.clone(), scalars: model.scalars.clone() };
            let oracle = Oracle::new(&model, wanted.clone());
            let engine =
                TorchEngine::new(&model, wanted, Device::Cpu, Precision::Fp32).unwrap();
            prop_assert_eq!(engine.reach(), oracle.reach());
            let window = model.window.unwrap();
            let jobs: Vec<Job> = (0..3).map(|i| {
                let letters = (0..window.input).map(|_| b"ACGTN"[n.below(5)]).collect();
                let track = |n: &mut Numbers| (0..window.input).map(|_| n.small() + 0.5).collect();
                let controls = if i == 1 { vec![] } else { vec![track(&mut n), track(&mut n)] };
                Job { controls, ..Job::new(0, window.output, letters) }
            }).collect();
            let (got, expected) = (engine.run(&jobs, &|_| Ok(())), oracle.run(&jobs, &|_| Ok(())));
            for (got, expected) in got.unwrap().iter().zip(&expected.unwrap()) {
                for (got, expected) in got.tracks.iter().zip(&expected.tracks) {
                    close(got, expected)?;
                }
                let (got, expected) = (got.scalars[0], expected.scalars[0]);
                prop_assert!((got - expected).abs() < 2e-5, "{got} against {expected}");
            }
            let cut = Job::new(0, window.output + 1, vec![b'A'; window.input + 1]);
            let error = engine.run(&[cut], &|_| Ok(())).unwrap_err().to_string();
            prop_assert!(error.contains("whole windows"), "{}", error);
        }
    }

    #[test]
    fn coarse_arithmetic_says_how_far_it_is_off() {
        let model = random_model(&mut Numbers(3));
        let exact = torch(&model);
        let coarse = TorchEngine::new(&model, &model.tracks, Device::Cpu, Precision::Bf16).unwrap();
        let jobs = [job(&exact, &|t| b"ACGT"[(t * t % 4) as usize], 0, 200)];
        let (got, expected) = (run(&coarse, &jobs), run(&exact, &jobs));
        let apart = got[0].iter().flatten().zip(expected[0].iter().flatten());
        let worst = apart.map(|(got, expected)| (got - expected).abs()).fold(0.0, f32::max);
        let found = coarse.coarseness().unwrap();
        assert_eq!((found.positions, found.largest_difference), (200, worst));
        assert!(worst > 1e-6, "bf16 keeps 8 bits: {worst}");
        assert_eq!(exact.coarseness(), None);
        let tf32 = TorchEngine::new(&model, &model.tracks, Device::Cpu, Precision::Tf32);
        assert!(tf32.err().unwrap().to_string().contains("GPU"));
    }
}
