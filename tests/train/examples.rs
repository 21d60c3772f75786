//! Examples as a network is shown them.

use super::data::{CONFIG, Data, LENGTH};
use atrous::genome::Strand;
use atrous::model::file;
use atrous::train::config::{Config, Loaded};
use atrous::train::data::Targets;
use atrous::train::evaluate;
use atrous::train::run::Run;
use atrous::train::sampler::Example;

fn loaded(data: &Data, text: &str) -> Loaded {
    data.write("train.toml", text);
    Loaded::read(&data.path("train.toml"), None).unwrap()
}

fn examples(run: &Run<'_>) -> Vec<Example> {
    (0..300).map(|number| run.sampler.example(number / 4, number % 4)).collect()
}

#[test]
fn windows_lie_in_training_ranges_and_are_a_function_of_seed_and_step() {
    let data = Data::new();
    let ranges = "train = [\"a:1,001-3,000\", \"b:5,001-6,000\"]\nvalid = [\"b:8,001-20,000\"]";
    let text = CONFIG.replacen("train = [\"a:1-20,000\"]\nvalid = [\"b\"]", ranges, 1);
    let loaded = loaded(&data, &text);
    let run = Run::new(&loaded).unwrap();
    let all = examples(&run);
    for example in &all {
        let allowed = if example.range.contig.0 == 0 { 1000..3000 } else { 5000..6000 };
        assert_eq!(example.range.len(), 500);
        assert!(allowed.contains(&example.range.start) && example.range.end <= allowed.end);
    }
    let minus = all.iter().filter(|example| example.strand == Strand::Minus).count();
    // five standard deviations of 300 fair draws
    assert!((107..=193).contains(&minus), "{minus} of 300 on the minus strand");
    assert_eq!(all, examples(&run));
    let mut other = loaded.clone();
    other.config.seed = 8;
    assert_ne!(all, examples(&Run::new(&other).unwrap()));
}

#[test]
fn regions_keep_their_distance_and_background_keeps_away_from_regions() {
    let data = Data::new();
    data.write("few.bed", "a\t4000\t4100\na\t9000\t9200\nb\t100\t200\n");
    let part = |place: &str, more: &str| {
        let part = format!("[[sampling]]\nwhere = '{place}'\nfile = 'few.bed'{more}\n[training]");
        CONFIG.replacen("[training]", &part, 1)
    };
    let of_regions = loaded(&data, &part("regions", "\njitter = 30"));
    let mut starts = std::collections::BTreeSet::new();
    for example in examples(&Run::new(&of_regions).unwrap()) {
        let middle = example.range.start + 250;
        let distance = middle.abs_diff(4050).min(middle.abs_diff(9100));
        assert!(distance <= 30 && example.range.contig.0 == 0, "{example:?}");
        starts.insert(example.range.start);
    }
    assert!(starts.len() > 80, "of 122 places {}", starts.len());
    let of_background = loaded(&data, &part("background", ""));
    let run = Run::new(&of_background).unwrap();
    for example in examples(&run) {
        let (start, end) = (example.range.start, example.range.end);
        assert!(end <= 4000 || (start >= 4100 && end <= 9000) || start >= 9200, "{example:?}");
        let near = |middle: u64| {
            let range = atrous::genome::Interval {
                start: middle - 250,
                end: middle + 250,
                ..example.range
            };
            (run.data.gc(range) - run.data.gc(example.range)).abs() <= 0.03
        };
        assert!(near(4050) || near(9100), "{example:?} has another composition");
    }
}

