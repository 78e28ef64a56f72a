//! The native module of the Python package: it names what Python sees, and nothing else.
//!
//! Invariants of all files here: while a call waits for the network or encodes, the GIL is released; a lock is taken only
//! with the GIL held and given back before it is released, so that no child of a `fork` finds it taken.

mod awaitable;
mod blocking;
mod connection;
mod connections;
mod errors;
mod events;
mod parameters;
mod run;
mod runtime;

/// The native module; its Python face is `milvus_connections`.
#[pyo3::pymodule(gil_used = true)]
mod _native {
    #[pymodule_export]
    use crate::awaitable::Abort;
    #[pymodule_export]
    use crate::connection::Connection;
    #[pymodule_export]
    use crate::connections::Registry;
    #[pymodule_export]
    use crate::events::Events;
    #[pymodule_export]
    use crate::runtime::{at_exit, version};
}
