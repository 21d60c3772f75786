//! The model file: one `.safetensors` with all tensors as F32 under `member.K.NAME`, and one JSON
//! document in its metadata under the key `atrous` (weight-files.md 4).
//!
//! Reading is strict both ways: every tensor that a network needs is there in its exact shape, and
//! nothing else is. Nothing in a model file is ever executed.

use super::bytes::FileBytes;
use super::{
    Member, Model, Profile, Provenance, Scalar, Scheme, Tensor, Track, UnknownBase, Weights,
    Window, float, json,
};
use crate::error::{Error, Result};
use crate::network::Graph;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, View};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

/// Key of our document in the metadata of the file.
const KEY: &str = "atrous";
/// Version of the document that this program writes, and the only one that it reads.
const VERSION: u64 = 1;
/// Longest header that is read (weight-files.md 4).
const MAX_HEADER_BYTES: u64 = 16 << 20;
/// The window rule of models without a window: any range can be computed, hidden layers are never
/// padded.
const NO_WINDOW: &str = "none";
/// Order of the input channels; every supported network uses it (networks.md 1).
const LETTERS: &str = "ACGT";

/// A model and the identity of the file that it came from.
#[derive(Debug)]
pub struct Loaded {
    /// The model, validated.
    pub model: Model,
    /// SHA-256 of the file's bytes, lower-case hexadecimal.
    pub sha256: String,
}

/// The JSON document. Field order is the order in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u64,
    name: String,
    window: WindowRule,
    letters: String,
    unknown_base: UnknownBase,
    tracks: Vec<Track>,
    /// Absent in files of models that score no variants, and in those before version 0.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    effect: Option<Scheme>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    scalars: Vec<Scalar>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    profiles: Vec<Profile>,
    members: Vec<MemberEntry>,
    networks: Vec<Graph>,
    provenance: Provenance,
}

/// `"none"`, or the window `{"in", "out", "anchor"}`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WindowRule {
    Named(String),
    Fixed(Window),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberEntry {
    name: String,
    network: usize,
}

/// Writes a model file. Equal models give equal bytes.
///
/// # Errors
/// The model does not pass [`Model::validate`], or `out` cannot be written to.
pub fn write(model: &Model, out: &mut dyn Write) -> Result<()> {
    model.validate()?;
    let document = Document {
        version: VERSION,
        name: model.name.clone(),
        window: match model.window {
            None => WindowRule::Named(NO_WINDOW.to_string()),
            Some(window) => WindowRule::Fixed(window),
        },
        letters: LETTERS.to_string(),
        unknown_base: model.unknown_base,
        tracks: model.tracks.clone(),
        effect: model.scheme.clone(),
        scalars: model.scalars.clone(),
        profiles: model.profiles.clone(),
        members: model
            .members
            .iter()
            .map(|member| MemberEntry { name: member.name.clone(), network: member.network })
            .collect(),
        networks: model.networks.clone(),
        provenance: model.provenance.clone(),
    };
    let text = serde_json::to_string(&document)
        .map_err(|e| Error::new(format!("cannot describe the model: {e}")))?;
    let tensors = model.members.iter().enumerate().flat_map(|(index, member)| {
        member
            .weights
            .iter()
            .map(move |(name, tensor)| (format!("member.{index}.{name}"), Stored(tensor)))
    });
    let metadata = HashMap::from([(KEY.to_string(), text)]);
    let bytes = safetensors::serialize(tensors, Some(metadata))
        .map_err(|e| Error::new(format!("cannot lay out the model file: {e}")))?;
    out.write_all(&bytes).map_err(|e| Error::io(Path::new("model file"), "write", e))
}

/// A tensor as the safetensors writer wants to see it.
struct Stored<'a>(&'a Tensor);

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.0.values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        self.0.values.len() * size_of::<f32>()
    }
}

