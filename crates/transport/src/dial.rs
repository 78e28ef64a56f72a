//! From a target to a byte stream: DNS, TCP or Unix socket, TLS; one function for each step.
//!
//! Invariant: the pool and the diagnosis walk the same steps, so what `diagnose` says is what `connect` does. A step
//! that fails says which failure it is; nothing above has to look at an I/O error again.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;

mod cork;
mod resolve;
mod stream;
mod tcp;
mod turn;

pub(crate) use resolve::{Resolver, resolve};
pub(crate) use stream::{FirstBytes, Stream};
pub(crate) use tcp::connect_tcp;
pub(crate) use turn::AnswerSize;

use crate::error::{ConnectError, ConnectFailure, Phase};
use crate::tls::{NoCertificate, TlsOptions, find_tls_error, tls_failure};

/// What was agreed in a TLS handshake, for people.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TlsFacts {
    /// `TLSv1.3`, `TLSv1.2`.
    pub version: String,
    /// The cipher suite.
    pub cipher: String,
    /// The name that was verified and sent as SNI.
    pub server_name: String,
}

/// Opens a Unix socket.
pub(crate) async fn connect_unix(
    path: &Path,
    address: &Arc<str>,
) -> Result<UnixStream, ConnectError> {
    UnixStream::connect(path).await.map_err(|error| {
        let failure = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ConnectFailure::SocketMissing
            }
            io::ErrorKind::PermissionDenied => ConnectFailure::SocketForbidden,
            _ => ConnectFailure::Unreachable,
        };
        ConnectError::new(failure, Phase::Tcp, address, "").with_source(error)
    })
}

/// The client's side of TLS, ready before anything is dialed.
pub(crate) struct TlsSetup {
    config: Arc<rustls::ClientConfig>,
    name: ServerName<'static>,
    asked: Arc<NoCertificate>,
}

/// Reads the certificates and settles the name; `host` is verified unless the options name another.
pub(crate) async fn set_up_tls(
    host: &str,
    options: &TlsOptions,
    address: &Arc<str>,
) -> Result<TlsSetup, ConnectError> {
    let misconfigured = |detail: String| {
        ConnectError::new(
            ConnectFailure::InvalidConfiguration,
            Phase::Configuration,
            address,
            detail,
        )
    };
    let asked: Arc<NoCertificate> = Arc::default();
    let (files, asking) = (options.clone(), Arc::clone(&asked));
    // Certificates are read from files, which blocks.
    let config = tokio::task::spawn_blocking(move || files.client_config(&asking))
        .await
        .map_err(|error| misconfigured(format!("reading the certificates failed: {error}")))?
        .map_err(|error| misconfigured(error.0))?;
    let name = options
        .verified_name(host)
        .map_err(|error| misconfigured(error.0))?;
    Ok(TlsSetup {
        config,
        name,
        asked,
    })
}

/// Does the TLS handshake over an open stream.
pub(crate) async fn handshake_tls(
    stream: tokio::net::TcpStream,
    setup: TlsSetup,
    options: &TlsOptions,
    address: &Arc<str>,
    timeout: Duration,
) -> Result<(Stream, TlsFacts), ConnectError> {
    let TlsSetup {
        config,
        name,
        asked,
    } = setup;
    let handshake = TlsConnector::from(config).connect(name.clone(), stream);
    let stream = match tokio::time::timeout(timeout, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) if asked.was_asked_for() && find_tls_error(&error).is_none() => {
            return Err(ConnectError::new(
                ConnectFailure::ClientCertificateRequired,
                Phase::Tls,
                address,
                "",
            )
            .with_source(error));
        }
        Ok(Err(error)) => return Err(tls_error(error, options, address, Phase::Tls)),
        Err(_) => return Err(silent(Phase::Tls, address)),
    };
    let (_, session) = stream.get_ref();
    match session.alpn_protocol() {
        Some(b"h2") => {}
        other => {
            let chosen = other.map_or("nothing".into(), |name| {
                String::from_utf8_lossy(name).into_owned()
            });
            let detail =
                format!("of the protocols that were offered (h2), the server chose {chosen}");
            return Err(ConnectError::new(
                ConnectFailure::AlpnNotH2,
                Phase::Tls,
                address,
                detail,
            ));
        }
    }
    let facts = TlsFacts {
        version: session
            .protocol_version()
            .map_or_else(String::new, |version| {
                format!("{version:?}").replace('_', ".")
            }),
        cipher: session
            .negotiated_cipher_suite()
            .map_or_else(String::new, |suite| format!("{:?}", suite.suite())),
        server_name: match &name {
            ServerName::DnsName(name) => name.as_ref().to_owned(),
            other => other.to_str().into_owned(),
        },
    };
    Ok((Stream::tls(stream, asked), facts))
}

/// What an I/O error on a TLS stream means. It may come after the handshake: with TLS 1.3 the server judges the client's
/// certificate when the client already believes to be done.
pub(crate) fn tls_error(
    error: io::Error,
    options: &TlsOptions,
    address: &Arc<str>,
    phase: Phase,
) -> ConnectError {
    let (failure, detail) = match find_tls_error(&error) {
        Some(tls) => tls_failure(tls, options.client_pem_path.is_some()),
        None if is_hang_up(&error) => (ConnectFailure::ClosedAtOnce, String::new()),
        None => (ConnectFailure::TlsFailed, error.to_string()),
    };
    ConnectError::new(failure, phase, address, detail).with_source(error)
}

/// True when the peer closed or reset the stream.
pub(crate) fn is_hang_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

/// The stream is open and nothing comes: how a Milvus looks that has its port but does not serve it yet.
pub(crate) fn silent(phase: Phase, address: &Arc<str>) -> ConnectError {
    let detail = "its port accepts connections, but nothing answers there (so it is while Milvus starts, and when it hangs)";
    ConnectError::new(ConnectFailure::ProxyNotReady, phase, address, detail)
}

/// The addresses in the order in which they shall be tried: the families interleaved (RFC 8305), starting at `first`.
pub(crate) fn interleave(addresses: &[SocketAddr], first: usize) -> Vec<SocketAddr> {
    let rotated = || {
        addresses
            .iter()
            .cycle()
            .skip(first.checked_rem(addresses.len()).unwrap_or(0))
            .take(addresses.len())
    };
    let leading_is_v6 = rotated().next().is_some_and(SocketAddr::is_ipv6);
    let (mut one, mut other): (Vec<_>, Vec<_>) = rotated()
        .copied()
        .partition(|address| address.is_ipv6() == leading_is_v6);
    one.reverse();
    other.reverse();
    let mut ordered = Vec::with_capacity(addresses.len());
    while !one.is_empty() || !other.is_empty() {
        ordered.extend(one.pop());
        ordered.extend(other.pop());
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_are_interleaved_and_all_addresses_kept() {
        let all = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1"]);
        assert_eq!(
            interleave(&all, 0),
            addresses(&["[::1]:1", "10.0.0.1:1", "[::2]:1", "[::3]:1"])
        );
        assert_eq!(
            interleave(&all, 3),
            addresses(&["10.0.0.1:1", "[::1]:1", "[::2]:1", "[::3]:1"])
        );
        assert_eq!(interleave(&all, 5)[0], all[1]);
        assert!(interleave(&[], 2).is_empty());
    }
}
