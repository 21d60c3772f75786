//! SpliceAI and TranslationAI: round trips of random weights and every layer that is refused.

use crate::keras_writer::{LayerTensors, Network, keras, tensors};
use crate::{Folder, Noise, import_bytes, refusal, reload};
use atrous::model::Model;
use atrous::model::import::{Family, FamilyChoice, ImportOptions, import};
use serde_json::{Value, json};
use std::path::Path;

/// Two groups of two units: reach 4 * (2 * 1) + 4 * (1 * 3) = 20 per side.
fn small() -> Network {
    Network { channels: 3, groups: vec![(5, 1, 2), (3, 3, 2)], classes: 3, crop: (20, 20) }
}

fn file(config: &Value, split: bool) -> (Vec<u8>, Vec<LayerTensors>) {
    let mut noise = Noise(7);
    let layers = tensors(config, || noise.value());
    (keras(&config.to_string(), &layers, split), layers)
}

fn imported(network: &Network) -> (Model, Vec<LayerTensors>) {
    let (bytes, layers) = file(&network.config(), false);
    (import_bytes("m.h5", &bytes, &ImportOptions::default()).unwrap(), layers)
}

fn values<'a>(layers: &'a [LayerTensors], layer: &str, role: &str) -> &'a [f32] {
    let (_, tensors) = layers.iter().find(|(name, _)| name == layer).unwrap();
    &tensors.iter().find(|(name, ..)| *name == role).unwrap().2
}

#[test]
fn every_number_lands_where_the_published_layer_numbers_say() {
    // Four units per group as published, so that the layer numbers of weight-files.md 2.1 hold.
    let network =
        Network { channels: 3, groups: vec![(5, 1, 4), (3, 3, 4)], classes: 3, crop: (40, 40) };
    let (model, layers) = imported(&network);
    assert_eq!(model.provenance.family, "spliceai");
    let weights = &model.members[0].weights;
    // stem, 3 skips, head and 16 convolutions with 2 tensors each, 16 norms with 4.
    assert_eq!(weights.len(), 2 * (1 + 3 + 1 + 16) + 4 * 16);
    let check = |ours: &str, layer: &str, taps: usize, inputs: usize, outputs: usize| {
        let (ours, theirs) =
            (&weights[&format!("{ours}.weight")], values(&layers, layer, "kernel"));
        assert_eq!(ours.shape, [outputs, inputs, taps]);
        for o in 0..outputs {
            for i in 0..inputs {
                for tap in 0..taps {
                    let (at, from) =
                        ((o * inputs + i) * taps + tap, (tap * inputs + i) * outputs + o);
                    assert_eq!(ours.values[at], theirs[from]);
                }
            }
        }
    };
    check("stem", "conv1d_1", 1, 4, 3);
    check("skip.0", "conv1d_2", 1, 3, 3);
    check("head", "conv1d_21", 1, 3, 3);
    for g in 0..2 {
        check(&format!("skip.{}", g + 1), &format!("conv1d_{}", 11 + 9 * g), 1, 3, 3);
        for j in 0..4 {
            let (u, taps) = (4 * g + j, [5, 3][g]);
            let conv = 3 + 9 * g + 2 * j;
            check(&format!("unit.{u}.conv1"), &format!("conv1d_{conv}"), taps, 3, 3);
            check(&format!("unit.{u}.conv2"), &format!("conv1d_{}", conv + 1), taps, 3, 3);
            let norm = format!("batch_normalization_{}", 2 * u + 2);
            for (ours, theirs) in [
                ("scale", "gamma"),
                ("shift", "beta"),
                ("mean", "moving_mean"),
                ("var", "moving_variance"),
            ] {
                let ours = &weights[&format!("unit.{u}.norm2.{ours}")].values;
                assert_eq!(*ours, values(&layers, &norm, theirs));
            }
        }
    }
    assert_eq!(reload(&model), model);
    let tracks: Vec<_> = model.tracks.iter().map(|t| (t.name.as_str(), t.default)).collect();
    assert_eq!(tracks, [("none", false), ("acceptor", true), ("donor", true)]);
}

#[test]
fn a_split_list_of_layers_reads_the_same() {
    let config = small().config();
    let options = ImportOptions::default();
    let whole = import_bytes("m.h5", &file(&config, false).0, &options).unwrap();
    let split = import_bytes("m.h5", &file(&config, true).0, &options).unwrap();
    assert_eq!(whole.members, split.members);
}

