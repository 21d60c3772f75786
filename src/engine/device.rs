//! Where a network runs, and with which arithmetic: what a user can ask for.

use crate::error::{Error, Result};
use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// The device that is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Device {
    /// The first GPU where there is one, else the CPU.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The CUDA device of this number, from 0, in the order of the driver.
    Cuda(usize),
}

/// The arithmetic that is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats throughout.
    #[default]
    Fp32,
    /// 32-bit floats whose convolutions round their factors to 10 bits of mantissa, on a GPU.
    Tf32,
    /// 16-bit floats with 8 bits of mantissa.
    Bf16,
}

/// How far the tracks of coarse arithmetic are from those of 32 bits, on the first positions of a
/// run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Coarseness {
    /// How many positions were compared.
    pub positions: usize,
    /// Largest difference of two values.
    pub largest_difference: f32,
    /// Largest absolute value among them in 32 bits, to judge the difference by.
    pub largest_value: f32,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for Device {
    type Err = Error;

    /// From `auto`, `cpu`, `cuda` (the first GPU) or `cuda:N`.
    fn from_str(text: &str) -> Result<Self> {
        let known = match text {
            "auto" => Some(Self::Auto),
            "cpu" => Some(Self::Cpu),
            "cuda" => Some(Self::Cuda(0)),
            _ => text.strip_prefix("cuda:").and_then(|n| n.parse().ok()).map(Self::Cuda),
        };
        known.ok_or_else(|| {
            Error::usage("unknown device").found(text).expected("auto, cpu, cuda or cuda:N")
        })
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fp32 => "fp32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        })
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::Fp32, Self::Tf32, Self::Bf16];
        all.into_iter().find(|precision| precision.to_string() == text).ok_or_else(|| {
            Error::usage("unknown precision").found(text).expected("fp32, tf32 or bf16")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written() {
        for device in [Device::Auto, Device::Cpu, Device::Cuda(0), Device::Cuda(3)] {
            assert_eq!(device.to_string().parse::<Device>().unwrap(), device);
        }
        assert_eq!("cuda".parse::<Device>().unwrap(), Device::Cuda(0));
        for bad in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "CUDA"] {
            assert!(bad.parse::<Device>().unwrap_err().to_string().contains("cuda:N"), "{bad}");
        }
    }

    #[test]
    fn precisions_are_read_as_they_are_written() {
        for precision in [Precision::Fp32, Precision::Tf32, Precision::Bf16] {
            assert_eq!(precision.to_string().parse::<Precision>().unwrap(), precision);
        }
        assert!("fp16".parse::<Precision>().unwrap_err().to_string().contains("bf16"));
    }
}
