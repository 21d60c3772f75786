//! `atrous design`: schedules that see a wanted context, and what each costs.

use atrous::engine::cpu;
use atrous::job::output::OutputFile;
use atrous::network::design::{Budget, Candidate, KERNELS, Wish, propose};
use atrous::{Error, Result};
use clap::Args;
use serde::Serialize;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Propose dilation schedules that reach a context without blind spots, and write one.
///
/// All schedules are compared at one width. The first row is chosen: no blind spot, within the
/// budget, fewest floating-point operations per base. Rows that are not eligible say why.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DesignArgs {
    /// Least receptive field, both sides together: 50kb, 10,001, 1Mb.
    #[arg(long, value_name = "BASES", value_parser = bases)]
    context: u64,
    /// Most that the network may cost: 2M-params, or 5M-flops per base.
    #[arg(long, value_name = "SIZE", value_parser = budget)]
    budget: Budget,
    /// Kernels to compare; default: 3, 5, 9 and 15.
    #[arg(long, value_name = "TAPS", value_delimiter = ',',
        value_parser = clap::value_parser!(u16).range(2..))]
    kernel: Vec<u16>,
    /// Width of the trunk; `auto`: the widest multiple of 16 with which some schedule keeps the
    /// budget.
    #[arg(long, value_name = "N|auto", default_value = "auto", value_parser = channels)]
    channels: Width,
    /// Names of the output tracks.
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_value = "signal")]
    outputs: Vec<String>,
    /// Write row N of the table instead of the first.
    #[arg(long, value_name = "N", default_value_t = 1)]
    choose: usize,
    /// Output bases per tile for which the overhead is shown.
    #[arg(long, value_name = "BASES", default_value = "100kb", value_parser = bases)]
    tile: u64,
    /// Write the chosen architecture here, for `inspect` and `train`; `-` for standard output.
    #[arg(short, long, value_name = "ARCH.toml")]
    output: Option<PathBuf>,
    /// Print the table as JSON.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  atrous design --context 50kb --budget 2M-params -o arch.toml && atrous inspect arch.toml
  atrous design --context 10kb --budget 700k-params --kernel 3,11 --channels 32
  atrous design --context 4kb --budget 400k-flops";

/// What `--channels` says.
#[derive(Debug, Clone, Copy)]
struct Width(Option<usize>);

/// One row of the table.
#[derive(Debug, Serialize)]
struct Row {
    number: usize,
    kernel: usize,
    schedule: String,
    layers: usize,
    channels: usize,
    receptive_field: u64,
    blind_spots: u64,
    median_paths: f64,
    parameters: u64,
    flops_per_base: u64,
    memory_bytes_per_base: u64,
    tile_work_ratio: f64,
    note: &'static str,
}

/// Runs the subcommand.
pub fn run(args: &DesignArgs) -> anyhow::Result<()> {
    let kernels = match &args.kernel[..] {
        [] => KERNELS.to_vec(),
        some => some.iter().map(|&kernel| usize::from(kernel)).collect(),
    };
    let candidates = propose(&Wish {
        context: args.context,
        budget: args.budget,
        kernels,
        channels: args.channels.0,
        outputs: args.outputs.clone(),
    })?;
    let rows = candidates
        .iter()
        .enumerate()
        .map(|(index, candidate)| Row::of(index + 1, candidate, args.tile))
        .collect::<Result<Vec<_>>>()?;
    let text = match args.json {
        true => serde_json::to_string_pretty(&rows)? + "\n",
        false => table(&rows, args.tile)?,
    };
    let chosen = args.choose.checked_sub(1).and_then(|index| candidates.get(index));
    let chosen = chosen.ok_or_else(|| {
        Error::usage("--choose names no row of the table")
            .found(args.choose)
            .expected(format!("1 to {}", candidates.len()))
    })?;
    if args.choose == 1 && !chosen.eligible() {
        print(&text)?;
        return Err(Error::new("no schedule without blind spots keeps the budget at this width")
            .remedy("raise --budget, lower --channels or --context, or --choose a row as it is")
            .into());
    }
    match &args.output {
        Some(path) if path == Path::new("-") => print(&chosen.architecture.to_toml())?,
        Some(path) => {
            let mut file = OutputFile::create(path)?;
            let toml = chosen.architecture.to_toml();
            file.write_all(toml.as_bytes()).map_err(|error| file.error(error))?;
            file.commit()?;
            print(&text)?;
        }
        None => print(&text)?,
    }
    Ok(())
}

fn print(text: &str) -> Result<()> {
    let written = std::io::stdout().lock().write_all(text.as_bytes());
    written.map_err(|error| Error::io(Path::new("-"), "write", error))
}

