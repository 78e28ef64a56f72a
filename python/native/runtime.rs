//! The tokio runtime of this process: made on first use, never handed over to a child, never waited for at the end.
//!
//! Invariants: what belongs to a process is found by its id, so that a child of a `fork` makes its own and never touches
//! its parent's, whose threads it does not have. Nothing here is ever freed: to free a runtime is to wait for its threads,
//! which at the end of an interpreter, or in a child, is to wait for ever.

use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};

use crate::awaitable::Deliveries;

/// Threads that read and write sockets and run the calls of asyncio programs. Calls of threads run on those threads.
const FEWEST_WORKERS: usize = 2;
const MOST_WORKERS: usize = 8;

/// What one process has of us.
pub(crate) struct Process {
    id: u32,
    pub(crate) runtime: Runtime,
    /// Answers on their way to asyncio programs.
    pub(crate) deliveries: Deliveries,
}

static PROCESS: AtomicPtr<Process> = AtomicPtr::new(std::ptr::null_mut());
static EXITING: AtomicBool = AtomicBool::new(false);

/// This process's runtime, started if need be. The GIL, which every caller holds, makes that happen once.
pub(crate) fn process(_py: Python<'_>) -> PyResult<&'static Process> {
    let id = std::process::id();
    let known = PROCESS.load(Ordering::Acquire);
    // SAFETY: the pointer is null or came from `Box::leak` below, and is never freed.
    if let Some(process) = unsafe { known.as_ref() }
        && process.id == id
    {
        return Ok(process);
    }
    let process: &'static Process = Box::leak(Box::new(start(id)?));
    PROCESS.store(std::ptr::from_ref(process).cast_mut(), Ordering::Release);
    Ok(process)
}

fn start(id: u32) -> PyResult<Process> {
    let workers = std::thread::available_parallelism().map_or(FEWEST_WORKERS, usize::from);
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers.clamp(FEWEST_WORKERS, MOST_WORKERS))
        .thread_name("milvus-connections")
        .enable_all()
        .build()
        .map_err(|error| {
            PyRuntimeError::new_err(format!(
                "the threads of milvus_connections can't be started: {error}"
            ))
        })?;
    Ok(Process {
        id,
        runtime,
        deliveries: Deliveries::start()?,
    })
}

/// What belongs to the process that made it. A child of a `fork` neither uses nor drops it: to drop a client is to speak to
/// threads that are not there, and maybe to wait for a lock that one of them held.
pub(crate) struct Owned<T> {
    process: u32,
    value: ManuallyDrop<T>,
}

impl<T> Owned<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            process: std::process::id(),
            value: ManuallyDrop::new(value),
        }
    }

    /// The value; `None` in a child.
    pub(crate) fn get(&self) -> Option<&T> {
        (self.process == std::process::id()).then_some(&self.value)
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if self.get().is_some() {
            // SAFETY: dropped here and nowhere else; nobody sees the value afterwards, `self` is being dropped.
            unsafe { ManuallyDrop::drop(&mut self.value) }
        }
    }
}

/// A value that a child of a `fork` must not take over from its parent.
pub(crate) struct PerProcess<T>(Mutex<Owned<T>>);

impl<T: Clone> PerProcess<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(Owned::new(value)))
    }

    /// The value; in a child, first made anew from its parent's.
    pub(crate) fn get(&self, _py: Python<'_>, anew: impl FnOnce(&T) -> T) -> T {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = kept.get() {
            return value.clone();
        }
        let value = anew(&kept.value);
        *kept = Owned::new(value.clone());
        value
    }
}

/// Whether the interpreter is about to end: nobody is told anything any more.
pub(crate) fn is_exiting() -> bool {
    EXITING.load(Ordering::Acquire)
}

/// Called once by `atexit`: from now on no thread of ours asks for the GIL. What is open ends with the process.
#[pyfunction]
pub(crate) fn at_exit(py: Python<'_>) {
    EXITING.store(true, Ordering::Release);
    // SAFETY: as in `process`.
    if let Some(process) = unsafe { PROCESS.load(Ordering::Acquire).as_ref() }
        && process.id == std::process::id()
    {
        py.detach(|| process.deliveries.end());
    }
}

/// The version of the package.
#[pyfunction]
pub(crate) fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
