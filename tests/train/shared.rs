//! Real data: a few hundred steps beat a ridge regression on 5-mers on a piece of the validation
//! split. Needs the data of ATROUS_SHARED.

use super::data::{atrous, shared_data};
use atrous::engine::cpu::{CpuEngine, Isa};
use atrous::genome::{Interval, Strand};
use atrous::job::Progress;
use atrous::model::file;
use atrous::train::config::Loaded;
use atrous::train::data::{Dataset, Targets};
use atrous::train::evaluate;
use atrous::train::metrics::pearson;
use atrous::train::splits::Split;
use std::fs;
use std::path::Path;

const BIN: usize = 256;
/// Bases beside a bin whose 5-mers the regression reads (baselines.md: 456 around 256).
const BESIDE: usize = 100;

/// The first TOML file of docs/training.md that has this name.
fn documented(name: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/training.md");
    let page = fs::read_to_string(page).unwrap();
    let blocks = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let wanted = format!("name = \"{name}\"");
    blocks.into_iter().find(|block| block.starts_with(&wanted)).unwrap().to_string()
}

/// Number of a 5-mer, the same for its reverse complement.
fn word(codes: &[u8]) -> Option<usize> {
    fn read(mut codes: impl Iterator<Item = u8>) -> Option<usize> {
        codes.try_fold(0, |sum, code| (code < 4).then(|| sum * 4 + usize::from(code)))
    }
    let forward = read(codes.iter().copied())?;
    let reverse = read(codes.iter().rev().map(|code| 3u8.wrapping_sub(*code)))?;
    Some(forward.min(reverse))
}

/// Counts of 5-mers around each bin of some ranges, and ln(1 + counts) of each bin.
fn table(data: &Dataset, ranges: &[Interval]) -> (Vec<Vec<f64>>, Vec<f64>) {
    let Targets::Counts(tracks) = &data.targets else { panic!("counts") };
    let (mut rows, mut sums) = (vec![], vec![]);
    for range in ranges {
        for start in (range.start..range.end - BIN as u64 + 1).step_by(BIN) {
            let bin = Interval { start, end: start + BIN as u64, ..*range };
            let (from, to) = (start as i64 - BESIDE as i64, (bin.end as usize + BESIDE) as i64);
            let mut row = vec![0.0; 1024];
            for codes in data.codes(range.contig, from, to, Strand::Plus).windows(5) {
                if let Some(word) = word(codes) {
                    row[word] += 1.0;
                }
            }
            rows.push(row);
            sums.push(tracks[0].values(bin).iter().map(|&x| f64::from(x)).sum::<f64>().ln_1p());
        }
    }
    (rows, sums)
}

/// Weights of a ridge regression of standardised columns (in place), by the Cholesky factor of
/// `X'X + lambda`.
fn ridge(rows: &[Vec<f64>], sums: &[f64], lambda: f64) -> Vec<f64> {
    let n = rows[0].len();
    let mut a = vec![vec![0.0; n]; n];
    let mut b = vec![0.0; n];
    let mean = sums.iter().sum::<f64>() / sums.len() as f64;
    for (row, y) in rows.iter().zip(sums) {
        for i in (0..n).filter(|&i| row[i] != 0.0) {
            b[i] += row[i] * (y - mean);
            for j in 0..=i {
                a[i][j] += row[i] * row[j];
            }
        }
    }
    for i in 0..n {
        a[i][i] += lambda;
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| a[i][k] * a[j][k]).sum();
            a[i][j] = if i == j { (a[i][i] - dot).sqrt() } else { (a[i][j] - dot) / a[j][j] };
        }
    }
    for i in 0..n {
        let dot: f64 = (0..i).map(|k| a[i][k] * b[k]).sum();
        b[i] = (b[i] - dot) / a[i][i];
    }
    for i in (0..n).rev() {
        let dot: f64 = (i + 1..n).map(|k| a[k][i] * b[k]).sum();
        b[i] = (b[i] - dot) / a[i][i];
    }
    b
}

/// Pearson correlation of the regression on the validation split, with the penalty that is best
/// there: more than a fair chance.
fn best_ridge(data: &Dataset) -> f64 {
    let (mut train, y) = table(data, data.splits.of(Split::Train));
    let (mut valid, truth) = table(data, data.splits.of(Split::Valid));
    for column in 0..train[0].len() {
        let n = train.len() as f64;
        let mean = train.iter().map(|row| row[column]).sum::<f64>() / n;
        let var = train.iter().map(|row| (row[column] - mean).powi(2)).sum::<f64>() / n;
        for row in train.iter_mut().chain(&mut valid) {
            row[column] = if var > 0.0 { (row[column] - mean) / var.sqrt() } else { 0.0 };
        }
    }
    // columns of words whose other strand stands for them are empty
    let used: Vec<usize> = (0..1024).filter(|&c| train.iter().any(|row| row[c] != 0.0)).collect();
    let keep = |rows: &[Vec<f64>]| -> Vec<Vec<f64>> {
        rows.iter().map(|row| used.iter().map(|&c| row[c]).collect()).collect()
    };
    let (train, valid) = (keep(&train), keep(&valid));
    let score = |lambda: f64| {
        let weights = ridge(&train, &y, lambda);
        let predict = |row: &Vec<f64>| row.iter().zip(&weights).map(|(x, w)| x * w).sum();
        pearson(&valid.iter().map(predict).collect::<Vec<f64>>(), &truth)
    };
    [1e2, 1e3, 1e4, 1e5].into_iter().map(score).fold(-1.0, f64::max)
}

#[test]
fn the_documented_run_on_real_counts_beats_a_ridge_regression_on_5_mers() {
    let Some(root) = shared_data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("train.toml");
    fs::write(&config, documented("small-atac")).unwrap();
    let root = root.to_str().unwrap();
    atrous(folder.path())
        .args(["train", "-c", "train.toml", "-o", "out", "-t", "1", "--root", root])
        .assert()
        .success();
    let losses: Vec<f64> = fs::read_to_string(folder.path().join("out/metrics.tsv"))
        .unwrap()
        .lines()
        .skip(1)
        .map(|line| line.split('\t').nth(2).unwrap().parse().unwrap())
        .collect();
    assert!(losses.last().unwrap() < &(0.9 * losses[0]), "{losses:?}");
    let loaded = Loaded::read(&config, Some(Path::new(root))).unwrap();
    let data = Dataset::read(&loaded).unwrap();
    let model = file::read(&folder.path().join("out/model.safetensors")).unwrap().model;
    let engine = CpuEngine::new(&model, &model.tracks, Isa::best()).unwrap();
    let ranges = data.splits.of(Split::Valid);
    let readout = evaluate::readout(&model, &model.tracks).unwrap();
    let progress = Progress::silent();
    let predicted = evaluate::predict(&engine, &readout, &model, &data, ranges, &progress).unwrap();
    let bins = |one: &evaluate::Predicted| -> Vec<f64> {
        let sum = |bin: &[f32]| bin.iter().map(|&x| f64::from(x)).sum::<f64>().ln_1p();
        one.tracks[0].chunks_exact(BIN).map(sum).collect()
    };
    let ours = pearson(&bins(&predicted[0]), &table(&data, ranges).1);
    let ridge = best_ridge(&data);
    eprintln!("bins of {BIN}: network {ours:.3}, ridge {ridge:.3}");
    assert!(ours > ridge, "network {ours:.3}, ridge {ridge:.3}");
}
