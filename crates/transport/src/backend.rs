//! What answers the calls of a handle: the pool of a target, the primary of a global cluster, or a service in this
//! process.
//!
//! Invariant: above this file nobody knows which of them it is.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::uri::Authority;
use tokio::time::Instant;

use crate::attempt::{self, Call, Check};
use crate::config::ConnectionConfig;
use crate::credentials::CredentialSource;
use crate::error::{ConnectError, ConnectFailure, Error, ErrorKind, Phase};
use crate::global::{GlobalCluster, is_global};
use crate::grpc::CallMetadata;
use crate::in_process::{RequestBody, Service};
use crate::pool::{Lease, NoStream, routes};
use crate::seat::{Current, Seat};
use crate::telemetry::Metrics;

pub(crate) enum Backend {
    Network(Lease),
    Global(Arc<GlobalCluster>),
    /// The service is gone once closed: what it serves (an open file, say) must not outlive the handle's life.
    InProcess {
        service: ArcSwapOption<Box<dyn Service>>,
        metrics: Metrics,
    },
}

impl Backend {
    /// Connects over the network; ends when a channel is ready, a dial has failed, or `deadline` passes.
    pub(crate) async fn connect(
        config: &ConnectionConfig,
        deadline: Instant,
    ) -> Result<Self, ConnectError> {
        if is_global(&config.target) {
            let address: Arc<str> = config.target.address().into();
            let connecting = GlobalCluster::connect(config.clone());
            let late = || {
                ConnectError::new(
                    ConnectFailure::TimedOut,
                    Phase::Handshake,
                    &address,
                    "the global endpoint and its primary took too long",
                )
            };
            return tokio::time::timeout_at(deadline, connecting)
                .await
                .unwrap_or_else(|_| Err(late()))
                .map(Self::Global);
        }
        let lease = Lease::take(config, routes(config)?);
        connected(&lease, deadline).await?;
        Ok(Self::Network(lease))
    }

    /// The pool that takes calls now; `None` for a service in this process.
    pub(crate) fn current(&self) -> Option<Current<'_>> {
        match self {
            Self::Network(lease) => Some(Current::Own(lease)),
            Self::Global(cluster) => Some(Current::Primary(cluster.primary())),
            Self::InProcess { .. } => None,
        }
    }

    /// True when calls can be made.
    pub(crate) fn is_open(&self) -> bool {
        match (self, self.current()) {
            (Self::InProcess { service, .. }, _) => service.load().is_some(),
            (_, Some(current)) => {
                current.lease().is_open()
                    && !current.pool().is_over()
                    && !current.pool().is_closing()
            }
            (_, None) => false,
        }
    }

    pub(crate) async fn close(&self, patience: Duration) {
        match self {
            Self::Network(lease) => lease.close(patience).await,
            Self::Global(cluster) => cluster.close(patience).await,
            Self::InProcess { service, .. } => service.store(None),
        }
    }

    /// A place for a call; `None` when closed, and for a service in this process.
    pub(crate) fn seat(&self) -> Option<Seat<'_>> {
        match self {
            Self::Network(lease) => Seat::on_lease(lease),
            Self::Global(cluster) => Seat::on_primary(cluster),
            Self::InProcess { .. } => None,
        }
    }

    /// Replaces the credentials of what is behind the handle, unless it is closed.
    pub(crate) fn replace_credentials(&self, source: CredentialSource) {
        match self {
            Self::Network(lease) => lease.replace_credentials(source),
            Self::Global(cluster) => cluster.replace_credentials(source),
            Self::InProcess { .. } => {}
        }
    }

    /// Makes a call.
    pub(crate) async fn run(
        &self,
        call: &Call<'_>,
        address: &Arc<str>,
        check: &mut Check<'_>,
    ) -> Result<(), Error> {
        let Self::InProcess { service, metrics } = self else {
            return match self.seat() {
                Some(seat) => run_on(seat, call, check).await,
                None => Err(closed_error(call, address)),
            };
        };
        let Some(service) = service.load_full() else {
            return Err(closed_error(call, address));
        };
        let _counted = metrics.call_begins();
        let outcome = run_in_process(&**service, call, address, check).await;
        metrics.call_ended(call.info.name, call.began.elapsed(), &outcome);
        outcome
    }
}

fn closed_error(call: &Call<'_>, address: &Arc<str>) -> Error {
    let error = Error::new(ErrorKind::Closed, Phase::Waiting, call.alias, address, "");
    error
        .with_call(call.info.name, 0, Duration::ZERO)
        .with_hint("Connect again.")
}

/// Waits until the pool behind a lease has a channel or has failed to make one.
pub(crate) async fn connected(lease: &Lease, deadline: Instant) -> Result<(), ConnectError> {
    let pool = lease.pool();
    match tokio::time::timeout_at(deadline, pool.connected()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(NoStream::Down(error))) => Err((*error).clone()),
        Ok(Err(NoStream::Closed)) => Err(ConnectError::new(
            ConnectFailure::HandshakeBroken,
            Phase::Waiting,
            &pool.address,
            "it was closed while it was being made",
        )),
        Err(_) => Err(match &pool.snapshot().last_error {
            Some(error) => (**error).clone(),
            None => ConnectError::new(
                ConnectFailure::TimedOut,
                Phase::Tcp,
                &pool.address,
                "not connected within connect_timeout",
            ),
        }),
    }
}

async fn run_on(mut seat: Seat<'_>, call: &Call<'_>, check: &mut Check<'_>) -> Result<(), Error> {
    // A call of a global cluster may end elsewhere; it is counted in flight where it began.
    let began_at = seat.current().clone();
    let _counted = began_at.pool().metrics.call_begins();
    let outcome = attempt::run(&mut seat, call, check).await;
    let pool = seat.pool();
    let took = call.began.elapsed();
    pool.metrics.call_ended(call.info.name, took, &outcome);
    match &outcome {
        Ok(()) => {
            pool.budget.success();
            pool.statistics.succeeded(took);
        }
        Err(_) => pool.statistics.failed(),
    }
    outcome
}

async fn run_in_process(
    service: &dyn Service,
    call: &Call<'_>,
    address: &Arc<str>,
    check: &mut Check<'_>,
) -> Result<(), Error> {
    static AUTHORITY: std::sync::LazyLock<Authority> =
        std::sync::LazyLock::new(|| Authority::from_static("localhost"));
    let metadata = CallMetadata {
        secure: false,
        authority: &AUTHORITY,
        path: call.info.path,
        authorization: None,
        database: call.database.as_ref(),
        identifier: None,
        request_id: &call.request_id,
        remaining: None,
    };
    let request = metadata
        .into_request()
        .map(|()| RequestBody::new(call.message));
    let failed = |error: Error| error.with_call(call.info.name, 1, call.began.elapsed());
    let late = || {
        Error::new(
            ErrorKind::DeadlineExceeded,
            Phase::Exchange,
            call.alias,
            address,
            "",
        )
        .with_applied(attempt::unknown(call.class))
    };
    let answer = tokio::time::timeout_at(call.deadline, service.call(request))
        .await
        .map_err(|_| failed(late()))?;
    attempt::judge_in_process(answer, call, address, check).map_err(failed)
}
