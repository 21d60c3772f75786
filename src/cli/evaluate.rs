//! `atrous evaluate`: how well a model predicts what it has not seen.

use super::args::{ModelArgs, RunArgs};
use super::engine::EngineArgs;
use anyhow::Result;
use atrous::Error;
use atrous::job::output::commit_all;
use atrous::job::summary::{Summary, Written};
use atrous::job::{OutputFile, signal};
use atrous::train::config::Loaded;
use atrous::train::data::Dataset;
use atrous::train::evaluate;
use atrous::train::judge::Judge;
use atrous::train::splits::Split;
use clap::Args;
use std::path::PathBuf;
use std::time::Instant;

/// Judge a model on a split of the data of a training file: a table and a picture.
///
/// Counts: Pearson and Spearman correlation of bins (ln(1 + sum), base by base too), profiles of
/// regions, what shuffled predictions reach and what replicates say could be reached. Splice sites:
/// top-k accuracy and area under the precision-recall curve, in genes and everywhere. Over all and
/// per contig.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct EvaluateArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// The TOML file that the model was trained with: data, splits, [evaluation].
    #[arg(short, long, value_name = "TRAIN.toml")]
    config: PathBuf,
    /// Which ranges: train, valid or test. Choose everything on valid and look at test once.
    #[arg(long, value_name = "SPLIT", default_value = "valid", value_parser = str::parse::<Split>)]
    split: Split,
    /// Beginning of the names of STEM.tsv and STEM.svg.
    #[arg(short, long, value_name = "STEM")]
    output: PathBuf,
    /// Folder of the data, in the place of `root` of the file.
    #[arg(long, value_name = "FOLDER")]
    root: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    run: RunArgs,
}

const EXAMPLES: &str = "\
Examples:
  atrous evaluate -m runs/yeast-atac/model.safetensors --config models/yeast-atac/quick.toml \\
    --split valid -o runs/yeast-atac/valid
  atrous evaluate -m a.safetensors -m b.safetensors -c train.toml --split test -o ensemble.test";

/// Predicts the split, judges, writes.
pub fn run(args: &EvaluateArgs) -> Result<()> {
    let start = Instant::now();
    let threads = args.run.start_threads()?;
    signal::install()?;
    let loaded = Loaded::read(&args.config, args.root.as_deref())?;
    let (model, models) = args.model.read()?;
    let tracks = evaluate::tracks(&model, &loaded.config, args.model.member.as_deref())?;
    let summary = args.run.summary.as_deref().map(OutputFile::create).transpose()?;
    let [mut table, mut picture] = evaluate::outputs(&args.output)?;
    let data = Dataset::read(&loaded)?;
    let judge = Judge::new(&loaded, &data)?;
    let ranges = data.splits.of(args.split);
    if ranges.is_empty() {
        return Err(Error::new(format!("the split `{}` has no range", args.split))
            .at(&args.config)
            .into());
    }
    let readout = evaluate::readout(&model, &tracks)?;
    let engine = args.engine.build(&model, readout.wanted().clone())?;
    tracing::info!("{}: {} split on {}", model.name, args.split, engine.describe());
    let progress = args.run.progress();
    let predicted = evaluate::predict(engine.as_ref(), &readout, &model, &data, ranges, &progress)?;
    let rows = judge.rows(&predicted)?;
    evaluate::write_table(&rows, args.split, &mut table)?;
    let title = format!("{}, {} split", model.name, args.split);
    evaluate::draw(&judge, &predicted, &title, &mut picture)?;
    for row in rows.iter().filter(|row| row.contig == "all") {
        tracing::info!("{}, {}: {:.4}", row.place, row.metric, row.value);
    }
    let written = [(&table, rows.len()), (&picture, 1)].map(|(file, records)| Written {
        path: file.path().to_path_buf(),
        records: records as u64,
    });
    commit_all(vec![table, picture])?;
    if let Some(file) = summary {
        let mut report = Summary::new();
        report.sample = args.run.sample(Some(&args.output));
        report.settings.insert("split".into(), args.split.to_string().into());
        report.settings.insert("config".into(), args.config.display().to_string().into());
        report.models = models;
        report.engine = engine.describe();
        report.threads = threads;
        report.bases = predicted.iter().map(|one| one.range.len()).sum();
        report.outputs = written.into();
        report.measure(start);
        report.write(file)?;
    }
    Ok(())
}
