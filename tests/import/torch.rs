//! OpenSpliceAI and Pangolin: round trips of random weights and everything that is refused.

use crate::torch_writer::{Pickler, Saved, checkpoint, entries, zip};
use crate::{Folder, Noise, import_bytes, refusal, reload};
use atrous::model::import::{Family, FamilyChoice, ImportOptions, import};
use atrous::network::{Activation, Op};

const PUBLISHED_KERNELS: [usize; 4] = [11, 11, 21, 41];

fn layer(tensors: &mut Vec<Saved>, noise: &mut Noise, name: &str, shape: [usize; 3]) {
    tensors.push(Saved::floats(&format!("{name}.weight"), &shape, &noise.values(&shape)));
    tensors.push(Saved::floats(&format!("{name}.bias"), &shape[..1], &noise.values(&shape[..1])));
}

fn norm(tensors: &mut Vec<Saved>, noise: &mut Noise, name: &str, channels: usize) {
    for leaf in ["weight", "bias", "running_mean", "running_var"] {
        let values = noise.values(&[channels]);
        tensors.push(Saved::floats(&format!("{name}.{leaf}"), &[channels], &values));
    }
    tensors.push(Saved::counter(&format!("{name}.num_batches_tracked")));
}

/// Random OpenSpliceAI weights: groups of `units` units with the kernels given.
pub fn openspliceai(seed: u64, c: usize, units: usize, kernels: &[usize], n: usize) -> Vec<Saved> {
    let (mut all, mut noise) = (Vec::new(), Noise(seed));
    layer(&mut all, &mut noise, "initial_conv", [c, 4, 1]);
    layer(&mut all, &mut noise, "initial_skip.conv", [c, c, 1]);
    let mut module = 0;
    for &kernel in kernels {
        for _ in 0..units {
            for half in 1..=2 {
                let unit = format!("residual_units.{module}");
                norm(&mut all, &mut noise, &format!("{unit}.batchnorm{half}"), c);
                layer(&mut all, &mut noise, &format!("{unit}.conv{half}"), [c, c, kernel]);
            }
            module += 1;
        }
        layer(&mut all, &mut noise, &format!("residual_units.{module}.conv"), [c, c, 1]);
        module += 1;
    }
    layer(&mut all, &mut noise, "final_conv", [n, c, 1]);
    all
}

/// Random Pangolin weights with all eight heads.
pub fn pangolin(seed: u64, c: usize, kernels: &[usize]) -> Vec<Saved> {
    let (mut all, mut noise) = (Vec::new(), Noise(seed));
    layer(&mut all, &mut noise, "conv1", [c, 4, 1]);
    layer(&mut all, &mut noise, "skip", [c, c, 1]);
    for (group, &kernel) in kernels.iter().enumerate() {
        for unit in (0..4).map(|u| format!("resblocks.{}", 4 * group + u)) {
            for half in 1..=2 {
                norm(&mut all, &mut noise, &format!("{unit}.bn{half}"), c);
                layer(&mut all, &mut noise, &format!("{unit}.conv{half}"), [c, c, kernel]);
            }
        }
        layer(&mut all, &mut noise, &format!("convs.{group}"), [c, c, 1]);
    }
    for head in 1..=8 {
        layer(&mut all, &mut noise, &format!("conv_last{head}"), [2 - (head + 1) % 2, c, 1]);
    }
    all
}

fn values(tensors: &[Saved], name: &str) -> Vec<f32> {
    let saved = tensors.iter().find(|saved| saved.name == name).unwrap();
    saved.data.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
}

