//! `atrous mutate` for models of signals, and for the value of a track at one position, as a user
//! meets it.

use super::{HUMAN, MODEL, YEAST, atrous, listing, outcome, path_text, strs, succeeds};
use crate::folds::{Bench, INPUT, OUTPUT, number, rows};
use std::fs;
use tempfile::TempDir;

/// Changes a region of chrI and gives the bytes of the table.
fn changed(bench: &Bench, region: &str, more: &[&str]) -> String {
    let (model, output) = (bench.text("fold_0.safetensors"), bench.text("changes.tsv"));
    let words = ["mutate", "-m", &model, "-r", YEAST, "--region", region, "-o", &output];
    succeeds(&[&words[..], more].concat());
    fs::read_to_string(output).unwrap()
}

#[test]
fn a_change_is_what_score_says_of_the_same_window() {
    let bench = Bench::new();
    // of one base, the window of mutate is that of score
    let table = changed(&bench, "chrI:100,000", &["--measure", "logcount"]);
    let own = rows(&table);
    assert_eq!(own.len(), 4);
    assert!(own.iter().all(|row| row["pos"] == "100000" && row["track"] == "signal"));
    let shape = rows(&changed(&bench, "chrI:100,000", &["--measure", "jsd"]));
    let mut compared = 0;
    for (row, shape) in own.iter().zip(&shape) {
        if row["alt"] == row["ref"] {
            assert_eq!(row["difference"], "0");
            continue;
        }
        let variant = format!("chrI:100000:{}:{}", row["ref"], row["alt"]);
        let (model, output) = (bench.text("fold_0.safetensors"), bench.text("score.tsv"));
        succeeds(&["score", "-m", &model, "-r", YEAST, "--variant", &variant, "-o", &output]);
        let score = rows(&fs::read_to_string(output).unwrap()).remove(0);
        let logfc = number(row, "difference") / std::f64::consts::LN_2;
        assert!((logfc - number(&score, "logfc")).abs() < 2e-6, "{row:?} {score:?}");
        let distance = number(shape, "difference") - number(&score, "jsd_distance");
        assert!(distance.abs() < 2e-6, "{shape:?} {score:?}");
        compared += 1;
    }
    assert_eq!(compared, 3);
}

#[test]
fn a_region_longer_than_a_window_is_covered_by_the_grid_however_it_is_parted() {
    let bench = Bench::new();
    // 1,200 bases, more than a window of 300, and from the middle of one to that of another
    let region = "chrI:50,051-51,250";
    let (model, output) = (bench.text("fold_0.safetensors"), bench.text("said.tsv"));
    let words = ["mutate", "-m", &model, "-r", YEAST, "--region", region, "-o", &output];
    let said = succeeds(&words);
    assert!(said.contains("longer than a window") && said.contains("3,600 changes"), "{said}");
    let whole = fs::read_to_string(&output).unwrap();
    assert_eq!(whole.lines().count(), 1 + 4 * 1200);
    let grid = ["--window-at", "grid"];
    assert_eq!(whole, changed(&bench, region, &grid), "the default of a long region");
    assert_eq!(whole, changed(&bench, region, &["-t", "1"]));
    // in parts of odd lengths, each of which could have a window of its own
    let mut parts = String::new();
    for (index, ends) in
        ["50,051-50,051", "50,052-50,300", "50,301-50,777", "50,778-51,250"].iter().enumerate()
    {
        let table = changed(&bench, &format!("chrI:{ends}"), &grid);
        let skipped = usize::from(index > 0);
        parts += &table.lines().skip(skipped).map(|line| format!("{line}\n")).collect::<String>();
    }
    assert_eq!(parts, whole);
    // the window of a base is the one whose outputs it belongs to: that around the middle of them
    let first = 50_100 / OUTPUT * OUTPUT;
    let middle = first + OUTPUT / 2;
    let around = format!("chrI:{}-{}", middle, middle + 1);
    let own = changed(&bench, &around, &["--window-at", "region"]);
    let find = |table: &str| -> Vec<String> {
        let rows = table.lines().filter(|line| line.contains(&format!("\t{}\t", middle + 1)));
        rows.map(str::to_owned).collect()
    };
    assert_eq!(find(&own), find(&whole));
    assert_eq!(find(&own).len(), 4);
}

