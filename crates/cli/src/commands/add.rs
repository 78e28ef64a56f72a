//! `milvusctl add`: writes an alias into the profile file.
//!
//! Invariant: what is written has been checked as the registry will check it; comments and other aliases stay as they are,
//! and the file is its owner's only.

use clap::Args;
use milvus_connections::{ConnectionParams, Connections, Field, ProfileEditor};
use serde::Serialize;

use crate::aliases::profile_path;
use crate::arguments::SharedArguments;
use crate::connection_arguments::{ConnectionArguments, REFERENCES, is_uri, target_params};
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Paint, Report, Tone};

/// Name a Milvus: write an alias into the profile file.
///
/// The file is written so that only its owner can read it; comments in it stay. A password or token is best kept elsewhere
/// and given by reference: the file then says where the secret is, not what it is. A secret that is prompted for, or read
/// from standard input, is written into the file.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  milvusctl add dev localhost:19530
  milvusctl add prod https://in01-0123.api.example.com --token-env PROD_TOKEN
  milvusctl add staging db.example.com:19530 --user root          (asks for the password)
  milvusctl add staging db.example.com:19530 --user root --stdin < password.txt
  milvusctl add cluster node1:19530 node2:19530 --tls --ca /etc/milvus/ca.pem
  milvusctl add vault db.example.com:19530 --token-command 'vault read -field=token secret/milvus'")]
pub(crate) struct AddArguments {
    /// The name
    alias: String,
    /// HOST:PORT, HOST, a URI (https://host[:port][/database], unix:/path.sock), or several HOST:PORT of one cluster
    #[arg(required = true, value_name = "ADDRESS|URI")]
    target: Vec<String>,
    /// Replace the alias if the file has it
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    connection: ConnectionArguments,
}

#[derive(Debug, Serialize)]
struct Added {
    alias: String,
    action: &'static str,
    file: String,
    address: String,
}

impl Report for Added {
    fn render(&self, paint: Paint) -> String {
        format!(
            "{} {} {} ({}) in {}\n",
            paint.tone(Tone::Good, "✓"),
            self.action,
            paint.tone(Tone::Strong, &self.alias),
            paint.tone(Tone::Plain, &self.address),
            paint.tone(Tone::Plain, &self.file)
        )
    }
}

pub(super) fn run(
    arguments: &AddArguments,
    shared: &SharedArguments,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let alias = arguments.alias.as_str();
    if is_uri(alias) {
        return Err(Failure::usage(
            "an alias can't be written like a URI",
            "the name comes first, then the address",
        )
        .hint("For example: milvusctl add prod https://db.example.com"));
    }
    let path = profile_path(shared, console)?;
    let mut profile = ProfileEditor::open(&path)?;
    let is_there = profile.contains(alias);
    if is_there && !arguments.replace {
        return Err(Failure::new(
            Exit::Configuration,
            format!("{alias:?} is not added"),
            "the profile file has an alias of this name",
        )
        .at(path.display())
        .hint(format!(
            "`milvusctl show {alias}` shows it; --replace writes it anew."
        )));
    }
    let params = arguments
        .connection
        .params(target_params(&arguments.target)?, alias, console)?;
    let address = check(alias, &params)?;
    profile.set(alias, &params);
    profile.save()?;
    console.report(&Added {
        alias: alias.to_owned(),
        action: if is_there { "replaced" } else { "added" },
        file: profile.path().display().to_string(),
        address,
    })?;
    advise(&params, console);
    Ok(Exit::Success)
}

/// Reads the parameters as a connect would; their address.
fn check(alias: &str, params: &ConnectionParams) -> Result<String, Failure> {
    let connections = Connections::isolated();
    connections.add_connection([(alias, params.clone())])?;
    Ok(connections
        .configuration(alias, &ConnectionParams::new())?
        .target
        .address())
}

fn advise(params: &ConnectionParams, console: &mut Console) {
    if params.get(Field::Password).is_some() || params.get(Field::Token).is_some() {
        console.note(
            "the secret stands in the file, which only you can read; keep it out of version control. \
             A reference (--password-env, --token-command, ...) would keep it elsewhere.",
        );
    }
    for field in REFERENCES
        .into_iter()
        .filter(|field| matches!(field, Field::PasswordEnv | Field::TokenEnv))
    {
        if let Some(milvus_connections::FieldValue::Text(variable)) = params.get(field)
            && !console.has_variable(variable)
        {
            console.note(&format!("the environment variable {variable} is not set here; it must be when the alias is used."));
        }
    }
}
