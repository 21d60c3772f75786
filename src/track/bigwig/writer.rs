//! Writes a bigWig while the values come: the runs of the bedGraph, as 32-bit floats.

use super::index::{Section, numbers, write_contigs, write_index};
use super::zoom::{LEVELS, Sums, Zooms};
use super::{BED_GRAPH, FIXED_STEP, HEADER, ITEMS, MAGIC, Packer, VARIABLE_STEP, ZOOM_HEADER};
use crate::error::{Error, Result};
use crate::genome::{ContigId, Contigs};
use crate::job::OutputFile;
use crate::track::number::Rounding;
use crate::track::runs::{Run, Runs};
use crate::track::{Segment, Sink, Style};
use std::io::Write;
use std::path::Path;

/// The format's version that is written.
const VERSION: u16 = 4;
/// Where the total summary begins: after the header and room for every zoom level.
const SUMMARY: u64 = (HEADER + LEVELS * ZOOM_HEADER) as u64;
/// Bytes of the total summary.
const SUMMARY_BYTES: usize = 40;

/// One bigWig that is being written. Besides what is open, 16 bytes are held in memory for each
/// section of up to [`ITEMS`] runs.
pub struct BigWig {
    file: OutputFile,
    runs: Runs,
    rounding: Rounding,
    /// Contig and chunk number of the last segment.
    chunk: Option<(ContigId, u64)>,
    /// Runs that do not fill a section yet, all of one contig.
    open: Vec<Item>,
    contig: u32,
    sections: Vec<Section>,
    zooms: Option<Zooms>,
    packer: Packer,
    sums: Option<Sums>,
    /// Where the number of sections goes, and the sections begin.
    data: u64,
    records: u64,
}

/// A run as the file has it.
#[derive(Clone, Copy)]
struct Item {
    start: u32,
    end: u32,
    value: f32,
}

impl BigWig {
    /// Opens a new file and writes what comes before the values.
    ///
    /// # Errors
    /// The file cannot be opened, or is one that cannot be written to twice at one place, such as
    /// a pipe; a contig that is too long for the format.
    pub fn create(path: &Path, contigs: &Contigs, style: &Style) -> Result<Self> {
        let lengths: Vec<u32> = contigs.iter().map(length).collect::<Result<_>>()?;
        let mut file = OutputFile::create(path)?;
        if file.part().is_none() {
            return Err(Error::usage("a bigWig cannot be written to a stream")
                .at(path)
                .remedy("name a regular file, or write bedGraph"));
        }
        file.write_all(&vec![0; HEADER + LEVELS * ZOOM_HEADER + SUMMARY_BYTES])
            .map_err(|e| file.error(e))?;
        write_contigs(&mut file, contigs, &lengths)?;
        let data = file.bytes();
        file.write_all(&0u64.to_le_bytes()).map_err(|e| file.error(e))?;
        let longest = lengths.into_iter().max().unwrap_or(0);
        Ok(Self {
            zooms: Some(Zooms::new(path, longest)?),
            file,
            runs: Runs::new(style),
            rounding: style.rounding,
            chunk: None,
            open: Vec::with_capacity(ITEMS),
            contig: 0,
            sections: Vec::new(),
            packer: Packer::new(),
            sums: None,
            data,
            records: 0,
        })
    }

    fn put(&mut self, run: Run) -> Result<()> {
        let narrow = |number: u64| u32::try_from(number).expect("inside a contig below 2^32");
        let contig = u32::try_from(run.contig.0).expect("as many contigs as lengths");
        if contig != self.contig || self.open.len() == ITEMS {
            self.end_section()?;
            self.contig = contig;
        }
        let (start, end) = (narrow(run.start), narrow(run.end));
        let value = self.rounding.value(run.number);
        self.open.push(Item { start, end, value });
        self.records += 1;
        let sums = Sums::of(value, end - start);
        match &mut self.sums {
            Some(all) => all.add(&sums),
            None => self.sums = Some(sums),
        }
        match &mut self.zooms {
            Some(zooms) => zooms.add(contig, (start, end), value, &mut self.packer),
            None => Ok(()),
        }
    }

    fn end_run(&mut self) -> Result<()> {
        self.runs.end().map_or(Ok(()), |run| self.put(run))
    }

    fn end_section(&mut self) -> Result<()> {
        let (Some(&first), Some(&last)) = (self.open.first(), self.open.last()) else {
            return Ok(());
        };
        let bytes = section(self.contig, &self.open);
        self.open.clear();
        let packed = self.packer.pack(&bytes);
        self.file.write_all(packed).map_err(|e| self.file.error(e))?;
        let size = u32::try_from(packed.len()).expect("a section far below 4 GB");
        let (start, end) = (first.start, last.end);
        self.sections.push(Section { contig: self.contig, start, end, size });
        Ok(())
    }

