//! A Rust future as something that Python's `await` waits for.
//!
//! The future runs as a task on the runtime's threads. Its answer goes to one thread of ours, which alone takes the GIL and
//! hands all answers that have come in to their event loops at once: a runtime thread that waited for the GIL could serve
//! no socket meanwhile.
//!
//! Invariants: cancelling the awaiting task aborts the Rust task. No event loop is remembered beyond the calls that came
//! from it. What belongs to Python is dropped by the delivering thread, with the GIL, also when a task is aborted: dropped
//! without, it would go through a lock of PyO3's, which a `fork` could leave taken in the child. After [`Deliveries::end`]
//! nobody here asks for the GIL.

use std::future::Future;
use std::mem::ManuallyDrop;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCFunction, PyDict, PyList, PyTuple};
use tokio::task::AbortHandle;

use crate::errors::Failure;
use crate::runtime::{self, Owned};

/// Makes the Python value of an answer, once the GIL is there.
type Answer = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// An `asyncio.Future` that waits, and the answer; `None` when its call was aborted and nobody waits any more.
struct Delivery {
    event_loop: Py<PyAny>,
    future: Py<PyAny>,
    answer: Option<Answer>,
}

/// What a call's task holds of Python: on its way to the delivering thread however the task ends.
struct Waiting {
    /// Taken when this is dropped.
    delivery: ManuallyDrop<Delivery>,
    sender: Sender<Delivery>,
}

impl Waiting {
    fn answer(mut self, answer: Answer) {
        self.delivery.answer = Some(answer);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // SAFETY: taken here and nowhere else; nobody sees the value afterwards, `self` is being dropped.
        let delivery = unsafe { ManuallyDrop::take(&mut self.delivery) };
        if let Err(unsent) = self.sender.send(delivery) {
            // Nobody receives once the interpreter ends; to drop what belongs to Python one needs the GIL.
            std::mem::forget(unsent);
        }
    }
}

/// The way from the runtime's threads to the event loops.
pub(crate) struct Deliveries {
    sender: Sender<Delivery>,
    /// Held by the delivering thread while it has, or asks for, the GIL; true once nothing may be delivered any more.
    ended: Arc<Mutex<bool>>,
}

impl Deliveries {
    /// Starts the delivering thread.
    pub(crate) fn start() -> PyResult<Self> {
        let (sender, receiver) = channel();
        let ended = Arc::new(Mutex::new(false));
        let seen = Arc::clone(&ended);
        std::thread::Builder::new()
            .name("milvus-connections-asyncio".to_owned())
            .spawn(move || deliver_all(&receiver, &seen))
            .map_err(|error| {
                PyRuntimeError::new_err(format!(
                    "a thread of milvus_connections can't be started: {error}"
                ))
            })?;
        Ok(Self { sender, ended })
    }

    /// Waits for a delivery that is being made; none is made afterwards. Must be called without the GIL.
    pub(crate) fn end(&self) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }
}

fn deliver_all(receiver: &Receiver<Delivery>, ended: &Mutex<bool>) {
    while let Ok(first) = receiver.recv() {
        let mut batch = vec![first];
        batch.extend(receiver.try_iter());
        // Without the GIL nothing of it may be dropped.
        let batch = ManuallyDrop::new(batch);
        let ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
        if *ended {
            return;
        }
        // An answer that can't be delivered belongs to a loop that has been closed: nobody waits for it.
        let _ = Python::try_attach(|py| deliver(py, ManuallyDrop::into_inner(batch)));
    }
}

