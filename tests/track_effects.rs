//! Effects of variants on signals, against numbers of the published programs on models of random
//! weights (`$ATROUS_SHARED/conformance/signal/variants`).

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use atrous::effect::track::{
    Column, Combine, Function, MutateRequest, StrandAverage, Tested, TrackEffect, TrackReading,
    TrackScorer, TrackSettings, mutate,
};
use atrous::effect::{Outcome, RefMismatch, Scores, Skip, VariantOutcome};
use atrous::engine::CpuEngine;
use atrous::engine::cpu::Isa;
use atrous::genome::regions::{RegionOptions, read_bed};
use atrous::genome::variants::{OnBadRecord, Schema, VariantReader};
use atrous::genome::{Reference, Resolver, Strand, Variant};
use atrous::job::Progress;
use atrous::model::Model;
use atrous::model::import::{FamilyChoice, ImportOptions, import};
use atrous::track::Style;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn shared() -> Option<PathBuf> {
    let root = std::env::var_os("ATROUS_SHARED").unwrap_or_else(|| "../shared".into());
    let folder = PathBuf::from(root).join("conformance/signal");
    if folder.join("../../data/yeast/genome.fa.gz").is_file() {
        return Some(folder);
    }
    println!("skipped: no {} or no genome", folder.display());
    None
}

fn model(folder: &Path, name: &str) -> Model {
    let weights = [folder.join(name)];
    import(FamilyChoice::Auto, &weights, &ImportOptions::default()).unwrap()
}

/// Rows of a table by the values of some of its columns, joined by tabs.
fn table(path: &Path, keys: &[&str]) -> BTreeMap<String, BTreeMap<String, String>> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let row = |line: &str| -> BTreeMap<String, String> {
        let cells = names.iter().map(|name| name.to_string());
        cells.zip(line.split('\t').map(str::to_owned)).collect()
    };
    let keyed = |row: BTreeMap<String, String>| {
        (keys.iter().map(|key| row[*key].clone()).collect::<Vec<_>>().join("\t"), row)
    };
    lines.map(row).map(keyed).collect()
}

fn number(row: &BTreeMap<String, String>, name: &str) -> f64 {
    row[name].parse().unwrap()
}

/// Our columns, theirs, and the tolerance of the golden's README.
const COLUMNS: [(Column, &str, f64); 13] = [
    (Column::RefCount, "allele1_pred_counts", 2e-3),
    (Column::AltCount, "allele2_pred_counts", 2e-3),
    (Column::Logfc, "logfc", 2e-5),
    (Column::JsdDistance, "jsd", 2e-6),
    (Column::JsdDistanceRaw, "original_jsd", 2e-6),
    (Column::LogfcJsd, "logfc_x_jsd", 2e-5),
    (Column::RefQuantile, "allele1_quantile", 1e-12),
    (Column::AltQuantile, "allele2_quantile", 1e-12),
    (Column::ActiveQuantile, "active_allele_quantile", 1e-12),
    (Column::QuantileChange, "quantile_change", 1e-12),
    (Column::LogfcActive, "logfc_x_active_allele_quantile", 2e-5),
    (Column::JsdActive, "jsd_x_active_allele_quantile", 2e-5),
    (Column::LogfcJsdActive, "logfc_x_jsd_x_active_allele_quantile", 2e-5),
];

fn effect<'o>(outcome: &'o VariantOutcome<'_>) -> Result<&'o TrackEffect, Skip> {
    match &outcome.alleles[0].outcome {
        Outcome::Skipped(skipped) => Err(skipped.reason),
        Outcome::Scored(scores) => match &scores[0].scores[0] {
            Scores::Effect(effect) => Ok(effect),
            other => panic!("{other:?}"),
        },
    }
}

fn variants(path: &Path, resolver: &Resolver, schema: Option<Schema>) -> Vec<Variant> {
    let mut reader = match schema {
        Some(schema) => VariantReader::open_table(path, resolver, OnBadRecord::Error, schema),
        None => VariantReader::open(path, resolver, OnBadRecord::Error),
    }
    .unwrap();
    std::iter::from_fn(|| reader.next_record().unwrap()).map(|record| record.variant).collect()
}

