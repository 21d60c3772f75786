//! Holds the code against "What must never be" of ARCHITECTURE.md.

use std::fs;
use std::path::{Path, PathBuf};

/// Where (a path below `src/`), what must not be named there, and why.
const NEVER: &[(&str, &[&str], &str)] = &[
    (
        "network",
        &["std::fs", "std::io", "std::net", "std::thread", "rayon::", "safetensors::", "noodles::"],
        "a network is pure arithmetic: no I/O, no thread, no tensor library",
    ),
    (
        "network",
        &["crate::engine", "crate::genome", "crate::job", "crate::model", "crate::track"],
        "a network knows no other room",
    ),
    ("genome", &["crate::network", "crate::engine", "crate::model"], "never sees a network"),
    ("track", &["crate::network", "crate::engine", "crate::model"], "never sees a network"),
    ("engine", &["std::fs", "file::open", "file::create", "genome::reference"], "opens no file"),
    ("", &["clap::", "anyhow::"], "only cli and main know the command line"),
    ("", &["noodles::"], "only genome and track read and write genomics formats"),
    ("", &["bigtools::"], "a witness for the tests: it aborts on damaged files"),
    (
        "",
        &["spliceai", "pangolin", "bpnet", "basenji", "borzoi"],
        "only model/import and the scoring schemes of effect know families",
    ),
];

/// Exceptions to a rule for all of `src/`: the first word of the rule, and where it does not hold.
const BUT: &[(&str, &[&str])] = &[
    ("clap::", &["cli/", "main.rs"]),
    ("noodles::", &["genome/", "track/"]),
    // layouts of tables of variants go by the names of the programs that read them
    ("spliceai", &["model/import", "cli/", "effect/", "genome/variants/schema.rs"]),
];

#[test]
fn no_room_reaches_where_it_must_not() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&source, &mut files);
    assert!(files.len() > 10, "found only {files:?}");
    let mut broken = Vec::new();
    for file in files {
        let name = file.strip_prefix(&source).expect("below src").display().to_string();
        let code = code_of(&fs::read_to_string(&file).expect("readable source"));
        for (room, words, why) in NEVER {
            let excepted = BUT.iter().filter(|(word, _)| room.is_empty() && *word == words[0]);
            if !name.starts_with(room)
                || excepted.flat_map(|(_, places)| *places).any(|place| name.starts_with(place))
            {
                continue;
            }
            let found = words.iter().filter(|word| code.contains(*word));
            broken.extend(found.map(|word| format!("src/{name} names `{word}`: {why}")));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn grouped_imports_are_seen_too() {
    let code = code_of("use std::{\n    fmt, // why\n    fs::{File, read},\n};\n// clap::Args\n");
    assert!(code.contains("std::fs::read"), "{code}");
    assert!(!code.contains("clap::"), "{code}");
}

/// Rust files below a folder, without those that hold only tests.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("readable folder") {
        let path = entry.expect("readable entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
            files.push(path);
        }
    }
}

/// The code before the tests, without comments, with every `use` group spelled out at the end.
fn code_of(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let mut code = lines.collect::<Vec<_>>().join("\n").to_lowercase();
    let groups: Vec<String> = code
        .split("use ")
        .skip(1)
        .filter_map(|rest| rest.split_once(';'))
        .map(|(path, _)| path.split_whitespace().collect())
        .collect();
    for group in groups {
        spell_out("", &group, &mut code);
    }
    code
}

/// Adds one line for each path of a `use` tree: `a::{b, c::d}` gives `a::b` and `a::c::d`.
fn spell_out(prefix: &str, tree: &str, code: &mut String) {
    let mut depth = 0;
    let mut start = 0;
    let mut branches = Vec::new();
    for (at, letter) in tree.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                branches.push(&tree[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    branches.push(&tree[start..]);
    for branch in branches.into_iter().filter(|branch| !branch.is_empty()) {
        match branch.split_once('{') {
            Some((stem, rest)) => {
                let inner = rest.strip_suffix('}').unwrap_or(rest);
                spell_out(&format!("{prefix}{stem}"), inner, code);
            }
            None => code.push_str(&format!("\n{prefix}{branch}")),
        }
    }
}
