//! Published weights against golden tracks: `$ATROUS_SHARED/conformance/tracks` holds outputs of an
//! independent program in f64 for SpliceAI, OpenSpliceAI and Pangolin, both strands, contig ends
//! and odd letters (its README says how they were made). Skipped, with the reason, when absent.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use atrous::engine::cpu::Isa;
use atrous::engine::{CpuEngine, Edit, Engine, Job, Oracle, Stretch, run_in_full};
use atrous::genome::sequence::reverse_complement;
use atrous::genome::{ContigId, Reference, Strand};
use atrous::model::import::{FamilyChoice, ImportOptions, import};
use atrous::model::{Model, Track};
use atrous::network::Span;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Largest difference that counts as equal (tracks/README.md, "Tolerance").
const TOLERANCE: f64 = 2e-6;

/// The shared folder, or `None` after saying why the test is skipped.
fn shared() -> Option<PathBuf> {
    let root = std::env::var_os("ATROUS_SHARED").map_or_else(|| "../shared".into(), PathBuf::from);
    let found = root.join("conformance/tracks").is_dir() && root.join("weights").is_dir();
    if !found {
        // written past the capture of passing tests, so that a skip is seen
        let reason = format!("skipped: no conformance data in {}", root.display());
        let _ = writeln!(std::io::stderr(), "{reason} (set ATROUS_SHARED)");
    }
    found.then_some(root)
}

/// Weight files of the golden sets, by the first part of a track file's name.
fn weight_files(set: &str, weights: &Path) -> Vec<PathBuf> {
    let numbered = |folder: &str, names: &[String]| -> Vec<PathBuf> {
        names.iter().map(|name| weights.join(folder).join(name)).collect()
    };
    match set {
        "spliceai" => numbered("spliceai", &[1, 2, 3, 4, 5].map(|i| format!("spliceai{i}.h5"))),
        "spliceai1" => numbered("spliceai", &["spliceai1.h5".into()]),
        "openspliceai" => {
            let names = [10, 11, 12, 13, 14].map(|i| format!("model_10000nt_rs{i}.pt"));
            numbered("openspliceai/mane-10000nt", &names)
        }
        "pangolin" => {
            let nets = [1, 2, 3].map(|j| [0, 2, 4, 6].map(|i| format!("final.{j}.{i}.3.v2")));
            numbered("pangolin", nets.as_flattened())
        }
        "pangolin_1_0" => numbered("pangolin", &["final.1.0.3.v2".into()]),
        _ => {
            let flank = set.strip_prefix("openspliceai").and_then(|s| s.strip_suffix("_rs10"));
            let flank = flank.unwrap_or_else(|| panic!("unknown golden set {set}"));
            let name = format!("mane-{flank}nt/model_{flank}nt_rs10.pt");
            numbered("openspliceai", &[name])
        }
    }
}

/// A golden file: what it covers and its numbers.
struct Golden {
    path: PathBuf,
    set: String,
    fasta: &'static str,
    contig: String,
    strand: Strand,
    start: u64,
    /// Column names and values by position.
    columns: Vec<(String, Vec<f64>)>,
}

/// Reads `SET.REGION.STRAND.tsv.gz`; a region is `chr1_65000_70500` or `edge_CONTIG`.
fn read_golden(path: &Path) -> Golden {
    let name = path.file_name().unwrap().to_str().unwrap();
    let [set, region, strand, ..] = name.split('.').collect::<Vec<_>>()[..] else {
        panic!("unexpected golden file {name}")
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let mut columns: Vec<(String, Vec<f64>)> =
        header[3..].iter().map(|name| (name.to_string(), vec![])).collect();
    let (mut contig, mut start) = (String::new(), None);
    for line in lines {
        let fields: Vec<&str> = line.split('\t').collect();
        contig = fields[0].into();
        start = start.or(fields[1].parse().ok());
        for ((_, column), field) in columns.iter_mut().zip(&fields[3..]) {
            column.push(field.parse().unwrap());
        }
    }
    Golden {
        path: path.into(),
        set: set.into(),
        fasta: if region.starts_with("edge") { "edge.fa" } else { "hg38_1m.fa.gz" },
        contig,
        strand: if strand == "plus" { Strand::Plus } else { Strand::Minus },
        start: start.unwrap(),
        columns,
    }
}

fn goldens(root: &Path) -> Vec<Golden> {
    let folder = std::fs::read_dir(root.join("conformance/tracks")).unwrap();
    let mut paths: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_str().unwrap().ends_with(".tsv.gz"));
    paths.sort();
    paths.iter().map(|path| read_golden(path)).collect()
}

fn load(root: &Path, set: &str) -> Model {
    let files = weight_files(set, &root.join("weights"));
    import(FamilyChoice::Auto, &files, &ImportOptions::default()).unwrap()
}

