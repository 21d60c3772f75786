//! SIGINT and SIGTERM: noted when they arrive, acted on between pieces of work.

use crate::error::{Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The signal that arrived, 0 for none.
static ARRIVED: AtomicUsize = AtomicUsize::new(0);

/// Whether one has arrived already, so that the next one ends the process at once.
static INSISTS: AtomicBool = AtomicBool::new(false);

/// Starts to note the signals. A second one ends the process at once; the partial outputs stay.
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

/// Fails when a signal has arrived; called between pieces of work.
///
/// # Errors
/// [`Error::signal`] with the number of the signal.
pub fn check() -> Result<()> {
    match i32::try_from(ARRIVED.load(Ordering::Relaxed)) {
        Ok(0) | Err(_) => Ok(()),
        Ok(number) => Err(Error::signal(number)),
    }
}
