//! Keras HDF5 files: the `model_config` and the tensors of each layer (weight-files.md 2).

use super::tensors::SourceTensor;
use crate::error::{Error, Result};
use crate::model::float;
use hdf5_reader::btree_v1::collect_btree_v1_leaves_storage;
use hdf5_reader::io::Cursor;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::link::LinkTarget;
use hdf5_reader::symbol_table::SymbolTableNode;
use hdf5_reader::{Attribute, Datatype, FilterRegistry, Hdf5File, OpenOptions};
use hdf5_reader::{error::ByteOrder, filters, group::Group};
use std::collections::BTreeSet;

const MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";
/// Largest ratio that deflate can reach; a file that claims more numbers than that is lying.
const LARGEST_EXPANSION: usize = 1032;
/// Most numbers of a file (weight-files.md 6: 4 GiB of f32).
const MOST_NUMBERS: usize = 1 << 30;
/// Longest attribute (weight-files.md 6).
const MAX_ATTRIBUTE: usize = 64 << 20;

/// What a Keras file holds.
#[derive(Debug)]
pub(super) struct KerasFile {
    /// The JSON text that describes the network.
    pub config: String,
    /// Tensors as `LAYER/ROLE`, such as `conv1d_1/kernel`; those of a network within the network as
    /// `MODEL/LAYER/ROLE`.
    pub tensors: Vec<SourceTensor>,
}

