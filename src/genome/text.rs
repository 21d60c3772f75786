//! Text files line by line: plain, gzip (also several members) or bgzip, told by content; `-` is
//! standard input. Line numbers, CRLF and the byte-order mark are dealt with here once.

use super::bgzip::{self, Compression, HEADER_SIZE};
use crate::error::{Error, Result};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest line that is taken for text, in bytes: annotation lines reach some 100 kB, and a file
/// without line ends must not fill the memory.
const LONGEST_LINE: u64 = 16 << 20;

/// The lines of a text file.
pub(crate) struct Lines {
    path: Arc<Path>,
    reader: Box<dyn BufRead>,
    /// The line that was read last, without its line end.
    buffer: Vec<u8>,
    number: u64,
    /// Whether that line ended in CRLF.
    crlf: bool,
    /// Whether that line is still to be given out.
    ahead: bool,
    longest: u64,
    /// Bytes of the file itself, compressed as it is: how many were read, and all of them where
    /// that is known.
    consumed: Arc<AtomicU64>,
    size: Option<u64>,
}

/// Counts what is read from a file.
struct Counted<R> {
    reader: R,
    consumed: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.consumed.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// A line of any bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Counted from 1.
    pub(crate) number: u64,
    /// Without the line end.
    pub(crate) bytes: &'a [u8],
    /// Whether it ended in CRLF.
    pub(crate) crlf: bool,
}

/// What some editors put before UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Lines {
    /// Opens a file, or standard input for `-`.
    ///
    /// # Errors
    /// A missing file, a folder, a file that cannot be read.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if path.as_os_str() == "-" {
            return Self::from_reader(io::stdin(), Path::new("standard input"));
        }
        let mut file = open_file(path)?;
        if file.metadata().is_ok_and(|m| m.is_file()) {
            let head = read_head(&mut file).map_err(|e| Error::io(path, "read", e))?;
            if Compression::of(&head) == Compression::Bgzip {
                bgzip::warn_without_end_block(&mut file, path)
                    .map_err(|e| Error::io(path, "read", e))?;
            }
            io::Seek::rewind(&mut file).map_err(|e| Error::io(path, "read", e))?;
        }
        let size = file.metadata().ok().filter(|m| m.is_file()).map(|m| m.len());
        Ok(Self { size, ..Self::from_reader(file, path)? })
    }

    /// Reads from any source; `path` is its name in messages.
    ///
    /// # Errors
    /// A source that cannot be read.
    pub(crate) fn from_reader(reader: impl Read + 'static, path: &Path) -> Result<Self> {
        let consumed = Arc::new(AtomicU64::new(0));
        let mut reader = Counted { reader, consumed: Arc::clone(&consumed) };
        let head = read_head(&mut reader).map_err(|e| Error::io(path, "read", e))?;
        let compression = Compression::of(&head);
        let all = Cursor::new(head).chain(reader);
        let reader: Box<dyn BufRead> = match compression {
            Compression::Plain => Box::new(BufReader::new(all)),
            Compression::Gzip | Compression::Bgzip => {
                Box::new(BufReader::new(MultiGzDecoder::new(BufReader::new(all))))
            }
        };
        let path = path.into();
        Ok(Self {
            path,
            reader,
            buffer: Vec::new(),
            number: 0,
            crlf: false,
            ahead: false,
            longest: LONGEST_LINE,
            consumed,
            size: None,
        })
    }

    /// The same lines, of up to so many bytes.
    pub(crate) fn with_longest(self, longest: u64) -> Self {
        Self { longest, ..self }
    }

    /// The next line, counted from 1, without its line end (LF or CRLF).
    ///
    /// # Errors
    /// A read failure, corrupt or truncated compression, a line that is not UTF-8 text.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, &str)>> {
        if !self.fill()? {
            return Ok(None);
        }
        self.ahead = false;
        self.text()
    }

    /// The next line, which stays the next one.
    ///
    /// # Errors
    /// As [`Lines::next`].
    pub(crate) fn peek(&mut self) -> Result<Option<(u64, &str)>> {
        if !self.fill()? {
            return Ok(None);
        }
        self.text()
    }

    /// The next line as [`Lines::next`] gives it, but of any bytes.
    ///
    /// # Errors
    /// A read failure, corrupt or truncated compression.
    pub(crate) fn next_bytes(&mut self) -> Result<Option<Line<'_>>> {
        if !self.fill()? {
            return Ok(None);
        }
        self.ahead = false;
        Ok(Some(Line { number: self.number, bytes: &self.buffer, crlf: self.crlf }))
    }

    /// Whether the next bytes are these, for files that turn out to hold no lines.
    ///
    /// # Errors
    /// As [`Lines::next_bytes`].
    pub(crate) fn starts_with(&mut self, bytes: &[u8]) -> Result<bool> {
        match self.reader.fill_buf() {
            Ok(next) => Ok(next.starts_with(bytes)),
            Err(e) => Err(self.unreadable(e)),
        }
    }

    /// Fills a buffer from a file that holds no lines; false at the end of the file.
    ///
    /// # Errors
    /// As [`Lines::next_bytes`]; a file that ends within the buffer.
    pub(crate) fn read_exact(&mut self, buffer: &mut [u8]) -> Result<bool> {
        let at_end = self.reader.fill_buf().map(<[u8]>::is_empty);
        match at_end.and_then(|at_end| {
            if !at_end {
                self.reader.read_exact(buffer)?;
            }
            Ok(!at_end)
        }) {
            Ok(more) => Ok(more),
            Err(e) => Err(self.unreadable(e)),
        }
    }

    /// The line in the buffer, if it is text.
    fn text(&self) -> Result<Option<(u64, &str)>> {
        match std::str::from_utf8(&self.buffer) {
            Ok(line) => Ok(Some((self.number, line))),
            Err(_) => Err(self
                .error("not a text file")
                .found("bytes that are not UTF-8")
                .remedy("check that this is the file that you mean")),
        }
    }

    /// Makes sure that the next line is in the buffer; false at the end of the file.
    fn fill(&mut self) -> Result<bool> {
        if self.ahead {
            return Ok(true);
        }
        self.buffer.clear();
        let read = (&mut self.reader).take(self.longest).read_until(b'\n', &mut self.buffer);
        let read = match read {
            Ok(read) => read,
            Err(e) => return Err(self.unreadable(e)),
        };
        if read == 0 {
            return Ok(false);
        }
        self.number += 1;
        self.crlf = false;
        if self.buffer.ends_with(b"\n") {
            self.buffer.pop();
            if self.buffer.ends_with(b"\r") {
                self.buffer.pop();
                self.crlf = true;
            }
        } else if read as u64 == self.longest {
            return Err(self
                .error("line too long for a text file")
                .expected(format!("at most {} bytes", self.longest))
                .remedy("check that this is the file that you mean"));
        }
        if self.number == 1 {
            if self.buffer.starts_with(&[0xff, 0xfe]) || self.buffer.starts_with(&[0xfe, 0xff]) {
                return Err(self
                    .error("UTF-16 text")
                    .expected("UTF-8")
                    .remedy("convert it: `iconv -f UTF-16 -t UTF-8 IN > OUT`"));
            }
            if self.buffer.starts_with(BYTE_ORDER_MARK) {
                self.buffer.drain(..BYTE_ORDER_MARK.len());
            }
        }
        self.ahead = true;
        Ok(true)
    }

    /// How many bytes of the file were read so far, compressed as it is, and its size where that is
    /// known.
    pub(crate) fn consumed(&self) -> (u64, Option<u64>) {
        (self.consumed.load(Ordering::Relaxed), self.size)
    }

    /// The file's name for messages.
    pub(crate) fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// An error about the line that [`Lines::next`] gave last.
    pub(crate) fn error(&self, what: impl Into<String>) -> Error {
        Error::new(what).at(&self.path).line(self.number.max(1))
    }

    fn unreadable(&self, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidData => {
                Error::new(format!("truncated or corrupt gzip file: {error}"))
                    .at(&self.path)
                    .line(self.number + 1)
                    .remedy("check it with `gzip -t` and copy or download it again")
            }
            _ => Error::io(&self.path, "read", error),
        }
    }
}

