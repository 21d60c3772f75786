//! The `atrous` program: parse, log, threads, one match, exit code.

mod cli;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(refused) => return cli::log::refuse(&refused),
    };
    let log = cli.log.start();
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => log.report(&error),
    }
}
