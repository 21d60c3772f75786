//! Networks that are run in windows: a profile and a log count, zero padding, croppings, controls.

use super::data::Data;

/// Residual units whose outputs see the ends of their window: 4 + 1 + 2 + 4 + 8 + 4 bases to each
/// side, of which the window has 20.
const CONFIG: &str = r#"name = "windowed"
seed = 7

[data]
reference = "genome.fa"

[splits]
train = ["a:1-20,000"]
valid = ["b:1-19,950"]
test = ["c"]

[counts]
tracks = [{ name = "events", file = "counts.bedGraph" }]
loss = "profile"

[network]
channels = 8
activation = "relu"
padding = "zero"
window = { in = 140, out = 100 }
stem = { kernel = 9, activate = true }
head = { kernel = 9, counts = "log_counts" }

[[network.stack]]
block = "residual"
kernel = 3
dilations = [1, 2, 4, 8]

[training]
batch = 8
steps = 60
rate = 1e-2
warmup = 5
average = 0.9
validate_every = 20
checkpoint_every = 1000

[evaluation]
bins = [1, 100]
"#;

/// The configuration with one text replaced by another.
fn changed(from: &str, to: &str) -> String {
    assert!(CONFIG.contains(from), "{from}");
    CONFIG.replacen(from, to, 1)
}

#[test]
fn what_means_nothing_to_a_network_in_a_window_is_refused() {
    let data = Data::new();
    let counts = "[counts]\ntracks = [{ name = \"events\", file = \"counts.bedGraph\" }]\n\
                  loss = \"profile\"";
    let splice = "[splice]\nannotation = 'genes.gff3'";
    let auxiliary = "\"counts.bedGraph\" }, \
                     { name = 'other', file = 'counts.bedGraph', auxiliary = true }";
    data.write("dip.bedGraph", "a\t10\t20\t1\na\t30\t31\t-2\n");
    for (from, to, expected) in [
        (
            "batch = 8",
            "batch = 8\nwindow = 128",
            "not what the window of the network gives (found 128, expected 100)",
        ),
        (
            "batch = 8",
            "batch = 8\nhold = 4\nhold_steps = 5",
            "`training.hold` is for networks with",
        ),
        ("[network]", "[network]\nboth_strands = true", "predict with --rc-average"),
        (counts, splice, "splice sites have no log count"),
        ("loss = \"profile\"", "loss = \"poisson\"", "set `counts.loss = \"profile\"`"),
        ("\"counts.bedGraph\" }", auxiliary, "an auxiliary track would share the profile"),
        ("out = 100", "out = 141", "the window is too short for its outputs"),
        ("window = { in = 140, out = 100 }\n", "", "`head.counts` means something in a window"),
        ("out = 100 }", "aut = 100 }", "unknown field `aut`"),
        ("'zero'", "'zeros'", "unknown variant `zeros`"),
        ("\"log_counts\"", "\"log counts\"", "has no name of its own"),
        (
            "[network]",
            "[control]\nfiles = ['dip.bedGraph']\n[network]",
            "dip.bedGraph: `log_counts`",
        ),
        ("[training]", "[training]\nwindow = 20000", "found 20000, expected 100"),
        ("train = [\"a:1-20,000\"]", "train = [\"a:80-170\"]", "no range holds a window"),
    ] {
        let from = from.replace('\'', "\"");
        data.write("train.toml", &changed(&from, to));
        let mut command = data.atrous(&["train", "-c", "train.toml", "--dry-run", "-t", "1"]);
        let text = command.assert().failure().get_output().stderr.clone();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(text.contains(expected), "{to}: {text}");
    }
    data.write("train.toml", CONFIG);
    let mut command = data.atrous(&["train", "-c", "train.toml", "--dry-run", "-t", "1"]);
    let text = command.assert().success().get_output().stdout.clone();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.contains("140 bases in, 100 out") && text.contains("log_counts"), "{text}");
}

#[cfg(feature = "torch")]
mod runs {
    use super::super::data::CONFIG as PLAIN;
    use super::super::runs::number;
    use super::{CONFIG, Data, changed};
    use std::fs;

    fn train(data: &Data, out: &str, threads: &str) {
        let arguments = ["train", "-c", "train.toml", "-o", out, "-t", threads];
        data.atrous(&arguments).assert().success();
    }

