//! Published weights against golden scores of variants: `$ATROUS_SHARED/conformance` holds scores
//! of an independent program, of the published programs and of their own tests (its README says how
//! they were made, and how to compare them: "How to compare"). Skipped, with the reason, when
//! absent.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use atrous::effect::{
    DeltaScores, Mask, Outcome, Print, Reading, Rules, Scorer, Scores, Settings, Skip, Text,
    UsageScores, VariantOutcome,
};
use atrous::engine::CpuEngine;
use atrous::engine::cpu::Isa;
use atrous::genome::genes::{GeneOptions, Genes};
use atrous::genome::variants::{OnBadRecord, VariantReader};
use atrous::genome::{Reference, Resolver, Variant};
use atrous::model::Model;
use atrous::model::import::{FamilyChoice, ImportOptions, import};
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Scores with 6 decimals: rounding of f32 over models, and the printed digit.
const SIX_DECIMALS: f64 = 5e-6;
/// Below this a maximum is a tie of rounding errors, and its position means nothing.
const TELLING: f64 = 1e-4;

/// The shared folder, or `None` after saying why the test is skipped.
fn shared() -> Option<PathBuf> {
    let root = std::env::var_os("ATROUS_SHARED").map_or_else(|| "../shared".into(), PathBuf::from);
    let found = root.join("conformance").is_dir() && root.join("weights").is_dir();
    if !found {
        // written past the capture of passing tests, so that a skip is seen
        let reason = format!("skipped: no conformance data in {}", root.display());
        let _ = writeln!(std::io::stderr(), "{reason} (set ATROUS_SHARED)");
    }
    found.then_some(root)
}

fn model(root: &Path, family: &str) -> Model {
    let weights = root.join("weights");
    let named = |folder: &str, names: Vec<String>| -> Vec<PathBuf> {
        names.iter().map(|name| weights.join(folder).join(name)).collect()
    };
    let files = match family {
        "spliceai" => named("spliceai", (1..=5).map(|i| format!("spliceai{i}.h5")).collect()),
        "openspliceai" => named(
            "openspliceai/mane-10000nt",
            (10..=14).map(|i| format!("model_10000nt_rs{i}.pt")).collect(),
        ),
        "pangolin" => {
            let nets = [1, 2, 3].map(|j| [0, 2, 4, 6].map(|i| format!("final.{j}.{i}.3.v2")));
            named("pangolin", nets.into_iter().flatten().collect())
        }
        other => panic!("no family {other}"),
    };
    import(FamilyChoice::Auto, &files, &ImportOptions::default()).unwrap()
}

/// A reference, genes and variants of the shared data.
struct Case {
    reference: Reference,
    genes: Genes,
    variants: Vec<Variant>,
}

fn case(root: &Path, fasta: &str, genes: &str, vcf: &str) -> Case {
    let folder = root.join("conformance");
    let reference = Reference::open(&folder.join(fasta)).unwrap();
    let resolver = Resolver::new(reference.contigs(), None).unwrap();
    let genes = Genes::read(&folder.join(genes), &resolver, &GeneOptions::default()).unwrap();
    let mut reader = VariantReader::open(&folder.join(vcf), &resolver, OnBadRecord::Error).unwrap();
    let records = std::iter::from_fn(|| reader.next_record().unwrap());
    let variants = records.map(|record| record.variant).collect();
    Case { reference, genes, variants }
}

/// Per ALT its letters and its scores or the reason without; and the texts of all INFO fields.
type Found = (Vec<(String, Result<Vec<Scores>, Skip>)>, Vec<String>);

/// Scores some variants of a case, and gives what became of each and the text that it gains.
fn score(
    case: &mut Case,
    model: &Model,
    member: Option<&str>,
    settings: Settings,
    variants: &[Variant],
) -> Vec<Found> {
    let scheme = model.scheme.clone().expect("the importer names the scheme");
    let reading = Reading::new(model, &scheme, member).unwrap();
    let engine = CpuEngine::new(model, reading.tracks(), Isa::best()).unwrap();
    let scorer = Scorer::new(&reading, &engine, Some(&case.genes), settings).unwrap();
    let text = Text::new(&reading, scorer.settings());
    let outcomes = scorer.score(&mut case.reference, variants).unwrap();
    let plain = |outcome: &VariantOutcome| {
        let alleles = outcome.alleles.iter().map(|allele| {
            let result = match &allele.outcome {
                Outcome::Scored(genes) => Ok(genes[0].scores.clone()),
                Outcome::Skipped(skipped) => Err(skipped.reason),
            };
            (allele.allele.clone(), result)
        });
        let text = text.fields(outcome).into_iter().map(|(_, value)| value).collect();
        (alleles.collect(), text)
    };
    outcomes.iter().map(plain).collect()
}

