//! bedGraph: tab, four columns, 0-based half-open, sorted, runs of equal printed values merged.
//!
//! Every base that was predicted has a line, also where the value is 0: a base without a line was
//! not predicted, unless `min_value` leaves values out, which the first line then says
//! (formats.md 7).

pub mod reader;

use super::index::{Index, Indexing};
use super::number::print_integer;
use super::runs::{Run, Runs};
use super::text::{TextFile, block_length};
use super::{Segment, Sink, Style};
use crate::error::{Error, Result};
use crate::genome::{ContigId, Contigs};
use crate::job::OutputFile;
use noodles::bgzf::{self, VirtualPosition};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// One bedGraph file that is being written, with its index when it is bgzipped.
pub struct BedGraph {
    contigs: Contigs,
    style: Style,
    text: TextFile,
    bgzip: bool,
    /// Of a bgzipped regular file; turned into `index_file` at the end.
    index: Option<Index>,
    index_file: Option<OutputFile>,
    runs: Runs,
    /// Contig and chunk number of the last segment.
    chunk: Option<(ContigId, u64)>,
    line: Vec<u8>,
    records: u64,
}

impl BedGraph {
    /// Opens a new file and writes its header lines, in a block of their own.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn create(path: &Path, bgzip: bool, contigs: &Contigs, style: &Style) -> Result<Self> {
        let mut track = Self::new(OutputFile::create(path)?, bgzip, contigs, style);
        track.text.put(header(style).as_bytes())?;
        track.text.end_block()?;
        Ok(track)
    }

    /// Continues the part that an interrupted run kept, after its first `bytes` bytes, which end
    /// at a [`Sink::checkpoint`].
    ///
    /// # Errors
    /// The part is missing, shorter, or does not hold lines of ours.
    pub fn resume(
        path: &Path,
        bgzip: bool,
        contigs: &Contigs,
        style: &Style,
        bytes: u64,
    ) -> Result<Self> {
        let file = OutputFile::resume(path, bytes)?;
        let part = file.part().map(Path::to_path_buf).expect("a resumed file has a part");
        let mut track = Self::new(file, bgzip, contigs, style);
        let kept = File::open(&part).map_err(|e| Error::io(&part, "open", e))?.take(bytes);
        if bgzip {
            let mut reader = bgzf::io::Reader::new(kept);
            track.reread(&part, &mut reader, bgzf::io::Reader::virtual_position)?;
        } else {
            track.reread(&part, &mut BufReader::new(kept), |_| VirtualPosition::MIN)?;
        }
        Ok(track)
    }

    fn new(file: OutputFile, bgzip: bool, contigs: &Contigs, style: &Style) -> Self {
        Self {
            index: (bgzip && file.part().is_some()).then(|| Index::of_bed(contigs)),
            contigs: contigs.clone(),
            style: style.clone(),
            text: TextFile::new(file, bgzip),
            bgzip,
            index_file: None,
            runs: Runs::new(style),
            chunk: None,
            line: Vec::new(),
            records: 0,
        }
    }

    /// Counts and indexes the lines that are already there.
    fn reread<R: BufRead>(
        &mut self,
        part: &Path,
        reader: &mut R,
        position: impl Fn(&R) -> VirtualPosition,
    ) -> Result<()> {
        let contigs: HashMap<String, ContigId> =
            self.contigs.iter().map(|(id, name, _)| (name.to_string(), id)).collect();
        let mut line = String::new();
        for number in 1.. {
            let from = position(reader);
            line.clear();
            if reader.read_line(&mut line).map_err(|e| Error::io(part, "read", e))? == 0 {
                break;
            }
            if line.starts_with('#') || line.starts_with("track ") {
                continue;
            }
            let Some((contig, place)) = parse(&contigs, &line) else {
                return Err(Error::new("the partial output does not hold lines of this run")
                    .at(part)
                    .line(number)
                    .found(line.trim_end())
                    .remedy("run again without --resume"));
            };
            self.records += 1;
            if let Some(index) = &mut self.index {
                index.add(self.contigs.name(contig), place, from)?;
            }
        }
        Ok(())
    }

    fn put(&mut self, run: Run) -> Result<()> {
        self.line.clear();
        self.line.extend_from_slice(self.contigs.name(run.contig).as_bytes());
        for place in [run.start, run.end] {
            self.line.push(b'\t');
            print_integer(place, &mut self.line);
        }
        self.line.push(b'\t');
        self.style.rounding.print(run.number, &mut self.line);
        self.line.push(b'\n');
        let from = self.text.position();
        self.text.put(&self.line)?;
        self.records += 1;
        if let Some(index) = &mut self.index {
            index.add(self.contigs.name(run.contig), (run.start, run.end), from)?;
        }
        Ok(())
    }

    fn end_chunk(&mut self) -> Result<()> {
        self.chunk = None;
        if let Some(run) = self.runs.end() {
            self.put(run)?;
        }
        self.text.end_block()
    }
}

impl Sink for BedGraph {
    fn write(&mut self, segment: Segment<'_>) -> Result<()> {
        for (chunk, Segment { contig, start, values }) in segment.by_chunk() {
            if self.chunk != Some((contig, chunk)) {
                self.end_chunk()?;
                self.chunk = Some((contig, chunk));
            }
            for (base, &value) in (start..).zip(values) {
                let ended = self.runs.push(contig, base, value);
                if let Some(run) = ended.map_err(|error| error.at(self.text.file().path()))? {
                    self.put(run)?;
                }
            }
        }
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<u64> {
        self.end_chunk()?;
        self.text.hand_over()
    }

    fn finish(&mut self) -> Result<()> {
        self.end_chunk()?;
        let end = self.text.position();
        self.text.finish()?;
        if let Some(index) = self.index.take() {
            let indexing = match self.style.part {
                true => Indexing::Groups,
                false => Indexing::Index,
            };
            self.index_file = index.write(self.text.file().path(), end, indexing)?;
        }
        Ok(())
    }

    fn records(&self) -> u64 {
        self.records
    }

    fn head(&self) -> u64 {
        block_length(header(&self.style).as_bytes(), self.bgzip)
    }

    fn into_files(self: Box<Self>) -> Vec<OutputFile> {
        let mut files = vec![self.text.into_file()];
        files.extend(self.index_file);
        files
    }
}

/// What comes before the values.
fn header(style: &Style) -> String {
    let mut text = String::new();
    if let Some(least) = style.min_value {
        text += &format!("#values below {least} are left out: no line is not no prediction\n");
    }
    if let Some(line) = &style.track_line {
        text += format!("track type=bedGraph {line}").trim_end();
        text.push('\n');
    }
    text
}

/// Contig, start and end of a line of ours.
fn parse(contigs: &HashMap<String, ContigId>, line: &str) -> Option<(ContigId, (u64, u64))> {
    let mut columns = line.strip_suffix('\n')?.split('\t');
    let (name, start, end) = (columns.next()?, columns.next()?, columns.next()?);
    let contig = *contigs.get(name)?;
    let (start, end) = (start.parse().ok()?, end.parse().ok()?);
    (columns.count() == 1 && start < end).then_some((contig, (start, end)))
}

#[cfg(test)]
mod tests;
