//! Whether the indexes beside a FASTA file belong to it (formats.md 2).
//!
//! A spot check of some contigs: the line before a contig's first base must be its header, its
//! first line must end where the index says, and after its last base the next header or the end
//! of the file must follow. An index that fails is built anew; a file that fits its index but ends
//! early is truncated.

use super::bgzip;
use super::fasta_index::{FastaIndex, Record};
use super::source::Source;
use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// How many contigs are looked at; each costs two short reads.
const CHECKED_CONTIGS: usize = 64;

/// Bytes that are read around a contig's ends: more than a header line or a few empty lines.
const LOOK: usize = 1 << 12;

/// What a `.fai` index is to its FASTA file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All that was looked at agrees.
    Fits,
    /// It describes another file; says why.
    Stale(String),
    /// The file fits as far as it goes, but ends inside or before a contig.
    Truncated {
        /// The first contig that is not whole.
        contig: String,
        /// Bytes that the file should have at least.
        expected: u64,
    },
}

/// Holds an index against the file; `older` says whether the index is older than the file.
///
/// # Errors
/// A read failure.
pub(super) fn judge(index: &FastaIndex, source: &mut Source, older: bool) -> Result<Verdict> {
    let records = &index.records;
    let step = records.len().div_ceil(CHECKED_CONTIGS);
    let last = records.len() - 1;
    for (i, record) in records.iter().enumerate() {
        if i % step != 0 && i != last {
            continue;
        }
        if let Some(why) = contradiction(record, source, older && i == last)? {
            return Ok(Verdict::Stale(format!("contig `{}`: {why}", record.name)));
        }
    }
    let size = source.size();
    let truncated = records.iter().find(|record| record.end() > size);
    Ok(truncated.map_or(Verdict::Fits, |record| Verdict::Truncated {
        contig: record.name.clone(),
        expected: records[last].end(),
    }))
}

/// What in the file contradicts the index at one contig; nothing past the file's end does.
fn contradiction(
    record: &Record,
    source: &mut Source,
    must_be_last: bool,
) -> Result<Option<&'static str>> {
    let size = source.size();
    if record.offset <= size {
        let from = record.offset.saturating_sub(LOOK as u64);
        let length = usize::try_from(record.offset - from).unwrap_or(LOOK);
        let before = source.read_bytes(from, length)?;
        // A header at the very end of the file may lack its line end.
        let header = match before.strip_suffix(b"\n") {
            None if record.offset == size => Some(before.as_slice()),
            header => header,
        };
        if !header.is_some_and(|text| ends_with_header(text, &record.name, from == 0)) {
            return Ok(Some("its header is not where the index says"));
        }
    }
    if record.length > record.line_bases && record.offset + record.line_width <= size {
        let ending = record.line_width - record.line_bases;
        let ending = usize::try_from(ending).unwrap_or(LOOK).min(LOOK);
        let ending = source.read_bytes(record.offset + record.line_bases, ending)?;
        if !ending.ends_with(b"\n") || !ending.trim_ascii().is_empty() {
            return Ok(Some("its first line does not end where the index says"));
        }
    }
    if record.end() <= size {
        let after = source.read_bytes(record.end(), LOOK)?;
        let next = after.trim_ascii_start();
        // Without a base there may be no line end between the header and the next.
        let ended = after.len() > next.len() || after.is_empty() || record.length == 0;
        let at_file_end = record.end() + after.len() as u64 == size && next.is_empty();
        if !ended || !(next.is_empty() || next.starts_with(b">")) {
            return Ok(Some("it goes on where the index says that it ends"));
        }
        if must_be_last && !at_file_end {
            return Ok(Some("the file goes on after the last contig of the index"));
        }
    }
    Ok(None)
}

