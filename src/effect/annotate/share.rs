//! What a shard does of a variant file: a contiguous part of its records, about equally many,
//! parted where neighbours lie far apart, so that what they share is computed in one shard.

use crate::error::{Error, Result};
use crate::genome::Variant;
use crate::genome::variants::VariantReader;
use crate::job::shard::{Shard, Share};
use std::ops::Range;

/// A shard may be longer or shorter by one part in this many, so that neighbours stay together …
const SLACK: u64 = 20;
/// … but by no more records than this.
const MOST: u64 = 500;

/// The records of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Their lines in the file.
    pub lines: Range<u64>,
    /// What they are of all.
    pub share: Share,
}

/// A record, good or bad, as far as it decides where shards end.
struct Place {
    line: u64,
    /// None of a bad record.
    at: Option<(String, u64)>,
}

/// The records of one shard.
///
/// # Errors
/// As [`sections`].
pub fn section(reader: &VariantReader, shard: Shard) -> Result<Section> {
    let number = usize::try_from(shard.number - 1).expect("as many shards as were counted");
    Ok(sections(reader, shard.of)?.swap_remove(number))
}

/// The records of all shards. Reads the file twice: to count its records, and to find the gaps
/// between them.
///
/// # Errors
/// An input that is no file (usage); any failure to read; contigs none of which the reference has.
pub fn sections(reader: &VariantReader, of: u64) -> Result<Vec<Section>> {
    let mut total = 0;
    let again = walk(reader, |_| total += 1)?;
    if total > 0 && again.names().seen().all(|(_, contig)| contig.is_none()) {
        let mut names: Vec<&str> = again.names().seen().map(|(name, _)| name).collect();
        names.sort_unstable();
        return Err(reader.names().resolver().nothing_matches(reader.path(), &names));
    }
    let mut borders: Vec<Border> = (0..=of).map(|number| Border::new(total, number, of)).collect();
    let mut before: Option<Place> = None;
    let mut number = 0;
    walk(reader, |place| {
        // the borders for which this record is near the ideal place: slack is less than half a shard
        let first = borders.partition_point(|border| border.ideal + border.slack < number);
        let near = borders[first..].iter_mut().take_while(|b| b.ideal <= number + b.slack);
        near.for_each(|border| border.look(number, before.as_ref(), &place));
        before = Some(place);
        number += 1;
    })?;
    if let (Some(border), Some(last)) = (borders.last_mut(), &before) {
        border.last = last.tell();
    }
    let section = |pair: &[Border]| {
        let [from, to] = pair else { unreachable!("pairs of borders") };
        let is_empty = from.record == to.record;
        let tell = |place: &Option<String>| place.clone().filter(|_| !is_empty).unwrap_or_default();
        let share = Share {
            unit: "variants".into(),
            from: from.record,
            to: to.record,
            of: total,
            begins: tell(&from.first),
            ends: tell(&to.last),
        };
        Section { lines: from.line..to.line, share }
    };
    Ok(borders.windows(2).map(section).collect())
}

/// Gives each record of the file, bad ones too, in their order.
fn walk(reader: &VariantReader, mut each: impl FnMut(Place)) -> Result<VariantReader> {
    let Some(mut again) = reader.again()? else {
        return Err(Error::usage("a shard needs a file of variants, which is read several times")
            .at(reader.path())
            .remedy("write the variants to a file first"));
    };
    loop {
        let record = again.next_record()?;
        for bad in again.take_bad() {
            each(Place { line: bad.line, at: None });
        }
        let Some(record) = record else { return Ok(again) };
        let Variant { line, chrom, pos, .. } = record.variant;
        each(Place { line, at: Some((chrom, pos)) });
    }
}

/// Where one shard ends and the next begins: at the widest gap near the ideal place.
#[derive(Debug)]
struct Border {
    ideal: u64,
    slack: u64,
    /// The record that begins the next shard, from 0, and its line.
    record: u64,
    line: u64,
    gap: Option<u64>,
    /// What begins behind the border, and what ends before it.
    first: Option<String>,
    last: Option<String>,
}

impl Place {
    fn tell(&self) -> Option<String> {
        self.at.as_ref().map(|(chrom, pos)| format!("{chrom}:{pos}"))
    }
}

