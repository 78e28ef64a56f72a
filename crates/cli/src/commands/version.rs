//! `milvusctl version`: of this program, and of a server.
//!
//! Invariant: without an alias no network is touched.

use clap::Args;
use milvus_connections::transport::ServerDescription;
use serde::Serialize;

use crate::aliases::{Meant, meant};
use crate::arguments::SharedArguments;
use crate::connection_arguments::ConnectionArguments;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Cell, Paint, Report, Table, Tone};
use crate::progress::during;

/// Show the version of this program and, with an alias or address, of the server there.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  milvusctl version
  milvusctl version prod
  milvusctl version prod | jq -r .server.version")]
pub(crate) struct VersionArguments {
    /// A name or an address
    #[arg(value_name = "ALIAS|ADDRESS|URI")]
    target: Option<String>,
    #[command(flatten)]
    connection: ConnectionArguments,
}

#[derive(Debug, Serialize)]
struct Versions {
    milvusctl: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Server>,
}

#[derive(Debug, Serialize)]
struct Server {
    alias: String,
    address: String,
    #[serde(flatten)]
    description: ServerDescription,
}

impl Report for Versions {
    fn render(&self, paint: Paint) -> String {
        let mut text = format!("milvusctl {}\n", self.milvusctl);
        let Some(server) = &self.server else {
            return text;
        };
        let mut table = Table::default();
        let description = &server.description;
        let facts = [
            ("address", &server.address),
            ("version", &description.version),
            ("mode", &description.deploy_mode),
            ("built", &description.build_time),
            ("commit", &description.git_commit),
        ];
        for (name, fact) in facts.into_iter().filter(|(_, fact)| !fact.is_empty()) {
            table.push([Cell::new(name, Tone::Faint), Cell::plain(fact)]);
        }
        text.push_str(&format!(
            "\n{}\n{}",
            paint.tone(Tone::Strong, &server.alias),
            table.render(2, paint)
        ));
        text
    }
}

pub(super) async fn run(
    arguments: &VersionArguments,
    shared: &SharedArguments,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let server = match &arguments.target {
        Some(target) => {
            let Meant { connections, alias } =
                meant(Some(target), &arguments.connection, shared, console)?;
            let client = during(
                console,
                &format!("connecting to {alias}"),
                connections.connect(&alias),
            )
            .await?;
            let connection = client.connection();
            Some(Server {
                address: connection.address().to_string(),
                description: connection.server(),
                alias,
            })
        }
        None => None,
    };
    console.report(&Versions {
        milvusctl: env!("CARGO_PKG_VERSION"),
        server,
    })?;
    Ok(Exit::Success)
}
