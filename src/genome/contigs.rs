//! The contigs of a reference: their names and lengths.

use std::collections::HashMap;
use std::sync::Arc;

/// Index of a contig in the reference, in FASTA order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContigId(pub usize);

/// The contigs of a reference: names and lengths (bases), in FASTA order. A clone shares the list.
#[derive(Debug, Clone, Default)]
pub struct Contigs(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    list: Vec<(String, u64)>,
    by_name: HashMap<String, ContigId>,
}

impl Contigs {
    /// From names, each different, and lengths in FASTA order.
    pub fn new(list: Vec<(String, u64)>) -> Self {
        let names = list.iter().enumerate();
        let by_name = names.map(|(i, (name, _))| (name.clone(), ContigId(i))).collect();
        Self(Arc::new(Inner { list, by_name }))
    }

    /// Number of contigs.
    pub fn len(&self) -> usize {
        self.0.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.list.is_empty()
    }

    /// The name as the reference writes it.
    pub fn name(&self, id: ContigId) -> &str {
        &self.0.list[id.0].0
    }

    /// Number of bases.
    pub fn length(&self, id: ContigId) -> u64 {
        self.0.list[id.0].1
    }

    /// The contig of exactly this name; names of other files go through [`super::Resolver`].
    pub fn id(&self, name: &str) -> Option<ContigId> {
        self.0.by_name.get(name).copied()
    }

    /// All contigs in FASTA order.
    pub fn iter(&self) -> impl Iterator<Item = (ContigId, &str, u64)> {
        let list = self.0.list.iter().enumerate();
        list.map(|(i, (name, length))| (ContigId(i), name.as_str(), *length))
    }
}

impl PartialEq for Contigs {
    fn eq(&self, other: &Self) -> bool {
        self.0.list == other.0.list
    }
}

impl Eq for Contigs {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contigs_are_found_by_their_exact_name() {
        let contigs = Contigs::new(vec![("chr1".into(), 10), ("HLA:A-1".into(), 0)]);
        assert_eq!(contigs.id("HLA:A-1"), Some(ContigId(1)));
        assert_eq!(contigs.id("1"), None);
        assert_eq!((contigs.len(), contigs.length(ContigId(0))), (2, 10));
        assert_eq!(contigs.iter().last(), Some((ContigId(1), "HLA:A-1", 0)));
    }
}
