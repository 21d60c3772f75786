//! The `model_config` of a Keras file: layers, what they read, and their settings
//! (weight-files.md 2).

use crate::error::{Error, Result};
use crate::model::json;
use crate::network::Activation;
use crate::network::blocks::Dilated;
use serde_json::Value;
use std::collections::BTreeMap;

/// No published network comes near; it bounds the work on a hostile file.
const MOST_LAYERS: usize = 5000;

/// A layer and the layers that it reads.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub name: String,
    pub class: String,
    pub inputs: Vec<String>,
    config: Value,
}

/// All layers of a network with one input and one output.
#[derive(Debug)]
pub(super) struct Wiring {
    pub layers: BTreeMap<String, Layer>,
    pub input: String,
    pub output: String,
}

/// A convolution as its layer describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Conv {
    pub filters: usize,
    pub taps: Dilated,
}

impl Wiring {
    /// Reads the JSON text. Layers that change nothing at prediction time are left out.
    ///
    /// # Errors
    /// Not a functional model with one input and one output.
    pub fn parse(text: &str) -> Result<Self> {
        let config = json::parse(text).map_err(|e| {
            Error::new(format!("the model_config of the file cannot be understood: {e}"))
        })?;
        let class = config["class_name"].as_str().unwrap_or_default();
        if !["Model", "Functional"].contains(&class) {
            return Err(Error::new("the Keras model is of a kind that is not supported")
                .found(format!("class {class:?}"))
                .expected("Model or Functional"));
        }
        let config = &config["config"];
        let layers = layers(config)?;
        let mut wiring = Self {
            input: end(&config["input_layers"], "input")?,
            output: end(&config["output_layers"], "output")?,
            layers,
        };
        wiring.bypass_identities();
        for layer in wiring.layers.values() {
            if let Some(input) = layer.inputs.iter().find(|name| !wiring.layers.contains_key(*name))
            {
                return Err(Error::new(format!("layer {:?} reads what is not there", layer.name))
                    .found(format!("layer {input:?}")));
            }
        }
        wiring.layer(&wiring.input)?;
        wiring.layer(&wiring.output)?;
        Ok(wiring)
    }

    /// A layer by its name.
    pub fn layer(&self, name: &str) -> Result<&Layer> {
        self.layers
            .get(name)
            .ok_or_else(|| Error::new(format!("layer {name:?} is not in the model_config")))
    }

    /// Layers that read `name`, in alphabetical order.
    pub fn readers(&self, name: &str) -> Vec<&Layer> {
        self.layers.values().filter(|l| l.inputs.iter().any(|input| input == name)).collect()
    }

    /// Takes out dropout and linear activations: whoever reads them reads their input.
    fn bypass_identities(&mut self) {
        let identity = |layer: &&Layer| layer.is_identity() && layer.inputs.len() == 1;
        while let Some(name) = self.layers.values().find(identity).map(|layer| layer.name.clone()) {
            let Some(input) = self.layers.remove(&name).and_then(|mut layer| layer.inputs.pop())
            else {
                return;
            };
            let reads = self.layers.values_mut().flat_map(|layer| &mut layer.inputs);
            reads.filter(|read| **read == name).for_each(|read| read.clone_from(&input));
            if self.output == name {
                self.output = input;
            }
        }
    }
}

/// The layers of the `config` of a model, by name.
///
/// # Errors
/// A layer that cannot be understood, two of one name, or too many.
pub(super) fn layers(config: &Value) -> Result<BTreeMap<String, Layer>> {
    let listed = config["layers"].as_array().map_or(&[][..], Vec::as_slice);
    if listed.len() > MOST_LAYERS {
        return Err(Error::new("the Keras model has too many layers")
            .found(listed.len())
            .expected(format!("at most {MOST_LAYERS}")));
    }
    let mut layers = BTreeMap::new();
    for layer in listed {
        let layer = Layer::parse(layer)?;
        let name = layer.name.clone();
        if layers.insert(name.clone(), layer).is_some() {
            return Err(Error::new(format!("two layers have the name {name:?}")));
        }
    }
    Ok(layers)
}

