//! `atrous score` as a user meets it: what comes out for awkward files, on real small windows and
//! the position-weight matrices of the repository.

use super::{GENES, HUMAN, MODEL, atrous, listing, outcome, path_text, succeeds, unzipped};
use flate2::read::MultiGzDecoder;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const VARIANTS: &str = "test-data/human.windows.vcf";
const CONTIG: &str = "hg19_1_860260_879955";
const COLUMNS: &str = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n";

/// A folder with a table of one gene that covers all of [`CONTIG`].
struct Bench {
    folder: TempDir,
    bases: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let fasta = unzipped(HUMAN);
        let end = 1 + fasta[1..].iter().position(|&b| b == b'>').unwrap();
        let bases: Vec<u8> =
            fasta[..end].split(|&b| b == b'\n').skip(1).flatten().copied().collect();
        let table = format!(
            "#NAME\tCHROM\tSTRAND\tTX_START\tTX_END\tEXON_START\tEXON_END\n\
             WHOLE\t{CONTIG}\t+\t0\t{}\t0,5000,\t1000,{},\n",
            bases.len(),
            bases.len()
        );
        fs::write(folder.path().join("genes.tsv"), table).unwrap();
        Self { folder, bases }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        fs::write(self.at(name), bytes).unwrap();
        path_text(&self.at(name))
    }

    /// The base at a position (1-based).
    fn base(&self, pos: usize) -> char {
        char::from(self.bases[pos - 1])
    }

    /// The base at a position (1-based) and another one.
    fn change(&self, pos: usize) -> (char, char) {
        let base = self.base(pos);
        (base, if base == 'A' { 'C' } else { 'A' })
    }

    fn arguments(&self, input: &[&str], output: &str, more: &[&str]) -> Vec<String> {
        let genes = path_text(&self.at("genes.tsv"));
        let fixed = ["score", "-m", MODEL, "-r", HUMAN, "-a", &genes, "--scheme", "splice-delta"];
        let output = if output == "-" { output.to_owned() } else { path_text(&self.at(output)) };
        [&fixed[..], input, &["-o", &output], more]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect()
    }

    /// Exit code and stderr.
    fn run(&self, input: &[&str], output: &str, more: &[&str]) -> (i32, String) {
        let arguments = self.arguments(input, output, more);
        outcome(&mut atrous(&arguments.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    /// The lines of the output of a run that must succeed.
    fn lines(&self, input: &[&str], output: &str, more: &[&str]) -> Vec<String> {
        let (code, message) = self.run(input, output, more);
        assert_eq!(code, 0, "{message}");
        let text = fs::read(self.at(output)).unwrap();
        String::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
    }

    /// INFO of each record of a VCF file with these data lines.
    fn info(&self, records: &str, more: &[&str]) -> Vec<String> {
        let input = self.write("in.vcf", format!("##fileformat=VCFv4.2\n{COLUMNS}{records}"));
        let lines = self.lines(&[&input], "out.vcf", more);
        let records = lines.iter().filter(|line| !line.starts_with('#'));
        records.map(|line| line.split('\t').nth(7).unwrap().to_owned()).collect()
    }
}

#[test]
fn a_file_is_annotated_and_the_same_for_any_number_of_threads() {
    let folder = TempDir::new().unwrap();
    let run = |threads: &str, name: &str| {
        let output = folder.path().join(name);
        let words = ["score", "-m", MODEL, "-r", HUMAN, "-a", GENES, VARIANTS, "--scheme"];
        let more = ["splice-delta", "--mask", "none,all", "-t", threads, "-o"];
        let output_text = path_text(&output);
        succeeds(&[&words[..], &more[..], &[&output_text]].concat());
        fs::read(output).unwrap()
    };
    let one = run("1", "one.vcf");
    assert_eq!(one, run("3", "three.vcf"));
    let text = String::from_utf8(one).unwrap();
    let input = fs::read_to_string(VARIANTS).unwrap();
    let originals: Vec<&str> = input.lines().collect();
    let records: Vec<&str> = text.lines().filter(|line| !line.starts_with("##")).collect();
    assert_eq!(records.len(), originals.iter().filter(|l| !l.starts_with("##")).count());
    for (record, original) in
        records.iter().skip(1).zip(originals.iter().filter(|line| !line.starts_with('#')))
    {
        let before = original.strip_suffix('.').unwrap();
        let info = record.strip_prefix(before).unwrap();
        assert!(info.starts_with("atrous=") || info == "atrous_SKIP=NO_GENE", "{record}");
    }
    let added: Vec<&str> = text.lines().filter(|line| line.contains("trous")).take(8).collect();
    assert!(added[0].starts_with("##INFO=<ID=atrous,") && added[0].ends_with("DP_DL\">"));
    let header: Vec<&str> = text.lines().take_while(|line| line.starts_with("##")).collect();
    assert!(header[header.len() - 1].starts_with("##atrousCommand=atrous score --model models/"));
    assert!(header[header.len() - 2].starts_with("##atrousVersion="));
}

#[test]
fn contigs_need_no_header_lines_and_line_ends_stay() {
    let bench = Bench::new();
    let (a, b) = bench.change(6000);
    let line = format!("{CONTIG}\t6000\tx\t{a}\t{b}\t.\t.\tAC=1");
    let text = format!("##fileformat=VCFv4.2\n{COLUMNS}{line}\n");
    let lf = bench.write("lf.vcf", &text);
    let crlf = bench.write("crlf.vcf", text.replace('\n', "\r\n"));
    assert_eq!(bench.run(&[&lf], "lf.out.vcf", &[]).0, 0);
    assert_eq!(bench.run(&[&crlf], "crlf.out.vcf", &[]).0, 0);
    let plain = fs::read_to_string(bench.at("lf.out.vcf")).unwrap();
    assert!(plain.lines().last().unwrap().starts_with(&format!("{line};atrous={b}|WHOLE|")));
    let windows = fs::read_to_string(bench.at("crlf.out.vcf")).unwrap();
    let records = |text: &str| text.split('\n').rev().nth(1).unwrap().to_owned();
    assert_eq!(records(&windows), records(&plain) + "\r");
    assert!(windows.starts_with("##fileformat=VCFv4.2\r\n"));
}

#[test]
fn bytes_that_are_not_utf8_survive() {
    let bench = Bench::new();
    let (a, b) = bench.change(6000);
    let mut text =
        format!("##x=caf\u{e9}\n{COLUMNS}{CONTIG}\t6000\t\u{e9}\t{a}\t{b}\t.\t.\tX=\u{e9}\n");
    text = text.replace("##x", "##fileformat=VCFv4.2\n##x");
    let latin1: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let input = bench.write("in.vcf", &latin1);
    let (code, message) = bench.run(&[&input], "out.vcf", &[]);
    assert_eq!(code, 0, "{message}");
    let out = fs::read(bench.at("out.vcf")).unwrap();
    let last = latin1.split(|&b| b == b'\n').rev().nth(1).unwrap();
    assert!(out.windows(last.len()).any(|part| part == last));
    let (code, message) = bench.run(&[&input], "out.bcf", &[]);
    assert_eq!(code, 1);
    assert!(message.contains("INFO key `X` is not declared"), "{message}");
}

#[test]
fn a_file_without_records_is_an_error_unless_it_is_meant() {
    let bench = Bench::new();
    let empty = bench.write("empty.vcf", format!("##fileformat=VCFv4.2\n{COLUMNS}"));
    let (code, message) = bench.run(&[&empty], "out.vcf", &[]);
    assert_eq!(code, 1);
    assert!(message.contains("empty.vcf: there is no variant to score"), "{message}");
    assert!(!listing(bench.folder.path()).iter().any(|name| name.starts_with("out")));
    for output in ["out.vcf", "out.bcf", "out.tsv"] {
        let (code, message) = bench.run(&[&empty], output, &["--allow-empty"]);
        assert_eq!(code, 0, "{message}");
    }
    let text = fs::read_to_string(bench.at("out.vcf")).unwrap();
    assert!(text.ends_with(COLUMNS), "{text}");
    assert_eq!(fs::read_to_string(bench.at("out.tsv")).unwrap().lines().count(), 1);
    let nothing = bench.write("nothing.vcf", "");
    let (code, message) = bench.run(&[&nothing], "out2.vcf", &["--allow-empty"]);
    assert_eq!(code, 1);
    assert!(message.contains("found an empty file"), "{message}");
}

#[test]
fn a_truncated_file_leaves_no_output() {
    let bench = Bench::new();
    let (code, message) = bench.run(&[VARIANTS], "whole.vcf.gz", &[]);
    assert_eq!(code, 0, "{message}");
    let bytes = fs::read(bench.at("whole.vcf.gz")).unwrap();
    let cut = bench.write("cut.vcf.gz", &bytes[..bytes.len() / 2]);
    let (code, message) = bench.run(&[&cut], "out.vcf", &["--overwrite-info"]);
    assert_eq!(code, 1);
    assert!(message.contains("cut.vcf.gz:"), "{message}");
    assert!(message.contains("truncated or corrupt gzip file"), "{message}");
    assert!(!bench.at("out.vcf").exists() && !bench.at("out.vcf.part").exists());
}

#[test]
fn long_insertions_contig_ends_and_many_alleles_have_scores() {
    let bench = Bench::new();
    let last = bench.bases.len();
    let insertion = |pos: usize, length: usize| {
        let base = bench.base(pos);
        format!("{CONTIG}\t{pos}\t.\t{base}\t{base}{}\t.\t.\t.\n", "ACGT".repeat(length / 4))
    };
    let change = |pos: usize| {
        let (a, b) = bench.change(pos);
        format!("{CONTIG}\t{pos}\t.\t{a}\t{b}\t.\t.\t.\n")
    };
    let base = bench.base(6000);
    let alleles: Vec<String> = (1..=50).map(|n| format!("{base}{}", "T".repeat(n))).collect();
    let many = format!("{CONTIG}\t6000\t.\t{base}\t{}\t.\t.\t.\n", alleles.join(","));
    let records = [
        insertion(6000, 10_000 - 4),
        insertion(6000, 10_000),
        change(1),
        change(last),
        many,
        format!("{CONTIG}\t0\t.\tN\tA\t.\t.\t.\n{CONTIG}\t{}\t.\tA\tC\t.\t.\t.\n", last + 1),
    ];
    let info = bench.info(&records.concat(), &[]);
    assert!(info[0].starts_with("atrous="), "{}", &info[0][..50]);
    assert_eq!(info[1], "atrous_SKIP=ALT_TOO_LONG", "one letter beyond --max-alt");
    // At the ends the window leaves the contig: 50 bases of it and the reach of the model beyond.
    for at_end in &info[2..4] {
        assert!(at_end.contains("|WHOLE|") && at_end.contains("CONTIG_EDGE:"), "{at_end}");
    }
    let scores = info[4].strip_prefix("atrous=").unwrap().split(';').next().unwrap();
    assert_eq!(scores.split(',').count(), 50);
    assert!(scores.split(',').zip(&alleles).all(|(one, alt)| one.starts_with(&format!("{alt}|"))));
    assert_eq!(info[5..], ["atrous_SKIP=OUT_OF_CONTIG", "atrous_SKIP=OUT_OF_CONTIG"]);
}

#[test]
fn unknown_contigs_are_counted_and_only_unknown_ones_are_an_error() {
    let bench = Bench::new();
    let (a, b) = bench.change(6000);
    let records = format!("chrUn\t5\t.\tA\tC\t.\t.\t.\n{CONTIG}\t6000\t.\t{a}\t{b},*\t.\t.\t.\n");
    let skipped = path_text(&bench.at("skipped.tsv"));
    let summary = path_text(&bench.at("run.json"));
    let info = bench.info(&records, &["--skipped", &skipped, "--summary", &summary]);
    assert_eq!(info[0], "atrous_SKIP=CONTIG_NOT_IN_REFERENCE");
    assert!(info[1].contains(";atrous_SKIP=.,STAR"), "{}", info[1]);
    let listed = fs::read_to_string(&skipped).unwrap();
    let rows: Vec<Vec<&str>> = listed.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows[0], ["contig", "pos", "ref", "alt", "line", "reason", "detail"]);
    assert_eq!(rows[1][..6], ["chrUn", "5", "A", "C", "3", "CONTIG_NOT_IN_REFERENCE"]);
    assert_eq!(rows[2][3..6], ["*", "4", "STAR"]);
    let summary: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(summary).unwrap()).unwrap();
    assert_eq!(summary["skipped"]["STAR"], 1);

    let strange = bench
        .write("s.vcf", format!("##fileformat=VCFv4.2\n{COLUMNS}chrUn\t5\t.\tA\tC\t.\t.\t.\n"));
    let (code, message) = bench.run(&[&strange], "none.vcf", &[]);
    assert_eq!(code, 1);
    assert!(
        message.contains("no contig of this file is in the reference (found chrUn"),
        "{message}"
    );
    assert!(!bench.at("none.vcf").exists());
    // a contig of the reference that has no gene
    let strange = bench.write(
        "s.vcf",
        format!("##fileformat=VCFv4.2\n{COLUMNS}hg19_1_3547331_3569325\t5\t.\tA\tC\t.\t.\t.\n"),
    );
    let (code, message) = bench.run(&[&strange], "none.vcf", &[]);
    assert_eq!(code, 1);
    assert!(message.contains("no gene of the annotation is on a contig"), "{message}");
    assert!(message.contains(&format!("expected {CONTIG}")), "{message}");
}

