use super::*;
use crate::error::Kind;
use crate::job::output::{append, commit_all};
use crate::track::number::Rounding;
use noodles::core::Region;
use noodles::{csi, tabix};
use proptest::prelude::*;
use std::path::PathBuf;
use tempfile::TempDir;

/// The empty last block of every BGZF file (SAM specification 4.1.2).
const EOF_BLOCK: usize = 28;

fn contigs() -> Contigs {
    Contigs::new(vec![("c1".into(), 1_000_000), ("c2".into(), 500_000)])
}

/// Segments as (contig, start, values).
type Parts = Vec<(usize, u64, Vec<f32>)>;

fn write_parts(track: &mut BedGraph, parts: &Parts) {
    for (contig, start, values) in parts {
        let segment = Segment { contig: ContigId(*contig), start: *start, values };
        track.write(segment).unwrap();
    }
}

fn complete(mut track: BedGraph) -> u64 {
    track.finish().unwrap();
    let records = track.records();
    commit_all(Box::new(track).into_files()).unwrap();
    records
}

/// Writes parts to a file of that name and returns the folder, which lives as long as it is held.
fn written(name: &str, style: &Style, parts: &Parts) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let mut track = BedGraph::create(&path, name.ends_with(".gz"), &contigs(), style).unwrap();
    write_parts(&mut track, parts);
    complete(track);
    (folder, path)
}

fn bytes(name: &str, style: &Style, parts: &Parts) -> Vec<u8> {
    let (_folder, path) = written(name, style, parts);
    std::fs::read(path).unwrap()
}

fn text(style: &Style, parts: &Parts) -> String {
    String::from_utf8(bytes("x.bg", style, parts)).unwrap()
}

/// Values that repeat now and then, also after rounding to four decimals.
fn values(start: u64, end: u64) -> Vec<f32> {
    (start..end).map(|base| ((base / 7 * 13) % 29) as f32 / 29.0).collect()
}

#[test]
fn equal_printed_neighbours_are_merged_and_zero_is_written() {
    let parts = vec![
        (0, 5, vec![0.0, -0.000_01, 0.123_44, 0.123_449]),
        (0, 9, vec![0.1234, 1.0]),
        (0, 20, vec![1.0]),
        (1, 0, vec![1.0]),
    ];
    let expected = "c1\t5\t7\t0\nc1\t7\t10\t0.1234\nc1\t10\t11\t1\nc1\t20\t21\t1\nc2\t0\t1\t1\n";
    assert_eq!(text(&Style::default(), &parts), expected);
}

#[test]
fn runs_end_at_multiples_of_the_chunk() {
    let parts = vec![(0, 99_990, vec![0.5; 100_020])];
    let expected = "c1\t99990\t100000\t0.5\nc1\t100000\t200000\t0.5\nc1\t200000\t200010\t0.5\n";
    assert_eq!(text(&Style::default(), &parts), expected);
}

#[test]
fn values_left_out_are_announced_in_the_first_line() {
    let style = Style { min_value: Some(0.1), ..Style::default() };
    let parts = vec![(0, 0, vec![0.05, 0.1, 0.0, 0.2, 0.2])];
    let expected = "#values below 0.1 are left out: no line is not no prediction\n\
                    c1\t1\t2\t0.1\nc1\t3\t5\t0.2\n";
    assert_eq!(text(&style, &parts), expected);
    let style = Style { track_line: Some("name=x".into()), ..Style::default() };
    assert_eq!(text(&style, &vec![]), "track type=bedGraph name=x\n");
}

#[test]
fn pieces_made_separately_join_byte_for_byte() {
    for name in ["x.bg", "x.bg.gz"] {
        let style = Style::default();
        let whole = bytes(name, &style, &vec![(0, 0, values(0, 200_000)), (1, 0, values(0, 50))]);
        let pieces = [
            vec![(0, 0, values(0, 100_000))],
            vec![(0, 100_000, values(100_000, 200_000))],
            vec![(1, 0, values(0, 50))],
        ];
        let end = if name.ends_with(".gz") { EOF_BLOCK } else { 0 };
        let mut joined = Vec::new();
        let mut tail = Vec::new();
        for piece in pieces {
            let bytes = bytes(name, &style, &piece);
            let (body, eof) = bytes.split_at(bytes.len() - end);
            joined.extend_from_slice(body);
            tail = eof.to_vec();
        }
        joined.extend(tail);
        assert!(joined == whole, "{name}");
    }
}

#[test]
fn a_header_has_a_block_of_its_own() {
    let parts = vec![(0, 0, values(0, 1000))];
    let plain = bytes("x.bg.gz", &Style::default(), &parts);
    let style = Style { min_value: Some(-1.0), ..Style::default() };
    let headed = bytes("x.bg.gz", &style, &parts);
    assert!(headed.len() > plain.len() && headed.ends_with(&plain));
}

/// Lines that an index finds in `place`, filtered by true overlap.
fn query(path: &Path, place: &str) -> usize {
    let region: Region = place.parse().unwrap();
    let mut reader = File::open(path).map(bgzf::io::Reader::new).unwrap();
    let tbi = append(path, ".tbi");
    let query = |index: &dyn csi::BinningIndex| {
        let names = index.header().unwrap().reference_sequence_names();
        let id = names.get_index_of(region.name()).unwrap();
        index.query(id, region.interval()).unwrap()
    };
    let chunks = match tbi.exists() {
        true => query(&tabix::fs::read(tbi).unwrap()),
        false => query(&csi::fs::read(append(path, ".csi")).unwrap()),
    };
    let lines = csi::io::Query::new(&mut reader, chunks).lines();
    lines
        .map(|line| line.unwrap())
        .filter(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            let [start, end] = [1, 2].map(|i| columns[i].parse::<usize>().unwrap());
            let (first, last) = (region.interval().start(), region.interval().end());
            region.name() == columns[0].as_bytes()
                && start < last.map_or(usize::MAX, usize::from)
                && end > first.map_or(0, |first| usize::from(first) - 1)
        })
        .count()
}

