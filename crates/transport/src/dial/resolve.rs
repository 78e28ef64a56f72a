//! Names to addresses, by the system's resolver: what `ping HOST` finds, we find (hosts file, search domains, VPN).
//!
//! Invariant: a literal address never touches DNS, and a name server that does not answer holds nobody longer than it may.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{ConnectError, ConnectFailure, Phase};
use crate::target::{Endpoint, Host};

/// Who knows the addresses of names.
#[derive(Clone)]
pub(crate) enum Resolver {
    /// The system.
    System,
    /// A test.
    #[cfg(test)]
    Scripted(Arc<Script>),
}

#[cfg(test)]
pub(crate) type Script =
    dyn Fn() -> futures_util::future::BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync;

impl Resolver {
    async fn look_up(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::System => tokio::net::lookup_host((name, port))
                .await
                .map(Iterator::collect),
            #[cfg(test)]
            Self::Scripted(script) => script().await,
        }
    }
}

/// The addresses of an endpoint, in the resolver's order, without duplicates; never empty. The look-up has `timeout`.
pub(crate) async fn resolve(
    endpoint: &Endpoint,
    address: &Arc<str>,
    resolver: &Resolver,
    timeout: Duration,
) -> Result<Vec<SocketAddr>, ConnectError> {
    let name = match &endpoint.host {
        Host::V4(ip) => return Ok(vec![SocketAddr::new(IpAddr::V4(*ip), endpoint.port)]),
        Host::V6(ip) => return Ok(vec![SocketAddr::new(IpAddr::V6(*ip), endpoint.port)]),
        Host::Name(name) => name,
    };
    // RFC 6761, section 6.3: names below `localhost` mean this machine, and are no business of a name server.
    if name
        .trim_end_matches('.')
        .to_ascii_lowercase()
        .ends_with(".localhost")
    {
        let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        return Ok(loopback
            .map(|ip| SocketAddr::new(ip, endpoint.port))
            .to_vec());
    }
    let mut addresses: Vec<SocketAddr> = Vec::new();
    match tokio::time::timeout(timeout, resolver.look_up(name, endpoint.port)).await {
        Err(_) => {
            let detail = format!("{name}, within {:.1} s", timeout.as_secs_f32());
            return Err(ConnectError::new(
                ConnectFailure::DnsFailed,
                Phase::Dns,
                address,
                detail,
            ));
        }
        Ok(Ok(found)) => {
            for found in found {
                if !addresses.contains(&found) {
                    addresses.push(found);
                }
            }
        }
        Ok(Err(error)) => {
            let failure = if name_is_unknown(&error) {
                ConnectFailure::DnsNameUnknown
            } else {
                ConnectFailure::DnsFailed
            };
            return Err(
                ConnectError::new(failure, Phase::Dns, address, name.clone()).with_source(error),
            );
        }
    }
    if addresses.is_empty() {
        return Err(ConnectError::new(
            ConnectFailure::DnsNameUnknown,
            Phase::Dns,
            address,
            format!("{name} has no address"),
        ));
    }
    Ok(addresses)
}

/// `getaddrinfo` says why only by the text of `gai_strerror`; these are its words for "the name is not there" in glibc,
/// musl and on BSD and macOS. What can't be a host name at all (`InvalidInput`) is not there either.
fn name_is_unknown(error: &io::Error) -> bool {
    const WORDS: [&str; 5] = [
        "Name or service not known",
        "Name does not resolve",
        "No address associated with",
        "nodename nor servname provided",
        "Name has no usable address",
    ];
    let text = error.to_string();
    error.kind() == io::ErrorKind::InvalidInput || WORDS.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_name_server_that_does_not_answer_is_told_as_such() {
        let endpoint = Endpoint {
            host: Host::Name("milvus.example".into()),
            port: 19530,
        };
        let mute = Resolver::Scripted(Arc::new(|| Box::pin(std::future::pending())));
        let began = tokio::time::Instant::now();
        let timeout = Duration::from_secs(5);
        let error = resolve(&endpoint, &"milvus.example:19530".into(), &mute, timeout)
            .await
            .unwrap_err();
        assert_eq!(
            (error.failure, error.phase),
            (ConnectFailure::DnsFailed, Phase::Dns)
        );
        assert_eq!(began.elapsed(), timeout);
    }
}
