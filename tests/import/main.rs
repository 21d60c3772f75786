//! Import of published weights: random networks written in the source layouts, damaged and hostile
//! files, and the published files where they are at hand.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod command;
mod hostile;
mod joint;
mod keras;
mod keras_writer;
mod profile;
mod published;
mod torch;
mod torch_writer;
mod windowed;

use atrous::Result;
use atrous::model::import::{FamilyChoice, ImportOptions, import};
use atrous::model::{Model, file};
use std::path::PathBuf;

/// Numbers in (0.5, 1.5) that look random: a linear congruential generator (Knuth's MMIX).
struct Noise(u64);

impl Noise {
    fn value(&mut self) -> f32 {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        0.5 + f32::from(u16::try_from(self.0 >> 48).unwrap()) / 65536.0
    }

    fn values(&mut self, shape: &[usize]) -> Vec<f32> {
        (0..shape.iter().product()).map(|_| self.value()).collect()
    }
}

/// A folder of weight files that is gone after the test.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// Imports one file from its bytes.
fn import_bytes(name: &str, bytes: &[u8], options: &ImportOptions) -> Result<Model> {
    let folder = Folder::new();
    import(FamilyChoice::Auto, &[folder.put(name, bytes)], options)
}

/// What the import of these bytes says when it refuses them.
fn refusal(name: &str, bytes: &[u8]) -> String {
    match import_bytes(name, bytes, &ImportOptions::default()) {
        Ok(model) => panic!("imported as {}", model.provenance.family),
        Err(error) => error.to_string(),
    }
}

/// The same model after it was written and read.
fn reload(model: &Model) -> Model {
    let mut bytes = Vec::new();
    file::write(model, &mut bytes).unwrap();
    file::parse(&bytes).unwrap()
}
