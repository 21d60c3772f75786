//! Forward passes of a network whose tensors change, with what gradients need.
//!
//! A convolution of long dilation changes little from base to base, and in long-range networks such
//! convolutions are nearly all of the work. With a hold of `h` positions, those whose taps lie whole
//! multiples of `h` apart are computed at every `h`-th position only, and their values are held over
//! the `h` positions around it where a sum adds them to a value of every position. So are those of
//! `h` taps or more side by side, which see every position between two places. The network
//! itself is not changed by this: it is a cheap estimate for the first part of a training run, as
//! the pooling of other networks is, and a run ends without it.

use super::Frozen;
use super::program::{Builder, Outputs, POSITIONS, Ranges, Step, over};
use super::trainable::Variables;
use crate::error::{Error, Result};
use crate::model::Weights;
use crate::network::{Activation, Graph, NodeId, Op, Span};
use std::cell::OnceCell;
use tch::{Device, Kind, Tensor};

/// What is done at each node; nothing is folded and batch norms use the batch.
pub struct Learning {
    steps: Vec<Step>,
}

/// At which positions a node is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// At every position.
    Each,
    /// At every `h`-th position, the multiples of `h`.
    Held,
    /// A sum of both kinds, added up where it is read.
    Mixed,
}

/// Which nodes are held, and over how many positions.
pub struct Holds {
    hold: i64,
    paces: Vec<Pace>,
}

/// A value `[example, channel, 1, position]`, as a sum of up to two parts.
struct Value {
    /// The part of every position, and its positions.
    each: Option<(Tensor, Span)>,
    /// The part that is held, and its places: `n` stands for the positions around `n·h`.
    held: Option<(Tensor, Span)>,
    /// The whole value at places, once somebody has asked for it.
    places: OnceCell<(Tensor, Span)>,
}

impl Holds {
    /// For a network; with a hold of 1, or where the ends of a window mean something, every node is
    /// computed at every position.
    pub fn new(graph: &Graph, hold: usize) -> Self {
        let whole = |n: usize| n.is_multiple_of(hold.max(1));
        let mut paces: Vec<Pace> = Vec::with_capacity(graph.nodes().len());
        let ends = |op: &Op| op.needs_window() && !matches!(op, Op::Control { .. });
        let none = hold < 2 || graph.nodes().iter().any(|node| ends(&node.op));
        for node in graph.nodes() {
            let inputs = || node.inputs.iter().map(|&input| paces[input]);
            paces.push(match node.op {
                _ if none || node.inputs.is_empty() => Pace::Each,
                Op::Conv { kernel: kernel @ 2.., dilation, left, .. } => {
                    // of the sequence itself every base counts
                    let pools = dilation == 1 && kernel >= hold && node.inputs != [0];
                    if pools || whole(dilation) && whole(left) { Pace::Held } else { Pace::Each }
                }
                _ if inputs().all(|pace| pace == Pace::Held) => Pace::Held,
                Op::Add if inputs().any(|pace| pace != Pace::Each) => Pace::Mixed,
                _ => Pace::Each,
            });
        }
        // what is compared is computed at every position
        paces[graph.output()] = Pace::Each;
        Self { hold: hold.max(1) as i64, paces }
    }

    /// The places that stand for some positions.
    fn places(&self, span: Span) -> Span {
        let nearest = |position: i64| (position + self.hold / 2).div_euclid(self.hold);
        Span::new(nearest(span.start), nearest(span.end - 1) + 1)
    }

    /// The places that lie at some positions.
    fn inside(&self, span: Span) -> Span {
        let first = (span.start + self.hold - 1).div_euclid(self.hold);
        Span::new(first, (span.end - 1).div_euclid(self.hold) + 1)
    }

    /// From the first to the last of some places.
    fn positions(&self, places: Span) -> Span {
        Span::new(places.start * self.hold, (places.end - 1) * self.hold + 1)
    }

    /// What is computed of a node of which `span` is wanted.
    fn whole(&self, node: NodeId, span: Span) -> Span {
        match self.paces[node] {
            _ if span.is_empty() => span,
            Pace::Each => span,
            Pace::Held => self.positions(self.places(span)),
            Pace::Mixed => span.hull(self.positions(self.places(span))),
        }
    }

