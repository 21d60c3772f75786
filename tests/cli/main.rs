//! The program as a user meets it: flags, outputs, messages, exit codes; on real small files.

#![allow(clippy::unwrap_used, reason = "a test may stop at once")]

mod engines;
mod folds;
mod locus;
mod long_tiles;
mod mutate;
mod refusals;
mod score;
mod signal_mutate;
mod signal_refusals;
mod signals;

use assert_cmd::Command;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;

const MODEL: &str = "models/human-splice-pwm/model.safetensors";
const HUMAN: &str = "test-data/human.windows.fa.gz";
const GENES: &str = "test-data/human.windows.gff3.gz";
const FLY: &str = "test-data/dm6.chr4.fa.gz";
const YEAST: &str = "test-data/yeast.chrI.fa.gz";

fn atrous(arguments: &[&str]) -> Command {
    let mut command = assert_cmd::cargo::cargo_bin_cmd!("atrous");
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments);
    command
}

/// What a run left on stderr and as its exit code.
fn outcome(command: &mut Command) -> (i32, String) {
    let output = command.output().expect("atrous starts");
    let message = String::from_utf8(output.stderr).expect("UTF-8 on stderr");
    (output.status.code().expect("ends by itself"), message)
}

fn succeeds(arguments: &[&str]) -> String {
    let (code, message) = outcome(&mut atrous(arguments));
    assert_eq!(code, 0, "{arguments:?}: {message}");
    message
}

/// `predict` with the demo model and these arguments.
fn predict(arguments: &[&str]) -> Vec<String> {
    let fixed = ["predict", "-m", MODEL];
    fixed.iter().chain(arguments).map(ToString::to_string).collect()
}

/// Runs `predict` into a file of a new folder and returns its bytes.
fn predicted(arguments: &[&str]) -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    let output = path_text(&folder.path().join("out.bedGraph"));
    let arguments = predict(&[arguments, &["--track", "donor", "-o", &output]].concat());
    succeeds(&strs(&arguments));
    fs::read(output).unwrap()
}

fn strs(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

fn path_text(path: &Path) -> String {
    path.to_str().expect("UTF-8 path").to_string()
}

fn listing(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn unzipped(path: impl AsRef<Path>) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let mut bytes = Vec::new();
    flate2::read::MultiGzDecoder::new(fs::File::open(path).unwrap())
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

#[test]
fn the_version_is_that_of_the_package() {
    let output = atrous(&["--version"]).output().unwrap();
    let expected = concat!("atrous ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

#[test]
fn every_command_shows_examples_in_its_help() {
    for command in [&["predict"][..], &["import"], &["inspect"], &["pwm"], &[]] {
        let output = atrous(&[command, &["--help"]].concat()).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && help.contains("Examples:\n  atrous "), "{command:?}");
    }
}

#[test]
fn the_demo_model_is_made_again_byte_for_byte() {
    let folder = TempDir::new().unwrap();
    let output = path_text(&folder.path().join("model.safetensors"));
    let message = succeeds(&[
        "pwm",
        "-r",
        HUMAN,
        "-a",
        GENES,
        "--types",
        "mRNA,transcript",
        "--held-out",
        "--name",
        "human-splice-pwm",
        "--licence",
        "MIT",
        "-o",
        &output,
    ]);
    // 109 donors (108 GT) and 108 acceptors (108 AG) were counted when the data were prepared
    // (test-data/README.md, human.windows.gff3.gz).
    assert!(message.contains("donor: 109 sites, 108 with GT"), "{message}");
    assert!(message.contains("acceptor: 108 sites, 108 with AG"), "{message}");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join(MODEL);
    assert!(fs::read(output).unwrap() == fs::read(kept).unwrap(), "run `make models`");
}

#[test]
fn the_demo_job_writes_tracks_indexes_table_and_summary() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| path_text(&folder.path().join(name));
    let (tracks, table, summary) = (at("s.bedGraph.gz"), at("genes.tsv"), at("run.json"));
    let bed = "test-data/human.genes.bed";
    let arguments = predict(&[
        "-r",
        HUMAN,
        "--regions",
        bed,
        "--strand",
        "bed",
        "-o",
        &tracks,
        "--table",
        &table,
        "--summary",
        &summary,
    ]);
    let message = succeeds(&strs(&arguments));
    assert!(message.contains("bases/s"), "{message}");
    assert_eq!(
        listing(folder.path()),
        [
            "genes.tsv",
            "run.json",
            "s.acceptor.minus.bedGraph.gz",
            "s.acceptor.minus.bedGraph.gz.tbi",
            "s.acceptor.plus.bedGraph.gz",
            "s.acceptor.plus.bedGraph.gz.tbi",
            "s.donor.minus.bedGraph.gz",
            "s.donor.minus.bedGraph.gz.tbi",
            "s.donor.plus.bedGraph.gz",
            "s.donor.plus.bedGraph.gz.tbi",
        ]
    );
    let rows = fs::read_to_string(&table).unwrap();
    let genes: Vec<_> = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(bed))
        .unwrap()
        .lines()
        .map(|line| line.split('\t').nth(3).unwrap().to_string())
        .collect();
    assert_eq!(rows.lines().count(), genes.len() + 1);
    assert!(genes.iter().all(|gene| rows.contains(gene.as_str())), "{rows}");
    let summary: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&summary).unwrap()).unwrap();
    // Sum of the lengths of human.genes.bed, whose genes do not overlap.
    assert_eq!(summary["bases"], 244_019);
    assert_eq!(summary["regions"], 13);
    assert_eq!(summary["models"][0]["name"], "human-splice-pwm");
    for key in ["version", "engine", "threads", "seconds", "peak_memory_bytes", "skipped"] {
        assert!(summary.get(key).is_some(), "no {key} in {summary}");
    }
}

