//! Peak memory does not grow with the length of the genome: a network of SpliceAI's shape with
//! made-up weights over 0.6 Mb and over all 1.35 Mb of D. melanogaster chromosome 4.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may stop at once")]

use atrous::model::{
    Member, Model, Provenance, Source, Tensor, Track, TrackStrand, UnknownBase, file,
};
use atrous::network::Architecture;
use std::fs::{self, File};
use std::path::Path;

/// The grouped preset with small weights; one track.
fn model() -> Model {
    let graph = Architecture::preset("grouped").unwrap().unwrap().graph().unwrap();
    let tensor = |p: atrous::network::Parameter| {
        let count: usize = p.shape.iter().product();
        let values = (0..count).map(|i| (i * 7919 % 1009) as f32 / 1e5 + 1e-3).collect();
        (p.name, Tensor { shape: p.shape, values })
    };
    let weights = graph.parameters().into_iter().map(tensor).collect();
    Model {
        name: "shape".into(),
        networks: vec![graph],
        members: vec![Member { name: "made-up".into(), network: 0, weights }],
        tracks: vec![Track {
            name: "donor".into(),
            unit: "probability".into(),
            description: "Made-up numbers.".into(),
            strand: TrackStrand::Read,
            default: true,
            sources: vec![Source { member: 0, channel: 2 }],
        }],
        scheme: None,
        window: None,
        scalars: Vec::new(),
        profiles: Vec::new(),
        unknown_base: UnknownBase::Zero,
        provenance: Provenance {
            family: "atrous".into(),
            licence: "MIT".into(),
            sources: vec![],
            unread: vec![],
            record: "made by a test".into(),
        },
    }
}

/// Peak memory of a run over one region, in bytes, as its summary states it.
fn peak(folder: &Path, region: &str) -> f64 {
    let at = |name: &str| folder.join(name).to_str().unwrap().to_string();
    let reference = concat!(env!("CARGO_MANIFEST_DIR"), "/test-data/dm6.chr4.fa.gz");
    let (model, summary, output) = (at("m.safetensors"), at("s.json"), at("o.bedGraph.gz"));
    assert_cmd::cargo::cargo_bin_cmd!("atrous")
        .args(["predict", "-q", "-m", &model, "-r", reference, "--region", region, "-t", "1"])
        .args(["-o", &output, "--summary", &summary])
        .assert()
        .success();
    let summary: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(summary).unwrap()).unwrap();
    summary["peak_memory_bytes"].as_f64().unwrap()
}

#[test]
fn peak_memory_is_that_of_a_tile_whatever_the_length_of_the_contig() {
    let folder = tempfile::tempdir().unwrap();
    let mut model_file = File::create(folder.path().join("m.safetensors")).unwrap();
    file::write(&model(), &mut model_file).unwrap();
    let (part, whole) = (peak(folder.path(), "chr4:1-600,000"), peak(folder.path(), "chr4"));
    assert!(whole < 1.1 * part, "{whole} bytes for the whole contig, {part} for less than half");
    assert!(whole < 300e6, "{whole} bytes on one thread");
}
