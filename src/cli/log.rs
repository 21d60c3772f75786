//! Log flags, and the log itself: always on stderr.

use atrous::job::progress::LogWriter;
use clap::{ArgAction, Args, ValueEnum};
use std::io::{self, IsTerminal};
use tracing::Level;

/// Flags that every subcommand has: what is said on stderr.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Messages (always on stderr)")]
pub struct LogArgs {
    /// Say more; twice for everything.
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Say less: warnings and errors only; twice for errors only.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    quiet: u8,
    /// One line of text, or one JSON object, per message.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    log_format: LogFormat,
}

/// How messages are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// JSON lines for programs, with time stamps.
    Json,
}

impl LogArgs {
    /// Sends the program's messages to stderr from now on.
    pub fn start(&self) {
        let level = match (self.verbose, self.quiet) {
            (0, 0) => Level::INFO,
            (0, 1) => Level::WARN,
            (0, _) => Level::ERROR,
            (1, _) => Level::DEBUG,
            (_, _) => Level::TRACE,
        };
        let log = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_target(level >= Level::DEBUG)
            .with_ansi(io::stderr().is_terminal())
            .with_writer(|| LogWriter);
        match (self.log_format, self.verbose) {
            (LogFormat::Json, _) => log.json().flatten_event(true).init(),
            (LogFormat::Text, 0) => log.compact().without_time().init(),
            (LogFormat::Text, _) => log.compact().init(),
        }
    }
}