/// Opens a file for reading, with one clear error for what people get wrong.
///
/// # Errors
/// A missing file, a folder, a file that cannot be opened.
pub(crate) fn open_file(path: &Path) -> Result<File> {
    let file = File::open(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => {
            Error::new("no such file").at(path).remedy("check the path and the working folder")
        }
        _ => Error::io(path, "open", e),
    })?;
    if file.metadata().is_ok_and(|m| m.is_dir()) {
        return Err(Error::new("a folder").at(path).expected("a file"));
    }
    Ok(file)
}

/// The first bytes of a source, as many as a BGZF header has, fewer if it is shorter.
pub(crate) fn read_head(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEADER_SIZE);
    reader.take(HEADER_SIZE as u64).read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression as Level, write::GzEncoder};
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut writer = GzEncoder::new(Vec::new(), Level::fast());
        writer.write_all(text).unwrap();
        writer.finish().unwrap()
    }

    fn lines(bytes: Vec<u8>) -> Result<Vec<String>> {
        let mut lines = Lines::from_reader(Cursor::new(bytes), Path::new("x.bed"))?;
        let mut all = Vec::new();
        while let Some((_, line)) = lines.next()? {
            all.push(line.to_owned());
        }
        Ok(all)
    }

    #[test]
    fn line_ends_and_the_byte_order_mark_are_dropped() {
        let text = b"\xef\xbb\xbfone\r\ntwo\n\nlast".to_vec();
        assert_eq!(lines(text).unwrap(), ["one", "two", "", "last"]);
        assert!(lines(Vec::new()).unwrap().is_empty());
    }

    #[test]
    fn gzip_members_are_read_in_order_whatever_the_name() {
        let two = [gzip(b"one\ntw"), gzip(b"o\n")].concat();
        assert_eq!(lines(two).unwrap(), ["one", "two"]);
    }

    #[test]
    fn damaged_input_is_one_error_with_the_line() {
        let mut cut = gzip(b"one\ntwo\n");
        cut.truncate(cut.len() - 6);
        let error = lines(cut).unwrap_err().to_string();
        assert!(error.contains("x.bed:") && error.contains("gzip -t"), "{error}");
        let error = lines(b"ok\n\xff\xfe\xfd\n".to_vec()).unwrap_err().to_string();
        assert!(error.contains("x.bed:2: not a text file"), "{error}");
        let error = lines(b"\xff\xfeo\0n\0e\0".to_vec()).unwrap_err().to_string();
        assert!(error.contains("UTF-16") && error.contains("iconv"), "{error}");
    }
}
