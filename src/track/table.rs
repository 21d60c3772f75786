//! The region table: one line per region with mean, maximum, its position and sum of each track.
//!
//! Numbers have nine significant digits, whatever `--decimals` says, and do not depend on tiles:
//! each sum runs base by base in genome order in f64 over each [`CHUNK`], and then over the sums of
//! chunks, so that the rows of shards, which are cut where chunks end, add up to the same bits.

use super::CHUNK;
use super::number::significant;
use super::text::TextFile;
use crate::error::Result;
use crate::genome::{ContigId, Contigs, Interval, Region, Strand};
use crate::job::OutputFile;
use crate::job::manifest::{CutRow, CutSum, Rows};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io;

/// Gathers one line per region (and strand); regions may overlap and come in any order.
/// Memory grows with the number of regions alone.
pub struct RegionTable {
    rows: Vec<Row>,
    /// Rows of the whole table.
    all: u64,
    /// Rows that were added to since [`RegionTable::changed`].
    changed: Vec<usize>,
    tracks: Vec<String>,
    /// Names of numbers that each region has one of.
    scalars: Vec<String>,
    plus: Sweep,
    minus: Sweep,
}

struct Row {
    /// Whether it is among the changed ones.
    is_changed: bool,
    /// Its place in the whole table, from 0.
    number: u64,
    interval: Interval,
    /// What of it is added here.
    part: Interval,
    strand: Strand,
    name: Option<String>,
    /// One per track.
    sums: Vec<Sum>,
    /// One per scalar, when they were added.
    scalars: Vec<f64>,
}

/// What is known of a row where a run was interrupted. Numbers are the bits of IEEE 754.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowSoFar {
    /// Its number, from 0.
    row: u64,
    /// Of each track: the sum over chunks, and those that a cut row needs one by one.
    sums: Vec<(u64, CutSum)>,
    /// Its scalars.
    scalars: Vec<u64>,
}

/// What is known of one track in one region so far.
#[derive(Clone)]
struct Sum {
    /// Over the chunks that are done.
    sum: f64,
    /// Over the chunk that is not.
    open: f64,
    chunk: Option<u64>,
    /// The sum over each chunk that is done, of rows that other shards know more of.
    sums: Option<Vec<f64>>,
    max: f32,
    /// First base with that maximum, 0-based.
    max_start: u64,
}

/// The rows of one strand that a walk along the genome is in or has ahead.
#[derive(Default)]
struct Sweep {
    ahead: VecDeque<usize>,
    inside: Vec<usize>,
}

impl RegionTable {
    /// A table of these regions, each on the strand that was read, in this order.
    pub fn new<'a>(
        regions: impl IntoIterator<Item = (&'a Region, Strand)>,
        tracks: Vec<String>,
    ) -> Self {
        let rows: Vec<Row> = (0..)
            .zip(regions)
            .map(|(number, (region, strand))| Row {
                is_changed: false,
                number,
                interval: region.interval,
                part: region.interval,
                strand,
                name: region.name.clone(),
                sums: vec![Sum::new(); tracks.len()],
                scalars: Vec::new(),
            })
            .collect();
        let all = rows.len() as u64;
        let (plus, minus) = (Sweep::default(), Sweep::default());
        Self { rows, all, changed: Vec::new(), tracks, scalars: Vec::new(), plus, minus }.prepared()
    }

    /// The part of the table that a shard knows: of the row of a number, an interval and a strand
    /// the part that `keep` gives.
    pub fn within(mut self, keep: impl Fn(u64, Interval, Strand) -> Option<Interval>) -> Self {
        self.rows.retain_mut(|row| match keep(row.number, row.interval, row.strand) {
            Some(part) => {
                row.part = part;
                if part != row.interval {
                    row.sums.iter_mut().for_each(|sum| sum.sums = Some(Vec::new()));
                }
                true
            }
            None => false,
        });
        self.prepared()
    }

    /// Puts the rows in the order in which the walk meets them.
    fn prepared(mut self) -> Self {
        let rows = &self.rows;
        let [plus, minus] = [Strand::Plus, Strand::Minus].map(|strand| {
            let mut ahead: Vec<usize> =
                (0..rows.len()).filter(|&row| rows[row].strand == strand).collect();
            ahead.sort_by_key(|&row| rows[row].part);
            Sweep { ahead: ahead.into(), inside: Vec::new() }
        });
        (self.plus, self.minus) = (plus, minus);
        self
    }

