//! A text output, plain or in BGZF blocks that end where we say.

use crate::error::{Error, Result};
use crate::job::OutputFile;
use noodles::bgzf::{self, VirtualPosition};
use std::io::{self, Write};
use std::mem;

/// An output of lines. BGZF is written by one thread, which knows its virtual positions.
pub struct TextFile {
    writer: Writer,
}

enum Writer {
    Plain(OutputFile),
    /// `base` is the length of the file when the writer was made.
    Bgzf {
        writer: bgzf::io::Writer<OutputFile>,
        base: u64,
    },
    /// Only for the moment in which the file changes hands.
    Moving,
}

impl TextFile {
    /// Writes on after what the file already holds.
    pub fn new(file: OutputFile, bgzip: bool) -> Self {
        let writer = match bgzip {
            true => Writer::Bgzf { base: file.bytes(), writer: bgzf::io::Writer::new(file) },
            false => Writer::Plain(file),
        };
        Self { writer }
    }

    /// The file underneath.
    pub fn file(&self) -> &OutputFile {
        match &self.writer {
            Writer::Plain(file) => file,
            Writer::Bgzf { writer, .. } => writer.get_ref(),
            Writer::Moving => unreachable!("the file changes hands only within one call"),
        }
    }

    /// Where the next byte goes in a BGZF file; zero in a plain one, which has no index.
    pub fn position(&self) -> VirtualPosition {
        let Writer::Bgzf { writer, base } = &self.writer else {
            return VirtualPosition::MIN;
        };
        let here = writer.virtual_position();
        VirtualPosition::try_from((base + here.compressed(), here.uncompressed()))
            .expect("a file below 256 TiB")
    }

    /// Adds text.
    pub fn put(&mut self, text: &[u8]) -> Result<()> {
        self.write_all(text).map_err(|e| self.error(e))
    }

    /// Ends the current BGZF block; nothing where there is none.
    pub fn end_block(&mut self) -> Result<()> {
        Write::flush(self).map_err(|e| self.error(e))
    }

    /// Ends the block and hands everything to the operating system; returns the file's length.
    pub fn hand_over(&mut self) -> Result<u64> {
        self.end_block()?;
        // The BGZF writer lends out its file only for reading, so it is unpacked and made anew.
        let bgzip = matches!(self.writer, Writer::Bgzf { .. });
        let mut file = self.take();
        let flushed = file.flush();
        *self = Self::new(file, bgzip);
        flushed.map_err(|e| self.error(e))?;
        Ok(self.file().bytes())
    }

    /// Writes what is left and, for BGZF, the empty last block; then the file is complete, but not
    /// yet committed.
    pub fn finish(&mut self) -> Result<()> {
        if let Writer::Bgzf { writer, .. } = &mut self.writer {
            let finished = writer.try_finish();
            finished.map_err(|e| self.error(e))?;
        }
        let mut file = self.take();
        let finished = file.finish();
        self.writer = Writer::Plain(file);
        finished
    }

    /// Gives up the file; what was not finished is lost.
    pub fn into_file(mut self) -> OutputFile {
        self.take()
    }

    fn take(&mut self) -> OutputFile {
        match mem::replace(&mut self.writer, Writer::Moving) {
            Writer::Plain(file) => file,
            Writer::Bgzf { writer, .. } => writer.into_inner(),
            Writer::Moving => unreachable!("the file changes hands only within one call"),
        }
    }

    fn error(&self, source: io::Error) -> Error {
        self.file().error(source)
    }
}

/// How many bytes of a file a text takes that is in a block of its own.
pub fn block_length(text: &[u8], bgzip: bool) -> u64 {
    if !bgzip {
        return text.len() as u64;
    }
    let mut writer = bgzf::io::Writer::new(Vec::new());
    writer.write_all(text).and_then(|()| writer.flush()).expect("memory takes what is written");
    writer.get_ref().len() as u64
}

impl Write for TextFile {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        match &mut self.writer {
            Writer::Plain(file) => file.write(text),
            Writer::Bgzf { writer, .. } => writer.write(text),
            Writer::Moving => Ok(0),
        }
    }

    /// Ends the current BGZF block; a plain file stays buffered.
    fn flush(&mut self) -> io::Result<()> {
        match &mut self.writer {
            Writer::Bgzf { writer, .. } => writer.flush(),
            Writer::Plain(_) | Writer::Moving => Ok(()),
        }
    }
}
