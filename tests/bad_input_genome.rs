//! Every file in `test-data/bad` of the kinds that `genome` reads gets one error that names the
//! file, the line where there is one, and what to do.

use atrous::genome::{ContigId, Reference, RegionOptions, Regions, Resolver, read_bed};
use atrous::{Error, Result};
use std::path::PathBuf;

fn bad(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("test-data/bad").join(name)
}

/// Asserts that the message is `{file}{place}: … {what} … {remedy}`.
fn assert_message(error: &Error, file: &str, place: &str, what: &str, remedy: &str) {
    let message = error.to_string();
    let start = format!("{}{place}: ", bad(file).display());
    assert!(message.starts_with(&start), "{message}\n  should start with {start}");
    let (_, rest) = message.split_at(start.len());
    assert!(rest.contains(what), "{message}\n  should say {what}");
    assert!(rest.contains(remedy), "{message}\n  should advise {remedy}");
    assert_eq!(error.exit_code(), 1);
}

#[test]
fn bad_fasta_files_are_refused() {
    for (file, named, place, what, remedy) in [
        ("missing.fa", "missing.fa", "", "no such file", "check the path"),
        ("", "", "", "a folder cannot be a reference", "name the FASTA file in it"),
        ("empty.fa", "empty.fa", "", "empty file", "download it again"),
        ("no_header.fa", "no_header.fa", ":1", "text before the first sequence", "`>name`"),
        ("fastq.fa", "fastq.fa", ":1", "what looks like FASTQ", "give a FASTA file"),
        ("no_name.fa", "no_name.fa", ":3", "a sequence without a name", "without a space"),
        ("twice.fa", "twice.fa", ":5", "sequence name `chr1` comes twice", "rename or remove"),
        ("ragged.fa", "ragged.fa", ":3", "found 5 bases, expected 8 bases", "seqkit seq"),
        ("long_line.fa", "long_line.fa", ":3", "found 6 bases, expected 4 bases", "seqkit seq"),
        ("gap_in_record.fa", "gap_in_record.fa", ":3", "an empty line inside", "grep -v"),
        ("mixed_line_ends.fa", "mixed_line_ends.fa", ":3", "mixed line ends", "seqkit seq"),
        ("cut.fa", "cut.fa", "", "ends before contig `chr1` does", "download it again"),
        ("bad_index.fa", "bad_index.fa.fai", ":2", "malformed index line", "remove "),
        ("plain_gzip.fa.gz", "plain_gzip.fa.gz", "", "no random access", "| bgzip > "),
        ("cut.fa.gz", "cut.fa.gz", "", "truncated bgzip file", "download the file again"),
        ("corrupt.fa.gz", "corrupt.fa.gz", "", "corrupt bgzip file", "bgzip -t"),
    ] {
        let error = Reference::open(&bad(file)).unwrap_err();
        assert_message(&error, named, place, what, remedy);
    }
}

#[test]
fn what_is_no_letter_is_refused_where_it_is_read() {
    let file = "no_letters.fa";
    let mut reference = Reference::open(&bad(file)).unwrap();
    assert_eq!(reference.fetch(ContigId(0), -1, 6).unwrap(), b"NACGTAC");
    for (contig, what) in [
        "contig `chr1`: position 7 (from 1) is no letter (found `-`",
        "contig `chr2`: position 4 (from 1) is no letter (found `*`",
        "contig `chr3`: position 3 (from 1) is no letter (found `5`",
    ]
    .into_iter()
    .enumerate()
    {
        let error = reference.fetch(ContigId(contig), 0, 8).unwrap_err();
        assert_message(&error, file, "", what, "replace it by N");
    }
}

fn read(file: &str) -> Result<Regions> {
    let reference = Reference::open(&bad("tiny.fa"))?;
    let resolver = Resolver::new(reference.contigs(), None)?;
    read_bed(&bad(file), &resolver, &RegionOptions::default())
}

#[test]
fn bad_bed_files_are_refused() {
    for (file, place, what, remedy) in [
        ("missing.bed", "", "no such file", "check the path"),
        ("", "", "a folder", "expected a file"),
        ("end_before_start.bed", ":2", "end 9 is before start 12", "swap"),
        ("text_in_number.bed", ":2", "start is not a number (found `1o`", "correct"),
        ("negative.bed", ":1", "start is negative (found `-2`", "correct"),
        ("too_large.bed", ":1", "end is too large", "from 0 to 9223372036854775807"),
        ("past_contig.bed", ":3", "found end 11, expected at most 10", "--clip"),
        ("unknown_contig.bed", ":2", "expected one of chr1, chr2", "--skip-unknown-contigs"),
        ("other_assembly.bed", "", "found NC_000001.11, NC_000002.12", "--aliases"),
        ("two_columns.bed", ":2", "too few columns (found 2", "at least 3"),
        ("mixed_separators.bed", ":2", "tabs and spaces mixed", "sed -E"),
        ("bad_strand.bed", ":2", "found `forward`", "cut -f1-5"),
        ("bad_blocks.bed", ":1", "blocks of a BED12 line", "cut -f1-6"),
        ("utf16.bed", ":1", "UTF-16", "iconv"),
        ("cut.bed.gz", ":9", "truncated or corrupt gzip file", "gzip -t"),
    ] {
        assert_message(&read(file).unwrap_err(), file, place, what, remedy);
    }
}

#[test]
fn bad_alias_tables_are_refused() {
    let reference = Reference::open(&bad("tiny.fa")).unwrap();
    for (file, place, what, remedy) in [
        ("missing.tsv", "", "no such file", "check the path"),
        ("one_column.tsv", ":2", "an alias row has one column", "separated by tabs"),
        ("two_contigs.tsv", ":2", "found chr1, chr2", "remove one of the names"),
        ("other_assembly.tsv", "", "expected one of chr1, chr2", "own assembly"),
    ] {
        let error = Resolver::new(reference.contigs(), Some(&bad(file))).unwrap_err();
        assert_message(&error, file, place, what, remedy);
    }
}
