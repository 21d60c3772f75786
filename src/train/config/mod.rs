//! The TOML file of a training run: data, splits, network, loss, schedule, seed.
//!
//! Files are named relative to `root`, which is relative to the folder of the TOML file; a `root`
//! that begins with `$NAME` begins with that variable of the environment.

mod counts;
mod network;
mod training;

pub use counts::{CountLoss, CountStrand, CountTrack, Counts, Link, LogBins};
pub use network::{Head, Network, Start};
pub use training::{Decay, Keep, Training};

use super::parts;
use crate::error::{Error, Result};
use crate::network::toml_error::refusal;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A whole training run; see `docs/training.md`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the model, in logs and in its file.
    pub name: String,
    /// One sentence for people, for the model file.
    #[serde(default)]
    pub description: String,
    /// Licence of the data, recorded in the model file.
    #[serde(default = "unknown")]
    pub licence: String,
    /// Folder of the data files.
    #[serde(default)]
    pub root: String,
    /// Decides the first weights and every example.
    #[serde(default)]
    pub seed: u64,
    /// The sequence, and what is left out of it.
    pub data: Data,
    /// What is learned from, what is chosen on, what is reported.
    pub splits: Splits,
    /// Counts at each base; this or `splice`.
    #[serde(default)]
    pub counts: Option<Counts>,
    /// Splice sites; this or `counts`.
    #[serde(default)]
    pub splice: Option<Splice>,
    /// Tracks that the head reads beside the sequence.
    #[serde(default)]
    pub control: Option<Control>,
    /// The network.
    #[serde(default)]
    pub network: Network,
    /// Where examples lie; anywhere in the training ranges unless said.
    #[serde(default = "anywhere")]
    pub sampling: Vec<Sampling>,
    /// Steps, rates, stopping.
    #[serde(default)]
    pub training: Training,
    /// How held-out predictions are judged.
    #[serde(default)]
    pub evaluation: Evaluation,
}

fn unknown() -> String {
    "unknown".into()
}

fn anywhere() -> Vec<Sampling> {
    vec![Sampling { place: Place::Anywhere, share: 1.0, file: None, jitter: 0 }]
}

/// The sequence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// FASTA file, plain or bgzipped.
    pub reference: PathBuf,
    /// Contig names that mean the same: a table of two columns.
    #[serde(default)]
    pub aliases: Option<PathBuf>,
    /// BED files of bases that are neither learned from nor judged.
    #[serde(default)]
    pub mask: Vec<PathBuf>,
    /// Leave out contigs of the tracks that the reference does not have, instead of refusing them.
    #[serde(default)]
    pub skip_unknown_contigs: bool,
}

/// Which ranges of the reference are for what: a table, or three lists of regions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Splits {
    /// Rows `set contig start end split`, 0-based and half-open; `#` begins a comment.
    #[serde(default)]
    pub table: Option<PathBuf>,
    /// Which rows of the table are meant.
    #[serde(default)]
    pub set: Option<String>,
    /// Regions to learn from: `chrI`, `chrII:1-200,000` (from 1, inclusive).
    #[serde(default)]
    pub train: Vec<String>,
    /// Regions to choose settings on.
    #[serde(default)]
    pub valid: Vec<String>,
    /// Regions to report on, once.
    #[serde(default)]
    pub test: Vec<String>,
    /// What happens to training bases from which held-out bases can be seen.
    #[serde(default)]
    pub leakage: Leakage,
}

/// What happens to training bases that lie within the network's reach of a held-out range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leakage {
    /// They are not learned from.
    #[default]
    Trim,
    /// They are learned from, with a warning.
    Warn,
    /// They are an error.
    Refuse,
}

/// Splice sites: each base is an acceptor (first base of an exon), a donor (last base of an exon)
/// or neither, on the strand that is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Splice {
    /// GFF3 or GTF.
    pub annotation: PathBuf,
    /// Feature types that count as transcripts; unless said, as `atrous pwm` has it.
    #[serde(default)]
    pub types: Option<Vec<String>>,
    /// Shorter gaps between exons are no introns, in bases.
    #[serde(default = "shortest_intron")]
    pub min_intron: u64,
    /// Weight of a site in the loss; other bases weigh 1.
    #[serde(default = "unit_weight")]
    pub site_weight: f64,
    /// Also learn what every other base of a transcript is: intron, untranslated or a place in a
    /// codon ([`parts`]).
    #[serde(default)]
    pub parts: bool,
}

