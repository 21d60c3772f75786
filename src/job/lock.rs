//! One run at a time for an output: `NAME.lock` says who writes it.
//!
//! The lock of the operating system on a part ([`super::output`]) ends with its process but is not
//! seen on every network file system. This file is seen everywhere, names host and process, and is
//! told to be left behind by a dead run: on this host because the process is gone, on others
//! because nobody has touched the file for a while.

use super::output::{OutputFile, append};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

/// How often a run touches its lock …
const TOUCH: Duration = Duration::from_secs(30);
/// … and how long one of another host may be untouched before its run counts as dead.
const STALE: Duration = Duration::from_secs(600);

/// Held while an output is written; removed in the end.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    /// Keeps the lock of the operating system, where there is one.
    _file: File,
    stop: Option<mpsc::Sender<()>>,
    heart: Option<JoinHandle<()>>,
}

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    host: String,
    pid: u32,
    /// When the process began, in clock ticks since the host did: numbers of processes come again.
    started: u64,
    /// The namespace that the number counts in: containers have their own.
    space: String,
}

impl Lock {
    /// Takes the lock of an output; none where the output is no regular file.
    ///
    /// # Errors
    /// Another run holds it (names its host and process), or the file cannot be written.
    pub fn take(output: &Path) -> Result<Option<Self>> {
        if OutputFile::part_of(output)?.is_none() {
            return Ok(None);
        }
        let path = append(output, ".lock");
        let io = |e| Error::io(&path, "lock", e);
        loop {
            let mut options = OpenOptions::new();
            let file = options.create(true).truncate(false).read(true).write(true).open(&path);
            let mut file = file.map_err(io)?;
            let held = matches!(file.try_lock(), Err(TryLockError::WouldBlock));
            let mut text = String::new();
            // what is no text is no holder
            let _ = file.read_to_string(&mut text);
            let holder: Option<Holder> = serde_json::from_str(&text).ok();
            if held || holder.as_ref().is_some_and(|holder| holder.lives(&file)) {
                return Err(refused(output, &path, holder.as_ref()));
            }
            if !super::output::is_still(&file, &path) {
                continue;
            }
            if let Some(Holder { host, pid, .. }) = &holder {
                tracing::info!("taking over {}: process {pid} on {host} is gone", path.display());
            }
            let own = serde_json::to_vec(&Holder::own()).expect("plain structs of ours serialise");
            let written = file.set_len(0).and_then(|()| file.rewind());
            written.and_then(|()| file.write_all(&own)).map_err(io)?;
            return Self::beating(path, file).map(Some);
        }
    }

    /// Holds the lock and touches it again and again.
    fn beating(path: PathBuf, file: File) -> Result<Self> {
        let own = file.try_clone().map_err(|e| Error::io(&path, "lock", e))?;
        let (stop, stopped) = mpsc::channel::<()>();
        let heart = thread::Builder::new().name("atrous-lock".into()).spawn(move || {
            while stopped.recv_timeout(TOUCH) == Err(RecvTimeoutError::Timeout) {
                // a file system that forgets times only makes the lock look older
                let _ = own.set_modified(SystemTime::now());
            }
        });
        let heart = heart.map_err(|e| Error::new(format!("cannot start a thread: {e}")))?;
        Ok(Self { path, _file: file, stop: Some(stop), heart: Some(heart) })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(heart) = self.heart.take() {
            // it has nothing to say
            let _ = heart.join();
        }
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

impl Holder {
    fn own() -> Self {
        let pid = std::process::id();
        Self { host: host(), pid, started: started(pid).unwrap_or(0), space: space() }
    }

    /// Whether the holder may still be running.
    fn lives(&self, file: &File) -> bool {
        if (self.host.as_str(), self.space.as_str()) == (host().as_str(), space().as_str()) {
            return started(self.pid).is_some_and(|started| started == self.started);
        }
        let touched = file.metadata().and_then(|found| found.modified()).ok();
        let age = touched.and_then(|at| SystemTime::now().duration_since(at).ok());
        age.is_none_or(|age| age < STALE)
    }
}

fn refused(output: &Path, lock: &Path, holder: Option<&Holder>) -> Error {
    let error = Error::new("another run is writing this output").at(output);
    let error = match holder {
        Some(Holder { host, pid, .. }) => error.found(format!("process {pid} on {host}")),
        None => error,
    };
    error.remedy(format!(
        "wait for that run or choose another name; if it is dead, remove {} (one of another host \
         is taken over after {} minutes)",
        lock.display(),
        STALE.as_secs() / 60
    ))
}

fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname");
    name.map_or_else(|_| "this host".into(), |name| name.trim().to_owned())
}

fn space() -> String {
    fs::read_link("/proc/self/ns/pid").map_or_else(|_| String::new(), |p| p.display().to_string())
}

/// When a process began; none if there is none. Where there is no `/proc`, processes count as gone:
/// the lock of the operating system decides there.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // the 22nd field of proc(5), the 20th after the name in brackets
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_holder(path: &Path, change: impl Fn(&mut Holder)) {
        let mut holder = Holder::own();
        change(&mut holder);
        fs::write(path, serde_json::to_vec(&holder).unwrap()).unwrap();
    }

    #[test]
    fn a_second_run_is_told_who_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("x.bw");
        let lock = Lock::take(&output).unwrap().unwrap();
        let error = Lock::take(&output).unwrap_err().to_string();
        let expected = format!("process {} on {}", std::process::id(), host());
        assert!(error.contains(&expected), "{error}");
        drop(lock);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        drop(Lock::take(&output).unwrap());
        assert!(Lock::take(Path::new("-")).unwrap().is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_lock_of_a_dead_run_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("x.bw");
        let path = folder.path().join("x.bw.lock");
        // a number that came again, and garbage of a crash
        write_holder(&path, |holder| holder.started -= 1);
        drop(Lock::take(&output).unwrap());
        fs::write(&path, b"{\"host\":").unwrap();
        drop(Lock::take(&output).unwrap());
        // without the system's lock, the process decides
        write_holder(&path, |_| ());
        assert!(Lock::take(&output).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_lock_of_another_host_holds_until_nobody_has_touched_it_for_long() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("x.bw");
        let path = folder.path().join("x.bw.lock");
        write_holder(&path, |holder| holder.host = "node7".into());
        let error = Lock::take(&output).unwrap_err().to_string();
        assert!(error.contains("on node7"), "{error}");
        let old = SystemTime::now() - STALE - Duration::from_secs(1);
        File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        drop(Lock::take(&output).unwrap());
    }
}
