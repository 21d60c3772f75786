//! A network whose tensors can change: forward with gradients, and back to plain weights.

use super::place::Place;
use super::program::{Program, Ranges, Value};
use super::{Frozen, shim};
use crate::engine::Device;
use crate::engine::encode::rows;
use crate::error::{Error, Result};
use crate::model::{self, UnknownBase, Weights};
use crate::network::graph::INPUT_CHANNELS;
use crate::network::{Graph, Op, Span};
use std::collections::BTreeMap;
use tch::{Kind, Tensor};

/// The tensors of a network by name. Convolutions are `[out, in, 1, tap]`, factors of channels
/// `[1, channel, 1, 1]` as the operations read them.
pub type Variables = BTreeMap<String, Tensor>;

/// A network on a device, to be trained.
pub struct Trainable {
    graph: Graph,
    variables: Variables,
    program: Program,
    device: tch::Device,
    name: String,
    letters: Frozen,
}

/// The same network with its weights as they are now, for predictions.
pub struct Snapshot<'a> {
    of: &'a Trainable,
    program: Program,
}

/// The device that a run was given and what it is called.
fn find(device: Device) -> Result<(tch::Device, String)> {
    let place = Place::find(device)?;
    let name = match &place {
        Place::Cpu => "cpu".to_string(),
        Place::Card { index, name } => format!("cuda:{index} {name}"),
    };
    Ok((place.device(), name))
}

impl Trainable {
    /// Puts a network on a device, which may be a GPU that is not there (usage). On the CPU
    /// libtorch uses `threads` threads, in the whole process.
    ///
    /// # Errors
    /// A GPU that is not there, or what libtorch says.
    pub fn new(graph: &Graph, weights: &Weights, device: Device, threads: usize) -> Result<Self> {
        let (device, name) = find(device)?;
        if device == tch::Device::Cpu {
            shim::keep_freed_memory();
        }
        shim::set_arithmetic(false)?;
        tch::set_num_threads(i32::try_from(threads).unwrap_or(1));
        let mut variables = Variables::new();
        for (id, node) in graph.nodes().iter().enumerate() {
            for parameter in graph.node_parameters(id) {
                let tensor = weights
                    .get(&parameter.name)
                    .filter(|tensor| tensor.shape == parameter.shape)
                    .ok_or_else(|| Error::new(format!("no weights {}", parameter.name)))?;
                let stored = parameter.name.ends_with(".mean") || parameter.name.ends_with(".var");
                let place = Tensor::f_from_slice(&tensor.values)?
                    .f_view(shape_of(&node.op, &parameter.shape).as_slice())?
                    .f_to_device(device)?
                    .f_set_requires_grad(!stored)?;
                variables.insert(parameter.name, place);
            }
        }
        let program = Program::learning(graph, &variables, device)?;
        let letters = rows(UnknownBase::Zero);
        let shape = [letters.len() as i64, INPUT_CHANNELS as i64];
        let letters = Tensor::f_from_slice(&letters.concat())?.f_view(shape)?;
        let letters = Frozen(letters.f_to_device(device)?);
        Ok(Self { graph: graph.clone(), variables, program, device, name, letters })
    }

    /// The device: `cpu`, `cuda:0 NVIDIA H200`.
    pub fn device_name(&self) -> &str {
        &self.name
    }

    /// Where tensors must lie.
    pub fn device(&self) -> tch::Device {
        self.device
    }

    /// All tensors, stored means and variances included.
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The tensors that gradients are taken of, by name.
    pub fn learned(&self) -> impl Iterator<Item = (&String, &Tensor)> {
        self.variables.iter().filter(|(_, tensor)| tensor.requires_grad())
    }

    /// The outputs `[example, channel, position]` at the `length` positions in the middle of the
    /// letters, with what gradients need.
    ///
    /// # Errors
    /// What libtorch says; no memory on the device.
    pub fn forward(
        &self,
        codes: &Tensor,
        controls: Option<&Tensor>,
        length: usize,
    ) -> Result<Tensor> {
        self.run(&self.program, codes, controls, length)
    }

    fn run(
        &self,
        program: &Program,
        codes: &Tensor,
        controls: Option<&Tensor>,
        length: usize,
    ) -> Result<Tensor> {
        let reach = self.graph.reach();
        let (examples, width) = codes.size2()?;
        let covered = Span::new(0, length as i64).widen(reach.left, reach.right);
        if covered.len() as i64 != width {
            return Err(Error::new("an example is not as long as the network needs")
                .found(width)
                .expected(covered.len()));
        }
        let codes = codes.f_view([-1])?.f_to_kind(Kind::Int)?;
        let rows = self.letters.f_index_select(0, &codes)?;
        let letters = rows.f_view([examples, 1, width, INPUT_CHANNELS as i64])?;
        let letters = letters.f_permute([0, 3, 1, 2])?.f_contiguous()?;
        let ranges = Ranges::of_outputs(&self.graph, Span::new(0, length as i64));
        let controls = controls.map(|tensor| Value::input(tensor, covered));
        let letters = Value::input(&letters, covered);
        let outputs = program.run(&self.graph, &ranges, letters, controls)?;
        Ok(outputs.rows.f_squeeze_dim(2)?)
    }

    /// The weights as they are now, in the processor's memory.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn weights(&self) -> Result<Weights> {
        let parameters = self.graph.parameters().into_iter();
        parameters
            .map(|parameter| {
                let values = numbers(&self.variables[&parameter.name])?;
                Ok((parameter.name, model::Tensor { shape: parameter.shape, values }))
            })
            .collect()
    }

    /// The network with some weights, for predictions: batch norms as they are stored.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn snapshot(&self, weights: &Weights) -> Result<Snapshot<'_>> {
        let program = Program::new(&self.graph, weights, self.device, Kind::Float)?;
        Ok(Snapshot { of: self, program })
    }
}

impl Snapshot<'_> {
    /// As [`Trainable::forward`], without gradients.
    ///
    /// # Errors
    /// What libtorch says; no memory on the device.
    pub fn forward(
        &self,
        codes: &Tensor,
        controls: Option<&Tensor>,
        length: usize,
    ) -> Result<Tensor> {
        tch::no_grad(|| self.of.run(&self.program, codes, controls, length))
    }
}

/// The values of a tensor, in C order.
///
/// # Errors
/// What libtorch says.
pub fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    let tensor = tensor.f_detach()?.f_to_device(tch::Device::Cpu)?.f_contiguous()?;
    let mut values = vec![0.0f32; tensor.numel()];
    tensor.f_copy_data(&mut values, tensor.numel())?;
    Ok(values)
}

/// The shape in which an operation reads a tensor.
fn shape_of(op: &Op, shape: &[usize]) -> Vec<i64> {
    let axes: Vec<i64> = shape.iter().map(|&axis| axis as i64).collect();
    match (op, axes.as_slice()) {
        (Op::Conv { .. }, &[out, channels, taps]) => vec![out, channels, 1, taps],
        (Op::Affine, &[channels]) => vec![1, channels, 1, 1],
        _ => axes,
    }
}
