//! `atrous predict` and `atrous score` for models of signals, as a user meets them: five folds of
//! random weights (in the files of bpnet-lite), real sequence of yeast.

use super::{YEAST, succeeds};
use crate::folds::{Bench, FOLDS, INPUT, OUTPUT, PEAKS, Row, VCF, near, number, rows};
use std::collections::BTreeMap;
use std::fs;

#[test]
fn a_model_of_five_folds_and_five_models_give_the_means_of_the_scores_of_each() {
    let bench = Bench::new();
    let input = bench.variants();
    let names: Vec<String> = (0..FOLDS).map(|fold| format!("fold_{fold}.safetensors")).collect();
    let more = ["--null", "2", "--seed", "3"];
    let together = bench.rows(&["folds.safetensors"], &input, &more);
    let apart = bench.rows(&names.iter().map(String::as_str).collect::<Vec<_>>(), &input, &more);
    assert_eq!(together, apart, "one file of five folds, or -m five times");
    let each: Vec<Vec<Row>> =
        names.iter().map(|name| bench.rows(&[name.as_str()], &input, &more)).collect();
    assert_eq!(together.len(), 3);
    for (index, row) in together.iter().enumerate() {
        let of = |name: &str| each.iter().map(|rows| number(&rows[index], name)).collect();
        for name in ["ref_count", "logfc", "jsd_distance", "sum_diff", "d1", "logfc_x_jsd"] {
            let own: Vec<f64> = of(name);
            let mean = own.iter().sum::<f64>() / FOLDS as f64;
            assert!(near(number(row, name), mean), "{name}: {row:?} {own:?}");
        }
        // track-effects.md A1: p-values of folds have a geometric mean
        let p: Vec<f64> = of("p_abs_logfc");
        let mean = (p.iter().map(|p| p.ln()).sum::<f64>() / FOLDS as f64).exp();
        assert!(near(number(row, "p_abs_logfc"), mean), "{row:?} {p:?}");
        let logs: Vec<f64> = of("logfc");
        let mean = logs.iter().sum::<f64>() / FOLDS as f64;
        let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
        let deviation = (squares / (FOLDS as f64 - 1.0)).sqrt();
        assert!(near(number(row, "logfc_sd"), deviation), "{row:?} {logs:?}");
        assert!(deviation > 0.0, "folds that differ");
    }
    // predictions averaged first: counts as counts, so their means are those of the folds
    let first = bench.rows(&["folds.safetensors"], &input, &["--ensemble", "predictions"]);
    for (mean, row) in together.iter().zip(&first) {
        assert!(near(number(row, "ref_count"), number(mean, "ref_count")));
        let expected = (number(row, "alt_count") / number(row, "ref_count")).log2();
        assert!((number(row, "logfc") - expected).abs() < 1e-4, "{row:?}");
        assert!(!row.contains_key("logfc_sd"), "{row:?}");
    }
}

