//! Requests and inputs that must be refused: the exit code, the one message, and no output.

use super::*;
use std::path::PathBuf;

#[test]
fn an_empty_region_file_is_refused_unless_allowed() {
    let folder = TempDir::new().unwrap();
    let bed = path_text(&folder.path().join("none.bed"));
    fs::write(&bed, "# nothing\n").unwrap();
    let output = path_text(&folder.path().join("out.bedGraph"));
    let arguments = predict(&["-r", YEAST, "--regions", &bed, "--track", "donor", "-o", &output]);
    let (code, message) = outcome(&mut atrous(&strs(&arguments)));
    assert_eq!(code, 1, "{message}");
    assert!(message.contains("--allow-empty"), "{message}");
    assert_eq!(listing(folder.path()), ["none.bed"]);
    succeeds(&[&strs(&arguments)[..], &["--allow-empty"]].concat());
    let text = fs::read_to_string(&output).unwrap();
    assert!(text.lines().all(|line| line.starts_with('#')), "{text}");
}

#[test]
fn requests_that_cannot_be_meant_are_refused_with_exit_code_2() {
    let folder = TempDir::new().unwrap();
    let output = path_text(&folder.path().join("out.bedGraph"));
    let base = ["-r", YEAST, "--region", "chrI:1-100"];
    let cases: &[(&[&str], &str)] = &[
        (&[], "--output"),
        (&["-o", &output, "--no-such-flag"], "--no-such-flag"),
        (&["-o", &output, "--contigs", "chrI"], "--contigs"),
        (&["-o", "-"], "donor"),
        (&["-o", &output, "--strand", "bed"], "--regions"),
        (&["-o", &output, "--strand", "up"], "up"),
        (&["-o", &output, "--track", "exon"], "acceptor"),
        (&["-o", &output, "--member", "7"], "pwm"),
        (&["-o", &output, "--decimals", "99"], "decimals"),
        (&["-o", &output, "--tile", "0"], "tile"),
        (&["-o", &output, "--threads", "0"], "threads"),
        (&["-o", &output, "--threads", "100000"], "threads"),
        (&["-o", &output, "--engine", "oracle", "--cpu-isa", "portable"], "--cpu-isa"),
        (&["-o", &output, "--engine", "torch", "--cpu-isa", "portable"], "--cpu-isa"),
        (&["-o", &output, "--engine", "cpu", "--device", "cuda"], "--engine torch"),
        (&["-o", &output, "--engine", "cpu", "--precision", "bf16"], "--engine torch"),
        (&["-o", &output, "--device", "gpu"], "cuda:N"),
        (&["-o", &output, "--precision", "fp16"], "bf16"),
        (&["-o", "out.bigwig.gz"], "bedGraph"),
        (&["-o", &output, "--table", "genes.xls"], "tsv"),
        (&["-o", "-", "--track", "donor", "--resume"], "resume"),
        (&["-o", &output, "--min-value", "NaN"], "min"),
    ];
    for (arguments, expected) in cases {
        let arguments = predict(&[&base[..], arguments].concat());
        let (code, message) = outcome(&mut atrous(&strs(&arguments)));
        assert_eq!(code, 2, "{arguments:?}: {message}");
        assert!(message.contains(expected), "{message:?} should say {expected:?}");
        assert!(listing(folder.path()).is_empty(), "{arguments:?} left a file");
    }
}

