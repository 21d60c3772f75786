//! The zip archives that PyTorch writes: stored entries only (weight-files.md 3).
//!
//! Sizes and checksums come from the central directory; the local headers hold zeros.

use crate::error::{Error, Result};
use flate2::Crc;
use std::collections::BTreeMap;
use std::ops::Range;

/// Limit of weight-files.md 6.
const MAX_ENTRIES: u64 = 100_000;

const END: &[u8] = b"PK\x05\x06";
const END_LENGTH: usize = 22;
const END64: &[u8] = b"PK\x06\x06";
const END64_LENGTH: usize = 56;
const LOCATOR64: &[u8] = b"PK\x06\x07";
const LOCATOR64_LENGTH: usize = 20;
const CENTRAL: &[u8] = b"PK\x01\x02";
const CENTRAL_LENGTH: usize = 46;
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_LENGTH: usize = 30;

/// Entries of a zip file by name.
#[derive(Debug)]
pub(super) struct Archive<'a> {
    entries: BTreeMap<String, &'a [u8]>,
}

impl<'a> Archive<'a> {
    /// Reads the directory and verifies every entry.
    ///
    /// # Errors
    /// Not a zip file, damaged, compressed or encrypted entries, unsafe or repeated names, entries
    /// that overlap or leave the file, or a wrong checksum.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let directory = find_directory(bytes)?;
        let mut entries = BTreeMap::new();
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut at = directory.start;
        for _ in 0..directory.entries {
            let (entry, next) = CentralEntry::parse(bytes, at)?;
            if next > directory.end {
                return Err(damaged("its directory is longer than it says"));
            }
            at = next;
            let range = entry.data_range(bytes)?;
            if range.end > directory.start {
                return Err(damaged(&format!("entry {:?} runs into the directory", entry.name)));
            }
            let data = &bytes[range.clone()];
            let mut crc = Crc::new();
            crc.update(data);
            if crc.sum() != entry.crc {
                return Err(damaged(&format!("the checksum of entry {:?} is wrong", entry.name))
                    .found(format!("{:08x}", crc.sum()))
                    .expected(format!("{:08x}", entry.crc)));
            }
            ranges.push(entry.start..range.end);
            if entries.insert(entry.name.clone(), data).is_some() {
                return Err(damaged(&format!("two entries have the name {:?}", entry.name)));
            }
        }
        if at != directory.end {
            return Err(damaged("its directory is shorter than it says"));
        }
        ranges.sort_by_key(|range| range.start);
        if ranges.windows(2).any(|pair| pair[1].start < pair[0].end) {
            return Err(damaged("two entries overlap"));
        }
        Ok(Self { entries })
    }

    /// The content of an entry.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.entries.get(name).copied()
    }

    /// All names in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }
}

fn damaged(what: &str) -> Error {
    Error::new(format!("the zip archive is damaged: {what}"))
        .remedy("copy or download the file again")
}

fn cut_off() -> Error {
    damaged("it ends too early or points outside itself")
}

/// `length` bytes at `at`, which must begin with `signature`.
fn record<'a>(bytes: &'a [u8], at: usize, length: usize, signature: &[u8]) -> Result<&'a [u8]> {
    let end = at.checked_add(length).ok_or_else(cut_off)?;
    let record = bytes.get(at..end).ok_or_else(cut_off)?;
    if record.starts_with(signature) { Ok(record) } else { Err(cut_off()) }
}

/// Callers stay inside a record of known length.
fn u16_at(record: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([record[at], record[at + 1]])
}

fn u32_at(record: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]])
}

fn u64_at(record: &[u8], at: usize) -> u64 {
    u64::from(u32_at(record, at)) | u64::from(u32_at(record, at + 4)) << 32
}

fn place(value: u64) -> Result<usize> {
    usize::try_from(value).map_err(|_| cut_off())
}

/// Where the central directory lies.
struct Directory {
    start: usize,
    end: usize,
    entries: u64,
}

fn find_directory(bytes: &[u8]) -> Result<Directory> {
    // The end record is last; a comment of up to 65535 bytes may follow inside it.
    let last = bytes.len().checked_sub(END_LENGTH).ok_or_else(cut_off)?;
    let first = last.saturating_sub(usize::from(u16::MAX));
    let at = (first..=last).rev().find(|&at| {
        bytes[at..].starts_with(END) && usize::from(u16_at(&bytes[at..], 20)) == last - at
    });
    let Some(at) = at else {
        return Err(damaged("its end is missing, the file may be cut off"));
    };
    let end = &bytes[at..];
    let mut disks = u64::from(u16_at(end, 4)) + u64::from(u16_at(end, 6));
    let mut here = u64::from(u16_at(end, 8));
    let mut entries = u64::from(u16_at(end, 10));
    let mut length = u64::from(u32_at(end, 12));
    let mut start = u64::from(u32_at(end, 16));
    let mut before = at;
    let saturated = entries == 0xffff || length == 0xffff_ffff || start == 0xffff_ffff;
    let locator_at = at.checked_sub(LOCATOR64_LENGTH);
    if let Some(locator_at) = locator_at
        && bytes[locator_at..].starts_with(LOCATOR64)
    {
        let locator = record(bytes, locator_at, LOCATOR64_LENGTH, LOCATOR64)?;
        before = place(u64_at(locator, 8))?;
        let end64 = record(bytes, before, END64_LENGTH, END64)?;
        disks = u64::from(u32_at(end64, 16)) + u64::from(u32_at(end64, 20));
        here = u64_at(end64, 24);
        entries = u64_at(end64, 32);
        length = u64_at(end64, 40);
        start = u64_at(end64, 48);
    } else if saturated {
        return Err(damaged("its zip64 directory is missing"));
    }
    if disks != 0 || here != entries {
        return Err(damaged("it is one part of several"));
    }
    if entries > MAX_ENTRIES {
        return Err(Error::new("the zip archive has too many entries")
            .found(entries)
            .expected(format!("at most {MAX_ENTRIES}")));
    }
    let end = start.checked_add(length).ok_or_else(cut_off)?;
    let directory = Directory { start: place(start)?, end: place(end)?, entries };
    if directory.end > before { Err(cut_off()) } else { Ok(directory) }
}

