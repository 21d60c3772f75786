//! Tensors of a PyTorch checkpoint: the archive and the pickle in it, put together.

use super::module::Module;
use super::pickle::{Dict, Element, Id, Object, Pickle, TensorView};
use super::tensors::SourceTensor;
use super::torch_zip::Archive;
use crate::error::{Error, Result};
use crate::model::float;
use std::collections::BTreeSet;

/// How files of PyTorch before 1.6 begin (weight-files.md 3.1).
const OLD_MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
const SAVE_AGAIN: &str =
    "open the weights in Python and save them again with torch.save (PyTorch 1.6 or newer)";

/// Tensors of a checkpoint in file order.
#[derive(Debug)]
pub(super) struct State {
    pub tensors: Vec<SourceTensor>,
    /// What else a network says that was saved as a whole object.
    pub module: Option<Module>,
    /// Where in a nested checkpoint they were.
    pub key: Option<String>,
}

/// Whether the bytes begin like anything that `torch.save` ever wrote.
pub(super) fn looks_like_torch(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(OLD_MAGIC) || is_tar(bytes)
}

fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}

/// Reads a `state_dict`, the one at `key` of a dict that holds others, or a whole network.
///
/// # Errors
/// An old or foreign layout, code instead of data, or a tensor that its storage cannot hold.
pub(super) fn read(bytes: &[u8], key: Option<&str>) -> Result<State> {
    if bytes.starts_with(OLD_MAGIC) || is_tar(bytes) {
        return Err(
            Error::new("the file is in the layout of PyTorch before 1.6").remedy(SAVE_AGAIN)
        );
    }
    let archive = Archive::parse(bytes)?;
    let top = top_folder(&archive)?;
    let entry = |name: &str| archive.get(&format!("{top}/{name}"));
    let code = format!("{top}/code/");
    if entry("constants.pkl").is_some() || archive.names().any(|name| name.starts_with(&code)) {
        return Err(Error::new("the file is a TorchScript program, not a state_dict").remedy(
            "open it in Python and save the weights alone: \
             torch.save(torch.jit.load(FILE).state_dict(), \"weights.pt\")",
        ));
    }
    let big_endian = match entry("byteorder") {
        None | Some(b"little") => false,
        Some(b"big") => true,
        Some(other) => {
            return Err(Error::new("the byte order of the file is not known")
                .found(String::from_utf8_lossy(other))
                .expected("little or big"));
        }
    };
    let pickle = Pickle::parse(entry("data.pkl").unwrap_or_default())?;
    let (module, entries, key) = match Module::of(&pickle)? {
        Some((module, entries)) => (Some(module), entries, None),
        None => {
            let (dict, key) = choose(&pickle, key)?;
            (None, named_tensors(&pickle, dict)?, key)
        }
    };
    // Each number takes at least a byte of the file, unless tensors share their storage; those of
    // a network do not, and a small file must not ask for much memory.
    let mut budget = bytes.len();
    let mut tensors: Vec<SourceTensor> = Vec::with_capacity(entries.len());
    let mut names = BTreeSet::new();
    for (name, value) in &entries {
        let Object::Tensor(view) = pickle.get(*value) else { return Err(not_a_state()) };
        if !names.insert(name) {
            return Err(Error::new(format!("tensor {name} occurs twice")));
        }
        let tensor =
            decode(name, view, big_endian, &mut budget, |key| entry(&format!("data/{key}")))?;
        tensors.push(tensor);
    }
    strip_wrapper(&mut tensors);
    Ok(State { tensors, module, key })
}

/// The entries of a `state_dict`.
fn named_tensors(pickle: &Pickle, dict: &Dict) -> Result<Vec<(String, Id)>> {
    let entry = |&(name, value): &(Id, Id)| match pickle.get(name) {
        Object::Text(name) => Ok((name.clone(), value)),
        _ => Err(not_a_state()),
    };
    dict.entries.iter().map(entry).collect()
}

/// What wrappers around a network put before the name of every tensor in it: `DataParallel` and
/// `torch.compile`.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// Takes off the wrappers that all names share.
fn strip_wrapper(tensors: &mut [SourceTensor]) {
    while let Some(wrapper) = WRAPPERS
        .iter()
        .find(|wrapper| tensors.iter().all(|tensor| tensor.name.starts_with(*wrapper)))
        .filter(|_| !tensors.is_empty())
    {
        tracing::debug!("all names of tensors begin with {wrapper}, which is left out");
        for tensor in tensors.iter_mut() {
            tensor.name.drain(..wrapper.len());
        }
    }
}

/// The one folder at the top, which holds `data.pkl`.
fn top_folder(archive: &Archive<'_>) -> Result<String> {
    let tops: Vec<&str> = archive
        .names()
        .filter_map(|name| name.strip_suffix("/data.pkl"))
        .filter(|top| !top.contains('/'))
        .collect();
    if archive.get("model.weights.h5").is_some() {
        return Err(Error::new("the file is a Keras archive, which is not supported")
            .remedy("save the model as HDF5 in Keras: model.save(\"m.h5\")"));
    }
    match tops.as_slice() {
        [top] => Ok((*top).to_string()),
        _ => Err(Error::new("the zip archive is not a PyTorch checkpoint")
            .found(format!("{} entries FOLDER/data.pkl", tops.len()))
            .expected("one")),
    }
}

