//! Why an allele has no score, and what to know of one that has (splice-scoring.md B2).

use std::fmt;

/// Why an allele has no score: the closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skip {
    /// ALT is `.` or missing.
    NoAlt,
    /// The contig is not in the reference, whatever its name.
    ContigNotInReference,
    /// The annotation has no gene on the contig.
    ContigNotInAnnotation,
    /// POS is 0 or beyond the end of the contig.
    OutOfContig,
    /// No gene at POS.
    NoGene,
    /// REF differs from the reference.
    RefMismatch,
    /// REF has a letter other than A, C, G, T and N.
    RefNotAcgtn,
    /// ALT has a letter other than A, C, G, T and N.
    AltNotAcgtn,
    /// ALT is symbolic, such as `<DEL>`.
    Symbolic,
    /// ALT is `*`: deleted by another record.
    Star,
    /// ALT is a breakend.
    Breakend,
    /// ALT is REF.
    NoChange,
    /// REF does not fit in the report window.
    RefTooLong,
    /// ALT is longer than allowed.
    AltTooLong,
    /// The window leaves the contig, where a published program gives no score; never under our own
    /// rules.
    ContigEdge,
    /// A published program gives no score to such an allele; never under our own rules.
    PeerRules,
}

impl Skip {
    /// All reasons, in the order in which they are looked for.
    pub const ALL: [Self; 16] = [
        Self::NoAlt,
        Self::ContigNotInReference,
        Self::ContigNotInAnnotation,
        Self::OutOfContig,
        Self::NoGene,
        Self::RefMismatch,
        Self::RefNotAcgtn,
        Self::AltNotAcgtn,
        Self::Symbolic,
        Self::Star,
        Self::Breakend,
        Self::NoChange,
        Self::RefTooLong,
        Self::AltTooLong,
        Self::ContigEdge,
        Self::PeerRules,
    ];

    /// The token in files.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoAlt => "NO_ALT",
            Self::ContigNotInReference => "CONTIG_NOT_IN_REFERENCE",
            Self::ContigNotInAnnotation => "CONTIG_NOT_IN_ANNOTATION",
            Self::OutOfContig => "OUT_OF_CONTIG",
            Self::NoGene => "NO_GENE",
            Self::RefMismatch => "REF_MISMATCH",
            Self::RefNotAcgtn => "REF_NOT_ACGTN",
            Self::AltNotAcgtn => "ALT_NOT_ACGTN",
            Self::Symbolic => "SYMBOLIC",
            Self::Star => "STAR",
            Self::Breakend => "BREAKEND",
            Self::NoChange => "NO_CHANGE",
            Self::RefTooLong => "REF_TOO_LONG",
            Self::AltTooLong => "ALT_TOO_LONG",
            Self::ContigEdge => "CONTIG_EDGE",
            Self::PeerRules => "PEER_RULES",
        }
    }

    /// One line for people.
    pub fn explain(self) -> &'static str {
        match self {
            Self::NoAlt => "the record has no alternative allele",
            Self::ContigNotInReference => "the reference has no contig of this name",
            Self::ContigNotInAnnotation => "the annotation has no gene on this contig",
            Self::OutOfContig => "POS is 0 or beyond the end of the contig",
            Self::NoGene => "no gene of the annotation covers POS",
            Self::RefMismatch => "REF differs from the reference (--ref-mismatch)",
            Self::RefNotAcgtn => "REF has a letter other than A, C, G, T and N",
            Self::AltNotAcgtn => "ALT has a letter other than A, C, G, T and N",
            Self::Symbolic => "ALT is symbolic and has no sequence",
            Self::Star => "ALT is *, deleted by another record",
            Self::Breakend => "ALT is a breakend",
            Self::NoChange => "ALT is the same as REF",
            Self::RefTooLong => {
                "REF is longer than twice --distance, or than the outputs of a window"
            }
            Self::AltTooLong => "ALT is longer than --max-alt",
            Self::ContigEdge => {
                "too near to an end of the contig for the rules that were asked for"
            }
            Self::PeerRules => "not scored by the rules that were asked for",
        }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What to know of an allele that was scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Warning {
    /// ALT contains N, which no network knows.
    NInAlt,
    /// So many bases of the window lie beyond the contig and are read as N.
    ContigEdge(usize),
    /// More than half of the window (inside the gene) is N.
    ManyN,
    /// The inserted bases repeat those beside them, where the maximum over inserted rows makes
    /// artefacts.
    DuplicatingInsertion,
    /// REF differs from the reference and was believed (`--ref-mismatch use-vcf`).
    RefMismatch,
}

impl Warning {
    /// The tokens of all.
    pub const CODES: [&'static str; 5] =
        ["N_IN_ALT", "CONTIG_EDGE", "MANY_N", "DUPLICATING_INSERTION", "REF_MISMATCH"];

    /// The token in files.
    pub fn code(self) -> &'static str {
        match self {
            Self::NInAlt => "N_IN_ALT",
            Self::ContigEdge(_) => "CONTIG_EDGE",
            Self::ManyN => "MANY_N",
            Self::DuplicatingInsertion => "DUPLICATING_INSERTION",
            Self::RefMismatch => "REF_MISMATCH",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ContigEdge(bases) => write!(f, "{}:{bases}", self.code()),
            _ => f.write_str(self.code()),
        }
    }
}
