use super::super::Contigs;
use super::*;
use proptest::prelude::*;
use std::io::Cursor;

fn resolver() -> Resolver {
    let list = [("chr1", 1000), ("chr2", 500), ("chrM", 100)];
    Resolver::new(&Contigs::new(list.map(|(n, l)| (n.into(), l)).into()), None).unwrap()
}

fn read(text: &str, options: RegionOptions) -> Result<Regions> {
    let bytes = Cursor::new(text.as_bytes().to_vec());
    BedFile::read(Lines::from_reader(bytes, Path::new("x.bed"))?)?.place(&resolver(), &options)
}

fn spans(regions: &Regions) -> Vec<(usize, u64, u64)> {
    let interval = regions.list.iter().map(|region| region.interval);
    interval.map(|i| (i.contig.0, i.start, i.end)).collect()
}

const STRICT: RegionOptions = RegionOptions { clip: false, skip_unknown_contigs: false };

#[test]
fn three_columns_are_enough_and_order_is_kept() {
    let regions = read("chr2\t5\t10\nchr1\t0\t1000\n1\t5\t10", STRICT).unwrap();
    assert_eq!(spans(&regions), [(1, 5, 10), (0, 0, 1000), (0, 5, 10)]);
    assert_eq!(regions.list[0].name, None);
    let origin = Origin::Line { file: Path::new("x.bed").into(), line: 2 };
    assert_eq!(regions.list[1].origin, origin);
    assert_eq!(origin.error("no strand").to_string(), "x.bed:2: no strand");
}

#[test]
fn headers_spaces_and_line_ends_of_all_kinds_are_read() {
    let text = "\u{feff}browser position chr1:1-2\r\n\
                track name=x\r\n\
                # a comment\r\n\
                \r\n\
                chr1   5  10 peak 0.5 -\r\n\
                chr1 7 9";
    let regions = read(text, STRICT).unwrap();
    assert_eq!(spans(&regions), [(0, 5, 10), (0, 7, 9)]);
    assert_eq!(regions.list[0].name.as_deref(), Some("peak"));
    assert_eq!(regions.list[0].strand, Some(Strand::Minus));
    let words = read("tracker\t1\t2\nchr1\t1\t2\n", STRICT).unwrap_err().to_string();
    assert!(words.contains("contig `tracker` is not in the reference"), "{words}");
}

#[test]
fn columns_from_the_fourth_on_are_text() {
    let narrow_peak = "chr1\t20\t560\tpeak_1\t268.5\t.\t0\t0\t0\t218\n";
    let bed12 = "chr1\t10\t90\tgene a\t.\t+\t10\t90\t0\t2\t10,20,\t0,60,\n";
    let more = format!("chr1\t10\t90\t.\tx\t+{}\n", "\tmore".repeat(20));
    let regions = read(&[narrow_peak, bed12, &more].concat(), STRICT).unwrap();
    let names: Vec<_> = regions.list.iter().map(|region| region.name.as_deref()).collect();
    assert_eq!(names, [Some("peak_1"), Some("gene a"), None]);
    let strands: Vec<_> = regions.list.iter().map(|region| region.strand).collect();
    assert_eq!(strands, [None, Some(Strand::Plus), Some(Strand::Plus)]);
}

#[test]
fn regions_without_bases_are_skipped_and_counted_with_their_line() {
    let regions = read("chr1\t0\t0\nchr1\t3\t4\nchr1\t7\t7\n", STRICT).unwrap();
    assert_eq!(spans(&regions), [(0, 3, 4)]);
    assert_eq!(regions.skipped_for(SkipReason::Empty), 2);
    assert_eq!(regions.skipped[1].origin.error("empty").to_string(), "x.bed:3: empty");
}

#[test]
fn clipping_and_unknown_contigs_are_the_users_choice() {
    let text = "chr1\t900\t1100\nchrUn\t5\t6\nchr1\t2000\t2100\nchr1\t5\t6\n";
    let options = RegionOptions { clip: true, skip_unknown_contigs: true };
    let regions = read(text, options).unwrap();
    assert_eq!(spans(&regions), [(0, 900, 1000), (0, 5, 6)]);
    assert_eq!(regions.skipped_for(SkipReason::UnknownContig), 1);
    assert_eq!(regions.skipped_for(SkipReason::Empty), 1);
    assert_eq!(&*regions.skipped[0].contig, "chrUn");
    assert_eq!(SkipReason::UnknownContig.code(), "UNKNOWN_CONTIG");

    let error = read("chrUn\t5\t6\n", options).unwrap_err().to_string();
    assert!(error.contains("no contig of this file is in the reference"), "{error}");
    assert_eq!(read("# nothing\n", STRICT).unwrap(), Regions::default());
}

