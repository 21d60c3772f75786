//! The outputs of shards, merged, are those of one run.

use super::{Bench, FLY, GENES, HUMAN, MODEL, VARIANTS, YEAST, succeeds};
use std::fs;

#[test]
fn tracks_of_shards_join_to_the_bytes_of_one_run() {
    let command = ["predict", "-m", MODEL, "-r", YEAST, "--strand", "both", "--min-value", "-9"];
    for ending in ["bedGraph.gz", "bedGraph", "bw"] {
        let bench = Bench::new();
        let (output, table) = (format!("x.{ending}"), "x.tsv.gz");
        let flags = [("-o", output.as_str()), ("--table", table)];
        bench.run_both(&command, &flags, 4);
        bench.merge(&flags, 4);
        let whole: Vec<String> =
            bench.names().into_iter().filter(|name| name.starts_with("whole.")).collect();
        assert_eq!(whole.len(), if ending == "bedGraph.gz" { 9 } else { 5 }, "{whole:?}");
        for name in whole {
            let merged = name.replace("whole", "merged");
            // bigWig, too: the same runs make the same file
            assert!(bench.bytes(&name) == bench.bytes(&merged), "{name}");
        }
    }
}

#[test]
fn bedgraph_parts_become_a_bigwig_and_bigwig_parts_a_bedgraph() {
    let bench = Bench::new();
    let command = ["predict", "-m", MODEL, "-r", YEAST, "--track", "donor"];
    bench.run_both(&command, &[("-o", "x.bedGraph.gz")], 3);
    bench.run_both(&command, &[("-o", "x.bw")], 3);
    let merge = |from: &str, to: &str| {
        let output = ["-o".to_owned(), bench.at(&format!("merged.{to}"))];
        succeeds(&["merge"], &[bench.manifests(3, from), output.into()].concat());
        assert!(
            bench.bytes(&format!("whole.{to}")) == bench.bytes(&format!("merged.{to}")),
            "{to}"
        );
    };
    merge("x.bedGraph.gz", "x.bw");
    merge("x.bw", "x.bedGraph.gz");
}

#[test]
fn regions_in_any_order_keep_their_rows_also_where_they_are_cut() {
    let bench = Bench::new();
    // overlapping, unsorted, across the ends of chunks at 100,000 and 200,000
    let bed = "chrI\t150000\t230000\tlong\t0\t-\nchrI\t10\t20\ta\t0\t+\nchrI\t5\t205000\tb\t0\t+\n\
               chrI\t99999\t100001\tc\t0\t-\nchrI\t200000\t200010\td\t0\t+\n";
    fs::write(bench.path("r.bed"), bed).unwrap();
    let bed = bench.at("r.bed");
    let command = ["predict", "-m", MODEL, "-r", YEAST, "--regions", &bed, "--strand", "bed"];
    let flags = [("--table", "t.tsv")];
    bench.run_both(&command, &flags, 5);
    bench.merge(&flags, 5);
    assert_eq!(bench.text("whole.t.tsv").iter().filter(|&&b| b == b'\n').count(), 6);
    assert!(bench.bytes("whole.t.tsv") == bench.bytes("merged.t.tsv"));
}

#[test]
fn variants_of_shards_join_to_the_text_of_one_run_with_an_index() {
    let command = ["score", "-m", MODEL, "-r", HUMAN, "-a", GENES, "--scheme", "splice-delta"];
    let command = [&command[..], &[VARIANTS, "--write-index"]].concat();
    for ending in ["vcf.gz", "bcf", "vcf", "tsv.gz"] {
        let bench = Bench::new();
        let output = format!("v.{ending}");
        let flags = [("-o", output.as_str()), ("--skipped", "s.tsv")];
        let indexed = ["vcf.gz", "bcf"].contains(&ending);
        let command = if indexed { &command[..] } else { &command[..command.len() - 1] };
        bench.run_both(command, &flags, 4);
        bench.merge(&flags, 4);
        for name in [output.as_str(), "s.tsv"] {
            let [whole, merged] =
                ["whole", "merged"].map(|run| bench.text(&format!("{run}.{name}")));
            assert!(!whole.is_empty() && whole == merged, "{name}");
        }
        let index = if ending == "bcf" { ".csi" } else { ".tbi" };
        assert_eq!(super::exists(&bench.path(&format!("merged.{output}{index}"))), indexed);
    }
}

#[test]
fn an_index_of_merged_variants_finds_what_that_of_one_run_finds() {
    use std::process::Command;
    let bench = Bench::new();
    let command = ["score", "-m", MODEL, "-r", HUMAN, "-a", GENES, "--scheme", "splice-delta"];
    let command = [&command[..], &[VARIANTS, "--write-index"]].concat();
    let flags = [("-o", "v.vcf.gz")];
    bench.run_both(&command, &flags, 3);
    bench.merge(&flags, 3);
    let query = |run: &str| {
        let file = bench.at(&format!("{run}.v.vcf.gz"));
        Command::new("tabix").args([&file, "hg19_2_220462562_220481193:1-99999"]).output()
    };
    match query("merged") {
        Ok(found) => {
            assert!(found.status.success() && found.stdout == query("whole").unwrap().stdout)
        }
        Err(_) => eprintln!("skipped: no tabix on this machine"),
    }
}

