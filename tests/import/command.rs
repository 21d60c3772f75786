//! The command `atrous import`: what it writes, says and refuses.

use crate::Folder;
use crate::torch::{openspliceai, pangolin};
use crate::torch_writer::checkpoint;
use assert_cmd::Command;
use atrous::model::file;
use std::path::Path;

/// Exit code and stderr of `atrous import` in a folder.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::cargo_bin("atrous").unwrap();
    let output = command.current_dir(folder).arg("import").args(arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn weights() -> Folder {
    let folder = Folder::new();
    folder.put("a.pt", &checkpoint(&openspliceai(1, 3, 4, &[11], 3)));
    folder.put("b.pt", &checkpoint(&openspliceai(2, 3, 4, &[11], 3)));
    folder.put("odd.pt", &checkpoint(&openspliceai(2, 3, 1, &[9], 3)));
    folder.put("p.pt", &checkpoint(&pangolin(1, 3, &[11])));
    folder
}

#[test]
fn an_ensemble_is_written_and_described() {
    let folder = weights();
    let licence = ["--licence", "GPL-3.0", "--name", "tiny"];
    let arguments =
        [&["openspliceai", "a.pt", "b.pt", "-o", "m.safetensors"][..], &licence].concat();
    let (code, said) = run(folder.0.path(), &arguments);
    assert_eq!(code, 0, "{said}");
    for part in ["2 members", "receptive field 81", "none, acceptor, donor", "GPL-3.0"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let loaded = file::read(&folder.0.path().join("m.safetensors")).unwrap();
    let names: Vec<_> = loaded.model.members.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(loaded.model.name, "tiny");
    assert_eq!(loaded.model.provenance.licence, "GPL-3.0");
    assert_eq!(loaded.model.provenance.sources[1].name, "b.pt");
}

#[test]
fn options_reach_the_import() {
    let folder = weights();
    for arguments in [
        ["auto", "odd.pt", "-o", "m.safetensors", "--dilations", "3"],
        ["auto", "p.pt", "-o", "m.safetensors", "--heads", "7"],
    ] {
        let (code, said) = run(folder.0.path(), &arguments);
        assert_eq!(code, 0, "{said}");
    }
}

#[test]
fn a_refused_import_says_why_and_leaves_no_output() {
    let folder = weights();
    folder.put("text.pt", b"not weights");
    let cases: [(i32, &str, &[&str]); 8] = [
        (1, "neither Keras HDF5 nor", &["auto", "text.pt"]),
        (1, "absent.pt", &["auto", "absent.pt"]),
        (1, "looks like pangolin", &["openspliceai", "p.pt"]),
        (1, "--dilations", &["auto", "odd.pt"]),
        (2, "one per group", &["auto", "odd.pt", "--dilations", "1,2"]),
        (2, "given twice", &["auto", "a.pt", "a.pt"]),
        (2, "--heads", &["auto", "p.pt"]),
        (2, "possible values", &["alphago", "a.pt"]),
    ];
    for (expected, what, arguments) in cases {
        let (code, said) = run(folder.0.path(), &[arguments, &["-o", "m.safetensors"]].concat());
        assert_eq!(code, expected, "{said}");
        assert!(said.contains(what), "{what}: {said}");
        let left: Vec<_> = std::fs::read_dir(folder.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains("safetensors"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn a_weight_file_or_a_missing_folder_is_no_place_for_the_output() {
    let folder = weights();
    let before = std::fs::read(folder.0.path().join("a.pt")).unwrap();
    let (code, said) = run(folder.0.path(), &["auto", "a.pt", "-o", "a.pt"]);
    assert_eq!(code, 2);
    assert!(said.contains("replace an input"), "{said}");
    assert_eq!(std::fs::read(folder.0.path().join("a.pt")).unwrap(), before);
    let (code, said) = run(folder.0.path(), &["auto", "a.pt", "-o", "nowhere/m.safetensors"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("nowhere"), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said_and_fails() {
    let folder = weights();
    let (code, said) = run(folder.0.path(), &["auto", "a.pt", "-o", "/dev/full"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("/dev/full") && said.contains("space"), "{said}");
}
