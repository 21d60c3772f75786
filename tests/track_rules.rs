//! What must hold of track effects whatever the weights (track-effects.md C), on small networks of
//! made-up numbers.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use atrous::effect::track::{
    Column, Combine, IndelRule, StrandAverage, TrackEffect, TrackReading, TrackScorer,
    TrackSettings,
};
use atrous::effect::{Outcome, Scores, VariantOutcome};
use atrous::engine::cpu::{CpuEngine, Isa};
use atrous::engine::{Engine, Oracle};
use atrous::genome::sequence::reverse_complement;
use atrous::genome::variants::VariantReader;
use atrous::genome::{Reference, Resolver, Variant};
use atrous::model::{
    Member, Model, Profile, Provenance, Scalar, Source, Tensor, Track, TrackStrand, UnknownBase,
    Window,
};
use atrous::network::Architecture;

/// A network of the shape of BPNet: 101 bases in, 61 out, so that the middle is a base.
const NETWORK: &str = "name = 'small'\nchannels = 8\nactivation = 'relu'\npadding = 'zero'\n\
    window = { in = 101, out = 61 }\nstem = { kernel = 5, activate = true }\n\
    head = { outputs = ['forward', 'reverse'], kernel = 9, counts = 'log_counts' }\n\
    [[stack]]\nblock = 'residual'\nkernel = 3\ndilations = [2, 4, 8]\n";

/// Numbers that look random (SplitMix64), from -1 to 1.
fn numbers(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) % 2001) as f32 / 1000.0 - 1.0
}

fn model(members: usize) -> Model {
    let architecture = Architecture::from_toml(NETWORK).unwrap();
    let graph = architecture.graph().unwrap();
    let window = Window::of(&architecture).unwrap();
    let mut state = 5;
    let member = |index: usize| {
        let tensor = |shape: Vec<usize>| {
            let count: usize = shape.iter().product();
            let scale = (shape[1..].iter().product::<usize>() as f32).sqrt();
            let values = (0..count).map(|_| 1.5 * numbers(&mut state) / scale).collect();
            Tensor { shape, values }
        };
        let mut tensor = tensor;
        let weights = graph.parameters().into_iter().map(|p| (p.name, tensor(p.shape))).collect();
        Member { name: format!("m{index}"), network: 0, weights }
    };
    let members: Vec<Member> = (0..members).map(member).collect();
    let sources =
        |channel| (0..members.len()).map(|member| Source { member, channel }).collect::<Vec<_>>();
    let track = |(channel, name): (usize, &String)| Track {
        name: name.clone(),
        unit: "logit".into(),
        description: "A profile.".into(),
        strand: [TrackStrand::Read, TrackStrand::Opposite][channel],
        default: true,
        sources: sources(channel),
    };
    let outputs = architecture.head.outputs.clone();
    let log_count = architecture.head.counts.clone().unwrap();
    let model = Model {
        name: "small".into(),
        window: Some(window),
        tracks: outputs.iter().enumerate().map(track).collect(),
        scalars: vec![Scalar {
            name: log_count.clone(),
            unit: "ln(count)".into(),
            description: "A log count.".into(),
            sources: sources(0),
        }],
        profiles: vec![Profile { tracks: outputs, log_count }],
        scheme: None,
        networks: vec![graph.clone()],
        members,
        unknown_base: UnknownBase::Zero,
        provenance: Provenance {
            family: "atrous".into(),
            licence: "unknown".into(),
            sources: vec![],
            unread: vec![],
            record: "test".into(),
        },
    };
    model.validate().unwrap();
    model
}

fn effect<'o>(outcome: &'o VariantOutcome<'_>) -> &'o TrackEffect {
    let Outcome::Scored(scores) = &outcome.alleles[0].outcome else { panic!("{outcome:?}") };
    let Scores::Effect(effect) = &scores[0].scores[0] else { panic!("{outcome:?}") };
    effect
}

/// Contigs of 400 letters: `a`, its reverse complement `r`, and `i`, that is `a` with five letters
/// more behind its 200th.
fn genome(folder: &std::path::Path) -> Reference {
    let mut state = 11;
    let letters: Vec<u8> =
        (0..400).map(|_| b"ACGT"[((numbers(&mut state) + 1.0) * 1.999) as usize]).collect();
    let mut reverse = letters.clone();
    reverse_complement(&mut reverse);
    let mut longer = letters.clone();
    longer.splice(200..200, *b"GATTC");
    let text = |letters: Vec<u8>| String::from_utf8(letters).unwrap();
    let fasta = format!(">a\n{}\n>r\n{}\n>i\n{}\n", text(letters), text(reverse), text(longer));
    let path = folder.join("genome.fa");
    std::fs::write(&path, fasta).unwrap();
    Reference::open(&path).unwrap()
}

fn variants(reference: &Reference, list: &[String]) -> Vec<Variant> {
    let resolver = Resolver::new(reference.contigs(), None).unwrap();
    let mut reader = VariantReader::of_list(list, &resolver).unwrap();
    std::iter::from_fn(|| reader.next_record().unwrap()).map(|record| record.variant).collect()
}

fn letters(reference: &mut Reference, contig: &str, from: i64, to: i64) -> String {
    let id = reference.contigs().iter().find(|(_, name, _)| *name == contig).unwrap().0;
    String::from_utf8(reference.fetch(id, from, to).unwrap()).unwrap()
}

