//! Lines of VCF to records of BCF.

use super::dictionary::{Dictionary, Type};
use super::value::{END_FLOAT, Item, Kind, LONG, MISSING_FLOAT};
use crate::error::{Error, Result};
use std::str;

/// Turns a line of VCF, whose bases for an index are `[start, end)` (0-based), into a record of
/// BCF.
///
/// # Errors
/// What the header does not declare, or declares to be of another type.
pub fn encode(line: &[u8], (start, end): (u64, u64), names: &Dictionary) -> Result<Vec<u8>> {
    let line = str::from_utf8(line).map_err(|_| {
        Error::new("a record with bytes that are not UTF-8 cannot be BCF")
            .remedy("write .vcf.gz, which keeps every byte")
    })?;
    let columns: Vec<&str> = line.split('\t').collect();
    let [chrom, pos, id, reference, alternates, quality, filters, info, ref rest @ ..] =
        columns[..]
    else {
        return Err(Error::new("too few columns in a VCF record").found(columns.len()));
    };
    let unfit =
        |what: &str, found: &str| Error::new(format!("{what} does not fit BCF")).found(found);
    let contig = names.contigs.number(chrom).ok_or_else(|| {
        Error::new(format!("contig `{chrom}` is not in the header"))
            .remedy("add a ##contig line, or give the input as a file and not through a pipe")
    })?;
    // POS 0 is -1 here.
    let pos: i64 = pos.parse().map_err(|_| unfit("POS", pos))?;
    let start_in_file = i32::try_from(pos - 1).map_err(|_| unfit("POS", &pos.to_string()))?;
    let length = i32::try_from(end - start).map_err(|_| unfit("END", &end.to_string()))?;
    let alternates: Vec<&str> = match alternates {
        "." => Vec::new(),
        several => several.split(',').collect(),
    };
    let info: Vec<&str> = info.split(';').filter(|field| !matches!(*field, "" | ".")).collect();
    let formats: Vec<&str> = match rest.first() {
        None | Some(&".") => Vec::new(),
        Some(keys) => keys.split(':').collect(),
    };

    let mut shared = Vec::new();
    for number in [contig, start_in_file, length] {
        shared.extend(number.to_le_bytes());
    }
    match quality {
        "." => shared.extend(MISSING_FLOAT.to_le_bytes()),
        text => shared.extend(number::<f32>(text, "QUAL")?.to_le_bytes()),
    }
    let counts = [1 + alternates.len(), info.len(), formats.len(), names.samples];
    let [alleles, fields, keys, samples] = counts;
    let count = |number: usize, most: u32, what: &str| {
        let number = u32::try_from(number).ok().filter(|&number| number <= most);
        number.ok_or_else(|| unfit(what, &number.map_or("too many".into(), |n| n.to_string())))
    };
    let alleles = count(alleles, 0xffff, "the number of alleles")? << 16;
    shared.extend((alleles | count(fields, 0xffff, "the number of INFO fields")?).to_le_bytes());
    let keys = count(keys, 0xff, "the number of FORMAT keys")? << 24;
    shared.extend((keys | count(samples, 0x00ff_ffff, "the number of samples")?).to_le_bytes());
    put_text(if id == "." { "" } else { id }, &mut shared);
    for allele in std::iter::once(&reference).chain(&alternates) {
        put_text(allele, &mut shared);
    }
    put_filters(filters, names, &mut shared)?;
    for field in info {
        put_info(field, names, &mut shared)?;
    }
    let mut individual = Vec::new();
    if names.samples > 0 {
        put_samples(&formats, rest.get(1..).unwrap_or_default(), names, &mut individual)?;
    }
    let mut record = Vec::with_capacity(8 + shared.len() + individual.len());
    for part in [&shared, &individual] {
        let size = u32::try_from(part.len());
        record.extend(size.map_err(|_| unfit("the size of the record", "4 GiB"))?.to_le_bytes());
    }
    record.extend(shared);
    record.extend(individual);
    Ok(record)
}

fn number<T: str::FromStr>(text: &str, what: &str) -> Result<T> {
    text.parse().map_err(|_| {
        Error::new(format!("{what} is not of the type that the header declares")).found(text)
    })
}

fn put_descriptor(kind: Kind, length: usize, bytes: &mut Vec<u8>) {
    match u8::try_from(length) {
        Ok(short) if short < LONG => bytes.push(short << 4 | kind.number()),
        _ => {
            bytes.push(LONG << 4 | kind.number());
            // A line is far shorter than 2 GiB, so that its lists are, too.
            put_integers(&[Item::Value(i32::try_from(length).unwrap_or(i32::MAX))], bytes);
        }
    }
}

fn put_text(text: &str, bytes: &mut Vec<u8>) {
    put_descriptor(Kind::Char, text.len(), bytes);
    bytes.extend(text.as_bytes());
}

fn put_integers(items: &[Item<i32>], bytes: &mut Vec<u8>) {
    let kind = kind_of(items);
    put_descriptor(kind, items.len(), bytes);
    for item in items {
        kind.put_integer(*item, bytes);
    }
}

fn kind_of(items: &[Item<i32>]) -> Kind {
    Kind::of_integers(items.iter().filter_map(|item| match item {
        Item::Value(number) => Some(*number),
        Item::Missing | Item::End => None,
    }))
}

fn put_float(item: Item<f32>, bytes: &mut Vec<u8>) {
    let bits = match item {
        Item::Value(number) => number.to_bits(),
        Item::Missing => MISSING_FLOAT,
        Item::End => END_FLOAT,
    };
    bytes.extend(bits.to_le_bytes());
}

