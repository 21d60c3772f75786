//! The user's table of contig aliases: two or more tab columns, each row the names of one contig.
//! UCSC `chromAlias` files and NCBI assembly reports are such tables.

use super::text::Lines;
use super::{ContigId, Contigs};
use crate::error::Result;
use std::collections::HashMap;
use std::path::Path;

/// Columns of an NCBI assembly report (its header names them); the others hold no names.
const NCBI_HEADER: &str = "# Sequence-Name\tSequence-Role\tAssigned-Molecule\t";
const NCBI_ROLE: usize = 1;
const NCBI_MOLECULE: usize = 2;
const NCBI_NAMES: [usize; 4] = [0, 4, 6, 9];
const NCBI_LENGTH: usize = 8;

/// Which contigs of the reference a name stands for, by the user's word.
#[derive(Debug)]
pub(super) struct AliasTable {
    by_name: HashMap<String, Vec<ContigId>>,
}

impl AliasTable {
    /// Reads a table. A row belongs to the contig that one of its names is, exactly or else by the
    /// rules without a table (`by_rule`).
    ///
    /// # Errors
    /// A row with fewer than two columns, a row that fits two contigs, a length (assembly reports
    /// have it) that the reference contradicts, a table that names no contig of the reference.
    pub(super) fn read(
        path: &Path,
        contigs: &Contigs,
        by_rule: impl Fn(&str) -> Vec<ContigId>,
    ) -> Result<Self> {
        let mut lines = Lines::open(path)?;
        let mut is_report = false;
        let mut by_name: HashMap<String, Vec<ContigId>> = HashMap::new();
        while let Some((_, line)) = lines.next()? {
            is_report |= line.starts_with(NCBI_HEADER);
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let columns: Vec<String> = line.split('\t').map(|c| c.trim().to_owned()).collect();
            if columns.len() < 2 {
                return Err(lines
                    .error("an alias row has one column")
                    .found(&columns[0])
                    .expected("two or more names, separated by tabs"));
            }
            let names = names(&columns, is_report);
            let mut found: Vec<_> = names.iter().filter_map(|name| contigs.id(name)).collect();
            if found.is_empty() {
                found = names.iter().flat_map(|name| by_rule(name)).collect();
            }
            found.sort();
            found.dedup();
            let id = match found.as_slice() {
                [] => continue,
                [id] => *id,
                [first, second, ..] => {
                    return Err(lines
                        .error("an alias row names two contigs of the reference")
                        .found(format!("{}, {}", contigs.name(*first), contigs.name(*second)))
                        .expected("the names of one contig")
                        .remedy("remove one of the names from the row"));
                }
            };
            if let Some(length) = stated_length(&columns, is_report)
                && length != contigs.length(id)
            {
                return Err(lines
                    .error(format!("another length for contig `{}`", contigs.name(id)))
                    .found(format!("{length} bases"))
                    .expected(format!("{} bases, as in the reference", contigs.length(id)))
                    .remedy("use the table of the reference's own assembly"));
            }
            for name in names {
                let ids = by_name.entry(name.to_owned()).or_default();
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
        }
        if by_name.is_empty() {
            let known = super::resolver::first_names(contigs.iter().map(|(_, name, _)| name));
            return Err(crate::error::Error::new("no alias row names a contig of the reference")
                .at(path)
                .expected(format!("one of {known}"))
                .remedy("use the table of the reference's own assembly"));
        }
        Ok(Self { by_name })
    }

    /// The contigs that the table gives for a name.
    pub(super) fn candidates(&self, name: &str) -> &[ContigId] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }
}

/// The columns of a row that hold names; `na` (NCBI) and empty cells are no names.
fn names(columns: &[String], is_report: bool) -> Vec<&str> {
    let is_molecule = columns.get(NCBI_ROLE).is_some_and(|role| role == "assembled-molecule");
    let holds_name = |column: &usize| {
        !is_report || NCBI_NAMES.contains(column) || (*column == NCBI_MOLECULE && is_molecule)
    };
    let kept = columns.iter().enumerate().filter(|(i, _)| holds_name(i));
    kept.map(|(_, name)| name.as_str()).filter(|name| !name.is_empty() && *name != "na").collect()
}