#[test]
fn threads_and_tiles_never_change_a_byte() {
    let expected = predicted(&["-r", YEAST]);
    assert!(expected.len() > 1_000_000, "{} bytes for 230 kb", expected.len());
    for threads in ["1", "2"] {
        for tile in ["3000", "20000", "100000"] {
            let bytes = predicted(&["-r", YEAST, "--threads", threads, "--tile", tile]);
            assert!(bytes == expected, "{threads} threads, tiles of {tile} bases");
        }
    }
}

#[test]
fn one_region_and_the_same_bases_in_pieces_give_the_same_bytes() {
    let whole = predicted(&["-r", YEAST, "--region", "chrI:1-150,000"]);
    let folder = TempDir::new().unwrap();
    let bed = folder.path().join("pieces.bed");
    // In any order, overlapping, and cut at odd places.
    fs::write(&bed, "chrI\t99999\t150000\nchrI\t0\t777\nchrI\t500\t50001\nchrI\t50001\t99999\n")
        .unwrap();
    assert!(predicted(&["-r", YEAST, "--regions", &path_text(&bed)]) == whole);
    let halves = ["--region", "chrI:1-70001", "--region", "chrI:70,002-150000"];
    assert!(predicted(&[&["-r", YEAST][..], &halves].concat()) == whole);
}

#[test]
fn plain_and_bgzipped_fasta_give_the_same_bytes() {
    let folder = TempDir::new().unwrap();
    let plain = folder.path().join("chrI.fa");
    fs::write(&plain, unzipped(YEAST)).unwrap();
    let region = ["--region", "chrI:200,001-230,218"];
    let from_plain = predicted(&[&["-r", &path_text(&plain)][..], &region].concat());
    assert!(from_plain == predicted(&[&["-r", YEAST][..], &region].concat()));
    assert_eq!(listing(folder.path()), ["chrI.fa"], "no index is written unless asked for");
    predicted(&["-r", &path_text(&plain), "--region", "chrI:1-10", "--write-fai"]);
    assert_eq!(listing(folder.path()), ["chrI.fa", "chrI.fa.fai"]);
}

#[test]
fn regions_come_from_stdin_and_tracks_go_to_stdout() {
    let region = ["-r", YEAST, "--region", "chrI:101-2100"];
    let expected = predicted(&region);
    let to_stdout = predict(&["-r", YEAST, "--regions", "-", "--track", "donor", "-o", "-"]);
    let output = atrous(&strs(&to_stdout)).write_stdin("chrI\t100\t2100\n").output().unwrap();
    assert!(output.status.success());
    assert!(output.stdout == expected);
    let zipped = TempDir::new().unwrap();
    let file = path_text(&zipped.path().join("out.bedGraph.gz"));
    let arguments = predict(&[&region[..], &["--track", "donor", "-o", &file]].concat());
    succeeds(&strs(&arguments));
    assert!(unzipped(&file) == expected);
}

#[test]
fn strands_are_chosen_by_sign_or_by_the_bed_file() {
    let region = ["-r", YEAST, "--region", "chrI:101-2100"];
    let minus = predicted(&[&region[..], &["--strand", "-"]].concat());
    assert!(minus == predicted(&[&region[..], &["--strand=-"]].concat()));
    assert!(minus != predicted(&region));
    let folder = TempDir::new().unwrap();
    let bed = path_text(&folder.path().join("one.bed"));
    fs::write(&bed, "chrI\t100\t2100\tx\t0\t-\n").unwrap();
    // A BED file may hold both strands, so each has its file.
    let own = path_text(&folder.path().join("own.bedGraph"));
    let arguments = ["-r", YEAST, "--regions", &bed, "--strand", "bed", "--track", "donor"];
    succeeds(&strs(&predict(&[&arguments[..], &["-o", &own]].concat())));
    assert!(fs::read(folder.path().join("own.donor.minus.bedGraph")).unwrap() == minus);
    assert!(fs::read(folder.path().join("own.donor.plus.bedGraph")).unwrap().is_empty());
    let both = path_text(&folder.path().join("both.bedGraph"));
    let arguments = [&region[..], &["--strand", "both", "--track", "donor", "-o", &both]].concat();
    succeeds(&strs(&predict(&arguments)));
    let of = |strand| fs::read(folder.path().join(format!("both.donor.{strand}.bedGraph")));
    assert!(of("minus").unwrap() == minus);
    assert!(of("plus").unwrap() == predicted(&region));
}

