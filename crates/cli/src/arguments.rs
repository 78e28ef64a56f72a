//! The command line: commands, options that all of them share, and their help.
//!
//! Invariant: no argument takes a secret; those whose names say that they would are there only to refuse it.

use std::path::PathBuf;

use clap::builder::Styles;
use clap::builder::styling::{AnsiColor, Style};
use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::commands::{
    add::AddArguments, completions::CompletionsArguments, demo::DemoArguments,
    doctor::DoctorArguments, explain::ExplainArguments, key::KeyArguments, list::ListArguments,
    ping::PingArguments, remove::RemoveArguments, serve::ServeArguments, show::ShowArguments,
    top::TopArguments, version::VersionArguments,
};
use crate::console::Console;
use crate::exit;
use crate::output::{Color, Format};

/// Columns of help where the terminal is wider, or there is none.
const HELP_WIDTH: usize = 100;

/// Name your Milvus instances once, connect to them by name, and find out what is wrong.
#[derive(Debug, Parser)]
#[command(name = "milvusctl", version, styles = styles(), disable_help_subcommand = true, after_help = after_help())]
pub(crate) struct Arguments {
    /// What all commands understand.
    #[command(flatten)]
    pub(crate) shared: SharedArguments,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of all commands.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of all commands")]
pub(crate) struct SharedArguments {
    /// The profile file [default: $MILVUS_CONNECTIONS_FILE, ./milvus-connections.toml, or
    /// milvus-connections/connections.toml in the platform's configuration folder]
    #[arg(long, short, global = true, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// How to show results [default: table on a terminal, json when piped]
    #[arg(
        long,
        global = true,
        value_enum,
        hide_possible_values = true,
        value_name = "table|json"
    )]
    pub(crate) format: Option<Format>,
    /// Short for --format json; errors are then JSON too, on standard error
    #[arg(long, global = true, conflicts_with = "format")]
    pub(crate) json: bool,
    /// Whether to use colour; NO_COLOR and CLICOLOR_FORCE are heeded
    #[arg(
        long,
        global = true,
        value_enum,
        hide_possible_values = true,
        value_name = "auto|always|never",
        default_value = "auto"
    )]
    pub(crate) color: Color,
}

impl SharedArguments {
    /// The form that was asked for.
    pub(crate) fn wanted_format(&self) -> Option<Format> {
        if self.json {
            Some(Format::Json)
        } else {
            self.format
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Add(AddArguments),
    #[command(visible_alias = "ls")]
    List(ListArguments),
    Show(ShowArguments),
    #[command(visible_alias = "rm")]
    Remove(RemoveArguments),
    Explain(ExplainArguments),
    Ping(PingArguments),
    Doctor(DoctorArguments),
    Top(TopArguments),
    Version(VersionArguments),
    Completions(CompletionsArguments),
    Demo(DemoArguments),
    Serve(ServeArguments),
    Key(KeyArguments),
}

fn styles() -> Styles {
    Styles::styled()
        .header(Style::new().bold())
        .usage(Style::new().bold())
        .literal(AnsiColor::Green.on_default())
        .placeholder(AnsiColor::Cyan.on_default())
}

fn after_help() -> String {
    format!(
        "\
Examples:
  milvusctl add dev localhost:19530
  milvusctl add prod https://in01-0123.api.example.com --token-env PROD_TOKEN
  milvusctl doctor prod
  milvusctl list | jq -r '.connections[].alias'
  milvusctl serve ./demo.db

{}

Secrets are never arguments, which everybody on this machine can see. Give them by prompt, from standard input, or by \
reference to a variable, file or command: see `milvusctl add --help`.",
        exit::HELP
    )
}

/// The command line, as wide as the console.
pub(crate) fn command(console: &Console) -> clap::Command {
    Arguments::command().term_width(console.width().unwrap_or(HELP_WIDTH).min(HELP_WIDTH))
}