#[test]
fn roman_names_are_judged_by_the_whole_file() {
    let contigs = Contigs::new(["1", "2"].map(|name| (name.into(), 9)).into());
    let resolver = Resolver::new(&contigs, None).unwrap();
    let lines =
        |text: &'static str| Lines::from_reader(Cursor::new(text), Path::new("x.bed")).unwrap();
    let yeast = BedFile::read(lines("chrII\t0\t1\nchrI\t0\t1\n")).unwrap();
    assert_eq!(spans(&yeast.place(&resolver, &STRICT).unwrap()), [(1, 0, 1), (0, 0, 1)]);
    let mixed = BedFile::read(lines("chrII\t0\t1\n1\t0\t1\n")).unwrap();
    assert!(mixed.place(&resolver, &STRICT).is_err());
}

#[test]
fn bad_lines_are_refused_with_line_cause_and_remedy() {
    for (text, message, remedy) in [
        ("chr1\t1\t2\nchr1\t120\t90\n", ":2: end 90 is before start 120", "swap"),
        ("chr1\tstart\tend\n", ":1: start is not a number (found `start`", "with `#`"),
        ("chr1\t5\t1e3\n", ":1: end is not a number (found `1e3`", "correct"),
        ("chr1\t\t5\n", ":1: start is not a number (found ``", "correct"),
        ("chr1\t+1\t5\n", ":1: start is not a number (found `+1`", "correct"),
        ("chr1\t1\t1,000\n", ":1: end is not a number (found `1,000`", "correct"),
        ("chr1\t-5\t5\n", ":1: start is negative (found `-5`", "correct"),
        ("chr1\t1\t9223372036854775808\n", ":1: end is too large", "correct"),
        ("chr1\t18446744073709551615\t2\n", ":1: start is too large", "correct"),
        ("chr1\t1\t99999999999999999999999\n", ":1: end is too large", "correct"),
        ("chr1\t5\n", ":1: too few columns (found 2, expected at least 3", ""),
        ("chr1\n", ":1: too few columns (found 1", ""),
        ("chr1\t1\t2\nchr1 1 2\n", ":2: tabs and spaces mixed", "sed -E"),
        ("chr1 1 2\nchr1\t1\t2\n", ":2: tabs and spaces mixed", "sed -E"),
        ("chr1\t1\t2\tx\t0\tplus\n", ":1: column 6 is no strand (found `plus`", "cut -f1-5"),
        (
            "chr1\t1\t2\nchr9\t1\t2\n",
            ":2: contig `chr9` is not in the reference (expected one of \
          chr1, chr2, chrM)",
            "--skip-unknown-contigs",
        ),
        (
            "chr1\t1\t2\nchr2\t1\t501\n",
            ":2: the region 1-501 ends past its contig (found end 501, \
          expected at most 500, the length of contig `chr2`)",
            "--clip",
        ),
        (
            "chrA\t1\t2\n",
            ": no contig of this file is in the reference (found chrA, expected \
          chr1, chr2, chrM)",
            "--aliases",
        ),
        ("chr1\t0\t9\tx\t0\t+\t0\t9\t0\t2\t3,3\t0,5\n", ":1: the blocks of a BED12 line", "cut"),
        ("chr1\t0\t9\tx\t0\t+\t0\t9\t0\t2\t5,5\t0,4\n", ":1: the blocks of a BED12 line", "cut"),
        ("chr1\t0\t9\tx\t0\t+\t0\t9\t0\t3\t3,3\t0,6\n", ":1: the blocks of a BED12 line", "cut"),
    ] {
        let error = read(text, STRICT).unwrap_err().to_string();
        assert!(error.starts_with(&format!("x.bed{message}")), "{error}\n  for {message}");
        assert!(error.contains(remedy), "{error}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic_and_regions_lie_in_their_contig(
        text in "((chr1|chrM|x)[\t ][0-9]{0,21}[\t ]-?[0-9]{0,21}[\t 0-9a.,+-]{0,12}\r?\n){0,4}.{0,20}"
    ) {
        let options = RegionOptions { clip: true, skip_unknown_contigs: true };
        if let Ok(regions) = read(&text, options) {
            for Interval { contig, start, end } in regions.list.iter().map(|r| r.interval) {
                prop_assert!(start < end && end <= resolver().contigs().length(contig));
            }
        }
    }
}
