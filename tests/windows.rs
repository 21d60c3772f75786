//! Networks that must be run in a window: the CPU engine against the oracle, and both against
//! numbers that a person can add up.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use atrous::engine::cpu::Isa;
use atrous::engine::{
    CpuEngine, EditedWindow, Engine, Job, Oracle, Values, Wanted, WindowEdit, run_windows_in_full,
};
use atrous::model::{
    Member, Model, Provenance, Scalar, Source, Tensor, Track, TrackStrand, UnknownBase, Weights,
    Window,
};
use atrous::network::blocks::{self, Dilated};
use atrous::network::{Activation, Graph, GraphBuilder, Op, Padding, Span};
use proptest::prelude::*;

/// Numbers that look random (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end as u64).unwrap()
    }

    fn tensor(&mut self, shape: Vec<usize>) -> Tensor {
        let count: usize = shape.iter().product();
        let scale = (shape[1..].iter().product::<usize>() as f32).sqrt();
        let values = (0..count).map(|_| (self.below(2001) as f32 / 1000.0 - 1.0) / scale).collect();
        Tensor { shape, values }
    }
}

/// A model of one network; all its channels are tracks, and all of its scalar head scalars.
fn model_of(graph: Graph, weights: Weights, input: usize) -> Model {
    let window = Window { input, output: 0, anchor: input / 2 };
    let window = Window { output: window.outputs(&graph).len(), ..window };
    let source = |channel| vec![Source { member: 0, channel }];
    let track = |channel: usize| Track {
        name: format!("track{channel}"),
        unit: "none".into(),
        description: "A channel.".into(),
        strand: TrackStrand::None,
        default: true,
        sources: source(channel),
    };
    let scalar = |channel: usize| Scalar {
        name: format!("scalar{channel}"),
        unit: "none".into(),
        description: "A channel.".into(),
        sources: source(channel),
    };
    let model = Model {
        name: "windowed".into(),
        window: Some(window),
        tracks: (0..graph.output_channels()).map(track).collect(),
        scalars: (0..graph.scalar_channels()).map(scalar).collect(),
        profiles: vec![],
        scheme: None,
        networks: vec![graph],
        members: vec![Member { name: "m".into(), network: 0, weights }],
        unknown_base: UnknownBase::Zero,
        provenance: Provenance {
            family: "atrous".into(),
            licence: "unknown".into(),
            sources: vec![],
            unread: vec![],
            record: "test".into(),
        },
    };
    model.validate().unwrap();
    model
}

fn everything(model: &Model) -> Wanted {
    Wanted { tracks: model.tracks.clone(), scalars: model.scalars.clone() }
}

fn run(engine: &dyn Engine, job: Job) -> Values {
    engine.run(&[job], &|_| Ok(())).unwrap().remove(0)
}

#[test]
fn padding_cropping_and_pooling_by_hand() {
    // y[t] = x[t - 1] + x[t + 1] of A, zero beyond the window; its mean; ln(2 + all controls)
    let mut g = GraphBuilder::new();
    let control = g.add("control", Op::Control { channels: 2 }, &[]).unwrap();
    let inner = g.add("inner", Op::Crop { left: 1, right: 0 }, &[control]).unwrap();
    let total = g.add("total", Op::LogTotal { offset: 2.0 }, &[inner]).unwrap();
    let conv = Op::Conv {
        channels: 1,
        kernel: 2,
        dilation: 2,
        left: 1,
        bias: false,
        padding: Padding::Zero,
    };
    let y = g.add("y", conv, &[0]).unwrap();
    let mean = g.add("mean", Op::Mean, &[y]).unwrap();
    g.add("numbers", Op::Concat, &[mean, total]).unwrap();
    g.add("output", Op::Crop { left: 0, right: 2 }, &[y]).unwrap();
    let weight = Tensor { shape: vec![1, 4, 2], values: vec![1., 1., 0., 0., 0., 0., 0., 0.] };
    let model = model_of(g.finish().unwrap(), [("y.weight".to_string(), weight)].into(), 5);
    let controls = vec![vec![9., 1., 2., 3., 4.], vec![9., 0., 0., 0., 1.]];
    let job = Job { controls, ..Job::new(0, 3, b"AACTA".to_vec()) };
    // A at 0, 1 and 4: y = 1, 1, 1, 1, 0
    let expected = vec![vec![1.0, 1.0, 1.0]];
    let oracle = Oracle::new(&model, everything(&model));
    let portable = CpuEngine::new(&model, everything(&model), Isa::Portable).unwrap();
    for engine in [&oracle as &dyn Engine, &portable] {
        assert_eq!((engine.reach().left, engine.reach().right), (0, 2));
        let values = run(engine, job.clone());
        assert_eq!(values.tracks, expected, "{}", engine.describe());
        assert!((values.scalars[0] - 0.8).abs() < 1e-12, "{:?}", values.scalars);
        assert!((values.scalars[1] - 13f64.ln()).abs() < 1e-12, "{:?}", values.scalars);
    }
}

