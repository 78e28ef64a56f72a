//! One GET over HTTP/2, on a connection of its own: a global endpoint answers it where it answers gRPC.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http::{HeaderValue, Request, StatusCode, Uri, Version, header};

use crate::channel::Gauges;
use crate::error::{ConnectError, ConnectFailure, Phase};
use crate::http2::{Keepalive, drive, handshake};
use crate::pool::establish::{Dial, Driver, Route, open};

/// A topology has some kilobytes.
const MOST: usize = 1024 * 1024;

/// Gets a path; the body of a `200 OK`.
pub(super) async fn get(
    route: &Arc<Route>,
    path: &'static str,
    authorization: Option<HeaderValue>,
    timeout: Duration,
) -> Result<Bytes, ConnectError> {
    let failed = |failure, detail: String| {
        ConnectError::new(failure, Phase::Handshake, &route.address, detail)
    };
    let keepalive = Keepalive::none_within(timeout);
    let dial = Dial {
        released: Arc::default(),
        route: Arc::clone(route),
        known: Vec::new(),
        first: 0,
        timeout,
        keepalive,
        authorization: None,
        user: String::new(),
    };
    let fetch = async {
        let stream = open(&dial).await?.stream;
        let first_bytes = stream.first_bytes();
        let broken = |error: h2::Error| {
            failed(
                ConnectFailure::HandshakeBroken,
                format!("GET {path}: {error}"),
            )
            .with_source(error)
        };
        let (mut sender, connection) = handshake(stream).await.map_err(broken)?;
        let driving = drive(
            connection,
            sender.clone(),
            Arc::new(Gauges::new(Arc::default())),
            first_bytes,
            keepalive,
            |_| (),
        );
        let _driver = Driver::spawn(async move { drop(driving.await) });
        poll_fn(|cx| sender.poll_ready(cx)).await.map_err(broken)?;
        let (response, _) = sender
            .send_request(request(route, path, authorization), true)
            .map_err(broken)?;
        let response = response.await.map_err(broken)?;
        let status = response.status();
        let bytes = read_body(response.into_body()).await.map_err(broken)?;
        match status {
            StatusCode::OK => bytes.ok_or_else(|| {
                failed(
                    ConnectFailure::NotMilvus,
                    format!("GET {path}: the answer is larger than {MOST} bytes"),
                )
            }),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(ConnectError {
                phase: Phase::Authentication,
                ..failed(
                    ConnectFailure::WrongCredentials,
                    format!("GET {path} was answered with HTTP {status}"),
                )
            }),
            status => Err(failed(
                ConnectFailure::HandshakeFailed,
                format!("GET {path} was answered with HTTP {status}"),
            )),
        }
    };
    match tokio::time::timeout(timeout, fetch).await {
        Ok(outcome) => outcome,
        Err(_) => Err(failed(
            ConnectFailure::ProxyNotReady,
            format!(
                "GET {path} was not answered within {:.1} s",
                timeout.as_secs_f32()
            ),
        )),
    }
}

/// The whole body; `None` when it is longer than any topology.
async fn read_body(mut body: RecvStream) -> Result<Option<Bytes>, h2::Error> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        // An error here means that the stream is over, and then the next read says so.
        let _ = body.flow_control().release_capacity(chunk.len());
        if bytes.len() + chunk.len() > MOST {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes.freeze()))
}

fn request(route: &Route, path: &'static str, authorization: Option<HeaderValue>) -> Request<()> {
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(if route.secure {
        http::uri::Scheme::HTTPS
    } else {
        http::uri::Scheme::HTTP
    });
    uri.authority = Some(route.authority.clone());
    uri.path_and_query = Some(http::uri::PathAndQuery::from_static(path));
    let mut request = Request::new(());
    *request.version_mut() = Version::HTTP_2;
    // All three parts are there, which is all that `from_parts` asks for.
    *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
    request
        .headers_mut()
        .insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(value) = authorization {
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    request
}
