//! `atrous predict --plot` as a user meets it.

use super::{YEAST, atrous, outcome, succeeds};
use crate::folds::{Bench, INPUT, OUTPUT, single};
use std::fs;

#[test]
fn a_picture_of_a_locus_shows_what_is_predicted_beside_what_was_measured() {
    let bench = Bench::new();
    let (model, picture) = (bench.text("folds.safetensors"), bench.text("locus.svg"));
    let atac = "test-data/yeast.chrI.atac.bedGraph.gz";
    let region = ["--region", "chrI:33,001-34,500"];
    let words = ["predict", "-m", &model, "-r", YEAST, "--plot", &picture];
    let said = succeeds(&[&words[..], &region, &["--measured", atac]].concat());
    assert!(said.contains("locus.svg"), "{said}");
    let text = fs::read_to_string(&picture).unwrap();
    for words in [
        ">chrI:33,001-34,500<",
        ">chrombpnet (5 members)<",
        ">predicted: signal<",
        ">expected count<",
        ">measured: yeast.chrI.atac<",
        ">position on chrI (bases)<",
        ">33,600<",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // what is drawn does not depend on how it was computed, nor on what else is written
    let track = bench.text("t.bedGraph");
    let words = ["predict", "-m", &model, "-r", YEAST, "--plot", &picture, "-o", &track, "-t", "1"];
    succeeds(&[&words[..], &region, &["--measured", atac]].concat());
    assert_eq!(text, fs::read_to_string(&picture).unwrap());
    // two strands back to back, around the middle of a region: the outputs of the window
    bench.write("two.pt", single(5, 2));
    let (two, window) = (bench.text("two.pt"), INPUT.to_string());
    let lite = bench.text("two.safetensors");
    succeeds(&["import", "bpnet-lite", &two, "--window", &window, "-o", &lite]);
    let words = ["predict", "-m", &lite, "-r", YEAST, "--window-at", "region", "--plot", &picture];
    succeeds(&[&words[..], &["--region", "chrI:50,001"], &["--strand", "-"]].concat());
    let text = fs::read_to_string(&picture).unwrap();
    assert!(text.contains("predicted: reverse (+) above, forward (-) below"), "{text}");
    let first = 50_000 - OUTPUT / 2 + 1;
    let title = format!(">chrI:{},{}-", first / 1000, first % 1000);
    assert!(text.contains(&title), "{title} in {text}");

    let svg = bench.text("p.svg");
    let bed = bench.write("two.bed", "chrI\t5\t50\nchrI\t100\t200\n");
    for (code, says, more) in [
        (2, "one region", vec!["--plot", &svg, "--regions", &bed]),
        (2, "SVG", vec!["--plot", "p.png", "--region", "chrI:5-9"]),
        (2, "--plot", vec!["--measured", atac, "-o", &track]),
        (2, "--plot", vec!["--plot", &svg, "--region", "chrI:5-9", "--shard", "1/2", "-o", &track]),
        (1, "no.bw", vec!["--plot", &svg, "--region", "chrI:5-9", "--measured", "no.bw"]),
        (2, "replace an input", vec!["--plot", &svg, "--region", "chrI:5-9", "--measured", &svg]),
    ] {
        let words = ["predict", "-m", &model, "-r", YEAST];
        let (found, message) = outcome(&mut atrous(&[&words[..], &more].concat()));
        assert_eq!(found, code, "{more:?}: {message}");
        assert!(message.contains(says), "{more:?}: {message}");
        assert!(!bench.at("p.svg").exists(), "{more:?}");
    }
}
