//! Shards and their merge, crashes and faults: docs/reliability.md names these tests.

#![allow(clippy::unwrap_used, reason = "a test may stop at once")]
#![cfg(unix)]

mod crashes;
mod merges;
mod refusals;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

const MODEL: &str = "models/human-splice-pwm/model.safetensors";
const HUMAN: &str = "test-data/human.windows.fa.gz";
const GENES: &str = "test-data/human.windows.gff3.gz";
const VARIANTS: &str = "test-data/human.windows.vcf";
const FLY: &str = "test-data/dm6.chr4.fa.gz";
const YEAST: &str = "test-data/yeast.chrI.fa.gz";

/// A folder for the outputs of a test.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn at(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A file's text, unpacked where it is packed.
    fn text(&self, name: &str) -> Vec<u8> {
        let bytes = self.bytes(name);
        if !bytes.starts_with(&[0x1f, 0x8b]) {
            return bytes;
        }
        let mut text = Vec::new();
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut text).unwrap();
        text
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The manifests of `of` shards of an output.
    fn manifests(&self, of: u64, name: &str) -> Vec<String> {
        (1..=of).map(|number| self.at(&format!("{number}.{name}.shard.json"))).collect()
    }

    /// Runs a command as one and as `of` shards, whose outputs are named `NUMBER.NAME`; `flags` are
    /// the flags of outputs, with a name each.
    fn run_both(&self, command: &[&str], flags: &[(&str, &str)], of: u64) {
        let outputs = |prefix: &str| -> Vec<String> {
            let path = |name: &str| self.at(&format!("{prefix}.{name}"));
            flags.iter().flat_map(|(flag, name)| [(*flag).to_owned(), path(name)]).collect()
        };
        succeeds(command, &outputs("whole"));
        for number in 1..=of {
            let shard = ["--shard".to_owned(), format!("{number}/{of}")];
            succeeds(command, &[outputs(&number.to_string()), shard.into()].concat());
        }
    }

    /// Merges the shards of [`Bench::run_both`] into `merged.NAME`.
    fn merge(&self, flags: &[(&str, &str)], of: u64) -> String {
        let outputs = flags
            .iter()
            .flat_map(|(flag, name)| [(*flag).to_owned(), self.at(&format!("merged.{name}"))]);
        let shards = self.manifests(of, flags[0].1);
        succeeds(&["merge"], &shards.into_iter().chain(outputs).collect::<Vec<_>>())
    }
}

fn atrous(arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("atrous"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).stdin(Stdio::null());
    command
}

/// Exit code and what a run says.
fn outcome(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn succeeds(command: &[&str], more: &[String]) -> String {
    let (code, message) = outcome(atrous(command).args(more));
    assert_eq!(code, Some(0), "{command:?} {more:?}: {message}");
    message
}

/// A merge that must fail with these words, and leave nothing.
fn merge_fails(bench: &Bench, shards: &[String], output: &str, says: &[&str]) {
    let before = bench.names();
    let (code, message) = outcome(atrous(&["merge"]).args(shards).args(["-o", output]));
    assert_eq!(code, Some(1), "{message}");
    for words in says {
        assert!(message.contains(words), "{message:?} should say {words:?}");
    }
    assert_eq!(bench.names(), before, "left something: {message}");
}

fn exists(path: &Path) -> bool {
    path.try_exists().unwrap()
}

#[test]
fn a_table_of_faults_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/reliability.md")).unwrap();
    let files =
        ["tests/cluster/crashes.rs", "tests/cluster/merges.rs", "tests/cluster/refusals.rs"];
    let code: String = files
        .iter()
        .chain(&["src/job/lock.rs"])
        .map(|file| fs::read_to_string(root.join(file)).unwrap())
        .collect();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() >= 19, "{} rows", rows.len());
    for row in rows {
        let test = row.trim_end_matches('|').rsplit('|').next().unwrap();
        let names: Vec<&str> = test.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{row}");
        for name in names.into_iter().filter(|name| *name != "make test-cluster") {
            assert!(code.contains(&format!("fn {name}()")), "no test {name}");
        }
    }
}