#[test]
fn even_kernels_are_the_translation_family_with_unequal_reach() {
    // networks.md 2, TranslationAI-2000: left 992, right 1008, crop 1000.
    let network = Network {
        channels: 2,
        groups: vec![(26, 1, 4), (26, 2, 4), (36, 5, 4)],
        classes: 3,
        crop: (1000, 1000),
    };
    let (model, _) = imported(&network);
    assert_eq!(model.provenance.family, "translationai");
    assert_eq!((model.reach().left, model.reach().right), (992, 1008));
    assert_eq!(model.tracks[1].name, "stop");
    assert_eq!(model.members[0].weights.len(), 156);
}

#[test]
fn relatives_of_other_width_depth_and_classes_import() {
    let network = Network { channels: 5, groups: vec![(9, 2, 3)], classes: 4, crop: (60, 50) };
    let (model, _) = imported(&network);
    assert_eq!((model.reach().left, model.reach().right), (48, 48));
    assert_eq!(model.tracks[3].name, "class3");
}

#[test]
fn the_user_says_the_family_where_the_kernels_are_not_published() {
    let imported_as = |family, kernel| {
        let network =
            Network { channels: 2, groups: vec![(kernel, 1, 1)], classes: 3, crop: (40, 40) };
        let folder = Folder::new();
        let path = folder.put("m.h5", &file(&network.config(), false).0);
        import(FamilyChoice::Only(family), &[path], &ImportOptions::default())
    };
    for (family, kernel, track) in [
        (Family::SpliceAi, 12, "acceptor"),
        (Family::SpliceAi, 13, "acceptor"),
        (Family::SpliceAi, 11, "acceptor"),
        (Family::TranslationAi, 12, "stop"),
        (Family::TranslationAi, 13, "stop"),
        (Family::TranslationAi, 26, "stop"),
    ] {
        let model = imported_as(family, kernel).unwrap();
        assert_eq!(model.provenance.family, family.name());
        assert_eq!(model.tracks[1].name, track, "{kernel}");
    }
    for (family, kernel) in
        [(Family::SpliceAi, 26), (Family::TranslationAi, 11), (Family::Pangolin, 13)]
    {
        let error = imported_as(family, kernel).unwrap_err().to_string();
        assert!(error.contains("of another family"), "{error}");
    }
}

#[test]
fn other_spellings_of_the_same_network_import() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 5] = [
        ("Functional", |c| c["class_name"] = json!("Functional")),
        ("ends without an outer list", |c| {
            c["config"]["input_layers"] = json!(["input_1", 0, 0]);
            c["config"]["output_layers"] = json!(["conv1d_13", 0, 0]);
        }),
        ("the activation of the head as a layer", |c| {
            layer(c, "conv1d_13")["config"]["activation"] = json!("linear");
            push(
                c,
                json!({"class_name": "Softmax", "name": "softmax", "config": {},
                "inbound_nodes": [[["conv1d_13", 0, 0, {}]]]}),
            );
            c["config"]["output_layers"] = json!([["softmax", 0, 0]]);
        }),
        ("dropout twice in a unit", |c| {
            for (name, from) in [("dropout_1", "activation_1"), ("dropout_2", "dropout_1")] {
                push(
                    c,
                    json!({"class_name": "Dropout", "name": name, "config": {"rate": 0.3},
                    "inbound_nodes": [[[from, 0, 0, {}]]]}),
                );
            }
            layer(c, "conv1d_3")["inbound_nodes"] = json!([[["dropout_2", 0, 0, {}]]]);
        }),
        ("the inputs of newer writers", |c| {
            let tensor = |name: &str| {
                json!({"class_name": "__keras_tensor__",
                    "config": {"shape": [null, null, 3], "keras_history": [name, 0, 0]}})
            };
            layer(c, "add_1")["inbound_nodes"] =
                json!([{"args": [[tensor("conv1d_4"), tensor("conv1d_1")]], "kwargs": {}}]);
        }),
    ];
    let (expected, _) = imported(&small());
    for (what, change) in cases {
        let mut config = small().config();
        change(&mut config);
        let (_, layers) = file(&small().config(), false);
        let bytes = keras(&config.to_string(), &layers, false);
        let model = import_bytes("m.h5", &bytes, &ImportOptions::default());
        let model = model.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(model.members, expected.members, "{what}");
    }
}

fn layer<'a>(config: &'a mut Value, name: &str) -> &'a mut Value {
    let layers = config["config"]["layers"].as_array_mut().unwrap();
    layers.iter_mut().find(|layer| layer["name"] == name).unwrap()
}

