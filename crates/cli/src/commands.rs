//! The commands, one file each: what it is asked with, what it does, and what its report says.
//!
//! Invariant: a command returns its report or a failure; it writes nothing by other ways than the [`Console`].

pub(crate) mod add;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod key;
pub(crate) mod list;
pub(crate) mod ping;
pub(crate) mod remove;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod top;
pub(crate) mod version;

use crate::arguments::{Arguments, Command};
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;

/// Runs the command that was asked for.
pub(crate) async fn run(arguments: Arguments, console: &mut Console) -> Result<Exit, Failure> {
    let shared = &arguments.shared;
    match arguments.command {
        Command::Add(arguments) => add::run(&arguments, shared, console),
        Command::List(arguments) => list::run(&arguments, shared, console),
        Command::Show(arguments) => show::run(&arguments, shared, console),
        Command::Remove(arguments) => remove::run(&arguments, shared, console),
        Command::Explain(arguments) => explain::run(&arguments, shared, console),
        Command::Ping(arguments) => ping::run(&arguments, shared, console).await,
        Command::Doctor(arguments) => doctor::run(arguments, shared, console).await,
        Command::Top(arguments) => top::run(&arguments, shared, console).await,
        Command::Version(arguments) => version::run(&arguments, shared, console).await,
        Command::Completions(arguments) => completions::run(&arguments, console),
        Command::Demo(arguments) => demo::run(&arguments, console).await,
        Command::Serve(arguments) => serve::run(&arguments, console).await,
        Command::Key(arguments) => key::run(arguments, console).await,
    }
}
