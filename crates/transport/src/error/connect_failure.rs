//! The ways in which a connection can fail to come about, each with what it means and what to do.
//!
//! Invariant: this is the only place that knows these texts; a failed `connect`, `diagnose` and the program's `doctor`
//! all say the same.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Phase, ServerAnswer};
use crate::credentials::CredentialError;
use crate::http2::End;

/// Why a connection could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConnectFailure {
    /// The host's name does not exist.
    DnsNameUnknown,
    /// The name could not be looked up: the name server did not answer.
    DnsFailed,
    /// Nothing listens at the port.
    Refused,
    /// There is no way to the address.
    Unreachable,
    /// The address did not answer in time.
    TimedOut,
    /// The Unix socket is not there.
    SocketMissing,
    /// The Unix socket may not be opened by this user.
    SocketForbidden,
    /// The server closed the connection without a word.
    ClosedAtOnce,
    /// The server speaks HTTP/1.1.
    HttpOneServer,
    /// The server expects TLS and was spoken to in plain text.
    TlsRequired,
    /// The server does not speak TLS and was spoken to with it.
    TlsNotSpoken,
    /// The server's certificate has expired.
    CertificateExpired,
    /// The server's certificate is not valid yet.
    CertificateNotYetValid,
    /// The server's certificate is for another name.
    CertificateNameMismatch,
    /// The server's certificate is signed by an authority that is not trusted here.
    UnknownCertificateAuthority,
    /// The server's certificate can't be used for another reason.
    CertificateInvalid,
    /// The server wants a client certificate (mutual TLS).
    ClientCertificateRequired,
    /// The server does not accept the client's certificate.
    ClientCertificateRefused,
    /// The server knows no host of this name.
    ServerNameRefused,
    /// TLS is spoken, but HTTP/2 is not.
    AlpnNotH2,
    /// Client and server have no TLS version or cipher in common.
    TlsIncompatible,
    /// The TLS handshake failed for another reason.
    TlsFailed,
    /// What answers does not speak HTTP/2.
    NotHttp2,
    /// HTTP/2 is spoken, but no Milvus answers.
    NotMilvus,
    /// User, password or token are wrong.
    WrongCredentials,
    /// The server wants credentials and none were given.
    CredentialsRequired,
    /// The credentials could not be read from their source.
    CredentialsUnreadable,
    /// The database does not exist.
    UnknownDatabase,
    /// The user may not use this database, or may not connect.
    PermissionDenied,
    /// Milvus is starting, stopping, or hangs: it says so, or its port accepts connections and nothing answers on it.
    ProxyNotReady,
    /// Milvus answered the handshake with another error.
    HandshakeFailed,
    /// The channel broke during the handshake.
    HandshakeBroken,
    /// A channel that had been ready was lost.
    ChannelLost,
    /// The configuration can't be used.
    InvalidConfiguration,
    /// This program was built without what the address needs.
    NotBuiltIn,
}

