//! Files made to do harm (weight-files.md 6 and 7.3): each is refused without a panic, a large
//! allocation, or anything being run.

use crate::keras_writer::{Network, keras, tensors};
use crate::torch::openspliceai;
use crate::torch_writer::{Pickler, Saved, checkpoint, entries, zip};
use crate::{Folder, Noise, import_bytes, refusal};
use atrous::model::import::{FamilyChoice, ImportOptions, import};
use proptest::prelude::*;

/// A checkpoint around a hand-made pickle, with one storage of two floats.
fn around(pickle: Vec<u8>) -> Vec<u8> {
    zip(&entries(pickle, &[Saved::floats("x", &[2], &[1.0, 2.0])]))
}

fn tensor(count: usize, offset: usize, shape: &[usize], strides: &[usize]) -> Vec<u8> {
    let mut p = Pickler::new();
    p.ordered_dict().op(b'(').text("initial_conv.weight");
    p.global("torch._utils", "_rebuild_tensor_v2").op(b'(').storage("FloatStorage", "0", count);
    p.int(offset).ints(shape).ints(strides).op(0x89).ordered_dict().op(b't').op(b'R');
    p.op(b'u').op(b'.');
    p.0
}

#[test]
fn hostile_pickles_are_refused_with_the_reason() {
    let build = |make: &dyn Fn(&mut Pickler)| {
        let mut pickler = Pickler::new();
        make(&mut pickler);
        pickler.0
    };
    let cases: [(&str, Vec<u8>); 22] = [
        (
            "refers to Python code, which is never run (found os system",
            build(&|p| {
                p.global("os", "system").text("true").op(0x85).op(b'R').op(b'.');
            }),
        ),
        (
            "found bpnetlite.bpnet Other",
            build(&|p| {
                p.global("bpnetlite.bpnet", "Other").op(b')').op(0x81).op(b'}').op(b'b').op(b'.');
            }),
        ),
        (
            "found builtins eval",
            build(&|p| {
                p.text("builtins").text("eval").op(0x93).op(b'.');
            }),
        ),
        (
            "an object of a Python class",
            build(&|p| {
                p.global("collections", "OrderedDict").op(b')').op(0x81).op(b'.');
            }),
        ),
        (
            "a state of its own",
            build(&|p| {
                p.op(b'}').op(b'}').op(b'b').op(b'.');
            }),
        ),
        (
            "not one that makes a tensor or a dict",
            build(&|p| {
                p.global("torch", "FloatStorage").op(b')').op(b'R').op(b'.');
            }),
        ),
        ("wrong size", tensor(1 << 60, 0, &[2], &[1])),
        ("wrong size", tensor(3, 0, &[2], &[1])),
        ("reaches past the end", tensor(2, 0, &[2], &[2])),
        ("reaches past the end", tensor(2, 1, &[2], &[1])),
        ("reaches past the end", tensor(2, 0, &[1 << 40], &[0])),
        ("reaches past the end", tensor(2, usize::MAX >> 1, &[2, 2], &[usize::MAX >> 1, 1])),
        ("not described as PyTorch does", tensor(2, usize::MAX, &[2], &[1])),
        ("not described as PyTorch does", tensor(2, 0, &[2], &[1, 1])),
        (
            "not a state_dict",
            // A dict that is its own value.
            build(&|p| {
                p.op(b'}').op(b'q').op(0).text("self").op(b'h').op(0).op(b's').op(b'.');
            }),
        ),
        (
            "levels of nesting",
            build(&|p| {
                p.op(b')');
                p.0.extend(std::iter::repeat_n(0x85, 1_000_000));
                p.op(b'.');
            }),
        ),
        ("open values", build(&|p| p.0.extend(std::iter::repeat_n(b'N', 200_000)))),
        ("open values", build(&|p| p.0.extend(std::iter::repeat_n(b'(', 200_000)))),
        (
            "operations",
            build(&|p| {
                p.op(b']');
                p.0.extend(std::iter::repeat_n(*b"Na", 2_600_000).flatten());
                p.op(b'.');
            }),
        ),
        (
            "letters in one text",
            build(&|p| {
                p.text(&"x".repeat(70_000)).op(b'.');
            }),
        ),
        (
            "lacks its values",
            build(&|p| {
                p.op(b'}').op(b'(').op(b's').op(b'.');
            }),
        ),
        (
            "goes on after its end",
            build(&|p| {
                p.op(b'N').op(b'.').op(b'N');
            }),
        ),
    ];
    for (what, pickle) in cases {
        let error = refusal("m.pt", &around(pickle));
        assert!(error.contains(what), "{what:?}: {error}");
    }
}

/// A small state and its file.
fn small() -> (Vec<Saved>, Vec<u8>) {
    let tensors = openspliceai(1, 2, 1, &[11], 3);
    let bytes = checkpoint(&tensors);
    (tensors, bytes)
}

/// Cuts a sound file shorter and shorter; every length must be refused.
fn refuse_every_cut(name: &str, bytes: &[u8]) {
    import_bytes(name, bytes, &ImportOptions::default()).unwrap();
    let folder = Folder::new();
    let path = folder.put(name, bytes);
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    for length in (0..bytes.len()).rev() {
        file.set_len(length as u64).unwrap();
        let model =
            import(FamilyChoice::Auto, std::slice::from_ref(&path), &ImportOptions::default());
        assert!(model.is_err(), "cut at {length}");
    }
}

#[test]
fn a_checkpoint_cut_at_any_byte_is_refused() {
    refuse_every_cut("m.pt", &small().1);
}

