//! The schedule of a run.

use serde::{Deserialize, Serialize};

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
