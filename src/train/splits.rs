//! Which ranges of a reference are for what, and what of the training ranges must be left out so
//! that no held-out base is seen.

use super::config::{self, Leakage};
use crate::error::{Error, Result};
use crate::genome::regions::parse_region;
use crate::genome::text::Lines;
use crate::genome::{Interval, Resolver};
use crate::network::Reach;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// What a range is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// To learn from.
    Train,
    /// To choose settings on.
    Valid,
    /// To report on, once.
    Test,
}

impl Split {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Train, Self::Valid, Self::Test];
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
        })
    }
}

impl FromStr for Split {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|split| split.to_string() == text).ok_or_else(|| {
            Error::usage("no such split")
                .found(format!("{text:?}"))
                .expected("train, valid or test")
        })
    }
}

/// The ranges of each split, in the order of the file that names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Splits {
    ranges: [Vec<Interval>; 3],
}

/// What was done about training bases from which held-out bases can be seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leaked {
    /// Training bases within reach of a held-out range.
    pub bases: u64,
    /// Training bases in all.
    pub of: u64,
}

impl Splits {
    /// Reads the ranges that a configuration names; `file` says where a file of it is.
    ///
    /// # Errors
    /// A table that cannot be read, a range outside of its contig, a contig that the reference
    /// does not have, ranges that overlap, a split without a range.
    pub fn read(
        config: &config::Splits,
        file: impl Fn(&Path) -> std::path::PathBuf,
        resolver: &Resolver,
    ) -> Result<Self> {
        let mut splits = Self::default();
        let lists = [&config.train, &config.valid, &config.test];
        match (&config.table, &config.set) {
            (Some(_), _) if lists.iter().any(|list| !list.is_empty()) => {
                return Err(Error::new("[splits] has both a table and lists of regions")
                    .remedy("keep one of them"));
            }
            (Some(table), Some(set)) => splits.read_table(&file(table), set, resolver)?,
            (Some(_), None) => {
                return Err(Error::new("[splits] has a table but does not say which `set` of it"));
            }
            (None, Some(_)) => return Err(Error::new("[splits] has a `set` but no table")),
            (None, None) => {
                for (split, list) in Split::ALL.into_iter().zip(lists) {
                    for text in list {
                        let region = parse_region(text, resolver)?;
                        splits.ranges[split as usize].push(region.interval);
                    }
                }
            }
        }
        splits.check(resolver)?;
        Ok(splits)
    }

    /// The ranges of a split.
    pub fn of(&self, split: Split) -> &[Interval] {
        &self.ranges[split as usize]
    }

    /// Bases of a split.
    pub fn bases(&self, split: Split) -> u64 {
        self.of(split).iter().map(Interval::len).sum()
    }

    /// All ranges.
    pub fn all(&self) -> impl Iterator<Item = &Interval> {
        self.ranges.iter().flatten()
    }

    /// The training ranges without, or where leakage is only warned of with, what lies within
    /// reach of a held-out range, and how much that is.
    ///
    /// # Errors
    /// Leakage, where it is to be refused.
    pub fn apart(&self, reach: Reach, leakage: Leakage) -> Result<(Vec<Interval>, Leaked)> {
        let held_out = self.of(Split::Valid).iter().chain(self.of(Split::Test));
        let near: Vec<Interval> = held_out
            .map(|range| Interval {
                start: range.start.saturating_sub(reach.left.max(reach.right)),
                end: range.end.saturating_add(reach.left.max(reach.right)),
                ..*range
            })
            .collect();
        let apart: Vec<Interval> =
            self.of(Split::Train).iter().flat_map(|&range| without(range, &near)).collect();
        let of = self.bases(Split::Train);
        let leaked = Leaked { bases: of - apart.iter().map(Interval::len).sum::<u64>(), of };
        let distance = reach.left.max(reach.right);
        match leakage {
            _ if leaked.bases == 0 => {}
            Leakage::Trim => tracing::info!(
                "{} of {of} training bases lie within {distance} bases of a held-out range and are \
                 left out",
                leaked.bases
            ),
            Leakage::Warn => tracing::warn!(
                "{} of {of} training bases lie within {distance} bases of a held-out range: what \
                 is held out is seen in training",
                leaked.bases
            ),
            Leakage::Refuse => {
                return Err(Error::new("training bases lie within reach of a held-out range")
                    .found(format!("{} of {of} bases within {distance}", leaked.bases))
                    .remedy("leave a gap, or choose `leakage = \"trim\"`"));
            }
        }
        let kept = if leakage == Leakage::Warn { self.of(Split::Train).to_vec() } else { apart };
        Ok((kept, leaked))
    }

