//! How the contig names of other files find the contigs of the reference (formats.md 3).
//!
//! Tried in this order: the exact name; the name with a `chr` prefix (any case) added or removed;
//! the names of the mitochondrion; Roman against Arabic numbers when all names of one file are
//! Roman; the user's alias table. Lengths never find a contig, they only confirm it.

use super::aliases::AliasTable;
use super::{ContigId, Contigs, roman};
use crate::error::{Error, Result};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

/// How many names an error message shows of each file.
const SHOWN_NAMES: usize = 5;

/// Finds the reference's contig for the names that other files use.
#[derive(Debug, Clone)]
pub struct Resolver {
    rules: Arc<Rules>,
    aliases: Option<Arc<AliasTable>>,
    /// The Roman numbers of the other file, when all its names are such.
    other_roman: Option<RomanNames>,
}

impl Resolver {
    /// For a reference, with the user's table of aliases if there is one.
    ///
    /// # Errors
    /// An alias table that cannot be read, is malformed, or names no contig of the reference.
    pub fn new(contigs: &Contigs, aliases: Option<&Path>) -> Result<Self> {
        let rules = Arc::new(Rules::new(contigs));
        let aliases = aliases
            .map(|path| AliasTable::read(path, contigs, |name| rules.candidates(name, None)))
            .transpose()?
            .map(Arc::new);
        Ok(Self { rules, aliases, other_roman: None })
    }

    /// The same rules for one file, all of whose names are given: whether its numbers are Roman
    /// can only be told from all of them.
    pub fn for_names<S: AsRef<str>>(&self, names: &[S]) -> Self {
        let other_roman = RomanNames::of(names.iter().map(AsRef::as_ref));
        Self { other_roman, ..self.clone() }
    }

    /// The contig that a name stands for; `None` if no rule knows it.
    ///
    /// # Errors
    /// Two contigs could be meant.
    pub fn resolve(&self, name: &str) -> Result<Option<ContigId>> {
        let contigs = &self.rules.contigs;
        if let Some(id) = contigs.id(name) {
            return Ok(Some(id));
        }
        let by_rule = self.rules.candidates(name, self.other_roman.as_ref());
        let by_table = self.aliases.as_ref().map_or(&[][..], |table| table.candidates(name));
        match (by_rule.as_slice(), by_table) {
            ([], []) => Ok(None),
            ([id], []) | ([], [id]) => Ok(Some(*id)),
            // The user's word decides between the candidates of a rule, but does not overrule it.
            (several, [id]) if several.contains(id) => Ok(Some(*id)),
            (by_rule, by_table) => {
                let mut found: Vec<_> = by_rule.iter().chain(by_table).collect();
                found.sort();
                found.dedup();
                let found: Vec<_> = found.into_iter().map(|id| contigs.name(*id)).collect();
                Err(Error::new(format!("contig name `{name}` is ambiguous"))
                    .found(format!("{} in the reference", found.join(", ")))
                    .expected("one contig")
                    .remedy("use the reference's own names, or an alias table (--aliases)"))
            }
        }
    }

    /// The contigs that names are resolved to.
    pub fn contigs(&self) -> &Contigs {
        &self.rules.contigs
    }

    /// The error for a file none of whose names is known: shows some names of both sides.
    pub fn nothing_matches<S: AsRef<str>>(&self, path: &Path, names: &[S]) -> Error {
        Error::new("no contig of this file is in the reference")
            .at(path)
            .found(first_names(names.iter().map(AsRef::as_ref)))
            .expected(self.reference_names())
            .remedy("use the same assembly for both, or name the pairs in a table (--aliases)")
    }

    /// The first names of the reference, for messages.
    pub(super) fn reference_names(&self) -> String {
        first_names(self.rules.contigs.iter().map(|(_, name, _)| name))
    }
}

/// The first few of many names, for messages.
pub(super) fn first_names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names = names.peekable();
    let shown: Vec<_> = names.by_ref().take(SHOWN_NAMES).collect();
    let more = if names.peek().is_some() { ", …" } else { "" };
    shown.join(", ") + more
}

/// The rules that need no table, prepared for one reference.
#[derive(Debug)]
struct Rules {
    contigs: Contigs,
    /// Contigs by their name without `chr`.
    by_stem: HashMap<String, Vec<ContigId>>,
    mitochondria: Vec<ContigId>,
    roman: Option<RomanNames>,
}

impl Rules {
    fn new(contigs: &Contigs) -> Self {
        let mut by_stem: HashMap<String, Vec<ContigId>> = HashMap::new();
        let mut mitochondria = Vec::new();
        for (id, name, _) in contigs.iter() {
            by_stem.entry(stem(name).to_owned()).or_default().push(id);
            if is_mitochondrion(name) {
                mitochondria.push(id);
            }
        }
        let roman = RomanNames::of(contigs.iter().map(|(_, name, _)| name));
        Self { contigs: contigs.clone(), by_stem, mitochondria, roman }
    }

    /// The contigs that the first fitting rule gives for a name that is not a contig's exact name.
    fn candidates(&self, name: &str, other_roman: Option<&RomanNames>) -> Vec<ContigId> {
        let stem = stem(name);
        if let Some(found) = self.by_stem.get(stem) {
            return found.clone();
        }
        if is_mitochondrion(name) {
            return self.mitochondria.clone();
        }
        let other_writing = if let Some(roman) = &self.roman {
            stem.parse().ok().and_then(roman::numeral).filter(|numeral| roman.counts(numeral))
        } else if let Some(roman) = other_roman {
            roman::number(stem).filter(|_| roman.counts(stem)).map(|n| n.to_string())
        } else {
            None
        };
        other_writing.and_then(|writing| self.by_stem.get(&writing).cloned()).unwrap_or_default()
    }
}

