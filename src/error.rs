//! One error type for the whole crate: what went wrong, where, what was found, what was expected,
//! and what to do next.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What kind of failure this is; it decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Bad data or a failed run: exit code 1.
    Data,
    /// A request that cannot be meant: exit code 2.
    Usage,
    /// The reader of our output went away: quiet, exit code 0.
    BrokenPipe,
    /// Stopped by a signal (its number): exit code 128 + number, resumable.
    Signal(i32),
    /// No space left where an output is written: exit code 1, the partial file is kept.
    DiskFull,
}

/// A failure that a person can act on.
///
/// Printed as `path:line:column: what (found …, expected …); remedy`, each part only when known.
/// Control characters of foreign text are escaped.
#[derive(Debug)]
pub struct Error(Box<Parts>);

#[derive(Debug)]
struct Parts {
    kind: Kind,
    what: String,
    path: Option<PathBuf>,
    line: Option<u64>,
    column: Option<u64>,
    found: Option<String>,
    expected: Option<String>,
    remedy: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// Bad data or a failed run, described in one clause without a full stop.
    pub fn new(what: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            kind: Kind::Data,
            what: what.into(),
            path: None,
            line: None,
            column: None,
            found: None,
            expected: None,
            remedy: None,
            source: None,
        }))
    }

    /// A request that cannot be meant (exit code 2).
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(what).kind_is(Kind::Usage)
    }

    /// An I/O failure on a file. A broken pipe and a full disk keep their own [`Kind`].
    pub fn io(path: &Path, doing: &str, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::BrokenPipe => Kind::BrokenPipe,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::DiskFull,
            _ => Kind::Data,
        };
        let mut error = Self::new(format!("cannot {doing}: {source}")).at(path).kind_is(kind);
        if kind == Kind::DiskFull {
            error = error.remedy("free some space or choose another output folder");
        }
        error.0.source = Some(Box::new(source));
        error
    }

    /// Stopped by signal `number`.
    pub fn signal(number: i32) -> Self {
        Self::new(format!("stopped by signal {number}")).kind_is(Kind::Signal(number))
    }

    fn kind_is(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self
    }

    /// The file that the failure is about.
    pub fn at(mut self, path: &Path) -> Self {
        self.0.path = Some(path.to_path_buf());
        self
    }

    /// The file whose line the failure names, if it names a line and no file yet.
    pub fn of_line_in(self, path: &Path) -> Self {
        if self.0.path.is_none() && self.0.line.is_some() { self.at(path) } else { self }
    }

    /// The line of the file, counted from 1.
    pub fn line(mut self, line: u64) -> Self {
        self.0.line = Some(line);
        self
    }

    /// The column of the line, counted from 1.
    pub fn column(mut self, column: u64) -> Self {
        self.0.column = Some(column);
        self
    }

    /// What was there.
    pub fn found(mut self, found: impl fmt::Display) -> Self {
        self.0.found = Some(found.to_string());
        self
    }

    /// What should have been there.
    pub fn expected(mut self, expected: impl fmt::Display) -> Self {
        self.0.expected = Some(expected.to_string());
        self
    }

    /// What the user can do about it.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.0.remedy = Some(remedy.into());
        self
    }

    /// What went wrong, without the rest.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// The file that the failure is about, its line and column.
    pub fn place(&self) -> (Option<&Path>, Option<u64>, Option<u64>) {
        (self.0.path.as_deref(), self.0.line, self.0.column)
    }

    /// What was there, what should have been there, and what the user can do, where known.
    pub fn advice(&self) -> [Option<&str>; 3] {
        [&self.0.found, &self.0.expected, &self.0.remedy].map(Option::as_deref)
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The process exit code that this failure asks for.
    pub fn exit_code(&self) -> u8 {
        match self.0.kind {
            Kind::Data | Kind::DiskFull => 1,
            Kind::Usage => 2,
            Kind::BrokenPipe => 0,
            Kind::Signal(number) => u8::try_from(128 + number).unwrap_or(1),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = &self.0;
        match (&parts.path, parts.line, parts.column) {
            (Some(path), line, column) => {
                write!(f, "{}", escape(&path.display().to_string()))?;
                for number in [line, column].into_iter().flatten() {
                    write!(f, ":{number}")?;
                }
                write!(f, ": ")?;
            }
            (None, Some(line), Some(column)) => write!(f, "line {line}, column {column}: ")?,
            (None, Some(line), None) => write!(f, "line {line}: ")?,
            (None, None, _) => {}
        }
        write!(f, "{}", escape(&parts.what))?;
        match (&parts.found, &parts.expected) {
            (Some(found), Some(expected)) => {
                write!(f, " (found {}, expected {})", escape(found), escape(expected))?
            }
            (Some(found), None) => write!(f, " (found {})", escape(found))?,
            (None, Some(expected)) => write!(f, " (expected {})", escape(expected))?,
            (None, None) => {}
        }
        if let Some(remedy) = &parts.remedy {
            write!(f, "; {}", escape(remedy))?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|e| e as &(dyn std::error::Error + 'static))
    }
}

/// Foreign text made safe for a terminal: control characters as `\xNN`, at most 300 characters.
fn escape(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut safe = String::with_capacity(text.len());
    for (count, c) in text.chars().enumerate() {
        if count == LONGEST {
            safe.push('…');
            break;
        }
        if c.is_control() { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_place_the_values_and_the_remedy() {
        let error = Error::new("end is before start")
            .at(Path::new("peaks.bed"))
            .line(17)
            .found("90")
            .expected("at least 120")
            .remedy("swap the two columns");
        assert_eq!(
            error.to_string(),
            "peaks.bed:17: end is before start (found 90, expected at least 120); \
             swap the two columns"
        );
        assert_eq!(error.exit_code(), 1);
    }

    #[test]
    fn foreign_text_cannot_drive_the_terminal() {
        assert_eq!(Error::new("name \u{1b}[2J").to_string(), "name \\u{1b}[2J");
    }

    #[test]
    fn the_exit_code_follows_the_kind() {
        assert_eq!(Error::usage("x").exit_code(), 2);
        assert_eq!(Error::signal(15).exit_code(), 143);
        let pipe = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(Error::io(Path::new("-"), "write", pipe).exit_code(), 0);
    }
}