fn other(base: &str) -> &'static str {
    if base == "A" { "C" } else { "A" }
}

#[test]
fn both_strands_of_a_sequence_have_the_same_effects() {
    let folder = tempfile::tempdir().unwrap();
    let mut reference = genome(folder.path());
    let model = model(2);
    for strands in [StrandAverage::CountsAndLogits, StrandAverage::Tracks] {
        let settings = TrackSettings { strands, ..TrackSettings::default() };
        let reading = TrackReading::new(&model, &model.tracks, strands).unwrap();
        assert_eq!(reading.tasks().collect::<Vec<_>>(), ["forward+reverse"]);
        let engine = CpuEngine::new(&model, reading.wanted().clone(), Isa::best()).unwrap();
        let scorer = TrackScorer::new(&reading, &engine, settings).unwrap();
        let own = letters(&mut reference, "a", 149, 150);
        let turned = letters(&mut reference, "r", 250, 251);
        let alt = other(&own);
        let mut back = alt.as_bytes().to_vec();
        reverse_complement(&mut back);
        let list = [
            format!("a:150:{own}:{alt}"),
            format!("r:251:{turned}:{}", String::from_utf8(back).unwrap()),
        ];
        let list = variants(&reference, &list);
        let outcomes = scorer.score(&mut reference, &list).unwrap();
        let [there, back] = [0, 1].map(|index| effect(&outcomes[index]).values);
        for column in Column::ALL.into_iter().filter(|column| *column != Column::MaxAbsPos) {
            let (there, back) = (there.get(column), back.get(column));
            let near = |(a, b): (f64, f64)| (a - b).abs() <= 1e-9 * a.abs().max(1.0);
            assert!(there.zip(back).is_none_or(near), "{}: {there:?} {back:?}", column.name());
            assert_eq!(there.is_some(), back.is_some());
        }
        assert!(there.get(Column::LogfcSd).unwrap() > 0.0);
    }
}

#[test]
fn an_insertion_and_its_deletion_are_opposite() {
    let folder = tempfile::tempdir().unwrap();
    let mut reference = genome(folder.path());
    let model = model(1);
    let settings = TrackSettings::default();
    let reading = TrackReading::new(&model, &model.tracks, settings.strands).unwrap();
    let engine = CpuEngine::new(&model, reading.wanted().clone(), Isa::best()).unwrap();
    let oracle = Oracle::new(&model, reading.wanted().clone());
    let anchor = letters(&mut reference, "a", 199, 200);
    let list = [format!("a:200:{anchor}:{anchor}GATTC"), format!("i:200:{anchor}GATTC:{anchor}")];
    let list = variants(&reference, &list);
    for indel in [IndelRule::RightSlide, IndelRule::Center] {
        let settings = TrackSettings { indel, ..settings.clone() };
        let mut scores = Vec::new();
        for engine in [&engine as &dyn Engine, &oracle] {
            let scorer = TrackScorer::new(&reading, engine, settings.clone()).unwrap();
            let outcomes = scorer.score(&mut reference, &list).unwrap();
            scores.push([0, 1].map(|index| effect(&outcomes[index]).values));
        }
        for column in [Column::Logfc, Column::JsdDistance, Column::SumDiff, Column::D2] {
            for (cpu, oracle) in scores[0].iter().zip(&scores[1]) {
                let [cpu, oracle] = [cpu, oracle].map(|values| values.get(column).unwrap());
                assert!((cpu - oracle).abs() < 1e-4, "{indel} {}: {cpu} {oracle}", column.name());
            }
        }
        if indel == IndelRule::RightSlide {
            let [inserted, deleted] = scores[0].map(|values| values.get(Column::Logfc).unwrap());
            assert!((inserted + deleted).abs() < 1e-6, "{inserted} {deleted}");
        }
    }
}

#[test]
fn shuffles_depend_on_the_seed_and_on_nothing_around_a_variant() {
    let folder = tempfile::tempdir().unwrap();
    let mut reference = genome(folder.path());
    let model = model(2);
    let settings = TrackSettings { combine: Combine::Predictions, ..TrackSettings::default() };
    let reading = TrackReading::new(&model, &model.tracks, settings.strands).unwrap();
    let engine = CpuEngine::new(&model, reading.wanted().clone(), Isa::best()).unwrap();
    let list: Vec<String> = [60i64, 120, 180, 240, 330]
        .map(|pos| {
            let own = letters(&mut reference, "a", pos - 1, pos);
            format!("a:{pos}:{own}:{}", other(&own))
        })
        .into();
    let list = variants(&reference, &list);
    let mut p = |list: &[Variant], seed| {
        let scorer = TrackScorer::new(&reading, &engine, settings.clone()).unwrap();
        let mut null = scorer.new_null();
        scorer.add_null(&mut reference, list, (4, seed), &mut null).unwrap();
        assert_eq!(null.size(), 4 * list.len());
        let scorer = scorer.with_null(null);
        let outcomes = scorer.score(&mut reference, list).unwrap();
        outcomes.iter().map(|outcome| effect(outcome).p.clone()).collect::<Vec<_>>()
    };
    let found = p(&list, 1);
    assert!(found.iter().flatten().all(|p| p.is_some_and(|p| p > 0.0 && p <= 1.0)), "{found:?}");
    let mut backwards = list.clone();
    backwards.reverse();
    let mut again = p(&backwards, 1);
    again.reverse();
    assert_eq!(again, found);
    assert_ne!(p(&list, 2), found);
}
