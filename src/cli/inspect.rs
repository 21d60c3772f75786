//! `atrous inspect`: what a model or an architecture looks at and costs.

use super::args::grouped;
use atrous::engine::cpu;
use atrous::model::{self, Loaded};
use atrous::network::architecture::PRESETS;
use atrous::network::{Architecture, Facts, Graph};
use atrous::{Error, Result};
use clap::Args;
use serde::Serialize;
use std::fmt::{self, Write as _};
use std::fs;
use std::io::Write as _;
use std::path::Path;

/// Show receptive field, layers, parameters, work per base and memory of a model or architecture.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct InspectArgs {
    /// A model file (.safetensors), an architecture (.toml), or the name of a built-in one.
    #[arg(value_name = "MODEL|ARCH.toml|PRESET")]
    subject: String,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
    /// Every node in the table, also those without parameters.
    #[arg(long)]
    all: bool,
}

const EXAMPLES: &str = "\
Examples:
  atrous inspect exponential-large
  atrous inspect models/human-splice-pwm/model.safetensors
  atrous inspect my-network.toml --json | jq .networks[0].receptive_field";

/// Output positions of the tiles whose memory is shown.
const TILES: [u64; 3] = [10_000, 100_000, 1_000_000];

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<ModelReport>,
    networks: Vec<NetworkReport>,
}

/// What a model file says beside its networks.
#[derive(Debug, Serialize)]
struct ModelReport {
    sha256: String,
    members: Vec<String>,
    tracks: Vec<model::Track>,
    unknown_base: model::UnknownBase,
    provenance: model::Provenance,
}

#[derive(Debug, Serialize)]
struct NetworkReport {
    #[serde(flatten)]
    facts: Facts,
    tiles: Vec<TileReport>,
}

/// Cost of a tile.
#[derive(Debug, Serialize)]
struct TileReport {
    /// Output positions.
    bases: u64,
    /// Work relative to an infinitely long tile.
    work_ratio: f64,
    /// Working buffers of one thread on the CPU engine.
    memory_bytes: u64,
}

/// Runs the subcommand.
pub fn run(args: &InspectArgs) -> anyhow::Result<()> {
    let report = load(&args.subject)?;
    let text = if args.json {
        format!("{}\n", serde_json::to_string_pretty(&report)?)
    } else {
        report.text(args.all)?
    };
    let written = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(written.map_err(|error| Error::io(Path::new("-"), "write", error))?)
}

fn load(subject: &str) -> Result<Report> {
    let path = Path::new(subject);
    if path.extension().is_some_and(|extension| extension == "toml") {
        let text =
            fs::read_to_string(path).map_err(|error| Error::io(path, "read the file", error))?;
        let architecture = Architecture::from_toml(&text).map_err(|error| error.at(path))?;
        return of_architecture(architecture).map_err(|error| error.at(path));
    }
    match Architecture::preset(subject) {
        Some(preset) if !path.exists() => of_architecture(preset?),
        None if !path.exists() => {
            let presets: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).collect();
            Err(Error::new("no such file, and no built-in architecture of that name")
                .at(path)
                .expected(format!("a model file, a .toml file, or one of {}", presets.join(", "))))
        }
        _ => Ok(of_model(model::file::read(path)?)),
    }
}

fn of_architecture(architecture: Architecture) -> Result<Report> {
    let networks = vec![NetworkReport::of(&architecture.graph()?)];
    let Architecture { name, description, .. } = architecture;
    Ok(Report { name, description: Some(description), model: None, networks })
}

fn of_model(Loaded { model, sha256 }: Loaded) -> Report {
    Report {
        name: model.name,
        description: None,
        networks: model.networks.iter().map(NetworkReport::of).collect(),
        model: Some(ModelReport {
            sha256,
            members: model.members.into_iter().map(|member| member.name).collect(),
            tracks: model.tracks,
            unknown_base: model.unknown_base,
            provenance: model.provenance,
        }),
    }
}

