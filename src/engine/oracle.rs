//! The definition of what a network computes: plain loops in f64 over the graph as written, no
//! folding, no fusing. Slow; the judge in tests, and `--engine oracle` for doubts.

use super::encode::{control_rows, one_hot};
use super::mix::{Mixer, Output};
use super::{Engine, Job, Values, Wanted};
use crate::error::Result;
use crate::model::{Model, UnknownBase, Weights, Window};
use crate::network::graph::INPUT_CHANNELS;
use crate::network::{Activation, Graph, Node, NodeId, Op, Reach, Span};
use rayon::prelude::*;

/// Runs members in f64.
pub struct Oracle {
    mixer: Mixer,
    networks: Vec<Graph>,
    members: Vec<(usize, Weights)>,
    unknown: UnknownBase,
    window: Option<Window>,
    reach: Reach,
}

/// What one member computes over the positions of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberValues {
    /// `[position][channel]` of the network's output.
    pub rows: Vec<Vec<f64>>,
    /// `[channel]` of its scalar head; empty without one.
    pub scalars: Vec<f64>,
}

impl Oracle {
    /// For some outputs of a model.
    pub fn new(model: &Model, wanted: impl Into<Wanted>) -> Self {
        let mixer = Mixer::new(wanted.into());
        let networks = mixer.members().iter().map(|&m| &model.networks[model.members[m].network]);
        let reach = match model.window {
            None => networks.map(Graph::reach).fold(Reach::default(), Reach::hull),
            Some(_) => model.flanks(),
        };
        let members = model.members.iter().map(|m| (m.network, m.weights.clone())).collect();
        let (networks, unknown) = (model.networks.clone(), model.unknown_base);
        Self { mixer, networks, members, unknown, window: model.window, reach }
    }

    /// One member over the job's positions.
    pub fn member(&self, member: usize, job: &Job) -> MemberValues {
        let (network, weights) = &self.members[member];
        let graph = &self.networks[*network];
        let rows = one_hot(&job.letters, self.unknown);
        let (spans, input) = match self.window {
            Some(window) => {
                let domains = graph.domains(window.span());
                let needed = graph.needed_in_window(&domains, |_, span| span);
                let inside = needed.iter().zip(&domains).map(|(n, d)| n.intersect(*d));
                let mut spans: Vec<Span> = inside.collect();
                spans[0] = window.span();
                (spans, &rows[..])
            }
            None => {
                let spans = graph.needed(Span::new(0, job.length as i64));
                (spans, own_rows(&rows, self.reach, graph.reach(), job.length))
            }
        };
        let control = graph.control().map_or(0, |node| graph.channels(node));
        let controls = control_rows(&job.controls, control, job.letters.len());
        let wide = |values: &[f32]| values.iter().copied().map(f64::from).collect();
        evaluate(graph, weights, &spans, Inputs { bases: wide(input), controls: wide(&controls) })
    }
}

impl Engine for Oracle {
    fn describe(&self) -> String {
        "oracle (f64 loops)".into()
    }

    fn reach(&self) -> Reach {
        self.reach
    }

    fn bytes_per_position(&self) -> u64 {
        let widest = self.networks.iter().map(|graph| {
            (0..graph.nodes().len()).map(|node| graph.channels(node) as u64 * 8).sum::<u64>()
        });
        widest.max().unwrap_or(0)
    }

    fn overhead_positions(&self) -> u64 {
        self.reach.left + self.reach.right
    }

    fn is_windowed(&self) -> bool {
        self.window.is_some()
    }

