//! BCF, with an index if asked for.

use super::VariantSink;
use super::order::Order;
use super::vcf::{longest, stretch};
use crate::error::{Error, Result};
use crate::genome::Contigs;
use crate::genome::variants::{Dictionary, Header, Record, encode};
use crate::job::OutputFile;
use crate::track::index::{Index, Indexing};
use crate::track::text::TextFile;
use std::path::Path;

/// How a file begins: format and version 2.2.
const MAGIC: [u8; 5] = *b"BCF\x02\x02";

/// Writes records as the header numbers their names.
pub(super) struct BcfFile {
    file: TextFile,
    names: Dictionary,
    records: u64,
    index: Option<(Index, Order)>,
    indexing: Indexing,
    index_file: Option<OutputFile>,
    head: u64,
}

impl BcfFile {
    pub(super) fn create(
        path: &Path,
        header: &Header,
        contigs: &Contigs,
        indexing: Indexing,
    ) -> Result<Self> {
        let names = Dictionary::new(header)?;
        let mut text = header.lines.join(&b'\n');
        text.extend(b"\n\0");
        let size = u32::try_from(text.len())
            .map_err(|_| Error::new("the header is too long for BCF").at(path))?;
        let mut file = TextFile::new(OutputFile::create(path)?, true);
        file.put(&MAGIC)?;
        file.put(&size.to_le_bytes())?;
        file.put(&text)?;
        file.end_block()?;
        let head = file.file().bytes();
        let index = (indexing != Indexing::None).then(|| {
            let listed = names.contig_names().to_vec();
            (Index::of_bcf(longest(header, contigs), listed), Order::default())
        });
        Ok(Self { file, names, records: 0, index, indexing, index_file: None, head })
    }
}

impl VariantSink for BcfFile {
    fn write(&mut self, record: &Record, line: &[u8]) -> Result<()> {
        let stretch = stretch(&record.variant, line);
        let bytes = encode(line, stretch, &self.names);
        let bytes = bytes.map_err(|error| error.line(record.variant.line))?;
        if let Some((index, order)) = &mut self.index {
            order.take(&record.variant)?;
            index.add(&record.variant.chrom, stretch, self.file.position())?;
        }
        self.file.put(&bytes)?;
        self.records += 1;
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let end = self.file.position();
        self.file.finish()?;
        if let Some((index, _)) = self.index.take() {
            self.index_file = index.write(self.file.file().path(), end, self.indexing)?;
        }
        Ok(())
    }

    fn records(&self) -> u64 {
        self.records
    }

    fn head(&self) -> u64 {
        self.head
    }

    fn into_files(self: Box<Self>) -> Vec<OutputFile> {
        std::iter::once(self.file.into_file()).chain(self.index_file).collect()
    }
}
