use super::*;
use noodles::bgzf;
use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

/// A FASTA file in a folder of its own.
fn fasta(text: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("x.fa");
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn bgzip(text: &[u8]) -> Vec<u8> {
    let mut writer = bgzf::io::Writer::new(Vec::new());
    writer.write_all(text).unwrap();
    writer.finish().unwrap()
}

fn fetch(reference: &mut Reference, name: &str, start: i64, end: i64) -> String {
    let contig = reference.contigs().id(name).unwrap();
    String::from_utf8(reference.fetch(contig, start, end).unwrap()).unwrap()
}

/// A file of the shared conformance data, or `None` with the reason printed.
fn shared(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("ATROUS_SHARED").map_or("../shared".into(), PathBuf::from);
    let path = folder.join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there (set ATROUS_SHARED)", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn bases_beyond_the_ends_of_a_contig_are_n_and_never_the_next_header() {
    let (_folder, path) = fasta(">sq0\nACGT\n>sq1\nTTTT\n");
    let mut reference = Reference::open(&path).unwrap();
    assert_eq!(fetch(&mut reference, "sq0", -3, 5), "NNNACGTN");
    assert_eq!(fetch(&mut reference, "sq0", 5, 9), "NNNN");
    assert_eq!(fetch(&mut reference, "sq0", -9, -7), "NN");
    assert_eq!(fetch(&mut reference, "sq0", 3, 7), "TNNN");
    assert_eq!(fetch(&mut reference, "sq1", 0, 4), "TTTT");
    assert_eq!(fetch(&mut reference, "sq1", 2, 2), "");
    for (start, end) in [(3, 2), (0, i64::MAX), (i64::MIN, i64::MAX)] {
        assert!(reference.fetch(ContigId(0), start, end).is_err(), "{start}..{end}");
    }
}

#[test]
fn letters_come_as_in_the_file_whatever_the_line_ends() {
    let text = ">a\r\nacNRy\r\nGT\r\n\r\n>empty\r\n>b\r\nACGTA\r\nCG";
    let (_folder, path) = fasta(text);
    let mut reference = Reference::open(&path).unwrap();
    assert_eq!(fetch(&mut reference, "a", 0, 8), "acNRyGTN");
    assert_eq!(fetch(&mut reference, "empty", -1, 1), "NN");
    assert_eq!(fetch(&mut reference, "b", 3, 7), "TACG");
}

#[test]
fn what_is_no_letter_is_an_error_with_file_contig_and_position() {
    let (_folder, path) = fasta(">a\nACGT\nAC-T\n>b\nAC*T5\n");
    let mut reference = Reference::open(&path).unwrap();
    assert_eq!(fetch(&mut reference, "a", 0, 6), "ACGTAC");
    for (contig, start, end, place) in [
        (ContigId(0), 5, 9, "contig `a`: position 7 (from 1) is no letter (found `-`"),
        (ContigId(1), -2, 5, "contig `b`: position 3 (from 1) is no letter (found `*`"),
        (ContigId(1), 4, 5, "contig `b`: position 5 (from 1) is no letter (found `5`"),
    ] {
        let error = reference.fetch(contig, start, end).unwrap_err().to_string();
        assert!(error.contains(place) && error.contains("x.fa: "), "{error}");
    }
}

#[test]
fn indexes_are_built_when_missing_and_saved_on_request() {
    let text = b">a\nACGT\nAC\n>b\nA\n";
    let (_folder, path) = fasta(bgzip(text));
    let reference = Reference::open(&path).unwrap();
    let info = reference.describe();
    assert_eq!((info.contigs, info.bases, info.compression, info.index), (2, 7, "bgzip", "built"));
    let written = reference.write_indexes().unwrap();
    assert_eq!(written, [append(&path, ".fai"), append(&path, ".gzi")]);
    assert_eq!(fs::read_to_string(&written[0]).unwrap(), "a\t6\t3\t4\t5\nb\t1\t14\t1\t2\n");
    assert_eq!(fs::read(&written[1]).unwrap(), [0; 8], "one block, which is not listed");
    let again = Reference::open(&path).unwrap();
    assert_eq!(again.describe().index, "read");
    assert!(again.write_indexes().unwrap().is_empty());
    let left = fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(left, 3, "no temporary file stays");
}

#[test]
fn a_stale_index_is_built_anew() {
    let (_folder, path) = fasta(">new\nACGTACGT\n");
    fs::write(append(&path, ".fai"), "old\t4\t5\t4\t5\n").unwrap();
    let mut reference = Reference::open(&path).unwrap();
    assert_eq!(reference.describe().index, "built");
    assert_eq!(fetch(&mut reference, "new", 0, 8), "ACGTACGT");
}

#[test]
fn a_block_index_of_another_file_is_built_anew() {
    let text = [b">a\n".as_slice(), &b"ACGT".repeat(50_000), b"\n>b\nAC\n"].concat();
    let (_folder, path) = fasta(bgzip(&text));
    // A place without a block, and an index that knows the first block only.
    for numbers in [&[1_u64, 77, 65280][..], &[0]] {
        let gzi: Vec<u8> = numbers.iter().copied().flat_map(u64::to_le_bytes).collect();
        fs::write(append(&path, ".gzi"), gzi).unwrap();
        let mut reference = Reference::open(&path).unwrap();
        assert_eq!(reference.describe().index, "built");
        assert_eq!(fetch(&mut reference, "a", 199_998, 200_001), "GTN");
        assert_eq!(fetch(&mut reference, "b", 0, 2), "AC");
    }
}

#[test]
fn truncated_files_are_refused() {
    let text = [b">a\n".as_slice(), &b"ACGTACGTAC".repeat(20_000), b"\n"].concat();
    let (_folder, path) = fasta(&text);
    Reference::open(&path).unwrap().write_indexes().unwrap();
    fs::write(&path, &text[..100_000]).unwrap();
    let error = Reference::open(&path).unwrap_err().to_string();
    assert!(error.contains("ends before contig `a` does (found 100000 bytes"), "{error}");
    assert!(error.contains("remove"), "{error}");

    let whole = bgzip(&text);
    let (_folder, path) = fasta(&whole);
    Reference::open(&path).unwrap().write_indexes().unwrap();
    // Inside a block, at the end of a block, and inside the header of a block.
    let second = Blocks::walk(&mut File::open(&path).unwrap(), &path, (0, 0)).unwrap().starts[1].0;
    for end in [whole.len() as u64 - 40, second, second + 5] {
        fs::write(&path, &whole[..usize::try_from(end).unwrap()]).unwrap();
        let error = Reference::open(&path).unwrap_err().to_string();
        assert!(error.contains("truncated"), "{error}");
    }
}

#[test]
fn corrupt_blocks_are_an_error_and_a_missing_end_block_is_not() {
    let text = [b">a\n".as_slice(), &b"ACGTTGCAAC".repeat(20_000), b"\n"].concat();
    let whole = bgzip(&text);
    let (_folder, path) = fasta(&whole[..whole.len() - 28]);
    Reference::open(&path).unwrap().write_indexes().unwrap();

    let mut bytes = whole.clone();
    bytes[60] ^= 0x55;
    fs::write(&path, bytes).unwrap();
    // The spot check reads the first block.
    let error = Reference::open(&path).unwrap_err().to_string();
    assert!(error.contains("corrupt bgzip file") && error.contains("bgzip -t"), "{error}");
}

#[test]
fn what_is_no_reference_is_refused_with_the_remedy() {
    let folder = tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    fs::write(place("empty.fa"), "").unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b">a\nAC\n").unwrap();
    fs::write(place("hg38.fa.gz"), gzip.finish().unwrap()).unwrap();
    fs::write(place("bad.fa.gz"), bgzip(b">a\nAC\n")).unwrap();
    fs::write(place("bad.fa.gz.gzi"), b"12345").unwrap();
    for (name, message) in [
        ("missing.fa", "no such file"),
        ("", "a folder cannot be a reference"),
        ("empty.fa", "empty file"),
        ("hg38.fa.gz", "compressed with gzip, which has no random access"),
        ("bad.fa.gz", "malformed .gzi index"),
    ] {
        let error = Reference::open(&place(name)).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
        assert!(error.contains("; "), "has a remedy: {error}");
    }
    let error = Reference::open(&place("hg38.fa.gz")).unwrap_err().to_string();
    let name = place("hg38");
    let name = name.display();
    let remedy = format!("`gunzip -c {name}.fa.gz | bgzip > {name}.bgzip.fa.gz`");
    assert!(error.contains(&remedy), "{error}");
    let error = Reference::open(Path::new("-")).unwrap_err().to_string();
    assert!(error.contains("standard input cannot be a reference"), "{error}");
}

