//! CPU engine on whole networks with arbitrary weights: output bases per second on one thread, and
//! edits per second.
//!
//! `cargo bench --bench engine` runs all; `cargo bench --bench engine -- grouped` one of them.

use atrous::engine::cpu::Isa;
use atrous::engine::{CpuEngine, Edit, Engine, Job, Stretch};
use atrous::model::{
    Member, Model, Provenance, Source, Tensor, Track, TrackStrand, UnknownBase, Weights,
};
use atrous::network::{Architecture, Graph, Span};
use divan::Bencher;
use divan::counter::ItemsCount;

fn main() {
    divan::main();
}

fn preset(name: &str) -> Graph {
    let architecture = Architecture::preset(name).expect("a built-in name").expect("valid");
    architecture.graph().expect("valid")
}

fn model(graph: Graph) -> Model {
    let tensor = |p: atrous::network::Parameter| {
        let count: usize = p.shape.iter().product();
        let scale = 1.0 / (p.shape[1..].iter().product::<usize>() as f32).sqrt();
        let values = (0..count).map(|i| ((i * 7919 % 1009) as f32 / 1009.0 - 0.5) * scale);
        let values = values.map(|x| if p.name.ends_with("var") { x.abs() + 0.1 } else { x });
        let values = values.collect();
        (p.name, Tensor { shape: p.shape, values })
    };
    let weights: Weights = graph.parameters().into_iter().map(tensor).collect();
    let track = |channel: usize| Track {
        name: format!("track{channel}"),
        unit: "none".into(),
        description: "One channel.".into(),
        strand: TrackStrand::Read,
        default: true,
        sources: vec![Source { member: 0, channel }],
    };
    Model {
        name: "bench".into(),
        tracks: (1..graph.output_channels()).map(track).collect(),
        networks: vec![graph],
        members: vec![Member { name: "m".into(), network: 0, weights }],
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
            record: "bench".into(),
        },
    }
}

fn bench(bencher: Bencher<'_, '_>, graph: Graph, isa: Isa, length: usize) {
    let model = model(graph);
    let engine = match CpuEngine::new(&model, &model.tracks, isa) {
        Ok(engine) => engine,
        Err(error) => return println!("skipped: {error}"),
    };
    let reach = engine.reach();
    let context = usize::try_from(reach.left + reach.right).expect("fits");
    let letters = (0..length + context).map(|i| b"ACGT"[i * 7919 % 1009 % 4]).collect();
    let job = Job::new(0, length, letters);
    bencher
        .counter(ItemsCount::new(length))
        .bench_local(|| engine.run(std::slice::from_ref(&job), &|_| Ok(())).expect("runs"));
}

#[divan::bench(args = [20_000, 100_000], sample_count = 3, sample_size = 1)]
fn grouped_avx512(bencher: Bencher<'_, '_>, length: usize) {
    bench(bencher, preset("grouped"), Isa::Avx512, length);
}

#[divan::bench(args = [20_000], sample_count = 3, sample_size = 1)]
fn grouped_avx2(bencher: Bencher<'_, '_>, length: usize) {
    bench(bencher, preset("grouped"), Isa::Avx2, length);
}

#[divan::bench(args = [5_000], sample_count = 2, sample_size = 1)]
fn grouped_portable(bencher: Bencher<'_, '_>, length: usize) {
    bench(bencher, preset("grouped"), Isa::Portable, length);
}

#[divan::bench(args = [100_000], sample_count = 2, sample_size = 1)]
fn exponential_avx512(bencher: Bencher<'_, '_>, length: usize) {
    bench(bencher, preset("exponential-large"), Isa::Avx512, length);
}

/// Substitutions 100 bases apart in one stretch, 50 outputs to either side of each.
fn bench_edits(bencher: Bencher<'_, '_>, isa: Isa, edits: usize) {
    let model = model(preset("grouped"));
    let engine = match CpuEngine::new(&model, &model.tracks, isa) {
        Ok(engine) => engine,
        Err(error) => return println!("skipped: {error}"),
    };
    let reach = engine.reach();
    let start = -50 - i64::try_from(reach.left).expect("fits");
    let end = 100 * i64::try_from(edits).expect("fits") + i64::try_from(reach.right).expect("fits");
    let edit = |at: i64| Edit {
        start: at,
        removed: 1,
        inserted: b"T".to_vec(),
        window: Span::new(at - 50, at + 51),
    };
    let stretch = Stretch {
        start,
        letters: (0..end - start).map(|i| b"ACG"[(i * 7919 % 1009 % 3) as usize]).collect(),
        edits: (0..edits as i64).map(|i| edit(100 * i)).collect(),
    };
    bencher.counter(ItemsCount::new(edits)).bench_local(|| {
        engine.run_edits(std::slice::from_ref(&stretch), &|_| Ok(())).expect("runs")
    });
}

#[divan::bench(args = [1, 50], sample_count = 3, sample_size = 1)]
fn edits_avx512(bencher: Bencher<'_, '_>, edits: usize) {
    bench_edits(bencher, Isa::Avx512, edits);
}

#[divan::bench(args = [1, 50], sample_count = 3, sample_size = 1)]
fn edits_avx2(bencher: Bencher<'_, '_>, edits: usize) {
    bench_edits(bencher, Isa::Avx2, edits);
}
