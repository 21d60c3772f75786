//! The tensors of a source file, each of which must be used exactly once.

use crate::error::{Error, Result};
use crate::model::validate::{check_values, list, variance_epsilons};
use crate::model::{Tensor, Weights};
use crate::network::Graph;
use std::collections::{BTreeMap, BTreeSet};

/// A tensor as its file names and lays it out.
#[derive(Debug, Clone)]
pub(super) struct SourceTensor {
    /// Name in the file.
    pub name: String,
    /// Axis lengths in the file.
    pub shape: Vec<usize>,
    /// The numbers; `None` for integers, which are never weights.
    pub values: Option<Vec<f32>>,
    /// Whether the file holds exactly these numbers and not a wider or narrower form.
    pub exact: bool,
}

/// How a container names and lays out what belongs to one layer (weight-files.md 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// `LAYER/kernel`, axes [tap, in, out].
    Keras,
    /// `MODULE.weight`, axes [out, in, tap].
    Torch,
}

impl Layout {
    /// Name in the file of the tensor with our short name `leaf` of a layer.
    fn source_name(self, layer: &str, leaf: &str) -> String {
        let foreign = match (self, leaf) {
            (Self::Keras, "weight") => "kernel",
            (Self::Keras, "scale") => "gamma",
            (Self::Keras, "shift") => "beta",
            (Self::Keras, "mean") => "moving_mean",
            (Self::Keras, "var") => "moving_variance",
            (Self::Torch, "scale") => "weight",
            (Self::Torch, "shift") => "bias",
            (Self::Torch, "mean") => "running_mean",
            (Self::Torch, "var") => "running_var",
            (_, same) => same,
        };
        match self {
            Self::Keras => format!("{layer}/{foreign}"),
            Self::Torch => format!("{layer}.{foreign}"),
        }
    }

    /// The shape in the file of what we call `shape`.
    fn source_shape(self, shape: &[usize]) -> Vec<usize> {
        match self {
            Self::Keras => shape.iter().rev().copied().collect(),
            Self::Torch => shape.to_vec(),
        }
    }

    /// Numbers in our axis order. All axes are reversed between Keras and us.
    fn to_ours(self, shape: &[usize], values: &[f32]) -> Vec<f32> {
        match (self, shape) {
            (Self::Keras, &[out, inputs, taps]) => {
                let mut ours = Vec::with_capacity(values.len());
                for o in 0..out {
                    for i in 0..inputs {
                        ours.extend((0..taps).map(|tap| values[(tap * inputs + i) * out + o]));
                    }
                }
                ours
            }
            _ => values.to_vec(),
        }
    }
}

/// Which layer of the file each node of a graph is.
pub(super) type LayerNames = BTreeMap<String, String>;

/// Hands out the tensors of one file, each once.
#[derive(Debug)]
pub(super) struct Ledger {
    tensors: BTreeMap<String, SourceTensor>,
    unread: Vec<String>,
}

impl Ledger {
    /// Takes all tensors of a file. Their names differ.
    pub fn new(tensors: Vec<SourceTensor>) -> Self {
        let tensors = tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
        Self { tensors, unread: Vec::new() }
    }

    /// Whether a tensor is there and not yet used.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Whether any tensor whose name begins so is there and not yet used.
    pub fn has_any(&self, prefix: &str) -> bool {
        let mut from = self.tensors.range(prefix.to_string()..);
        from.next().is_some_and(|(name, _)| name.starts_with(prefix))
    }

    /// The shape of a tensor that is there and not yet used.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| tensor.shape.as_slice())
    }

    /// The first few names, for messages.
    pub fn names(&self) -> String {
        list(&self.tensors.keys().collect::<Vec<_>>())
    }

    /// All tensors of a graph, found by the layer that each node is.
    ///
    /// # Errors
    /// A tensor is missing, has another shape, holds integers, or a value that cannot be.
    pub fn fill(&mut self, graph: &Graph, layers: &LayerNames, layout: Layout) -> Result<Weights> {
        let epsilons = variance_epsilons(graph);
        let mut weights = Weights::new();
        for parameter in graph.parameters() {
            let place = parameter.name.rsplit_once('.');
            let found = place.and_then(|(node, leaf)| Some((layers.get(node)?, leaf)));
            let (layer, leaf) = found.expect("every node with tensors was recognised as a layer");
            let source = layout.source_name(layer, leaf);
            let shape = layout.source_shape(&parameter.shape);
            let tensor = self.take(&parameter.name, &source, &shape)?;
            let Some(values) = tensor.values else {
                return Err(Error::new(format!("tensor {source} holds integers"))
                    .expected("floating-point weights"));
            };
            let tensor = Tensor { shape, values };
            check_values(&source, &tensor, epsilons.get(&parameter.name).copied())?;
            let values = layout.to_ours(&parameter.shape, &tensor.values);
            weights.insert(parameter.name, Tensor { shape: parameter.shape, values });
        }
        Ok(weights)
    }

    /// Takes the weights of a dense layer for those of a convolution with one tap.
    ///
    /// # Errors
    /// They are there and have other than two axes.
    pub fn dense(&mut self, name: &str, layout: Layout) -> Result<()> {
        let Some(tensor) = self.tensors.get_mut(name) else { return Ok(()) };
        if tensor.shape.len() != 2 {
            return Err(Error::new(format!("tensor {name} has the wrong shape"))
                .found(format!("{:?}", tensor.shape))
                .expected("2 axes, as those of a dense layer"));
        }
        match layout {
            Layout::Keras => tensor.shape.insert(0, 1),
            Layout::Torch => tensor.shape.push(1),
        }
        Ok(())
    }

    /// The layers that have tensors, as the part of the name before the last separator.
    pub fn layers(&self) -> BTreeSet<String> {
        let layer =
            |name: &String| name.rsplit_once(['/', '.']).map(|(layer, _)| layer.to_string());
        self.tensors.keys().filter_map(layer).collect()
    }

    /// Sets a known tensor aside that the network never reads; it must have this shape.
    ///
    /// # Errors
    /// It is missing or has another shape.
    pub fn set_aside(&mut self, name: &str, shape: &[usize]) -> Result<()> {
        self.take("that the network never reads", name, shape)?;
        self.unread.push(name.to_string());
        Ok(())
    }

    fn take(&mut self, ours: &str, name: &str, shape: &[usize]) -> Result<SourceTensor> {
        let Some(tensor) = self.tensors.remove(name) else {
            return Err(Error::new(format!("tensor {name} ({ours}) is missing"))
                .expected(format!("shape {shape:?}")));
        };
        if tensor.shape != shape {
            return Err(Error::new(format!("tensor {name} ({ours}) has the wrong shape"))
                .found(format!("{:?}", tensor.shape))
                .expected(format!("{shape:?}")));
        }
        Ok(tensor)
    }

    /// Ends the import of the file; the names of what was set aside.
    ///
    /// # Errors
    /// Tensors are left over.
    pub fn finish(self) -> Result<Vec<String>> {
        if self.tensors.is_empty() {
            return Ok(self.unread);
        }
        Err(Error::new("the file holds tensors that belong to no known layer")
            .found(format!("{}: {}", self.tensors.len(), self.names()))
            .remedy("the file is of a network that differs from its family"))
    }
}
