//! Accepting connections, and the way of a request to the service.
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

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming as RequestBody;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use milvus_protocol::health::health_check_response::ServingStatus;
use milvus_protocol::health::{HealthCheckRequest, HealthCheckResponse};
use milvus_protocol::server::{Health, HealthServer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;
use tower_service::Service;

use crate::authentication::Gate;
use crate::counters::{Counters, Held};
use crate::listener::{Incoming, Listener, accept_any};
use crate::options::{ServeError, ServeOptions};
use crate::{reply, tls};

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
        Ok(Self {
            listeners,
            acceptor,
            options,
        })
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
            acceptor,
            options,
        } = self;
        let gate = options.authentication.clone().map(Gate::new);
        let (stopping, stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            gate,
            counters: Counters::default(),
            stopped,
            max_concurrent_streams: options.max_concurrent_streams,
            calls: Semaphore::new(options.max_calls.min(Semaphore::MAX_PERMITS)),
        });
        let mut connections = tokio::task::JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        let mut turn = 0;
        loop {
            let accepted = tokio::select! {
                accepted = accept_any(&listeners, &mut turn) => accepted,
                Some(_) = connections.join_next() => continue,
                () = &mut stop => break,
            };
            let Ok(incoming) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            shared.counters.connections.fetch_add(1, Ordering::Relaxed);
            if connections.len() >= options.max_connections {
                shared
                    .counters
                    .connections_refused
                    .fetch_add(1, Ordering::Relaxed);
                continue;
            }
            connections.spawn(connection(
                incoming,
                acceptor.clone(),
                Arc::clone(&shared),
                service.clone(),
            ));
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
    }
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// Calls that were still in flight at the drain deadline, and got no answer.
    pub calls_cut: u64,
}

struct Shared {
    gate: Option<Gate>,
    counters: Counters,
    stopped: watch::Receiver<bool>,
    max_concurrent_streams: u32,
    calls: Semaphore,
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
    match (incoming, acceptor) {
        (Incoming::Unix(stream), _) => serve(stream, shared, service).await,
        (Incoming::Tcp(stream), None) => serve(stream, shared, service).await,
        (Incoming::Tcp(stream), Some(acceptor)) => {
            match tokio::time::timeout(TLS_HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => serve(stream, shared, service).await,
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake was not finished in time"),
            }
        }
    }
}

async fn serve<IO, S>(stream: IO, shared: Arc<Shared>, service: S)
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
    let answering = hyper::service::service_fn(move |request| {
        let (shared, service) = (Arc::clone(&shared), service.clone());
        async move { Ok::<_, Infallible>(answer(request, &shared, service).await) }
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
        tracing::debug!(%error, "a connection ended");
    }
}

async fn answer<S>(
    mut request: Request<RequestBody>,
    shared: &Shared,
    mut service: S,
) -> Response<Body>
where
    S: Service<Request<RequestBody>, Response = Response<Body>, Error = Infallible>,
{
    if request.method() == Method::GET {
        return match request.uri().path() {
            "/healthz" => reply::text(StatusCode::OK, "OK"),
            "/metrics" => reply::text(StatusCode::OK, shared.counters.text()),
            _ => reply::text(
                StatusCode::NOT_FOUND,
                "This is a Milvus: use a Milvus client (gRPC). GET /healthz and /metrics answer here.\n",
            ),
        };
    }
    shared.counters.calls.fetch_add(1, Ordering::Relaxed);
    let counters = &shared.counters;
    let Ok(_place) = shared.calls.try_acquire() else {
        counters.calls_refused.fetch_add(1, Ordering::Relaxed);
        return reply::unavailable(
            "this server answers as many calls at once as it may; send the call again",
        );
    };
    let _in_flight = Held::new(&counters.calls_in_flight);
    if let Some(gate) = &shared.gate {
        match gate.admit(request.headers()).await {
            Ok(caller) => drop(request.extensions_mut().insert(caller)),
            Err(reason) => {
                counters
                    .calls_unauthenticated
                    .fetch_add(1, Ordering::Relaxed);
                return reply::unauthenticated(reason);
            }
        }
    }
    if request.uri().path().starts_with("/grpc.health.v1.Health/") {
        let mut health = HealthServer::new(Serving);
        return match health.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
    }
    if let Err(never) = std::future::poll_fn(|cx| service.poll_ready(cx)).await {
        match never {}
    }
    match service.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// `grpc.health.v1`: who is asked, serves.
struct Serving;

impl Health for Serving {
    async fn check(
        &self,
        _request: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<HealthCheckResponse>, tonic::Status> {
        Ok(tonic::Response::new(HealthCheckResponse {
            status: ServingStatus::Serving.into(),
        }))
    }
}
