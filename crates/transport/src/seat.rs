//! The place of one call: the pool that it goes to, and the handle's right to go there.
//!
//! Invariant: while a call has a seat its handle counts it, and no call takes one of a closed handle. Whatever a call waits
//! for, it waits no longer than its deadline, and is told when its seat is no longer one; of a global cluster it then moves on
//! to the next primary. Nobody holds a stream while credentials are read.

use std::sync::Arc;

use tokio::time::Instant;

use crate::channel::StreamPermit;
use crate::credentials::{Authorization, CredentialError};
use crate::error::ConnectError;
use crate::global::{GlobalCluster, Primary};
use crate::pool::{Calls, HeldCall, Lease, NoStream, Pool};

/// The pool that takes calls now, for as long as it is looked at.
#[derive(Clone)]
pub(crate) enum Current<'a> {
    Own(&'a Lease),
    Primary(Arc<Primary>),
}

impl Current<'_> {
    pub(crate) fn lease(&self) -> &Lease {
        match self {
            Self::Own(lease) => lease,
            Self::Primary(primary) => &primary.lease,
        }
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        self.lease().pool()
    }
}

/// What a call needs to be sent.
pub(crate) type Ready = (StreamPermit, Arc<Authorization>);

/// Why a call can't be sent.
pub(crate) enum NotReady {
    /// The target is down, and not for a moment.
    Down(Arc<ConnectError>),
    /// The handle or its pool has been closed.
    Closed,
    /// The deadline passed before there was a stream.
    NoStreamInTime,
    /// The credentials can't be read.
    Unreadable(CredentialError),
    /// The deadline passed while the credentials were read.
    NotReadInTime,
}

/// Why a wait was given up.
pub(crate) enum GivenUp {
    Closed,
    TooLate,
}

/// Counts a call for as long as it lives.
pub(crate) struct Seat<'a> {
    current: Current<'a>,
    cluster: Option<&'a GlobalCluster>,
}

impl<'a> Seat<'a> {
    /// A seat on a lease; `None` once it is closed.
    pub(crate) fn on_lease(lease: &'a Lease) -> Option<Self> {
        lease.calls().begin().then(|| Self {
            current: Current::Own(lease),
            cluster: None,
        })
    }

    /// A seat on the primary; `None` once the cluster is closed.
    pub(crate) fn on_primary(cluster: &'a GlobalCluster) -> Option<Self> {
        loop {
            let primary = cluster.primary();
            if primary.lease.calls().begin() {
                return Some(Self {
                    current: Current::Primary(primary),
                    cluster: Some(cluster),
                });
            }
            // A primary gives its lease back only after the next one has taken its place.
            if cluster.is_closed() {
                return None;
            }
        }
    }

