//! The manifest of a shard: what it computed, of what and how, so that a merge can prove that
//! nothing is missing, doubled, changed or of another job.
//!
//! A JSON document beside the shard's output, `NAME.shard.json`, which appears after the outputs.

use super::digest;
use super::journal::Settings;
use super::output::{OutputFile, append, commit_all};
use super::shard::{Shard, Share};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Version of the layout.
const VERSION: u32 = 1;

/// What the manifest's name has after that of the output.
pub const ENDING: &str = ".shard.json";

/// What a shard did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the layout.
    pub manifest: u32,
    /// Version of the program.
    pub version: String,
    /// The subcommand.
    pub command: String,
    /// Which shard.
    pub shard: Shard,
    /// What it did of the whole job.
    pub share: Share,
    /// Engine, device and instruction set; the last bits depend on it.
    pub engine: String,
    /// What else decides the bytes; equal for all shards of a job.
    pub settings: Settings,
    /// The contigs of the reference, where tracks are written: name and bases.
    pub contigs: Vec<(String, u64)>,
    /// What was written.
    pub outputs: Vec<Part>,
    /// SHA-256 of this document without this number.
    pub sha256: String,
}

/// An output of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// What it is among the outputs of the shard.
    pub role: Role,
    /// The file: its name where it lies beside the manifest, else the whole path.
    pub file: PathBuf,
    /// How parts become one.
    pub join: Join,
    /// Length in bytes.
    pub bytes: u64,
    /// Data lines.
    pub records: u64,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// What an output is among those of a shard.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Role {
    /// `-o` of `score` and `mutate`.
    Variants,
    /// A track of `predict`.
    Track {
        /// Its name.
        name: String,
        /// The strand in the name of its file, if there is one: `+` or `-`.
        strand: Option<char>,
    },
    /// `--table`.
    Table,
    /// `--skipped`.
    Skipped,
    /// `--importance`.
    Importance,
}

/// How the parts of an output become one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Join {
    /// One after the other, but for the head that each has.
    Append {
        /// Bytes of the head.
        head: u64,
        /// Whether it is in BGZF blocks, the last of which is the empty one.
        bgzip: bool,
        /// What an index is made of, where there is to be one.
        index: Option<Groups>,
    },
    /// Value by value: bigWigs, and tracks that are cut within a chunk.
    Values,
    /// Row by row.
    Rows(Rows),
}

/// The list of groups of lines of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    /// The list, beside the part.
    pub file: PathBuf,
    /// SHA-256 of it.
    pub sha256: String,
    /// Bases of the longest contig.
    pub longest: u64,
    /// What the lines are.
    pub lines: Lines,
}

impl Groups {
    /// Of a file that is not written yet.
    pub fn new(longest: u64, lines: Lines) -> Self {
        Self { file: PathBuf::new(), sha256: String::new(), longest, lines }
    }
}

/// What the lines of an indexed file are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Lines {
    /// BED-like.
    Bed,
    /// VCF.
    Vcf,
    /// BCF with these contigs in its header.
    Bcf(Vec<String>),
}

/// Which rows of a table a part has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    /// Whether the part is in BGZF blocks.
    pub bgzip: bool,
    /// Rows of the whole table.
    pub of: u64,
    /// The numbers of the rows in the part, from 0: first, how many, step.
    pub whole: Vec<(u64, u64, u64)>,
    /// Rows that lie in several shards, and so in no part.
    pub cut: Vec<CutRow>,
}

/// What a shard knows of a row that it has not all bases of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutRow {
    /// Its number, from 0.
    pub row: u64,
    /// Its first columns: contig, start, end, name, strand.
    pub place: String,
    /// Bases of the whole row.
    pub bases: u64,
    /// What is known of each track.
    pub tracks: Vec<CutSum>,
}

/// What is known of one track in a part of a row. Numbers are the bits of IEEE 754.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutSum {
    /// The sum over each chunk, f64.
    pub sums: Vec<u64>,
    /// The maximum, f32.
    pub max: u32,
    /// The first base with it.
    pub max_start: u64,
}

/// An output that is complete but not yet under its name: data and what lies beside it.
pub struct Finished {
    /// What it is.
    pub role: Role,
    /// How it is joined; the names and hashes of files are filled in.
    pub join: Join,
    /// Data lines.
    pub records: u64,
    /// The data, and the list of groups where there is one.
    pub files: Vec<OutputFile>,
}

impl Manifest {
    /// Of a shard that has no outputs yet.
    pub fn new(command: &str, shard: Shard, share: Share, mut settings: Settings) -> Self {
        let engine = settings.remove("engine").unwrap_or_default();
        settings.remove("shard");
        Self {
            manifest: VERSION,
            version: env!("CARGO_PKG_VERSION").into(),
            command: command.into(),
            shard,
            share,
            engine,
            settings,
            contigs: Vec::new(),
            outputs: Vec::new(),
            sha256: String::new(),
        }
    }

    /// Where the manifest of a shard lies that writes this output.
    pub fn path_of(output: &Path) -> PathBuf {
        append(output, ENDING)
    }

