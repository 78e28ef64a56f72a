//! Making one channel: dial, TLS, HTTP/2, Milvus's greeting.
//!
//! Invariant: what comes out is ready for calls, or an error that says which of the known failures it was. Dropping the
//! future closes whatever it had opened.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::HeaderValue;
use http::uri::Authority;
use milvus_protocol::EncodedMessage;

use super::mismatch;
use crate::channel::{Gauges, Peer, Released};
use crate::dial::{
    FirstBytes, Resolver, Stream, connect_tcp, connect_unix, handshake_tls, interleave, resolve,
    set_up_tls, silent,
};
use crate::error::{ConnectError, ConnectFailure, Phase};
use crate::grpc::{
    Answer, AnswerMemory, Broken, CallMetadata, HandedOver, RequestId, Taking, exchange,
};
use crate::handshake::{Exchange, Greeting, greet};
use crate::http2::{End, Keepalive, News, drive, handshake};
use crate::target::{Endpoint, Host};
use crate::telemetry::ServerName;
use crate::tls::TlsOptions;

/// An answer to a handshake has some hundred bytes.
const MAX_HANDSHAKE_ANSWER: usize = 1024 * 1024;

/// Where one endpoint's channels go, and how.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) address: Arc<str>,
    /// The same for telemetry.
    pub(crate) server: ServerName,
    pub(crate) place: Place,
    pub(crate) secure: bool,
    pub(crate) authority: Authority,
    pub(crate) tls: TlsOptions,
}

/// The place of an endpoint.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Tcp(Endpoint),
    Unix(PathBuf),
}

impl Route {
    /// The name to verify with TLS.
    pub(crate) fn host(&self) -> String {
        match &self.place {
            Place::Tcp(Endpoint {
                host: Host::Name(name),
                ..
            }) => name.clone(),
            Place::Tcp(Endpoint {
                host: Host::V4(ip), ..
            }) => ip.to_string(),
            Place::Tcp(Endpoint {
                host: Host::V6(ip), ..
            }) => ip.to_string(),
            Place::Unix(_) => "localhost".into(),
        }
    }
}

/// What the dialing needs to know.
pub(crate) struct Dial {
    pub(crate) route: Arc<Route>,
    /// The addresses; empty to look them up.
    pub(crate) known: Vec<SocketAddr>,
    /// Which of the addresses is tried first.
    pub(crate) first: usize,
    pub(crate) timeout: Duration,
    pub(crate) keepalive: Keepalive,
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) user: String,
    /// Told when a stream of the channel is given back.
    pub(crate) released: Arc<Released>,
}

/// A channel that has greeted its Milvus.
pub(crate) struct Established {
    pub(crate) peer: Peer,
    pub(crate) greeting: Greeting,
    pub(crate) gauges: Arc<Gauges>,
    pub(crate) first_bytes: Arc<FirstBytes>,
    pub(crate) keepalive: Keepalive,
    pub(crate) sender: SendRequest<Bytes>,
    pub(crate) driver: Driver,
}

/// The running driver of a connection, which holds the socket; ends with this.
pub(crate) struct Driver(tokio::task::AbortHandle);

impl Driver {
    pub(crate) fn spawn(driving: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(driving).abort_handle())
    }

    pub(crate) fn end(&self) {
        self.0.abort();
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.end();
    }
}

/// A byte stream to a Milvus, before HTTP/2.
pub(crate) struct Opened {
    pub(crate) stream: Stream,
    pub(crate) peer: Peer,
}

