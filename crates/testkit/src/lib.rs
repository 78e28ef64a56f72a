//! What the tests of this workspace stand on: real servers to talk to, and servers that misbehave on demand.
//!
//! - [`real`]: a private Milvus, Milvus Lite, an nginx front that looks like Zilliz Cloud, and PyMilvus, each installed
//!   and started by the test command itself and described to the tests through environment variables.
//! - [`Certificates`]: the certificate authorities and certificates, good and bad, that TLS tests need.
//! - `fault` (feature, on by default): a gRPC server with scripted answers, and a proxy that works on HTTP/2 frames.
//! - `conformance` (feature): what any backend must do, seen through the client.
//!
//! Invariant: whatever this crate starts is gone when its guard is dropped, and also when the process that owns the
//! guard is killed; it listens on loopback ports that were free, and it writes under the target directory only.
//!
//! This crate is never published, and no shipped crate depends on it.

mod certificates;
#[cfg(feature = "conformance")]
pub mod conformance;
mod directories;
mod failure;
#[cfg(feature = "fault")]
pub mod fault;
pub mod ports;
mod process;
pub mod real;

pub use certificates::{CLOUD_SERVER_NAME, Certificates, Identity, OTHER_SERVER_NAME};
pub use directories::{DIRECTORY_VARIABLE, Scratch, testkit_directory};
pub use failure::Failure;
pub use process::ServerProcess;
