//! chrombpnet and kundajelab/bpnet: Keras files whose layers have names of their own
//! (networks.md 3, weight-files.md 2.2). The names say which layer is which; what the file says
//! about the layers is held against it.

use super::keras_config::{self, Layer};
use super::profile::{self, Control, PUBLISHED_INPUT, Stack, Unit};
use super::tensors::{LayerNames, Layout, Ledger};
use super::{Family, ImportOptions, Part};
use crate::error::{Error, Result};
use crate::model::json;
use crate::network::Padding;
use crate::network::blocks::Dilated;
use serde_json::Value;
use std::collections::BTreeMap;

/// Outputs of the published networks, for files that do not say it (networks.md 3).
const PUBLISHED_OUTPUT: usize = 1000;
/// Layers whose values are those of their input, apart from positions and signs.
const PASSES: [&str; 7] =
    ["Cropping1D", "ReLU", "Activation", "Flatten", "Reshape", "Dropout", "SpatialDropout1D"];

/// Names of the layers of one stack.
#[derive(Debug, Clone, Copy)]
struct Names {
    /// Group of the tensors of a network within the network; ends in `/`.
    stem: &'static str,
    /// What stands before and behind the number of a dilated layer.
    dilated: (&'static str, &'static str),
    profile: &'static str,
    counts: &'static str,
}

const BIAS: Names = Names {
    stem: "bpnet_1st_conv",
    dilated: ("bpnet_", "conv"),
    profile: "prof_out_precrop",
    counts: "logcount_predictions",
};
const MAIN: Names = Names {
    stem: "wo_bias_bpnet_1st_conv",
    dilated: ("wo_bias_bpnet_", "conv"),
    profile: "wo_bias_bpnet_prof_out_precrop",
    counts: "wo_bias_bpnet_logcount_predictions",
};
const BPNET: Names = Names {
    stem: "main_conv_0",
    dilated: ("main_dil_conv_", ""),
    profile: "main_profile_head",
    counts: "logcounts_predictions",
};
/// Layers of kundajelab/bpnet that only networks with a control have.
const CONTROL_COUNTS: &str = "main_counts_head";
const CONTROL_PROFILE: &str = "profile_predictions";

/// The family whose layers these are.
pub(super) fn family_of(ledger: &Ledger) -> Option<Family> {
    let layers = ledger.layers();
    let has = |name: &str| layers.iter().any(|layer| leaf(layer) == name);
    if has(BIAS.stem) || has(MAIN.stem) {
        return Some(Family::ChromBpNet);
    }
    has(BPNET.stem).then_some(Family::BpNet)
}

fn leaf(layer: &str) -> &str {
    layer.rsplit_once('/').map_or(layer, |(_, leaf)| leaf)
}

/// Reads one member from its tensors and its `model_config`.
pub(super) fn read(
    config: &str,
    ledger: Ledger,
    family: Family,
    options: &ImportOptions,
) -> Result<Part> {
    let config = json::parse(config).map_err(|e| {
        Error::new(format!("the model_config of the file cannot be understood: {e}"))
    })?;
    let outer = Config::of(&config["config"])?;
    let input = match (outer.input, options.window) {
        (Some(stored), Some(given)) if stored != given => {
            return Err(Error::usage("--window contradicts the file")
                .found(given)
                .expected(stored));
        }
        (Some(stored), _) => stored,
        (None, given) => given.unwrap_or_else(|| {
            tracing::info!("the file does not say how long its windows are: {PUBLISHED_INPUT}");
            PUBLISHED_INPUT
        }),
    };
    let mut layers = LayerNames::new();
    let reader = Reader { ledger: &ledger, input, family };
    let (main, bias) = match family {
        Family::ChromBpNet => reader.chrombpnet(&outer, &config, &mut layers)?,
        _ => (reader.bpnet(&outer, &mut layers)?, None),
    };
    profile::part(&main, bias.as_ref(), input, ledger, &layers, Layout::Keras)
}

/// What a `model_config` says of a network; nothing where it was saved without its layers.
struct Config {
    layers: BTreeMap<String, Layer>,
    input: Option<usize>,
}

impl Config {
    fn of(config: &Value) -> Result<Self> {
        // networks within the network are used a second time there, which their layers are not
        let nested = |layer: &Value| layer["config"]["layers"].is_array();
        let listed = config["layers"].as_array().map_or(&[][..], Vec::as_slice);
        let layers = match listed.iter().any(nested) {
            true => BTreeMap::new(),
            false => keras_config::layers(config)?,
        };
        let inputs = listed.iter().filter(|layer| layer["class_name"] == "InputLayer");
        let shapes = inputs.filter_map(|layer| {
            let shapes = ["batch_input_shape", "batch_shape"].map(|key| &layer["config"][key]);
            shapes.into_iter().find_map(Value::as_array)
        });
        let bases = |shape: &&Vec<Value>| shape.len() == 3 && shape[2] == 4;
        let input = shapes.filter(bases).find_map(|shape| shape[1].as_u64());
        Ok(Self { layers, input: input.and_then(|length| usize::try_from(length).ok()) })
    }

