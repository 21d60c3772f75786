//! The names of outputs: what their endings mean, and one file per track and strand.

use crate::error::{Error, Result};
use crate::genome::Strand;
use std::fs;
use std::path::{Path, PathBuf};

/// Endings of bedGraph files, each also with `.gz`.
const BEDGRAPH: [&str; 4] = [".bedGraph", ".bedgraph", ".bdg", ".bg"];

/// Endings of bigWig files, which are compressed as they are.
const BIGWIG: [&str; 3] = [".bw", ".bigWig", ".bigwig"];

/// Ending of region tables, also with `.gz`.
const TABLE: [&str; 1] = [".tsv"];

/// What an output's name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// Where the ending begins in the file name; `None` where the name has no ending to follow:
    /// `-` and existing pipes and devices.
    stem: Option<usize>,
    /// What is written.
    pub kind: Kind,
}

/// What is written to an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Lines, as they are.
    Text,
    /// Lines, in BGZF blocks.
    Bgzf,
    /// bigWig.
    BigWig,
}

impl Format {
    /// The format of a track output.
    ///
    /// # Errors
    /// An unknown ending (usage).
    pub fn of_track(path: &Path) -> Result<Self> {
        let name = file_name(path);
        if let Some(stem) = BIGWIG.iter().find_map(|ending| name.strip_suffix(ending))
            && !stem.is_empty()
        {
            return Ok(Self { stem: Some(stem.len()), kind: Kind::BigWig });
        }
        Self::by_ending(path, &BEDGRAPH, &BIGWIG)
    }

    /// The format of a region table.
    ///
    /// # Errors
    /// An unknown ending (usage).
    pub fn of_table(path: &Path) -> Result<Self> {
        Self::by_ending(path, &TABLE, &[])
    }

    /// The format of a track output or a region table.
    ///
    /// # Errors
    /// An unknown ending (usage).
    pub fn of_any(path: &Path) -> Result<Self> {
        Self::of_table(path).or_else(|_| Self::of_track(path))
    }

    /// The format of an output of text; `others` are endings that would also do.
    fn by_ending(path: &Path, endings: &[&str], others: &[&str]) -> Result<Self> {
        if path == Path::new("-") || in_place(path) {
            return Ok(Self { stem: None, kind: Kind::Text });
        }
        let name = file_name(path);
        let (plain, kind) =
            name.strip_suffix(".gz").map_or((name, Kind::Text), |name| (name, Kind::Bgzf));
        let stem = endings.iter().find_map(|ending| plain.strip_suffix(ending));
        match stem {
            Some(stem) if !stem.is_empty() => Ok(Self { stem: Some(stem.len()), kind }),
            _ => Err(Error::usage("the ending of the output's name is not known")
                .at(path)
                .expected(format!(
                    "NAME{}, each also with .gz{}, or - for standard output",
                    endings.join(", "),
                    others.iter().map(|ending| format!(", {ending}")).collect::<String>(),
                ))),
        }
    }
}

/// Whether a name is that of an existing pipe or device, which says nothing about the format.
pub(super) fn in_place(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// Whether a name is that of a file of values along contigs.
pub fn is_signal(path: &Path) -> bool {
    let name = file_name(path);
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    BEDGRAPH.iter().any(|ending| plain.ends_with(ending))
        || BIGWIG.iter().any(|ending| name.ends_with(ending))
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
    let name = file_name(output);
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

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
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
        let paths = track_paths(Path::new("out/a.bw"), &labels[..2]).unwrap();
        assert_eq!(paths, ["out/a.donor.plus.bw", "out/a.donor.minus.bw"].map(PathBuf::from));
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
        let cases = [
            ("a.bdg", Kind::Text),
            ("a.bedGraph.gz", Kind::Bgzf),
            ("-", Kind::Text),
            ("a.bw", Kind::BigWig),
            ("a.bigWig", Kind::BigWig),
        ];
        for (name, kind) in cases {
            assert_eq!(Format::of_track(Path::new(name)).unwrap().kind, kind, "{name}");
        }
        assert_eq!(Format::of_table(Path::new("a.tsv.gz")).unwrap().kind, Kind::Bgzf);
    }

    #[test]
    fn other_endings_are_refused_as_usage() {
        let cases = [
            (
                "x.txt",
                "NAME.bedGraph, .bedgraph, .bdg, .bg, each also with .gz, .bw, .bigWig, .bigwig, \
                 or - for standard output",
            ),
            (".bw", "not known"),
            ("x.bw.gz", "not known"),
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
