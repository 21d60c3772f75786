//! Two motif finders with weights set by hand: one cannot see its motif (docs/dilation.md).
//!
//! ```text
//! cargo run --example gridding -- FOLDER
//! ```
//! writes `same-rate.safetensors` and `hybrid.safetensors` (three layers of kernel 3, rates 2, 2, 2
//! and 1, 2, 5) and `gridding.fa`, in which the motif and a decoy are planted, and prints what both
//! networks say. `atrous inspect` and `atrous predict` read these files like any other.

use atrous::engine::{CpuEngine, Engine, Job, cpu::Isa};
use atrous::job::output::OutputFile;
use atrous::model::{
    Member, Model, Provenance, Source, Tensor, Track, TrackStrand, UnknownBase, file,
};
use atrous::network::{GraphBuilder, Op, Padding};
use atrous::{Error, Result};
use std::io::Write;
use std::path::Path;

/// The site of the transcription factor AP-1.
pub const MOTIF: &[u8; 7] = b"TGACTCA";
/// The motif with every second base changed: at even offsets from its middle it is the same.
pub const DECOY: &[u8; 7] = b"AGTCACT";
/// Rates of the network that sees every second base, from the sequence up.
pub const SAME_RATE: [usize; 3] = [2, 2, 2];
/// Rates of the network that sees all.
pub const HYBRID: [usize; 3] = [1, 2, 5];
/// Middles of motif and decoy in [`sequence`], 0-based.
pub const MIDDLES: (usize, usize) = (60, 140);

/// Three taps per layer; the middle one stands at the output.
const TAPS: [i64; 3] = [-1, 0, 1];
const BASES: &[u8; 4] = b"ACGT";

/// A network whose output is the number of bases of the motif that stand where they should, of
/// those bases that it can see at all.
///
/// Every base of the motif is looked for along one path: tap `a` of the first layer, `b` of the
/// second, `c` of the third, with `a·r1 + b·r2 + c·r3` equal to the base's offset. A channel of the
/// first layer belongs to a pair (b, c), one of the second to a c, so that each sum goes up once.
pub fn motif_finder(name: &str, rates: [usize; 3]) -> Result<Model> {
    let mut g = GraphBuilder::new();
    let mut x = g.input();
    for (layer, (rate, channels)) in rates.into_iter().zip([9, 3, 1]).enumerate() {
        let conv = Op::Conv {
            channels,
            kernel: 3,
            dilation: rate,
            left: rate,
            bias: false,
            padding: Padding::None,
        };
        x = g.add(format!("layer{}", layer + 1), conv, &[x])?;
    }
    let mut first = Tensor { shape: vec![9, 4, 3], values: vec![0.0; 9 * 4 * 3] };
    for (offset, letter) in (-3..).zip(MOTIF) {
        let base = BASES.iter().position(|base| base == letter).expect("a motif of A, C, G, T");
        if let Some((a, b, c)) = path_to(offset, rates) {
            let channel = b * 3 + c;
            first.values[(channel * 4 + base) * 3 + a] = 1.0;
        }
    }
    let mut second = Tensor { shape: vec![3, 9, 3], values: vec![0.0; 3 * 9 * 3] };
    let mut third = Tensor { shape: vec![1, 3, 3], values: vec![0.0; 3 * 3] };
    for c in 0..3 {
        for b in 0..3 {
            second.values[(c * 9 + b * 3 + c) * 3 + b] = 1.0;
        }
        third.values[c * 3 + c] = 1.0;
    }
    let weights = [("layer1.weight", first), ("layer2.weight", second), ("layer3.weight", third)];
    let model = Model {
        name: name.into(),
        networks: vec![g.finish()?],
        members: vec![Member {
            name: name.into(),
            network: 0,
            weights: weights.map(|(name, tensor)| (name.to_string(), tensor)).into(),
        }],
        tracks: vec![Track {
            name: "matches".into(),
            unit: "bases".into(),
            description: "Bases of the motif that stand in place, of those that are seen.".into(),
            strand: TrackStrand::Read,
            default: true,
            sources: vec![Source { member: 0, channel: 0 }],
        }],
        scheme: None,
        window: None,
        scalars: Vec::new(),
        profiles: Vec::new(),
        unknown_base: UnknownBase::Zero,
        provenance: Provenance {
            family: "atrous".into(),
            licence: "MIT OR Apache-2.0".into(),
            sources: vec![],
            unread: vec![],
            record: "weights set by hand in examples/gridding.rs".into(),
        },
    };
    model.validate()?;
    Ok(model)
}