/// What the directory says about an entry.
struct CentralEntry {
    name: String,
    crc: u32,
    size: usize,
    /// Where the local header begins.
    start: usize,
}

impl CentralEntry {
    /// The entry at `at`, and where the next one begins.
    fn parse(bytes: &[u8], at: usize) -> Result<(Self, usize)> {
        let fixed = record(bytes, at, CENTRAL_LENGTH, CENTRAL)?;
        let name_length = usize::from(u16_at(fixed, 28));
        let extra_length = usize::from(u16_at(fixed, 30));
        let comment_length = usize::from(u16_at(fixed, 32));
        let whole = CENTRAL_LENGTH + name_length + extra_length + comment_length;
        let variable = &record(bytes, at, whole, CENTRAL)?[CENTRAL_LENGTH..];
        let name = std::str::from_utf8(&variable[..name_length])
            .map_err(|_| damaged("the name of an entry is not UTF-8"))?;
        check_name(name)?;
        let flags = u16_at(fixed, 8);
        let method = u16_at(fixed, 10);
        if flags & 1 != 0 || method != 0 {
            return Err(Error::new(format!("entry {name:?} is compressed or encrypted"))
                .found(format!("method {method}, flags {flags:#06x}"))
                .expected("stored entries, as torch.save writes them")
                .remedy("open the weights in Python and save them again with torch.save"));
        }
        let mut sizes = [u32_at(fixed, 24), u32_at(fixed, 20), u32_at(fixed, 42)].map(u64::from);
        wide_sizes(&variable[name_length..name_length + extra_length], &mut sizes)?;
        let [size, stored, start] = sizes;
        if size != stored || u16_at(fixed, 34) != 0 {
            return Err(damaged(&format!("the sizes of entry {name:?} disagree")));
        }
        let crc = u32_at(fixed, 16);
        let entry = Self { name: name.to_string(), crc, size: place(size)?, start: place(start)? };
        Ok((entry, at + whole))
    }

    /// Where the data lies, by the local header.
    fn data_range(&self, bytes: &[u8]) -> Result<Range<usize>> {
        let fixed = record(bytes, self.start, LOCAL_LENGTH, LOCAL)?;
        let name_length = usize::from(u16_at(fixed, 26));
        let extra_length = usize::from(u16_at(fixed, 28));
        let header = LOCAL_LENGTH + name_length + extra_length;
        let local = record(bytes, self.start, header, LOCAL)?;
        if local[LOCAL_LENGTH..LOCAL_LENGTH + name_length] != *self.name.as_bytes()
            || u16_at(fixed, 8) != 0
        {
            let what = format!("entry {:?} differs from its place in the directory", self.name);
            return Err(damaged(&what));
        }
        let start = self.start + header;
        let end = start.checked_add(self.size).filter(|&end| end <= bytes.len());
        end.map(|end| start..end).ok_or_else(cut_off)
    }
}

/// Replaces saturated 32-bit values (size, stored size, offset) by those of the zip64 field.
fn wide_sizes(mut extra: &[u8], sizes: &mut [u64; 3]) -> Result<()> {
    const ZIP64: u16 = 1;
    while let Some((head, rest)) = extra.split_first_chunk::<4>() {
        let length = usize::from(u16_at(head, 2));
        let field = rest.get(..length).ok_or_else(cut_off)?;
        if u16_at(head, 0) == ZIP64 {
            let mut values = field.as_chunks::<8>().0.iter().map(|&b| u64::from_le_bytes(b));
            for size in sizes.iter_mut().filter(|size| **size == u64::from(u32::MAX)) {
                *size = values.next().ok_or_else(cut_off)?;
            }
        }
        extra = &rest[length..];
    }
    Ok(())
}

/// Refuses names that could leave a folder; we never unpack, but such an archive is not PyTorch's.
fn check_name(name: &str) -> Result<()> {
    let unsafe_part = |part: &str| part == ".." || part.contains(['\\', '\0']);
    if name.is_empty() || name.starts_with('/') || name.split('/').any(unsafe_part) {
        return Err(damaged("the name of an entry is not safe").found(format!("{name:?}")));
    }
    Ok(())
}
