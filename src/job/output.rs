//! The one way to write an output: it appears under its name only when it is complete.
//!
//! A regular file is written as `NAME.part` beside its target and renamed at the end. The part is
//! locked while it is written, so two runs cannot write the same output, and a part that a killed
//! run left behind is simply taken over. `-` is stdout. Whatever else exists under the name (a
//! pipe, `/dev/full`) is written in place and never renamed over (formats.md 10).

use crate::error::{Error, Kind, Result};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

/// Bytes gathered before the operating system is asked to write.
const BUFFER: usize = 1 << 16;

/// How many symbolic links in a row are followed before we call it a loop (as Linux does).
const LINKS: usize = 40;

/// An output that is written from start to end, buffered.
///
/// Dropped without [`OutputFile::commit`] the partial file is removed.
#[derive(Debug)]
pub struct OutputFile {
    /// As the user gave it, for messages.
    path: PathBuf,
    writer: BufWriter<Target>,
    /// Bytes taken so far, buffered or written.
    bytes: u64,
    place: Place,
}

#[derive(Debug)]
enum Target {
    Stdout(io::Stdout),
    File(File),
}

#[derive(Debug)]
enum Place {
    /// Stdout, or something that is not a regular file.
    Direct,
    /// `part` becomes `target` at the end.
    Part { part: PathBuf, target: PathBuf },
    /// Committed or deliberately kept.
    Settled,
}

impl OutputFile {
    /// Opens the output before any work is done.
    ///
    /// # Errors
    /// The folder is missing or not writable, the name is a folder, or another run holds the part.
    pub fn create(path: &Path) -> Result<Self> {
        match Self::locate(path)? {
            Place::Part { part, target } => {
                let file = lock_part(path, &part)?;
                let stale = file.metadata().map_err(|e| Error::io(&part, "look at", e))?.len();
                if stale > 0 {
                    tracing::info!("replacing {}, left by an unfinished run", part.display());
                }
                file.set_len(0).map_err(|e| Error::io(&part, "empty", e))?;
                Ok(Self::new(path, Target::File(file), Place::Part { part, target }, 0))
            }
            place => Ok(Self::new(path, open_in_place(path)?, place, 0)),
        }
    }

    /// Opens the part that an interrupted run kept, cut back to its first `length` bytes.
    ///
    /// # Errors
    /// There is no such part, it is shorter, or another run holds it.
    pub fn resume(path: &Path, length: u64) -> Result<Self> {
        let Place::Part { part, target } = Self::locate(path)? else {
            return Err(Error::usage("only a regular file can be resumed").at(path));
        };
        if !part.exists() {
            return Err(Error::new("the partial output of the interrupted run is gone")
                .at(&part)
                .remedy("run again without --resume"));
        }
        let mut file = lock_part(path, &part)?;
        let found = file.metadata().map_err(|e| Error::io(&part, "look at", e))?.len();
        if found < length {
            return Err(Error::new("the partial output is shorter than its journal says")
                .at(&part)
                .found(format!("{found} bytes"))
                .expected(format!("at least {length} bytes"))
                .remedy("run again without --resume"));
        }
        file.set_len(length).map_err(|e| Error::io(&part, "shorten", e))?;
        file.seek(io::SeekFrom::Start(length)).map_err(|e| Error::io(&part, "seek in", e))?;
        Ok(Self::new(path, Target::File(file), Place::Part { part, target }, length))
    }

    /// Where an unfinished output for `path` lies, if that is a place that can be resumed.
    ///
    /// # Errors
    /// As [`OutputFile::create`].
    pub fn part_of(path: &Path) -> Result<Option<PathBuf>> {
        Ok(match Self::locate(path)? {
            Place::Part { part, .. } => Some(part),
            _ => None,
        })
    }

    fn new(path: &Path, target: Target, place: Place, bytes: u64) -> Self {
        let path = if path == Path::new("-") { Path::new("standard output") } else { path };
        let writer = BufWriter::with_capacity(BUFFER, target);
        Self { path: path.to_path_buf(), writer, bytes, place }
    }