impl Border {
    fn new(total: u64, number: u64, of: u64) -> Self {
        let ideal = u128::from(total) * u128::from(number) / u128::from(of);
        let ideal = u64::try_from(ideal).expect("a part of a number of 64 bits");
        let is_end = number == of;
        let slack = if number == 0 || is_end { 0 } else { (total / of / SLACK).min(MOST) };
        let (record, line) = if is_end { (total, u64::MAX) } else { (ideal, 0) };
        Self { ideal, slack, record, line, gap: None, first: None, last: None }
    }

    /// Looks at the record of a number and the one before it.
    fn look(&mut self, number: u64, before: Option<&Place>, place: &Place) {
        let gap = match (before.and_then(|place| place.at.as_ref()), &place.at) {
            (Some((chrom, pos)), Some((next, next_pos))) if chrom == next => {
                next_pos.abs_diff(*pos)
            }
            // another contig; a bad record keeps no neighbours together
            _ => u64::MAX,
        };
        let nearer = number.abs_diff(self.ideal) < self.record.abs_diff(self.ideal);
        if self.gap.is_none_or(|widest| gap > widest || (gap == widest && nearer)) {
            self.gap = Some(gap);
            (self.record, self.line) = (number, place.line);
            (self.first, self.last) = (place.tell(), before.and_then(Place::tell));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::variants::OnBadRecord;
    use crate::genome::{Contigs, Resolver};
    use std::path::Path;

    fn reader(folder: &Path, positions: &[(&str, u64)]) -> VariantReader {
        let mut text =
            "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n".to_owned();
        for (chrom, pos) in positions {
            let pos = if *pos == 0 { "bad".to_owned() } else { pos.to_string() };
            text += &format!("{chrom}\t{pos}\t.\tA\tC\t.\t.\t.\n");
        }
        let path = folder.join("in.vcf");
        std::fs::write(&path, text).unwrap();
        let contigs = Contigs::new(vec![("chr1".into(), 1_000_000), ("chr2".into(), 1_000_000)]);
        let resolver = Resolver::new(&contigs, None).unwrap();
        VariantReader::open(&path, &resolver, OnBadRecord::Skip).unwrap()
    }

    #[test]
    fn shards_hold_each_record_once_and_part_where_neighbours_lie_far_apart() {
        let folder = tempfile::tempdir().unwrap();
        // 100 records in groups of 3 neighbours, a bad one among them
        let mut positions: Vec<(&str, u64)> =
            (0..100).map(|i| ("chr1", 1000 + i / 3 * 5000 + i % 3)).collect();
        positions[51].1 = 0;
        positions.extend([("chr2", 1), ("chr2", 2)]);
        for of in [1, 2, 3, 5, 102, 200] {
            let mut lines = Vec::new();
            let mut next = 0;
            for shard in Shard::all(of) {
                let mut reader = reader(folder.path(), &positions);
                let Section { lines: own, share } = section(&reader, shard).unwrap();
                assert_eq!((share.from, share.of), (next, 102), "{shard}");
                next = share.to;
                reader.keep_lines(own);
                let before = lines.len();
                loop {
                    let record = reader.next_record().unwrap();
                    lines.extend(reader.take_bad().into_iter().map(|bad| bad.line));
                    let Some(record) = record else { break };
                    lines.push(record.variant.line);
                }
                assert_eq!((lines.len() - before) as u64, share.to - share.from, "{shard}");
            }
            assert_eq!(lines, (3..105).collect::<Vec<u64>>(), "{of} shards");
        }
        let halves =
            section(&reader(folder.path(), &positions), Shard { number: 1, of: 2 }).unwrap();
        // around the 51st: the 52nd begins a group (51 = 17 * 3)
        assert_eq!(halves.share.to, 51);
    }

    #[test]
    fn strangers_and_streams_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let strangers = reader(folder.path(), &[("chrUn", 5), ("x", 9)]);
        assert!(section(&strangers, Shard { number: 1, of: 2 }).is_err());
        let contigs = Contigs::new(vec![("chr1".into(), 1000)]);
        let resolver = Resolver::new(&contigs, None).unwrap();
        let list = VariantReader::of_list(&["chr1:5:A:C".into()], &resolver).unwrap();
        assert_eq!(section(&list, Shard { number: 1, of: 1 }).unwrap_err().exit_code(), 2);
    }
}
