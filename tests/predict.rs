//! The main job with an engine whose values can be computed by hand: every base is predicted from
//! the right letters, written once, and the bytes depend on nothing but the request.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

use atrous::engine::{Engine, Job, Values};
use atrous::error::Kind;
use atrous::genome::regions::Origin;
use atrous::genome::sequence::reverse_complement;
use atrous::genome::{ContigId, Interval, Reference, Region, Strand};
use atrous::job::Progress;
use atrous::model::{Track, TrackStrand};
use atrous::network::Reach;
use atrous::predict::{Report, Request, Strands, predict};
use atrous::track::Style;
use atrous::{Error, Result};
use rayon::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

const LEFT: usize = 5;
const RIGHT: usize = 3;

/// Two tracks from the letters of a window that reaches further to the left than to the right.
struct Toy {
    /// Fails with a signal after this many jobs.
    jobs_left: AtomicUsize,
    /// Gives this in place of the value of each G on the strand that is read.
    g: Option<f32>,
    /// How many of the two tracks are computed.
    tracks: usize,
}

impl Toy {
    fn new() -> Self {
        Self { jobs_left: AtomicUsize::new(usize::MAX), g: None, tracks: 2 }
    }

    fn stopping_after(jobs: usize) -> Self {
        Self { jobs_left: AtomicUsize::new(jobs), ..Self::new() }
    }
}

/// The definition of both tracks for one window.
fn toy(window: &[u8]) -> [f32; 2] {
    let code = |letter: &u8| b"ACGT".iter().position(|l| *l == letter.to_ascii_uppercase());
    let sum: usize =
        window.iter().enumerate().map(|(i, letter)| (i + 2) * code(letter).unwrap_or(7)).sum();
    [(sum % 17) as f32 / 16.0, (sum % 3) as f32 - 1.0]
}

impl Engine for Toy {
    fn describe(&self) -> String {
        "toy".into()
    }

    fn reach(&self) -> Reach {
        Reach { left: LEFT as u64, right: RIGHT as u64 }
    }

    fn bytes_per_position(&self) -> u64 {
        4
    }

    fn overhead_positions(&self) -> u64 {
        8
    }

    fn run(
        &self,
        jobs: &[Job],
        after_each: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<Vec<Values>> {
        let one = |(index, job): (usize, &Job)| {
            assert_eq!(job.letters.len(), LEFT + job.length + RIGHT);
            if self.jobs_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                == Err(0)
            {
                return Err(Error::signal(15));
            }
            let mut tracks = vec![Vec::with_capacity(job.length); self.tracks];
            for window in job.letters.windows(LEFT + 1 + RIGHT) {
                let mut values = toy(window);
                if let (b'G', Some(value)) = (window[LEFT], self.g) {
                    values[0] = value;
                }
                tracks.iter_mut().zip(values).for_each(|(track, value)| track.push(value));
            }
            after_each(index)?;
            Ok(Values { tracks, ..Values::default() })
        };
        jobs.par_iter().enumerate().map(one).collect()
    }
}

fn track(name: &str, strand: TrackStrand) -> Track {
    Track {
        name: name.into(),
        unit: "score".into(),
        description: "a toy".into(),
        strand,
        default: true,
        sources: Vec::new(),
    }
}

fn tracks() -> Vec<Track> {
    vec![track("a", TrackStrand::Read), track("b", TrackStrand::Opposite)]
}

/// Letters that look random: a linear congruential generator (Knuth's MMIX), with runs of N.
fn letters(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    (0..length)
        .map(|i| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            if i % 5_000 < 40 { b'N' } else { b"ACGTacgtAG"[(state >> 33) as usize % 10] }
        })
        .collect()
}

struct Genome {
    folder: TempDir,
    contigs: Vec<Vec<u8>>,
}

