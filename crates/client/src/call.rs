//! What all requests share: a deadline, an id, and the way from a message to a typed answer.
//!
//! Invariant: every call of this crate goes through [`Client::call`], so that a server which lacks a
//! call is always reported as [`Error::MissingFeature`].

use std::time::{Duration, Instant};

use milvus_protocol::rpc::{OperationClass, Rpc};
use milvus_transport::{CallOptions, ErrorKind};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::feature::Feature;

/// How long a request may take, and under which id.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallSettings {
    pub(crate) timeout: Option<Duration>,
    pub(crate) request_id: Option<String>,
}

impl CallSettings {
    /// Starts the clock: every call that the request makes from now on shares its deadline.
    pub(crate) fn start(&self) -> Clock {
        Clock {
            deadline: self
                .timeout
                .and_then(|limit| Instant::now().checked_add(limit)),
            request_id: self.request_id.clone(),
        }
    }
}

/// A request under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    deadline: Option<Instant>,
    request_id: Option<String>,
}

impl Clock {
    /// The time that is left; `None` when there is no limit.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        self.deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Whether no time is left.
    pub(crate) fn is_over(&self) -> bool {
        self.remaining().is_some_and(|left| left.is_zero())
    }

    /// Settings for a request that is a part of this one.
    pub(crate) fn settings(&self) -> CallSettings {
        CallSettings {
            timeout: self.remaining(),
            request_id: self.request_id.clone(),
        }
    }

    /// The options of a call made now.
    fn options(&self) -> CallOptions {
        let mut options = CallOptions::default();
        options.timeout = self.remaining();
        options.request_id.clone_from(&self.request_id);
        options
    }
}

/// Gives a request builder `timeout`, `request_id` and `.await`.
///
/// The builder has a field `settings: CallSettings` and a method `async fn send(self)`.
macro_rules! request {
    ($builder:ident => $output:ty) => {
        request!(@setters [] $builder);
        impl std::future::IntoFuture for $builder {
            type Output = $crate::error::Result<$output>;
            type IntoFuture = futures_core::future::BoxFuture<'static, Self::Output>;

            fn into_future(self) -> Self::IntoFuture {
                Box::pin(self.send())
            }
        }
    };
    ($builder:ident<$lifetime:lifetime> => $output:ty) => {
        request!(@setters [<$lifetime>] $builder<$lifetime>);
        impl<$lifetime> std::future::IntoFuture for $builder<$lifetime> {
            type Output = $crate::error::Result<$output>;
            type IntoFuture = futures_core::future::BoxFuture<$lifetime, Self::Output>;

            fn into_future(self) -> Self::IntoFuture {
                Box::pin(self.send())
            }
        }
    };
    (@setters [$($generics:tt)*] $builder:ty) => {
        impl $($generics)* $builder {
            /// Limits the time of the whole request, however many calls it takes.
            ///
            /// Without it each call has the connection's `call_timeout`.
            pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
                self.settings.timeout = Some(timeout);
                self
            }

            /// Sets the id under which the server logs the request (`client-request-id`).
            pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
                self.settings.request_id = Some(request_id.into());
                self
            }
        }
    };
}

impl Client {
    /// Sends one call. `feature` says in words what the server lacks if it does not know the call.
    pub(crate) async fn call<Req, Res>(
        &self,
        feature: Feature,
        rpc: &Rpc<Req, Res>,
        request: Req,
        clock: &Clock,
    ) -> Result<Res>
    where
        Req: prost::Message,
        Res: prost::Message + Default,
    {
        self.call_as(None, feature, rpc, request, clock).await
    }

    /// As [`call`](Self::call), for a request of which more is known than its class in the table.
    pub(crate) async fn call_as<Req, Res>(
        &self,
        class: Option<OperationClass>,
        feature: Feature,
        rpc: &Rpc<Req, Res>,
        request: Req,
        clock: &Clock,
    ) -> Result<Res>
    where
        Req: prost::Message,
        Res: prost::Message + Default,
    {
        let mut options = clock.options();
        options.class = class;
        match self.connection().call_with(rpc, request, options).await {
            Ok(answer) => Ok(answer),
            Err(error) if error.kind() == ErrorKind::Unimplemented => {
                Err(self.refused(feature, error).await)
            }
            Err(error) => Err(Error::Connection(error)),
        }
    }
}
