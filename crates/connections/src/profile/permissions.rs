//! Who else may read or write a profile file.
//!
//! Invariant: the answer is about the very file that was read: it is taken from the open file, not from the path again.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::path::Path;

use crate::error::ProfileError;

/// What others than the owner may do with a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub(super) others_read: bool,
    pub(super) others_write: bool,
}

impl Access {
    pub(super) fn owner_only() -> Self {
        Self {
            others_read: false,
            others_write: false,
        }
    }

    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = metadata.permissions().mode();
        Self {
            others_read: mode & 0o044 != 0,
            others_write: mode & 0o022 != 0,
        }
    }

    /// Windows' access lists are inherited from the user's own folder, where profile files are kept.
    #[cfg(not(unix))]
    fn of(_: &Metadata) -> Self {
        Self::owner_only()
    }
}

/// Reads a file, and who else could have.
pub(super) fn read(path: &Path) -> Result<(String, Access), ProfileError> {
    let fault =
        |error: std::io::Error| ProfileError::new(path, None, format!("it can't be read: {error}"));
    let mut file = File::open(path).map_err(fault)?;
    let access = Access::of(&file.metadata().map_err(fault)?);
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(fault)?;
    Ok((text, access))
}
