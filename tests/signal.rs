//! Golden files of signal models, made with the published programs (random weights): import, the
//! oracle and the CPU engine against their float64 outputs (`$ATROUS_SHARED/conformance/signal`).

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use atrous::engine::cpu::Isa;
use atrous::engine::{CpuEngine, Engine, Job, Oracle, Values, Wanted};
use atrous::genome::regions::{RegionOptions, read_bed};
use atrous::genome::sequence::reverse_complement;
use atrous::genome::{Reference, Resolver};
use atrous::job::Progress;
use atrous::model::import::{Family, FamilyChoice, ImportOptions, import};
use atrous::model::{Model, file};
use atrous::predict::{
    LongTiles, OutputKind, RcAverage, Readout, Request, WindowAt, Windowed, predict_windows,
};
use atrous::track::Style;
use atrous::track::number::Rounding;
use std::path::{Path, PathBuf};

/// A golden, its weight file, the family to name for it, and what its file does not say.
const GOLDENS: [(&str, &str, FamilyChoice, Option<usize>); 16] = {
    use FamilyChoice::{Auto, Only};
    [
        ("bpnetlite/bpnet_64x8_s2_ctl2", "torch", Auto, None),
        ("bpnetlite/bpnet_64x8_s2_ctl2", "pt", Only(Family::BpNetLite), Some(557)),
        ("bpnetlite/bpnet_64x8_s1", "torch", Auto, None),
        ("bpnetlite/bpnet_64x8_s1", "pt", Only(Family::BpNetLite), None),
        ("bpnetlite/bpnet_16x9_s1_trim557", "torch", Auto, None),
        ("bpnetlite/bpnet_16x9_s1_trim557", "pt", Only(Family::BpNetLite), Some(557)),
        ("bpnetlite/basepairnet_64x8_s2_ctl2", "torch", Auto, None),
        ("bpnetlite/basepairnet_64x8_s2_ctl2", "pt", Only(Family::BasePairNet), Some(557)),
        ("bpnetlite/chrombpnet_acc64x8_bias32x4", "torch", Auto, None),
        ("bpnetlite/chrombpnet_acc64x8_bias32x4", "pt", Auto, None),
        ("chrombpnet/bias_64x4", "h5", Auto, None),
        ("chrombpnet/chrombpnet_128x8_nobias", "h5", Auto, None),
        ("chrombpnet/chrombpnet_128x8", "h5", Auto, None),
        ("bpnet_keras/bpnet_64x8_s2_ctl2", "h5", Auto, None),
        ("bpnet_keras/bpnet_64x8_s2_noctl", "h5", Auto, None),
        ("procapnet/procapnet_64x8", "model", Auto, None),
    ]
};

fn shared() -> Option<PathBuf> {
    let root = std::env::var_os("ATROUS_SHARED").unwrap_or_else(|| "../shared".into());
    let folder = PathBuf::from(root).join("conformance/signal");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no {}", folder.display());
    None
}

/// An array of an `.npz` file whose entries are stored: shape and numbers.
fn array(path: &Path, name: &str) -> Option<(Vec<usize>, Vec<f64>)> {
    let bytes = std::fs::read(path).unwrap();
    let u16 = |at: usize| usize::from(u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()));
    let u32 = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let end = bytes.len() - 22;
    assert_eq!(bytes[end..end + 4], *b"PK\x05\x06");
    let mut at = u32(end + 16);
    for _ in 0..u16(end + 10) {
        let (size, length, local) = (u32(at + 24), u16(at + 28), u32(at + 42));
        let found = &bytes[at + 46..][..length];
        if found == format!("{name}.npy").as_bytes() {
            assert_eq!(u16(at + 10), 0, "stored entries");
            let data = &bytes[local + 30 + u16(local + 26) + u16(local + 28)..][..size];
            return Some(npy(data));
        }
        at += 46 + length + u16(at + 30) + u16(at + 32);
    }
    None
}

