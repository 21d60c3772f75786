//! Records of BCF to lines of VCF.

use super::dictionary::{Dictionary, Type};
use super::value::{Item, Kind, LONG, floats, integers};
use std::fmt::Display;
use std::io::Write;

/// How a BCF file begins; the second 2 is the minor version, of which 1 is the same.
pub(in crate::genome::variants) const MAGIC: &[u8] = b"BCF\x02";

/// The lines of a header without the numbers that only BCF has.
pub(in crate::genome::variants) fn header_lines(text: &[u8]) -> Vec<Vec<u8>> {
    let text = text.split(|&b| b == 0).next().unwrap_or_default();
    let lines = text.split(|&b| b == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec()).collect()
}

/// What is wrong with the bytes of a record.
pub(super) type Decoded<T> = std::result::Result<T, String>;

/// Bytes that are taken from the front.
struct Bytes<'a>(&'a [u8]);

/// A list of values as it lies in the file.
struct Typed<'a> {
    kind: Kind,
    bytes: &'a [u8],
}

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Decoded<&'a [u8]> {
        let Some((taken, rest)) = self.0.split_at_checked(count) else {
            return Err(format!("it ends {} bytes too early", count - self.0.len()));
        };
        self.0 = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Decoded<u32> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// A type and how many elements of it follow.
    fn descriptor(&mut self) -> Decoded<(Kind, usize)> {
        let byte = self.take(1)?[0];
        let kind = Kind::of(byte & 15).ok_or_else(|| format!("there is no type {}", byte & 15))?;
        let length = match byte >> 4 {
            LONG => match self.typed()?.integer() {
                Some(length) => usize::try_from(length).map_err(|_| "a negative length")?,
                None => return Err("a length that is no number".into()),
            },
            short => usize::from(short),
        };
        Ok((kind, length))
    }

    fn typed(&mut self) -> Decoded<Typed<'a>> {
        let (kind, length) = self.descriptor()?;
        let bytes = self.take(length.checked_mul(kind.size()).ok_or("a length beyond measure")?)?;
        Ok(Typed { kind, bytes })
    }
}

impl Typed<'_> {
    /// The one number that it holds.
    fn integer(&self) -> Option<i32> {
        let is_integer = matches!(self.kind, Kind::Int8 | Kind::Int16 | Kind::Int32);
        match integers(self.kind, self.bytes).next().filter(|_| is_integer)? {
            Item::Value(number) => Some(number),
            Item::Missing | Item::End => None,
        }
    }

    /// Adds the values as VCF writes them, `.` for none.
    fn print(&self, line: &mut Vec<u8>) {
        match self.kind {
            Kind::Nothing => line.push(b'.'),
            Kind::Int8 | Kind::Int16 | Kind::Int32 => {
                print_list(integers(self.kind, self.bytes), line, |number| number.to_string());
            }
            Kind::Float => print_list(floats(self.bytes), line, print_float),
            Kind::Char => {
                let text = self.bytes.split(|&b| b == 0).next().unwrap_or_default();
                line.extend(if text.is_empty() { b"." } else { text });
            }
        }
    }

    /// Adds alleles and phase of a genotype.
    fn print_genotype(&self, line: &mut Vec<u8>) {
        let from = line.len();
        for item in integers(self.kind, self.bytes) {
            let number = match item {
                Item::Value(number) => number,
                Item::Missing => 0,
                Item::End => break,
            };
            if line.len() > from {
                line.push(if number & 1 == 1 { b'|' } else { b'/' });
            }
            match number >> 1 {
                0 => line.push(b'.'),
                allele => put(line, allele - 1),
            }
        }
        if line.len() == from {
            line.push(b'.');
        }
    }
}

fn print_list<T>(
    items: impl Iterator<Item = Item<T>>,
    line: &mut Vec<u8>,
    text: impl Fn(T) -> String,
) {
    let from = line.len();
    for item in items {
        let text = match item {
            Item::Value(value) => text(value),
            Item::Missing => ".".into(),
            Item::End => break,
        };
        if line.len() > from {
            line.push(b',');
        }
        line.extend(text.as_bytes());
    }
    if line.len() == from {
        line.push(b'.');
    }
}

/// The shortest text that stands for this number and no other.
fn print_float(number: f32) -> String {
    let size = number.abs();
    if size != 0.0 && size.is_finite() && !(1e-4..1e9).contains(&size) {
        format!("{number:e}")
    } else {
        number.to_string()
    }
}

fn put(line: &mut Vec<u8>, value: impl Display) {
    write!(line, "{value}").expect("a vector takes everything");
}

