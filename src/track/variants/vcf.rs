//! VCF text, plain or in BGZF blocks with an index.

use super::VariantSink;
use super::order::Order;
use crate::error::Result;
use crate::genome::variants::{Header, Record, info_column};
use crate::genome::{Contigs, Variant};
use crate::job::OutputFile;
use crate::track::index::{Index, Indexing};
use crate::track::text::TextFile;
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
}

impl VcfText {
    pub(super) fn create(
        path: &Path,
        bgzip: bool,
        header: &Header,
        contigs: &Contigs,
        indexing: Indexing,
    ) -> Result<Self> {
        let mut text = TextFile::new(OutputFile::create(path)?, bgzip);
        for line in &header.lines {
            text.put(line)?;
            text.put(line_end(header.crlf))?;
        }
        text.end_block()?;
        let head = text.file().bytes();
        let index = (indexing != Indexing::None)
            .then(|| (Index::of_vcf(longest(header, contigs)), Order::default()));
        Ok(Self { text, lines: 0, index, indexing, index_file: None, head })
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
