//! Tables with a row per allele and gene.

use super::Kept;
use crate::error::Result;
use crate::job::OutputFile;
use crate::track::text::{TextFile, block_length};
use std::path::Path;

/// Writes rows of text separated by tabs; cells that hold a tab, a quote or a line end are quoted.
pub struct AlleleTable {
    text: TextFile,
    rows: u64,
    head: u64,
}

impl AlleleTable {
    /// Opens a table, before any work, and writes its header below `comments`; or continues the
    /// part of an interrupted run after what it `kept`.
    ///
    /// # Errors
    /// The file cannot be opened or written.
    pub fn create(
        path: &Path,
        bgzip: bool,
        comments: &[Vec<u8>],
        columns: &[String],
        kept: Option<Kept>,
    ) -> Result<Self> {
        let mut header = comments.join(&b'\n');
        if !header.is_empty() {
            header.push(b'\n');
        }
        header.extend(line(columns));
        let head = block_length(&header, bgzip);
        if let Some(Kept { bytes, records }) = kept {
            let text = TextFile::new(OutputFile::resume(path, bytes)?, bgzip);
            return Ok(Self { text, rows: records, head });
        }
        let mut text = TextFile::new(OutputFile::create(path)?, bgzip);
        text.put(&header)?;
        text.end_block()?;
        Ok(Self { text, rows: 0, head })
    }

    /// Adds a row with a cell for each column.
    ///
    /// # Errors
    /// Any failure to write.
    pub fn write<S: AsRef<str>>(&mut self, cells: &[S]) -> Result<()> {
        self.rows += 1;
        self.text.put(&line(cells))
    }

    /// Rows so far, the header aside.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of the file before its rows, which each of several parts has.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// Hands all rows to the operating system; a run can go on after them.
    ///
    /// # Errors
    /// Any failure to write.
    pub fn checkpoint(&mut self) -> Result<Kept> {
        Ok(Kept { bytes: self.text.hand_over()?, records: self.rows })
    }

    /// Gives up the file unfinished.
    pub fn into_file(self) -> OutputFile {
        self.text.into_file()
    }

    /// Writes what is left; the file is finished but not yet committed.
    ///
    /// # Errors
    /// Any failure to write.
    pub fn finish(mut self) -> Result<OutputFile> {
        self.text.finish()?;
        Ok(self.text.into_file())
    }
}

/// Cells as a line of a table.
fn line<S: AsRef<str>>(cells: &[S]) -> Vec<u8> {
    let mut line = String::new();
    for (place, cell) in cells.iter().enumerate() {
        if place > 0 {
            line.push('\t');
        }
        let cell = cell.as_ref();
        if cell.contains(['\t', '\n', '\r']) {
            line.push_str(&format!("\"{}\"", cell.replace('"', "\"\"")));
        } else {
            line.push_str(cell);
        }
    }
    line.push('\n');
    line.into_bytes()
}