    fn run(
        &self,
        jobs: &[Job],
        after_each: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<Vec<Values>> {
        let one = |(index, job): (usize, &Job)| {
            let values = self.mixer.mix(job.length, |member, take| {
                let MemberValues { rows, scalars } = self.member(member, job);
                let stride = rows.first().map_or(1, Vec::len);
                let values: Vec<f32> = rows.into_iter().flatten().map(|v| v as f32).collect();
                take(Output { values: &values, stride, scalars: &scalars });
                Ok(())
            })?;
            after_each(index)?;
            Ok(values)
        };
        jobs.par_iter().enumerate().map(one).collect()
    }
}

/// The encoded rows, four channels each, that a network of reach `own` reads of a stretch that
/// was cut for `hull`.
fn own_rows(rows: &[f32], hull: Reach, own: Reach, length: usize) -> &[f32] {
    let fits = |bases: u64| usize::try_from(bases).expect("a job's context fits memory");
    let (skip, context) = (fits(hull.left - own.left), fits(own.left + own.right));
    &rows[skip * INPUT_CHANNELS..][..(context + length) * INPUT_CHANNELS]
}

/// A table of numbers over a span of positions.
struct Table {
    span: Span,
    channels: usize,
    values: Vec<f64>,
}

impl Table {
    /// The row of a position; none beyond the window, where readers see zeros.
    fn at(&self, position: i64) -> Option<&[f64]> {
        let row = usize::try_from(position - self.span.start).ok()?;
        self.values.get(row * self.channels..(row + 1) * self.channels)
    }

    fn row(&self, position: i64) -> &[f64] {
        self.at(position).expect("a position that was computed")
    }

    fn rows(&self, span: Span) -> impl Iterator<Item = &[f64]> {
        (span.start..span.end).map(|position| self.row(position))
    }
}

/// What the input nodes hold over their spans, row after row.
struct Inputs {
    bases: Vec<f64>,
    controls: Vec<f64>,
}

/// Evaluates the graph; each node over its span.
fn evaluate(graph: &Graph, weights: &Weights, spans: &[Span], inputs: Inputs) -> MemberValues {
    let Inputs { bases, controls } = inputs;
    let mut tables: Vec<Table> = Vec::with_capacity(spans.len());
    for (id, node) in graph.nodes().iter().enumerate() {
        let channels = graph.channels(id);
        let (span, values) = match node.op {
            Op::Input => (spans[id], bases.clone()),
            // controls are given over all positions of the sequence
            Op::Control { .. } => (spans[0], controls.clone()),
            _ => {
                let inputs: Vec<&Table> = node.inputs.iter().map(|&input| &tables[input]).collect();
                let over = (spans[id], spans[node.inputs[0]]);
                (spans[id], compute(node, weights, channels, &inputs, over))
            }
        };
        let span = Span::new(span.start, span.start + (values.len() / channels) as i64);
        tables.push(Table { span, channels, values });
    }
    let rows = tables[graph.output()].rows(spans[graph.output()]).map(<[f64]>::to_vec).collect();
    let scalars = graph.scalar_head().map_or(Vec::new(), |head| tables[head].values.clone());
    MemberValues { rows, scalars }
}

/// The scalar head of a graph in f64, from the values of some of its scalars: what is left of a
/// network for whoever computes positions. `known` gives those that are known, among them whatever
/// the others read.
pub(crate) fn scalar_head(
    graph: &Graph,
    weights: &Weights,
    mut known: impl FnMut(NodeId) -> Option<Vec<f64>>,
) -> Vec<f64> {
    let mut tables: Vec<Table> = Vec::with_capacity(graph.nodes().len());
    for (id, node) in graph.nodes().iter().enumerate() {
        let channels = graph.channels(id);
        let inputs: Vec<&Table> = node.inputs.iter().map(|&input| &tables[input]).collect();
        let there = inputs.iter().all(|table| !table.values.is_empty());
        let value = match known(id) {
            None if graph.is_scalar(id) && there && !node.op.pools() => {
                compute(node, weights, channels, &inputs, (Span::SCALAR, Span::SCALAR))
            }
            value => value.unwrap_or_default(),
        };
        let span = if value.is_empty() { Span::EMPTY } else { Span::SCALAR };
        tables.push(Table { span, channels, values: value });
    }
    graph.scalar_head().map_or(Vec::new(), |head| tables[head].values.clone())
}

/// The tensors of the scalar nodes.
pub(crate) fn scalar_weights(graph: &Graph, weights: &Weights) -> Weights {
    let scalars = (0..graph.nodes().len()).filter(|&node| graph.is_scalar(node));
    let names = scalars.flat_map(|node| graph.node_parameters(node));
    names.map(|parameter| (parameter.name.clone(), weights[&parameter.name].clone())).collect()
}

/// The values of a node over a span; of a pooling node those over all of `pooled`.
fn compute(
    node: &Node,
    weights: &Weights,
    channels: usize,
    inputs: &[&Table],
    (span, pooled): (Span, Span),
) -> Vec<f64> {
    match node.op {
        Op::Conv { .. } => convolve(node, weights, channels, inputs[0], span),
        Op::Mean => {
            let mut sums = vec![0.0; channels];
            let rows = inputs[0].rows(pooled);
            rows.for_each(|row| sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x));
            sums.into_iter().map(|sum| sum / pooled.len() as f64).collect()
        }
        Op::LogTotal { offset } => {
            vec![(offset + inputs[0].rows(pooled).flatten().sum::<f64>()).ln()]
        }
        _ => (span.start..span.end).flat_map(|t| row(node, weights, inputs, t)).collect(),
    }
}

