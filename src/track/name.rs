//! The names of outputs: what their endings mean, and one file per track and strand.

use crate::error::{Error, Result};
use crate::genome::Strand;
use std::fs;
use std::path::{Path, PathBuf};

/// Endings of bedGraph files, each also with `.gz`.
const BEDGRAPH: [&str; 4] = [".bedGraph", ".bedgraph", ".bdg", ".bg"];

/// Ending of region tables, also with `.gz`.
const TABLE: [&str; 1] = [".tsv"];

/// What an output's name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// Where the ending begins in the file name; `None` where the name has no ending to follow:
    /// `-` and existing pipes and devices.
    stem: Option<usize>,
    /// Whether the text is written in BGZF blocks.
    pub bgzip: bool,
}

impl Format {
    /// The format of a track output.
    ///
    /// # Errors
    /// An unknown ending (usage).
    pub fn of_track(path: &Path) -> Result<Self> {
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("bw") || e == "bigWig") {
            return Err(Error::usage("bigWig is not supported yet")
                .at(path)
                .remedy("write .bedGraph.gz; bedGraphToBigWig converts it"));
        }
        Self::by_ending(path, &BEDGRAPH)
    }

    /// The format of a region table.
    ///
    /// # Errors
    /// An unknown ending (usage).
    pub fn of_table(path: &Path) -> Result<Self> {
        Self::by_ending(path, &TABLE)
    }

    fn by_ending(path: &Path, endings: &[&str]) -> Result<Self> {
        if path == Path::new("-") || in_place(path) {
            return Ok(Self { stem: None, bgzip: false });
        }
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let (plain, bgzip) = name.strip_suffix(".gz").map_or((name, false), |name| (name, true));
        let stem = endings.iter().find_map(|ending| plain.strip_suffix(ending));
        match stem {
            Some(stem) if !stem.is_empty() => Ok(Self { stem: Some(stem.len()), bgzip }),
            _ => Err(Error::usage("the ending of the output's name is not known")
                .at(path)
                .expected(format!(
                    "NAME{}, each also with .gz, or - for standard output",
                    endings.join(", ")
                ))),
        }
    }
}

/// Whether a name is that of an existing pipe or device, which says nothing about the format.
pub(super) fn in_place(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// One output file of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label<'a> {
    /// Name of the track.
    pub track: &'a str,
    /// Strand that the numbers belong to; `None` when they belong to both.
    pub strand: Option<Strand>,
}

/// The file of each label: exactly `output` for a single one, else `{stem}.{track}.{strand}.{ext}`.
///
/// # Errors
/// An unknown ending, several files for one pipe or device, or two labels with one name (usage).
pub fn track_paths(output: &Path, labels: &[Label<'_>]) -> Result<Vec<PathBuf>> {
    let format = Format::of_track(output)?;
    if let [_] = labels {
        return Ok(vec![output.to_path_buf()]);
    }
    let Some(stem) = format.stem else {
        return Err(Error::usage("several tracks cannot share one stream")
            .at(output)
            .found(labels.iter().map(|label| label.suffix()).collect::<Vec<_>>().join(", "))
            .remedy("choose one with --track NAME and --strand, or name a file"));
    };
    let name = output.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let (stem, ending) = name.split_at(stem);
    let mut paths: Vec<PathBuf> = Vec::with_capacity(labels.len());
    for label in labels {
        let path = output.with_file_name(format!("{stem}.{}{ending}", label.suffix()));
        if paths.contains(&path) {
            return Err(Error::usage("a track is named twice").found(label.track));
        }
        paths.push(path);
    }
    Ok(paths)
}

impl Label<'_> {
    fn suffix(&self) -> String {
        match self.strand {
            Some(strand) => format!("{}.{}", self.track, strand.name()),
            None => self.track.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(track: &str, strand: Option<Strand>) -> Label<'_> {
        Label { track, strand }
    }

    #[test]
    fn one_track_gets_exactly_the_name_given() {
        let one = [label("donor", Some(Strand::Plus))];
        for name in ["out/x.bedGraph.gz", "x.bg", "-", "/dev/null"] {
            assert_eq!(track_paths(Path::new(name), &one).unwrap(), [Path::new(name)], "{name}");
        }
    }

    #[test]
    fn several_tracks_are_told_apart_by_name_and_strand() {
        let labels = [
            label("donor", Some(Strand::Plus)),
            label("donor", Some(Strand::Minus)),
            label("signal", None),
        ];
        let paths = track_paths(Path::new("out/a.v1.bedgraph.gz"), &labels).unwrap();
        let expected = [
            "out/a.v1.donor.plus.bedgraph.gz",
            "out/a.v1.donor.minus.bedgraph.gz",
            "out/a.v1.signal.bedgraph.gz",
        ];
        assert_eq!(paths, expected.map(PathBuf::from));
    }

    #[test]
    fn the_ending_decides_the_format() {
        for (name, bgzip) in [("a.bdg", false), ("a.bedGraph.gz", true), ("-", false)] {
            assert_eq!(Format::of_track(Path::new(name)).unwrap().bgzip, bgzip, "{name}");
        }
        assert!(Format::of_table(Path::new("a.tsv.gz")).unwrap().bgzip);
    }

    #[test]
    fn other_endings_are_refused_as_usage() {
        let cases = [
            ("x.bw", "bigWig is not supported yet; write .bedGraph.gz"),
            ("x.bigWig", "bigWig is not supported yet"),
            ("x.txt", "NAME.bedGraph, .bedgraph, .bdg, .bg, each also with .gz"),
            (".bedGraph", "not known"),
            ("x.gz", "not known"),
        ];
        for (name, expected) in cases {
            let error = Format::of_track(Path::new(name)).unwrap_err();
            assert!(error.to_string().contains(expected), "{name}: {error}");
            assert_eq!(error.exit_code(), 2, "{name}");
        }
    }

    #[test]
    fn a_stream_takes_one_track_and_a_name_only_once() {
        let two = [label("acceptor", Some(Strand::Plus)), label("donor", Some(Strand::Plus))];
        let error = track_paths(Path::new("-"), &two).unwrap_err().to_string();
        assert!(error.contains("found acceptor.plus, donor.plus"), "{error}");
        assert!(error.contains("--track NAME"), "{error}");
        let error = track_paths(Path::new("x.bg"), &[two[0], two[0]]).unwrap_err().to_string();
        assert!(error.contains("named twice"), "{error}");
    }
}
