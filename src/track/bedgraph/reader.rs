//! Reads a bedGraph into memory: tab or spaces, header lines, CRLF, gzip and bgzip by content.

use crate::error::{Error, Result};
use crate::genome::text::Lines;
use crate::genome::{ContigId, Contigs};
use crate::track::signal::Stretch;
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A bedGraph in memory: 12 bytes for each line.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    contigs: Contigs,
    /// The lines of each contig in order.
    lines: Vec<Vec<Line>>,
}

/// Bases `[start, end)` with one value. 32 bits hold every position of bigWig, and so of any tool
/// that reads either.
#[derive(Debug, Clone, Copy)]
struct Line {
    start: u32,
    end: u32,
    value: f32,
}

impl Reader {
    /// Reads a file; `-` is standard input.
    ///
    /// # Errors
    /// A file that cannot be read, or a line that is malformed, out of order or overlaps the one
    /// before; each with its line.
    pub fn read(path: &Path) -> Result<Self> {
        Self::from_lines(Lines::open(path)?)
    }

    fn from_lines(mut text: Lines) -> Result<Self> {
        let path = text.path().to_path_buf();
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let mut names: Vec<String> = Vec::new();
        let mut lines: Vec<Vec<Line>> = Vec::new();
        while let Some((number, line)) = text.next()? {
            if is_header(line) {
                continue;
            }
            let at = |error: Error| error.at(&path).line(number);
            let (name, line) = parse(line).map_err(at)?;
            let contig = match numbers.get(name) {
                Some(&contig) => contig,
                None => {
                    numbers.insert(name.into(), names.len());
                    names.push(name.into());
                    lines.push(Vec::new());
                    names.len() - 1
                }
            };
            if let Some(last) = lines[contig].last().filter(|last| line.start < last.end) {
                return Err(at(Error::new("lines overlap or are out of order")
                    .found(format!(
                        "base {} of {name} after {}-{}",
                        line.start, last.start, last.end
                    ))
                    .expected("lines sorted by start on each contig, each base once")
                    .remedy("sort it: `LC_ALL=C sort -k1,1 -k2,2n IN > OUT`")));
            }
            lines[contig].push(line);
        }
        let end = |lines: &Vec<Line>| lines.last().map_or(0, |line| line.end.into());
        let list = names.into_iter().zip(lines.iter().map(end)).collect();
        lines.iter_mut().for_each(Vec::shrink_to_fit);
        Ok(Self { path, contigs: Contigs::new(list), lines })
    }

    /// The file that was read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The contigs in the order of the file; their lengths are the ends of their last lines.
    pub fn contigs(&self) -> &Contigs {
        &self.contigs
    }

    /// Gives the stretches that touch bases `range` (0-based) of a contig of [`Reader::contigs`],
    /// cut to it, in order. Lines with NaN are left out: they are no data.
    ///
    /// # Errors
    /// The error of `each`.
    pub fn stretches(
        &self,
        contig: ContigId,
        range: Range<u64>,
        each: &mut dyn FnMut(Stretch) -> Result<()>,
    ) -> Result<()> {
        let lines = &self.lines[contig.0];
        let first = lines.partition_point(|line| u64::from(line.end) <= range.start);
        lines[first..]
            .iter()
            .take_while(|line| u64::from(line.start) < range.end)
            .filter(|line| !line.value.is_nan())
            .try_for_each(|line| {
                each(Stretch {
                    start: u64::from(line.start).max(range.start),
                    end: u64::from(line.end).min(range.end),
                    value: line.value,
                })
            })
    }
}

/// Gives the name of the contig and the stretch of each line, in the order of the file, of which
/// one line at a time is held.
///
/// # Errors
/// A file that cannot be read, a malformed line, or the error of `each`.
pub fn stream(path: &Path, each: &mut dyn FnMut(&str, Stretch) -> Result<()>) -> Result<()> {
    let mut text = Lines::open(path)?;
    while let Some((number, line)) = text.next()? {
        if is_header(line) {
            continue;
        }
        let (name, Line { start, end, value }) =
            parse(line).map_err(|error| error.at(path).line(number))?;
        each(name, Stretch { start: start.into(), end: end.into(), value })?;
    }
    Ok(())
}

