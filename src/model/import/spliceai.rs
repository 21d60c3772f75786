//! SpliceAI and TranslationAI: Keras files of one kind, which differ in the parity of their kernels
//! and in what the classes mean (networks.md 2).

use super::Part;
use super::keras_config::Wiring;
use super::keras_trunk::{Recognised, check_crop, recognise};
use super::tensors::{Layout, Ledger};
use super::tracks::class_outputs;
use super::trunk::{self, Output};
use crate::error::Result;

/// A network of this kind, from its `model_config`.
pub(super) struct Description(Recognised);

impl Description {
    /// Recognises the network.
    ///
    /// # Errors
    /// The layer that does not fit.
    pub fn of(wiring: &Wiring) -> Result<Self> {
        recognise(wiring).map(Self)
    }

    /// Even kernels tell TranslationAI from SpliceAI; nothing else in the file does.
    pub fn has_even_kernels(&self) -> bool {
        self.0.spec.groups.iter().flatten().any(|taps| taps.kernel % 2 == 0)
    }
}

/// Reads one member, with the names of its three classes.
pub(super) fn read(
    description: Description,
    mut ledger: Ledger,
    classes: [&str; 3],
) -> Result<Part> {
    let recognised = description.0;
    let graph = trunk::network(&recognised.spec, recognised.classes, recognised.output)?;
    let reach = graph.reach();
    check_crop(&recognised, reach.left, reach.right)?;
    let weights = ledger.fill(&graph, &recognised.layers, Layout::Keras)?;
    let names = (recognised.output == Output::Softmax).then_some(classes);
    Ok(Part {
        outputs: class_outputs(recognised.classes, names),
        unread: ledger.finish()?,
        spec: recognised.spec,
        graph,
        weights,
    })
}