/// The one entry of `input_layers` or `output_layers`.
fn end(value: &Value, what: &str) -> Result<String> {
    // Newer writers store a lone end without the outer list.
    let nested = value.pointer("/0/0").and_then(Value::as_str);
    let flat = value.pointer("/0").and_then(Value::as_str);
    let count = if flat.is_some() { 1 } else { value.as_array().map_or(0, Vec::len) };
    match (nested.or(flat), count) {
        (Some(name), 1) => Ok(name.to_string()),
        _ => Err(Error::new(format!("the Keras model must have one {what}"))
            .found(count)
            .expected(1)),
    }
}

impl Layer {
    fn parse(value: &Value) -> Result<Self> {
        let text = |key: &str| value[key].as_str().map(str::to_string);
        let name = text("name").or_else(|| value["config"]["name"].as_str().map(str::to_string));
        let (Some(name), Some(class)) = (name, text("class_name")) else {
            return Err(Error::new("a layer of the model_config has no name or class"));
        };
        let nodes = value["inbound_nodes"].as_array().map_or(&[][..], Vec::as_slice);
        if nodes.len() > 1 {
            return Err(Error::new(format!("layer {name:?} is used more than once"))
                .found(format!("{} times", nodes.len()))
                .expected("layers that are not shared"));
        }
        let mut inputs = Vec::new();
        for node in nodes {
            collect_inputs(node, &mut inputs).map_err(|()| {
                Error::new(format!("the inputs of layer {name:?} cannot be understood"))
            })?;
        }
        Ok(Self { name, class, inputs, config: value["config"].clone() })
    }

    fn is_identity(&self) -> bool {
        match self.class.as_str() {
            "Dropout" | "SpatialDropout1D" | "GaussianNoise" | "GaussianDropout" => true,
            "Activation" => self.config["activation"] == "linear",
            _ => false,
        }
    }

    /// A refusal that names this layer.
    pub fn refuse(&self, what: impl std::fmt::Display) -> Error {
        Error::new(format!("layer {:?} ({}) {what}", self.name, self.class))
    }

    fn number(&self, key: &str, otherwise: Option<usize>) -> Result<usize> {
        let value = &self.config[key];
        let value = match value.as_array().map(Vec::as_slice) {
            Some([one]) => one,
            _ => value,
        };
        match (value, otherwise) {
            (Value::Null, Some(otherwise)) => Ok(otherwise),
            _ => value.as_u64().and_then(|n| usize::try_from(n).ok()).ok_or_else(|| {
                self.refuse(format!("has no usable {key}")).found(value).expected("one number")
            }),
        }
    }

    /// Refuses a setting that is present and differs from the one that we compute.
    fn demand(&self, key: &str, allowed: &[Value]) -> Result<()> {
        let value = &self.config[key];
        if value.is_null() || allowed.contains(value) {
            return Ok(());
        }
        let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
        Err(self
            .refuse(format!("has a {key} that is not supported"))
            .found(value)
            .expected(allowed.join(" or ")))
    }

    /// The channels of an input layer.
    pub fn input_channels(&self) -> Option<u64> {
        let shape = ["batch_input_shape", "batch_shape"].map(|key| &self.config[key]);
        shape.into_iter().find_map(|shape| shape.as_array()?.last()?.as_u64())
    }

    /// A `Conv1D` without its activation, padded to the length of its input.
    pub fn conv(&self) -> Result<Conv> {
        match self.conv_with_padding()? {
            (conv, true) => Ok(conv),
            (_, false) => Err(self
                .refuse("has a padding that is not supported")
                .found("valid")
                .expected("same or causal")),
        }
    }

    /// A `Conv1D` without its activation, and whether its input is padded with zeros.
    pub fn conv_with_padding(&self) -> Result<(Conv, bool)> {
        if self.class != "Conv1D" {
            return Err(self.refuse("stands where a Conv1D is expected"));
        }
        self.demand("strides", &[1.into(), vec![1].into()])?;
        self.demand("groups", &[1.into()])?;
        self.demand("use_bias", &[true.into()])?;
        self.demand("data_format", &["channels_last".into()])?;
        let kernel = self.number("kernel_size", None)?;
        let dilation = self.number("dilation_rate", Some(1))?;
        if kernel == 0 || dilation == 0 {
            return Err(self.refuse("has an empty kernel or no dilation"));
        }
        let (taps, padded) = match self.config["padding"].as_str() {
            _ if kernel == 1 => (Dilated::centred(1, 1), true),
            Some("same") => (Dilated::centred(kernel, dilation), true),
            Some("causal") => (Dilated::causal(kernel, dilation), true),
            Some("valid") => (Dilated::centred(kernel, dilation), false),
            other => {
                return Err(self
                    .refuse("has a padding that is not supported")
                    .found(other.unwrap_or("none"))
                    .expected("same, causal or valid"));
            }
        };
        Ok((Conv { filters: self.number("filters", None)?, taps }, padded))
    }

