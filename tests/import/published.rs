//! The published weight files, where they are at hand (`$ATROUS_SHARED`, default `../shared`).

use crate::reload;
use atrous::model::import::{Family, FamilyChoice, ImportOptions, import};
use std::path::PathBuf;

/// The folder of published weights, or a printed reason to skip.
fn weights() -> Option<PathBuf> {
    let root = std::env::var_os("ATROUS_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let weights = root.join("weights");
    if weights.is_dir() {
        return Some(weights);
    }
    eprintln!("skipped: no published weights in {} (set ATROUS_SHARED)", weights.display());
    None
}

fn list(folder: &str, count: usize) -> Option<Vec<PathBuf>> {
    let folder = weights()?.join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), count, "{}", folder.display());
    Some(files)
}

#[test]
fn the_five_spliceai_files_make_one_ensemble() {
    let Some(files) = list("spliceai", 5) else { return };
    let options = ImportOptions::default();
    let model = import(FamilyChoice::Auto, &files, &options).unwrap();
    assert_eq!(model.provenance.family, "spliceai");
    assert_eq!(model.scheme.as_ref().unwrap().to_string(), "splice-delta:acceptor,donor");
    // weight-files.md 2.1: 206 tensors, 698,787 numbers per file.
    assert!(model.members.iter().all(|member| member.weights.len() == 206));
    assert_eq!(model.parameter_count(), 5 * 698_787);
    assert_eq!((model.reach().left, model.reach().right), (5000, 5000));
    assert_eq!(model.networks.len(), 1);
    assert_eq!(model.members[4].name, "spliceai5");
    assert_eq!(model.tracks[1].sources.len(), 5);
    // weights/README.md states the hashes.
    assert_eq!(
        model.provenance.sources[0].sha256,
        "e1fd5adcef7489d604b10e79c40078ef790d51ef048c4ce3869c9119ac5de42b"
    );
    assert!(model.provenance.unread.is_empty());
    assert_eq!(reload(&model), model);
    let wrong = import(FamilyChoice::Only(Family::TranslationAi), &files, &options);
    assert!(wrong.unwrap_err().to_string().contains("looks like spliceai"));
}

#[test]
fn openspliceai_of_every_size_imports() {
    // networks.md 2: numbers of trained values; means and variances come on top (2 per norm channel).
    for (folder, count, groups, trained) in [
        ("openspliceai/mane-80nt", 1, 1, 93_251),
        ("openspliceai/mane-400nt", 1, 2, 185_187),
        ("openspliceai/mane-2000nt", 1, 3, 359_043),
        ("openspliceai/mane-10000nt", 5, 4, 696_739),
    ] {
        let Some(files) = list(folder, count) else { return };
        let model = import(FamilyChoice::Auto, &files, &ImportOptions::default()).unwrap();
        assert_eq!(model.provenance.family, "openspliceai");
        let stored = 2 * 32 * 8 * groups;
        assert_eq!(model.parameter_count(), count * (trained + stored));
        let flank = [40, 200, 1000, 5000][groups - 1];
        assert_eq!((model.reach().left, model.reach().right), (flank, flank));
        assert_eq!(model.provenance.unread.len(), count * 8 * groups);
        assert_eq!(reload(&model), model);
    }
}

#[test]
fn the_twelve_pangolin_files_average_within_tissues() {
    let Some(files) = list("pangolin", 12) else { return };
    let model = import(FamilyChoice::Auto, &files, &ImportOptions::default()).unwrap();
    assert_eq!(model.provenance.family, "pangolin");
    let scheme = model.scheme.as_ref().unwrap().to_string();
    assert_eq!(scheme, "splice-usage:heart,liver,brain,testis");
    let tracks: Vec<_> = model
        .tracks
        .iter()
        .map(|t| (t.name.as_str(), t.sources.iter().map(|s| s.member).collect::<Vec<_>>()))
        .collect();
    // Files are sorted by replicate, then tissue.
    let tissue = |first| vec![first, first + 4, first + 8];
    assert_eq!(
        tracks,
        [("heart", tissue(0)), ("liver", tissue(1)), ("brain", tissue(2)), ("testis", tissue(3))]
    );
    assert!(model.tracks.iter().flat_map(|t| &t.sources).all(|source| source.channel == 1));
    assert_eq!(model.networks.len(), 1);
    assert_eq!((model.reach().left, model.reach().right), (5000, 5000));
    // weight-files.md 3.3: 252 tensors per file.
    let read: usize = model.members.iter().map(|member| member.weights.len()).sum();
    assert_eq!(read + model.provenance.unread.len(), 12 * 252);
    assert_eq!(reload(&model), model);
}

#[test]
fn a_damaged_published_keras_file_is_refused_or_read_but_never_panics() {
    let Some(files) = list("spliceai", 5) else { return };
    let bytes = std::fs::read(&files[0]).unwrap();
    let folder = crate::Folder::new();
    let mut noise = crate::Noise(11);
    let mut place = |below: usize| (noise.value().fract() * 65536.0) as usize * below / 65536;
    for round in 0..40 {
        let mut damaged = bytes.clone();
        // Half of the rounds hit the structures at the front, half anywhere.
        let below = if round % 2 == 0 { 4096 } else { damaged.len() };
        for _ in 0..4 {
            let at = place(below);
            damaged[at] ^= 1 << place(8);
        }
        let path = folder.put("m.h5", &damaged);
        let _ = import(FamilyChoice::Auto, &[path], &ImportOptions::default());
    }
    for cut in [8, 96, 100, 2048, 10_000, bytes.len() / 2, bytes.len() - 1] {
        let path = folder.put("m.h5", &bytes[..cut]);
        assert!(import(FamilyChoice::Auto, &[path], &ImportOptions::default()).is_err(), "{cut}");
    }
}