/// A table of expected numbers: rows by position and alleles, cells by column.
type Expected = HashMap<(u64, String, String), HashMap<String, String>>;

fn expected(root: &Path, name: &str) -> Expected {
    let text = std::fs::read_to_string(root.join("conformance").join(name)).unwrap();
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let named = columns.iter().zip(&cells).map(|(c, v)| (c.to_string(), v.to_string()));
        ((cells[1].parse().unwrap(), cells[2].into(), cells[3].into()), named.collect())
    };
    lines.map(row).collect()
}

fn number(row: &HashMap<String, String>, column: &str) -> f64 {
    row.get(column).unwrap_or_else(|| panic!("no column {column}")).parse().unwrap()
}

/// DS within a tolerance, DP equal where DS tells something.
fn same_delta(scores: &DeltaScores, row: &HashMap<String, String>, prefix: &str, within: f64) {
    for (index, name) in ["AG", "AL", "DG", "DL"].into_iter().enumerate() {
        let (ds, dp) = (
            number(row, &format!("{prefix}DS_{name}")),
            number(row, &format!("{prefix}DP_{name}")),
        );
        let found = f64::from(scores.score[index]);
        assert!((found - ds).abs() <= within, "{row:?}: DS_{name} {found}");
        if ds.abs() >= TELLING {
            assert_eq!(scores.position[index] as f64, dp, "{row:?}: DP_{name}");
        }
    }
}

/// Equal with two decimals, or within [`SIX_DECIMALS`] of a rounding edge.
fn same_two_decimals(found: f32, text: &str) {
    let printed: f64 = text.parse().unwrap();
    let off = (f64::from(found) - printed).abs();
    assert!(off <= 0.005 + SIX_DECIMALS, "{found} is not {text}");
}

fn delta(scores: &Scores) -> DeltaScores {
    match scores {
        Scores::Delta(scores) => *scores,
        other => panic!("scores of another scheme: {other:?}"),
    }
}

fn usage(scores: &Scores) -> UsageScores {
    match scores {
        Scores::Usage(scores) => *scores,
        other => panic!("scores of another scheme: {other:?}"),
    }
}

#[test]
fn or4f5_has_the_published_masked_scores_and_the_unmasked_ones_of_the_yardstick() {
    let Some(root) = shared() else { return };
    let mut case = case(&root, "hg38_1m.fa.gz", "grch38_or4f5.tsv", "or4f5.input.vcf");
    let expected = expected(&root, "or4f5.expected.tsv");
    let settings = Settings { masks: vec![Mask::None, Mask::Nearest], ..Settings::default() };
    let variants = case.variants.clone();
    let model = model(&root, "spliceai");
    let found = score(&mut case, &model, None, settings, &variants);
    for (variant, (alleles, _)) in variants.iter().zip(&found) {
        let row =
            &expected[&(variant.pos, variant.reference.clone(), variant.alternates[0].clone())];
        let scores = alleles[0].1.as_ref().unwrap();
        same_delta(&delta(&scores[0]), row, "spliceai_", SIX_DECIMALS);
        let masked = delta(&scores[1]);
        let fields: Vec<&str> = row["spliceai_masked_string"].split('|').collect();
        for index in 0..4 {
            same_two_decimals(masked.score[index], fields[2 + index]);
            if number(row, &format!("spliceai_DS_{}", ["AG", "AL", "DG", "DL"][index])) >= TELLING {
                assert_eq!(masked.position[index].to_string(), fields[6 + index], "{row:?}");
            }
        }
    }
}

#[test]
fn or4f5_has_the_scores_of_openspliceai_and_of_one_of_its_members() {
    let Some(root) = shared() else { return };
    // the genes of a GTF file are those of the table
    let mut case = case(&root, "hg38_1m.fa.gz", "grch38_or4f5.gtf", "or4f5.input.vcf");
    let expected = expected(&root, "or4f5.expected.tsv");
    // every third, which is a second of work per ensemble
    let variants: Vec<Variant> = case.variants.iter().step_by(3).cloned().collect();
    let model = model(&root, "openspliceai");
    for (member, prefix) in
        [(None, "openspliceai_"), (Some("model_10000nt_rs10"), "openspliceai_rs10_")]
    {
        let found = score(&mut case, &model, member, Settings::default(), &variants);
        for (variant, (alleles, _)) in variants.iter().zip(&found) {
            let row =
                &expected[&(variant.pos, variant.reference.clone(), variant.alternates[0].clone())];
            let scores = delta(&alleles[0].1.as_ref().unwrap()[0]);
            same_delta(&scores, row, prefix, SIX_DECIMALS);
            // As shipped: five members for substitutions, one for others; from a GPU.
            let indel = variant.reference.len() + variant.alternates[0].len() > 2;
            if indel == member.is_some() {
                let shipped: Vec<f64> = row["openspliceai_string"]
                    .split('|')
                    .skip(2)
                    .map(|field| field.parse().unwrap())
                    .collect();
                for (score, shipped) in scores.score.iter().zip(shipped) {
                    assert!((f64::from(*score) - shipped).abs() <= 2e-4, "{row:?}");
                }
            }
        }
    }
}