#[test]
fn shards_join_to_the_table_and_track_of_one_run() {
    let bench = Bench::new();
    let fold = bench.text("fold_0.safetensors");
    let yeast = ["-m", &fold, "-r", YEAST, "--region"];
    let human = ["-m", MODEL, "-r", HUMAN, "--region", "hg19_1_860260_879955:1,001-2,000"];
    for command in [
        // over the grid, cut within windows; in one window; one position of a model without any
        [&yeast[..], &["chrI:50,051-51,250"]].concat(),
        [&yeast[..], &["chrI:50,001-50,290", "--center", "--project"]].concat(),
        [&human[..], &["--measure", "class:donor@1,400"]].concat(),
    ] {
        let written = |name: &str, words: &[&str], more: &[&str]| {
            let (table, track) =
                (bench.text(&format!("{name}.tsv")), bench.text(&format!("{name}.bedGraph")));
            succeeds(&[words, &["-o", &table, "--importance", &track], more].concat());
            [table, track].map(|path| fs::read_to_string(path).unwrap())
        };
        let words = [&["mutate"], &command[..]].concat();
        let whole = written("whole", &words, &[]);
        let manifests = ["1/3", "2/3", "3/3"].map(|shard| {
            written(&shard[..1], &words, &["--shard", shard]);
            bench.text(&format!("{}.tsv.shard.json", &shard[..1]))
        });
        let manifests: Vec<&str> = manifests.iter().map(String::as_str).collect();
        assert_eq!(written("merged", &[&["merge"], &manifests[..]].concat(), &[]), whole);
        // how changes are combined is part of the job
        written("2", &words, &["--ensemble", "predictions", "--shard", "2/3"]);
        let none = bench.text("none.tsv");
        let merge = [&["merge", "-o", &none], &manifests[..]].concat();
        let (code, message) = outcome(&mut atrous(&merge));
        assert!(code == 1 && message.contains("its ensemble differs"), "{message}");
    }
}

#[test]
fn the_value_of_a_track_at_a_position_changes_as_prediction_says() {
    // two matrices of 9 and 27 bases: what can change a position lies near it
    let folder = TempDir::new().unwrap();
    let at = |name: &str| path_text(&folder.path().join(name));
    let contig = "hg19_1_860260_879955";
    let fasta = String::from_utf8(super::unzipped(HUMAN)).unwrap();
    let record = fasta.split('>').nth(1).unwrap();
    let bases: Vec<u8> = record.lines().skip(1).flat_map(str::bytes).collect();
    for (strand, track, position) in [("+", "donor", 1_020usize), ("-", "1", 1_011)] {
        let (table, region) = (at("c.tsv"), format!("{contig}:1,001-1,040"));
        let measure = format!("class:{track}@{position}");
        let words = ["mutate", "-m", MODEL, "-r", HUMAN, "--region", &region, "-o", &table];
        succeeds(&[&words[..], &["--measure", &measure, "--strand", strand]].concat());
        let rows = rows(&fs::read_to_string(&table).unwrap());
        assert_eq!(rows.len(), 160);
        let name = if track == "1" { "acceptor" } else { "donor" };
        // the same by predicting the changed sequence
        let predicted = |bases: &[u8]| -> f64 {
            let text = format!(">{contig}\n{}\n", std::str::from_utf8(bases).unwrap());
            let (fasta, output) = (at("changed.fa"), at("one.bedGraph"));
            fs::write(&fasta, text).unwrap();
            let region = format!("{contig}:{position}");
            let words =
                ["predict", "-m", MODEL, "-r", &fasta, "--region", &region, "--track", name];
            let more = ["--strand", strand, "-o", &output, "--decimals", "7"];
            succeeds(&[&words[..], &more].concat());
            let line = fs::read_to_string(&output).unwrap();
            line.trim_end().rsplit('\t').next().unwrap().parse().unwrap()
        };
        let before = predicted(&bases);
        let mut moved = 0;
        for row in rows.iter().step_by(3) {
            let mut changed = bases.clone();
            let place = row["pos"].parse::<usize>().unwrap() - 1;
            assert_eq!(row["ref"].as_bytes(), &bases[place..=place]);
            changed[place] = row["alt"].as_bytes()[0];
            let expected = predicted(&changed) - before;
            let found = number(row, "difference");
            assert!((found - expected).abs() < 1e-5, "{row:?} {expected}");
            moved += usize::from(found.abs() > 0.1);
        }
        assert!(moved > 5, "{moved} changes that matter");
    }
    // far from all that a change can reach, nothing changes, and it says so for every base
    let table = at("far.tsv");
    let words = ["mutate", "-m", MODEL, "-r", HUMAN, "--region", &format!("{contig}:5,001-5,300")];
    succeeds(&[&words[..], &["--measure", "class:donor@9,000", "-o", &table]].concat());
    let rows = rows(&fs::read_to_string(&table).unwrap());
    assert!(rows.len() == 1200 && rows.iter().all(|row| row["difference"] == "0"));
}

