//! Accepting connections, and the way of a request to the service.
//!
//! What is refused (a connection, a handshake, a call) is one line of the log: who, what and why, and nothing that was shown as credentials.
//!
//! Invariant: a connection that fails, stalls in its TLS handshake, or misbehaves ends alone. After the stop signal
//! nothing new is accepted, calls in flight end or are cut at the drain deadline, and `run` returns.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{Method, Request, Response};
use hyper::body::Incoming as RequestBody;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use milvus_protocol::server::HealthServer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;
use tower_service::Service;

use crate::authentication::{Entrance, Gate};
use crate::counters::{Counters, Held};
use crate::health::{self, Condition};
use crate::listener::{Incoming, Listener, Peer, accept_any};
use crate::options::{ServeError, ServeOptions};
use crate::{deadline, probes, reply, tls};

/// A TLS handshake that takes longer is not one.
const TLS_HANDSHAKE: Duration = Duration::from_secs(10);
/// A pause after an error of `accept` (no more file descriptors, for example), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The windows of one call and of one connection: bulk inserts are large.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Milvus pings idle connections after a minute.
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// A server that listens and does not answer yet.
pub struct Server {
    listeners: Vec<Listener>,
    probes: Option<Listener>,
    acceptor: Option<TlsAcceptor>,
    options: ServeOptions,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addresses", &self.addresses())
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Listens. From now on connections are queued; they are answered by [`Server::run`].
    ///
    /// # Errors
    /// When an address can't be listened on, or a TLS file can't be used; then none is listened on.
    pub async fn bind(options: ServeOptions) -> Result<Self, ServeError> {
        let acceptor = options.tls.as_ref().map(tls::acceptor).transpose()?;
        let mut listeners = Vec::new();
        for listen in &options.listen {
            listeners.push(Listener::bind(listen).await?);
        }
        let probes = match &options.probes {
            Some(listen) => Some(Listener::bind(listen).await?),
            None => None,
        };
        Ok(Self {
            listeners,
            probes,
            acceptor,
            options,
        })
    }

    /// Where probes and metrics are answered, when that is an address of its own.
    pub fn probes_address(&self) -> Option<String> {
        self.probes.as_ref().map(Listener::address)
    }

    /// Where it listens, in the order of the options, with the port that was found for port 0.
    pub fn addresses(&self) -> Vec<String> {
        self.listeners.iter().map(Listener::address).collect()
    }

    /// The first address.
    pub fn address(&self) -> String {
        self.listeners
            .first()
            .map(Listener::address)
            .unwrap_or_default()
    }

    /// The first TCP address.
    pub fn socket_address(&self) -> Option<SocketAddr> {
        self.listeners.iter().find_map(Listener::socket_address)
    }

    /// Serves until `stop` ends, then drains. Dropping the future cuts everything at once.
    ///
    /// The service finds out whose a call is in the extensions of its request
    /// ([`Caller`](milvus_protocol::server::Caller)), when the options ask for credentials.
    pub async fn run<S>(self, service: S, stop: impl Future<Output = ()>) -> Stopped
    where
        S: Service<Request<RequestBody>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
    {
        let Self {
            listeners,
            probes,
            acceptor,
            options,
        } = self;
        let (stopping, stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            gate: options.authentication.clone().map(Gate::new),
            counters: Counters::default(),
            health: HealthServer::new(Condition::new(stopped.clone())),
            stopped,
            max_concurrent_streams: options.max_concurrent_streams,
            calls: Semaphore::new(options.max_calls.min(Semaphore::MAX_PERMITS)),
            answers_probes: probes.is_none(),
        });
        let probed = Arc::clone(&shared);
        let serving = async move {
            let mut connections = JoinSet::new();
            let connection = |incoming| {
                let (shared, service) = (Arc::clone(&shared), service.clone());
                connection(incoming, acceptor.clone(), shared, service)
            };
            tokio::select! {
                never = accept(&listeners, &mut connections, &options, &shared.counters, connection) => match never {},
                () = stop => {}
            }
            drop(listeners);
            // The receivers are the connections; without any there is nobody to tell.
            let _ = stopping.send(true);
            let drained = async { while connections.join_next().await.is_some() {} };
            let drained = tokio::time::timeout(options.drain_timeout, drained).await;
            let calls_cut = match drained {
                Ok(()) => 0,
                Err(_) => shared.counters.calls_in_flight.load(Ordering::Relaxed),
            };
            if calls_cut > 0 {
                tracing::warn!(calls_cut, "the drain deadline passed with calls in flight");
            }
            Stopped { calls_cut }
        };
        let probing = async move {
            match probes {
                Some(listener) => probes::answer(listener, probed).await,
                None => std::future::pending().await,
            }
        };
        // Probes are answered until the last call is.
        tokio::select! {
            stopped = serving => stopped,
            never = probing => match never {},
        }
    }
}

