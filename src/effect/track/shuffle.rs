//! Dinucleotide shuffles (track-effects.md B6) and the random numbers behind them.

use crate::genome::Variant;
use sha2::{Digest, Sha256};

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): state plus 0x9e3779b97f4a7c15, then mixed.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// From a state.
    pub fn new(state: u64) -> Self {
        Self(state)
    }

    /// For one shuffle of one allele: the state is the first eight bytes (little-endian) of the
    /// SHA-256 of `SEED TAB CONTIG TAB POS TAB REF TAB ALT TAB REPLICATE`, alleles in capitals, the
    /// contig as the reference calls it.
    pub fn of_allele(
        seed: u64,
        contig: &str,
        variant: &Variant,
        alt: &str,
        replicate: usize,
    ) -> Self {
        let Variant { pos, reference, .. } = variant;
        let [reference, alt] = [reference, alt].map(|allele| allele.to_ascii_uppercase());
        let text = format!("{seed}\t{contig}\t{pos}\t{reference}\t{alt}\t{replicate}");
        let hash = Sha256::digest(text.as_bytes());
        Self(hash.iter().take(8).rev().fold(0, |state, &byte| state << 8 | u64::from(byte)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number below `end`, by the upper half of a product; not exactly uniform, by less than
    /// `end` in 2^64.
    fn below(&mut self, end: usize) -> usize {
        let product = u128::from(self.next()) * end as u128;
        usize::try_from(product >> 64).expect("below a usize")
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// Letters of the alphabet: A, C, G, T, and all others as one.
const SYMBOLS: usize = 5;

/// Shuffles letters so that every pair of neighbours occurs as often as before; the first and the
/// last letter stay. All letters other than A, C, G and T are one symbol and come out as N.
///
/// A random Euler path (Altschul and Erickson, Mol. Biol. Evol. 2:526, 1985): the last exit of each
/// letter is drawn until all of them lead to the last letter, the other exits are shuffled.
pub fn shuffle(letters: &mut [u8], random: &mut Random) {
    const LETTERS: [u8; SYMBOLS] = *b"ACGTN";
    let symbol = |letter: u8| {
        let upper = letter.to_ascii_uppercase();
        LETTERS.iter().position(|&known| known == upper).unwrap_or(SYMBOLS - 1)
    };
    let (Some(&first), Some(&last)) = (letters.first(), letters.last()) else { return };
    let (first, last) = (symbol(first), symbol(last));
    let mut exits: [Vec<usize>; SYMBOLS] = Default::default();
    for pair in letters.windows(2) {
        exits[symbol(pair[0])].push(symbol(pair[1]));
    }
    let final_exits = loop {
        let drawn: [Option<usize>; SYMBOLS] = std::array::from_fn(|from| {
            let count = exits[from].len();
            (from != last && count > 0).then(|| random.below(count))
        });
        let next = |from: usize| drawn[from].map(|exit| exits[from][exit]);
        let arrives = |from: usize| {
            let mut at = from;
            (0..SYMBOLS).any(|_| match next(at) {
                Some(to) => {
                    at = to;
                    at == last
                }
                None => at == last,
            })
        };
        if (0..SYMBOLS).all(|from| drawn[from].is_none() || arrives(from)) {
            break drawn;
        }
    };
    for (exits, last) in exits.iter_mut().zip(final_exits) {
        let end = last.map(|exit| exits.swap_remove(exit));
        random.shuffle(exits);
        exits.extend(end);
    }
    let mut taken = [0; SYMBOLS];
    let mut at = first;
    for letter in letters.iter_mut() {
        *letter = LETTERS[at];
        if let Some(&next) = exits[at].get(taken[at]) {
            taken[at] += 1;
            at = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn pairs(letters: &[u8]) -> BTreeMap<[u8; 2], usize> {
        let mut counts = BTreeMap::new();
        for pair in letters.windows(2) {
            *counts.entry([pair[0], pair[1]]).or_default() += 1;
        }
        counts
    }

    #[test]
    fn pairs_and_ends_are_kept_and_the_rest_moves() {
        let mut random = Random::new(7);
        let mut text: Vec<u8> = (0..500).map(|_| b"AACGTTTN"[random.below(8)]).collect();
        text.extend(b"NNNNN");
        let before = text.clone();
        for replicate in 0..20 {
            let mut shuffled = before.clone();
            shuffle(&mut shuffled, &mut Random::new(replicate));
            assert_eq!(pairs(&shuffled), pairs(&before));
            assert_eq!((shuffled[0], shuffled.last()), (before[0], before.last()));
            let moved = shuffled.iter().zip(&before).filter(|(a, b)| a != b).count();
            assert!(moved > 200, "{moved}");
        }
    }

    #[test]
    fn every_order_occurs_about_as_often() {
        // A leads to A, C and G, in any order; C and G lead back: six orders, by hand
        let mut seen: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for state in 0..6000 {
            let mut letters = b"AACAGA".to_vec();
            shuffle(&mut letters, &mut Random::new(state));
            *seen.entry(letters).or_default() += 1;
        }
        let orders: BTreeSet<&[u8]> = seen.keys().map(Vec::as_slice).collect();
        let expected: BTreeSet<&[u8]> =
            [b"AACAGA", b"AAGACA", b"ACAAGA", b"AGAACA", b"ACAGAA", b"AGACAA"]
                .map(|order| order.as_slice())
                .into();
        assert_eq!(orders, expected);
        assert!(seen.values().all(|&count| (850..1150).contains(&count)), "{seen:?}");
    }

    #[test]
    fn short_and_uniform_sequences_stay() {
        for text in [&b""[..], b"A", b"AC", b"AAAA", b"acgN"] {
            let mut letters = text.to_vec();
            shuffle(&mut letters, &mut Random::new(1));
            assert_eq!(letters, text.to_ascii_uppercase());
        }
    }

    #[test]
    fn a_shuffle_depends_on_everything_that_names_it() {
        let variant = |pos| Variant {
            line: 1,
            chrom: "1".into(),
            contig: None,
            pos,
            reference: "a".into(),
            alternates: vec![],
        };
        let one = |seed, contig, pos, alt, replicate| {
            Random::of_allele(seed, contig, &variant(pos), alt, replicate).0
        };
        let base = one(1, "chr1", 5, "C", 0);
        assert_eq!(base, one(1, "chr1", 5, "c", 0));
        for other in [
            one(2, "chr1", 5, "C", 0),
            one(1, "chr2", 5, "C", 0),
            one(1, "chr1", 6, "C", 0),
            one(1, "chr1", 5, "G", 0),
            one(1, "chr1", 5, "C", 1),
        ] {
            assert_ne!(base, other);
        }
    }
}
