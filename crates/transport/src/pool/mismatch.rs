//! What is at the other end when it does not speak as expected: looked at, and where that is not enough, tried out.
//!
//! Invariant: the verdict "use TLS" or "don't" is given only when the peer has shown it: by its bytes, or by its answer
//! to a greeting of the other kind on a connection of its own.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::establish::Route;
use crate::channel::Peer;
use crate::dial::{FirstBytes, Stream, is_hang_up, tls_error};
use crate::error::{ConnectError, ConnectFailure, Phase};
use crate::http2::handshake;
use crate::tls::find_tls_error;

/// How long a greeting of the other kind may take; the peer has answered quickly before.
const TRIAL: Duration = Duration::from_secs(1);

/// Why an HTTP/2 greeting over an open stream came to nothing.
pub(crate) async fn explain(
    route: &Route,
    peer: &Peer,
    first_bytes: &FirstBytes,
    cause: Option<&h2::Error>,
    timeout: Duration,
) -> ConnectError {
    if route.secure {
        if let Some(tls) = first_bytes.tls_error() {
            return tls_error(
                io::Error::other(tls.clone()),
                &route.tls,
                &route.address,
                Phase::Tls,
            );
        }
        if first_bytes.lacks_client_certificate() && first_bytes.first().is_empty() {
            return ConnectError::new(
                ConnectFailure::ClientCertificateRequired,
                Phase::Tls,
                &route.address,
                "",
            );
        }
    } else if first_bytes.is_tls() || (!first_bytes.is_http2() && speaks_tls(peer, timeout).await) {
        return ConnectError::new(
            ConnectFailure::TlsRequired,
            Phase::Http2,
            &route.address,
            "",
        );
    }
    if first_bytes.is_http1() {
        let line = first_line(first_bytes.first());
        return ConnectError::new(
            ConnectFailure::HttpOneServer,
            Phase::Http2,
            &route.address,
            format!("it answered {line:?}"),
        );
    }
    if !first_bytes.first().is_empty() {
        return ConnectError::new(ConnectFailure::NotHttp2, Phase::Http2, &route.address, "");
    }
    match cause.and_then(h2::Error::get_io) {
        Some(error) if !is_hang_up(error) => ConnectError::new(
            ConnectFailure::HandshakeBroken,
            Phase::Http2,
            &route.address,
            error.to_string(),
        ),
        _ => ConnectError::new(
            ConnectFailure::ClosedAtOnce,
            Phase::Http2,
            &route.address,
            "",
        ),
    }
}

/// Why a TLS handshake came to nothing: where the peer just hung up, the other kind of greeting tells.
pub(crate) async fn explain_tls(
    route: &Route,
    peer: &Peer,
    error: ConnectError,
    timeout: Duration,
) -> ConnectError {
    if error.failure == ConnectFailure::ClosedAtOnce && speaks_plain_http2(peer, timeout).await {
        return ConnectError::new(
            ConnectFailure::TlsNotSpoken,
            Phase::Tls,
            &route.address,
            "it hung up on the TLS greeting and answers a plain one",
        );
    }
    if error.failure == ConnectFailure::ClosedAtOnce {
        return ConnectError {
            phase: Phase::Tls,
            ..error
        };
    }
    error
}

/// The first line of an HTTP/1 answer, shortened.
fn first_line(bytes: &[u8]) -> String {
    let line = bytes
        .split(|byte| matches!(byte, b'\r' | b'\n'))
        .next()
        .unwrap_or_default();
    String::from_utf8_lossy(line.get(..80).unwrap_or(line)).into_owned()
}

async fn speaks_tls(peer: &Peer, timeout: Duration) -> bool {
    let Peer::Tcp(address) = peer else {
        return false;
    };
    let trial = async {
        let stream = TcpStream::connect(address).await.ok()?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .ok()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TrustNobody))
            .with_no_client_auth();
        let name = ServerName::IpAddress(address.ip().into());
        // Whatever the server shows, it is refused; that it shows something is what was asked.
        let error = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .err()?;
        Some(!matches!(
            find_tls_error(&error)?,
            rustls::Error::InvalidMessage(_)
        ))
    };
    matches!(
        tokio::time::timeout(timeout.min(TRIAL), trial).await,
        Ok(Some(true))
    )
}

async fn speaks_plain_http2(peer: &Peer, timeout: Duration) -> bool {
    let Peer::Tcp(address) = peer else {
        return false;
    };
    let trial = async {
        let stream = Stream::tcp(TcpStream::connect(address).await.ok()?);
        let first_bytes = stream.first_bytes();
        let (_sender, mut connection) = handshake(stream).await.ok()?;
        std::future::poll_fn(|cx| match std::pin::Pin::new(&mut connection).poll(cx) {
            std::task::Poll::Pending if first_bytes.first().is_empty() => std::task::Poll::Pending,
            _ => std::task::Poll::Ready(()),
        })
        .await;
        Some(first_bytes.is_http2())
    };
    matches!(
        tokio::time::timeout(timeout.min(TRIAL), trial).await,
        Ok(Some(true))
    )
}

/// Accepts no certificate: a trial must not turn into a connection.
#[derive(Debug)]
struct TrustNobody;

impl ServerCertVerifier for TrustNobody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Err(rustls::Error::InvalidCertificate(
            CertificateError::ApplicationVerificationFailure,
        ))
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::InvalidCertificate(
            CertificateError::ApplicationVerificationFailure,
        ))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::InvalidCertificate(
            CertificateError::ApplicationVerificationFailure,
        ))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