    #[test]
    fn profiles_and_counts_are_learned_and_the_model_predicts_what_training_saw() {
        let data = Data::new();
        data.write("train.toml", &changed("steps = 60", "steps = 400\nkeep = 'last'"));
        train(&data, "out", "1");
        let table = data.read("out/metrics.tsv");
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split('\t').collect()).collect();
        let column = |name: &str| rows[0].iter().position(|head| *head == name).unwrap();
        let value = |row: usize, name: &str| rows[row][column(name)].parse::<f64>().unwrap();
        let last = rows.len() - 1;
        assert!(value(last, "valid_loss") < 0.5 * value(1, "valid_loss"), "{table}");
        let model = ["-m", "out/model.safetensors"];
        let judge = ["evaluate", "-c", "train.toml", "-o", "out/valid", "--engine", "cpu"];
        data.atrous(&[&judge[..], &model].concat()).assert().success();
        let judged = data.read("out/valid.tsv");
        for (place, width) in [("bins of 1", "1"), ("bins of 100", "100")] {
            let seen = value(last, &format!("valid_pearson_log1p_{width}"));
            let got = number(&judged, place, "pearson_log1p");
            // the table of the run has four decimals
            assert!((seen - got).abs() < 1e-4, "{seen} in training, {got} of the exported model");
            assert!(got > 0.8, "{place}: {got}");
        }
        // the windows of the grid are those that were judged: their sums are the same
        let genome = ["-r", "genome.fa", "--engine", "cpu"];
        let region = ["predict", "--region", "b:1-19,950", "--decimals", "9", "-o", "b.bedGraph"];
        data.atrous(&[&region[..], &model, &genome].concat()).assert().success();
        let sum = |text: &str| -> f64 {
            let rows = text.lines().map(|line| line.split('\t').collect::<Vec<_>>());
            let rows = rows.filter(|row| row[0] == "b");
            rows.map(|row| {
                let [start, end, value] =
                    [1, 2, 3].map(|at: usize| row[at].parse::<f64>().unwrap());
                (end.min(19_950.0) - start).max(0.0) * value
            })
            .sum()
        };
        let ratio = sum(&data.read("b.bedGraph")) / sum(&data.read("counts.bedGraph"));
        let expected = number(&judged, "totals", "ratio_predicted_measured");
        assert!((ratio / expected - 1.0).abs() < 1e-3, "{ratio} written, {expected} judged");
        assert!((ratio - 1.0).abs() < 0.2, "exp of the log count is the expected count: {ratio}");
        let change = ["mutate", "--region", "c:1,000-1,009", "-o", "changes.tsv"];
        data.atrous(&[&change[..], &model, &genome].concat()).assert().success();
        let changes = data.read("changes.tsv");
        let at = |line: &&str| line.split('\t').any(|field| field == "1005");
        assert_eq!(changes.lines().filter(at).count(), 3, "{changes}");
    }

    #[test]
    fn a_network_in_a_window_with_controls_and_without_a_log_count_trains_too() {
        let data = Data::new();
        let control = "[control]\nfiles = ['counts.bedGraph']\n[network]";
        let poisson = "window = { in = 140, out = 100 }\n";
        for (name, text) in [
            ("controlled", changed("[network]", control)),
            (
                "rates",
                changed(", counts = \"log_counts\"", "")
                    .replacen("loss = \"profile\"", "bin = 50", 1)
                    .replacen(poisson, &format!("{poisson}start = 'smooth'\n"), 1),
            ),
        ] {
            data.write("train.toml", &text.replacen("steps = 60", "steps = 20", 1));
            train(&data, name, "1");
            let model = format!("{name}/model.safetensors");
            let judge = ["evaluate", "-m", &model, "-c", "train.toml", "-o", "judged"];
            data.atrous(&judge).assert().success();
            let table = data.read(&format!("{name}/metrics.tsv"));
            let row: Vec<&str> = table.lines().last().unwrap().split('\t').collect();
            let column = table.lines().next().unwrap().split('\t');
            let column = column.into_iter().position(|name| name == "valid_pearson_log1p_100");
            let seen: f64 = row[column.unwrap()].parse().unwrap();
            let got = number(&data.read("judged.tsv"), "bins of 100", "pearson_log1p");
            assert!((seen - got).abs() < 1e-4, "{name}: {seen} in training, {got} exported");
        }
    }

    #[test]
    fn two_threads_of_libtorch_repeat_a_run_to_the_same_bits() {
        let data = Data::new();
        let plain = PLAIN.replacen("window = 500\nbatch = 4", "window = 4000\nbatch = 8", 1);
        for (name, text) in [("plain", plain.as_str()), ("windowed", CONFIG)] {
            data.write("train.toml", &text.replacen("steps = 60", "steps = 12", 1));
            let models = ["first", "second"].map(|time| {
                let out = format!("{name}-{time}");
                train(&data, &out, "2");
                fs::read(data.path(&format!("{out}/model.safetensors"))).unwrap()
            });
            assert!(models[0] == models[1], "{name}");
        }
    }
}