/// A stack of random geometry with a profile head, a count head and perhaps a control.
fn random(n: &mut Numbers) -> (Model, usize) {
    const FUNCTIONS: [Activation; 3] =
        [Activation::Relu, Activation::Gelu, Activation::LeakyRelu { slope: 0.1 }];
    let padding = [Padding::None, Padding::Zero][n.below(2)];
    let channels = [3, 16, 32][n.below(3)];
    let mut g = GraphBuilder::new();
    g.pad_with(padding);
    let odd = |n: &mut Numbers| 1 + 2 * n.below(12);
    let stem = odd(n);
    let mut x = g.add("stem", Op::centred(channels, stem, 1), &[0]).unwrap();
    let mut span = stem - 1;
    for i in 0..1 + n.below(4) {
        // long kernels go through transforms where the network is of a width for them
        let kernel = if n.below(4) == 0 { 21 + 2 * n.below(10) } else { 1 + 2 * n.below(3) };
        let taps = Dilated::centred(kernel, 1 + n.below(9));
        span += (taps.kernel - 1) * taps.dilation;
        let (name, function) = (format!("unit.{i}"), FUNCTIONS[n.below(3)]);
        x = match n.below(3) {
            0 => blocks::residual_unit(&mut g, &name, x, taps, function).unwrap(),
            1 => blocks::activated_unit(&mut g, &name, x, taps, function).unwrap(),
            _ => blocks::preactivation_unit(&mut g, &name, x, taps, function, 0.1).unwrap(),
        };
        if matches!(g.channels(x), 3) && n.below(2) == 0 {
            g.pad_with([Padding::None, Padding::Zero][n.below(2)]);
        }
    }
    let input = 2 * span + 40 + n.below(300);
    let control = n.below(2) == 0;
    let mut scalars = vec![];
    if control {
        let node = g.add("control", Op::Control { channels: 2 }, &[]).unwrap();
        scalars.push(g.add("total", Op::LogTotal { offset: 1.0 }, &[node]).unwrap());
        x = g.add("both", Op::Concat, &[x, node]).unwrap();
    }
    let sides = n.below(20);
    let inner = g.add("inner", Op::Crop { left: sides, right: n.below(20) }, &[x]).unwrap();
    scalars.push(g.add("mean", Op::Mean, &[inner]).unwrap());
    if control {
        let both = g.add("scalars", Op::Concat, &scalars).unwrap();
        g.add("counts", Op::pointwise(2), &[both]).unwrap();
    }
    let profile = g.add("profile", Op::centred(2, odd(n), 1), &[x]).unwrap();
    g.add("output", Op::Crop { left: n.below(5), right: sides }, &[profile]).unwrap();
    let graph = g.finish().unwrap();
    let weights = graph.parameters().into_iter().map(|p| {
        let mut tensor = n.tensor(p.shape);
        if p.name.ends_with(".var") {
            tensor.values.iter_mut().for_each(|x| *x = x.abs() + 0.5);
        }
        (p.name, tensor)
    });
    let weights: Weights = weights.collect();
    (model_of(graph, weights, input), input)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn the_cpu_engine_computes_the_definition_in_a_window(seed in any::<u64>()) {
        let mut n = Numbers(seed);
        let (model, input) = random(&mut n);
        let letters: Vec<u8> = (0..input).map(|_| b"ACGTN"[n.below(5)]).collect();
        let controls: Vec<Vec<f32>> =
            (0..2).map(|_| (0..input).map(|_| n.below(9) as f32).collect()).collect();
        let job = |start| {
            let output = model.window.unwrap().output;
            Job { controls: controls.clone(), ..Job::new(start, output, letters.clone()) }
        };
        let expected = run(&Oracle::new(&model, everything(&model)), job(0));
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            let engine = CpuEngine::new(&model, everything(&model), isa).unwrap();
            let values = run(&engine, job(0));
            for (got, want) in values.tracks.iter().zip(&expected.tracks) {
                prop_assert_eq!(got.len(), want.len());
                for (got, want) in got.iter().zip(want) {
                    let near = 1e-4f32.max(want.abs() * 1e-4);
                    prop_assert!((got - want).abs() < near, "{isa}: {got} {want}");
                }
            }
            for (got, want) in values.scalars.iter().zip(&expected.scalars) {
                prop_assert!((got - want).abs() < 1e-4f64.max(want.abs() * 1e-4), "{isa}: {got} {want}");
            }
            // wherever the window lies, and whatever buffers are used again
            prop_assert_eq!(&run(&engine, job(777)), &values);
        }
    }
}