/// Taps of the three layers that lead to an offset, if any do.
fn path_to(offset: i64, rates: [usize; 3]) -> Option<(usize, usize, usize)> {
    let step = |layer: usize, tap: usize| TAPS[tap] * i64::try_from(rates[layer]).unwrap_or(0);
    let taps = || 0..TAPS.len();
    let paths = taps().flat_map(|a| taps().flat_map(move |b| taps().map(move |c| (a, b, c))));
    paths.into_iter().find(|&(a, b, c)| step(0, a) + step(1, b) + step(2, c) == offset)
}

/// 200 bases without meaning, with the motif around base 60 and the decoy around base 140.
pub fn sequence() -> Vec<u8> {
    let mut state = 1u64;
    let mut letters: Vec<u8> = (0..200)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            BASES[(state >> 62) as usize]
        })
        .collect();
    for (middle, word) in [(MIDDLES.0, MOTIF), (MIDDLES.1, DECOY)] {
        letters[middle - 3..middle + 4].copy_from_slice(word);
    }
    letters
}

/// What a network says at each base; beyond the ends it reads N.
pub fn track(model: &Model, letters: &[u8]) -> Result<Vec<f32>> {
    let engine = CpuEngine::new(model, &model.tracks, Isa::best())?;
    let reach = engine.reach();
    let n = |bases: u64| vec![b'N'; usize::try_from(bases).unwrap_or(0)];
    let letters_around = [&n(reach.left)[..], letters, &n(reach.right)].concat();
    let job = Job::new(0, letters.len(), letters_around);
    let values = engine.run(&[job], &|_| Ok(()))?;
    Ok(values.into_iter().flat_map(|values| values.tracks).next().unwrap_or_default())
}

/// Writes the files and prints the comparison.
fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).unwrap_or_else(|| ".".into());
    let folder = Path::new(&folder);
    let letters = sequence();
    let mut fasta = OutputFile::create(&folder.join("gridding.fa"))?;
    writeln!(fasta, ">gridding\n{}", String::from_utf8_lossy(&letters))
        .map_err(|error| fasta.error(error))?;
    fasta.commit()?;
    println!("network    rates    sees  motif  decoy  perfect scores in 200 bases");
    for (name, rates) in [("same-rate", SAME_RATE), ("hybrid", HYBRID)] {
        let model = motif_finder(name, rates)?;
        let mut out = OutputFile::create(&folder.join(format!("{name}.safetensors")))?;
        file::write(&model, &mut out)?;
        out.commit()?;
        let scores = track(&model, &letters)?;
        let seen = (-3..=3).filter(|&offset| path_to(offset, rates).is_some()).count();
        let perfect = scores.iter().filter(|&&score| score as usize == seen).count();
        let (motif, decoy) = (scores[MIDDLES.0], scores[MIDDLES.1]);
        println!(
            "{name:9}  {:7}  {seen}/{}   {motif:>5}  {decoy:>5}  {perfect}",
            rates.map(|rate| rate.to_string()).join(", "),
            MOTIF.len()
        );
    }
    if scores_differ_only_for_hybrid(&letters)? {
        println!("To the same-rate network motif and decoy are the same, bit for bit.");
        return Ok(());
    }
    Err(Error::new("the demonstration does not show what it should"))
}

/// Whether motif and decoy differ to the hybrid network and to it alone.
fn scores_differ_only_for_hybrid(letters: &[u8]) -> Result<bool> {
    let differ = |rates| -> Result<bool> {
        let scores = track(&motif_finder("finder", rates)?, letters)?;
        Ok(scores[MIDDLES.0].to_bits() != scores[MIDDLES.1].to_bits())
    };
    Ok(differ(HYBRID)? && !differ(SAME_RATE)?)
}
