//! From the command line to the registry: which profile file, and which alias or address is meant.
//!
//! Invariant: a name of an alias wins over an address that is written like it; nothing is connected here.

use std::path::PathBuf;

use milvus_connections::{ConnectionParams, Connections, Origin, locate_profile};

use crate::arguments::SharedArguments;
use crate::connection_arguments::{ConnectionArguments, is_uri, target_params};
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;

/// The profile file to write, whether it is there or not.
pub(crate) fn profile_path(
    shared: &SharedArguments,
    console: &Console,
) -> Result<PathBuf, Failure> {
    if let Some(path) = &shared.file {
        return Ok(path.clone());
    }
    locate_profile(&console.environment())
        .map(|location| location.path)
        .ok_or_else(|| {
            Failure::new(
                Exit::Configuration,
                "there is no place for the profile file",
                "this user has no configuration folder: HOME is not set",
            )
            .hint("Name a file with --file or MILVUS_CONNECTIONS_FILE.")
        })
}

/// The registry with the profile file and the environment.
pub(crate) fn registry(shared: &SharedArguments, console: &Console) -> Connections {
    let builder = Connections::builder().environment(console.environment());
    match &shared.file {
        Some(path) => builder.profile_file(path),
        None => builder.discover_profile(),
    }
    .build()
}

/// All aliases: the default one, and those of the profile file, in its order.
pub(crate) fn all(connections: &Connections) -> Result<Vec<String>, Failure> {
    let mut aliases: Vec<String> = match connections.profile()? {
        Some(profile) => profile.aliases().map(str::to_owned).collect(),
        None => Vec::new(),
    };
    let default = connections.default_alias();
    if !aliases.iter().any(|alias| alias == default) {
        aliases.insert(0, default.to_owned());
    }
    Ok(aliases)
}

/// The aliases that somebody has configured; the default one if nobody has configured any.
pub(crate) fn configured(connections: &Connections) -> Result<Vec<String>, Failure> {
    let mut aliases = all(connections)?;
    let is_default = |alias: &str| {
        let explanation = connections.explain(alias).ok();
        explanation
            .as_ref()
            .and_then(|explanation| explanation.setting("address"))
            .is_some_and(|address| address.source.origin == Origin::Default)
    };
    if aliases.len() > 1 {
        aliases.retain(|alias| !is_default(alias));
    }
    Ok(aliases)
}

/// A registry, and the alias in it that a person meant.
pub(crate) struct Meant {
    pub(crate) connections: Connections,
    pub(crate) alias: String,
}

/// Finds what a person means by `given`: an alias, or an address that has none; `None` is the default alias. Arguments are
/// laid over the alias's own configuration.
pub(crate) fn meant(
    given: Option<&str>,
    arguments: &ConnectionArguments,
    shared: &SharedArguments,
    console: &mut Console,
) -> Result<Meant, Failure> {
    let connections = registry(shared, console);
    let alias = given.unwrap_or(connections.default_alias()).to_owned();
    let is_address = is_uri(&alias) || alias.contains(':');
    let is_alias = match all(&connections) {
        Ok(aliases) => aliases.contains(&alias),
        // A broken profile file is no reason not to look at an address.
        Err(_) if is_address => false,
        Err(failure) => return Err(failure),
    };
    if is_address && !is_alias {
        return ad_hoc(alias, arguments, console);
    }
    if !is_alias {
        // The registry knows how to say it, and which alias is alike.
        connections.configuration(&alias, &ConnectionParams::new())?;
    }
    let params = arguments.params(ConnectionParams::new(), &alias, console)?;
    if !params.is_empty() {
        connections.add_connection([(alias.as_str(), params)])?;
    }
    Ok(Meant { connections, alias })
}

/// An address without an alias, in a registry of its own that no profile file says anything to.
fn ad_hoc(
    address: String,
    arguments: &ConnectionArguments,
    console: &mut Console,
) -> Result<Meant, Failure> {
    let target = target_params(std::slice::from_ref(&address))?;
    let params = arguments.params(target, &address, console)?;
    let connections = Connections::builder()
        .environment(console.environment())
        .build();
    connections.add_connection([(address.as_str(), params)])?;
    Ok(Meant {
        connections,
        alias: address,
    })
}