#[test]
fn the_edge_contigs_of_the_conformance_data_are_read() {
    let Some(path) = shared("conformance/edge.fa") else { return };
    let mut reference = Reference::open(&path).unwrap();
    assert_eq!(reference.describe().index, "read");
    assert_eq!(fetch(&mut reference, "ctgD_one_base", -1, 2).len(), 3);
    assert!(!fetch(&mut reference, "ctgD_one_base", 0, 1).contains('N'));
    let all = fetch(&mut reference, "ctgC_N_lower_iupac", 0, 6000);
    let mut counts = super::super::sequence::LetterCounts::default();
    counts.add(ContigId(2), all.as_bytes());
    assert!(!counts.is_empty(), "it has IUPAC letters");
    assert!(all.contains('N') && all.contains(|letter: char| letter.is_ascii_lowercase()));
}

#[test]
fn built_indexes_are_those_of_samtools_and_bgzip() {
    for name in [
        "conformance/edge.fa",
        "data/small/dm6.chr4.fa.gz",
        "data/small/human.windows.fa.gz",
        "data/yeast/genome.fa.gz",
        "data/pombe/genome.fa.gz",
    ] {
        let Some(path) = shared(name) else { return };
        let (_folder, copy) = fasta(fs::read(&path).unwrap());
        for written in Reference::open(&copy).unwrap().write_indexes().unwrap() {
            let suffix = written.extension().unwrap().to_str().unwrap();
            let theirs = fs::read(append(&path, &format!(".{suffix}"))).unwrap();
            assert!(fs::read(&written).unwrap() == theirs, "{name}.{suffix}");
        }
    }
}

