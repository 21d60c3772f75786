//! The reference: an indexed FASTA file with one checked way to read bases.

use super::bgzip::{self, Blocks, Compression};
use super::fasta_index::FastaIndex;
use super::index_check::{self, Verdict};
use super::sequence::is_sequence_letter;
use super::source::Source;
use super::text::{open_file, read_head};
use super::{ContigId, Contigs};
use crate::error::{Error, Result};
use crate::job::output::{OutputFile, append};
use serde::Serialize;
use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

/// A plain or bgzipped FASTA file with its index.
#[derive(Debug)]
pub struct Reference {
    path: PathBuf,
    source: Source,
    index: FastaIndex,
    contigs: Contigs,
    /// Whether the `.fai` was made here.
    built_fai: bool,
    /// Whether the `.gzi` was made here.
    built_gzi: bool,
}

/// What a reference is, for the summary of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReferenceInfo {
    /// The FASTA file.
    pub path: PathBuf,
    /// Number of contigs.
    pub contigs: usize,
    /// Number of bases of all contigs.
    pub bases: u64,
    /// `plain` or `bgzip`.
    pub compression: &'static str,
    /// `read` from the files beside the FASTA, or `built` in memory.
    pub index: &'static str,
}

impl Reference {
    /// Opens the file and its `.fai` / `.gzi`; missing ones, and those that do not fit the file,
    /// are built in memory, which is logged.
    ///
    /// # Errors
    /// No such file, no regular file, an empty file, plain gzip, truncated or corrupt bgzip, a file
    /// that is no indexable FASTA (with the line), a malformed index (with the line), a file that
    /// ends before its index says.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = open_regular(path)?;
        let head = read_head(&mut file).map_err(|e| Error::io(path, "read", e))?;
        let (mut source, built_gzi) = match Compression::of(&head) {
            Compression::Plain => (Source::plain(file, path)?, false),
            Compression::Bgzip => open_bgzip(file, path)?,
            Compression::Gzip => return Err(plain_gzip(path)),
        };
        let (index, built_fai) = match read_index(&mut source, path)? {
            Some(index) => (index, false),
            None => (build_index(&source, path)?, true),
        };
        let contigs = index.contigs();
        Ok(Self { path: path.into(), source, index, contigs, built_fai, built_gzi })
    }

    /// The contigs, in FASTA order.
    pub fn contigs(&self) -> &Contigs {
        &self.contigs
    }

    /// The FASTA file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bases `[start, end)` of a contig (0-based, may leave the contig), letters as in the file,
    /// `N` beyond either end of the contig. The only way to read sequence.
    ///
    /// # Errors
    /// `end` before `start`, more bases than memory can hold, a read failure, a byte in the
    /// sequence that is no letter (with its position).
    pub fn fetch(&mut self, contig: ContigId, start: i64, end: i64) -> Result<Vec<u8>> {
        let record = &self.index.records[contig.0];
        let length = i64::try_from(record.length).expect("checked when the index was read");
        let wanted = end
            .checked_sub(start)
            .and_then(|n| usize::try_from(n).ok())
            .ok_or_else(|| self.error(contig, format!("no bases lie in {start}..{end}")))?;
        let mut bases = Vec::new();
        bases.try_reserve_exact(wanted).map_err(|_| {
            self.error(contig, format!("{wanted} bases at once are more than the memory holds"))
        })?;
        let inside = start.clamp(0, length)..end.clamp(0, length);
        if inside.is_empty() {
            bases.resize(wanted, b'N');
            return Ok(bases);
        }
        let first = inside.start.unsigned_abs();
        let last = inside.end.unsigned_abs();
        let before = usize::try_from(inside.start - start).expect("not more than `wanted`");
        bases.resize(before, b'N');
        self.source.read_lines(record, first..last, &mut bases)?;
        if let Some(at) = bases[before..].iter().position(|base| !is_sequence_letter(*base)) {
            return Err(self.bad_letter(contig, first + at as u64, bases[before + at]));
        }
        bases.resize(wanted, b'N');
        Ok(bases)
    }

    /// Saves the indexes that were built in memory beside the FASTA file (`.fai`, and `.gzi` for a
    /// bgzipped file) and returns their paths. Each appears complete or not at all.
    ///
    /// # Errors
    /// A folder that cannot be written to.
    pub fn write_indexes(&self) -> Result<Vec<PathBuf>> {
        let mut written = Vec::new();
        if self.built_fai {
            let path = append(&self.path, ".fai");
            write_whole(&path, self.index.to_text().as_bytes())?;
            written.push(path);
        }
        if let (true, Some(bytes)) = (self.built_gzi, self.source.gzi_bytes()) {
            let path = append(&self.path, ".gzi");
            write_whole(&path, &bytes)?;
            written.push(path);
        }
        Ok(written)
    }

    /// What this reference is, for the summary of a run.
    pub fn describe(&self) -> ReferenceInfo {
        ReferenceInfo {
            path: self.path.clone(),
            contigs: self.contigs.len(),
            bases: self.contigs.iter().map(|(_, _, length)| length).sum(),
            compression: if self.source.is_bgzip() { "bgzip" } else { "plain" },
            index: if self.built_fai || self.built_gzi { "built" } else { "read" },
        }
    }

    fn error(&self, contig: ContigId, what: impl std::fmt::Display) -> Error {
        Error::new(format!("contig `{}`: {what}", self.contigs.name(contig))).at(&self.path)
    }

    fn bad_letter(&self, contig: ContigId, base: u64, letter: u8) -> Error {
        let position = base + 1;
        let remedy = if self.built_fai {
            "replace it by N in the FASTA file".to_owned()
        } else {
            format!(
                "replace it by N; if the file was changed after it was indexed, remove {}",
                append(&self.path, ".fai").display()
            )
        };
        self.error(contig, format!("position {position} (from 1) is no letter"))
            .found(format!("`{}`", letter.escape_ascii()))
            .expected("A, C, G, T, N or another IUPAC letter")
            .remedy(remedy)
    }
}

