//! Letters of DNA: what may stand in a sequence, the reverse complement, and the count of letters
//! that a one-hot network cannot see.

use super::ContigId;
use std::collections::BTreeMap;

/// Whether a byte may stand in a sequence: any letter, upper or lower case.
pub fn is_sequence_letter(letter: u8) -> bool {
    letter.is_ascii_alphabetic()
}

/// Turns bases into those of the other strand, read in its direction.
///
/// IUPAC codes become the codes of the complements, the case is kept, `U` becomes `A`, and bytes
/// that are no nucleotide code stay what they are.
pub fn reverse_complement(bases: &mut [u8]) {
    bases.reverse();
    for base in bases {
        *base = COMPLEMENT[usize::from(*base)];
    }
}

/// The complement of every byte (IUPAC-IUB, Nucleic Acids Res. 13:3021, 1985).
const COMPLEMENT: [u8; 256] = {
    const FROM: &[u8; 16] = b"ACGTURYKMBVDHSWN";
    const TO: &[u8; 16] = b"TGCAAYRMKVBHDSWN";
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = byte as u8;
        byte += 1;
    }
    let mut i = 0;
    while i < FROM.len() {
        table[FROM[i] as usize] = TO[i];
        table[FROM[i].to_ascii_lowercase() as usize] = TO[i].to_ascii_lowercase();
        i += 1;
    }
    table
};

/// How often each letter other than A, C, G, T and N (any case) was seen, per contig.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LetterCounts {
    counts: BTreeMap<(ContigId, u8), u64>,
}

impl LetterCounts {
    /// Counts bases of a contig; a base that is given twice counts twice.
    pub fn add(&mut self, contig: ContigId, bases: &[u8]) {
        for &base in bases.iter().filter(|&&base| !ORDINARY[usize::from(base)]) {
            *self.counts.entry((contig, base.to_ascii_uppercase())).or_default() += 1;
        }
    }

    /// Adds the counts of another stretch.
    pub fn merge(&mut self, other: &Self) {
        for (&key, &count) in &other.counts {
            *self.counts.entry(key).or_default() += count;
        }
    }

    /// Whether only ordinary letters were seen.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Contig, upper-case letter and count, in order of contig and letter.
    pub fn iter(&self) -> impl Iterator<Item = (ContigId, char, u64)> {
        self.counts.iter().map(|(&(contig, letter), &count)| (contig, char::from(letter), count))
    }
}

/// Letters that need no report.
const ORDINARY: [bool; 256] = {
    let mut table = [false; 256];
    let letters = b"ACGTNacgtn";
    let mut i = 0;
    while i < letters.len() {
        table[letters[i] as usize] = true;
        i += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_reverse_complement_keeps_case_and_knows_iupac() {
        let mut bases = *b"ACGTNacgtnRYKMBVDHSWU";
        reverse_complement(&mut bases);
        assert_eq!(&bases, b"AWSDHBVKMRYnacgtNACGT");
    }

    #[test]
    fn only_extraordinary_letters_are_counted() {
        let mut counts = LetterCounts::default();
        counts.add(ContigId(1), b"ACGTNacgtnRrY");
        counts.add(ContigId(0), b"ACGT");
        assert_eq!(
            counts.iter().collect::<Vec<_>>(),
            [(ContigId(1), 'R', 2), (ContigId(1), 'Y', 1)]
        );
        let mut sum = LetterCounts::default();
        assert!(sum.is_empty());
        sum.merge(&counts);
        sum.merge(&counts);
        assert_eq!(sum.iter().next(), Some((ContigId(1), 'R', 4)));
    }

    proptest! {
        #[test]
        fn the_reverse_complement_of_the_reverse_complement_is_the_sequence(
            bases in "[ACGTNRYKMBVDHSWacgtnrykmbvdhsw]{0,200}"
        ) {
            let mut twice = bases.clone().into_bytes();
            reverse_complement(&mut twice);
            reverse_complement(&mut twice);
            prop_assert_eq!(twice, bases.into_bytes());
        }
    }
}
