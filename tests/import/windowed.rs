//! TranslationAI in its own window: even kernels padded as Keras pads them (`same`), against a second
//! evaluation of the same file, written down here from networks.md 1 and 2.

use crate::keras_writer::{LayerTensors, Network, keras, tensors};
use crate::{Folder, Noise, reload};
use assert_cmd::Command;
use atrous::engine::cpu::Isa;
use atrous::engine::{CpuEngine, Engine, Job, Oracle, Wanted};
use atrous::model::import::{Family, FamilyChoice, ImportOptions, import};

const INPUT: usize = 160;

/// Two groups of two units with even kernels. By networks.md 1 a kernel of 6 taps reaches 2 and 3
/// positions, one of 4 taps with dilation 3 reaches 4 and 5; four of each make 24 and 32, and the
/// crop is their mean, as in the published network.
fn network() -> Network {
    Network { channels: 3, groups: vec![(6, 1, 2), (4, 3, 2)], classes: 3, crop: (28, 28) }
}

/// Random weights that keep activations near one.
fn weights(network: &Network, seed: u64) -> Vec<LayerTensors> {
    let (mut noise, mut sign) = (Noise(seed), Noise(seed + 100));
    let mut layers = tensors(&network.config(), || noise.value());
    for (role, shape, values) in layers.iter_mut().flat_map(|(_, tensors)| tensors) {
        match *role {
            "kernel" => {
                let scale = 1.2 / ((shape[0] * shape[1]) as f32).sqrt();
                values.iter_mut().for_each(|x| *x = scale * *x * (sign.value() - 1.0).signum());
            }
            "bias" | "beta" | "moving_mean" => values.iter_mut().for_each(|x| *x -= 1.0),
            _ => {}
        }
    }
    layers
}

/// `[position][channel]`.
type Rows = Vec<Vec<f64>>;

/// The network as its program runs it, in double precision.
fn evaluate(network: &Network, layers: &[LayerTensors], letters: &[u8]) -> Rows {
    let tensor = |layer: &str, role: &str| -> Vec<f64> {
        let (_, tensors) = layers.iter().find(|(name, _)| name == layer).unwrap();
        let (_, _, values) = tensors.iter().find(|(name, ..)| *name == role).unwrap();
        values.iter().map(|&x| f64::from(x)).collect()
    };
    let mut number = 0;
    let mut conv = |x: &Rows, kernel: usize, dilation: usize| -> Rows {
        number += 1;
        let name = format!("conv1d_{number}");
        let (weight, bias) = (tensor(&name, "kernel"), tensor(&name, "bias"));
        let (inputs, outputs) = (x[0].len(), bias.len());
        // the smaller half of the padding is on the left
        let left = (kernel - 1) * dilation / 2;
        let at = |t: usize, o: usize| {
            let mut sum = bias[o];
            for tap in 0..kernel {
                let from = (t + tap * dilation).checked_sub(left).and_then(|from| x.get(from));
                for (i, value) in from.into_iter().flatten().enumerate() {
                    sum += weight[(tap * inputs + i) * outputs + o] * value;
                }
            }
            sum
        };
        (0..x.len()).map(|t| (0..outputs).map(|o| at(t, o)).collect()).collect()
    };
    let mut norms = 0;
    let mut norm_relu = |x: &Rows| -> Rows {
        norms += 1;
        let of = |role: &str| tensor(&format!("batch_normalization_{norms}"), role);
        let (scale, shift) = (of("gamma"), of("beta"));
        let (mean, variance) = (of("moving_mean"), of("moving_variance"));
        let one = |(c, value): (usize, &f64)| {
            let normed = (value - mean[c]) / (variance[c] + 0.001).sqrt() * scale[c] + shift[c];
            normed.max(0.0)
        };
        x.iter().map(|row| row.iter().enumerate().map(one).collect()).collect()
    };
    let add = |a: &Rows, b: &Rows| -> Rows {
        let row = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(|(a, b)| a + b).collect();
        a.iter().zip(b).map(row).collect()
    };
    let one_hot = |letter: &u8| b"ACGT".iter().map(|b| f64::from(u8::from(b == letter))).collect();
    let input: Rows = letters.iter().map(one_hot).collect();
    let mut x = conv(&input, 1, 1);
    let mut skip = conv(&x, 1, 1);
    for &(kernel, dilation, units) in &network.groups {
        for _ in 0..units {
            let first = conv(&norm_relu(&x), kernel, dilation);
            let second = conv(&norm_relu(&first), kernel, dilation);
            x = add(&second, &x);
        }
        skip = add(&skip, &conv(&x, 1, 1));
    }
    let kept = skip[network.crop.0..skip.len() - network.crop.1].to_vec();
    let softmax = |row: Vec<f64>| -> Vec<f64> {
        let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|x| (x - most).exp()).sum();
        row.iter().map(|x| (x - most).exp() / sum).collect()
    };
    conv(&kept, 1, 1).into_iter().map(softmax).collect()
}