impl NetworkReport {
    fn of(graph: &Graph) -> Self {
        let facts = Facts::of(graph);
        let per_position = cpu::bytes_per_position(graph);
        let context = facts.receptive_field - 1;
        let tile = |bases: u64| TileReport {
            bases,
            work_ratio: 1.0 + facts.tile_overhead_bases as f64 / bases as f64,
            memory_bytes: (bases + context).saturating_mul(per_position),
        };
        Self { tiles: TILES.map(tile).into(), facts }
    }
}

impl Report {
    fn text(&self, all: bool) -> std::result::Result<String, fmt::Error> {
        let mut text = String::new();
        writeln!(text, "{}", self.name)?;
        if let Some(description) = self.description.as_ref().filter(|text| !text.is_empty()) {
            writeln!(text, "{description}")?;
        }
        if let Some(model) = &self.model {
            model.text(&mut text)?;
        }
        for (number, network) in self.networks.iter().enumerate() {
            if self.networks.len() > 1 {
                writeln!(text, "\nnetwork {number}")?;
            }
            network.text(&mut text, all)?;
        }
        Ok(text)
    }
}

impl ModelReport {
    fn text(&self, text: &mut String) -> fmt::Result {
        let provenance = &self.provenance;
        writeln!(text, "family           {}", provenance.family)?;
        writeln!(text, "licence          {}", provenance.licence)?;
        writeln!(text, "sha256           {}", self.sha256)?;
        writeln!(text, "members          {} ({})", self.members.len(), self.members.join(", "))?;
        for track in &self.tracks {
            let default = if track.default { "" } else { ", only with --track" };
            let of = match track.sources.len() {
                1 => String::new(),
                n => format!(", mean of {n}"),
            };
            writeln!(text, "track            {} ({}{of}{default})", track.name, track.unit)?;
        }
        for source in &provenance.sources {
            writeln!(text, "source           {} {}", source.sha256, source.name)?;
        }
        if !provenance.unread.is_empty() {
            writeln!(text, "unread tensors   {}", provenance.unread.len())?;
        }
        Ok(())
    }
}

impl NetworkReport {
    fn text(&self, text: &mut String, all: bool) -> fmt::Result {
        let Facts { receptive_field, reach, parameters, flops_per_base, .. } = &self.facts;
        writeln!(
            text,
            "receptive field  {} bases ({} left, {} right)",
            grouped(*receptive_field),
            grouped(reach.left),
            grouped(reach.right)
        )?;
        writeln!(text, "parameters       {}", grouped(*parameters))?;
        writeln!(text, "work             {} FLOP per base", grouped(*flops_per_base))?;
        for tile in &self.tiles {
            writeln!(
                text,
                "tile {:>11} bases: {:.3} x that work, {:.1} MB per thread",
                grouped(tile.bases),
                tile.work_ratio,
                tile.memory_bytes as f64 / 1e6
            )?;
        }
        let names = self.facts.layers.iter().map(|layer| layer.name.len()).max().unwrap_or(0);
        writeln!(
            text,
            "\n{:names$}  {:11} {:>8} {:>6} {:>8} {:>12} {:>10} {:>11}",
            "layer",
            "operation",
            "channels",
            "kernel",
            "dilation",
            "sees",
            "parameters",
            "FLOP/base"
        )?;
        for layer in self.facts.layers.iter().filter(|layer| all || layer.parameters > 0) {
            writeln!(
                text,
                "{:names$}  {:11} {:>8} {:>6} {:>8} {:>12} {:>10} {:>11}",
                layer.name,
                layer.operation,
                layer.channels,
                layer.kernel,
                layer.dilation,
                grouped(layer.reach.receptive_field()),
                grouped(layer.parameters),
                grouped(layer.flops_per_base)
            )?;
        }
        Ok(())
    }
}