    /// A table whose lines also have one number of each of these names, and are filled one by one
    /// ([`RegionTable::add_line`]).
    pub fn with_scalars(self, scalars: Vec<String>) -> Self {
        Self { scalars, ..self }
    }

    /// Fills a line, by its number from 0: the values of consecutive bases from `start`, one slice
    /// per track, which cover its region, and its scalars.
    pub fn add_line(&mut self, line: usize, start: u64, tracks: &[&[f32]], scalars: &[f64]) {
        let Ok(row) = self.rows.binary_search_by_key(&(line as u64), |row| row.number) else {
            return;
        };
        self.rows[row].change(row, &mut self.changed);
        let Row { interval, sums, scalars: own, .. } = &mut self.rows[row];
        let [from, to] = [interval.start, interval.end].map(|base| offset(base, start));
        for (sum, values) in sums.iter_mut().zip(tracks) {
            // a run that goes on where another was interrupted may fill it again
            *sum = Sum::new();
            sum.add(interval.start, &values[from..to]);
        }
        *own = scalars.to_vec();
    }

    /// Number of lines below the header.
    pub fn records(&self) -> u64 {
        self.rows.iter().filter(|row| row.is_whole()).count() as u64
    }

    /// What is known of the rows that were added to since this was asked last. Only right where a
    /// chunk ends, or a window.
    pub fn changed(&mut self) -> Vec<RowSoFar> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.into_iter().map(|row| self.rows[row].so_far()).collect()
    }

    /// Takes up what [`RegionTable::changed`] told.
    pub fn restore(&mut self, rows: &[RowSoFar]) {
        for known in rows {
            if let Ok(row) = self.rows.binary_search_by_key(&known.row, |row| row.number) {
                self.rows[row].restore(known);
            }
        }
    }

    /// Which rows are written, and what is known of those that are not.
    pub fn describe(&self, bgzip: bool, contigs: &Contigs) -> Rows {
        let (whole, cut): (Vec<&Row>, Vec<&Row>) = self.rows.iter().partition(|r| r.is_whole());
        let cut = cut.into_iter().map(|row| row.cut(contigs)).collect();
        Rows { bgzip, of: self.all, whole: steps(whole.iter().map(|row| row.number)), cut }
    }

    /// Adds the values of consecutive bases from `start`, one slice per track; in genome order on
    /// each strand.
    pub fn add(&mut self, strand: Strand, contig: ContigId, start: u64, tracks: &[&[f32]]) {
        let Some(length) = tracks.first().map(|values| values.len() as u64) else { return };
        let end = start + length;
        let rows = &mut self.rows;
        let sweep = match strand {
            Strand::Plus => &mut self.plus,
            Strand::Minus => &mut self.minus,
        };
        while let Some(&row) = sweep.ahead.front()
            && (rows[row].part.contig, rows[row].part.start) < (contig, end)
        {
            sweep.inside.push(row);
            sweep.ahead.pop_front();
        }
        sweep.inside.retain(|&row| (rows[row].part.contig, rows[row].part.end) > (contig, start));
        for &row in &sweep.inside {
            rows[row].change(row, &mut self.changed);
            let Row { part, sums, .. } = &mut rows[row];
            let (from, to) = (part.start.max(start), part.end.min(end));
            for (sum, values) in sums.iter_mut().zip(tracks) {
                sum.add(from, &values[offset(from, start)..offset(to, start)]);
            }
        }
    }

    /// Writes the table; the file is finished but not yet committed.
    ///
    /// # Errors
    /// Any failure to write.
    pub fn write(&self, file: OutputFile, bgzip: bool, contigs: &Contigs) -> Result<OutputFile> {
        let mut text = TextFile::new(file, bgzip);
        let mut header: Vec<String> =
            ["#contig", "start", "end", "name", "strand"].map(String::from).into();
        for track in &self.tracks {
            header
                .extend(["mean", "max", "max_start", "sum"].map(|what| format!("{track}_{what}")));
        }
        header.extend(self.scalars.iter().cloned());
        // Names come from the columns of a BED file and hold neither tabs nor line ends.
        let mut lines = csv::WriterBuilder::new()
            .delimiter(b'\t')
            .quote_style(csv::QuoteStyle::Never)
            .from_writer(&mut text);
        let written = lines
            .write_record(&header)
            .and_then(|()| {
                let mut whole = self.rows.iter().filter(|row| row.is_whole());
                whole.try_for_each(|row| lines.write_record(row.fields(contigs)))
            })
            .map_err(io_error)
            .and_then(|()| lines.flush());
        drop(lines);
        written.map_err(|e| text.file().error(e))?;
        text.finish()?;
        Ok(text.into_file())
    }
}

