//! The TOML file of a training run: data, splits, network, loss, schedule, seed.
//!
//! Files are named relative to `root`, which is relative to the folder of the TOML file; a `root`
//! that begins with `$NAME` begins with that variable of the environment.

use super::parts;
use crate::error::{Error, Result};
use crate::network::architecture::{Stack, Stem, WindowSize};
use crate::network::{Activation, Padding, architecture};
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

/// Counts of events at each base: reads, insertions, starts of transcripts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// The measured tracks; the network has one output for each.
    pub tracks: Vec<CountTrack>,
    /// Counts above are taken as this while learning.
    #[serde(default)]
    pub cap: Option<f32>,
    /// What is minimised.
    #[serde(default)]
    pub loss: CountLoss,
    /// What makes expected counts of the network's last sums.
    #[serde(default)]
    pub link: Link,
    /// Bases whose counts are added up before they are compared (`poisson` only).
    #[serde(default = "one")]
    pub bin: usize,
    /// Also the squared error of ln(1 + sum) in bins of these widths (`poisson` only): gives the
    /// ups and downs between peaks a weight that likelihood alone gives to peaks.
    #[serde(default)]
    pub log_bins: Vec<LogBins>,
    /// Weight of the squared error of ln(1 + total) beside the profile's likelihood (`profile`
    /// only); the mean total of a window unless said, so that both weigh about the same.
    #[serde(default)]
    pub count_weight: Option<f64>,
    /// Unit of the outputs, for the model file.
    #[serde(default = "count")]
    pub unit: String,
}

fn one() -> usize {
    1
}

fn count() -> String {
    "count".into()
}

/// Bins whose squared error is part of the loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogBins {
    /// Bases per bin.
    pub width: usize,
    /// Weight of the mean squared error beside the mean likelihood of a base.
    pub weight: f64,
}

/// What is minimised for counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CountLoss {
    /// Negative log likelihood of a Poisson distribution at each base or bin.
    #[default]
    Poisson,
    /// Multinomial negative log likelihood of a window's profile, and the squared error of the
    /// logarithm of its total (Avsec et al., Nature Genetics 53:354, 2021).
    Profile,
}

/// What makes expected counts of the network's last sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// ln(1 + exp(x)): where much is expected, what speaks for it adds up.
    #[default]
    Softplus,
    /// exp(x): what speaks for it multiplies, such as the level of a promoter and the preference of
    /// an enzyme for a base.
    Exp,
}

/// A measured track.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountTrack {
    /// Name of the output: letters, digits, `_`, `-`.
    pub name: String,
    /// bigWig or bedGraph.
    pub file: PathBuf,
    /// `+` and `-` change places when the other strand is read.
    #[serde(default)]
    pub strand: CountStrand,
    /// Two files of replicates of this track, to say what a perfect model could reach.
    #[serde(default)]
    pub replicates: Vec<PathBuf>,
    /// Counts above are taken as this while learning, in the place of that of all tracks.
    #[serde(default)]
    pub cap: Option<f32>,
    /// Weight of its losses (`poisson` only).
    #[serde(default = "unit_weight")]
    pub weight: f64,
    /// Learned for what it teaches the trunk: not judged, and not predicted unless asked for.
    #[serde(default)]
    pub auxiliary: bool,
}

impl Counts {
    /// Counts of each track above these are taken as these while learning.
    pub fn caps(&self) -> Vec<f32> {
        let of = |track: &CountTrack| track.cap.or(self.cap).unwrap_or(f32::MAX);
        self.tracks.iter().map(of).collect()
    }

    /// The tracks that are judged; they come before the auxiliary ones.
    pub fn judged(&self) -> usize {
        self.tracks.iter().take_while(|track| !track.auxiliary).count()
    }
}

/// The strand that counts belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum CountStrand {
    /// Of the reference as written.
    #[serde(rename = "+")]
    Plus,
    /// Of its reverse complement.
    #[serde(rename = "-")]
    Minus,
    /// Both together.
    #[default]
    #[serde(rename = ".")]
    Both,
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

