//! Texts and codes that programs written for PyMilvus match on. The only place that knows them.
//!
//! Invariant: our own errors say more than PyMilvus's, and contain these texts word for word. The texts about addresses
//! and URIs stand where addresses and URIs are parsed, in [`milvus_transport::TargetError`].

/// The class of exception that PyMilvus raises in the same situation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PymilvusException {
    /// `ConnectionConfigException`, code 1.
    ConnectionConfig,
    /// `ConnectionNotExistException`, code 1.
    ConnectionNotExist,
    /// `MilvusException`, with the code of the failure.
    Milvus,
}

impl PymilvusException {
    /// The class's name in `pymilvus.exceptions`.
    pub fn class_name(self) -> &'static str {
        match self {
            Self::ConnectionConfig => "ConnectionConfigException",
            Self::ConnectionNotExist => "ConnectionNotExistException",
            Self::Milvus => "MilvusException",
        }
    }
}

/// The code of `ConnectionConfigException` and `ConnectionNotExistException`.
pub const UNEXPECTED_ERROR: i32 = 1;
/// The code of a connect that failed.
pub const CONNECT_FAILED: i32 = 2;

/// A host that is not a string.
pub const HOST_TYPE: &str = "Type of 'host' must be str.";
/// A port that is neither a string nor a number.
pub const PORT_TYPE: &str = "Type of 'port' must be str or int.";
/// A call on an alias that is not connected.
pub const CONNECT_FIRST: &str = "should create connection first.";

/// An alias that is not a string; `class` is what Python's `repr` says of its type, such as `<class 'int'>`.
pub fn alias_type(class: &str) -> String {
    format!("Alias should be string, but {class} is given.")
}

/// An alias that is connected to another address.
pub fn connection_differs(alias: &str) -> String {
    format!(
        "Alias of {} already creating connections, but the configure is not the same as passed in.",
        python_repr(alias)
    )
}

/// An alias that nobody has configured.
pub fn configuration_missing(alias: &str) -> String {
    format!(
        "You need to pass in the configuration of the connection named {} .",
        python_repr(alias)
    )
}

/// A connect that failed.
pub fn connect_failed(address: &str) -> String {
    format!(
        "Fail connecting to server on {address}, illegal connection params or server unavailable"
    )
}

/// A database file in a folder that isn't there.
pub fn folder_missing(folder: &str) -> String {
    format!("Open local milvus failed, dir: {folder} not exists")
}

/// What Python's `repr` gives for a string, as far as aliases go.
fn python_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut repr = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => repr.push_str("\\\\"),
            '\n' => repr.push_str("\\n"),
            '\r' => repr.push_str("\\r"),
            '\t' => repr.push_str("\\t"),
            c if c == quote => repr.extend(['\\', c]),
            c => repr.push(c),
        }
    }
    repr.push(quote);
    repr
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_are_quoted_as_python_does() {
        assert_eq!(python_repr("dev"), "'dev'");
        assert_eq!(python_repr("it's"), "\"it's\"");
        assert_eq!(python_repr("it's \"it\""), "'it\\'s \"it\"'");
        assert_eq!(python_repr("a\\b\n"), "'a\\\\b\\n'");
    }
}
