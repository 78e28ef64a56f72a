//! `milvusctl remove`: takes aliases out of the profile file.
//!
//! Invariant: all of the aliases go, or none.

use clap::Args;
use milvus_connections::ProfileEditor;
use serde::Serialize;

use crate::aliases::profile_path;
use crate::arguments::SharedArguments;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Paint, Report, Tone};

/// Take aliases out of the profile file, all or none.
///
/// Connections of running programs are not touched.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  milvusctl remove dev
  milvusctl remove dev staging --file ./milvus-connections.toml")]
pub(crate) struct RemoveArguments {
    /// The names
    #[arg(required = true)]
    alias: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Removed {
    removed: Vec<String>,
    file: String,
}

impl Report for Removed {
    fn render(&self, paint: Paint) -> String {
        format!(
            "{} removed {} from {}\n",
            paint.tone(Tone::Good, "✓"),
            paint.tone(Tone::Strong, &self.removed.join(", ")),
            paint.tone(Tone::Plain, &self.file)
        )
    }
}

pub(super) fn run(
    arguments: &RemoveArguments,
    shared: &SharedArguments,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let path = profile_path(shared, console)?;
    let mut profile = ProfileEditor::open(&path)?;
    for alias in &arguments.alias {
        if !profile.contains(alias) {
            let failure = Failure::new(
                Exit::Configuration,
                format!("can't remove {alias:?}"),
                "the profile file has no alias of this name; nothing was removed",
            )
            .at(path.display());
            return Err(match profile.nearest(alias) {
                Some(nearest) => failure.hint(format!("Did you mean {nearest:?}?")),
                None => failure.hint("`milvusctl list` shows all."),
            });
        }
    }
    for alias in &arguments.alias {
        profile.remove(alias);
    }
    profile.save()?;
    console.report(&Removed {
        removed: arguments.alias.clone(),
        file: profile.path().display().to_string(),
    })?;
    Ok(Exit::Success)
}
