//! The server side of the services (feature `server`): implement [`MilvusService`], wrap it in a
//! [`MilvusServiceServer`], and it is a tower service that answers gRPC requests.
//!
//! Invariant: what does not come from the service itself (a path that nobody offers, bytes that are no
//! message, a message over the limit, a request that is not gRPC) is answered here, with a status that
//! says what was wrong; no request ends without an answer, and none makes the server panic.
//!
//! The gRPC protocol itself is tonic's. It works on encoded messages here, so that its code is compiled
//! once and not for each of the calls.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use futures_core::Stream;
use futures_util::StreamExt as _;
use http::{Method, StatusCode, header};
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{
    ClientStreamingService, Grpc, ServerStreamingService, StreamingService, UnaryService,
};
use tonic::{Request, Response, Status, Streaming};
use tower_service::Service;

pub use crate::generated::server::{
    ClientTelemetryService, ClientTelemetryServiceRoutes, Health, HealthRoutes, MilvusService,
    MilvusServiceRoutes,
};

/// Answers `milvus.proto.milvus.MilvusService` with a `T`.
///
/// ```
/// use milvus_protocol::milvus::{GetVersionRequest, GetVersionResponse};
/// use milvus_protocol::server::{MilvusService, MilvusServiceServer};
/// use tonic::{Request, Response, Status};
///
/// struct OnlyTheVersion;
///
/// impl MilvusService for OnlyTheVersion {
///     async fn get_version(
///         &self,
///         _request: Request<GetVersionRequest>,
///     ) -> Result<Response<GetVersionResponse>, Status> {
///         Ok(Response::new(GetVersionResponse {
///             version: "0.1.0".to_owned(),
///             ..GetVersionResponse::default()
///         }))
///     }
/// }
///
/// let server = MilvusServiceServer::new(OnlyTheVersion);
/// # let _ = server;
/// ```
pub type MilvusServiceServer<T> = GrpcServer<MilvusServiceRoutes<T>>;

/// Answers `milvus.proto.milvus.ClientTelemetryService` with a `T`.
pub type ClientTelemetryServiceServer<T> = GrpcServer<ClientTelemetryServiceRoutes<T>>;

/// Answers `grpc.health.v1.Health` with a `T`.
pub type HealthServer<T> = GrpcServer<HealthRoutes<T>>;

/// Who makes a call, as whatever put the service on a transport found out. It travels in the extensions of the request:
/// [`Request::extensions`]. A call without one comes from this process itself, and nobody asked who it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    user: Arc<str>,
}

impl Caller {
    /// The user of this name.
    pub fn new(user: impl Into<Arc<str>>) -> Self {
        Self { user: user.into() }
    }

    /// The user's name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }
}

/// Messages of a stream, one after the other; an error ends the stream with that status.
pub type MessageStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The largest messages that a server takes and gives, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageLimits {
    /// A longer request is answered with OUT_OF_RANGE. 64 MiB by default, as a Milvus proxy has it.
    pub request: usize,
    /// A longer response becomes OUT_OF_RANGE. 256 MiB by default, as a Milvus proxy has it.
    pub response: usize,
}

impl Default for MessageLimits {
    fn default() -> Self {
        Self {
            request: 64 << 20,
            response: 256 << 20,
        }
    }
}

/// A tower service that answers the requests of one gRPC service, over any transport.
///
/// It does not look at `grpc-timeout`, credentials or the number of requests at a time: what puts it on
/// a transport does.
pub struct GrpcServer<R: Routes> {
    service: Arc<R::Service>,
    limits: MessageLimits,
}

impl<R: Routes> GrpcServer<R> {
    /// Answers with `service`, within the default limits.
    pub fn new(service: R::Service) -> Self {
        Self::from_arc(Arc::new(service))
    }

    /// As [`new`](Self::new), for a service that others use too.
    pub fn from_arc(service: Arc<R::Service>) -> Self {
        Self {
            service,
            limits: MessageLimits::default(),
        }
    }

    /// Sets the limits.
    #[must_use]
    pub fn with_limits(mut self, limits: MessageLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The service's full name, with which the paths of its calls begin.
    #[must_use]
    pub const fn service_name(&self) -> &'static str {
        R::NAME
    }
}

impl<R: Routes> Clone for GrpcServer<R> {
    fn clone(&self) -> Self {
        Self {
            service: Arc::clone(&self.service),
            limits: self.limits,
        }
    }
}