#[test]
fn plain_and_bgzipped_files_give_the_same_bases() {
    let Some(path) = shared("conformance/hg38_1m.fa.gz") else { return };
    let mut text = Vec::new();
    let mut reader = bgzf::io::Reader::new(File::open(&path).unwrap());
    std::io::Read::read_to_end(&mut reader, &mut text).unwrap();
    let (_folder, plain) = fasta(&text);
    let mut plain = Reference::open(&plain).unwrap();
    let mut bgzipped = Reference::open(&path).unwrap();
    assert_eq!(plain.contigs(), bgzipped.contigs());
    for start in (-5_000..1_000_000).step_by(100_000) {
        let windows = [&mut plain, &mut bgzipped].map(|r| fetch(r, "chr1", start, start + 110_000));
        assert!(windows[0] == windows[1], "{start}");
    }
}

proptest! {
    #[test]
    fn fetching_is_a_slice_of_the_contig_for_any_line_width(
        contigs in prop::collection::vec(("[ACGTNacgtnRY]{0,300}", 1_usize..90), 1..5),
        crlf: bool,
        last_line_end: bool,
        bgzipped: bool,
        which: prop::sample::Index,
        ends in (-40_i64..340, -40_i64..340),
    ) {
        let line_end = if crlf { "\r\n" } else { "\n" };
        let mut text = String::new();
        for (i, (bases, width)) in contigs.iter().enumerate() {
            text += &format!(">c{i} some text{line_end}");
            for line in bases.as_bytes().chunks(*width) {
                text += std::str::from_utf8(line).unwrap();
                text += line_end;
            }
        }
        if !last_line_end {
            text.truncate(text.trim_end().len());
        }
        let (_folder, path) = fasta(if bgzipped { bgzip(text.as_bytes()) } else { text.into() });
        let which = which.index(contigs.len());
        let (start, end) = (ends.0.min(ends.1), ends.0.max(ends.1));
        let bases = contigs[which].0.as_bytes();
        let expected: String = (start..end)
            .map(|at| usize::try_from(at).ok().and_then(|at| bases.get(at)).map_or('N', |&b| b.into()))
            .collect();
        let mut built = Reference::open(&path).unwrap();
        prop_assert_eq!(fetch(&mut built, &format!("c{which}"), start, end), expected.clone());
        // Not `write_indexes`, which waits for the disk each time.
        fs::write(append(&path, ".fai"), built.index.to_text()).unwrap();
        if let Some(bytes) = built.source.gzi_bytes() {
            fs::write(append(&path, ".gzi"), bytes).unwrap();
        }
        let mut read = Reference::open(&path).unwrap();
        prop_assert_eq!(read.describe().index, "read");
        prop_assert_eq!(fetch(&mut read, &format!("c{which}"), start, end), expected);
    }
}
