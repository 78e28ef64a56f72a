//! Names to addresses, by the system's resolver: what `ping HOST` finds, we find (hosts file, search domains, VPN).
//!
//! Invariant: a literal address never touches DNS.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crate::error::{ConnectError, ConnectFailure, Phase};
use crate::target::{Endpoint, Host};

/// The addresses of an endpoint, in the resolver's order, without duplicates; never empty.
pub(crate) async fn resolve(
    endpoint: &Endpoint,
    address: &Arc<str>,
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
    match tokio::net::lookup_host((name.as_str(), endpoint.port)).await {
        Ok(found) => {
            for found in found {
                if !addresses.contains(&found) {
                    addresses.push(found);
                }
            }
        }
        Err(error) => {
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
