//! CPU seconds of `Engine::run_edits` under the loads of variant scoring, as one line of JSON.
//!
//! `edit_loads MODEL isolated|dense|mutate|run [EDITS] [THREADS] [DISTANCE]`: substitutions 20 kb
//! apart; one every 100 bases; every substitution of consecutive bases. `run` computes the
//! reference windows of `isolated` alone, by `Engine::run`. Letters are made up.

use atrous::engine::cpu::{CpuEngine, Isa};
use atrous::engine::{Edit, Engine, Job, Stretch};
use atrous::job::resources;
use atrous::model::file;
use atrous::network::Span;
use std::path::Path;

/// Bases between isolated edits: no window of the known networks reaches that far.
const APART: usize = 20_000;
/// Bases between the edits of the dense load.
const STEP: usize = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [path, work, numbers @ ..] = &words[..] else {
        return Err(
            "edit_loads MODEL isolated|dense|mutate|run [EDITS] [THREADS] [DISTANCE]".into()
        );
    };
    let number = |index: usize, default: usize| {
        numbers.get(index).map_or(Ok(default), |word| word.parse::<usize>())
    };
    let (edits, threads, distance) = (number(0, 100)?, number(1, 1)?, number(2, 50)?);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let model = file::read(Path::new(path))?.model;
    let engine = CpuEngine::new(&model, &model.tracks, Isa::best())?;
    let reach = engine.reach();
    let flank = (reach.left.max(reach.right)) as usize + distance;
    let letter = |i: usize| b"ACGT"[(i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 37) % 4];
    let edit = |at: usize, letter: u8| Edit {
        start: at as i64,
        removed: 1,
        inserted: vec![letter],
        window: Span::new((at - distance) as i64, (at + distance + 1) as i64),
    };
    let stretch = |first: usize, last: usize, edits: Vec<Edit>| Stretch {
        start: (first - flank) as i64,
        letters: (first - flank..=last + flank).map(letter).collect(),
        edits,
    };
    let other = |at: usize, by: usize| {
        b"ACGTACG"[b"ACGT".iter().position(|&l| l == letter(at)).expect("of ACGT") + by]
    };
    let first = 100_000;
    let stretches: Vec<Stretch> = match work.as_str() {
        "isolated" | "run" => (0..edits)
            .map(|i| first + i * APART + i * 7 % APART)
            .map(|at| stretch(at, at, vec![edit(at, other(at, 1))]))
            .collect(),
        "dense" => {
            let places = (0..edits).map(|i| first + i * STEP);
            let list = places.map(|at| edit(at, other(at, 1))).collect();
            vec![stretch(first, first + edits * STEP, list)]
        }
        "mutate" => {
            let places = (0..edits).map(|i| (first + i / 3, 1 + i % 3));
            let list = places.map(|(at, by)| edit(at, other(at, by))).collect();
            vec![stretch(first, first + edits / 3, list)]
        }
        _ => return Err(format!("unknown load {work}").into()),
    };
    let started = resources::cpu_seconds().unwrap_or(f64::NAN);
    let sum: f64 = if work == "run" {
        let jobs = stretches.iter().map(|stretch| {
            let window = stretch.edits[0].window;
            let from = (window.start - stretch.start) as usize - reach.left as usize;
            let to = (window.end - stretch.start) as usize + reach.right as usize;
            Job::new(window.start, window.len(), stretch.letters[from..to].to_vec())
        });
        let values = engine.run(&jobs.collect::<Vec<_>>(), &|_| Ok(()))?;
        values.iter().flat_map(|v| v.tracks.iter().flatten()).map(|&x| f64::from(x)).sum()
    } else {
        let values = engine.run_edits(&stretches, &|_| Ok(()))?;
        values
            .iter()
            .flatten()
            .flat_map(|v| v.alternative.tracks.iter().flatten())
            .map(|&x| f64::from(x))
            .sum()
    };
    let spent = resources::cpu_seconds().unwrap_or(f64::NAN) - started;
    println!(
        "{{\"work\": \"{work}\", \"edits\": {edits}, \"threads\": {threads}, \"start_s\": {started:.2}, \
         \"cpu_s\": {spent:.2}, \"ms_per_edit\": {:.2}, \"peak_mb\": {}, \"checksum\": {sum}}}",
        spent * 1e3 / edits as f64,
        resources::peak_memory_bytes().unwrap_or(0) >> 20
    );
    Ok(())
}
