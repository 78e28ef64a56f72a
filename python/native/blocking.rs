//! Waiting for a future on the calling thread, as a Python program does: the GIL is released, and Ctrl-C ends the wait.
//!
//! Invariant: the future is polled by the thread that waits, so that as many calls encode and decode side by side as there
//! are threads; when the wait is interrupted the future is dropped, which cancels its call. A thread that Python never runs
//! a signal's handler on sleeps until its answer is there.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

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
    let caller = Arc::new(Caller {
        thread: std::thread::current(),
        is_woken: AtomicBool::new(true),
    });
    let waker = Waker::from(Arc::clone(&caller));
    let mut patience = Some(SIGNAL_INTERVAL);
    loop {
        let outcome = py.detach(|| {
            let _entered = runtime.enter();
            caller.poll(future.as_mut(), &waker, patience)
        });
        match outcome {
            Some(output) => return Ok(output),
            None => {
                py.check_signals()?;
                if !is_main_thread(py)? {
                    patience = None;
                }
            }
        }
    }
}

/// The thread that waits.
struct Caller {
    thread: Thread,
    is_woken: AtomicBool,
}

impl Caller {
    /// Polls until the future is ready; `None` when it is not within `patience`.
    fn poll<F: Future>(
        &self,
        mut future: Pin<&mut F>,
        waker: &Waker,
        patience: Option<Duration>,
    ) -> Option<F::Output> {
        let deadline = patience.map(|patience| Instant::now() + patience);
        loop {
            if self.is_woken.swap(false, Ordering::Acquire)
                && let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(waker))
            {
                return Some(output);
            }
            // A wake-up between the two is kept: parking then returns at once.
            let Some(deadline) = deadline else {
                std::thread::park();
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            std::thread::park_timeout(left);
        }
    }
}

impl Wake for Caller {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_woken.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }
}

/// Whether signals' handlers run on this thread.
fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import(pyo3::intern!(py, "threading"))?;
    let main = threading.call_method0(pyo3::intern!(py, "main_thread"))?;
    let current = threading.call_method0(pyo3::intern!(py, "get_ident"))?;
    main.getattr(pyo3::intern!(py, "ident"))?.eq(current)
}
