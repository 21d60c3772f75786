//! Everything that decides how a run goes on, in one file: weights, state of the optimiser, place
//! in the schedule. What is drawn at random is a function of the seed and the step and needs none.

use super::adamw::State;
use super::config::Loaded;
use super::history::Row;
use super::schedule::Plateau;
use crate::error::{Error, Result};
use crate::job::OutputFile;
use crate::model::{SourceFile, Tensor, Weights};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Key of our document in the metadata of the file.
const KEY: &str = "atrous-checkpoint";
const VERSION: u64 = 1;

/// What a run is of: its settings and its files, by name.
pub type Identity = BTreeMap<String, serde_json::Value>;

/// A run between two steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Place, settings and history.
    pub place: Place,
    /// The weights of the network.
    pub weights: Weights,
    /// The state of the optimiser.
    pub state: State,
    /// The weights of the lowest loss so far; empty before the first validation.
    pub best: Weights,
}

/// Where a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Version of this document.
    pub version: u64,
    /// What the run is of; see [`identity`].
    pub identity: Identity,
    /// Steps done.
    pub step: u64,
    /// Whether the run has ended.
    pub ended: bool,
    /// What the rate and stopping depend on; its loss is in `best_loss`.
    #[serde(skip)]
    pub plateau: Plateau,
    plateau_counts: (u32, i32, u32),
    /// Bits of numbers whose last digit matters: lowest loss, sum of losses and of gradients since
    /// the last row.
    bits: [u64; 3],
    /// Steps since the last row.
    pub since: u64,
    /// Rows so far.
    pub rows: Vec<Row>,
    /// CPU seconds so far.
    pub cpu_seconds: f64,
}

impl Place {
    /// At the beginning of a run.
    pub fn start(identity: Identity) -> Self {
        let mut place = Self {
            version: VERSION,
            identity,
            step: 0,
            ended: false,
            plateau: Plateau::default(),
            plateau_counts: (0, 0, 0),
            bits: [0; 3],
            since: 0,
            rows: Vec::new(),
            cpu_seconds: 0.0,
        };
        place.set_sums(0.0, 0.0);
        place
    }

    /// Sums of losses and gradients since the last row.
    pub fn sums(&self) -> (f64, f64) {
        (f64::from_bits(self.bits[1]), f64::from_bits(self.bits[2]))
    }

    /// Sets the sums.
    pub fn set_sums(&mut self, loss: f64, gradient: f64) {
        (self.bits[1], self.bits[2]) = (loss.to_bits(), gradient.to_bits());
    }
}

/// What a run is of: its settings and the SHA-256 of its files.
///
/// # Errors
/// A file that cannot be read.
pub fn identity(of: &Loaded, sources: &[PathBuf]) -> Result<Identity> {
    let wrong = |e: serde_json::Error| Error::new(format!("cannot describe the run: {e}"));
    let mut config = of.config.clone();
    // where the files lie is no part of what is learned
    config.root.clear();
    let mut identity = Identity::new();
    if let serde_json::Value::Object(parts) = serde_json::to_value(&config).map_err(wrong)? {
        identity.extend(parts);
    }
    for path in sources {
        let file = SourceFile::of(path)?;
        identity.insert(format!("file {}", file.name), file.sha256.into());
    }
    Ok(identity)
}

impl Checkpoint {
    /// Writes the file; an earlier one stays until this one is complete.
    ///
    /// # Errors
    /// Any failure to write.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut place = self.place.clone();
        let Plateau { best, since, halved, waited } = place.plateau;
        place.plateau_counts = (since, halved, waited);
        place.bits[0] = best.to_bits();
        let text = serde_json::to_string(&place)
            .map_err(|e| Error::new(format!("cannot describe the checkpoint: {e}")))?;
        let mut bytes: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
        for (part, weights) in self.parts() {
            for (name, tensor) in weights {
                let values = tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect();
                bytes.push((format!("{part}/{name}"), tensor.shape.clone(), values));
            }
        }
        let views = bytes
            .iter()
            .map(|(name, shape, values)| {
                Ok((name.clone(), TensorView::new(Dtype::F32, shape.clone(), values)?))
            })
            .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>();
        let laid = views.and_then(|views| {
            safetensors::serialize(views, Some(HashMap::from([(KEY.to_string(), text)])))
        });
        let laid = laid.map_err(|e| Error::new(format!("cannot lay out the checkpoint: {e}")))?;
        let mut file = OutputFile::create(path)?;
        file.write_all(&laid).map_err(|e| file.error(e))?;
        file.commit()
    }

    fn parts(&self) -> [(&'static str, &Weights); 5] {
        [
            ("weights", &self.weights),
            ("first", &self.state.first),
            ("second", &self.state.second),
            ("average", &self.state.average),
            ("best", &self.best),
        ]
    }

    /// Refuses a checkpoint of another run.
    ///
    /// # Errors
    /// The first setting or file that differs.
    pub fn check(&self, path: &Path, identity: &Identity) -> Result<()> {
        let own = &self.place.identity;
        let mut keys = own.keys().chain(identity.keys());
        match keys.find(|key| own.get(*key) != identity.get(*key)) {
            Some(key) => Err(Error::new("the checkpoint is of another run")
                .at(path)
                .found(format!("another `{key}`"))
                .remedy("choose another --out, or remove the checkpoint")),
            None => Ok(()),
        }
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// A file that cannot be read or is damaged.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, "read", e))?;
        let damaged = |what: String| {
            Error::new(format!("the checkpoint is damaged: {what}"))
                .at(path)
                .remedy("remove it and start again")
        };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(e.to_string()))?;
        let text = header.metadata().as_ref().and_then(|texts| texts.get(KEY));
        let text = text.ok_or_else(|| damaged("no description of a run".into()))?;
        let mut place: Place = serde_json::from_str(text).map_err(|e| damaged(e.to_string()))?;
        if place.version != VERSION {
            return Err(damaged(format!("version {}", place.version)));
        }
        let (since, halved, waited) = place.plateau_counts;
        let best = f64::from_bits(place.bits[0]);
        place.plateau = Plateau { best, since, halved, waited };
        let mut parts: BTreeMap<&str, Weights> = BTreeMap::new();
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| damaged(e.to_string()))?;
        for (name, view) in tensors.tensors() {
            let Some((part, own)) = name.split_once('/') else {
                return Err(damaged(format!("a tensor {name}")));
            };
            let number = |four: &[u8]| f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
            let values = view.data().chunks_exact(4).map(number).collect();
            let known = ["weights", "first", "second", "average", "best"];
            let Some(part) = known.into_iter().find(|known| *known == part) else {
                return Err(damaged(format!("a tensor {name}")));
            };
            let tensor = Tensor { shape: view.shape().to_vec(), values };
            parts.entry(part).or_default().insert(own.to_string(), tensor);
        }
        let mut take = |part: &str| parts.remove(part).unwrap_or_default();
        Ok(Self {
            weights: take("weights"),
            state: State { first: take("first"), second: take("second"), average: take("average") },
            best: take("best"),
            place,
        })
    }
}
