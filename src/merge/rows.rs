//! Region tables row by row: the rows of each part, and those that were cut between shards, in the
//! order of the whole table. Memory grows with the number of regions, as when it was computed.

use super::changed;
use crate::error::{Error, Result};
use crate::genome::text::Lines;
use crate::job::digest;
use crate::job::manifest::{CutRow, Join, Part};
use crate::job::{OutputFile, Progress};
use crate::track::name::{Format, Kind};
use crate::track::table::join_row;
use crate::track::text::TextFile;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Writes the header and all rows.
pub fn join(
    parts: &[(PathBuf, &Part)],
    path: &Path,
    progress: &Progress,
) -> Result<(u64, Vec<OutputFile>)> {
    let bgzip = Format::of_table(path)?.kind == Kind::Bgzf;
    refuse_missing(parts)?;
    let mut table = Table::default();
    for (place, part) in parts {
        if digest::of_file(place)? != part.sha256 {
            return Err(changed(place));
        }
        table.take(place, part)?;
        progress.advance(part.bytes);
    }
    table.join_cut()?;
    let mut text = TextFile::new(OutputFile::create(path)?, bgzip);
    for line in std::iter::once(&table.header).chain(table.rows.iter().flatten()) {
        text.put(line.as_bytes())?;
        text.put(b"\n")?;
    }
    text.finish()?;
    Ok((table.rows.len() as u64, vec![text.into_file()]))
}

#[derive(Default)]
struct Table {
    header: String,
    rows: Vec<Option<String>>,
    cut: BTreeMap<u64, Vec<CutRow>>,
}

impl Table {
    fn take(&mut self, place: &Path, part: &Part) -> Result<()> {
        let Join::Rows(known) = &part.join else { return Err(changed(place)) };
        let mut lines = Lines::open(place)?;
        self.header = lines.next()?.ok_or_else(|| changed(place))?.1.to_owned();
        self.rows.resize(index(known.of), None);
        let numbers = known
            .whole
            .iter()
            .flat_map(|&(first, count, step)| (0..count).map(move |number| first + number * step));
        for number in numbers {
            let line = lines.next()?.ok_or_else(|| changed(place))?.1.to_owned();
            let row = self.rows.get_mut(index(number)).filter(|row| row.is_none());
            *row.ok_or_else(|| twice(place, number))? = Some(line);
        }
        for row in &known.cut {
            self.cut.entry(row.row).or_default().push(row.clone());
        }
        Ok(())
    }

    fn join_cut(&mut self) -> Result<()> {
        for (number, parts) in &self.cut {
            if let Some(row) = self.rows.get_mut(index(*number)).filter(|row| row.is_none()) {
                *row = join_row(parts);
            }
        }
        match self.rows.iter().position(Option::is_none) {
            None => Ok(()),
            Some(row) => Err(Error::new(format!("no shard has row {} of the table", row + 1))
                .remedy("run all shards again with one version of atrous")),
        }
    }
}

/// Before anything is allocated for them, the rows that the manifests tell must be as many as the
/// table has, and those of a part must fit its bytes.
fn refuse_missing(parts: &[(PathBuf, &Part)]) -> Result<()> {
    let mut told: u64 = 0;
    for (place, part) in parts {
        let Join::Rows(known) = &part.join else { return Err(changed(place)) };
        let own = known.whole.iter().fold(0, |sum: u64, (_, count, _)| sum.saturating_add(*count));
        if own != part.records || (own > part.bytes && !known.bgzip) {
            return Err(changed(place));
        }
        told = told.saturating_add(own).saturating_add(known.cut.len() as u64);
        if known.of > told && place == &parts[parts.len() - 1].0 {
            return Err(Error::new("the shards do not have all rows of the table")
                .at(place)
                .found(told)
                .expected(known.of));
        }
    }
    Ok(())
}

fn twice(place: &Path, number: u64) -> Error {
    Error::new(format!("two shards have row {} of the table", number + 1)).at(place)
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("rows in memory")
}