fn letters(seed: u64, count: usize) -> Vec<u8> {
    let mut noise = Noise(seed);
    (0..count).map(|_| b"ACGT"[((noise.value() - 0.5) * 4.0) as usize]).collect()
}

fn file(folder: &Folder, seed: u64) -> (std::path::PathBuf, Vec<LayerTensors>) {
    let layers = weights(&network(), seed);
    let bytes = keras(&network().config().to_string(), &layers, false);
    (folder.put(&format!("l{seed}.h5"), &bytes), layers)
}

#[test]
fn a_window_is_padded_with_zeros_in_every_layer_and_its_last_outputs_see_them() {
    let folder = Folder::new();
    let (path, layers) = file(&folder, 3);
    let family = FamilyChoice::Only(Family::TranslationAi);
    let options = ImportOptions { window: Some(INPUT), ..ImportOptions::default() };
    let model = import(family, std::slice::from_ref(&path), &options).unwrap();
    let window = model.window.unwrap();
    assert_eq!((window.input, window.output, window.anchor), (INPUT, INPUT - 56, INPUT / 2));
    assert_eq!((model.reach().left, model.reach().right), (24, 32));
    assert_eq!(model.scheme, None);
    assert_eq!(reload(&model), model);
    let letters = letters(8, INPUT);
    let expected = evaluate(&network(), &layers, &letters);
    let wanted = Wanted::from(&model.tracks[..]);
    let oracle = Oracle::new(&model, wanted.clone());
    let job = Job::new(0, window.output, letters.clone());
    let check = |engine: &dyn Engine, tolerance: f64| {
        let values = engine.run(std::slice::from_ref(&job), &|_| Ok(())).unwrap().remove(0);
        assert_eq!(values.tracks.len(), 3);
        for (class, track) in values.tracks.iter().enumerate() {
            for (at, (&found, row)) in track.iter().zip(&expected).enumerate() {
                let difference = (f64::from(found) - row[class]).abs();
                assert!(difference < tolerance, "{class} {at}: {found} {row:?}");
            }
        }
    };
    // values are handed over as f32
    check(&oracle, 1e-7);
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        check(&CpuEngine::new(&model, wanted.clone(), isa).unwrap(), 2e-6);
    }
    let starts: Vec<f64> = expected.iter().map(|row| row[2]).collect();
    let spread =
        starts.iter().copied().fold(0.0, f64::max) - starts.iter().copied().fold(1.0, f64::min);
    assert!(spread > 0.1, "outputs that say something: {spread}");

    // without a window no output sees zeros; within it the last 32 - 28 do, and they alone
    let free = import(family, &[path], &ImportOptions::default()).unwrap();
    assert_eq!(free.window, None);
    let oracle = Oracle::new(&free, Wanted::from(&free.tracks[..]));
    let padded = [&letters[4..], b"NNNN"].concat();
    let job = Job::new(0, INPUT - 56, padded);
    let values = oracle.run(&[job], &|_| Ok(())).unwrap().remove(0);
    let differs = |at: usize| (f64::from(values.tracks[2][at]) - expected[at][2]).abs() > 1e-6;
    let seen: Vec<usize> = (0..INPUT - 56).filter(|&at| differs(at)).collect();
    assert!(!seen.is_empty() && seen.iter().all(|&at| at >= INPUT - 56 - 4), "{seen:?}");
}