fn not_a_state() -> Error {
    Error::new("the checkpoint is not a state_dict")
        .expected("tensors by name")
        .remedy("say where the weights are with --key NAME")
}

/// The dict that holds the tensors, and its key when it is nested.
fn choose<'p>(pickle: &'p Pickle, key: Option<&str>) -> Result<(&'p Dict, Option<String>)> {
    let Object::Dict(root) = pickle.root() else { return Err(not_a_state()) };
    let all_tensors = |dict: &Dict| {
        let tensor = |&(_, value): &(_, usize)| matches!(pickle.get(value), Object::Tensor(_));
        !dict.entries.is_empty() && dict.entries.iter().all(tensor)
    };
    let nested: Vec<(&str, &Dict)> = root
        .entries
        .iter()
        .filter_map(|&(name, value)| match (pickle.get(name), pickle.get(value)) {
            (Object::Text(name), Object::Dict(dict)) if all_tensors(dict) => {
                Some((name.as_str(), dict))
            }
            _ => None,
        })
        .collect();
    let known = || nested.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    match (key, nested.as_slice()) {
        (Some(key), nested) => match nested.iter().find(|(name, _)| *name == key) {
            Some((name, dict)) => Ok((dict, Some((*name).to_string()))),
            None => Err(Error::usage(format!("the checkpoint has no tensors under key {key:?}"))
                .found(if nested.is_empty() { "none anywhere".to_string() } else { known() })),
        },
        (None, _) if all_tensors(root) => Ok((root, None)),
        (None, [(name, dict)]) => Ok((dict, Some((*name).to_string()))),
        (None, []) => Err(not_a_state()),
        (None, _) => Err(Error::new("the checkpoint holds more than one set of tensors")
            .found(known())
            .remedy("choose one with --key NAME")),
    }
}

/// Gathers the numbers of a view, after all bounds were checked.
fn decode<'a>(
    name: &str,
    view: &TensorView,
    big_endian: bool,
    budget: &mut usize,
    entry: impl Fn(&str) -> Option<&'a [u8]>,
) -> Result<SourceTensor> {
    let storage = &view.storage;
    let width = storage.element.width();
    let Some(data) = entry(&storage.key) else {
        return Err(Error::new(format!("the numbers of tensor {name} are missing"))
            .expected(format!("entry data/{}", storage.key)));
    };
    if storage.count.checked_mul(width) != Some(data.len()) {
        return Err(Error::new(format!("the storage of tensor {name} has the wrong size"))
            .found(format!("{} bytes", data.len()))
            .expected(format!("{} numbers of {width} bytes", storage.count)));
    }
    let count = check_bounds(view).filter(|&count| count <= *budget).ok_or_else(|| {
        Error::new(format!("tensor {name} reaches past the end of its storage"))
            .found(format!(
                "shape {:?}, strides {:?}, offset {}",
                view.shape, view.strides, view.offset
            ))
            .expected(format!("at most {} numbers", storage.count))
    })?;
    *budget -= count;
    let read: fn(&[u8]) -> Vec<f32> = match storage.element {
        Element::F64 => float::from_f64,
        Element::F32 => float::from_f32,
        Element::F16 => float::from_f16,
        Element::BF16 => float::from_bf16,
        Element::I64 | Element::I32 | Element::Bool => {
            let shape = view.shape.clone();
            return Ok(SourceTensor { name: name.to_string(), shape, values: None, exact: true });
        }
    };
    let mut gathered = Vec::with_capacity(count * width);
    let mut index = vec![0usize; view.shape.len()];
    for _ in 0..count {
        let steps = index.iter().zip(&view.strides).map(|(i, stride)| i * stride);
        let at = (view.offset + steps.sum::<usize>()) * width;
        gathered.extend_from_slice(&data[at..at + width]);
        for axis in (0..index.len()).rev() {
            index[axis] += 1;
            if index[axis] < view.shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    if big_endian {
        gathered.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
    Ok(SourceTensor {
        name: name.to_string(),
        shape: view.shape.clone(),
        values: Some(read(&gathered)),
        exact: storage.element == Element::F32,
    })
}

/// How many numbers the view has, if they all lie in the storage and it has no more than that.
fn check_bounds(view: &TensorView) -> Option<usize> {
    let mut count = 1usize;
    let mut last = view.offset;
    for (&size, &stride) in view.shape.iter().zip(&view.strides) {
        count = count.checked_mul(size)?;
        last = last.checked_add(size.saturating_sub(1).checked_mul(stride)?)?;
    }
    (count == 0 || (last < view.storage.count && count <= view.storage.count)).then_some(count)
}
