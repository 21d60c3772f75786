//! `atrous plan`: what the shards of a command are and what they will take.

use super::args::{count, grouped};
use super::{Cli, Command};
use anyhow::Result;
use atrous::job::estimate::{Measured, cpu, memory, wall};
use atrous::job::shard::Share;
use atrous::job::signal;
use atrous::{Error, Result as Checked};
use clap::{Args, Parser};
use serde::Serialize;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command as Process, Stdio};

/// Show the shards of a command, and how long and how much memory each will take.
///
/// Put it before the command as it would be run. Three short runs, of one, two and four parts of a
/// small piece of the job, are measured on this machine with the threads and the device of the
/// command; nothing is written.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PlanArgs {
    /// Into how many shards the job is cut.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    shards: u64,
    /// Only the table of shards: measure nothing.
    #[arg(long)]
    no_calibration: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    /// predict, score or mutate with its flags, but without --shard.
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

const EXAMPLES: &str = "\
Examples:
  atrous plan --shards 64 predict -m model.safetensors -r hg38.fa.gz -o tracks.bedGraph.gz
  atrous plan --shards 8 --json score -m splice.safetensors -r hg38.fa.gz -a genes.gtf in.vcf.gz \\
    -o scored.vcf.gz

Seconds are those of this machine as it is now. The time limit that is proposed is half as much again.";

/// Sizes of the three runs, in parts of the smallest.
const SIZES: [u64; 3] = [1, 2, 4];
/// Bases of the smallest run for each thread: a chunk of a track, and the variants that take about
/// as long.
const BASES: u64 = 100_000;
const VARIANTS: u64 = 100;
const MUTATED: u64 = 512;