/// Tracks that the head reads beside the sequence, such as a control experiment or a bias.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// The tracks, as they are in the file; for the reverse complement their order is turned.
    pub files: Vec<PathBuf>,
}

/// The network: a preset, a file, or its parts; parts replace those of a preset or a file. The
/// outputs and the function at the end follow from what is learned.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// One of the architectures that `atrous inspect` knows by name.
    #[serde(default)]
    pub preset: Option<String>,
    /// An architecture file, relative to the folder of the TOML file.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// Width of the trunk.
    #[serde(default)]
    pub channels: Option<usize>,
    /// Activation of all blocks.
    #[serde(default)]
    pub activation: Option<Activation>,
    /// First layer.
    #[serde(default)]
    pub stem: Option<Stem>,
    /// The trunk.
    #[serde(default)]
    pub stack: Vec<Stack>,
    /// Last layers.
    #[serde(default)]
    pub head: Option<Head>,
    /// The window that the network is run in; an example is one window then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowSize>,
    /// What the convolutions of the trunk read beyond the ends of the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding: Option<Padding>,
    /// First weights of dilated convolutions.
    #[serde(default)]
    pub start: Start,
    /// A model of the same network whose weights are the first ones, relative to the folder of the
    /// TOML file.
    #[serde(default)]
    pub weights: Option<PathBuf>,
    /// Whether the exported model also reads the reverse complement and averages.
    #[serde(default)]
    pub both_strands: bool,
}

/// First weights of dilated convolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// Each tap by itself: for what depends on exact distances, such as splice sites.
    #[default]
    Random,
    /// The same for all taps, so that a stack of them begins as a smooth, wide filter: for what
    /// depends on the composition of a neighbourhood, such as accessibility.
    Smooth,
}

/// The last layers; the outputs follow from what is learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Taps of the last convolution.
    #[serde(default = "one")]
    pub kernel: usize,
    /// Width of a pointwise layer before it.
    #[serde(default)]
    pub hidden: Option<usize>,
    /// Name of the log count of a window (`profile` only): the outputs are the logits of a profile
    /// then, and share one softmax over all positions of the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<String>,
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

/// Steps, rates, stopping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Training {
    /// Bases of an example at which the network's outputs are compared; unless said, the outputs of
    /// the network's window, or [`Training::WINDOW`].
    pub window: Option<usize>,
    /// Examples of a step.
    pub batch: usize,
    /// Steps in all.
    pub steps: u64,
    /// Learning rate at its highest.
    pub rate: f64,
    /// Steps in which the rate rises from 0.
    pub warmup: u64,
    /// How it falls.
    pub decay: Decay,
    /// Validations without a better loss after which `plateau` halves the rate.
    pub plateau: u32,
    /// Share of the weights that is taken off per step, times the rate; biases keep theirs.
    pub weight_decay: f64,
    /// Longest gradient.
    pub clip: f64,
    /// Convolutions whose taps lie multiples of so many bases apart are computed at every so many
    /// bases only, and held between them, in steps before `hold_steps`; 1 for never.
    pub hold: usize,
    /// The step from which every base is computed.
    pub hold_steps: u64,
    /// Weights are averaged over the steps with this share of the past; 0 for none.
    pub average: f64,
    /// Half of the examples are read as their reverse complement (counts only; splice sites are
    /// read on their own strand).
    pub reverse_complement: bool,
    /// Steps between validations.
    pub validate_every: u64,
    /// Most bases that a validation reads, spread over the ranges; 0 for all.
    pub validate_bases: u64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// Validations without a better loss after which training stops; 0 for never.
    pub patience: u32,
    /// Which weights are exported.
    pub keep: Keep,
}

impl Training {
    /// Bases of an example of a network for stretches of any length, unless said.
    pub const WINDOW: usize = 4096;
}

impl Default for Training {
    fn default() -> Self {
        Self {
            window: None,
            batch: 8,
            steps: 2000,
            rate: 2e-3,
            warmup: 100,
            decay: Decay::Cosine,
            plateau: 3,
            weight_decay: 1e-2,
            clip: 1.0,
            hold: 1,
            hold_steps: 0,
            average: 0.0,
            reverse_complement: true,
            validate_every: 250,
            validate_bases: 0,
            checkpoint_every: 250,
            patience: 0,
            keep: Keep::Best,
        }
    }
}

