//! SHA-256 of files and texts, in lower-case hexadecimal.

use crate::error::{Error, Result};
use crate::genome::Reference;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Bytes that are read at a time.
const BUFFER: usize = 1 << 18;

/// Of a text.
pub fn of_bytes(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Of a file, read from end to end.
///
/// # Errors
/// A file that cannot be read.
pub fn of_file(path: &Path) -> Result<String> {
    let io = |e| Error::io(path, "read", e);
    let mut file = File::open(path).map_err(|e| Error::io(path, "open", e))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hexadecimal(&hasher.finalize())),
            Ok(length) => hasher.update(&buffer[..length]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(io(e)),
        }
    }
}

/// Names and lengths of a reference's contigs, and the size of its file; not its path, so that a copy
/// on another disk will do.
///
/// # Errors
/// The reference cannot be looked at.
pub fn of_reference(reference: &Reference) -> Result<String> {
    let mut text = String::new();
    for (_, name, length) in reference.contigs().iter() {
        writeln!(text, "{name}\t{length}").expect("writing to a String cannot fail");
    }
    let path = reference.path();
    let bytes = fs::metadata(path).map_err(|e| Error::io(path, "look at", e))?.len();
    Ok(format!("contigs {}, {bytes} bytes", short(text.as_bytes())))
}

/// The first 64 bits of a hash, which tell any two inputs apart that a user has.
pub fn short(bytes: &[u8]) -> String {
    let mut text = of_bytes(bytes);
    text.truncate(16);
    text
}

/// A reader that hashes what is read through it.
pub struct Hashing<R> {
    reader: R,
    hasher: Sha256,
}

impl<R: Read> Hashing<R> {
    /// Nothing read yet.
    pub fn new(reader: R) -> Self {
        Self { reader, hasher: Sha256::new() }
    }

    /// Reads the rest and gives the hash of all.
    ///
    /// # Errors
    /// Any failure to read.
    pub fn finish(mut self) -> io::Result<String> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(hexadecimal(&self.hasher.finalize()))
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        Ok(length)
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_sha256sum() {
        // printf abc | sha256sum (FIPS 180-4, example 1)
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of_bytes(b"abc"), abc);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(of_file(&path).unwrap(), abc);
        let mut reader = Hashing::new(&b"abc"[..]);
        reader.read_exact(&mut [0; 2]).unwrap();
        assert_eq!(reader.finish().unwrap(), abc);
    }
}