impl Row {
    /// Whether all of it is added here.
    fn is_whole(&self) -> bool {
        self.part == self.interval
    }

    /// Contig, start, end, name and strand.
    fn place(&self, contigs: &Contigs) -> Vec<String> {
        let Interval { contig, start, end } = self.interval;
        let name = self.name.clone().unwrap_or_else(|| ".".into());
        let (contig, strand) = (contigs.name(contig).to_string(), self.strand.symbol().to_string());
        vec![contig, start.to_string(), end.to_string(), name, strand]
    }

    fn fields(&self, contigs: &Contigs) -> Vec<String> {
        let mut fields = self.place(contigs);
        fields.extend(self.sums.iter().flat_map(|sum| sum.fields(self.interval.len())));
        fields.extend(self.scalars.iter().map(|&scalar| significant(scalar)));
        fields
    }

    /// Notes, once, that this row was added to, which is the one at `place`.
    fn change(&mut self, place: usize, changed: &mut Vec<usize>) {
        if !std::mem::replace(&mut self.is_changed, true) {
            changed.push(place);
        }
    }

    fn so_far(&mut self) -> RowSoFar {
        self.is_changed = false;
        self.sums.iter_mut().for_each(Sum::end_chunk);
        let sums = self.sums.iter().map(|sum| (sum.sum.to_bits(), sum.cut())).collect();
        let scalars = self.scalars.iter().map(|scalar| scalar.to_bits()).collect();
        RowSoFar { row: self.number, sums, scalars }
    }

    fn restore(&mut self, known: &RowSoFar) {
        for (sum, (total, parts)) in self.sums.iter_mut().zip(&known.sums) {
            sum.restore(*total, parts);
        }
        self.scalars = known.scalars.iter().map(|&bits| f64::from_bits(bits)).collect();
    }

    fn cut(&self, contigs: &Contigs) -> CutRow {
        CutRow {
            row: self.number,
            place: self.place(contigs).join("\t"),
            bases: self.interval.len(),
            tracks: self.sums.iter().map(Sum::cut).collect(),
        }
    }
}

impl Sum {
    fn new() -> Self {
        let max = f32::NEG_INFINITY;
        Self { sum: 0.0, open: 0.0, chunk: None, sums: None, max, max_start: 0 }
    }

    fn add(&mut self, mut start: u64, mut values: &[f32]) {
        while !values.is_empty() {
            let left = usize::try_from(CHUNK - start % CHUNK).unwrap_or(usize::MAX);
            let (now, rest) = values.split_at(left.min(values.len()));
            if self.chunk != Some(start / CHUNK) {
                self.end_chunk();
                self.chunk = Some(start / CHUNK);
            }
            for (base, &value) in (start..).zip(now) {
                self.open += f64::from(value);
                if value > self.max {
                    (self.max, self.max_start) = (value, base);
                }
            }
            start += now.len() as u64;
            values = rest;
        }
    }

    fn end_chunk(&mut self) {
        if self.chunk.take().is_none() {
            return;
        }
        let open = std::mem::take(&mut self.open);
        self.sum += open;
        if let Some(sums) = &mut self.sums {
            sums.push(open);
        }
    }

    /// Mean, maximum, its position and sum, over so many bases.
    fn fields(&self, bases: u64) -> [String; 4] {
        let sum = self.sum + self.open;
        let max = significant(self.max.into());
        [significant(sum / bases as f64), max, self.max_start.to_string(), significant(sum)]
    }