#[test]
fn no_output_may_replace_an_input_or_another_output() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| path_text(&folder.path().join(name));
    let (fasta, model, bed) = (at("r.fa"), at("m.safetensors"), at("genes.tsv"));
    fs::write(&fasta, ">c\nACGTACGTACGT\n").unwrap();
    fs::write(&bed, "c\t0\t4\n").unwrap();
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(MODEL), &model).unwrap();
    fs::copy(&bed, at("genes.bg")).unwrap();
    let (table, track) = (at("out.tsv"), at("genes.bg"));
    let index = format!("{fasta}.fai");
    let cases: &[&[&str]] = &[
        &["--table", &bed],
        &["--table", &table, "--aliases", &table],
        &["--table", &table, "--summary", &fasta],
        &["--table", &table, "--summary", &index],
        &["--table", &table, "--summary", &model],
        &["--table", &table, "--summary", &table],
        &["--table", "-", "--summary", "-"],
        &["-o", "-", "--track", "donor", "--summary", "-"],
        &["-o", "-", "--track", "donor", "--table", "-"],
        &["-o", &track, "--track", "donor", "--summary", &track],
    ];
    let before = listing(folder.path());
    for arguments in cases {
        let base = ["predict", "-m", &model, "-r", &fasta, "--regions", &bed];
        let (code, message) = outcome(&mut atrous(&[&base[..], arguments].concat()));
        assert_eq!(code, 2, "{arguments:?}: {message}");
        assert!(message.contains("replace an input") || message.contains("one place"), "{message}");
        assert_eq!(listing(folder.path()), before, "{arguments:?} left a file");
    }
    let base = ["predict", "-m", &model, "-r", &fasta, "--regions", &track, "--track", "donor"];
    let (code, message) = outcome(&mut atrous(&[&base[..], &["-o", &track]].concat()));
    assert_eq!((code, message.contains("replace an input")), (2, true), "{message}");
    assert_eq!(fs::read_to_string(&fasta).unwrap(), ">c\nACGTACGTACGT\n");
}

/// A bad input, how it is passed, and what the one error line must say.
struct Bad {
    name: &'static str,
    content: Vec<u8>,
    flag: &'static str,
    says: &'static [&'static str],
}

fn bad(
    name: &'static str,
    content: impl Into<Vec<u8>>,
    flag: &'static str,
    says: &'static [&'static str],
) -> Bad {
    Bad { name, content: content.into(), flag, says }
}

#[test]
fn bad_input_gives_one_error_line_and_no_output() {
    let model = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(MODEL)).unwrap();
    let yeast = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(YEAST)).unwrap();
    let half = yeast[..yeast.len() / 2].to_vec();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, b">chrI\nACGT\n").unwrap();
    let huge = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
    let cases = [
        bad(
            "swapped.bed",
            "chrI\t1\t5\nchrI\t90\t40\n",
            "--regions",
            &["swapped.bed:2:", "90", "40"],
        ),
        bad("beyond.bed", "chrI\t0\t230219\n", "--regions", &["beyond.bed:1:", "230218", "--clip"]),
        bad(
            "unknown.bed",
            "chrI\t1\t5\nchrQ\t1\t5\n",
            "--regions",
            &["chrQ", "--skip-unknown-contigs"],
        ),
        bad("none.bed", "ctg1\t1\t5\nctg2\t1\t5\n", "--regions", &["ctg1", "chrI", "--aliases"]),
        bad("text.bed", "chrI\t1\tfive\n", "--regions", &["text.bed:1:", "five"]),
        bad("columns.bed", "chrI\t1\n", "--regions", &["columns.bed:1:"]),
        bad("empty.fa", "", "-r", &["empty.fa", "empty"]),
        bad("ragged.fa", ">a\nACGT\nAC\nACGT\n", "-r", &["ragged.fa:", "line"]),
        bad("text.fa", "no header\n", "-r", &["text.fa"]),
        bad("twice.fa", ">a\nACGT\n>a\nACGT\n", "-r", &["twice.fa", "a"]),
        bad("gzip.fa.gz", gzip.finish().unwrap(), "-r", &["gzip.fa.gz", "bgzip"]),
        bad("half.fa.gz", half, "-r", &["half.fa.gz"]),
        bad("half.safetensors", &model[..model.len() / 2], "-m", &["half.safetensors"]),
        bad("empty.safetensors", "", "-m", &["empty.safetensors", "empty"]),
        bad("huge.safetensors", huge, "-m", &["huge.safetensors"]),
        bad("missing.safetensors", without_donor(&model), "-m", &["donor.weight"]),
        bad("shape.safetensors", misshapen(&model), "-m", &["donor.weight", "[1, 4, 9]"]),
        bad("other.safetensors", &yeast[..1000], "-m", &["other.safetensors"]),
    ];
    for Bad { name, content, flag, says } in cases {
        let inputs = TempDir::new().unwrap();
        let outputs = TempDir::new().unwrap();
        let input = path_text(&inputs.path().join(name));
        fs::write(&input, content).unwrap();
        let output = path_text(&outputs.path().join("out.bedGraph.gz"));
        let table = path_text(&outputs.path().join("out.tsv"));
        let mut arguments = vec!["predict", "-o", &output, "--table", &table, flag, &input];
        if flag != "-m" {
            arguments.extend(["-m", MODEL]);
        }
        if flag != "-r" {
            arguments.extend(["-r", YEAST]);
        }
        let (code, message) = outcome(&mut atrous(&arguments));
        assert_eq!(code, 1, "{name}: {message}");
        let errors: Vec<_> = message.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{name}: {message}");
        for expected in says {
            assert!(errors[0].contains(expected), "{name}: {message:?} should say {expected:?}");
        }
        assert!(listing(outputs.path()).is_empty(), "{name} left an output");
        assert_eq!(listing(inputs.path()), [name], "{name} left a file beside it");
    }
}

