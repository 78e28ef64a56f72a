//! The profile file: named connections outside the program.
//!
//! TOML, a table per alias, the field names of [`Field`](crate::Field):
//!
//! ```toml
//! [prod]
//! uri = "https://in01-0123.api.example.com"
//! token_env = "PROD_TOKEN"
//!
//! [dev]
//! address = "localhost:19530"
//! user = "root"
//! password_file = "dev-password"   # beside this file
//! timeout = 3
//! ```
//!
//! Invariant: a key that we don't know is an error that suggests the one that was meant; a secret stands in the file
//! itself only when nobody else may read the file; a command is run only from a file that nobody else may write.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::environment::{Environment, MILVUS_CONNECTIONS_FILE};
use crate::error::ProfileError;
use crate::params::ConnectionParams;

mod edit;
mod permissions;
mod read;

pub use edit::ProfileEditor;

/// The name of a profile file in a working directory.
pub const PROFILE_FILE: &str = "milvus-connections.toml";
/// The folder and name of the profile file in the platform's configuration folder.
const CONFIGURATION_FILE: [&str; 2] = ["milvus-connections", "connections.toml"];

/// The aliases of a profile file.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use milvus_connections::{Environment, Profile};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("milvus-connections.toml");
/// std::fs::write(&path, "[dev]\naddress = 'localhost:19530'\n")?;
/// let profile = Profile::read(&path)?;
/// assert!(profile.params("dev").is_some());
///
/// std::fs::write(&path, "[dev]\nadress = 'localhost:19530'\n")?;
/// let error = Profile::read(&path).unwrap_err();
/// assert!(error.to_string().contains("did you mean `address`?"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Profile {
    path: Arc<Path>,
    aliases: Vec<(String, ConnectionParams)>,
}

impl Profile {
    /// Reads a profile file.
    ///
    /// # Errors
    /// [`ProfileError`] with the line, when the file can't be read, is not TOML, holds a key or value that means nothing,
    /// or may be read by others although it holds a secret.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ProfileError> {
        let path = path.as_ref();
        let (text, access) = permissions::read(path)?;
        Self::parse(path, &text, access)
    }

    /// Reads the file that [`locate`] finds; `None` when there is none.
    ///
    /// # Errors
    /// As [`read`](Self::read); also when `MILVUS_CONNECTIONS_FILE` names a file that isn't there.
    pub fn discover(environment: &Environment) -> Result<Option<Self>, ProfileError> {
        locate(environment)
            .filter(|found| found.is_named || found.path.is_file())
            .map(|found| Self::read(found.path))
            .transpose()
    }

    fn parse(path: &Path, text: &str, access: permissions::Access) -> Result<Self, ProfileError> {
        Ok(Self {
            path: Arc::from(path),
            aliases: read::aliases(path, text, access)?,
        })
    }

    /// The aliases of a profile's text, whatever file it may come from; secrets in it are accepted.
    ///
    /// Nothing of the text is executed and no file is read, so any text is safe to give.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_text(text: &str) -> Result<Self, ProfileError> {
        Self::parse(
            Path::new(PROFILE_FILE),
            text,
            permissions::Access::owner_only(),
        )
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn shared_path(&self) -> Arc<Path> {
        Arc::clone(&self.path)
    }

    /// The names of the aliases, in the order of the file.
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        self.aliases.iter().map(|(alias, _)| alias.as_str())
    }

    /// What the file says about an alias.
    pub fn params(&self, alias: &str) -> Option<&ConnectionParams> {
        self.aliases
            .iter()
            .find(|(name, _)| name == alias)
            .map(|(_, params)| params)
    }
}

/// Where the profile file is, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProfileLocation {
    /// The file.
    pub path: PathBuf,
    /// Whether `MILVUS_CONNECTIONS_FILE` names it, so that it must be there.
    pub is_named: bool,
}

/// The profile file in force: `MILVUS_CONNECTIONS_FILE`, else `./milvus-connections.toml` if it is there, else
/// `milvus-connections/connections.toml` in the platform's configuration folder, whether it is there or not.
/// `None` when the platform's folder can't be told.
pub fn locate(environment: &Environment) -> Option<ProfileLocation> {
    if let Some(path) = environment.get_os(MILVUS_CONNECTIONS_FILE) {
        return Some(ProfileLocation {
            path: path.into(),
            is_named: true,
        });
    }
    let here = Path::new(PROFILE_FILE);
    let path = if here.is_file() {
        here.to_owned()
    } else {
        configuration_folder(environment)?.join(CONFIGURATION_FILE.iter().collect::<PathBuf>())
    };
    Some(ProfileLocation {
        path,
        is_named: false,
    })
}

/// The XDG base directory, Windows' `%APPDATA%`, or macOS's Application Support.
fn configuration_folder(environment: &Environment) -> Option<PathBuf> {
    let absolute = |name: &str| {
        environment
            .get_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    if cfg!(windows) {
        return absolute("APPDATA");
    }
    if let Some(folder) = absolute("XDG_CONFIG_HOME") {
        return Some(folder);
    }
    let below_home = if cfg!(target_os = "macos") {
        "Library/Application Support"
    } else {
        ".config"
    };
    absolute("HOME").map(|home| home.join(below_home))
}

#[cfg(test)]
mod tests;
