//! Reads a bigWig: versions 1 to 4, either byte order, with or without compression and zoom levels.
//!
//! Nothing in the file is trusted: every offset, count and size is held against the file's length
//! before it is used, no tree is walked twice at one place, and the total summary is not looked at.

use super::fields::{Fields, Order};
use super::{
    BED_GRAPH, BIGBED_MAGIC, BRANCH_ENTRY, FIXED_STEP, HEADER, INDEX_HEADER, INDEX_MAGIC,
    LEAF_ENTRY, MAGIC, NAME_VALUE, NAMES_HEADER, NAMES_MAGIC, NODE_HEADER, SECTION_HEADER,
    ZOOM_HEADER, item_size,
};
use crate::error::{Error, Result};
use crate::genome::{ContigId, Contigs};
use crate::track::signal::Stretch;
use flate2::bufread::ZlibDecoder;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The format's versions that exist.
const VERSIONS: std::ops::RangeInclusive<u16> = 1..=4;
/// Longest contig name, in bytes; longer ones come from a damaged file.
const LONGEST_NAME: usize = 1 << 16;
/// Most bytes of a section: the number of items has 16 bits, and an item has at most 12 bytes.
const LARGEST_SECTION: usize = SECTION_HEADER + 12 * (u16::MAX as usize);

/// A bigWig that is being read.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    file: File,
    /// Length of the file.
    size: u64,
    order: Order,
    facts: Facts,
    index: u64,
    contigs: Contigs,
    /// The file's number of each contig.
    numbers: Vec<u32>,
}

/// What a bigWig says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Version of the format, 1 to 4.
    pub version: u16,
    /// Whether the most significant byte of a number comes first.
    pub big_endian: bool,
    /// Whether sections are compressed.
    pub compressed: bool,
    /// Bases that one entry of each zoom level sums up.
    pub zoom_levels: Vec<u32>,
}

/// Where a section lies in the file.
struct Block {
    offset: u64,
    size: u64,
}

