//! Which network is trained.

use super::one;
use crate::network::architecture::{Stack, Stem, WindowSize};
use crate::network::{Activation, Padding};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

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
