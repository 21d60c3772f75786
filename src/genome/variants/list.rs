//! Variants given one by one: `chr1:69511:A:G`.

use super::names::ContigNames;
use super::{Record, line};
use crate::error::{Error, Result};

/// Reads `CONTIG:POS:REF:ALT`, POS 1-based, several ALT alleles separated by commas. The contig's
/// name may hold `:`.
///
/// # Errors
/// Another number of parts; bad parts, as in a file (usage).
pub(super) fn parse(text: &str, number: u64, names: &mut ContigNames) -> Result<Record> {
    let malformed = || {
        Error::usage("a variant that cannot be read")
            .found(text)
            .expected("CONTIG:POS:REF:ALT, such as chr1:69511:A:G, POS counted from 1")
    };
    let mut parts = text.trim().rsplitn(4, ':');
    let mut next = || parts.next().filter(|part| !part.is_empty()).ok_or_else(malformed);
    let (alternates, reference, pos) = (next()?, next()?, next()?.replace(',', ""));
    let chrom = next()?;
    let columns = [chrom, &pos, reference, alternates].map(str::as_bytes);
    let variant = line::variant(columns, number, names).map_err(|error| {
        Error::usage(format!("variant `{text}`: {error}"))
            .expected("CONTIG:POS:REF:ALT, such as chr1:69511:A:G, POS counted from 1")
    })?;
    let text = format!("{chrom}\t{pos}\t.\t{reference}\t{alternates}\t.\t.\t.").into_bytes();
    Ok(Record { variant, text, crlf: false, row: Vec::new() })
}