/// Scores WASH7P, a gene of 11 exons on the minus strand, and holds each allele of its file against
/// a check, or against having no score where the table has none.
fn wash7p(family: &str, settings: Settings, check: impl Fn(&[Scores], &HashMap<String, String>)) {
    let Some(root) = shared() else { return };
    let mut case = case(&root, "hg38_1m.fa.gz", "grch38_wash7p.tsv", "wash7p.input.vcf");
    let expected = expected(&root, &format!("wash7p.expected.{family}.tsv"));
    let model = model(&root, family);
    let variants = case.variants.clone();
    let found = score(&mut case, &model, None, settings, &variants);
    let mut compared = 0;
    for (variant, (alleles, _)) in variants.iter().zip(&found) {
        for (allele, result) in alleles {
            let row = expected.get(&(variant.pos, variant.reference.clone(), allele.clone()));
            match (row, result) {
                (Some(row), Ok(scores)) => {
                    // the block substitution is scored by us alone
                    if !row.values().any(|cell| cell == ".") {
                        check(scores, row);
                        compared += 1;
                    }
                }
                (Some(row), Err(skip)) => panic!("{row:?} is skipped: {skip}"),
                (None, Ok(_)) => panic!("{variant:?} {allele} is scored"),
                (None, Err(skip)) => {
                    let known = [Skip::Star, Skip::Symbolic, Skip::NoGene];
                    assert!(known.contains(skip), "{variant:?} {allele}: {skip}");
                }
            }
        }
    }
    assert!(compared >= 60, "only {compared} alleles were compared");
}

/// The unmasked scores, and those of the nearest boundary with two decimals.
fn check_delta(scores: &[Scores], row: &HashMap<String, String>) {
    same_delta(&delta(&scores[0]), row, "", SIX_DECIMALS);
    for (index, name) in ["AG", "AL", "DG", "DL"].into_iter().enumerate() {
        let shown = &row[&format!("masked_{name}")];
        same_two_decimals(delta(&scores[1]).score[index], shown);
    }
}

#[test]
fn wash7p_has_the_scores_of_spliceai_on_the_minus_strand() {
    let masks = vec![Mask::None, Mask::Nearest];
    wash7p("spliceai", Settings { masks, ..Settings::default() }, check_delta);
}

#[test]
fn wash7p_has_the_scores_of_openspliceai_on_the_minus_strand() {
    let masks = vec![Mask::None, Mask::Nearest];
    wash7p("openspliceai", Settings { masks, ..Settings::default() }, check_delta);
}

fn check_usage(scores: &[Scores], row: &HashMap<String, String>) {
    for (scores, prefix) in scores.iter().map(usage).zip(["", "masked_"]) {
        let pairs = [
            (scores.gain, scores.gain_position, "gain"),
            (scores.loss, scores.loss_position, "loss"),
        ];
        for (found, position, name) in pairs {
            let value = number(row, &format!("{prefix}{name}"));
            assert!((f64::from(found) - value).abs() <= SIX_DECIMALS, "{row:?}: {name} {found}");
            if value.abs() >= TELLING {
                let place = number(row, &format!("{prefix}{name}_pos"));
                assert_eq!(position as f64, place, "{row:?}: {name}");
            }
        }
    }
}

#[test]
fn wash7p_has_the_scores_of_pangolin_masked_and_not() {
    let masks = vec![Mask::None, Mask::All];
    wash7p("pangolin", Settings { masks, ..Settings::default() }, check_usage);
}

