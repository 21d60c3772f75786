//! `atrous train` and `atrous evaluate` as a user meets them.

#![allow(clippy::unwrap_used, reason = "tests")]

mod data;
mod examples;
mod official;
mod refusals;
#[cfg(feature = "torch")]
mod runs;
#[cfg(feature = "torch")]
mod shared;
mod windows;