#[test]
fn both_strands_are_read_and_averaged_as_asked() {
    let bench = Bench::new();
    // a piece of the chromosome, and the same read from its other end
    let piece = &bench.bases[20_000..21_001];
    let opposite = |b: &u8| match b {
        b'A' => b'T',
        b'C' => b'G',
        b'G' => b'C',
        _ => b'A',
    };
    let turned: Vec<u8> = piece.iter().rev().map(opposite).collect();
    let record = |name: &str, bases: &[u8]| {
        format!(">{name}\n{}\n", std::str::from_utf8(bases).unwrap()).into_bytes()
    };
    let fasta = bench.write("two.fa", [record("plus", piece), record("minus", &turned)].concat());
    // POS 501 of 1,001 is the middle of both
    let (base, other) = bench.change(20_501);
    let letters = [base, other].map(|letter| char::from(opposite(&(letter as u8))));
    let run = |variant: &str, more: &[&str]| -> Row {
        let model = bench.text("fold_0.safetensors");
        let output = bench.text("strands.tsv");
        let words = ["score", "-m", &model, "-r", &fasta, "--variant", variant, "-o", &output];
        succeeds(&[&words[..], more].concat());
        rows(&fs::read_to_string(&output).unwrap()).remove(0)
    };
    let plus = format!("plus:501:{base}:{other}");
    let minus = format!("minus:501:{}:{}", letters[0], letters[1]);
    // in a window of even length the middle of one strand is one base off that of the other
    let forward = run(&plus, &["--rc-average", "none"]);
    let reverse = run(&minus, &["--rc-average", "none", "--window-rule", "basenji"]);
    let both = run(&plus, &[]);
    assert_eq!(both, run(&plus, &["--rc-average", "counts-and-logits"]), "the default");
    for name in ["ref_count", "alt_count"] {
        let mean = f64::midpoint(number(&forward, name), number(&reverse, name));
        assert!(near(number(&both, name), mean), "{name}: {forward:?} {reverse:?} {both:?}");
        assert_ne!(forward[name], reverse[name], "strands that differ");
    }
    let tracks = run(&plus, &["--rc-average", "tracks"]);
    assert!(near(number(&tracks, "logfc"), number(&both, "logfc")), "counts are averaged alike");
    assert_ne!(tracks["jsd_distance"], both["jsd_distance"], "profiles are not");
    // track-effects.md C4: read from the other end, an average over both strands is the same
    let turned = run(&minus, &["--window-rule", "basenji"]);
    for name in ["ref_count", "logfc", "jsd_distance", "d1"] {
        assert!(near(number(&turned, name), number(&both, name)), "{name}: {turned:?} {both:?}");
    }
}

#[test]
fn quantiles_are_those_of_the_counts_that_predict_gives_for_the_peaks() {
    let bench = Bench::new();
    let input = bench.variants();
    // one peak there twice, one whose window leaves the chromosome
    let text = fs::read_to_string(PEAKS).unwrap();
    let inside: Vec<&str> = text.lines().filter(|line| !line.starts_with("chrI\t20\t")).collect();
    let again = [&inside[..], &inside[..1], &["chrI\t20\t100\tx\t0\t.\t0\t0\t0\t40"]].concat();
    let peaks = bench.write("peaks.narrowPeak", again.join("\n") + "\n");
    let model = bench.text("fold_0.safetensors");
    let (once, table) = (bench.write("once.bed", inside.join("\n") + "\n"), bench.text("c.tsv"));
    let predict = ["predict", "-m", &model, "-r", YEAST, "--regions", &once, "--table", &table];
    succeeds(&[&predict[..], &["--window-at", "summit"]].concat());
    let counted = rows(&fs::read_to_string(&table).unwrap());
    let counts: Vec<f64> = counted.iter().map(|row| number(row, "log_counts").exp()).collect();
    assert_eq!(counts.len(), inside.len());
    let list = counts.iter().map(|count| format!("{count}\n")).collect::<String>();
    let list = bench.write("counts.txt", format!("# of peaks\n{list}"));

    let of_peaks = ["--rc-average", "none", "--peaks", &peaks];
    let said = bench.score(&["fold_0.safetensors"], &input, "rows.tsv", &of_peaks);
    let expected = format!(
        "quantiles among {} peaks; 1 left out as they were there twice, 1 whose window leaves its \
         contig",
        inside.len()
    );
    assert!(said.contains(&expected), "{said}");
    let found = rows(&fs::read_to_string(bench.at("rows.tsv")).unwrap());
    let of_list = ["--rc-average", "none", "--background-counts", &list];
    assert_eq!(found, bench.rows(&["fold_0.safetensors"], &input, &of_list));
    for row in &found {
        // track-effects.md A1: strictly below, at least one; the larger of the two
        let quantile = |name| {
            let below = counts.iter().filter(|&&count| count < number(row, name)).count();
            below.max(1) as f64 / counts.len() as f64
        };
        let (before, after) = (quantile("ref_count"), quantile("alt_count"));
        for (name, expected) in [
            ("ref_quantile", before),
            ("alt_quantile", after),
            ("active_quantile", before.max(after)),
            ("quantile_change", after - before),
            ("jsd_x_active_quantile", number(row, "jsd_distance") * before.max(after)),
        ] {
            assert!(near(number(row, name), expected), "{name}: {row:?} {expected}");
        }
    }
}

