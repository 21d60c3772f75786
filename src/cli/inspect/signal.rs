//! `atrous inspect` of a file of values: contigs, covered bases, smallest, largest and mean value.

use super::super::args::grouped;
use atrous::Result;
use atrous::track::statistics::{OfContig, Statistics, Values};
use atrous::track::{SignalFile, name};
use serde::Serialize;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

/// Contigs that the text lists; JSON has all.
const MOST_CONTIGS: usize = 30;

/// What a file of values holds.
#[derive(Debug, Serialize)]
pub struct SignalReport {
    file: PathBuf,
    format: &'static str,
    /// Of a bigWig.
    #[serde(skip_serializing_if = "Option::is_none")]
    bigwig: Option<BigWigFacts>,
    #[serde(flatten)]
    statistics: Statistics,
}

#[derive(Debug, Serialize)]
struct BigWigFacts {
    version: u16,
    byte_order: &'static str,
    compressed: bool,
    zoom_levels: Vec<u32>,
}

impl SignalReport {
    /// Reads the whole file if it is one of values, by its name or its first bytes.
    pub fn of(path: &Path) -> Result<Option<Self>> {
        if !name::is_signal(path) && !SignalFile::is_bigwig(path) {
            return Ok(None);
        }
        let mut file = SignalFile::open(path)?;
        let statistics = Statistics::of(&mut file)?;
        let bigwig = match &file {
            SignalFile::BigWig(reader) => Some(BigWigFacts {
                version: reader.facts().version,
                byte_order: if reader.facts().big_endian { "big-endian" } else { "little-endian" },
                compressed: reader.facts().compressed,
                zoom_levels: reader.facts().zoom_levels.clone(),
            }),
            SignalFile::BedGraph(_) => None,
        };
        let format = if bigwig.is_some() { "bigWig" } else { "bedGraph" };
        Ok(Some(Self { file: path.into(), format, bigwig, statistics }))
    }

    /// The report for people; with `all`, every contig.
    pub fn text(&self, all: bool) -> std::result::Result<String, fmt::Error> {
        let mut text = String::new();
        writeln!(text, "{}", self.file.display())?;
        match &self.bigwig {
            Some(facts) => {
                let packed = if facts.compressed { "compressed" } else { "not compressed" };
                let BigWigFacts { version, byte_order, .. } = facts;
                writeln!(
                    text,
                    "format           bigWig version {version}, {byte_order}, {packed}"
                )?;
                let levels: Vec<String> =
                    facts.zoom_levels.iter().map(|&bases| grouped(bases.into())).collect();
                match levels.is_empty() {
                    true => writeln!(text, "zoom levels      none")?,
                    false => writeln!(text, "zoom levels      {} bases", levels.join(", "))?,
                }
            }
            None => writeln!(text, "format           bedGraph")?,
        }
        let Statistics { total, contigs } = &self.statistics;
        let bases: u64 = contigs.iter().map(|contig| contig.length).sum();
        writeln!(text, "contigs          {}", grouped(contigs.len() as u64))?;
        let share = if bases > 0 { total.covered as f64 / bases as f64 * 100.0 } else { 0.0 };
        let covered = grouped(total.covered);
        match self.bigwig {
            Some(_) => {
                writeln!(text, "bases with data  {covered} of {} ({share:.2} %)", grouped(bases))?
            }
            None => writeln!(text, "bases with data  {covered}")?,
        }
        writeln!(text, "stretches        {}", grouped(total.stretches))?;
        for (name, value) in [("smallest", &total.min), ("largest", &total.max)] {
            writeln!(text, "{name:17}{}", or_dash(value))?;
        }
        writeln!(text, "mean             {}", rounded(total.mean))?;
        writeln!(text, "sum              {}", rounded(Some(total.sum)))?;
        table(&mut text, contigs, all)?;
        Ok(text)
    }
}

fn table(text: &mut String, contigs: &[OfContig], all: bool) -> fmt::Result {
    let shown = if all { contigs } else { &contigs[..contigs.len().min(MOST_CONTIGS)] };
    let width = shown.iter().map(|contig| contig.name.len()).max().unwrap_or(0).max(6);
    writeln!(
        text,
        "\n{:width$}  {:>13}  {:>13}  {:>10}  {:>10}  {:>12}",
        "contig", "length", "with data", "smallest", "largest", "mean"
    )?;
    for OfContig { name, length, values } in shown {
        let Values { covered, min, max, mean, .. } = values;
        writeln!(
            text,
            "{name:width$}  {:>13}  {:>13}  {:>10}  {:>10}  {:>12}",
            grouped(*length),
            grouped(*covered),
            or_dash(min),
            or_dash(max),
            rounded(*mean)
        )?;
    }
    match contigs.len() - shown.len() {
        0 => Ok(()),
        left => writeln!(text, "… and {} more (--all)", grouped(left as u64)),
    }
}

fn or_dash(number: &Option<f32>) -> String {
    number.map_or("-".into(), |number| number.to_string())
}

fn rounded(number: Option<f64>) -> String {
    number.map_or("-".into(), atrous::track::number::significant)
}