    fn cut(&self) -> CutSum {
        let open = self.chunk.map(|_| &self.open);
        let sums = self.sums.iter().flatten().chain(open).map(|sum| sum.to_bits());
        CutSum { sums: sums.collect(), max: self.max.to_bits(), max_start: self.max_start }
    }

    fn restore(&mut self, total: u64, parts: &CutSum) {
        *self = Self {
            sum: f64::from_bits(total),
            sums: self
                .sums
                .is_some()
                .then(|| parts.sums.iter().map(|&bits| f64::from_bits(bits)).collect()),
            max: f32::from_bits(parts.max),
            max_start: parts.max_start,
            ..Self::new()
        };
    }

    /// What several shards know, in their order.
    fn joined<'a>(parts: impl Iterator<Item = &'a CutSum>) -> Self {
        let mut all = Self::new();
        for part in parts {
            all.sum = part.sums.iter().fold(all.sum, |sum, &bits| sum + f64::from_bits(bits));
            let max = f32::from_bits(part.max);
            if max > all.max {
                (all.max, all.max_start) = (max, part.max_start);
            }
        }
        all
    }
}

/// The line, without its end, of a row that several shards know parts of, in their order.
pub fn join_row(parts: &[CutRow]) -> Option<String> {
    let first = parts.first()?;
    let mut line = first.place.clone();
    for track in 0..first.tracks.len() {
        let sums = parts.iter().filter_map(|part| part.tracks.get(track));
        for field in Sum::joined(sums).fields(first.bases) {
            line.push('\t');
            line += &field;
        }
    }
    Some(line)
}

/// Ascending numbers as (first, how many, step).
fn steps(numbers: impl Iterator<Item = u64>) -> Vec<(u64, u64, u64)> {
    let mut steps: Vec<(u64, u64, u64)> = Vec::new();
    for number in numbers {
        match steps.last_mut() {
            Some((first, count @ 1, step)) => (*count, *step) = (2, number - *first),
            Some((first, count, step)) if *first + *count * *step == number => *count += 1,
            _ => steps.push((number, 1, 1)),
        }
    }
    steps
}

/// Distance of a base from the start of the slice that holds it.
fn offset(base: u64, start: u64) -> usize {
    usize::try_from(base - start).expect("an offset within a slice")
}

