//! The files of a run: the annotated records, and the list of those without a score.

use super::rows::Rows;
use super::{BAD_RECORD, Request, format_of};
use crate::effect::text::Text;
use crate::effect::{Outcome, VariantOutcome};
use crate::error::{Error, Result};
use crate::genome::Contigs;
use crate::genome::variants::{BadRecord, Needed, Origin, Record, VariantReader, complete};
use crate::job::output::commit_all;
use crate::job::summary::Written;
use crate::track::index::Indexing;
use crate::track::name::{Format, Kind};
use crate::track::variants::{AlleleTable, InfoKeys, VariantFormat, VariantSink, create};

/// Columns of the list of alleles without a score.
const SKIPPED: [&str; 7] = ["contig", "pos", "ref", "alt", "line", "reason", "detail"];

pub(super) struct Outputs<'a> {
    text: &'a Text,
    annotated: Annotated,
    skipped: Option<AlleleTable>,
    request: &'a Request,
}

enum Annotated {
    Vcf(Box<dyn VariantSink>, InfoKeys),
    Table(Box<AlleleTable>, Rows),
}

impl<'a> Outputs<'a> {
    /// Opens all files, before any work.
    pub(super) fn open(
        reader: &VariantReader,
        contigs: &Contigs,
        text: &'a Text,
        request: &'a Request,
    ) -> Result<Self> {
        let annotated = match format_of(reader, request)? {
            VariantFormat::Table { .. } if request.write_index => {
                return Err(Error::usage("a table can have no index")
                    .at(&request.output)
                    .remedy("leave out --write-index"));
            }
            format @ (VariantFormat::Vcf { .. } | VariantFormat::Bcf) => {
                let keys = text.keys().into_iter().map(str::to_owned).collect();
                let keys = InfoKeys::new(keys, request.overwrite_info);
                if reader.origin() == Origin::Table {
                    tracing::info!(
                        "{}: a table as VCF: only chrom, pos, ref and alt are kept",
                        reader.path().display()
                    );
                }
                let mut header = reader.vcf_header();
                keys.clear_header(&mut header, reader.path())?;
                header.add(request.header.iter().cloned());
                if format == VariantFormat::Bcf {
                    let needed = needed(reader, contigs)?;
                    complete(&mut header, &needed)
                        .map_err(|error| error.of_line_in(reader.path()))?;
                }
                let indexing = match request.write_index {
                    true => Indexing::Index,
                    false => Indexing::None,
                };
                let sink = create(&request.output, format, &header, contigs, indexing)?;
                Annotated::Vcf(sink, keys)
            }
            VariantFormat::Table { bgzip } => {
                let rows = Rows::new(reader, text, request.overwrite_info)?;
                let comments = rows.comments(reader);
                let columns = rows.columns();
                let table = AlleleTable::create(&request.output, bgzip, &comments, &columns)?;
                Annotated::Table(Box::new(table), rows)
            }
        };
        let skipped = match &request.skipped {
            None => None,
            Some(path) => {
                let bgzip = Format::of_table(path)?.kind == Kind::Bgzf;
                Some(AlleleTable::create(path, bgzip, &[], &SKIPPED.map(str::to_owned))?)
            }
        };
        Ok(Self { text, annotated, skipped, request })
    }

    /// Adds records with what became of them.
    pub(super) fn write(
        &mut self,
        bad: &[BadRecord],
        records: &[Record],
        outcomes: &[VariantOutcome<'_>],
    ) -> Result<()> {
        for BadRecord { line, text, why } in bad {
            let line = line.to_string();
            if let Some(table) = &mut self.skipped {
                table.write(&[".", ".", ".", ".", &line, BAD_RECORD, &format!("{why}: {text}")])?;
            }
        }
        for (record, outcome) in records.iter().zip(outcomes) {
            match &mut self.annotated {
                Annotated::Vcf(sink, keys) => {
                    let fields = self.text.fields(outcome);
                    let fields: Vec<String> =
                        fields.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
                    sink.write(record, &keys.add(record, &fields.join(";"))?)?;
                }
                Annotated::Table(table, rows) => {
                    for row in rows.of(record, outcome, self.text) {
                        table.write(&row)?;
                    }
                }
            }
            self.list_skipped(record, outcome)?;
        }
        Ok(())
    }

    fn list_skipped(&mut self, record: &Record, outcome: &VariantOutcome<'_>) -> Result<()> {
        let Some(table) = &mut self.skipped else { return Ok(()) };
        let variant = &record.variant;
        for allele in &outcome.alleles {
            let Outcome::Skipped(skipped) = &allele.outcome else { continue };
            let detail = match skipped.detail.as_str() {
                "" => skipped.reason.explain(),
                detail => detail,
            };
            let (pos, line) = (variant.pos.to_string(), variant.line.to_string());
            let (chrom, reference) = (variant.chrom.as_str(), variant.reference.as_str());
            let reason = skipped.reason.code();
            table.write(&[chrom, &pos, reference, &allele.allele, &line, reason, detail])?;
        }
        Ok(())
    }

    /// Completes all files and gives them their names.
    pub(super) fn commit(self) -> Result<Vec<Written>> {
        let mut written = Vec::new();
        let mut files = Vec::new();
        let mut note = |path: &std::path::Path, records| {
            written.push(Written { path: path.to_path_buf(), records });
        };
        match self.annotated {
            Annotated::Vcf(mut sink, _) => {
                sink.finish()?;
                note(&self.request.output, sink.records());
                files.extend(sink.into_files());
            }
            Annotated::Table(table, _) => {
                note(&self.request.output, table.rows());
                files.push(table.finish()?);
            }
        }
        if let (Some(table), Some(path)) = (self.skipped, &self.request.skipped) {
            note(path, table.rows());
            files.push(table.finish()?);
        }
        commit_all(files)?;
        Ok(written)
    }
}

/// What the records of a file use, for a header that has to declare it all: told by a look through
/// the whole file, or where it can be read only once, what is known beforehand.
fn needed(reader: &VariantReader, contigs: &Contigs) -> Result<Needed> {
    let Some(mut again) = reader.again()? else {
        let mut needed = Needed::of_reference(contigs);
        for (name, contig) in reader.names().seen() {
            needed.add_contig(name, contig.map(|contig| contigs.length(contig)));
        }
        return Ok(needed);
    };
    let mut needed = Needed::default();
    while let Some(record) = again.next_record()? {
        needed.add(&record.variant, &record.text, contigs);
    }
    Ok(needed)
}
