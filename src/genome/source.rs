//! The bytes of a FASTA file at any offset, plain or bgzipped.

use super::bgzip;
use super::fasta_index::Record;
use crate::error::{Error, Result};
use crate::job::output::append;
use noodles::bgzf::{self, gzi};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes that are read at a time: a few BGZF blocks.
const CHUNK: usize = 1 << 18;

/// A FASTA file with random access; offsets count uncompressed bytes.
pub(super) struct Source {
    path: PathBuf,
    data: Data,
    size: u64,
    chunk: Vec<u8>,
}

enum Data {
    Plain(File),
    Bgzip(Box<bgzf::io::IndexedReader<File>>),
}

impl Source {
    /// An uncompressed file.
    pub(super) fn plain(file: File, path: &Path) -> Result<Self> {
        let size = file.metadata().map_err(|e| Error::io(path, "read", e))?.len();
        Ok(Self { path: path.into(), data: Data::Plain(file), size, chunk: Vec::new() })
    }

    /// A bgzipped file, where its blocks start, the first left out, and how many bytes it holds.
    pub(super) fn bgzip(file: File, path: &Path, starts: Vec<(u64, u64)>, size: u64) -> Self {
        let reader = bgzf::io::IndexedReader::new(file, gzi::Index::from(starts));
        Self { path: path.into(), data: Data::Bgzip(Box::new(reader)), size, chunk: Vec::new() }
    }

    /// Number of uncompressed bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn is_bgzip(&self) -> bool {
        matches!(self.data, Data::Bgzip(_))
    }

    /// The block index as the bytes of a `.gzi` file; none for an uncompressed file.
    pub(super) fn gzi_bytes(&self) -> Option<Vec<u8>> {
        let Data::Bgzip(reader) = &self.data else { return None };
        let starts = reader.index().as_ref();
        let numbers = starts.iter().flat_map(|&(compressed, data)| [compressed, data]);
        let count = std::iter::once(starts.len() as u64);
        Some(count.chain(numbers).flat_map(u64::to_le_bytes).collect())
    }

    /// Up to `most` bytes from an offset, fewer where the file ends.
    pub(super) fn read_bytes(&mut self, offset: u64, most: usize) -> Result<Vec<u8>> {
        let left = self.size.saturating_sub(offset);
        let mut bytes = vec![0; usize::try_from(left).map_or(most, |left| left.min(most))];
        if !bytes.is_empty() {
            self.seek(offset)?;
            self.read_exact(&mut bytes)?;
        }
        Ok(bytes)
    }

    /// Adds the bases of a range (0-based, not empty, within the contig) to `bases`.
    ///
    /// # Errors
    /// A read failure, or something else than white space where the index has a line end.
    pub(super) fn read_lines(
        &mut self,
        record: &Record,
        range: Range<u64>,
        bases: &mut Vec<u8>,
    ) -> Result<()> {
        let start = record.byte_of(range.start);
        let mut left = record.byte_of(range.end - 1) + 1 - start;
        let mut column = range.start % record.line_bases;
        self.seek(start)?;
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.resize(CHUNK, 0);
        while left > 0 {
            let size = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
            self.read_exact(&mut chunk[..size])?;
            left -= size as u64;
            let mut rest = &chunk[..size];
            while !rest.is_empty() {
                let in_bases = column < record.line_bases;
                let edge = if in_bases { record.line_bases } else { record.line_width };
                let take = usize::try_from(edge - column).map_or(rest.len(), |n| n.min(rest.len()));
                let (piece, after) = rest.split_at(take);
                if in_bases {
                    bases.extend_from_slice(piece);
                } else if !piece.iter().all(u8::is_ascii_whitespace) {
                    let fai = append(&self.path, ".fai");
                    return Err(Error::new(format!(
                        "the index does not fit: bases of contig `{}` where a line should end",
                        record.name
                    ))
                    .at(&self.path)
                    .remedy(format!("remove {}, or make it again", fai.display())));
                }
                column = (column + take as u64) % record.line_width;
                rest = after;
            }
        }
        self.chunk = chunk;
        Ok(())
    }

    fn seek(&mut self, offset: u64) -> Result<()> {
        let offset = SeekFrom::Start(offset);
        let sought = match &mut self.data {
            Data::Plain(file) => file.seek(offset),
            Data::Bgzip(reader) => reader.seek(offset),
        };
        sought.map(|_| ()).map_err(|e| self.error(e))
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> Result<()> {
        let read = match &mut self.data {
            Data::Plain(file) => file.read_exact(buffer),
            Data::Bgzip(reader) => reader.read_exact(buffer),
        };
        read.map_err(|e| self.error(e))
    }

    fn error(&self, error: io::Error) -> Error {
        match self.data {
            Data::Plain(_) => Error::io(&self.path, "read", error),
            Data::Bgzip(_) => bgzip::read_error(&self.path, error),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_bgzip() { "bgzip" } else { "plain" };
        f.debug_struct("Source").field("kind", &kind).field("size", &self.size).finish()
    }
}