fn npy(data: &[u8]) -> (Vec<usize>, Vec<f64>) {
    let length = usize::from(u16::from_le_bytes([data[8], data[9]]));
    let header = std::str::from_utf8(&data[10..10 + length]).unwrap();
    let shape = header.split_once("'shape': (").unwrap().1.split_once(')').unwrap().0;
    let shape = shape.split(',').filter_map(|n| n.trim().parse().ok()).collect();
    let data = &data[10 + length..];
    let values = match header.contains("<f8") {
        true => data.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect(),
        false => data.as_chunks().0.iter().map(|&b| f64::from(f32::from_le_bytes(b))).collect(),
    };
    (shape, values)
}

/// The eight windows: letters and control tracks.
fn windows(folder: &Path) -> Vec<(Vec<u8>, Vec<Vec<f32>>)> {
    let text = std::fs::read_to_string(folder.join("inputs/windows.fa")).unwrap();
    let (shape, controls) = array(&folder.join("inputs/windows.controls.npz"), "controls").unwrap();
    assert_eq!(shape, [8, 2, 2114]);
    let tracks: Vec<Vec<f32>> =
        controls.chunks(2114).map(|track| track.iter().map(|&x| x as f32).collect()).collect();
    let records = text.split('>').skip(1).zip(tracks.chunks(2));
    let letters = |record: &str| record.lines().skip(1).flat_map(str::bytes).collect();
    records.map(|(record, tracks)| (letters(record), tracks.to_vec())).collect()
}

/// The job of a window, or of its reverse complement.
fn job(model: &Model, window: &(Vec<u8>, Vec<Vec<f32>>), reverse: bool) -> Job {
    let (mut letters, mut controls) = window.clone();
    if reverse {
        reverse_complement(&mut letters);
        controls.reverse();
        controls.iter_mut().for_each(|track| track.reverse());
    }
    controls.truncate(model.control_channels());
    Job { controls, ..Job::new(0, model.window.unwrap().output, letters) }
}

/// What is compared of each model: the outputs of its first profile.
fn wanted(model: &Model) -> Wanted {
    let tracks: Vec<String> =
        model.tracks.iter().filter(|t| t.default).map(|t| t.name.clone()).collect();
    let tracks = model.select_tracks(&tracks, None).unwrap();
    Wanted { tracks, scalars: model.scalars.clone() }
}

/// Compares logits and log counts of one window with a golden; the tolerances are those of its
/// README.
fn compare(golden: &Path, row: usize, prefix: &str, values: &Values, what: &str) {
    let near = |name: &str, found: &[f64], tolerance: f64| {
        let (shape, expected) = array(golden, &format!("{prefix}{name}")).unwrap();
        let size: usize = shape[1..].iter().product();
        assert_eq!(found.len(), size, "{what} {name}");
        let expected = &expected[row * size..][..size];
        let largest = expected.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
        let pairs = found.iter().zip(expected);
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst <= tolerance * largest, "{what} window {row} {prefix}{name}: {worst:e}");
    };
    let logits: Vec<f64> = values.tracks.iter().flatten().map(|&x| f64::from(x)).collect();
    near("logits", &logits, 1e-4);
    near("logcounts", &values.scalars[..1], 1e-5);
}

/// Values of the reverse complement in the order of the strand as written.
fn turn(mut values: Values) -> Values {
    values.tracks.reverse();
    values.tracks.iter_mut().for_each(|track| track.reverse());
    values
}