impl ConnectFailure {
    /// What it means, as a clause: "nothing listens at this port".
    pub fn meaning(self) -> &'static str {
        match self {
            Self::DnsNameUnknown => "the host name does not exist in DNS",
            Self::DnsFailed => {
                "the host name could not be looked up, the name server did not answer"
            }
            Self::Refused => "the connection was refused, nothing listens at this port",
            Self::Unreachable => "there is no route to this address",
            Self::TimedOut => "the address did not answer in time",
            Self::SocketMissing => "there is no Unix socket at this path, or nothing listens on it",
            Self::SocketForbidden => "this user may not open the Unix socket",
            Self::ClosedAtOnce => "the server accepted the connection and closed it without a word",
            Self::HttpOneServer => "a web server that speaks HTTP/1.1 answers here, not a Milvus",
            Self::TlsRequired => "the server expects TLS, and the connection is in plain text",
            Self::TlsNotSpoken => "the server speaks plain text, and the connection uses TLS",
            Self::CertificateExpired => "the server's TLS certificate has expired",
            Self::CertificateNotYetValid => "the server's TLS certificate is not valid yet",
            Self::CertificateNameMismatch => "the server's TLS certificate is for another name",
            Self::UnknownCertificateAuthority => {
                "the server's TLS certificate is signed by an authority that is not trusted here"
            }
            Self::CertificateInvalid => "the server's TLS certificate can't be used",
            Self::ClientCertificateRequired => "the server wants a client certificate (mutual TLS)",
            Self::ClientCertificateRefused => "the server does not accept the client certificate",
            Self::ServerNameRefused => "the server knows no host of this name",
            Self::AlpnNotH2 => "the server speaks TLS but does not offer HTTP/2 (ALPN h2)",
            Self::TlsIncompatible => "client and server have no TLS version or cipher in common",
            Self::TlsFailed => "the TLS handshake failed",
            Self::NotHttp2 => "what answers at this port does not speak HTTP/2",
            Self::NotMilvus => "an HTTP/2 server answers here, but no Milvus behind it",
            Self::WrongCredentials => "Milvus does not accept the user, password or token",
            Self::CredentialsRequired => "Milvus wants credentials, and none were given",
            Self::CredentialsUnreadable => "the credentials could not be read",
            Self::UnknownDatabase => "the database does not exist",
            Self::PermissionDenied => "the user may not do this",
            Self::ProxyNotReady => "Milvus is not ready yet",
            Self::HandshakeFailed => "Milvus answered the handshake with an error",
            Self::HandshakeBroken => "the connection broke during Milvus's handshake",
            Self::ChannelLost => "the connection was lost",
            Self::InvalidConfiguration => "the configuration can't be used",
            Self::NotBuiltIn => "this program was built without what the address needs",
        }
    }

    /// What to do about it, as a sentence.
    pub fn hint(self) -> &'static str {
        match self {
            Self::DnsNameUnknown => {
                "Check the spelling of the host; for a name inside Kubernetes, run where its DNS is known."
            }
            Self::DnsFailed => {
                "Check this machine's network and name server (`/etc/resolv.conf`), then try again."
            }
            Self::Refused => {
                "Check the port (Milvus: 19530; Zilliz Cloud: 443 or 19530) and that Milvus runs and listens on this address."
            }
            Self::Unreachable => {
                "Check the network, VPN and routes between this machine and the address."
            }
            Self::TimedOut => {
                "Check firewalls and security groups between here and there: packets vanish without an answer."
            }
            Self::SocketMissing => "Check the path, and that the server runs.",
            Self::SocketForbidden => {
                "Give this user read and write permission on the socket, or run as its owner."
            }
            Self::ClosedAtOnce => {
                "A load balancer without a healthy Milvus behind it, or an access list, does this; look at its log."
            }
            Self::HttpOneServer => {
                "Use Milvus's gRPC port (19530 by default), not its web or metrics port (9091)."
            }
            Self::TlsRequired => "Use https:// in the URI, or secure = true.",
            Self::TlsNotSpoken => {
                "Use http:// in the URI, or secure = false; or switch TLS on in the server."
            }
            Self::CertificateExpired => {
                "Renew the certificate of the server; if it is new, check this machine's clock."
            }
            Self::CertificateNotYetValid => {
                "Check this machine's clock, then the server's certificate."
            }
            Self::CertificateNameMismatch => {
                "Connect by a name that the certificate holds, or set server_name to one."
            }
            Self::UnknownCertificateAuthority => {
                "Set ca_pem_path to the authority's certificate (PEM), or install it in the system."
            }
            Self::CertificateInvalid => "Issue the server a new certificate.",
            Self::ClientCertificateRequired => "Set client_pem_path and client_key_path.",
            Self::ClientCertificateRefused => {
                "Use a client certificate that an authority known to the server has signed and that is still valid."
            }
            Self::ServerNameRefused => {
                "Check the host name, or set server_name to a name that the server knows."
            }
            Self::AlpnNotH2 => {
                "The proxy or load balancer in front must allow HTTP/2 (gRPC); check that the port is the gRPC one."
            }
            Self::TlsIncompatible => "The server must offer TLS 1.2 or 1.3 with a modern cipher.",
            Self::TlsFailed => "Look at the server's log for the other side of this handshake.",
            Self::NotHttp2 => "Check the port: Milvus's gRPC port is 19530 by default.",
            Self::NotMilvus => {
                "Check the address and, for a proxy in front, that it forwards gRPC (grpc_pass) to Milvus."
            }
            Self::WrongCredentials => {
                "Check user and password (a fresh Milvus: root and Milvus), or the API key."
            }
            Self::CredentialsRequired => "Give user and password, or a token.",
            Self::CredentialsUnreadable => "Make the file, variable or command deliver the secret.",
            Self::UnknownDatabase => {
                "Create the database, or name one that exists; leave db_name out for the default one."
            }
            Self::PermissionDenied => "Ask for the privilege, or connect as another user.",
            Self::ProxyNotReady => {
                "Wait until Milvus has started (its /healthz answers OK), then try again."
            }
            Self::HandshakeFailed | Self::HandshakeBroken | Self::ChannelLost => {
                "Look at the log of the Milvus proxy."
            }
            Self::InvalidConfiguration => "Correct the configuration.",
            Self::NotBuiltIn => "Build with the feature that it names, or connect to a server.",
        }
    }

    /// True when trying again later, with nothing changed by hand, may help.
    pub fn may_pass(self) -> bool {
        matches!(
            self,
            Self::DnsFailed
                | Self::DnsNameUnknown
                | Self::Refused
                | Self::Unreachable
                | Self::TimedOut
                | Self::SocketMissing
                | Self::ClosedAtOnce
                | Self::NotHttp2
                | Self::NotMilvus
                | Self::ProxyNotReady
                | Self::HandshakeFailed
                | Self::HandshakeBroken
                | Self::ChannelLost
                | Self::TlsFailed
        )
    }
}

