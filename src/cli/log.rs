//! Log flags, and the log itself: always on stderr.

use atrous::job::progress::{self, LogWriter};
use clap::{ArgAction, Args, ValueEnum};
use std::fmt;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Instant;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{self as log, FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

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
    pub fn start(&self) -> Log {
        let level = match (self.verbose, self.quiet) {
            (0, 0) => Level::INFO,
            (0, 1) => Level::WARN,
            (0, _) => Level::ERROR,
            (1, _) => Level::DEBUG,
            (_, _) => Level::TRACE,
        };
        let lines = log::layer().with_writer(|| LogWriter);
        let lines: Box<dyn Layer<Registry> + Send + Sync> = match self.log_format {
            LogFormat::Json => {
                progress::without_bars();
                lines.json().flatten_event(true).boxed()
            }
            LogFormat::Text => {
                let clock = (level >= Level::DEBUG).then(Instant::now);
                let lines = lines.with_ansi(io::stderr().is_terminal());
                lines.event_format(ForPeople { clock }).boxed()
            }
        };
        let wanted = Targets::new()
            .with_default(LevelFilter::from_level(level))
            .with_target(progress::ALWAYS, LevelFilter::INFO);
        tracing_subscriber::registry().with(lines.with_filter(wanted)).init();
        Log { format: self.log_format }
    }
}

/// The log of this process.
pub struct Log {
    format: LogFormat,
}

impl Log {
    /// Says what went wrong and turns it into the exit code of the help text.
    pub fn report(&self, error: &anyhow::Error) -> ExitCode {
        let known = error.downcast_ref::<atrous::Error>();
        let code = known.map_or(1, atrous::Error::exit_code);
        match known {
            _ if code == 0 => {}
            Some(error) if self.format == LogFormat::Json => {
                let (file, line, column) = error.place();
                let file = file.map(|file| file.display().to_string());
                let [found, expected, remedy] = error.advice();
                let file = file.as_deref();
                tracing::error!(file, line, column, found, expected, remedy, "{}", error.what());
            }
            _ => tracing::error!("{error}"),
        }
        ExitCode::from(code)
    }
}

/// Help and version as asked for; or what is wrong with the arguments, as `--log-format` among
/// them wants it, which was not read then.
pub fn refuse(refused: &clap::Error) -> ExitCode {
    let words: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let json = words.iter().any(|word| word == "--log-format=json")
        || words.windows(2).any(|pair| pair[0] == "--log-format" && pair[1] == "json");
    if !json || !refused.use_stderr() {
        refused.exit();
    }
    LogArgs { verbose: 0, quiet: 0, log_format: LogFormat::Json }.start();
    let text = refused.render().to_string();
    tracing::error!("{}", text.trim_start_matches("error: ").trim_end());
    ExitCode::from(2)
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
