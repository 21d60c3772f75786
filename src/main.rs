//! The `atrous` program: parse, log, threads, one match, exit code.

mod cli;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    cli.log.start();
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

/// Says what went wrong and turns it into the exit code of CLI.md.
fn report(error: &anyhow::Error) -> ExitCode {
    let code = error.downcast_ref::<atrous::Error>().map_or(1, atrous::Error::exit_code);
    if code != 0 {
        tracing::error!("{error}");
    }
    ExitCode::from(code)
}
