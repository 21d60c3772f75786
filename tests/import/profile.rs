//! Signal networks: round trips of random weights in the layouts of their programs, and everything
//! that is refused. Golden outputs are in `tests/signal.rs`.

use crate::keras_writer::{Attribute, Item, hdf5};
use crate::torch_writer::{Pickler, Saved, checkpoint, entries, zip};
use crate::{Folder, Noise, refusal};
use atrous::Result;
use atrous::model::Model;
use atrous::model::import::{Family, FamilyChoice, ImportOptions, import};
use serde_json::{Value, json};

const FILTERS: usize = 5;
const LAYERS: usize = 3;

/// The tensors of a bpnet-lite network with so many outputs and control tracks.
fn bpnet_lite(strands: usize, controls: usize) -> Vec<Saved> {
    let (mut all, mut noise) = (Vec::new(), Noise(7));
    let mut add = |name: String, shape: &[usize]| {
        all.push(Saved::floats(&format!("{name}.weight"), shape, &noise.values(shape)));
        all.push(Saved::floats(&format!("{name}.bias"), &shape[..1], &noise.values(&shape[..1])));
    };
    add("iconv".into(), &[FILTERS, 4, 21]);
    (0..LAYERS).for_each(|i| add(format!("rconvs.{i}"), &[FILTERS, FILTERS, 3]));
    add("fconv".into(), &[strands, FILTERS + controls, 75]);
    add("linear".into(), &[1, FILTERS + usize::from(controls > 0)]);
    all
}

fn import_as(family: Family, name: &str, bytes: &[u8]) -> Result<Model> {
    let folder = Folder::new();
    let options = ImportOptions { window: Some(400), ..ImportOptions::default() };
    import(FamilyChoice::Only(family), &[folder.put(name, bytes)], &options)
}

fn import_lite(tensors: &[Saved]) -> Result<Model> {
    import_as(Family::BpNetLite, "m.pt", &checkpoint(tensors))
}

#[test]
fn a_network_comes_back_number_by_number_with_its_window_and_tracks() {
    let tensors = bpnet_lite(2, 2);
    let model = import_lite(&tensors).unwrap();
    let weights = &model.members[0].weights;
    for (ours, theirs) in [
        ("stem.weight", "iconv.weight"),
        ("dilated.1.conv.bias", "rconvs.0.bias"),
        ("dilated.3.conv.weight", "rconvs.2.weight"),
        ("profile.weight", "fconv.weight"),
        ("counts.weight", "linear.weight"),
    ] {
        let saved = tensors.iter().find(|saved| saved.name == theirs).unwrap();
        let values: Vec<f32> =
            saved.data.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
        assert_eq!(weights[ours].values, values, "{ours}");
    }
    // networks.md 3: trimming 47 + 2 + 4 + 8 for three layers
    let window = model.window.unwrap();
    assert_eq!((window.input, window.output, window.anchor), (400, 400 - 2 * 61, 200));
    let names: Vec<_> = model.tracks.iter().map(|track| track.name.as_str()).collect();
    assert_eq!(names, ["forward", "reverse"]);
    assert_eq!((model.profiles.len(), model.control_channels()), (1, 2));
}

#[test]
fn every_tensor_that_is_missing_misshapen_or_left_over_is_named() {
    let kinds = [
        (Family::BpNetLite, None, (1, 0)),
        (Family::BpNetLite, None, (2, 2)),
        (Family::BasePairNet, Some(61), (2, 2)),
        (Family::ProCapNet, None, (2, 0)),
    ];
    for (family, trimming, (strands, controls)) in kinds {
        let read = |tensors: &[Saved]| {
            let folder = Folder::new();
            let options =
                ImportOptions { window: Some(2_114), trimming, ..ImportOptions::default() };
            let file = folder.put("m.pt", &checkpoint(tensors));
            import(FamilyChoice::Only(family), &[file], &options)
        };
        let tensors = bpnet_lite(strands, controls);
        read(&tensors).unwrap();
        for index in 0..tensors.len() {
            let mut fewer = tensors.clone();
            let gone = fewer.remove(index).name;
            match read(&fewer) {
                // these two layers may have no bias
                Ok(_) => {
                    assert!(["fconv.bias", "linear.bias"].contains(&gone.as_str()), "{gone}");
                }
                Err(error) => {
                    let (layer, _) = gone.rsplit_once('.').unwrap();
                    assert!(error.to_string().contains(layer), "{family:?} {gone}: {error}");
                }
            }
            let mut turned = tensors.clone();
            if turned[index].shape.len() > 1 {
                turned[index].shape.reverse();
                let error = read(&turned).unwrap_err().to_string();
                assert!(error.contains("expected"), "{family:?} {gone}: {error}");
            }
        }
        let mut more = tensors;
        more.push(Saved::floats("rconvs.9.weight", &[1], &[0.0]));
        let error = read(&more).unwrap_err().to_string();
        assert!(error.contains("rconvs.9.weight"), "{family:?}: {error}");
    }
    let tensors = bpnet_lite(1, 0);
    let mut more = tensors.clone();
    more.push(Saved::floats("rconvs.9.weight", &[1], &[0.0]));
    let error = import_lite(&more).unwrap_err().to_string();
    assert!(error.contains("rconvs.9.weight"), "{error}");
    let mut even = tensors;
    let stem = even.iter_mut().find(|saved| saved.name == "iconv.weight").unwrap();
    *stem = Saved::floats("iconv.weight", &[FILTERS, 4, 20], &vec![0.0; FILTERS * 80]);
    assert!(import_lite(&even).unwrap_err().to_string().contains("20 taps"));
}

