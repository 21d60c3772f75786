//! Tables with a row per allele and gene.

use crate::error::Result;
use crate::job::OutputFile;
use crate::track::text::TextFile;
use std::path::Path;

/// Writes rows of text separated by tabs; cells that hold a tab, a quote or a line end are quoted.
pub struct AlleleTable {
    text: TextFile,
    rows: u64,
    head: u64,
}

impl AlleleTable {
    /// Opens a table, before any work, and writes its header below `comments`.
    ///
    /// # Errors
    /// The file cannot be opened or written.
    pub fn create(
        path: &Path,
        bgzip: bool,
        comments: &[Vec<u8>],
        columns: &[String],
    ) -> Result<Self> {
        let mut text = TextFile::new(OutputFile::create(path)?, bgzip);
        for comment in comments {
            text.put(comment)?;
            text.put(b"\n")?;
        }
        let mut table = Self { text, rows: 0, head: 0 };
        table.put(columns)?;
        table.text.end_block()?;
        table.head = table.text.file().bytes();
        Ok(table)
    }

    /// Adds a row with a cell for each column.
    ///
    /// # Errors
    /// Any failure to write.
    pub fn write<S: AsRef<str>>(&mut self, cells: &[S]) -> Result<()> {
        self.rows += 1;
        self.put(cells)
    }

    fn put<S: AsRef<str>>(&mut self, cells: &[S]) -> Result<()> {
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
        self.text.put(line.as_bytes())
    }

    /// Rows so far, the header aside.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of the file before its rows, which each of several parts has.
    pub fn head(&self) -> u64 {
        self.head
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
