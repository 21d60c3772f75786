//! Region strings: `chr1:1,000-2,000`, 1-based and closed (formats.md 1).

use super::regions::{Origin, Region, unknown_contig};
use super::{ContigId, Interval, Resolver};
use crate::error::{Error, Result};
use std::ops::RangeInclusive;
use std::sync::Once;

/// Reads a region string: `name`, `name:beg-end`, `name:beg-` (to the end of the contig) or
/// `name:pos` (one base), 1-based and closed, with or without commas in the numbers.
///
/// Names may hold `:` and `-`; where it is not clear what is the name, `{name}:beg-end` is. An end
/// past the contig is cut, which is logged.
///
/// # Errors
/// An unknown or ambiguous contig, a string that can be read in two ways, a start of 0, past the
/// end or past the contig, a contig without bases.
pub fn parse_region(text: &str, resolver: &Resolver) -> Result<Region> {
    let text = text.trim();
    let (contig, range) = split(text, resolver)?;
    let (name, length) = (resolver.contigs().name(contig), resolver.contigs().length(contig));
    let bad = |what: &str| {
        Error::new(format!("region `{text}`: {what}"))
            .expected(format!("bases 1 to {length} of `{name}`, counted from 1"))
    };
    let range = range.unwrap_or(Range { first: 1, last: Last::ContigEnd });
    let first = range.first;
    let last = match range.last {
        Last::Same => {
            static SAID: Once = Once::new();
            SAID.call_once(|| {
                tracing::info!(
                    "region `{text}` is the one base {first}; write `{first}-` for all from it on"
                );
            });
            first
        }
        Last::ContigEnd => length,
        Last::At(last) => last,
    };
    if first == 0 {
        return Err(bad("the first base is number 1, not 0"));
    }
    if length == 0 {
        return Err(bad("the contig has no bases"));
    }
    if first > length {
        return Err(bad("it starts after the end of the contig"));
    }
    if last < first {
        return Err(bad("its end is before its start"));
    }
    if last > length {
        tracing::info!("region `{text}` is cut at the end of contig `{name}`, base {length}");
    }
    Ok(Region {
        interval: Interval { contig, start: first - 1, end: last.min(length) },
        name: Some(text.to_owned()),
        strand: None,
        summit: None,
        origin: Origin::Request,
    })
}

/// The numbers of a region string, 1-based.
struct Range {
    first: u64,
    last: Last,
}

enum Last {
    Same,
    ContigEnd,
    At(u64),
}

impl Range {
    /// `beg-end`, `beg-` or `pos`.
    fn parse(text: &str) -> Option<Self> {
        let (first, last) = match text.split_once('-') {
            None => (text, Last::Same),
            Some((first, "")) => (first, Last::ContigEnd),
            Some((first, last)) => (first, Last::At(number(last)?)),
        };
        Some(Self { first: number(first)?, last })
    }
}

/// A whole number with or without commas, at most 2^63 - 1.
fn number(text: &str) -> Option<u64> {
    const NUMBER: RangeInclusive<char> = '0'..='9';
    let digits: String = text.chars().filter(|c| *c != ',').collect();
    let is_number = text.starts_with(|c| NUMBER.contains(&c))
        && text.ends_with(|c| NUMBER.contains(&c))
        && digits.chars().all(|c| NUMBER.contains(&c));
    digits.parse().ok().filter(|n| is_number && i64::try_from(*n).is_ok())
}

