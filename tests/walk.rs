//! The walk of a user with published weights, through the program alone: import, then predict on
//! both strands, compared with golden tracks of an independent f64 program
//! (`$ATROUS_SHARED/conformance/tracks/README.md`). Skipped, with the reason, without that folder.

#![allow(clippy::unwrap_used, reason = "a test may stop at once")]

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Tolerance of the golden tracks (their README) and half of the last printed digit.
const TOLERANCE: f64 = 2e-6 + 0.5e-8;

/// The shared folder, or `None` after saying why the test is skipped.
fn shared() -> Option<PathBuf> {
    let root = std::env::var_os("ATROUS_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    if root.join("conformance/tracks").is_dir() {
        return Some(root);
    }
    // Not eprintln!, which a passing test does not show.
    let mut stderr = std::io::stderr();
    writeln!(stderr, "skipped: no golden tracks in {}", root.display()).unwrap();
    None
}

fn atrous(arguments: &[&str]) {
    assert_cmd::cargo::cargo_bin_cmd!("atrous").args(arguments).assert().success();
}

fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().unwrap().to_string()
}

/// Values of a bedGraph by contig and base.
fn values(path: &Path) -> HashMap<(String, u64), f64> {
    let mut values = HashMap::new();
    for line in fs::read_to_string(path).unwrap().lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [start, end] = [1, 2].map(|i: usize| columns[i].parse::<u64>().unwrap());
        for base in start..end {
            let old = values.insert((columns[0].to_string(), base), columns[3].parse().unwrap());
            assert!(old.is_none(), "{line}: a base has two values");
        }
    }
    values
}

/// Compares acceptor and donor of one strand with a golden table: contig, start, end, values.
fn compare(golden: &Path, outputs: &Path, strand: &str) -> usize {
    let mut table = String::new();
    let file = fs::File::open(golden).unwrap();
    flate2::read::MultiGzDecoder::new(file).read_to_string(&mut table).unwrap();
    let tracks = ["acceptor", "donor"]
        .map(|track| values(&outputs.join(format!("out.{track}.{strand}.bedGraph"))));
    let mut compared = 0;
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        for (track, expected) in tracks.iter().zip(&columns[3..5]) {
            let expected: f64 = expected.parse().unwrap();
            let found = track[&(columns[0].to_string(), columns[1].parse().unwrap())];
            assert!((found - expected).abs() <= TOLERANCE, "{strand} {line}: {found}");
            compared += 1;
        }
    }
    compared
}

#[test]
fn published_weights_give_the_golden_tracks_of_whole_contigs_on_both_strands() {
    let Some(root) = shared() else { return };
    let folder = TempDir::new().unwrap();
    let model = text(folder.path().join("model.safetensors"));
    atrous(&["import", "auto", &text(root.join("weights/spliceai/spliceai1.h5")), "-o", &model]);
    let fasta = text(root.join("conformance/edge.fa"));
    let output = text(folder.path().join("out.bedGraph"));
    let flags = ["--strand", "both", "--decimals", "8", "--tile", "3000", "-o", &output];
    atrous(&[&["predict", "-m", &model, "-r", &fasta][..], &flags].concat());
    let mut compared = 0;
    for contig in ["A", "B", "C", "D"] {
        for strand in ["plus", "minus"] {
            let name = format!("spliceai1.edge_ctg{contig}.{strand}.tsv.gz");
            let golden = root.join("conformance/tracks").join(name);
            compared += compare(&golden, folder.path(), strand);
        }
    }
    // Two tracks and two strands of contigs of 7000, 301, 6000 and 1 bases.
    assert_eq!(compared, 4 * 13_302);
}