#[test]
fn a_state_does_not_tell_its_family() {
    let bytes = checkpoint(&bpnet_lite(1, 0));
    let error = refusal("m.pt", &bytes);
    assert!(error.contains("bpnet-lite, basepairnet or procapnet"), "{error}");
    let error = import_as(Family::BasePairNet, "m.pt", &bytes).unwrap_err().to_string();
    assert!(error.contains("--trimming"), "{error}");
    let error = import_as(Family::SpliceAi, "m.pt", &bytes).unwrap_err().to_string();
    assert!(error.contains("another family"), "{error}");
}

#[test]
fn saved_objects_that_are_no_network_are_refused() {
    let build = |fill: &dyn Fn(&mut Pickler)| {
        let mut pickler = Pickler::new();
        fill(&mut pickler);
        zip(&entries(pickler.0, &[]))
    };
    let record = |p: &mut Pickler| {
        p.global("bpnetlite.bpnet", "BPNet").op(b')').op(0x81);
    };
    type Fill = dyn Fn(&mut Pickler);
    let cases: [(&str, Box<Fill>); 5] = [
        (
            "holds nothing",
            Box::new(move |p| {
                record(p);
                p.op(b'.');
            }),
        ),
        (
            "has no _parameters",
            Box::new(move |p| {
                record(p);
                p.op(b'}').op(b'b').op(b'.');
            }),
        ),
        // a part that is the whole again
        (
            "is also another part",
            Box::new(move |p| {
                record(p);
                p.op(b'q').op(1).op(b'}').op(b'(');
                p.text("_parameters").op(b'}').text("_buffers").op(b'}');
                p.text("_modules").op(b'}').op(b'(').text("inner").op(b'h').op(1).op(b'u');
                p.op(b'u').op(b'b').op(b'.');
            }),
        ),
        (
            "a state of its own",
            Box::new(move |p| {
                record(p);
                p.op(b'}').op(b'b').op(b'}').op(b'b').op(b'.');
            }),
        ),
        (
            "an object of a Python class",
            Box::new(|p| {
                p.global("bpnetlite.bpnet", "BPNet").int(1).op(0x85).op(0x81).op(b'.');
            }),
        ),
    ];
    for (expected, fill) in cases {
        let error = refusal("m.torch", &build(&*fill));
        assert!(error.contains(expected), "{error:?} should say {expected:?}");
    }
}

/// A flat chrombpnet file as Keras writes it: layers, and their tensors but for `without`.
fn chrombpnet(change: &dyn Fn(&mut Vec<Value>), without: &str) -> Vec<u8> {
    let conv = |name: &str, filters: usize, kernel: usize, dilation: usize, reads: &str| {
        let activation = if name.starts_with("prof") { "linear" } else { "relu" };
        json!({"class_name": "Conv1D", "name": name, "inbound_nodes": [[[reads, 0, 0, {}]]],
               "config": {"name": name, "filters": filters, "kernel_size": [kernel], "strides": [1],
                          "dilation_rate": [dilation], "padding": "valid", "use_bias": true,
                          "activation": activation}})
    };
    let other = |class: &str, name: &str, config: Value, reads: &[&str]| {
        let reads: Vec<Value> = reads.iter().map(|name| json!([name, 0, 0, {}])).collect();
        let nodes = if reads.is_empty() { json!([]) } else { json!([reads]) };
        json!({"class_name": class, "name": name, "config": config, "inbound_nodes": nodes})
    };
    let mut layers = vec![
        other("InputLayer", "sequence", json!({"batch_input_shape": [null, 300, 4]}), &[]),
        conv("bpnet_1st_conv", FILTERS, 21, 1, "sequence"),
    ];
    let mut kernels = vec![("bpnet_1st_conv".to_string(), vec![21, 4, FILTERS])];
    let mut x = "bpnet_1st_conv".to_string();
    for i in 1..=2 {
        let (name, cut, add) =
            (format!("bpnet_{i}conv"), format!("bpnet_{i}crop"), format!("add_{i}"));
        layers.push(conv(&name, FILTERS, 3, 1 << i, &x));
        layers.push(other("Cropping1D", &cut, json!({"cropping": [1 << i, 1 << i]}), &[&x]));
        layers.push(other("Add", &add, json!({}), &[&name, &cut]));
        kernels.push((name, vec![3, FILTERS, FILTERS]));
        x = add;
    }
    layers.push(conv("prof_out_precrop", 1, 75, 1, &x));
    let crop = json!({"cropping": [7, 7]});
    layers.push(other("Cropping1D", "logits_preflatten", crop, &["prof_out_precrop"]));
    layers.push(other("Flatten", "logits_profile_predictions", json!({}), &["logits_preflatten"]));
    layers.push(other("GlobalAveragePooling1D", "gap", json!({}), &[&x]));
    layers.push(other("Dense", "logcount_predictions", json!({"units": 1}), &["gap"]));
    kernels.push(("prof_out_precrop".into(), vec![75, FILTERS, 1]));
    kernels.push(("logcount_predictions".into(), vec![FILTERS, 1]));
    change(&mut layers);
    let config = json!({"class_name": "Functional",
                        "config": {"name": "m", "layers": layers,
                                   "input_layers": [["sequence", 0, 0]],
                                   "output_layers": [["logits_profile_predictions", 0, 0],
                                                     ["logcount_predictions", 0, 0]]}});
    let mut noise = Noise(3);
    let mut groups = Vec::new();
    for (name, shape) in &kernels {
        let leaves = [("kernel:0", shape.clone()), ("bias:0", vec![shape[shape.len() - 1]])];
        let kept = leaves.into_iter().filter(|(leaf, _)| format!("{name}/{leaf}") != without);
        let kept: Vec<_> = kept.collect();
        let names: Vec<String> = kept.iter().map(|(leaf, _)| format!("{name}/{leaf}")).collect();
        let floats = |(leaf, shape): &(&str, Vec<usize>)| {
            let values = noise.values(shape);
            (leaf.to_string(), Item::Floats { shape: shape.clone(), values })
        };
        let inner = Item::Group { attributes: vec![], children: kept.iter().map(floats).collect() };
        let attributes = vec![Attribute::list("weight_names", &names)];
        groups.push((
            name.clone(),
            Item::Group { attributes, children: vec![(name.clone(), inner)] },
        ));
    }
    let names: Vec<String> = kernels.iter().map(|(name, _)| name.clone()).collect();
    let weights =
        Item::Group { attributes: vec![Attribute::list("layer_names", &names)], children: groups };
    hdf5(&Item::Group {
        attributes: vec![Attribute::text("model_config", &config.to_string())],
        children: vec![("model_weights".into(), weights)],
    })
}