    /// Gives all outputs their names, and then the manifest, which lists them, its own: it is for
    /// the output at `main`.
    ///
    /// # Errors
    /// Any failure to read back what was written, or to write.
    pub fn commit(mut self, main: &Path, outputs: Vec<Finished>) -> Result<()> {
        let path = Self::path_of(main);
        let mut file = OutputFile::create(&path)?;
        let mut files = Vec::new();
        for finished in outputs {
            self.outputs.push(finished.describe(main)?);
            files.extend(finished.files);
        }
        self.sha256 = self.own_hash();
        let mut text = serde_json::to_vec_pretty(&self).expect("plain structs of ours serialise");
        text.push(b'\n');
        file.write_all(&text).map_err(|e| file.error(e))?;
        files.push(file);
        commit_all(files)
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// No such file, no manifest, one of another version, or one that was changed.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).map_err(|e| {
            Error::io(path, "read the manifest of a shard", e)
                .remedy("a shard is named by its manifest NAME.shard.json, or by NAME")
        })?;
        let version: serde_json::Value =
            serde_json::from_slice(&text).map_err(|e| damaged(path, &e))?;
        if let Some(version) = version["manifest"].as_u64().filter(|&n| n != u64::from(VERSION)) {
            return Err(Error::new("the manifest was written by another version of atrous")
                .at(path)
                .found(format!("layout {version}"))
                .expected(format!("layout {VERSION}"))
                .remedy("merge with the version that made the shards"));
        }
        let manifest: Self = serde_json::from_slice(&text).map_err(|e| damaged(path, &e))?;
        if manifest.own_hash() != manifest.sha256 || !manifest.shard.is_possible() {
            return Err(Error::new("the manifest was changed after it was written")
                .at(path)
                .remedy("run this shard again"));
        }
        Ok(manifest)
    }

    /// The SHA-256 that the document states of itself.
    fn own_hash(&self) -> String {
        let blank = Self { sha256: String::new(), ..self.clone() };
        digest::of_bytes(&serde_json::to_vec(&blank).expect("plain structs of ours serialise"))
    }
}

impl Join {
    /// What a message calls the format of a part.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Append { bgzip: true, .. } => "BGZF",
            Self::Append { bgzip: false, .. } => "text",
            Self::Values => "bigWig, or a track cut within a chunk",
            Self::Rows(_) => "table",
        }
    }
}

impl Finished {
    fn describe(&self, main: &Path) -> Result<Part> {
        let mut join = self.join.clone();
        let (data, beside) = self.files.split_first().expect("an output has a file");
        if let (Join::Append { index: Some(groups), .. }, Some(list)) = (&mut join, beside.first())
        {
            groups.file = name_beside(list.path(), main);
            groups.sha256 = digest::of_file(written(list))?;
        }
        Ok(Part {
            role: self.role.clone(),
            file: name_beside(data.path(), main),
            join,
            bytes: data.bytes(),
            records: self.records,
            sha256: digest::of_file(written(data))?,
        })
    }
}

/// Where the bytes of a finished output lie.
fn written(file: &OutputFile) -> &Path {
    file.part().unwrap_or(file.path())
}

/// How the manifest of `main` names a file.
fn name_beside(path: &Path, main: &Path) -> PathBuf {
    match (path.parent() == main.parent(), path.file_name()) {
        (true, Some(name)) => name.into(),
        _ => std::path::absolute(path).unwrap_or_else(|_| path.into()),
    }
}

fn damaged(path: &Path, error: &serde_json::Error) -> Error {
    Error::new(format!("this is no manifest of a shard: {error}"))
        .at(path)
        .remedy("run this shard again, or name its output or its NAME.shard.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written_in(folder: &Path) -> PathBuf {
        let share = Share {
            unit: "bases".into(),
            from: 0,
            to: 5,
            of: 5,
            begins: "+ c:1".into(),
            ends: "+ c:5".into(),
        };
        let settings = Settings::from([("engine".into(), "toy".into()), ("x".into(), "1".into())]);
        let manifest = Manifest::new("predict", Shard { number: 1, of: 1 }, share, settings);
        let main = folder.join("out.bedGraph");
        let mut data = OutputFile::create(&main).unwrap();
        data.write_all(b"abc").unwrap();
        data.finish().unwrap();
        let join = Join::Append { head: 0, bgzip: false, index: None };
        let finished = Finished { role: Role::Variants, join, records: 1, files: vec![data] };
        manifest.commit(&main, vec![finished]).unwrap();
        Manifest::path_of(&main)
    }

    #[test]
    fn a_manifest_says_what_was_written_and_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = written_in(folder.path());
        let manifest = Manifest::read(&path).unwrap();
        assert_eq!(manifest.engine, "toy");
        assert!(!manifest.settings.contains_key("engine"));
        let part = &manifest.outputs[0];
        assert_eq!((part.file.as_path(), part.bytes), (Path::new("out.bedGraph"), 3));
        assert_eq!(part.sha256, digest::of_bytes(b"abc"));
        assert!(folder.path().join("out.bedGraph").exists());
    }

    #[test]
    fn an_edited_manifest_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = written_in(folder.path());
        let text = fs::read_to_string(&path).unwrap();
        for (from, to, says) in [
            ("\"to\": 5", "\"to\": 6", "changed after it was written"),
            ("\"manifest\": 1", "\"manifest\": 2", "another version"),
            ("\"head\": 0", "\"heads\": 0", "no manifest"),
            ("}", "", "no manifest"),
        ] {
            assert!(text.contains(from), "{from}");
            fs::write(&path, text.replace(from, to)).unwrap();
            let error = Manifest::read(&path).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
