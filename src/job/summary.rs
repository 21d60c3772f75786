//! What ran and what came out, for `--summary`: as JSON, or as a table that MultiQC reads.

use super::{OutputFile, resources};
use crate::error::Result;
use crate::genome::sequence::LetterCounts;
use crate::genome::{Contigs, ReferenceInfo};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The record of one run; every field is written, unknown numbers as `null`.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// `atrous`.
    pub program: String,
    /// Version of the program.
    pub version: String,
    /// What the run is called among others: the sample of MultiQC.
    pub sample: String,
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
            sample: String::new(),
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

    /// Writes the record to a file that was opened before the run: where its name ends in `.tsv`
    /// as a table of MultiQC, else as indented JSON.
    ///
    /// # Errors
    /// Any failure to write.
    pub fn write(&self, mut file: OutputFile) -> Result<()> {
        let table = file.path().extension().is_some_and(|ending| ending == "tsv");
        let written = match table {
            true => self.write_table(&mut file),
            false => serde_json::to_writer_pretty(&mut file, self)
                .map_err(io::Error::from)
                .and_then(|()| file.write_all(b"\n")),
        };
        written.map_err(|e| file.error(e))?;
        file.commit()
    }

    /// One row below the header of MultiQC's custom content; files with the same `id` become one
    /// table, in which each run is a sample.
    fn write_table(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(MULTIQC.as_bytes())?;
        let skipped: u64 = self.skipped.values().sum();
        let models: Vec<&str> = self.models.iter().map(|model| model.name.as_str()).collect();
        let memory = self.peak_memory_bytes.map(|bytes| format!("{:.1}", bytes as f64 / 1e6));
        let speed = self.bases_per_second.map(|speed| format!("{speed:.0}"));
        let row = [
            ("Sample", self.sample.clone()),
            ("version", self.version.clone()),
            ("model", models.join(", ")),
            ("engine", self.engine.clone()),
            ("regions", self.regions.to_string()),
            ("bases", self.bases.to_string()),
            ("seconds", format!("{:.2}", self.seconds)),
            ("bases_per_second", speed.unwrap_or_default()),
            ("peak_memory_mb", memory.unwrap_or_default()),
            ("skipped", skipped.to_string()),
        ];
        let cells = |cells: Vec<String>| {
            // a cell holds neither tabs nor line ends
            let clean = cells.iter().map(|cell| cell.replace(char::is_control, " "));
            clean.collect::<Vec<_>>().join("\t")
        };
        writeln!(out, "{}", cells(row.iter().map(|(name, _)| name.to_string()).collect()))?;
        writeln!(out, "{}", cells(row.into_iter().map(|(_, value)| value).collect()))
    }
}

/// What MultiQC wants to know of a table (its documentation, "Custom content").
const MULTIQC: &str = "\
# id: 'atrous'
# section_name: 'atrous'
# description: 'what ran, how much and how fast'
# plot_type: 'table'
# pconfig:
#     id: 'atrous_runs'
#     title: 'atrous: runs'
";

/// What a run is called after its output: the file's name without folder and endings, `atrous`
/// where it goes to standard output or nowhere.
pub fn sample_of(output: Option<&Path>) -> String {
    let name = output.and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or("-");
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    match plain.rsplit_once('.').map_or(plain, |(stem, _)| stem) {
        "" | "-" => "atrous".into(),
        stem => stem.into(),
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
    fn a_table_for_multiqc_has_its_header_and_one_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run_mqc.tsv");
        let summary = Summary {
            sample: "s\t1".into(),
            models: vec![ModelUsed { name: "m".into(), sha256: "0".into(), members: vec![] }],
            engine: "cpu (avx2)".into(),
            skipped: [("EMPTY".into(), 2), ("CONTIG".into(), 3)].into(),
            seconds: 1.5,
            peak_memory_bytes: Some(12_345_678),
            bases: 10,
            ..Summary::new()
        };
        summary.write(OutputFile::create(&path).unwrap()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let (header, rows) = text.split_once("Sample").unwrap();
        assert!(header.lines().all(|line| line.starts_with("# ")), "{header}");
        let version = env!("CARGO_PKG_VERSION");
        let row = format!("\ns 1\t{version}\tm\tcpu (avx2)\t0\t10\t1.50\t\t12.3\t5\n");
        assert!(rows.ends_with(&row), "{rows}");
    }

    #[test]
    fn a_run_is_called_after_its_output() {
        let cases = [
            (Some("out/a.v1.bedGraph.gz"), "a.v1"),
            (Some("a.bw"), "a"),
            (Some("table"), "table"),
            (Some("-"), "atrous"),
            (Some(".tsv"), "atrous"),
            (None, "atrous"),
        ];
        for (output, expected) in cases {
            assert_eq!(sample_of(output.map(Path::new)), expected, "{output:?}");
        }
    }

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