fn tensor<'a>(node: &Node, weights: &'a Weights, suffix: &str) -> &'a [f32] {
    &weights[&format!("{}.{suffix}", node.name)].values
}

/// `y[t, o] = bias[o] + sum over taps j and inputs i of weight[o, i, j] x[t + j dilation - left, i]`
fn convolve(node: &Node, weights: &Weights, channels: usize, x: &Table, span: Span) -> Vec<f64> {
    let Op::Conv { kernel, dilation, left, bias, .. } = node.op else {
        unreachable!("called for convolutions only")
    };
    let weight = tensor(node, weights, "weight");
    // [tap, in, out], so that the innermost loop runs over neighbours in memory
    let mut by_tap = Vec::with_capacity(weight.len());
    for tap in 0..kernel {
        for i in 0..x.channels {
            let column = (0..channels).map(|o| weight[(o * x.channels + i) * kernel + tap]);
            by_tap.extend(column.map(f64::from));
        }
    }
    let start: Vec<f64> = match bias {
        true => tensor(node, weights, "bias").iter().map(|&b| f64::from(b)).collect(),
        false => vec![0.0; channels],
    };
    let mut values = Vec::with_capacity(span.len() * channels);
    for t in span.start..span.end {
        let mut sums = start.clone();
        let mut columns = by_tap.chunks_exact(channels);
        for tap in 0..kernel {
            let columns = columns.by_ref().take(x.channels);
            let Some(row) = x.at(t + (tap * dilation) as i64 - left as i64) else {
                columns.for_each(drop);
                continue;
            };
            for (&x, column) in row.iter().zip(columns) {
                sums.iter_mut().zip(column).for_each(|(sum, w)| *sum += w * x);
            }
        }
        values.extend(sums);
    }
    values
}

/// One position of a node that works position by position, from the tables of its inputs.
fn row(node: &Node, weights: &Weights, inputs: &[&Table], t: i64) -> Vec<f64> {
    let input = |i: usize| inputs[i].row(t);
    let inputs = || inputs.iter().map(|table| table.row(t));
    let per_channel = |suffix: &str, c: usize| f64::from(tensor(node, weights, suffix)[c]);
    match node.op {
        Op::Input | Op::Control { .. } | Op::Conv { .. } | Op::Mean | Op::LogTotal { .. } => {
            unreachable!("handled by the callers")
        }
        Op::Crop { .. } => input(0).to_vec(),
        Op::LogSumExp => {
            let sum = |c: usize| {
                let largest = inputs().map(|row| row[c]).fold(f64::NEG_INFINITY, f64::max);
                largest + inputs().map(|row| (row[c] - largest).exp()).sum::<f64>().ln()
            };
            (0..input(0).len()).map(sum).collect()
        }
        Op::BatchNorm { epsilon } => {
            let norm = |(c, &x): (usize, &f64)| {
                let deviation = (per_channel("var", c) + epsilon).sqrt();
                let x = (x - per_channel("mean", c)) / deviation;
                per_channel("scale", c) * x + per_channel("shift", c)
            };
            input(0).iter().enumerate().map(norm).collect()
        }
        Op::Affine => {
            let affine =
                |(c, &x): (usize, &f64)| per_channel("scale", c) * x + per_channel("shift", c);
            input(0).iter().enumerate().map(affine).collect()
        }
        Op::Activation { function } => input(0).iter().map(|&x| activate(function, x)).collect(),
        Op::Softmax => {
            let largest = input(0).iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let powers: Vec<f64> = input(0).iter().map(|x| (x - largest).exp()).collect();
            let sum: f64 = powers.iter().sum();
            powers.into_iter().map(|power| power / sum).collect()
        }
        Op::Gate => {
            let pairs = input(0).iter().zip(input(1));
            pairs.map(|(&a, &b)| a.tanh() * activate(Activation::Sigmoid, b)).collect()
        }
        Op::Add => {
            let width = input(0).len();
            (0..width).map(|c| inputs().map(|row| row[c]).sum()).collect()
        }
        Op::Concat => inputs().flatten().copied().collect(),
    }
}

