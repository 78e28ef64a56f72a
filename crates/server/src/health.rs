//! `grpc.health.v1`: what Kubernetes and Envoy ask before they send calls here.
//!
//! Invariant: it needs no credentials, as `/healthz` needs none, takes no place of a call, and tells nothing but whether this server
//! goes on. Who watches learns of a stop at once, and then the stream ends, so that it doesn't hold up the drain.

use std::sync::Arc;

use futures_util::stream;
use milvus_protocol::health::health_check_response::ServingStatus;
use milvus_protocol::health::{HealthCheckRequest, HealthCheckResponse};
use milvus_protocol::server::{Health, MessageStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tonic::{Request, Response, Status};

/// With what the paths of its calls begin.
pub(crate) const PATHS: &str = "/grpc.health.v1.Health/";
/// What one may ask about: the server as a whole, and the service on it.
const SERVICES: [&str; 2] = ["", "milvus.proto.milvus.MilvusService"];
/// Streams of watchers at once: nobody asks who they are.
const MOST_WATCHERS: usize = 1_000;

/// Answers for a server.
#[derive(Clone)]
pub(crate) struct Condition {
    /// True from the stop on.
    stopped: watch::Receiver<bool>,
    watchers: Arc<Semaphore>,
}

impl Condition {
    pub(crate) fn new(stopped: watch::Receiver<bool>) -> Self {
        Self {
            stopped,
            watchers: Arc::new(Semaphore::new(MOST_WATCHERS)),
        }
    }

    fn now(&self) -> ServingStatus {
        match *self.stopped.borrow() {
            false => ServingStatus::Serving,
            true => ServingStatus::NotServing,
        }
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

/// What a watcher gets next.
enum Next {
    First,
    Change,
    End,
}

struct Watching {
    condition: Condition,
    is_known: bool,
    next: Next,
    _place: OwnedSemaphorePermit,
}

impl Watching {
    async fn advance(mut self) -> Option<(Result<HealthCheckResponse, Status>, Self)> {
        let status = match self.next {
            Next::First if self.is_known => self.condition.now(),
            // As the protocol has it: the service may come later.
            Next::First => ServingStatus::ServiceUnknown,
            Next::Change => {
                // A sender that is gone has stopped as well.
                drop(self.condition.stopped.wait_for(|stopped| *stopped).await);
                if !self.is_known {
                    return None;
                }
                ServingStatus::NotServing
            }
            Next::End => return None,
        };
        self.next = match status {
            ServingStatus::NotServing => Next::End,
            _ => Next::Change,
        };
        Some((Ok(answer(status)), self))
    }
}

impl Health for Condition {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !SERVICES.contains(&request.get_ref().service.as_str()) {
            return Err(Status::not_found(format!(
                "unknown service; ask about {:?}, or about \"\" for the whole server",
                SERVICES[1]
            )));
        }
        Ok(Response::new(answer(self.now())))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<MessageStream<HealthCheckResponse>>, Status> {
        let place = Arc::clone(&self.watchers).try_acquire_owned();
        let place = place.map_err(|_| {
            Status::unavailable("too many watch this server's health; use Check instead")
        })?;
        let watching = Watching {
            condition: self.clone(),
            is_known: SERVICES.contains(&request.get_ref().service.as_str()),
            next: Next::First,
            _place: place,
        };
        Ok(Response::new(Box::pin(stream::unfold(
            watching,
            Watching::advance,
        ))))
    }
}
