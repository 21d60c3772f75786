//! Whole runs: what is learned, what is exported, what a killed run becomes.

use super::data::{CONFIG, Data};
use std::fs;
use std::process::Stdio;
use std::time::Duration;

fn train(data: &Data, out: &str, more: &[&str]) {
    let arguments = [&["train", "-c", "train.toml", "-o", out, "-t", "1"], more].concat();
    let output = data.atrous(&arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A number of a table of an evaluation.
pub fn number(table: &str, place: &str, metric: &str) -> f64 {
    let row = |line: &&str| line.contains(&format!("\tall\t{place}\t{metric}\t"));
    let line = table.lines().find(row).unwrap_or_else(|| panic!("{place} {metric}: {table}"));
    line.rsplit('\t').next().unwrap().parse().unwrap()
}

#[test]
fn a_planted_motif_is_learned_and_the_model_predicts_what_training_saw() {
    let data = Data::new();
    data.write("train.toml", &CONFIG.replacen("steps = 60", "steps = 300\nkeep = 'last'", 1));
    train(&data, "out", &[]);
    let table = data.read("out/metrics.tsv");
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split('\t').collect()).collect();
    let column = |name: &str| rows[0].iter().position(|head| *head == name).unwrap();
    let value = |row: usize, name: &str| rows[row][column(name)].parse::<f64>().unwrap();
    let last = rows.len() - 1;
    assert!(value(last, "valid_loss") < 0.5 * value(1, "valid_loss"), "{table}");
    data.atrous(&[
        "evaluate",
        "-m",
        "out/model.safetensors",
        "-c",
        "train.toml",
        "-o",
        "out/valid",
    ])
    .args(["--engine", "cpu"])
    .assert()
    .success();
    let judged = data.read("out/valid.tsv");
    for (place, width) in [("bins of 1", "1"), ("bins of 100", "100")] {
        let seen = value(last, &format!("valid_pearson_log1p_{width}"));
        let got = number(&judged, place, "pearson_log1p");
        // the table of the run has four decimals
        assert!((seen - got).abs() < 1e-4, "{seen} in training, {got} of the exported model");
    }
    assert!(number(&judged, "bins of 1", "pearson_log1p") > 0.8, "{judged}");
    for picture in ["out/curve.svg", "out/valid.svg"] {
        assert!(data.read(picture).starts_with("<svg"));
    }
}

#[test]
fn a_run_that_is_killed_and_resumed_ends_in_the_same_bits() {
    let data = Data::new();
    train(&data, "whole", &[]);
    let mut killed = 0;
    let kept = data.path("parts/checkpoint.safetensors");
    let model = data.path("parts/model.safetensors");
    for _ in 0..40 {
        let arguments = ["train", "-c", "train.toml", "-o", "parts", "-t", "1", "--resume"];
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_atrous"))
            .args(arguments)
            .current_dir(data.path(""))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stamp = || fs::metadata(&kept).and_then(|m| m.modified()).ok();
        let before = stamp();
        // as soon as another checkpoint is there: between steps 7 and 14, say
        while stamp() == before && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            killed += 1;
        }
        child.wait().unwrap();
        if model.exists() {
            break;
        }
    }
    assert!(killed > 0, "no run was killed before its end");
    let bytes = |path: &str| fs::read(data.path(path)).unwrap();
    assert!(bytes("whole/model.safetensors") == bytes("parts/model.safetensors"), "{killed} kills");
}

#[test]
fn another_seed_or_another_run_in_the_folder_is_refused_and_the_same_seed_repeats() {
    let data = Data::new();
    data.write("train.toml", &CONFIG.replacen("steps = 60", "steps = 8", 1));
    train(&data, "one", &[]);
    train(&data, "two", &[]);
    let bytes = |path: &str| fs::read(data.path(path)).unwrap();
    assert!(bytes("one/model.safetensors") == bytes("two/model.safetensors"));
    data.write("train.toml", &CONFIG.replacen("seed = 7", "seed = 8", 1));
    let mut command = data.atrous(&["train", "-c", "train.toml", "-o", "one", "--resume"]);
    let text = command.assert().failure().get_output().stderr.clone();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.contains("the checkpoint is of another run"), "{text}");
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_names_the_step() {
    let data = Data::new();
    data.write("train.toml", &CONFIG.replacen("rate = 1e-2", "rate = 10.0\nclip = 1e30", 1));
    data.write("counts.bedGraph", "a\t100\t200\t3e38\na\t900\t1900\t3e38\nb\t10\t20\t1\n");
    let mut command = data.atrous(&["train", "-c", "train.toml", "-o", "out", "-t", "1"]);
    let text = command.assert().failure().get_output().stderr.clone();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.contains("step ") && text.contains("lower `training.rate`"), "{text}");
    assert!(!data.path("out/model.safetensors").exists());
}

