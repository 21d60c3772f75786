//! Scores of signals that cannot be meant or read: the exit code, the one message, and no output.

use super::{YEAST, atrous, listing, outcome, path_text, succeeds};
use crate::folds::{Bench, INPUT, PEAKS, single};
use tempfile::TempDir;

#[test]
fn scores_that_cannot_be_meant_are_refused_before_any_work() {
    let bench = Bench::new();
    bench.write("plain.pt", single(9, 1));
    let (plain, window) = (bench.text("plain.pt"), INPUT.to_string());
    let lite = bench.text("plain.safetensors");
    succeeds(&["import", "bpnet-lite", &plain, "--window", &window, "-o", &lite]);
    let input = bench.variants();
    let folds = bench.text("folds.safetensors");
    let bad = bench.write("bad.txt", "3.5\nmany\n");
    let none = bench.write("none.txt", "# nothing\n");
    let far = bench.write("far.bed", "chrI\t0\t10\n");
    let elsewhere = bench.write("elsewhere.bed", "chrQ\t0\t10\n");
    let table = bench.write("in.tsv", "chrI\t70000\tA\tC\ta\n");
    let genes = "test-data/human.windows.gff3.gz";
    let outputs = TempDir::new().unwrap();
    let output = path_text(&outputs.path().join("out.tsv"));
    let vcf = path_text(&outputs.path().join("out.vcf"));
    type Case<'a> = (i32, &'a str, Vec<&'a str>);
    let cases: Vec<Case<'_>> = vec![
        (2, "--annotation means nothing to scores of signals", vec!["-m", &folds, "-a", genes]),
        (2, "--mask means nothing", vec!["-m", &folds, "--mask", "all"]),
        (2, "--rules means nothing", vec!["-m", &folds, "--rules", "spliceai"]),
        (2, "--strand means nothing", vec!["-m", &folds, "--strand", "-"]),
        (2, "--distance means nothing", vec!["-m", &folds, "-d", "60"]),
        (2, "one strand", vec!["-m", &folds, "--strand", "both"]),
        (2, "the pseudocount is no count", vec!["-m", &folds, "--pseudocount", "NaN"]),
        (2, "--null", vec!["-m", &folds, "--seed", "3"]),
        (
            2,
            "cannot be used with",
            vec!["-m", &folds, "--peaks", PEAKS, "--background-counts", &bad],
        ),
        (2, "no such track", vec!["-m", &folds, "--track", "liver"]),
        (2, "cannot be used with", vec!["-m", &folds, "--track", "bias", "--without-bias"]),
        (2, "no bias of the assay to leave out", vec!["-m", &lite, "--without-bias"]),
        (2, "counts-and-logits", vec!["-m", &folds, "--rc-average", "logits"]),
        (2, "right-slide", vec!["-m", &folds, "--indel", "left"]),
        (2, "basenji", vec!["-m", &folds, "--window-rule", "left"]),
        (2, "predictions", vec!["-m", &folds, "--ensemble", "median"]),
        (2, "no such member", vec!["-m", &folds, "--member", "fold_9"]),
        (2, "differ in family", vec!["-m", &folds, "-m", &lite]),
        (2, "given twice", vec!["-m", &folds, "-m", &folds]),
        (2, "at least 1", vec!["-m", &folds, "--null", "0"]),
        (1, "bad.txt:2", vec!["-m", &folds, "--background-counts", &bad]),
        (1, "none.txt", vec!["-m", &folds, "--background-counts", &none]),
        (1, "no.txt", vec!["-m", &folds, "--background-counts", "no.txt"]),
        (1, "a background needs counts", vec!["-m", &folds, "--peaks", &far]),
        (1, "elsewhere.bed: no contig", vec!["-m", &folds, "--features", &elsewhere]),
        // splice models have none of it
        (
            2,
            "--peaks means nothing to splice scores",
            vec!["-m", super::MODEL, "--scheme", "splice-delta", "--peaks", PEAKS],
        ),
        (
            2,
            "by windows, and the model has none",
            vec!["-m", super::MODEL, "--scheme", "tracks", "--peaks", PEAKS],
        ),
    ];
    for (expected, says, more) in cases {
        let words = ["score", "-r", YEAST, &input, "-o", &output];
        let (code, message) = outcome(&mut atrous(&[&words[..], &more].concat()));
        assert_eq!(code, expected, "{more:?}: {message}");
        assert!(message.contains(says), "{more:?}: {message:?} should say {says:?}");
        let errors = message.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, 1, "{more:?}: {message}");
        assert!(listing(outputs.path()).is_empty(), "{more:?} left a file");
    }
    let words = ["score", "-m", &folds, "-r", YEAST, &table, "--schema", "chrombpnet", "-o", &vcf];
    let (code, message) = outcome(&mut atrous(&words));
    assert_eq!((code, message.contains(".tsv")), (2, true), "{message}");
    assert!(listing(outputs.path()).is_empty());
}
