//! OpenSpliceAI: PyTorch `state_dict` files (weight-files.md 3.3).

use super::tensors::{Layout, Ledger};
use super::tracks::class_outputs;
use super::trunk::{self, Modules, Output, Unstored};
use super::{ImportOptions, Part};
use crate::error::{Error, Result};
use crate::network::Activation;

/// Slope and epsilon of the family (networks.md 2).
const ACTIVATION: Activation = Activation::LeakyRelu { slope: 0.1 };
const EPSILON: f64 = 1e-5;

/// A tensor that only this family has.
pub(super) const MARK: &str = "initial_conv.weight";

/// Reads one member.
pub(super) fn read(mut ledger: Ledger, options: &ImportOptions) -> Result<Part> {
    let modules = modules(&ledger)?;
    let unstored = Unstored {
        activation: ACTIVATION,
        epsilon: EPSILON,
        dilations: options.dilations.as_deref(),
    };
    let (spec, mut layers) = trunk::from_torch(&mut ledger, &modules, &unstored)?;
    layers.insert("head".to_string(), "final_conv".to_string());
    let classes = trunk::axis(&ledger, "final_conv.weight", 0)?;
    let graph = trunk::network(&spec, classes, Output::Softmax)?;
    let weights = ledger.fill(&graph, &layers, Layout::Torch)?;
    Ok(Part {
        outputs: class_outputs(classes, Some(["none", "acceptor", "donor"])),
        unread: ledger.finish()?,
        spec: Some(spec),
        graph,
        weights,
        signal: None,
    })
}

/// `residual_units.I` is a unit, or the skip that ends a group.
fn modules(ledger: &Ledger) -> Result<Modules> {
    let mut skips = vec!["initial_skip.conv".to_string()];
    let mut groups = Vec::new();
    let mut open = Vec::new();
    for module in (0..).map(|i| format!("residual_units.{i}")) {
        if ledger.has_any(&format!("{module}.conv.")) {
            skips.push(format!("{module}.conv"));
            groups.push(std::mem::take(&mut open));
        } else if ledger.has_any(&format!("{module}.")) {
            open.push(module);
        } else if open.is_empty() {
            break;
        } else {
            return Err(Error::new(format!("tensor {module}.conv.weight is missing"))
                .expected("a skip after the last residual unit"));
        }
    }
    Ok(Modules { stem: "initial_conv".to_string(), skips, groups, norm: "batchnorm" })
}
