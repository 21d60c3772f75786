//! `atrous inspect` and `atrous design` as a user meets them.

#![allow(clippy::unwrap_used, reason = "a test")]

use assert_cmd::Command;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn atrous(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("atrous").unwrap();
    command.current_dir(root()).args(args);
    command
}

fn stdout(args: &[&str]) -> String {
    let output = atrous(args).assert().success().get_output().stdout.clone();
    String::from_utf8(output).unwrap()
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&stdout(args)).unwrap()
}

fn architecture(folder: &Path, name: &str, rates: &str) -> PathBuf {
    let text = format!(
        "name = '{name}'\nchannels = 8\nactivation = 'relu'\nstem = {{ kernel = 1 }}\n\
         head = {{ outputs = ['a'] }}\n[[stack]]\nblock = 'residual'\nkernel = 3\n\
         dilations = {rates}\n"
    );
    let path = folder.join(format!("{name}.toml"));
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn blind_spots_are_named_with_their_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = architecture(folder.path(), "tuned", "[1, 2, 5, 21, 42]");
    let text = stdout(&["inspect", path.to_str().unwrap()]);
    // dilation.md 5: 24 of 143 unseen, because 21 > 17
    assert!(text.contains("24 of 143 bases are never seen\n"), "{text}");
    assert!(text.contains("rate 21 is more than the 17 bases that smaller rates cover"), "{text}");
    let report = json(&["inspect", path.to_str().unwrap(), "--json"]);
    let network = &report["networks"][0];
    assert_eq!(network["coverage"]["unseen"], 24);
    assert_eq!(network["hole_test"]["gap"]["width"], 17);
    assert_eq!(network["hdc"][0]["passes"], false);
    let runs = network["coverage"]["blind_runs"].as_array().unwrap();
    let unseen: i64 =
        runs.iter().map(|run| run[1].as_i64().unwrap() - run[0].as_i64().unwrap() + 1).sum();
    assert_eq!(unseen, 24);
}

#[test]
fn a_plan_names_the_kernel_of_each_convolution_and_what_it_costs() {
    let text = stdout(&["inspect", "profile-trunk", "--plan"]);
    assert!(text.contains("computed by      block FLOP as written   FLOP computed\n"), "{text}");
    let report = json(&["inspect", "profile-trunk", "--plan", "--json"]);
    let unit = &report["networks"][0]["plan"][1];
    // 3 taps of 64 channels: 24,576 as written; six products of 64 x 64 for four outputs, and 24
    // operations on each of 128 channels around them, 13,824
    assert_eq!((&unit["kernel"], &unit["block"]), (&"winograd".into(), &8.into()));
    assert_eq!((&unit["direct_flops"], &unit["flops"]), (&24_576.into(), &13_824.into()));
    assert!(json(&["inspect", "profile-trunk", "--json"])["networks"][0]["plan"].is_null());
}

#[test]
fn two_subjects_stand_side_by_side() {
    let text = stdout(&["inspect", "profile-trunk", "hybrid"]);
    let line = text.lines().find(|line| line.starts_with("receptive field")).unwrap();
    assert!(line.contains("1,041 bases") && line.contains("129 bases"), "{line}");
    let both = json(&["inspect", "profile-trunk", "hybrid", "--json"]);
    assert_eq!(both[1]["networks"][0]["receptive_field"], 129);
}

#[test]
fn the_response_at_the_helix_and_the_paths_are_printed_when_asked_for() {
    let report = json(&["inspect", "periodic", "--json", "--spectrum", "--paths"]);
    let network = &report["networks"][0];
    assert_eq!(network["paths_by_offset"].as_array().unwrap().len(), 615);
    let layers = network["spectrum"]["layers"].as_array().unwrap();
    let of_21 = layers.iter().find(|layer| layer["dilation"] == 21).unwrap();
    // dilation.md 4: box response of rate 21 at 10.5, 147 and 167 bases
    for (index, expected) in [(1, 1.0), (2, 0.749), (3, 0.8025)] {
        let found = of_21["response"][index].as_f64().unwrap();
        assert!((found - expected).abs() < 1e-4, "{found}");
    }
    assert!(stdout(&["inspect", "hybrid", "--paths"]).contains("\n      -64  1\n"));
}

