//! What the bytes of a file say about its compression, and the blocks of a BGZF file.
//!
//! BGZF (formats.md 8): gzip members with an extra field `BC` that holds the member's size - 1, at
//! most 64 KiB of data each, closed by an empty block.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// How the content of a file is compressed; told by its first bytes, never by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// Not compressed.
    Plain,
    /// One or more gzip members without random access.
    Gzip,
    /// Blocked gzip.
    Bgzip,
}

/// Bytes of a BGZF block's header, up to and with the block's size.
pub(crate) const HEADER_SIZE: usize = 18;

/// The empty block that closes a BGZF file (SAM specification, section 4.1.2).
pub const END_BLOCK: [u8; 28] = [
    0x1f, 0x8b, 0x08, 0x04, 0, 0, 0, 0, 0, 0xff, 6, 0, b'B', b'C', 2, 0, 0x1b, 0, 3, 0, 0, 0, 0, 0,
    0, 0, 0, 0,
];

impl Compression {
    /// Judges by the first [`HEADER_SIZE`] bytes (fewer if the file is shorter).
    pub(crate) fn of(head: &[u8]) -> Self {
        if !head.starts_with(&[0x1f, 0x8b]) {
            Self::Plain
        } else if block_size(head).is_some() {
            Self::Bgzip
        } else {
            Self::Gzip
        }
    }
}

/// The size in bytes of the block that starts with `header`, if it is a BGZF header.
fn block_size(header: &[u8]) -> Option<u64> {
    let header: &[u8; HEADER_SIZE] = header.first_chunk()?;
    let is_bgzf = header[..4] == [0x1f, 0x8b, 8, 4] && header[10..16] == [6, 0, b'B', b'C', 2, 0];
    is_bgzf.then(|| u64::from(u16::from_le_bytes([header[16], header[17]])) + 1)
}

/// The blocks of a BGZF file, from some block to the end of the file.
#[derive(Debug)]
pub(crate) struct Blocks {
    /// Where each block with data starts: (compressed, uncompressed) offset in bytes.
    pub(crate) starts: Vec<(u64, u64)>,
    /// Bytes of uncompressed data before the end of the file.
    pub(crate) data_end: u64,
}

impl Blocks {
    /// Walks the block headers from `start` (compressed and uncompressed offset of a block) without
    /// inflating anything.
    ///
    /// # Errors
    /// A file that cannot be read, ends inside a block, or holds something that is no block.
    pub(crate) fn walk(file: &mut File, path: &Path, start: (u64, u64)) -> Result<Self> {
        let size = file.metadata().map_err(|e| Error::io(path, "read", e))?.len();
        let (mut at, mut data_end) = start;
        let mut starts = Vec::new();
        while at < size {
            let mut header = [0; HEADER_SIZE];
            if size - at < HEADER_SIZE as u64 {
                return Err(cut_off(path, size));
            }
            read_at(file, at, &mut header).map_err(|e| Error::io(path, "read", e))?;
            let Some(block) = block_size(&header) else {
                return Err(corrupt(path, &format!("no BGZF block starts at byte {at}")));
            };
            if block > size - at {
                return Err(cut_off(path, size));
            }
            let mut data_size = [0; 4];
            read_at(file, at + block - 4, &mut data_size)
                .map_err(|e| Error::io(path, "read", e))?;
            let data_size = u64::from(u32::from_le_bytes(data_size));
            if data_size > 0 {
                starts.push((at, data_end));
            }
            data_end += data_size;
            at += block;
        }
        Ok(Self { starts, data_end })
    }
}

/// Whether a BGZF block starts at the given compressed offset.
pub(crate) fn is_block_start(file: &mut File, offset: u64) -> io::Result<bool> {
    let mut header = [0; HEADER_SIZE];
    match read_at(file, offset, &mut header) {
        Ok(()) => Ok(block_size(&header).is_some()),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}

/// Warns when a BGZF file lacks its closing empty block, which a complete file has.
pub(crate) fn warn_without_end_block(file: &mut File, path: &Path) -> io::Result<()> {
    let size = file.metadata()?.len();
    let mut tail = [0; END_BLOCK.len()];
    let start = size.checked_sub(END_BLOCK.len() as u64);
    if let Some(start) = start {
        read_at(file, start, &mut tail)?;
    }
    if tail != END_BLOCK {
        tracing::warn!(
            "{}: the closing BGZF block is missing: the file may be truncated; compare its size \
             with the original",
            path.display()
        );
    }
    Ok(())
}

/// A BGZF file that ends too early.
fn cut_off(path: &Path, size: u64) -> Error {
    Error::new("truncated bgzip file")
        .at(path)
        .found(format!("an incomplete block at the end, at byte {size}"))
        .expected("whole blocks")
        .remedy("copy or download the file again")
}

/// A failure to read a BGZF file: what does not decompress is corrupt, the rest is I/O.
pub(crate) fn read_error(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
            corrupt(path, &error.to_string())
        }
        _ => Error::io(path, "read", error),
    }
}

fn corrupt(path: &Path, why: &str) -> Error {
    Error::new(format!("corrupt bgzip file: {why}"))
        .at(path)
        .remedy("check it with `bgzip -t` and copy or download it again")
}

fn read_at(file: &mut File, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_is_told_by_content() {
        assert_eq!(Compression::of(b">chr1\nACGT"), Compression::Plain);
        assert_eq!(Compression::of(b""), Compression::Plain);
        assert_eq!(Compression::of(&END_BLOCK), Compression::Bgzip);
        let mut gzip = END_BLOCK;
        gzip[12] = b'X';
        assert_eq!(Compression::of(&gzip), Compression::Gzip);
        assert_eq!(Compression::of(&END_BLOCK[..10]), Compression::Gzip);
    }

    #[test]
    fn walking_lists_blocks_with_data_and_finds_a_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.gz");
        let mut writer = noodles::bgzf::io::Writer::new(Vec::new());
        for text in [&b"ACGTACGT"[..], b"TTTT"] {
            std::io::Write::write_all(&mut writer, text).unwrap();
            std::io::Write::flush(&mut writer).unwrap();
        }
        let bytes = writer.finish().unwrap();
        std::fs::write(&path, &bytes).unwrap();
        let blocks = Blocks::walk(&mut File::open(&path).unwrap(), &path, (0, 0)).unwrap();
        assert_eq!(blocks.data_end, 12);
        assert_eq!(blocks.starts.len(), 2);
        assert_eq!(blocks.starts[0], (0, 0));
        assert_eq!(blocks.starts[1].1, 8);

        std::fs::write(&path, &bytes[..bytes.len() - 40]).unwrap();
        let error = Blocks::walk(&mut File::open(&path).unwrap(), &path, (0, 0)).unwrap_err();
        assert!(error.to_string().contains("truncated bgzip file"), "{error}");

        std::fs::write(&path, [&bytes[..], b"trailing text, no block"].concat()).unwrap();
        let error = Blocks::walk(&mut File::open(&path).unwrap(), &path, (0, 0)).unwrap_err();
        assert!(error.to_string().contains("no BGZF block starts at byte"), "{error}");
    }
}
