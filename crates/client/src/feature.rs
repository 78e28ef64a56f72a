//! What only some servers have.
//!
//! Old servers ignore fields of a message that they do not know: a search grouped by a field comes back
//! ungrouped, a nullable field is created without null. So a request that needs a newer server asks
//! here first, and a server that says it is older is reported instead of being sent what it would
//! ignore. A server that does not say which version it is gets the benefit of the doubt.
//!
//! Invariant: a feature stands here once, with the version of Milvus that brought it.

use std::sync::Arc;

use milvus_protocol::milvus::GetVersionRequest;
use milvus_protocol::rpc;
use milvus_transport::{Error as ConnectionError, ServerDescription};

use crate::client::Client;
use crate::error::{Error, MissingFeature, Result};

/// Something a server may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Feature {
    /// In words, to follow "does not have".
    name: &'static str,
    /// Major and minor version of Milvus that brought it; `None` when a server that lacks it says so.
    since: Option<(u32, u32)>,
    /// Whether Milvus Lite has it.
    in_lite: bool,
    /// Whether the engine of this project has it, whatever version of Milvus it follows otherwise.
    in_embedded: bool,
}

/// What Milvus Lite (the Python program, not the library) calls itself.
const LITE: &str = "milvus_lite";

/// The way of deployment that the engine of this project tells in its greeting, in this process and when it is served.
const EMBEDDED: &str = "EMBEDDED";

impl Feature {
    /// A feature whose absence the server reports itself (an unknown call).
    pub(crate) const fn call(name: &'static str) -> Self {
        Self {
            name,
            since: None,
            in_lite: true,
            in_embedded: false,
        }
    }

    /// A feature that older servers silently ignore.
    pub(crate) const fn since(name: &'static str, major: u32, minor: u32) -> Self {
        Self {
            name,
            since: Some((major, minor)),
            in_lite: true,
            in_embedded: false,
        }
    }

    /// The same, which Milvus Lite does not have.
    pub(crate) const fn not_in_lite(mut self) -> Self {
        self.in_lite = false;
        self
    }

    /// The same, which the engine of this project has although it says an older version of Milvus.
    pub(crate) const fn in_embedded(mut self) -> Self {
        self.in_embedded = true;
        self
    }

    /// Whether a server that greets so is new enough; `None` when it does not say.
    fn is_in(self, server: &ServerDescription) -> Option<bool> {
        if self.in_embedded && server.deploy_mode == EMBEDDED {
            return Some(true);
        }
        match (parse_version(&server.version), self.since) {
            (Some(version), Some(since)) => Some(version >= since),
            _ if !self.in_lite && server.version.starts_with(LITE) => Some(false),
            _ => None,
        }
    }
}

/// Major and minor number of a Milvus version such as `v2.3.5` or `2.6.0-dev`.
fn parse_version(version: &str) -> Option<(u32, u32)> {
    let digits = version.trim_start_matches(['v', 'V']);
    let mut parts = digits.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?;
    let end = minor
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(minor.len());
    Some((major, minor[..end].parse().ok()?))
}

/// Whether a server that knows the call says (`ErrServiceUnimplemented`) that it lacks what the call asks for.
pub(crate) fn is_unimplemented(refusal: &ConnectionError) -> bool {
    const SERVICE_UNIMPLEMENTED: i32 = 10;
    refusal
        .answer()
        .is_some_and(|answer| answer.code() == SERVICE_UNIMPLEMENTED)
}

impl Client {
    /// What the server said of its version; empty when it said nothing.
    pub(crate) fn server_version(&self) -> String {
        self.connection().server().version
    }

    /// Refuses what the server is known not to have.
    pub(crate) fn require(&self, feature: Feature) -> Result<()> {
        match feature.is_in(&self.connection().server()) {
            Some(false) => Err(self.missing(feature, None)),
            Some(true) | None => Ok(()),
        }
    }

    /// Refuses what the server is known to be too old for. A Milvus Lite refuses it itself.
    pub(crate) fn require_version(&self, feature: Feature) -> Result<()> {
        if self.is_lite_without(feature) {
            return Ok(());
        }
        self.require(feature)
    }

    /// Whether the server is a Milvus Lite, and Milvus Lite does not have the feature.
    pub(crate) fn is_lite_without(&self, feature: Feature) -> bool {
        !feature.in_lite && self.server_version().starts_with(LITE)
    }

    /// Whether the server says that it is new enough. A server that does not say its version is not.
    pub(crate) fn is_known_to_have(&self, feature: Feature) -> bool {
        feature.is_in(&self.connection().server()) == Some(true)
    }

    pub(crate) fn missing(&self, feature: Feature, source: Option<ConnectionError>) -> Error {
        self.missing_from(feature, self.server_version(), source)
    }

    /// What a server lacks that has just said so. Where the handshake told a name instead of a version (as
    /// Milvus Lite does), the server is asked for its version, so that the error can state it.
    pub(crate) async fn refused(&self, feature: Feature, refusal: ConnectionError) -> Error {
        let mut version = self.server_version();
        if parse_version(&version).is_none() {
            let asked = self
                .connection()
                .call(&rpc::GET_VERSION, GetVersionRequest {});
            if let Ok(answer) = asked.await {
                version = answer.version;
            }
        }
        self.missing_from(feature, version, Some(refusal))
    }

    fn missing_from(
        &self,
        feature: Feature,
        server_version: String,
        source: Option<ConnectionError>,
    ) -> Error {
        Error::MissingFeature(Arc::new(MissingFeature {
            feature: feature.name.to_owned(),
            since: feature
                .since
                .map(|(major, minor)| format!("{major}.{minor}")),
            server_version,
            address: self.connection().address().to_owned(),
            source,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::{Feature, ServerDescription, parse_version};

    #[test]
    fn the_engine_has_what_the_table_says_and_no_more() {
        let mut server = ServerDescription::default();
        server.version = "2.6.0".to_owned();
        let newer = Feature::since("something", 3, 0);
        assert_eq!(newer.in_embedded().is_in(&server), Some(false));
        server.deploy_mode = "EMBEDDED".to_owned();
        assert_eq!(newer.in_embedded().is_in(&server), Some(true));
        assert_eq!(newer.is_in(&server), Some(false));
    }

    #[test]
    fn versions_are_read_as_servers_write_them() {
        assert_eq!(parse_version("v2.3.5"), Some((2, 3)));
        assert_eq!(parse_version("2.6.0-dev"), Some((2, 6)));
        assert_eq!(parse_version("3.0rc1"), Some((3, 0)));
        assert_eq!(parse_version("2.10.1"), Some((2, 10)));
        assert_eq!(parse_version(""), None);
        assert_eq!(parse_version("master-20240101"), None);
    }
}
