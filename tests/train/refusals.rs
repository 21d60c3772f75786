//! What cannot be meant is refused before the first step, with a way out.

use super::data::{CONFIG, Data};

/// Standard error of a dry run that fails.
pub fn refused(data: &Data) -> String {
    let output = data.atrous(&["train", "-c", "train.toml", "--dry-run", "-t", "1"]).output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "accepted: {text}");
    text
}

#[test]
fn a_configuration_that_cannot_be_meant_is_refused() {
    let data = Data::new();
    for (from, to, expected) in [
        ("warmup", "warmpu", "did you mean `warmup`?"),
        ("[counts]", "[count]", "did you mean `counts`?"),
        ("batch = 4", "batch = 'four'", "train.toml:27:9: invalid type"),
        ("batch = 4", "batch = 0", "`training.batch` is out of range (found 0, expected 1 to"),
        (
            "rate = 1e-2",
            "rate = -1",
            "`training.rate` is out of range (found -1, expected above 0, at most 10)",
        ),
        ("steps = 60", "steps = 60\nkeep = 'first'", "unknown variant `first`"),
        ("[counts]\n", "[splice]\nannotation = 'genes.gff3'\n[counts]\n", "exclude each other"),
        (
            "\ntracks = [{ name = \"events\", file = \"counts.bedGraph\" }]",
            "\ntracks = []",
            "is empty",
        ),
        ("\"counts.bedGraph\" }", "\"counts.bedGraph\", strand = '+' }", "come in pairs"),
        (
            "tracks = [{ name = \"events\", file = \"counts.bedGraph\" }]",
            "tracks = [{ name = \"events\", file = \"counts.bedGraph\", auxiliary = true }]",
            "auxiliary tracks stand behind the others, one of which is needed",
        ),
        ("\"counts.bedGraph\" }", "\"counts.bedGraph\", cap = 0 }", "must be above 0"),
        ("\"counts.bedGraph\" }", "\"counts.bedGraph\", weight = -1.0 }", "`weight` is out of"),
        (
            "\"counts.bedGraph\" }]",
            "\"counts.bedGraph\", weight = 2.0 }]\nloss = 'profile'",
            "means nothing to the loss `profile`",
        ),
        (
            "\"counts.bedGraph\" }]",
            "\"counts.bedGraph\" }]\nlog_bins = [{ width = 0, weight = 1.0 }]",
            "`counts.log_bins` is out of range (found width 0",
        ),
        ("steps = 60", "steps = 60\nhold = 0", "`training.hold` is out of range"),
        ("[training]", "[[sampling]]\nwhere = 'sites'\n[training]", "needs [splice]"),
        ("[training]", "[[sampling]]\nwhere = 'regions'\n[training]", "needs a `file`"),
        (
            "[training]",
            "[[sampling]]\nwhere = 'background'\nfile = 'peaks.bed'\n[training]",
            "no window of background lies apart from the regions",
        ),
        ("block = \"normed-residual\"", "block = \"resnet\"", "unknown variant `resnet`"),
        ("[network]", "[network]\npreset = 'huge'", "no such preset (found huge, expected expo"),
        ("kernel = 9", "kernel = 0", "0 taps"),
        ("[network]", "[network]\nfile = 'net.toml'", "net.toml: cannot read"),
        ("seed = 7", "seed = 7\nroot = '$ATROUS_NOT_SET/x'", "ATROUS_NOT_SET, which is not set"),
        ("window = 500", "window = 500\ncheckpoint_evry = 7", "did you mean `checkpoint_every`?"),
    ] {
        data.change(from, to);
        let text = refused(&data);
        assert!(text.contains(expected), "{to}: {text}");
    }
}