    pub(crate) fn current(&self) -> &Current<'a> {
        &self.current
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        self.current.pool()
    }

    fn calls(&self) -> &Arc<Calls> {
        self.current.lease().calls()
    }

    /// A seat at the same place that is held for as long as a stream of messages lasts.
    pub(crate) fn hold(&self) -> Option<HeldCall> {
        self.calls().hold()
    }

    /// True while calls may begin here.
    pub(crate) fn is_open(&self) -> bool {
        self.calls().is_open()
    }

    /// Ends when no call may begin here any more.
    pub(crate) async fn closed(&self) {
        self.calls().closed().await;
    }

    /// When what is in flight here is cut, once no call may begin any more.
    pub(crate) fn drain_deadline(&self) -> Option<Instant> {
        self.calls().drain_deadline()
    }

    /// The cluster whose primary this is.
    pub(crate) fn cluster(&self) -> Option<&'a GlobalCluster> {
        self.cluster
    }

    /// True when the cluster's primary is another one by now.
    pub(crate) fn has_moved(&self) -> bool {
        match (self.cluster, &self.current) {
            (Some(cluster), Current::Primary(primary)) => !Arc::ptr_eq(&cluster.primary(), primary),
            _ => false,
        }
    }

    /// Takes a seat at the next primary, if there is one.
    pub(crate) fn move_on(&mut self) -> bool {
        let next = self.cluster.filter(|_| self.has_moved());
        match next.and_then(Self::on_primary) {
            Some(next) => {
                *self = next;
                true
            }
            None => false,
        }
    }

    /// Waits for a look at the topology that is not older than `evidence`, and moves on if the primary is another one.
    pub(crate) async fn follow(&mut self, evidence: Instant, deadline: Instant) -> bool {
        let (Some(cluster), Current::Primary(primary)) = (self.cluster, &self.current) else {
            return false;
        };
        match self
            .wait(deadline, cluster.looked_up_since(primary, evidence))
            .await
        {
            Err(GivenUp::TooLate) => false,
            Ok(()) | Err(GivenUp::Closed) => self.move_on(),
        }
    }

    /// Waits for `what`.
    pub(crate) async fn wait<T>(
        &self,
        deadline: Instant,
        what: impl Future<Output = T>,
    ) -> Result<T, GivenUp> {
        tokio::select! {
            biased;
            () = self.closed() => Err(GivenUp::Closed),
            outcome = tokio::time::timeout_at(deadline, what) => outcome.map_err(|_| GivenUp::TooLate),
        }
    }

    /// What a call that sends `bytes` needs, if it is all there.
    pub(crate) fn ready_now(&self, bytes: usize) -> Option<Ready> {
        let permit = self.pool().try_stream(bytes)?;
        Some((permit, self.pool().authorization.fresh()?))
    }

    /// What a call that sends `bytes` needs; waits while there is hope.
    pub(crate) async fn ready(
        &mut self,
        bytes: usize,
        deadline: Instant,
    ) -> Result<Ready, NotReady> {
        // What was read while nothing was held stands in for what may have aged again before there was a stream.
        let mut read = None;
        loop {
            match self.try_ready(bytes, deadline, &mut read).await {
                Ok(Some(ready)) => return Ok(ready),
                Ok(None) => {}
                Err(NotReady::Closed) if self.move_on() => read = None,
                Err(error) => return Err(error),
            }
        }
    }

    /// One step of [`ready`](Self::ready); `None` when there is something new to look at.
    async fn try_ready(
        &self,
        bytes: usize,
        deadline: Instant,
        read: &mut Option<Arc<Authorization>>,
    ) -> Result<Option<Ready>, NotReady> {
        let pool = self.pool();
        let permit = match self.wait(deadline, pool.stream(bytes)).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(NoStream::Down(error))) if error.failure.is_about_credentials() => {
                let trying = pool.try_other_credentials(error);
                return match self.wait(deadline, trying).await {
                    Ok(Ok(())) => Ok(None),
                    Ok(Err(reason)) => Err(reason.into()),
                    Err(GivenUp::Closed) => Err(NotReady::Closed),
                    Err(GivenUp::TooLate) => Err(NotReady::NoStreamInTime),
                };
            }
            Ok(Err(reason)) => return Err(reason.into()),
            Err(GivenUp::Closed) => return Err(NotReady::Closed),
            Err(GivenUp::TooLate) => return Err(NotReady::NoStreamInTime),
        };
        if let Some(authorization) = pool.authorization.fresh().or_else(|| read.take()) {
            return Ok(Some((permit, authorization)));
        }
        drop(permit);
        match self.wait(deadline, pool.authorization.current()).await {
            Ok(Ok(authorization)) => {
                *read = Some(authorization);
                Ok(None)
            }
            Ok(Err(error)) => Err(NotReady::Unreadable(error)),
            Err(GivenUp::Closed) => Err(NotReady::Closed),
            Err(GivenUp::TooLate) => Err(NotReady::NotReadInTime),
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.calls().end();
    }
}

impl From<NoStream> for NotReady {
    fn from(reason: NoStream) -> Self {
        match reason {
            NoStream::Down(error) => Self::Down(error),
            NoStream::Closed => Self::Closed,
        }
    }
}