#[test]
fn openspliceai_weights_of_every_published_depth_come_back_number_by_number() {
    for depth in 1..=4 {
        let tensors = openspliceai(depth as u64, 3, 4, &PUBLISHED_KERNELS[..depth], 3);
        // weight-files.md 3.3: 64, 122, 180 and 238 tensors.
        assert_eq!(tensors.len(), 6 + 58 * depth);
        let model = import_bytes("m.pt", &checkpoint(&tensors), &ImportOptions::default()).unwrap();
        assert_eq!(model.provenance.family, "openspliceai");
        assert_eq!(model.provenance.unread.len(), 8 * depth);
        let weights = &model.members[0].weights;
        assert_eq!(weights.len() + model.provenance.unread.len(), tensors.len());
        // weight-files.md 3.3: unit U is module U + floor(U / 4); skip g + 1 is module 5g + 4.
        for u in 0..4 * depth {
            let module = format!("residual_units.{}", u + u / 4);
            for (ours, theirs) in [
                ("conv2.weight", "conv2.weight"),
                ("norm1.scale", "batchnorm1.weight"),
                ("norm2.shift", "batchnorm2.bias"),
                ("norm1.mean", "batchnorm1.running_mean"),
                ("norm2.var", "batchnorm2.running_var"),
            ] {
                let ours = &weights[&format!("unit.{u}.{ours}")].values;
                assert_eq!(*ours, values(&tensors, &format!("{module}.{theirs}")));
            }
        }
        let skip = format!("residual_units.{}.conv.bias", 5 * depth - 1);
        assert_eq!(weights[&format!("skip.{depth}.bias")].values, values(&tensors, &skip));
        assert_eq!(weights["stem.weight"].values, values(&tensors, "initial_conv.weight"));
        assert_eq!(weights["head.weight"].values, values(&tensors, "final_conv.weight"));
        let flank = [40, 200, 1000, 5000][depth - 1];
        assert_eq!((model.reach().left, model.reach().right), (flank, flank));
        assert_eq!(reload(&model), model);
    }
}

#[test]
fn the_family_fixes_slope_and_epsilon() {
    let facts = |tensors: &[Saved], name: &str| {
        let model = import_bytes(name, &checkpoint(tensors), &ImportOptions::default()).unwrap();
        let nodes = model.networks[0].nodes().to_vec();
        let op = |name: &str| nodes.iter().find(|node| node.name == name).unwrap().op.clone();
        (op("unit.0.act1"), op("unit.0.norm1"))
    };
    let leaky = Op::Activation { function: Activation::LeakyRelu { slope: 0.1 } };
    let relu = Op::Activation { function: Activation::Relu };
    let norm = Op::BatchNorm { epsilon: 1e-5 };
    assert_eq!(facts(&openspliceai(1, 2, 4, &[11], 3), "m.pt"), (leaky, norm.clone()));
    assert_eq!(facts(&pangolin(1, 2, &[11]), "final.1.0.3"), (relu, norm));
}

#[test]
fn relatives_with_other_geometry_import_with_dilations_from_the_user() {
    let tensors = openspliceai(5, 6, 2, &[7, 9], 5);
    let bytes = checkpoint(&tensors);
    assert!(refusal("m.pt", &bytes).contains("--dilations"));
    let even = checkpoint(&openspliceai(5, 2, 4, &[12], 3));
    assert!(refusal("m.pt", &even).contains("a kernel of 12 taps, expected odd"));
    let options = ImportOptions { dilations: Some(vec![2, 3]), ..ImportOptions::default() };
    let model = import_bytes("m.pt", &bytes, &options).unwrap();
    // Two units of two convolutions per group: 4 * (3 * 2) + 4 * (4 * 3) per side.
    assert_eq!((model.reach().left, model.reach().right), (72, 72));
    let tracks: Vec<_> = model.tracks.iter().map(|t| (t.name.as_str(), t.default)).collect();
    assert_eq!(tracks[0], ("class0", true));
    assert_eq!(tracks.len(), 5);
    assert!(model.provenance.record.contains("dilations [2, 3]"), "{}", model.provenance.record);
}

