//! Intervals and strands.

use super::ContigId;

/// A stretch of one contig, 0-based, half-open, `start <= end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval {
    /// Which contig of the reference.
    pub contig: ContigId,
    /// First base.
    pub start: u64,
    /// One past the last base.
    pub end: u64,
}

impl Interval {
    /// Number of bases.
    pub fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Whether it holds no base.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

/// The strand that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strand {
    /// The reference as written.
    Plus,
    /// The reverse complement.
    Minus,
}

impl Strand {
    /// `plus` or `minus`, as used in file names.
    pub fn name(self) -> &'static str {
        match self {
            Strand::Plus => "plus",
            Strand::Minus => "minus",
        }
    }

    /// `+` or `-`, as used in tables.
    pub fn symbol(self) -> char {
        match self {
            Strand::Plus => '+',
            Strand::Minus => '-',
        }
    }

    /// The other strand.
    pub fn opposite(self) -> Self {
        match self {
            Strand::Plus => Strand::Minus,
            Strand::Minus => Strand::Plus,
        }
    }
}
