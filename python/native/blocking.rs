//! Waiting for a future on the calling thread, as a Python program does: the GIL is released, and Ctrl-C ends the wait.
//!
//! Invariant: the future is polled by the thread that waits, so that as many calls encode and decode side by side as there
//! are threads; when the wait is interrupted the future is dropped, which cancels its call.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::runtime;

/// How long a signal may wait for its handler.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

/// Waits for `future`.
///
/// # Errors
/// What a signal's handler raises, such as `KeyboardInterrupt`.
pub(crate) fn wait<F>(py: Python<'_>, future: F) -> PyResult<F::Output>
where
    F: Future + Send,
    F::Output: Send,
{
    let runtime = &runtime::process(py)?.runtime;
    if tokio::runtime::Handle::try_current().is_ok() {
        return Err(PyRuntimeError::new_err(
            "a blocking call can't be made from inside another one's work; use the async form",
        ));
    }
    let mut future = pin!(future);
    loop {
        let outcome = py.detach(|| {
            runtime.block_on(async { tokio::time::timeout(SIGNAL_INTERVAL, future.as_mut()).await })
        });
        match outcome {
            Ok(output) => return Ok(output),
            Err(_) => py.check_signals()?,
        }
    }
}