    /// What can be said only at the end, in its place at the beginning.
    fn fill_in(&mut self, index: u64, zooms: &[u8]) -> Result<()> {
        let mut bytes = Vec::with_capacity(HEADER + zooms.len());
        numbers(&mut bytes, &[MAGIC]);
        let levels = u16::try_from(zooms.len() / ZOOM_HEADER).expect("at most LEVELS");
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(levels.to_le_bytes());
        for offset in [SUMMARY + SUMMARY_BYTES as u64, self.data, index] {
            bytes.extend(offset.to_le_bytes());
        }
        // two numbers of fields and a description, which only bigBed has
        bytes.extend([0; 2 + 2 + 8]);
        bytes.extend(SUMMARY.to_le_bytes());
        numbers(&mut bytes, &[self.packer.largest()]);
        // no extension of the header
        bytes.extend(0u64.to_le_bytes());
        bytes.extend(zooms);
        self.file.overwrite(0, &bytes)?;

        let (covered, numbers) = match &self.sums {
            Some(all) => (all.covered, [all.min.into(), all.max.into(), all.sum, all.squares]),
            None => (0, [0.0; 4]),
        };
        let mut bytes = covered.to_le_bytes().to_vec();
        numbers.iter().for_each(|number: &f64| bytes.extend(number.to_le_bytes()));
        self.file.overwrite(SUMMARY, &bytes)?;
        self.file.overwrite(self.data, &(self.sections.len() as u64).to_le_bytes())
    }
}

impl Sink for BigWig {
    fn write(&mut self, segment: Segment<'_>) -> Result<()> {
        for (chunk, Segment { contig, start, values }) in segment.by_chunk() {
            if self.chunk != Some((contig, chunk)) {
                self.end_run()?;
                self.chunk = Some((contig, chunk));
            }
            for (base, &value) in (start..).zip(values) {
                let ended = self.runs.push(contig, base, value);
                if let Some(run) = ended.map_err(|error| error.at(self.file.path()))? {
                    self.put(run)?;
                }
            }
        }
        Ok(())
    }

    /// Refused: what is written at the end needs all that came before.
    fn checkpoint(&mut self) -> Result<u64> {
        Err(super::not_resumable(self.file.path()))
    }

    fn finish(&mut self) -> Result<()> {
        self.end_run()?;
        self.end_section()?;
        let (data, index) = (self.data + 8, self.file.bytes());
        write_index(&mut self.file, &self.sections, data, ITEMS as u32)?;
        let zooms = match self.zooms.take() {
            Some(zooms) => zooms.write(&mut self.file, index - data, &mut self.packer)?,
            None => Vec::new(),
        };
        self.file.write_all(&MAGIC.to_le_bytes()).map_err(|e| self.file.error(e))?;
        self.fill_in(index, &zooms)?;
        self.file.finish()
    }

    fn records(&self) -> u64 {
        self.records
    }

    /// Nothing: a bigWig is no row of parts.
    fn head(&self) -> u64 {
        0
    }

    fn into_files(self: Box<Self>) -> Vec<OutputFile> {
        vec![self.file]
    }
}

/// The length of a contig as the file has it.
fn length((_, name, length): (ContigId, &str, u64)) -> Result<u32> {
    u32::try_from(length).map_err(|_| {
        Error::new(format!("contig {name} is too long for a bigWig"))
            .found(format!("{length} bases"))
            .expected(format!("at most {}", u32::MAX))
            .remedy("write bedGraph")
    })
}

/// The bytes of a section, in the shortest layout that fits its runs.
fn section(contig: u32, items: &[Item]) -> Vec<u8> {
    let (first, last) = (items[0], items[items.len() - 1]);
    let span = first.end - first.start;
    let same = items.iter().all(|item| item.end - item.start == span);
    let gapless = items.windows(2).all(|pair| pair[0].end == pair[1].start);
    let (kind, step, span) = match (same, gapless) {
        (true, true) => (FIXED_STEP, span, span),
        (true, false) => (VARIABLE_STEP, 0, span),
        (false, _) => (BED_GRAPH, 0, 0),
    };
    let mut bytes = Vec::new();
    numbers(&mut bytes, &[contig, first.start, last.end, step, span]);
    bytes.extend([kind, 0]);
    let count = u16::try_from(items.len()).expect("at most ITEMS");
    bytes.extend(count.to_le_bytes());
    for item in items {
        match kind {
            FIXED_STEP => {}
            VARIABLE_STEP => numbers(&mut bytes, &[item.start]),
            _ => numbers(&mut bytes, &[item.start, item.end]),
        }
        bytes.extend(item.value.to_le_bytes());
    }
    bytes
}