#[test]
fn predict_reads_a_transcript_in_windows_with_n_beyond_both_ends() {
    let folder = Folder::new();
    let files: Vec<_> = [3, 4].map(|seed| file(&folder, seed)).into();
    let run = |arguments: &[&str]| {
        let mut command = Command::cargo_bin("atrous").unwrap();
        let output = command.current_dir(folder.0.path()).args(arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), said)
    };
    let import =
        ["import", "translationai", "l3.h5", "l4.h5", "--window", "160", "-o", "m.safetensors"];
    let (code, said) = run(&import);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("windows of 160 bases, 104 outputs"), "{said}");
    let transcript = letters(21, 250);
    let text = format!(">tx\n{}\n", std::str::from_utf8(&transcript).unwrap());
    folder.put("tx.fa", text.as_bytes());
    let predict = ["predict", "-m", "m.safetensors", "-r", "tx.fa", "--track", "start"];
    let (code, said) = run(&[&predict[..], &["-o", "out.bedGraph", "--decimals", "6"]].concat());
    assert_eq!(code, 0, "{said}");
    let mut found = Vec::new();
    for line in std::fs::read_to_string(folder.0.path().join("out.bedGraph")).unwrap().lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        let [start, end] = [1, 2].map(|i| cells[i].parse::<usize>().unwrap());
        found.extend(vec![cells[3].parse::<f64>().unwrap(); end - start]);
    }
    assert_eq!(found.len(), 250);
    let padded = [&[b'N'; 28][..], &transcript, &[b'N'; 200]].concat();
    for (at, value) in found.iter().enumerate() {
        let first = at / 104 * 104;
        let of = |(_, layers): &(std::path::PathBuf, Vec<LayerTensors>)| {
            evaluate(&network(), layers, &padded[first..first + INPUT])[at - first][2]
        };
        let expected = files.iter().map(of).sum::<f64>() / 2.0;
        assert!((value - expected).abs() < 3e-6, "{at}: {value} {expected}");
    }
    // classes of a strand are not averaged over both
    for command in [
        &[
            "predict",
            "-m",
            "m.safetensors",
            "-r",
            "tx.fa",
            "-o",
            "rc.bedGraph",
            "--rc-average",
            "logits",
        ][..],
        &["score", "-m", "m.safetensors", "-r", "tx.fa", "-o", "s.tsv", "--variant", "tx:9:A:C"],
    ] {
        let (code, said) = run(command);
        assert_eq!(code, 2, "{said}");
        assert!(
            said.contains("belongs to one strand") && said.contains("--rc-average none"),
            "{said}"
        );
    }
    let (code, said) =
        run(&["import", "translationai", "l3.h5", "--window", "56", "-o", "n.safetensors"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("too short"), "{said}");
}

#[test]
fn a_network_that_sees_its_padding_needs_a_window() {
    let folder = Folder::new();
    let network = Network { crop: (5, 5), ..network() };
    let layers = weights(&network, 1);
    let path = folder.put("m.h5", &keras(&network.config().to_string(), &layers, false));
    let read = |window| {
        let options = ImportOptions { window, ..ImportOptions::default() };
        import(FamilyChoice::Only(Family::TranslationAi), std::slice::from_ref(&path), &options)
    };
    let error = read(None).unwrap_err().to_string();
    assert!(error.contains("see the zero padding") && error.contains("--window"), "{error}");
    assert_eq!(read(Some(160)).unwrap().window.unwrap().output, 150);
}