/// One call into each event loop, whatever the number of answers.
fn deliver(py: Python<'_>, batch: Vec<Delivery>) {
    let mut by_loop: Vec<(Py<PyAny>, Bound<'_, PyList>)> = Vec::new();
    for Delivery {
        event_loop,
        future,
        answer,
    } in batch
    {
        let Some(answer) = answer else { continue };
        let place = by_loop.iter().position(|(known, _)| known.is(&event_loop));
        let answers = match place.and_then(|place| by_loop.get(place)) {
            Some((_, answers)) => answers.clone(),
            None => {
                let answers = PyList::empty(py);
                by_loop.push((event_loop, answers.clone()));
                answers
            }
        };
        let entry = match answer(py) {
            Ok(value) => (future, value, py.None()).into_py_any(py),
            Err(error) => (future, py.None(), error.into_value(py)).into_py_any(py),
        };
        let _ = entry.and_then(|entry| answers.append(entry));
    }
    for (event_loop, answers) in by_loop {
        let _ = settle_function(py).and_then(|settle| {
            event_loop.call_method1(
                py,
                pyo3::intern!(py, "call_soon_threadsafe"),
                (settle, answers),
            )
        });
    }
}

/// Gives each future its answer, on the event loop's own thread.
fn settle(answers: &Bound<'_, PyTuple>) -> PyResult<()> {
    let py = answers.py();
    let answers: Vec<(Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>)> =
        answers.get_item(0)?.extract()?;
    for (future, value, error) in answers {
        if future
            .call_method0(pyo3::intern!(py, "done"))?
            .is_truthy()?
        {
            continue;
        }
        if error.is_none() {
            future.call_method1(pyo3::intern!(py, "set_result"), (value,))?;
        } else {
            future.call_method1(pyo3::intern!(py, "set_exception"), (error,))?;
        }
    }
    Ok(())
}

fn settle_function(py: Python<'_>) -> PyResult<&Py<PyCFunction>> {
    static SETTLE: PyOnceLock<Py<PyCFunction>> = PyOnceLock::new();
    SETTLE.get_or_try_init(py, || {
        PyCFunction::new_closure(
            py,
            None,
            None,
            |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| settle(arguments),
        )
        .map(Bound::unbind)
    })
}

/// Aborts a Rust task when the Python future that stands for it is done: cancelled, or else answered already.
#[pyclass(frozen, module = "milvus_connections._native")]
pub(crate) struct Abort(Owned<AbortHandle>);

#[pymethods]
impl Abort {
    fn __call__(&self, _future: &Bound<'_, PyAny>) {
        if let Some(task) = self.0.get() {
            task.abort();
        }
    }
}

/// Runs `future` as a task, and gives Python something to await. Must be called inside a running event loop.
///
/// # Errors
/// `RuntimeError` outside an event loop.
pub(crate) fn awaitable<'py, F, T>(py: Python<'py>, future: F) -> PyResult<Bound<'py, PyAny>>
where
    F: Future<Output = Result<T, Failure>> + Send + 'static,
    T: for<'p> IntoPyObject<'p> + Send + 'static,
{
    static RUNNING_LOOP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let event_loop = RUNNING_LOOP
        .import(py, "asyncio", "get_running_loop")?
        .call0()?;
    let waiting = event_loop.call_method0(pyo3::intern!(py, "create_future"))?;
    if runtime::is_exiting() {
        return Err(PyRuntimeError::new_err(
            "the interpreter is ending: no call can be made any more",
        ));
    }
    let process = runtime::process(py)?;
    let waiting_call = Waiting {
        delivery: ManuallyDrop::new(Delivery {
            event_loop: event_loop.unbind(),
            future: waiting.clone().unbind(),
            answer: None,
        }),
        sender: process.deliveries.sender.clone(),
    };
    let task = process.runtime.spawn(async move {
        let answer: Answer = match future.await {
            Ok(value) => Box::new(move |py| value.into_py_any(py)),
            Err(failure) => Box::new(move |py| Err(failure.into_exception(py))),
        };
        waiting_call.answer(answer);
    });
    let abort = Abort(Owned::new(task.abort_handle()));
    waiting.call_method1(pyo3::intern!(py, "add_done_callback"), (abort,))?;
    Ok(waiting)
}
