//! A made-up genome with a signal that can be learned: counts where a motif stands.

use assert_cmd::Command;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Where events are counted, 5 bases behind its start.
const MOTIF: &[u8] = b"TGACTCAG";
/// Bases of each of the contigs `a`, `b` and `c`.
pub const LENGTH: usize = 20_000;

/// A folder with `genome.fa`, `counts.bedGraph`, `genes.gff3`, `peaks.bed` and `train.toml`.
pub struct Data {
    folder: tempfile::TempDir,
}

fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    }
}

/// The configuration that most tests change in one place.
pub const CONFIG: &str = r#"name = "tiny"
seed = 7

[data]
reference = "genome.fa"

[splits]
train = ["a:1-20,000"]
valid = ["b"]
test = ["c"]

[counts]
tracks = [{ name = "events", file = "counts.bedGraph" }]

[network]
channels = 8
activation = "relu"
stem = { kernel = 9, activate = true }

[[network.stack]]
block = "normed-residual"
kernel = 3
dilations = [1, 2]

[training]
window = 500
batch = 4
steps = 60
rate = 1e-2
warmup = 5
average = 0.9
validate_every = 20
checkpoint_every = 7

[evaluation]
bins = [1, 100]
"#;

impl Data {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut next = numbers(1);
        let (mut fasta, mut counts, mut genes) = (String::new(), String::new(), String::new());
        genes.push_str("##gff-version 3\n");
        let mut peaks = String::new();
        for contig in ["a", "b", "c"] {
            let mut letters: Vec<u8> =
                (0..LENGTH).map(|_| b"ACGT"[usize::try_from(next() % 4).unwrap()]).collect();
            for at in (100..LENGTH - 100).step_by(200) {
                let at = at + usize::try_from(next() % 60).unwrap();
                letters[at..at + MOTIF.len()].copy_from_slice(MOTIF);
                let count = 4 + next() % 8;
                writeln!(counts, "{contig}\t{}\t{}\t{count}", at + 5, at + 6).unwrap();
                writeln!(peaks, "{contig}\t{}\t{}\tp", at, at + 8).unwrap();
            }
            writeln!(fasta, ">{contig}\n{}", String::from_utf8(letters).unwrap()).unwrap();
            for (number, start) in (500..LENGTH - 1000).step_by(1000).enumerate() {
                let id = format!("{contig}{number}");
                let row = |kind: &str, from: usize, to: usize, rest: &str| {
                    format!("{contig}\tx\t{kind}\t{from}\t{to}\t.\t+\t.\t{rest}\n")
                };
                genes += &row("mRNA", start, start + 600, &format!("ID={id}"));
                genes += &row("exon", start, start + 200, &format!("Parent={id}"));
                genes += &row("exon", start + 300, start + 600, &format!("Parent={id}"));
            }
        }
        let data = Self { folder };
        for (name, text) in [
            ("genome.fa", fasta.as_str()),
            ("counts.bedGraph", &counts),
            ("genes.gff3", &genes),
            ("peaks.bed", &peaks),
            ("train.toml", CONFIG),
        ] {
            data.write(name, text);
        }
        data
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// The configuration with one text replaced by another.
    pub fn change(&self, from: &str, to: &str) {
        assert!(CONFIG.contains(from), "{from}");
        self.write("train.toml", &CONFIG.replacen(from, to, 1));
    }

    #[cfg(feature = "torch")]
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }
}

pub fn atrous(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("atrous").unwrap();
    command.current_dir(folder);
    command
}

impl Data {
    pub fn atrous(&self, arguments: &[&str]) -> Command {
        let mut command = atrous(self.folder.path());
        command.args(arguments);
        command
    }
}

/// The real data, where they are.
pub fn shared_data() -> Option<PathBuf> {
    let shared = std::env::var_os("ATROUS_SHARED").map_or("../shared".into(), PathBuf::from);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(shared).join("data");
    if !folder.join("small").is_dir() {
        eprintln!("skipped: no {} (set ATROUS_SHARED)", folder.join("small").display());
        return None;
    }
    Some(folder)
}
