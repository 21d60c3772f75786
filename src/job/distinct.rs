//! Outputs of a command are files of their own: none replaces an input or another output.

use crate::error::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Refuses, before any work, outputs that would replace one of the inputs, be each other, or share
/// standard output (`-`). Links are followed; pipes and devices may serve several times.
///
/// # Errors
/// The first such output, with the way out (usage).
pub fn refuse_shared(outputs: &[&Path], inputs: &[&Path]) -> Result<()> {
    let same = |a: &Path, b: &Path| match (regular(a), regular(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == Path::new("-") && b == Path::new("-"),
    };
    for (number, &output) in outputs.iter().enumerate() {
        // `-` among the inputs is standard input
        let read = |&&input: &&&Path| output != Path::new("-") && same(input, output);
        if let Some(input) = inputs.iter().find(read) {
            return Err(Error::usage("the output would replace an input of this command")
                .at(output)
                .found(format!("{}, which is read", input.display()))
                .remedy("choose another name for the output"));
        }
        if outputs[..number].iter().any(|other| same(other, output)) {
            return Err(Error::usage("two outputs cannot go to one place")
                .at(output)
                .remedy("give each a name of its own"));
        }
    }
    Ok(())
}

/// The file that a path leads to, which need not exist; `None` for pipes, devices and `-`.
fn regular(path: &Path) -> Option<PathBuf> {
    if path == Path::new("-") {
        return None;
    }
    match fs::canonicalize(path) {
        Ok(real) => real.is_file().then_some(real),
        Err(_) => {
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            Some(fs::canonicalize(folder).ok()?.join(path.file_name()?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_neither_an_input_nor_another_output() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("sub")).unwrap();
        fs::write(at("genes.tsv"), "").unwrap();
        let cases: [(&[&str], &[&str], &str); 7] = [
            (&["new.tsv"], &["genes.tsv"], ""),
            (&["genes.tsv"], &["genes.tsv"], "replace an input"),
            (&["sub/../genes.tsv"], &["other", "genes.tsv"], "replace an input"),
            (&["new.tsv", "other.tsv"], &[], ""),
            (&["new.tsv", "sub/../new.tsv"], &[], "one place"),
            (&["genes.tsv", "genes.tsv"], &[], "one place"),
            (&["no-folder/x", "sub/../no-folder/x"], &[], ""),
        ];
        for (outputs, inputs, says) in cases {
            let absolute = |names: &[&str]| names.iter().map(|name| at(name)).collect::<Vec<_>>();
            let (outputs, inputs) = (absolute(outputs), absolute(inputs));
            let result = refuse_shared(
                &outputs.iter().map(PathBuf::as_path).collect::<Vec<_>>(),
                &inputs.iter().map(PathBuf::as_path).collect::<Vec<_>>(),
            );
            match result {
                Ok(()) => assert_eq!(says, "", "{outputs:?}"),
                Err(error) => {
                    assert!(!says.is_empty() && error.to_string().contains(says), "{error}");
                    assert_eq!(error.exit_code(), 2);
                }
            }
        }
    }

    #[test]
    fn standard_output_serves_once_and_is_not_standard_input() {
        let dash = Path::new("-");
        assert!(refuse_shared(&[dash], &[dash]).is_ok());
        assert!(refuse_shared(&[dash, Path::new("x"), dash], &[]).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_devices_serve_often() {
        let folder = tempfile::tempdir().unwrap();
        let (link, real) = (folder.path().join("link"), folder.path().join("real"));
        fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        assert!(refuse_shared(&[&link], &[&real]).is_err());
        let null = Path::new("/dev/null");
        assert!(refuse_shared(&[null, null], &[null]).is_ok());
    }
}
