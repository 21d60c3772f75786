//! Scores of constructed cases against a computation of each whole window, written anew here: the
//! masked sequence as text, the whole network over it, alignment by index.

use super::mask::testing::gene;
use super::*;
use crate::engine::{Engine, Job, Oracle};
use crate::genome::genes::{Gene, Genes};
use crate::genome::sequence::reverse_complement;
use crate::genome::{ContigId, Reference, Strand, Variant};
use crate::model::Model;
use crate::model::testing::{Noise, tiny_model};
use std::collections::BTreeMap;

const LENGTH: usize = 300;
const DISTANCE: usize = 6;
/// Of the tiny network.
const REACH: usize = 4;

struct World {
    reference: Reference,
    letters: Vec<u8>,
    genes: Genes,
    model: Model,
    _folder: tempfile::TempDir,
}

fn pick(noise: &mut Noise, below: usize) -> usize {
    ((noise.value() - 0.5) * below as f32) as usize
}

fn bases(noise: &mut Noise, count: usize) -> Vec<u8> {
    (0..count).map(|_| b"ACGT"[pick(noise, 4)]).collect()
}

/// A contig of random letters and genes that overlap on both strands, touch the contig's ends, and
/// are shorter than a window.
fn world() -> World {
    let mut noise = Noise::new(5);
    let letters = bases(&mut noise, LENGTH);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.fa");
    std::fs::write(&path, [b">c\n", &letters[..], b"\n>d\nACGT\n"].concat()).unwrap();
    let (plus, minus) = (Strand::Plus, Strand::Minus);
    let list = vec![
        gene("A", plus, &[(20, 60), (100, 140), (180, 200)]),
        gene("B", minus, &[(0, 30), (150, 250), (260, 300)]),
        gene("C", plus, &[(0, 300)]),
        gene("D", minus, &[(30, 37)]),
        gene("A", minus, &[(20, 60), (100, 140)]),
    ];
    World {
        reference: Reference::open(&path).unwrap(),
        letters,
        genes: Genes::new(list, BTreeMap::new()),
        model: tiny_model(3),
        _folder: folder,
    }
}

fn variant(pos: usize, reference: &[u8], alternates: &[&[u8]]) -> Variant {
    let text = |bases: &[u8]| String::from_utf8(bases.to_vec()).unwrap();
    Variant {
        line: 1,
        chrom: "c".into(),
        contig: Some(ContigId(0)),
        pos: pos as u64,
        reference: text(reference),
        alternates: alternates.iter().map(|alt| text(alt)).collect(),
    }
}

/// Substitutions, insertions, deletions, block substitutions and complex alleles anywhere.
fn variants(world: &World, count: usize) -> Vec<Variant> {
    let mut noise = Noise::new(11);
    let mut list = Vec::new();
    while list.len() < count {
        let start = match list.len() {
            0 => 0,
            1 => LENGTH - 1,
            _ => pick(&mut noise, LENGTH),
        };
        let removed = [1, 1, 1, 2, 4, 8, 11][pick(&mut noise, 7)].min(LENGTH - start);
        let inserted = [1, 1, 1, 2, 4, 9, 20][pick(&mut noise, 7)];
        let (first, second) = (bases(&mut noise, inserted), bases(&mut noise, 1));
        let reference = &world.letters[start..start + removed];
        list.push(variant(start + 1, reference, &[&first, &second]));
    }
    list
}

fn scheme(world: &World, name: &str) -> Scheme {
    Scheme::parse(name, &world.model).unwrap()
}

fn settings() -> Settings {
    Settings { distance: DISTANCE, ..Settings::default() }
}

fn scored<'a>(
    world: &'a mut World,
    reading: &'a Reading,
    engine: &'a Oracle,
    variants: &[Variant],
) -> Vec<VariantOutcome<'a>> {
    let World { reference, genes, .. } = world;
    Scorer::new(reading, engine, Some(genes), settings())
        .unwrap()
        .score(reference, variants)
        .unwrap()
}

/// Outputs of the whole network over the letters of a window, in genomic order.
fn outputs(engine: &Oracle, window: &[u8], strand: Strand) -> Vec<Vec<f32>> {
    let mut letters = window.to_vec();
    if strand == Strand::Minus {
        reverse_complement(&mut letters);
    }
    let job = Job::new(0, letters.len() - 2 * REACH, letters);
    let mut tracks = engine.run(&[job], &|_| Ok(())).unwrap().remove(0).tracks;
    if strand == Strand::Minus {
        tracks.iter_mut().for_each(|track| track.reverse());
    }
    tracks
}