#[test]
fn pangolin_members_are_read_at_the_one_head_of_their_name() {
    let folder = Folder::new();
    let names = ["final.1.2.3.v2", "final.1.1.3", "final.2.2.3.v2", "final.1.0.3"];
    let states: Vec<_> = (1..=4).map(|seed| pangolin(seed, 3, &[11, 11])).collect();
    let files: Vec<_> =
        names.iter().zip(&states).map(|(name, s)| folder.put(name, &checkpoint(s))).collect();
    let options = ImportOptions::default();
    let model = import(FamilyChoice::Only(Family::Pangolin), &files, &options).unwrap();
    let tracks: Vec<_> = model
        .tracks
        .iter()
        .map(|t| {
            let sources: Vec<_> = t.sources.iter().map(|s| (s.member, s.channel)).collect();
            (t.name.as_str(), t.unit.as_str(), sources)
        })
        .collect();
    // networks.md 2: even I is P(splice), channel 1 of a softmax; odd I is usage, one sigmoid.
    assert_eq!(
        tracks,
        [
            ("heart", "probability", vec![(3, 1)]),
            ("heart_usage", "usage", vec![(1, 0)]),
            ("liver", "probability", vec![(0, 1), (2, 1)]),
        ]
    );
    assert_eq!(model.networks.len(), 2);
    let heads = ["conv_last3", "conv_last2", "conv_last3", "conv_last1"];
    for ((member, state), head) in model.members.iter().zip(&states).zip(heads) {
        let weight = values(state, &format!("{head}.weight"));
        assert_eq!(member.weights["head.weight"].values, weight, "{}", member.name);
    }
    let unread = &model.provenance.unread;
    assert_eq!(unread.len(), 4 * (14 + 16));
    assert!(unread.contains(&"final.1.1.3: conv_last1.weight".to_string()));
    assert!(!unread.contains(&"final.1.1.3: conv_last2.weight".to_string()));
    assert_eq!(reload(&model), model);
}

#[test]
fn every_form_of_a_weight_gives_the_same_numbers() {
    let plain = openspliceai(3, 4, 4, &[11], 3);
    let expected = import_bytes("m.pt", &checkpoint(&plain), &ImportOptions::default()).unwrap();
    let mut other = plain.clone();
    for saved in &mut other {
        let floats = saved.data.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b));
        match saved.name.as_str() {
            "initial_conv.weight" => {
                // Stored [tap, in, out] and seen through strides, after three numbers of another.
                let floats: Vec<f32> = floats.collect();
                let mut data = vec![9.0f32; 3];
                data.extend(
                    (0..4)
                        .flat_map(|i| (0..4).map(move |o| (o, i)))
                        .map(|(o, i)| floats[4 * o + i]),
                );
                saved.data = data.iter().flat_map(|v| v.to_le_bytes()).collect();
                (saved.offset, saved.strides) = (3, vec![1, 4, 999]);
            }
            "final_conv.weight" => {
                saved.data = floats.flat_map(|v| f64::from(v).to_le_bytes()).collect();
                (saved.class, saved.width) = ("DoubleStorage", 8);
            }
            _ => {}
        }
    }
    let model = import_bytes("m.pt", &checkpoint(&other), &ImportOptions::default()).unwrap();
    assert_eq!(model.members[0].weights, expected.members[0].weights);

    let mut big = plain.clone();
    big.iter_mut().for_each(|s| s.data.chunks_exact_mut(s.width).for_each(<[u8]>::reverse));
    let mut pickler = Pickler::new();
    pickler.state(&big, 0).op(b'.');
    let mut parts = entries(pickler.0, &big);
    parts.push(("weights/byteorder".to_string(), b"big".to_vec()));
    let model = import_bytes("m.pt", &zip(&parts), &ImportOptions::default()).unwrap();
    assert_eq!(model.members[0].weights, expected.members[0].weights);
}

