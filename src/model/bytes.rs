//! A weight file in memory: its bytes, its name and its hash.

use super::SourceFile;
use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Largest weight file that is read (weight-files.md 6).
const MAX_FILE_BYTES: u64 = 4 << 30;

/// How a Git LFS pointer begins (weight-files.md 5).
const LFS_POINTER: &[u8] = b"version https://git-lfs";

/// The whole content of a file.
pub(crate) struct FileBytes {
    /// Where it was read from.
    pub path: PathBuf,
    /// What it holds.
    pub bytes: Vec<u8>,
    /// SHA-256 of the bytes, lower-case hexadecimal.
    pub sha256: String,
}

impl FileBytes {
    /// Reads a file of at most 4 GiB, after `recognise` has seen its first 512 bytes, so that a
    /// large file of another kind is refused at once.
    ///
    /// # Errors
    /// Cannot be read, is empty, is too large, is a Git LFS pointer, or is not recognised.
    pub fn read(path: &Path, recognise: impl FnOnce(&[u8]) -> Result<()>) -> Result<Self> {
        const START: u64 = 512;
        let file = File::open(path).map_err(|e| Error::io(path, "open the file", e))?;
        let mut bytes = Vec::new();
        let append = |most: u64, bytes: &mut Vec<u8>| {
            let read = (&file).take(most).read_to_end(bytes);
            read.map_err(|e| Error::io(path, "read the file", e))
        };
        append(START, &mut bytes)?;
        check_start(&bytes).and_then(|()| recognise(&bytes)).map_err(|error| error.at(path))?;
        append(MAX_FILE_BYTES, &mut bytes)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(Error::new("the weight file is too large")
                .at(path)
                .expected(format!("at most {MAX_FILE_BYTES} bytes")));
        }
        let sha256 = hexadecimal(&Sha256::digest(&bytes));
        Ok(Self { path: path.to_path_buf(), bytes, sha256 })
    }

    /// File name without folders.
    pub fn name(&self) -> String {
        name_of(&self.path)
    }
}

/// Refuses what is no file of weights at all.
fn check_start(bytes: &[u8]) -> Result<()> {
    if bytes.is_empty() {
        return Err(Error::new("the file is empty")
            .remedy("the download or copy may have failed: fetch the file again"));
    }
    if bytes.starts_with(LFS_POINTER) {
        return Err(Error::new("this is a Git LFS pointer, not the weights")
            .remedy("the real file was not downloaded: run `git lfs pull` where it was cloned"));
    }
    Ok(())
}

impl SourceFile {
    /// Names and hashes a file of any size, which is not kept in memory.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn of(path: &Path) -> Result<Self> {
        let mut file = File::open(path).map_err(|e| Error::io(path, "open the file", e))?;
        let mut hash = Sha256::new();
        let mut piece = vec![0; 1 << 16];
        loop {
            match file.read(&mut piece).map_err(|e| Error::io(path, "read the file", e))? {
                0 => break,
                read => hash.update(&piece[..read]),
            }
        }
        Ok(Self { name: name_of(path), sha256: hexadecimal(&hash.finalize()) })
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Recognise = fn(&[u8]) -> Result<()>;

    fn read(content: &[u8], recognise: Recognise) -> Result<FileBytes> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc.pt");
        std::fs::write(&path, content).unwrap();
        let source = SourceFile::of(&path).unwrap();
        let file = FileBytes::read(&path, recognise)?;
        assert_eq!((source.name, source.sha256), (file.name(), file.sha256.clone()));
        Ok(file)
    }

    #[test]
    fn the_hash_is_the_published_sha256_of_abc() {
        // FIPS 180-2, appendix B.1.
        let file = read(b"abc", |_| Ok(())).unwrap();
        assert_eq!(file.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(file.name(), "abc.pt");
    }

    #[test]
    fn what_is_no_weight_file_is_refused_by_its_first_bytes() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n";
        let stranger = |start: &[u8]| {
            assert_eq!(start.len(), 512);
            Err(Error::new("a stranger"))
        };
        let cases: [(&str, &[u8], Recognise); 3] = [
            ("not downloaded", pointer, |_| Ok(())),
            ("empty", b"", |_| Ok(())),
            ("abc.pt: a stranger", &[7; 5000], stranger),
        ];
        for (what, content, recognise) in cases {
            let error = read(content, recognise).err().unwrap().to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn a_long_file_is_read_whole() {
        let content: Vec<u8> = (0..3000u16).flat_map(u16::to_le_bytes).collect();
        assert_eq!(read(&content, |_| Ok(())).unwrap().bytes, content);
    }
}
