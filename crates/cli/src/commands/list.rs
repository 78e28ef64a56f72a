//! `milvusctl list`: all aliases at a glance.
//!
//! Invariant: an alias that can't be used is listed too, with what is wrong with it; no network is touched.

use clap::Args;
use milvus_connections::{Connections, Explanation};
use serde::Serialize;

use crate::aliases::{all, registry};
use crate::arguments::SharedArguments;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Cell, Paint, Report, Table, Tone};

/// Show all aliases: those of the profile file, and the default one.
///
/// Touches no network.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  milvusctl list
  milvusctl list | jq -r '.connections[] | select(.secure) | .alias'")]
pub(crate) struct ListArguments {
    /// Print the names only, one a line
    #[arg(long)]
    names: bool,
}

#[derive(Debug, Serialize)]
struct List {
    file: Option<String>,
    connections: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    alias: String,
    address: Option<String>,
    secure: bool,
    database: Option<String>,
    user: Option<String>,
    credentials: Option<CredentialReference>,
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Where a secret is kept; never what it is.
#[derive(Debug, Serialize)]
pub(super) struct CredentialReference {
    /// The field that says so, such as `token_env`.
    field: &'static str,
    /// What it refers to: a variable, file or command; `set` for a secret in the profile file.
    reference: String,
}

impl CredentialReference {
    pub(super) fn of(explanation: &Explanation) -> Option<Self> {
        explanation
            .settings
            .iter()
            .find(|setting| {
                setting.name.starts_with("token") || setting.name.starts_with("password")
            })
            .map(|setting| Self {
                field: setting.name,
                reference: setting.value.to_string(),
            })
    }

    fn render(&self) -> String {
        let (kind, kept) = self.field.split_once('_').unwrap_or((self.field, ""));
        match kept {
            "env" => format!("{kind} in ${}", self.reference),
            "file" => format!("{kind} in {}", self.reference),
            "command" => format!("{kind} by command"),
            _ => kind.to_owned(),
        }
    }
}

impl Report for List {
    fn render(&self, paint: Paint) -> String {
        let mut table =
            Table::with_heading(&["ALIAS", "ADDRESS", "TLS", "DATABASE", "USER", "CREDENTIALS"]);
        let or_dash = |text: Option<&str>| match text.filter(|text| !text.is_empty()) {
            Some(text) => Cell::plain(text),
            None => Cell::new("-", Tone::Faint),
        };
        for line in &self.connections {
            let credentials = line.credentials.as_ref().map(CredentialReference::render);
            table.push([
                Cell::new(&line.alias, Tone::Strong),
                or_dash(line.address.as_deref()),
                if line.secure {
                    Cell::new("yes", Tone::Good)
                } else {
                    Cell::new("no", Tone::Faint)
                },
                or_dash(line.database.as_deref()),
                or_dash(line.user.as_deref()),
                or_dash(credentials.as_deref()),
            ]);
        }
        let mut text = table.render(0, paint);
        for (alias, problem) in self
            .connections
            .iter()
            .filter_map(|line| Some((&line.alias, line.problem.as_ref()?)))
        {
            text.push_str(&format!(
                "{} {}: {}\n",
                paint.tone(Tone::Bad, "✗"),
                paint.tone(Tone::Strong, alias),
                paint.tone(Tone::Plain, problem)
            ));
        }
        let file = match &self.file {
            Some(file) => format!("profile file: {file}"),
            None => "no profile file; `milvusctl add` makes one".to_owned(),
        };
        text.push_str(&format!("\n{}\n", paint.tone(Tone::Faint, &file)));
        text
    }
}

pub(super) fn run(
    arguments: &ListArguments,
    shared: &SharedArguments,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let connections = registry(shared, console);
    let aliases = all(&connections)?;
    if arguments.names {
        console.print(|paint| {
            aliases
                .iter()
                .map(|alias| paint.tone(Tone::Plain, alias) + "\n")
                .collect()
        })?;
        return Ok(Exit::Success);
    }
    let file = connections
        .profile()?
        .map(|profile| profile.path().display().to_string());
    console.report(&List {
        file,
        connections: aliases
            .into_iter()
            .map(|alias| line(&connections, alias))
            .collect(),
    })?;
    Ok(Exit::Success)
}

fn line(connections: &Connections, alias: String) -> Line {
    let explanation = match connections.explain(&alias) {
        Ok(explanation) => explanation,
        Err(error) => {
            let failure = Failure::from(error);
            let place = failure
                .place
                .map(|place| format!("{place}: "))
                .unwrap_or_default();
            return Line {
                alias,
                address: None,
                secure: false,
                database: None,
                user: None,
                credentials: None,
                source: None,
                problem: Some(format!("{place}{}", failure.reason)),
            };
        }
    };
    let value = |name| {
        explanation
            .setting(name)
            .map(|setting| setting.value.to_string())
    };
    Line {
        address: value("address"),
        secure: value("secure").is_some_and(|secure| secure == "true"),
        database: value("db_name"),
        user: value("user").filter(|user| !user.is_empty()),
        credentials: CredentialReference::of(&explanation),
        source: explanation
            .setting("address")
            .map(|setting| setting.source.to_string()),
        problem: None,
        alias,
    }
}
