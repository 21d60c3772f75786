//! `atrous completions`: what a shell needs to complete commands, flags and their values.

use anyhow::Result;
use atrous::Error;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::io::{self, Write};
use std::path::Path;

/// Print the completions of a shell.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  atrous completions bash > ~/.local/share/bash-completion/completions/atrous
  atrous completions zsh > ~/.zfunc/_atrous      # a folder of $fpath
  atrous completions fish > ~/.config/fish/completions/atrous.fish";

/// Runs the subcommand.
pub fn run(args: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    let mut command = super::Cli::command();
    let name = command.get_name().to_string();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    let written = io::stdout().lock().write_all(&script);
    Ok(written.map_err(|error| Error::io(Path::new("-"), "write", error))?)
}
