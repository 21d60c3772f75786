use super::*;
use crate::error::Result;
use crate::genome::{ContigId, Contigs, Resolver};
use crate::job::output::commit_all;
use crate::track::number::Rounding;
use crate::track::signal::{Missing, Signal, Stretch};
use crate::track::{Segment, Sink, Style};
use flate2::write::ZlibEncoder;
use proptest::prelude::*;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Bytes of a small file, written by hand in either byte order: two contigs, `b` (number 0, 1000
/// bases) and `a` (number 7, 50 bases), three sections of each kind on `b`, none on `a`.
struct ByHand {
    big: bool,
    version: u16,
    compressed: bool,
    bytes: Vec<u8>,
}

/// What the sections of [`ByHand`] say.
const SAID: [(u64, u64, f32); 6] = [
    (10, 20, 1.5),
    (20, 21, -2.0),
    (100, 105, 0.25),
    (200, 205, 0.5),
    (300, 302, 8.0),
    (303, 305, 9.0),
];

impl ByHand {
    fn new(big: bool, version: u16, compressed: bool) -> Self {
        Self { big, version, compressed, bytes: Vec::new() }
    }

    fn put<const N: usize>(&mut self, mut little: [u8; N]) {
        if self.big {
            little.reverse();
        }
        self.bytes.extend(little);
    }

    fn numbers(&mut self, numbers: &[u32]) {
        numbers.iter().for_each(|number| self.put(number.to_le_bytes()));
    }

    fn sections(&self) -> Vec<Vec<u8>> {
        let section = |start: u32, end: u32, step: u32, span: u32, kind: u8, items: &[u32]| {
            let mut part = Self::new(self.big, 0, false);
            part.numbers(&[0, start, end, step, span]);
            part.bytes.extend([kind, 0]);
            part.put(2u16.to_le_bytes());
            part.numbers(items);
            part.bytes
        };
        let f = f32::to_bits;
        let sections = [
            section(10, 21, 0, 0, 1, &[10, 20, f(1.5), 20, 21, f(-2.0)]),
            section(100, 205, 0, 5, 2, &[100, f(0.25), 200, f(0.5)]),
            section(300, 305, 3, 2, 3, &[f(8.0), f(9.0)]),
        ];
        sections.map(|section| self.compress(section)).into()
    }

    fn compress(&self, section: Vec<u8>) -> Vec<u8> {
        if !self.compressed {
            return section;
        }
        let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&section).unwrap();
        encoder.finish().unwrap()
    }

    fn file(mut self) -> Vec<u8> {
        let sections = self.sections();
        let names = HEADER;
        // names of two bytes in one leaf below a branch
        let data = names + NAMES_HEADER + (4 + 10) + (4 + 20);
        let index = data + 8 + sections.iter().map(Vec::len).sum::<usize>();
        self.numbers(&[MAGIC]);
        self.put(self.version.to_le_bytes());
        self.put(0u16.to_le_bytes());
        for offset in [names, data, index] {
            self.put((offset as u64).to_le_bytes());
        }
        self.numbers(&[0, 0, 0, 0, 0]);
        self.numbers(&[if self.compressed { 1000 } else { 0 }, 0, 0]);

        self.numbers(&[NAMES_MAGIC, 1, 2, 8, 2, 0, 0, 0]);
        if self.big {
            let count = self.bytes.len() - 16;
            self.bytes[count..count + 8].rotate_left(4);
        }
        let leaf = (names + NAMES_HEADER + 4 + 10) as u64;
        self.bytes.extend([0, 0]);
        self.put(1u16.to_le_bytes());
        self.bytes.extend(b"a\0");
        self.put(leaf.to_le_bytes());
        self.bytes.extend([1, 0]);
        self.put(2u16.to_le_bytes());
        for (name, number, length) in [(b"a\0", 7, 50), (b"b\0", 0, 1000)] {
            self.bytes.extend(name);
            self.numbers(&[number, length]);
        }

        self.put(3u64.to_le_bytes());
        assert_eq!(self.bytes.len(), data + 8);
        sections.iter().for_each(|section| self.bytes.extend(section));
        self.numbers(&[INDEX_MAGIC, 256]);
        self.put(3u64.to_le_bytes());
        self.numbers(&[0, 10, 0, 305]);
        self.put((index as u64).to_le_bytes());
        self.numbers(&[1, 0]);
        self.bytes.extend([1, 0]);
        self.put(3u16.to_le_bytes());
        let mut offset = data as u64 + 8;
        for (section, [start, end]) in sections.iter().zip([[10, 21], [100, 205], [300, 305]]) {
            self.numbers(&[0, start, 0, end]);
            self.put(offset.to_le_bytes());
            self.put((section.len() as u64).to_le_bytes());
            offset += section.len() as u64;
        }
        self.bytes
    }
}