#[test]
fn scores_are_those_of_variant_scorer() {
    let Some(folder) = shared() else { return };
    let at = |name: &str| folder.join("variants").join(name);
    let model = model(&folder, "chrombpnet/chrombpnet_128x8_nobias.h5");
    let mut reference = Reference::open(&folder.join("../../data/yeast/genome.fa.gz")).unwrap();
    let resolver = Resolver::new(reference.contigs(), None).unwrap();
    let tracks = model.select_tracks(&[], None).unwrap();
    let settings = TrackSettings { ref_mismatch: RefMismatch::UseVcf, ..TrackSettings::default() };
    let reading = TrackReading::new(&model, &tracks, settings.strands).unwrap();
    let engine = CpuEngine::new(&model, reading.wanted().clone(), Isa::best()).unwrap();
    let keys = ["chr", "pos", "allele1", "allele2"];
    let scorer = TrackScorer::new(&reading, &engine, settings).unwrap();
    let mut peaks =
        read_bed(&at("peaks.narrowPeak"), &resolver, &RegionOptions::default()).unwrap().list;
    // its windows are one base to the left (README of the golden)
    for peak in &mut peaks {
        peak.summit = peak.summit.map(|summit| summit - 1);
    }
    let (scorer, left_out) = scorer.with_peaks(&mut reference, &peaks).unwrap();
    assert_eq!(left_out, [1, 1], "one there twice, one beyond its contig");
    let expected = table(&at("expected.float64.variant_scores.tsv"), &keys);
    let list = variants(&at("variants.tsv"), &resolver, Some(Schema::Chrombpnet));
    let outcomes = scorer.score(&mut reference, &list).unwrap();
    let mut compared = 0;
    for (variant, outcome) in list.iter().zip(&outcomes) {
        let dash = |allele: &str| if allele.is_empty() { "-".into() } else { allele.to_owned() };
        let (first, second) = (dash(&variant.reference), dash(&variant.alternates[0]));
        let key = format!("{}\t{}\t{first}\t{second}", variant.chrom, variant.pos);
        let Some(row) = expected.get(&key) else {
            // the published program drops what comes near an end, and unknown contigs
            let length = variant.contig.map(|id| reference.contigs().length(id));
            match effect(outcome) {
                Ok(_) => assert!(variant.pos <= 1057 || variant.pos + 1057 > length.unwrap()),
                Err(reason) => assert_eq!(reason, Skip::ContigNotInReference, "{key}"),
            }
            continue;
        };
        let found = effect(outcome).unwrap();
        for (column, name, tolerance) in COLUMNS {
            let (got, want) = (found.values.get(column).unwrap(), number(row, name));
            assert!((got - want).abs() <= tolerance, "{key} {name}: {got} {want}");
        }
        compared += 1;
    }
    assert_eq!(compared, expected.len());
    // in another order, the same bits
    let mut backwards = list.clone();
    backwards.reverse();
    let mut again = scorer.score(&mut reference, &backwards).unwrap();
    again.reverse();
    assert_eq!(again, outcomes);
    // VCF has the same variants but for those without an anchor
    let vcf = variants(&at("variants.vcf"), &resolver, None);
    let of_vcf = scorer.score(&mut reference, &vcf).unwrap();
    for (variant, outcome) in vcf.iter().zip(&of_vcf) {
        let same = |other: &&Variant| {
            (other.pos, &other.reference, &other.alternates)
                == (variant.pos, &variant.reference, &variant.alternates)
        };
        let place = list.iter().position(|other| same(&other)).unwrap();
        assert_eq!(outcome.alleles[0].outcome, outcomes[place].alleles[0].outcome);
    }
}

#[test]
fn p_values_follow_from_a_pool_as_variant_scorers_do() {
    let Some(folder) = shared() else { return };
    let at = |name: &str| folder.join("variants").join(name);
    let null = table(&at("null.float32.shuffled_scores.tsv"), &["variant_id", "random_seed"]);
    let scores = table(&at("expected.float32.variant_scores.tsv"), &["variant_id"]);
    let mut compared = 0;
    for tested in Tested::all(true) {
        // theirs: logfc, abs_logfc, jsd, … with .pval behind
        let theirs = tested.name().trim_start_matches("p_").to_owned();
        let theirs = match theirs.as_str() {
            "jsd_distance" => "jsd".to_owned(),
            other => other.replace("active_quantile", "active_allele_quantile"),
        };
        let mut pool: Vec<f64> = null.values().map(|row| number(row, &theirs)).collect();
        assert_eq!(pool.len(), 220);
        pool.sort_unstable_by(f64::total_cmp);
        for row in scores.values() {
            let got = tested.p(number(row, &theirs), &pool);
            let want = number(row, &format!("{theirs}.pval")).min(1.0);
            assert!((got - want).abs() < 1e-12, "{theirs}: {got} {want}");
            assert!(got > 0.0 && got <= 1.0);
            compared += 1;
        }
    }
    assert_eq!(compared, 13 * scores.len());
}

