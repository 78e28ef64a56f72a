//! What all reads share: which collection and partitions, which fields, how fresh.
//!
//! Invariant: a read without an explicit consistency level sees this process's own writes.

use std::sync::Arc;

use milvus_protocol::common::KeyValuePair;

use crate::cache::CollectionKey;
use crate::call::Clock;
use crate::client::Client;
use crate::consistency::{ConsistencyLevel, Guarantee, guarantee};
use crate::describe_collection::CollectionDescription;
use crate::error::{Error, Result};

#[derive(Clone, Debug)]
pub(super) struct ReadTarget {
    pub(super) client: Client,
    pub(super) collection: String,
    pub(super) partitions: Vec<String>,
    pub(super) output_fields: Vec<String>,
    pub(super) consistency: Option<ConsistencyLevel>,
    /// The collection as this read has found it. The client's memory of it may be emptied at any time, by a change of
    /// another collection too, and so may not be asked twice.
    pub(super) found: Option<Arc<CollectionDescription>>,
}

impl ReadTarget {
    pub(super) fn new(client: &Client, collection: String) -> Self {
        Self {
            client: client.clone(),
            collection,
            partitions: Vec::new(),
            output_fields: Vec::new(),
            consistency: None,
            found: None,
        }
    }

    /// How fresh the data must be, given what this process wrote: under the name that is used here, or,
    /// when that is known to be an alias, under the collection's own.
    pub(super) fn guarantee(&self) -> Guarantee {
        let memory = self.client.memory();
        let last_write = |name: &str| {
            let key = CollectionKey::new(self.client.database(), name);
            memory.sessions.last_write(&key)
        };
        let mut written = last_write(&self.collection);
        let mut own_level = None;
        let key = CollectionKey::new(self.client.database(), &self.collection);
        let known = || memory.schemas.known(&key);
        if let Some(description) = self.found.clone().or_else(known) {
            own_level = description.consistency_level;
            if description.name != self.collection {
                written = written.or(last_write(&description.name));
            }
        }
        guarantee(self.consistency, own_level, written)
    }

    /// Sees to it that [`guarantee`](Self::guarantee) knows the collection's level and own name, where it
    /// needs them: when this process has written something and the read leaves the level open.
    ///
    /// # Errors
    /// When the time is over.
    pub(super) async fn resolve_own_writes(&mut self, clock: &Clock) -> Result<()> {
        let needs_name = matches!(self.consistency, None | Some(ConsistencyLevel::Session));
        if needs_name && self.client.memory().sessions.has_any() {
            self.find(clock).await?;
        }
        Ok(())
    }

    /// Finds the collection's description, when it can be had. Whatever keeps it from being read, the read itself will say,
    /// unless no time is left for that.
    ///
    /// # Errors
    /// When the time is over.
    pub(super) async fn find(&mut self, clock: &Clock) -> Result<()> {
        self.found = match self.client.collection(&self.collection, clock).await {
            Ok(collection) => Some(collection),
            Err(error) if clock.is_over() => return Err(error),
            Err(_) => None,
        };
        Ok(())
    }

    /// Finds the collection's description, without which the read cannot be made.
    ///
    /// # Errors
    /// When it cannot be had.
    pub(super) async fn require(&mut self, clock: &Clock) -> Result<Arc<CollectionDescription>> {
        let collection = self.client.collection(&self.collection, clock).await?;
        self.found = Some(Arc::clone(&collection));
        Ok(collection)
    }

    /// Finds the collection's description anew, when the one that was found may have caused the error and was an old one:
    /// then the read is to be made once more.
    pub(super) async fn renew(
        &mut self,
        error: &Error,
        clock: &Clock,
    ) -> Option<Arc<CollectionDescription>> {
        let used = self.found.as_ref()?;
        let fresh = self.client.renewed(&self.collection, used, error, clock);
        self.found = Some(fresh.await?);
        self.found.clone()
    }
}

/// A parameter of a read.
pub(super) fn parameter(key: &str, value: impl ToString) -> KeyValuePair {
    KeyValuePair {
        key: key.to_owned(),
        value: value.to_string(),
    }
}

/// The setters of [`ReadTarget`] for a builder with a field `target`.
macro_rules! read_target {
    ($builder:ident) => {
        impl $builder {
            /// Reads one more partition; without any, all are read.
            pub fn partition(mut self, partition: impl Into<String>) -> Self {
                self.target.partitions.push(partition.into());
                self
            }

            /// Sets the fields that come back; `*` stands for all. Dynamic fields can be named too.
            pub fn output_fields<I>(mut self, fields: I) -> Self
            where
                I: IntoIterator<Item: Into<String>>,
            {
                self.target.output_fields = fields.into_iter().map(Into::into).collect();
                self
            }

            /// Sets how fresh the data must be.
            ///
            /// Without it, the collection's own level holds, and this process's writes are seen as well.
            /// An explicit level is what it says: `Bounded` and `Eventually` may hide one's own last rows.
            pub fn consistency(mut self, level: $crate::ConsistencyLevel) -> Self {
                self.target.consistency = Some(level);
                self
            }
        }
    };
}

/// The setters of a filter for a builder with a field `filter`.
macro_rules! read_filter {
    ($builder:ident) => {
        impl $builder {
            /// Keeps only rows for which this expression is true.
            pub fn filter(mut self, expression: impl Into<String>) -> Self {
                self.filter.expression = expression.into();
                self
            }

            /// Fills the placeholder `{name}` of the filter.
            pub fn filter_value(
                mut self,
                name: impl Into<String>,
                value: impl Into<$crate::FilterValue>,
            ) -> Self {
                self.filter.values.push((name.into(), value.into()));
                self
            }
        }
    };
}