/// Makes a channel. `on_news` and `on_end` tell the pool what becomes of it later.
pub(crate) async fn establish(
    dial: &Dial,
    on_news: impl Fn(News) + Send + Sync + 'static,
    on_end: impl FnOnce(End) + Send + 'static,
) -> Result<Established, ConnectError> {
    let route = &dial.route;
    let Opened { stream, peer } = open(dial).await?;
    let first_bytes = stream.first_bytes();
    let (sender, connection) = match handshake(stream).await {
        Ok(connected) => connected,
        Err(error) => {
            return Err(
                mismatch::explain(route, &peer, &first_bytes, Some(&error), dial.timeout).await,
            );
        }
    };
    let gauges = Arc::new(Gauges::new(Arc::clone(&dial.released)));
    let (watched, heard) = (Arc::clone(&gauges), Arc::clone(&first_bytes));
    let probe = sender.clone();
    let driving = drive(connection, probe, watched, heard, dial.keepalive, on_news);
    let (report, mut reported) = tokio::sync::oneshot::channel();
    let driver = Driver::spawn(async move {
        let end = driving.await;
        // During the greeting the end belongs to it; afterwards to the pool.
        if let Err(end) = report.send(end) {
            on_end(end);
        }
    });
    let greeter = Greeter {
        route,
        sender: sender.clone(),
        authorization: dial.authorization.as_ref(),
        database: None,
        timeout: dial.timeout,
    };
    let greeting = tokio::select! {
        greeting = greet(&greeter, &route.address, &dial.user, dial.authorization.is_none()) => greeting,
        () = tokio::time::sleep(dial.timeout) => return Err(unanswered(route, &first_bytes)),
    };
    match greeting {
        Ok(greeting) => {
            reported.close();
            match reported.try_recv() {
                Ok(end) => Err(ConnectError::new(
                    ConnectFailure::HandshakeBroken,
                    Phase::Handshake,
                    &route.address,
                    end.describe(),
                )),
                Err(_) => Ok(Established {
                    peer,
                    greeting,
                    gauges,
                    first_bytes,
                    keepalive: dial.keepalive,
                    sender,
                    driver,
                }),
            }
        }
        Err(error) if error.failure == ConnectFailure::HandshakeBroken => {
            let end = tokio::time::timeout(Duration::from_millis(100), &mut reported).await;
            let cause = match &end {
                Ok(Ok(End::Lost(Some(error)))) => Some(error),
                _ => None,
            };
            if first_bytes.is_http2() && first_bytes.tls_error().is_none() {
                return Err(error);
            }
            Err(mismatch::explain(route, &peer, &first_bytes, cause, dial.timeout).await)
        }
        Err(error) => Err(error),
    }
}

/// The deadline passed while Milvus's greeting was awaited.
pub(crate) fn unanswered(route: &Route, first_bytes: &FirstBytes) -> ConnectError {
    if first_bytes.is_http2() {
        let detail = "HTTP/2 is spoken, but the handshake was not answered in time (so it is while Milvus starts, and when it hangs)";
        ConnectError::new(
            ConnectFailure::ProxyNotReady,
            Phase::Handshake,
            &route.address,
            detail,
        )
    } else if first_bytes.first().is_empty() {
        silent(Phase::Http2, &route.address)
    } else {
        ConnectError::new(
            ConnectFailure::NotHttp2,
            Phase::Http2,
            &route.address,
            "it began with other bytes and then fell silent",
        )
    }
}

/// Opens the stream: DNS, TCP or Unix socket, TLS.
pub(crate) async fn open(dial: &Dial) -> Result<Opened, ConnectError> {
    let route = &dial.route;
    let endpoint = match &route.place {
        Place::Unix(path) => {
            let stream = connect_unix(path, &route.address).await?;
            return Ok(Opened {
                stream: Stream::unix(stream),
                peer: Peer::Unix(path.clone()),
            });
        }
        Place::Tcp(endpoint) => endpoint,
    };
    let tls = if route.secure {
        Some(set_up_tls(&route.host(), &route.tls, &route.address).await?)
    } else {
        None
    };
    let looked_up;
    let addresses = if dial.known.is_empty() {
        let system = &Resolver::System;
        looked_up = resolve(endpoint, &route.address, system, dial.timeout).await?;
        &looked_up
    } else {
        &dial.known
    };
    let ordered = interleave(addresses, dial.first);
    let (tcp, peer) = connect_tcp(&ordered, &route.address, dial.timeout).await?;
    let peer = Peer::Tcp(peer);
    let Some(tls) = tls else {
        let stream = Stream::tcp(tcp);
        return Ok(Opened { stream, peer });
    };
    match handshake_tls(tcp, tls, &route.tls, &route.address, dial.timeout).await {
        Ok((stream, _)) => Ok(Opened { stream, peer }),
        Err(error) => Err(mismatch::explain_tls(route, &peer, error, dial.timeout).await),
    }
}

/// Makes the calls of a handshake over a connection that is not yet a channel.
pub(crate) struct Greeter<'a> {
    pub(crate) route: &'a Route,
    pub(crate) sender: SendRequest<Bytes>,
    pub(crate) authorization: Option<&'a HeaderValue>,
    pub(crate) database: Option<&'a HeaderValue>,
    pub(crate) timeout: Duration,
}

impl Exchange for Greeter<'_> {
    async fn exchange(
        &self,
        path: &'static str,
        message: EncodedMessage,
    ) -> Result<Answer, Broken> {
        let request_id = RequestId::new();
        let request = CallMetadata {
            secure: self.route.secure,
            authority: &self.route.authority,
            path,
            authorization: self.authorization,
            database: self.database,
            identifier: None,
            request_id: &request_id,
            remaining: Some(self.timeout),
        };
        let (sender, memory) = (self.sender.clone(), AnswerMemory::default());
        let taking = Taking {
            most: MAX_HANDSHAKE_ANSWER,
            memory: &memory,
        };
        let request = request.into_request();
        exchange(sender, request, &message, taking, &HandedOver::default()).await
    }
}
