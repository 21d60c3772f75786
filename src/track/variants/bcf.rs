//! BCF, with an index if asked for.

use super::order::Order;
use super::vcf::{longest, stretch};
use super::{Kept, VariantSink};
use crate::error::{Error, Result};
use crate::genome::variants::{Dictionary, Header, Record, encode};
use crate::genome::{Contigs, Variant};
use crate::job::OutputFile;
use crate::job::manifest::{Groups, Lines};
use crate::track::index::{Index, Indexing};
use crate::track::text::{TextFile, block_length};
use noodles::bgzf;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
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
    longest: u64,
}

impl BcfFile {
    pub(super) fn create(
        path: &Path,
        header: &Header,
        contigs: &Contigs,
        indexing: Indexing,
        kept: Option<Kept>,
    ) -> Result<Self> {
        let names = Dictionary::new(header)?;
        let mut text = header.lines.join(&b'\n');
        text.extend(b"\n\0");
        let size = u32::try_from(text.len())
            .map_err(|_| Error::new("the header is too long for BCF").at(path))?;
        let head = [&MAGIC[..], &size.to_le_bytes(), &text].concat();
        let longest = longest(header, contigs);
        let index = (indexing != Indexing::None).then(|| {
            let listed = names.contig_names().to_vec();
            (Index::of_bcf(longest, listed), Order::default())
        });
        let file = match kept {
            Some(kept) => TextFile::new(OutputFile::resume(path, kept.bytes)?, true),
            None => {
                let mut file = TextFile::new(OutputFile::create(path)?, true);
                file.put(&head)?;
                file.end_block()?;
                file
            }
        };
        let (beginning, head) = (head.len(), block_length(&head, true));
        let records = kept.map_or(0, |kept| kept.records);
        let mut file =
            Self { file, names, records, index, indexing, index_file: None, head, longest };
        if kept.is_some() {
            file.reread(beginning)?;
        }
        Ok(file)
    }

    /// Indexes the records that are already there, after so many bytes of header.
    fn reread(&mut self, beginning: usize) -> Result<()> {
        let Some((index, order)) = &mut self.index else { return Ok(()) };
        let file = self.file.file();
        let part = file.part().map(Path::to_path_buf).expect("a resumed file has a part");
        let failed = |e| Error::io(&part, "read", e);
        let kept = File::open(&part).map_err(failed)?;
        let mut reader = bgzf::io::Reader::new(kept.take(file.bytes()));
        reader.read_exact(&mut vec![0; beginning]).map_err(failed)?;
        loop {
            let from = reader.virtual_position();
            // sizes of both parts, then CHROM, POS from 0 and length (formats.md 5)
            let mut start = [0; 20];
            match reader.read_exact(&mut start) {
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(()),
                read => read.map_err(failed)?,
            }
            let [shared, individual, chrom, pos, length] = std::array::from_fn(|field| {
                let bytes = start[4 * field..].first_chunk().expect("20 bytes are five numbers");
                i32::from_le_bytes(*bytes)
            });
            let rest = i64::from(shared) + i64::from(individual) - 12;
            let contig = usize::try_from(chrom).ok().and_then(|c| self.names.contig_names().get(c));
            let (Some(contig), Ok(rest)) = (contig, u64::try_from(rest)) else {
                return Err(Error::new("the partial output does not hold records of this run")
                    .at(&part)
                    .remedy("run again without --resume"));
            };
            io::copy(&mut (&mut reader).take(rest), &mut io::sink()).map_err(failed)?;
            // POS 0 counts as the first base, as where the record was written
            let start = u64::try_from(pos).unwrap_or(0);
            let variant = Variant {
                line: 0,
                chrom: contig.clone(),
                contig: None,
                pos: u64::try_from(i64::from(pos) + 1).unwrap_or(0),
                reference: String::new(),
                alternates: Vec::new(),
            };
            order.take(&variant)?;
            index.add(contig, (start, start + u64::from(length.unsigned_abs())), from)?;
        }
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

    fn checkpoint(&mut self) -> Result<Kept> {
        Ok(Kept { bytes: self.file.hand_over()?, records: self.records })
    }

    fn groups(&self) -> Option<Groups> {
        let names = || self.names.contig_names().to_vec();
        (self.indexing == Indexing::Groups).then(|| Groups::new(self.longest, Lines::Bcf(names())))
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
