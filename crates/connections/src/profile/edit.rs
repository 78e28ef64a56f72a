//! Changing the profile file for people: comments and order stay, nobody else can read it, and it is whole at any moment.
//!
//! Invariant: the file is replaced in one step by one that only its owner can read. A crash leaves the old file or the new
//! one; a change that someone else made meanwhile is never overwritten.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret as _;
use toml_edit::{Array, DocumentMut, Item, Table, Value};

use super::permissions::{self, Access};
use super::read;
use crate::error::ProfileError;
use crate::field::{Field, FieldKind, FieldValue, nearest};
use crate::params::ConnectionParams;

/// A profile file that is being changed; nothing is written before [`save`](Self::save).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use milvus_connections::{ConnectionParams, ProfileEditor};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("connections.toml");
/// std::fs::write(&path, "# the team's servers\n[dev]\naddress = 'localhost:19530'  # mine\n")?;
/// let mut profile = ProfileEditor::open(&path)?;
/// profile.set("prod", &ConnectionParams::uri("https://db.example.com").token_env("PROD_TOKEN"));
/// profile.save()?;
/// assert!(std::fs::read_to_string(&path)?.contains("# mine"));
/// # Ok(())
/// # }
/// ```
pub struct ProfileEditor {
    path: PathBuf,
    document: DocumentMut,
    /// The text as it was read; `None` when there was no file.
    original: Option<String>,
}

impl ProfileEditor {
    /// Opens a profile file, or begins one where there is none.
    ///
    /// # Errors
    /// [`ProfileError`] when the file is there and can't be read, or is not a valid profile.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ProfileError> {
        let given = path.as_ref();
        // A link stays a link: what it points to is what gets replaced.
        let path = fs::canonicalize(given).unwrap_or_else(|_| given.to_owned());
        let original = if path.exists() {
            Some(permissions::read(&path)?.0)
        } else {
            None
        };
        let text = original.as_deref().unwrap_or_default();
        // Whoever edits may mend the permissions by saving, so they are not judged here.
        read::aliases(&path, text, Access::owner_only())?;
        let document = text
            .parse::<DocumentMut>()
            .map_err(|error| ProfileError::new(&path, None, error.message().to_owned()))?;
        Ok(Self {
            path,
            document,
            original,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the aliases, in the order of the file.
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        self.document.iter().map(|(alias, _)| alias)
    }

    /// Whether the file has this alias.
    pub fn contains(&self, alias: &str) -> bool {
        self.document.contains_key(alias)
    }

    /// The alias of this file whose name is most like `alias`, for a hint.
    pub fn nearest(&self, alias: &str) -> Option<&str> {
        nearest(alias, self.aliases())
    }

    /// Sets what the file says about an alias. Keys that stay keep their place and their comments; keys that are not in
    /// `params` go. Paths are written as they are given, and are read from the file's folder when they are relative.
    pub fn set(&mut self, alias: &str, params: &ConnectionParams) {
        if !self.document.contains_key(alias) {
            let table = self.begin_table();
            self.document.insert(alias, Item::Table(table));
        }
        let Some(item) = self.document.get_mut(alias) else {
            return;
        };
        let Some(table) = item.as_table_like_mut() else {
            return;
        };
        let gone: Vec<String> = table
            .iter()
            .map(|(key, _)| key.to_owned())
            .filter(|key| Field::from_name(key).is_none_or(|field| params.get(field).is_none()))
            .collect();
        for key in gone {
            table.remove(&key);
        }
        for (field, value) in params.iter() {
            let mut value = written(field, value);
            if let Some(old) = table.get(field.name()).and_then(Item::as_value) {
                *value.decor_mut() = old.decor().clone();
            }
            match table.get_mut(field.name()) {
                Some(item) => *item = Item::Value(value),
                None => drop(table.insert(field.name(), Item::Value(value))),
            }
        }
    }

    /// A table for the end of the file. Comments that stand at the end stay above it.
    fn begin_table(&mut self) -> Table {
        let mut table = Table::new();
        let trailing = self.document.trailing().as_str().unwrap_or_default();
        if !trailing.trim().is_empty() {
            table
                .decor_mut()
                .set_prefix(format!("{}\n\n", trailing.trim_end()));
            self.document.set_trailing("");
        }
        table
    }

    /// Removes an alias; whether it was there.
    pub fn remove(&mut self, alias: &str) -> bool {
        self.document.remove(alias).is_some()
    }

    /// Writes the file, readable by its owner only, in one step.
    ///
    /// # Errors
    /// [`ProfileError`] when the result would not be a valid profile, the file has been changed by someone else since it
    /// was opened, or can't be written. The file is then as it was.
    pub fn save(&mut self) -> Result<(), ProfileError> {
        let text = self.document.to_string();
        read::aliases(&self.path, &text, Access::owner_only())?;
        let present = match fs::read_to_string(&self.path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(self.unwritable(&error)),
        };
        if present != self.original {
            return Err(ProfileError::new(
                &self.path,
                None,
                "it has been changed since it was read; nothing was written. Try again.",
            ));
        }
        replace(&self.path, text.as_bytes()).map_err(|error| self.unwritable(&error))?;
        self.original = Some(text);
        Ok(())
    }

    fn unwritable(&self, error: &io::Error) -> ProfileError {
        ProfileError::new(&self.path, None, format!("it can't be written: {error}"))
    }
}

/// Names only: the text may hold secrets.
impl std::fmt::Debug for ProfileEditor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProfileEditor")
            .field("path", &self.path)
            .field("aliases", &self.aliases().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

fn written(field: Field, value: &FieldValue) -> Value {
    match value {
        FieldValue::Text(text) => match text.parse::<i64>() {
            Ok(port) if field.kind() == FieldKind::Port => port.into(),
            _ => text.as_str().into(),
        },
        FieldValue::Texts(texts) => texts.iter().map(String::as_str).collect::<Array>().into(),
        FieldValue::Secret(secret) => secret.expose_secret().into(),
        FieldValue::Path(path) => path.to_string_lossy().into_owned().into(),
        FieldValue::Flag(flag) => (*flag).into(),
        FieldValue::Count(count) => i64::try_from(*count).unwrap_or(i64::MAX).into(),
        FieldValue::Seconds(duration) if duration.subsec_nanos() == 0 => {
            i64::try_from(duration.as_secs()).unwrap_or(i64::MAX).into()
        }
        FieldValue::Seconds(duration) => duration.as_secs_f64().into(),
    }
}

/// Writes a new file beside the old one, makes it durable, and puts it in the old one's place.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let name = path
        .file_name()
        .ok_or(io::ErrorKind::InvalidInput)?
        .to_string_lossy();
    let fresh = folder.join(format!(".{name}.{}", std::process::id()));
    let written = write_new(&fresh, text).and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        // The error that counts is the first one; a leftover would only be in the way.
        let _ = fs::remove_file(&fresh);
    }
    written?;
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    // Left over from a process of the same number that ended in between.
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text)?;
    file.sync_all()
}
