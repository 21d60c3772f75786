//! A network whose tensors can change: forward with gradients, and back to plain weights.

use super::learning::{Holds, Learning};
use super::place::Place;
use super::program::{Outputs, Program, Ranges, Value};
use super::{Frozen, shim};
use crate::engine::Device;
use crate::engine::encode::rows;
use crate::error::{Error, Result};
use crate::model::{self, UnknownBase, Weights, Window};
use crate::network::graph::INPUT_CHANNELS;
use crate::network::{Graph, Op, Span, blocks};
use std::collections::BTreeMap;
use tch::{Kind, Tensor};

/// The tensors of a network by name. Convolutions are `[out, in, 1, tap]`, factors of channels
/// `[1, channel, 1, 1]` as the operations read them.
pub type Variables = BTreeMap<String, Tensor>;

/// A network on a device, to be trained.
pub struct Trainable {
    graph: Graph,
    variables: Variables,
    learning: Learning,
    device: tch::Device,
    name: String,
    letters: Frozen,
    window: Option<Window>,
}

/// What a network answers for a batch.
#[derive(Debug)]
pub struct Answers {
    /// `[example, channel, position]`
    pub rows: Tensor,
    /// `[example, channel]` of the scalar head, where there is one.
    pub scalars: Option<Tensor>,
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
                let stored = parameter.name.ends_with(".mean")
                    || parameter.name.ends_with(".var")
                    || blocks::is_average(&node.name);
                let place = Tensor::f_from_slice(&tensor.values)?
                    .f_view(shape_of(&node.op, &parameter.shape).as_slice())?
                    .f_to_device(device)?
                    .f_set_requires_grad(!stored)?;
                variables.insert(parameter.name, place);
            }
        }
        let learning = Learning::new(graph, &variables, device)?;
        let letters = rows(UnknownBase::Zero);
        let shape = [letters.len() as i64, INPUT_CHANNELS as i64];
        let letters = Tensor::f_from_slice(&letters.concat())?.f_view(shape)?;
        let letters = Frozen(letters.f_to_device(device)?);
        let (graph, window) = (graph.clone(), None);
        Ok(Self { graph, variables, learning, device, name, letters, window })
    }

    /// The same, run in windows of given ends, where there is one: an example is the letters of a
    /// window then, and what the network pads, crops and pools refers to it.
    pub fn in_window(mut self, window: Option<Window>) -> Self {
        self.window = window;
        self
    }

    /// The device: `cpu`, `cuda:0 NVIDIA H200`.
    pub fn device_name(&self) -> &str {
        &self.name
    }

    /// Where tensors must lie.
    pub fn device(&self) -> tch::Device {
        self.device
    }

    /// All tensors, stored means and variances and those of averages included.
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The tensors that gradients are taken of, by name.
    pub fn learned(&self) -> impl Iterator<Item = (&String, &Tensor)> {
        self.variables.iter().filter(|(_, tensor)| tensor.requires_grad())
    }

    /// The outputs at the `length` positions in the middle of the letters, or those of the window,
    /// with what gradients need. Convolutions of long dilation are held over `hold` positions
    /// ([`Holds`]); 1 for none.
    ///
    /// # Errors
    /// Letters of another length; what libtorch says; no memory on the device.
    pub fn forward(
        &self,
        codes: &Tensor,
        controls: Option<&Tensor>,
        length: usize,
        hold: usize,
    ) -> Result<Answers> {
        let (letters, covered) = self.letters(codes, length)?;
        let holds = Holds::new(&self.graph, hold);
        let ranges = match self.window {
            Some(window) => Ranges::of_window(&self.graph, window.span()),
            None => holds.ranges(&self.graph, Span::new(0, length as i64)),
        };
        Answers::of(self.learning.run(&self.graph, &ranges, &holds, letters, controls, covered)?)
    }

    /// The letters as the network reads them, `[example, letter, 1, position]`, and the positions
    /// that they cover, where the outputs, or the window, begin at 0.
    fn letters(&self, codes: &Tensor, length: usize) -> Result<(Tensor, Span)> {
        let reach = self.graph.reach();
        let (examples, width) = codes.size2()?;
        let covered = match self.window {
            Some(window) => window.span(),
            None => Span::new(0, length as i64).widen(reach.left, reach.right),
        };
        if covered.len() as i64 != width {
            return Err(Error::new("an example is not as long as the network needs")
                .found(width)
                .expected(covered.len()));
        }
        let codes = codes.f_view([-1])?.f_to_kind(Kind::Int)?;
        let rows = self.letters.f_index_select(0, &codes)?;
        let letters = rows.f_view([examples, 1, width, INPUT_CHANNELS as i64])?;
        Ok((letters.f_permute([0, 3, 1, 2])?.f_contiguous()?, covered))
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
    ) -> Result<Answers> {
        tch::no_grad(|| {
            let graph = &self.of.graph;
            let (letters, covered) = self.of.letters(codes, length)?;
            let ranges = match self.of.window {
                Some(window) => Ranges::of_window(graph, window.span()),
                None => Ranges::of_outputs(graph, Span::new(0, length as i64)),
            };
            let controls = controls.map(|tensor| Value::input(tensor, covered));
            let letters = Value::input(&letters, covered);
            Answers::of(self.program.run(graph, &ranges, letters, controls)?)
        })
    }
}