#[test]
fn every_golden_comes_out_of_both_engines() {
    let Some(folder) = shared() else { return };
    let windows = windows(&folder);
    for (name, ending, family, trimming) in GOLDENS {
        let weights = folder.join(format!("{name}.{ending}"));
        let options = ImportOptions { trimming, ..ImportOptions::default() };
        let model = import(family, &[weights], &options).unwrap();
        let mut bytes = Vec::new();
        file::write(&model, &mut bytes).unwrap();
        assert_eq!(file::parse(&bytes).unwrap(), model, "{name} as a file");
        let golden = folder.join(format!("{name}.float64.npz"));
        let wanted = wanted(&model);
        let cpu = CpuEngine::new(&model, wanted.clone(), Isa::best()).unwrap();
        let run = |engine: &dyn Engine, job| engine.run(&[job], &|_| Ok(())).unwrap().remove(0);
        for (row, window) in windows.iter().enumerate() {
            let what = format!("{name}.{ending}");
            compare(&golden, row, "", &run(&cpu, job(&model, window, false)), &what);
            compare(&golden, row, "rc_", &turn(run(&cpu, job(&model, window, true))), &what);
        }
        #[cfg(feature = "torch")]
        {
            use atrous::engine::{Device, Precision, TorchEngine};
            let (device, precision) = (Device::Cpu, Precision::Fp32);
            let torch = TorchEngine::new(&model, wanted.clone(), device, precision).unwrap();
            for (row, window) in windows.iter().enumerate() {
                let what = format!("{name}.{ending}, libtorch");
                compare(&golden, row, "", &run(&torch, job(&model, window, false)), &what);
                compare(&golden, row, "rc_", &turn(run(&torch, job(&model, window, true))), &what);
            }
        }
        // one window with a control and N is enough for the slow loops
        if ending != "pt" {
            let oracle = Oracle::new(&model, wanted);
            let values = run(&oracle, job(&model, &windows[7], false));
            compare(&golden, 7, "", &values, &format!("{name}, oracle"));
        }
    }
}

#[test]
fn the_parts_of_a_joint_model_are_its_other_tracks() {
    let Some(folder) = shared() else { return };
    let name = "bpnetlite/chrombpnet_acc64x8_bias32x4";
    let weights = folder.join(format!("{name}.torch"));
    let model = import(FamilyChoice::Auto, &[weights], &ImportOptions::default()).unwrap();
    let golden = folder.join(format!("{name}.float64.npz"));
    for (prefix, track, scalar) in [
        ("acc_", "signal_without_bias", "log_counts_without_bias"),
        ("bias_", "bias", "log_counts_bias"),
    ] {
        let scalars = model.scalars.iter().filter(|s| s.name == scalar).cloned().collect();
        let tracks = model.select_tracks(&[track.to_string()], None).unwrap();
        let engine = CpuEngine::new(&model, Wanted { tracks, scalars }, Isa::best()).unwrap();
        for (row, window) in windows(&folder).iter().enumerate() {
            let values = engine.run(&[job(&model, window, false)], &|_| Ok(())).unwrap().remove(0);
            compare(&golden, row, prefix, &values, track);
        }
    }
}

#[test]
fn a_state_that_fits_several_families_needs_a_name() {
    let Some(folder) = shared() else { return };
    let weights = [folder.join("procapnet/procapnet_64x8.pt")];
    let options = ImportOptions::default();
    let error = import(FamilyChoice::Auto, &weights, &options).unwrap_err().to_string();
    assert!(error.contains("bpnet-lite, basepairnet or procapnet"), "{error}");
    let only = |family| import(FamilyChoice::Only(family), &weights, &options);
    let error = only(Family::BasePairNet).unwrap_err().to_string();
    assert!(error.contains("--trimming"), "{error}");
    // without a control the two are one network
    let named = only(Family::ProCapNet).unwrap();
    assert_eq!(named.networks, only(Family::BpNetLite).unwrap().networks);
    assert_eq!(named.window.unwrap().output, 1000);
    let error = only(Family::Pangolin).unwrap_err().to_string();
    assert!(error.contains("another family"), "{error}");
}

/// The regions of the golden windows that are the genome's own, as a BED file.
fn golden_regions(folder: &Path) -> String {
    let table = std::fs::read_to_string(folder.join("inputs/windows.tsv")).unwrap();
    let rows = table.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>());
    let own = rows.filter(|row| row[5] == ".");
    own.map(|row| format!("{}\t{}\t{}\t{}\n", row[2], row[3], row[4], row[1])).collect()
}

