//! `milvusctl key`: API keys of a database.
//!
//! Invariant: a key is written to a file that only its owner can read, once, and never printed; the database keeps its digest.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use milvus_embedded::KeyDescription;
use serde::Serialize;

use super::serve::{open_existing, write_private};
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Cell, Paint, Report, Table, Tone};

/// Make, list and take back API keys of a database.
///
/// A key stands for a user: whoever shows it as a token may do what that user may do. It works on the database's files,
/// because Milvus's protocol has no call for keys, so no server may have them open. Users with passwords can be made while
/// one does.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  milvusctl key create ./demo.db web --user alice
  milvusctl key list ./demo.db
  milvusctl key remove ./demo.db web

Then, from Python:
  MilvusClient(\"http://127.0.0.1:19530\", token=open(\"demo.db.web.key\").read())")]
pub(crate) struct KeyArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key and write it to a file that only you can read
    Create {
        /// The database's folder
        #[arg(value_name = "DATABASE")]
        path: PathBuf,
        /// What to call the key
        name: String,
        /// As whom its bearer calls
        #[arg(long)]
        user: String,
        /// The file for the key; it must not be there [default: DATABASE.NAME.key]
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Show the keys' names, users and ages
    #[command(visible_alias = "ls")]
    List {
        /// The database's folder
        #[arg(value_name = "DATABASE")]
        path: PathBuf,
    },
    /// Take a key back
    #[command(visible_alias = "rm")]
    Remove {
        /// The database's folder
        #[arg(value_name = "DATABASE")]
        path: PathBuf,
        /// Which
        name: String,
    },
}

#[derive(Debug, Serialize)]
struct Created {
    name: String,
    user: String,
    file: String,
}

impl Report for Created {
    fn render(&self, paint: Paint) -> String {
        format!(
            "{} API key {} of {} is in {}; the database keeps its digest only\n",
            paint.tone(Tone::Good, "✓"),
            paint.tone(Tone::Strong, &self.name),
            paint.tone(Tone::Plain, &self.user),
            paint.tone(Tone::Strong, &self.file)
        )
    }
}

#[derive(Debug, Serialize)]
struct Key {
    name: String,
    user: String,
    created_milliseconds: u64,
}

#[derive(Debug, Serialize)]
struct Keys {
    keys: Vec<Key>,
}

impl Report for Keys {
    fn render(&self, paint: Paint) -> String {
        if self.keys.is_empty() {
            return "no API keys\n".into();
        }
        let mut table = Table::with_heading(&["NAME", "USER"]);
        for key in &self.keys {
            table.push([Cell::new(&key.name, Tone::Strong), Cell::plain(&key.user)]);
        }
        table.render(0, paint)
    }
}

#[derive(Debug, Serialize)]
struct Removed {
    removed: String,
}

impl Report for Removed {
    fn render(&self, paint: Paint) -> String {
        format!(
            "{} API key {} is taken back\n",
            paint.tone(Tone::Good, "✓"),
            paint.tone(Tone::Strong, &self.removed)
        )
    }
}

pub(super) async fn run(arguments: KeyArguments, console: &mut Console) -> Result<Exit, Failure> {
    match arguments.action {
        Action::Create {
            path,
            name,
            user,
            output,
        } => {
            let created = create(&path, &name, &user, output).await?;
            console.report(&created)?;
        }
        Action::List { path } => {
            let database = open_existing(&path).await?;
            let describe = |key: KeyDescription| Key {
                created_milliseconds: key.created_milliseconds,
                name: key.name,
                user: key.user,
            };
            let keys = database.keys().into_iter().map(describe).collect();
            console.report(&Keys { keys })?;
        }
        Action::Remove { path, name } => {
            let database = open_existing(&path).await?;
            let removed = database.remove_key(&name).await;
            if !removed.map_err(|error| failed("take the API key back", error))? {
                let failure = Failure::new(
                    Exit::Failed,
                    format!("can't take the API key {name:?} back"),
                    "the database has no key of this name",
                );
                return Err(failure.hint(format!(
                    "`milvusctl key list {}` shows all.",
                    path.display()
                )));
            }
            console.report(&Removed { removed: name })?;
        }
    }
    Ok(Exit::Success)
}

fn failed(what: &str, error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, format!("can't {what}"), error)
}

async fn create(
    path: &std::path::Path,
    name: &str,
    user: &str,
    output: Option<PathBuf>,
) -> Result<Created, Failure> {
    let file = output.unwrap_or_else(|| {
        let mut file = path.file_name().unwrap_or_default().to_owned();
        file.push(format!(".{name}.key"));
        path.with_file_name(file)
    });
    let database = open_existing(path).await?;
    if file.exists() {
        let failure = failed("make the API key", "its file is there already").at(file.display());
        return Err(failure.hint("Name another one with --output, or remove it."));
    }
    let key = database
        .create_key(name, user)
        .await
        .map_err(|error| failed("make the API key", error))?;
    if let Err(error) = write_private(&file, key.expose()) {
        // A key that nobody has is taken back.
        let _ = database.remove_key(name).await;
        return Err(failed("write the API key", error).at(file.display()));
    }
    Ok(Created {
        name: name.to_owned(),
        user: user.to_owned(),
        file: file.display().to_string(),
    })
}