fn saved(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.bw");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn all(
    reader: &mut Reader,
    contig: usize,
    range: std::ops::Range<u64>,
) -> Result<Vec<(u64, u64, f32)>> {
    let mut found = Vec::new();
    reader.stretches(ContigId(contig), range, &mut |Stretch { start, end, value }| {
        found.push((start, end, value));
        Ok(())
    })?;
    Ok(found)
}

#[test]
fn both_byte_orders_every_version_and_kind_of_section_are_read() {
    for big in [false, true] {
        for compressed in [false, true] {
            for version in 1..=4 {
                let (_folder, path) = saved(&ByHand::new(big, version, compressed).file());
                let mut reader = Reader::open(&path).unwrap();
                let expected = Facts { version, big_endian: big, compressed, zoom_levels: vec![] };
                assert_eq!(reader.facts(), &expected);
                let contigs: Vec<_> = reader.contigs().iter().map(|(_, n, l)| (n, l)).collect();
                assert_eq!(contigs, [("b", 1000), ("a", 50)]);
                assert_eq!(all(&mut reader, 0, 0..1000).unwrap(), SAID);
                assert_eq!(
                    all(&mut reader, 0, 20..102).unwrap(),
                    [(20, 21, -2.0), (100, 102, 0.25)]
                );
                assert_eq!(all(&mut reader, 0, 21..100).unwrap(), []);
                assert_eq!(all(&mut reader, 1, 0..50).unwrap(), []);
            }
        }
    }
}

#[test]
fn a_signal_speaks_of_the_contigs_of_the_reference() {
    let (_folder, path) = saved(&ByHand::new(false, 4, true).file());
    let reference = Contigs::new(vec![("other".into(), 5), ("chrb".into(), 1000)]);
    let resolver = Resolver::new(&reference, None).unwrap();
    let mut signal = Signal::open(&path, &resolver).unwrap();
    assert_eq!((signal.has(ContigId(0)), signal.has(ContigId(1))), (false, true));
    let values = signal.values(ContigId(1), 18, 22, Missing::Zero).unwrap();
    assert_eq!(values, [1.5, 1.5, -2.0, 0.0]);
    let values = signal.values(ContigId(1), 304, 306, Missing::Na).unwrap();
    assert!(values[0] == 9.0 && values[1].is_nan(), "{values:?}");
    assert_eq!(signal.values(ContigId(0), 0, 2, Missing::Zero).unwrap(), [0.0, 0.0]);
    assert_eq!(signal.values(ContigId(1), 999, 1001, Missing::Zero).unwrap(), [0.0, 0.0]);

    let bad = [
        (vec![("b".into(), 999)], "contig b is not that of the reference (found 1000 bases"),
        (vec![("c".into(), 1000)], "no contig of this file is in the reference"),
    ];
    for (list, says) in bad {
        let resolver = Resolver::new(&Contigs::new(list), None).unwrap();
        let error = Signal::open(&path, &resolver).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

/// Everything that is read of a file: contigs and values.
fn read_all(path: &Path) -> Result<usize> {
    let mut reader = Reader::open(path)?;
    let lengths: Vec<u64> = reader.contigs().iter().map(|(.., length)| length).collect();
    let mut count = 0;
    for (contig, length) in lengths.into_iter().enumerate() {
        count += all(&mut reader, contig, 0..length)?.len();
    }
    Ok(count)
}

#[test]
fn a_file_cut_anywhere_is_one_error_that_names_it() {
    let whole = ByHand::new(false, 4, true).file();
    for length in 0..whole.len() {
        let (_folder, path) = saved(&whole[..length]);
        let error = read_all(&path).unwrap_err().to_string();
        assert!(error.contains("x.bw: "), "{length}: {error}");
    }
}

#[test]
fn a_file_with_any_flipped_bit_is_read_or_refused_but_never_breaks() {
    for compressed in [false, true] {
        let whole = ByHand::new(false, 4, compressed).file();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let (_folder, path) = saved(&bytes);
            if let Err(error) = read_all(&path) {
                assert!(error.to_string().contains("x.bw: "), "{bit}: {error}");
            }
        }
    }
}

#[test]
fn what_is_wrong_is_said() {
    let whole = ByHand::new(false, 4, false).file();
    let names = HEADER;
    let data = names + NAMES_HEADER + 14 + 24 + 8;
    let index = whole.len() - 3 * LEAF_ENTRY - NODE_HEADER - INDEX_HEADER;
    type Change<'a> = &'a dyn Fn(&mut Vec<u8>);
    let cases: [(Change, &str); 9] = [
        (&|b| b[..4].copy_from_slice(b"chr1"), "not a bigWig file"),
        (&|b| b[..4].copy_from_slice(&BIGBED_MAGIC.to_le_bytes()), "a bigBed file holds intervals"),
        (&|b| b[4] = 9, "unknown version of the format (found 9, expected 1 to 4)"),
        (&|b| b[names + 16] = 3, "another number of contigs than announced (found 2, expected 3)"),
        // the branch leads to itself
        (
            &|b| b[names + NAMES_HEADER + 6] = u8::try_from(names + NAMES_HEADER).unwrap(),
            "back to itself",
        ),
        (&|b| b[names + NAMES_HEADER + 14 + 4 + 2] = 0, "two contigs with one number"),
        (&|b| b[data + 20] = 4, "2 items of kind 4 in 24 bytes"),
        (&|b| b[data + SECTION_HEADER + 4] = 9, "1.5 at 10-9 of b, expected bases 0-1000"),
        (&|b| b[index + INDEX_HEADER + NODE_HEADER + 31] = 1, "a section is too large"),
    ];
    for (change, says) in cases {
        let mut bytes = whole.clone();
        change(&mut bytes);
        let (_folder, path) = saved(&bytes);
        let error = read_all(&path).unwrap_err().to_string();
        assert!(error.contains(says), "{says}: {error}");
    }
}

/// A reference with short contigs, one without bases, and names whose order is not that of the
/// letters.
fn reference() -> Contigs {
    let list = [("chr2", 700_000), ("chr10", 150), ("empty", 0), ("chr1", 300_000)];
    Contigs::new(list.map(|(name, length)| (name.into(), length)).into())
}

/// Segments as (contig, start, values).
type Parts = Vec<(usize, u64, Vec<f32>)>;

/// The bytes and the runs of a file that is written from parts.
fn written(contigs: &Contigs, style: &Style, parts: &Parts) -> (Vec<u8>, u64, TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.bw");
    let mut track = BigWig::create(&path, contigs, style).unwrap();
    for (contig, start, values) in parts {
        track.write(Segment { contig: ContigId(*contig), start: *start, values }).unwrap();
    }
    track.finish().unwrap();
    let records = track.records();
    commit_all(Box::new(track).into_files()).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "one file, no leftovers");
    (std::fs::read(&path).unwrap(), records, folder, path)
}