#[test]
fn scores_that_are_there_are_replaced_only_on_request() {
    let bench = Bench::new();
    let (code, message) = bench.run(&[VARIANTS], "once.vcf", &[]);
    assert_eq!(code, 0, "{message}");
    let once = path_text(&bench.at("once.vcf"));
    let (code, message) = bench.run(&[&once], "twice.vcf", &[]);
    assert_eq!(code, 1);
    assert!(message.contains("INFO has the key `atrous` already"), "{message}");
    assert!(message.contains("--overwrite-info"), "{message}");
    let lines = bench.lines(&[&once], "twice.vcf", &["--overwrite-info"]);
    let records = |lines: &[String]| -> Vec<String> {
        lines.iter().filter(|line| !line.starts_with("##")).cloned().collect()
    };
    let first: Vec<String> =
        fs::read_to_string(&once).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(records(&lines), records(&first));
    let declared = lines.iter().filter(|line| line.starts_with("##INFO=<ID=atrous,")).count();
    assert_eq!(declared, 1);
}

#[test]
fn bad_records_stop_the_run_or_are_listed() {
    let bench = Bench::new();
    let (a, b) = bench.change(6000);
    let good = format!("{CONTIG}\t6000\t.\t{a}\t{b}\t.\t.\t.\n");
    let input = bench.write(
        "in.vcf",
        format!("##fileformat=VCFv4.2\n{COLUMNS}{good}{}", good.replace('\t', " ")),
    );
    let (code, message) = bench.run(&[&input], "out.vcf", &[]);
    assert_eq!(code, 1);
    assert!(message.contains("in.vcf:4: too few columns"), "{message}");
    assert!(message.contains("by tabs, not spaces"), "{message}");
    let skipped = path_text(&bench.at("skipped.tsv"));
    let more = ["--on-bad-record", "skip", "--skipped", &skipped];
    let lines = bench.lines(&[&input], "out.vcf", &more);
    assert_eq!(lines.iter().filter(|line| !line.starts_with('#')).count(), 1);
    let listed = fs::read_to_string(&skipped).unwrap();
    assert!(listed.lines().nth(1).unwrap().starts_with(".\t.\t.\t.\t4\tBAD_RECORD\t"), "{listed}");
}