impl<R: Routes> fmt::Debug for GrpcServer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcServer")
            .field("service", &R::NAME)
            .field("limits", &self.limits)
            .finish()
    }
}

impl<R: Routes> tonic::server::NamedService for GrpcServer<R> {
    const NAME: &'static str = R::NAME;
}

impl<R, B> Service<http::Request<B>> for GrpcServer<R>
where
    R: Routes,
    B: http_body::Body + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let service = Arc::clone(&self.service);
        let limits = self.limits;
        Box::pin(async move { Ok(answer::<R, B>(service, limits, request).await) })
    }
}

async fn answer<R, B>(
    service: Arc<R::Service>,
    limits: MessageLimits,
    request: http::Request<B>,
) -> http::Response<Body>
where
    R: Routes,
    B: http_body::Body + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    if let Some(refusal) = refuse_what_is_not_grpc(&request) {
        return refusal;
    }
    let mut grpc = Grpc::new(EncodedCodec).max_decoding_message_size(limits.request);
    let limit = limits.response;
    match R::route(request.uri().path()) {
        Some(Route::Unary(handler)) => {
            grpc.unary(
                Bound {
                    service,
                    handler,
                    limit,
                },
                request,
            )
            .await
        }
        Some(Route::ServerStreaming(handler)) => {
            grpc.server_streaming(
                Bound {
                    service,
                    handler,
                    limit,
                },
                request,
            )
            .await
        }
        Some(Route::ClientStreaming(handler)) => {
            grpc.client_streaming(
                Bound {
                    service,
                    handler,
                    limit,
                },
                request,
            )
            .await
        }
        Some(Route::BidiStreaming(handler)) => {
            grpc.streaming(
                Bound {
                    service,
                    handler,
                    limit,
                },
                request,
            )
            .await
        }
        None => not_offered(request.uri().path().trim_start_matches('/')).into_http(),
    }
}

/// gRPC asks for 415 when the content type is another one; only POST carries a gRPC request.
fn refuse_what_is_not_grpc<B>(request: &http::Request<B>) -> Option<http::Response<Body>> {
    let is_grpc = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let status = if request.method() != Method::POST {
        StatusCode::METHOD_NOT_ALLOWED
    } else if !is_grpc {
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    } else {
        return None;
    };
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = status;
    Some(response)
}

/// From paths to the methods of a service; generated for every service.
pub trait Routes: 'static {
    /// The type that answers.
    type Service: Send + Sync + 'static;

    /// The service's full name.
    const NAME: &'static str;

    /// What answers `path`, when it is a call of this service.
    fn route(path: &str) -> Option<Route<Self::Service>>;
}

type HandlerFuture<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;

/// A function that decodes a request, has the service `T` answer it, and takes the answer.
type Handler<T, Req, Res> = fn(Arc<T>, Request<Req>) -> HandlerFuture<Res>;

/// What answers one call of a service `T`; made by generated code alone.
#[doc(hidden)]
pub enum Route<T> {
    Unary(Handler<T, Bytes, Reply>),
    ServerStreaming(Handler<T, Bytes, ReplyStream>),
    ClientStreaming(Handler<T, Streaming<Bytes>, Reply>),
    BidiStreaming(Handler<T, Streaming<Bytes>, ReplyStream>),
}

/// A response of whatever type, not yet encoded.
#[doc(hidden)]
pub struct Reply {
    message: Box<dyn EncodeReply + Send>,
    length: usize,
}

impl Reply {
    fn new<M: prost::Message + 'static>(message: M) -> Self {
        Self {
            length: message.encoded_len(),
            message: Box::new(message),
        }
    }

    /// The response itself, unless it is longer than `limit`. Checked here, because tonic finds it out
    /// after it has written a part of the body.
    fn within(self, limit: usize) -> Result<Self, Status> {
        if self.length <= limit {
            return Ok(self);
        }
        Err(Status::out_of_range(format!(
            "the response has {} bytes, more than this server's limit of {limit} bytes; ask for less at a time",
            self.length
        )))
    }
}

/// The responses of a stream, not yet encoded. A type of its own, because the compiler cannot prove
/// `Send` for a future that holds the boxed stream in a type parameter.
#[doc(hidden)]
pub struct ReplyStream(MessageStream<Reply>);