impl Reader {
    /// Opens a file and reads its header and its contigs.
    ///
    /// # Errors
    /// A file that cannot be read, is no bigWig, or is truncated or damaged there.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, "open", e))?;
        let size = file.metadata().map_err(|e| Error::io(path, "look at", e))?.len();
        let mut reader = Self {
            path: path.into(),
            file,
            size,
            order: Order::Little,
            facts: Facts {
                version: 0,
                big_endian: false,
                compressed: false,
                zoom_levels: Vec::new(),
            },
            index: 0,
            contigs: Contigs::default(),
            numbers: Vec::new(),
        };
        let names = reader.read_header()?;
        reader.read_names(names)?;
        reader.check_index()?;
        Ok(reader)
    }

    /// The file that is read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The contigs of the file with their lengths, in the order of their numbers there.
    pub fn contigs(&self) -> &Contigs {
        &self.contigs
    }

    /// What the file says of itself.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Gives the stretches that touch bases `range` (0-based) of a contig of [`Reader::contigs`],
    /// cut to it, in order. Stretches without a number (NaN) are left out: they are no data.
    ///
    /// # Errors
    /// A read failure or damaged file, or the error of `each`.
    pub fn stretches(
        &mut self,
        contig: ContigId,
        range: Range<u64>,
        each: &mut dyn FnMut(Stretch) -> Result<()>,
    ) -> Result<()> {
        let mut last = 0;
        for block in self.blocks(self.numbers[contig.0], &range)? {
            let section = self.section(&block)?;
            self.items(&section, contig, &mut |stretch| {
                if stretch.start < last {
                    return Err(self.damaged("values overlap or are out of order").found(format!(
                        "base {} of {} after base {last}",
                        stretch.start,
                        self.contigs.name(contig)
                    )));
                }
                last = stretch.end;
                let cut = Stretch {
                    start: stretch.start.max(range.start),
                    end: stretch.end.min(range.end),
                    ..stretch
                };
                if cut.start < cut.end && !cut.value.is_nan() { each(cut) } else { Ok(()) }
            })?;
        }
        Ok(())
    }

    /// Reads the header; returns where the B+ tree of names begins.
    fn read_header(&mut self) -> Result<u64> {
        let bytes = match self.bytes(0, HEADER as u64) {
            Ok(bytes) => bytes,
            Err(_) if self.size < HEADER as u64 => return Err(self.not_a_bigwig()),
            Err(error) => return Err(error),
        };
        let magic = Fields::new(&bytes, Order::Little).u32();
        self.order = match magic {
            MAGIC | BIGBED_MAGIC => Order::Little,
            _ => Order::Big,
        };
        let mut fields = Fields::new(&bytes, self.order);
        match fields.u32() {
            MAGIC => {}
            BIGBED_MAGIC => {
                return Err(Error::new("a bigBed file holds intervals, not values")
                    .at(&self.path)
                    .expected("bigWig or bedGraph"));
            }
            _ => return Err(self.not_a_bigwig()),
        }
        let version = fields.u16();
        if !VERSIONS.contains(&version) {
            return Err(self
                .damaged("unknown version of the format")
                .found(version)
                .expected("1 to 4"));
        }
        let zooms = fields.u16();
        let names = fields.u64();
        let _data = fields.u64();
        self.index = fields.u64();
        // fields of bigBed, and the total summary, which is not trusted
        fields.bytes(2 + 2 + 8 + 8);
        let buffer = fields.u32();
        let bytes = self.bytes(HEADER as u64, u64::from(zooms) * ZOOM_HEADER as u64)?;
        let mut fields = Fields::new(&bytes, self.order);
        let level = |_| {
            let reduction = fields.u32();
            fields.bytes(ZOOM_HEADER - 4);
            reduction
        };
        self.facts = Facts {
            version,
            big_endian: self.order == Order::Big,
            compressed: buffer > 0,
            zoom_levels: (0..zooms).map(level).collect(),
        };
        Ok(names)
    }

    /// Reads the B+ tree of contig names.
    fn read_names(&mut self, at: u64) -> Result<()> {
        let bytes = self.bytes(at, NAMES_HEADER as u64)?;
        let mut fields = Fields::new(&bytes, self.order);
        if fields.u32() != NAMES_MAGIC {
            return Err(self.damaged("no list of contigs where the header says"));
        }
        let _block = fields.u32();
        let key = fields.u32() as usize;
        let value = fields.u32();
        let count = fields.u64();
        if key == 0 || key > LONGEST_NAME || value as usize != NAME_VALUE {
            return Err(self
                .damaged("the list of contigs has another layout")
                .found(format!("names of {key} bytes, values of {value}")));
        }
        let entry = (key + NAME_VALUE) as u64;
        let mut found: Vec<(u32, String, u64)> = Vec::new();
        let mut nodes = vec![at + NAMES_HEADER as u64];
        let mut seen = HashSet::new();
        while let Some(node) = nodes.pop() {
            self.enter(node, &mut seen)?;
            let (leaf, entries) = self.node(node)?;
            let bytes = self.bytes(node + NODE_HEADER as u64, u64::from(entries) * entry)?;
            let mut fields = Fields::new(&bytes, self.order);
            let mut children = Vec::new();
            for _ in 0..entries {
                let name = fields.bytes(key);
                if leaf {
                    let (number, length) = (fields.u32(), fields.u32());
                    found.push((number, self.name(name)?, length.into()));
                } else {
                    children.push(fields.u64());
                }
            }
            nodes.extend(children.into_iter().rev());
        }
        if found.len() as u64 != count {
            return Err(self
                .damaged("another number of contigs than announced")
                .found(found.len())
                .expected(count));
        }
        found.sort();
        if let Some(pair) = found.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(self.damaged("two contigs with one number").found(&pair[1].1));
        }
        self.numbers = found.iter().map(|(number, ..)| *number).collect();
        let list: Vec<(String, u64)> =
            found.into_iter().map(|(_, name, length)| (name, length)).collect();
        let contigs = Contigs::new(list);
        if let Some((_, name, _)) =
            contigs.iter().find(|&(id, name, _)| contigs.id(name) != Some(id))
        {
            return Err(self.damaged("a contig is there twice").found(name));
        }
        self.contigs = contigs;
        Ok(())
    }

    fn name(&self, key: &[u8]) -> Result<String> {
        let end = key.iter().position(|&byte| byte == 0).unwrap_or(key.len());
        match std::str::from_utf8(&key[..end]) {
            Ok(name) if !name.is_empty() => Ok(name.into()),
            _ => Err(self.damaged("a contig has no readable name")),
        }
    }

    fn check_index(&mut self) -> Result<()> {
        let bytes = self.bytes(self.index, INDEX_HEADER as u64)?;
        match Fields::new(&bytes, self.order).u32() {
            INDEX_MAGIC => Ok(()),
            _ => Err(self.damaged("no index where the header says")),
        }
    }

    /// The sections that may hold bases of a range, in the order of the index.
    fn blocks(&mut self, number: u32, range: &Range<u64>) -> Result<Vec<Block>> {
        let touches = |first: (u32, u64), last: (u32, u64)| {
            first < (number, range.end) && last > (number, range.start)
        };
        let mut blocks = Vec::new();
        let mut nodes = vec![self.index + INDEX_HEADER as u64];
        let mut seen = HashSet::new();
        while let Some(node) = nodes.pop() {
            self.enter(node, &mut seen)?;
            let (leaf, entries) = self.node(node)?;
            let entry = if leaf { LEAF_ENTRY } else { BRANCH_ENTRY };
            let bytes = self.bytes(node + NODE_HEADER as u64, u64::from(entries) * entry as u64)?;
            let mut fields = Fields::new(&bytes, self.order);
            let mut children = Vec::new();
            for _ in 0..entries {
                let first = (fields.u32(), fields.u32().into());
                let last = (fields.u32(), fields.u32().into());
                let offset = fields.u64();
                let size = if leaf { fields.u64() } else { 0 };
                match (touches(first, last), leaf) {
                    (true, true) => blocks.push(Block { offset, size }),
                    (true, false) => children.push(offset),
                    (false, _) => {}
                }
            }
            nodes.extend(children.into_iter().rev());
        }
        Ok(blocks)
    }

    /// Whether a node is a leaf, and how many entries it has.
    fn node(&mut self, at: u64) -> Result<(bool, u16)> {
        let bytes = self.bytes(at, NODE_HEADER as u64)?;
        let mut fields = Fields::new(&bytes, self.order);
        let leaf = fields.u8();
        let _reserved = fields.u8();
        match leaf {
            0 | 1 => Ok((leaf == 1, fields.u16())),
            _ => Err(self.damaged("a node of an index is neither leaf nor branch").found(leaf)),
        }
    }

    fn enter(&self, node: u64, seen: &mut HashSet<u64>) -> Result<()> {
        match seen.insert(node) {
            true => Ok(()),
            false => Err(self.damaged("an index leads back to itself")),
        }
    }

    /// The bytes of a section, without compression.
    fn section(&mut self, block: &Block) -> Result<Vec<u8>> {
        // what deflate makes longer is less than a thousandth, and a few bytes
        let largest = LARGEST_SECTION + LARGEST_SECTION / 500;
        if block.size > largest as u64 {
            return Err(self
                .damaged("a section is too large")
                .found(format!("{} bytes", block.size)));
        }
        let stored = self.bytes(block.offset, block.size)?;
        if !self.facts.compressed {
            return Ok(stored);
        }
        let mut section = Vec::new();
        let mut decoder = ZlibDecoder::new(&stored[..]).take(LARGEST_SECTION as u64 + 1);
        match decoder.read_to_end(&mut section) {
            Ok(length) if length <= LARGEST_SECTION => Ok(section),
            Ok(_) => Err(self.damaged("a section is too large")),
            Err(error) => Err(self.damaged(&format!("a section cannot be decompressed: {error}"))),
        }
    }

    /// Gives the items of a section if it belongs to a contig.
    fn items(
        &self,
        section: &[u8],
        contig: ContigId,
        each: &mut dyn FnMut(Stretch) -> Result<()>,
    ) -> Result<()> {
        if section.len() < SECTION_HEADER {
            return Err(self.damaged("a section is too short"));
        }
        let (header, items) = section.split_at(SECTION_HEADER);
        let mut fields = Fields::new(header, self.order);
        let number = fields.u32();
        let mut start: u64 = fields.u32().into();
        let _end = fields.u32();
        let (step, span) = (u64::from(fields.u32()), u64::from(fields.u32()));
        let kind = fields.u8();
        let _reserved = fields.u8();
        let count = usize::from(fields.u16());
        let fits = item_size(kind).is_some_and(|size| items.len() >= size * count);
        if !fits {
            return Err(self
                .damaged("a section does not hold what it says")
                .found(format!("{count} items of kind {kind} in {} bytes", items.len())));
        }
        if number != self.numbers[contig.0] {
            return Ok(());
        }
        let length = self.contigs.length(contig);
        let mut fields = Fields::new(items, self.order);
        for _ in 0..count {
            if kind != FIXED_STEP {
                start = fields.u32().into();
            }
            let end = if kind == BED_GRAPH { fields.u32().into() } else { start + span };
            let value = fields.f32();
            if start >= end || end > length || value.is_infinite() {
                return Err(self
                    .damaged("a value does not lie on its contig or is no finite number")
                    .found(format!("{value} at {start}-{end} of {}", self.contigs.name(contig)))
                    .expected(format!("bases 0-{length}")));
            }
            each(Stretch { start, end, value })?;
            start += step;
        }
        Ok(())
    }

    /// Bytes `[at, at + length)` of the file.
    fn bytes(&mut self, at: u64, length: u64) -> Result<Vec<u8>> {
        let inside = at.checked_add(length).is_some_and(|end| end <= self.size);
        let Some(length) = usize::try_from(length).ok().filter(|_| inside) else {
            return Err(self
                .damaged("the file is truncated or damaged")
                .found(format!("{} bytes", self.size))
                .expected(format!("{length} bytes at {at}")));
        };
        let mut bytes = vec![0; length];
        let read =
            self.file.seek(SeekFrom::Start(at)).and_then(|_| self.file.read_exact(&mut bytes));
        match read {
            Ok(()) => Ok(bytes),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.damaged("the file became shorter while it was read"))
            }
            Err(e) => Err(Error::io(&self.path, "read", e)),
        }
    }

    fn not_a_bigwig(&self) -> Error {
        Error::new("not a bigWig file")
            .at(&self.path)
            .remedy("check that this is the file that you mean")
    }

    fn damaged(&self, what: &str) -> Error {
        Error::new(what)
            .at(&self.path)
            .remedy("make the bigWig again, or copy or download it again")
    }
}
