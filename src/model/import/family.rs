//! The families of published networks.

use std::fmt;

/// Which family the user says the files are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FamilyChoice {
    /// Whatever their content shows.
    Auto,
    /// This one; another is an error.
    Only(Family),
}

/// A family of published networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Splice sites, Keras (Jaganathan et al. 2019).
    SpliceAi,
    /// Translation start and stop, Keras.
    TranslationAi,
    /// Splice sites, PyTorch.
    OpenSpliceAi,
    /// Splice sites and their usage in four tissues, PyTorch (Zeng and Li 2022).
    Pangolin,
    /// Binding profiles and counts, Keras (Avsec et al. 2021, kundajelab/bpnet).
    BpNet,
    /// The same kind of network, PyTorch (bpnet-lite `BPNet`).
    BpNetLite,
    /// The published form of it, PyTorch (bpnet-lite `BasePairNet`).
    BasePairNet,
    /// Accessibility with a model of the assay's bias, Keras or PyTorch (Pampari et al.).
    ChromBpNet,
    /// Initiation of transcription, PyTorch (Cochran et al.).
    ProCapNet,
}

impl Family {
    /// The name in the model file and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::SpliceAi => "spliceai",
            Self::TranslationAi => "translationai",
            Self::OpenSpliceAi => "openspliceai",
            Self::Pangolin => "pangolin",
            Self::BpNet => "bpnet",
            Self::BpNetLite => "bpnet-lite",
            Self::BasePairNet => "basepairnet",
            Self::ChromBpNet => "chrombpnet",
            Self::ProCapNet => "procapnet",
        }
    }

    /// Whether it predicts a signal: profiles and log counts of a window.
    pub fn is_signal(self) -> bool {
        use Family::{BasePairNet, BpNet, BpNetLite, ChromBpNet, ProCapNet};
        matches!(self, BpNet | BpNetLite | BasePairNet | ChromBpNet | ProCapNet)
    }

    /// Whether it can be run in a window that the user says, with the zero padding and the cropping
    /// that its files state.
    pub(super) fn may_have_window(self) -> bool {
        matches!(self, Self::SpliceAi | Self::TranslationAi)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
