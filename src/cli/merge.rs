//! `atrous merge`: the outputs of shards become those of the whole job.

use super::args::count;
use anyhow::Result;
use atrous::job::Progress;
use atrous::job::progress::Mode;
use atrous::job::signal;
use atrous::merge::{Request, merge};
use clap::Args;
use std::path::{Path, PathBuf};

/// Put the outputs of shards together, after a proof that none is missing.
///
/// The manifests must agree in model, reference, settings and version, and their shares must be the
/// whole job, each part of it once. What comes out is what one run would have written.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct MergeArgs {
    /// The manifests of all shards (NAME.shard.json), or the outputs that they lie beside; in any
    /// order.
    #[arg(value_name = "SHARDS", required = true)]
    shards: Vec<PathBuf>,
    /// What -o of the command was: tracks, variants or changes; the ending as there, or another
    /// one of tracks.
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    output: Option<PathBuf>,
    /// The region table of `predict`.
    #[arg(long, value_name = "FILE.tsv[.gz]", help_heading = "Output")]
    table: Option<PathBuf>,
    /// The list of alleles without a score of `score`.
    #[arg(long, value_name = "FILE.tsv[.gz]", help_heading = "Output")]
    skipped: Option<PathBuf>,
    /// The track of `mutate`.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    importance: Option<PathBuf>,
    /// Accept shards that different instruction sets, engines or devices computed: they differ in
    /// the last bits.
    #[arg(long)]
    allow_mixed_isa: bool,
}

const EXAMPLES: &str = "\
Examples:
  atrous merge parts/*.shard.json -o tracks.bedGraph.gz
  atrous merge parts/*.bedGraph.gz -o tracks.bw --table genes.tsv
  atrous merge parts/*.shard.json -o scored.vcf.gz --skipped skipped.tsv

Parts of bedGraph can become a bigWig and the other way round.";

/// Merges and says what came out.
pub fn run(args: &MergeArgs) -> Result<()> {
    signal::install()?;
    signal::end_within_grace()?;
    let request = Request {
        shards: args.shards.clone(),
        output: args.output.clone(),
        table: args.table.clone(),
        skipped: args.skipped.clone(),
        importance: args.importance.clone(),
        allow_mixed_isa: args.allow_mixed_isa,
    };
    let report = merge(&request, &Progress::new(Mode::Auto))?;
    for flag in report.left_out {
        tracing::warn!("the shards also have an output for {flag}, which is left out");
    }
    for output in report.outputs.iter().filter(|output| output.path != Path::new("-")) {
        tracing::info!("{}: {}", output.path.display(), count(output.records, "line"));
    }
    let unit = report.share.unit.trim_end_matches('s');
    tracing::info!("{} merged: {}", count(report.shards, "shard"), count(report.share.of, unit),);
    Ok(())
}