/// An array of an `.npz` file whose entries are stored.
fn array(path: &Path, name: &str) -> Vec<f64> {
    let bytes = fs::read(path).unwrap();
    let u16 = |at: usize| usize::from(u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()));
    let u32 = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let end = bytes.len() - 22;
    let mut at = u32(end + 16);
    for _ in 0..u16(end + 10) {
        let (size, length, local) = (u32(at + 24), u16(at + 28), u32(at + 42));
        if bytes[at + 46..][..length] == *format!("{name}.npy").as_bytes() {
            let data = &bytes[local + 30 + u16(local + 26) + u16(local + 28)..][..size];
            let data = &data[10 + usize::from(u16::from_le_bytes([data[8], data[9]]))..];
            return data.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect();
        }
        at += 46 + length + u16(at + 30) + u16(at + 32);
    }
    panic!("{name} is not in {}", path.display());
}

#[test]
fn mutagenesis_is_that_of_tangermeme() {
    let Some(folder) = shared() else { return };
    let golden = folder.join("attribution/mutagenesis_bpnet_64x8_s1_w2.float64.npz");
    let model = model(&folder, "bpnetlite/bpnet_64x8_s1.torch");
    // the window itself is the reference, so that the region of a whole window is known
    let text = fs::read_to_string(folder.join("inputs/windows.fa")).unwrap();
    let record = text.split('>').nth(3).unwrap();
    let letters: String = record.lines().skip(1).collect();
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::write(at("w2.fa"), format!(">w2\n{letters}\n")).unwrap();
    let mut reference = Reference::open(&at("w2.fa")).unwrap();
    let resolver = Resolver::new(reference.contigs(), None).unwrap();
    let region = atrous::genome::parse_region("w2", &resolver).unwrap().interval;
    let tracks = model.select_tracks(&[], None).unwrap();
    let reading = TrackReading::new(&model, &tracks, StrandAverage::None).unwrap();
    let engine = CpuEngine::new(&model, reading.wanted().clone(), Isa::best()).unwrap();
    let mut run = |function, center, project| -> Vec<f64> {
        let request = MutateRequest {
            region,
            function: Function::clone(&function),
            at: None,
            strand: Strand::Plus,
            strands: StrandAverage::None,
            combine: Combine::Scores,
            center,
            project,
            table: at("out.tsv"),
            importance: Some(at("out.bedGraph")),
            plot: None,
            style: Style::default(),
            subtitle: String::new(),
            shard: None,
            identity: BTreeMap::new(),
        };
        let progress = Progress::silent();
        let report = mutate(&mut reference, &reading, &engine, &request, &progress).unwrap();
        assert_eq!((report.bases, report.alleles), (2114, 3 * 2114));
        let rows = fs::read_to_string(at("out.tsv")).unwrap();
        rows.lines().skip(1).map(|row| row.rsplit('\t').next().unwrap().parse().unwrap()).collect()
    };
    // [position][base], as rows are written
    let counts = run(Function::LogCount, false, false);
    let profile = run(Function::ProfileSummary, true, false);
    let projected = run(Function::LogCount, true, true);
    assert_eq!((counts.len(), projected.len()), (4 * 2114, 2114));
    let reference_count = array(&golden, "ref_logcounts")[0];
    let mut compared = 0;
    for (name, start, length) in [
        ("center", 1007, 100),
        ("left_edge", 0, 12),
        ("right_edge", 2102, 12),
        ("output_edge", 550, 14),
    ] {
        // of the golden: [base][position]
        let golden_of = |key: &str| array(&golden, &format!("{name}_{key}"));
        let near = |found: f64, expected: f64, what: &str| {
            assert!((found - expected).abs() < 1e-5, "{name} {what}: {found} {expected}");
        };
        let log_counts = golden_of("logcounts");
        let profile_attribution = golden_of("profile_attr_hypothetical");
        let attribution = golden_of("counts_attr");
        for position in 0..length {
            for base in 0..4 {
                let (own, theirs) = (4 * (start + position) + base, base * length + position);
                near(counts[own], log_counts[theirs] - reference_count, "log counts");
                near(profile[own], profile_attribution[theirs], "centred summaries");
                compared += 1;
            }
            // stored with the bases of a position side by side
            let observed: f64 = attribution[4 * position..][..4].iter().sum();
            near(projected[start + position], observed, "projected");
        }
    }
    assert_eq!(compared, 4 * 138);
}
