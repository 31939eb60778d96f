//! The commands of `narthex`. Start at [`flags`], which declares them, then read the module of a command's name;
//! `run` is where the whole system is put together.

pub mod check;
mod configuration;
pub mod echo;
pub mod exit;
pub mod explain;
pub mod flags;
mod output;
mod reference;
mod run;
mod schema;
mod settings;
mod shown;
mod signals;
pub mod values;
mod version;

pub use reference::cli_reference_markdown;

use exit::Exit;
use flags::{Cli, Command};
use std::process::ExitCode;

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = Cli::read();
    output::set_colour(cli.color);
    let exit = match &cli.command {
        Command::Echo(flags) => echo::run(flags),
        Command::Version(flags) => version::run(flags),
        Command::Completion { shell } => complete(*shell),
        Command::Check(flags) => check::run(flags),
        Command::Explain(flags) => explain::run(flags),
        Command::Snapshot(flags) => shown::snapshot(flags),
        Command::Status(flags) => shown::status(flags),
        Command::Schema(flags) => schema::run(flags),
        Command::Run(flags) => run::run(flags, cli.color),
    };
    exit.into()
}

/// Prints the completion script of a shell.
fn complete(shell: clap_complete::Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut flags::command(), "narthex", &mut script);
    output::print(&String::from_utf8_lossy(&script));
    Exit::Success
}