/// `count` outputs from the golden's start on, in genomic order.
fn predict(engine: &dyn Engine, root: &Path, golden: &Golden, count: usize) -> Vec<Vec<f32>> {
    let mut reference = Reference::open(&root.join("conformance").join(golden.fasta)).unwrap();
    let named = |(_, name, _): &(ContigId, &str, u64)| *name == golden.contig;
    let (contig, _, length) = reference.contigs().iter().find(named).unwrap();
    let reach = engine.reach();
    let (left, right) = (reach.left as i64, reach.right as i64);
    let (from, to) = (golden.start as i64, golden.start as i64 + count as i64);
    let job = match golden.strand {
        Strand::Plus => {
            let letters = reference.fetch(contig, from - left, to + right).unwrap();
            Job::new(from, count, letters)
        }
        Strand::Minus => {
            let mut letters = reference.fetch(contig, from - right, to + left).unwrap();
            reverse_complement(&mut letters);
            Job::new(length as i64 - to, count, letters)
        }
    };
    let mut tracks = engine.run(&[job], &|_| Ok(())).unwrap().remove(0).tracks;
    if golden.strand == Strand::Minus {
        tracks.iter_mut().for_each(|track| track.reverse());
    }
    tracks
}

/// The golden column of a track, for the mean or for the first member alone.
fn column<'a>(golden: &'a Golden, prefix: &str, track: &Track) -> Option<&'a [f64]> {
    let name = format!("{prefix}_{}", track.name);
    golden.columns.iter().find(|(column, _)| *column == name).map(|(_, values)| &values[..])
}

fn worst(got: &[f32], expected: &[f64]) -> f64 {
    got.iter().zip(expected).map(|(g, e)| (f64::from(*g) - e).abs()).fold(0.0, f64::max)
}

fn sum_of_squares(got: &[f32], expected: &[f64]) -> f64 {
    got.iter().zip(expected).map(|(g, e)| (f64::from(*g) - e).powi(2)).sum()
}

#[test]
fn the_cpu_engine_reproduces_every_golden_track() {
    let Some(root) = shared() else { return };
    let mut models = HashMap::new();
    let (mut compared, mut largest, mut mean_squares) = (0, 0.0f64, vec![]);
    for golden in goldens(&root) {
        let model = models.entry(golden.set.clone()).or_insert_with(|| load(&root, &golden.set));
        let tracks: Vec<Track> = model
            .tracks
            .iter()
            .filter(|track| column(&golden, "mean", track).is_some())
            .cloned()
            .collect();
        assert!(!tracks.is_empty(), "{}", golden.path.display());
        let count = golden.columns[0].1.len();
        // all numbers on the best instruction set; on the others short pieces of single members
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            let count = match isa == Isa::best() {
                true => count,
                false if model.members.len() == 1 => count.min(300),
                false => continue,
            };
            let engine = CpuEngine::new(model, &tracks, isa).unwrap();
            let got = predict(&engine, &root, &golden, count);
            let mut squares = 0.0;
            for (track, got) in tracks.iter().zip(&got) {
                let expected = column(&golden, "mean", track).unwrap();
                squares += sum_of_squares(got, expected) / (got.len() * tracks.len()) as f64;
                let error = worst(got, expected);
                assert!(
                    error <= TOLERANCE,
                    "{}: {} on {isa} is off by {error:e}",
                    golden.path.display(),
                    track.name
                );
                compared += got.len();
                largest = largest.max(error);
            }
            println!(
                "{}: {isa}, root mean square error {:.1e}",
                golden.path.display(),
                squares.sqrt()
            );
            if isa == Isa::best() {
                mean_squares.push(squares);
            }
        }
        let first = model.members[0].name.clone();
        for track in model.select_tracks(&[], Some(&first)).unwrap() {
            let Some(expected) = column(&golden, "first_model", &track) else { continue };
            let engine = CpuEngine::new(model, std::slice::from_ref(&track), Isa::best()).unwrap();
            let got = predict(&engine, &root, &golden, count.min(500));
            let error = worst(&got[0], expected);
            assert!(error <= TOLERANCE, "{}: member {first}, {error:e}", golden.path.display());
        }
    }
    assert!(compared > 100_000, "only {compared} numbers were compared");
    let files = mean_squares.len() as f64;
    let mean = (mean_squares.iter().sum::<f64>() / files).sqrt();
    println!("{files} files: largest error {largest:.1e}, root mean square {mean:.1e}");
}

#[cfg(feature = "torch")]
#[test]
fn the_torch_engine_reproduces_the_golden_tracks_on_the_cpu() {
    use atrous::engine::{Device, Precision, TorchEngine};
    let Some(root) = shared() else { return };
    let mut models = HashMap::new();
    for golden in goldens(&root) {
        let model = models.entry(golden.set.clone()).or_insert_with(|| load(&root, &golden.set));
        let tracks: Vec<Track> = model
            .tracks
            .iter()
            .filter(|track| column(&golden, "mean", track).is_some())
            .cloned()
            .collect();
        let engine = TorchEngine::new(model, &tracks, Device::Cpu, Precision::Fp32).unwrap();
        let count = golden.columns[0].1.len().min(1_000);
        let got = predict(&engine, &root, &golden, count);
        for (track, got) in tracks.iter().zip(&got) {
            let error = worst(got, column(&golden, "mean", track).unwrap());
            let path = golden.path.display();
            assert!(error <= TOLERANCE, "{path}: {} is off by {error:e}", track.name);
        }
    }
}