/// Reads and validates a model file.
///
/// # Errors
/// The file is not one of ours, is damaged, or its parts do not fit together; the error names the
/// file and the part.
pub fn read(path: &Path) -> Result<Loaded> {
    let file = FileBytes::read(path, recognise)?;
    let model = parse(&file.bytes).map_err(|error| error.at(path))?;
    Ok(Loaded { model, sha256: file.sha256 })
}

/// Reads and validates the bytes of a model file.
///
/// # Errors
/// As [`read`], without the path.
pub fn parse(bytes: &[u8]) -> Result<Model> {
    let document = read_document(header(bytes)?)?;
    let tensors = SafeTensors::deserialize(bytes)
        .map_err(|e| Error::new(format!("the model file is damaged: {e}")).remedy(FETCH_AGAIN))?;
    let mut members: Vec<Member> = document
        .members
        .into_iter()
        .map(|entry| Member { name: entry.name, network: entry.network, weights: Weights::new() })
        .collect();
    let mut converted: BTreeMap<String, usize> = BTreeMap::new();
    for (name, view) in tensors.iter() {
        let place = name.strip_prefix("member.").and_then(|rest| rest.split_once('.'));
        let Some((index, short)) = place.and_then(|(index, short)| {
            let parsed: usize = index.parse().ok()?;
            (parsed.to_string() == index && parsed < members.len()).then_some((parsed, short))
        }) else {
            return Err(Error::new(format!("tensor {name} belongs to no member of the model"))
                .expected(format!("member.K.NAME with K below {}", members.len())));
        };
        if view.dtype() != Dtype::F32 {
            *converted.entry(view.dtype().to_string()).or_default() += 1;
        }
        members[index].weights.insert(short.to_string(), decode(name, &view)?);
    }
    for (dtype, count) in converted {
        tracing::info!("{count} tensors of the model file are {dtype} and were converted to F32");
    }
    let model = Model {
        name: document.name,
        networks: document.networks,
        members,
        window: match document.window {
            WindowRule::Named(_) => None,
            WindowRule::Fixed(window) => Some(window),
        },
        tracks: document.tracks,
        scheme: document.effect,
        scalars: document.scalars,
        profiles: document.profiles,
        unknown_base: document.unknown_base,
        provenance: document.provenance,
    };
    model.validate()?;
    Ok(model)
}

const FETCH_AGAIN: &str = "copy or download the file again, or make it anew";

/// Whether the first bytes of a file may be those of a model file.
fn recognise(bytes: &[u8]) -> Result<()> {
    header_length(bytes).map(|_| ())
}

fn not_ours(why: &str) -> Error {
    Error::new(format!("this is not an atrous model file: {why}"))
        .remedy("make one from published weights with `atrous import`")
}

/// The length of the JSON header, before anything is allocated for it.
fn header_length(bytes: &[u8]) -> Result<u64> {
    let Some((length, rest)) = bytes.split_first_chunk() else {
        return Err(not_ours("it is shorter than 8 bytes"));
    };
    let length = u64::from_le_bytes(*length);
    if rest.first() != Some(&b'{') {
        return Err(not_ours("it does not begin like a safetensors file"));
    }
    if length > MAX_HEADER_BYTES {
        return Err(not_ours("its header is too long")
            .found(format!("{length} bytes"))
            .expected(format!("at most {MAX_HEADER_BYTES}")));
    }
    Ok(length)
}

/// The JSON header.
fn header(bytes: &[u8]) -> Result<&str> {
    let length = header_length(bytes)?;
    let end = usize::try_from(length).ok().and_then(|length| length.checked_add(8));
    let header = end.and_then(|end| bytes.get(8..end)).ok_or_else(|| {
        Error::new("the model file is cut off in its header")
            .found(format!("{} bytes", bytes.len()))
            .expected(format!("more than {length}"))
            .remedy(FETCH_AGAIN)
    })?;
    std::str::from_utf8(header).map_err(|e| not_ours(&format!("its header is not text: {e}")))
}