/// A window around which more is known, so that letters may move: `input` letters from `BESIDE` on.
const BESIDE: usize = 40;

/// An edit of a window: letters `at` on are replaced, and those before it move by `left`.
fn edit(
    around: &[u8],
    input: usize,
    at: usize,
    removed: usize,
    by: &[u8],
    left: i64,
) -> WindowEdit {
    let mut edited = around.to_vec();
    edited.splice(BESIDE + at..BESIDE + at + removed, by.iter().copied());
    let first = usize::try_from(BESIDE as i64 - left).unwrap();
    let start = at as i64 + left;
    WindowEdit {
        letters: edited[first..first + input].to_vec(),
        changed: Span::new(start, start + by.len() as i64),
        left,
        right: left + by.len() as i64 - removed as i64,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn edits_of_a_window_give_what_their_letters_give(seed in any::<u64>()) {
        let mut n = Numbers(seed);
        let (model, input) = random(&mut n);
        let base = |n: &mut Numbers| b"ACGTACGTACGTN"[n.below(13)];
        let around: Vec<u8> = (0..input + 2 * BESIDE).map(|_| base(&mut n)).collect();
        let most = 3 * n.below(2);
        let controls = (0..2).map(|_| (0..input).map(|_| n.below(most + 1) as f32).collect());
        let controls: Vec<Vec<f32>> = controls.collect();
        let edits = (0..8).map(|number| {
            // the first at the ends, where zeros are read
            let at = match number {
                0 => 0,
                1 => input - 1,
                _ => n.below(input),
            };
            let removed = n.below(if number < 4 { 2 } else { 20 }).min(input - at);
            let inserted = if number < 4 { removed } else { n.below(20) };
            let by: Vec<u8> = (0..inserted).map(|_| base(&mut n)).collect();
            let grown = inserted as i64 - removed as i64;
            let left = [0, -grown / 2, n.below(9) as i64 - 4][n.below(3)];
            edit(&around, input, at, removed, &by, if number < 4 { 0 } else { left })
        });
        let edits: Vec<WindowEdit> = edits.collect();
        let output = model.window.unwrap().output;
        let letters = around[BESIDE..BESIDE + input].to_vec();
        let job = Job { controls, ..Job::new(5, output, letters) };
        let window = EditedWindow { job, edits };
        let oracle = Oracle::new(&model, everything(&model));
        let windows = std::slice::from_ref(&window);
        let expected = run_windows_in_full(&oracle, windows, &|_| Ok(())).unwrap().remove(0);
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            let engine = CpuEngine::new(&model, everything(&model), isa).unwrap();
            let found = engine.run_window_edits(windows, &|_| Ok(())).unwrap().remove(0);
            prop_assert_eq!(&found.reference, &run(&engine, window.job.clone()));
            let pairs = found.alternatives.iter().zip(&expected.alternatives);
            for (index, (found, expected)) in pairs.enumerate() {
                let edit = &window.edits[index];
                let what = format!(
                    "{isa}: edit {index} {:?} {} {}", edit.changed, edit.left, edit.right
                );
                let found_all = found.tracks.iter().flatten().map(|&x| f64::from(x));
                let expected_all = expected.tracks.iter().flatten().map(|&x| f64::from(x));
                let pairs = found_all.zip(expected_all);
                let scalars = found.scalars.iter().copied().zip(expected.scalars.iter().copied());
                for (got, want) in pairs.chain(scalars) {
                    let near = 1e-4f64.max(want.abs() * 1e-4);
                    prop_assert!((got - want).abs() < near, "{what}: {got} {want}");
                }
            }
            // alone as among others
            let one = EditedWindow { edits: window.edits[5..6].to_vec(), ..window.clone() };
            let alone = engine.run_window_edits(&[one], &|_| Ok(())).unwrap().remove(0);
            prop_assert_eq!(&alone.alternatives[0], &found.alternatives[5]);
        }
    }
}
