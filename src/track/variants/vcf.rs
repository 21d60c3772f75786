//! VCF text, plain or in BGZF blocks with an index.

use super::order::Order;
use super::{Kept, VariantSink};
use crate::error::{Error, Result};
use crate::genome::variants::{Header, Record, info_column};
use crate::genome::{Contigs, Variant};
use crate::job::OutputFile;
use crate::job::manifest::{Groups, Lines};
use crate::track::index::{Index, Indexing};
use crate::track::text::{TextFile, block_length};
use noodles::bgzf;
use std::fs::File;
use std::io::{BufRead, Read};
use std::path::Path;

/// Writes lines of VCF as they come.
pub(super) struct VcfText {
    text: TextFile,
    lines: u64,
    /// Only with an index is the order of the records looked at.
    index: Option<(Index, Order)>,
    indexing: Indexing,
    index_file: Option<OutputFile>,
    head: u64,
    longest: u64,
}

impl VcfText {
    pub(super) fn create(
        path: &Path,
        bgzip: bool,
        header: &Header,
        contigs: &Contigs,
        indexing: Indexing,
        kept: Option<Kept>,
    ) -> Result<Self> {
        let end = line_end(header.crlf);
        let head: Vec<u8> =
            header.lines.iter().flat_map(|line| [line.as_slice(), end].concat()).collect();
        let longest = longest(header, contigs);
        let index =
            (indexing != Indexing::None).then(|| (Index::of_vcf(longest), Order::default()));
        let text = match kept {
            Some(kept) => TextFile::new(OutputFile::resume(path, kept.bytes)?, bgzip),
            None => {
                let mut text = TextFile::new(OutputFile::create(path)?, bgzip);
                text.put(&head)?;
                text.end_block()?;
                text
            }
        };
        let head = block_length(&head, bgzip);
        let lines = kept.map_or(0, |kept| kept.records);
        let mut file = Self { text, lines, index, indexing, index_file: None, head, longest };
        if kept.is_some() {
            file.reread()?;
        }
        Ok(file)
    }

    /// Indexes the lines that are already there.
    fn reread(&mut self) -> Result<()> {
        let Some((index, order)) = &mut self.index else { return Ok(()) };
        let file = self.text.file();
        let part = file.part().map(Path::to_path_buf).expect("a resumed file has a part");
        let kept = File::open(&part).map_err(|e| Error::io(&part, "open", e))?;
        let mut reader = bgzf::io::Reader::new(kept.take(file.bytes()));
        let mut line = Vec::new();
        loop {
            let from = reader.virtual_position();
            line.clear();
            let read = reader.read_until(b'\n', &mut line);
            if read.map_err(|e| Error::io(&part, "read", e))? == 0 {
                return Ok(());
            }
            if line.starts_with(b"#") {
                continue;
            }
            let Some(variant) = place(&line) else {
                return Err(Error::new("the partial output does not hold lines of this run")
                    .at(&part)
                    .remedy("run again without --resume"));
            };
            order.take(&variant)?;
            index.add(&variant.chrom, stretch(&variant, line.trim_ascii_end()), from)?;
        }
    }
}

impl VariantSink for VcfText {
    fn write(&mut self, record: &Record, line: &[u8]) -> Result<()> {
        if let Some((index, order)) = &mut self.index {
            order.take(&record.variant)?;
            let from = self.text.position();
            index.add(&record.variant.chrom, stretch(&record.variant, line), from)?;
        }
        self.text.put(line)?;
        self.text.put(line_end(record.crlf))?;
        self.lines += 1;
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<Kept> {
        Ok(Kept { bytes: self.text.hand_over()?, records: self.lines })
    }

    fn groups(&self) -> Option<Groups> {
        (self.indexing == Indexing::Groups).then(|| Groups::new(self.longest, Lines::Vcf))
    }

    fn finish(&mut self) -> Result<()> {
        let end = self.text.position();
        self.text.finish()?;
        if let Some((index, _)) = self.index.take() {
            self.index_file = index.write(self.text.file().path(), end, self.indexing)?;
        }
        Ok(())
    }

    fn records(&self) -> u64 {
        self.lines
    }

    fn head(&self) -> u64 {
        self.head
    }

    fn into_files(self: Box<Self>) -> Vec<OutputFile> {
        std::iter::once(self.text.into_file()).chain(self.index_file).collect()
    }
}

/// What a line of ours says of where its record is.
fn place(line: &[u8]) -> Option<Variant> {
    let mut columns = line.split(|&b| b == b'\t').map(|column| std::str::from_utf8(column).ok());
    let chrom = columns.next()??.to_owned();
    let pos = columns.next()??.parse().ok()?;
    let reference = columns.nth(1)??.to_owned();
    Some(Variant { line: 0, chrom, contig: None, pos, reference, alternates: Vec::new() })
}

fn line_end(crlf: bool) -> &'static [u8] {
    if crlf { b"\r\n" } else { b"\n" }
}

/// The longest contig of the reference or the header (bases), which decides the index's format.
pub(super) fn longest(header: &Header, contigs: &Contigs) -> u64 {
    let stated = header.contigs().into_iter().filter_map(|(_, length)| length);
    contigs.iter().map(|(_, _, length)| length).chain(stated).max().unwrap_or(0)
}

/// The bases (0-based, half-open) that an index files a record under: those of REF, or up to END
/// where INFO has it, as other tools do. Position 0 counts as the first base.
pub(super) fn stretch(variant: &Variant, line: &[u8]) -> (u64, u64) {
    let start = variant.start().unwrap_or(0);
    let of_ref = start + u64::try_from(variant.reference.len()).unwrap_or(0);
    let info = info_column(line).map_or(&b""[..], |column| &line[column]);
    let stated = info
        .split(|&b| b == b';')
        .find_map(|field| std::str::from_utf8(field.strip_prefix(b"END=")?).ok()?.parse().ok());
    (start, stated.filter(|&end| end > start).unwrap_or(of_ref))
}
