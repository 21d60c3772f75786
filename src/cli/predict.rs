//! `atrous predict`: the main job, from FASTA and regions to tracks and tables.

use super::args::{ModelArgs, ReferenceArgs, RunArgs};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Compute base-resolution tracks over regions of a reference.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PredictArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    reference: ReferenceArgs,
    #[command(flatten)]
    regions: RegionArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    run: RunArgs,
}

/// Which stretches are computed; without any of these flags, the whole FASTA file.
#[derive(Debug, Args)]
#[command(next_help_heading = "Regions (default: the whole FASTA file)")]
struct RegionArgs {
    /// A region, 1-based inclusive: chr1, chr1:1000, chr1:1,000-2,000; repeatable.
    #[arg(long, value_name = "REGION")]
    region: Vec<String>,
    /// Regions from a BED file of 3 or more columns, plain or gzipped; `-` for stdin.
    #[arg(long, value_name = "BED")]
    regions: Option<PathBuf>,
    /// Whole contigs, by name.
    #[arg(long, value_name = "A,B", value_delimiter = ',', conflicts_with_all = ["region", "regions"])]
    contigs: Vec<String>,
    /// The strand that the network reads; `bed`: column 6 of the BED file.
    #[arg(long, value_enum, default_value_t, value_name = "STRAND", allow_hyphen_values = true)]
    strand: StrandChoice,
    /// Cut regions that reach beyond a contig's end instead of refusing them.
    #[arg(long)]
    clip: bool,
    /// Leave out (and count) regions on contigs that the reference does not have.
    #[arg(long)]
    skip_unknown_contigs: bool,
    /// Accept that there is no region at all; the outputs are then empty.
    #[arg(long)]
    allow_empty: bool,
}

/// What `--strand` offers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum StrandChoice {
    /// The reference as written.
    #[default]
    #[value(name = "+")]
    Plus,
    /// The reverse complement.
    #[value(name = "-")]
    Minus,
    /// One after the other.
    Both,
    /// The strand of each region.
    Bed,
}

/// What is written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
struct OutputArgs {
    /// Tracks: .bedGraph or .bedGraph.gz (BGZF, with a .tbi index), `-` for stdout. Several tracks
    /// or strands go to STEM.TRACK.STRAND.bedGraph[.gz].
    #[arg(short, long, value_name = "FILE", required_unless_present = "table")]
    output: Option<PathBuf>,
    /// One row per region: name, mean, maximum, its position and sum of each track.
    #[arg(long, value_name = "FILE.tsv[.gz]")]
    table: Option<PathBuf>,
    /// Tracks to compute, by name; default: those that the model marks.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    track: Vec<String>,
    /// Digits after the decimal point in tracks.
    #[arg(long, value_name = "N", default_value_t = 4)]
    decimals: u8,
    /// Leave out values below this; absence then no longer means `not computed`.
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    min_value: Option<f64>,
    /// Continue an interrupted run from its partial outputs.
    #[arg(long, requires = "output")]
    resume: bool,
}

/// How it is computed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Computing")]
struct EngineArgs {
    /// `cpu`, or `oracle`: plain f64 loops, slow, for checking.
    #[arg(long, value_enum, default_value_t, value_name = "ENGINE")]
    engine: EngineChoice,
    /// Pin the instruction set, so that different processors give the same bytes.
    #[arg(long, value_enum, default_value_t, value_name = "ISA")]
    cpu_isa: IsaChoice,
    /// Bases per tile; memory grows with it, results never depend on it.
    #[arg(long, value_name = "BASES", hide_short_help = true)]
    tile: Option<u64>,
}

/// What `--engine` offers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum EngineChoice {
    #[default]
    Cpu,
    Oracle,
}

/// What `--cpu-isa` offers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum IsaChoice {
    /// The best that this processor has.
    #[default]
    Auto,
    Avx512,
    Avx2,
    Portable,
}

const EXAMPLES: &str = "\
Examples:
  atrous predict -m model.safetensors -r hg38.fa.gz --regions genes.bed -o tracks.bedGraph.gz
  atrous predict -m model.safetensors -r hg38.fa.gz --region chr1:65,001-70,500 -o - --track donor
  atrous predict -m model.safetensors -r genome.fa --strand both -o both.bedGraph.gz
  atrous predict -m model.safetensors -r hg38.fa.gz --regions genes.bed --strand bed --table genes.tsv

Region strings are 1-based inclusive; BED and bedGraph are 0-based half-open.";