#[test]
fn the_index_finds_what_a_scan_finds() {
    let parts: Parts = vec![
        (0, 3_000, (0..150_000u32).map(|i| (i % 977) as f32 / 977.0).collect()),
        (1, 70_000, (0..90_000u32).map(|i| (i % 977) as f32 / 977.0).collect()),
    ];
    let (_folder, path) = written("x.bedGraph.gz", &Style::default(), &parts);
    // Every base has a line of its own: the counts are the overlaps in bases.
    let cases = [
        ("c1:3001-3010", 10),
        ("c1:100001-100001", 1),
        ("c1:152990-153100", 11),
        ("c2:1-70005", 5),
    ];
    for (place, expected) in cases {
        assert_eq!(query(&path, place), expected, "{place}");
    }
}

#[test]
fn a_contig_too_long_for_tabix_gets_a_csi_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.bg.gz");
    let long = Contigs::new(vec![("c".into(), (1 << 29) + 10)]);
    let mut track = BedGraph::create(&path, true, &long, &Style::default()).unwrap();
    write_parts(&mut track, &vec![(0, 100, vec![0.1, 0.2]), (0, 1 << 29, vec![0.3, 0.4])]);
    assert_eq!(complete(track), 4);
    assert!(!append(&path, ".tbi").exists());
    assert_eq!(query(&path, "c:536870914-536870999"), 1);
}

#[test]
fn a_resumed_track_equals_an_uninterrupted_one() {
    let first: Parts = vec![(0, 50, values(50, 230_000))];
    let lost: Parts = vec![(0, 300_000, values(0, 700))];
    let rest: Parts = vec![(0, 300_000, values(300_000, 420_000)), (1, 5, values(5, 70_000))];
    let style = Style { min_value: Some(0.05), ..Style::default() };
    for name in ["x.bg", "x.bg.gz"] {
        let bgzip = name.ends_with(".gz");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let mut track = BedGraph::create(&path, bgzip, &contigs(), &style).unwrap();
        write_parts(&mut track, &first);
        let kept = track.checkpoint().unwrap();
        write_parts(&mut track, &lost);
        Box::new(track).into_files().into_iter().for_each(|file| file.abandon(true));

        let mut track = BedGraph::resume(&path, bgzip, &contigs(), &style, kept).unwrap();
        write_parts(&mut track, &rest);
        let records = complete(track);

        let whole = [first.clone(), rest.clone()].concat();
        let (_other, expected) = written(name, &style, &whole);
        for ending in ["", ".tbi"] {
            let [ours, theirs] = [&path, &expected].map(|path| std::fs::read(append(path, ending)));
            assert_eq!(ours.is_ok(), ending.is_empty() || bgzip);
            assert!(ours.ok() == theirs.ok(), "{name}{ending}");
        }
        assert_eq!(records, text(&style, &whole).lines().count() as u64 - 1);
    }
}

#[test]
fn a_part_with_other_lines_is_not_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.bg");
    std::fs::write(append(&path, ".part"), "c1\t0\t5\t0.1\nc9\t5\t6\t0.1\n").unwrap();
    let resumed = BedGraph::resume(&path, false, &contigs(), &Style::default(), 22);
    let error = resumed.err().unwrap().to_string();
    assert!(error.contains("x.bg.part:2: "), "{error}");
}

#[test]
fn not_a_number_is_an_error_and_never_a_line() {
    let folder = tempfile::tempdir().unwrap();
    for value in [f32::NAN, f32::INFINITY] {
        let path = folder.path().join("x.bg");
        let mut track = BedGraph::create(&path, false, &contigs(), &Style::default()).unwrap();
        let segment = Segment { contig: ContigId(0), start: 0, values: &[0.0, value] };
        assert!(track.write(segment).is_err(), "{value}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_noticed_before_the_track_counts_as_complete() {
    for bgzip in [false, true] {
        let full = Path::new("/dev/full");
        let mut track = BedGraph::create(full, bgzip, &contigs(), &Style::default()).unwrap();
        write_parts(&mut track, &vec![(0, 0, vec![0.5])]);
        assert_eq!(track.finish().unwrap_err().kind(), Kind::DiskFull);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_bytes_do_not_depend_on_how_the_values_are_cut(
        cuts in proptest::collection::btree_set(1usize..250_000, 0..9),
        start in 0u64..150_000,
        decimals in 0u8..5,
    ) {
        let style = Style { rounding: Rounding::new(decimals).unwrap(), ..Style::default() };
        let all = values(start, start + 250_000);
        let mut parts = Parts::new();
        let mut from = 0;
        for to in cuts.into_iter().chain([all.len()]) {
            parts.push((0, start + from as u64, all[from..to].to_vec()));
            from = to;
        }
        let whole = vec![(0, start, all)];
        prop_assert!(bytes("x.bg.gz", &style, &parts) == bytes("x.bg.gz", &style, &whole));
    }
}