#[test]
fn the_effective_field_is_measured_on_sequence_and_the_same_each_time() {
    let model = "models/human-splice-pwm/model.safetensors";
    let args = |threads| {
        let region = "hg19_1_860260_879955:1,001-3,000";
        let sequence = ["-r", "test-data/human.windows.fa.gz", "--region", region];
        let start = ["inspect", model, "--json", "--effective"];
        [&start[..], &sequence, &["--substitutions", "40", "-t", threads]].concat()
    };
    let report = json(&args("1"));
    let effective = &report["effective"];
    assert_eq!(effective["substitutions"], 40);
    let reach = |side: &str| report["networks"][0]["reach"][side].as_u64().unwrap();
    let farthest = effective["changes_beyond"][3][1].as_u64().unwrap();
    assert!(farthest > 0 && farthest <= reach("left").max(reach("right")));
    assert_eq!(json(&args("2"))["effective"], *effective);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let sequence = ["-r", "test-data/human.windows.fa.gz", "--region", "hg19_1_860260_879955"];
    let architecture = [&["inspect", "hybrid", "--effective"][..], &sequence].concat();
    for (args, code, expected) in [
        (&architecture[..], 2, "--effective needs weights"),
        (&["inspect", "hybrid", "--effective"], 2, "--reference"),
        (&["inspect", "hybrid", "--period", "1"], 2, "expected a number of 2 or more"),
        (&["inspect", "nothing"], 1, "no built-in architecture"),
        (&["design", "--context", "50kb", "--budget", "10-params"], 1, "raise --budget"),
        (&["design", "--context", "soon", "--budget", "1M"], 2, "such as 50kb"),
        (&["design", "--context", "1kb", "--budget", "1M", "--choose", "99"], 2, "--choose"),
    ] {
        let output = atrous(args).assert().code(code).get_output().clone();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(expected), "{args:?}: {message}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn pictures_are_well_formed_and_small() {
    let folder = tempfile::tempdir().unwrap();
    let tuned = architecture(folder.path(), "a < b & c", "[2, 2, 2]");
    let (tuned, svg) = (tuned.to_str().unwrap(), folder.path().join("both.svg"));
    stdout(&["inspect", tuned, "exponential-large", "--spectrum", "--svg", svg.to_str().unwrap()]);
    let text = std::fs::read_to_string(&svg).unwrap();
    assert!(text.starts_with("<svg ") && text.ends_with("</svg>\n"));
    assert!(text.contains("a &lt; b &amp; c") && text.contains("6 of them never seen"));
    // every element of the writer is on a line of its own and closed there
    for line in text.lines().filter(|line| line.starts_with('<') && !line.contains("svg")) {
        assert!(line.ends_with("/>") || line.ends_with("</text>"), "{line}");
    }
    assert!(text.len() < 150_000, "{} bytes", text.len());
    assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
}

#[test]
fn inspect_reads_back_what_design_promised() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("arch.toml");
    let path = path.to_str().unwrap();
    for choose in ["1", "2"] {
        let table = json(&[
            "design",
            "--context",
            "50kb",
            "--budget",
            "2M-params",
            "--choose",
            choose,
            "--json",
            "-o",
            path,
        ]);
        let row = &table[choose.parse::<usize>().unwrap() - 1];
        let network = &json(&["inspect", path, "--json"])["networks"][0];
        assert!(row["receptive_field"].as_u64().unwrap() >= 50_000);
        assert!(row["parameters"].as_u64().unwrap() <= 2_000_000);
        for key in ["receptive_field", "parameters", "flops_per_base"] {
            assert_eq!(row[key], network[key], "{key}");
        }
        assert_eq!(row["blind_spots"], network["coverage"]["unseen"]);
        assert_eq!(row["memory_bytes_per_base"], network["bytes_per_base"]);
        assert_eq!(row["tile_work_ratio"], network["tiles"][2]["work_ratio"]);
    }
}

#[test]
fn the_table_of_the_documentation_is_the_one_that_is_printed() {
    let chapter = std::fs::read_to_string(root().join("docs/dilation.md")).unwrap();
    let printed = stdout(&["design", "--context", "50kb", "--budget", "2M-params"]);
    let rows = |text: &str| -> Vec<String> {
        let rows = text.lines().map(str::trim).filter(|line| line.contains("  powers of "));
        rows.map(str::to_string).collect()
    };
    let printed = rows(&printed);
    let shown = rows(&chapter);
    assert_eq!(shown.len(), 4);
    for row in shown {
        assert!(printed.contains(&row), "{row}\nnot in\n{}", printed.join("\n"));
    }
}

#[test]
fn every_key_of_the_documentation_is_known_and_every_preset_is_listed() {
    let page = std::fs::read_to_string(root().join("docs/architectures.md")).unwrap();
    for (name, text) in atrous::network::architecture::PRESETS {
        let listed = name.strip_prefix("exponential").filter(|rest| *rest != "-large");
        assert!(page.contains(&format!("`{}`", listed.unwrap_or(name))), "{name}");
        // the keys that presets use are those that the page explains
        for line in text.lines() {
            if let Some((key, _)) = line.split_once(" = ") {
                let (plain, dotted) = (format!("| `{key}`"), format!("| `{key}."));
                assert!(page.contains(&plain) || page.contains(&dotted), "{key}");
            }
        }
    }
    let example = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let graph = atrous::network::Architecture::from_toml(example).unwrap().graph().unwrap();
    assert_eq!(graph.reach().receptive_field(), 511);
}