#[test]
fn regions_without_a_summit_have_windows_around_their_middle_and_it_is_said() {
    let bench = Bench::new();
    // of the last line the summit lies behind its end
    let text = "chrI\t50000\t50100\tx\t0\t.\t0\t0\t0\t7\nchrI\t60000\t60100\tx\t0\t.\t0\t0\t0\t-1\n\
                chrI\t70000\t70100\tx\t0\t.\t0\t0\t0\t100\n";
    let peaks = bench.write("peaks.narrowPeak", text);
    let (model, table) = (bench.text("fold_0.safetensors"), bench.text("c.tsv"));
    let words = ["predict", "-m", &model, "-r", YEAST, "--regions", &peaks, "--table", &table];
    let said = succeeds(&[&words[..], &["--window-at", "summit"]].concat());
    assert!(said.contains("2 regions without a summit inside"), "{said}");
    let half = OUTPUT / 2;
    let starts: Vec<usize> = rows(&fs::read_to_string(&table).unwrap())
        .iter()
        .map(|row| row["start"].parse().unwrap())
        .collect();
    assert_eq!(starts, [50_007 - half, 60_050 - half, 70_050 - half]);
}

#[test]
fn p_values_depend_on_the_seed_and_not_on_threads_or_order() {
    let bench = Bench::new();
    let lines: Vec<String> = (1..=12).map(|i| bench.snv(15_000 * i)).collect();
    let forward = bench.write("f.vcf", VCF.to_owned() + &lines.concat());
    let reversed: String = lines.iter().rev().map(String::as_str).collect();
    let backward = bench.write("b.vcf", VCF.to_owned() + &reversed);
    let models = ["fold_0.safetensors"];
    let with = |input: &str, seed: &str, threads: &str| {
        bench.rows(&models, input, &["--null", "4", "--seed", seed, "-t", threads])
    };
    let expected = with(&forward, "7", "1");
    assert_eq!(expected, with(&forward, "7", "3"));
    let mut turned = with(&backward, "7", "2");
    turned.reverse();
    assert_eq!(expected, turned);
    assert_ne!(expected, with(&forward, "8", "1"));
    for row in &expected {
        for name in ["p_logfc", "p_abs_logfc", "p_jsd_distance", "p_logfc_x_jsd"] {
            // ranks among 12 variants times 4 shuffles
            let rank = number(row, name) * 49.0;
            assert!((rank - rank.round()).abs() < 1e-4 && (1.0..=49.0).contains(&rank.round()));
        }
        assert!(!row.contains_key("p_active_quantile"), "without --peaks: {row:?}");
    }
    let said = bench.score(&models, &forward, "rows.tsv", &["--null", "4"]);
    assert!(said.contains("p-values against 48 shuffles"), "{said}");
}

