//! The networks of `torch_bpnet.py` on the CPU engine, one thread: CPU seconds, and errors against
//! its float64 outputs beside those of its own 32-bit ones, as JSON (see `benches/compare.py`).
//!
//! `cargo bench --bench nets -- [--batch N] [--isa NAME] work/bpnet64.safetensors ...`, after
//! `benches/nets.py`; without files there is nothing to do.

use atrous::engine::cpu::{CpuEngine, Isa};
use atrous::engine::{Engine, Job, Values, Wanted};
use atrous::model::file;
use safetensors::SafeTensors;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::Instant;

/// Timed runs, after one that is not.
const REPEATS: usize = 3;

fn main() {
    let (mut batch, mut isa, mut files) = (usize::MAX, Isa::best(), vec![]);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("the flag has a value");
        match argument.as_str() {
            "--batch" => batch = value().parse().expect("a number of windows"),
            "--isa" => isa = value().parse().expect("an instruction set"),
            "--bench" => {}
            _ => files.push(argument),
        }
    }
    // one thread, so that CPU time is that of the work
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("the first pool");
    for file in files {
        println!("{}", measure(&file, batch, isa));
    }
}

fn measure(dump: &str, batch: usize, isa: Isa) -> Value {
    let bytes = std::fs::read(dump).expect("the file that torch_bpnet.py dumped");
    let tensors = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let path = dump.replace(".safetensors", ".model.safetensors");
    let model = file::read(Path::new(&path)).expect("the model that nets.py wrote").model;
    let window = model.window.expect("these networks have windows");
    let input = tensors.tensor("input").expect("the letters");
    let letters = |codes: &[u8]| codes.iter().map(|&code| b"ACGTN"[usize::from(code)]).collect();
    let windows = input.data().chunks(window.input).take(batch);
    let jobs: Vec<Job> = windows.map(|codes| Job::new(0, window.output, letters(codes))).collect();
    let wanted = Wanted { tracks: model.tracks.clone(), scalars: model.scalars.clone() };
    let engine = CpuEngine::new(&model, wanted, isa).expect("this processor has it");
    let run = || engine.run(&jobs, &|_| Ok(())).expect("nothing stops it");
    let values = run();
    let mut seconds: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let start = cpu_seconds();
            run();
            cpu_seconds() - start
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    json!({
        "net": Path::new(dump).file_stem().map(|name| name.to_string_lossy()),
        "isa": isa.to_string(),
        "batch": jobs.len(),
        "cpu_s_median": seconds[REPEATS / 2],
        "errors": errors(&tensors, &values),
    })
}

/// By output: its largest number, the largest error of the dumped 32-bit outputs, and ours.
fn errors(tensors: &SafeTensors<'_>, values: &[Values]) -> Map<String, Value> {
    let tracks = || values.iter().flat_map(|v| &v.tracks).flatten().map(|&x| f64::from(x));
    let scalars = values.iter().flat_map(|v| &v.scalars).copied();
    let mut all = Map::new();
    for (name, found) in [
        ("profile", tracks().collect::<Vec<f64>>()),
        ("output", tracks().collect()),
        ("counts", scalars.collect()),
    ] {
        let (Ok(exact), Ok(single)) = (tensors.tensor(&format!("{name}64")), tensors.tensor(name))
        else {
            continue;
        };
        let exact: Vec<f64> =
            exact.data().as_chunks::<8>().0.iter().map(|x| f64::from_le_bytes(*x)).collect();
        let single = single.data().as_chunks::<4>().0.iter();
        let single = single.map(|x| f64::from(f32::from_le_bytes(*x)));
        let most = |numbers: &mut dyn Iterator<Item = f64>| {
            numbers.zip(&exact).map(|(x, exact)| (x - exact).abs()).fold(0.0, f64::max)
        };
        let largest = exact.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        let errors = [most(&mut single.take(found.len())), most(&mut found.iter().copied())];
        all.insert(name.into(), json!([largest, errors[0], errors[1]]));
    }
    all
}

/// Seconds that the threads of this process have run so far, or wall seconds where the system does
/// not tell.
fn cpu_seconds() -> f64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let wall = START.get_or_init(Instant::now).elapsed().as_secs_f64();
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return wall };
    let nanoseconds = |thread: std::io::Result<std::fs::DirEntry>| -> Option<f64> {
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    threads.map(nanoseconds).sum::<Option<f64>>().map_or(wall, |sum| sum / 1e9)
}