/// The elementwise functions in f64.
pub fn activate(function: Activation, x: f64) -> f64 {
    use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_PI};
    match function {
        Activation::Relu => keep_positive(x, 0.0),
        Activation::LeakyRelu { slope } => keep_positive(x, f64::from(slope)),
        Activation::Gelu => 0.5 * x * (1.0 + libm::erf(x * FRAC_1_SQRT_2)),
        Activation::GeluTanh => {
            0.5 * x * (1.0 + (FRAC_2_PI.sqrt() * (x + 0.044_715 * x * x * x)).tanh())
        }
        Activation::Tanh => x.tanh(),
        Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Activation::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        Activation::Exp => x.exp(),
    }
}

/// `x`, or `slope · x` below zero. A NaN stays a NaN, so that it can be reported.
fn keep_positive(x: f64, slope: f64) -> f64 {
    if x < 0.0 { slope * x } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Tensor;
    use crate::network::{GraphBuilder, Padding};

    fn weights(list: &[(&str, &[usize], &[f32])]) -> Weights {
        let tensor = |shape: &[usize], values: &[f32]| Tensor {
            shape: shape.to_vec(),
            values: values.to_vec(),
        };
        list.iter().map(|(name, shape, values)| (name.to_string(), tensor(shape, values))).collect()
    }

    #[test]
    fn an_even_dilated_convolution_by_hand() {
        // taps at t - 1 and t + 2 (kernel 2, dilation 3, left 1); weights: A 1, C 10 and T 100, G 5
        let mut g = GraphBuilder::new();
        let op = Op::Conv {
            channels: 1,
            kernel: 2,
            dilation: 3,
            left: 1,
            bias: true,
            padding: Padding::None,
        };
        g.add("c", op, &[0]).unwrap();
        let graph = g.finish().unwrap();
        let w = weights(&[
            ("c.weight", &[1, 4, 2], &[1., 0., 10., 0., 0., 5., 0., 100.]),
            ("c.bias", &[1], &[0.5]),
        ]);
        // letters at t = -1..4: A C G T C, outputs at 0 and 1
        let input = one_hot(b"ACGTC", UnknownBase::Zero).into_iter().map(f64::from).collect();
        let spans = graph.needed(Span::new(0, 2));
        let inputs = Inputs { bases: input, controls: vec![] };
        // t = 0: A at -1 gives 1, T at 2 gives 100; t = 1: C at 0 gives 10, C at 3 gives 0
        let values = evaluate(&graph, &w, &spans, inputs);
        assert_eq!(values, MemberValues { rows: vec![vec![101.5], vec![10.5]], scalars: vec![] });
    }

    #[test]
    fn activations_at_known_points() {
        // values from the formulas with 50-digit arithmetic, cut to 12 digits
        for (function, x, expected) in [
            (Activation::Relu, -2.0, 0.0),
            (Activation::LeakyRelu { slope: 0.1 }, -2.0, -0.2),
            (Activation::Gelu, 1.0, 0.841_344_746_069),
            (Activation::GeluTanh, 1.0, 0.841_191_990_608),
            (Activation::Tanh, 0.5, 0.462_117_157_260),
            (Activation::Sigmoid, -1.0, 0.268_941_421_370),
            (Activation::Softplus, 1.0, 1.313_261_687_518),
            (Activation::Softplus, 40.0, 40.0),
            (Activation::Exp, 1.0, std::f64::consts::E),
        ] {
            let got = activate(function, x);
            assert!((got - expected).abs() < 1e-8, "{function:?}({x}) = {got}");
        }
    }

    #[test]
    fn a_nan_is_not_hidden_by_an_activation() {
        assert!(activate(Activation::Relu, f64::NAN).is_nan());
    }
}
