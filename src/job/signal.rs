//! SIGINT and SIGTERM: noted when they arrive, acted on between pieces of work, or after a while even
//! within one: what is on disk can be resumed at any time.

use crate::error::{Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// The signal that arrived, 0 for none.
static ARRIVED: AtomicUsize = AtomicUsize::new(0);

/// Whether one has arrived already, so that the next one ends the process at once.
static INSISTS: AtomicBool = AtomicBool::new(false);

/// How long a piece of work may still take after a signal; schedulers kill after 30 seconds or so.
const GRACE: Duration = Duration::from_secs(5);

/// Starts to note the signals. A run stops between two pieces of work; a second signal ends the
/// process at once, and the partial outputs stay.
///
/// # Errors
/// The operating system refuses.
pub fn install() -> Result<()> {
    for number in [SIGINT, SIGTERM] {
        // The order matters: the first signal finds INSISTS unset, sets it and is noted.
        flag::register_conditional_shutdown(number, 128 + number, &INSISTS)
            .and_then(|_| flag::register(number, &INSISTS))
            .and_then(|_| flag::register_usize(number, &ARRIVED, number.unsigned_abs() as usize))
            .map_err(|e| Error::new(format!("cannot watch for signal {number}: {e}")))?;
    }
    Ok(())
}

/// Ends the process where a piece of work takes more than [`GRACE`] after a signal: for runs whose
/// state on disk can be resumed at any time.
///
/// # Errors
/// The operating system refuses a thread.
pub fn end_within_grace() -> Result<()> {
    let watcher = thread::Builder::new().name("atrous-signal".into()).spawn(|| {
        while arrived().is_none() {
            thread::sleep(POLL);
        }
        thread::sleep(GRACE);
        if let Some(number) = arrived() {
            tracing::warn!("stopped by signal {number} within a piece of work");
            low_level::exit(128 + number);
        }
    });
    watcher.map(drop).map_err(|e| Error::new(format!("cannot start a thread: {e}")))
}

/// How often the signals are looked at.
const POLL: Duration = Duration::from_millis(200);

/// The number of the signal that arrived.
fn arrived() -> Option<i32> {
    i32::try_from(ARRIVED.load(Ordering::Relaxed)).ok().filter(|&number| number != 0)
}

/// Fails when a signal has arrived; called between pieces of work.
///
/// # Errors
/// [`Error::signal`] with the number of the signal.
pub fn check() -> Result<()> {
    arrived().map_or(Ok(()), |number| Err(Error::signal(number)))
}
