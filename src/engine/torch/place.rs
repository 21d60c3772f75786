//! Which device an engine runs on.

use super::{cuda, driver, shim};
use crate::engine::Device;
use crate::error::{Error, Result};
use std::path::PathBuf;

/// Where an engine runs.
#[derive(Debug, Clone)]
pub enum Place {
    /// On the processor.
    Cpu,
    /// On a GPU: its number and its name.
    Card { index: usize, name: String },
}

/// Whether there is a GPU that libtorch can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gpu {
    /// There is one, and all that it needs is loaded.
    Ready,
    /// There is none.
    Absent,
    /// There is one, but something that it needs was not found: what was looked for.
    Unusable(String),
}

/// What libtorch was loaded, and what the driver says of cards.
#[derive(Debug, Clone)]
pub struct Installation {
    /// Version of libtorch: `2.11.0`.
    pub version: String,
    /// The folder that its libraries were loaded from.
    pub folder: Option<PathBuf>,
    /// Name and bytes of memory of each card that this process may use, or why none can be seen.
    pub cards: std::result::Result<Vec<(String, u64)>, String>,
}

/// Looks at the installation; loads nothing of CUDA but the driver.
pub fn installation() -> Installation {
    let name = |card: driver::Card| (card.name, card.memory);
    Installation {
        version: shim::version(),
        folder: shim::library_folder(),
        cards: driver::cards().map(|cards| cards.into_iter().map(name).collect()),
    }
}

/// Looks for a GPU. Where there is one, libtorch's CUDA libraries are loaded.
pub fn find_gpu() -> Gpu {
    match cuda::find(0) {
        Ok(_) => Gpu::Ready,
        Err(missing) if missing.has_cards() => Gpu::Unusable(missing.to_string()),
        Err(_) => Gpu::Absent,
    }
}

impl Place {
    /// The device that is asked for.
    ///
    /// # Errors
    /// A GPU that is not there (usage), with what was looked for.
    pub fn find(device: Device) -> Result<Self> {
        let card =
            |index: usize| cuda::find(index).map(|card| Self::Card { index, name: card.name });
        match device {
            Device::Cpu => Ok(Self::Cpu),
            Device::Auto => Ok(card(0).unwrap_or_else(|missing| {
                if missing.has_cards() {
                    tracing::warn!("the GPU cannot be used ({missing}): computing on the CPU");
                }
                Self::Cpu
            })),
            Device::Cuda(index) => card(index).map_err(|missing| {
                Error::usage(format!("there is no GPU for --device {device}"))
                    .found(missing)
                    .remedy("see docs/install.md, or choose --device cpu")
            }),
        }
    }

    /// As libtorch names it.
    pub fn device(&self) -> tch::Device {
        match self {
            Self::Cpu => tch::Device::Cpu,
            Self::Card { index, .. } => tch::Device::Cuda(*index),
        }
    }
}
