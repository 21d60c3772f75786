//! `atrous import`: published weights of other programs into a model file.

use anyhow::Result;
use atrous::Error;
use atrous::job::distinct::refuse_shared;
use atrous::job::output::OutputFile;
use atrous::model::import::{Family, FamilyChoice, ImportOptions, import};
use atrous::model::{Model, file};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// Turn published weights into a model file.
///
/// Reads the weight files that you have (Keras .h5, PyTorch .pt) as data, never running anything in
/// them, and writes one model file. Several files are the members of one ensemble, in that order.
/// The licence of the source weights goes with the model file.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ImportArgs {
    /// What the files are; `auto` goes by their content.
    #[arg(value_enum, value_name = "FAMILY")]
    family: FamilyArg,
    /// Weight files, one per member.
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,
    /// Model file to write (.safetensors); `-` for standard output.
    #[arg(short, long, value_name = "MODEL.safetensors")]
    output: PathBuf,
    /// Name of the model in logs; default: the family.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Licence of the weights, recorded in the model file.
    #[arg(long, value_name = "TEXT")]
    licence: Option<String>,
    /// Where the weights are in a nested PyTorch checkpoint, such as `model`.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Dilation of each group, for PyTorch files with other kernels than the published ones.
    #[arg(long, value_name = "D,D,…", value_delimiter = ',')]
    dilations: Option<Vec<usize>>,
    /// Pangolin head (0 to 7) of each file, when the names do not say it as `final.J.I.3`.
    #[arg(long, value_name = "I,I,…", value_delimiter = ',')]
    heads: Option<Vec<usize>>,
    /// Length of the input of a profile network, where the file does not say it; default: 2114. Of
    /// SpliceAI and TranslationAI: run in windows of this length with the zero padding of their
    /// programs; default: over stretches of any length.
    #[arg(long, value_name = "BASES")]
    window: Option<usize>,
    /// Positions that a bpnet-lite network leaves out on each side of its outputs, where the file
    /// does not say it.
    #[arg(long, value_name = "POSITIONS")]
    trimming: Option<usize>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FamilyArg {
    /// By content.
    Auto,
    /// Model files of atrous, such as one network trained from several seeds, joined into one.
    Atrous,
    /// SpliceAI: acceptor and donor sites (.h5).
    #[value(name = "spliceai")]
    SpliceAi,
    /// TranslationAI: translation start and stop (.h5).
    #[value(name = "translationai")]
    TranslationAi,
    /// OpenSpliceAI: acceptor and donor sites (.pt).
    #[value(name = "openspliceai")]
    OpenSpliceAi,
    /// Pangolin: splice sites in four tissues (final.J.I.3.v2).
    Pangolin,
    /// kundajelab/bpnet: binding profiles and counts (.h5).
    #[value(name = "bpnet")]
    BpNet,
    /// bpnet-lite `BPNet`: profiles and counts (.torch, .pt).
    #[value(name = "bpnet-lite")]
    BpNetLite,
    /// bpnet-lite `BasePairNet` (.torch, .pt).
    #[value(name = "basepairnet")]
    BasePairNet,
    /// ChromBPNet: accessibility, its bias, or both joined (.h5, .torch, .pt).
    #[value(name = "chrombpnet")]
    ChromBpNet,
    /// ProCapNet: initiation of transcription (.model, .pt).
    #[value(name = "procapnet")]
    ProCapNet,
}