impl Genome {
    fn new() -> Self {
        let contigs = vec![letters(230_000, 1), letters(9, 2), letters(3_000, 3)];
        let folder = tempfile::tempdir().unwrap();
        let mut text = String::new();
        for (number, contig) in contigs.iter().enumerate() {
            text += &format!(">c{}\n", number + 1);
            for line in contig.chunks(60) {
                text += &format!("{}\n", std::str::from_utf8(line).unwrap());
            }
        }
        fs::write(folder.path().join("x.fa"), text).unwrap();
        Self { folder, contigs }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn reference(&self) -> Reference {
        Reference::open(&self.path("x.fa")).unwrap()
    }

    fn whole(&self) -> Vec<Region> {
        let lengths = self.contigs.iter().map(Vec::len).enumerate();
        lengths.map(|(contig, length)| region(contig, 0, length as u64)).collect()
    }

    fn run(&self, engine: &Toy, request: &Request) -> Result<Report> {
        predict(&mut self.reference(), engine, request, &Progress::silent())
    }

    /// Names and bytes of the outputs in the folder, in order.
    fn outputs(&self) -> Vec<(String, Vec<u8>)> {
        let mut found: Vec<_> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
            })
            .filter(|(name, _)| !name.starts_with("x.fa"))
            .collect();
        found.sort();
        found
    }

    fn names(&self) -> Vec<String> {
        self.outputs().into_iter().map(|(name, _)| name).collect()
    }

    /// Removes all outputs and returns them.
    fn take(&self) -> Vec<(String, Vec<u8>)> {
        let outputs = self.outputs();
        outputs.iter().for_each(|(name, _)| fs::remove_file(self.path(name)).unwrap());
        outputs
    }

    /// The definition: both tracks of one base, from the letters of the contig itself.
    fn value(&self, contig: usize, base: usize, strand: Strand) -> [f32; 2] {
        let (before, after) = match strand {
            Strand::Plus => (LEFT, RIGHT),
            Strand::Minus => (RIGHT, LEFT),
        };
        let letter = |t: isize| {
            usize::try_from(t)
                .ok()
                .and_then(|t| self.contigs[contig].get(t))
                .copied()
                .unwrap_or(b'N')
        };
        let base = base as isize;
        let mut window: Vec<u8> =
            (base - before as isize..=base + after as isize).map(letter).collect();
        if strand == Strand::Minus {
            reverse_complement(&mut window);
        }
        toy(&window)
    }
}

fn region(contig: usize, start: u64, end: u64) -> Region {
    let interval = Interval { contig: ContigId(contig), start, end };
    Region { interval, name: None, strand: None, summit: None, origin: Origin::Request }
}

fn request(regions: Vec<Region>, output: &Path) -> Request {
    Request { output: Some(output.into()), ..Request::new(regions, tracks()) }
}

/// Values by base from the lines of a bedGraph, in the order of the file.
fn read(text: &[u8]) -> Vec<(String, u64, f32)> {
    let mut values = Vec::new();
    for line in std::str::from_utf8(text).unwrap().lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [start, end] = [1, 2].map(|i| columns[i].parse::<u64>().unwrap());
        for base in start..end {
            values.push((columns[0].to_string(), base, columns[3].parse().unwrap()));
        }
    }
    values
}

#[test]
fn every_base_has_the_value_of_its_own_window_on_either_strand() {
    let genome = Genome::new();
    let mut request = request(genome.whole(), &genome.path("out.bedGraph"));
    request.strands = Strands::Both;
    let report = genome.run(&Toy::new(), &request).unwrap();
    assert_eq!((report.regions, report.bases), (3, 2 * 233_009));
    let outputs = genome.take();
    // Track b belongs to the strand opposite to the one that is read.
    let expected = [
        ("out.a.minus.bedGraph", 0, Strand::Minus),
        ("out.a.plus.bedGraph", 0, Strand::Plus),
        ("out.b.minus.bedGraph", 1, Strand::Plus),
        ("out.b.plus.bedGraph", 1, Strand::Minus),
    ];
    assert_eq!(outputs.len(), expected.len());
    for ((name, bytes), (expected, track, strand)) in outputs.iter().zip(expected) {
        assert_eq!(name, expected);
        let values = read(bytes);
        assert_eq!(values.len(), 233_009);
        let bases = genome.contigs.iter().enumerate();
        let bases = bases.flat_map(|(contig, l)| (0..l.len()).map(move |base| (contig, base)));
        for ((contig, base), (name, at, value)) in bases.zip(values) {
            assert_eq!((name, at), (format!("c{}", contig + 1), base as u64));
            let exact = genome.value(contig, base, strand)[track];
            assert!((value - exact).abs() <= 0.5e-4, "c{}:{base} {strand:?}", contig + 1);
        }
    }
}

