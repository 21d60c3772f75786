//! A made-up genome in which what happens at a base is decided 24 to 26 kb away (docs/context.md).
//!
//! ```text
//! cargo run --release --example planted -- FOLDER [SEED]
//! ```
//! writes `genome.fa` (8 contigs of random letters), `counts.bedGraph` (events at single bases) and
//! `elements.bed`. An element is a stretch of 1 kb in which three of four letters are G or C. A base
//! with an element 24 to 26 kb before it (to the left) has 0.1 events on average, another one 0.02.
//! Elements are as dense as makes half of all bases active and fall anywhere, so that nothing
//! nearer tells which: a network that sees less than 24 kb can only learn the mean.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs, io};

/// Contigs and their length, in bases.
const CONTIGS: usize = 8;
const LENGTH: usize = 1_000_000;
/// Bases of an element.
const STRETCH: usize = 1_000;
/// Distances at which elements act, in bases.
const NEAREST: usize = 24_000;
const FARTHEST: usize = 26_000;
/// Mean distance of elements: the chance of none within these 2 kb is then one half.
const ELEMENT_EVERY: f64 = (FARTHEST - NEAREST) as f64 / std::f64::consts::LN_2;
/// Mean events of a base with an element and without.
const ACTIVE: f64 = 0.1;
const QUIET: f64 = 0.02;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.bits() % limit as u64).expect("below a usize")
    }

    /// In (0, 1].
    fn share(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// A number of events with a mean (Knuth's product of uniform numbers).
    fn poisson(&mut self, mean: f64) -> usize {
        let (limit, mut product, mut events) = ((-mean).exp(), self.share(), 0);
        while product > limit {
            product *= self.share();
            events += 1;
        }
        events
    }
}

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "planted".into());
    let seed = arguments.next().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let mut random = Random(seed);
    let [mut fasta, mut counts, mut elements] = [const { String::new() }; 3];
    let mut active = 0;
    for contig in 1..=CONTIGS {
        let mut letters: Vec<u8> = (0..LENGTH).map(|_| b"ACGT"[random.below(4)]).collect();
        let mut on = vec![false; LENGTH];
        let mut at = 0.0;
        loop {
            at -= random.share().ln() * ELEMENT_EVERY;
            let start = at as usize;
            if start + STRETCH > LENGTH {
                break;
            }
            writeln!(elements, "c{contig}\t{start}\t{}", start + STRETCH).expect("to memory");
            let strong = |_: &u8| b"CGCGCGAT"[random.below(8)];
            let element: Vec<u8> = letters[start..start + STRETCH].iter().map(strong).collect();
            letters[start..start + STRETCH].copy_from_slice(&element);
            let middle = start + STRETCH / 2;
            on[(middle + NEAREST).min(LENGTH)..(middle + FARTHEST).min(LENGTH)].fill(true);
        }
        active += on.iter().filter(|on| **on).count();
        for (base, on) in on.into_iter().enumerate() {
            let events = random.poisson(if on { ACTIVE } else { QUIET });
            if events > 0 {
                writeln!(counts, "c{contig}\t{base}\t{}\t{events}", base + 1).expect("to memory");
            }
        }
        let letters = String::from_utf8(letters).expect("letters are ASCII");
        writeln!(fasta, ">c{contig}\n{letters}").expect("to memory");
    }
    fs::create_dir_all(&folder)?;
    for (name, text) in
        [("genome.fa", fasta), ("counts.bedGraph", counts), ("elements.bed", elements)]
    {
        fs::write(Path::new(&folder).join(name), text)?;
    }
    let share = active as f64 / (CONTIGS * LENGTH) as f64;
    println!("{folder}: {:.0} % of the bases are active", 100.0 * share);
    Ok(())
}
