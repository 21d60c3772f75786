//! Which vector instructions the kernels use.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// An instruction set that the kernels are written for. Results depend on it (in the last bits),
/// never on anything else of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Plain Rust loops without fused multiply-add: any processor.
    Portable,
    /// AVX2 with FMA.
    Avx2,
    /// AVX-512F.
    Avx512,
}

impl Isa {
    /// All of them, simplest first.
    pub const ALL: [Isa; 3] = [Isa::Portable, Isa::Avx2, Isa::Avx512];

    /// Whether this processor has it.
    pub fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return match self {
            Isa::Portable => true,
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Isa::Avx512 => is_x86_feature_detected!("avx512f"),
        };
        #[cfg(not(target_arch = "x86_64"))]
        return self == Isa::Portable;
    }

    /// The best one that this processor has.
    pub fn best() -> Self {
        let available = Self::ALL.into_iter().filter(|isa| isa.is_available());
        available.max().unwrap_or(Isa::Portable)
    }

    /// This one, if the processor has it.
    ///
    /// # Errors
    /// A usage error that names what the processor has.
    pub fn checked(self) -> Result<Self> {
        if self.is_available() {
            return Ok(self);
        }
        let available: Vec<String> =
            Self::ALL.iter().filter(|isa| isa.is_available()).map(Isa::to_string).collect();
        Err(Error::usage(format!("this processor has no {self}"))
            .expected(available.join(", "))
            .remedy("leave out --cpu-isa to take the best one"))
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        })
    }
}

impl FromStr for Isa {
    type Err = Error;

    /// From its name; `auto` is the best one of this processor.
    fn from_str(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|isa| isa.to_string() == name);
        match known {
            Some(isa) => isa.checked(),
            None if name == "auto" => Ok(Self::best()),
            None => Err(Error::usage("unknown instruction set")
                .found(name)
                .expected("auto, avx512, avx2 or portable")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_the_best_and_nonsense_is_refused() {
        assert_eq!("auto".parse::<Isa>().unwrap(), Isa::best());
        assert_eq!("portable".parse::<Isa>().unwrap(), Isa::Portable);
        assert!("sse9".parse::<Isa>().unwrap_err().to_string().contains("avx512"));
    }
}