impl Answers {
    fn of(outputs: Outputs) -> Result<Self> {
        let rows = outputs.rows.f_squeeze_dim(2)?;
        let scalars = outputs.scalars.map(|head| head.f_flatten(1, -1)).transpose()?;
        Ok(Self { rows, scalars })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::oracle::MemberValues;
    use crate::engine::{Job, Oracle};
    use crate::model::testing::Noise;
    use crate::model::{Member, Model, Provenance};
    use crate::network::{Activation, GraphBuilder, Padding};

    const LENGTH: usize = 6;

    /// A convolution without a bias that looks to the right only, and where it is padded reads zeros
    /// at one end.
    fn ahead() -> Op {
        let padding = Padding::None;
        Op::Conv { channels: 3, kernel: 2, dilation: 3, left: 0, bias: false, padding }
    }

    /// A network of every operation that has gradients and needs no window but that of its
    /// controls; the batch norm stands behind everything that widens a range.
    fn graph() -> Graph {
        let mut g = GraphBuilder::new();
        let mut x = g.add("stem", Op::centred(3, 3, 1), &[0]).unwrap();
        let functions = [
            Activation::Relu,
            Activation::LeakyRelu { slope: 0.1 },
            Activation::Gelu,
            Activation::GeluTanh,
            Activation::Tanh,
            Activation::Sigmoid,
            Activation::Softplus,
            Activation::Exp,
        ];
        for (number, function) in functions.into_iter().enumerate() {
            let y = g.add(format!("c{number}"), Op::centred(3, 1, 1), &[x]).unwrap();
            let y = g.add(format!("a{number}"), Op::Activation { function }, &[y]).unwrap();
            x = g.add(format!("s{number}"), Op::Add, &[x, y]).unwrap();
        }
        let a = g.add("look", ahead(), &[x]).unwrap();
        let b = g.add("affine", Op::Affine, &[x]).unwrap();
        let gate = g.add("gate", Op::Gate, &[a, b]).unwrap();
        let soft = g.add("soft", Op::Softmax, &[gate]).unwrap();
        let control = g.add("control", Op::Control { channels: 2 }, &[]).unwrap();
        let both = g.add("concat", Op::Concat, &[soft, gate, control]).unwrap();
        let y = g.add("mix", Op::pointwise(3), &[both]).unwrap();
        let y = g.add("norm", Op::BatchNorm { epsilon: 1e-3 }, &[y]).unwrap();
        g.add("head", Op::pointwise(2), &[y]).unwrap();
        g.finish().unwrap()
    }

    /// A network of every operation that means something in a window only: its convolutions read
    /// zeros beyond the ends, its scalars come from pools of the trunk and of the controls.
    fn windowed_graph() -> Graph {
        let mut g = GraphBuilder::new();
        g.pad_with(Padding::Zero);
        let gelu = Op::Activation { function: Activation::Gelu };
        let mut x = g.add("stem", Op::centred(3, 3, 1), &[0]).unwrap();
        for dilation in [2, 4] {
            let y = g.add(format!("c{dilation}"), Op::centred(3, 3, dilation), &[x]).unwrap();
            let y = g.add(format!("a{dilation}"), gelu.clone(), &[y]).unwrap();
            x = g.add(format!("s{dilation}"), Op::Add, &[x, y]).unwrap();
        }
        x = g.add("ahead", ahead(), &[x]).unwrap();
        g.pad_with(Padding::None);
        let control = g.add("control", Op::Control { channels: 2 }, &[]).unwrap();
        let inner = g.add("inner", Op::Crop { left: 1, right: 2 }, &[x]).unwrap();
        let mean = g.add("mean", Op::Mean, &[inner]).unwrap();
        let beside = g.add("beside", Op::Crop { left: 4, right: 3 }, &[control]).unwrap();
        let total = g.add("total", Op::LogTotal { offset: 2.0 }, &[beside]).unwrap();
        let all = g.add("all", Op::Concat, &[mean, total]).unwrap();
        let leaky = Op::Activation { function: Activation::LeakyRelu { slope: 0.1 } };
        let all = g.add("all.act", leaky, &[all]).unwrap();
        let one = g.add("one", Op::pointwise(2), &[all]).unwrap();
        let two = g.add("two", Op::pointwise(2), &[mean]).unwrap();
        g.add("counts", Op::LogSumExp, &[one, two]).unwrap();
        let both = g.add("both", Op::Concat, &[inner, control]).unwrap();
        g.add("head", Op::centred(2, 3, 1), &[both]).unwrap();
        g.finish().unwrap()
    }

    /// What a graph gives for one example in a window, in f64.
    fn oracle(graph: &Graph, window: Window, weights: &Weights, example: &Example) -> MemberValues {
        let source = crate::model::Source { member: 0, channel: 0 };
        let track = crate::model::Track {
            name: "t".into(),
            unit: "u".into(),
            description: String::new(),
            strand: crate::model::TrackStrand::None,
            default: true,
            sources: vec![source],
        };
        let names: Vec<String> = graph.parameters().into_iter().map(|p| p.name).collect();
        let own = weights.iter().filter(|(name, _)| names.contains(name));
        let weights = own.map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
        let model = Model {
            name: "tiny".into(),
            networks: vec![graph.clone()],
            members: vec![Member { name: "m".into(), network: 0, weights }],
            window: Some(window),
            tracks: vec![track],
            scheme: None,
            scalars: vec![],
            profiles: vec![],
            unknown_base: UnknownBase::Zero,
            provenance: Provenance {
                family: "atrous".into(),
                licence: "MIT".into(),
                sources: vec![],
                unread: vec![],
                record: String::new(),
            },
        };
        let mut job = Job::new(0, window.output, example.letters.clone());
        job.controls.clone_from(&example.controls);
        Oracle::new(&model, &model.tracks).member(0, &job)
    }

    /// What a window reads.
    struct Example {
        letters: Vec<u8>,
        controls: Vec<Vec<f32>>,
    }

    /// Mean and variance of each channel of what the batch norm reads, over the whole batch.
    fn batch_norm(graph: &Graph, window: Window, weights: &mut Weights, batch: &[Example]) {
        let norm = graph.nodes().iter().position(|node| node.name == "norm");
        let Some(norm) = norm else { return };
        let before = Graph::from_nodes(graph.nodes()[..norm].to_vec()).unwrap();
        let rows: Vec<Vec<f64>> =
            batch.iter().flat_map(|one| oracle(&before, window, weights, one).rows).collect();
        for channel in 0..3 {
            let n = rows.len() as f64;
            let mean = rows.iter().map(|row| row[channel]).sum::<f64>() / n;
            let var = rows.iter().map(|row| (row[channel] - mean).powi(2)).sum::<f64>() / n;
            weights.get_mut("norm.mean").unwrap().values[channel] = mean as f32;
            weights.get_mut("norm.var").unwrap().values[channel] = var as f32;
        }
    }

    #[test]
    fn gradients_of_every_operation_are_the_finite_differences_of_the_oracle() {
        let graph = graph();
        let reach = graph.reach();
        let input = LENGTH + usize::try_from(reach.left + reach.right).unwrap();
        let checked = check(&graph, Window { input, output: LENGTH, anchor: 0 }, false);
        assert_eq!(checked, graph.parameter_count() - 6, "all but stored means and variances");
    }

    #[test]
    fn gradients_of_a_network_in_a_window_are_the_finite_differences_of_the_oracle() {
        let graph = windowed_graph();
        let window = Window { input: 14, output: 9, anchor: 7 };
        assert_eq!(window.outputs(&graph), Span::new(2, 11));
        assert!(graph.reach().left > 2 && graph.reach().right > 3, "the outputs see its ends");
        assert_eq!(check(&graph, window, true), graph.parameter_count());
    }

    /// Holds the gradients of a loss of rows and scalars against finite differences; how many.
    fn check(graph: &Graph, window: Window, in_window: bool) -> u64 {
        const SIZE: usize = 3;
        let mut noise = Noise::new(5);
        let mut weights: Weights = graph
            .parameters()
            .into_iter()
            .map(|parameter| {
                let mut tensor = noise.tensor(&parameter.shape);
                tensor.values.iter_mut().for_each(|value| *value = (*value - 1.0) * 1.4);
                (parameter.name, tensor)
            })
            .collect();
        if let Some(var) = weights.get_mut("norm.var") {
            var.values.fill(1.0);
        }
        let (width, length) = (window.input, window.output);
        let batch: Vec<Example> = (0..SIZE)
            .map(|_| {
                let letter = |_| b"ACGTN"[(noise.value() * 50.0) as usize % 5];
                let letters: Vec<u8> = (0..width).map(letter).collect();
                let mut track = |_| (0..width).map(|_| noise.value()).collect();
                Example { letters, controls: (0..2).map(&mut track).collect() }
            })
            .collect();
        let (channels, totals) = (graph.output_channels(), graph.scalar_channels());
        let mut factors =
            |count: usize| -> Vec<f32> { (0..SIZE * count).map(|_| noise.value() - 1.0).collect() };
        let (of_rows, of_scalars) = (factors(channels * length), factors(totals));

        let network = Trainable::new(graph, &weights, Device::Cpu, 1).unwrap();
        let network = network.in_window(in_window.then_some(window));
        let letters = batch.iter().flat_map(|example| &example.letters);
        let codes: Vec<u8> = letters.map(|&letter| crate::engine::encode::code(letter)).collect();
        let codes = Tensor::from_data_size(&codes, &[SIZE as i64, width as i64], Kind::Uint8);
        let controls: Vec<f32> = batch.iter().flat_map(|one| one.controls.concat()).collect();
        let controls = Tensor::from_slice(&controls).view([SIZE as i64, 2, 1, width as i64]);
        let Answers { rows, scalars } =
            network.forward(&codes, Some(&controls), length, 1).unwrap();
        let weighed = |values: &Tensor, factors: &[f32]| {
            (values * Tensor::from_slice(factors).view_as(values)).sum(Kind::Double)
        };
        let mut loss = weighed(&rows, &of_rows);
        assert_eq!(scalars.is_some(), totals > 0);
        if let Some(scalars) = scalars {
            loss += weighed(&scalars, &of_scalars);
        }
        let (names, learned): (Vec<&String>, Vec<&Tensor>) = network.learned().unzip();
        let gradients = Tensor::f_run_backward(&[&loss], &learned, false, false).unwrap();

        // the oracle's rows are [position][channel], the factors [channel][position]
        let defined = |weights: &Weights| -> f64 {
            let mut weights = weights.clone();
            batch_norm(graph, window, &mut weights, &batch);
            let mut sum = 0.0;
            for (number, example) in batch.iter().enumerate() {
                let MemberValues { rows, scalars } = oracle(graph, window, &weights, example);
                assert_eq!((rows.len(), scalars.len()), (length, totals));
                let factors = &of_rows[number * channels * length..];
                for (position, row) in rows.iter().enumerate() {
                    for (channel, value) in row.iter().enumerate() {
                        sum += value * f64::from(factors[channel * length + position]);
                    }
                }
                let factors = &of_scalars[number * totals..];
                sum += scalars.iter().zip(factors).map(|(x, f)| x * f64::from(*f)).sum::<f64>();
            }
            sum
        };
        let value = loss.double_value(&[]);
        let expected = defined(&weights);
        assert!((value - expected).abs() < 1e-4 * value.abs().max(1.0), "{value}, {expected}");
        let mut checked = 0u64;
        for (name, gradient) in names.iter().zip(&gradients) {
            for (index, got) in numbers(gradient).unwrap().into_iter().enumerate() {
                let at = |step: f32| {
                    let mut moved = weights.clone();
                    let value = &mut moved.get_mut(*name).unwrap().values[index];
                    *value += step;
                    (f64::from(*value), defined(&moved))
                };
                let ((x1, y1), (x2, y2)) = (at(-1e-4), at(1e-4));
                let expected = (y2 - y1) / (x2 - x1);
                assert!(
                    (f64::from(got) - expected).abs() < 5e-3 * expected.abs().max(1.0),
                    "{name}[{index}]: {got} against {expected}"
                );
                checked += 1;
            }
        }
        checked
    }
}