/// Whether the bytes begin like HDF5.
pub(super) fn looks_like_hdf5(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Reads a Keras file.
///
/// # Errors
/// Damaged, without a network or weights, or stored in a way that is not supported.
pub(super) fn read(bytes: Vec<u8>) -> Result<KerasFile> {
    let mut budget = bytes.len().saturating_mul(LARGEST_EXPANSION).min(MOST_NUMBERS);
    let most_bytes = budget.saturating_mul(size_of::<f64>());
    let options = OpenOptions::default()
        .with_filter_registry(filter_registry())
        .with_chunk_cache_bytes(0)
        .with_max_chunk_bytes(most_bytes)
        .with_max_read_bytes(most_bytes)
        .with_max_object_header_bytes(MAX_ATTRIBUTE);
    let file = Hdf5File::from_vec_with_options(bytes, options).map_err(damaged)?;
    let root = file.root_group().map_err(damaged)?;
    let Some(config) = find_attribute(&root, "model_config")? else {
        return Err(Error::new("the file holds no description of its network (model_config)")
            .remedy("save the whole model in Keras, not its weights alone: model.save(\"m.h5\")"));
    };
    let config = config.read_string().map_err(damaged)?;
    let weights = open_group(&file, &root, "model_weights")?;
    let mut tensors: Vec<SourceTensor> = Vec::new();
    let mut names = BTreeSet::new();
    for layer in text_list(&weights, "layer_names")? {
        let group = open_path(&file, &weights, &layer)?;
        let weights = text_list(&group, "weight_names")?;
        let parts: BTreeSet<&str> = weights.iter().map(|weight| folder_of(weight).0).collect();
        for weight in &weights {
            let (folder, leaf) = folder_of(weight);
            // a layer that is a network of its own holds the tensors of several
            let layer = match parts.len() {
                0 | 1 => layer.clone(),
                _ => format!("{layer}/{}", folder_of(folder).1),
            };
            let folder = open_path(&file, &group, folder)?;
            refuse_links(&file, &folder)?;
            // TensorFlow numbers the outputs of its operations: `kernel:0`.
            let role = leaf.split_once(':').map_or(leaf, |(role, _)| role);
            let name = format!("{layer}/{role}");
            if !names.insert(name.clone()) {
                return Err(Error::new(format!("layer {layer:?} has two tensors {role:?}")));
            }
            tensors.push(read_tensor(&folder, leaf, name, &mut budget)?);
        }
    }
    Ok(KerasFile { config, tensors })
}

/// A path without its last part, and that part.
fn folder_of(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn damaged(error: hdf5_reader::error::Error) -> Error {
    Error::new(format!("the HDF5 file cannot be read: {error}"))
}

/// The two filters that Keras files use; all others are refused by name.
fn filter_registry() -> FilterRegistry {
    let mut registry = FilterRegistry::new();
    for (id, name) in [
        (filters::FILTER_FLETCHER32, "fletcher32"),
        (filters::FILTER_SZIP, "szip"),
        (filters::FILTER_NBIT, "nbit"),
        (filters::FILTER_SCALEOFFSET, "scaleoffset"),
        (filters::FILTER_LZ4, "lz4"),
    ] {
        let refuse = move || hdf5_reader::error::Error::UnsupportedFilter(name.to_string());
        registry.register(id, Box::new(move |_, _, _| Err(refuse())));
    }
    registry
}

fn find_attribute(group: &Group, name: &str) -> Result<Option<Attribute>> {
    let attributes = group.attributes().map_err(damaged)?;
    Ok(attributes.into_iter().find(|attribute| attribute.name == name))
}

/// A list of texts, which long lists split into `NAME0`, `NAME1`, …
fn text_list(group: &Group, name: &str) -> Result<Vec<String>> {
    let attributes = group.attributes().map_err(damaged)?;
    let read = |name: &str| -> Result<Option<Vec<String>>> {
        let Some(attribute) = attributes.iter().find(|attribute| attribute.name == name) else {
            return Ok(None);
        };
        // Keras stores an empty list as an empty array of numbers.
        let count = attribute.num_elements().map_err(damaged)?;
        if count == 0 {
            return Ok(Some(Vec::new()));
        }
        let texts = attribute.read_strings().map_err(damaged)?;
        if u64::try_from(texts.len()).ok() != Some(count) {
            return Err(Error::new(format!("attribute {name} is cut off"))
                .found(format!("{} texts", texts.len()))
                .expected(count));
        }
        Ok(Some(texts))
    };
    if let Some(texts) = read(name)? {
        return Ok(texts);
    }
    let mut joined = Vec::new();
    for part in 0.. {
        match read(&format!("{name}{part}"))? {
            Some(texts) => joined.extend(texts),
            None if part == 0 => {
                return Err(Error::new(format!("group {:?} has no {name}", group.name()))
                    .expected("a file written by Keras"));
            }
            None => break,
        }
    }
    Ok(joined)
}

/// Follows a relative path of group names; an empty path is the group itself.
fn open_path(file: &Hdf5File, group: &Group, path: &str) -> Result<Group> {
    path.split('/')
        .filter(|_| !path.is_empty())
        .try_fold(group.clone(), |group, part| open_group(file, &group, part))
}

fn open_group(file: &Hdf5File, parent: &Group, name: &str) -> Result<Group> {
    refuse_links(file, parent)?;
    if name.is_empty() || name == "." || name == ".." {
        return Err(Error::new("the path of a tensor is not valid").found(format!("{name:?}")));
    }
    parent.group(name).map_err(damaged)
}

/// Refuses groups that hold soft or external links (weight-files.md 6): each name of a Keras file
/// is an object of its own. Links of a group in dense storage are resolved inside the file only.
fn refuse_links(file: &Hdf5File, group: &Group) -> Result<()> {
    const SOFT: u32 = 2;
    let refuse = || {
        Error::new(format!("group {:?} holds a link to another place", group.name()))
            .expected("a file written by Keras, which has none")
    };
    let header = file.get_or_parse_header(group.address()).map_err(damaged)?;
    for message in &header.messages {
        match message {
            HdfMessage::Link(link) if !matches!(link.target, LinkTarget::Hard { .. }) => {
                return Err(refuse());
            }
            HdfMessage::SymbolTable(table) => {
                let (offsets, lengths) = (group.offset_size(), group.length_size());
                let leaves = collect_btree_v1_leaves_storage(
                    group.storage(),
                    table.btree_address,
                    offsets,
                    lengths,
                    None,
                    &[],
                    None,
                )
                .map_err(damaged)?;
                for (_, address) in leaves {
                    let node = read_symbols(group, address)?;
                    if node.entries.iter().any(|entry| entry.cache_type == SOFT) {
                        return Err(refuse());
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// One node of an old-style group: 8 bytes of header, then entries of a fixed size.
fn read_symbols(group: &Group, address: u64) -> Result<SymbolTableNode> {
    let storage = group.storage();
    let header = storage.read_range(address, 8).map_err(damaged)?;
    let count = usize::from(u16::from_le_bytes([header[6], header[7]]));
    let entry = 2 * usize::from(group.offset_size()) + 24;
    let node = storage.read_range(address, 8 + count * entry).map_err(damaged)?;
    let mut cursor = Cursor::new(&node);
    SymbolTableNode::parse(&mut cursor, group.offset_size(), group.length_size()).map_err(damaged)
}

fn read_tensor(
    group: &Group,
    leaf: &str,
    name: String,
    budget: &mut usize,
) -> Result<SourceTensor> {
    let unreadable = |error| Error::new(format!("tensor {name} cannot be read: {error}"));
    let dataset = group.dataset(leaf).map_err(unreadable)?;
    let shape: Option<Vec<usize>> =
        dataset.shape().iter().map(|&n| usize::try_from(n).ok()).collect();
    let count = shape
        .as_ref()
        .and_then(|shape| shape.iter().try_fold(1usize, |count, &n| count.checked_mul(n)));
    let (Some(shape), Some(count)) = (shape, count.filter(|count| count <= budget)) else {
        return Err(Error::new(format!("tensor {name} is larger than the file can hold"))
            .found(format!("shape {:?}", dataset.shape())));
    };
    *budget -= count;
    let order = match dataset.dtype() {
        Datatype::FloatingPoint { byte_order, .. } => *byte_order,
        Datatype::FixedPoint { .. } => {
            return Ok(SourceTensor { name, shape, values: None, exact: true });
        }
        other => {
            return Err(Error::new(format!("tensor {name} has a type that weights cannot have"))
                .found(format!("{other:?}"))
                .expected("floating-point numbers"));
        }
    };
    let (width, convert) = float_format(&dataset.raw_datatype().map_err(damaged)?)
        .ok_or_else(|| Error::new(format!("tensor {name} has a floating-point form of its own")))?;
    let mut data = dataset.read_raw_bytes().map_err(damaged)?;
    if count.checked_mul(width) != Some(data.len()) {
        return Err(Error::new(format!("tensor {name} has the wrong size"))
            .found(format!("{} bytes", data.len()))
            .expected(format!("{count} numbers of {width} bytes")));
    }
    if order == ByteOrder::BigEndian {
        data.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
    Ok(SourceTensor { name, shape, values: Some(convert(&data)), exact: width == 4 })
}

type Convert = fn(&[u8]) -> Vec<f32>;

/// Width and conversion of an HDF5 floating-point type, from its message: size at byte 4, then after
/// bit offset and precision the places and sizes of exponent and fraction.
fn float_format(message: &[u8]) -> Option<(usize, Convert)> {
    let size = u32::from_le_bytes(*message.get(4..8)?.first_chunk()?);
    let &[exponent_at, exponent, fraction_at, fraction] = message.get(12..16)?.first_chunk()?;
    match (size, exponent_at, exponent, fraction_at, fraction) {
        (8, 52, 11, 0, 52) => Some((8, float::from_f64)),
        (4, 23, 8, 0, 23) => Some((4, float::from_f32)),
        (2, 10, 5, 0, 10) => Some((2, float::from_f16)),
        (2, 7, 8, 0, 7) => Some((2, float::from_bf16)),
        _ => None,
    }
}
