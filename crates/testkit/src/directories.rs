//! Where the testkit keeps what it makes: everything is below one directory in the build's target directory.
//!
//! Invariant: a scratch directory disappears with its owner. Dropping a [`Scratch`] removes it; if the owning process
//! was killed before it could, the next one to ask for a scratch directory removes what the dead one left behind.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use crate::Failure;

/// Overrides [`testkit_directory`]; `cargo xtask` sets it for everything it runs.
pub const DIRECTORY_VARIABLE: &str = "MILVUS_TESTKIT_DIRECTORY";

/// The directory of installed servers and scratch data: `$MILVUS_TESTKIT_DIRECTORY`, else `testkit` in the target
/// directory (`$CARGO_TARGET_DIR` or the workspace's `target`).
pub fn testkit_directory() -> PathBuf {
    if let Some(directory) = env::var_os(DIRECTORY_VARIABLE) {
        return PathBuf::from(directory);
    }
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    target.join("testkit")
}

/// A directory for one server's data, removed when dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes an empty directory whose name contains `name`, readable by this user only.
    ///
    /// # Errors
    /// When the directory can't be made.
    pub fn new(name: &str) -> Result<Self, Failure> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let parent = testkit_directory().join("run");
        fs::create_dir_all(&parent)
            .map_err(|e| Failure::because(format!("could not make {}", parent.display()), e))?;
        let parent = parent
            .canonicalize()
            .map_err(|e| Failure::because(format!("could not find {}", parent.display()), e))?;
        remove_abandoned(&parent);
        let path = parent.join(format!(
            "{}-{}-{name}",
            process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        ));
        create_private(&path)
            .map_err(|e| Failure::because(format!("could not make {}", path.display()), e))?;
        Ok(Self { path })
    }

    /// The directory's absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file in the directory and returns its path.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn write(&self, name: &str, contents: &str) -> Result<PathBuf, Failure> {
        let path = self.path.join(name);
        fs::write(&path, contents)
            .map_err(|e| Failure::because(format!("could not write {}", path.display()), e))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and the next run removes what is left.
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(unix)]
fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> std::io::Result<()> {
    fs::create_dir(path)
}

/// Removes directories whose owner, the process id that their names start with, is not alive any more.
fn remove_abandoned(parent: &Path) {
    // Without a process table to look at, nothing may be called abandoned.
    if !Path::new("/proc/self").exists() {
        return;
    }
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.split('-').next())
            .and_then(|id| id.parse::<u32>().ok());
        if owner.is_some_and(|id| !Path::new(&format!("/proc/{id}")).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_directory_disappears_with_its_guard() {
        let scratch = Scratch::new("guard").unwrap();
        let file = scratch.write("file", "text").unwrap();
        assert!(file.exists());
        let path = scratch.path().to_owned();
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_dead_process_left_is_removed_by_the_next() {
        let run = testkit_directory().join("run");
        // No process has this id: it is above the kernel's limit of 2^22.
        let abandoned = run.join("4194999-0-abandoned");
        fs::create_dir_all(&abandoned).unwrap();
        let scratch = Scratch::new("next").unwrap();
        assert!(!abandoned.exists());
        assert!(scratch.path().exists());
    }
}