#[test]
fn nested_checkpoints_are_found_or_chosen_by_key() {
    let tensors = openspliceai(3, 2, 4, &[11], 3);
    let plain = import_bytes("m.pt", &checkpoint(&tensors), &ImportOptions::default()).unwrap();
    let nested = |keys: &[&str]| {
        let mut pickler = Pickler::new();
        pickler.op(b'}').op(b'(').text("epoch").int(3);
        for key in keys {
            pickler.text(key).state(&tensors, 0);
        }
        pickler.op(b'u').op(b'.');
        zip(&entries(pickler.0, &tensors))
    };
    let with = |key: &str| ImportOptions { key: Some(key.to_string()), ..ImportOptions::default() };
    let model = import_bytes("m.pt", &nested(&["model"]), &ImportOptions::default()).unwrap();
    assert_eq!(model.members, plain.members);
    assert!(model.provenance.record.contains("under key \"model\""));
    let error = refusal("m.pt", &nested(&["model", "ema"]));
    assert!(error.contains("model, ema") && error.contains("--key"), "{error}");
    import_bytes("m.pt", &nested(&["model", "ema"]), &with("ema")).unwrap();
    let error = import_bytes("m.pt", &nested(&["model"]), &with("net")).unwrap_err();
    assert!(error.to_string().contains("found model"), "{error}");
    assert!(refusal("m.pt", &nested(&[])).contains("not a state_dict"));
}

#[test]
fn names_of_a_wrapped_network_are_those_of_the_network() {
    let plain = openspliceai(5, 3, 4, &[11], 3);
    let expected = import_bytes("m.pt", &checkpoint(&plain), &ImportOptions::default()).unwrap();
    for wrapper in ["module.", "_orig_mod.", "module._orig_mod."] {
        let mut wrapped = openspliceai(5, 3, 4, &[11], 3);
        wrapped.iter_mut().for_each(|saved| saved.name.insert_str(0, wrapper));
        let model = import_bytes("m.pt", &checkpoint(&wrapped), &ImportOptions::default()).unwrap();
        assert_eq!(model.members[0].weights, expected.members[0].weights, "{wrapper}");
        wrapped[0].name = "other".into();
        let error = import_bytes("m.pt", &checkpoint(&wrapped), &ImportOptions::default());
        assert!(error.unwrap_err().to_string().contains("no family"), "{wrapper}");
    }
}

#[test]
fn what_does_not_fit_is_named() {
    type Change = fn(&mut Vec<Saved>);
    fn find<'a>(tensors: &'a mut [Saved], name: &str) -> &'a mut Saved {
        tensors.iter_mut().find(|saved| saved.name == name).unwrap()
    }
    fn set(tensors: &mut [Saved], name: &str, index: usize, value: f32) {
        find(tensors, name).data[4 * index..4 * index + 4].copy_from_slice(&value.to_le_bytes());
    }
    let cases: [(&str, Change); 14] = [
        (
            "residual_units.1.conv2.weight (unit.1.conv2.weight) is missing (expected shape [3, 3, 11]",
            |t| t.retain(|s| s.name != "residual_units.1.conv2.weight"),
        ),
        ("residual_units.1.conv1.weight is missing", |t| {
            t.retain(|s| s.name != "residual_units.1.conv1.weight");
        }),
        ("residual_units.4.conv.bias (skip.1.bias) is missing", |t| {
            t.retain(|s| s.name != "residual_units.4.conv.bias");
        }),
        ("residual_units.4.conv.weight is missing", |t| {
            t.retain(|s| !s.name.starts_with("residual_units.4."));
        }),
        ("belong to no known layer (found 1: extra.weight)", |t| {
            t.push(Saved::floats("extra.weight", &[2], &[1.0, 2.0]));
        }),
        ("found [1, 3, 3], expected [3, 3, 1]", |t| {
            find(t, "initial_skip.conv.weight").shape.reverse();
            find(t, "initial_skip.conv.weight").strides = vec![9, 3, 1];
        }),
        ("found [1], expected [3]", |t| {
            find(t, "initial_conv.bias").shape = vec![1];
        }),
        ("expected 3 axes", |t| {
            let kernel = find(t, "initial_conv.weight");
            (kernel.shape, kernel.strides) = (vec![3, 4], vec![4, 1]);
        }),
        ("final_conv.bias holds a value that is not finite (found NaN at index 2)", |t| {
            set(t, "final_conv.bias", 2, f32::NAN);
        }),
        ("batchnorm2.running_var holds an impossible variance (found -1 at index 0", |t| {
            set(t, "residual_units.3.batchnorm2.running_var", 0, -1.0);
        }),
        ("initial_conv.bias holds integers", |t| {
            let bias = find(t, "initial_conv.bias");
            (bias.class, bias.width) = ("IntStorage", 4);
        }),
        ("num_batches_tracked (that the network never reads) has the wrong shape", |t| {
            find(t, "residual_units.0.batchnorm1.num_batches_tracked").shape = vec![1];
            find(t, "residual_units.0.batchnorm1.num_batches_tracked").strides = vec![1];
        }),
        ("final_conv.bias occurs twice", |t| {
            let again = find(t, "final_conv.bias").clone();
            t.push(again);
        }),
        ("of no family that can be imported (found other.weight", |t| {
            t.iter_mut().for_each(|s| s.name = s.name.replace("initial_conv", "other"));
            t.retain(|s| s.name.starts_with("other"));
            t.reverse();
        }),
    ];
    for (what, change) in cases {
        let mut tensors = openspliceai(1, 3, 4, &[11], 3);
        change(&mut tensors);
        let error = refusal("m.pt", &checkpoint(&tensors));
        // The family list begins alphabetically.
        let what = what.replace("found other.weight", "found other.bias, other.weight");
        assert!(error.contains(&what), "{what:?}: {error}");
        assert!(error.contains("m.pt: "), "{error}");
    }
}

