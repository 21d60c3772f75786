//! The index of a bgzipped track: tabix, or CSI where a contig is too long for tabix.

use crate::error::{Error, Result};
use crate::genome::{ContigId, Contigs};
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

/// Collects where each line of a bgzipped track lies.
pub struct Index {
    indexer: Either,
    /// Contigs seen so far, in the order of the file; their places are the index's ids.
    names: Vec<String>,
    last: Option<ContigId>,
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

enum Either {
    Tabix(Indexer<LinearIndex>),
    Csi(Indexer<BinnedIndex>),
}

impl Index {
    /// An empty index for a reference; its longest contig decides the format.
    pub fn new(contigs: &Contigs) -> Self {
        let longest = contigs.iter().map(|(_, _, length)| length).max().unwrap_or(0);
        let mut depth = TABIX_DEPTH;
        while longest > 1 << (MIN_SHIFT + 3 * depth) {
            depth += 1;
        }
        let indexer = match depth {
            TABIX_DEPTH => Either::Tabix(Indexer::default()),
            _ => Either::Csi(Indexer::new(MIN_SHIFT, depth).expect("a depth that fits 64 bits")),
        };
        Self { indexer, names: Vec::new(), last: None, open: None }
    }

    /// Adds the line of bases `[start, end)` (0-based) that begins at `from` of the file.
    pub fn add(
        &mut self,
        contig: ContigId,
        contigs: &Contigs,
        (start, end): (u64, u64),
        from: VirtualPosition,
    ) -> Result<()> {
        self.end_line(from)?;
        if self.last != Some(contig) {
            self.last = Some(contig);
            self.names.push(contigs.name(contig).to_string());
        }
        let id = self.names.len() - 1;
        let position = |at: u64| usize::try_from(at).ok().and_then(Position::new);
        let (Some(first), Some(last)) = (position(start + 1), position(end)) else {
            return Err(Error::new("a position is too large for an index").found(end));
        };
        self.open = Some(Line { id, first, last, from });
        Ok(())
    }

    fn end_line(&mut self, to: VirtualPosition) -> Result<()> {
        let Some(Line { id, first, last, from }) = self.open.take() else { return Ok(()) };
        let place = Some((id, first, last, true));
        let chunk = Chunk::new(from, to);
        match &mut self.indexer {
            Either::Tabix(indexer) => indexer.add_record(place, chunk),
            Either::Csi(indexer) => indexer.add_record(place, chunk),
        }
        .map_err(|e| Error::new(format!("cannot index a line: {e}")).found(last))
    }

    /// Writes the index beside `data` as `.tbi` or `.csi`, finished but not yet committed. The last
    /// line ends at `end`.
    pub fn write(mut self, data: &Path, end: VirtualPosition) -> Result<OutputFile> {
        self.end_line(end)?;
        let mut header: Header = Builder::bed().build();
        header.reference_sequence_names_mut().extend(self.names.iter().map(|n| n.as_str().into()));
        let (ending, bytes) = match self.indexer {
            Either::Tabix(indexer) => {
                (".tbi", tabix_bytes(indexer.set_header(header), self.names.len()))
            }
            Either::Csi(indexer) => {
                (".csi", csi_bytes(indexer.set_header(header), self.names.len()))
            }
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