/// Reference and aligned alternative of every track, `rows` from `DISTANCE` before the variant on.
fn in_full(
    world: &World,
    engine: &Oracle,
    variant: &Variant,
    alt: &str,
    gene: Option<&Gene>,
    strand: Strand,
    rows: usize,
) -> Vec<(Vec<f32>, Vec<f32>)> {
    let start = variant.pos as i64 - 1;
    let (removed, inserted) = (variant.reference.len(), alt.len());
    let letter = |at: i64| match usize::try_from(at) {
        Ok(at) if at < LENGTH => {
            let masked =
                gene.is_some_and(|gene| !(gene.span.start..gene.span.end).contains(&(at as u64)));
            if masked { b'N' } else { world.letters[at] }
        }
        _ => b'N',
    };
    let left = start - (DISTANCE + REACH) as i64;
    let window: Vec<u8> = (left..left + (rows + 2 * REACH) as i64).map(letter).collect();
    let centre = DISTANCE + REACH;
    let mut edited = window[..centre].to_vec();
    edited.extend_from_slice(alt.as_bytes());
    edited.extend(window.iter().skip(centre + removed));
    let reference = outputs(engine, &window, strand);
    let alternative = outputs(engine, &edited, strand);
    let aligned = |track: &Vec<f32>| -> Vec<f32> {
        let row = |row: usize| {
            let kept = inserted.min(removed);
            let at = |row: usize| track.get(row).copied().unwrap_or(0.0);
            if row < DISTANCE + kept - usize::from(inserted > removed) {
                at(row)
            } else if removed >= inserted {
                let deleted = row < DISTANCE + removed;
                // what a deletion leaves to its left ends where the window does
                if deleted || row < DISTANCE + removed {
                    0.0
                } else {
                    at(row - (removed - inserted))
                }
            } else if row == DISTANCE + removed - 1 {
                let joined = row..=row + (inserted - removed);
                joined.filter(|row| *row < track.len()).map(at).fold(f32::MIN, f32::max)
            } else {
                at(row + inserted - removed)
            }
        };
        (0..rows).map(row).collect()
    };
    reference.into_iter().zip(alternative.iter().map(aligned)).collect()
}

fn assert_near(found: f32, expected: f32, what: &dyn std::fmt::Debug) {
    assert!((found - expected).abs() < 1e-6, "{what:?}: {found} instead of {expected}");
}

#[test]
fn delta_scores_are_those_of_whole_windows() {
    let mut world = world();
    let reading = Reading::new(&world.model, &scheme(&world, "splice-delta"), None).unwrap();
    let engine = Oracle::new(&world.model, reading.tracks());
    let variants = variants(&world, 60);
    let genes = world.genes.clone();
    let full = World { genes: genes.clone(), ..self::world() };
    let mut compared = 0;
    for (variant, outcome) in variants.iter().zip(scored(&mut world, &reading, &engine, &variants))
    {
        for allele in &outcome.alleles {
            let Outcome::Scored(scored) = &allele.outcome else {
                let Outcome::Skipped(skipped) = &allele.outcome else { unreachable!() };
                assert_eq!(skipped.reason, Skip::NoChange, "{variant:?}");
                continue;
            };
            let at: Vec<&Gene> = genes.at(ContigId(0), variant.pos - 1).collect();
            assert_eq!(scored.len(), at.len());
            for (scores, gene) in scored.iter().zip(at) {
                let what = (variant, &allele.allele, &gene.name, gene.strand);
                let rows = 2 * DISTANCE + 1;
                let pairs =
                    in_full(&full, &engine, variant, &allele.allele, Some(gene), gene.strand, rows);
                let Scores::Delta(found) = &scores.scores[0] else { panic!("{scores:?}") };
                for (channel, (reference, alternative)) in pairs.iter().enumerate() {
                    let gains: Vec<f32> =
                        reference.iter().zip(alternative).map(|(r, a)| a - r).collect();
                    for (kind, sign) in [(0, 1.0), (1, -1.0)] {
                        let most = gains.iter().map(|g| g * sign).fold(f32::MIN, f32::max);
                        let place = 2 * channel + kind;
                        assert_near(found.score[place], most, &what);
                        let row = (found.position[place] + DISTANCE as i64) as usize;
                        assert_near(gains[row] * sign, most, &what);
                        compared += 1;
                    }
                }
            }
        }
    }
    assert!(compared > 500, "{compared}");
}

