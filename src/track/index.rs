//! The index of a bgzipped track or variant file: tabix, or CSI where a contig is too long for
//! tabix, and always for BCF.

use crate::error::{Error, Result};
use crate::genome::Contigs;
use crate::job::{OutputFile, output::append};
use noodles::bgzf::VirtualPosition;
use noodles::core::Position;
use noodles::csi;
use noodles::csi::binning_index::Indexer;
use noodles::csi::binning_index::index::Header;
use noodles::csi::binning_index::index::header::Builder;
use noodles::csi::binning_index::index::reference_sequence::bin::Chunk;
use noodles::csi::binning_index::index::reference_sequence::index::{BinnedIndex, LinearIndex};
use noodles::tabix;
use std::io::{self, Write};
use std::path::Path;

/// Smallest bin of both formats, 2^14 bases (SAM specification, 5.1.1 and CSIv1).
const MIN_SHIFT: u8 = 14;

/// Levels of bins below the root in tabix: 2^(14 + 3 * 5) = 2^29 bases.
const TABIX_DEPTH: u8 = 5;

/// Collects where each line of a bgzipped file lies.
pub struct Index {
    indexer: Either,
    /// Contigs, whose places are the index's ids: of text those that were seen, in the order of
    /// the file; of BCF all of its header.
    names: Vec<String>,
    last: Option<usize>,
    /// The latest line, whose end is where the next one begins: a writer would otherwise say "the
    /// end of this block" where a reader of the same file says "the start of the next".
    open: Option<Line>,
}

/// Bases (1-based, both ends included, as noodles counts) and where the line begins.
struct Line {
    id: usize,
    first: Position,
    last: Position,
    from: VirtualPosition,
}

/// Each with how the columns of a text file are read; BCF has none.
enum Either {
    Tabix(Indexer<LinearIndex>, Header),
    Csi(Indexer<BinnedIndex>, Option<Header>),
}

impl Index {
    /// An empty index of a BED-like file over a reference, whose longest contig decides the format.
    pub fn of_bed(contigs: &Contigs) -> Self {
        let longest = contigs.iter().map(|(_, _, length)| length).max().unwrap_or(0);
        Self::new(longest, Some(Builder::bed().build()))
    }

    /// An empty index of a VCF file whose longest contig has so many bases.
    pub fn of_vcf(longest: u64) -> Self {
        Self::new(longest, Some(Builder::vcf().build()))
    }

    /// An empty index of a BCF file with these contigs in its header.
    pub fn of_bcf(longest: u64, names: Vec<String>) -> Self {
        Self { names, ..Self::new(longest, None) }
    }

    fn new(longest: u64, columns: Option<Header>) -> Self {
        let mut depth = TABIX_DEPTH;
        while longest > 1 << (MIN_SHIFT + 3 * depth) {
            depth += 1;
        }
        let indexer = match (depth, columns) {
            (TABIX_DEPTH, Some(columns)) => Either::Tabix(Indexer::default(), columns),
            (_, columns) => {
                let indexer = Indexer::new(MIN_SHIFT, depth).expect("a depth that fits 64 bits");
                Either::Csi(indexer, columns)
            }
        };
        Self { indexer, names: Vec::new(), last: None, open: None }
    }

    /// Adds the line of bases `[start, end)` (0-based) that begins at `from` of the file.
    pub fn add(
        &mut self,
        contig: &str,
        (start, end): (u64, u64),
        from: VirtualPosition,
    ) -> Result<()> {
        self.end_line(from)?;
        let id = match self.last {
            Some(id) if self.names[id] == contig => id,
            _ => self.id_of(contig)?,
        };
        self.last = Some(id);
        let position = |at: u64| usize::try_from(at).ok().and_then(Position::new);
        let (Some(first), Some(last)) = (position(start + 1), position(end)) else {
            return Err(Error::new("a position is too large for an index").found(end));
        };
        self.open = Some(Line { id, first, last, from });
        Ok(())
    }

    /// The id of a contig that is not that of the line before.
    fn id_of(&mut self, contig: &str) -> Result<usize> {
        if let Either::Csi(_, None) = self.indexer {
            let found = self.names.iter().position(|name| name == contig);
            return found
                .ok_or_else(|| Error::new("a contig that the header does not list").found(contig));
        }
        self.names.push(contig.to_owned());
        Ok(self.names.len() - 1)
    }

    fn end_line(&mut self, to: VirtualPosition) -> Result<()> {
        let Some(Line { id, first, last, from }) = self.open.take() else { return Ok(()) };
        let place = Some((id, first, last, true));
        let chunk = Chunk::new(from, to);
        match &mut self.indexer {
            Either::Tabix(indexer, _) => indexer.add_record(place, chunk),
            Either::Csi(indexer, _) => indexer.add_record(place, chunk),
        }
        .map_err(|e| Error::new(format!("cannot index a line: {e}")).found(last))
    }

    /// Writes the index beside `data` as `.tbi` or `.csi`, finished but not yet committed. The last
    /// line ends at `end`.
    pub fn write(mut self, data: &Path, end: VirtualPosition) -> Result<OutputFile> {
        self.end_line(end)?;
        let names = self.names;
        let named = |mut header: Header| {
            let listed = names.iter().map(|name| name.as_str().into());
            header.reference_sequence_names_mut().extend(listed);
            header
        };
        let (ending, bytes) = match self.indexer {
            Either::Tabix(indexer, header) => {
                (".tbi", tabix_bytes(indexer.set_header(named(header)), names.len()))
            }
            Either::Csi(indexer, Some(header)) => {
                (".csi", csi_bytes(indexer.set_header(named(header)), names.len()))
            }
            Either::Csi(indexer, None) => (".csi", csi_bytes(indexer, names.len())),
        };
        let mut file = OutputFile::create(&append(data, ending))?;
        bytes.and_then(|bytes| file.write_all(&bytes)).map_err(|e| file.error(e))?;
        file.finish()?;
        Ok(file)
    }
}

fn tabix_bytes(indexer: Indexer<LinearIndex>, contigs: usize) -> io::Result<Vec<u8>> {
    let mut writer = tabix::io::Writer::new(Vec::new());
    writer.write_index(&indexer.build(contigs))?;
    writer.into_inner().finish()
}

fn csi_bytes(indexer: Indexer<BinnedIndex>, contigs: usize) -> io::Result<Vec<u8>> {
    let mut writer = csi::io::Writer::new(Vec::new());
    writer.write_index(&indexer.build(contigs))?;
    writer.into_inner().finish()
}
