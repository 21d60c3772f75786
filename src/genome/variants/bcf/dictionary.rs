//! What the numbers of a BCF file stand for: contigs and keys in the order of the header.

use super::super::Variant;
use super::super::header::{Header, Meta};
use crate::error::{Error, Result};
use crate::genome::Contigs;
use std::collections::{BTreeMap, HashMap};

/// Most entries that an explicit number (`IDX=`) may ask room for.
const MOST: usize = 1 << 24;

/// How the values of a key are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Flag,
    Integer,
    Float,
    /// Also single characters.
    Text,
}

/// The numbered names of a header.
#[derive(Debug, Clone, Default)]
pub struct Dictionary {
    pub(super) contigs: Names,
    /// FILTER, INFO and FORMAT share numbers; 0 is PASS.
    pub(super) strings: Names,
    pub(super) info: HashMap<String, Type>,
    pub(super) format: HashMap<String, Type>,
    pub(super) samples: usize,
}

/// Names by number and numbers by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    list: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Names {
    fn add(&mut self, name: &str, place: Option<usize>) -> Result<()> {
        if self.numbers.contains_key(name) {
            return Ok(());
        }
        let place = place.unwrap_or(self.list.len());
        if place >= MOST {
            return Err(Error::new("a number in the header is too large").found(place));
        }
        if place >= self.list.len() {
            self.list.resize(place + 1, String::new());
        }
        self.list[place] = name.to_owned();
        self.numbers.insert(name.to_owned(), place);
        Ok(())
    }

    pub(super) fn name(&self, number: i32) -> Option<&str> {
        let name = self.list.get(usize::try_from(number).ok()?)?;
        (!name.is_empty()).then_some(name)
    }

    pub(super) fn number(&self, name: &str) -> Option<i32> {
        self.numbers.get(name).and_then(|&number| i32::try_from(number).ok())
    }
}

impl Dictionary {
    /// The names of a header.
    ///
    /// # Errors
    /// A number (`IDX=`) beyond all measure.
    pub fn new(header: &Header) -> Result<Self> {
        let mut names = Self::default();
        names.strings.add("PASS", None)?;
        for (_, meta) in header.meta() {
            names.add(&meta)?;
        }
        let columns = header.lines.last().map_or(0, |l| l.split(|&b| b == b'\t').count());
        names.samples = columns.saturating_sub(9);
        Ok(names)
    }

    fn add(&mut self, meta: &Meta) -> Result<()> {
        let Some(name) = meta.get("ID") else { return Ok(()) };
        let place = meta.get("IDX").and_then(|number| number.parse().ok());
        let kind = match meta.get("Type") {
            Some("Integer") => Type::Integer,
            Some("Float") => Type::Float,
            Some("Flag") => Type::Flag,
            _ => Type::Text,
        };
        match meta.kind.as_str() {
            "contig" => return self.contigs.add(name, place),
            "INFO" => drop(self.info.insert(name.to_owned(), kind)),
            "FORMAT" => drop(self.format.insert(name.to_owned(), kind)),
            "FILTER" => {}
            _ => return Ok(()),
        }
        self.strings.add(name, place)
    }

    /// Names of contigs in the order of their numbers.
    pub fn contig_names(&self) -> &[String] {
        &self.contigs.list
    }
}

/// What records use: names by kind, each with the line where it comes first.
#[derive(Debug, Default)]
pub struct Needed {
    /// With the length of the reference's contig, where there is one.
    contigs: BTreeMap<String, Option<u64>>,
    filters: BTreeMap<String, u64>,
    info: BTreeMap<String, u64>,
    format: BTreeMap<String, u64>,
}

impl Needed {
    /// The contigs of a reference, under its own names.
    pub fn of_reference(contigs: &Contigs) -> Self {
        let contigs = contigs.iter().map(|(_, name, length)| (name.to_owned(), Some(length)));
        Self { contigs: contigs.collect(), ..Self::default() }
    }

