//! What an ALT is, by its letters alone.

/// What an ALT is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `.` or nothing.
    Missing,
    /// `<DEL>`, `<*>`, …
    Symbolic,
    /// `*`.
    Star,
    /// With a bracket, or a `.` before or after bases.
    Breakend,
    /// Bases A, C, G, T and N.
    Bases,
    /// Anything else; the first letter that is no base.
    Other(char),
}

impl Kind {
    pub fn of(alt: &str) -> Self {
        if alt.is_empty() || alt == "." {
            return Self::Missing;
        }
        if alt == "*" {
            return Self::Star;
        }
        if alt.contains(['[', ']']) {
            return Self::Breakend;
        }
        if alt.starts_with('<') {
            return Self::Symbolic;
        }
        let single = alt.strip_prefix('.').or_else(|| alt.strip_suffix('.'));
        if single.is_some_and(|bases| bases.chars().all(|c| c.is_ascii_alphabetic())) {
            return Self::Breakend;
        }
        foreign_letter(alt).map_or(Self::Bases, Self::Other)
    }
}

/// The first letter other than A, C, G, T and N of either case.
pub(super) fn foreign_letter(bases: &str) -> Option<char> {
    bases.chars().find(|c| !matches!(c.to_ascii_uppercase(), 'A' | 'C' | 'G' | 'T' | 'N'))
}

/// Whether an ALT inserts a copy of the bases beside it. `context` are the letters of the reference
/// from `before` bases before REF on, to at least as many after it as are inserted; `before` is at
/// least that number too. Letters are upper-case.
pub(super) fn duplicates(context: &[u8], before: usize, removed: usize, alt: &[u8]) -> bool {
    let reference = &context[before..before + removed];
    let prefix = reference.iter().zip(alt).take_while(|(a, b)| a == b).count();
    let (rest, inserted) = (&reference[prefix..], &alt[prefix..]);
    let Some(inserted) = inserted.strip_suffix(rest).filter(|inserted| !inserted.is_empty()) else {
        return false;
    };
    // As far left as it goes; after its own length it is known to repeat what stands there.
    let mut inserted = inserted.to_vec();
    let mut at = before + prefix;
    for _ in 0..inserted.len() {
        if at == 0 || inserted.last() != Some(&context[at - 1]) {
            break;
        }
        inserted.rotate_right(1);
        at -= 1;
    }
    context[at..].starts_with(&inserted) && !inserted.contains(&b'N')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alt_is_known_by_its_letters() {
        for (alt, kind) in [
            ("", Kind::Missing),
            (".", Kind::Missing),
            ("acgtn", Kind::Bases),
            ("<DEL>", Kind::Symbolic),
            ("<*>", Kind::Symbolic),
            ("*", Kind::Star),
            ("G]17:198982]", Kind::Breakend),
            ("]13:123456]T", Kind::Breakend),
            (".A", Kind::Breakend),
            ("TC.", Kind::Breakend),
            ("-", Kind::Other('-')),
            ("AR", Kind::Other('R')),
            ("A.C", Kind::Other('.')),
            ("A*", Kind::Other('*')),
        ] {
            assert_eq!(Kind::of(alt), kind, "{alt}");
        }
    }

    #[test]
    fn an_insertion_that_repeats_its_neighbours_is_known_wherever_it_is_written() {
        // ..CCABCABC-like repeats with letters A, G, T: TTAGTAGTCC
        let context = b"CCCCCTTAGTAGTCCCCC";
        let told = |before: usize, removed, alt: &[u8]| duplicates(context, before, removed, alt);
        // one more unit AGT, left of, inside and right of the repeat
        assert!(told(6, 1, b"TAGT"));
        assert!(told(7, 1, b"AGTA"));
        assert!(told(12, 1, b"TAGT"));
        // with a common end instead of a common start
        assert!(told(7, 1, b"AGTA"));
        assert!(!told(7, 1, b"ACCA"), "other bases");
        assert!(!told(7, 1, b"G"), "no insertion");
        assert!(!told(7, 2, b"A"), "a deletion");
        assert!(told(4, 1, b"CC"), "a run of one letter");
        assert!(!told(4, 1, b"CN"));
    }
}