#[test]
fn a_class_of_a_windowed_model_is_its_logit_among_the_outputs_of_the_window() {
    let bench = Bench::new();
    let table = changed(&bench, "chrI:90,001-90,020", &["--measure", "class:bias@90,040"]);
    let rows = rows(&table);
    assert_eq!(rows.len(), 80);
    assert!(rows.iter().any(|row| number(row, "difference").abs() > 1e-3));
    // the same by the oracle, which computes every window in full
    let engine = ["--measure", "class:bias@90,040", "--engine", "oracle"];
    let full = crate::folds::rows(&changed(&bench, "chrI:90,001-90,020", &engine));
    for (row, full) in rows.iter().zip(&full) {
        let difference = number(row, "difference") - number(full, "difference");
        assert!(difference.abs() < 1e-5, "{row:?} {full:?}");
    }
}

#[test]
fn changes_that_cannot_be_meant_are_refused_before_any_work() {
    let bench = Bench::new();
    let folds = bench.text("folds.safetensors");
    let outputs = TempDir::new().unwrap();
    let at = |name: &str| path_text(&outputs.path().join(name));
    let table = at("c.tsv");
    let genes = "test-data/human.windows.gff3.gz";
    let signal = |more: &[&str]| -> Vec<String> {
        let words = ["-m", &folds, "-r", YEAST, "--region", "chrI:9,001-9,100"];
        words.iter().chain(more).map(ToString::to_string).collect()
    };
    let splice = |more: &[&str]| -> Vec<String> {
        let region = "hg19_1_860260_879955:1,001-1,040";
        let words = ["-m", MODEL, "-r", HUMAN, "--region", region];
        words.iter().chain(more).map(ToString::to_string).collect()
    };
    let long = format!("chrI:9,001-{}", 9_001 + INPUT + 7);
    let (other, class) = (["--region", &long], "class:donor@1,020");
    let far = ["--measure", "class:signal@9,400"];
    let cases: Vec<(&str, Vec<String>)> = vec![
        ("--annotation means nothing", signal(&["-a", genes])),
        ("--deletions means nothing", signal(&["--deletions"])),
        ("--distance means nothing", signal(&["--distance", "60"])),
        ("draws no picture", signal(&["--shard", "1/2", "--plot", &at("p.svg")])),
        ("--resume means nothing", signal(&["--resume"])),
        ("--scheme means nothing", signal(&["--scheme", "splice-delta"])),
        ("--strand means nothing", signal(&["--strand", "-"])),
        ("no such measure", signal(&["--measure", "counts"])),
        ("no such measure", signal(&["--measure", "class:signal"])),
        ("no such track", signal(&["--measure", "class:liver@9,050"])),
        ("--track means nothing", signal(&["--measure", "class:bias@9,050", "--track", "bias"])),
        ("no output of the one window", signal(&far)),
        ("lies beyond the contig", signal(&["--measure", "class:bias@9,000,000"])),
        ("has no summit", signal(&["--window-at", "summit"])),
        ("--center", signal(&["--project"])),
        ("SVG", signal(&["--plot", &at("p.png")])),
        ("means nothing to models without a window", splice(&["--measure", "jsd"])),
        ("means nothing to models without a window", splice(&["--window-at", "grid"])),
        ("--deletions means nothing", splice(&["--measure", class, "--deletions"])),
        ("--annotation means nothing", splice(&["--measure", class, "-a", genes])),
        ("one strand", splice(&["--measure", class, "--strand", "both"])),
        ("--rc-average means nothing", splice(&["--measure", class, "--rc-average", "none"])),
        ("--window-at means nothing", splice(&["--measure", class, "--window-at", "grid"])),
    ];
    let mut all: Vec<(&str, Vec<String>)> = cases;
    let mut too_long = signal(&["--window-at", "region"]);
    let place = too_long.iter().position(|word| word == "--region").unwrap();
    too_long.splice(place..place + 2, other.map(str::to_owned));
    all.push(("--window-at grid", too_long));
    for (says, arguments) in all {
        let words = [&["mutate", "-o", &table][..], &strs(&arguments)].concat();
        let (code, message) = outcome(&mut atrous(&words));
        assert_eq!(code, 2, "{arguments:?}: {message}");
        assert!(message.contains(says), "{arguments:?}: {message:?} should say {says:?}");
        assert!(listing(outputs.path()).is_empty(), "{arguments:?} left a file");
    }
    let bed = at("c.bed");
    let (code, message) = outcome(&mut atrous(&strs(
        &[&["mutate".into(), "-o".into(), bed][..], &signal(&[])].concat(),
    )));
    assert!(code == 2 && message.contains("written as a table"), "{message}");
}