fn push(config: &mut Value, layer: Value) {
    config["config"]["layers"].as_array_mut().unwrap().push(layer);
}

fn set(config: &mut Value, name: &str, key: &str, value: Value) {
    layer(config, name)["config"][key] = value;
}

#[test]
fn every_layer_that_does_not_fit_is_named() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 26] = [
        ("class \"Sequential\"", |c| c["class_name"] = json!("Sequential")),
        ("must have one output (found 2", |c| {
            c["config"]["output_layers"] = json!([["conv1d_13", 0, 0], ["add_1", 0, 0]]);
        }),
        ("\"input_1\" (InputLayer) is not an input of one-hot bases", |c| {
            set(c, "input_1", "batch_input_shape", json!([null, null, 5]));
        }),
        ("\"lambda_1\" (Lambda) holds program code", |c| {
            push(
                c,
                json!({"class_name": "Lambda", "name": "lambda_1", "config": {},
                "inbound_nodes": [[["lambda_1", 0, 0, {}]]]}),
            );
        }),
        ("\"lambda_1\" (Lambda) holds program code", |c| {
            layer(c, "cropping1d_1")["inbound_nodes"] = json!([[["lambda_1", 0, 0, {}]]]);
            push(
                c,
                json!({"class_name": "Lambda", "name": "lambda_1", "config": {},
                "inbound_nodes": [[["add_6", 0, 0, {}]]]}),
            );
        }),
        ("\"add_6\" (Add) must be read by exactly one layer, and alone (found multiply_1", |c| {
            layer(c, "cropping1d_1")["inbound_nodes"] = json!([[["multiply_1", 0, 0, {}]]]);
            push(
                c,
                json!({"class_name": "Multiply", "name": "multiply_1", "config": {},
                "inbound_nodes": [[["add_6", 0, 0, {}], ["add_1", 0, 0, {}]]]}),
            );
        }),
        (
            "the zero padding of hidden layers at the edges (found cropping of 19 and 19, expected at \
          least 20 and 20",
            |c| set(c, "cropping1d_1", "cropping", json!([19, 19])),
        ),
        ("cropping of 30 and 10", |c| set(c, "cropping1d_1", "cropping", json!([30, 10]))),
        ("\"conv1d_3\" (Conv1D) has a strides", |c| set(c, "conv1d_3", "strides", json!([2]))),
        ("has a use_bias that is not supported (found false, expected true", |c| {
            set(c, "conv1d_3", "use_bias", json!(false));
        }),
        ("\"conv1d_3\" (Conv1D) has a padding", |c| set(c, "conv1d_3", "padding", json!("valid"))),
        ("\"conv1d_4\" (Conv1D) differs in geometry", |c| {
            set(c, "conv1d_4", "dilation_rate", json!([7]));
        }),
        ("\"conv1d_3\" (Conv1D) has no usable kernel_size", |c| {
            set(c, "conv1d_3", "kernel_size", json!(-5));
        }),
        ("\"conv1d_5\" (Conv1D) changes the width", |c| set(c, "conv1d_5", "filters", json!(4))),
        ("\"conv1d_5\" (Conv1D) applies an activation", |c| {
            set(c, "conv1d_5", "activation", json!("relu"));
        }),
        ("\"conv1d_2\" (Conv1D) must be pointwise", |c| {
            set(c, "conv1d_2", "kernel_size", json!([3]));
            set(c, "conv1d_2", "padding", json!("same"));
        }),
        ("\"activation_2\" (Activation) is a function that is not supported (found elu", |c| {
            set(c, "activation_2", "activation", json!("elu"));
        }),
        ("\"activation_2\" (Activation) and its normalisation differ", |c| {
            set(c, "activation_2", "activation", json!("tanh"));
        }),
        ("\"activation_3\" (Activation) and its normalisation differ", |c| {
            set(c, "batch_normalization_3", "epsilon", json!(1e-5));
        }),
        ("has a axis that is not supported (found 1", |c| {
            set(c, "batch_normalization_1", "axis", json!(1));
        }),
        ("\"add_2\" (Add) adds other layers than the trunk does (found conv1d_6, conv1d_1", |c| {
            layer(c, "add_2")["inbound_nodes"] =
                json!([[["conv1d_6", 0, 0, {}], ["conv1d_1", 0, 0, {}]]]);
        }),
        ("\"conv1d_3\" is used more than once", |c| {
            layer(c, "conv1d_3")["inbound_nodes"] =
                json!([[["activation_1", 0, 0, {}]], [["activation_2", 0, 0, {}]]]);
        }),
        ("reads what is not there (found layer \"nowhere\"", |c| {
            layer(c, "conv1d_3")["inbound_nodes"] = json!([[["nowhere", 0, 0, {}]]]);
        }),
        ("\"conv1d_13\" (Conv1D) gives raw scores", |c| {
            set(c, "conv1d_13", "activation", json!("linear"));
        }),
        ("ends the residual units but adds nothing", |c| {
            // The second group ends without a skip.
            let layers = c["config"]["layers"].as_array_mut().unwrap();
            layers.retain(|layer| layer["name"] != "conv1d_12" && layer["name"] != "add_6");
            layer(c, "cropping1d_1")["inbound_nodes"] = json!([[["add_3", 0, 0, {}]]]);
        }),
        ("\"dense_1\" (Dense) is not part of the known network", |c| {
            push(
                c,
                json!({"class_name": "Dense", "name": "dense_1", "config": {},
                "inbound_nodes": []}),
            );
        }),
    ];
    for (what, change) in cases {
        let mut config = small().config();
        change(&mut config);
        let (_, layers) = file(&small().config(), false);
        let error = refusal("m.h5", &keras(&config.to_string(), &layers, false));
        assert!(error.contains(what), "{what:?}: {error}");
    }
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    type Change = fn(&mut Vec<LayerTensors>);
    fn of<'a>(
        layers: &'a mut [LayerTensors],
        name: &str,
    ) -> &'a mut Vec<(&'static str, Vec<usize>, Vec<f32>)> {
        &mut layers.iter_mut().find(|(layer, _)| layer == name).unwrap().1
    }
    let cases: [(&str, Change); 5] = [
        ("conv1d_4/bias (unit.0.conv1.bias) is missing (expected shape [3])", |l| {
            of(l, "conv1d_4").truncate(1);
        }),
        ("belong to no known layer (found 1: conv1d_4/extra)", |l| {
            of(l, "conv1d_4").push(("extra", vec![1], vec![0.0]));
        }),
        ("found [3, 3, 5], expected [5, 3, 3]", |l| of(l, "conv1d_4")[0].1.reverse()),
        ("found inf at index 1", |l| of(l, "conv1d_4")[1].2[1] = f32::INFINITY),
        ("moving_variance holds an impossible variance", |l| {
            of(l, "batch_normalization_1")[3].2[0] = -0.5;
        }),
    ];
    for (what, change) in cases {
        let config = small().config();
        let (_, mut layers) = file(&config, false);
        change(&mut layers);
        let error = refusal("m.h5", &keras(&config.to_string(), &layers, false));
        let what = what.replace("(unit.0.conv1.bias)", "(unit.0.conv2.bias)");
        assert!(error.contains(&what), "{what:?}: {error}");
    }
}

