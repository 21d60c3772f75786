//! Writes the two trees of a bigWig: contigs by name, and sections by place.
//!
//! Both are written breadth first: the root, then each level below it, the leaves last.

use super::{
    BRANCH_ENTRY, INDEX_HEADER, INDEX_MAGIC, LEAF_ENTRY, NAME_VALUE, NAMES_HEADER, NAMES_MAGIC,
    NODE_HEADER,
};
use crate::error::Result;
use crate::genome::Contigs;
use crate::job::OutputFile;
use std::io::Write;

/// Most entries of a node, as UCSC's programs have it.
const FAN_OUT: usize = 256;

/// A section of the file: the bases that it covers and how long it is. The sections of one index
/// lie one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    pub contig: u32,
    pub start: u32,
    pub end: u32,
    /// Bytes in the file.
    pub size: u32,
}

/// First and last place below a node: number of the contig and base.
#[derive(Clone, Copy)]
struct Bounds {
    first: (u32, u32),
    last: (u32, u32),
}

/// Writes the contigs with their lengths; a contig's number is its place in the reference. A name
/// is found by a search, so the names are sorted.
pub fn write_contigs(file: &mut OutputFile, contigs: &Contigs, lengths: &[u32]) -> Result<()> {
    let mut sorted: Vec<(&str, u32, u32)> = Vec::with_capacity(contigs.len());
    for ((number, &length), (_, name, _)) in (0..).zip(lengths).zip(contigs.iter()) {
        sorted.push((name, number, length));
    }
    sorted.sort();
    let key = sorted.iter().map(|(name, ..)| name.len()).max().unwrap_or(1);
    let mut bytes = Vec::new();
    numbers(&mut bytes, &[NAMES_MAGIC, narrow(FAN_OUT), narrow(key), narrow(NAME_VALUE)]);
    bytes.extend((sorted.len() as u64).to_le_bytes());
    bytes.extend(0u64.to_le_bytes());

    let entry = key + NAME_VALUE;
    let name = |bytes: &mut Vec<u8>, name: &str| {
        bytes.extend(name.as_bytes());
        bytes.resize(bytes.len() + key - name.len(), 0);
    };
    let levels = levels(sorted.len());
    let mut offset = file.bytes() + NAMES_HEADER as u64;
    for (depth, &(nodes, entries)) in levels.iter().enumerate() {
        let below = offset + level_bytes(nodes, entries, entry);
        let leaf = depth + 1 == levels.len();
        // how many names lie below one entry of this level
        let span = FAN_OUT.pow(narrow(levels.len() - 1 - depth));
        for node in 0..nodes {
            let places = node * FAN_OUT..entries.min((node + 1) * FAN_OUT);
            node_header(&mut bytes, leaf, places.len());
            for place in places {
                let (text, number, length) = sorted[place * span];
                name(&mut bytes, text);
                match leaf {
                    true => numbers(&mut bytes, &[number, length]),
                    false => {
                        let child = below + child_offset(place, levels[depth + 1].1, entry);
                        bytes.extend(child.to_le_bytes());
                    }
                }
            }
        }
        offset = below;
    }
    file.write_all(&bytes).map_err(|e| file.error(e))
}

/// Writes the index of sections that lie one after the other from byte `data` on.
pub fn write_index(
    file: &mut OutputFile,
    sections: &[Section],
    data: u64,
    items_per_section: u32,
) -> Result<()> {
    let at = file.bytes();
    let bounds = |sections: &[Section]| match sections {
        [first, .., last] | [first @ last] => {
            Bounds { first: (first.contig, first.start), last: (last.contig, last.end) }
        }
        [] => Bounds { first: (0, 0), last: (0, 0) },
    };
    let mut bytes = Vec::new();
    numbers(&mut bytes, &[INDEX_MAGIC, narrow(FAN_OUT)]);
    bytes.extend((sections.len() as u64).to_le_bytes());
    bounds(sections).put(&mut bytes);
    bytes.extend(at.to_le_bytes());
    numbers(&mut bytes, &[items_per_section, 0]);

    let levels = levels(sections.len());
    let mut offset = at + INDEX_HEADER as u64;
    let mut place_in_file = data;
    for (depth, &(nodes, entries)) in levels.iter().enumerate() {
        let leaf = depth + 1 == levels.len();
        let entry = if leaf { LEAF_ENTRY } else { BRANCH_ENTRY };
        let below = offset + level_bytes(nodes, entries, entry);
        let span = FAN_OUT.pow(narrow(levels.len() - 1 - depth));
        for node in 0..nodes {
            let places = node * FAN_OUT..entries.min((node + 1) * FAN_OUT);
            node_header(&mut bytes, leaf, places.len());
            for place in places {
                let under = &sections[place * span..sections.len().min((place + 1) * span)];
                bounds(under).put(&mut bytes);
                if leaf {
                    bytes.extend(place_in_file.to_le_bytes());
                    bytes.extend(u64::from(sections[place].size).to_le_bytes());
                    place_in_file += u64::from(sections[place].size);
                } else {
                    let leaves_below = depth + 2 == levels.len();
                    let entry = if leaves_below { LEAF_ENTRY } else { BRANCH_ENTRY };
                    let child = below + child_offset(place, levels[depth + 1].1, entry);
                    bytes.extend(child.to_le_bytes());
                }
            }
            file.write_all(&bytes).map_err(|e| file.error(e))?;
            bytes.clear();
        }
        offset = below;
    }
    Ok(())
}

/// Nodes and entries of each level of a tree, from the root to the leaves.
fn levels(leaves: usize) -> Vec<(usize, usize)> {
    let mut levels = Vec::new();
    let mut entries = leaves;
    loop {
        let nodes = entries.div_ceil(FAN_OUT).max(1);
        levels.push((nodes, entries));
        if nodes == 1 {
            break;
        }
        entries = nodes;
    }
    levels.reverse();
    levels
}

fn level_bytes(nodes: usize, entries: usize, entry: usize) -> u64 {
    (nodes * NODE_HEADER + entries * entry) as u64
}

/// Where a node begins in its level: all before it are full.
fn child_offset(node: usize, entries: usize, entry: usize) -> u64 {
    level_bytes(node, (node * FAN_OUT).min(entries), entry)
}

fn node_header(bytes: &mut Vec<u8>, leaf: bool, entries: usize) {
    bytes.extend([u8::from(leaf), 0]);
    let entries = u16::try_from(entries).expect("at most FAN_OUT entries");
    bytes.extend(entries.to_le_bytes());
}

/// Adds numbers, least significant byte first.
pub fn numbers(bytes: &mut Vec<u8>, numbers: &[u32]) {
    numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).expect("sizes of nodes and names, far below 2^32")
}

impl Bounds {
    fn put(self, bytes: &mut Vec<u8>) {
        numbers(bytes, &[self.first.0, self.first.1, self.last.0, self.last.1]);
    }
}