#[test]
fn the_peers_text_of_wash7p_has_dots_for_block_substitutions_and_is_silent_elsewhere() {
    let Some(root) = shared() else { return };
    let mut case = case(&root, "hg38_1m.fa.gz", "grch38_wash7p.gtf", "wash7p.input.vcf");
    let chosen = |variant: &&Variant| {
        let odd = |alt: &String| alt.contains(['*', '<']) || alt.len() > 1;
        [14_361, 29_371].contains(&variant.pos)
            || (variant.alternates.iter().any(odd) && variant.reference.len() <= 4)
    };
    let variants: Vec<Variant> = case.variants.iter().filter(chosen).take(12).cloned().collect();
    let model = model(&root, "spliceai");
    let one = Some("spliceai1");
    let settings = Settings { rules: Rules::SpliceAi, ..Settings::default() };
    let found = score(&mut case, &model, one, settings, &variants);
    for (variant, (alleles, text)) in variants.iter().zip(&found) {
        let entries: Vec<&str> = text.iter().flat_map(|text| text.split(',')).collect();
        let mut entries = entries.into_iter();
        for (allele, result) in alleles {
            let dots = format!("{allele}|WASH7P|.|.|.|.|.|.|.|.");
            match result {
                Ok(_) => {
                    let entry = entries.next().unwrap();
                    assert!(entry.starts_with(&format!("{allele}|WASH7P|")), "{entry}");
                    let places = |field: &str| field.split_once('.').map(|(_, d)| d.len());
                    assert!(entry.split('|').skip(2).take(4).all(|f| places(f) == Some(2)));
                }
                Err(Skip::PeerRules) => assert_eq!(entries.next(), Some(dots.as_str())),
                Err(_) => {}
            }
        }
        assert_eq!(entries.next(), None, "{variant:?}");
    }
    let skips = found.iter().flat_map(|(alleles, _)| alleles).filter_map(|(_, r)| r.as_ref().err());
    assert!(skips.count() >= 3);
}

#[test]
fn tubb8_has_the_scores_of_spliceais_own_test() {
    let Some(root) = shared() else { return };
    let table = expected(&root, "tubb8.expected.spliceai_D500.tsv");
    let gold: serde_json::Value = serde_json::from_str(
        &std::fs::read_to_string(root.join("conformance/spliceai_chr10_gold.json")).unwrap(),
    )
    .unwrap();
    let model = model(&root, "spliceai");
    for genes in ["grch37_tubb8.tsv", "grch37_tubb8.gtf"] {
        let mut case = case(&root, "spliceai_hg19_chr10.fa", genes, "tubb8.input.vcf");
        let variants = match genes.ends_with("tsv") {
            true => case.variants.clone(),
            false => case.variants[..1].to_vec(),
        };
        let settings = Settings { distance: 500, rules: Rules::SpliceAi, ..Settings::default() };
        let found = score(&mut case, &model, None, settings, &variants);
        for (variant, (alleles, text)) in variants.iter().zip(&found) {
            let (alt, scores) = &alleles[0];
            let row = &table[&(variant.pos, variant.reference.clone(), alt.clone())];
            let scores = scores.as_ref().unwrap();
            same_delta(&delta(&scores[0]), row, "", SIX_DECIMALS);
            let published = gold["variants"].as_array().unwrap().iter();
            let mut published = published.filter(|v| v["pos"] == variant.pos && v["alt"] == **alt);
            if let Some(published) = published.next() {
                assert_eq!(text[0], published["expected"], "the published text");
            }
        }
    }
}

#[test]
fn tubb8_has_the_scores_of_pangolins_own_program() {
    let Some(root) = shared() else { return };
    let gold: serde_json::Value = serde_json::from_str(
        &std::fs::read_to_string(root.join("conformance/pangolin_chr10_d50_unmasked_gold.json"))
            .unwrap(),
    )
    .unwrap();
    let model = model(&root, "pangolin");
    let mut case = case(&root, "spliceai_hg19_chr10.fa", "grch37_tubb8.gtf", "tubb8.input.vcf");
    let variants = case.variants.clone();
    let found = score(&mut case, &model, None, Settings::default(), &variants);
    for (variant, (alleles, _)) in variants.iter().zip(&found) {
        let scores = usage(&alleles[0].1.as_ref().unwrap()[0]);
        let published = gold.as_array().unwrap().iter().find(|v| {
            v["pos"] == variant.pos && v["alt"] == *alleles[0].0 && v["ref"] == *variant.reference
        });
        let published = published.unwrap();
        assert!((f64::from(scores.gain) - published["gain"].as_f64().unwrap()).abs() < 2e-6);
        assert!((f64::from(scores.loss) - published["loss"].as_f64().unwrap()).abs() < 2e-6);
        assert_eq!(scores.gain_position, published["gain_pos"]);
        assert_eq!(scores.loss_position, published["loss_pos"]);
    }
}