#[test]
fn tables_keep_their_columns_and_gain_ours() {
    let bench = Bench::new();
    let (a, b) = bench.change(6000);
    let table = format!("sample,CHROM,POS,REF,ALT,note\ns1,{CONTIG},6000,{a},\"{b},*\",\"x,y\"\n");
    let input = bench.write("in.csv", &table);
    let lines = bench.lines(&[&input], "out.tsv", &["--mask", "none,nearest"]);
    let header: Vec<&str> = lines[0].split('\t').collect();
    assert_eq!(header[..8], ["sample", "CHROM", "POS", "REF", "ALT", "note", "gene", "strand"]);
    assert_eq!(header[8..10], ["DS_AG", "DS_AL"]);
    assert_eq!(header[header.len() - 2..], ["warnings", "skip"]);
    let scored: Vec<&str> = lines[1].split('\t').collect();
    assert_eq!(scored[4..8], [&b.to_string(), "x,y", "WHOLE", "+"]);
    assert!(scored[8].parse::<f32>().unwrap().is_finite());
    assert_eq!(scored[header.len() - 1], ".");
    let skipped: Vec<&str> = lines[2].split('\t').collect();
    assert_eq!((skipped[4], skipped[header.len() - 1]), ("*", "STAR"));
    assert_eq!(skipped.len(), header.len());

    let again = path_text(&bench.at("out.tsv"));
    let (code, message) = bench.run(&[&again], "more.tsv", &[]);
    assert_eq!(code, 1);
    assert!(message.contains("the table has a column `gene` already"), "{message}");
    let lines = bench.lines(&[&again], "more.tsv", &["--overwrite-info"]);
    assert_eq!(lines[0].matches("gene").count(), 1);
}