#[test]
fn hostile_archives_are_refused_with_the_reason() {
    let (tensors, bytes) = small();
    let mut pickler = Pickler::new();
    pickler.state(&tensors, 0).op(b'.');
    let parts = entries(pickler.0, &tensors);
    let with = |name: &str, data: &[u8]| {
        let mut parts = parts.clone();
        parts.push((name.to_string(), data.to_vec()));
        zip(&parts)
    };
    // Offsets of fields of the first central entry, after its signature.
    let central = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    let patch = |at: usize, with: &[u8]| {
        let mut patched = bytes.clone();
        patched[at..at + with.len()].copy_from_slice(with);
        patched
    };
    let data = bytes.windows(7).position(|w| w == b"storage").unwrap();
    let cases: [(&str, Vec<u8>); 18] = [
        ("not safe", with("../evil", b"")),
        ("not safe", with("/etc/passwd", b"")),
        ("two entries have the name", with("weights/version", b"3")),
        ("TorchScript", with("weights/code/model.py", b"")),
        ("TorchScript", with("weights/constants.pkl", b"")),
        ("found 2 entries FOLDER/data.pkl", with("other/data.pkl", b"")),
        ("byte order of the file is not known (found middle", with("weights/byteorder", b"middle")),
        ("found 0 entries FOLDER/data.pkl", zip(&parts[1..])),
        ("data/3", zip(&[&parts[..4], &parts[5..]].concat())),
        ("compressed or encrypted", patch(central + 10, &[8])),
        ("compressed or encrypted", patch(central + 8, &[1])),
        ("checksum of entry \"weights/data.pkl\"", patch(data, b"S")),
        ("checksum", patch(central + 16, &[0, 0, 0, 0])),
        ("sizes of entry", patch(central + 20, &[1, 0, 0, 0])),
        ("ends too early or points outside", patch(central + 42, &[0xff, 0xff, 0xff, 0x7f])),
        ("before 1.6", b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec()),
        ("before 1.6", [&[b'a'; 257][..], b"ustar\0"].concat()),
        ("neither Keras HDF5 nor", b"hello, world".to_vec()),
    ];
    for (what, bytes) in cases {
        let error = refusal("m.pt", &bytes);
        assert!(error.contains(what), "{what:?}: {error}");
    }
}

#[test]
fn other_files_that_circulate_are_recognised() {
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 2877321\n";
    assert!(refusal("final.1.0.3.v2", pointer).contains("git lfs pull"));
    assert!(refusal("m.pt", b"").contains("empty"));
    let keras = zip(&[
        ("config.json".to_string(), Vec::new()),
        ("model.weights.h5".to_string(), Vec::new()),
    ]);
    assert!(refusal("m.keras", &keras).contains(".h5"));
}

#[test]
fn zip64_directories_are_read() {
    let (tensors, bytes) = small();
    let expected = import_bytes("m.pt", &bytes, &ImportOptions::default()).unwrap();
    let end = bytes.len() - 22;
    let word = |at: usize| u64::from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()));
    let (length, start) = (word(end + 12), word(end + 16));
    let count = (tensors.len() + 2) as u64;
    let mut wide = bytes[..end].to_vec();
    wide.extend(b"PK\x06\x06");
    wide.extend(44u64.to_le_bytes());
    wide.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for value in [count, count, length, start] {
        wide.extend(value.to_le_bytes());
    }
    wide.extend(b"PK\x06\x07\0\0\0\0");
    wide.extend((end as u64).to_le_bytes());
    wide.extend(1u32.to_le_bytes());
    wide.extend(b"PK\x05\x06\0\0\0\0");
    wide.extend([0xff; 12]);
    wide.extend([0; 2]);
    let model = import_bytes("m.pt", &wide, &ImportOptions::default()).unwrap();
    assert_eq!(model.members, expected.members);
}

fn small_keras() -> Vec<u8> {
    let network = Network { channels: 2, groups: vec![(3, 1, 1)], classes: 3, crop: (2, 2) };
    let config = network.config();
    let mut noise = Noise(3);
    keras(&config.to_string(), &tensors(&config, || noise.value()), false)
}

#[test]
fn a_keras_file_cut_at_any_byte_is_refused() {
    refuse_every_cut("m.h5", &small_keras());
}

proptest! {
    #[test]
    fn a_changed_checkpoint_never_panics(at in 0usize..1 << 20, with in any::<[u8; 4]>()) {
        let (tensors, _) = small();
        let mut pickler = Pickler::new();
        pickler.state(&tensors, 0).op(b'.');
        // Inside the pickle, so that the checksum of the archive does not hide the change.
        let at = at % (pickler.0.len() - 4);
        pickler.0[at..at + 4].copy_from_slice(&with);
        let _ = import_bytes("m.pt", &zip(&entries(pickler.0, &tensors)), &ImportOptions::default());
    }

    #[test]
    fn a_changed_archive_never_panics(at in 0usize..1 << 20, with in 1u8..) {
        let (_, mut bytes) = small();
        let at = at % bytes.len();
        bytes[at] ^= with;
        let _ = import_bytes("m.pt", &bytes, &ImportOptions::default());
    }

    #[test]
    fn a_changed_keras_file_never_panics(at in 0usize..1 << 20, with in any::<[u8; 4]>()) {
        let mut bytes = small_keras();
        let at = at % (bytes.len() - 4);
        bytes[at..at + 4].copy_from_slice(&with);
        let _ = import_bytes("m.h5", &bytes, &ImportOptions::default());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for magic in [&b""[..], b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"] {
            let _ = import_bytes("m", &[magic, &bytes].concat(), &ImportOptions::default());
        }
        let _ = import_bytes("m.pt", &around(bytes), &ImportOptions::default());
    }
}
