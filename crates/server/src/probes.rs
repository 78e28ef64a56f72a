//! `GET /healthz` and `GET /metrics`, on the addresses of the calls or on one of their own.
//!
//! Invariant: they need no credentials and tell nothing of the data. On an address of their own they are answered however many
//! connections and calls there are, and until a stopping server has answered its last call; `/healthz` says then that it is stopping.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming as RequestBody;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::JoinSet;
use tonic::body::Body;

use crate::listener::{Incoming, Listener, accept_any};
use crate::reply;
use crate::server::Shared;

/// Connections at once; who asks for health needs one.
const MOST: usize = 64;
/// A connection that has said nothing for so long makes room for others.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A pause after an error of `accept`.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The answer to a GET.
pub(crate) fn respond(path: &str, shared: &Shared) -> Response<Body> {
    match path {
        "/healthz" if *shared.stopped.borrow() => {
            reply::text(StatusCode::SERVICE_UNAVAILABLE, "stopping")
        }
        "/healthz" => reply::text(StatusCode::OK, "OK"),
        "/metrics" => reply::text(StatusCode::OK, shared.counters.text()),
        _ => reply::text(
            StatusCode::NOT_FOUND,
            "This is a Milvus: use a Milvus client (gRPC). GET /healthz and /metrics answer here.\n",
        ),
    }
}

/// The answer to a GET where probes are not answered.
pub(crate) fn unknown() -> Response<Body> {
    reply::text(
        StatusCode::NOT_FOUND,
        "This is a Milvus: use a Milvus client (gRPC). /healthz and /metrics have an address of their own.\n",
    )
}

/// Answers at an address of their own, for ever.
pub(crate) async fn answer(listener: Listener, shared: Arc<Shared>) -> Infallible {
    let listeners = [listener];
    let (mut connections, mut turn) = (JoinSet::new(), 0);
    loop {
        let accepted = tokio::select! {
            accepted = accept_any(&listeners, &mut turn) => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok(incoming) if connections.len() >= MOST => {
                let peer = incoming.peer();
                tracing::warn!(%peer, "a connection for probes was refused: too many are open");
            }
            Ok(incoming) => drop(connections.spawn(connection(incoming, Arc::clone(&shared)))),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn connection(incoming: Incoming, shared: Arc<Shared>) {
    let peer = incoming.peer();
    let answering = hyper::service::service_fn(move |request: Request<RequestBody>| {
        let response = respond(request.uri().path(), &shared);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT);
    let outcome = match incoming {
        Incoming::Tcp(stream, _) => {
            builder
                .serve_connection(TokioIo::new(stream), answering)
                .await
        }
        Incoming::Unix(stream) => {
            builder
                .serve_connection(TokioIo::new(stream), answering)
                .await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%peer, %error, "a connection for probes broke");
    }
}