#[test]
fn missing_files_and_folders_are_named() {
    let folder = TempDir::new().unwrap();
    let output = path_text(&folder.path().join("no/such/folder/out.bedGraph"));
    let cases: [(&[&str], &str); 4] = [
        (&["-m", "no.safetensors", "-r", YEAST, "-o", "-"], "no.safetensors"),
        (&["-m", MODEL, "-r", "no.fa", "-o", "x.bedGraph"], "no.fa"),
        (&["-m", MODEL, "-r", YEAST, "--regions", "no.bed", "-o", "x.bedGraph"], "no.bed"),
        (&["-m", MODEL, "-r", YEAST, "-o", &output], "mkdir -p"),
    ];
    for (arguments, expected) in cases {
        let (code, message) = outcome(&mut atrous(&[&["predict"], arguments].concat()));
        assert_eq!(code, 1, "{arguments:?}: {message}");
        assert!(message.contains(expected), "{message:?} should say {expected:?}");
    }
    assert!(!PathBuf::from("x.bedGraph").exists());
}

#[test]
fn matrices_that_cannot_be_learned_leave_no_model() {
    let folder = TempDir::new().unwrap();
    let output = path_text(&folder.path().join("model.safetensors"));
    let cases: [(&[&str], i32, &str); 4] = [
        (&["-r", YEAST, "-a", GENES], 1, "chrI"),
        (&["-r", HUMAN, "-a", GENES, "--types", "gene"], 1, "gene"),
        (&["-r", HUMAN, "-a", GENES, "--donor-exon", "0"], 2, "1 to 1000"),
        (&["-r", HUMAN, "-a", "no.gff3"], 1, "no.gff3"),
    ];
    for (arguments, expected, says) in cases {
        let arguments = [&["pwm", "-o", &output], arguments].concat();
        let (code, message) = outcome(&mut atrous(&arguments));
        assert_eq!(code, expected, "{arguments:?}: {message}");
        assert!(message.contains(says), "{message:?} should say {says:?}");
        assert!(listing(folder.path()).is_empty(), "{arguments:?} left a file");
    }
}

/// Header and data of a safetensors file; `change` edits the header, which is put back.
fn with_header(model: &[u8], change: impl Fn(&mut serde_json::Value)) -> Vec<u8> {
    let length = usize::try_from(u64::from_le_bytes(model[..8].try_into().unwrap())).unwrap();
    let mut header: serde_json::Value = serde_json::from_slice(&model[8..8 + length]).unwrap();
    change(&mut header);
    let header = serde_json::to_vec(&header).unwrap();
    let size = u64::try_from(header.len()).unwrap().to_le_bytes();
    [&size[..], &header, &model[8 + length..]].concat()
}

/// The model with its donor weights under a name that the network does not ask for.
fn without_donor(model: &[u8]) -> Vec<u8> {
    with_header(model, |header| {
        let entries = header.as_object_mut().unwrap();
        let entry = entries.remove("member.0.donor.weight").unwrap();
        entries.insert("member.0.doner.weight".into(), entry);
    })
}

/// The model with its donor weights in another shape of the same size.
fn misshapen(model: &[u8]) -> Vec<u8> {
    with_header(model, |header| {
        header["member.0.donor.weight"]["shape"] = serde_json::json!([4, 1, 9]);
    })
}
