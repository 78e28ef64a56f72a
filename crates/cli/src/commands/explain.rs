//! `milvusctl explain`: every value of a configuration, and who said it.
//!
//! Invariant: nothing that was given is missing: what does not apply is told, with the reason.

use clap::Args;
use milvus_connections::{Explanation, Origin};
use serde::Serialize;

use crate::aliases::registry;
use crate::arguments::SharedArguments;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Cell, Paint, Report, Table, Tone};

/// Show every value of an alias's configuration, and where it comes from.
///
/// The sources are the profile file, the environment and the defaults; what was given but does not apply is told, with
/// the reason. Touches no network; a secret is shown as `set`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  milvusctl explain prod
  milvusctl explain prod --json | jq '.settings[] | select(.source != \"default\")'")]
pub(crate) struct ExplainArguments {
    /// The name [default: the default alias]
    alias: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Explained(Explanation);

impl Report for Explained {
    fn render(&self, paint: Paint) -> String {
        let mut table = Table::with_heading(&["FIELD", "VALUE", "SOURCE"]);
        for setting in &self.0.settings {
            let is_default = setting.source.origin == Origin::Default;
            let tone = if is_default { Tone::Faint } else { Tone::Plain };
            let value = setting.value.to_string();
            let value = if value.is_empty() {
                "-"
            } else {
                value.as_str()
            };
            table.push([
                Cell::plain(setting.name),
                Cell::new(value, tone),
                Cell::new(setting.source.to_string(), tone),
            ]);
        }
        let mut text = format!(
            "{}\n\n{}",
            paint.tone(Tone::Strong, &self.0.alias),
            table.render(2, paint)
        );
        for unused in &self.0.unused {
            text.push_str(&format!(
                "\n{} {}: {}\n",
                paint.tone(Tone::Notable, "not used:"),
                paint.tone(Tone::Plain, &unused.source.to_string()),
                paint.tone(Tone::Plain, &unused.reason)
            ));
        }
        text
    }
}

pub(super) fn run(
    arguments: &ExplainArguments,
    shared: &SharedArguments,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let connections = registry(shared, console);
    let alias = arguments
        .alias
        .as_deref()
        .unwrap_or(connections.default_alias());
    console.report(&Explained(connections.explain(alias)?))?;
    Ok(Exit::Success)
}