/// Opens the FASTA file itself, which needs random access.
fn open_regular(path: &Path) -> Result<File> {
    let no_random_access = |what: &str| {
        Error::new(format!("{what} cannot be a reference"))
            .at(path)
            .expected("a FASTA file on disk, which allows random access")
    };
    if path.as_os_str() == "-" {
        return Err(no_random_access("standard input"));
    }
    // Asked before opening, because opening a named pipe waits for its writer.
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            Err(no_random_access("a folder").remedy("name the FASTA file in it"))
        }
        Ok(metadata) if !metadata.is_file() => Err(no_random_access("a pipe or device")),
        Ok(metadata) if metadata.len() == 0 => Err(Error::new("empty file")
            .at(path)
            .expected("FASTA: a line `>name`, then bases")
            .remedy("copy or download it again")),
        _ => open_file(path),
    }
}

/// Plain gzip has no random access (formats.md 2).
fn plain_gzip(path: &Path) -> Error {
    let name = path.display().to_string();
    let stem = [".gz", ".fasta", ".fna", ".fa"]
        .iter()
        .fold(name.as_str(), |stem, suffix| stem.strip_suffix(suffix).unwrap_or(stem));
    Error::new("compressed with gzip, which has no random access")
        .at(path)
        .expected("a plain FASTA file, or one compressed with bgzip")
        .remedy(format!("convert it: `gunzip -c {name} | bgzip > {stem}.bgzip.fa.gz`"))
}

/// A bgzipped FASTA with its block index, and whether that was built here.
fn open_bgzip(mut file: File, path: &Path) -> Result<(Source, bool)> {
    bgzip::warn_without_end_block(&mut file, path).map_err(|e| Error::io(path, "read", e))?;
    let gzi_path = append(path, ".gzi");
    if let Some(starts) = index_check::read_gzi(&gzi_path)? {
        let fits = index_check::gzi_fits(&mut file, &starts);
        if fits.map_err(|e| Error::io(path, "read", e))? {
            let last = starts.last().copied().unwrap_or_default();
            let rest = Blocks::walk(&mut file, path, last)?;
            if rest.starts.iter().all(|start| *start == last) {
                return Ok((Source::bgzip(file, path, starts, rest.data_end), false));
            }
        }
        tracing::warn!(
            "{}: does not fit {}; built anew in memory",
            gzi_path.display(),
            path.display()
        );
    } else {
        tracing::info!("{}: no .gzi index; built in memory (--write-fai saves it)", path.display());
    }
    let blocks = Blocks::walk(&mut file, path, (0, 0))?;
    // The first block, at (0, 0), is not listed in a .gzi (formats.md 2).
    let starts = blocks.starts.into_iter().filter(|start| *start != (0, 0)).collect();
    Ok((Source::bgzip(file, path, starts, blocks.data_end), true))
}

/// The `.fai` beside the FASTA, if it is there and fits.
fn read_index(source: &mut Source, path: &Path) -> Result<Option<FastaIndex>> {
    let fai_path = append(path, ".fai");
    if !fai_path.exists() {
        tracing::info!("{}: no .fai index; built in memory (--write-fai saves it)", path.display());
        return Ok(None);
    }
    let index = FastaIndex::read(&fai_path)?;
    let older = index_check::is_older(&fai_path, path);
    match index_check::judge(&index, source, older)? {
        Verdict::Fits => Ok(Some(index)),
        Verdict::Stale(why) => {
            let age = if older { " and is older than it" } else { "" };
            tracing::warn!(
                "{}: does not fit {}{age} ({why}); built anew in memory",
                fai_path.display(),
                path.display()
            );
            Ok(None)
        }
        Verdict::Truncated { contig, expected } => {
            Err(Error::new(format!("truncated file: it ends before contig `{contig}` does"))
                .at(path)
                .found(format!("{} bytes of FASTA", source.size()))
                .expected(format!("at least {expected}, by its .fai index"))
                .remedy(format!(
                    "copy or download it again; if the file is meant to end there, remove {}",
                    fai_path.display()
                )))
        }
    }
}

/// Builds the `.fai` by reading the whole file once.
fn build_index(source: &Source, path: &Path) -> Result<FastaIndex> {
    let file = BufReader::with_capacity(1 << 18, open_file(path)?);
    if source.is_bgzip() {
        FastaIndex::build(&mut noodles::bgzf::io::Reader::new(file), path)
    } else {
        FastaIndex::build(&mut { file }, path)
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = OutputFile::create(path)?;
    file.write_all(bytes).map_err(|e| file.error(e))?;
    file.commit()
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
