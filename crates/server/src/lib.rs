//! Puts whatever answers Milvus calls on a TCP port or a Unix socket: TLS, authentication, limits, health and metrics,
//! graceful shutdown.
//!
//! Invariant: this crate knows nothing of what it serves. A call reaches the service only after its credentials were
//! accepted; a shutdown lets calls in flight end, for a bounded time.
//!
//! ```no_run
//! use milvus_server::{Listen, ServeOptions, Server};
//! # use milvus_protocol::server::{MilvusService, MilvusServiceServer};
//! # struct Database;
//! # impl MilvusService for Database {}
//! # async fn example() -> Result<(), milvus_server::ServeError> {
//! let options = ServeOptions::new(Listen::Tcp(([127, 0, 0, 1], 19530).into()));
//! let server = Server::bind(options).await?;
//! let address = server.address();
//! let stop = std::future::pending();
//! server.run(MilvusServiceServer::new(Database), stop).await;
//! # Ok(())
//! # }
//! ```

mod authentication;
mod counters;
mod deadline;
mod health;
mod listener;
mod options;
mod probes;
mod reply;
mod server;
mod tls;

pub use authentication::Authenticate;
pub use listener::Listen;
pub use options::{ServeError, ServeOptions, ServerTls};
pub use server::{Server, Stopped};