#[test]
fn options_of_other_containers_are_usage_errors() {
    let (bytes, _) = file(&small().config(), false);
    let options = ImportOptions { key: Some("model".to_string()), ..ImportOptions::default() };
    let error = import_bytes("m.h5", &bytes, &options).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
}

#[test]
fn packed_datasets_of_both_hdf5_layouts_are_read() {
    // Made by tests/import/data/make.py: every number is its count in file order / 64.
    for name in ["earliest.h5", "latest.h5"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/data").join(name);
        let options = ImportOptions::default();
        let model = import(FamilyChoice::Auto, &[path], &options).unwrap();
        let weights = &model.members[0].weights;
        let counts = |name: &str| -> Vec<f32> {
            weights[name].values.iter().map(|value| value * 64.0).collect()
        };
        // stem: kernel (1, 4, 2) is 1 to 8, seen from each output channel; bias 9, 10.
        assert_eq!(counts("stem.weight"), [1.0, 3.0, 5.0, 7.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(counts("stem.bias"), [9.0, 10.0]);
        // skip.0 is 11 to 16, norm1 17 to 24, conv1's kernel (5, 2, 2) 25 to 44.
        assert_eq!(counts("unit.0.norm1.var"), [23.0, 24.0]);
        assert_eq!(counts("unit.0.conv1.weight")[..5], [25.0, 29.0, 33.0, 37.0, 41.0]);
        assert_eq!((model.reach().left, model.reach().right), (8, 8));
    }
}