#[test]
fn the_reverse_complement_turns_letters_and_exchanges_strands() {
    let data = Data::new();
    data.write("plus.bedGraph", "a\t100\t101\t3\nb\t1\t2\t1\n");
    data.write("minus.bedGraph", "a\t110\t112\t90\nb\t1\t2\t1\n");
    data.write("mask.bed", "a\t105\t107\n");
    let tracks = "tracks = [{ name = \"events\", file = \"counts.bedGraph\" }]";
    let both = "tracks = [{ name = \"p\", file = \"plus.bedGraph\", strand = '+' }, \
                { name = \"m\", file = \"minus.bedGraph\", strand = '-' }]\ncap = 50";
    let masked = "reference = \"genome.fa\"\nmask = ['mask.bed']";
    let text = CONFIG.replacen(tracks, both, 1).replacen("reference = \"genome.fa\"", masked, 1);
    let loaded = loaded(&data, &text);
    let run = Run::new(&loaded).unwrap();
    let contig = run.data.splits.all().next().unwrap().contig;
    let range = atrous::genome::Interval { contig, start: 100, end: 120 };
    let [plus, minus] =
        [Strand::Plus, Strand::Minus].map(|strand| run.maker().batch(&[Example { range, strand }]));
    let counts = |at: &[(usize, f32)]| {
        let mut row = vec![0.0; 20];
        at.iter().for_each(|&(base, count)| row[base] = count);
        row
    };
    assert_eq!(plus.targets, [counts(&[(0, 3.0)]), counts(&[(10, 50.0), (11, 50.0)])].concat());
    assert_eq!(minus.targets, [counts(&[(8, 50.0), (9, 50.0)]), counts(&[(19, 3.0)])].concat());
    let weights = |from: usize| -> Vec<f32> {
        (0..20).map(|base| f32::from(u8::from(!(from..from + 2).contains(&base)))).collect()
    };
    assert_eq!(plus.weights, weights(5));
    assert_eq!(minus.weights, weights(13));
    let complement: Vec<u8> = plus.codes.iter().rev().map(|code| 3 - code).collect();
    assert_eq!(minus.codes, complement);
    // the network reaches 7 bases to both sides
    assert_eq!(plus.codes.len(), 20 + 14);
}

#[test]
fn splice_sites_are_classes_of_their_strand() {
    let data = Data::new();
    let tracks = "[counts]\ntracks = [{ name = \"events\", file = \"counts.bedGraph\" }]";
    let splice = "[splice]\nannotation = 'genes.gff3'\n[[sampling]]\nwhere = 'sites'";
    let loaded = loaded(&data, &CONFIG.replacen(tracks, splice, 1));
    let run = Run::new(&loaded).unwrap();
    let Targets::Splice(labels) = &run.data.targets else { panic!("splice sites") };
    // one intron per gene, whose exons are 500-700 and 800-1100 (from 1)
    assert_eq!((labels.sites.donors[0].position, labels.sites.acceptors[0].position), (699, 799));
    let contig = labels.sites.donors[0].contig;
    let range = atrous::genome::Interval { contig, start: 690, end: 810 };
    let classes = |strand| {
        let targets = run.maker().batch(&[Example { range, strand }]).targets;
        let sites = targets.into_iter().enumerate().filter(|(_, class)| *class > 0.0);
        sites.collect::<Vec<_>>()
    };
    assert_eq!(classes(Strand::Plus), [(9, 2.0), (109, 1.0)]);
    assert_eq!(classes(Strand::Minus), []);
    for example in examples(&run) {
        assert_eq!(example.strand, Strand::Plus);
        let inside = labels.within(contig, Strand::Plus, example.range.start, example.range.end);
        assert!(!inside.is_empty() && example.range.end <= LENGTH as u64);
    }
}

#[test]
fn the_models_that_come_along_are_small_and_answer_what_their_training_files_ask() {
    let mut seen = 0;
    for folder in std::fs::read_dir("models").unwrap() {
        let folder = folder.unwrap().path();
        for name in ["train.toml", "quick.toml"] {
            let Ok(text) = std::fs::read_to_string(folder.join(name)) else { continue };
            let config = Config::from_toml(&text).unwrap_or_else(|e| panic!("{folder:?}: {e}"));
            let path = folder.join("model.safetensors");
            assert!(std::fs::metadata(&path).unwrap().len() < 5_000_000, "{path:?}");
            let model = file::read(&path).unwrap().model;
            evaluate::tracks(&model, &config, None).unwrap();
            assert!(folder.join("CARD.md").exists());
            seen += 1;
        }
    }
    assert_eq!(seen, 6, "three models with two files each");
}
