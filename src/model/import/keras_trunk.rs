//! Recognises the shared trunk in the wiring of a Keras model, forward from its input: which layer
//! is which node, and the geometry that the layers state. Nothing is taken from layer numbers.

use super::keras_config::{Conv, Layer, Wiring};
use super::tensors::LayerNames;
use super::trunk::Output;
use crate::error::{Error, Result};
use crate::network::Activation;
use crate::network::blocks::{Dilated, GroupedSpec};
use std::collections::BTreeSet;

/// A trunk with its head, as the wiring has it.
#[derive(Debug)]
pub(super) struct Recognised {
    pub spec: GroupedSpec,
    pub classes: usize,
    pub output: Output,
    /// Positions cut off on the left and on the right before the output.
    pub crop: (u64, u64),
    pub layers: LayerNames,
}

/// Finds stem, units, skips and head.
///
/// # Errors
/// The first layer that does not fit, by name.
pub(super) fn recognise(wiring: &Wiring) -> Result<Recognised> {
    if let Some(lambda) = wiring.layers.values().find(|layer| layer.class == "Lambda") {
        return Err(lambda.refuse("holds program code, which is never run"));
    }
    let mut walk = Walk { wiring, seen: BTreeSet::new(), names: LayerNames::new(), settings: None };
    let input = walk.visit(wiring.layer(&wiring.input)?)?;
    if input.class != "InputLayer" || input.input_channels() != Some(4) {
        return Err(input.refuse("is not an input of one-hot bases").expected("4 channels"));
    }
    let stem = walk.only_reader(input)?;
    let channels = walk.pointwise("stem", stem, None)?.filters;
    let mut x = stem;
    let mut sum = walk.skip(x, 0, channels)?.ok_or_else(|| {
        stem.refuse("has no skip").expected("a pointwise Conv1D that reads the stem")
    })?;
    let mut groups: Vec<Vec<Dilated>> = Vec::new();
    let mut open = Vec::new();
    let mut unit = 0;
    while let Some((taps, end)) = walk.unit(x, unit, channels)? {
        open.push(taps);
        unit += 1;
        x = end;
        if let Some(skip) = walk.skip(x, groups.len() + 1, channels)? {
            sum = walk.add(skip, sum)?;
            groups.push(std::mem::take(&mut open));
        }
    }
    if !open.is_empty() {
        return Err(x.refuse("ends the residual units but adds nothing to the skips"));
    }
    let Some((activation, epsilon)) = walk.settings else {
        return Err(stem.refuse("is followed by no residual unit"));
    };
    let (classes, output, crop) = walk.tail(sum)?;
    walk.refuse_unseen()?;
    let spec = GroupedSpec { channels, groups, activation, epsilon };
    Ok(Recognised { spec, classes, output, crop, layers: walk.names })
}