#[test]
fn usage_scores_are_those_of_whole_windows() {
    let mut world = world();
    let reading = Reading::new(&world.model, &scheme(&world, "splice-usage"), None).unwrap();
    let engine = Oracle::new(&world.model, reading.tracks());
    let variants = variants(&world, 40);
    let full = self::world();
    for (variant, outcome) in variants.iter().zip(scored(&mut world, &reading, &engine, &variants))
    {
        for allele in &outcome.alleles {
            let Outcome::Scored(scored) = &allele.outcome else { continue };
            let strands: Vec<Strand> = scored.iter().map(|scores| scores.strand).collect();
            assert!(strands.is_sorted(), "the plus strand first");
            for scores in scored {
                let rows = 2 * DISTANCE + variant.reference.len();
                let pairs =
                    in_full(&full, &engine, variant, &allele.allele, None, scores.strand, rows);
                let of = |channel: usize, row: usize| pairs[channel].1[row] - pairs[channel].0[row];
                // acceptor comes from two members, donor from one
                let tissues = |row: usize| [(of(0, row) + of(1, row)) / 2.0, of(2, row)];
                let gain = (0..rows).flat_map(tissues).fold(f32::MIN, f32::max);
                let loss = (0..rows).flat_map(tissues).fold(f32::MAX, f32::min);
                let Scores::Usage(found) = &scores.scores[0] else { panic!("{scores:?}") };
                let what = (variant, &allele.allele, scores.strand);
                assert_near(found.gain, gain, &what);
                assert_near(found.loss, loss, &what);
            }
        }
    }
}

#[test]
fn order_and_company_change_nothing() {
    let mut world = world();
    let reading = Reading::new(&world.model, &scheme(&world, "splice-delta"), None).unwrap();
    let engine = Oracle::new(&world.model, reading.tracks());
    let variants = variants(&world, 30);
    let mut turned = variants.clone();
    turned.reverse();
    let World { reference, genes, .. } = &mut world;
    let scorer = Scorer::new(&reading, &engine, Some(genes), settings()).unwrap();
    let together = scorer.score(reference, &variants).unwrap();
    let mut backwards = scorer.score(reference, &turned).unwrap();
    backwards.reverse();
    assert_eq!(together, backwards);
    for (variant, outcome) in variants.iter().zip(&together) {
        let alone = scorer.score(reference, std::slice::from_ref(variant)).unwrap();
        assert_eq!(alone[0], *outcome);
    }
}

/// Why each ALT has no score, if it has none.
type Reasons = Vec<Option<Skip>>;

/// Reasons of the alleles of a variant under some rules.
fn reasons(world: &mut World, settings: Settings, variant: &Variant) -> Reasons {
    let reading = Reading::new(&world.model, &scheme(world, "splice-delta"), None).unwrap();
    let engine = Oracle::new(&world.model, reading.tracks());
    let World { reference, genes, .. } = world;
    let scorer = Scorer::new(&reading, &engine, Some(genes), settings).unwrap();
    let outcomes = scorer.score(reference, std::slice::from_ref(variant)).unwrap();
    let reason = |allele: &AlleleOutcome<'_>| match &allele.outcome {
        Outcome::Scored(_) => None,
        Outcome::Skipped(skipped) => Some(skipped.reason),
    };
    outcomes[0].alleles.iter().map(reason).collect()
}

