//! What people and other programs expect of a command-line program besides its work: completions,
//! manual pages, a log for machines, a report for MultiQC, and a look at the machine.

#![allow(clippy::unwrap_used, reason = "a test may stop at once")]

use assert_cmd::Command;
use serde_json::Value;
use std::fs;
use tempfile::TempDir;

fn atrous(arguments: &[&str]) -> (i32, String, String) {
    let mut command: Command = assert_cmd::cargo::cargo_bin_cmd!("atrous");
    command.env("ATROUS_TEST", "on").env_remove("SLURM_CPUS_PER_TASK");
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The subcommands that the help names.
fn commands() -> Vec<String> {
    let help = atrous(&["--help"]).1;
    let list = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let starts = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let first = |line: &str| line.split_whitespace().next().unwrap().to_string();
    let names: Vec<String> = list.lines().filter(starts).map(first).collect();
    assert!(names.len() >= 8 && names.contains(&"predict".into()), "{names:?}");
    names
}

#[test]
fn completions_name_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, script, _) = atrous(&["completions", shell]);
        assert_eq!(code, 0, "{shell}");
        for command in commands() {
            assert!(script.contains(&command), "{shell} lacks {command}");
        }
        assert!(script.contains("min-value"), "{shell} lacks a flag of predict");
    }
    assert_eq!(atrous(&["completions", "dos"]).0, 2);
}

#[test]
fn the_manual_has_a_page_for_each_command_with_every_group_of_flags() {
    let folder = TempDir::new().unwrap();
    let target = folder.path().join("man/man1");
    let (code, _, message) = atrous(&["man", "--out", target.to_str().unwrap()]);
    assert_eq!(code, 0, "{message}");
    for command in commands().iter().filter(|name| *name != "help") {
        let page = fs::read_to_string(target.join(format!("atrous-{command}.1"))).unwrap();
        assert!(page.contains(".SH NAME\natrous\\-") && page.contains(".SH SYNOPSIS"), "{command}");
        // headings of groups begin at the margin and end with a colon
        let help = atrous(&[command, "--help"]).1;
        let groups = help.lines().filter(|line| {
            line.ends_with(':') && line.starts_with(|c: char| c.is_ascii_uppercase())
        });
        for group in groups.map(|line| line.trim_end_matches(':')) {
            let known = ["Arguments", "Examples", "Commands"].contains(&group);
            let title = group.to_uppercase().replace('-', "\\-");
            assert!(known || page.to_uppercase().contains(&title), "{command} lacks {group}");
        }
    }
    let (code, main, _) = atrous(&["man"]);
    assert_eq!(code, 0);
    assert_eq!(main.into_bytes(), fs::read(target.join("atrous.1")).unwrap());
}

/// Each line of a log as JSON.
fn lines(log: &str) -> Vec<Value> {
    log.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn a_log_for_machines_is_json_throughout_and_splits_errors_into_fields() {
    let folder = TempDir::new().unwrap();
    let bed = folder.path().join("x.bed");
    fs::write(&bed, "chrI\t10\t20\nchrI\t9\t5\n").unwrap();
    let output = folder.path().join("x.bedGraph");
    let fixed = [
        "predict",
        "--log-format",
        "json",
        "--progress",
        "always",
        "-m",
        "models/human-splice-pwm/model.safetensors",
        "-r",
        "test-data/yeast.chrI.fa.gz",
        "-o",
        output.to_str().unwrap(),
    ];
    let (code, _, log) = atrous(&[&fixed[..], &["--region", "chrI:1-100"]].concat());
    assert_eq!(code, 0, "{log}");
    for line in lines(&log) {
        assert!(line["message"].is_string() && line["timestamp"].is_string(), "{line}");
    }
    let (code, _, log) = atrous(&[&fixed[..], &["--regions", bed.to_str().unwrap()]].concat());
    assert_eq!(code, 1, "{log}");
    let error = lines(&log).pop().unwrap();
    assert_eq!(error["level"], "ERROR");
    assert_eq!(error["message"], "end 5 is before start 9");
    assert_eq!(error["file"], bed.to_str().unwrap());
    assert_eq!(error["line"], 2);
    assert_eq!(error["remedy"], "swap the two columns, or remove the line");
    assert!(error["expected"].is_string() && error.get("found").is_none(), "{error}");

    let (code, _, log) = atrous(&["predict", "--log-format=json"]);
    assert_eq!(code, 2);
    let error = lines(&log).pop().unwrap();
    assert!(error["message"].as_str().unwrap().contains("--model"), "{error}");
}

#[test]
fn a_summary_for_multiqc_has_one_row_for_the_run() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let (output, summary) = (at("brain.bw"), at("brain_mqc.tsv"));
    let fixed = [
        "predict",
        "-m",
        "models/human-splice-pwm/model.safetensors",
        "-r",
        "test-data/yeast.chrI.fa.gz",
        "--region",
        "chrI:1-1,000",
        "--track",
        "donor",
        "-o",
        &output,
        "--summary",
        &summary,
    ];
    for (more, sample) in [(&[][..], "brain"), (&["--sample", "S 1"], "S 1")] {
        let (code, _, message) = atrous(&[&fixed[..], more].concat());
        assert_eq!(code, 0, "{message}");
        let text = fs::read_to_string(&summary).unwrap();
        assert!(text.starts_with("# id: 'atrous'\n"), "{text}");
        let table: Vec<Vec<&str>> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split('\t').collect())
            .collect();
        let [header, row] = &table[..] else { panic!("{text}") };
        assert_eq!(header.len(), row.len());
        let cell = |name: &str| row[header.iter().position(|column| *column == name).unwrap()];
        assert_eq!((cell("Sample"), cell("bases"), cell("regions")), (sample, "1000", "1"));
        assert_eq!(cell("model"), "human-splice-pwm");
    }
}

#[test]
fn doctor_says_what_there_is_and_where_it_comes_from() {
    let (code, text, message) = atrous(&["doctor"]);
    assert_eq!(code, 0, "{message}");
    for what in
        ["instructions", "threads", "memory", "libtorch", "ATROUS_TEST=on", "problems         none"]
    {
        assert!(text.contains(what), "{what}: {text}");
    }
    let (code, json, _) = atrous(&["doctor", "--json"]);
    let found: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &found["version"]), (0, &Value::from(env!("CARGO_PKG_VERSION"))));
    assert!(found["threads"]["granted"].as_u64().unwrap() >= 1);
    let sets = found["instruction_sets"]["available"].as_array().unwrap();
    assert!(sets.contains(&found["instruction_sets"]["chosen"]), "{sets:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn doctor_names_the_scheduler_and_what_is_broken() {
    let run = |name: &str, value: &str| {
        let mut command: Command = assert_cmd::cargo::cargo_bin_cmd!("atrous");
        let output = command.args(["doctor", "--json"]).env(name, value).output().unwrap();
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code().unwrap(), found)
    };
    let (code, found) = run("SLURM_CPUS_PER_TASK", "1");
    assert_eq!((code, &found["threads"]["granted"]), (0, &Value::from(1)));
    assert_eq!(found["threads"]["slurm_cpus_per_task"], "1");
    let (code, found) = run("TMPDIR", "/nowhere");
    assert_eq!((code, &found["temporary_folder"]["writable"]), (1, &Value::from(false)));
    assert!(found["problems"][0].as_str().unwrap().contains("set TMPDIR"), "{found}");
}