#[test]
fn variants_come_from_flags_and_scores_go_to_standard_output() {
    let bench = Bench::new();
    let (a, b) = bench.change(6000);
    let variant = format!("{CONTIG}:6,000:{a}:{b}");
    let arguments = bench.arguments(&["--variant", &variant], "-", &[]);
    let output =
        atrous(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let expected = format!("{CONTIG}\t6000\t.\t{a}\t{b}\t.\t.\tatrous={b}|WHOLE|");
    assert!(text.lines().last().unwrap().starts_with(&expected), "{text}");
    for wrong in ["chr1:5:A", "nonsense"] {
        assert_eq!(bench.run(&["--variant", wrong], "-", &[]).0, 2);
    }
    let (code, message) = bench.run(&[VARIANTS, "--variant", &variant], "-", &[]);
    assert_eq!(code, 2, "{message}");
}

#[test]
fn bcf_in_and_out_says_what_vcf_says() {
    let bench = Bench::new();
    let text = bench.lines(&[VARIANTS], "out.vcf", &[]);
    let (code, message) = bench.run(&[VARIANTS], "out.bcf", &["--write-index"]);
    assert_eq!(code, 0, "{message}");
    assert!(bench.at("out.bcf.csi").exists());
    // back through the program, with other scores put in place of those
    let bcf = path_text(&bench.at("out.bcf"));
    let back = bench.lines(&[&bcf], "back.vcf", &["--overwrite-info"]);
    let records = |lines: &[String]| -> Vec<String> {
        lines.iter().filter(|line| !line.starts_with("##")).cloned().collect()
    };
    assert_eq!(records(&back), records(&text));

    let undeclared = "##fileformat=VCFv4.2\n##INFO=<ID=Y,Number=1,Type=Float,Description=\"y\">\n";
    let (a, b) = bench.change(6000);
    let record =
        |info| format!("{undeclared}{COLUMNS}{CONTIG}\t6000\t.\t{a}\t{b}\t.\tlow\t{info}\n");
    let input = bench.write("in.vcf", record("Y=1;DP=7"));
    let (code, message) = bench.run(&[&input], "o.bcf", &[]);
    assert_eq!(code, 0, "{message}");
    let mut header = Vec::new();
    MultiGzDecoder::new(fs::File::open(bench.at("o.bcf")).unwrap())
        .read_to_end(&mut header)
        .unwrap();
    let header = String::from_utf8_lossy(&header);
    for line in [
        "##contig=<ID=hg19_1_860260_879955,length=19696>",
        "##FILTER=<ID=low,",
        "##INFO=<ID=DP,Number=1,Type=Integer,",
    ] {
        assert!(header.contains(line), "{line}");
    }
    let input = bench.write("in.vcf", record("ODD=7"));
    let (code, message) = bench.run(&[&input], "o2.bcf", &[]);
    assert_eq!(code, 1);
    assert!(message.contains("in.vcf:4: INFO key `ODD` is not declared"), "{message}");
    let input = bench.write("in.vcf", record("Y=x"));
    let (code, message) = bench.run(&[&input], "o2.bcf", &[]);
    assert_eq!(code, 1);
    assert!(message.contains("in.vcf:4: Y is not of the type"), "{message}");
    assert!(!bench.at("o2.bcf").exists());
}

#[test]
fn the_strongest_variants_are_drawn_and_written_as_tracks() {
    let bench = Bench::new();
    let (tracks, plots) = (path_text(&bench.at("tracks")), path_text(&bench.at("plots")));
    let more = ["--delta-tracks", &tracks, "--plot", &plots, "--strongest", "2"];
    let table = bench.lines(&[VARIANTS], "out.tsv", &more);
    let best = table.iter().skip(1).filter_map(|line| {
        let cells: Vec<&str> = line.split('\t').collect();
        let scores = cells[7..11].iter().filter_map(|cell| cell.parse::<f32>().ok());
        Some((scores.reduce(f32::max)?, cells[1].to_owned()))
    });
    let mut best: Vec<(f32, String)> = best.collect();
    best.sort_by(|a, b| b.0.total_cmp(&a.0));
    let plots = listing(&bench.at("plots"));
    assert_eq!(plots.len(), 2, "{plots:?}");
    for (_, pos) in &best[..2] {
        assert!(plots.iter().any(|name| name.contains(&format!("_{pos}_"))), "{plots:?} {pos}");
    }
    // acceptor and donor, each before, after and the difference
    assert_eq!(listing(&bench.at("tracks")).len(), 2 * 2 * 3);
}

#[test]
fn what_cannot_be_meant_is_refused_before_any_work() {
    let bench = Bench::new();
    let same = path_text(&bench.at("in.vcf"));
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(VARIANTS), &same).unwrap();
    for (output, more, says) in [
        ("out.txt", &[][..], "the ending of the output's name is not known"),
        ("in.vcf", &[], "would replace an input"),
        ("out.vcf", &["--write-index"], "can have no index"),
        ("out.tsv", &["--write-index"], "can have no index"),
        ("out.vcf", &["--distance", "5000"], "distance"),
        ("out.vcf", &["--rules", "pangolin"], "rules"),
        ("out.vcf", &["--mask", "some"], "mask"),
        ("out.vcf", &["--strand", "-"], "--strand"),
        ("out.vcf", &["--transcripts", "longest"], "canonical, all or tag=NAME"),
        ("out.vcf", &["--scheme", "bigger"], "scheme"),
    ] {
        let (code, message) = bench.run(&[&same], output, more);
        assert_eq!(code, 2, "{more:?}: {message}");
        assert!(message.contains(says), "{message}\n  should say {says}");
        assert!(!listing(bench.folder.path()).iter().any(|name| name.starts_with("out")));
    }
    let (code, message) = bench.run(&[&same], "out.vcf.gz", &["--write-index"]);
    assert_eq!(code, 0, "{message}");
    assert!(bench.at("out.vcf.gz.tbi").exists());
}