    /// The positions at which each node is computed for some outputs.
    pub fn ranges(&self, graph: &Graph, output: Span) -> Ranges {
        let needed = graph.needed_in_blocks(output, |node, span| self.whole(node, span));
        let computed = needed.into_iter().enumerate().map(|(node, span)| self.whole(node, span));
        Ranges { computed: computed.collect(), domains: None }
    }
}

impl Value {
    /// A value of every position.
    pub fn each(tensor: Tensor, span: Span) -> Self {
        Self { each: Some((tensor, span)), held: None, places: OnceCell::new() }
    }

    /// A value of places only.
    fn held(tensor: Tensor, places: Span) -> Self {
        let whole = (tensor.shallow_clone(), places);
        Self { each: None, held: Some((tensor, places)), places: OnceCell::from(whole) }
    }

    /// The whole value at positions, with zeros where it ends before.
    fn at_each(&self, wanted: Span, hold: i64) -> Result<Tensor> {
        let each = self.each.as_ref().map(|(tensor, span)| over(tensor, *span, wanted));
        let held = self.held.as_ref().map(|(tensor, places)| {
            let long = tensor.f_repeat_interleave_self_int(hold, POSITIONS, None)?;
            let start = places.start * hold - hold / 2;
            over(&long, Span::new(start, start + places.len() as i64 * hold), wanted)
        });
        Ok(match (each.transpose()?, held.transpose()?) {
            (Some(each), Some(held)) => each.f_add(&held)?,
            (one, other) => one.or(other).expect("a value has a part"),
        })
    }

    /// The whole value at places.
    fn at_places(&self, wanted: Span, holds: &Holds) -> Result<Tensor> {
        if self.places.get().is_none() {
            let (tensor, span) = self.each.as_ref().expect("a value has a part");
            let all = holds.inside(*span).hull(wanted);
            let inside = over(tensor, *span, holds.positions(all))?;
            let taken = inside.f_slice(POSITIONS, None, None, holds.hold)?;
            self.places.get_or_init(|| (taken, all));
        }
        let (tensor, places) = self.places.get().expect("it was taken");
        over(tensor, *places, wanted)
    }
}