/// Values that make sections of each kind: runs of one length, of several, and single bases.
fn parts() -> Parts {
    let noise = |base: u64| ((base * 7919) % 1000) as f32 * 0.001 - 0.2;
    vec![
        (0, 1_000, (1_000..60_000).map(noise).collect()),
        (0, 99_000, (99_000u64..230_000).map(|base| noise(base / 7)).collect()),
        (0, 500_000, (500_000u64..600_000).map(|base| noise(base / 3 / (base % 50 + 1))).collect()),
        (1, 100, vec![0.0; 50]),
        (3, 5, vec![1e-5, -0.5, 3e7]),
        (
            3,
            200_000,
            (200_000..204_000).map(|base| if base % 4 == 0 { 0.5 } else { -1.0 }).collect(),
        ),
    ]
}

/// The lines of the bedGraph of the same parts.
fn lines(contigs: &Contigs, style: &Style, parts: &Parts) -> Vec<(String, u64, u64, f32)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.bedGraph");
    let mut track = crate::track::open(&path, contigs, style, None).unwrap();
    for (contig, start, values) in parts {
        track.write(Segment { contig: ContigId(*contig), start: *start, values }).unwrap();
    }
    track.finish().unwrap();
    commit_all(track.into_files()).unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    let line = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let number = |column: usize| columns[column].parse().unwrap();
        (columns[0].into(), number(1), number(2), columns[3].parse().unwrap())
    };
    text.lines().filter(|line| !line.starts_with('#')).map(line).collect()
}

fn said(path: &Path) -> Vec<(String, u64, u64, f32)> {
    let mut reader = Reader::open(path).unwrap();
    let contigs: Vec<_> =
        reader.contigs().iter().map(|(id, n, l)| (id, n.to_string(), l)).collect();
    let mut found = Vec::new();
    for (id, name, length) in contigs {
        let stretches = all(&mut reader, id.0, 0..length).unwrap();
        found.extend(
            stretches.into_iter().map(|(start, end, value)| (name.clone(), start, end, value)),
        );
    }
    found
}