/// Whether a line is none of the data.
fn is_header(line: &str) -> bool {
    let first = line.split_ascii_whitespace().next();
    first.is_none_or(|word| word.starts_with('#') || word == "track" || word == "browser")
}

fn parse(text: &str) -> Result<(&str, Line)> {
    let columns: Vec<&str> = match text.contains('\t') {
        true => text.split('\t').collect(),
        false => text.split_ascii_whitespace().collect(),
    };
    if matches!(columns[0], "variableStep" | "fixedStep") {
        return Err(Error::new("a wig file")
            .expected("bigWig or bedGraph")
            .remedy("make it a bigWig with UCSC wigToBigWig"));
    }
    let [contig, start, end, value] = columns[..] else {
        return Err(Error::new("not a line of bedGraph")
            .found(format!("{} columns", columns.len()))
            .expected("contig, start, end and value, separated by tabs"));
    };
    // u32::from_str takes a plus sign, which no format here does
    let position = |text: &str| {
        let number = text.parse().ok().filter(|_| !text.starts_with('+'));
        number.ok_or_else(|| {
            Error::new("not a position").found(text).expected(format!("0 to {}", u32::MAX))
        })
    };
    let (start, end): (u32, u32) = (position(start)?, position(end)?);
    if start >= end {
        return Err(Error::new("a line without bases")
            .found(format!("{start}-{end}"))
            .expected("start < end, 0-based and half-open"));
    }
    match value.parse::<f32>() {
        Ok(number) if !number.is_infinite() => Ok((contig, Line { start, end, value: number })),
        _ => Err(Error::new("not a finite number").found(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn read(text: &str) -> Result<Reader> {
        let text = Cursor::new(text.as_bytes().to_vec());
        Reader::from_lines(Lines::from_reader(text, Path::new("x.bedGraph"))?)
    }

    fn all(reader: &Reader, contig: usize, range: Range<u64>) -> Vec<(u64, u64, f32)> {
        let mut found = Vec::new();
        let each = &mut |s: Stretch| {
            found.push((s.start, s.end, s.value));
            Ok(())
        };
        reader.stretches(ContigId(contig), range, each).unwrap();
        found
    }

    #[test]
    fn headers_spaces_and_missing_numbers_are_taken_as_they_come() {
        let text = "track type=bedGraph\n#c\nbrowser x\n\nc2 0 5 1.5\r\nc1\t3\t4\t-2e-3\nc2\t5\t9\tnan\nc2\t20\t30\t0";
        let reader = read(text).unwrap();
        let contigs: Vec<_> = reader.contigs().iter().map(|(_, n, l)| (n, l)).collect();
        assert_eq!(contigs, [("c2", 30), ("c1", 4)]);
        assert_eq!(all(&reader, 0, 0..100), [(0, 5, 1.5), (20, 30, 0.0)]);
        assert_eq!(all(&reader, 0, 4..21), [(4, 5, 1.5), (20, 21, 0.0)]);
        assert_eq!(all(&reader, 0, 5..20), []);
        assert_eq!(all(&reader, 1, 0..9), [(3, 4, -2e-3)]);
    }

    #[test]
    fn bad_lines_are_named() {
        let cases = [
            ("c\t1\t2\n", "x.bedGraph:1: not a line of bedGraph (found 3 columns"),
            ("fixedStep chrom=c start=1 step=1\n1\n", "x.bedGraph:1: a wig file"),
            ("c\t1\t2\t3\t4\n", "found 5 columns"),
            ("c\t1\t2\tx\n", "not a finite number (found x)"),
            ("c\t1\t2\tinf\n", "not a finite number"),
            ("c\t-1\t2\t1\n", "not a position (found -1, expected 0 to 4294967295)"),
            ("c\t+1\t2\t1\n", "not a position"),
            ("c\t2\t2\t1\n", "a line without bases (found 2-2"),
            ("c\t1\t3\t1\nd\t0\t1\t1\nc\t2\t4\t1\n", "x.bedGraph:3: lines overlap"),
            ("c\t9\t10\t1\nc\t2\t4\t1\n", "base 2 of c after 9-10"),
        ];
        for (text, says) in cases {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