/// The contig and the numbers, by the rules of formats.md 1.
fn split(text: &str, resolver: &Resolver) -> Result<(ContigId, Option<Range>)> {
    if let Some(rest) = text.strip_prefix('{')
        && let Some((name, rest)) = rest.rsplit_once('}')
    {
        let contig = resolver.resolve(name)?.ok_or_else(|| unknown_contig(name, resolver))?;
        let range = match rest.strip_prefix(':') {
            None if rest.is_empty() => None,
            range => Some(range.and_then(Range::parse).ok_or_else(|| unreadable(text))?),
        };
        return Ok((contig, range));
    }
    let whole = resolver.resolve(text)?;
    let mut part = None;
    // The part of a string that looks most like a name, for the message if none is known.
    let mut likely_name = text;
    for (colon, _) in text.rmatch_indices(':') {
        let (name, range) = (&text[..colon], Range::parse(&text[colon + 1..]));
        if likely_name == text && range.is_some() {
            likely_name = name;
        }
        if let Some(contig) = resolver.resolve(name)? {
            match range {
                Some(range) => part = Some((contig, Some(range))),
                None if whole.is_none() => return Err(unreadable(text)),
                None => {}
            }
            break;
        }
    }
    match (whole, part) {
        (Some(contig), None) => Ok((contig, None)),
        (None, Some(part)) => Ok(part),
        (None, None) => Err(unknown_contig(likely_name, resolver)),
        (Some(whole), Some((part, _))) => {
            let names = [whole, part].map(|id| resolver.contigs().name(id));
            Err(Error::new(format!("region `{text}` can be read in two ways"))
                .found(format!("contigs `{}` and `{}`", names[0], names[1]))
                .remedy(format!(
                    "put the name in braces: `{{{}}}` or `{{{}}}:beg-end`",
                    names[0], names[1]
                )))
        }
    }
}

fn unreadable(text: &str) -> Error {
    Error::new(format!("region `{text}`: the part after the contig's name is no range"))
        .expected("`name`, `name:beg-end`, `name:beg-` or `name:pos`, counted from 1")
}

#[cfg(test)]
mod tests {
    use super::super::Contigs;
    use super::*;

    fn resolver() -> Resolver {
        let names = ["chr1", "HLA-A*01:01", "HLA-A*01:01:2-4", "HLA-DRB1*08:03:02", "empty", "a:b"];
        let list = names.map(|name| (name.to_owned(), if name == "empty" { 0 } else { 5000 }));
        Resolver::new(&Contigs::new(list.into()), None).unwrap()
    }

    #[test]
    fn region_strings_are_one_based_and_closed() {
        for (text, contig, start, end) in [
            ("chr1", 0, 0, 5000),
            ("chr1:1-10", 0, 0, 10),
            ("1:1,001-2,000", 0, 1000, 2000),
            ("chr1:10-10", 0, 9, 10),
            ("chr1:5000", 0, 4999, 5000),
            ("chr1:4,990-", 0, 4989, 5000),
            ("chr1:4990-6000", 0, 4989, 5000),
            (" chr1:7 ", 0, 6, 7),
            ("HLA-A*01:01", 1, 0, 5000),
            ("HLA-A*01:01:3-4", 1, 2, 4),
            ("HLA-DRB1*08:03:02", 3, 0, 5000),
            ("HLA-DRB1*08:03:02:5-6", 3, 4, 6),
            ("{HLA-A*01:01}:2-4", 1, 1, 4),
            ("{HLA-A*01:01:2-4}", 2, 0, 5000),
            ("{HLA-A*01:01:2-4}:2-4", 2, 1, 4),
            ("a:b:3-3", 5, 2, 3),
        ] {
            let region = parse_region(text, &resolver()).unwrap();
            assert_eq!(
                region.interval,
                Interval { contig: ContigId(contig), start, end },
                "{text}"
            );
            assert_eq!(region.name.as_deref(), Some(text.trim()));
        }
    }

    #[test]
    fn bad_region_strings_say_why() {
        for (text, message) in [
            ("HLA-A*01:01:2-4", "can be read in two ways (found contigs `HLA-A*01:01:2-4` and"),
            ("chr1:0-10", "the first base is number 1, not 0 (expected bases 1 to 5000 of `chr1`"),
            ("chr1:20-10", "its end is before its start"),
            ("chr1:5001-5002", "it starts after the end of the contig"),
            ("chr1:ten-20", "the part after the contig's name is no range"),
            ("chr1:-20", "the part after the contig's name is no range"),
            ("chr1:1-2-3", "the part after the contig's name is no range"),
            ("chr1:,1-2", "the part after the contig's name is no range"),
            ("chr1:1-99999999999999999999", "the part after the contig's name is no range"),
            ("{chr1}7", "the part after the contig's name is no range"),
            ("empty", "the contig has no bases"),
            ("chr2:1-10", "contig `chr2` is not in the reference (expected one of chr1, HLA"),
            ("chr2", "contig `chr2` is not in the reference"),
            ("", "contig `` is not in the reference"),
        ] {
            let error = parse_region(text, &resolver()).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
