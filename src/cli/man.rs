//! `atrous man`: manual pages made from the help texts.

use anyhow::Result;
use atrous::Error;
use atrous::job::output::{OutputFile, commit_all};
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Print the manual page, or write those of all commands to a folder.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ManArgs {
    /// Write one page for each command to this folder, which is made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  atrous man | man -l -
  atrous man --out ~/.local/share/man/man1 && man atrous-predict";

/// Runs the subcommand.
pub fn run(args: &ManArgs) -> Result<()> {
    let mut command = super::Cli::command().disable_help_subcommand(true);
    command.build();
    let Some(folder) = &args.out else {
        let written = io::stdout().lock().write_all(&page(command)?);
        return Ok(written.map_err(|error| Error::io(Path::new("-"), "write", error))?);
    };
    fs::create_dir_all(folder).map_err(|error| Error::io(folder, "make the folder", error))?;
    let mut files = Vec::new();
    for (name, page) in pages(command)? {
        let mut file = OutputFile::create(&folder.join(format!("{name}.1")))?;
        file.write_all(&page).map_err(|error| file.error(error))?;
        files.push(file);
    }
    let number = files.len() as u64;
    commit_all(files)?;
    tracing::info!("{} in {}", super::args::count(number, "page"), folder.display());
    Ok(())
}

/// The pages of the program and of each command, with their names.
fn pages(command: Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut pages = Vec::new();
    for part in command.get_subcommands().filter(|part| !part.is_hide_set()) {
        // `atrous-predict`, which building the command has set
        let name = part.get_display_name().unwrap_or(part.get_name());
        pages.push((name.to_string(), page(part.clone())?));
    }
    pages.insert(0, (command.get_name().into(), page(command)?));
    Ok(pages)
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    Ok(page)
}