    /// The activation that a convolution applies itself, or an activation layer is.
    pub fn activation_name(&self) -> &str {
        self.config["activation"].as_str().unwrap_or("linear")
    }

    /// An elementwise activation layer.
    pub fn activation(&self) -> Result<Activation> {
        match self.class.as_str() {
            "Activation" => match self.activation_name() {
                "relu" => Ok(Activation::Relu),
                "tanh" => Ok(Activation::Tanh),
                "sigmoid" => Ok(Activation::Sigmoid),
                "softplus" => Ok(Activation::Softplus),
                other => Err(self
                    .refuse("is a function that is not supported")
                    .found(other)
                    .expected("relu, tanh, sigmoid or softplus")),
            },
            "ReLU" => {
                self.demand("max_value", &[])?;
                self.demand("threshold", &[0.into(), 0.0.into()])?;
                self.demand("negative_slope", &[0.into(), 0.0.into()])?;
                Ok(Activation::Relu)
            }
            "LeakyReLU" => {
                let slope =
                    ["alpha", "negative_slope"].iter().find_map(|k| self.config[*k].as_f64());
                let slope = slope.ok_or_else(|| self.refuse("does not say its slope"))?;
                // The slope is written as a short decimal; f32 is what Keras computes with.
                Ok(Activation::LeakyRelu { slope: slope as f32 })
            }
            _ => Err(self.refuse("stands where an activation is expected")),
        }
    }

    /// Epsilon of a `BatchNormalization` over channels.
    pub fn epsilon(&self) -> Result<f64> {
        if self.class != "BatchNormalization" {
            return Err(self.refuse("stands where a BatchNormalization is expected"));
        }
        self.demand("axis", &[(-1).into(), 2.into(), vec![-1].into(), vec![2].into()])?;
        self.demand("scale", &[true.into()])?;
        self.demand("center", &[true.into()])?;
        let epsilon = self.config["epsilon"].as_f64();
        epsilon
            .filter(|e| e.is_finite() && *e >= 0.0)
            .ok_or_else(|| self.refuse("has no usable epsilon").found(&self.config["epsilon"]))
    }

    /// Positions that a `Cropping1D` takes off on the left and on the right.
    pub fn cropping(&self) -> Result<(u64, u64)> {
        let cropping = &self.config["cropping"];
        match (cropping.as_u64(), cropping.as_array().map(Vec::as_slice)) {
            (Some(both), _) => Some((both, both)),
            (None, Some([left, right])) => left.as_u64().zip(right.as_u64()),
            _ => None,
        }
        .ok_or_else(|| self.refuse("has no usable cropping").found(cropping))
    }
}

/// Names of the layers that a node reads: `[[name, node, tensor, {}], …]`, or in newer files
/// objects with a `keras_history` at some depth.
fn collect_inputs(node: &Value, inputs: &mut Vec<String>) -> std::result::Result<(), ()> {
    match node {
        Value::Array(items) => {
            for item in items {
                let name = item.pointer("/0").and_then(Value::as_str).ok_or(())?;
                // A node index above 0 would be a second use of the layer.
                if item.pointer("/1").and_then(Value::as_u64) != Some(0) {
                    return Err(());
                }
                inputs.push(name.to_string());
            }
            Ok(())
        }
        Value::Object(_) => {
            collect_histories(node, inputs)?;
            if inputs.is_empty() { Err(()) } else { Ok(()) }
        }
        _ => Err(()),
    }
}

/// Depth is that of the JSON parser, at most 128.
fn collect_histories(value: &Value, inputs: &mut Vec<String>) -> std::result::Result<(), ()> {
    match value {
        Value::Object(object) => match object.get("keras_history") {
            Some(history) => collect_inputs(&Value::Array(vec![history.clone()]), inputs),
            None => object.values().try_for_each(|value| collect_histories(value, inputs)),
        },
        Value::Array(items) => items.iter().try_for_each(|item| collect_histories(item, inputs)),
        _ => Ok(()),
    }
}