/// Turns the two parts of a record into a line of VCF.
///
/// # Errors
/// Bytes that are no record of a file with this header: what is wrong with them.
pub(in crate::genome::variants) fn decode(
    shared: &[u8],
    individual: &[u8],
    names: &Dictionary,
) -> Decoded<Vec<u8>> {
    let mut shared = Bytes(shared);
    let contig = shared.u32()?.cast_signed();
    let pos = i64::from(shared.u32()?.cast_signed()) + 1;
    let _length = shared.u32()?;
    let quality = Typed { kind: Kind::Float, bytes: shared.take(4)? };
    let (alleles_and_info, formats_and_samples) = (shared.u32()?, shared.u32()?);
    let (alleles, fields) = (alleles_and_info >> 16, alleles_and_info & 0xffff);
    let (formats, samples) = (formats_and_samples >> 24, formats_and_samples & 0x00ff_ffff);
    let contig =
        names.contigs.name(contig).ok_or_else(|| format!("the header has no contig {contig}"))?;
    let mut line = contig.as_bytes().to_vec();
    put(&mut line, format_args!("\t{pos}\t"));
    shared.typed()?.print(&mut line);
    for allele in 0..alleles {
        line.push(if allele < 2 { b'\t' } else { b',' });
        shared.typed()?.print(&mut line);
    }
    line.extend(match alleles {
        0 => &b"\t.\t.\t"[..],
        1 => b"\t.\t",
        _ => b"\t",
    });
    quality.print(&mut line);
    line.push(b'\t');
    let filters = shared.typed()?;
    print_filters(&filters, names, &mut line)?;
    line.push(b'\t');
    for field in 0..fields {
        if field > 0 {
            line.push(b';');
        }
        let key = key(&shared.typed()?, names)?;
        line.extend(key.as_bytes());
        let value = shared.typed()?;
        if names.info.get(key) != Some(&Type::Flag) && value.kind != Kind::Nothing {
            line.push(b'=');
            value.print(&mut line);
        }
    }
    if fields == 0 {
        line.push(b'.');
    }
    if names.samples > 0 {
        let samples = usize::try_from(samples).map_err(|_| "too many samples")?;
        print_samples(Bytes(individual), formats, samples, names, &mut line)?;
    }
    Ok(line)
}

fn key<'a>(number: &Typed<'_>, names: &'a Dictionary) -> Decoded<&'a str> {
    let number = number.integer().ok_or("a key that is no number")?;
    names.strings.name(number).ok_or_else(|| format!("the header has no key {number}"))
}

fn print_filters(filters: &Typed<'_>, names: &Dictionary, line: &mut Vec<u8>) -> Decoded<()> {
    let from = line.len();
    for item in integers(filters.kind, filters.bytes) {
        let Item::Value(number) = item else { break };
        let name = names.strings.name(number);
        let name = name.ok_or_else(|| format!("the header has no filter {number}"))?;
        if line.len() > from {
            line.push(b';');
        }
        line.extend(name.as_bytes());
    }
    if line.len() == from {
        line.push(b'.');
    }
    Ok(())
}

fn print_samples(
    mut bytes: Bytes<'_>,
    formats: u32,
    samples: usize,
    names: &Dictionary,
    line: &mut Vec<u8>,
) -> Decoded<()> {
    if samples != names.samples && formats > 0 {
        return Err(format!("{samples} samples where the header names {}", names.samples));
    }
    let mut columns: Vec<(&str, Kind, usize, &[u8])> = Vec::new();
    for _ in 0..formats {
        let name = key(&bytes.typed()?, names)?;
        let (kind, length) = bytes.descriptor()?;
        let each = length.checked_mul(kind.size()).ok_or("a length beyond measure")?;
        let all = bytes.take(each.checked_mul(samples).ok_or("a length beyond measure")?)?;
        columns.push((name, kind, each, all));
    }
    let listed: Vec<&str> = columns.iter().map(|(name, ..)| *name).collect();
    let listed = if listed.is_empty() { ".".to_owned() } else { listed.join(":") };
    put(line, format_args!("\t{listed}"));
    for sample in 0..names.samples {
        line.push(b'\t');
        for (place, (name, kind, each, all)) in columns.iter().enumerate() {
            if place > 0 {
                line.push(b':');
            }
            let value = Typed { kind: *kind, bytes: &all[sample * each..(sample + 1) * each] };
            let is_integer = matches!(kind, Kind::Int8 | Kind::Int16 | Kind::Int32);
            if *name == "GT" && is_integer {
                value.print_genotype(line);
            } else {
                value.print(line);
            }
        }
        if columns.is_empty() {
            line.push(b'.');
        }
    }
    Ok(())
}