#[test]
fn a_bigwig_says_what_the_bedgraph_says() {
    let styles = [
        Style::default(),
        Style { rounding: Rounding::new(0).unwrap(), ..Style::default() },
        Style { rounding: Rounding::new(7).unwrap(), ..Style::default() },
        Style { min_value: Some(0.3), ..Style::default() },
    ];
    for style in styles {
        let (_, records, _folder, path) = written(&reference(), &style, &parts());
        let lines = lines(&reference(), &style, &parts());
        assert_eq!(records, lines.len() as u64);
        assert_eq!(said(&path), lines, "{style:?}");
    }
}

#[test]
fn contigs_keep_the_order_and_the_lengths_of_the_reference() {
    let (_, _, _folder, path) = written(&reference(), &Style::default(), &parts());
    assert_eq!(Reader::open(&path).unwrap().contigs(), &reference());
}

#[test]
fn zoom_levels_are_there_while_they_save_reading() {
    let (bytes, _, _folder, path) = written(&reference(), &Style::default(), &parts());
    let facts = Reader::open(&path).unwrap().facts().clone();
    assert_eq!(facts.zoom_levels, [160, 640, 2560, 10_240, 40_960, 163_840, 655_360]);
    assert_eq!((facts.version, facts.big_endian, facts.compressed), (4, false, true));
    assert!(bytes.ends_with(&MAGIC.to_le_bytes()));
}

#[test]
fn nothing_to_write_is_a_valid_file() {
    for contigs in [reference(), Contigs::default()] {
        let (_, records, _folder, path) = written(&contigs, &Style::default(), &vec![]);
        assert_eq!((records, said(&path).len()), (0, 0));
        let reader = Reader::open(&path).unwrap();
        assert_eq!((reader.contigs(), reader.facts().zoom_levels.len()), (&contigs, 0));
    }
}

#[test]
fn more_contigs_than_sixteen_bits_count_are_all_found() {
    let list: Vec<(String, u64)> = (0..70_000).map(|i| (format!("s{i}"), 10 + i % 7)).collect();
    let contigs = Contigs::new(list);
    let parts: Parts = (0..70_000).map(|i| (i, 2, vec![i as f32; 3])).collect();
    let (_, records, _folder, path) = written(&contigs, &Style::default(), &parts);
    assert_eq!(records, 70_000);
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(reader.contigs(), &contigs);
    for contig in [0, 255, 256, 65_535, 65_536, 69_999] {
        let expected = [(2, 5, contig as f32)];
        assert_eq!(all(&mut reader, contig, 0..10).unwrap(), expected, "{contig}");
    }
}

#[test]
fn what_a_bigwig_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.bw");
    let long = Contigs::new(vec![("c".into(), 1 << 32)]);
    let error = BigWig::create(&path, &long, &Style::default()).err().unwrap().to_string();
    assert!(error.contains("contig c is too long for a bigWig (found 4294967296"), "{error}");
    let error = crate::track::open(&path, &reference(), &Style::default(), Some(9)).err().unwrap();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("cannot be resumed"), "{error}");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        let error = BigWig::create(&path, &reference(), &Style::default()).err().unwrap();
        assert!(error.to_string().contains("cannot be written to a stream"), "{error}");
    }
    let (_, _, folder, path) = written(&reference(), &Style::default(), &vec![]);
    let mut track = BigWig::create(&path, &reference(), &Style::default()).unwrap();
    let wrong = Segment { contig: ContigId(0), start: 0, values: &[f32::NAN] };
    assert!(track.write(wrong).unwrap_err().to_string().contains("not a finite number"));
    drop(track);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the old file alone");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn the_bytes_do_not_depend_on_how_the_values_arrive(
        cuts in proptest::collection::btree_set(1usize..250_000, 0..12),
        step in 1u64..9,
    ) {
        let contigs = Contigs::new(vec![("c".into(), 1_000_000)]);
        let values: Vec<f32> =
            (0..250_000u64).map(|base| (base / step % 101) as f32 * 0.01).collect();
        let parts = |cuts: Vec<usize>| -> Parts {
            let mut start = 0;
            let mut parts = Vec::new();
            for end in cuts.into_iter().chain([values.len()]) {
                parts.push((0, 1_000 + start as u64, values[start..end].to_vec()));
                start = end;
            }
            parts
        };
        let whole = written(&contigs, &Style::default(), &parts(vec![])).0;
        let pieces = written(&contigs, &Style::default(), &parts(cuts.into_iter().collect())).0;
        prop_assert!(whole == pieces);
    }
}
