//! SpliceAI and TranslationAI: Keras files of one kind, which differ in their kernels and in what
//! the classes mean (networks.md 2).

use super::keras_config::Wiring;
use super::keras_trunk::{Recognised, check_crop, recognise};
use super::tensors::{Layout, Ledger};
use super::tracks::class_outputs;
use super::trunk::{self, Output};
use super::{Family, Part};
use crate::error::Result;

/// Kernels of the published networks (networks.md 2).
const SPLICEAI_KERNELS: [usize; 3] = [11, 21, 41];
const TRANSLATIONAI_KERNELS: [usize; 2] = [26, 36];

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

    /// The family whose published kernels these are; nothing else in the file tells it.
    pub fn published_family(&self) -> Option<Family> {
        let made_of = |published: &[usize]| self.kernels().all(|k| published.contains(&k));
        let families = [
            (&SPLICEAI_KERNELS[..], Family::SpliceAi),
            (&TRANSLATIONAI_KERNELS, Family::TranslationAi),
        ];
        families.into_iter().find_map(|(published, family)| made_of(published).then_some(family))
    }

    /// The family that the kernels resemble: those of TranslationAI are even.
    pub fn likely_family(&self) -> Family {
        match self.kernels().any(|kernel| kernel % 2 == 0) {
            true => Family::TranslationAi,
            false => Family::SpliceAi,
        }
    }

    fn kernels(&self) -> impl Iterator<Item = usize> {
        self.0.spec.groups.iter().flatten().map(|taps| taps.kernel)
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
        spec: Some(recognised.spec),
        graph,
        weights,
        signal: None,
    })
}
