//! The index of a bgzipped track or variant file: tabix, or CSI where a contig is too long for
//! tabix, and always for BCF.

use crate::error::{Error, Result};
use crate::genome::Contigs;
use crate::job::{OutputFile, output::append};
use noodles::bgzf::VirtualPosition;
use noodles::core::Position;
use noodles::csi;
use noodles::csi::binning_index::Indexer;
use noodles::csi::binning_index::ReferenceSequence as _;
use noodles::csi::binning_index::index::header::Builder;
use noodles::csi::binning_index::index::reference_sequence::bin::Chunk;
use noodles::csi::binning_index::index::reference_sequence::index::{BinnedIndex, LinearIndex};
use noodles::csi::binning_index::index::reference_sequence::{self, Metadata};
use noodles::csi::binning_index::index::{self, Header, ReferenceSequence};
use noodles::tabix;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Smallest bin of both formats, 2^14 bases (SAM specification, 5.1.1 and CSIv1).
const MIN_SHIFT: u8 = 14;

/// What the name of a list of groups has after that of its data.
pub const GROUPS: &str = ".groups";

/// Levels of bins below the root in tabix: 2^(14 + 3 * 5) = 2^29 bases.
const TABIX_DEPTH: u8 = 5;

/// What finds the lines of a bgzipped file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Indexing {
    /// Nothing.
    #[default]
    None,
    /// An index, `.tbi` or `.csi`.
    Index,
    /// Of a file that will be joined with others: the list of its [`Group`]s, of which the index of
    /// the joined file is made. An index cannot be: it joins small bins for good.
    Groups,
}

/// Collects where each line of a bgzipped file lies.
pub struct Index {
    depth: u8,
    /// How the columns of a text file are read; BCF has none.
    columns: Option<Header>,
    /// Contigs, whose places are the index's ids: of text those that were seen, in the order of
    /// the file; of BCF all of its header.
    names: Vec<String>,
    groups: Vec<Group>,
}

/// Lines, one after the other, of which an index knows no more than of one line: one line, or
/// several within a smallest bin. A group ends where the next one begins: a writer would otherwise
/// say "the end of this block" where a reader of the same file says "the start of the next".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// Place of the contig among the names.
    pub id: usize,
    /// First base of the first line, 0-based.
    pub start: u64,
    /// One past the last base of all lines.
    pub end: u64,
    /// Where the first line begins.
    pub from: VirtualPosition,
    /// How many there are.
    pub lines: u64,
}

impl Group {
    /// The smallest bin that holds all of it, if one does.
    fn bin(&self) -> Option<u64> {
        let bin = self.start >> MIN_SHIFT;
        ((self.end - 1) >> MIN_SHIFT == bin).then_some(bin)
    }
}

impl Index {
    /// An empty index of a BED-like file over a reference, whose longest contig decides the format.
    pub fn of_bed(contigs: &Contigs) -> Self {
        Self::of_lines(contigs.iter().map(|(_, _, length)| length).max().unwrap_or(0))
    }

    /// An empty index of a BED-like file whose longest contig has so many bases.
    pub fn of_lines(longest: u64) -> Self {
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
        Self { depth, columns, names: Vec::new(), groups: Vec::new() }
    }

    /// Adds the line of bases `[start, end)` (0-based) that begins at `from` of the file.
    ///
    /// # Errors
    /// BCF: a contig that the header does not list.
    pub fn add(
        &mut self,
        contig: &str,
        (start, end): (u64, u64),
        from: VirtualPosition,
    ) -> Result<()> {
        self.add_group(contig, Group { id: 0, start, end, from, lines: 1 })
    }

    /// Adds a group, whatever its id, on a contig.
    ///
    /// # Errors
    /// As [`Index::add`].
    pub fn add_group(&mut self, contig: &str, mut group: Group) -> Result<()> {
        let last = self.groups.last_mut();
        let same = last.filter(|last| self.names[last.id] == contig);
        group.id = match same {
            Some(last) if last.bin().is_some() && last.bin() == group.bin() => {
                last.end = last.end.max(group.end);
                last.lines += group.lines;
                return Ok(());
            }
            Some(last) => last.id,
            None => self.id_of(contig)?,
        };
        self.groups.push(group);
        Ok(())
    }

    /// The id of a contig that is not that of the line before.
    fn id_of(&mut self, contig: &str) -> Result<usize> {
        if self.columns.is_none() {
            let found = self.names.iter().position(|name| name == contig);
            return found
                .ok_or_else(|| Error::new("a contig that the header does not list").found(contig));
        }
        self.names.push(contig.to_owned());
        Ok(self.names.len() - 1)
    }

    /// Writes what `indexing` says beside `data`, finished but not yet committed. The last line
    /// ends at `end`.
    ///
    /// # Errors
    /// Any failure to write, or lines that are out of order.
    pub fn write(
        self,
        data: &Path,
        end: VirtualPosition,
        indexing: Indexing,
    ) -> Result<Option<OutputFile>> {
        let (ending, bytes) = match indexing {
            Indexing::None => return Ok(None),
            Indexing::Groups => (GROUPS, Ok(self.groups_text())),
            Indexing::Index => self.index(end)?,
        };
        let mut file = OutputFile::create(&append(data, ending))?;
        bytes.and_then(|bytes| file.write_all(&bytes)).map_err(|e| file.error(e))?;
        file.finish()?;
        Ok(Some(file))
    }

