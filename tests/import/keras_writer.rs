//! Writes Keras files: a minimal HDF5 (superblock 0, version 1 object headers, compact links,
//! contiguous datasets) and the `model_config` of SpliceAI-like networks (weight-files.md 2).

use serde_json::{Value, json};

/// A node of the HDF5 tree.
pub enum Item {
    Group { attributes: Vec<Attribute>, children: Vec<(String, Item)> },
    Floats { shape: Vec<usize>, values: Vec<f32> },
}

/// An attribute: a scalar text, a list of texts, or an empty list.
pub struct Attribute {
    pub name: String,
    pub texts: Vec<String>,
    pub scalar: bool,
}

impl Attribute {
    pub fn text(name: &str, text: &str) -> Self {
        Self { name: name.to_string(), texts: vec![text.to_string()], scalar: true }
    }

    pub fn list(name: &str, texts: &[String]) -> Self {
        Self { name: name.to_string(), texts: texts.to_vec(), scalar: false }
    }
}

/// The bytes of an HDF5 file with this root.
pub fn hdf5(root: &Item) -> Vec<u8> {
    const SUPERBLOCK: usize = 96;
    let mut file = vec![0; SUPERBLOCK];
    let root = put(&mut file, root);
    let mut head: Vec<u8> = b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0\x04\0\x10\0\0\0\0\0".to_vec();
    head.extend(0u64.to_le_bytes());
    head.extend(u64::MAX.to_le_bytes());
    head.extend((file.len() as u64).to_le_bytes());
    head.extend(u64::MAX.to_le_bytes());
    head.extend(0u64.to_le_bytes());
    head.extend(root.to_le_bytes());
    head.resize(SUPERBLOCK, 0);
    file[..SUPERBLOCK].copy_from_slice(&head);
    file
}

fn pad8(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
}

/// Appends an item and returns the address of its object header.
fn put(file: &mut Vec<u8>, item: &Item) -> u64 {
    let mut messages: Vec<(u16, Vec<u8>)> = Vec::new();
    match item {
        Item::Group { attributes, children } => {
            for (name, child) in children {
                let address = put(file, child);
                let mut link = vec![1, 0, u8::try_from(name.len()).unwrap()];
                link.extend(name.bytes());
                link.extend(address.to_le_bytes());
                messages.push((6, link));
            }
            messages.extend(attributes.iter().map(|attribute| (12, attribute_message(attribute))));
        }
        Item::Floats { shape, values } => {
            pad8(file);
            let address = file.len() as u64;
            file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            messages.push((1, dataspace(shape)));
            let mut float = vec![0x11, 0x20, 0x1f, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23];
            float.extend(127u32.to_le_bytes());
            messages.push((3, float));
            let mut layout = vec![3, 1];
            layout.extend(address.to_le_bytes());
            layout.extend((values.len() as u64 * 4).to_le_bytes());
            messages.push((8, layout));
        }
    }
    let mut body = Vec::new();
    for (kind, mut data) in messages.iter().cloned() {
        pad8(&mut data);
        body.extend(kind.to_le_bytes());
        body.extend(u16::try_from(data.len()).unwrap().to_le_bytes());
        body.extend([0; 4]);
        body.extend(data);
    }
    pad8(file);
    let address = file.len() as u64;
    file.extend([1, 0]);
    file.extend(u16::try_from(messages.len()).unwrap().to_le_bytes());
    file.extend(1u32.to_le_bytes());
    file.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
    file.extend([0; 4]);
    file.extend(body);
    address
}

fn dataspace(shape: &[usize]) -> Vec<u8> {
    let mut space = vec![1, u8::try_from(shape.len()).unwrap(), 0, 0, 0, 0, 0, 0];
    space.extend(shape.iter().flat_map(|&n| (n as u64).to_le_bytes()));
    space
}

fn attribute_message(attribute: &Attribute) -> Vec<u8> {
    let width = attribute.texts.iter().map(String::len).max().unwrap_or(1).max(1);
    let mut kind = vec![0x13, 1, 0, 0];
    kind.extend(u32::try_from(width).unwrap().to_le_bytes());
    let shape = [attribute.texts.len()];
    let space = dataspace(if attribute.scalar { &[] } else { &shape });
    let mut message = vec![1, 0];
    for length in [attribute.name.len() + 1, kind.len(), space.len()] {
        message.extend(u16::try_from(length).unwrap().to_le_bytes());
    }
    let mut name: Vec<u8> = attribute.name.bytes().collect();
    name.push(0);
    for mut part in [name, kind, space] {
        pad8(&mut part);
        message.extend(part);
    }
    for text in &attribute.texts {
        let mut data: Vec<u8> = text.bytes().collect();
        data.resize(width, 0);
        message.extend(data);
    }
    message
}

/// A network of SpliceAI's kind.
#[derive(Debug, Clone)]
pub struct Network {
    pub channels: usize,
    /// Kernel, dilation and number of units of each group.
    pub groups: Vec<(usize, usize, usize)>,
    pub classes: usize,
    pub crop: (usize, usize),
}

