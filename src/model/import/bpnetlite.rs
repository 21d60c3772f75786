//! bpnet-lite (BPNet, BasePairNet, ChromBPNet) and ProCapNet: PyTorch networks as whole objects or
//! `state_dict` files (networks.md 3, weight-files.md 3.2 and 3.3).

use super::module::Module;
use super::profile::{self, Control, PUBLISHED_INPUT, Stack, Unit};
use super::tensors::{LayerNames, Layout, Ledger};
use super::trunk::axis;
use super::{Family, ImportOptions, Part};
use crate::error::{Error, Result};
use crate::network::Padding;
use crate::network::blocks::Dilated;

/// A tensor that every network of these families has, and where the two parts of a ChromBPNet
/// have it.
pub(super) const MARK: &str = "iconv.weight";
const BIAS: &str = "bias.";
const ACCESSIBILITY: &str = "accessibility.";
pub(super) const JOINT_MARK: &str = "accessibility.iconv.weight";

/// Taps of the profile convolution, and positions that its trimming leaves to it on each side; the
/// programs have both as literals.
const PROFILE_TAPS: usize = 75;
const PROFILE_SIDE: usize = 37;
/// Trimming of the official networks and of ProCapNet (networks.md 3).
const PUBLISHED_TRIMMING: usize = 557;

/// The family of a network that was saved as a whole object.
pub(super) fn family_of(module: &Module) -> Option<Family> {
    match module.class {
        "bpnetlite.bpnet BPNet" => Some(Family::BpNetLite),
        "bpnetlite.bpnet BasePairNet" => Some(Family::BasePairNet),
        "bpnetlite.chrombpnet ChromBPNet" => Some(Family::ChromBpNet),
        "BPNet_strand_merged_umap Model" => Some(Family::ProCapNet),
        _ => None,
    }
}

/// Reads one member.
pub(super) fn read(
    ledger: Ledger,
    module: Option<&Module>,
    family: Family,
    options: &ImportOptions,
) -> Result<Part> {
    let input = options.window.unwrap_or_else(|| {
        tracing::info!("the file does not say how long its windows are: {PUBLISHED_INPUT} bases");
        PUBLISHED_INPUT
    });
    let mut layers = LayerNames::new();
    let reader = Reader { ledger: &ledger, module, family };
    let (main, bias) = match family {
        Family::ChromBpNet => {
            let main = reader.stack("", ACCESSIBILITY, input, options.trimming, &mut layers)?;
            let mut bias = reader.stack(BIAS, BIAS, input, None, &mut layers)?;
            for (name, stack) in [(ACCESSIBILITY, &main), (BIAS, &bias)] {
                if stack.strands != 1 || stack.control.is_some() {
                    return Err(Error::new(format!("the part {name} has other outputs than one"))
                        .found(format!("{} and control {:?}", stack.strands, stack.control)));
                }
            }
            if bias.crop > main.crop {
                return Err(Error::new("the bias has fewer outputs than the signal")
                    .found(format!("trimming {}", bias.crop))
                    .expected(format!("at most {}", main.crop)));
            }
            // the longer profile is cut to the middle (networks.md 3)
            bias.crop = main.crop;
            (main, Some(bias))
        }
        _ => (reader.stack("", "", input, options.trimming, &mut layers)?, None),
    };
    profile::part(&main, bias.as_ref(), input, ledger, &layers, Layout::Torch)
}

struct Reader<'a> {
    ledger: &'a Ledger,
    module: Option<&'a Module>,
    family: Family,
}