struct Walk<'a> {
    wiring: &'a Wiring,
    seen: BTreeSet<&'a str>,
    names: LayerNames,
    /// Activation and epsilon of the first unit; all others must be equal.
    settings: Option<(Activation, f64)>,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, layer: &'a Layer) -> Result<&'a Layer> {
        if self.seen.insert(&layer.name) {
            Ok(layer)
        } else {
            Err(layer.refuse("is reached twice"))
        }
    }

    /// The one layer that reads `layer`, and reads nothing else.
    fn only_reader(&mut self, layer: &Layer) -> Result<&'a Layer> {
        let readers = self.wiring.readers(&layer.name);
        match readers.as_slice() {
            [reader] if reader.inputs.len() == 1 => self.visit(reader),
            _ => {
                let names: Vec<&str> = readers.iter().map(|r| r.name.as_str()).collect();
                Err(layer
                    .refuse("must be read by exactly one layer, and alone")
                    .found(names.join(", ")))
            }
        }
    }

    /// The reader of `layer` that has this class, if there is one.
    fn reader_of_class(&self, layer: &Layer, class: &str) -> Result<Option<&'a Layer>> {
        let readers = self.wiring.readers(&layer.name);
        let mut of_class = readers.into_iter().filter(|reader| reader.class == class);
        match (of_class.next(), of_class.next()) {
            (found, None) => Ok(found),
            (_, Some(second)) => {
                Err(second.refuse(format!("is a second {class} that reads layer {:?}", layer.name)))
            }
        }
    }

    /// The `Add` that reads exactly these two layers.
    fn add(&mut self, last: &Layer, earlier: &Layer) -> Result<&'a Layer> {
        let readers = self.wiring.readers(&last.name);
        let mut expected = [&last.name, &earlier.name];
        expected.sort();
        match readers.as_slice() {
            [add] if add.class == "Add" => {
                let mut inputs: Vec<&String> = add.inputs.iter().collect();
                inputs.sort();
                if inputs == expected {
                    self.visit(add)
                } else {
                    Err(add
                        .refuse("adds other layers than the trunk does")
                        .found(add.inputs.join(", "))
                        .expected(format!("{} and {}", last.name, earlier.name)))
                }
            }
            _ => Err(last.refuse(format!("is not simply added to layer {:?}", earlier.name))),
        }
    }

    /// A convolution with one tap; `channels` output channels if given, and no activation.
    fn pointwise(&mut self, node: &str, layer: &Layer, channels: Option<usize>) -> Result<Conv> {
        let conv = self.conv(node, layer, channels)?;
        if conv.taps.kernel != 1 {
            return Err(layer
                .refuse("must be pointwise")
                .found(format!("a kernel of {} taps", conv.taps.kernel))
                .expected(1));
        }
        Ok(conv)
    }

    fn conv(&mut self, node: &str, layer: &Layer, channels: Option<usize>) -> Result<Conv> {
        let conv = layer.conv()?;
        if layer.activation_name() != "linear" {
            return Err(layer
                .refuse("applies an activation where the trunk has none")
                .found(layer.activation_name()));
        }
        if let Some(channels) = channels.filter(|&channels| channels != conv.filters) {
            return Err(layer
                .refuse("changes the width of the trunk")
                .found(format!("{} filters", conv.filters))
                .expected(channels));
        }
        self.names.insert(node.to_string(), layer.name.clone());
        Ok(conv)
    }

    /// The pointwise convolution from the stream to the skip sum, where there is one.
    fn skip(&mut self, x: &Layer, g: usize, channels: usize) -> Result<Option<&'a Layer>> {
        let Some(layer) = self.reader_of_class(x, "Conv1D")? else { return Ok(None) };
        self.visit(layer)?;
        self.pointwise(&format!("skip.{g}"), layer, Some(channels))?;
        Ok(Some(layer))
    }

    /// The residual unit that starts at `x`: its geometry and the `Add` that ends it.
    fn unit(
        &mut self,
        x: &'a Layer,
        unit: usize,
        channels: usize,
    ) -> Result<Option<(Dilated, &'a Layer)>> {
        let Some(norm1) = self.reader_of_class(x, "BatchNormalization")? else { return Ok(None) };
        self.visit(norm1)?;
        let (first, conv1) = self.half_unit(norm1, &format!("unit.{unit}"), 1, channels)?;
        let norm2 = self.only_reader(conv1)?;
        let (second, conv2) = self.half_unit(norm2, &format!("unit.{unit}"), 2, channels)?;
        if first != second {
            return Err(conv2
                .refuse(format!("differs in geometry from layer {:?} of its unit", conv1.name))
                .found(format!("kernel {}, dilation {}", second.kernel, second.dilation))
                .expected(format!("kernel {}, dilation {}", first.kernel, first.dilation)));
        }
        let end = self.add(conv2, x)?;
        Ok(Some((first, end)))
    }

    fn half_unit(
        &mut self,
        norm: &'a Layer,
        unit: &str,
        half: usize,
        channels: usize,
    ) -> Result<(Dilated, &'a Layer)> {
        let epsilon = norm.epsilon()?;
        self.names.insert(format!("{unit}.norm{half}"), norm.name.clone());
        let act = self.only_reader(norm)?;
        let settings = (act.activation()?, epsilon);
        if *self.settings.get_or_insert(settings) != settings {
            return Err(act
                .refuse("and its normalisation differ from those of the first unit")
                .found(format!("{settings:?}"))
                .expected(format!("{:?}", self.settings)));
        }
        let layer = self.only_reader(act)?;
        let conv = self.conv(&format!("{unit}.conv{half}"), layer, Some(channels))?;
        Ok((conv.taps, layer))
    }

    /// From the skip sum to the output: a pointwise head, its function, and croppings anywhere.
    fn tail(&mut self, sum: &'a Layer) -> Result<(usize, Output, (u64, u64))> {
        let mut at = sum;
        let mut crop = (0u64, 0u64);
        let mut classes = None;
        let mut output = None;
        while at.name != self.wiring.output {
            at = self.only_reader(at)?;
            match (at.class.as_str(), classes) {
                ("Cropping1D", _) => {
                    let (left, right) = at.cropping()?;
                    crop = (crop.0.saturating_add(left), crop.1.saturating_add(right));
                }
                ("Conv1D", None) => {
                    let conv = at.conv()?;
                    if conv.taps.kernel != 1 {
                        return Err(at.refuse("must be pointwise, as the head"));
                    }
                    self.names.insert("head".to_string(), at.name.clone());
                    classes = Some(conv.filters);
                    if at.activation_name() != "linear" {
                        output = Some(output_function(at, at.activation_name())?);
                    }
                }
                ("Activation", Some(_)) if output.is_none() => {
                    output = Some(output_function(at, at.activation_name())?);
                }
                ("Softmax", Some(_)) if output.is_none() => output = Some(Output::Softmax),
                _ => return Err(at.refuse("stands where the head of the network is expected")),
            }
        }
        if let Some(reader) = self.wiring.readers(&at.name).first() {
            return Err(reader.refuse("reads the output of the network"));
        }
        let classes = classes.ok_or_else(|| at.refuse("ends the network without a head"))?;
        let output = output.ok_or_else(|| {
            at.refuse("gives raw scores").expected("a softmax or sigmoid at the end")
        })?;
        Ok((classes, output, crop))
    }

    fn refuse_unseen(&self) -> Result<()> {
        let unseen = self.wiring.layers.values().find(|l| !self.seen.contains(l.name.as_str()));
        unseen.map_or(Ok(()), |layer| Err(layer.refuse("is not part of the known network")))
    }
}

