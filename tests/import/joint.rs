//! A joint network of bpnet-lite (accessibility and the bias of the assay), saved as a whole object
//! and as a state: both give one model, and whatever is tampered with is named.

use crate::torch_writer::{Pickler, Saved, checkpoint, entries, zip};
use crate::{Folder, Noise};
use atrous::Result;
use atrous::model::Model;
use atrous::model::import::{FamilyChoice, ImportOptions, import};

const FILTERS: usize = 4;

/// A module as it is pickled: its class, its settings, its own tensors and its parts.
struct Part {
    class: (&'static str, &'static str),
    settings: Vec<(&'static str, Vec<usize>)>,
    tensors: Vec<Saved>,
    parts: Vec<(String, Part)>,
}

impl Part {
    fn conv(channels: [usize; 2], kernel: usize, dilation: usize, noise: &mut Noise) -> Self {
        let [outputs, inputs] = channels;
        let tensors = weights(&[outputs, inputs, kernel], noise);
        let settings = vec![
            ("dilation", vec![dilation]),
            ("padding", vec![(kernel - 1) / 2 * dilation]),
            ("stride", vec![1]),
            ("groups", vec![1]),
        ];
        let class = ("torch.nn.modules.conv", "Conv1d");
        Self { class, settings, tensors, parts: Vec::new() }
    }

    fn list(parts: Vec<Part>) -> Self {
        let parts = parts.into_iter().enumerate().map(|(i, part)| (i.to_string(), part)).collect();
        let class = ("torch.nn.modules.container", "ModuleList");
        Self { class, settings: Vec::new(), tensors: Vec::new(), parts }
    }

    /// A network of so many dilated layers.
    fn network(layers: usize, trimming: usize, noise: &mut Noise) -> Self {
        let conv = |i: usize, noise: &mut Noise| Self::conv([FILTERS, FILTERS], 3, 2 << i, noise);
        let linear = Self {
            class: ("torch.nn.modules.linear", "Linear"),
            settings: Vec::new(),
            tensors: weights(&[1, FILTERS], noise),
            parts: Vec::new(),
        };
        let parts = vec![
            ("iconv".to_string(), Self::conv([FILTERS, 4], 21, 1, noise)),
            ("rconvs".into(), Self::list((0..layers).map(|i| conv(i, noise)).collect())),
            ("fconv".into(), Self::conv([1, FILTERS], 75, 1, noise)),
            ("linear".into(), linear),
        ];
        let settings = vec![("n_layers", vec![layers]), ("trimming", vec![trimming])];
        Self { class: ("bpnetlite.bpnet", "BPNet"), settings, tensors: Vec::new(), parts }
    }

    /// The whole: three layers of accessibility, two of bias.
    fn joint() -> Self {
        let mut noise = Noise(17);
        let parts = vec![
            ("bias".to_string(), Self::network(2, 53, &mut noise)),
            ("accessibility".into(), Self::network(3, 61, &mut noise)),
        ];
        let class = ("bpnetlite.chrombpnet", "ChromBPNet");
        Self { class, settings: Vec::new(), tensors: Vec::new(), parts }
    }

    /// A part by its dotted path.
    fn at(&mut self, path: &str) -> &mut Self {
        path.split('.').fold(self, |part, name| {
            &mut part.parts.iter_mut().find(|(known, _)| known == name).unwrap().1
        })
    }

    /// All tensors by their dotted names.
    fn state(&self, place: &str) -> Vec<Saved> {
        let own = self.tensors.iter().map(|saved| {
            let name = format!("{place}{}", saved.name);
            Saved { name, ..saved.clone() }
        });
        let parts =
            self.parts.iter().flat_map(|(name, part)| part.state(&format!("{place}{name}.")));
        own.chain(parts).collect()
    }

    /// Adds its pickle; storages go to `saved`.
    fn put(&self, p: &mut Pickler, saved: &mut Vec<Saved>) {
        p.global(self.class.0, self.class.1).op(b')').op(0x81).op(b'}').op(b'(');
        for (name, numbers) in &self.settings {
            match numbers[..] {
                // dilation, padding and stride are tuples of one; counts are numbers
                [number] if name.starts_with("n_") || matches!(*name, "trimming" | "groups") => {
                    p.text(name).int(number);
                }
                _ => {
                    p.text(name).ints(numbers);
                }
            }
        }
        p.text("_parameters").ordered_dict().op(b'(');
        for tensor in &self.tensors {
            p.text(&tensor.name).global("torch._utils", "_rebuild_parameter").op(b'(');
            p.tensor(tensor, &saved.len().to_string()).op(0x88).ordered_dict().op(b't').op(b'R');
            saved.push(tensor.clone());
        }
        p.op(b'u').text("_buffers").op(b'}').text("_modules").op(b'}').op(b'(');
        for (name, part) in &self.parts {
            p.text(name);
            part.put(p, saved);
        }
        p.op(b'u').op(b'u').op(b'b');
    }

