//! Rust's errors as the exceptions of `milvus_connections.exceptions`, which have PyMilvus's names, codes and texts.
//!
//! Invariant: what existing code looks at (class, `code`, `message`, `compatible_code`) is as PyMilvus has it; what ours
//! knows beyond that (alias, address, whether a write may have been applied, what to try) stands beside it as attributes.

use milvus_client::Error as ClientError;
use milvus_connections::Error as RegistryError;
use milvus_connections::pymilvus::UNEXPECTED_ERROR;
use milvus_transport::{Applied, Error as ConnectionError, ErrorKind, ServerAnswer};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Why a verb failed; becomes an exception once the GIL is there.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The registry says so.
    Registry(RegistryError),
    /// The client, the connection or the server says so.
    Client(ClientError),
    /// As `Client`, of a call that describes a collection: PyMilvus has a class for that.
    Describing(ClientError),
    /// An exception that is one already.
    Raised(PyErr),
    /// An exception of this class, with PyMilvus's code for it.
    Exception {
        /// The class's name.
        class: &'static str,
        /// PyMilvus's code.
        code: i32,
        /// The text.
        message: String,
    },
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Self::Registry(error)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<ConnectionError> for Failure {
    fn from(error: ConnectionError) -> Self {
        Self::Client(error.into())
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

impl Failure {
    /// The failure of a call that describes a collection.
    pub(crate) fn describing(self) -> Self {
        match self {
            Self::Client(error) => Self::Describing(error),
            other => other,
        }
    }

    /// A configuration that can't be used.
    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self::Exception {
            class: "ConnectionConfigException",
            code: UNEXPECTED_ERROR,
            message: message.into(),
        }
    }

    /// A parameter that can't be used.
    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Self::Exception {
            class: "ParamError",
            code: UNEXPECTED_ERROR,
            message: message.into(),
        }
    }

    /// Rows or columns that can't be used.
    pub(crate) fn data(message: impl Into<String>) -> Self {
        Self::Exception {
            class: "DataNotMatchException",
            code: UNEXPECTED_ERROR,
            message: message.into(),
        }
    }

    /// Something that is not there, or an answer that can't be read.
    pub(crate) fn unexpected(message: impl Into<String>) -> Self {
        Self::Exception {
            class: "MilvusException",
            code: UNEXPECTED_ERROR,
            message: message.into(),
        }
    }

    /// The exception to raise.
    pub(crate) fn into_exception(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Raised(error) => error,
            Self::Exception {
                class,
                code,
                message,
            } => Exception::new(class, code, message).raise(py),
            Self::Registry(error) => of_registry(&error).raise(py),
            Self::Client(error) => of_client(&error).raise(py),
            Self::Describing(error) => {
                let mut exception = of_client(&error);
                if exception.class == "MilvusException" {
                    exception.class = "DescribeCollectionException";
                }
                exception.raise(py)
            }
        }
    }
}

/// An exception as it will be raised.
struct Exception<'a> {
    class: &'static str,
    code: i32,
    message: String,
    connection: Option<&'a ConnectionError>,
    alias: Option<&'a str>,
}

impl<'a> Exception<'a> {
    fn new(class: &'static str, code: i32, message: String) -> Self {
        Self {
            class,
            code,
            message,
            connection: None,
            alias: None,
        }
    }

    fn about(mut self, connection: Option<&'a ConnectionError>) -> Self {
        self.connection = connection;
        self.alias = connection.map(ConnectionError::alias);
        self
    }

    fn raise(self, py: Python<'_>) -> PyErr {
        match self.make(py) {
            Ok(exception) => PyErr::from_value(exception),
            Err(error) => error,
        }
    }

    fn make<'py>(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let class = py
            .import(pyo3::intern!(py, "milvus_connections.exceptions"))?
            .getattr(self.class)?;
        let given = PyDict::new(py);
        given.set_item("code", self.code)?;
        given.set_item("message", self.message)?;
        if let Some(answer) = self.connection.and_then(ConnectionError::answer) {
            if answer.legacy_code() != 0 {
                given.set_item("compatible_code", answer.legacy_code())?;
            }
            given.set_item("is_input_error", answer.input_error())?;
            given.set_item("retriable", answer.retriable())?;
        }
        let exception = class.call((), Some(&given))?;
        if let Some(alias) = self.alias {
            exception.setattr("alias", alias)?;
        }
        if let Some(error) = self.connection {
            exception.setattr("address", error.address())?;
            exception.setattr("hint", error.hint())?;
            exception.setattr(
                "applied",
                matches!(error.applied(), Applied::Unknown)
                    .then_some("unknown")
                    .unwrap_or("no"),
            )?;
            exception.setattr("attempts", error.attempts())?;
        }
        Ok(exception)
    }
}

fn of_registry(error: &RegistryError) -> Exception<'_> {
    let mut exception = Exception::new(
        error.pymilvus_exception().class_name(),
        error.pymilvus_code(),
        error.to_string(),
    )
    .about(error.connect());
    exception.alias = error.alias();
    exception
}

fn of_client(error: &ClientError) -> Exception<'_> {
    let connection = error.connection_error();
    let class = match error {
        ClientError::InvalidValue(_) => "DataNotMatchException",
        ClientError::InvalidRequest(_) => "ParamError",
        _ => connection.map_or("MilvusException", |error| of_kind(error.kind())),
    };
    let code = connection
        .and_then(ConnectionError::answer)
        .map_or(UNEXPECTED_ERROR, code_of);
    Exception::new(class, code, error.to_string()).about(connection)
}

fn of_kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::RequestTooLarge => "ParamError",
        ErrorKind::InvalidConfiguration => "ConnectionConfigException",
        ErrorKind::Closed => "ConnectionNotExistException",
        ErrorKind::Connect(_) | ErrorKind::Unavailable | ErrorKind::Transport => {
            "MilvusUnavailableException"
        }
        _ => "MilvusException",
    }
}

/// Milvus's code; servers before 2.3 have only the older one, and gRPC's own refusals have gRPC's.
fn code_of(answer: &ServerAnswer) -> i32 {
    match (answer.code(), answer.legacy_code()) {
        (0, 0) => answer.grpc_code() as i32,
        (0, legacy) => legacy,
        (code, _) => code,
    }
}