    /// Decides between a part and writing in place; the checks that need no open file.
    fn locate(path: &Path) -> Result<Place> {
        if path == Path::new("-") {
            return Ok(Place::Direct);
        }
        if path.file_name().is_none() {
            return Err(Error::new("the output has no file name").at(path));
        }
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                return Err(Error::new("the output is a folder")
                    .at(path)
                    .remedy("name a file inside it"));
            }
            Ok(found) if !found.is_file() => return Ok(Place::Direct),
            _ => {}
        }
        let target = follow_links(path)?;
        let folder = folder_of(&target);
        if !folder.is_dir() {
            return Err(Error::new("the folder of the output does not exist")
                .at(path)
                .found(folder.display())
                .remedy(format!("create it: mkdir -p {}", folder.display())));
        }
        Ok(Place::Part { part: append(&target, ".part"), target })
    }

    /// The name that the user gave, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The partial file, when there is one that a later run can resume.
    pub fn part(&self) -> Option<&Path> {
        match &self.place {
            Place::Part { part, .. } => Some(part),
            _ => None,
        }
    }

    /// Bytes taken so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Turns a failure of [`Write`] on this output into ours; keeps broken pipe and full disk.
    pub fn error(&self, source: io::Error) -> Error {
        Error::io(&self.path, "write", source)
    }

    /// Hands everything to the operating system; for a file also to the disk, where some file
    /// systems only then notice that they are full.
    ///
    /// # Errors
    /// Any failure to write.
    pub fn finish(&mut self) -> Result<()> {
        let done = self.writer.flush().and_then(|()| match (&self.place, self.writer.get_ref()) {
            (Place::Part { .. }, Target::File(file)) => file.sync_all(),
            _ => Ok(()),
        });
        done.map_err(|e| self.error(e))
    }

    /// Replaces bytes that were written before; what is written next still goes to the end.
    ///
    /// # Errors
    /// Any failure to write, and outputs that are no regular file.
    ///
    /// # Panics
    /// When the bytes reach beyond the end.
    pub fn overwrite(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        assert!(at + bytes.len() as u64 <= self.bytes, "only what was written is overwritten");
        let flushed = self.writer.flush();
        let done = flushed.and_then(|()| match self.writer.get_mut() {
            Target::Stdout(_) => Err(io::Error::from(io::ErrorKind::NotSeekable)),
            Target::File(file) => {
                file.seek(io::SeekFrom::Start(at))?;
                file.write_all(bytes)?;
                file.seek(io::SeekFrom::End(0)).map(drop)
            }
        });
        done.map_err(|e| self.error(e))
    }

    /// Finishes the output and gives it its name.
    ///
    /// # Errors
    /// Any failure to write or rename.
    pub fn commit(self) -> Result<()> {
        commit_all(vec![self])
    }

    /// Ends without an output: the part is removed, or kept for `--resume`.
    pub fn abandon(mut self, keep: bool) {
        if keep && matches!(self.place, Place::Part { .. }) {
            let kept = append(&self.path, ".part");
            tracing::info!("unfinished output kept in {}", kept.display());
            self.place = Place::Settled;
        }
    }

    fn rename(&mut self) -> Result<()> {
        if let Place::Part { part, target } = std::mem::replace(&mut self.place, Place::Settled) {
            fs::rename(&part, &target).map_err(|e| Error::io(&target, "rename the part to", e))?;
        }
        Ok(())
    }
}

/// Commits several outputs together: all are finished before the first one gets its name, and
/// they are renamed in the order given (data before index, so that the index is newer).
///
/// # Errors
/// Any failure to write or rename; no output gets its name when one cannot be finished.
pub fn commit_all(mut files: Vec<OutputFile>) -> Result<()> {
    files.iter_mut().try_for_each(OutputFile::finish)?;
    files.iter_mut().try_for_each(OutputFile::rename)
}

/// Whether the partial files of a run that ended with this error are kept for `--resume`.
pub fn keeps_parts(error: &Error) -> bool {
    matches!(error.kind(), Kind::DiskFull | Kind::Signal(_))
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.writer.write(bytes)?;
        self.bytes += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if let Place::Part { part, .. } = &self.place
            && let Err(error) = fs::remove_file(part)
        {
            tracing::warn!("cannot remove {}: {error}", part.display());
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File(file) => file.flush(),
        }
    }
}

fn open_in_place(path: &Path) -> Result<Target> {
    if path == Path::new("-") {
        return Ok(Target::Stdout(io::stdout()));
    }
    let file = OpenOptions::new().write(true).open(path);
    file.map(Target::File).map_err(|e| Error::io(path, "open for writing", e))
}