#[test]
fn every_allele_is_scored_or_has_its_reason() {
    let mut world = world();
    let of = |start: usize, length: usize| world.letters[start..start + length].to_vec();
    let (one, two, long) = (of(99, 1), of(99, 2), of(99, 13));
    let other: &[u8] = if one == b"A" { b"C" } else { b"A" };
    let lower = one.to_ascii_lowercase();
    let foreign = Variant { contig: None, ..variant(5, b"A", &[b"C"]) };
    let elsewhere = Variant { contig: Some(ContigId(1)), ..variant(1, b"A", &[b"C"]) };
    let iupac: &[u8] = b"R";
    // A1 and B2 beside each other; the tiny network's window ends at 10 bases from POS
    let cases: Vec<(Variant, Reasons, Reasons)> = vec![
        (variant(100, &one, &[]), vec![Some(Skip::NoAlt)], vec![Some(Skip::NoAlt)]),
        (variant(100, &one, &[b"."]), vec![Some(Skip::NoAlt)], vec![Some(Skip::NoAlt)]),
        (foreign, vec![Some(Skip::ContigNotInReference)], vec![Some(Skip::ContigNotInReference)]),
        (
            elsewhere,
            vec![Some(Skip::ContigNotInAnnotation)],
            vec![Some(Skip::ContigNotInAnnotation)],
        ),
        (variant(0, b"N", &[b"A"]), vec![Some(Skip::OutOfContig)], vec![Some(Skip::OutOfContig)]),
        (variant(301, b"N", &[b"A"]), vec![Some(Skip::OutOfContig)], vec![Some(Skip::OutOfContig)]),
        (
            variant(100, other, &[&one]),
            vec![Some(Skip::RefMismatch)],
            vec![Some(Skip::RefMismatch)],
        ),
        (
            variant(100, iupac, &[&one]),
            vec![Some(Skip::RefMismatch)],
            vec![Some(Skip::RefMismatch)],
        ),
        (
            variant(100, &one, &[b"<DEL>", b"*", b"A]c:3]", b"R", other]),
            vec![
                Some(Skip::Symbolic),
                Some(Skip::Star),
                Some(Skip::Breakend),
                Some(Skip::AltNotAcgtn),
                None,
            ],
            vec![
                Some(Skip::Symbolic),
                Some(Skip::Star),
                Some(Skip::Breakend),
                Some(Skip::AltNotAcgtn),
                None,
            ],
        ),
        (variant(100, &one, &[&lower]), vec![Some(Skip::NoChange)], vec![None]),
        (variant(100, &lower, &[other]), vec![None], vec![None]),
        (variant(100, &two, &[b"NN", b"TTT"]), vec![None, None], vec![Some(Skip::PeerRules); 2]),
        (variant(100, &long, &[b"A"]), vec![Some(Skip::RefTooLong)], vec![Some(Skip::RefTooLong)]),
        (
            variant(100, &one, &[&[b'A'; 31]]),
            vec![Some(Skip::AltTooLong)],
            vec![Some(Skip::AltTooLong)],
        ),
        (variant(10, &world.letters[9..10], &[b"N"]), vec![None], vec![Some(Skip::ContigEdge)]),
        (variant(300, &world.letters[299..], &[b"N"]), vec![None], vec![Some(Skip::ContigEdge)]),
        (
            variant(300, &[&world.letters[299..], b"A"].concat(), &[b"N"]),
            vec![Some(Skip::RefMismatch)],
            vec![Some(Skip::RefMismatch)],
        ),
    ];
    for (variant, ours, peers) in cases {
        for (rules, expected) in [(Rules::Atrous, ours), (Rules::SpliceAi, peers)] {
            let settings = Settings { rules, max_alt: 30, ..settings() };
            assert_eq!(reasons(&mut world, settings, &variant), expected, "{rules} {variant:?}");
        }
    }
}

#[test]
fn a_mismatch_stops_the_run_or_is_believed() {
    let mut world = world();
    let letter = world.letters[99];
    let (other, third): (&[u8], &[u8]) = if letter == b'A' {
        (b"C", b"G")
    } else {
        (b"A", if letter == b'C' { b"G" } else { b"C" })
    };
    let wrong = variant(100, other, &[third]);
    let reading = Reading::new(&world.model, &scheme(&world, "splice-delta"), None).unwrap();
    let engine = Oracle::new(&world.model, reading.tracks());
    let World { reference, genes, letters, .. } = &mut world;
    let scorer = |ref_mismatch| {
        let settings = Settings { ref_mismatch, ..settings() };
        Scorer::new(&reading, &engine, Some(&*genes), settings).unwrap()
    };
    let one = std::slice::from_ref(&wrong);
    let error = scorer(RefMismatch::Error).score(reference, one).unwrap_err();
    assert!(error.to_string().contains("line 1: c:100: REF is"), "{error}");

    let believed = scorer(RefMismatch::UseVcf).score(reference, one).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.fa");
    letters[99] = other[0];
    std::fs::write(&path, [b">c\n", &letters[..], b"\n>d\nACGT\n"].concat()).unwrap();
    let mut changed = Reference::open(&path).unwrap();
    let plain = scorer(RefMismatch::Skip).score(&mut changed, one).unwrap();
    assert_eq!(believed[0].alleles[0].outcome, plain[0].alleles[0].outcome);
    assert_eq!(believed[0].alleles[0].warnings, [Warning::RefMismatch]);
}

