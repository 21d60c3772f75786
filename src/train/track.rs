//! Measured values along the contigs of a run, in memory: the stretches of the file as they are.

use super::splits::Splits;
use crate::error::{Error, Result};
use crate::genome::{ContigId, Interval, Resolver};
use crate::track::signal::{Signal, Stretch};
use std::collections::HashMap;
use std::path::Path;

/// What values may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 0 or more, as counts are.
    Counts,
    /// Any number.
    Any,
}

/// The values of one file on the contigs of the splits; 0 where the file has no data. 24 bytes a
/// stretch.
#[derive(Debug, Clone, Default)]
pub struct Track {
    stretches: HashMap<ContigId, Vec<Stretch>>,
}

impl Track {
    /// Reads the contigs that the splits name.
    ///
    /// # Errors
    /// A file that cannot be read or does not fit the reference; a contig that the reference does
    /// not have, unless `skip_unknown`; no data at all; a negative count.
    pub fn read(
        path: &Path,
        resolver: &Resolver,
        splits: &Splits,
        kind: Kind,
        skip_unknown: bool,
    ) -> Result<Self> {
        let mut signal = Signal::open(path, resolver)?;
        let unknown = signal.unplaced();
        if let Some(first) = unknown.first() {
            let what = format!("{} contigs that the reference does not have", unknown.len());
            let names = format!("{first}{}", if unknown.len() > 1 { ", …" } else { "" });
            if !skip_unknown {
                return Err(Error::new(what).at(path).found(names).remedy(
                    "use the reference that the file was made with, or set \
                     `data.skip_unknown_contigs = true`",
                ));
            }
            tracing::warn!("{}: {what}, left out: {names}", path.display());
        }
        let mut track = Self::default();
        for range in splits.all() {
            if track.stretches.contains_key(&range.contig) {
                continue;
            }
            let (name, length) =
                (resolver.contigs().name(range.contig), resolver.contigs().length(range.contig));
            let mut list = Vec::new();
            signal.stretches(range.contig, 0..length, &mut |stretch| {
                if kind == Kind::Counts && stretch.value < 0.0 {
                    return Err(Error::new(format!("a negative count on {name}"))
                        .at(path)
                        .found(format!("{} at base {} (from 1)", stretch.value, stretch.start + 1))
                        .expected("counts of 0 or more")
                        .remedy("give the minus strand as positive numbers too"));
                }
                if stretch.value != 0.0 {
                    list.push(stretch);
                }
                Ok(())
            })?;
            list.shrink_to_fit();
            track.stretches.insert(range.contig, list);
        }
        if track.stretches.values().all(Vec::is_empty) {
            return Err(Error::new("no value on any contig of the splits").at(path));
        }
        Ok(track)
    }

    /// The values of bases `[start, end)` (0-based, may leave the contig), one per base.
    pub fn fill(&self, contig: ContigId, start: i64, end: i64, values: &mut [f32]) {
        values.fill(0.0);
        let Some(list) = self.stretches.get(&contig) else { return };
        let signed = |base: u64| i64::try_from(base).unwrap_or(i64::MAX);
        let first = list.partition_point(|stretch| signed(stretch.end) <= start);
        for stretch in list[first..].iter().take_while(|stretch| signed(stretch.start) < end) {
            let from = (signed(stretch.start).max(start) - start).unsigned_abs();
            let to = (signed(stretch.end).min(end) - start).unsigned_abs();
            values[index(from)..index(to)].fill(stretch.value);
        }
    }

    /// The values of a range.
    pub fn values(&self, range: Interval) -> Vec<f32> {
        let mut values = vec![0.0; index(range.len())];
        let signed = |base: u64| i64::try_from(base).unwrap_or(i64::MAX);
        self.fill(range.contig, signed(range.start), signed(range.end), &mut values);
        values
    }

    /// The least value; 0 where there is none below.
    pub fn least(&self) -> f32 {
        let values = self.stretches.values().flatten().map(|stretch| stretch.value);
        values.fold(0.0, f32::min)
    }

    /// Sum of the values of some ranges, each at most `cap`.
    pub fn total(&self, ranges: &[Interval], cap: f32) -> f64 {
        let of = |range: &Interval| -> f64 {
            let Some(list) = self.stretches.get(&range.contig) else { return 0.0 };
            let first = list.partition_point(|stretch| stretch.end <= range.start);
            let inside = list[first..].iter().take_while(|stretch| stretch.start < range.end);
            inside
                .map(|stretch| {
                    let bases = stretch.end.min(range.end) - stretch.start.max(range.start);
                    bases as f64 * f64::from(stretch.value.min(cap))
                })
                .sum()
        };
        ranges.iter().map(of).sum()
    }
}

fn index(bases: u64) -> usize {
    usize::try_from(bases).expect("a window fits memory")
}