    /// The file of the whole object.
    fn file(&self) -> Vec<u8> {
        let (mut pickler, mut saved) = (Pickler::new(), Vec::new());
        self.put(&mut pickler, &mut saved);
        pickler.op(b'.');
        zip(&entries(pickler.0, &saved))
    }
}

fn weights(shape: &[usize], noise: &mut Noise) -> Vec<Saved> {
    vec![
        Saved::floats("weight", shape, &noise.values(shape)),
        Saved::floats("bias", &shape[..1], &noise.values(&shape[..1])),
    ]
}

fn read(name: &str, bytes: &[u8]) -> Result<Model> {
    let folder = Folder::new();
    let options = ImportOptions { window: Some(400), ..ImportOptions::default() };
    import(FamilyChoice::Auto, &[folder.put(name, bytes)], &options)
}

/// The names of the layers that have weights.
fn layers() -> Vec<String> {
    let names = |place: &str, count: usize| -> Vec<String> {
        let dilated = (0..count).map(|i| format!("{place}.rconvs.{i}"));
        let others = ["iconv", "fconv", "linear"].map(|layer| format!("{place}.{layer}"));
        dilated.chain(others).collect()
    };
    [names("bias", 2), names("accessibility", 3)].concat()
}

#[test]
fn a_whole_object_and_its_state_are_one_model() {
    let joint = Part::joint();
    let whole = read("m.torch", &joint.file()).unwrap();
    let state = read("m.pt", &checkpoint(&joint.state(""))).unwrap();
    assert_eq!(whole.members, state.members);
    assert_eq!((whole.window, &whole.networks), (state.window, &state.networks));
    assert_eq!(whole.provenance.family, "chrombpnet");
    // cut to the shorter of the two profiles
    assert_eq!(whole.window.unwrap().output, 400 - 2 * 61);
    assert_eq!(whole.members[0].weights.len(), 2 * layers().len());
}

#[test]
fn a_tensor_that_is_gone_turned_or_too_many_is_named() {
    for layer in layers() {
        for index in 0..2 {
            let leaf = ["weight", "bias"][index];
            let mut joint = Part::joint();
            joint.at(&layer).tensors.remove(index);
            let gone =
                [read("m.torch", &joint.file()), read("m.pt", &checkpoint(&joint.state("")))];
            // these two layers may have no bias
            let may = leaf == "bias" && ["fconv", "linear"].iter().any(|l| layer.ends_with(l));
            for gone in gone {
                match gone {
                    Ok(model) => {
                        assert!(may, "{layer}.{leaf}");
                        assert_eq!(model.members[0].weights.len(), 2 * layers().len() - 1);
                    }
                    Err(error) => {
                        let error = error.to_string();
                        assert!(!may && error.contains(&layer), "{layer}.{leaf}: {error}");
                    }
                }
            }
        }
        // of a tensor with axes of equal length a transposition cannot be seen
        let mut joint = Part::joint();
        let weight = &mut joint.at(&layer).tensors[0];
        weight.shape.reverse();
        weight.strides.reverse();
        let turned = [read("m.torch", &joint.file()), read("m.pt", &checkpoint(&joint.state("")))];
        for turned in turned {
            let error = turned.unwrap_err().to_string();
            assert!(error.contains("expected"), "{layer}: {error}");
        }
        let mut joint = Part::joint();
        joint.at(&layer).tensors.push(Saved::floats("extra", &[1], &[0.0]));
        for more in [read("m.torch", &joint.file()), read("m.pt", &checkpoint(&joint.state("")))] {
            let error = more.unwrap_err().to_string();
            assert!(error.contains(&format!("{layer}.extra")), "{layer}: {error}");
        }
    }
}

#[test]
fn an_object_that_says_what_its_tensors_do_not_is_refused() {
    type Change = fn(&mut Part);
    let set = |part: &mut Part, name: &str, value: usize| {
        part.settings.iter_mut().find(|(known, _)| *known == name).unwrap().1 = vec![value];
    };
    let cases: [(&str, Change); 6] = [
        ("accessibility.rconvs.1.dilation", |joint| {
            joint.at("accessibility.rconvs.1").settings[0].1 = vec![3];
        }),
        ("bias.iconv.padding", |joint| joint.at("bias.iconv").settings[1].1 = vec![0]),
        ("accessibility.fconv.stride", |joint| {
            joint.at("accessibility.fconv").settings[2].1 = vec![2];
        }),
        ("is no Conv1d", |joint| {
            joint.at("bias.rconvs.0").class = ("torch.nn.modules.linear", "Linear");
        }),
        ("accessibility.iconv.weight", |joint| joint.parts.truncate(1)),
        ("bias.iconv.weight", |joint| {
            joint.parts.remove(0);
        }),
    ];
    for (named, change) in cases {
        let mut joint = Part::joint();
        change(&mut joint);
        let error = read("m.torch", &joint.file()).unwrap_err().to_string();
        assert!(error.contains(named), "{named}: {error}");
    }
    let mut joint = Part::joint();
    set(joint.at("bias"), "trimming", 90);
    let error = read("m.torch", &joint.file()).unwrap_err().to_string();
    assert!(error.contains("the bias has fewer outputs than the signal"), "{error}");
}