    fn read_table(&mut self, path: &Path, set: &str, resolver: &Resolver) -> Result<()> {
        let mut lines = Lines::open(path)?;
        let mut sets = Vec::new();
        while let Some((number_of_line, text)) = lines.next()? {
            let text = text.trim_end();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let wrong = |what: &str| Error::new(what).at(path).line(number_of_line);
            let fields: Vec<&str> = text.split('\t').collect();
            let &[name, contig, start, end, split] = fields.as_slice() else {
                return Err(wrong("not a row of splits")
                    .found(format!("{} columns", fields.len()))
                    .expected("set, contig, start, end and split, separated by tabs"));
            };
            if name != set {
                if !sets.iter().any(|other| other == name) {
                    sets.push(name.to_owned());
                }
                continue;
            }
            let number = |text: &str| {
                text.parse::<u64>()
                    .map_err(|_| wrong("not a position").found(text).expected("a number from 0"))
            };
            let (start, end) = (number(start)?, number(end)?);
            let split: Split = split.parse().map_err(|_| {
                wrong("no such split").found(split).expected("train, valid or test")
            })?;
            let Some(id) = resolver.resolve(contig)? else {
                return Err(wrong("the reference has no such contig").found(contig));
            };
            let length = resolver.contigs().length(id);
            if start >= end || end > length {
                return Err(wrong("the range does not lie in its contig")
                    .found(format!("{start} to {end}"))
                    .expected(format!("0 <= start < end <= {length}")));
            }
            self.ranges[split as usize].push(Interval { contig: id, start, end });
        }
        match self.all().next() {
            Some(_) => Ok(()),
            None => Err(Error::new(format!("no row of set {set:?}"))
                .at(path)
                .found(format!("sets {}", sets.join(", ")))),
        }
    }

    fn check(&self, resolver: &Resolver) -> Result<()> {
        for split in [Split::Train, Split::Valid] {
            if self.of(split).is_empty() {
                return Err(Error::new(format!("the split `{split}` has no range"))
                    .remedy("every run learns from one split and is watched on another"));
            }
        }
        let mut all: Vec<(Interval, Split)> = Split::ALL
            .into_iter()
            .flat_map(|split| self.of(split).iter().map(move |&range| (range, split)))
            .collect();
        all.sort_by_key(|(range, _)| *range);
        let overlap = all
            .windows(2)
            .find(|pair| pair[0].0.contig == pair[1].0.contig && pair[0].0.end > pair[1].0.start);
        match overlap {
            Some(pair) => {
                let name = resolver.contigs().name(pair[0].0.contig);
                let show = |(range, split): (Interval, Split)| {
                    format!("{split} {name}:{}-{}", range.start, range.end)
                };
                Err(Error::new("two ranges of the splits overlap").found(format!(
                    "{} and {}",
                    show(pair[0]),
                    show(pair[1])
                )))
            }
            None => Ok(()),
        }
    }
}

/// What is left of a range without others.
pub fn without(range: Interval, others: &[Interval]) -> Vec<Interval> {
    let mut inside: Vec<Interval> = others
        .iter()
        .filter(|o| o.contig == range.contig && o.end > range.start && o.start < range.end)
        .copied()
        .collect();
    inside.sort();
    let mut rest = Vec::new();
    let mut start = range.start;
    for other in inside {
        if other.start > start {
            rest.push(Interval { start, end: other.start, ..range });
        }
        start = start.max(other.end);
    }
    if start < range.end {
        rest.push(Interval { start, ..range });
    }
    rest
}