fn output_function(layer: &Layer, name: &str) -> Result<Output> {
    match name {
        "softmax" => Ok(Output::Softmax),
        "sigmoid" => Ok(Output::Sigmoid),
        other => Err(layer
            .refuse("ends the network with a function that is not supported")
            .found(other)
            .expected("softmax or sigmoid")),
    }
}

/// Whether the outputs that are kept never see the zeros beyond the window in hidden layers, so that
/// the network may be computed without a window (networks.md 6).
///
/// A crop that is the mean of both reaches, where they differ by the halves of even kernels only, is
/// accepted too: what the last few outputs then see of the zeros is below rounding in the published
/// network of this kind, and without a window they see none (networks.md 2, TranslationAI).
pub(super) fn check_crop(recognised: &Recognised, left: u64, right: u64) -> Result<()> {
    let (cut_left, cut_right) = recognised.crop;
    let enough = cut_left >= left && cut_right >= right;
    let halves = recognised.spec.groups.iter().flatten().all(|taps| {
        let span = taps.kernel.saturating_sub(1).saturating_mul(taps.dilation);
        span.saturating_sub(taps.left).abs_diff(taps.left) <= 1
    });
    let mean = cut_left == cut_right && cut_left.checked_add(cut_right) == left.checked_add(right);
    if enough || (halves && mean) {
        return Ok(());
    }
    Err(Error::new("the outputs of the network see the zero padding of hidden layers at the edges")
        .found(format!("cropping of {cut_left} and {cut_right}"))
        .expected(format!("at least {left} and {right}, as far as the network reaches"))
        .remedy("say the length of its input with --window: then it is run in windows"))
}
