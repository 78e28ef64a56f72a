//! What all functions of the data plane share: the options of a call, and the way from a handle to an answer.
//!
//! Invariant: a function checks and converts everything before its future is made; the future holds no Python object.

use std::future::Future;
use std::time::Duration;

use milvus_client::Client;
use milvus_protocol::rpc::Rpc;
use milvus_transport::CallOptions;
use pyo3::prelude::*;

use crate::connection::Connection;
use crate::errors::Failure;
use crate::run::run;

/// How a call is made: seconds it may take, the id under which the server traces it, whether it is awaited.
#[derive(Clone, Debug, FromPyObject)]
pub(crate) struct Options(Option<f64>, Option<String>, bool);

impl Options {
    /// The time that the call may take.
    ///
    /// # Errors
    /// A number that is no time.
    fn check(&self) -> Result<(), Failure> {
        match self.0.map(Duration::try_from_secs_f64) {
            Some(Err(error)) => Err(Failure::parameter(format!(
                "`timeout` can't be used: {error}"
            ))),
            _ => Ok(()),
        }
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.0
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }

    pub(crate) fn request_id(&self) -> Option<&str> {
        self.1.as_deref()
    }

    pub(crate) fn asynchronous(&self) -> bool {
        self.2
    }

    fn call_options(&self) -> CallOptions {
        let mut options = CallOptions::default();
        options.timeout = self.timeout();
        options.request_id = self.1.clone();
        options
    }
}

/// Makes a call on the client of a handle.
///
/// # Errors
/// The exception of what went wrong.
pub(crate) fn call<'py, T, F>(
    connection: &Bound<'py, Connection>,
    options: Options,
    request: impl FnOnce(Client, Options) -> F + Send + 'static,
) -> PyResult<Bound<'py, PyAny>>
where
    F: Future<Output = Result<T, Failure>> + Send + 'static,
    T: for<'p> IntoPyObject<'p> + Send + 'static,
{
    let py = connection.py();
    options
        .check()
        .map_err(|failure| failure.into_exception(py))?;
    let handle = connection.get().handle(py)?;
    run(py, options.asynchronous(), async move {
        let client = handle.client().await?;
        request(client, options).await
    })
}

/// Makes one call of the protocol's, for what has no verb of the client or needs its answer in full.
///
/// # Errors
/// What the connection says.
pub(crate) async fn raw<Req, Res>(
    client: &Client,
    options: &Options,
    rpc: &Rpc<Req, Res>,
    message: Req,
) -> Result<Res, Failure>
where
    Req: prost::Message,
    Res: prost::Message + Default,
{
    Ok(client
        .connection()
        .call_with(rpc, message, options.call_options())
        .await?)
}

/// Sends a request of the client's with the options of the call.
macro_rules! send {
    ($request:expr, $options:expr) => {{
        let mut request = $request;
        if let Some(timeout) = $options.timeout() {
            request = request.timeout(timeout);
        }
        if let Some(id) = $options.request_id() {
            request = request.request_id(id);
        }
        request.await.map_err($crate::errors::Failure::from)
    }};
}

/// Declares a function that makes one request of the client's; `=>` gives what Python gets of the answer.
macro_rules! verb {
    (
        $(#[$attribute:meta])*
        $name:ident($client:ident $(, $argument:ident: $type:ty)* $(,)?) $request:expr $(=> $answer:expr)?
    ) => {
        $(#[$attribute])*
        #[pyo3::pyfunction]
        pub(crate) fn $name<'py>(
            connection: &pyo3::Bound<'py, $crate::connection::Connection>,
            options: $crate::data::verb::Options,
            $($argument: $type,)*
        ) -> pyo3::PyResult<pyo3::Bound<'py, pyo3::PyAny>> {
            $crate::data::verb::call(connection, options, move |$client, options| async move {
                let answer = send!($request, options)?;
                Ok(verb!(@answer answer $(, $answer)?))
            })
        }
    };
    (@answer $value:ident) => { $value };
    (@answer $value:ident, $answer:expr) => { ($answer)($value) };
}
