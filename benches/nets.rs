//! The networks of `torch_bpnet.py` on the CPU engine: largest difference from its float64 outputs,
//! and CPU seconds, of the windows that it dumped (see `benches/nets.py`).
//!
//! `cargo bench --bench nets -- work/bpnet64.safetensors ...`; without files there is nothing to do.

use atrous::engine::cpu::{CpuEngine, Isa};
use atrous::engine::{Engine, Job, Values, Wanted};
use atrous::model::file;
use safetensors::SafeTensors;
use std::path::Path;
use std::time::Instant;

/// Runs of which the fastest counts.
const REPEATS: usize = 3;

fn main() {
    let files = std::env::args().skip(1).filter(|argument| argument.ends_with(".safetensors"));
    // one thread, so that CPU time is that of the work
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("the first pool");
    for file in files {
        measure(&file);
    }
}

fn measure(dump: &str) {
    let bytes = std::fs::read(dump).expect("the file that torch_bpnet.py dumped");
    let tensors = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let path = dump.replace(".safetensors", ".model.safetensors");
    let model = file::read(Path::new(&path)).expect("the model that nets.py wrote").model;
    let window = model.window.expect("these networks have windows");
    let input = tensors.tensor("input").expect("the letters");
    let letters = |codes: &[u8]| codes.iter().map(|&code| b"ACGTN"[usize::from(code)]).collect();
    let jobs: Vec<Job> = input
        .data()
        .chunks(window.input)
        .map(|codes| Job::new(0, window.output, letters(codes)))
        .collect();
    let wanted = Wanted { tracks: model.tracks.clone(), scalars: model.scalars.clone() };
    let isa = Isa::best();
    let engine = CpuEngine::new(&model, wanted, isa).expect("the best one is available");
    let mut best = f64::INFINITY;
    let mut values = vec![];
    for _ in 0..REPEATS {
        let start = cpu_seconds();
        values = engine.run(&jobs, &|_| Ok(())).expect("nothing stops it");
        best = best.min(cpu_seconds() - start);
    }
    println!(
        "{} {isa}: {best:.3} CPU s, {:.2} windows per CPU s; {}",
        Path::new(dump).file_stem().expect("a file").display(),
        jobs.len() as f64 / best,
        differences(&tensors, &values)
    );
}

/// The largest differences from the float64 outputs.
fn differences(tensors: &SafeTensors<'_>, values: &[Values]) -> String {
    let tracks = || values.iter().flat_map(|v| &v.tracks).flatten().map(|&x| f64::from(x));
    let scalars = || values.iter().flat_map(|v| &v.scalars).copied();
    let mut text = vec![];
    for (name, found) in [
        ("profile64", tracks().collect::<Vec<f64>>()),
        ("output64", tracks().collect()),
        ("counts64", scalars().collect()),
    ] {
        let Ok(expected) = tensors.tensor(name) else { continue };
        let expected = expected.data().as_chunks::<8>().0.iter().map(|x| f64::from_le_bytes(*x));
        let difference = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
        text.push(format!("{name} within {:.1e}", difference.fold(0.0, f64::max)));
    }
    text.join(", ")
}

/// User and system seconds of this process so far, or wall seconds where the system does not tell.
fn cpu_seconds() -> f64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let wall = START.get_or_init(Instant::now).elapsed().as_secs_f64();
    // fields 14 and 15, in ticks of 10 ms, counted from behind the program's name
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or("").split_whitespace().skip(11).take(2);
    let ticks: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
    if ticks.len() == 2 { ticks.iter().sum::<f64>() / 100.0 } else { wall }
}