impl Learning {
    /// Over tensors of the shapes that [`Variables`] gives them.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn new(graph: &Graph, variables: &Variables, device: Device) -> Result<Self> {
        let nothing = Weights::new();
        let builder = Builder { graph, weights: &nothing, device, kind: Kind::Float };
        let steps = (0..graph.nodes().len()).map(|node| {
            let name = &graph.nodes()[node].name;
            let own = |suffix: &str| {
                let tensor = variables.get(&format!("{name}.{suffix}"));
                Frozen(tensor.expect("a variable for each parameter").shallow_clone())
            };
            Ok(match graph.nodes()[node].op {
                Op::Conv { bias, dilation, channels, .. } => {
                    let bias = match bias {
                        true => own("bias"),
                        false => Frozen(Tensor::f_zeros([channels as i64], (Kind::Float, device))?),
                    };
                    Step::Conv { weight: own("weight"), bias, dilation: dilation as i64 }
                }
                Op::BatchNorm { epsilon } => Step::BatchNorm {
                    scale: own("scale"),
                    shift: own("shift"),
                    mean: own("mean"),
                    var: own("var"),
                    epsilon,
                },
                Op::Affine => Step::Affine { scale: own("scale"), shift: own("shift") },
                // in 32 bits, as scalars are while a network learns
                Op::Activation { function: Activation::LeakyRelu { slope } } => {
                    let slope = Tensor::f_from_slice(&[slope])?.f_to_device(device)?;
                    Step::LeakyRelu { slope: Frozen(slope) }
                }
                _ => builder.step(node, None)?,
            })
        });
        Ok(Self { steps: steps.collect::<Result<_>>()? })
    }

    /// Evaluates the network at `ranges`, which may be those of a window. Letters and controls cover
    /// the positions `covered`; beyond them, and beyond the domain that a node has in a window, zeros
    /// are read.
    ///
    /// # Errors
    /// What libtorch says; no memory on the device.
    pub fn run(
        &self,
        graph: &Graph,
        ranges: &Ranges,
        holds: &Holds,
        letters: Tensor,
        controls: Option<&Tensor>,
        covered: Span,
    ) -> Result<Outputs> {
        let mut readers = graph.readers();
        let mut values: Vec<Option<Value>> = Vec::with_capacity(self.steps.len());
        values.push(Some(Value::each(letters, covered)));
        for (node, step) in self.steps.iter().enumerate().skip(1) {
            let inputs = &graph.nodes()[node].inputs;
            let value = if inputs.is_empty() {
                let tensor = controls.expect("controls for a network that reads them");
                Value::each(tensor.shallow_clone(), covered)
            } else {
                let of = |input: NodeId| values[input].as_ref().expect("kept to its last reader");
                let read: Vec<(NodeId, &Value)> =
                    inputs.iter().map(|&input| (input, of(input))).collect();
                Self::value(graph, step, node, &read, ranges, holds)?
            };
            values.push(Some(value));
            for &input in inputs {
                readers[input] -= 1;
                if readers[input] == 0 {
                    values[input] = None;
                }
            }
        }
        let span = ranges.computed[graph.output()];
        let output = values[graph.output()].take().expect("a graph has an output");
        let scalars = graph.scalar_head().and_then(|head| values[head].take());
        let scalars = scalars.and_then(|value| value.each).map(|(tensor, _)| tensor);
        Ok(Outputs { rows: output.at_each(span, holds.hold)?, scalars })
    }

    fn value(
        graph: &Graph,
        step: &Step,
        node: NodeId,
        inputs: &[(NodeId, &Value)],
        ranges: &Ranges,
        holds: &Holds,
    ) -> Result<Value> {
        let span = ranges.computed[node];
        let places = holds.places(span);
        match (holds.paces[node], step, &graph.nodes()[node].op) {
            (Pace::Each, ..) => {
                let operand = |(input, value): &(NodeId, &Value)| {
                    value.at_each(ranges.read(graph, node, *input), holds.hold)
                };
                let operands = inputs.iter().map(operand).collect::<Result<_>>()?;
                let tensor = step.apply(operands, false)?;
                // pools add up in 64 bits, the weights behind them have 32
                let scalar = graph.is_scalar(node);
                let tensor = if scalar { tensor.f_to_kind(Kind::Float)? } else { tensor };
                Ok(Value::each(tensor, span))
            }
            (Pace::Held, Step::Conv { weight, bias, dilation }, op) => {
                let reach = op.reach();
                if *dilation == 1 && reach.receptive_field() > 1 {
                    let read = holds.positions(places).widen(reach.left, reach.right);
                    let x = inputs[0].1.at_each(read, holds.hold)?;
                    let y =
                        x.f_conv2d(weight, Some(&**bias), [1, holds.hold], [0, 0], [1, 1], 1)?;
                    return Ok(Value::held(y, places));
                }
                let steps = |bases: u64| bases / holds.hold.unsigned_abs();
                let read = places.widen(steps(reach.left), steps(reach.right));
                let x = inputs[0].1.at_places(read, holds)?;
                // of a pointwise convolution no two taps have a distance
                let dilation = (dilation / holds.hold).max(1);
                let y = x.f_conv2d(weight, Some(&**bias), [1, 1], [0, 0], [1, dilation], 1)?;
                Ok(Value::held(y, places))
            }
            (Pace::Held, ..) => {
                let operand = |(_, value): &(NodeId, &Value)| value.at_places(places, holds);
                let operands = inputs.iter().map(operand).collect::<Result<_>>()?;
                Ok(Value::held(step.apply(operands, false)?, places))
            }
            (Pace::Mixed, ..) => {
                let sum = |parts: Vec<Tensor>| -> Result<Option<Tensor>> {
                    let mut parts = parts.into_iter();
                    let Some(mut sum) = parts.next() else { return Ok(None) };
                    for part in parts {
                        sum = sum.f_add(&part)?;
                    }
                    Ok(Some(sum))
                };
                let parts = |pick: fn(&Value) -> &Option<(Tensor, Span)>, wanted: Span| {
                    let all: Vec<_> =
                        inputs.iter().filter_map(|(_, value)| pick(value).as_ref()).collect();
                    // a part by itself stays as long as it is: to cut it costs a copy of its
                    // gradient
                    if let [(tensor, span)] = all[..] {
                        return Ok(Some((tensor.shallow_clone(), *span)));
                    }
                    let all = all.into_iter().map(|(tensor, span)| over(tensor, *span, wanted));
                    Ok::<_, Error>(sum(all.collect::<Result<_>>()?)?.map(|sum| (sum, wanted)))
                };
                let whole = inputs.iter().map(|(_, value)| value.at_places(places, holds));
                let whole = sum(whole.collect::<Result<_>>()?)?.map(|sum| (sum, places));
                Ok(Value {
                    each: parts(|value| &value.each, span)?,
                    held: parts(|value| &value.held, places)?,
                    places: whole.map_or_else(OnceCell::new, OnceCell::from),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::trainable::{Trainable, numbers};
    use super::*;
    use crate::engine::Device as Place;
    use crate::model::testing::Noise;
    use crate::network::GraphBuilder;

    const HOLD: usize = 4;
    /// Not a multiple of the hold.
    const LENGTH: usize = 22;

    /// Residual units of short and long dilation, and a branch that ends in a concatenation.
    fn graph() -> Graph {
        let mut g = GraphBuilder::new();
        let relu = Op::Activation { function: Activation::Relu };
        let mut x = g.add("stem", Op::centred(5, 3, 1), &[0]).unwrap();
        for (number, dilation) in [4, 1, 8, 4, 12].into_iter().enumerate() {
            let y = g.add(format!("c{number}"), Op::centred(5, 3, dilation), &[x]).unwrap();
            let y = g.add(format!("a{number}"), relu.clone(), &[y]).unwrap();
            let y = g.add(format!("m{number}"), Op::pointwise(5), &[y]).unwrap();
            x = g.add(format!("s{number}"), Op::Add, &[x, y]).unwrap();
        }
        let far = g.add("far", Op::centred(5, 3, 16), &[x]).unwrap();
        let both = g.add("both", Op::Concat, &[x, far]).unwrap();
        g.add("head", Op::centred(2, 3, 1), &[both]).unwrap();
        g.finish().unwrap()
    }

    #[test]
    fn held_convolutions_are_those_whose_taps_lie_multiples_of_the_hold_apart() {
        let graph = graph();
        let holds = Holds::new(&graph, HOLD);
        let of = |name: &str| {
            holds.paces[graph.nodes().iter().position(|node| node.name == name).unwrap()]
        };
        for (name, pace) in [
            ("stem", Pace::Each),
            ("c0", Pace::Held),
            ("m0", Pace::Held),
            ("s0", Pace::Mixed),
            ("c1", Pace::Each),
            ("s1", Pace::Mixed),
            ("c4", Pace::Held),
            ("far", Pace::Held),
            ("both", Pace::Each),
            ("head", Pace::Each),
        ] {
            assert_eq!(of(name), pace, "{name}");
        }
        assert!(Holds::new(&graph, 1).paces.iter().all(|pace| *pace == Pace::Each));
        // 2 is nearest to the positions 6 to 9 where 4 are held
        assert_eq!(holds.places(Span::new(6, 10)), Span::new(2, 3));
        assert_eq!(holds.places(Span::new(-3, 11)), Span::new(-1, 4));
        assert_eq!(holds.inside(Span::new(-3, 9)), Span::new(0, 3));
    }

    #[test]
    fn outputs_of_held_layers_alone_are_given_at_every_position() {
        let mut g = GraphBuilder::new();
        let stem = g.add("stem", Op::centred(3, 3, 1), &[0]).unwrap();
        let [a, b] = [4, 8].map(|dilation| {
            g.add(format!("far{dilation}"), Op::centred(3, 3, dilation), &[stem]).unwrap()
        });
        let both = g.add("both", Op::Concat, &[a, b]).unwrap();
        g.add("head", Op::pointwise(2), &[both]).unwrap();
        let graph = g.finish().unwrap();
        assert_eq!(Holds::new(&graph, HOLD).paces[graph.output()], Pace::Each);
        let mut noise = Noise::new(5);
        let tensor = |one: crate::network::Parameter| (one.name, noise.tensor(&one.shape));
        let weights: Weights = graph.parameters().into_iter().map(tensor).collect();
        let network = Trainable::new(&graph, &weights, Place::Cpu, 1).unwrap();
        let width = LENGTH as i64 + 18;
        let codes = Tensor::zeros([1, width], (Kind::Uint8, Device::Cpu));
        let rows = network.forward(&codes, None, LENGTH, HOLD).unwrap().rows;
        assert_eq!(rows.size(), [1, 2, LENGTH as i64]);
    }

    /// Where every layer that is not held looks at its own position only, the outputs at multiples
    /// of the hold are those of the whole network, and so are their gradients.
    #[test]
    fn at_its_places_a_held_network_is_the_whole_network() {
        let mut g = GraphBuilder::new();
        let relu = Op::Activation { function: Activation::Relu };
        let mut x = g.add("stem", Op::centred(5, 3, 1), &[0]).unwrap();
        x = g.add("c1", Op::centred(5, 3, 1), &[x]).unwrap();
        let y = g.add("pool", Op::centred(5, 6, 1), &[x]).unwrap();
        x = g.add("pooled", Op::Add, &[x, y]).unwrap();
        for (number, dilation) in [4, 8, 12].into_iter().enumerate() {
            let y = g.add(format!("far{number}"), Op::centred(5, 3, dilation), &[x]).unwrap();
            let y = g.add(format!("act{number}"), relu.clone(), &[y]).unwrap();
            x = g.add(format!("sum{number}"), Op::Add, &[x, y]).unwrap();
        }
        g.add("head", Op::pointwise(2), &[x]).unwrap();
        let graph = g.finish().unwrap();
        let mut noise = Noise::new(3);
        let weights: Weights = graph
            .parameters()
            .into_iter()
            .map(|parameter| {
                let mut tensor = noise.tensor(&parameter.shape);
                tensor.values.iter_mut().for_each(|value| *value -= 1.0);
                (parameter.name, tensor)
            })
            .collect();
        let network = Trainable::new(&graph, &weights, Place::Cpu, 1).unwrap();
        let reach = graph.reach();
        let width = LENGTH + usize::try_from(reach.left + reach.right).unwrap();
        let codes: Vec<u8> = (0..2 * width).map(|_| (noise.value() * 50.0) as u8 % 4).collect();
        let codes = Tensor::from_data_size(&codes, &[2, width as i64], Kind::Uint8);
        let run = |hold: usize| {
            let rows = network.forward(&codes, None, LENGTH, hold).unwrap().rows;
            // all but the last place, from which the sequence beyond the examples can be seen
            let rows = rows.slice(2, 0, 17, HOLD as i64);
            let (_, learned): (Vec<&String>, Vec<&Tensor>) = network.learned().unzip();
            let loss = rows.square().sum(Kind::Float);
            let gradients = Tensor::f_run_backward(&[&loss], &learned, false, false).unwrap();
            let gradients: Vec<Vec<f32>> =
                gradients.iter().map(|gradient| numbers(gradient).unwrap()).collect();
            (numbers(&rows).unwrap(), gradients.concat())
        };
        let (whole, held) = (run(1), run(HOLD));
        for (whole, held) in [(whole.0, held.0), (whole.1, held.1)] {
            assert_eq!(whole.len(), held.len());
            let scale = whole.iter().fold(0.0f32, |most, value| most.max(value.abs()));
            for (a, b) in whole.iter().zip(&held) {
                assert!((a - b).abs() < 1e-5 * scale, "{a} and {b} of {scale}");
            }
        }
        let all = |hold: usize| {
            numbers(&network.forward(&codes, None, LENGTH, hold).unwrap().rows).unwrap()
        };
        assert_ne!(all(1), all(HOLD), "between the places it is an estimate");
    }
}