impl Reader<'_> {
    /// The stack whose modules begin with `place`, and which layer each of its nodes is.
    fn stack(
        &self,
        prefix: &'static str,
        place: &str,
        input: usize,
        trimming: Option<usize>,
        layers: &mut LayerNames,
    ) -> Result<Stack> {
        let at = |name: &str| format!("{place}{name}");
        let size = |name: &str, number| axis(self.ledger, &at(name), number);
        let filters = size("iconv.weight", 0)?;
        let stem = size("iconv.weight", 2)?;
        let count = (0..).take_while(|i| self.ledger.has_any(&at(&format!("rconvs.{i}.")))).count();
        let mut dilated = Vec::with_capacity(count);
        for i in 0..count {
            let kernel = size(&format!("rconvs.{i}.weight"), 2)?;
            // 2, 4, 8, ... (networks.md 3)
            let dilation = 2usize.checked_pow(u32::try_from(i + 1).unwrap_or(u32::MAX));
            let dilation = dilation.filter(|&d| d <= input).ok_or_else(|| {
                Error::new("the network has more layers than its window has room for")
                    .found(format!("{count} dilated layers"))
            })?;
            dilated.push(Dilated::centred(kernel, dilation));
            layers.insert(format!("{prefix}dilated.{}.conv", i + 1), at(&format!("rconvs.{i}")));
        }
        let taps = [stem].into_iter().chain(dilated.iter().map(|taps| taps.kernel));
        if let Some(even) = taps.into_iter().find(|taps| taps % 2 == 0) {
            return Err(Error::new("a kernel of the network cannot be centred")
                .found(format!("{even} taps"))
                .expected("an odd number"));
        }
        for (node, layer) in [("stem", "iconv"), ("profile", "fconv"), ("counts", "linear")] {
            layers.insert(format!("{prefix}{node}"), at(layer));
        }
        if size("fconv.weight", 2)? != PROFILE_TAPS {
            return Err(Error::new("the profile convolution has another width than the published")
                .found(size("fconv.weight", 2)?)
                .expected(PROFILE_TAPS));
        }
        let strands = size("fconv.weight", 0)?;
        let controls = self.controls(place, filters)?;
        let trimming = self.trimming(place, count, trimming)?;
        let mean_crop = trimming.saturating_sub(PROFILE_SIDE);
        let stack = Stack {
            prefix,
            filters,
            stem,
            dilated,
            unit: if self.family == Family::BasePairNet { Unit::Before } else { Unit::After },
            padding: Padding::Zero,
            profile: PROFILE_TAPS,
            profile_bias: self.ledger.has(&at("fconv.bias")),
            strands,
            crop: trimming,
            mean_crop,
            counts: 1,
            counts_bias: self.ledger.has(&at("linear.bias")),
            control: (controls > 0).then_some(match self.family {
                Family::BasePairNet => {
                    Control::Trunk { channels: controls, offset: 2.0, crop: trimming }
                }
                _ => Control::Trunk { channels: controls, offset: 1.0, crop: mean_crop },
            }),
        };
        self.check_module(place, &stack)?;
        Ok(stack)
    }

    /// Control tracks, which the shapes of both heads must agree on.
    fn controls(&self, place: &str, filters: usize) -> Result<usize> {
        let read = axis(self.ledger, &format!("{place}fconv.weight"), 1)?;
        let counts = self.ledger.shape(&format!("{place}linear.weight")).unwrap_or(&[]);
        let controls = read.checked_sub(filters);
        let expected = controls.map(|controls| vec![1, filters + usize::from(controls > 0)]);
        match (controls, expected) {
            (Some(controls), Some(expected)) if counts == expected => Ok(controls),
            (_, expected) => Err(Error::new("the heads of the network do not fit its trunk")
                .found(format!("profile of {read} channels, {place}linear.weight {counts:?}"))
                .expected(format!(
                    "{filters} channels or more, and {:?}",
                    expected.unwrap_or_else(|| vec![1, filters])
                ))),
        }
    }

    /// Positions cut off on each side: as the object says, as the user says, or the default of the
    /// program, where it has one.
    fn trimming(&self, place: &str, layers: usize, given: Option<usize>) -> Result<usize> {
        let stored = self.module.and_then(|module| module.number(&format!("{place}trimming")));
        match (stored, given, self.family) {
            (Some(stored), Some(given), _) if stored != given => {
                Err(Error::usage("--trimming contradicts the file").found(given).expected(stored))
            }
            (Some(trimming), ..) | (None, Some(trimming), _) => Ok(trimming),
            (None, None, Family::ProCapNet) => Ok(PUBLISHED_TRIMMING),
            (None, None, Family::BasePairNet) => {
                Err(Error::usage("the file does not say how many positions are trimmed")
                    .remedy("say it with --trimming, 557 for the official networks"))
            }
            // 47 + 2 + 4 + ... + 2^n (networks.md 3)
            (None, None, _) => Ok(47 + (2 << layers) - 2),
        }
    }

    /// Holds what a saved object says against what the shapes say.
    fn check_module(&self, place: &str, stack: &Stack) -> Result<()> {
        let Some(module) = self.module else { return Ok(()) };
        module.check_conv(&format!("{place}iconv"), 1, stack.stem / 2)?;
        for (i, taps) in stack.dilated.iter().enumerate() {
            module.check_conv(&format!("{place}rconvs.{i}"), taps.dilation, taps.left)?;
        }
        // the outermost positions of the profile are cut off in either form
        let padding = if self.family == Family::ProCapNet { 0 } else { stack.profile / 2 };
        module.check_conv(&format!("{place}fconv"), 1, padding)
    }
}