impl ConnectFailure {
    /// True when other credentials may be all that it takes.
    pub(crate) fn is_about_credentials(self) -> bool {
        matches!(
            self,
            Self::WrongCredentials
                | Self::CredentialsRequired
                | Self::CredentialsUnreadable
                | Self::PermissionDenied
        )
    }
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.meaning())
    }
}

/// One failed attempt to make a channel: of a pool, so without an alias.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectError {
    /// Why.
    pub failure: ConnectFailure,
    /// Where in the making of the channel.
    pub phase: Phase,
    /// The address that was dialed.
    pub address: Arc<str>,
    /// What was found out beyond the failure's own meaning; may be empty.
    pub detail: String,
    /// What the server answered, when it came so far.
    pub answer: Option<ServerAnswer>,
    /// How long it took to fail.
    pub elapsed: Duration,
    pub(crate) source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl ConnectError {
    pub(crate) fn new(
        failure: ConnectFailure,
        phase: Phase,
        address: &Arc<str>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            failure,
            phase,
            address: Arc::clone(address),
            detail: detail.into(),
            answer: None,
            elapsed: Duration::ZERO,
            source: None,
        }
    }

    /// The credentials could not be read before the dial.
    pub(crate) fn unreadable_credentials(address: &Arc<str>, error: CredentialError) -> Self {
        Self::new(
            ConnectFailure::CredentialsUnreadable,
            Phase::Configuration,
            address,
            error.to_string(),
        )
        .with_source(error)
    }

    /// The connection was closed before the dial had ended.
    pub(crate) fn given_up(address: &Arc<str>) -> Self {
        Self::new(
            ConnectFailure::HandshakeBroken,
            Phase::Waiting,
            address,
            "it was closed while it was being made",
        )
    }

    /// Whether nothing was wrong but that nobody wanted the channel any more.
    pub(crate) fn is_given_up(&self) -> bool {
        self.phase == Phase::Waiting
    }

    /// A channel that had been ready is gone.
    pub(crate) fn lost(address: &Arc<str>, peer: &str, end: &End) -> Self {
        let detail = format!("the channel to {peer} is gone: {}", end.describe());
        Self::new(
            ConnectFailure::ChannelLost,
            Phase::Exchange,
            address,
            detail,
        )
    }

    pub(crate) fn with_source(
        mut self,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    pub(crate) fn with_answer(mut self, answer: ServerAnswer) -> Self {
        self.answer = Some(answer);
        self
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({} at {})",
            self.failure.meaning(),
            self.phase,
            self.address
        )?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        match &self.answer {
            Some(answer) => write!(f, " (the server said: {answer})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