/// How the learning rate falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// To 0 at the last step, along half a cosine.
    Cosine,
    /// By half when the loss on the validation split no longer falls.
    Plateau,
    /// Not at all.
    Constant,
}

/// Which weights are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Those of the lowest loss on the validation split.
    Best,
    /// Those of the last step.
    Last,
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
        let config: Self =
            toml::from_str(text).map_err(|error| architecture::refusal(text, &error))?;
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
            self.check_counts(counts)?;
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
                return out(key, value, &format!("{least} to {most}"));
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

    fn check_counts(&self, counts: &Counts) -> Result<()> {
        let wrong = |what: String| Err(Error::new(what));
        if counts.tracks.is_empty() {
            return wrong("`counts.tracks` is empty".into());
        }
        let of = |strand| counts.tracks.iter().filter(move |track| track.strand == strand).count();
        if of(CountStrand::Plus) != of(CountStrand::Minus) {
            return Err(Error::new(
                "stranded tracks come in pairs, which change places when the \
                 other strand is read",
            )
            .found(format!("{} of +, {} of -", of(CountStrand::Plus), of(CountStrand::Minus)))
            .expected("as many, in the same order"));
        }
        let caps = counts.tracks.iter().map(|track| track.cap).chain([counts.cap]);
        if caps.flatten().any(|cap| !(cap > 0.0 && cap.is_finite())) {
            return wrong("`counts.cap`, and that of a track, must be above 0".into());
        }
        if counts.judged() == 0 || counts.tracks[counts.judged()..].iter().any(|t| !t.auxiliary) {
            return wrong(
                "auxiliary tracks stand behind the others, one of which is needed".into(),
            );
        }
        if let Some(track) = counts.tracks.iter().find(|t| !(t.weight > 0.0 && t.weight <= 1e6)) {
            return Err(Error::new(format!("track {:?}: `weight` is out of range", track.name))
                .found(track.weight)
                .expected("above 0, at most 1000000"));
        }
        if counts.loss == CountLoss::Profile && counts.tracks.iter().any(|t| t.weight != 1.0) {
            return wrong("`weight` of a track means nothing to the loss `profile`".into());
        }
        if counts.loss == CountLoss::Profile && counts.bin != 1 {
            return wrong("`counts.bin` means nothing to the loss `profile`".into());
        }
        if counts.loss == CountLoss::Poisson && counts.count_weight.is_some() {
            return wrong("`counts.count_weight` means nothing to the loss `poisson`".into());
        }
        if counts.loss == CountLoss::Profile && !counts.log_bins.is_empty() {
            return wrong("`counts.log_bins` means nothing to the loss `profile`".into());
        }
        match counts.tracks.iter().find(|track| !matches!(track.replicates.len(), 0 | 2)) {
            Some(track) => Err(Error::new(format!("track {:?}: replicates", track.name))
                .found(track.replicates.len())
                .expected("two files, or none")),
            None => Ok(()),
        }
    }

    /// Holds the bins of the loss against the outputs of an example.
    ///
    /// # Errors
    /// Bins that do not fit.
    pub(super) fn check_bins(&self, length: usize) -> Result<()> {
        let Some(counts) = &self.counts else { return Ok(()) };
        if counts.bin == 0 || !length.is_multiple_of(counts.bin) {
            return Err(Error::new("`training.window` is no multiple of `counts.bin`")
                .found(format!("{length} and {}", counts.bin)));
        }
        let fits = |bins: &LogBins| {
            (1..=length).contains(&bins.width) && bins.weight >= 0.0 && bins.weight.is_finite()
        };
        match counts.log_bins.iter().find(|bins| !fits(bins)) {
            Some(LogBins { width, weight }) => Err(Error::new("`counts.log_bins` is out of range")
                .found(format!("width {width}, weight {weight}"))
                .expected("a width of 1 to `training.window`, a weight of 0 or more")),
            None => Ok(()),
        }
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