    /// Adds a contig by its name in a variant file.
    pub fn add_contig(&mut self, name: &str, length: Option<u64>) {
        self.contigs.insert(name.to_owned(), length);
    }

    /// Adds what a record uses.
    pub fn add(&mut self, variant: &Variant, text: &[u8], contigs: &Contigs) {
        if !self.contigs.contains_key(&variant.chrom) {
            let length = variant.contig.map(|contig| contigs.length(contig));
            self.add_contig(&variant.chrom, length);
        }
        let mut columns = text.split(|&b| b == b'\t').skip(6);
        let mut names = |separator: u8, to: &mut BTreeMap<String, u64>| {
            for field in columns.next().unwrap_or_default().split(|&b| b == separator) {
                let name = field.split(|&b| b == b'=').next().unwrap_or_default();
                let name = String::from_utf8_lossy(name);
                if !matches!(&*name, "" | "." | "PASS") && !to.contains_key(&*name) {
                    to.insert(name.into_owned(), variant.line);
                }
            }
        };
        names(b';', &mut self.filters);
        names(b';', &mut self.info);
        names(b':', &mut self.format);
    }
}

/// Keys whose number and type the VCF specification fixes.
const RESERVED_INFO: [(&str, &str, &str); 12] = [
    ("AA", "1", "String"),
    ("AC", "A", "Integer"),
    ("AF", "A", "Float"),
    ("AN", "1", "Integer"),
    ("DB", "0", "Flag"),
    ("DP", "1", "Integer"),
    ("END", "1", "Integer"),
    ("MQ", "1", "Float"),
    ("NS", "1", "Integer"),
    ("SOMATIC", "0", "Flag"),
    ("SVLEN", "A", "Integer"),
    ("SVTYPE", "1", "String"),
];
const RESERVED_FORMAT: [(&str, &str, &str); 7] = [
    ("AD", "R", "Integer"),
    ("DP", "1", "Integer"),
    ("FT", "1", "String"),
    ("GQ", "1", "Integer"),
    ("GT", "1", "String"),
    ("PL", "G", "Integer"),
    ("PS", "1", "Integer"),
];

/// Adds to a header what its records use and it does not declare: BCF cannot do without.
///
/// # Errors
/// A key of INFO or FORMAT whose type nobody knows.
pub fn complete(header: &mut Header, needed: &Needed) -> Result<()> {
    let known = Dictionary::new(header)?;
    let mut lines = Vec::new();
    for (name, length) in &needed.contigs {
        if known.contigs.number(name).is_none() {
            let length = length.map_or(String::new(), |length| format!(",length={length}"));
            lines.push(format!("##contig=<ID={name}{length}>"));
        }
    }
    for name in needed.filters.keys() {
        if known.strings.number(name).is_none() {
            lines.push(format!("##FILTER=<ID={name},Description=\"Not described\">"));
        }
    }
    let kinds = [
        ("INFO", &needed.info, &known.info, &RESERVED_INFO[..]),
        ("FORMAT", &needed.format, &known.format, &RESERVED_FORMAT[..]),
    ];
    for (kind, used, declared, reserved) in kinds {
        for (name, line) in used.iter().filter(|(name, _)| !declared.contains_key(*name)) {
            let Some((_, number, of)) = reserved.iter().find(|(key, ..)| key == name) else {
                return Err(Error::new(format!("{kind} key `{name}` is not declared"))
                    .line(*line)
                    .expected("a header that gives the type of every key, for BCF")
                    .remedy(format!(
                        "add ##{kind}=<ID={name},Number=.,Type=String,Description=\"…\"> to the \
                         header, or write .vcf.gz"
                    )));
            };
            lines.push(format!(
                "##{kind}=<ID={name},Number={number},Type={of},Description=\"Not described\">"
            ));
        }
    }
    if !header.lines.first().is_some_and(|line| line.starts_with(b"##fileformat=")) {
        header.lines.insert(0, b"##fileformat=VCFv4.2".to_vec());
    }
    header.add(lines);
    Ok(())
}