    fn index(self, end: VirtualPosition) -> Result<(&'static str, io::Result<Vec<u8>>)> {
        let names = self.names;
        let named = |mut header: Header| {
            let listed = names.iter().map(|name| name.as_str().into());
            header.reference_sequence_names_mut().extend(listed);
            header
        };
        let count = names.len();
        Ok(match self.columns {
            Some(header) if self.depth == TABIX_DEPTH => {
                let index = build::<LinearIndex>(self.depth, &self.groups, end, count)?;
                let index = index.set_header(named(header)).build();
                (".tbi", tabix_bytes(&index))
            }
            columns => {
                let mut index = build::<BinnedIndex>(self.depth, &self.groups, end, count)?;
                if let Some(header) = columns {
                    index = index.set_header(named(header));
                }
                (".csi", csi_bytes(&index.build()))
            }
        })
    }

    /// A line for each group: contig, start and end (0-based, half-open), where it begins in the
    /// compressed file and in its block, and how many lines it has.
    fn groups_text(&self) -> Vec<u8> {
        let mut text = String::new();
        for Group { id, start, end, from, lines } in &self.groups {
            let (name, block, inside) = (&self.names[*id], from.compressed(), from.uncompressed());
            text.push_str(&format!("{name}\t{start}\t{end}\t{block}\t{inside}\t{lines}\n"));
        }
        text.into_bytes()
    }

    /// Adds the groups of a part from its list, which lies at `path`; its block at `first` of its
    /// file is at `at` of the joined one.
    ///
    /// # Errors
    /// A list that cannot be read or is none.
    pub fn add_part(&mut self, path: &Path, first: u64, at: u64) -> Result<()> {
        let text = fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))?;
        for (number, line) in (1..).zip(text.lines()) {
            let group = parse_group(line, first, at);
            let Some((contig, group)) = group else {
                return Err(Error::new("no list of groups of lines").at(path).line(number));
            };
            self.add_group(contig, group)?;
        }
        Ok(())
    }
}

/// The beginning of the block at a byte of a file.
pub fn virtual_position(block: u64) -> VirtualPosition {
    VirtualPosition::try_from((block, 0)).expect("a file below 256 TiB")
}

/// Reads a line of the list of groups.
fn parse_group(line: &str, first: u64, at: u64) -> Option<(&str, Group)> {
    let mut columns = line.rsplitn(6, '\t');
    let lines = columns.next()?.parse().ok()?;
    let inside: u16 = columns.next()?.parse().ok()?;
    let block = columns.next()?.parse::<u64>().ok()?.checked_sub(first)?.checked_add(at)?;
    let end = columns.next()?.parse().ok()?;
    let start = columns.next()?.parse().ok()?;
    let from = VirtualPosition::try_from((block, inside)).ok()?;
    (start < end).then_some((columns.next()?, Group { id: 0, start, end, from, lines }))
}

/// The index of groups; the last one ends at `end`.
fn build<I: reference_sequence::Index + Default + Clone>(
    depth: u8,
    groups: &[Group],
    end: VirtualPosition,
    contigs: usize,
) -> Result<index::Builder<I>> {
    let mut indexer = Indexer::<I>::new(MIN_SHIFT, depth).expect("a depth that fits 64 bits");
    let ends = groups.iter().skip(1).map(|group| group.from).chain([end]);
    let mut lines = vec![0; contigs];
    for (group, to) in groups.iter().zip(ends) {
        lines[group.id] += group.lines;
        // 1-based, both ends included, as noodles counts
        let position = |at: u64| usize::try_from(at).ok().and_then(Position::new);
        let (Some(first), Some(last)) = (position(group.start + 1), position(group.end)) else {
            return Err(Error::new("a position is too large for an index").found(group.end));
        };
        indexer
            .add_record(Some((group.id, first, last, true)), Chunk::new(group.from, to))
            .map_err(|e| Error::new(format!("cannot index a line: {e}")).found(last))?;
    }
    let built = indexer.build(contigs);
    // the indexer has counted groups
    let counted = built.reference_sequences().iter().zip(lines).map(|(contig, lines)| {
        let counted = contig.metadata().map(|metadata| {
            Metadata::new(metadata.start_position(), metadata.end_position(), lines, 0)
        });
        ReferenceSequence::new(contig.bins().clone(), contig.index().clone(), counted)
    });
    Ok(index::Index::builder()
        .set_min_shift(MIN_SHIFT)
        .set_depth(depth)
        .set_reference_sequences(counted.collect())
        .set_unplaced_unmapped_record_count(0))
}

fn tabix_bytes(index: &index::Index<LinearIndex>) -> io::Result<Vec<u8>> {
    let mut writer = tabix::io::Writer::new(Vec::new());
    writer.write_index(index)?;
    writer.into_inner().finish()
}

fn csi_bytes(index: &index::Index<BinnedIndex>) -> io::Result<Vec<u8>> {
    let mut writer = csi::io::Writer::new(Vec::new());
    writer.write_index(index)?;
    writer.into_inner().finish()
}