#[test]
fn pangolin_heads_are_a_closed_list() {
    let mut more = pangolin(1, 3, &[11]);
    more.push(Saved::floats("conv_last9.bias", &[1], &[1.0]));
    assert!(refusal("final.1.0.3", &checkpoint(&more)).contains("conv_last9.bias"));
    let mut fewer = pangolin(1, 3, &[11]);
    fewer.retain(|saved| saved.name != "conv_last5.bias");
    assert!(refusal("final.1.0.3", &checkpoint(&fewer)).contains("conv_last5.bias"));
    let mut odd = pangolin(1, 3, &[11]);
    odd.retain(|saved| !saved.name.starts_with("resblocks.3."));
    assert!(refusal("final.1.0.3", &checkpoint(&odd)).contains("3 resblocks and 1 convs"));
    assert!(refusal("weights.pt", &checkpoint(&pangolin(1, 3, &[11]))).contains("--heads"));
}

#[test]
fn members_must_be_alike_and_different() {
    let folder = Folder::new();
    let put = |name: &str, tensors: &[Saved]| folder.put(name, &checkpoint(tensors));
    let a = put("a.pt", &openspliceai(1, 3, 4, &[11], 3));
    let again = put("again.pt", &openspliceai(1, 3, 4, &[11], 3));
    let deeper = put("deeper.pt", &openspliceai(2, 3, 4, &[11, 11], 3));
    let wider = put("wider.pt", &openspliceai(2, 4, 4, &[11], 3));
    let classes = put("classes.pt", &openspliceai(2, 3, 4, &[11], 4));
    let p = put("final.1.0.3", &pangolin(2, 3, &[11]));
    let options = ImportOptions::default();
    let join = |family, files: &[&std::path::PathBuf]| {
        let files: Vec<_> = files.iter().map(|&file| file.clone()).collect();
        import(family, &files, &options).unwrap_err().to_string()
    };
    let auto = FamilyChoice::Auto;
    assert!(join(auto, &[&a, &again]).contains("given twice"));
    assert!(join(auto, &[&a, &deeper]).contains("reach 200 and 200"));
    assert!(join(auto, &[&a, &wider]).contains("4 channels"));
    assert!(join(auto, &[&a, &classes]).contains("4 outputs"));
    assert!(
        join(auto, &[&a, &p]).contains("looks like pangolin, expected openspliceai as in a.pt")
    );
    let wrong = join(FamilyChoice::Only(Family::SpliceAi), &[&a]);
    assert!(wrong.contains("looks like openspliceai, expected spliceai as asked for"), "{wrong}");
    assert!(join(auto, &[]).contains("no weight files"));
    let heads = ImportOptions { heads: Some(vec![0]), ..ImportOptions::default() };
    let error = import(auto, std::slice::from_ref(&a), &heads).unwrap_err();
    assert!(error.to_string().contains("--heads has no meaning"), "{error}");
}
