//! bigWig as a user meets it: `predict -o x.bw`, read back by a reader that is not ours (bigtools),
//! beside the bedGraph of the same run.
//!
//! The same comparison with pyBigWig 0.3.29 (libBigWig, in C), not part of these tests: on this
//! data all intervals of all four files, the order of the contigs and the largest values at five
//! and fifty zoomed bins were equal.

#![allow(clippy::unwrap_used, reason = "a test may stop at once")]

use assert_cmd::Command;
use bigtools::BigWigRead;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const FASTA: &str = "test-data/human.windows.fa.gz";

fn atrous(arguments: &[&str]) -> (i32, String, String) {
    let mut command: Command = assert_cmd::cargo::cargo_bin_cmd!("atrous");
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Predicts with the demo model into a file of a folder.
fn predict(folder: &TempDir, name: &str, arguments: &[&str]) -> (i32, String) {
    let output = folder.path().join(name);
    let fixed = ["predict", "-m", "models/human-splice-pwm/model.safetensors", "-r", FASTA];
    let all = [&fixed[..], &["-o", output.to_str().unwrap()], arguments].concat();
    let (code, _, message) = atrous(&all);
    (code, message)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

const GENES: [&str; 4] = ["--regions", "test-data/human.genes.bed", "--strand", "bed"];

#[test]
fn another_reader_finds_the_bedgraph_in_the_bigwig() {
    let folder = TempDir::new().unwrap();
    let style = ["--decimals", "2", "--min-value", "-20"];
    for name in ["x.bw", "x.bedGraph"] {
        let (code, message) = predict(&folder, name, &[&GENES[..], &style].concat());
        assert_eq!(code, 0, "{message}");
    }
    let index = fs::read_to_string(format!("{FASTA}.fai")).unwrap();
    let contigs: Vec<(String, u32)> = index
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .map(|columns| (columns[0].into(), columns[1].parse().unwrap()))
        .collect();
    for track in ["donor.plus", "donor.minus", "acceptor.plus", "acceptor.minus"] {
        let text = fs::read_to_string(folder.path().join(format!("x.{track}.bedGraph"))).unwrap();
        let expected: Vec<(String, u32, u32, f32)> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split('\t').collect::<Vec<_>>())
            .map(|c| {
                (c[0].into(), c[1].parse().unwrap(), c[2].parse().unwrap(), c[3].parse().unwrap())
            })
            .collect();
        let path = folder.path().join(format!("x.{track}.bw"));
        let mut file = BigWigRead::open_file(&path).unwrap();
        let mut listed: Vec<(String, u32)> =
            file.chroms().iter().map(|c| (c.name.clone(), c.length)).collect();
        listed.sort();
        let mut sorted = contigs.clone();
        sorted.sort();
        assert_eq!(listed, sorted);
        let mut found = Vec::new();
        for (name, length) in &contigs {
            for value in file.get_interval(name, 0, *length).unwrap().map(Result::unwrap) {
                found.push((name.clone(), value.start, value.end, value.value));
            }
        }
        assert!(found == expected, "{track}: {} and {} lines", found.len(), expected.len());

        let summary = file.get_summary().unwrap();
        let bases = expected.iter().map(|(_, start, end, _)| u64::from(end - start)).sum::<u64>();
        let sum: f64 = expected.iter().map(|(_, s, e, v)| f64::from(*v) * f64::from(e - s)).sum();
        assert_eq!(summary.bases_covered, bases);
        assert!((summary.sum - sum).abs() < 1e-6 * sum.abs(), "{} {sum}", summary.sum);
        let largest = expected.iter().map(|line| line.3).fold(f32::MIN, f32::max);
        assert_eq!(summary.max_val, f64::from(largest));

        // each zoom level sums up the same values
        let levels: Vec<u32> = file.info().zoom_headers.iter().map(|z| z.reduction_level).collect();
        assert!(levels.len() >= 3, "{levels:?}");
        for level in levels {
            let (mut covered, mut zoomed, mut top) = (0, 0.0, f64::MIN);
            for (name, length) in &contigs {
                for entry in file.get_zoom_interval(name, 0, *length, level).unwrap() {
                    let entry = entry.unwrap();
                    assert!(entry.end - entry.start <= level && entry.end <= *length);
                    covered += entry.summary.bases_covered;
                    zoomed += entry.summary.sum;
                    top = top.max(entry.summary.max_val);
                }
            }
            assert_eq!((covered, top), (bases, f64::from(largest)), "level {level}");
            // sums are 32-bit floats there
            assert!((zoomed - sum).abs() < 1e-5 * sum.abs(), "level {level}: {zoomed} and {sum}");
        }
    }
}

#[test]
fn the_bytes_depend_neither_on_threads_nor_on_tiles() {
    let bytes = |arguments: &[&str]| {
        let folder = TempDir::new().unwrap();
        let all = [&["--contigs", "hg19_1_860260_879955", "--track", "donor"], arguments].concat();
        let (code, message) = predict(&folder, "x.bigWig", &all);
        assert_eq!(code, 0, "{message}");
        assert_eq!(names(folder.path()), ["x.bigWig"]);
        fs::read(folder.path().join("x.bigWig")).unwrap()
    };
    let one = bytes(&["-t", "1"]);
    for other in [&["-t", "2"][..], &["--tile", "777", "-t", "2"], &["--tile", "5000"]] {
        assert!(bytes(other) == one, "{other:?}");
    }
}

#[test]
fn what_cannot_be_done_is_refused_before_any_work() {
    let folder = TempDir::new().unwrap();
    let (code, message) = predict(&folder, "x.bw", &["--resume"]);
    assert_eq!(code, 2, "{message}");
    assert!(message.contains("a bigWig cannot be resumed"), "{message}");
    let (code, message) = predict(&folder, "x.bw.gz", &[]);
    assert!(code == 2 && message.contains(".bw, .bigWig"), "{message}");
    assert_eq!(names(folder.path()), [""; 0]);
}

#[cfg(unix)]
#[test]
fn a_stream_is_refused() {
    let folder = TempDir::new().unwrap();
    std::os::unix::fs::symlink("/dev/null", folder.path().join("x.bw")).unwrap();
    let (code, message) = predict(&folder, "x.bw", &["--track", "donor"]);
    assert_eq!(code, 2, "{message}");
    assert!(message.contains("a bigWig cannot be written to a stream"), "{message}");
}

#[test]
fn an_empty_run_writes_a_valid_file() {
    let folder = TempDir::new().unwrap();
    let bed = folder.path().join("none.bed");
    fs::write(&bed, "").unwrap();
    let arguments = ["--regions", bed.to_str().unwrap(), "--allow-empty", "--track", "donor"];
    let (code, message) = predict(&folder, "x.bw", &arguments);
    assert_eq!(code, 0, "{message}");
    let path = folder.path().join("x.bw");
    let mut file = BigWigRead::open_file(&path).unwrap();
    assert_eq!(file.chroms().len(), 17);
    assert_eq!(file.get_interval("hg19_1_860260_879955", 0, 19_696).unwrap().count(), 0);
    let (code, text, _) = atrous(&["inspect", path.to_str().unwrap()]);
    assert!(code == 0 && text.contains("bases with data  0 of 308,524 (0.00 %)"), "{text}");
}

#[test]
fn inspect_says_the_same_of_both_formats() {
    let folder = TempDir::new().unwrap();
    let values = |name: &str| {
        let (code, message) = predict(&folder, name, &["--track", "donor"]);
        assert_eq!(code, 0, "{message}");
        let path = folder.path().join(name);
        let (code, text, message) = atrous(&["inspect", "--json", path.to_str().unwrap()]);
        assert_eq!(code, 0, "{message}");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        (read["total"].clone(), read["format"].clone())
    };
    let (bigwig, bedgraph) = (values("x.bw"), values("x.bedGraph.gz"));
    assert_eq!(bigwig.0, bedgraph.0);
    assert_eq!((bigwig.1, bedgraph.1), ("bigWig".into(), "bedGraph".into()));
    assert_eq!(bigwig.0["covered"], 308_524);
}

/// The published folder of signals that other programs wrote.
fn shared(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("ATROUS_SHARED").map_or("../shared".into(), PathBuf::from);
    let path = folder.join("data").join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there (set ATROUS_SHARED)", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn files_of_other_programs_are_read() {
    // totals as its README states them: 588,978 insertions
    let names = ["yeast/atac.insertions.bw", "yeast/atac.insertions.bedGraph.gz"];
    for path in names.into_iter().filter_map(shared) {
        let (code, text, message) = atrous(&["inspect", "--json", path.to_str().unwrap()]);
        assert_eq!(code, 0, "{message}");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["total"]["sum"], 588_978.0, "{}", path.display());
        assert_eq!(read["total"]["max"], 54.0);
    }
}