impl Stream for ReplyStream {
    type Item = Result<Reply, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

trait EncodeReply {
    fn encode(&self, buf: &mut EncodeBuf<'_>) -> Result<(), prost::EncodeError>;
}

impl<M: prost::Message> EncodeReply for M {
    fn encode(&self, buf: &mut EncodeBuf<'_>) -> Result<(), prost::EncodeError> {
        prost::Message::encode(self, buf)
    }
}

pub(crate) fn not_offered(call: &str) -> Status {
    Status::unimplemented(format!("this server does not offer the call {call}"))
}

pub(crate) fn decode<M: prost::Message + Default>(
    request: Request<Bytes>,
) -> Result<Request<M>, Status> {
    let (metadata, extensions, encoded) = request.into_parts();
    Ok(Request::from_parts(
        metadata,
        extensions,
        decode_one(encoded)?,
    ))
}

pub(crate) fn decode_stream<M: prost::Message + Default>(
    request: Request<Streaming<Bytes>>,
) -> Request<MessageStream<M>> {
    request.map(|encoded| -> MessageStream<M> {
        Box::pin(encoded.map(|message| decode_one(message?)))
    })
}

fn decode_one<M: prost::Message + Default>(encoded: Bytes) -> Result<M, Status> {
    crate::decode_message(encoded).map_err(|error| Status::internal(error.to_string()))
}

pub(crate) fn reply<M: prost::Message + 'static>(
    response: Result<Response<M>, Status>,
) -> Result<Response<Reply>, Status> {
    Ok(response?.map(Reply::new))
}

pub(crate) fn reply_stream<M: prost::Message + 'static>(
    response: Result<Response<MessageStream<M>>, Status>,
) -> Result<Response<ReplyStream>, Status> {
    Ok(response?
        .map(|messages| ReplyStream(Box::pin(messages.map(|message| message.map(Reply::new))))))
}

/// A handler together with the service that it calls, in the form in which tonic takes it.
struct Bound<T, Req, Res> {
    service: Arc<T>,
    handler: Handler<T, Req, Res>,
    /// The longest response in bytes.
    limit: usize,
}

impl<T, Req> Bound<T, Req, Reply> {
    fn answer(&self, request: Request<Req>) -> HandlerFuture<Reply> {
        let (limit, answer) = (
            self.limit,
            (self.handler)(Arc::clone(&self.service), request),
        );
        Box::pin(async move {
            let (metadata, reply, extensions) = answer.await?.into_parts();
            Ok(Response::from_parts(
                metadata,
                reply.within(limit)?,
                extensions,
            ))
        })
    }
}

impl<T, Req> Bound<T, Req, ReplyStream> {
    fn answer_stream(&self, request: Request<Req>) -> HandlerFuture<ReplyStream> {
        let (limit, answer) = (
            self.limit,
            (self.handler)(Arc::clone(&self.service), request),
        );
        Box::pin(async move {
            let within = move |replies: ReplyStream| {
                ReplyStream(Box::pin(replies.map(move |reply| reply?.within(limit))))
            };
            Ok(answer.await?.map(within))
        })
    }
}

impl<T> UnaryService<Bytes> for Bound<T, Bytes, Reply> {
    type Response = Reply;
    type Future = HandlerFuture<Reply>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        self.answer(request)
    }
}

impl<T> ServerStreamingService<Bytes> for Bound<T, Bytes, ReplyStream> {
    type Response = Reply;
    type ResponseStream = ReplyStream;
    type Future = HandlerFuture<ReplyStream>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        self.answer_stream(request)
    }
}

impl<T> ClientStreamingService<Bytes> for Bound<T, Streaming<Bytes>, Reply> {
    type Response = Reply;
    type Future = HandlerFuture<Reply>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        self.answer(request)
    }
}

impl<T> StreamingService<Bytes> for Bound<T, Streaming<Bytes>, ReplyStream> {
    type Response = Reply;
    type ResponseStream = ReplyStream;
    type Future = HandlerFuture<ReplyStream>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        self.answer_stream(request)
    }
}

/// Leaves requests encoded, and encodes responses at the last moment.
struct EncodedCodec;

impl Codec for EncodedCodec {
    type Encode = Reply;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for EncodedCodec {
    type Item = Reply;
    type Error = Status;

    fn encode(&mut self, item: Reply, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buf.reserve(item.length);
        item.message
            .encode(buf)
            .map_err(|error| Status::internal(format!("cannot encode the response: {error}")))
    }
}

impl Decoder for EncodedCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buf.copy_to_bytes(buf.remaining())))
    }
}
