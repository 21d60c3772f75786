//! The data of a run, read and checked before the first step.

use super::config::{CountStrand, Loaded};
use super::parts::Parts;
use super::splits::{Split, Splits};
use super::track::{Kind, Track};
use crate::engine::encode::code;
use crate::error::{Error, Result};
use crate::genome::regions::{RegionOptions, read_bed};
use crate::genome::{ContigId, Interval, Reference, Resolver, Strand, read_transcripts};
use crate::model::pwm::{Site, SpliceSites};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Code of a letter that is not A, C, G or T.
const UNKNOWN: u8 = 4;

/// What a base is to a network of splice sites: the index of its output.
pub const ACCEPTOR: u8 = 1;
/// See [`ACCEPTOR`].
pub const DONOR: u8 = 2;

/// What is learned, on the contigs of the splits.
#[derive(Debug, Clone)]
pub enum Targets {
    /// Tracks of counts.
    Counts(Vec<Track>),
    /// Splice sites and transcripts.
    Splice(Box<Labels>),
}

/// Splice sites of an annotation.
#[derive(Debug, Clone, Default)]
pub struct Labels {
    /// All of them, sorted, and the transcribed stretches.
    pub sites: SpliceSites,
    /// By contig and strand: positions and classes, by position.
    by_place: HashMap<(ContigId, Strand), Vec<(u64, u8)>>,
    /// What the other bases of transcripts are, where that is learned too.
    parts: Option<Parts>,
}

/// Everything that examples are made of. Letters take one byte a base.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// Names and lengths of contigs.
    pub resolver: Resolver,
    /// Which ranges are for what.
    pub splits: Splits,
    /// What is learned.
    pub targets: Targets,
    /// For each output, the one that stands for it on the other strand.
    pub turned: Vec<usize>,
    /// Tracks that are read beside the sequence.
    pub controls: Vec<Track>,
    /// Codes of the letters of the contigs of the splits.
    letters: HashMap<ContigId, Arc<[u8]>>,
    /// Masked stretches by contig, sorted and apart.
    mask: Mask,
    /// The files that were read, for the record of the model.
    pub sources: Vec<PathBuf>,
}

/// Bases that are left out: by contig, sorted and apart.
#[derive(Debug, Clone, Default)]
pub struct Mask(HashMap<ContigId, Vec<Interval>>);

impl Mask {
    /// Reads BED files.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(paths: &[PathBuf], resolver: &Resolver) -> Result<Self> {
        let options = RegionOptions { clip: true, skip_unknown_contigs: true };
        let mut all: BTreeMap<ContigId, Vec<Interval>> = BTreeMap::new();
        for path in paths {
            for region in read_bed(path, resolver, &options)?.list {
                all.entry(region.interval.contig).or_default().push(region.interval);
            }
        }
        Ok(Self(all.into_iter().map(|(contig, list)| (contig, joined(list))).collect()))
    }

    /// The same with the stretches of another.
    pub fn and(&self, other: &Self) -> Self {
        let mut all = self.0.clone();
        for (contig, list) in &other.0 {
            all.entry(*contig).or_default().extend(list);
        }
        Self(all.into_iter().map(|(contig, list)| (contig, joined(list))).collect())
    }

    /// The masked stretches that touch a range.
    pub fn touching(&self, range: Interval) -> &[Interval] {
        let Some(list) = self.0.get(&range.contig) else { return &[] };
        let first = list.partition_point(|stretch| stretch.end <= range.start);
        let rest = &list[first..];
        &rest[..rest.partition_point(|stretch| stretch.start < range.end)]
    }

    /// Whether every base of a range is masked.
    pub fn covers(&self, range: Interval) -> bool {
        // stretches that touch each other are joined
        let mut touching = self.touching(range).iter();
        touching.any(|stretch| stretch.start <= range.start && range.end <= stretch.end)
    }
}

/// Sorted, with overlapping stretches joined.
fn joined(mut list: Vec<Interval>) -> Vec<Interval> {
    list.sort_unstable();
    let mut apart: Vec<Interval> = Vec::with_capacity(list.len());
    for next in list {
        match apart.last_mut() {
            Some(last) if next.start <= last.end => last.end = last.end.max(next.end),
            _ => apart.push(next),
        }
    }
    apart
}