#[test]
fn changes_of_shards_join_to_the_table_and_track_of_one_run() {
    let bench = Bench::new();
    let command = ["mutate", "-m", MODEL, "-r", HUMAN, "--deletions", "--region"];
    let command = [&command[..], &["hg19_1_860260_879955:1,001-2,500"]].concat();
    let flags = [("-o", "c.tsv.gz"), ("--importance", "i.bedGraph.gz")];
    bench.run_both(&command, &flags, 3);
    bench.merge(&flags, 3);
    assert_eq!(bench.text("whole.c.tsv.gz"), bench.text("merged.c.tsv.gz"));
    // cut within a chunk, so written anew: still the same bytes
    assert!(bench.bytes("whole.i.bedGraph.gz") == bench.bytes("merged.i.bedGraph.gz"));
    assert!(bench.bytes("whole.i.bedGraph.gz.tbi") == bench.bytes("merged.i.bedGraph.gz.tbi"));
}

/// A thousand contigs of 1 to 400 bases, the first of a single base, from a small generator.
fn thousand_contigs() -> String {
    let mut state = 1u64;
    let mut next = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut text = ">c0\nG\n".to_owned();
    for contig in 1..1000 {
        let bases: String = (0..=next(400))
            .map(|_| char::from(b"ACGT"[usize::try_from(next(4)).unwrap()]))
            .collect();
        text += &format!(">c{contig}\n{bases}\n");
    }
    text
}

#[test]
fn a_thousand_contigs_and_one_of_a_single_base_are_parted_and_joined() {
    let bench = Bench::new();
    fs::write(bench.path("r.fa"), thousand_contigs()).unwrap();
    let reference = bench.at("r.fa");
    let command = ["predict", "-m", MODEL, "-r", &reference, "--track", "donor"];
    let flags = [("-o", "x.bedGraph.gz"), ("--table", "x.tsv")];
    bench.run_both(&command, &flags, 7);
    bench.merge(&flags, 7);
    for name in ["x.bedGraph.gz", "x.bedGraph.gz.tbi", "x.tsv"] {
        let [whole, merged] = ["whole", "merged"].map(|run| bench.bytes(&format!("{run}.{name}")));
        assert!(whole == merged, "{name}");
    }
    assert!(bench.text("whole.x.bedGraph.gz").starts_with(b"c0\t0\t1\t"));
}

#[test]
fn more_shards_than_there_is_to_do_leave_valid_empty_outputs() {
    let bench = Bench::new();
    let command = ["predict", "-m", MODEL, "-r", YEAST, "--track", "donor"];
    for ending in ["bedGraph.gz", "bw"] {
        let name = format!("x.{ending}");
        let flags = [("-o", name.as_str())];
        bench.run_both(&command, &flags, 6);
        bench.merge(&flags, 6);
        assert!(bench.bytes(&format!("whole.{name}")) == bench.bytes(&format!("merged.{name}")));
    }
    // three chunks: the nearest to sixths of them are ends of shards 2, 4 (or 3) and 6
    let empty = (1..=6).filter(|number| bench.text(&format!("{number}.x.bedGraph.gz")).is_empty());
    assert_eq!(empty.count(), 3);

    let score = ["score", "-m", MODEL, "-r", HUMAN, "--scheme", "splice-delta", VARIANTS];
    let flags = [("-o", "v.vcf")];
    bench.run_both(&score, &flags, 50);
    bench.merge(&flags, 50);
    assert!(bench.bytes("whole.v.vcf") == bench.bytes("merged.v.vcf"));
}

#[test]
fn a_plan_names_the_shards_that_runs_then_do() {
    let bench = Bench::new();
    let output = bench.at("x.bedGraph");
    let command = ["predict", "-m", MODEL, "-r", FLY, "--track", "donor", "-t", "1", "-o", &output];
    let plan = super::atrous(&["plan", "--shards", "4", "--json"]).args(command).output().unwrap();
    assert!(plan.status.success(), "{}", String::from_utf8_lossy(&plan.stderr));
    assert!(bench.names().is_empty(), "a plan writes nothing");
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert_eq!(plan["calibration"].as_array().unwrap().len(), 3);
    assert!(plan["memory_megabytes"].as_u64().unwrap() > 0);
    assert!(plan["time_limit"].as_str().unwrap().starts_with("00:0"), "{}", plan["time_limit"]);
    for number in 1..=4 {
        let part = bench.at(&format!("{number}.bedGraph"));
        let shard = format!("{number}/4");
        let command = [&command[..7], &["-t", "1", "--shard", &shard, "-o", &part]].concat();
        succeeds(&command, &[]);
        let manifest = bench.bytes(&format!("{number}.bedGraph.shard.json"));
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        let planned = &plan["shards"][number - 1];
        for field in ["from", "to", "of", "begins", "ends"] {
            assert_eq!(planned[field], manifest["share"][field], "{shard} {field}");
        }
        assert!(planned["seconds"].as_f64().unwrap() > 0.0);
    }
}
