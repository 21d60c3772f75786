//! `atrous predict --long-tiles`: what windows give one by one, from stretches that hold many.

use super::{YEAST, atrous, outcome, succeeds};
use crate::folds::{Bench, INPUT, OUTPUT, PEAKS, single};
use std::collections::BTreeMap;
use std::fs;

/// Places at the beginning of the contig, and over more windows than one.
const GRID: [&str; 4] = ["--region", "chrI:1-700", "--region", "chrI:80,001-83,000"];

/// What is asked of a joint network, and of one of two strands.
const CASES: [&[&str]; 6] = [
    &GRID,
    &["--region", "chrI:1-700", "--strand", "both", "--output-kind", "profile"],
    &["--region", "chrI:80,001-81,000", "--output-kind", "logits", "--rc-average", "logits"],
    &["--regions", PEAKS, "--window-at", "summit", "--rc-average", "logits"],
    &["--regions", PEAKS, "--window-at", "region", "--rc-average", "probabilities"],
    &["--regions", PEAKS, "--window-at", "region", "--strand", "-", "--output-kind", "counts"],
];

/// A network of two strands without a bias of the assay.
fn stranded(bench: &Bench) -> &'static str {
    bench.write("two.pt", single(9, 2));
    let (file, model) = (bench.text("two.pt"), bench.text("two.safetensors"));
    let window = INPUT.to_string();
    succeeds(&["import", "bpnet-lite", &file, "--window", &window, "-o", &model]);
    "two.safetensors"
}

/// The files that `predict` writes, by name.
fn predict(bench: &Bench, model: &str, more: &[&[&str]]) -> BTreeMap<String, String> {
    let folder = bench.at("out");
    fs::create_dir(&folder).unwrap();
    let (model, track, table) =
        (bench.text(model), bench.text("out/t.bedGraph"), bench.text("out/t.tsv"));
    let words = ["predict", "-m", &model, "-r", YEAST, "-o", &track, "--table", &table];
    succeeds(&[&words[..], &["--decimals", "9"], &more.concat()].concat());
    let files = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
    let files = files.map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    });
    let files = files.collect();
    fs::remove_dir_all(&folder).unwrap();
    files
}

/// One number per base and track, and those of the table, by what they are.
fn numbers(files: &BTreeMap<String, String>) -> BTreeMap<String, f64> {
    let mut numbers = BTreeMap::new();
    for (file, text) in files {
        let lines = text.lines().filter(|line| !line.starts_with(['#', 't']));
        for (row, line) in lines.enumerate() {
            let cells: Vec<&str> = line.split('\t').collect();
            if file.ends_with("bedGraph") {
                let [start, end] = [1, 2].map(|i| cells[i].parse::<u64>().unwrap());
                let value: f64 = cells[3].parse().unwrap();
                numbers.extend((start..end).map(|base| (format!("{file} {base}"), value)));
            } else {
                let cells = cells.iter().enumerate();
                let found = cells.filter_map(|(i, cell)| {
                    Some((format!("{file} {row} {i}"), cell.parse::<f64>().ok()?))
                });
                numbers.extend(found);
            }
        }
    }
    numbers
}

#[test]
fn long_tiles_give_what_windows_give_for_joint_and_stranded_networks() {
    let bench = Bench::new();
    let models = ["folds.safetensors", stranded(&bench)];
    for (model, case) in models.iter().flat_map(|model| CASES.map(|case| (*model, case))) {
        let [windows, stretches] = [&[][..], &["--long-tiles"]].map(|mode| {
            let files = predict(&bench, model, &[case, mode]);
            numbers(&files)
        });
        let names = |found: &BTreeMap<String, f64>| found.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&stretches), names(&windows), "{model} {case:?}");
        assert!(windows.len() > 2 * OUTPUT, "{model} {case:?}");
        for (name, expected) in &windows {
            let found = stretches[name];
            let near = 1e-5 * expected.abs() + 2e-9;
            // logits are sums of both signs, in 32 bits
            let near = if case.contains(&"logits") { near.max(1e-5) } else { near };
            assert!(
                (found - expected).abs() <= near,
                "{model} {case:?} {name}: {found} {expected}"
            );
        }
    }
}

#[test]
fn long_tiles_give_the_same_bytes_for_any_tile_and_any_number_of_threads() {
    let bench = Bench::new();
    let models = ["folds.safetensors", stranded(&bench)];
    for (model, case) in models.iter().flat_map(|model| CASES.map(|case| (*model, case))) {
        let run = |how: &[&str]| predict(&bench, model, &[case, &["--long-tiles"], how]);
        let expected = run(&["--threads", "1"]);
        // one window at a time, and some together
        for how in [["--threads=2", "--tile=500"], ["--threads=2", "--tile=1"]] {
            assert!(run(&how) == expected, "{model} {case:?} {how:?}");
        }
    }
}

#[test]
fn networks_that_need_their_window_have_no_long_tiles() {
    let bench = Bench::new();
    bench.write("near.pt", single(9, 1));
    let (file, model) = (bench.text("near.pt"), bench.text("near.safetensors"));
    let import = ["import", "bpnet-lite", &file, "--window", "300", "-o", &model];
    succeeds(&[&import[..], &["--trimming", "40"]].concat());
    let words = ["predict", "-m", &model, "-r", YEAST, "--region", "chrI:1-700", "-o", "-"];
    let (code, message) = outcome(&mut atrous(&[&words[..], &["--long-tiles"]].concat()));
    assert_eq!(code, 2, "{message}");
    assert!(message.contains("see the ends of its window"), "{message}");
}
