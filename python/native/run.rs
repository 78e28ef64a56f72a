//! One body for both forms of a verb: `run` waits for its future, or makes something to await of it.

use std::future::Future;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;

use crate::awaitable::awaitable;
use crate::blocking::wait;
use crate::errors::Failure;

/// The answer of `future`, or, `asynchronous`, an awaitable of it.
///
/// # Errors
/// The exception of the future's failure; see [`wait`] and [`awaitable`].
pub(crate) fn run<'py, F, T>(
    py: Python<'py>,
    asynchronous: bool,
    future: F,
) -> PyResult<Bound<'py, PyAny>>
where
    F: Future<Output = Result<T, Failure>> + Send + 'static,
    T: for<'p> IntoPyObject<'p> + Send + 'static,
{
    if asynchronous {
        return awaitable(py, future);
    }
    match wait(py, future)? {
        Ok(value) => value.into_bound_py_any(py),
        Err(failure) => Err(failure.into_exception(py)),
    }
}
