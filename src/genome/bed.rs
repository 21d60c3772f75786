//! BED files with 3 to 12 or more columns (formats.md 4): noodles' three-column reader behind a
//! normaliser of lines. The columns from the fourth on stay text, of which the name (4) and the
//! strand (6) are used.

use super::regions::{Origin, Region, RegionOptions, Regions, Skip, SkipReason, unknown_contig};
use super::text::Lines;
use super::{ContigId, Interval, Resolver, Strand};
use crate::error::{Error, Result};
use noodles::bed;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Reads the regions of a BED file (plain, gzip or bgzip by content; `-` is standard input), in its
/// order. Lines without bases are skipped and counted.
///
/// # Errors
/// A file that cannot be read; a malformed line; and, unless the options say otherwise, a region
/// past the end of its contig or on a contig that the reference does not have. Each with its line.
/// No contig of the file in the reference is an error in any case.
pub fn read_bed(path: &Path, resolver: &Resolver, options: &RegionOptions) -> Result<Regions> {
    BedFile::read(Lines::open(path)?)?.place(resolver, options)
}

/// The lines of a BED file before its contigs are known: whether names are Roman numbers, say,
/// can only be told from all of them.
struct BedFile {
    path: Arc<Path>,
    /// The contig of a region is an index of `names`.
    regions: Vec<Region>,
    names: Vec<Arc<str>>,
}

impl BedFile {
    fn read(mut lines: Lines) -> Result<Self> {
        let path = lines.path().clone();
        let mut file = Self { path: path.clone(), regions: Vec::new(), names: Vec::new() };
        let mut by_name: HashMap<Arc<str>, usize> = HashMap::new();
        let mut parser = Parser::default();
        while let Some((line, text)) = lines.next()? {
            if is_header(text) {
                continue;
            }
            let row = parser.parse(text).map_err(|error| error.at(&path).line(line))?;
            let index = match by_name.get(row.contig) {
                Some(index) => *index,
                None => {
                    let name: Arc<str> = row.contig.into();
                    file.names.push(name.clone());
                    by_name.insert(name, file.names.len() - 1);
                    file.names.len() - 1
                }
            };
            file.regions.push(Region {
                interval: Interval { contig: ContigId(index), start: row.start, end: row.end },
                name: row.name.map(str::to_owned),
                strand: row.strand,
                summit: row.summit,
                origin: Origin::Line { file: path.clone(), line },
            });
        }
        if parser.columns_vary {
            tracing::warn!("{}: the number of columns differs between lines", path.display());
        }
        Ok(file)
    }

    /// Puts the regions on the contigs of the reference.
    fn place(self, resolver: &Resolver, options: &RegionOptions) -> Result<Regions> {
        let Self { path, mut regions, names } = self;
        let resolver = resolver.for_names(&names);
        let contigs = resolver.contigs();
        let mut ids = Vec::with_capacity(names.len());
        for name in &names {
            ids.push(resolver.resolve(name).map_err(|error| error.at(&path))?);
        }
        if !names.is_empty() && ids.iter().all(Option::is_none) {
            return Err(resolver.nothing_matches(&path, &names));
        }
        let mut clipped = 0_usize;
        let mut skipped = Vec::new();
        for region in &mut regions {
            let name = &names[region.interval.contig.0];
            let Some(id) = ids[region.interval.contig.0] else {
                if !options.skip_unknown_contigs {
                    return Err(region.origin.locate(unknown_contig(name, &resolver)).remedy(
                        "leave such lines out (--skip-unknown-contigs), or name the pairs in a \
                         table (--aliases)",
                    ));
                }
                continue;
            };
            let length = contigs.length(id);
            let Interval { start, end, .. } = region.interval;
            if end > length && !options.clip {
                let what = format!("the region {start}-{end} ends past its contig");
                return Err(region
                    .origin
                    .error(what)
                    .found(format!("end {end}"))
                    .expected(format!("at most {length}, the length of contig `{name}`"))
                    .remedy(
                        "cut regions at the end of the contig (--clip), or use the assembly \
                         that the file was made for",
                    ));
            }
            clipped += usize::from(end > length);
        }
        regions.retain_mut(|region| {
            let contig = names[region.interval.contig.0].clone();
            let reason = match ids[region.interval.contig.0] {
                None => SkipReason::UnknownContig,
                Some(id) => {
                    let length = contigs.length(id);
                    let Interval { start, end, .. } = region.interval;
                    let (start, end) = (start.min(length), end.min(length));
                    region.interval = Interval { contig: id, start, end };
                    if start < end {
                        return true;
                    }
                    SkipReason::Empty
                }
            };
            skipped.push(Skip { reason, contig, origin: region.origin.clone() });
            false
        });
        if clipped > 0 {
            let path = path.display();
            tracing::info!("{path}: {clipped} regions cut at the end of their contig");
        }
        Ok(Regions { list: regions, skipped })
    }
}

/// Whether a line carries no region: empty, a comment, a `track` or `browser` line.
fn is_header(line: &str) -> bool {
    let first_word = line.split_ascii_whitespace().next();
    first_word.is_none_or(|word| word.starts_with('#') || word == "track" || word == "browser")
}

/// One BED line: 0-based, half-open, `start <= end`.
#[derive(Debug, PartialEq, Eq)]
struct Row<'a> {
    contig: &'a str,
    start: u64,
    end: u64,
    name: Option<&'a str>,
    strand: Option<Strand>,
    summit: Option<u64>,
}

/// Reads lines one by one; the first one decides the separator.
#[derive(Default)]
struct Parser {
    /// Whether columns are separated by tabs (else by runs of spaces).
    tabs: Option<bool>,
    columns: Option<usize>,
    columns_vary: bool,
    /// The line with tabs between columns and an LF, as noodles wants it.
    normal: String,
    record: bed::Record<3>,
}