/// What `predict` writes for windows around the golden regions: values by window and position, and
/// the log counts of the table.
fn predicted(
    folder: &Path,
    model: &Model,
    kind: OutputKind,
    rc: RcAverage,
) -> (Vec<Vec<f64>>, Vec<f64>) {
    let genome = folder.join("../../data/yeast/genome.fa.gz");
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    std::fs::write(at("regions.bed"), golden_regions(folder)).unwrap();
    let mut reference = Reference::open(&genome).unwrap();
    let resolver = Resolver::new(reference.contigs(), None).unwrap();
    let regions = read_bed(&at("regions.bed"), &resolver, &RegionOptions::default()).unwrap();
    let tracks = model.select_tracks(&[], None).unwrap();
    let readout = Readout::new(model, &tracks, kind, rc).unwrap();
    let engine = CpuEngine::new(model, readout.wanted().clone(), Isa::best()).unwrap();
    let request = Request {
        output: Some(at("out.bedGraph")),
        table: Some(at("out.tsv")),
        style: Style { rounding: Rounding::new(7).unwrap(), ..Style::default() },
        threads: 2,
        ..Request::new(regions.list, readout.tracks().to_vec())
    };
    let contigs = reference.contigs().clone();
    let mut windowed = Windowed::new(model, WindowAt::Region, readout, vec![], &contigs).unwrap();
    let progress = Progress::silent();
    predict_windows(&mut reference, &engine, &request, &mut windowed, &progress).unwrap();
    let table = std::fs::read_to_string(at("out.tsv")).unwrap();
    let mut spans = vec![];
    let mut counts = vec![];
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let number = |i: usize| fields[i].parse::<u64>().unwrap();
        spans.push((fields[0].to_string(), number(1), number(2)));
        counts.push(fields.last().unwrap().parse().unwrap());
    }
    let mut values = vec![vec![]; spans.len()];
    let text = std::fs::read_to_string(at("out.bedGraph")).unwrap();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [start, end] = [1, 2].map(|i: usize| fields[i].parse::<u64>().unwrap());
        let inside = |(contig, from, to): &(String, u64, u64)| {
            contig == fields[0] && *from <= start && end <= *to
        };
        let row = spans.iter().position(inside).unwrap();
        let value: f64 = fields[3].parse().unwrap();
        values[row].extend((start..end).map(|_| value));
    }
    (values, counts)
}

#[test]
fn windows_around_regions_are_written_as_the_published_programs_give_them() {
    let Some(folder) = shared() else { return };
    if !folder.join("../../data/yeast/genome.fa.gz").is_file() {
        return println!("skipped: no genome");
    }
    for (name, ending) in [
        ("chrombpnet/chrombpnet_128x8", "h5"),
        ("bpnetlite/bpnet_64x8_s1", "torch"),
        ("bpnetlite/bpnet_16x9_s1_trim557", "torch"),
    ] {
        let weights = [folder.join(format!("{name}.{ending}"))];
        let model = import(FamilyChoice::Auto, &weights, &ImportOptions::default()).unwrap();
        let golden = folder.join(format!("{name}.float64.npz"));
        for (kind, rc, track, count) in [
            (OutputKind::Track, RcAverage::None, "track", "logcounts"),
            (OutputKind::Logits, RcAverage::None, "logits", "logcounts"),
            (OutputKind::Track, RcAverage::Logits, "rcavg_track", "rcavg_logcounts"),
            (OutputKind::Logits, RcAverage::Logits, "rcavg_logits", "rcavg_logcounts"),
        ] {
            let (values, counts) = predicted(&folder, &model, kind, rc);
            let (_, expected) = array(&golden, track).unwrap();
            let (_, expected_counts) = array(&golden, count).unwrap();
            let largest = expected.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
            assert_eq!(values.len(), 7);
            for (row, values) in values.iter().enumerate() {
                let expected = &expected[row * 1000..][..1000];
                assert_eq!(values.len(), expected.len());
                for (got, want) in values.iter().zip(expected) {
                    assert!((got - want).abs() < 1e-4 * largest, "{name} {track}: {got} {want}");
                }
                let near = 1e-5 * expected_counts[row].max(1.0);
                assert!((counts[row] - expected_counts[row]).abs() < near, "{name} {count}");
            }
        }
    }
}

