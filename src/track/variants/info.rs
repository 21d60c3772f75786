//! How text is added to the INFO column of records that are otherwise left as they are
//! (splice-scoring.md B6).

use crate::error::{Error, Result};
use crate::genome::variants::{Header, Record, info_column};
use std::path::Path;

/// The keys of INFO that a run adds, and what becomes of those that are there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InfoKeys {
    keys: Vec<String>,
    overwrite: bool,
}

impl InfoKeys {
    /// Keys to add; with `overwrite` they are removed first where they are there already.
    pub fn new(keys: Vec<String>, overwrite: bool) -> Self {
        Self { keys, overwrite }
    }

    /// Removes the keys from a header, or refuses them.
    ///
    /// # Errors
    /// A key that is declared already and is not to be overwritten.
    pub fn clear_header(&self, header: &mut Header, path: &Path) -> Result<()> {
        for key in &self.keys {
            while let Some(place) = header.info_line(key) {
                if !self.overwrite {
                    let line = u64::try_from(place + 1).unwrap_or(u64::MAX);
                    return Err(self.taken(key).at(path).line(line));
                }
                header.lines.remove(place);
            }
        }
        Ok(())
    }

    /// The line of a record with `text` (fields of INFO separated by `;`, or nothing) added.
    ///
    /// # Errors
    /// A key that the record has already and that is not to be overwritten.
    pub fn add(&self, record: &Record, text: &str) -> Result<Vec<u8>> {
        let line = &record.text;
        let Some(column) = info_column(line) else {
            return Err(Error::new("a record without an INFO column").line(record.variant.line));
        };
        let (before, info, after) =
            (&line[..column.start], &line[column.clone()], &line[column.end..]);
        let is_ours = |field: &[u8]| {
            let key = field.split(|&b| b == b'=').next().unwrap_or_default();
            self.keys.iter().find(|ours| ours.as_bytes() == key)
        };
        let mut fields: Vec<&[u8]> = Vec::new();
        for field in info.split(|&b| b == b';') {
            match is_ours(field) {
                Some(key) if !self.overwrite => {
                    return Err(self.taken(key).line(record.variant.line));
                }
                Some(_) => {}
                None => fields.push(field),
            }
        }
        // `.` stands for no field at all.
        if matches!(fields[..], [b"." | b""]) && !text.is_empty() {
            fields.clear();
        }
        if !text.is_empty() {
            fields.push(text.as_bytes());
        }
        let info = if fields.is_empty() { b".".to_vec() } else { fields.join(&b';') };
        Ok([before, &info, after].concat())
    }

    fn taken(&self, key: &str) -> Error {
        Error::new(format!("INFO has the key `{key}` already"))
            .expected("a file that is not annotated yet")
            .remedy("replace what is there with --overwrite-info")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::Variant;

    fn record(info: &str) -> Record {
        let text = format!("1\t5\t.\tA\tC\t.\t.\t{info}\tGT\t0/1").into_bytes();
        let variant = Variant {
            line: 9,
            chrom: "1".into(),
            contig: None,
            pos: 5,
            reference: "A".into(),
            alternates: vec!["C".into()],
        };
        Record { variant, text, crlf: false, row: Vec::new() }
    }

    #[test]
    fn text_is_added_and_nothing_else_changes() {
        let keys = InfoKeys::new(vec!["S".into(), "S_SKIP".into()], true);
        for (info, text, expected) in [
            (".", "S=1", "S=1"),
            ("", "S=1", "S=1"),
            ("AC=1;DB", "S=1;S_SKIP=x", "AC=1;DB;S=1;S_SKIP=x"),
            ("AC=1", "", "AC=1"),
            (".", "", "."),
            ("S=0;AC=1;S_SKIP;SS=2", "S=1", "AC=1;SS=2;S=1"),
            ("S=0", "", "."),
            ("AC=1;", "S=1", "AC=1;;S=1"),
        ] {
            let line = String::from_utf8(keys.add(&record(info), text).unwrap()).unwrap();
            assert_eq!(line, format!("1\t5\t.\tA\tC\t.\t.\t{expected}\tGT\t0/1"), "{info}");
        }
    }

    #[test]
    fn a_key_that_is_taken_is_refused_with_its_line() {
        let keys = InfoKeys::new(vec!["S".into()], false);
        let error = keys.add(&record("AC=1;S=0"), "S=1").unwrap_err().to_string();
        assert!(error.starts_with("line 9: INFO has the key `S` already"), "{error}");
        let lines = ["##fileformat=VCFv4.2", "##INFO=<ID=S,Number=.>", "#CHROM"];
        let lines = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
        let mut header = Header { lines, ..Header::default() };
        let path = Path::new("x.vcf");
        let error = keys.clear_header(&mut header.clone(), path).unwrap_err().to_string();
        assert!(error.starts_with("x.vcf:2: INFO has"), "{error}");
        InfoKeys::new(vec!["S".into()], true).clear_header(&mut header, path).unwrap();
        assert_eq!(header.lines.len(), 2);
    }
}
