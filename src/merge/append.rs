//! Parts one after the other, as they are: the blocks of BGZF files are not unpacked.

use super::changed;
use super::shards::beside;
use crate::error::{Error, Result};
use crate::job::digest::{self, Hashing};
use crate::job::manifest::{Groups, Join, Lines, Part};
use crate::job::{OutputFile, Progress, signal};
use crate::track::END_BLOCK;
use crate::track::index::{Index, Indexing, virtual_position};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes that are copied at a time.
const BUFFER: usize = 1 << 20;

/// No contig is longer than this (bases).
const LONGEST: u64 = 1 << 40;

/// Writes the head of the first part and what follows the head in each; makes the index.
pub fn join(
    parts: &[(PathBuf, &Part)],
    path: &Path,
    progress: &Progress,
) -> Result<(u64, Vec<OutputFile>)> {
    let mut out = OutputFile::create(path)?;
    let mut index = None;
    let mut head = Vec::new();
    let mut buffer = vec![0; BUFFER];
    let mut bgzipped = false;
    for (number, (place, part)) in parts.iter().enumerate() {
        let Join::Append { head: length, bgzip, index: groups } = &part.join else {
            return Err(changed(place));
        };
        bgzipped = *bgzip;
        let end: &[u8] = if *bgzip { &END_BLOCK } else { &[] };
        let body =
            part.bytes.checked_sub(*length).and_then(|rest| rest.checked_sub(end.len() as u64));
        let body = body.ok_or_else(|| changed(place))?;
        let mut source = Source::open(place)?;
        let own = source.take(*length)?;
        if number == 0 {
            out.write_all(&own).map_err(|e| out.error(e))?;
            head = own;
        } else if head != own {
            return Err(Error::new("the shards' outputs begin differently")
                .at(place)
                .expected(format!("the header of {}", parts[0].0.display())));
        }
        if let (Some(groups), Some(_)) = (groups, out.part()) {
            if groups.longest > LONGEST {
                return Err(changed(place));
            }
            let index = index.get_or_insert_with(|| new_index(groups));
            let list = beside(place, &groups.file);
            if digest::of_file(&list)? != groups.sha256 {
                return Err(changed(&list));
            }
            index.add_part(&list, *length, out.bytes())?;
        }
        source.copy(body, &mut out, &mut buffer, progress)?;
        if source.take(end.len() as u64)? != end {
            return Err(changed(place));
        }
        if source.finish()? != part.sha256 {
            return Err(changed(place));
        }
    }
    let end = virtual_position(out.bytes());
    if bgzipped {
        out.write_all(&END_BLOCK).map_err(|e| out.error(e))?;
    }
    out.finish()?;
    let mut files = vec![out];
    if let Some(index) = index {
        files.extend(index.write(path, end, Indexing::Index)?);
    }
    Ok((parts.iter().map(|(_, part)| part.records).sum(), files))
}

fn new_index(groups: &Groups) -> Index {
    match &groups.lines {
        Lines::Bed => Index::of_lines(groups.longest),
        Lines::Vcf => Index::of_vcf(groups.longest),
        Lines::Bcf(names) => Index::of_bcf(groups.longest, names.clone()),
    }
}

/// A part that is read from start to end.
struct Source<'a> {
    path: &'a Path,
    reader: Hashing<File>,
}

impl<'a> Source<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, "open", e))?;
        Ok(Self { path, reader: Hashing::new(file) })
    }

    fn error(&self, source: io::Error) -> Error {
        Error::io(self.path, "read", source)
    }

    /// The next bytes, or as many as there are.
    fn take(&mut self, length: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = (&mut self.reader).take(length).read_to_end(&mut bytes);
        read.map_err(|e| self.error(e))?;
        Ok(bytes)
    }

    fn copy(
        &mut self,
        length: u64,
        out: &mut OutputFile,
        buffer: &mut [u8],
        progress: &Progress,
    ) -> Result<()> {
        let mut left = length;
        while left > 0 {
            signal::check()?;
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let read = match self.reader.read(&mut buffer[..most]) {
                Ok(0) => return Err(changed(self.path)),
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(self.error(e)),
            };
            out.write_all(&buffer[..read]).map_err(|e| out.error(e))?;
            progress.advance(read as u64);
            left -= read as u64;
        }
        Ok(())
    }

    fn finish(self) -> Result<String> {
        let path = self.path;
        self.reader.finish().map_err(|e| Error::io(path, "read", e))
    }
}