/// Whether the last line of the text is the header of this name; a line that starts before the
/// text is given the benefit of the doubt.
fn ends_with_header(text: &[u8], name: &str, from_file_start: bool) -> bool {
    let start = match text.iter().rposition(|byte| *byte == b'\n') {
        Some(newline) => newline + 1,
        None if from_file_start => 0,
        None => return true,
    };
    let header = text[start..].strip_prefix(b">").and_then(|h| h.strip_prefix(name.as_bytes()));
    header.is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

/// Whether a file was changed longer ago than another; unknown times count as no.
pub(super) fn is_older(index: &Path, file: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
    matches!((changed(index), changed(file)), (Some(index), Some(file)) if index < file)
}

/// The (compressed, uncompressed) block starts of a `.gzi` file; `None` if there is no such file.
///
/// # Errors
/// A file that cannot be read or is malformed.
pub(super) fn read_gzi(path: &Path) -> Result<Option<Vec<(u64, u64)>>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(path, "read", e)),
    };
    let (numbers, rest) = bytes.as_chunks::<8>();
    let numbers: Vec<u64> = numbers.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
    let malformed = |found: String| {
        Error::new("malformed .gzi index")
            .at(path)
            .found(found)
            .expected("a count, then as many pairs of growing 64-bit offsets")
            .remedy(format!(
                "remove {}: it is built in memory when missing, or make it again with `bgzip -r`",
                path.display()
            ))
    };
    let Some((count, offsets)) = numbers.split_first() else {
        return Err(malformed(format!("{} bytes", bytes.len())));
    };
    let (pairs, odd) = offsets.as_chunks::<2>();
    if !rest.is_empty() || !odd.is_empty() || *count != pairs.len() as u64 {
        return Err(malformed(format!("count {count} and {} bytes", bytes.len())));
    }
    let starts: Vec<_> = pairs.iter().map(|[compressed, data]| (*compressed, *data)).collect();
    // The end block, which some writers list, has no data.
    if !starts.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1) {
        return Err(malformed("offsets that do not grow".into()));
    }
    Ok(Some(starts))
}

/// Whether blocks start where a `.gzi` index says, at some of its entries.
///
/// Entries past the end of the file fit: the file is truncated then, which walking its last
/// blocks tells.
pub(super) fn gzi_fits(file: &mut File, starts: &[(u64, u64)]) -> io::Result<bool> {
    let step = starts.len().div_ceil(CHECKED_CONTIGS).max(1);
    let size = file.metadata()?.len();
    for (i, (compressed, _)) in starts.iter().enumerate() {
        let looked_at = i % step == 0 || i + 1 == starts.len();
        if looked_at && *compressed < size && !bgzip::is_block_start(file, *compressed)? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &[u8], fai: &str, older: bool) -> Verdict {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.fa");
        fs::write(&path, text).unwrap();
        let fai_path = folder.path().join("x.fa.fai");
        fs::write(&fai_path, fai).unwrap();
        let mut source = Source::plain(File::open(&path).unwrap(), &path).unwrap();
        judge(&FastaIndex::read(&fai_path).unwrap(), &mut source, older).unwrap()
    }

    const FASTA: &[u8] = b">a x\nACGT\nAC\n>bb\nACGT\n\n";
    const FAI: &str = "a\t6\t5\t4\t5\nbb\t4\t17\t4\t5\n";

    #[test]
    fn an_index_of_the_file_fits_also_without_its_last_line_end() {
        assert_eq!(verdict(FASTA, FAI, true), Verdict::Fits);
        assert_eq!(verdict(&FASTA[..21], FAI, true), Verdict::Fits);
        let empty = "a\t0\t3\t0\t0\nb\t0\t6\t0\t0\n";
        assert_eq!(verdict(b">a\n>b\n", empty, true), Verdict::Fits);
        assert_eq!(verdict(b">a\n>b", "a\t0\t3\t0\t0\nb\t0\t5\t0\t0\n", true), Verdict::Fits);
    }

    #[test]
    fn an_index_of_another_file_is_stale() {
        let stale: &[(&[u8], &str)] = &[
            (b">a xy\nACGT\nAC\n>bb\nACGT\n", "its header is not where the index says"),
            (b">A x\nACGT\nAC\n>bb\nACGT\n", "its header is not where the index says"),
            (b">a x\nACGTA\nC\n>bb\nACGT\n", "its first line does not end"),
            (b">a x\nACGT\nACG\n>b\nACGT\n", "it goes on where the index says that it ends"),
        ];
        for (text, why) in stale {
            let verdict = verdict(text, FAI, false);
            assert!(matches!(&verdict, Verdict::Stale(w) if w.contains(why)), "{verdict:?}");
        }
    }

    #[test]
    fn a_contig_added_later_makes_an_older_index_stale_but_a_chosen_part_is_legal() {
        let more = [FASTA, b">c\nAC\n"].concat();
        assert!(matches!(verdict(&more, FAI, true), Verdict::Stale(_)));
        assert_eq!(verdict(&more, FAI, false), Verdict::Fits);
        assert_eq!(verdict(FASTA, "bb\t4\t17\t4\t5\n", true), Verdict::Fits);
    }

    #[test]
    fn a_file_that_ends_early_is_truncated() {
        for end in [19, 13, 8] {
            let contig = if end < 12 { "a" } else { "bb" }.to_owned();
            let truncated = Verdict::Truncated { contig, expected: 21 };
            assert_eq!(verdict(&FASTA[..end], FAI, true), truncated, "cut at {end}");
        }
    }
}