#[test]
fn info_has_the_numbers_of_the_table_one_per_alt_and_task() {
    let bench = Bench::new();
    let bases: Vec<char> = ['A', 'C', 'G', 'T'].into();
    let own = char::from(bench.bases[49_999]);
    let others: Vec<String> =
        bases.into_iter().filter(|base| *base != own).map(String::from).collect();
    let alts = format!("{},<DEL>,{}", others[0], others[1]);
    let line = format!("chrI\t50000\trs1\t{own}\t{alts}\t30\tPASS\tDP=4\n");
    let input = bench.write("in.vcf", VCF.to_owned() + &line);
    for (tracks, number_of) in [("signal", "A"), ("signal,bias", ".")] {
        let tasks = tracks.split(',').count();
        let more = ["--track", tracks, "--decimals", "6"];
        bench.score(&["folds.safetensors"], &input, "out.vcf", &more);
        let text = fs::read_to_string(bench.at("out.vcf")).unwrap();
        let meta = format!("##INFO=<ID=atrous_logfc,Number={number_of},Type=Float,");
        assert!(text.contains(&meta), "{text}");
        assert!(text.contains("##atrousScoring=scheme=tracks;tasks=signal"), "{text}");
        let record = text.lines().find(|line| !line.starts_with('#')).unwrap();
        let (kept, info) = record.split_once("DP=4;").unwrap();
        assert_eq!(kept, line.strip_suffix("DP=4\n").unwrap(), "nothing else is changed");
        let info: BTreeMap<&str, &str> =
            info.split(';').filter_map(|field| field.split_once('=')).collect();
        assert_eq!(info["atrous_SKIP"], ".,SYMBOLIC,.");
        let table = bench.rows(&["folds.safetensors"], &input, &["--track", tracks]);
        assert_eq!(table.len(), 2 * tasks + 1, "a row per ALT and task, one for what is left out");
        for key in ["ref_count", "logfc", "logfc_sd", "jsd_distance", "max_abs_pos"] {
            let values: Vec<&str> = info[format!("atrous_{key}").as_str()].split(',').collect();
            assert_eq!(values.len(), 3 * tasks, "{key}");
            assert!(values[tasks..2 * tasks].iter().all(|value| *value == "."), "{values:?}");
            let scored = values[..tasks].iter().chain(&values[2 * tasks..]);
            let rows = table.iter().filter(|row| row["alt"] != "<DEL>");
            for (value, row) in scored.zip(rows) {
                let (found, expected) = (value.parse::<f64>().unwrap(), number(row, key));
                assert!((found - expected).abs() <= 1e-6 + 1e-6 * expected.abs(), "{key} {row:?}");
            }
        }
    }
}

#[test]
fn every_allele_without_a_score_has_its_reason() {
    let bench = Bench::new();
    let (base, other) = bench.change(60_000);
    let (end, at_end) = bench.change(3);
    let long = std::str::from_utf8(&bench.bases[59_999..60_000 + OUTPUT]).unwrap();
    let cases = [
        ("60000", base.to_string(), ".".to_string(), "NO_ALT"),
        ("900000", "A".into(), "C".into(), "OUT_OF_CONTIG"),
        ("60000", other.to_string(), base.to_string(), "REF_MISMATCH"),
        ("60000", base.to_string(), "<DUP>".into(), "SYMBOLIC"),
        ("60000", base.to_string(), "*".into(), "STAR"),
        ("60000", base.to_string(), format!("{base}[chrI:7["), "BREAKEND"),
        ("60000", base.to_string(), base.to_string(), "NO_CHANGE"),
        ("60000", base.to_string(), "R".into(), "ALT_NOT_ACGTN"),
        ("60000", long.to_owned(), base.to_string(), "REF_TOO_LONG"),
        ("60000", base.to_string(), "ACGTACGTA".into(), "ALT_TOO_LONG"),
    ];
    let mut lines: String = cases
        .iter()
        .map(|(pos, reference, alt, _)| format!("chrI\t{pos}\t.\t{reference}\t{alt}\t.\t.\t.\n"))
        .collect();
    lines += "chrQ\t5\t.\tA\tC\t.\t.\t.\n";
    lines += &format!("chrI\t3\t.\t{end}\t{at_end}\t.\t.\t.\n");
    let input = bench.write("in.vcf", VCF.to_owned() + &lines);
    let (skipped, summary) = (bench.text("skipped.tsv"), bench.text("run.json"));
    let more = ["--max-alt", "8", "--skipped", &skipped, "--summary", &summary];
    let said = bench.score(&["fold_0.safetensors"], &input, "out.vcf", &more);
    assert!(said.contains("1 allele of 12 in 12 records scored"), "{said}");
    let text = fs::read_to_string(bench.at("out.vcf")).unwrap();
    let infos: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').nth(7).unwrap())
        .collect();
    let codes: Vec<&str> =
        cases.iter().map(|case| case.3).chain(["CONTIG_NOT_IN_REFERENCE"]).collect();
    for (info, code) in infos.iter().zip(&codes) {
        assert_eq!(*info, format!("atrous_SKIP={code}"));
    }
    // two bases before POS 3, half of the window less those are missing
    let missing = format!("atrous_WARNING=CONTIG_EDGE:{}", INPUT / 2 - 2);
    assert!(infos[11].starts_with("atrous_ref_count=") && infos[11].contains(&missing));
    let listed = rows(&fs::read_to_string(&skipped).unwrap());
    let reasons: Vec<&str> = listed.iter().map(|row| row["reason"].as_str()).collect();
    assert_eq!(reasons, codes);
    let summary: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&summary).unwrap()).unwrap();
    let counted = summary["skipped"].as_object().unwrap();
    assert_eq!(counted.values().map(|n| n.as_u64().unwrap()).sum::<u64>(), 11);
    assert_eq!(counted["REF_MISMATCH"], 1);
    // believed where that is asked for
    let rows = bench.rows(&["fold_0.safetensors"], &input, &["--ref-mismatch", "use-vcf"]);
    let believed = rows.iter().find(|row| row["alt"] == base.to_string() && row["pos"] == "60000");
    assert_eq!(believed.unwrap()["warnings"], "REF_MISMATCH");
}

