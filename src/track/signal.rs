//! Signals in: values along a reference, from bigWig or bedGraph, told apart by content.
//!
//! A position that the file does not mention is no data, which differs from the value 0
//! (formats.md 7); the caller says what to make of it ([`Missing`]).

use super::bedgraph::reader::Reader as BedGraphReader;
use super::bigwig::Reader as BigWigReader;
use crate::error::{Error, Result};
use crate::genome::{ContigId, Contigs, Resolver};
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

/// Bases `[start, end)` (0-based) of a contig with one value, which is finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    /// First base.
    pub start: u64,
    /// One past the last base.
    pub end: u64,
    /// The value of each of them.
    pub value: f32,
}

/// What a position without data becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// 0, as counts of reads mean it.
    #[default]
    Zero,
    /// NaN, so that it can be left out.
    Na,
}

/// A file of values as it is, with contigs of its own.
#[derive(Debug)]
pub enum SignalFile {
    /// Indexed: read where it is asked for.
    BigWig(BigWigReader),
    /// Text: held in memory, 12 bytes a line.
    BedGraph(BedGraphReader),
}

impl SignalFile {
    /// Opens a bigWig, or reads a bedGraph (plain, gzip or bgzip; `-` is standard input).
    ///
    /// # Errors
    /// A file that cannot be read, is neither, or is damaged.
    pub fn open(path: &Path) -> Result<Self> {
        if path != Path::new("-") && looks_like_bigwig(path)? {
            return Ok(Self::BigWig(BigWigReader::open(path)?));
        }
        Ok(Self::BedGraph(BedGraphReader::read(path)?))
    }

    /// Whether a file begins as a bigWig does; not if it cannot be read.
    pub fn is_bigwig(path: &Path) -> bool {
        looks_like_bigwig(path).unwrap_or(false)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::BigWig(reader) => reader.path(),
            Self::BedGraph(reader) => reader.path(),
        }
    }

    /// The contigs that the file names. A bedGraph knows no lengths: there it is the end of the
    /// last line.
    pub fn contigs(&self) -> &Contigs {
        match self {
            Self::BigWig(reader) => reader.contigs(),
            Self::BedGraph(reader) => reader.contigs(),
        }
    }

    /// Gives the stretches that touch bases `range` of a contig of [`SignalFile::contigs`], cut to
    /// it, in order.
    ///
    /// # Errors
    /// A read failure or a damaged file, or the error of `each`.
    pub fn stretches(
        &mut self,
        contig: ContigId,
        range: Range<u64>,
        each: &mut dyn FnMut(Stretch) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::BigWig(reader) => reader.stretches(contig, range, each),
            Self::BedGraph(reader) => reader.stretches(contig, range, each),
        }
    }
}

/// Values along the contigs of a reference.
#[derive(Debug)]
pub struct Signal {
    file: SignalFile,
    /// The file's contig for each contig of the reference.
    places: Vec<Option<ContigId>>,
}

impl Signal {
    /// Opens a file and finds the contigs of the reference in it. A contig of the reference that
    /// the file lacks has no data; one of the file that the reference lacks is not looked at.
    ///
    /// # Errors
    /// A file that cannot be read; none of its contigs in the reference; a contig that is longer
    /// or shorter than in the reference; two contigs of the file for one of the reference.
    pub fn open(path: &Path, resolver: &Resolver) -> Result<Self> {
        let file = SignalFile::open(path)?;
        let reference = resolver.contigs();
        let mut places: Vec<Option<ContigId>> = vec![None; reference.len()];
        let names: Vec<&str> = file.contigs().iter().map(|(_, name, _)| name).collect();
        let resolver = resolver.for_names(&names);
        let lengths_known = matches!(file, SignalFile::BigWig(_));
        for (own, name, length) in file.contigs().iter() {
            let Some(id) = resolver.resolve(name).map_err(|error| error.at(path))? else {
                continue;
            };
            let expected = reference.length(id);
            if length > expected || (lengths_known && length != expected) {
                return Err(Error::new(format!("contig {name} is not that of the reference"))
                    .at(path)
                    .found(match lengths_known {
                        true => format!("{length} bases"),
                        false => format!("a value up to base {length}"),
                    })
                    .expected(format!("{expected} bases"))
                    .remedy("use the assembly that the signal was made with"));
            }
            if let Some(other) = places[id.0].replace(own) {
                return Err(Error::new(format!("two contigs for {}", reference.name(id)))
                    .at(path)
                    .found(format!("{} and {name}", file.contigs().name(other)))
                    .remedy("keep one of them"));
            }
        }
        if !names.is_empty() && places.iter().all(Option::is_none) {
            return Err(resolver.nothing_matches(path, &names));
        }
        Ok(Self { file, places })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Whether the file names a contig of the reference at all.
    pub fn has(&self, contig: ContigId) -> bool {
        self.places[contig.0].is_some()
    }

    /// The contigs of the file that the reference lacks.
    pub fn unplaced(&self) -> Vec<&str> {
        let all = self.file.contigs().iter();
        all.filter(|(own, ..)| !self.places.contains(&Some(*own)))
            .map(|(_, name, _)| name)
            .collect()
    }

    /// Gives the stretches that touch bases `range` (0-based) of a contig of the reference, cut to
    /// it, in order; none where the file has no data.
    ///
    /// # Errors
    /// A read failure or a damaged file, or the error of `each`.
    pub fn stretches(
        &mut self,
        contig: ContigId,
        range: Range<u64>,
        each: &mut dyn FnMut(Stretch) -> Result<()>,
    ) -> Result<()> {
        match self.places[contig.0] {
            Some(own) => self.file.stretches(own, range, each),
            None => Ok(()),
        }
    }

    /// The values of bases `[start, end)` (0-based) of a contig of the reference, one per base;
    /// also beyond its end, where there is no data.
    ///
    /// # Errors
    /// A read failure or a damaged file.
    ///
    /// # Panics
    /// When `start` is after `end`.
    pub fn values(
        &mut self,
        contig: ContigId,
        start: u64,
        end: u64,
        missing: Missing,
    ) -> Result<Vec<f32>> {
        assert!(start <= end, "bases [{start}, {end})");
        let index = |base: u64| usize::try_from(base - start).expect("a range that fits memory");
        let missing = match missing {
            Missing::Zero => 0.0,
            Missing::Na => f32::NAN,
        };
        let mut values = vec![missing; index(end)];
        self.stretches(contig, start..end, &mut |stretch| {
            values[index(stretch.start)..index(stretch.end)].fill(stretch.value);
            Ok(())
        })?;
        Ok(values)
    }
}

/// Whether the file begins as a bigWig or bigBed does, in either byte order.
fn looks_like_bigwig(path: &Path) -> Result<bool> {
    let mut file = crate::genome::text::open_file(path)?;
    // a pipe cannot be looked into twice, and a bigWig cannot be read from one
    if !file.metadata().is_ok_and(|found| found.is_file()) {
        return Ok(false);
    }
    let mut head = [0; 4];
    Ok(read_whole(&mut file, &mut head, path)? && super::bigwig::is_magic(head))
}

fn read_whole(file: &mut File, head: &mut [u8], path: &Path) -> Result<bool> {
    match file.read_exact(head) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(Error::io(path, "read", error)),
    }
}