/// Opens the part without emptying it and locks it. The lock ends with the process, so the part of
/// a dead run is free; one that a run which just ended renamed away is not ours and is left alone.
fn lock_part(path: &Path, part: &Path) -> Result<File> {
    loop {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(part)
            .map_err(|e| Error::io(path, "create", e))?;
        match file.try_lock() {
            Ok(()) if is_still(&file, part) => return Ok(file),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new("another run is writing this output, or it is named twice")
                    .at(path)
                    .remedy("wait for that run or choose another name"));
            }
            // Some network file systems have no locks; then exclusion is up to the user.
            Err(TryLockError::Error(error)) => {
                tracing::debug!("cannot lock {}: {error}", part.display());
                return Ok(file);
            }
        }
    }
}

/// Whether `path` still names the file that we opened and locked.
#[cfg(unix)]
pub(super) fn is_still(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(theirs)) => (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino()),
        _ => false,
    }
}

/// Elsewhere an open file cannot be renamed away.
#[cfg(not(unix))]
pub(super) fn is_still(_file: &File, _path: &Path) -> bool {
    true
}

/// The file that a chain of symbolic links ends at, which need not exist.
fn follow_links(path: &Path) -> Result<PathBuf> {
    let mut target = path.to_path_buf();
    for _ in 0..LINKS {
        match fs::read_link(&target) {
            Ok(next) => target = folder_of(&target).join(next),
            Err(_) => return Ok(target),
        }
    }
    Err(Error::new("the symbolic links of the output form a loop").at(path))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// `path` with `ending` after its whole name: `a.gz` + `.part` = `a.gz.part`.
pub fn append(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn an_output_appears_only_when_it_is_committed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.txt");
        fs::write(&path, "old").unwrap();
        let mut file = OutputFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(file.bytes(), 3);
        file.commit().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(folder.path()), ["x.txt"]);
    }

    #[test]
    fn a_dropped_output_leaves_nothing_and_an_abandoned_one_its_part() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.txt");
        drop(OutputFile::create(&path).unwrap());
        assert!(names(folder.path()).is_empty());
        let mut file = OutputFile::create(&path).unwrap();
        file.write_all(b"abcdef").unwrap();
        file.abandon(true);
        assert_eq!(names(folder.path()), ["x.txt.part"]);
        let mut file = OutputFile::resume(&path, 4).unwrap();
        file.write_all(b"X").unwrap();
        assert_eq!(file.bytes(), 5);
        file.commit().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "abcdX");
    }

    #[test]
    fn two_runs_cannot_write_the_same_output_and_a_dead_one_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.txt");
        fs::write(append(&path, ".part"), "left by a dead run").unwrap();
        let first = OutputFile::create(&path).unwrap();
        let error = OutputFile::create(&path).unwrap_err().to_string();
        assert!(error.contains("another run is writing this output"), "{error}");
        first.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn a_missing_folder_and_a_folder_are_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let error = OutputFile::create(&folder.path().join("no/x.txt")).unwrap_err().to_string();
        assert!(error.contains("mkdir -p"), "{error}");
        let error = OutputFile::create(folder.path()).unwrap_err().to_string();
        assert!(error.contains("is a folder"), "{error}");
    }

    #[test]
    fn a_part_shorter_than_the_journal_says_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.txt");
        let error = OutputFile::resume(&path, 0).unwrap_err().to_string();
        assert!(error.contains("is gone"), "{error}");
        fs::write(append(&path, ".part"), "abc").unwrap();
        let error = OutputFile::resume(&path, 4).unwrap_err().to_string();
        assert!(error.contains("found 3 bytes, expected at least 4 bytes"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_kept_and_its_target_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (link, real) = (folder.path().join("link"), folder.path().join("real"));
        std::os::unix::fs::symlink("real", &link).unwrap();
        let mut file = OutputFile::create(&link).unwrap();
        file.write_all(b"x").unwrap();
        file.commit().unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("real"));
        assert_eq!(fs::read_to_string(&real).unwrap(), "x");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_told_apart_and_stays_a_device() {
        use std::os::unix::fs::FileTypeExt;
        let mut file = OutputFile::create(Path::new("/dev/full")).unwrap();
        file.write_all(b"x").unwrap();
        assert_eq!(file.commit().unwrap_err().kind(), Kind::DiskFull);
        assert!(fs::metadata("/dev/full").unwrap().file_type().is_char_device());
        assert!(!Path::new("/dev/full.part").exists());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn no_output_of_a_group_appears_when_one_cannot_be_finished() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.txt");
        let good = OutputFile::create(&path).unwrap();
        let mut full = OutputFile::create(Path::new("/dev/full")).unwrap();
        full.write_all(b"x").unwrap();
        assert!(commit_all(vec![good, full]).is_err());
        assert!(names(folder.path()).is_empty());
    }
}
