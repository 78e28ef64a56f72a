//! One connection to one Milvus: where it is, who we are to it, how the bytes travel, and what is wrong when they don't.
//!
//! The way of a call: [`Connection::call`] encodes the message once, the pool hands out a stream of a ready channel, the
//! exchange is made, Milvus's own status inside the answer is looked at, and what the attempt *proved* decides whether
//! there is another one.
//!
//! Nothing in this crate knows aliases as more than a name to put into errors; the registry of them is
//! `milvus-connections`.

mod attempt;
mod backend;
mod channel;
mod config;
mod connection;
mod credentials;
mod diagnose;
mod dial;
mod error;
mod event;
mod global;
mod grpc;
mod handshake;
mod http2;
mod in_process;
mod moment;
mod options;
mod per_process;
mod pool;
mod seat;
mod statistics;
mod status;
mod streaming;
mod target;
mod telemetry;
mod tls;

pub use channel::ChannelId;
pub use config::{ConnectionConfig, Fingerprint};
pub use connection::{CallOptions, Connection};
pub use credentials::{CredentialError, CredentialSource, Credentials, SecretString};
pub use diagnose::{Diagnosis, DiagnosisStep, EndpointDiagnosis, Step, StepOutcome, diagnose};
pub use dial::TlsFacts;
pub use error::{
    Applied, ConnectError, ConnectFailure, Error, ErrorKind, GrpcCode, Phase, ServerAnswer,
};
pub use event::{Event, EventKind, Events};
pub use handshake::ServerDescription;
pub use in_process::RequestBody;
pub use options::ConnectionOptions;
pub use per_process::PerProcess;
pub use statistics::CallStatistics;
pub use status::{ChannelStatus, ConnectionState, ConnectionStatus};
pub use streaming::{StreamReceiver, StreamSender};
pub use target::{
    DEFAULT_HOST, DEFAULT_PORT, DEFAULT_SECURE_PORT, Endpoint, Host, ParsedUri, Target,
    TargetError, TargetFault, parse_address, parse_uri,
};
#[cfg(feature = "telemetry-cost")]
#[doc(hidden)]
pub use telemetry::telemetry_of;
pub use tls::TlsOptions;