    /// The network within the network of this name.
    fn inner(config: &Value, name: &str) -> Result<Self> {
        let listed = config["config"]["layers"].as_array().map_or(&[][..], Vec::as_slice);
        let named = |layer: &&Value| layer["name"] == name || layer["config"]["name"] == name;
        let found = listed.iter().find(named);
        found.map_or(Ok(Self { layers: BTreeMap::new(), input: None }), |layer| {
            Self::of(&layer["config"])
        })
    }

    /// Follows layers that pass values on, from one to the first that does not: its name, the
    /// activations on the way and the positions taken off on each side.
    fn trace<'a>(&'a self, mut name: &'a str) -> Result<(&'a str, usize, usize)> {
        let (mut activations, mut cropped) = (0, 0);
        for _ in 0..self.layers.len() {
            let Some(layer) = self.layers.get(name) else { break };
            let [input] = layer.inputs.as_slice() else { break };
            if !PASSES.contains(&layer.class.as_str()) {
                break;
            }
            match layer.class.as_str() {
                "ReLU" => activations += 1,
                "Activation" if layer.activation_name() == "relu" => activations += 1,
                "Activation" if layer.activation_name() != "linear" => {
                    return Err(layer.refuse("is a function that the network does not have"));
                }
                "Cropping1D" => match layer.cropping()? {
                    (left, right) if left == right => cropped += usize::try_from(left).unwrap_or(0),
                    _ => return Err(layer.refuse("cuts off unequal sides")),
                },
                _ => {}
            }
            name = input;
        }
        Ok((name, activations, cropped))
    }

    /// The layer that a layer reads through those that pass values on.
    fn source<'a>(&'a self, layer: &'a Layer) -> Result<(&'a str, usize, usize)> {
        match layer.inputs.as_slice() {
            [input] => self.trace(input),
            _ => Err(layer.refuse("does not read one layer")),
        }
    }
}

struct Reader<'a> {
    ledger: &'a Ledger,
    input: usize,
    family: Family,
}