#[test]
fn long_tiles_give_logits_and_log_counts_of_published_shapes() {
    let Some(folder) = shared() else { return };
    let read = |name: &str| {
        import(FamilyChoice::Auto, &[folder.join(name)], &ImportOptions::default()).unwrap()
    };
    let long = |model: &Model, wanted: Wanted| {
        LongTiles::new(model, wanted, None, |model, wanted| {
            Ok(Box::new(CpuEngine::new(model, wanted, Isa::best())?))
        })
    };
    let letters = &windows(&folder)[0].0;
    for name in [
        "chrombpnet/chrombpnet_128x8.h5",
        "bpnet_keras/bpnet_64x8_s2_noctl.h5",
        "bpnetlite/chrombpnet_acc64x8_bias32x4.torch",
        "procapnet/procapnet_64x8.model",
    ] {
        let model = read(name);
        let wanted = Wanted { tracks: model.tracks.clone(), scalars: model.scalars.clone() };
        let run = |engine: &dyn Engine| in_window(engine, letters);
        let windowed = run(&CpuEngine::new(&model, wanted.clone(), Isa::best()).unwrap());
        let long = run(&long(&model, wanted).unwrap());
        for (a, b) in windowed.tracks.iter().flatten().zip(long.tracks.iter().flatten()) {
            assert!((a - b).abs() < 1e-4, "{name}: {a} {b}");
        }
        assert_eq!(windowed.scalars.len(), long.scalars.len());
        for (a, b) in windowed.scalars.iter().zip(&long.scalars) {
            assert!((a - b).abs() < 1e-5 * a.abs().max(1.0), "{name}: {a} {b}");
        }
    }
    for (name, says) in [
        ("bpnetlite/bpnet_16x9_s1_trim557.torch", "see the ends of its window"),
        ("bpnet_keras/bpnet_64x8_s2_ctl2.h5", "control tracks"),
    ] {
        let model = read(name);
        let error = long(&model, Wanted::from(&model.tracks)).map(drop).unwrap_err();
        assert!(error.to_string().contains(says), "{name}: {error}");
    }
}

/// What an engine says of the outputs of a window of these letters. An engine may want letters
/// beyond the window, which no output and no count sees.
fn in_window(engine: &dyn Engine, letters: &[u8]) -> Values {
    let reach = engine.reach();
    let letter = |position: i64| {
        let index = usize::try_from(position + 557).ok();
        index.and_then(|index| letters.get(index)).copied().unwrap_or(b'N')
    };
    let letters = (-(reach.left as i64)..1000 + reach.right as i64).map(letter).collect();
    engine.run(&[Job::new(0, 1000, letters)], &|_| Ok(())).unwrap().remove(0)
}

#[test]
fn long_tiles_give_the_logits_of_the_windows() {
    let Some(folder) = shared() else { return };
    let weights = |name: &str| [folder.join(name)];
    let read =
        |name: &str| import(FamilyChoice::Auto, &weights(name), &ImportOptions::default()).unwrap();
    let letters = &windows(&folder)[0].0;
    for name in ["chrombpnet/chrombpnet_128x8_nobias.h5", "bpnetlite/bpnet_64x8_s1.torch"] {
        let model = read(name);
        let long = model.without_window().unwrap();
        let tracks = model.select_tracks(&[], None).unwrap();
        let run = |model: &Model| {
            let engine = CpuEngine::new(model, &tracks, Isa::best()).unwrap();
            in_window(&engine, letters).tracks
        };
        let (windowed, long) = (run(&model), run(&long));
        for (a, b) in windowed.iter().flatten().zip(long.iter().flatten()) {
            assert!((a - b).abs() < 1e-4, "{name}: {a} {b}");
        }
    }
    // zero padding of hidden layers reaches the outputs of this one
    let error = read("bpnetlite/bpnet_16x9_s1_trim557.torch").without_window().unwrap_err();
    assert!(error.to_string().contains("see the ends of its window"), "{error}");
}
