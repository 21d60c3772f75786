//! The receptive field that is printed is the one that the engine reads: the outermost bases on
//! both sides change an output, the bases one beyond do not.

#![allow(clippy::unwrap_used, reason = "a test")]

use atrous::engine::cpu::Isa;
use atrous::engine::{CpuEngine, Engine, Job, Oracle};
use atrous::model::import::{FamilyChoice, ImportOptions, import};
use atrous::model::{
    Member, Model, Provenance, Source, Tensor, Track, TrackStrand, UnknownBase, Weights,
};
use atrous::network::coverage::seen;
use atrous::network::{Architecture, Graph, Node, Op};
use std::path::PathBuf;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Left,
    Right,
}

/// Weights that make the outermost path count: convolutions read at the tap of one side only, and
/// take about the mean of their inputs there; all positive, so that nothing is cut off. Through
/// trained or random weights the change would be real but smaller than the last bit.
fn edge_weights(graph: &Graph, side: Side) -> Weights {
    // how much residual adds multiply the size of values; the last layers bring it back to about 1
    let mut sizes: Vec<f32> = vec![];
    for node in graph.nodes() {
        let inputs = node.inputs.iter().map(|&input| sizes[input]);
        sizes.push(match node.op {
            Op::Input => 1.0,
            Op::Add => inputs.sum(),
            _ => inputs.fold(0.0, f32::max),
        });
    }
    let mut last = vec![true; graph.nodes().len()];
    for (id, node) in graph.nodes().iter().enumerate().rev() {
        let conv = matches!(node.op, Op::Conv { .. });
        for &input in &node.inputs {
            last[input] &= last[id] && !conv;
        }
    }
    let mut weights = Weights::new();
    for (id, node) in graph.nodes().iter().enumerate() {
        for parameter in graph.node_parameters(id) {
            let mut values = vec![0.0; parameter.shape.iter().product()];
            if let [outputs, inputs, kernel] = parameter.shape[..] {
                let tap = if side == Side::Left { 0 } else { kernel - 1 };
                let weight: usize = (0..inputs).map(|input| 1 + input % 4).sum();
                let weight = weight as f32;
                for pair in 0..outputs * inputs {
                    let (output, input) = (pair / inputs, pair % inputs);
                    // A weighs 1 and C 2; the outputs differ, or a softmax would not move
                    let base = (1 + input % 4) as f32 / weight;
                    let track = if last[id] { (1 + output % 3) as f32 / sizes[id] } else { 1.0 };
                    values[pair * kernel + tap] = base * track;
                }
            } else if [".scale", ".var"].iter().any(|ending| parameter.name.ends_with(ending)) {
                values.fill(1.0);
            }
            weights.insert(parameter.name, Tensor { shape: parameter.shape, values });
        }
        assert!(node.op != Op::Gate, "a gate saturates with these weights");
    }
    weights
}

fn random_weights(graph: &Graph) -> Weights {
    let mut state = 1u64;
    let mut number = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let tensor = |parameter: atrous::network::Parameter| {
        let count: usize = parameter.shape.iter().product();
        let fan_in = parameter.shape[1..].iter().product::<usize>() as f32;
        let lift = if parameter.name.ends_with(".var") { 1.0 } else { 0.0 };
        let values = (0..count).map(|_| number() * 2.0 / fan_in.sqrt() + lift).collect();
        (parameter.name, Tensor { shape: parameter.shape, values })
    };
    graph.parameters().into_iter().map(tensor).collect()
}

fn model_of(graph: &Graph, weights: Weights) -> Model {
    let channels = 0..graph.output_channels();
    let track = |channel| Track {
        name: format!("track{channel}"),
        unit: "none".into(),
        description: "A channel.".into(),
        strand: TrackStrand::Read,
        default: true,
        sources: vec![Source { member: 0, channel }],
    };
    Model {
        name: "edges".into(),
        networks: vec![graph.clone()],
        members: vec![Member { name: "m".into(), network: 0, weights }],
        tracks: channels.map(track).collect(),
        scheme: None,
        window: None,
        scalars: Vec::new(),
        profiles: Vec::new(),
        unknown_base: UnknownBase::Zero,
        provenance: Provenance {
            family: "atrous".into(),
            licence: "none".into(),
            sources: vec![],
            unread: vec![],
            record: "test".into(),
        },
    }
}