impl Reader<'_> {
    /// A bias, a network without it, or both joined.
    fn chrombpnet(
        &self,
        outer: &Config,
        config: &Value,
        layers: &mut LayerNames,
    ) -> Result<(Stack, Option<Stack>)> {
        let (main, bias) = (self.groups(MAIN.stem), self.groups(BIAS.stem));
        match (main.as_slice(), bias.as_slice()) {
            ([group], []) if group.is_empty() => {
                Ok((self.stack(MAIN, "", "", outer, layers)?, None))
            }
            ([], [group]) if group.is_empty() => {
                Ok((self.stack(BIAS, "", "", outer, layers)?, None))
            }
            ([main], [bias]) => {
                let inner = |group: &str| Config::inner(config, group.trim_end_matches('/'));
                let main = self.stack(MAIN, main, "", &inner(main)?, layers)?;
                let bias = self.stack(BIAS, bias, "bias.", &inner(bias)?, layers)?;
                check_joint(config)?;
                Ok((main, Some(bias)))
            }
            _ => Err(Error::new("the file does not hold one network and at most one bias")
                .found(format!("{} networks and {} biases", main.len(), bias.len()))),
        }
    }

    /// The groups, with a `/` at the end, that hold a layer of this name.
    fn groups(&self, name: &str) -> Vec<String> {
        let layers = self.ledger.layers().into_iter();
        let held = layers.filter(|layer| leaf(layer) == name);
        held.map(|layer| layer[..layer.len() - name.len()].to_string()).collect()
    }

    /// kundajelab/bpnet.
    fn bpnet(&self, config: &Config, layers: &mut LayerNames) -> Result<Stack> {
        let mut stack = self.stack(BPNET, "", "", config, layers)?;
        let shape =
            |name: &str| self.ledger.shape(&format!("{name}/kernel")).map(<[usize]>::to_vec);
        let Some(mix) = shape(CONTROL_PROFILE) else { return Ok(stack) };
        layers.insert("counts".into(), CONTROL_COUNTS.into());
        layers.insert("control.counts".into(), BPNET.counts.into());
        layers.insert("control.profile".into(), CONTROL_PROFILE.into());
        let channels = match mix.as_slice() {
            &[1, read, strands] if strands == stack.strands && read > strands => read - strands,
            _ => {
                return Err(Error::new(format!(
                    "tensor {CONTROL_PROFILE}/kernel has no known shape"
                ))
                .found(format!("{mix:?}")));
            }
        };
        stack.counts = match shape(CONTROL_COUNTS).as_deref() {
            Some([_, 1]) => 1,
            found => {
                return Err(Error::new("a network with control tracks must have one log count")
                    .found(format!("{CONTROL_COUNTS}/kernel {found:?}")));
            }
        };
        stack.control = Some(Control::Output { channels, crop: self.output_crop(&stack)? });
        Ok(stack)
    }

    /// One stack; `group` stands before its layers, `prefix` before our nodes.
    fn stack(
        &self,
        names: Names,
        group: &str,
        prefix: &'static str,
        config: &Config,
        layers: &mut LayerNames,
    ) -> Result<Stack> {
        let shape = |layer: &str| -> Result<[usize; 3]> {
            let name = format!("{group}{layer}/kernel");
            let found = self.ledger.shape(&name);
            found.and_then(|shape| shape.try_into().ok()).ok_or_else(|| {
                Error::new(format!("tensor {name} is missing or no convolution"))
                    .found(format!("{found:?}"))
                    .expected("3 axes: taps, in, out")
            })
        };
        let [stem, _, filters] = shape(names.stem)?;
        let [profile, _, strands] = shape(names.profile)?;
        let mut dilated = Vec::new();
        layers.insert(format!("{prefix}stem"), format!("{group}{}", names.stem));
        for number in 1.. {
            let layer = format!("{}{number}{}", names.dilated.0, names.dilated.1);
            if !self.ledger.has(&format!("{group}{layer}/kernel")) {
                break;
            }
            let [kernel, ..] = shape(&layer)?;
            // 2, 4, 8, ... (networks.md 3)
            let dilation = 2usize.checked_pow(number).filter(|&d| d <= self.input);
            let dilation = dilation.ok_or_else(|| {
                Error::new("the network has more layers than its window has room for")
            })?;
            dilated.push(Dilated::centred(kernel, dilation));
            layers.insert(format!("{prefix}dilated.{number}.conv"), format!("{group}{layer}"));
        }
        for (node, layer) in [("profile", names.profile), ("counts", names.counts)] {
            layers.insert(format!("{prefix}{node}"), format!("{group}{layer}"));
        }
        let counts_layer = match self.ledger.has(&format!("{group}{CONTROL_COUNTS}/kernel")) {
            true => CONTROL_COUNTS,
            false => names.counts,
        };
        let counts = self.ledger.shape(&format!("{group}{counts_layer}/kernel"));
        let counts = counts.and_then(|shape| shape.last()).copied().unwrap_or(1);
        if counts != 1 && counts != strands {
            return Err(Error::new("the network has neither one log count nor one per strand")
                .found(format!("{counts} log counts, {strands} strands")));
        }
        let bias = |layer: &str| self.ledger.has(&format!("{group}{layer}/bias"));
        let mut stack = Stack {
            prefix,
            filters,
            stem,
            dilated,
            unit: if self.family == Family::BpNet { Unit::Before } else { Unit::After },
            padding: Padding::None,
            profile,
            profile_bias: bias(names.profile),
            strands,
            crop: 0,
            mean_crop: 0,
            counts,
            counts_bias: bias(counts_layer),
            control: None,
        };
        stack.crop = match config.layers.is_empty() {
            true => self.published_crop(&stack)?,
            false => check(config, names, counts_layer, &stack)?,
        };
        Ok(stack)
    }

    /// Positions that remain on both sides of the profile of a stack without a cropping.
    fn free(&self, stack: &Stack) -> Option<usize> {
        let spans = stack.dilated.iter().map(|taps| (taps.kernel - 1) * taps.dilation);
        let span = stack.stem - 1 + stack.profile - 1 + spans.sum::<usize>();
        self.input.checked_sub(span)
    }

    /// The cropping to the published number of outputs, for a file that does not say its own.
    fn published_crop(&self, stack: &Stack) -> Result<usize> {
        let excess = self.free(stack).and_then(|length| length.checked_sub(PUBLISHED_OUTPUT));
        excess.filter(|excess| excess.is_multiple_of(2)).map(|excess| excess / 2).ok_or_else(|| {
            Error::new("the file does not say its layers, and the published window does not fit")
                .found(format!("{:?} outputs of {} bases", self.free(stack), self.input))
                .expected(format!("{PUBLISHED_OUTPUT} or more"))
                .remedy("say how long the input is with --window")
        })
    }

    /// Positions of the window on each side of the outputs.
    fn output_crop(&self, stack: &Stack) -> Result<usize> {
        let outputs = self.free(stack).and_then(|length| length.checked_sub(2 * stack.crop));
        match outputs {
            Some(outputs) if outputs > 0 && (self.input - outputs).is_multiple_of(2) => {
                Ok((self.input - outputs) / 2)
            }
            _ => Err(Error::new("the window of the network is too short for its layers")
                .found(format!("{} bases", self.input))),
        }
    }
}