/// The Roman numbers of a file that has only such names (the mitochondrion aside).
///
/// Numbering starts at I, so a file without it (a lone `chrX`) is not taken for Roman; and without
/// IX an `X` is a sex chromosome (worm), not ten.
#[derive(Debug, Clone)]
struct RomanNames {
    x_is_ten: bool,
}

impl RomanNames {
    fn of<'a>(names: impl Iterator<Item = &'a str>) -> Option<Self> {
        let stems: HashSet<_> = names.filter(|name| !is_mitochondrion(name)).map(stem).collect();
        let all_roman = stems.iter().all(|stem| roman::number(stem).is_some());
        (all_roman && stems.contains("I")).then(|| Self { x_is_ten: stems.contains("IX") })
    }

    /// Whether a numeral is a number in this file.
    fn counts(&self, numeral: &str) -> bool {
        numeral != "X" || self.x_is_ten
    }
}

/// A name without its `chr` prefix of any case.
fn stem(name: &str) -> &str {
    match name.get(..3) {
        Some(prefix) if prefix.eq_ignore_ascii_case("chr") && name.len() > 3 => &name[3..],
        _ => name,
    }
}

/// Whether a name is one of those in use for the mitochondrion.
fn is_mitochondrion(name: &str) -> bool {
    let names = ["M", "MT", "Mito", "MtDNA"];
    names.iter().any(|known| known.eq_ignore_ascii_case(stem(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver(names: &[&str]) -> Resolver {
        let list = names.iter().map(|name| (name.to_string(), 100)).collect();
        Resolver::new(&Contigs::new(list), None).unwrap()
    }

    fn found<'a>(resolver: &'a Resolver, name: &str) -> Option<&'a str> {
        resolver.resolve(name).unwrap().map(|id| resolver.contigs().name(id))
    }

    #[test]
    fn the_chr_prefix_is_added_and_removed_in_any_case() {
        let with = resolver(&["chr1", "chrX", "chrUn_KI270742v1"]);
        for (name, contig) in [
            ("chr1", Some("chr1")),
            ("1", Some("chr1")),
            ("Chr1", Some("chr1")),
            ("CHRX", Some("chrX")),
            ("Un_KI270742v1", Some("chrUn_KI270742v1")),
            ("x", None),
            ("2", None),
            ("chr", None),
        ] {
            assert_eq!(found(&with, name), contig, "{name}");
        }
        assert_eq!(found(&resolver(&["1", "2"]), "chr2"), Some("2"));
    }

    #[test]
    fn the_mitochondrion_has_many_names() {
        for reference in ["chrM", "MT", "Mito", "M", "chrMT"] {
            let resolver = resolver(&["chr1", reference]);
            for name in ["M", "MT", "chrM", "chrMT", "Mito"] {
                assert_eq!(found(&resolver, name), Some(reference), "{name} in {reference}");
            }
        }
        assert_eq!(found(&resolver(&["chr1"]), "MT"), None);
    }

    #[test]
    fn roman_numbers_count_only_when_all_names_of_one_file_are_roman() {
        let yeast = resolver(&["chrI", "chrII", "chrIX", "chrX", "chrM"]);
        assert_eq!(found(&yeast, "2"), Some("chrII"));
        assert_eq!(found(&yeast, "chr10"), Some("chrX"));
        assert_eq!(found(&yeast, "3"), None);
        let worm = resolver(&["I", "II", "III", "IV", "V", "X", "MtDNA"]);
        assert_eq!((found(&worm, "4"), found(&worm, "10")), (Some("IV"), None));
        let pombe = resolver(&["I", "II", "III", "MT", "MTR", "AB325691"]);
        assert_eq!(found(&pombe, "1"), None);

        let numbers = resolver(&["1", "2", "9", "10"]);
        assert_eq!(found(&numbers, "II"), None);
        assert_eq!(found(&numbers.for_names(&["chrI", "chrII", "Mito"]), "chrII"), Some("2"));
        assert_eq!(found(&numbers.for_names(&["I", "II", "IX", "X"]), "X"), Some("10"));
        assert_eq!(found(&numbers.for_names(&["I", "II", "2micron"]), "II"), None);
        assert_eq!(found(&numbers.for_names(&["chrX"]), "chrX"), None, "a sex chromosome");
    }

    #[test]
    fn two_candidates_are_an_error() {
        let both = resolver(&["chr1", "1", "chrM", "MT"]);
        assert_eq!(found(&both, "1"), Some("1"), "the exact name wins");
        let error = both.resolve("Chr1").unwrap_err().to_string();
        assert!(error.contains("`Chr1` is ambiguous (found chr1, 1"), "{error}");
        assert!(error.contains("--aliases"), "{error}");
        assert!(both.resolve("Mito").is_err());
    }

    #[test]
    fn nothing_matching_shows_names_of_both_sides() {
        let resolver = resolver(&["a", "b", "c", "d", "e", "f"]);
        let error = resolver.nothing_matches(Path::new("x.bed"), &["chr1", "chr2"]).to_string();
        assert!(error.contains("found chr1, chr2, expected a, b, c, d, e, …"), "{error}");
        assert!(error.contains("--aliases"), "{error}");
    }
}