/// The same network with convolutions of at most 3 channels: as far-sighted, and quick enough for
/// the oracle, which spreads no rounding errors over its neighbours.
fn narrow(graph: &Graph) -> Graph {
    let node = |node: &Node| {
        let mut node = node.clone();
        if let Op::Conv { channels, .. } = &mut node.op {
            *channels = 3.min(*channels);
        }
        node
    };
    Graph::from_nodes(graph.nodes().iter().map(node).collect()).unwrap()
}

/// Largest changes of two neighbouring outputs when one letter changes: the leftmost that the left
/// one reads, or the rightmost that the right one reads.
fn changes(model: &Model, engine: &dyn Engine, side: Side) -> [f32; 2] {
    let (own, around) = (model.reach(), engine.reach());
    let length = usize::try_from(around.receptive_field()).unwrap() + 1;
    let mut letters: Vec<u8> = (0..length).map(|t| b"ACGGTCATTGCA"[t * t % 12]).collect();
    let at = match side {
        Side::Left => around.left - own.left,
        Side::Right => around.left + 1 + own.right,
    };
    let at = usize::try_from(at).unwrap();
    letters[at] = b'A';
    let mut other = letters.clone();
    other[at] = b'C';
    let jobs = [letters, other].map(|letters| Job::new(0, 2, letters));
    let values = engine.run(&jobs, &|_| Ok(())).unwrap();
    [0, 1].map(|t| {
        let tracks = values[0].tracks.iter().zip(&values[1].tracks);
        tracks.map(|(before, after)| (after[t] - before[t]).abs()).fold(0.0, f32::max)
    })
}

/// The leftmost letter belongs to the left output alone, the rightmost to the right one alone.
fn check(name: &str, graph: &Graph) {
    let reach = graph.reach();
    let seen = seen(graph).unwrap();
    assert_eq!(seen.len() as u64, reach.receptive_field(), "{name}");
    assert!(seen[0] && seen[seen.len() - 1], "{name}");
    let graph = narrow(graph);
    assert_eq!(graph.reach(), reach, "{name}");
    for (side, expected) in [(Side::Left, [true, false]), (Side::Right, [false, true])] {
        let model = model_of(&graph, edge_weights(&graph, side));
        let oracle = Oracle::new(&model, &model.tracks);
        let changed = changes(&model, &oracle, side).map(|change| change > 0.0);
        assert_eq!(changed, expected, "{name}, {side:?}, {reach:?}");
        let model = model_of(&graph, random_weights(&graph));
        let change = beyond(&model, &Oracle::new(&model, &model.tracks), side);
        assert_eq!(change, 0.0, "{name}, {side:?}: random weights see beyond {reach:?}");
    }
}

/// Change of the output that lies one base too far away.
fn beyond(model: &Model, engine: &dyn Engine, side: Side) -> f32 {
    let [left, right] = changes(model, engine, side);
    if side == Side::Left { right } else { left }
}

#[test]
fn presets_read_exactly_what_is_printed() {
    for name in ["grouped", "exponential-medium", "profile-trunk", "growth", "periodic", "pyramid"]
    {
        check(name, &Architecture::preset(name).unwrap().unwrap().graph().unwrap());
    }
}

#[test]
fn imported_families_read_exactly_what_is_printed() {
    let root = std::env::var_os("ATROUS_SHARED").map_or_else(|| "../shared".into(), PathBuf::from);
    let weights = root.join("weights");
    if !weights.is_dir() {
        eprintln!("skipped: no published weights in {} (set ATROUS_SHARED)", weights.display());
        return;
    }
    for (file, side) in [
        ("spliceai/spliceai1.h5", 5000),
        ("pangolin/final.1.0.3.v2", 5000),
        ("openspliceai/mane-80nt/model_80nt_rs10.pt", 40),
        ("openspliceai/mane-400nt/model_400nt_rs10.pt", 200),
        ("openspliceai/mane-2000nt/model_2000nt_rs10.pt", 1000),
    ] {
        let options = ImportOptions::default();
        let model = import(FamilyChoice::Auto, &[weights.join(file)], &options).unwrap();
        let reach = model.reach();
        assert_eq!((reach.left, reach.right), (side, side), "{file}");
        check(file, &model.networks[0]);
        // the weights as published, where transforms may leave a rounding error
        let engine = CpuEngine::new(&model, &model.tracks, Isa::best()).unwrap();
        for edge in [Side::Left, Side::Right] {
            let change = beyond(&model, &engine, edge);
            assert!(change < 1e-6, "{file}, {edge:?}: {change}");
        }
    }
}
