//! What ran and what came out, as JSON for `--summary`.

use super::{OutputFile, resources};
use crate::error::Result;
use crate::genome::sequence::LetterCounts;
use crate::genome::{Contigs, ReferenceInfo};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

/// The record of one run; every field is written, unknown numbers as `null`.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// `atrous`.
    pub program: String,
    /// Version of the program.
    pub version: String,
    /// The settings of the command, as the caller gives them.
    pub settings: BTreeMap<String, serde_json::Value>,
    /// The models that ran.
    pub models: Vec<ModelUsed>,
    /// The reference that was read.
    pub reference: Option<ReferenceInfo>,
    /// Engine, device and instruction set.
    pub engine: String,
    /// Threads that computed.
    pub threads: usize,
    /// Regions that were asked for.
    pub regions: u64,
    /// Bases that were predicted, each once per strand.
    pub bases: u64,
    /// Stretches that the network ran over.
    pub tiles: u64,
    /// Input records that are not in the output, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Letters other than A, C, G, T and N among the predicted bases, by contig and letter.
    pub unknown_letters: BTreeMap<String, BTreeMap<char, u64>>,
    /// What was written.
    pub outputs: Vec<Written>,
    /// Wall-clock time in seconds.
    pub seconds: f64,
    /// CPU time of all threads in seconds, where known.
    pub cpu_seconds: Option<f64>,
    /// Highest resident memory in bytes, where known.
    pub peak_memory_bytes: Option<u64>,
    /// Predicted bases per second of wall-clock time.
    pub bases_per_second: Option<f64>,
}

/// A model file that was read.
#[derive(Debug, Clone, Serialize)]
pub struct ModelUsed {
    /// Its name.
    pub name: String,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub sha256: String,
    /// The members that ran.
    pub members: Vec<String>,
}

/// An output that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// The file, `-` for standard output.
    pub path: PathBuf,
    /// Data lines in it.
    pub records: u64,
}

impl Summary {
    /// An empty record of this program and version.
    pub fn new() -> Self {
        Self {
            program: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            settings: BTreeMap::new(),
            models: Vec::new(),
            reference: None,
            engine: String::new(),
            threads: 0,
            regions: 0,
            bases: 0,
            tiles: 0,
            skipped: BTreeMap::new(),
            unknown_letters: BTreeMap::new(),
            outputs: Vec::new(),
            seconds: 0.0,
            cpu_seconds: None,
            peak_memory_bytes: None,
            bases_per_second: None,
        }
    }

    /// Takes over the letters that were counted.
    pub fn count_letters(&mut self, counts: &LetterCounts, contigs: &Contigs) {
        for (contig, letter, count) in counts.iter() {
            let name = contigs.name(contig).to_string();
            self.unknown_letters.entry(name).or_default().insert(letter, count);
        }
    }

    /// Takes the readings of a run that began at `start`: time, CPU time, memory, speed.
    pub fn measure(&mut self, start: Instant) {
        self.seconds = start.elapsed().as_secs_f64();
        self.cpu_seconds = resources::cpu_seconds();
        self.peak_memory_bytes = resources::peak_memory_bytes();
        self.bases_per_second = (self.seconds > 0.0).then(|| self.bases as f64 / self.seconds);
    }

    /// Writes the record as indented JSON to a file that was opened before the run.
    ///
    /// # Errors
    /// Any failure to write.
    pub fn write(&self, mut file: OutputFile) -> Result<()> {
        let written = serde_json::to_writer_pretty(&mut file, self)
            .map_err(std::io::Error::from)
            .and_then(|()| file.write_all(b"\n"));
        written.map_err(|e| file.error(e))?;
        file.commit()
    }
}

impl Default for Summary {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::ContigId;

    #[test]
    fn a_summary_is_json_with_every_field() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        let mut summary = Summary::new();
        summary.skipped.insert("EMPTY".into(), 2);
        summary.bases = 10;
        let mut counts = LetterCounts::default();
        counts.add(ContigId(0), b"ACRR");
        summary.count_letters(&counts, &Contigs::new(vec![("c1".into(), 4)]));
        summary.measure(Instant::now());
        summary.write(OutputFile::create(&path).unwrap()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["program"], "atrous");
        assert_eq!(read["skipped"]["EMPTY"], 2);
        assert_eq!(read["unknown_letters"]["c1"]["R"], 2);
        assert_eq!(read["reference"], serde_json::Value::Null);
        assert!(read["bases_per_second"].as_f64().unwrap() > 0.0);
    }
}
