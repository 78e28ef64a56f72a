//! A backend in this process: anything that answers gRPC requests for Milvus's service, without a network between.
//!
//! Invariant: the way of a call is the same as over the network from the encoded message to the checked answer; only
//! the channel is missing.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use milvus_protocol::{EncodedMessage, GRPC_PREFIX_LEN, ReceivedMessage};

use crate::error::GrpcCode;
use crate::grpc::{Answer, GrpcStatus};

/// The body of a request: the segments of one encoded message.
#[derive(Debug)]
pub struct RequestBody {
    segments: std::collections::VecDeque<Bytes>,
}

impl RequestBody {
    pub(crate) fn new(message: &EncodedMessage) -> Self {
        Self {
            segments: message.segments().iter().cloned().collect(),
        }
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(
            self.segments
                .pop_front()
                .map(|segment| Ok(Frame::data(segment))),
        )
    }

    fn is_end_stream(&self) -> bool {
        self.segments.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(
            self.segments
                .iter()
                .map(|segment| segment.len() as u64)
                .sum(),
        )
    }
}

pub(crate) type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A service whose types are forgotten.
pub(crate) trait Service: Send + Sync {
    fn call(&self, request: http::Request<RequestBody>) -> Answering;
}

/// A tower service as an in-process backend.
pub(crate) struct Tower<S>(pub(crate) std::sync::Mutex<S>);

impl<S, B> Service for Tower<S>
where
    S: tower_service::Service<http::Request<RequestBody>, Response = http::Response<B>>
        + Clone
        + Send
        + 'static,
    S::Error: std::fmt::Display + Send,
    S::Future: Send,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: std::fmt::Display + Send,
{
    fn call(&self, request: http::Request<RequestBody>) -> Answering {
        let mut service = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        Box::pin(async move {
            if let Err(error) = std::future::poll_fn(|cx| service.poll_ready(cx)).await {
                return internal(error.to_string());
            }
            match service.call(request).await {
                Ok(response) => read(response).await,
                Err(error) => internal(error.to_string()),
            }
        })
    }
}

async fn read<B>(response: http::Response<B>) -> Answer
where
    B: http_body::Body,
    B::Error: std::fmt::Display + Send,
{
    let (head, body) = response.into_parts();
    if body.is_end_stream() {
        let status = GrpcStatus::from_headers(&head.headers);
        return Answer {
            status: status.unwrap_or_else(missing_status),
            message: None,
        };
    }
    let mut body = std::pin::pin!(body);
    let mut trailers = None;
    let mut received: Option<ReceivedMessage> = None;
    let mut prefix = GRPC_PREFIX_LEN;
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return internal(error.to_string()),
        };
        match frame.into_data() {
            Ok(mut data) => {
                let skipped = prefix.min(data.remaining());
                data.advance(skipped);
                prefix -= skipped;
                if prefix == 0 {
                    let piece = data.copy_to_bytes(data.remaining());
                    received.get_or_insert_default().push(piece);
                }
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    let status = trailers
        .as_ref()
        .and_then(GrpcStatus::from_headers)
        .or_else(|| GrpcStatus::from_headers(&head.headers));
    Answer {
        status: status.unwrap_or_else(missing_status),
        message: received,
    }
}

fn missing_status() -> GrpcStatus {
    GrpcStatus {
        code: GrpcCode::Internal,
        message: "the answer ended without a grpc-status".into(),
    }
}

fn internal(message: String) -> Answer {
    Answer {
        status: GrpcStatus {
            code: GrpcCode::Internal,
            message,
        },
        message: None,
    }
}
