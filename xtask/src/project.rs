//! Where things stand in the project, so that a task works from any folder.
//!
//! Invariant: every path is derived from the folder of this crate; none depends on the working folder.

use std::path::{Path, PathBuf};

/// The folder that holds the workspace's `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

/// The folder of the protocol crate.
pub(crate) fn protocol() -> PathBuf {
    root().join("crates/protocol")
}

/// The folder of files that can be made again: `target`, unless cargo was told another one.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
