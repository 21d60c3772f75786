//! Log flags, and the log itself: always on stderr.

use atrous::job::progress::LogWriter;
use clap::{ArgAction, Args, ValueEnum};
use std::fmt;
use std::io::{self, IsTerminal};
use std::time::Instant;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

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
    /// One line of text, or one JSON object with a time stamp, per message.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    log_format: LogFormat,
}

/// How messages are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    #[default]
    Text,
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
            .with_ansi(io::stderr().is_terminal())
            .with_writer(|| LogWriter);
        match self.log_format {
            LogFormat::Json => log.json().flatten_event(true).init(),
            LogFormat::Text => {
                let clock = (level >= Level::DEBUG).then(Instant::now);
                log.event_format(ForPeople { clock }).init();
            }
        }
    }
}

/// Lines as clap writes them: `error: …`, `warning: …`, plain information; with `-v` also the
/// seconds since the start.
struct ForPeople {
    clock: Option<Instant>,
}

impl<S, N> FormatEvent<S, N> for ForPeople
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        const RED: u8 = 31;
        const YELLOW: u8 = 33;
        if let Some(start) = self.clock {
            write!(writer, "{:9.3} s  ", start.elapsed().as_secs_f64())?;
        }
        let label = match *event.metadata().level() {
            Level::ERROR => Some(("error", RED)),
            Level::WARN => Some(("warning", YELLOW)),
            _ => None,
        };
        match label {
            Some((label, colour)) if writer.has_ansi_escapes() => {
                write!(writer, "\u{1b}[1;{colour}m{label}:\u{1b}[0m ")?;
            }
            Some((label, _)) => write!(writer, "{label}: ")?,
            None => {}
        }
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