impl Network {
    /// The `model_config`, layers named and numbered as Keras does when they are created in the
    /// order of the published programs (weight-files.md 2.1).
    pub fn config(&self) -> Value {
        let mut layers = Layers::default();
        let pointwise = |filters| conv(filters, 1, 1, "linear");
        layers.add("input", "InputLayer", json!({"batch_input_shape": [null, null, 4]}), &[]);
        let mut x = layers.add("conv1d", "Conv1D", pointwise(self.channels), &["input_1"]);
        let mut sum = layers.add("conv1d", "Conv1D", pointwise(self.channels), &[&x]);
        for &(kernel, dilation, units) in &self.groups {
            for _ in 0..units {
                let mut y = x.clone();
                for _ in 0..2 {
                    let norm = json!({"axis": -1, "epsilon": 0.001, "scale": true, "center": true});
                    y = layers.add("batch_normalization", "BatchNormalization", norm, &[&y]);
                    y = layers.add(
                        "activation",
                        "Activation",
                        json!({"activation": "relu"}),
                        &[&y],
                    );
                    let conv = conv(self.channels, kernel, dilation, "linear");
                    y = layers.add("conv1d", "Conv1D", conv, &[&y]);
                }
                x = layers.add("add", "Add", json!({}), &[&y, &x]);
            }
            let skip = layers.add("conv1d", "Conv1D", pointwise(self.channels), &[&x]);
            sum = layers.add("add", "Add", json!({}), &[&sum, &skip]);
        }
        let cropping = json!({"cropping": [self.crop.0, self.crop.1]});
        let cut = layers.add("cropping1d", "Cropping1D", cropping, &[&sum]);
        let head = layers.add("conv1d", "Conv1D", conv(self.classes, 1, 1, "softmax"), &[&cut]);
        json!({"class_name": "Model", "config": {
            "name": "model_1",
            "layers": layers.list,
            "input_layers": [["input_1", 0, 0]],
            "output_layers": [[head, 0, 0]],
        }})
    }
}

#[derive(Default)]
struct Layers {
    list: Vec<Value>,
    counts: std::collections::HashMap<&'static str, usize>,
}

impl Layers {
    fn add(&mut self, prefix: &'static str, class: &str, config: Value, inputs: &[&str]) -> String {
        let count = self.counts.entry(prefix).or_default();
        *count += 1;
        let name = format!("{prefix}_{count}");
        let nodes: Vec<Value> = inputs.iter().map(|input| json!([input, 0, 0, {}])).collect();
        let nodes = if nodes.is_empty() { json!([]) } else { json!([nodes]) };
        self.list.push(json!({
            "class_name": class, "name": name, "config": config, "inbound_nodes": nodes,
        }));
        name
    }
}

fn conv(filters: usize, kernel: usize, dilation: usize, activation: &str) -> Value {
    json!({
        "filters": filters, "kernel_size": [kernel], "dilation_rate": [dilation], "strides": [1],
        "padding": if kernel == 1 { "valid" } else { "same" },
        "use_bias": true, "activation": activation,
    })
}

/// A layer with its tensors: role, shape, numbers.
pub type LayerTensors = (String, Vec<(&'static str, Vec<usize>, Vec<f32>)>);

/// The tensors that the layers of a config need, filled by `value`.
pub fn tensors(config: &Value, mut value: impl FnMut() -> f32) -> Vec<LayerTensors> {
    let layers = config["config"]["layers"].as_array().unwrap();
    let width_of = |name: &str| -> usize {
        // Every layer of the trunk has the width of the stem, whose input has 4 channels.
        let stem = layers.iter().find(|layer| layer["class_name"] == "Conv1D").unwrap();
        let width = stem["config"]["filters"].as_u64().unwrap() as usize;
        if name.starts_with("input") { 4 } else { width }
    };
    let mut all = Vec::new();
    for layer in layers {
        let name = layer["name"].as_str().unwrap().to_string();
        let number = |key: &str| layer["config"][key].as_u64().unwrap() as usize;
        let mut of = |role, shape: &[usize]| {
            let count = shape.iter().product();
            (role, shape.to_vec(), (0..count).map(|_| value()).collect())
        };
        let tensors = match layer["class_name"].as_str().unwrap() {
            "Conv1D" => {
                let input = layer["inbound_nodes"][0][0][0].as_str().unwrap();
                let kernel = layer["config"]["kernel_size"][0].as_u64().unwrap() as usize;
                let filters = number("filters");
                vec![of("kernel", &[kernel, width_of(input), filters]), of("bias", &[filters])]
            }
            "BatchNormalization" => ["gamma", "beta", "moving_mean", "moving_variance"]
                .map(|role| of(role, &[width_of("")]))
                .to_vec(),
            _ => Vec::new(),
        };
        all.push((name, tensors));
    }
    all
}

/// A Keras file of a config and tensors; `split` writes `layer_names0`, `layer_names1`, ….
pub fn keras(config: &str, layers: &[LayerTensors], split: bool) -> Vec<u8> {
    let names: Vec<String> = layers.iter().map(|(name, _)| name.clone()).collect();
    let attributes = if split {
        let halves = names.chunks(names.len().div_ceil(2)).enumerate();
        halves.map(|(i, half)| Attribute::list(&format!("layer_names{i}"), half)).collect()
    } else {
        vec![Attribute::list("layer_names", &names)]
    };
    let children = layers.iter().map(|(name, tensors)| {
        let paths: Vec<String> =
            tensors.iter().map(|(role, ..)| format!("{name}/{role}:0")).collect();
        let datasets = tensors.iter().map(|(role, shape, values)| {
            (format!("{role}:0"), Item::Floats { shape: shape.clone(), values: values.clone() })
        });
        let inner = Item::Group { attributes: Vec::new(), children: datasets.collect() };
        let group = Item::Group {
            attributes: vec![Attribute::list("weight_names", &paths)],
            children: vec![(name.clone(), inner)],
        };
        (name.clone(), group)
    });
    let weights = Item::Group { attributes, children: children.collect() };
    hdf5(&Item::Group {
        attributes: vec![Attribute::text("model_config", config)],
        children: vec![("model_weights".to_string(), weights)],
    })
}