#[test]
fn a_keras_network_is_held_against_what_its_layers_say() {
    let folder = Folder::new();
    let read = |change: &dyn Fn(&mut Vec<Value>), without: &str| {
        let path = folder.put("m.h5", &chrombpnet(change, without));
        import(FamilyChoice::Auto, &[path], &ImportOptions::default())
    };
    let model = read(&|_| {}, "").unwrap();
    assert_eq!(model.provenance.family, "chrombpnet");
    // 300 - 20 - 4 - 8 - 74 positions, without 7 on each side
    let window = model.window.unwrap();
    assert_eq!((window.input, window.output), (300, 180));
    let set = |layer: &'static str, key: &'static str, value: Value| {
        move |layers: &mut Vec<Value>| {
            let layer = layers.iter_mut().find(|l| l["name"] == layer).unwrap();
            layer["config"][key] = value.clone();
        }
    };
    let rewire = |layer: &'static str, reads: &'static str| {
        move |layers: &mut Vec<Value>| {
            let layer = layers.iter_mut().find(|l| l["name"] == layer).unwrap();
            layer["inbound_nodes"][0][0][0] = reads.into();
        }
    };
    type Change = Box<dyn Fn(&mut Vec<Value>)>;
    let cases: [(&str, Change); 7] = [
        ("bpnet_2conv", Box::new(set("bpnet_2conv", "dilation_rate", json!([8])))),
        ("bpnet_1conv", Box::new(set("bpnet_1conv", "padding", "same".into()))),
        ("bpnet_1st_conv", Box::new(set("bpnet_1st_conv", "activation", "linear".into()))),
        ("bpnet_1st_conv", Box::new(set("bpnet_1st_conv", "strides", json!([2])))),
        ("bpnet_2conv", Box::new(rewire("bpnet_2conv", "bpnet_1st_conv"))),
        ("gap", Box::new(rewire("gap", "add_1"))),
        ("is not added", Box::new(rewire("bpnet_2crop", "bpnet_1st_conv"))),
    ];
    for (expected, change) in cases {
        let error = read(&*change, "").unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} should name {expected:?}");
    }
    // without its kernel a layer is none, and the next one reads what it should not
    for (tensor, expected) in [
        ("bpnet_1st_conv/bias:0", "bpnet_1st_conv/bias"),
        ("bpnet_2conv/kernel:0", "prof_out_precrop"),
        ("logcount_predictions/kernel:0", "logcount_predictions"),
    ] {
        let error = read(&|_| {}, tensor).unwrap_err().to_string();
        assert!(error.contains(expected), "{tensor}: {error}");
    }
    let options = ImportOptions { window: Some(2114), ..ImportOptions::default() };
    let path = folder.put("n.h5", &chrombpnet(&|_| {}, ""));
    let error = import(FamilyChoice::Auto, &[path], &options).unwrap_err().to_string();
    assert!(error.contains("--window contradicts the file"), "{error}");
}
