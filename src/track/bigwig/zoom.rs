//! The zoom levels of a bigWig: the values summed up over ever longer stretches, for browsers.
//!
//! A level sums up bases from one multiple of its reduction to the next, so its entries are a
//! function of the values alone. Finished entries wait in a temporary file beside the output.

use super::index::{Section, numbers, write_index};
use super::{ITEMS, Packer, ZOOM_HEADER};
use crate::error::{Error, Result};
use crate::job::OutputFile;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bases that an entry of the first level sums up, and how much longer those of the next are.
const FIRST_REDUCTION: u32 = 160;
const FACTOR: u32 = 4;
/// Most levels; the header has room for as many. The last sums up 42 million bases.
pub const LEVELS: usize = 10;
/// Bytes of an entry.
const ENTRY: usize = 32;

/// Bases with values within a stretch, and what is known of them.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    pub contig: u32,
    pub start: u32,
    pub end: u32,
    pub sums: Sums,
}

/// What is known of values together.
#[derive(Debug, Clone, Copy)]
pub struct Sums {
    /// Bases with a value.
    pub covered: u64,
    pub min: f32,
    pub max: f32,
    pub sum: f64,
    pub squares: f64,
}

impl Sums {
    /// Of a value at so many bases.
    pub fn of(value: f32, bases: u32) -> Self {
        let (wide, count) = (f64::from(value), f64::from(bases));
        Self {
            covered: bases.into(),
            min: value,
            max: value,
            sum: wide * count,
            squares: wide * wide * count,
        }
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.covered += other.covered;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
        self.squares += other.squares;
    }
}

/// All levels of a file that is being written.
pub struct Zooms {
    levels: Vec<Level>,
    waiting: Waiting,
}

struct Level {
    reduction: u32,
    open: Option<Entry>,
    /// Finished entries that do not fill a section yet.
    entries: Vec<Entry>,
    sections: Vec<Section>,
    /// Where each section lies in the temporary file.
    offsets: Vec<u64>,
    count: u32,
}

/// The temporary file; it has no name, or loses it when the process ends.
struct Waiting {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Zooms {
    /// Levels for contigs of up to `longest` bases; what waits lies in the folder of `output`.
    ///
    /// # Errors
    /// The temporary file cannot be made.
    pub fn new(output: &Path, longest: u32) -> Result<Self> {
        let folder = match output.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let file = tempfile::tempfile_in(folder)
            .map_err(|e| Error::io(folder, "make a temporary file in", e))?;
        let reductions =
            std::iter::successors(Some(FIRST_REDUCTION), |reduction| reduction.checked_mul(FACTOR));
        let levels = reductions.take(LEVELS).take_while(|&reduction| reduction <= longest).map(
            |reduction| Level {
                reduction,
                open: None,
                entries: Vec::with_capacity(ITEMS),
                sections: Vec::new(),
                offsets: Vec::new(),
                count: 0,
            },
        );
        let waiting = Waiting { path: output.into(), file, bytes: 0 };
        Ok(Self { levels: levels.collect(), waiting })
    }

    /// Adds a value at bases `[start, end)` of a contig; in order.
    pub fn add(
        &mut self,
        contig: u32,
        (mut start, end): (u32, u32),
        value: f32,
        packer: &mut Packer,
    ) -> Result<()> {
        let Some(first) = self.levels.first() else { return Ok(()) };
        let reduction = first.reduction;
        while start < end {
            let cut = (start / reduction + 1).saturating_mul(reduction).min(end);
            let entry = Entry { contig, start, end: cut, sums: Sums::of(value, cut - start) };
            self.add_entry(0, entry, packer)?;
            start = cut;
        }
        Ok(())
    }

