//! `milvusctl`: the registry of Milvus connections for people.
//!
//! The way of a command: `Arguments` says what was asked for, a module of `commands` does it with the registry of
//! `milvus-connections` and makes a report, and the [`Console`] shows the report as tables or as JSON. A command that fails
//! returns a `Failure`: what, where, why, and what to try next.
//!
//! Invariant: a secret is neither taken from an argument nor shown. Everything that is written goes through [`Console`],
//! which masks what looks like a password in a URI even where nobody expected one.

mod aliases;
mod arguments;
mod commands;
mod connection_arguments;
mod console;
mod exit;
mod failure;
mod output;
mod progress;
mod screen;
mod secret;

use std::ffi::OsString;
use std::process::ExitCode;

use arguments::Arguments;
pub use console::{Console, ConsoleBuilder};
pub use exit::Exit;
use failure::Failure;

/// The program: the process's arguments, streams and environment.
pub fn main() -> ExitCode {
    let mut console = Console::of_process();
    // `serve` answers on all cores; the commands themselves run on this thread.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let exit = match runtime {
        Ok(runtime) => {
            let exit = runtime.block_on(run(std::env::args_os(), &mut console));
            // A name that is being looked up can't be cancelled, and nobody waits for it any more.
            runtime.shutdown_background();
            exit
        }
        Err(error) => console.fail(&Failure::new(
            Exit::Failed,
            "can't start the asynchronous runtime",
            error,
        )),
    };
    exit.into()
}

/// Runs the command that `arguments` ask for; the first of them is the program's own name.
///
/// ```
/// use milvusctl::{Console, Exit, run};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let mut console = Console::builder().build();
/// assert_eq!(run(["milvusctl", "version"], &mut console).await, Exit::Success);
/// # });
/// ```
pub async fn run<A: Into<OsString> + Clone>(
    arguments: impl IntoIterator<Item = A>,
    console: &mut Console,
) -> Exit {
    let command = arguments::command(console);
    let parsed = command
        .try_get_matches_from(arguments)
        .and_then(|matches| <Arguments as clap::FromArgMatches>::from_arg_matches(&matches));
    let arguments = match parsed {
        Ok(arguments) => arguments,
        Err(error) => return console.refuse(error),
    };
    console.follow(&arguments.shared);
    match commands::run(arguments, console).await {
        Ok(exit) => exit,
        Err(failure) => console.fail(&failure),
    }
}

/// The whole command line, for documentation and tests.
pub fn command_line() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}