#[test]
fn splits_without_examples_and_ranges_that_overlap_are_refused() {
    let data = Data::new();
    for (from, to, expected) in [
        ("valid = [\"b\"]", "valid = []", "the split `valid` has no range"),
        (
            "\"a:1-20,000\"",
            "\"a:1-300\"",
            "the split `train` has no example: no range holds a window",
        ),
        ("valid = [\"b\"]", "valid = [\"b:1-90\"]", "the split `valid` has no example: no count"),
        ("valid = [\"b\"]", "valid = [\"a:500-900\"]", "two ranges of the splits overlap"),
        ("valid = [\"b\"]", "valid = [\"d\"]", "`d`"),
        ("test = [\"c\"]", "set = 'x'", "has a `set` but no table"),
    ] {
        data.change(from, to);
        let text = refused(&data);
        assert!(text.contains(expected), "{to}: {text}");
    }
    data.write("mask.bed", "b\t0\t9000\nb\t9000\t20000\n");
    data.change("\"genome.fa\"\n", "\"genome.fa\"\nmask = ['mask.bed']\n");
    let text = refused(&data);
    assert!(text.contains("the split `valid` has no example: every base is masked"), "{text}");
    data.write("splits.tsv", "x\ta\t0\t20000\ttrain\nx\tb\t0\t20001\tvalid\n");
    let lists = "train = [\"a:1-20,000\"]\nvalid = [\"b\"]\ntest = [\"c\"]";
    data.change(lists, "table = 'splits.tsv'\nset = 'x'");
    let text = refused(&data);
    assert!(text.contains("splits.tsv:2: the range does not lie in its contig"), "{text}");
    data.change(lists, "table = 'splits.tsv'\nset = 'y'");
    let text = refused(&data);
    assert!(text.contains("no row of set \"y\" (found sets x)"), "{text}");
}

#[test]
fn tracks_that_do_not_fit_the_reference_are_refused() {
    let data = Data::new();
    for (line, expected) in [
        ("a\t10\t11\t-2\n", "a negative count on a (found -2 at base 11 (from 1)"),
        ("a\t10\t11\t1\nz\t10\t11\t1\n", "1 contigs that the reference does not have (found z)"),
        ("a\t10\t20001\t1\n", "contig a is not that of the reference"),
        ("z\t10\t11\t1\n", "counts.bedGraph"),
    ] {
        data.write("counts.bedGraph", line);
        let text = refused(&data);
        assert!(text.contains(expected), "{line}: {text}");
    }
}

#[test]
fn leakage_is_trimmed_warned_of_or_refused_with_numbers() {
    let data = Data::new();
    // the network reaches 4 + 1 + 2 bases; b follows from base 10,001 on
    let apart = "train = [\"a:1-20,000\", \"b:1-10,000\"]\nvalid = [\"b:10,001-20,000\"]";
    let lists = "train = [\"a:1-20,000\"]\nvalid = [\"b\"]";
    for (leakage, succeeds, expected) in [
        ("", true, "7 of 30,000 training bases within 7 of a held-out range: left out"),
        ("\nleakage = 'warn'", true, "learned from (leakage = \"warn\")"),
        ("\nleakage = 'refuse'", false, "7 of 30000 bases within 7"),
    ] {
        data.write("train.toml", &CONFIG.replacen(lists, &format!("{apart}{leakage}"), 1));
        let output = data.atrous(&["train", "-c", "train.toml", "--dry-run"]).output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.success(), succeeds, "{text}");
        assert!(text.contains(expected), "{text}");
    }
}

#[cfg(feature = "torch")]
#[test]
fn a_gpu_that_is_not_there_is_refused() {
    let data = Data::new();
    let mut command =
        data.atrous(&["train", "-c", "train.toml", "-o", "out", "--device", "cuda:7"]);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("there is no GPU for --device cuda:7"), "{text}");
}

#[test]
fn a_member_that_is_judged_alone_must_be_there() {
    let data = Data::new();
    let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/human-splice-pwm");
    let model = models.join("model.safetensors");
    let sites = "[splice]\nannotation = \"genes.gff3\"\n";
    data.change("[counts]\ntracks = [{ name = \"events\", file = \"counts.bedGraph\" }]\n", sites);
    let arguments = ["evaluate", "-c", "train.toml", "-o", "x", "--member", "nope", "-m"];
    let output = data.atrous(&arguments).arg(model).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("the model has no such member (found \"nope\""), "{text}");
}