fn shortest_intron() -> u64 {
    15
}

fn unit_weight() -> f64 {
    1.0
}

fn one() -> usize {
    1
}

/// Tracks that the head reads beside the sequence, such as a control experiment or a bias.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// The tracks, as they are in the file; for the reverse complement their order is turned.
    pub files: Vec<PathBuf>,
}

/// A kind of example and its share of all examples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// Where its windows lie.
    #[serde(rename = "where")]
    pub place: Place,
    /// Share of the examples, relative to those of the other kinds.
    #[serde(default = "unit_weight")]
    pub share: f64,
    /// BED file of the regions (`regions` and `background` only).
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// Largest distance of a window's middle from the region's summit or middle, in bases
    /// (`regions` only).
    #[serde(default)]
    pub jitter: u64,
}

/// Where windows lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// Anywhere in the training ranges.
    Anywhere,
    /// Around the regions of a BED file.
    Regions,
    /// Touching no region of a BED file, with the share of G and C of windows at the regions.
    Background,
    /// Around a splice site, on its strand.
    Sites,
    /// Around a base of a transcript, on its strand.
    Genes,
}

/// How held-out predictions are judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Evaluation {
    /// Widths of bins, in bases.
    pub bins: Vec<usize>,
    /// BED files of regions whose profiles are compared.
    pub regions: Vec<PathBuf>,
    /// BED files of bases that are left out here, beside the mask.
    pub exclude: Vec<PathBuf>,
    /// How many replicates like the two that are given make up the track.
    pub replicates_in_track: f64,
    /// Width of the Gaussian that smooths profiles, in bases.
    pub sigma: f64,
}

impl Default for Evaluation {
    fn default() -> Self {
        Self {
            bins: vec![1, 128, 256],
            regions: vec![],
            exclude: vec![],
            replicates_in_track: 2.0,
            sigma: 7.0,
        }
    }
}

/// A configuration and where its files are looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What the file says.
    pub config: Config,
    /// The file, for messages.
    pub path: PathBuf,
    /// Folder of the file.
    pub folder: PathBuf,
    /// Folder of the data files.
    pub root: PathBuf,
}

impl Config {
    /// Reads a configuration from TOML text.
    ///
    /// # Errors
    /// Not TOML, an unknown key or a value of the wrong kind, with line and column; settings that
    /// cannot be meant.
    pub fn from_toml(text: &str) -> Result<Self> {
        let config: Self = toml::from_str(text).map_err(|error| refusal(text, &error))?;
        config.check()?;
        Ok(config)
    }

    /// Names of the outputs, in the order of the network's channels.
    pub fn outputs(&self) -> Vec<String> {
        match &self.counts {
            Some(counts) => counts.tracks.iter().map(|track| track.name.clone()).collect(),
            None => {
                let parts = self.splice.as_ref().is_some_and(|splice| splice.parts);
                let parts = if parts { &parts::NAMES[..] } else { &[] };
                ["none", "acceptor", "donor"].iter().chain(parts).map(ToString::to_string).collect()
            }
        }
    }

    fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(Error::new(what.to_owned()));
        match (&self.counts, &self.splice) {
            (None, None) => return wrong("nothing to learn: add [counts] or [splice]"),
            (Some(_), Some(_)) => return wrong("[counts] and [splice] exclude each other"),
            _ => {}
        }
        let out = |key: &str, found: f64, expected: &str| {
            Err(Error::new(format!("`{key}` is out of range")).found(found).expected(expected))
        };
        if let Some(counts) = &self.counts {
            counts.check()?;
        }
        if let Some(splice) = &self.splice
            && !(splice.site_weight > 0.0 && splice.site_weight <= 1e6)
        {
            return out("splice.site_weight", splice.site_weight, "above 0, at most 1000000");
        }
        if self.control.as_ref().is_some_and(|control| control.files.is_empty()) {
            return wrong("[control] names no file");
        }
        if self.control.is_some() && self.network.both_strands {
            return wrong("a network with [control] cannot average both strands in its file")
                .map_err(|error: Error| error.remedy("predict with --rc-average instead"));
        }
        let training = &self.training;
        for (key, value, most) in [
            ("training.window", training.window.unwrap_or(Training::WINDOW) as u64, 1 << 24),
            ("training.batch", training.batch as u64, 1 << 16),
            ("training.steps", training.steps, 1 << 40),
            ("training.hold", training.hold as u64, 1 << 16),
            ("training.validate_every", training.validate_every, 1 << 40),
            ("training.checkpoint_every", training.checkpoint_every, 1 << 40),
        ] {
            if !(1..=most).contains(&value) {
                return out(key, value as f64, &format!("1 to {most}"));
            }
        }
        for (key, value, least, most) in [
            ("training.rate", training.rate, f64::MIN_POSITIVE, 10.0),
            ("training.weight_decay", training.weight_decay, 0.0, 10.0),
            ("training.clip", training.clip, f64::MIN_POSITIVE, f64::MAX),
            ("training.average", training.average, 0.0, 0.999_999),
            ("evaluation.sigma", self.evaluation.sigma, 0.0, 1000.0),
            ("evaluation.replicates_in_track", self.evaluation.replicates_in_track, 1.0, 1e6),
        ] {
            if !(least..=most).contains(&value) {
                let from = match least {
                    f64::MIN_POSITIVE => "above 0".to_string(),
                    _ => format!("{least} or more"),
                };
                let to = if most == f64::MAX { String::new() } else { format!(", at most {most}") };
                return out(key, value, &format!("{from}{to}"));
            }
        }
        if training.decay == Decay::Plateau && training.plateau == 0 {
            return out("training.plateau", 0.0, "1 or more");
        }
        if self.evaluation.bins.contains(&0) {
            return out("evaluation.bins", 0.0, "1 or more");
        }
        self.check_sampling()
    }

    fn check_sampling(&self) -> Result<()> {
        let total: f64 = self.sampling.iter().map(|part| part.share).sum();
        let fair = |part: &Sampling| part.share >= 0.0 && part.share.is_finite();
        if self.sampling.is_empty() || !self.sampling.iter().all(fair) || total <= 0.0 {
            return Err(Error::new("the shares of `sampling` must be 0 or more, and one above 0"));
        }
        for part in &self.sampling {
            let name = format!("{:?}", part.place).to_lowercase();
            let of_regions = matches!(part.place, Place::Regions | Place::Background);
            let of_genes = matches!(part.place, Place::Sites | Place::Genes);
            let fault = match part {
                _ if of_regions && part.file.is_none() => "needs a `file` of regions",
                _ if !of_regions && part.file.is_some() => "has no use for `file`",
                _ if part.place != Place::Regions && part.jitter > 0 => "has no use for `jitter`",
                _ if of_genes && self.splice.is_none() => "needs [splice]",
                _ => continue,
            };
            return Err(Error::new(format!("sampling `{name}` {fault}")));
        }
        Ok(())
    }
}

impl Loaded {
    /// Reads a configuration; `root` takes the place of the file's own.
    ///
    /// # Errors
    /// As [`Config::from_toml`], with the path; a variable of the environment that is not set.
    pub fn read(path: &Path, root: Option<&Path>) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))?;
        let config = Config::from_toml(&text).map_err(|error| error.at(path))?;
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let root = match root {
            Some(root) => root.to_path_buf(),
            None => folder.join(expand(&config.root).map_err(|error| error.at(path))?),
        };
        Ok(Self { config, path: path.into(), folder, root })
    }

    /// Where a data file is.
    pub fn file(&self, name: &Path) -> PathBuf {
        self.root.join(name)
    }
}

/// Puts the value of a variable in the place of a leading `$NAME`.
fn expand(root: &str) -> Result<PathBuf> {
    let Some(rest) = root.strip_prefix('$') else { return Ok(root.into()) };
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    let value = std::env::var_os(name).filter(|value| !value.is_empty()).ok_or_else(|| {
        Error::new(format!("`root` begins with ${name}, which is not set"))
            .remedy(format!("set {name}, or name the folder of the data with --root"))
    })?;
    Ok(PathBuf::from(value).join(rest.trim_start_matches('/')))
}
