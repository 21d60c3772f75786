//! The sites that the matrices are learned from.

use crate::genome::{ContigId, Interval, Strand};

/// A splice site: the exonic base at an exon's boundary (formats.md 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// Which contig of the reference.
    pub contig: ContigId,
    /// 0-based: the last exon base (donor) or the first exon base (acceptor).
    pub position: u64,
    /// Strand of the transcript.
    pub strand: Strand,
}

/// What the matrices are learned from: sorted, each site once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpliceSites {
    /// Last exon bases before an intron.
    pub donors: Vec<Site>,
    /// First exon bases after an intron.
    pub acceptors: Vec<Site>,
    /// Stretches of the transcripts on their strand, not overlapping on one strand; their letters
    /// are the background.
    pub transcribed: Vec<(Interval, Strand)>,
}

impl SpliceSites {
    /// The sites of introns `(intron, strand)` and the union of transcripts.
    pub fn new(
        introns: impl IntoIterator<Item = (Interval, Strand)>,
        transcripts: impl IntoIterator<Item = (Interval, Strand)>,
    ) -> Self {
        let mut sites = Self { transcribed: union(transcripts), ..Self::default() };
        for (intron, strand) in introns.into_iter().filter(|(intron, _)| intron.start > 0) {
            let at = |position| Site { contig: intron.contig, position, strand };
            let (before, after) = (at(intron.start - 1), at(intron.end));
            let (donor, acceptor) = match strand {
                Strand::Plus => (before, after),
                Strand::Minus => (after, before),
            };
            sites.donors.push(donor);
            sites.acceptors.push(acceptor);
        }
        for list in [&mut sites.donors, &mut sites.acceptors] {
            list.sort_unstable();
            list.dedup();
        }
        sites
    }

    /// All sites and stretches that lie on another contig.
    pub(super) fn without(&self, contig: ContigId) -> Self {
        let elsewhere = |sites: &[Site]| {
            sites.iter().copied().filter(|site| site.contig != contig).collect::<Vec<_>>()
        };
        let transcribed = self.transcribed.iter().copied();
        Self {
            donors: elsewhere(&self.donors),
            acceptors: elsewhere(&self.acceptors),
            transcribed: transcribed.filter(|(place, _)| place.contig != contig).collect(),
        }
    }
}

/// Stretches joined where they touch or overlap on the same strand, sorted.
fn union(stretches: impl IntoIterator<Item = (Interval, Strand)>) -> Vec<(Interval, Strand)> {
    let mut sorted: Vec<_> = stretches.into_iter().collect();
    sorted.sort_unstable_by_key(|(place, strand)| (*strand, *place));
    let mut joined: Vec<(Interval, Strand)> = Vec::new();
    for (place, strand) in sorted {
        match joined.last_mut() {
            Some((last, on))
                if (*on, last.contig) == (strand, place.contig) && place.start <= last.end =>
            {
                last.end = last.end.max(place.end);
            }
            _ => joined.push((place, strand)),
        }
    }
    joined.sort_unstable();
    joined
}
