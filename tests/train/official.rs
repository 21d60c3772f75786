//! `atrous evaluate` says what the scorer of the data says. Needs the data of ATROUS_SHARED.
//!
//! The numbers were made with `$ATROUS_SHARED/data/evaluate.py` from the bigWig files that `atrous
//! predict` wrote with the models of `models/` over chrXI:100,001-200,000 of the yeast
//! (`tracks --regions yeast/atac.peaks.bed --bin 1 128`) and over II:2,250,001-2,450,000 of the
//! fission yeast (`splice`, both strands), with a table of splits that has just these ranges.

use super::data::{atrous, shared_data};
use std::fs;
use std::path::Path;

const STARTS: &str = r#"
[data]
reference = "yeast/genome.fa.gz"

[splits]
train = ["chrI"]
valid = ["chrXI:100,001-200,000"]

[counts]
tracks = [
    { name = "plus", file = "yeast/stripe.wt.plus.bw", strand = "+" },
    { name = "minus", file = "yeast/stripe.wt.minus.bw", strand = "-" },
]

[evaluation]
bins = [1, 128]
regions = ["yeast/atac.peaks.bed"]
"#;

const SITES: &str = r#"
[data]
reference = "pombe/genome.fa.gz"

[splits]
train = ["I"]
valid = ["II:2,250,001-2,450,000"]

[splice]
annotation = "pombe/annotation.gff3.gz"
types = ["mRNA"]
"#;

/// What `evaluate` writes for a model of `models/` on the validation split, as lines
/// `place metric value`.
fn evaluated(model: &str, config: &str, data: &Path) -> Vec<(String, f64)> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("evaluation.toml");
    let root = data.canonicalize().unwrap();
    fs::write(&file, format!("name = \"official\"\nroot = {root:?}\n{config}")).unwrap();
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(model);
    atrous(folder.path())
        .args(["-q", "evaluate", "--split", "valid", "-m"])
        .arg(weights.join("model.safetensors"))
        .arg("--config")
        .arg(&file)
        .arg("-o")
        .arg(folder.path().join("valid"))
        .assert()
        .success();
    let table = fs::read_to_string(folder.path().join("valid.tsv")).unwrap();
    let rows = table.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>());
    rows.filter(|row| row[1] == "all")
        .map(|row| (format!("{} {}", row[2], row[3]), row[4].parse().unwrap()))
        .collect()
}

#[test]
fn held_out_numbers_are_those_of_the_official_scorer() {
    let Some(data) = shared_data() else { return };
    let starts = [
        ("totals ratio_predicted_measured", 0.3237),
        ("bins of 1 pearson_log1p", 0.5899),
        ("bins of 1 spearman", 0.1810),
        ("bins of 128 bins", 1562.0),
        ("bins of 128 pearson_log1p", 0.7451),
        ("bins of 128 spearman", 0.6153),
        ("totals of regions regions", 12.0),
        ("regions regions", 6.0),
        ("totals of regions pearson_log1p", 0.6478),
        ("totals of regions spearman", 0.6681),
        ("regions pearson_median", 0.4284),
        ("regions jsd_nats_median", 0.4401),
        ("regions, smoothed pearson_median", 0.4735),
        ("regions, smoothed jsd_nats_median", 0.2176),
        ("regions, smoothed flat_jsd_nats_median", 0.3152),
    ];
    let sites = [
        ("donor, in genes places", 188_980.0),
        ("donor, in genes sites", 107.0),
        ("donor, in genes top_k", 0.9346),
        ("donor, in genes top_k_standard_error", 0.0239),
        ("donor, in genes auprc", 0.9739),
        ("donor, everywhere places", 400_000.0),
        ("donor, everywhere auprc", 0.9589),
        ("acceptor, in genes top_k", 0.8692),
        ("acceptor, in genes auprc", 0.9417),
        ("acceptor, everywhere top_k", 0.8411),
        ("acceptor, everywhere auprc", 0.9164),
    ];
    for (model, config, expected) in
        [("yeast-tss", STARTS, &starts[..]), ("pombe-splice", SITES, &sites[..])]
    {
        let rows = evaluated(model, config, &data);
        for (name, value) in expected {
            let found = rows.iter().find(|(row, _)| row == name);
            let (_, got) = found.unwrap_or_else(|| panic!("{model}: no {name} in {rows:?}"));
            assert!((got - value).abs() < 1e-3, "{model}: {name} is {got}, not {value}");
        }
    }
}
