//! `atrous mutate` as a user meets it, with the position-weight matrices of the repository.

use super::{HUMAN, MODEL, atrous, listing, outcome, path_text, succeeds};
use std::fs;
use tempfile::TempDir;

const REGION: &str = "hg19_1_860260_879955:1,001-1,040";

fn arguments(more: &[&str]) -> Vec<String> {
    let fixed = ["mutate", "-m", MODEL, "-r", HUMAN, "--region", REGION, "--distance", "30"];
    fixed.iter().chain(more).map(|argument| argument.to_string()).collect()
}

fn run(more: &[&str]) -> String {
    let arguments = arguments(more);
    succeeds(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn every_change_of_a_region_is_a_row_a_track_and_a_picture() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| path_text(&folder.path().join(name));
    let log = run(&[
        "--deletions",
        "-o",
        &at("c.tsv"),
        "--importance",
        &at("i.bedGraph"),
        "--plot",
        &at("p.svg"),
    ]);
    assert!(log.contains("160 changes of 160 scored"), "{log}");
    let table = fs::read_to_string(folder.path().join("c.tsv")).unwrap();
    let mut lines = table.lines();
    // a model without a scheme: the largest change of each track
    assert_eq!(
        lines.next().unwrap(),
        "chrom\tpos\tref\talt\tgene\tstrand\tdonor_delta\tdonor_pos\tacceptor_delta\t\
         acceptor_pos\tskip"
    );
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows.len(), 4 * 40);
    assert_eq!((rows[0][1], rows[3][1]), ("1001", "1000"), "a deletion is anchored before it");

    // the importance of the first base, from the rows of its substitutions
    let size = |row: &[&str], column: usize| row[column].parse::<f64>().unwrap().abs();
    let mean = rows[..3].iter().map(|row| size(row, 6).max(size(row, 8))).sum::<f64>() / 3.0;
    let track = fs::read_to_string(folder.path().join("i.bedGraph")).unwrap();
    let first: Vec<&str> = track.lines().next().unwrap().split('\t').collect();
    assert_eq!(first[1], "1000");
    assert!((first[3].parse::<f64>().unwrap() - mean).abs() < 1e-4, "{first:?} {mean}");

    let picture = fs::read_to_string(folder.path().join("p.svg")).unwrap();
    assert!(picture.contains(">del</text>") && picture.contains(">1,015</text>"), "{picture}");
    assert_eq!(listing(folder.path()), ["c.tsv", "i.bedGraph", "p.svg"]);
}

#[test]
fn a_scheme_gives_its_own_columns_on_the_strand_that_is_asked_for() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| path_text(&folder.path().join(name));
    for (strand, file) in [("+", "plus.tsv"), ("-", "minus.tsv")] {
        run(&["--scheme", "splice-delta", "--strand", strand, "-o", &at(file)]);
    }
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let (plus, minus) = (read("plus.tsv"), read("minus.tsv"));
    assert!(plus.lines().next().unwrap().contains("DS_AG\tDS_AL\tDS_DG\tDS_DL\tDP_AG"));
    assert!(minus.lines().nth(1).unwrap().contains("\t.\t-\t"), "{minus}");
    assert_ne!(plus, minus);
}

#[test]
fn what_cannot_be_meant_is_refused_before_any_work() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| path_text(&folder.path().join(name));
    let table = at("c.tsv");
    for (more, why) in [
        (vec!["-o", &at("c.vcf")], "NAME.tsv"),
        (vec!["-o", &table, "--plot", &at("p.png")], "SVG"),
        (vec!["-o", &table, "--importance", &table], "c.tsv"),
        (vec!["-o", &table, "--distance", "5000"], "distance"),
        (vec!["-o", &table, "--track", "liver"], "no such track"),
        (vec!["-o", &table, "--track", "donor", "--scheme", "splice-delta"], "cannot be used"),
    ] {
        let mut arguments = arguments(&more);
        if more.contains(&"5000") {
            arguments.retain(|argument| argument != "30");
            let place = arguments.iter().position(|a| a == "--distance").unwrap();
            arguments.remove(place);
        }
        let (code, message) =
            outcome(&mut atrous(&arguments.iter().map(String::as_str).collect::<Vec<_>>()));
        assert_eq!(code, 2, "{more:?}: {message}");
        assert!(message.contains(why), "{more:?}: {message}");
        assert!(listing(folder.path()).is_empty(), "{more:?}");
    }
}