/// What is printed.
#[derive(Debug, Serialize)]
struct Plan {
    shards: Vec<Row>,
    calibration: Vec<Measured>,
    /// What one shard should be given, where it was measured.
    time_limit: Option<String>,
    memory_megabytes: Option<u64>,
    cpu_hours: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Row {
    shard: String,
    #[serde(flatten)]
    share: Share,
    seconds: Option<f64>,
    cpu_seconds: Option<f64>,
}

/// Plans and prints.
pub fn run(args: &PlanArgs) -> Result<()> {
    signal::install()?;
    let words = std::iter::once("atrous".into()).chain(args.command.iter().cloned());
    let command = Cli::try_parse_from(words)?.command;
    let (shares, smallest) = shares(&command, args.shards)?;
    let calibration = match args.no_calibration {
        true => Vec::new(),
        false => calibrate(&args.command, &shares, smallest)?,
    };
    let plan = Plan::new(shares, calibration);
    let text = if args.json { serde_json::to_string_pretty(&plan)? + "\n" } else { plan.table() };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

/// What each shard of a command is, and the units of the smallest run that tells about it.
fn shares(command: &Command, of: u64) -> Result<(Vec<Share>, u64)> {
    Ok(match command {
        Command::Predict(args) => (args.shares(of)?, BASES * args.threads()),
        Command::Score(args) => (args.shares(of)?, VARIANTS * args.threads()),
        Command::Mutate(args) => (args.shares(of)?, MUTATED * args.threads()),
        _ => {
            return Err(Error::usage("only predict, score and mutate have shards")
                .remedy("atrous plan --shards N predict …")
                .into());
        }
    })
}

/// Runs the command on three sizes and measures.
fn calibrate(command: &[OsString], shares: &[Share], smallest: u64) -> Result<Vec<Measured>> {
    let total = shares.first().map_or(0, |share| share.of);
    let folder =
        tempfile::tempdir().map_err(|e| Error::io(Path::new("/tmp"), "make a folder in", e))?;
    let mut runs = Vec::new();
    for size in SIZES {
        signal::check()?;
        let units = smallest.saturating_mul(size);
        // a small job is measured as a whole, once
        let of = (total / units.max(1)).clamp(1, 100_000);
        let shard = format!("{}/{of}", of / 2 + 1);
        let run = measure(command, &shard, folder.path())?;
        tracing::info!(
            "{} {}: {:.2} s",
            grouped(run.units),
            shares.first().map_or("units", |share| share.unit.as_str()),
            run.seconds
        );
        runs.push(run);
        if of == 1 {
            break;
        }
    }
    Ok(runs)
}

fn measure(command: &[OsString], shard: &str, folder: &Path) -> Result<Measured> {
    let program = std::env::current_exe()?;
    let output = Process::new(program)
        .args(command)
        .args(["--shard", shard, "--calibrate"])
        .arg(folder)
        .args(["--quiet", "--progress", "never"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()?;
    signal::check()?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        return Err(Error::new("the command fails, as it would without `plan`")
            .found(message.trim())
            .into());
    }
    let path = folder.join(super::args::CALIBRATION);
    let text = fs::read_to_string(&path).map_err(|e| Error::io(&path, "read", e))?;
    let summary: serde_json::Value = serde_json::from_str(&text)?;
    let manifest = fs::read_dir(folder)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.to_string_lossy().ends_with(atrous::job::manifest::ENDING));
    let manifest = manifest.ok_or_else(|| Error::new("the run left no manifest").at(folder))?;
    let share = atrous::job::manifest::Manifest::read(&manifest)?.share;
    fs::remove_file(&manifest)?;
    let number = |name: &str| summary[name].as_f64();
    Ok(Measured {
        units: share.to - share.from,
        seconds: number("seconds").unwrap_or(0.0),
        cpu_seconds: number("cpu_seconds"),
        peak_memory_bytes: summary["peak_memory_bytes"].as_u64(),
    })
}

impl Plan {
    fn new(shares: Vec<Share>, calibration: Vec<Measured>) -> Self {
        let line = (!calibration.is_empty()).then(|| wall(&calibration));
        let cpu_line = cpu(&calibration).filter(|_| line.is_some());
        let of = shares.len();
        let shards: Vec<Row> = (1..)
            .zip(shares)
            .map(|(number, share): (usize, Share)| {
                let units = share.to - share.from;
                Row {
                    shard: format!("{number}/{of}"),
                    seconds: line.map(|line| line.seconds(units)),
                    cpu_seconds: cpu_line.map(|line| line.seconds(units)),
                    share,
                }
            })
            .collect();
        let longest = shards.iter().filter_map(|row| row.seconds).reduce(f64::max);
        let hours = shards.iter().map(|row| row.cpu_seconds).sum::<Option<f64>>();
        Self {
            time_limit: longest.map(limit),
            memory_megabytes: memory(&calibration).map(|bytes| bytes >> 20),
            cpu_hours: hours.map(|seconds| seconds / 3600.0),
            shards,
            calibration,
        }
    }

    fn table(&self) -> String {
        let unit = self.shards.first().map_or("units", |row| row.share.unit.as_str());
        let header = ["shard", unit, "begins", "ends", "seconds", "CPU seconds"].map(String::from);
        let number = |n: Option<f64>| n.map_or_else(|| "-".into(), |n| format!("{n:.1}"));
        let place = |text: &str| if text.is_empty() { "-".to_string() } else { text.to_string() };
        let mut lines = vec![header];
        lines.extend(self.shards.iter().map(|row| {
            [
                row.shard.clone(),
                grouped(row.share.to - row.share.from),
                place(&row.share.begins),
                place(&row.share.ends),
                number(row.seconds),
                number(row.cpu_seconds),
            ]
        }));
        let mut text = aligned(&lines);
        for run in &self.calibration {
            let megabytes = run.peak_memory_bytes.map_or(0, |bytes| bytes >> 20);
            text += &format!(
                "# measured: {} {unit} in {:.2} s, {} CPU s, {megabytes} MiB\n",
                grouped(run.units),
                run.seconds,
                number(run.cpu_seconds),
            );
        }
        if let (Some(time), Some(memory)) = (&self.time_limit, self.memory_megabytes) {
            text += &format!("# for each shard: --time={time} --mem={memory}M\n");
        }
        let shards = count(self.shards.len() as u64, "shard");
        match self.cpu_hours {
            Some(hours) => text + &format!("# {shards}: {hours:.2} CPU hours\n"),
            None => text + &format!("# {shards}\n"),
        }
    }
}

/// Half as much again as a run will take, and at least a minute: hours, minutes and seconds.
fn limit(seconds: f64) -> String {
    let minutes = (seconds * 1.5 / 60.0).ceil().max(1.0);
    format!("{:02}:{:02}:00", (minutes / 60.0).floor(), minutes % 60.0)
}

/// Columns of equal width: names to the left, numbers to the right.
fn aligned(lines: &[[String; 6]]) -> String {
    let widths: Vec<usize> = (0..6)
        .map(|column| lines.iter().map(|line| line[column].len()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if matches!(column, 0 | 2 | 3) {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        });
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// Refuses flags that mean nothing to a plan.
pub fn without_shard(shard: Option<atrous::job::shard::Shard>) -> Checked<()> {
    match shard {
        None => Ok(()),
        Some(shard) => Err(Error::usage("a plan is of all shards")
            .found(format!("--shard {shard}"))
            .remedy("leave out --shard")),
    }
}