    /// Adds an entry to a level; what that finishes goes on to the next.
    fn add_entry(&mut self, level: usize, entry: Entry, packer: &mut Packer) -> Result<()> {
        let Some(found) = self.levels.get_mut(level) else { return Ok(()) };
        let window = |entry: &Entry| (entry.contig, entry.start / found.reduction);
        match &mut found.open {
            Some(open) if window(open) == window(&entry) => {
                open.end = entry.end;
                open.sums.add(&entry.sums);
                Ok(())
            }
            open => match open.replace(entry) {
                Some(finished) => self.finish_entry(level, finished, packer),
                None => Ok(()),
            },
        }
    }

    fn finish_entry(&mut self, level: usize, entry: Entry, packer: &mut Packer) -> Result<()> {
        let found = &mut self.levels[level];
        let other = found.entries.first().is_some_and(|first| first.contig != entry.contig);
        if other || found.entries.len() == ITEMS {
            found.end_section(&mut self.waiting, packer)?;
        }
        found.entries.push(entry);
        self.add_entry(level + 1, entry, packer)
    }

    /// Writes the levels that are worth it after the data, which has `data` bytes; returns their
    /// headers.
    pub fn write(
        mut self,
        file: &mut OutputFile,
        data: u64,
        packer: &mut Packer,
    ) -> Result<Vec<u8>> {
        for level in 0..self.levels.len() {
            if let Some(entry) = self.levels[level].open.take() {
                self.finish_entry(level, entry, packer)?;
            }
            self.levels[level].end_section(&mut self.waiting, packer)?;
        }
        let mut headers = Vec::with_capacity(LEVELS * ZOOM_HEADER);
        let mut before = u32::MAX;
        for level in &self.levels {
            let size: u64 = level.sections.iter().map(|section| u64::from(section.size)).sum();
            // A level as large as the data, or as the level before it, saves no reading.
            if level.count == 0 || size > data / 2 || level.count >= before {
                continue;
            }
            before = level.count;
            let at = file.bytes();
            file.write_all(&level.count.to_le_bytes()).map_err(|e| file.error(e))?;
            for (section, &offset) in level.sections.iter().zip(&level.offsets) {
                let bytes = self.waiting.take(offset, section.size)?;
                file.write_all(&bytes).map_err(|e| file.error(e))?;
            }
            let index = file.bytes();
            write_index(file, &level.sections, at + 4, ITEMS as u32)?;
            numbers(&mut headers, &[level.reduction, 0]);
            headers.extend(at.to_le_bytes());
            headers.extend(index.to_le_bytes());
        }
        Ok(headers)
    }
}

impl Level {
    fn end_section(&mut self, waiting: &mut Waiting, packer: &mut Packer) -> Result<()> {
        let (Some(first), Some(last)) = (self.entries.first(), self.entries.last()) else {
            return Ok(());
        };
        let (contig, start, end) = (first.contig, first.start, last.end);
        let mut bytes = Vec::with_capacity(self.entries.len() * ENTRY);
        for Entry { contig, start, end, sums } in &self.entries {
            let covered = u32::try_from(sums.covered).expect("no more bases than a contig has");
            numbers(&mut bytes, &[*contig, *start, *end, covered]);
            for number in [sums.min, sums.max, sums.sum as f32, sums.squares as f32] {
                bytes.extend(number.to_le_bytes());
            }
        }
        self.count += u32::try_from(self.entries.len()).expect("at most ITEMS");
        self.entries.clear();
        let packed = packer.pack(&bytes);
        self.offsets.push(waiting.bytes);
        waiting.put(packed)?;
        let size = u32::try_from(packed.len()).expect("a section far below 4 GB");
        self.sections.push(Section { contig, start, end, size });
        Ok(())
    }
}

impl Waiting {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .map_err(|e| Error::io(&self.path, "write the zoom levels beside", e))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn take(&mut self, offset: u64, size: u32) -> Result<Vec<u8>> {
        let mut bytes = vec![0; size as usize];
        self.file
            .seek(SeekFrom::Start(offset))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(|e| Error::io(&self.path, "read back the zoom levels of", e))?;
        Ok(bytes)
    }
}
