//! Contig names: the reference's own, and how other files' names find them.

/// Index of a contig in the reference, in FASTA order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContigId(pub usize);

/// The contigs of a reference: names and lengths (bases), in FASTA order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contigs {
    list: Vec<(String, u64)>,
}

impl Contigs {
    /// From names and lengths in FASTA order.
    pub fn new(list: Vec<(String, u64)>) -> Self {
        Self { list }
    }

    /// Number of contigs.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The name as the reference writes it.
    pub fn name(&self, id: ContigId) -> &str {
        &self.list[id.0].0
    }

    /// Number of bases.
    pub fn length(&self, id: ContigId) -> u64 {
        self.list[id.0].1
    }

    /// All contigs in FASTA order.
    pub fn iter(&self) -> impl Iterator<Item = (ContigId, &str, u64)> {
        self.list
            .iter()
            .enumerate()
            .map(|(i, (name, length))| (ContigId(i), name.as_str(), *length))
    }
}
