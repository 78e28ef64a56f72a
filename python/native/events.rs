//! What happens in a registry, one change after another, for `for` and for `async for`.
//!
//! Invariant: a child of a `fork` is told nothing of what happens in its parent, and does not wait for it.

use std::sync::Arc;

use milvus_connections::RegistryEvents;
use pyo3::prelude::*;
use tokio::sync::Mutex;

use crate::errors::Failure;
use crate::run::run;
use crate::runtime::Owned;

/// The changes of a registry from the moment at which it was made.
#[pyclass(frozen, module = "milvus_connections._native")]
pub(crate) struct Events(Owned<Arc<Mutex<RegistryEvents>>>);

impl Events {
    pub(crate) fn new(events: RegistryEvents) -> Self {
        Self(Owned::new(Arc::new(Mutex::new(events))))
    }
}

#[pymethods]
impl Events {
    /// The next change as JSON; `None` when none comes within `timeout` seconds or ever again.
    #[pyo3(signature = (timeout, asynchronous))]
    fn next<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<f64>,
        asynchronous: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let patience = match timeout
            .map(std::time::Duration::try_from_secs_f64)
            .transpose()
        {
            Ok(patience) => patience,
            Err(error) => {
                return Err(
                    Failure::parameter(format!("the timeout can't be used: {error}"))
                        .into_exception(py),
                );
            }
        };
        let events = self.0.get().cloned();
        run(py, asynchronous, async move {
            let Some(events) = events else {
                return Ok(None);
            };
            let next = async { events.lock().await.next().await };
            let event = match patience {
                Some(patience) => tokio::time::timeout(patience, next).await.unwrap_or(None),
                None => next.await,
            };
            Ok(event.and_then(|event| serde_json::to_string(&event).ok()))
        })
    }
}
