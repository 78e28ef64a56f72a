//! `milvusctl show`: one alias, without what is as it always is.
//!
//! Invariant: the names are those of the profile file; options appear when somebody has set them.

use std::collections::BTreeMap;

use clap::Args;
use milvus_connections::{Explanation, Origin, ShownValue};
use serde::Serialize;

use crate::aliases::registry;
use crate::arguments::SharedArguments;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Cell, Paint, Report, Table, Tone};

/// Show where an alias leads, as whom, and the options that somebody has set.
///
/// Touches no network; a secret is shown as `set`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  milvusctl show prod
  milvusctl show prod | jq -r .settings.address")]
pub(crate) struct ShowArguments {
    /// The name [default: the default alias]
    alias: Option<String>,
}

#[derive(Debug, Serialize)]
struct Shown {
    alias: String,
    settings: BTreeMap<&'static str, ShownValue>,
    /// The same names in the order in which people read them.
    #[serde(skip)]
    order: Vec<&'static str>,
    source: String,
}

/// What is shown even when nobody has set it.
const ALWAYS: [&str; 4] = ["address", "secure", "user", "db_name"];

impl Shown {
    fn new(explanation: &Explanation) -> Self {
        let settings: Vec<_> = explanation
            .settings
            .iter()
            .filter(|setting| {
                ALWAYS.contains(&setting.name) || setting.source.origin != Origin::Default
            })
            .collect();
        Self {
            alias: explanation.alias.clone(),
            order: settings.iter().map(|setting| setting.name).collect(),
            settings: settings
                .iter()
                .map(|setting| (setting.name, setting.value.clone()))
                .collect(),
            source: explanation
                .setting("address")
                .map(|setting| setting.source.origin.to_string())
                .unwrap_or_default(),
        }
    }
}

impl Report for Shown {
    fn render(&self, paint: Paint) -> String {
        let mut table = Table::default();
        for name in &self.order {
            let value = self
                .settings
                .get(name)
                .map(ToString::to_string)
                .filter(|value| !value.is_empty());
            let value = value.map_or_else(|| Cell::new("-", Tone::Faint), Cell::plain);
            table.push([Cell::new(name, Tone::Faint), value]);
        }
        let source = format!("from: {}", self.source);
        format!(
            "{}\n{}\n{}\n",
            paint.tone(Tone::Strong, &self.alias),
            table.render(2, paint),
            paint.tone(Tone::Faint, &source)
        )
    }
}

pub(super) fn run(
    arguments: &ShowArguments,
    shared: &SharedArguments,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let connections = registry(shared, console);
    let alias = arguments
        .alias
        .as_deref()
        .unwrap_or(connections.default_alias());
    console.report(&Shown::new(&connections.explain(alias)?))?;
    Ok(Exit::Success)
}
