//! Progress on stderr: a bar on a terminal, plain log lines elsewhere.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The bar of this process, if any, and the door for log lines that must not tear it.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// What is counted unless said otherwise.
const BASES: &str = "bases";

/// Whether a bar may be shown at all.
static WITH_BARS: AtomicBool = AtomicBool::new(true);

/// Target of the log lines of [`Mode::Always`], which a log shows whatever its level.
pub const ALWAYS: &str = "progress";

/// Shows lines from now on also where a bar could be: standard error is read by a program.
pub fn without_bars() {
    WITH_BARS.store(false, Ordering::Relaxed);
}

/// A log line comes at each further tenth, but never sooner than this after the last one …
const SHORTEST: Duration = Duration::from_secs(5);
/// … and never later than this.
const LONGEST: Duration = Duration::from_secs(60);

/// When progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// A bar on a terminal; elsewhere lines in the log, as far as the log shows them.
    #[default]
    Auto,
    /// A bar on a terminal; elsewhere lines in the log under the target [`ALWAYS`].
    Always,
    /// Nothing.
    Never,
}

/// Counts finished work, bases unless said otherwise; shared by all threads of a run.
#[derive(Debug)]
pub struct Progress {
    mode: Mode,
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What is counted, in plural.
    unit: &'static str,
    total: u64,
    done: u64,
    started: Instant,
    reported: Instant,
    tenths: u64,
}

impl Progress {
    /// Shows progress as `mode` says, once [`Progress::start`] has told the total.
    pub fn new(mode: Mode) -> Self {
        let now = Instant::now();
        let bars = WITH_BARS.load(Ordering::Relaxed) && io::stderr().is_terminal();
        let bar = (mode != Mode::Never && bars).then(|| BARS.add(ProgressBar::hidden()));
        let state = State::new(BASES, 0, now);
        Self { mode, bar, state: Mutex::new(state) }
    }

    /// Shows nothing; for library users and tests.
    pub fn silent() -> Self {
        Self::new(Mode::Never)
    }

    /// Begins a run over `total` bases.
    pub fn start(&self, total: u64) {
        self.start_counting(total, BASES);
    }

    /// Begins a run over `total` of something, named in plural.
    pub fn start_counting(&self, total: u64, unit: &'static str) {
        *self.lock() = State::new(unit, total, Instant::now());
        if let Some(bar) = &self.bar {
            let style = format!(
                "{{wide_bar}} {{human_pos}}/{{human_len}} {unit}  {{per_sec}}  {{eta}} left"
            );
            let style = ProgressStyle::with_template(&style).expect("a valid template of ours");
            bar.set_style(style.with_key(
                "per_sec",
                move |state: &_, text: &mut dyn std::fmt::Write| {
                    // A failure to format would only lose this number from the bar.
                    let speed = rate(indicatif::ProgressState::per_sec(state));
                    let _ = write!(text, "{speed} {unit}/s");
                },
            ));
            bar.set_length(total);
            bar.reset();
            bar.enable_steady_tick(Duration::from_millis(250));
        }
    }

    /// Counts `more`; cheap, from any thread.
    pub fn advance(&self, more: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(more);
            return;
        }
        if let Some(line) = self.lock().advance(more, Instant::now()) {
            match self.mode {
                Mode::Auto => tracing::info!("{line}"),
                Mode::Always => tracing::info!(target: ALWAYS, "{line}"),
                Mode::Never => {}
            }
        }
    }

    /// What is finished and all of it.
    #[cfg(test)]
    pub(crate) fn counted(&self) -> (u64, u64) {
        let state = self.lock();
        (state.done, state.total)
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

impl State {
    fn new(unit: &'static str, total: u64, now: Instant) -> Self {
        Self { unit, total, done: 0, started: now, reported: now, tenths: 0 }
    }

    /// Counts, and says what to log when it is time to.
    fn advance(&mut self, more: u64, now: Instant) -> Option<String> {
        self.done += more;
        let silent = now.duration_since(self.reported);
        let tenths = (self.done * 10).checked_div(self.total).unwrap_or(0);
        let due = silent >= LONGEST || (silent >= SHORTEST && tenths > self.tenths);
        if !due {
            return None;
        }
        self.tenths = tenths;
        self.reported = now;
        let speed = self.done as f64 / now.duration_since(self.started).as_secs_f64();
        let unit = self.unit;
        let left = self.total.saturating_sub(self.done) as f64 / speed;
        Some(format!(
            "{} of {} {unit} ({:.0} %), {} {unit}/s, {} left",
            self.done,
            self.total,
            100.0 * self.done as f64 / self.total as f64,
            rate(speed),
            indicatif::HumanDuration(Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX)),
        ))
    }
}

/// Bases per second without false digits: `950`, `12.3 k`, `4.5 M`.
pub fn rate(per_second: f64) -> String {
    if per_second >= 1e6 {
        format!("{:.1} M", per_second / 1e6)
    } else if per_second >= 1e4 {
        format!("{:.1} k", per_second / 1e3)
    } else {
        format!("{per_second:.0}")
    }
}

/// Stderr for log lines: the bar steps aside while a line is written.
///
/// Give `|| LogWriter` to `tracing_subscriber::fmt().with_writer(..)`.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_at_each_tenth_but_neither_too_often_nor_too_rarely() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut state = State::new(BASES, 1000, start);
        assert_eq!(state.advance(150, after(1)), None);
        let line = state.advance(50, after(10)).unwrap();
        assert_eq!(line, "200 of 1000 bases (20 %), 20 bases/s, 40 seconds left");
        assert_eq!(state.advance(100, after(14)), None, "too soon");
        assert!(state.advance(0, after(16)).is_some(), "a tenth further");
        assert_eq!(state.advance(50, after(75)), None, "no further tenth");
        assert!(state.advance(0, after(76)).is_some(), "a minute later");
        assert!(state.advance(650, after(90)).unwrap().contains("100 %"));
    }

    #[test]
    fn a_rate_has_a_readable_unit() {
        let texts: Vec<String> = [950.0, 12_345.0, 4_500_000.0].map(rate).into();
        assert_eq!(texts, ["950", "12.3 k", "4.5 M"]);
    }
}
