//! The region table: one line per region with mean, maximum, its position and sum of each track.
//!
//! Numbers have nine significant digits, whatever `--decimals` says, and do not depend on tiles:
//! each sum runs base by base in genome order in f64.

use super::number::significant;
use super::text::TextFile;
use crate::error::Result;
use crate::genome::{ContigId, Contigs, Interval, Region, Strand};
use crate::job::OutputFile;
use std::collections::VecDeque;
use std::io;

/// Gathers one line per region (and strand); regions may overlap and come in any order.
/// Memory grows with the number of regions alone.
pub struct RegionTable {
    rows: Vec<Row>,
    tracks: Vec<String>,
    /// Names of numbers that each region has one of.
    scalars: Vec<String>,
    plus: Sweep,
    minus: Sweep,
}

struct Row {
    interval: Interval,
    strand: Strand,
    name: Option<String>,
    /// One per track.
    sums: Vec<Sum>,
    /// One per scalar, when they were added.
    scalars: Vec<f64>,
}

/// What is known of one track in one region so far.
#[derive(Clone, Copy)]
struct Sum {
    sum: f64,
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
        let empty = Sum { sum: 0.0, max: f32::NEG_INFINITY, max_start: 0 };
        let rows: Vec<Row> = regions
            .into_iter()
            .map(|(region, strand)| Row {
                interval: region.interval,
                strand,
                name: region.name.clone(),
                sums: vec![empty; tracks.len()],
                scalars: Vec::new(),
            })
            .collect();
        let [plus, minus] = [Strand::Plus, Strand::Minus].map(|strand| {
            let mut ahead: Vec<usize> =
                (0..rows.len()).filter(|&row| rows[row].strand == strand).collect();
            ahead.sort_by_key(|&row| rows[row].interval);
            Sweep { ahead: ahead.into(), inside: Vec::new() }
        });
        Self { rows, tracks, scalars: Vec::new(), plus, minus }
    }

    /// A table whose lines also have one number of each of these names, and are filled one by one
    /// ([`RegionTable::add_line`]).
    pub fn with_scalars(self, scalars: Vec<String>) -> Self {
        Self { scalars, ..self }
    }

    /// Fills a line, by its number from 0: the values of consecutive bases from `start`, one slice
    /// per track, which cover its region, and its scalars.
    pub fn add_line(&mut self, line: usize, start: u64, tracks: &[&[f32]], scalars: &[f64]) {
        let Row { interval, sums, scalars: own, .. } = &mut self.rows[line];
        let [from, to] = [interval.start, interval.end].map(|base| offset(base, start));
        for (sum, values) in sums.iter_mut().zip(tracks) {
            sum.add(interval.start, &values[from..to]);
        }
        *own = scalars.to_vec();
    }

    /// Number of lines below the header.
    pub fn records(&self) -> u64 {
        self.rows.len() as u64
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
            && (rows[row].interval.contig, rows[row].interval.start) < (contig, end)
        {
            sweep.inside.push(row);
            sweep.ahead.pop_front();
        }
        sweep
            .inside
            .retain(|&row| (rows[row].interval.contig, rows[row].interval.end) > (contig, start));
        for &row in &sweep.inside {
            let Row { interval, sums, .. } = &mut rows[row];
            let (from, to) = (interval.start.max(start), interval.end.min(end));
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
                self.rows.iter().try_for_each(|row| lines.write_record(row.fields(contigs)))
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
    fn fields(&self, contigs: &Contigs) -> Vec<String> {
        let Interval { contig, start, end } = self.interval;
        let name = self.name.clone().unwrap_or_else(|| ".".into());
        let mut fields = vec![
            contigs.name(contig).to_string(),
            start.to_string(),
            end.to_string(),
            name,
            self.strand.symbol().to_string(),
        ];
        for sum in &self.sums {
            fields.push(significant(sum.sum / self.interval.len() as f64));
            fields.push(significant(sum.max.into()));
            fields.push(sum.max_start.to_string());
            fields.push(significant(sum.sum));
        }
        fields.extend(self.scalars.iter().map(|&scalar| significant(scalar)));
        fields
    }
}

impl Sum {
    fn add(&mut self, start: u64, values: &[f32]) {
        for (base, &value) in (start..).zip(values) {
            self.sum += f64::from(value);
            if value > self.max {
                self.max = value;
                self.max_start = base;
            }
        }
    }
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