#[test]
fn the_bytes_do_not_depend_on_tiles_threads_or_how_regions_are_written() {
    let genome = Genome::new();
    let mut whole = request(
        vec![region(0, 10, 229_000), region(2, 100, 140), region(2, 145, 3_000)],
        &genome.path("out.bedGraph.gz"),
    );
    whole.strands = Strands::Both;
    genome.run(&Toy::new(), &whole).unwrap();
    let expected = genome.take();
    assert_eq!(expected.len(), 8, "four tracks and their indexes");

    let split: Vec<Region> = (0..229)
        .rev()
        .map(|i| region(0, (i * 1_000).max(10), (i + 1) * 1_000))
        .chain([region(2, 145, 2_000), region(2, 1_000, 3_000), region(2, 100, 140)])
        .collect();
    let split = Request { regions: split, ..whole.clone() };
    let cases = [
        (&whole, Some(100), 1),
        (&whole, Some(3_000), 2),
        (&whole, Some(20_000), 1),
        (&whole, Some(100_000), 2),
        (&whole, None, 3),
        (&split, None, 1),
        (&split, Some(777), 2),
    ];
    for (case, tile, threads) in cases {
        genome.run(&Toy::new(), &Request { tile, threads, ..case.clone() }).unwrap();
        let same = genome.take() == expected;
        assert!(same, "{} regions, tile {tile:?}, {threads} threads", case.regions.len());
    }
}

#[test]
fn a_stopped_run_goes_on_to_the_same_bytes() {
    let genome = Genome::new();
    let mut request = request(genome.whole(), &genome.path("out.bedGraph.gz"));
    request.strands = Strands::Both;
    genome.run(&Toy::new(), &request).unwrap();
    let expected = genome.take();

    for jobs in [0, 3, 9, 20, 28] {
        request.tile = Some(15_000);
        request.resume = false;
        let error = genome.run(&Toy::stopping_after(jobs), &request).unwrap_err();
        assert_eq!(error.kind(), Kind::Signal(15));
        let parts = genome.names();
        assert!(parts.iter().all(|name| name.contains(".part")), "{parts:?}");
        assert!(parts.contains(&"out.a.plus.bedGraph.gz.part.journal".into()), "{parts:?}");

        // A second stop, with other tiles; then the rest.
        request.resume = true;
        request.tile = Some(7_000);
        genome.run(&Toy::stopping_after(jobs.min(6)), &request).unwrap_err();
        let report = genome.run(&Toy::new(), &request).unwrap();
        assert_eq!(report.bases, 2 * 233_009);
        assert_eq!(report.resumed > 0, jobs >= 9, "after {jobs} jobs {} bases", report.resumed);
        assert!(genome.take() == expected, "stopped after {jobs} jobs");
    }
}

#[test]
fn another_setting_is_not_resumed_and_costs_nothing() {
    let genome = Genome::new();
    let mut first = request(genome.whole(), &genome.path("out.bg"));
    first.tracks.truncate(2);
    first.identity.insert("model".into(), "abc".into());
    first.tile = Some(10_000);
    genome.run(&Toy::stopping_after(15), &first).unwrap_err();
    let kept = genome.outputs();
    first.resume = true;
    let others = [
        ("model", {
            let mut other = first.clone();
            other.identity.insert("model".into(), "abd".into());
            other
        }),
        ("regions", Request { regions: vec![region(0, 0, 10)], ..first.clone() }),
        ("min-value", {
            let style = Style { min_value: Some(0.5), ..Style::default() };
            Request { style, ..first.clone() }
        }),
    ];
    for (name, other) in others {
        let error = genome.run(&Toy::new(), &other).unwrap_err().to_string();
        assert!(error.contains(&format!("had another {name}")), "{error}");
        assert!(genome.outputs() == kept, "{name}");
    }
}

#[test]
fn a_table_has_the_numbers_of_each_region_in_the_order_given() {
    let genome = Genome::new();
    let named = |name: &str, strand, region: Region| Region {
        name: Some(name.into()),
        strand: Some(strand),
        ..region
    };
    let regions = vec![
        named("far", Strand::Minus, region(2, 5, 2_900)),
        named("long", Strand::Plus, region(0, 50, 120_000)),
        named("inside", Strand::Plus, region(0, 100, 103)),
    ];
    let request = Request {
        table: Some(genome.path("t.tsv")),
        strands: Strands::Bed,
        ..Request::new(regions.clone(), tracks())
    };
    genome.run(&Toy::new(), &request).unwrap();
    let table = String::from_utf8(genome.take().remove(0).1).unwrap();
    genome.run(&Toy::new(), &Request { tile: Some(911), threads: 2, ..request }).unwrap();
    assert_eq!(table.as_bytes(), genome.take().remove(0).1);

    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0][..6], ["#contig", "start", "end", "name", "strand", "a_mean"]);
    for (line, region) in lines[1..].iter().zip(&regions) {
        let Interval { contig, start, end } = region.interval;
        let strand = region.strand.unwrap();
        assert_eq!(line[3], region.name.as_deref().unwrap());
        assert_eq!(line[4], strand.symbol().to_string());
        for track in 0..2 {
            let (mut sum, mut max, mut place) = (0.0, f32::MIN, 0);
            for base in start..end {
                let value = genome.value(contig.0, base as usize, strand)[track];
                sum += f64::from(value);
                if value > max {
                    (max, place) = (value, base);
                }
            }
            let found = &line[5 + 4 * track..][..4];
            let number = |i: usize| found[i].parse::<f64>().unwrap();
            assert!((number(0) - sum / (end - start) as f64).abs() < 1e-8, "{line:?}");
            assert_eq!((number(1) as f32, found[2]), (max, place.to_string().as_str()), "{line:?}");
            assert!((number(3) - sum).abs() <= 1e-8 * sum.abs(), "{line:?}");
        }
    }
}