/// Our document out of the header, with the version checked before the rest is understood.
fn read_document(header: &str) -> Result<Document> {
    let damaged = |what: &str, e: serde_json::Error| {
        Error::new(format!("{what} cannot be understood: {e}")).remedy(FETCH_AGAIN)
    };
    let header = json::parse(header).map_err(|e| damaged("the header of the model file", e))?;
    let Some(text) = header.pointer("/__metadata__/atrous").and_then(Value::as_str) else {
        return Err(Error::new(
            "the file holds tensors but does not say what network they belong to",
        )
        .expected("a safetensors file written by atrous")
        .remedy("make a model file from published weights with `atrous import`"));
    };
    let value = json::parse(text).map_err(|e| damaged("the description of the model", e))?;
    match value.get("version").and_then(Value::as_u64) {
        Some(VERSION) => {}
        version => {
            let found = version.map_or("none".to_string(), |version| version.to_string());
            return Err(Error::new("the format version of the model file is not known")
                .found(found)
                .expected(VERSION)
                .remedy("use the version of atrous that wrote the file, or a newer one"));
        }
    }
    let document: Document =
        serde_json::from_value(value).map_err(|e| damaged("the description of the model", e))?;
    if let WindowRule::Named(name) = &document.window
        && name != NO_WINDOW
    {
        return Err(Error::new("the model must be run in a way that is not known")
            .found(format!("window {name:?}"))
            .expected(format!("{NO_WINDOW:?}, or the numbers in, out and anchor"))
            .remedy("use a newer version of atrous"));
    }
    if document.letters != LETTERS {
        return Err(Error::new("the model reads its letters in an unknown order")
            .found(format!("{:?}", document.letters))
            .expected(format!("{LETTERS:?}")));
    }
    Ok(document)
}