impl From<FamilyArg> for FamilyChoice {
    fn from(argument: FamilyArg) -> Self {
        match argument {
            FamilyArg::Auto | FamilyArg::Atrous => Self::Auto,
            FamilyArg::SpliceAi => Self::Only(Family::SpliceAi),
            FamilyArg::TranslationAi => Self::Only(Family::TranslationAi),
            FamilyArg::OpenSpliceAi => Self::Only(Family::OpenSpliceAi),
            FamilyArg::Pangolin => Self::Only(Family::Pangolin),
            FamilyArg::BpNet => Self::Only(Family::BpNet),
            FamilyArg::BpNetLite => Self::Only(Family::BpNetLite),
            FamilyArg::BasePairNet => Self::Only(Family::BasePairNet),
            FamilyArg::ChromBpNet => Self::Only(Family::ChromBpNet),
            FamilyArg::ProCapNet => Self::Only(Family::ProCapNet),
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  atrous import spliceai spliceai[1-5].h5 -o spliceai.safetensors --licence \"CC BY-NC 4.0\"
  atrous import openspliceai model_10000nt_rs1[0-4].pt -o openspliceai.safetensors
  atrous import pangolin final.[123].[0246].3.v2 -o pangolin.safetensors
  atrous import chrombpnet fold_*/chrombpnet_nobias.h5 -o folds.safetensors
  atrous import bpnet-lite weights.pt --trimming 557 -o bpnet.safetensors
  atrous import auto weights.pt --key model -o model.safetensors
  atrous import atrous runs/seed*/model.safetensors -o ensemble.safetensors";

/// Imports, writes the model file when everything was read, and says what it holds.
pub fn run(args: &ImportArgs) -> Result<()> {
    let sources: Vec<&Path> = args.files.iter().map(PathBuf::as_path).collect();
    refuse_shared(&[&args.output], &sources)?;
    let mut output = OutputFile::create(&args.output)?;
    let model = match args.family {
        FamilyArg::Atrous => join(args)?,
        family => imported(args, family)?,
    };
    file::write(&model, &mut output).map_err(|error| error.at(&args.output))?;
    output.commit()?;
    report(&model);
    Ok(())
}

/// The model of published weights.
fn imported(args: &ImportArgs, family: FamilyArg) -> Result<Model> {
    let options = ImportOptions {
        name: args.name.clone(),
        licence: args.licence.clone(),
        key: args.key.clone(),
        dilations: args.dilations.clone(),
        heads: args.heads.clone(),
        window: args.window,
        trimming: args.trimming,
    };
    Ok(import(family.into(), &args.files, &options)?)
}

/// The ensemble of model files.
fn join(args: &ImportArgs) -> Result<Model> {
    let flags = [
        ("--key", args.key.is_some()),
        ("--dilations", args.dilations.is_some()),
        ("--heads", args.heads.is_some()),
        ("--window", args.window.is_some()),
        ("--trimming", args.trimming.is_some()),
    ];
    if let Some((flag, _)) = flags.iter().find(|(_, given)| *given) {
        return Err(Error::usage(format!("{flag} is for the weights of other programs")).into());
    }
    let loaded: Vec<_> =
        args.files.iter().map(|path| file::read(path)).collect::<atrous::Result<_>>()?;
    let name = loaded[0].model.name.clone();
    let mut model = Model::ensemble(loaded)?;
    model.name = args.name.clone().unwrap_or(name);
    if let Some(licence) = &args.licence {
        model.provenance.licence.clone_from(licence);
    }
    Ok(model)
}

fn report(model: &Model) {
    let reach = model.reach();
    let tensors: usize = model.members.iter().map(|member| member.weights.len()).sum();
    let tracks: Vec<&str> = model.tracks.iter().map(|track| track.name.as_str()).collect();
    let provenance = &model.provenance;
    tracing::info!(
        "{}: family {}, {} member{}, {tensors} tensors, {} parameters",
        model.name,
        provenance.family,
        model.members.len(),
        if model.members.len() == 1 { "" } else { "s" },
        model.parameter_count(),
    );
    tracing::info!(
        "receptive field {} bases: {} to the left, {} to the right",
        reach.receptive_field(),
        reach.left,
        reach.right
    );
    if let Some(window) = model.window {
        let scalars: Vec<&str> = model.scalars.iter().map(|scalar| scalar.name.as_str()).collect();
        tracing::info!("windows of {} bases, {} outputs", window.input, window.output);
        if !scalars.is_empty() {
            tracing::info!("numbers per window: {}", scalars.join(", "));
        }
    }
    tracing::info!("tracks: {}", tracks.join(", "));
    if !provenance.unread.is_empty() {
        tracing::info!(
            "{} tensors of the files are known and never read, such as {}; the model file lists them",
            provenance.unread.len(),
            provenance.unread[0]
        );
    }
    tracing::info!(
        "the licence of the source weights goes with the model file; recorded as: {}{}",
        provenance.licence,
        if provenance.licence == "unknown" { " (state it with --licence)" } else { "" }
    );
}
