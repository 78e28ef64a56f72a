//! From a target to the routes that its channels take.

use std::sync::Arc;

use http::uri::Authority;

use super::establish::{Place, Route};
use crate::config::ConnectionConfig;
use crate::error::{ConnectError, ConnectFailure, Phase};
use crate::target::Target;
use crate::telemetry::ServerName;

/// One route for each endpoint of the target.
///
/// # Errors
/// When the target is not on a network, or a name in it can't stand in an HTTP/2 request.
pub(crate) fn routes(config: &ConnectionConfig) -> Result<Vec<Route>, ConnectError> {
    let address: Arc<str> = config.target.address().into();
    let invalid = |detail: String| {
        ConnectError::new(
            ConnectFailure::InvalidConfiguration,
            Phase::Configuration,
            &address,
            detail,
        )
    };
    match &config.target {
        Target::Tcp { endpoints, secure } => {
            let route = |endpoint: &crate::target::Endpoint| {
                let named = match &config.tls.server_name {
                    // A front that routes by name must see the name that the certificate is for.
                    Some(name) if *secure => format!("{name}:{}", endpoint.port),
                    _ => endpoint.to_string(),
                };
                let authority = Authority::try_from(named.as_str())
                    .map_err(|_| invalid(format!("{named:?} is no valid host name")))?;
                Ok(Route {
                    address: endpoint.to_string().into(),
                    server: ServerName::of_endpoint(endpoint),
                    place: Place::Tcp(endpoint.clone()),
                    secure: *secure,
                    authority,
                    tls: config.tls.clone(),
                })
            };
            if endpoints.is_empty() {
                return Err(invalid("the target has no endpoint".into()));
            }
            endpoints.iter().map(route).collect()
        }
        Target::Unix { path } => Ok(vec![Route {
            address: Arc::clone(&address),
            server: ServerName::of_target(&config.target),
            place: Place::Unix(path.clone()),
            secure: false,
            authority: Authority::from_static("localhost"),
            tls: config.tls.clone(),
        }]),
        Target::Embedded { .. } | Target::Memory { .. } => {
            let detail =
                "a database in this process needs the embedded engine (feature `embedded`)";
            Err(ConnectError::new(
                ConnectFailure::NotBuiltIn,
                Phase::Configuration,
                &address,
                detail,
            ))
        }
    }
}
