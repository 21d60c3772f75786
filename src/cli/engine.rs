//! Which engine computes, on which device: the flags that every computing subcommand shares.

use atrous::engine::cpu::{CpuEngine, Isa};
use atrous::engine::{Device, Engine, Oracle, Precision, Wanted};
use atrous::model::Model;
use atrous::{Error, Result};
use clap::{Args, ValueEnum};

/// How it is computed.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Computing")]
pub struct EngineArgs {
    /// `cpu`: our own kernels; `torch`: libtorch, on a GPU or the CPU; `oracle`: plain f64 loops,
    /// slow, for checking; `auto`: torch where this build and this machine have a GPU, else cpu.
    #[arg(long, value_enum, default_value_t, value_name = "ENGINE")]
    engine: EngineChoice,
    /// `cpu`, `cuda`, `cuda:N` for the N-th GPU from 0, or `auto`: a GPU where there is one.
    #[arg(long, default_value_t, value_name = "DEVICE", value_parser = str::parse::<Device>)]
    device: Device,
    /// Arithmetic of the torch engine: `fp32`; faster and coarser on a GPU: `tf32`, `bf16`. The
    /// log and the summary then say how far the first values are from those of fp32.
    #[arg(
        long, default_value_t, value_name = "PRECISION", value_parser = str::parse::<Precision>,
        hide_short_help = true
    )]
    precision: Precision,
    /// Pin the instruction set of the CPU engine, so that different processors give the same
    /// bytes: avx512, avx2 or portable; default: auto, the best of this processor.
    #[arg(long, value_name = "ISA", value_parser = str::parse::<Isa>)]
    cpu_isa: Option<Isa>,
}

/// What `--engine` offers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum EngineChoice {
    #[default]
    Auto,
    Cpu,
    Torch,
    Oracle,
}

impl EngineArgs {
    /// The engine that the flags ask for, built for some outputs of a model.
    ///
    /// # Errors
    /// Flags that contradict each other, a device that is not there, an engine that is not part of
    /// this build (usage), or a model that the engine cannot run.
    pub fn build(&self, model: &Model, wanted: impl Into<Wanted>) -> Result<Box<dyn Engine>> {
        let wanted = wanted.into();
        match self.chosen()? {
            EngineChoice::Torch => torch(model, wanted, self.device, self.precision),
            EngineChoice::Oracle => Ok(Box::new(Oracle::new(model, wanted))),
            EngineChoice::Cpu | EngineChoice::Auto => {
                let isa = self.cpu_isa.unwrap_or_else(Isa::best);
                Ok(Box::new(CpuEngine::new(model, wanted, isa)?))
            }
        }
    }

    /// The engine that is meant, where the other flags leave one.
    fn chosen(&self) -> Result<EngineChoice> {
        let gpu = matches!(self.device, Device::Cuda(_));
        let coarse = self.precision != Precision::Fp32;
        let engine = match self.engine {
            EngineChoice::Auto if gpu || coarse => EngineChoice::Torch,
            EngineChoice::Auto if self.device == Device::Auto && self.cpu_isa.is_none() => {
                if gpu_is_there() {
                    EngineChoice::Torch
                } else {
                    EngineChoice::Cpu
                }
            }
            EngineChoice::Auto => EngineChoice::Cpu,
            engine => engine,
        };
        let name = engine.to_possible_value().map_or_else(String::new, |v| v.get_name().into());
        let idle = |flag: String, needs: &str| {
            Err(Error::usage(format!("{flag} means nothing to --engine {name}"))
                .remedy(format!("leave it out, or choose --engine {needs}")))
        };
        match engine {
            EngineChoice::Cpu | EngineChoice::Oracle if gpu => {
                idle(format!("--device {}", self.device), "torch")
            }
            EngineChoice::Cpu | EngineChoice::Oracle if coarse => {
                idle(format!("--precision {}", self.precision), "torch")
            }
            EngineChoice::Torch | EngineChoice::Oracle if self.cpu_isa.is_some() => {
                idle("--cpu-isa".into(), "cpu")
            }
            _ => Ok(engine),
        }
    }
}

/// What was measured of the arithmetic of a run, for the settings of its summary.
pub fn measured(engine: &dyn Engine) -> Option<(String, serde_json::Value)> {
    let found = engine.coarseness()?;
    let found = serde_json::to_value(found).expect("plain structs of ours serialise");
    Some(("precision_check".into(), found))
}

/// Whether this build can use a GPU and finds one. A card that is there but cannot be used is
/// worth a line.
#[cfg(feature = "torch")]
fn gpu_is_there() -> bool {
    use atrous::engine::torch::{Gpu, find_gpu};
    match find_gpu() {
        Gpu::Ready => true,
        Gpu::Absent => false,
        Gpu::Unusable(why) => {
            tracing::warn!("the GPU cannot be used ({why}): computing on the CPU");
            false
        }
    }
}

#[cfg(not(feature = "torch"))]
fn gpu_is_there() -> bool {
    false
}

#[cfg(feature = "torch")]
fn torch(
    model: &Model,
    wanted: Wanted,
    device: Device,
    precision: Precision,
) -> Result<Box<dyn Engine>> {
    Ok(Box::new(atrous::engine::TorchEngine::new(model, wanted, device, precision)?))
}

#[cfg(not(feature = "torch"))]
fn torch(_: &Model, _: Wanted, _: Device, _: Precision) -> Result<Box<dyn Engine>> {
    Err(Error::usage("this build has no libtorch, so there is no --engine torch and no GPU")
        .remedy("build with `make torch`, or leave out --engine, --device and --precision"))
}