impl Labels {
    /// The splice sites of an annotation, without those of introns shorter than `min_intron`; with
    /// `parts`, also what every base of a transcript is.
    ///
    /// # Errors
    /// An annotation that cannot be read.
    pub fn read(
        path: &Path,
        resolver: &Resolver,
        types: Option<&[String]>,
        min_intron: u64,
        parts: bool,
    ) -> Result<Self> {
        let genes = read_transcripts(path, resolver, types)?;
        let transcripts = || genes.transcripts.iter();
        let introns = transcripts()
            .flat_map(|t| t.introns().map(move |intron| (intron, t.strand)))
            .filter(|(intron, _)| intron.len() >= min_intron);
        let sites = SpliceSites::new(introns, transcripts().map(|t| (t.span(), t.strand)));
        let mut by_place: HashMap<_, Vec<(u64, u8)>> = HashMap::new();
        for (class, list) in [(ACCEPTOR, &sites.acceptors), (DONOR, &sites.donors)] {
            for site in list {
                let place = by_place.entry((site.contig, site.strand)).or_default();
                place.push((site.position, class));
            }
        }
        let mut both = 0;
        for list in by_place.values_mut() {
            list.sort_unstable();
            let all = list.len();
            list.dedup_by_key(|(position, _)| *position);
            both += all - list.len();
        }
        if both > 0 {
            tracing::warn!(
                "{}: {both} bases are acceptor and donor at once and are learned as acceptors",
                path.display()
            );
        }
        if parts && genes.transcripts.iter().all(|one| one.coding.is_empty()) {
            tracing::warn!("{}: no coding sequence; `parts` learns no codons", path.display());
        }
        let parts = parts.then(|| Parts::of(&genes.transcripts, resolver));
        Ok(Self { sites, by_place, parts })
    }

    /// Positions and classes of the sites of `[start, end)` of a strand of a contig.
    pub fn within(&self, contig: ContigId, strand: Strand, start: u64, end: u64) -> &[(u64, u8)] {
        let Some(list) = self.by_place.get(&(contig, strand)) else { return &[] };
        let first = list.partition_point(|(position, _)| *position < start);
        let rest = &list[first..];
        &rest[..rest.partition_point(|(position, _)| *position < end)]
    }

    /// Puts the classes of the bases from `start` on (0-based) of a strand of a contig into a row,
    /// in the direction of the reference.
    pub fn fill(&self, contig: ContigId, strand: Strand, start: u64, row: &mut [f32]) {
        row.fill(0.0);
        if let Some(parts) = &self.parts {
            parts.fill(contig, strand, start, row);
        }
        for &(position, class) in self.within(contig, strand, start, start + row.len() as u64) {
            row[usize::try_from(position - start).expect("inside the row")] = f32::from(class);
        }
    }

    /// Bases of the classes of [`NAMES`](super::parts::NAMES) in some ranges, on both strands; nothing where
    /// they are not learned.
    pub fn bases_of_parts(&self, ranges: &[Interval]) -> Vec<u64> {
        self.parts.as_ref().map_or_else(Vec::new, |parts| parts.bases(ranges))
    }

    /// Donors and acceptors that lie in some ranges.
    pub fn sites_in(&self, ranges: &[Interval]) -> Vec<Site> {
        let inside = |site: &&Site| {
            ranges.iter().any(|range| {
                range.contig == site.contig && (range.start..range.end).contains(&site.position)
            })
        };
        self.sites.donors.iter().chain(&self.sites.acceptors).filter(inside).copied().collect()
    }
}

impl Dataset {
    /// Reads everything that a configuration names.
    ///
    /// # Errors
    /// A file that cannot be read, or that does not fit the reference; a split without a range; no
    /// count or no splice site in a split that is learned from or watched.
    pub fn read(of: &Loaded) -> Result<Self> {
        let config = &of.config;
        let mut reference = Reference::open(&of.file(&config.data.reference))?;
        let aliases = config.data.aliases.as_ref().map(|path| of.file(path));
        let resolver = Resolver::new(reference.contigs(), aliases.as_deref())?;
        let splits = Splits::read(&config.splits, |path| of.file(path), &resolver)
            .map_err(|error| if error.place().0.is_none() { error.at(&of.path) } else { error })?;
        let masks: Vec<PathBuf> = config.data.mask.iter().map(|path| of.file(path)).collect();
        let mask = Mask::read(&masks, &resolver)?;
        let mut sources = vec![of.file(&config.data.reference)];
        let skip = config.data.skip_unknown_contigs;
        let mut track = |path: &Path, kind| {
            let path = of.file(path);
            let track = Track::read(&path, &resolver, &splits, kind, skip)?;
            sources.push(path);
            Ok::<_, Error>(track)
        };
        let files = config.control.iter().flat_map(|control| &control.files);
        let controls = files.map(|file| track(file, Kind::Any)).collect::<Result<Vec<_>>>()?;
        let targets = match (&config.counts, &config.splice) {
            (Some(counts), _) => Targets::Counts(
                counts
                    .tracks
                    .iter()
                    .map(|one| track(&one.file, Kind::Counts))
                    .collect::<Result<_>>()?,
            ),
            (None, Some(splice)) => {
                let path = of.file(&splice.annotation);
                let types = splice.types.as_deref();
                let labels =
                    Labels::read(&path, &resolver, types, splice.min_intron, splice.parts)?;
                sources.push(path);
                Targets::Splice(Box::new(labels))
            }
            (None, None) => unreachable!("a configuration learns something"),
        };
        let turned = match &config.counts {
            Some(counts) => turned(&counts.tracks.iter().map(|t| t.strand).collect::<Vec<_>>()),
            None => (0..config.outputs().len()).collect(),
        };
        let contigs: BTreeSet<ContigId> = splits.all().map(|range| range.contig).collect();
        let mut letters = HashMap::new();
        for contig in contigs {
            let length = i64::try_from(resolver.contigs().length(contig)).unwrap_or(i64::MAX);
            let codes = reference.fetch(contig, 0, length)?.into_iter().map(code).collect();
            letters.insert(contig, codes);
        }
        let data = Self { resolver, splits, targets, turned, controls, letters, mask, sources };
        data.check()?;
        Ok(data)
    }