#[test]
fn tables_of_variant_scorer_are_read_without_a_header() {
    let bench = Bench::new();
    let (base, other) = bench.change(70_000);
    let after = char::from(bench.bases[70_000]);
    let lines = format!("chrI\t70000\t{base}\t{other}\ta\nchrI\t70001\t{after}\t-\tb\n");
    let input = bench.write("in.tsv", lines);
    let rows = bench.rows(&["fold_0.safetensors"], &input, &["--schema", "chrombpnet"]);
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| number(row, "jsd_distance") > 0.0), "{rows:?}");
    // the same as in VCF
    let vcf = bench.write("same.vcf", VCF.to_owned() + &bench.snv(70_000));
    assert_eq!(bench.rows(&["fold_0.safetensors"], &vcf, &[])[0]["logfc"], rows[0]["logfc"]);
}

#[test]
fn mean_tracks_of_folds_and_parts_of_a_joint_model_add_up() {
    let bench = Bench::new();
    let predict = |model: &str, output: &str, more: &[&str]| {
        let (model, output) = (bench.text(model), bench.text(output));
        let words = ["predict", "-m", &model, "-r", YEAST, "-o", &output, "--decimals", "6"];
        let region = ["--region", "chrI:80,001-80,400"];
        succeeds(&[&words[..], &region, more].concat());
        let text = fs::read_to_string(&output).unwrap();
        let mut values = Vec::new();
        for line in text.lines().filter(|line| line.starts_with("chrI")) {
            let cells: Vec<&str> = line.split('\t').collect();
            let [start, end] = [1, 2].map(|i| cells[i].parse::<usize>().unwrap());
            values.extend(vec![cells[3].parse::<f64>().unwrap(); end - start]);
        }
        assert_eq!(values.len(), 400);
        values
    };
    let mean = predict("folds.safetensors", "mean.bedGraph", &["--without-bias"]);
    let each: Vec<Vec<f64>> = (0..FOLDS)
        .map(|fold| predict(&format!("fold_{fold}.safetensors"), "f.bedGraph", &["--without-bias"]))
        .collect();
    for (index, value) in mean.iter().enumerate() {
        let expected = each.iter().map(|fold| fold[index]).sum::<f64>() / FOLDS as f64;
        assert!((value - expected).abs() < 2e-6, "{index}: {value} {expected}");
    }
    // networks.md 3: the log count of a joint model is ln(e^main + e^bias)
    let (model, table) = (bench.text("fold_0.safetensors"), bench.text("c.tsv"));
    let words = ["predict", "-m", &model, "-r", YEAST, "--regions", PEAKS, "--table", &table];
    let tracks = ["--track", "signal,signal_without_bias,bias", "--window-at", "region"];
    succeeds(&[&words[..], &tracks].concat());
    for row in rows(&fs::read_to_string(&table).unwrap()) {
        let parts =
            number(&row, "log_counts_without_bias").exp() + number(&row, "log_counts_bias").exp();
        assert!((number(&row, "log_counts") - parts.ln()).abs() < 1e-4, "{row:?}");
    }
}
