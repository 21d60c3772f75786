//! SpliceAI and TranslationAI: Keras files of one kind, which differ in their kernels and in what
//! the classes mean (networks.md 2).

use super::keras_config::Wiring;
use super::keras_trunk::{Recognised, check_crop, recognise};
use super::profile::{self, Signal};
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

/// Reads one member, with the names of its three classes: to be run in a window of so many bases,
/// with the zero padding of its program, or over stretches of any length.
pub(super) fn read(
    description: Description,
    mut ledger: Ledger,
    classes: [&str; 3],
    window: Option<usize>,
) -> Result<Part> {
    let recognised = description.0;
    let Recognised { spec, output, .. } = &recognised;
    let (graph, signal) = match window {
        None => {
            let graph = trunk::network(spec, recognised.classes, *output)?;
            let reach = graph.reach();
            check_crop(&recognised, reach.left, reach.right)?;
            (graph, None)
        }
        Some(input) => {
            let (left, right) = recognised.crop;
            // a cropping that no machine can hold leaves no output of any window
            let crop = [left, right].map(|cut| usize::try_from(cut).unwrap_or(usize::MAX / 4));
            let crop = (crop[0], crop[1]);
            let graph = trunk::network_in_window(spec, recognised.classes, *output, crop)?;
            let window = profile::window(&graph, input)?;
            (graph, Some(Signal { window, scalars: Vec::new(), profiles: Vec::new() }))
        }
    };
    let weights = ledger.fill(&graph, &recognised.layers, Layout::Keras)?;
    let names = (recognised.output == Output::Softmax).then_some(classes);
    Ok(Part {
        outputs: class_outputs(recognised.classes, names),
        unread: ledger.finish()?,
        spec: Some(recognised.spec),
        graph,
        weights,
        signal,
    })
}