    fn check(&self) -> Result<()> {
        for split in [Split::Train, Split::Valid] {
            let ranges = self.splits.of(split);
            let (found, what) = match &self.targets {
                Targets::Counts(tracks) => {
                    let total = |track: &Track| track.total(ranges, f32::MAX);
                    (tracks.iter().all(|track| total(track) > 0.0), "no count of one of the tracks")
                }
                Targets::Splice(labels) => (!labels.sites_in(ranges).is_empty(), "no splice site"),
            };
            let (found, what) = match ranges.iter().all(|range| self.mask.covers(*range)) {
                true => (false, "every base is masked"),
                false => (found, what),
            };
            if !found {
                return Err(Error::new(format!("the split `{split}` has no example: {what}"))
                    .remedy(match self.targets {
                        Targets::Counts(_) => "check the ranges of [splits] against the files",
                        Targets::Splice(_) => {
                            "check the ranges of [splits] and `splice.types` against the files"
                        }
                    }));
            }
        }
        Ok(())
    }

    /// What is neither learned from nor judged.
    pub fn mask(&self) -> &Mask {
        &self.mask
    }

    /// Number of outputs of the network.
    pub fn outputs(&self) -> usize {
        self.turned.len()
    }

    /// Letters of `[start, end)` of a contig (0-based, may leave it) as a strand reads them, in
    /// codes: A, C, G, T are 0 to 3, everything else is 4.
    pub fn codes(&self, contig: ContigId, start: i64, end: i64, strand: Strand) -> Vec<u8> {
        let all = self.letters.get(&contig).map_or(&[][..], |codes| codes);
        let length = i64::try_from(all.len()).unwrap_or(i64::MAX);
        let at = |base: i64| usize::try_from(base).expect("inside the contig");
        let (from, to) = (start.clamp(0, length), end.clamp(0, length));
        let bases = |count: i64| usize::try_from(count).expect("a window fits memory");
        let mut codes = vec![UNKNOWN; bases(from.min(end) - start)];
        codes.extend_from_slice(&all[at(from)..at(to)]);
        codes.resize(bases(end - start), UNKNOWN);
        if strand == Strand::Minus {
            codes.reverse();
            codes.iter_mut().filter(|code| **code < UNKNOWN).for_each(|code| *code = 3 - *code);
        }
        codes
    }

    /// Share of G and C among the known letters of a range.
    pub fn gc(&self, range: Interval) -> f64 {
        let all = self.letters.get(&range.contig).map_or(&[][..], |codes| codes);
        let at = |base: u64| usize::try_from(base).map_or(all.len(), |base| base.min(all.len()));
        let codes = &all[at(range.start)..at(range.end)];
        let known = codes.iter().filter(|&&code| code < UNKNOWN).count();
        let strong = codes.iter().filter(|&&code| code == 1 || code == 2).count();
        strong as f64 / known.max(1) as f64
    }
}

/// For each track, the one that stands for it when the other strand is read: the n-th of + and the
/// n-th of - change places.
pub(super) fn turned(strands: &[CountStrand]) -> Vec<usize> {
    let of = |wanted: CountStrand| {
        strands.iter().enumerate().filter(move |(_, strand)| **strand == wanted).map(|(i, _)| i)
    };
    let mut turned: Vec<usize> = (0..strands.len()).collect();
    for (plus, minus) in of(CountStrand::Plus).zip(of(CountStrand::Minus)) {
        turned.swap(plus, minus);
    }
    turned
}
