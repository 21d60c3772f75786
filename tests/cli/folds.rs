//! Weight files of signal networks with random weights, as bpnet-lite saves them: small, and with
//! outputs that a change of one base moves. A folder with five of them, and what is done there.

#[path = "../import/torch_writer.rs"]
#[allow(dead_code, reason = "the tests of import write counters, too")]
mod torch_writer;

use super::{YEAST, path_text, strs, succeeds, unzipped};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;
use torch_writer::{Saved, checkpoint};

/// Bases of a window.
pub const INPUT: usize = 300;
/// Its outputs: without 47 + 2 + 4 on each side (bpnet-lite's trimming for two layers).
pub const OUTPUT: usize = INPUT - 2 * 53;

const FILTERS: usize = 4;

/// Numbers in (-1, 1) that look random (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f32::from(u16::try_from((z ^ (z >> 31)) >> 48).unwrap()) / 32768.0 - 1.0
    }
}

/// The tensors of one network whose names begin with `place`.
fn tensors(place: &str, strands: usize, numbers: &mut Numbers) -> Vec<Saved> {
    let mut all = Vec::new();
    let mut add = |name: &str, shape: &[usize], scale: f32, bias: f32| {
        let count: usize = shape.iter().product();
        let weights: Vec<f32> = (0..count).map(|_| scale * numbers.next()).collect();
        let biases: Vec<f32> = (0..shape[0]).map(|_| bias + 0.1 * numbers.next()).collect();
        all.push(Saved::floats(&format!("{place}{name}.weight"), shape, &weights));
        all.push(Saved::floats(&format!("{place}{name}.bias"), &shape[..1], &biases));
    };
    add("iconv", &[FILTERS, 4, 21], 0.5, 0.0);
    add("rconvs.0", &[FILTERS, FILTERS, 3], 0.4, 0.0);
    add("rconvs.1", &[FILTERS, FILTERS, 3], 0.4, 0.0);
    add("fconv", &[strands, FILTERS, 75], 0.1, 0.0);
    add("linear", &[1, FILTERS], 0.8, 3.0);
    all
}

/// A `BPNet` state with so many strands.
pub fn single(seed: u64, strands: usize) -> Vec<u8> {
    checkpoint(&tensors("", strands, &mut Numbers(seed)))
}

/// A `ChromBPNet` state: accessibility and the bias of the assay.
pub fn joint(seed: u64) -> Vec<u8> {
    let mut numbers = Numbers(seed);
    let mut all = tensors("accessibility.", 1, &mut numbers);
    all.extend(tensors("bias.", 1, &mut numbers));
    checkpoint(&all)
}

pub const PEAKS: &str = "test-data/yeast.chrI.peaks.bed";
pub const FOLDS: usize = 5;
pub const VCF: &str = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n";

pub type Row = BTreeMap<String, String>;

/// A folder with five weight files `fold_I.pt`, `folds.safetensors` of all, `fold_I.safetensors` of
/// each, and what is written.
pub struct Bench {
    folder: TempDir,
    pub bases: Vec<u8>,
}

impl Bench {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let fasta = unzipped(YEAST);
        let bases = fasta.split(|&b| b == b'\n').skip(1).flatten().copied().collect();
        let bench = Self { folder, bases };
        let names: Vec<String> = (0..FOLDS).map(|fold| format!("fold_{fold}.pt")).collect();
        for (fold, name) in names.iter().enumerate() {
            bench.write(name, joint(fold as u64 + 1));
        }
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        bench.import(&all, "folds.safetensors");
        for name in &all {
            bench.import(&[name], &name.replace(".pt", ".safetensors"));
        }
        bench
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        path_text(&self.at(name))
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        fs::write(self.at(name), bytes).unwrap();
        self.text(name)
    }

    fn import(&self, files: &[&str], output: &str) {
        let files: Vec<String> = files.iter().map(|file| self.text(file)).collect();
        let (output, window) = (self.text(output), INPUT.to_string());
        let words = ["import", "chrombpnet", "--window", &window, "-o", &output];
        succeeds(&[&words[..], &strs(&files)].concat());
    }

    /// The base at a position (1-based) and another one.
    pub fn change(&self, pos: usize) -> (char, char) {
        let base = char::from(self.bases[pos - 1]);
        (base, if base == 'A' { 'C' } else { 'A' })
    }

    /// A line of VCF with a substitution.
    pub fn snv(&self, pos: usize) -> String {
        let (base, other) = self.change(pos);
        format!("chrI\t{pos}\t.\t{base}\t{other}\t.\t.\t.\n")
    }

    /// Substitutions, an insertion and a deletion, one after the other.
    pub fn variants(&self) -> String {
        let (base, _) = self.change(30_000);
        let gone = std::str::from_utf8(&self.bases[39_999..40_003]).unwrap();
        let insertion = format!("chrI\t30000\t.\t{base}\t{base}GATTACA\t.\t.\t.\n");
        let deletion = format!("chrI\t40000\t.\t{gone}\t{}\t.\t.\t.\n", &gone[..1]);
        self.write("in.vcf", [VCF, &self.snv(20_000), &insertion, &deletion].concat())
    }

    /// Scores a file into another, and what was said.
    pub fn score(&self, models: &[&str], input: &str, output: &str, more: &[&str]) -> String {
        let mut words = vec!["score".to_owned(), "-r".into(), YEAST.into(), input.into()];
        words.extend(["-o".into(), self.text(output)]);
        for model in models {
            words.extend(["-m".into(), self.text(model)]);
        }
        words.extend(more.iter().map(ToString::to_string));
        succeeds(&strs(&words))
    }

    /// The rows of the table that a run writes.
    pub fn rows(&self, models: &[&str], input: &str, more: &[&str]) -> Vec<Row> {
        self.score(models, input, "rows.tsv", more);
        rows(&fs::read_to_string(self.at("rows.tsv")).unwrap())
    }
}

/// The rows of a table by the names of its columns.
pub fn rows(text: &str) -> Vec<Row> {
    let mut lines = text.lines().filter(|line| !line.starts_with("##"));
    let names: Vec<&str> = lines.next().unwrap().trim_start_matches('#').split('\t').collect();
    let row = |line: &str| {
        let cells = line.split('\t').map(str::to_owned);
        names.iter().map(|name| name.to_string()).zip(cells).collect()
    };
    lines.map(row).collect()
}

pub fn number(row: &Row, name: &str) -> f64 {
    row[name].parse().unwrap_or_else(|_| panic!("{name} in {row:?}"))
}

/// Whether two numbers agree as far as tables write them (seven digits).
pub fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-6 + 2e-6 * expected.abs()
}