#[test]
fn the_oracle_reproduces_short_pieces_of_the_golden_tracks() {
    let Some(root) = shared() else { return };
    let mut goldens = goldens(&root);
    goldens.sort_by_key(|golden| (golden.set.clone(), golden.columns[0].1.len()));
    goldens.dedup_by_key(|golden| golden.set.clone());
    // their first members are the sets spliceai1 and pangolin_1_0
    goldens.retain(|golden| !["spliceai", "pangolin"].contains(&golden.set.as_str()));
    for golden in goldens {
        let model = load(&root, &golden.set);
        let first = model.members[0].name.clone();
        // seconds per member and 10 kb of context: the first member, on the shortest piece of a set
        for track in model.select_tracks(&[], Some(&first)).unwrap() {
            let single = model.members.len() == 1;
            let prefix = if single { "mean" } else { "first_model" };
            let Some(expected) = column(&golden, prefix, &track) else { continue };
            let engine = Oracle::new(&model, std::slice::from_ref(&track));
            let got = predict(&engine, &root, &golden, expected.len().min(20));
            let error = worst(&got[0], expected);
            assert!(error <= TOLERANCE, "{}: {}, {error:e}", golden.path.display(), track.name);
        }
    }
}

/// An edit near position `at`: one in three a substitution, the others of all lengths; windows of
/// 101 and more positions, and now and then one that the edit does not lie in.
fn some_edit(i: usize, at: i64) -> Edit {
    let mixed = |by: usize, below: usize| i.wrapping_mul(by) / 7 % below;
    let (removed, inserted) = match i % 6 {
        0 | 1 => (1, 1),
        2 => (1 + mixed(31, 40), mixed(17, 5)),
        3 => (mixed(13, 4), 1 + mixed(37, 60)),
        4 => (1 + mixed(29, 30), 1 + mixed(41, 30)),
        _ => (mixed(43, 3), 1 + mixed(7919, 3000)),
    };
    let inserted = (0..inserted).map(|j| b"ACGTN"[(i * 31 + j * j + j / 3) % 5]).collect();
    let (before, after) = ([50, 50, 500, -20][i / 6 % 4], [51, 51, 501, 90][i / 6 % 4]);
    Edit { start: at, removed, inserted, window: Span::new(at - before, at + after) }
}

#[test]
fn edits_in_published_networks_equal_their_computation_in_full() {
    /// The scores of variants must not depend on how they are computed: 1e-6 (splice-scoring.md
    /// B3), and what an f32 near 1 rounds by.
    const NEAR: f32 = 1.1e-6;
    let Some(root) = shared() else { return };
    let mut reference = Reference::open(&root.join("conformance").join("hg38_1m.fa.gz")).unwrap();
    let (contig, _, _) = reference.contigs().iter().next().unwrap();
    for (set, count) in [
        ("spliceai1", 72),
        ("pangolin_1_0", 48),
        ("openspliceai2000_rs10", 96),
        ("openspliceai400_rs10", 96),
        ("openspliceai80_rs10", 96),
    ] {
        let model = load(&root, set);
        let engine = CpuEngine::new(&model, &model.tracks, Isa::best()).unwrap();
        let reach = engine.reach();
        let (left, right) = (reach.left as i64, reach.right as i64);
        let (start, end) = (65_000 - left, 73_000 + right);
        // exons of OR4F5; several edits share a reference
        let place = |i: usize| 65_600 + (i as i64 * 7919) % 6_800;
        let stretch = Stretch {
            start,
            letters: reference.fetch(contig, start, end).unwrap(),
            edits: (0..count).map(|i| some_edit(i, place(i))).collect(),
        };
        let stretches = [stretch];
        let got = engine.run_edits(&stretches, &|_| Ok(())).unwrap();
        let full = run_in_full(&engine, &stretches, &|_| Ok(())).unwrap();
        let mut worst = 0.0f32;
        for (edit, (got, full)) in stretches[0].edits.iter().zip(got[0].iter().zip(&full[0])) {
            for (got, full) in [
                (&got.reference.tracks, &full.reference.tracks),
                (&got.alternative.tracks, &full.alternative.tracks),
            ] {
                for (got, full) in got.iter().flatten().zip(full.iter().flatten()) {
                    worst = worst.max((got - full).abs());
                    assert!(worst <= NEAR, "{set}, {edit:?}: {got} against {full}");
                }
            }
        }
        println!("{set}: {count} edits, at most {worst:e} apart");
    }
}