/// The contig's length (bases) in an assembly report.
fn stated_length(columns: &[String], is_report: bool) -> Option<u64> {
    columns.get(NCBI_LENGTH).filter(|_| is_report)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::Resolver;
    use super::*;

    fn resolver(table: &str, contigs: &[(&str, u64)]) -> Result<Resolver> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("aliases.tsv");
        std::fs::write(&path, table).unwrap();
        let list = contigs.iter().map(|(name, length)| (name.to_string(), *length)).collect();
        Resolver::new(&Contigs::new(list), Some(&path))
    }

    fn found(resolver: &Resolver, name: &str) -> Option<String> {
        resolver.resolve(name).unwrap().map(|id| resolver.contigs().name(id).to_owned())
    }

    #[test]
    fn two_columns_work_in_either_order_and_any_style() {
        let table = "# mine\none\tCM000663.2\r\nCM000664.2\ttwo\n\nMT\tJ01415.2\n";
        let resolver = resolver(table, &[("one", 9), ("two", 9), ("chrM", 9)]).unwrap();
        assert_eq!(found(&resolver, "CM000663.2").as_deref(), Some("one"));
        assert_eq!(found(&resolver, "CM000664.2").as_deref(), Some("two"));
        assert_eq!(found(&resolver, "J01415.2").as_deref(), Some("chrM"), "MT is chrM by rule");
        assert_eq!(found(&resolver, "three"), None);
    }

    #[test]
    fn a_ucsc_chrom_alias_file_is_a_table() {
        let table = "# ucsc\tassembly\tgenbank\tncbi\trefseq\n\
                     chr1\t1\tCM000663.2\t1\tNC_000001.11\nchr2\t2\t\t2\tNC_000002.12\n";
        let resolver = resolver(table, &[("chr1", 9), ("chr2", 9)]).unwrap();
        assert_eq!(found(&resolver, "NC_000002.12").as_deref(), Some("chr2"));
        assert_eq!(found(&resolver, ""), None);
    }

    const REPORT: &str = "# Assembly name:  R64\n\
        # Sequence-Name\tSequence-Role\tAssigned-Molecule\tAssigned-Molecule-Location/Type\t\
        GenBank-Accn\tRelationship\tRefSeq-Accn\tAssembly-Unit\tSequence-Length\tUCSC-style-name\n\
        chrI\tassembled-molecule\tI\tChromosome\tBK006935.2\t=\tNC_001133.9\tPrimary Assembly\t\
        230218\tna\n\
        chrII\tassembled-molecule\tII\tChromosome\tBK006936.2\t=\tNC_001134.8\tPrimary Assembly\t\
        813184\tchrII\n";

    #[test]
    fn an_ncbi_assembly_report_is_a_table_and_its_lengths_must_agree() {
        let resolver_of = |length| resolver(REPORT, &[("NC_001133.9", 230_218), ("chrII", length)]);
        let resolver = resolver_of(813_184).unwrap();
        assert_eq!(found(&resolver, "I").as_deref(), Some("NC_001133.9"));
        assert_eq!(found(&resolver, "BK006936.2").as_deref(), Some("chrII"));
        assert_eq!(found(&resolver, "Primary Assembly"), None);
        assert_eq!(found(&resolver, "na"), None);
        let error = resolver_of(7).unwrap_err().to_string();
        assert!(error.contains("tsv:4: another length for contig `chrII`"), "{error}");
    }

    #[test]
    fn the_table_decides_between_candidates_but_does_not_overrule() {
        let both = resolver("Chr1\t1\n", &[("chr1", 9), ("1", 9)]).unwrap();
        assert_eq!(found(&both, "Chr1").as_deref(), Some("1"));
        let against = resolver("1\tscaffold_7\n", &[("chr1", 9), ("scaffold_7", 9)]).unwrap();
        let error = against.resolve("1").unwrap_err().to_string();
        assert!(error.contains("chr1, scaffold_7"), "{error}");
    }

    #[test]
    fn bad_tables_are_refused_with_the_line() {
        for (table, message) in [
            ("chr1\tone\nchr2 two\n", "tsv:2: an alias row has one column"),
            ("chr1\tchr2\n", "tsv:1: an alias row names two contigs"),
            ("a\tb\n", "no alias row names a contig of the reference (expected one of chr1, chr2"),
        ] {
            let error = resolver(table, &[("chr1", 9), ("chr2", 9)]).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
