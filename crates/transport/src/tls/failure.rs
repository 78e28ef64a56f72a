//! What a TLS error means for the user.
//!
//! Invariant: the verdict comes from rustls's typed errors; the one that has no type of its own is told by the name of
//! webpki's variant.

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, CertificateError, Error};

use crate::error::ConnectFailure;

/// The rustls error inside an I/O error, however deep it stands.
pub(crate) fn find_tls_error(error: &io::Error) -> Option<&Error> {
    let mut current: Option<&(dyn StdError + 'static)> = error.get_ref().map(|inner| inner as _);
    while let Some(error) = current {
        if let Some(tls) = error.downcast_ref::<Error>() {
            return Some(tls);
        }
        current = match error.downcast_ref::<io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as _),
            None => error.source(),
        };
    }
    None
}

/// Which failure a TLS error is, and what to add to its sentence. Servers say `bad certificate` also where no client
/// certificate came at all (Go's TLS does), so it counts whether one was sent.
pub(crate) fn tls_failure(
    error: &Error,
    sent_client_certificate: bool,
) -> (ConnectFailure, String) {
    match error {
        Error::InvalidCertificate(reason) => certificate_failure(reason),
        Error::AlertReceived(alert) => (
            alert_failure(*alert, sent_client_certificate),
            format!("the server sent the TLS alert {alert:?}"),
        ),
        // What came back is no TLS record at all.
        Error::InvalidMessage(_) => (
            ConnectFailure::TlsNotSpoken,
            "its answer to the TLS greeting is not TLS".into(),
        ),
        Error::NoApplicationProtocol => (ConnectFailure::AlpnNotH2, String::new()),
        Error::PeerIncompatible(reason) => (ConnectFailure::TlsIncompatible, format!("{reason:?}")),
        other => (ConnectFailure::TlsFailed, other.to_string()),
    }
}

fn certificate_failure(reason: &CertificateError) -> (ConnectFailure, String) {
    match reason {
        CertificateError::Expired => (ConnectFailure::CertificateExpired, String::new()),
        CertificateError::ExpiredContext { time, not_after } => {
            let days = time.as_secs().saturating_sub(not_after.as_secs()) / 86_400;
            (
                ConnectFailure::CertificateExpired,
                format!("it ended {days} days ago"),
            )
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            (ConnectFailure::CertificateNotYetValid, String::new())
        }
        CertificateError::NotValidForName => {
            (ConnectFailure::CertificateNameMismatch, String::new())
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let presented = if presented.is_empty() {
                "no name at all".into()
            } else {
                presented
                    .iter()
                    .map(|name| plain_name(name))
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            (
                ConnectFailure::CertificateNameMismatch,
                format!(
                    "asked for {}, the certificate is for {presented}",
                    expected.to_str()
                ),
            )
        }
        CertificateError::UnknownIssuer => {
            (ConnectFailure::UnknownCertificateAuthority, String::new())
        }
        CertificateError::Revoked => (
            ConnectFailure::CertificateInvalid,
            "it has been revoked".into(),
        ),
        other => (ConnectFailure::CertificateInvalid, other.to_string()),
    }
}

/// A presented name without the type that rustls puts around it: `DnsName("a.example")`, `IpAddress(::1)`.
fn plain_name(presented: &str) -> &str {
    let inner = presented
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.map_or(presented, |name| name.trim_matches('"'))
}

fn alert_failure(alert: AlertDescription, sent_client_certificate: bool) -> ConnectFailure {
    match alert {
        AlertDescription::BadCertificate if !sent_client_certificate => {
            ConnectFailure::ClientCertificateRequired
        }
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            ConnectFailure::ClientCertificateRequired
        }
        // Said of the client's certificate: the server's own was judged on this side.
        AlertDescription::BadCertificate
        | AlertDescription::UnknownCA
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError => ConnectFailure::ClientCertificateRefused,
        AlertDescription::UnrecognisedName => ConnectFailure::ServerNameRefused,
        AlertDescription::NoApplicationProtocol => ConnectFailure::AlpnNotH2,
        AlertDescription::ProtocolVersion
        | AlertDescription::HandshakeFailure
        | AlertDescription::InsufficientSecurity => ConnectFailure::TlsIncompatible,
        _ => ConnectFailure::TlsFailed,
    }
}

/// True when a certificate was refused for who signed it or for being marked as an authority: what pinning answers.
pub(crate) fn is_about_the_chain(reason: &CertificateError) -> bool {
    match reason {
        CertificateError::UnknownIssuer => true,
        CertificateError::Other(other) => other.0.to_string().contains("CaUsedAsEndEntity"),
        _ => false,
    }
}