/// The numbers of a tensor as f32.
fn decode(name: &str, view: &TensorView<'_>) -> Result<Tensor> {
    let data = view.data();
    let values = match view.dtype() {
        Dtype::F32 => float::from_f32(data),
        Dtype::F64 => float::from_f64(data),
        Dtype::F16 => float::from_f16(data),
        Dtype::BF16 => float::from_bf16(data),
        other => {
            return Err(Error::new(format!("tensor {name} has a type that weights cannot have"))
                .found(other)
                .expected("F32, F16, BF16 or F64"));
        }
    };
    Ok(Tensor { shape: view.shape().to_vec(), values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::tiny_model;
    use proptest::prelude::*;

    fn bytes_of(model: &Model) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(model, &mut bytes).unwrap();
        bytes
    }

    /// A safetensors file from a header and its data.
    fn assemble(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    /// Header and data of the tiny model, to be changed.
    fn parts() -> (String, Vec<u8>) {
        let bytes = bytes_of(&tiny_model(1));
        let header = header(&bytes).unwrap().to_string();
        let data = bytes[8 + header.len()..].to_vec();
        (header, data)
    }

    fn refused(bytes: &[u8]) -> String {
        parse(bytes).unwrap_err().to_string()
    }

    #[test]
    fn a_model_reads_back_as_it_was_written() {
        let model = tiny_model(1);
        let bytes = bytes_of(&model);
        assert_eq!(parse(&bytes).unwrap(), model);
        assert_eq!(bytes_of(&model), bytes, "equal models give equal bytes");
    }

    #[test]
    fn the_file_is_known_by_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        std::fs::write(&path, bytes_of(&tiny_model(1))).unwrap();
        let loaded = read(&path).unwrap();
        assert_eq!(loaded.model, tiny_model(1));
        assert_eq!(loaded.sha256, FileBytes::read(&path, recognise).unwrap().sha256);
        let error = read(&folder.path().join("absent")).unwrap_err().to_string();
        assert!(error.contains("absent"), "{error}");
    }

    #[test]
    fn a_file_cut_at_any_byte_is_refused() {
        let bytes = bytes_of(&tiny_model(1));
        for length in 0..bytes.len() {
            assert!(parse(&bytes[..length]).is_err(), "cut at {length}");
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(parse(&longer).is_err());
    }

    #[test]
    fn damaged_headers_are_refused_with_the_reason() {
        let (header, data) = parts();
        let swap = |from: &str, to: &str| {
            assert!(header.contains(from), "{from}");
            assemble(&header.replace(from, to), &data)
        };
        let cases: [(&str, Vec<u8>); 13] = [
            ("shorter than 8 bytes", b"PK\x03\x04".to_vec()),
            ("does not begin like", b"\x89HDF\r\n\x1a\n\0\0\0\0\0\0\0\0".to_vec()),
            ("too long", [&u64::MAX.to_le_bytes()[..], b"{}"].concat()),
            ("cut off in its header", [&99u64.to_le_bytes()[..], b"{}"].concat()),
            ("does not say what network", assemble("{}", &[])),
            ("occurs twice", swap("\"member.0.head.bias\"", "\"member.1.head.bias\"")),
            ("\\\"name\\\" occurs twice", swap("\\\"window\\\"", "\\\"name\\\"")),
            ("found 2, expected 1", swap("\\\"version\\\":1", "\\\"version\\\":2")),
            (
                "a way that is not known",
                swap("\\\"none\\\",\\\"letters\\\"", "\\\"2114\\\",\\\"letters\\\""),
            ),
            ("unknown order", swap("ACGT", "ACTG")),
            ("unknown field", swap("\\\"licence\\\"", "\\\"license\\\"")),
            ("belongs to no member", swap("\"member.0.head.bias\"", "\"member.2.head.bias\"")),
            ("belongs to no member", swap("\"member.0.head.bias\"", "\"member.00.head.bias\"")),
        ];
        for (what, bytes) in cases {
            let error = refused(&bytes);
            assert!(error.replace('\\', "").contains(&what.replace('\\', "")), "{what}: {error}");
        }
    }

    #[test]
    fn integer_weights_are_refused_and_other_floats_converted() {
        let (header, data) = parts();
        let value: Value = json::parse(&header).unwrap();
        let begin = value["member.0.head.bias"]["data_offsets"][0].as_u64().unwrap();
        let place = format!("\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[{begin},");
        assert!(header.contains(&place));
        let integer = header.replace(&place, &place.replace("F32", "I32"));
        assert!(refused(&assemble(&integer, &data)).contains("found I32, expected F32"));

        let model = tiny_model(1);
        let bias: Vec<f32> = model.members[0].weights["head.bias"].values.clone();
        let tensors = model.members.iter().enumerate().flat_map(|(k, member)| {
            member.weights.iter().map(move |(name, t)| (format!("member.{k}.{name}"), t))
        });
        let wide: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
            .map(|(name, t)| {
                let bytes = t.values.iter().flat_map(|&v| f64::from(v).to_le_bytes()).collect();
                (name, t.shape.clone(), bytes)
            })
            .collect();
        let views = wide.iter().map(|(name, shape, bytes)| {
            (name, TensorView::new(Dtype::F64, shape.clone(), bytes).unwrap())
        });
        let text = value.pointer("/__metadata__/atrous").unwrap().as_str().unwrap();
        let metadata = HashMap::from([(KEY.to_string(), text.to_string())]);
        let bytes = safetensors::serialize(views, Some(metadata)).unwrap();
        assert_eq!(parse(&bytes).unwrap().members[0].weights["head.bias"].values, bias);
    }

    #[test]
    fn a_hole_or_overlap_in_the_data_is_refused() {
        let (header, data) = parts();
        let mut more = data.clone();
        more.extend([0; 4]);
        assert!(refused(&assemble(&header, &more)).contains("damaged"));
        let first = "\"data_offsets\":[0,";
        assert!(header.contains(first));
        assert!(
            refused(&assemble(&header.replace(first, "\"data_offsets\":[4,"), &data))
                .contains("damaged")
        );
    }

    proptest! {
        #[test]
        fn a_flipped_byte_never_panics(at in 0usize..1 << 16, with in 1u8..) {
            let mut bytes = bytes_of(&tiny_model(1));
            let at = at % bytes.len();
            bytes[at] ^= with;
            // Either outcome is right: a changed weight is still a weight.
            let _ = parse(&bytes);
        }
    }
}
