//! Iterations over queries and searches, page by page.
//!
//! Invariants: a page is asked for when Python asks for it, and one at a time. An iteration stays in the process that began
//! it.

use std::pin::Pin;
use std::sync::Arc;

use futures_core::Stream;
use milvus_client::{Rows, SearchResults};
use pyo3::prelude::*;
use tokio::sync::Mutex;

use super::read::{Ann, AnnArguments, QueryArguments, QueryRequest, SearchArguments, Target};
use super::results::{QueryAnswer, SearchAnswer};
use super::verb::{Options, call};
use crate::connection::Connection;
use crate::errors::Failure;
use crate::run::run;
use crate::runtime::Owned;

type Stepped<T> = Pin<Box<dyn Stream<Item = milvus_client::Result<T>> + Send>>;

/// A stream that several may ask.
struct Pages<T>(Owned<Arc<Mutex<Stepped<T>>>>);

impl<T> Pages<T> {
    fn new(stream: impl Stream<Item = milvus_client::Result<T>> + Send + 'static) -> Self {
        Self(Owned::new(Arc::new(Mutex::new(Box::pin(stream)))))
    }

    /// What the next item is asked of.
    ///
    /// # Errors
    /// In a child of the process that began the iteration.
    fn stream(&self) -> Result<Arc<Mutex<Stepped<T>>>, Failure> {
        self.0.get().cloned().ok_or_else(|| {
            Failure::parameter("an iteration can't go on in another process than the one that began it; begin it anew")
        })
    }
}

/// The next item of a stream.
async fn next<T>(stream: Result<Arc<Mutex<Stepped<T>>>, Failure>) -> Result<Option<T>, Failure> {
    let stream = stream?;
    let mut stream = stream.lock().await;
    match std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await {
        Some(Ok(page)) => Ok(Some(page)),
        Some(Err(error)) => Err(error.into()),
        None => Ok(None),
    }
}

/// The pages of a query.
#[pyclass(frozen, module = "milvus_connections._native")]
pub(crate) struct QueryPages(Pages<Rows>);

#[pymethods]
impl QueryPages {
    /// The next page; `None` after the last.
    fn next<'py>(&self, py: Python<'py>, asynchronous: bool) -> PyResult<Bound<'py, PyAny>> {
        let stream = self.0.stream();
        run(py, asynchronous, async move {
            Ok(next(stream).await?.map(QueryAnswer::from))
        })
    }
}

/// The pages of a search.
#[pyclass(frozen, module = "milvus_connections._native")]
pub(crate) struct SearchPages(Pages<SearchResults>);

#[pymethods]
impl SearchPages {
    /// The next page; `None` after the last.
    fn next<'py>(&self, py: Python<'py>, asynchronous: bool) -> PyResult<Bound<'py, PyAny>> {
        let stream = self.0.stream();
        run(py, asynchronous, async move {
            Ok(next(stream).await?.map(SearchAnswer::from))
        })
    }
}

/// Begins to read all rows of a query, a page of `page_size` at a time.
#[pyfunction]
pub(crate) fn query_pages<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
    arguments: QueryArguments<'py>,
    page_size: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let request =
        QueryRequest::read(arguments).map_err(|failure| failure.into_exception(connection.py()))?;
    call(connection, options, move |client, options| async move {
        let mut query = request.build(&client).page_size(page_size);
        if let Some(timeout) = options.timeout() {
            query = query.timeout(timeout);
        }
        Ok(QueryPages(Pages::new(query.pages())))
    })
}

/// Begins to search on and on, a page of `page_size` hits at a time.
#[pyfunction]
pub(crate) fn search_pages<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
    arguments: SearchArguments<'py>,
    ann: AnnArguments<'py>,
    page_size: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let read = || -> Result<_, Failure> { Ok((Target::read(arguments)?, Ann::read(ann)?)) };
    let (target, ann) = read().map_err(|failure| failure.into_exception(connection.py()))?;
    call(connection, options, move |client, options| async move {
        let search = ann.search(&client, &target.collection).await;
        let mut search = target.complete(search).page_size(page_size);
        if let Some(timeout) = options.timeout() {
            search = search.timeout(timeout);
        }
        Ok(SearchPages(Pages::new(search.pages())))
    })
}