impl Parser {
    fn parse<'a>(&mut self, line: &'a str) -> Result<Row<'a>> {
        let has_tab = line.contains('\t');
        let tabs = *self.tabs.get_or_insert(has_tab);
        if tabs != has_tab {
            let separator = |tabs| if tabs { "tabs" } else { "spaces" };
            return Err(Error::new("tabs and spaces mixed between columns")
                .found(separator(has_tab))
                .expected(format!("{}, as in the first line", separator(tabs)))
                .remedy("use tabs throughout: `sed -E 's/ +/\\t/g' IN > OUT`"));
        }
        let mut columns: Vec<&str> = Vec::with_capacity(12);
        match tabs {
            true => columns.extend(line.split('\t')),
            false => columns.extend(line.split(' ').filter(|column| !column.is_empty())),
        }
        if columns.len() < 3 {
            return Err(Error::new("too few columns")
                .found(columns.len())
                .expected("at least 3: contig, start, end, separated by tabs or spaces"));
        }
        self.columns_vary |= *self.columns.get_or_insert(columns.len()) != columns.len();
        let (start, end) = self.bounds(&columns)?;
        if start > end {
            return Err(Error::new(format!("end {end} is before start {start}"))
                .expected("contig, start, end with start <= end, 0-based and half-open")
                .remedy("swap the two columns, or remove the line"));
        }
        if columns.len() == 12 {
            check_blocks(&columns, end - start)?;
        }
        Ok(Row {
            contig: columns[0],
            start,
            end,
            name: columns.get(3).copied().filter(|name| !matches!(*name, "" | ".")),
            strand: columns.get(5).copied().map_or(Ok(None), strand)?,
            summit: summit(&columns, start, end),
        })
    }

    /// Start and end, read by noodles.
    fn bounds(&mut self, columns: &[&str]) -> Result<(u64, u64)> {
        self.normal.clear();
        for (i, column) in columns[..3].iter().enumerate() {
            self.normal += if i == 0 { "" } else { "\t" };
            self.normal += column;
        }
        self.normal.push('\n');
        bed::io::Reader::<3, _>::new(self.normal.as_bytes())
            .read_record(&mut self.record)
            .map_err(|error| Error::new(format!("malformed BED line: {error}")))?;
        // noodles counts the start from 1 and has no position for an end of 0.
        let start = self.record.feature_start().ok().map(|start| usize::from(start) - 1);
        let end = match self.record.feature_end() {
            None => Some(0),
            Some(end) => end.ok().map(usize::from),
        };
        Ok((coordinate("start", columns[1], start)?, coordinate("end", columns[2], end)?))
    }
}

/// A coordinate that noodles read from `text`, held against the range that we take.
fn coordinate(which: &str, text: &str, read: Option<usize>) -> Result<u64> {
    let is_decimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let read = read.and_then(|number| u64::try_from(number).ok());
    match read.filter(|number| is_decimal && i64::try_from(*number).is_ok()) {
        Some(number) => Ok(number),
        None => {
            let is_negative = text.strip_prefix('-').is_some_and(|digits| {
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
            });
            let what = match (is_decimal, is_negative) {
                (true, _) => format!("{which} is too large"),
                (_, true) => format!("{which} is negative"),
                _ => format!("{which} is not a number"),
            };
            Err(Error::new(what)
                .found(format!("`{text}`"))
                .expected(format!("a whole number from 0 to {}", i64::MAX))
                .remedy("correct the line; a header line must start with `#`"))
        }
    }
}

fn strand(text: &str) -> Result<Option<Strand>> {
    match text {
        "+" => Ok(Some(Strand::Plus)),
        "-" => Ok(Some(Strand::Minus)),
        "." => Ok(None),
        _ => Err(Error::new("column 6 is no strand")
            .found(format!("`{text}`"))
            .expected("`+`, `-` or `.`")
            .remedy("correct it, or leave out the columns from 6 on: `cut -f1-5 IN > OUT`")),
    }
}

/// The summit of a narrowPeak line, which has ten columns: an offset from its start, -1 for none
/// (formats.md 4). In other files the tenth column is text of any kind.
fn summit(columns: &[&str], start: u64, end: u64) -> Option<u64> {
    let offset: u64 = if columns.len() == 10 { columns[9].parse().ok()? } else { return None };
    start.checked_add(offset).filter(|&summit| summit < end)
}

/// The blocks of a BED12 line: as many sizes and starts as it says, from its start to its end,
/// without overlap.
fn check_blocks(columns: &[&str], length: u64) -> Result<()> {
    let list = |column: &str| -> Option<Vec<u64>> {
        column.strip_suffix(',').unwrap_or(column).split(',').map(|n| n.parse().ok()).collect()
    };
    let blocks = || {
        let count: usize = columns[9].parse().ok()?;
        let (sizes, starts) = (list(columns[10])?, list(columns[11])?);
        let mut free = 0;
        for (start, size) in starts.iter().zip(&sizes) {
            (free <= *start).then_some(())?;
            free = start.checked_add(*size)?;
        }
        let complete = sizes.len() == count && starts.len() == count && starts.first() == Some(&0);
        (complete && free == length).then_some(())
    };
    blocks().ok_or_else(|| {
        Error::new("the blocks of a BED12 line do not fit")
            .found(columns[9..].join(" "))
            .expected("count, sizes and starts: from start to end, in order, without overlap")
            .remedy("correct them, or leave them out: `cut -f1-6 IN > OUT`")
    })
}

#[cfg(test)]
#[path = "bed_tests.rs"]
mod tests;
