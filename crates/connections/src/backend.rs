//! From the address of a configuration to what answers there: the network, or an engine in this process.
//!
//! Invariant: above this file nothing knows the difference; a backend that this build lacks is an error that says so.

use std::path::Path;

use milvus_client::Client;
use milvus_transport::{Connection, ConnectionConfig, Target};

use crate::error::{ConfigurationError, Error};
use crate::field::Field;
use crate::pymilvus;
use crate::registry::Connector;
use crate::source::Origin;

/// Makes clients of whatever a target names.
#[derive(Clone)]
pub(crate) struct Milvus;

impl Connector for Milvus {
    type Handle = Client;

    async fn connect(&self, alias: &str, config: ConnectionConfig) -> Result<Client, Error> {
        match &config.target {
            Target::Tcp { .. } | Target::Unix { .. } => {
                Ok(Client::new(Connection::connect(alias, config).await?))
            }
            Target::Embedded { path } => {
                check_folder(alias, path)?;
                open_in_process(alias, config).await
            }
            Target::Memory { .. } => open_in_process(alias, config).await,
            other => Err(not_built_in(alias, other)),
        }
    }

    async fn close(&self, client: Client) {
        client.connection().close().await;
    }

    fn is_closed(&self, client: &Client) -> bool {
        !client.connection().is_open()
    }
}

/// Opens the database of a configuration in this process.
#[cfg(feature = "embedded")]
async fn open_in_process(alias: &str, config: ConnectionConfig) -> Result<Client, Error> {
    use milvus_embedded::{Location, Options};

    let location = match &config.target {
        Target::Embedded { path } => Location::Folder(path.clone()),
        Target::Memory { name } => Location::Memory(name.clone()),
        other => return Err(not_built_in(alias, other)),
    };
    let failed = |reason: String| Error::Embedded {
        alias: alias.into(),
        address: config.target.address(),
        reason,
    };
    // Opening reads files.
    let opened =
        tokio::task::spawn_blocking(|| milvus_embedded::open(location, Options::default())).await;
    let database = match opened {
        Ok(Ok(database)) => database,
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Err(error) => return Err(failed(format!("opening it was interrupted: {error}"))),
    };
    Ok(Client::new(
        Connection::in_process(alias, config, database.service()).await?,
    ))
}

#[cfg(not(feature = "embedded"))]
async fn open_in_process(alias: &str, config: ConnectionConfig) -> Result<Client, Error> {
    Err(not_built_in(alias, &config.target))
}

fn not_built_in(alias: &str, target: &Target) -> Error {
    Error::NotBuiltIn {
        alias: alias.into(),
        address: target.address(),
    }
}

/// A database file is made when it isn't there, its folder is not: a wrong path would otherwise be an empty database.
fn check_folder(alias: &str, path: &Path) -> Result<(), Error> {
    match path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        Some(folder) if !folder.is_dir() => {
            let message = pymilvus::folder_missing(&folder.display().to_string());
            Err(ConfigurationError::new(alias, Some(Field::Uri), Origin::Entry, message).into())
        }
        _ => Ok(()),
    }
}