/// Holds the layers of a stack against what they must be; gives the cropping of its profile.
fn check(config: &Config, names: Names, counts: &str, stack: &Stack) -> Result<usize> {
    let layer = |name: &str| {
        let found = config.layers.get(name);
        found.ok_or_else(|| Error::new(format!("layer {name:?} is not in the model_config")))
    };
    let activation = if stack.unit == Unit::After { "relu" } else { "linear" };
    let before = usize::from(stack.unit == Unit::Before);
    let conv = |name: &str, taps: Dilated, activation: &str| -> Result<()> {
        let layer = layer(name)?;
        let (conv, padded) = layer.conv_with_padding()?;
        if conv.taps != taps || (padded && taps.kernel > 1) || layer.activation_name() != activation
        {
            return Err(layer
                .refuse("is not that of the published network")
                .found(format!("{:?}, {}, padded {padded}", conv.taps, layer.activation_name()))
                .expected(format!("{taps:?}, {activation}, not padded")));
        }
        Ok(())
    };
    let reads = |name: &str, source: &str, activations: usize| -> Result<()> {
        let layer = layer(name)?;
        match config.source(layer)? {
            (found, acts, _) if found == source && acts == activations => Ok(()),
            (found, ..) => Err(layer
                .refuse("does not read what it reads in the published network")
                .found(format!("layer {found:?}"))
                .expected(format!("layer {source:?} through {activations} activations"))),
        }
    };
    conv(names.stem, Dilated::centred(stack.stem, 1), activation)?;
    let (input, ..) = config.source(layer(names.stem)?)?;
    if layer(input)?.class != "InputLayer" || layer(input)?.input_channels() != Some(4) {
        return Err(layer(input)?
            .refuse("is not an input of one-hot bases")
            .expected("4 channels"));
    }
    let mut x = names.stem.to_string();
    for (index, &taps) in stack.dilated.iter().enumerate() {
        let name = format!("{}{}{}", names.dilated.0, index + 1, names.dilated.1);
        conv(&name, taps, activation)?;
        reads(&name, &x, before)?;
        x = sum_of(config, &name, &x)?;
    }
    conv(names.profile, Dilated::centred(stack.profile, 1), "linear")?;
    reads(names.profile, &x, before)?;
    let (mean, ..) = config.source(layer(counts)?)?;
    if layer(mean)?.class != "GlobalAveragePooling1D" {
        return Err(layer(mean)?.refuse("stands where a GlobalAveragePooling1D is expected"));
    }
    reads(mean, &x, before)?;
    profile_crop(config, names.profile)
}

/// The `Add` of a dilated layer and of what it read.
fn sum_of(config: &Config, conv: &str, x: &str) -> Result<String> {
    for layer in config.layers.values().filter(|layer| layer.class == "Add") {
        let sources: Vec<(&str, usize, usize)> =
            layer.inputs.iter().map(|input| config.trace(input)).collect::<Result<_>>()?;
        let mut names: Vec<&str> = sources.iter().map(|&(name, ..)| name).collect();
        let mut expected = [conv, x];
        names.sort_unstable();
        expected.sort_unstable();
        if names == expected && sources.iter().all(|&(_, activations, _)| activations == 0) {
            return Ok(layer.name.clone());
        }
    }
    Err(Error::new(format!("layer {conv:?} is not added to layer {x:?}")))
}

/// Positions that are cut off the profile on each side, on its way to the outputs.
fn profile_crop(config: &Config, profile: &str) -> Result<usize> {
    let passing = config.layers.values().filter(|layer| PASSES.contains(&layer.class.as_str()));
    let traced = passing.map(|layer| config.trace(&layer.name)).collect::<Result<Vec<_>>>()?;
    let own = traced.into_iter().filter(|&(source, ..)| source == profile);
    Ok(own.map(|(_, _, cropped)| cropped).max().unwrap_or(0))
}

/// The layers that join a network and its bias: the only place where a `Lambda` is accepted, by its
/// name and without looking at its code (weight-files.md 2.3).
fn check_joint(config: &Value) -> Result<()> {
    let listed = config["config"]["layers"].as_array().map_or(&[][..], Vec::as_slice);
    let class = |name: &str| {
        let named = |layer: &&Value| layer["name"] == name || layer["config"]["name"] == name;
        listed.iter().find(named).and_then(|layer| layer["class_name"].as_str())
    };
    for (name, expected) in
        [("logits_profile_predictions", "Add"), ("logcount_predictions", "Lambda")]
    {
        if class(name) != Some(expected) {
            return Err(Error::new(format!("layer {name:?} does not join a network and its bias"))
                .found(class(name).unwrap_or("no such layer"))
                .expected(expected));
        }
    }
    Ok(())
}