/// Accepts connections for ever. At most as many are open as the options allow.
async fn accept<C: Future<Output = ()> + Send + 'static>(
    listeners: &[Listener],
    connections: &mut JoinSet<()>,
    options: &ServeOptions,
    counters: &Counters,
    connection: impl Fn(Incoming) -> C,
) -> Infallible {
    let mut turn = 0;
    loop {
        let accepted = tokio::select! {
            accepted = accept_any(listeners, &mut turn) => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let incoming = match accepted {
            Ok(incoming) => incoming,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        counters.connections.fetch_add(1, Ordering::Relaxed);
        if connections.len() >= options.max_connections {
            counters.connections_refused.fetch_add(1, Ordering::Relaxed);
            let (peer, most) = (incoming.peer(), options.max_connections);
            tracing::warn!(%peer, most, "a connection was refused: too many are open");
            continue;
        }
        connections.spawn(connection(incoming));
    }
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// Calls that were still in flight at the drain deadline, and got no answer.
    pub calls_cut: u64,
}

pub(crate) struct Shared {
    gate: Option<Gate>,
    pub(crate) counters: Counters,
    /// True from the stop on.
    pub(crate) stopped: watch::Receiver<bool>,
    health: HealthServer<Condition>,
    max_concurrent_streams: u32,
    calls: Semaphore,
    answers_probes: bool,
}

async fn connection<S>(
    incoming: Incoming,
    acceptor: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    service: S,
) where
    S: Service<Request<RequestBody>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
{
    let open = Arc::clone(&shared);
    let _open = Held::new(&open.counters.connections_open);
    let peer = incoming.peer();
    match (incoming, acceptor) {
        (Incoming::Unix(stream), _) => serve(stream, peer, shared, service).await,
        (Incoming::Tcp(stream, _), None) => serve(stream, peer, shared, service).await,
        (Incoming::Tcp(stream, _), Some(acceptor)) => {
            match tokio::time::timeout(TLS_HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => serve(stream, peer, shared, service).await,
                Ok(Err(error)) => {
                    tracing::warn!(%peer, %error, "a connection was refused: its TLS handshake failed");
                }
                Err(_) => {
                    tracing::warn!(%peer, "a connection was refused: its TLS handshake took too long");
                }
            }
        }
    }
}

async fn serve<IO, S>(stream: IO, peer: Peer, shared: Arc<Shared>, service: S)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<RequestBody>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(shared.max_concurrent_streams)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder.http1().timer(TokioTimer::new());
    let mut stopped = shared.stopped.clone();
    let entrance = shared.gate.as_ref().map(|gate| gate.entrance(peer));
    let entrance = Arc::new(entrance);
    let answering = hyper::service::service_fn(move |request| {
        let (shared, service) = (Arc::clone(&shared), service.clone());
        let entrance = Arc::clone(&entrance);
        async move {
            let answer = answer(request, peer, &shared, entrance.as_ref().as_ref(), service);
            Ok::<_, Infallible>(answer.await)
        }
    });
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), answering));
    let stop = async {
        // A sender that is gone has stopped as well.
        drop(stopped.wait_for(|stopped| *stopped).await);
    };
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = stop => {
            // GOAWAY: nothing new, and what is in flight goes on.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%peer, %error, "a connection broke");
    }
}

async fn answer<S>(
    request: Request<RequestBody>,
    peer: Peer,
    shared: &Shared,
    entrance: Option<&Entrance>,
    service: S,
) -> Response<Body>
where
    S: Service<Request<RequestBody>, Response = Response<Body>, Error = Infallible>,
{
    if request.method() == Method::GET {
        return if shared.answers_probes {
            probes::respond(request.uri().path(), shared)
        } else {
            probes::unknown()
        };
    }
    if request.uri().path().starts_with(health::PATHS) {
        return match shared.health.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
    }
    shared.counters.calls.fetch_add(1, Ordering::Relaxed);
    let limit = deadline::of(request.headers());
    let answer = answer_call(request, peer, shared, entrance, service);
    let Some(limit) = limit else {
        return answer.await;
    };
    // Dropping the call tells the service that nobody waits for it any more.
    tokio::time::timeout(limit, answer)
        .await
        .unwrap_or_else(|_| reply::deadline_exceeded())
}

/// A call for the service. Who waits to be recognized takes no place of those who were.
async fn answer_call<S>(
    mut request: Request<RequestBody>,
    peer: Peer,
    shared: &Shared,
    entrance: Option<&Entrance>,
    mut service: S,
) -> Response<Body>
where
    S: Service<Request<RequestBody>, Response = Response<Body>, Error = Infallible>,
{
    let counters = &shared.counters;
    if let (Some(gate), Some(entrance)) = (&shared.gate, entrance) {
        match gate.admit(entrance, request.headers()).await {
            Ok(caller) => drop(request.extensions_mut().insert(caller)),
            Err(reason) => {
                counters
                    .calls_unauthenticated
                    .fetch_add(1, Ordering::Relaxed);
                refused(peer, &request, reason);
                return reply::unauthenticated(reason);
            }
        }
    }
    let Ok(_place) = shared.calls.try_acquire() else {
        counters.calls_refused.fetch_add(1, Ordering::Relaxed);
        refused(peer, &request, "too many are in flight");
        return reply::unavailable(
            "this server answers as many calls at once as it may; send the call again",
        );
    };
    let _in_flight = Held::new(&counters.calls_in_flight);
    if let Err(never) = std::future::poll_fn(|cx| service.poll_ready(cx)).await {
        match never {}
    }
    match service.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Tells the log of a call that did not reach the service. Headers stay out of it: they hold secrets.
fn refused(peer: Peer, request: &Request<RequestBody>, reason: &str) {
    // A path is as long as its sender likes.
    let path = request.uri().path();
    let method = path.get(..200).unwrap_or(path);
    tracing::warn!(%peer, method, reason, "a call was refused");
}
