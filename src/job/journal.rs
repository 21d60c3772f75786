//! The journal of a long run: how far its outputs are complete, so that `--resume` can go on there.
//!
//! JSON lines in `NAME.part.journal` beside the first output's part: first the settings of the
//! run, then one line per finished chunk with the length of each output at that point. A line is
//! written after the outputs have been handed to the operating system up to that length, so a
//! killed process cannot leave a journal that is ahead of its outputs.

use super::output::append;
use crate::error::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Version of the layout; a journal of another version cannot be resumed.
const VERSION: u32 = 2;

/// What decides the bytes of the outputs: a run can be resumed only under equal settings.
pub type Settings = BTreeMap<String, String>;

/// A point up to which every output is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint<P> {
    /// How far the work is done, and what a run that goes on there has to know.
    pub at: P,
    /// Length of each output in bytes.
    pub bytes: Vec<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    journal: u32,
    settings: Settings,
}

/// An open journal. Dropped without [`Journal::abandon`] it is removed.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    keep: bool,
}

impl Journal {
    /// Begins the journal of a new run beside `part`; replaces one that is there.
    ///
    /// # Errors
    /// Any failure to write.
    pub fn create(part: &Path, settings: &Settings) -> Result<Self> {
        let path = append(part, ".journal");
        let file = File::create(&path).map_err(|e| Error::io(&path, "create", e))?;
        let mut journal = Self { path, file, keep: false };
        journal.line(&Header { journal: VERSION, settings: settings.clone() })?;
        Ok(journal)
    }

    /// Reopens the journal beside `part`. `lengths` are those of the partial outputs as they are
    /// now. Returns it with the points that all of them reach, in order, or `None` without a journal.
    ///
    /// # Errors
    /// The interrupted run had other settings (says which), or the journal cannot be read.
    pub fn resume<P: DeserializeOwned>(
        part: &Path,
        settings: &Settings,
        lengths: &[u64],
    ) -> Result<Option<(Self, Vec<Checkpoint<P>>)>> {
        let path = append(part, ".journal");
        if !path.exists() {
            return Ok(None);
        }
        let io = |e| Error::io(&path, "read", e);
        let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(io)?;
        let mut lines = BufReader::new(&file);
        let mut text = String::new();
        let mut complete = lines.read_line(&mut text).map_err(io)? as u64;
        let header: Header = serde_json::from_str(&text).map_err(|e| unreadable(&path, 1, &e))?;
        compare(&path, &header, settings)?;

        let mut points = Vec::new();
        let mut offset = complete;
        for number in 2.. {
            text.clear();
            offset += lines.read_line(&mut text).map_err(io)? as u64;
            // A last line without its end was cut off when the run was killed.
            if !text.ends_with('\n') {
                break;
            }
            let checkpoint: Checkpoint<P> =
                serde_json::from_str(&text).map_err(|e| unreadable(&path, number, &e))?;
            if checkpoint.bytes.len() != lengths.len()
                || checkpoint.bytes.iter().zip(lengths).any(|(said, found)| said > found)
            {
                break;
            }
            points.push(checkpoint);
            complete = offset;
        }
        drop(lines);
        file.set_len(complete).map_err(io)?;
        file.seek(SeekFrom::Start(complete)).map_err(io)?;
        Ok(Some((Self { path, file, keep: false }, points)))
    }

    /// Adds a point; all outputs must already be flushed up to it.
    ///
    /// # Errors
    /// Any failure to write.
    pub fn record<P: Serialize>(&mut self, checkpoint: &Checkpoint<P>) -> Result<()> {
        self.line(checkpoint)
    }

    /// Ends the run without outputs: the journal is removed, or kept for `--resume`.
    pub fn abandon(mut self, keep: bool) {
        self.keep = keep;
    }

    fn line(&mut self, value: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(value).expect("plain structs of ours serialise");
        line.push(b'\n');
        self.file.write_all(&line).map_err(|e| Error::io(&self.path, "write", e))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

fn compare(path: &Path, header: &Header, settings: &Settings) -> Result<()> {
    if header.journal != VERSION {
        return Err(Error::new("the journal was written by another version")
            .at(path)
            .found(header.journal)
            .expected(VERSION)
            .remedy("run again without --resume"));
    }
    const NONE: &str = "nothing";
    let names = settings.keys().chain(header.settings.keys());
    for name in names {
        let [then, now] = [&header.settings, settings]
            .map(|map| map.get(name).map_or(NONE, String::as_str).to_string());
        if then != now {
            return Err(Error::new(format!("the interrupted run had another {name}"))
                .at(path)
                .found(then)
                .expected(now)
                .remedy("repeat its settings, or run without --resume to start again"));
        }
    }
    Ok(())
}

fn unreadable(path: &Path, line: u64, error: &serde_json::Error) -> Error {
    Error::new(format!("the journal cannot be read: {error}"))
        .at(path)
        .line(line)
        .remedy("run again without --resume")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(decimals: &str) -> Settings {
        [("decimals", decimals), ("model", "abc")].map(|(k, v)| (k.into(), v.into())).into()
    }

    fn point(at: u64, bytes: u64) -> Checkpoint<u64> {
        Checkpoint { at, bytes: vec![bytes] }
    }

    fn interrupted(folder: &Path, tail: &str) -> PathBuf {
        let part = folder.join("x.bedGraph.part");
        let mut journal = Journal::create(&part, &settings("4")).unwrap();
        journal.record(&point(100_000, 1000)).unwrap();
        journal.record(&point(200_000, 2000)).unwrap();
        journal.file.write_all(tail.as_bytes()).unwrap();
        journal.abandon(true);
        part
    }

    #[test]
    fn a_run_goes_on_at_the_last_point_that_the_outputs_reach() {
        let folder = tempfile::tempdir().unwrap();
        let part = interrupted(folder.path(), "{\"at\":3000");
        for (length, end) in [(5000, Some(200_000)), (1999, Some(100_000)), (999, None)] {
            let (journal, points) =
                Journal::resume::<u64>(&part, &settings("4"), &[length]).unwrap().unwrap();
            assert_eq!(points.last().map(|point| point.at), end, "{length}");
            journal.abandon(true);
        }
    }

    #[test]
    fn the_journal_of_a_resumed_run_continues_after_the_last_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let part = interrupted(folder.path(), "{\"at\"");
        let (mut journal, _) =
            Journal::resume::<u64>(&part, &settings("4"), &[2500]).unwrap().unwrap();
        journal.record(&point(300_000, 3000)).unwrap();
        journal.abandon(true);
        let text = fs::read_to_string(append(&part, ".journal")).unwrap();
        assert_eq!(text.lines().count(), 4);
        assert!(text.ends_with("{\"at\":300000,\"bytes\":[3000]}\n"), "{text}");
    }

    #[test]
    fn another_setting_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let part = interrupted(folder.path(), "");
        let error = Journal::resume::<u64>(&part, &settings("2"), &[9]).unwrap_err().to_string();
        assert!(error.contains("had another decimals (found 4, expected 2)"), "{error}");
    }

    #[test]
    fn a_removed_journal_is_nothing_to_resume_and_a_broken_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("x.part");
        drop(Journal::create(&part, &settings("4")).unwrap());
        assert!(Journal::resume::<u64>(&part, &settings("4"), &[0]).unwrap().is_none());
        fs::write(append(&part, ".journal"), "{}\n").unwrap();
        let error = Journal::resume::<u64>(&part, &settings("4"), &[0]).unwrap_err().to_string();
        assert!(error.contains("x.part.journal:1: the journal cannot be read"), "{error}");
    }
}
