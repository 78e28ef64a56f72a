//! TCP to the first of several addresses that answers (happy eyeballs, RFC 8305).
//!
//! Invariant: an address that does not answer delays the next one by 250 ms, not by its timeout; the error that is
//! reported is the one of the address that got furthest.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;

use crate::error::{ConnectError, ConnectFailure, Phase};

/// RFC 8305, section 5: the recommended Connection Attempt Delay.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to the first address that answers; each has `timeout`.
pub(crate) async fn connect_tcp(
    addresses: &[SocketAddr],
    address: &Arc<str>,
    timeout: Duration,
) -> Result<(TcpStream, SocketAddr), ConnectError> {
    let mut waiting = addresses.iter().copied();
    let mut racing = FuturesUnordered::new();
    let mut failed: Option<ConnectError> = None;
    loop {
        if racing.is_empty() {
            match waiting.next() {
                Some(next) => racing.push(connect_one(next, address, timeout)),
                None => {
                    return Err(failed.unwrap_or_else(|| {
                        ConnectError::new(
                            ConnectFailure::DnsNameUnknown,
                            Phase::Dns,
                            address,
                            "it has no address",
                        )
                    }));
                }
            }
        }
        let outcome = tokio::select! {
            outcome = racing.next() => outcome,
            () = tokio::time::sleep(ATTEMPT_DELAY), if waiting.len() > 0 => {
                racing.extend(waiting.next().map(|next| connect_one(next, address, timeout)));
                continue;
            }
        };
        match outcome {
            Some(Ok(connected)) => return Ok(connected),
            Some(Err(error)) => {
                failed = Some(more_telling(failed, error));
                racing.extend(
                    waiting
                        .next()
                        .map(|next| connect_one(next, address, timeout)),
                );
            }
            None => {}
        }
    }
}

async fn connect_one(
    peer: SocketAddr,
    address: &Arc<str>,
    timeout: Duration,
) -> Result<(TcpStream, SocketAddr), ConnectError> {
    match tokio::time::timeout(timeout, TcpStream::connect(peer)).await {
        Ok(Ok(stream)) => {
            // Small calls must not wait for the acknowledgement of the one before (Nagle).
            let prepared = stream.set_nodelay(true);
            prepared
                .map(|()| (stream, peer))
                .map_err(|error| tcp_error(error, peer, address))
        }
        Ok(Err(error)) => Err(tcp_error(error, peer, address)),
        Err(_) => {
            let detail = format!("{peer} did not answer within {} s", timeout.as_secs_f32());
            Err(ConnectError::new(
                ConnectFailure::TimedOut,
                Phase::Tcp,
                address,
                detail,
            ))
        }
    }
}

fn tcp_error(error: io::Error, peer: SocketAddr, address: &Arc<str>) -> ConnectError {
    let failure = match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectFailure::Refused,
        io::ErrorKind::TimedOut => ConnectFailure::TimedOut,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
            ConnectFailure::ClosedAtOnce
        }
        _ => ConnectFailure::Unreachable,
    };
    ConnectError::new(failure, Phase::Tcp, address, format!("{peer}: {error}")).with_source(error)
}

/// Of two failures the one that tells more: an address that answered says more than one that is out of reach.
fn more_telling(known: Option<ConnectError>, new: ConnectError) -> ConnectError {
    let rank = |failure| match failure {
        ConnectFailure::Unreachable => 0,
        ConnectFailure::TimedOut => 1,
        _ => 2,
    };
    match known {
        Some(known) if rank(known.failure) > rank(new.failure) => known,
        _ => new,
    }
}