impl Row {
    fn of(number: usize, candidate: &Candidate, tile: u64) -> Result<Self> {
        let Candidate { architecture, facts, coverage, .. } = candidate;
        let graph = architecture.graph()?;
        let whole = facts.flops_per_base as f64 * tile as f64;
        Ok(Self {
            number,
            kernel: architecture.stack[0].kernel,
            schedule: candidate.schedule.clone(),
            layers: candidate.layers,
            channels: architecture.channels,
            receptive_field: facts.receptive_field,
            blind_spots: coverage.unseen,
            median_paths: coverage.median_paths,
            parameters: facts.parameters,
            flops_per_base: facts.flops_per_base,
            memory_bytes_per_base: cpu::bytes_per_position(&graph),
            tile_work_ratio: graph.tile_flops(tile) as f64 / whole,
            note: match (coverage.unseen > 0, candidate.affordable) {
                (true, _) => "has blind spots",
                (false, false) => "over the budget",
                (false, true) => "",
            },
        })
    }
}

fn table(rows: &[Row], tile: u64) -> std::result::Result<String, fmt::Error> {
    let mut text = String::new();
    writeln!(
        text,
        "{:>2} {:>6}  {:15} {:>6} {:>8} {:>10} {:>10} {:>9} {:>10} {:>9} {:>9} {:>6}",
        "",
        "kernel",
        "schedule",
        "layers",
        "channels",
        "sees",
        "blind",
        "paths",
        "parameters",
        "FLOP/base",
        "B/base",
        "tile"
    )?;
    for row in rows {
        let paths = match row.median_paths {
            few if few < 1e6 => format!("{few:.0}"),
            many => format!("{many:.1e}"),
        };
        let line = format!(
            "{:>2} {:>6}  {:15} {:>6} {:>8} {:>10} {:>10} {paths:>9} {:>10} {:>9} {:>9} {:>6.3}  {}",
            row.number,
            row.kernel,
            row.schedule,
            row.layers,
            row.channels,
            row.receptive_field,
            row.blind_spots,
            row.parameters,
            row.flops_per_base,
            row.memory_bytes_per_base,
            row.tile_work_ratio,
            row.note
        );
        writeln!(text, "{}", line.trim_end())?;
    }
    writeln!(
        text,
        "\nsees: receptive field in bases; blind: bases of it that no path reaches; paths: median \
         number of\npaths to a base; B/base: bytes per base and thread to run; tile: work of a \
         tile of {tile} bases relative\nto an endless one."
    )?;
    Ok(text)
}

/// `50kb`, `1.5Mb`, `10,001`, `10001bp`.
fn bases(text: &str) -> std::result::Result<u64, String> {
    let unit = text.trim_end_matches("bp").trim_end_matches('b');
    scaled(unit).ok_or_else(|| "expected a number of bases such as 50kb or 10,001".into())
}

/// `2M-params`, `500k-params`, `3M-flops`; a bare size counts parameters.
fn budget(text: &str) -> std::result::Result<Budget, String> {
    let bad = || "expected a size such as 2M-params or 5M-flops".to_string();
    let lower = text.to_ascii_lowercase();
    let strip = |ending: &str| lower.strip_suffix(ending).map(|size| size.trim_end_matches('-'));
    match (strip("flops").or(strip("flop")), strip("params").or(strip("parameters"))) {
        (Some(size), _) => scaled(size).map(Budget::Flops).ok_or_else(bad),
        (None, Some(size)) => scaled(size).map(Budget::Parameters).ok_or_else(bad),
        (None, None) => scaled(&lower).map(Budget::Parameters).ok_or_else(bad),
    }
}

fn channels(text: &str) -> std::result::Result<Width, String> {
    match text {
        "auto" => Ok(Width(None)),
        number => match number.parse() {
            Ok(channels) if (1..=4096).contains(&channels) => Ok(Width(Some(channels))),
            _ => Err("expected a number from 1 to 4096, or auto".into()),
        },
    }
}

/// A number with commas between digits and a k, M or G behind it, from 1 to 10^15.
fn scaled(text: &str) -> Option<u64> {
    let (digits, factor) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1e3),
        None => match text.strip_suffix(['m', 'M']) {
            Some(digits) => (digits, 1e6),
            None => (text.strip_suffix(['g', 'G']).unwrap_or(text), 1e9),
        },
    };
    let factor = if digits.len() == text.len() { 1.0 } else { factor };
    let value = digits.replace(',', "").parse::<f64>().ok()? * factor;
    (1.0..=1e15).contains(&value).then(|| value.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, expected) in [
            ("50kb", 50_000),
            ("1.5Mb", 1_500_000),
            ("10,001", 10_001),
            ("10001bp", 10_001),
            ("2k", 2_000),
            ("7", 7),
        ] {
            assert_eq!(bases(text), Ok(expected), "{text}");
        }
        for text in ["", "kb", "-5", "50 kilo", "1e99", "NaN", "0", "inf"] {
            assert!(bases(text).is_err(), "{text}");
        }
        assert_eq!(budget("2M-params"), Ok(Budget::Parameters(2_000_000)));
        assert_eq!(budget("700kparameters"), Ok(Budget::Parameters(700_000)));
        assert_eq!(budget("5M-FLOPs"), Ok(Budget::Flops(5_000_000)));
        assert_eq!(budget("900000"), Ok(Budget::Parameters(900_000)));
        assert!(budget("2M-dollars").is_err());
    }
}