#[test]
fn warnings_tell_of_n_edges_and_copies() {
    let mut world = world();
    let reading = Reading::new(&world.model, &scheme(&world, "splice-delta"), None).unwrap();
    let engine = Oracle::new(&world.model, reading.tracks());
    let letters = world.letters.clone();
    let copy = [letters[49], letters[49]];
    let variants = [
        variant(1, &letters[..1], &[b"N"]),
        variant(50, &letters[49..50], &[&copy]),
        variant(298, &letters[297..298], &[b"NN"]),
    ];
    let outcomes = scored(&mut world, &reading, &engine, &variants);
    let warnings = |index: usize| outcomes[index].alleles[0].warnings.clone();
    // POS 1: the window reads 10 bases before it
    assert_eq!(warnings(0), [Warning::NInAlt, Warning::ContigEdge(10)]);
    assert_eq!(warnings(1), [Warning::DuplicatingInsertion]);
    assert_eq!(warnings(2), [Warning::NInAlt, Warning::ContigEdge(8)]);
}

#[test]
fn windows_hold_what_scores_are_taken_from() {
    let mut world = world();
    let reading = Reading::new(&world.model, &scheme(&world, "splice-delta"), None).unwrap();
    let engine = Oracle::new(&world.model, reading.tracks());
    let variants = variants(&world, 4);
    let World { reference, genes, .. } = &mut world;
    let scorer = Scorer::new(&reading, &engine, Some(genes), settings()).unwrap();
    for variant in &variants {
        let outcome = scorer.score(reference, std::slice::from_ref(variant)).unwrap().remove(0);
        for window in scorer.windows(reference, variant).unwrap() {
            assert_eq!(window.start, variant.pos as i64 - 1 - DISTANCE as i64);
            let Outcome::Scored(genes) = &outcome.alleles[window.allele].outcome else {
                panic!("{outcome:?}")
            };
            let same = |scores: &&GeneScore<'_>| {
                scores.gene.map(std::ptr::from_ref) == window.gene.map(std::ptr::from_ref)
            };
            let scores = genes.iter().find(same).unwrap();
            let Scores::Delta(scores) = &scores.scores[0] else { panic!("{scores:?}") };
            let most = window.tracks[0].difference.iter().copied().fold(f32::MIN, f32::max);
            assert_eq!(most, scores.score[0]);
        }
    }
}

#[test]
fn exhibits_are_files_per_allele_and_gene_cut_at_the_contigs_ends() {
    let mut world = world();
    let reading = Reading::new(&world.model, &scheme(&world, "splice-delta"), None).unwrap();
    let engine = Oracle::new(&world.model, reading.tracks());
    let variant = variant(3, &world.letters[2..4], &[b"N", &[b'N'; 20]]);
    let World { reference, genes, .. } = &mut world;
    let scorer = Scorer::new(&reading, &engine, Some(genes), settings()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (tracks, plots) = (folder.path().join("a/tracks"), folder.path().join("plots"));
    let mut exhibits = Exhibits::open(Some(&tracks), Some(&plots), Default::default()).unwrap();
    let written = exhibits.add(&scorer, reference, &variant).unwrap();
    // two ALTs, two genes (B and C), two tracks of three files and a picture
    assert_eq!(written.len(), 2 * 2 * (2 * 3 + 1));
    assert!(written.iter().all(|file| file.path.is_file()), "{written:?}");
    let name = format!("c_3_{}_N_B", variant.reference);
    let text =
        std::fs::read_to_string(tracks.join(format!("{name}.acceptor.alt.bedGraph"))).unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines[0][1], "0", "nothing before the contig: {text}");
    assert_eq!(lines[lines.len() - 1][2], "9", "six bases from POS on: {text}");
    // the deleted base
    assert!(lines.iter().any(|line| line[1..] == ["3", "4", "0"]), "{text}");
    assert!(plots.join(format!("{name}.svg")).is_file());
    // the same variant again does not take the place of the first
    let again = exhibits.add(&scorer, reference, &variant).unwrap();
    assert!(again[0].path.to_str().unwrap().contains("_B-2."), "{again:?}");
}