#[test]
fn splice_sites_profiles_bins_and_controls_train_too() {
    let data = Data::new();
    let tracks = "[counts]\ntracks = [{ name = \"events\", file = \"counts.bedGraph\" }]";
    let splice = "[splice]\nannotation = 'genes.gff3'\nsite_weight = 2.0\n\
                  [[sampling]]\nwhere = 'sites'\n[[sampling]]\nwhere = 'genes'";
    let profile = format!(
        "{tracks}\nloss = 'profile'\n[[sampling]]\nwhere = 'regions'\n\
                           file = 'peaks.bed'\njitter = 40"
    );
    let bins = format!("{tracks}\nbin = 50\n[control]\nfiles = ['counts.bedGraph']");
    let parts = "[splice]\nannotation = 'genes.gff3'\nparts = true\n[training]\nhold = 2\n\
                 hold_steps = 6";
    let auxiliary = "[counts]\nlog_bins = [{ width = 1, weight = 1.0 }, { width = 50, weight = 0.1 }]\n\
                     tracks = [{ name = \"events\", file = \"counts.bedGraph\", cap = 9 }, \
                     { name = \"other\", file = \"counts.bedGraph\", weight = 0.1, auxiliary = true }]";
    let stranded = "[counts]\ntracks = [{ name = \"p\", file = \"counts.bedGraph\", strand = '+' }, \
                    { name = \"m\", file = \"counts.bedGraph\", strand = '-' }]";
    for (name, text) in [
        ("splice", splice),
        ("parts", parts),
        ("profile", &profile),
        ("control", &bins),
        ("auxiliary", auxiliary),
        ("stranded", stranded),
    ] {
        let (text, training) = text.split_once("[training]").unwrap_or((text, ""));
        let config = CONFIG.replacen(tracks, text, 1).replacen("steps = 60", "steps = 10", 1);
        let config = config.replacen("[training]", &format!("[training]{training}"), 1);
        let both = if name == "control" { "false" } else { "true" };
        let both = format!("[network]\nboth_strands = {both}");
        data.write("train.toml", &config.replacen("[network]", &both, 1));
        train(&data, name, &[]);
        let model = format!("{name}/model.safetensors");
        let mut command =
            data.atrous(&["evaluate", "-m", &model, "-c", "train.toml", "-o", "judged"]);
        command.assert().success();
        assert!(data.read("judged.tsv").lines().count() > 5);
        let shown = data.atrous(&["inspect", &model]).output().unwrap().stdout;
        let shown = String::from_utf8(shown).unwrap();
        for (of, track) in [("parts", "codon_3"), ("parts", "intron"), ("auxiliary", "other")] {
            assert_eq!(shown.contains(track), name == of, "{name}: {shown}");
        }
    }
}

#[test]
fn networks_of_several_seeds_become_one_model_file() {
    let data = Data::new();
    data.write("train.toml", &CONFIG.replacen("steps = 60", "steps = 8", 1));
    train(&data, "one", &["--seed", "1"]);
    train(&data, "two", &["--seed", "2"]);
    let files = ["one/model.safetensors", "two/model.safetensors"];
    assert!(fs::read(data.path(files[0])).unwrap() != fs::read(data.path(files[1])).unwrap());
    let join = |flags: &[&str]| {
        let mut command = data.atrous(&["import", "atrous"]);
        command.args(files).args(["-o", "both.safetensors", "--name", "both"]).args(flags);
        command.assert()
    };
    let text = join(&["--key", "model"]).failure().code(2).get_output().stderr.clone();
    assert!(String::from_utf8_lossy(&text).contains("--key is for the weights of other programs"));
    assert!(!data.path("both.safetensors").exists());
    join(&[]).success();
    let judge = |models: &[&str], stem: &str| {
        let mut command = data.atrous(&["evaluate", "-c", "train.toml", "-o", stem]);
        models.iter().for_each(|model| {
            command.args(["-m", model]);
        });
        command.assert().success();
        data.read(&format!("{stem}.tsv"))
    };
    let joined = judge(&["both.safetensors"], "joined");
    assert_eq!(joined, judge(&files, "apart"), "as two models on the command line");
    assert_ne!(joined, judge(&files[..1], "first"));
}
