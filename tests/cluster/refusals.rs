//! What is not one whole job is refused, and the shard is named.

use super::{Bench, MODEL, YEAST, atrous, merge_fails, outcome, succeeds};
use std::fs;

/// A bench with three shards of one track.
fn three() -> (Bench, Vec<String>) {
    let bench = Bench::new();
    for number in 1..=3 {
        shard(&bench, number, 3, &[], &format!("{number}.x.bedGraph.gz"));
    }
    let shards = bench.manifests(3, "x.bedGraph.gz");
    (bench, shards)
}

fn shard(bench: &Bench, number: u64, of: u64, more: &[&str], name: &str) {
    let shard = format!("{number}/{of}");
    let command = ["predict", "-m", MODEL, "-r", YEAST, "--track", "donor", "--shard", &shard];
    let output = bench.at(name);
    succeeds(&[&command[..], more, &["-o", &output]].concat(), &[]);
}

#[test]
fn missing_and_doubled_shards_are_named() {
    let (bench, shards) = three();
    let output = bench.at("out.bedGraph.gz");
    merge_fails(&bench, &shards[..2], &output, &["shard 3/3 missing"]);
    merge_fails(&bench, &shards[2..], &output, &["shards 1/3, 2/3 missing"]);
    fs::copy(bench.path("2.x.bedGraph.gz.shard.json"), bench.path("copy.shard.json")).unwrap();
    let doubled = [&shards[..], &[bench.at("copy.shard.json")]].concat();
    merge_fails(&bench, &doubled, &output, &["shard 2/3 is there twice", "copy.shard.json"]);
}

#[test]
fn foreign_shards_are_named_with_what_differs() {
    let (bench, shards) = three();
    let output = bench.at("out.bedGraph.gz");
    shard(&bench, 2, 3, &[], "format.bw");
    let mixed = [shards[0].clone(), bench.at("format.bw"), shards[2].clone()];
    merge_fails(&bench, &mixed, &output, &["its format differs", "format.bw"]);
    let foreign: [(&str, u64, &[&str], &str); 4] = [
        ("decimals", 3, &["--decimals", "2"], "its decimals differs"),
        ("region", 3, &["--region", "chrI:1-100000"], "its regions differs"),
        ("strand", 3, &["--strand", "-"], "its regions differs"),
        ("count", 4, &[], "4 shards"),
    ];
    for (name, of, more, says) in foreign {
        let file = format!("{name}.bedGraph.gz");
        shard(&bench, 2, of, more, &file);
        let mixed = [shards[0].clone(), bench.at(&format!("{file}.shard.json")), shards[2].clone()];
        merge_fails(&bench, &mixed, &output, &[says, &file]);
    }
}

#[test]
fn another_instruction_set_is_refused_unless_it_is_allowed() {
    let (bench, shards) = three();
    shard(&bench, 2, 3, &["--cpu-isa", "portable"], "portable.bedGraph.gz");
    let manifest = fs::read_to_string(bench.path("portable.bedGraph.gz.shard.json")).unwrap();
    if manifest.contains(&engine_of(&bench)) {
        eprintln!("skipped: this processor has no other instruction set");
        return;
    }
    let mixed = [shards[0].clone(), bench.at("portable.bedGraph.gz"), shards[2].clone()];
    let output = bench.at("out.bedGraph.gz");
    merge_fails(&bench, &mixed, &output, &["different engines or processors", "portable"]);
    let more = ["--allow-mixed-isa", "-o", &output].map(String::from);
    succeeds(&["merge"], &[&mixed[..], &more].concat());
}

fn engine_of(bench: &Bench) -> String {
    let manifest: serde_json::Value =
        serde_json::from_slice(&bench.bytes("1.x.bedGraph.gz.shard.json")).unwrap();
    format!("\"engine\": {}", manifest["engine"])
}

#[test]
fn an_edited_manifest_is_refused() {
    let (bench, shards) = three();
    let path = bench.path("2.x.bedGraph.gz.shard.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"version\": \"", "\"version\": \"9")).unwrap();
    let says = ["2.x.bedGraph.gz.shard.json", "changed after it was written"];
    merge_fails(&bench, &shards, &bench.at("out.bedGraph.gz"), &says);
}

#[test]
fn a_truncated_or_changed_shard_is_refused() {
    let (bench, shards) = three();
    let (path, output) = (bench.path("2.x.bedGraph.gz"), bench.at("out.bedGraph.gz"));
    let bytes = bench.bytes("2.x.bedGraph.gz");
    fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
    merge_fails(&bench, &shards, &output, &["2.x.bedGraph.gz", "not what its manifest says"]);
    let mut changed = bytes.clone();
    changed[bytes.len() / 2] ^= 1;
    fs::write(&path, changed).unwrap();
    merge_fails(&bench, &shards, &output, &["2.x.bedGraph.gz", "was changed"]);
    fs::write(&path, &bytes).unwrap();
    fs::write(bench.path("3.x.bedGraph.gz.groups"), "").unwrap();
    merge_fails(&bench, &shards, &output, &["3.x.bedGraph.gz.groups", "was changed"]);
    fs::remove_file(&path).unwrap();
    merge_fails(&bench, &shards, &output, &["2.x.bedGraph.gz", "No such file"]);
}

#[test]
fn requests_that_cannot_be_meant_are_refused_as_usage() {
    let bench = Bench::new();
    let output = bench.at("x.bedGraph");
    let predict = ["predict", "-m", MODEL, "-r", YEAST, "--track", "donor", "-o"];
    let score = ["score", "-m", MODEL, "-r", YEAST, "--scheme", "splice-delta", "-o"];
    let vcf = bench.at("x.vcf");
    let cases: [(&[&str], &[&str], &str); 6] = [
        (&predict, &["-", "--shard", "1/2"], "regular file"),
        (&predict, &[&output, "--shard", "3/2"], "1/N to N/N"),
        (&score, &["-", "--shard", "1/2", "--variant", "chrI:5:A:C"], "regular file"),
        (&score, &[&vcf, "--shard", "1/2", "--variant", "chrI:5:A:C"], "a file of variants"),
        (&["merge"], &["nothing.shard.json"], "nothing to write"),
        (&["plan", "--shards", "2", "inspect"], &[MODEL], "only predict, score and mutate"),
    ];
    for (command, more, says) in cases {
        let (code, message) = outcome(atrous(command).args(more));
        assert_eq!(code, Some(2), "{command:?} {more:?}: {message}");
        assert!(message.contains(says), "{message:?} should say {says:?}");
    }
    assert!(bench.names().is_empty(), "{:?}", bench.names());
}