/// The failure of the file itself, so that a full disk stays one.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::regions::Origin;
    use crate::track::name::Format;
    use proptest::prelude::*;
    use std::io::Read;

    fn contigs() -> Contigs {
        Contigs::new(vec![("c1".into(), 1000), ("c2".into(), 1000)])
    }

    fn region(contig: usize, start: u64, end: u64, name: &str) -> Region {
        let interval = Interval { contig: ContigId(contig), start, end };
        let name = Some(name.into());
        Region { interval, name, strand: None, summit: None, origin: Origin::Request }
    }

    fn written(table: &RegionTable, name: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let bgzip = Format::of_table(&path).unwrap().kind == crate::track::name::Kind::Bgzf;
        let file = OutputFile::create(&path).unwrap();
        table.write(file, bgzip, &contigs()).unwrap().commit().unwrap();
        std::fs::read(&path).unwrap()
    }

    #[test]
    fn overlapping_regions_in_any_order_each_get_their_numbers() {
        let regions = [region(1, 0, 2, "last"), region(0, 12, 15, "b"), region(0, 10, 14, "a")];
        let rows = regions.iter().map(|region| (region, Strand::Minus));
        let mut table = RegionTable::new(rows, vec!["x".into(), "y".into()]);
        let (c1, c2) = (ContigId(0), ContigId(1));
        table.add(Strand::Minus, c1, 10, &[&[1.0, 3.0, 3.0], &[0.0, 0.0, -1.0]]);
        table.add(Strand::Minus, c1, 13, &[&[0.5, 2.0], &[-2.0, -3.0]]);
        table.add(Strand::Minus, c2, 0, &[&[0.1, 0.2], &[1e-7, 0.0]]);
        let text = String::from_utf8(written(&table, "t.tsv")).unwrap();
        // By hand; 0.1f32 is 0.100000001490…, 0.2f32 is 0.200000002980…,
        // 1e-7f32 is 1.0000000117e-7.
        let expected = "\
#contig\tstart\tend\tname\tstrand\tx_mean\tx_max\tx_max_start\tx_sum\ty_mean\ty_max\ty_max_start\ty_sum
c2\t0\t2\tlast\t-\t0.150000002\t0.200000003\t1\t0.300000004\t0.0000000500000006\t0.000000100000001\t0\t0.000000100000001
c1\t12\t15\tb\t-\t1.83333333\t3\t12\t5.5\t-2\t-1\t12\t-6
c1\t10\t14\ta\t-\t1.875\t3\t11\t7.5\t-0.75\t0\t10\t-3
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_bgzipped_table_holds_the_same_lines() {
        let regions = [region(0, 1, 2, "a\"b")];
        let mut table = RegionTable::new([(&regions[0], Strand::Plus)], vec!["x".into()]);
        table.add(Strand::Plus, ContigId(0), 1, &[&[0.25]]);
        let mut text = Vec::new();
        let bytes = written(&table, "t.tsv.gz");
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut text).unwrap();
        assert_eq!(text, written(&table, "t.tsv"));
        // names as they are, as other tools read them: no quotes around quotes
        assert!(text.split(|&b| b == b'\n').nth(1).unwrap().starts_with(b"c1\t1\t2\ta\"b\t+\t"));
    }

    #[test]
    fn rows_that_are_cut_between_shards_are_joined_to_the_same_text() {
        let whole = region(0, 50_000, 650_000, "long");
        let values: Vec<f32> = (0..600_000u32).map(|i| (i as f32 * 0.37).sin()).collect();
        let contigs = Contigs::new(vec![("c1".into(), 1_000_000)]);
        let table = |range: std::ops::Range<u64>| {
            let rows = [(&whole, Strand::Plus)].into_iter();
            let mut table = RegionTable::new(rows, vec!["x".into()]).within(|_, interval, _| {
                let (start, end) = (interval.start.max(range.start), interval.end.min(range.end));
                (start < end).then_some(Interval { start, end, ..interval })
            });
            let (start, end) = (range.start.max(50_000), range.end.min(650_000));
            let own = &values[offset(start, 50_000)..offset(end, 50_000)];
            table.add(Strand::Plus, ContigId(0), start, &[own]);
            table
        };
        let alone = table(0..1_000_000).rows[0].fields(&contigs).join("\t");
        let parts = [0..200_000, 200_000..300_000, 300_000..1_000_000];
        let parts = parts.map(|range| table(range).describe(false, &contigs));
        assert!(parts.iter().all(|rows| rows.whole.is_empty() && rows.of == 1));
        let cut: Vec<CutRow> = parts.into_iter().flat_map(|rows| rows.cut).collect();
        assert_eq!(join_row(&cut).unwrap(), alone);
    }

    #[test]
    fn numbers_of_rows_are_told_by_steps() {
        let told = |numbers: &[u64]| steps(numbers.iter().copied());
        assert_eq!(told(&[0, 1, 2, 3]), [(0, 4, 1)]);
        assert_eq!(told(&[1, 3, 5, 6, 7, 20]), [(1, 3, 2), (6, 2, 1), (20, 1, 1)]);
        assert_eq!(told(&[]), []);
    }

    proptest! {
        #[test]
        fn the_numbers_do_not_depend_on_how_the_values_arrive(
            cuts in proptest::collection::btree_set(1usize..500, 0..6),
            places in proptest::collection::vec((0u64..490, 1u64..200), 1..8),
        ) {
            let values: Vec<f32> = (0..500u16).map(|i| (f32::from(i) * 0.37).sin()).collect();
            let regions: Vec<Region> = places
                .iter()
                .map(|&(start, length)| region(0, start, (start + length).min(500), "r"))
                .collect();
            let table = |cuts: Vec<usize>| {
                let rows = regions.iter().map(|region| (region, Strand::Plus));
                let mut table = RegionTable::new(rows, vec!["x".into()]);
                let mut start = 0;
                for end in cuts.into_iter().chain([500]) {
                    table.add(Strand::Plus, ContigId(0), start as u64, &[&values[start..end]]);
                    start = end;
                }
                written(&table, "t.tsv")
            };
            prop_assert_eq!(table(cuts.into_iter().collect()), table(Vec::new()));
        }
    }
}