#[test]
fn the_oracle_and_every_instruction_set_agree_to_the_printed_digit_or_next_to_it() {
    let region = ["-r", YEAST, "--region", "chrI:30,001-32,000", "--decimals", "3"];
    let values = |bytes: &[u8]| -> Vec<(u64, u64, f64)> {
        let text = std::str::from_utf8(bytes).unwrap();
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| {
                let columns: Vec<&str> = line.split('\t').collect();
                let number = |i: usize| columns[i].parse::<f64>().unwrap();
                (columns[1].parse().unwrap(), columns[2].parse().unwrap(), number(3))
            })
            .collect()
    };
    let per_base = |bytes: &[u8]| -> Vec<f64> {
        let runs = values(bytes);
        runs.iter().flat_map(|&(start, end, value)| (start..end).map(move |_| value)).collect()
    };
    let truth = per_base(&predicted(&[&region[..], &["--engine", "oracle"]].concat()));
    assert_eq!(truth.len(), 2000);
    for isa in ["auto", "portable"] {
        let found = per_base(&predicted(&[&region[..], &["--cpu-isa", isa]].concat()));
        let worst = truth.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst <= 0.0011, "{isa}: {worst}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let arguments = predict(&["-r", YEAST, "--track", "donor", "-o", "-", "-q"]);
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("atrous"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(&arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut head = [0; 64];
    child.stdout.take().unwrap().read_exact(&mut head).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[cfg(unix)]
#[test]
fn a_stopped_run_ends_with_the_signals_code_and_goes_on_to_the_same_bytes() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| path_text(&folder.path().join(name));
    let (whole, stopped) = (at("whole.bedGraph.gz"), at("stopped.bedGraph.gz"));
    // The oracle, because it is slow enough to be stopped after the first of 13 chunks.
    let fixed = ["-r", FLY, "--track", "acceptor", "--engine", "oracle", "--tile", "20000", "-o"];
    let to = |output| predict(&[&fixed[..], &[output]].concat());
    succeeds(&strs(&to(&whole)));
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("atrous"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(to(&stopped))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let journal = at("stopped.bedGraph.gz.part.journal");
        while fs::read_to_string(&journal).map_or(0, |text| text.lines().count()) < 2 {
            assert!(child.try_wait().unwrap().is_none(), "ended before its first checkpoint");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let id = child.id().to_string();
        assert!(std::process::Command::new("kill").args([signal, &id]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert!(!folder.path().join("stopped.bedGraph.gz").exists(), "looks complete");
        let message = succeeds(&[&strs(&to(&stopped))[..], &["--resume"]].concat());
        assert!(message.contains("resuming after "), "{message}");
        assert!(fs::read(&stopped).unwrap() == fs::read(&whole).unwrap());
        fs::remove_file(&stopped).unwrap();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_failure_and_no_device_is_renamed_over() {
    for output in ["/dev/full", "/dev/stdout"] {
        let arguments = predict(&["-r", YEAST, "--track", "donor", "-o", output]);
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let status = std::process::Command::new(assert_cmd::cargo::cargo_bin!("atrous"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(&arguments)
            .stdout(full)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let message = String::from_utf8(status.stderr).unwrap();
        assert_eq!(status.status.code(), Some(1), "{output}: {message}");
        assert!(message.to_lowercase().contains("no space left"), "{output}: {message}");
    }
    use std::os::unix::fs::FileTypeExt;
    assert!(fs::metadata("/dev/full").unwrap().file_type().is_char_device());
}

#[test]
fn messages_can_be_silent_or_json() {
    let region = ["-r", YEAST, "--region", "chrI:1-100", "--track", "donor", "-o", "-"];
    let (_, quiet) = outcome(&mut atrous(&strs(&predict(&[&region[..], &["-q"]].concat()))));
    assert_eq!(quiet, "");
    let json = predict(&[&region[..], &["--log-format", "json"]].concat());
    let (_, lines) = outcome(&mut atrous(&strs(&json)));
    assert!(lines.lines().count() > 0);
    for line in lines.lines() {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(message["message"].is_string() && message["level"].is_string(), "{line}");
    }
}