#[test]
fn a_value_that_is_no_number_is_an_error_with_its_place_and_leaves_no_output() {
    let genome = Genome::new();
    let g = genome.contigs[2].iter().position(|&letter| letter == b'G').unwrap() as u64;
    let engine = Toy { g: Some(f32::NAN), ..Toy::new() };
    let mut request = request(vec![region(2, 0, 3_000)], &genome.path("out.bg"));
    request.table = Some(genome.path("t.tsv"));
    let error = genome.run(&engine, &request).unwrap_err();
    let expected = format!("track a has no finite value at c3:{} on the plus strand", g + 1);
    assert!(error.to_string().contains(&expected), "{error}");
    assert_eq!(error.exit_code(), 1);
    assert!(genome.names().is_empty(), "{:?}", genome.names());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_run_as_such() {
    let genome = Genome::new();
    let request = Request {
        output: Some("/dev/full".into()),
        tile: Some(500),
        ..Request::new(genome.whole(), tracks()[..1].to_vec())
    };
    let error = genome.run(&Toy { tracks: 1, ..Toy::new() }, &request).unwrap_err();
    assert_eq!(error.kind(), Kind::DiskFull);
}

#[test]
fn requests_that_cannot_be_meant_are_refused_before_any_work() {
    let genome = Genome::new();
    let good = request(genome.whole(), &genome.path("out.bg"));
    let cases = [
        ("nothing to write", Request { output: None, ..good.clone() }),
        ("no track is chosen", Request { tracks: vec![], ..good.clone() }),
        ("at least one base", Request { tile: Some(0), ..good.clone() }),
        ("no strand of its own", Request { strands: Strands::Bed, ..good.clone() }),
        ("inside its contig", Request { regions: vec![region(1, 0, 10)], ..good.clone() }),
        ("ending", Request { table: good.output.clone(), ..good.clone() }),
        (
            "one place",
            Request {
                output: Some("-".into()),
                table: Some("-".into()),
                tracks: tracks()[..1].to_vec(),
                ..good.clone()
            },
        ),
        ("cannot share one stream", Request { output: Some("-".into()), ..good.clone() }),
        ("does not exist", Request { output: Some(genome.path("no/x.bg")), ..good.clone() }),
    ];
    for (expected, request) in cases {
        let error = genome.run(&Toy::stopping_after(0), &request).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(genome.names().is_empty(), "{expected}: {:?}", genome.names());
    }
}

#[test]
fn nothing_asked_for_gives_valid_empty_outputs() {
    let genome = Genome::new();
    let mut request = request(vec![], &genome.path("out.bg.gz"));
    request.table = Some(genome.path("t.tsv"));
    let report = genome.run(&Toy::new(), &request).unwrap();
    assert_eq!((report.bases, report.tiles), (0, 0));
    assert_eq!(genome.names().len(), 5);
    assert!(report.outputs.iter().all(|output| output.records == 0));
}

#[test]
fn odd_letters_are_counted_once_over_the_predicted_bases() {
    let genome = Genome::new();
    fs::write(genome.path("x.fa"), ">c1\nACRGTNACYYGTAC\n").unwrap();
    let mut request = request(vec![region(0, 0, 9)], &genome.path("out.bg"));
    request.strands = Strands::Both;
    let report = genome.run(&Toy::new(), &request).unwrap();
    let counts: Vec<_> = report.letters.iter().collect();
    assert_eq!(counts, [(ContigId(0), 'R', 1), (ContigId(0), 'Y', 1)]);
}
