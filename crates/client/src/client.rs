//! The client: a connection and what is remembered about its target.
//!
//! Invariant: clients of one target share one memory (schemas, session timestamps), whatever alias,
//! handle or clone they came from; the database is a property of the handle.

use std::fmt;
use std::sync::Arc;

use milvus_transport::Connection;

use crate::cache::TargetMemory;
use crate::error::Result;

/// A connection to one Milvus with everything one does with it. Cheap to clone.
///
/// The verbs are methods that return requests; see the [crate's introduction](crate).
#[derive(Clone)]
pub struct Client {
    // One count for all of it: a look-up in a registry clones a client, often from many threads at once.
    shared: Arc<Shared>,
}

struct Shared {
    connection: Connection,
    memory: Arc<TargetMemory>,
}

impl Client {
    /// A client over a connection.
    pub fn new(connection: Connection) -> Self {
        let memory = TargetMemory::of(connection.logical_target());
        Self {
            shared: Arc::new(Shared { connection, memory }),
        }
    }

    /// The connection, for its state, its events and calls that have no verb here.
    pub fn connection(&self) -> &Connection {
        &self.shared.connection
    }

    /// The same client working in another database. Nothing is sent.
    ///
    /// # Errors
    /// [`Error::Connection`](crate::Error::Connection) when the name cannot be one.
    pub fn using_database(&self, name: &str) -> Result<Self> {
        Ok(Self {
            shared: Arc::new(Shared {
                connection: self.connection().with_database(name)?,
                memory: Arc::clone(&self.shared.memory),
            }),
        })
    }

    /// The database that this client works in; empty for the default one.
    pub fn database(&self) -> &str {
        self.connection().database()
    }

    pub(crate) fn memory(&self) -> &TargetMemory {
        &self.shared.memory
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("alias", &self.connection().alias())
            .field("address", &self.connection().address())
            .field("database", &self.connection().database())
            .finish_non_exhaustive()
    }
}