/// The elements of a list separated by commas.
fn items<T: str::FromStr>(text: &str, key: &str) -> Result<Vec<Item<T>>> {
    let item = |text| match text {
        "." => Ok(Item::Missing),
        text => number(text, key).map(Item::Value),
    };
    text.split(',').map(item).collect()
}

fn put_filters(filters: &str, names: &Dictionary, bytes: &mut Vec<u8>) -> Result<()> {
    if filters == "." {
        put_descriptor(Kind::Nothing, 0, bytes);
        return Ok(());
    }
    let numbers = filters.split(';').filter(|name| !name.is_empty()).map(|name| {
        let number = names.strings.number(name).map(Item::Value);
        number.ok_or_else(|| undeclared("FILTER", name))
    });
    put_integers(&numbers.collect::<Result<Vec<_>>>()?, bytes);
    Ok(())
}

fn undeclared(kind: &str, name: &str) -> Error {
    Error::new(format!("{kind} `{name}` is not declared in the header"))
        .remedy(format!("add a ##{kind} line to the header, or write .vcf.gz"))
}

fn put_info(field: &str, names: &Dictionary, bytes: &mut Vec<u8>) -> Result<()> {
    let (key, value) = match field.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (field, None),
    };
    let (Some(number), Some(of)) = (names.strings.number(key), names.info.get(key)) else {
        return Err(undeclared("INFO", key));
    };
    put_integers(&[Item::Value(number)], bytes);
    match (of, value) {
        (_, None) => put_descriptor(Kind::Nothing, 0, bytes),
        (Type::Flag, Some(value)) => {
            return Err(Error::new(format!("`{key}` is declared to be a flag and has a value"))
                .found(value)
                .remedy("correct its ##INFO line, or write .vcf.gz"));
        }
        (Type::Integer, Some(value)) => put_integers(&items(value, key)?, bytes),
        (Type::Float, Some(value)) => {
            let list = items(value, key)?;
            put_descriptor(Kind::Float, list.len(), bytes);
            list.into_iter().for_each(|item| put_float(item, bytes));
        }
        (Type::Text, Some(value)) => put_text(value, bytes),
    }
    Ok(())
}

fn put_samples(
    keys: &[&str],
    samples: &[&str],
    names: &Dictionary,
    bytes: &mut Vec<u8>,
) -> Result<()> {
    if samples.len() != names.samples {
        return Err(Error::new("a record with another number of samples than the header")
            .found(samples.len())
            .expected(names.samples));
    }
    let cells: Vec<Vec<&str>> = samples.iter().map(|sample| sample.split(':').collect()).collect();
    for (place, key) in keys.iter().enumerate() {
        let (Some(number), Some(of)) = (names.strings.number(key), names.format.get(*key)) else {
            return Err(undeclared("FORMAT", key));
        };
        put_integers(&[Item::Value(number)], bytes);
        let cells: Vec<&str> =
            cells.iter().map(|sample| sample.get(place).copied().unwrap_or(".")).collect();
        match of {
            _ if *key == "GT" => {
                let lists = cells.iter().map(|cell| genotype(cell));
                put_lists(lists.collect::<Result<Vec<_>>>()?, bytes);
            }
            Type::Integer => {
                let lists = cells.iter().map(|cell| items(cell, key));
                put_lists(lists.collect::<Result<Vec<_>>>()?, bytes);
            }
            Type::Float => {
                let lists = cells.iter().map(|cell| items(cell, key));
                let lists = lists.collect::<Result<Vec<_>>>()?;
                let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
                put_descriptor(Kind::Float, longest, bytes);
                for mut list in lists {
                    list.resize(longest, Item::End);
                    list.into_iter().for_each(|item| put_float(item, bytes));
                }
            }
            Type::Text | Type::Flag => {
                let longest = cells.iter().map(|cell| cell.len()).max().unwrap_or(0);
                put_descriptor(Kind::Char, longest, bytes);
                for cell in cells {
                    bytes.extend(cell.as_bytes());
                    bytes.resize(bytes.len() + longest - cell.len(), 0);
                }
            }
        }
    }
    Ok(())
}

/// Lists of whole numbers, one per sample, all as long as the longest.
fn put_lists(mut lists: Vec<Vec<Item<i32>>>, bytes: &mut Vec<u8>) {
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    lists.iter_mut().for_each(|list| list.resize(longest, Item::End));
    let all = lists.concat();
    let kind = kind_of(&all);
    put_descriptor(kind, longest, bytes);
    all.into_iter().for_each(|item| kind.put_integer(item, bytes));
}

/// Alleles as numbers from 1 in the upper bits, the phase with the allele before in the lowest.
fn genotype(text: &str) -> Result<Vec<Item<i32>>> {
    let mut list = Vec::new();
    let mut phased = 0;
    let mut rest = text;
    loop {
        let end = rest.find(['/', '|']).unwrap_or(rest.len());
        let allele = match &rest[..end] {
            "." => 0,
            allele => {
                let number = number::<i32>(allele, "GT")?;
                number
                    .checked_add(1)
                    .filter(|n| (1..1 << 30).contains(n))
                    .ok_or_else(|| Error::new("a genotype that does not fit BCF").found(text))?
            }
        };
        list.push(Item::Value(allele << 1 | phased));
        let Some(separator) = rest[end..].chars().next() else { return Ok(list) };
        phased = i32::from(separator == '|');
        rest = &rest[end + 1..];
    }
}
