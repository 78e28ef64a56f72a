//! Calls with more than one message in a direction: replication and message dumps.
//!
//! Invariant: a stream holds one stream of one channel from its first byte to its last, is never tried again, and gives
//! it back when both halves are dropped. Sending waits for the peer's window, so memory stays bounded. Once its handle is
//! closed it has until the drain deadline, like any call.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use http::StatusCode;
use milvus_protocol::rpc::StreamingRpc;
use milvus_protocol::{GRPC_PREFIX_LEN, decode_message, encode_grpc_frame};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::channel::StreamPermit;
use crate::connection::Connection;
use crate::error::{Error, ErrorKind, GrpcCode, Phase, ServerAnswer};
use crate::grpc::{CallMetadata, GrpcStatus, RequestId};
use crate::moment::after;
use crate::pool::{HeldCall, Pool};
use crate::seat::NotReady;
use crate::telemetry::{OpenStream, ServerName, StreamSpan};

/// What both halves need to say what went wrong, and what they hold.
struct Shared {
    alias: Arc<str>,
    pool: Arc<Pool>,
    rpc: &'static str,
    max_request: usize,
    shown: Arc<OpenStream>,
    call: HeldCall,
    _permit: StreamPermit,
}

impl Shared {
    fn error(&self, kind: ErrorKind, phase: Phase, detail: impl Into<String>) -> Error {
        let error = Error::new(kind, phase, &self.alias, &self.pool.address, detail);
        error.with_call(self.rpc, 1, std::time::Duration::ZERO)
    }

    /// Ends when the handle's drain deadline has passed.
    async fn cut(&self) -> Error {
        self.call.cut().await;
        let detail = "the drain deadline passed";
        self.error(ErrorKind::Transport, Phase::Exchange, detail)
    }

    fn broke(&self, error: h2::Error) -> Error {
        self.error(ErrorKind::Transport, Phase::Exchange, error.to_string())
            .with_source(Arc::new(error))
    }
}

/// The half of a stream that sends.
pub struct StreamSender<Req> {
    shared: Arc<Shared>,
    stream: SendStream<Bytes>,
    message: PhantomData<fn(Req)>,
}

/// The half of a stream that receives.
pub struct StreamReceiver<Res: 'static> {
    shared: Arc<Shared>,
    status: fn(&Res) -> Option<&milvus_protocol::common::Status>,
    state: Receiving,
    buffer: BytesMut,
}

enum Receiving {
    Head(ResponseFuture),
    Body(RecvStream),
    Over,
}

impl Connection {
    /// Opens a call with a stream of messages in one direction or both.
    ///
    /// # Errors
    /// When no channel is ready within the connection's `call_timeout`, the credentials can't be read by then, or the
    /// handle is closed. A service in this process has no such calls.
    pub async fn open_stream<Req, Res>(
        &self,
        rpc: &StreamingRpc<Req, Res>,
    ) -> Result<(StreamSender<Req>, StreamReceiver<Res>), Error>
    where
        Req: prost::Message,
        Res: prost::Message + Default,
    {
        let Some(pool) = self.pool() else {
            return Err(self.not_opened(
                rpc.name(),
                ErrorKind::Unimplemented,
                Phase::Configuration,
                "a database in this process has no streams".into(),
            ));
        };
        let request_id = RequestId::new();
        let facts = StreamSpan {
            operation: rpc.name(),
            server: &ServerName::of_target(&self.config().target),
            database: self.database(),
            alias: self.alias(),
            request_id: request_id.as_str(),
        };
        let shown = Arc::new(OpenStream::begin(&pool, &facts));
        self.open_on(rpc, &request_id, Arc::clone(&shown))
            .instrument(shown.span())
            .await
            .inspect_err(|error| shown.ended(Err(error)))
    }

    fn not_opened(
        &self,
        rpc: &'static str,
        kind: ErrorKind,
        phase: Phase,
        detail: String,
    ) -> Error {
        let (alias, address) = (self.alias().into(), self.address().into());
        let error = Error::new(kind, phase, &alias, &address, detail);
        error.with_call(rpc, 0, std::time::Duration::ZERO)
    }

    async fn open_on<Req, Res>(
        &self,
        rpc: &StreamingRpc<Req, Res>,
        request_id: &RequestId,
        shown: Arc<OpenStream>,
    ) -> Result<(StreamSender<Req>, StreamReceiver<Res>), Error>
    where
        Req: prost::Message,
        Res: prost::Message + Default,
    {
        let error = |kind, phase, detail| self.not_opened(rpc.name(), kind, phase, detail);
        let closed = || error(ErrorKind::Closed, Phase::Waiting, String::new());
        let mut seat = self.seat().ok_or_else(closed)?;
        let deadline = after(Instant::now(), self.config().options.call_timeout);
        let ready = seat.ready(0, deadline).await;
        let (permit, authorization) = ready.map_err(|reason| {
            let (kind, phase, detail) = explain(reason);
            error(kind, phase, detail)
        })?;
        let call = seat.hold().ok_or_else(closed)?;
        let pool = Arc::clone(seat.pool());
        let channel = Arc::clone(permit.channel());
        // A channel's endpoint is an index that its pool made; the first route stands in for none.
        let route = pool.routes.get(channel.endpoint).unwrap_or(&pool.routes[0]);
        let request = CallMetadata {
            secure: route.secure,
            authority: &route.authority,
            path: rpc.path(),
            authorization: authorization.header.as_ref(),
            database: self.database_header(),
            identifier: channel.identifier,
            request_id,
            remaining: None,
        };
        let request = request.into_request();
        let max_request = pool.options.max_request_bytes;
        let shared = Arc::new(Shared {
            alias: self.alias().into(),
            pool,
            rpc: rpc.name(),
            max_request,
            shown,
            call,
            _permit: permit,
        });
        let mut sender = channel.sender.clone();
        poll_fn(|cx| sender.poll_ready(cx))
            .await
            .map_err(|error| shared.broke(error))?;
        let (response, stream) = sender
            .send_request(request, false)
            .map_err(|error| shared.broke(error))?;
        shared.shown.opened(&channel);
        let receiver = StreamReceiver {
            shared: Arc::clone(&shared),
            status: rpc.status_of(),
            state: Receiving::Head(response),
            buffer: BytesMut::new(),
        };
        Ok((
            StreamSender {
                shared,
                stream,
                message: PhantomData,
            },
            receiver,
        ))
    }
}

/// What is said of a stream that could not begin.
fn explain(reason: NotReady) -> (ErrorKind, Phase, String) {
    match reason {
        NotReady::Closed => (ErrorKind::Closed, Phase::Waiting, String::new()),
        NotReady::Down(cause) => (ErrorKind::Unavailable, Phase::Waiting, cause.to_string()),
        NotReady::NoStreamInTime => (ErrorKind::DeadlineExceeded, Phase::Waiting, String::new()),
        NotReady::Unreadable(cause) => (
            ErrorKind::Unauthenticated,
            Phase::Configuration,
            cause.to_string(),
        ),
        NotReady::NotReadInTime => (
            ErrorKind::DeadlineExceeded,
            Phase::Configuration,
            "the credentials were still being read".into(),
        ),
    }
}

impl<Req: prost::Message> StreamSender<Req> {
    /// Sends one message; waits while the peer's window is full.
    ///
    /// # Errors
    /// When the message is larger than `max_request_bytes` (nothing of it is sent), or the stream is over; the receiving
    /// half then says why.
    pub async fn send(&mut self, message: &Req) -> Result<(), Error> {
        let encoded = encode_grpc_frame(message, self.shared.max_request).map_err(|error| {
            self.shared.error(
                ErrorKind::RequestTooLarge,
                Phase::Configuration,
                error.to_string(),
            )
        })?;
        for segment in encoded.segments() {
            let mut rest = segment.clone();
            while !rest.is_empty() {
                self.stream.reserve_capacity(rest.len());
                let room = tokio::select! {
                    biased;
                    cut = self.shared.cut() => return Err(cut),
                    room = poll_fn(|cx| self.stream.poll_capacity(cx)) => room,
                };
                match room {
                    Some(Ok(0)) => {}
                    Some(Ok(room)) => {
                        let part = rest.split_to(room.min(rest.len()));
                        self.stream
                            .send_data(part, false)
                            .map_err(|error| self.shared.broke(error))?;
                    }
                    Some(Err(error)) => return Err(self.shared.broke(error)),
                    None => {
                        return Err(self.shared.error(
                            ErrorKind::Transport,
                            Phase::Exchange,
                            "the stream is over",
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Says that nothing more comes.
    ///
    /// # Errors
    /// When the stream is over already.
    pub fn finish(mut self) -> Result<(), Error> {
        self.stream
            .send_data(Bytes::new(), true)
            .map_err(|error| self.shared.broke(error))
    }
}

impl<Res: prost::Message + Default> StreamReceiver<Res> {
    /// The next message; `None` when the server has ended the stream well. After an error there is nothing more.
    pub async fn next(&mut self) -> Option<Result<Res, Error>> {
        if matches!(self.state, Receiving::Over) {
            return None;
        }
        let shared = Arc::clone(&self.shared);
        let outcome = tokio::select! {
            biased;
            cut = shared.cut() => Err(cut),
            outcome = self.receive() => outcome,
        };
        match &outcome {
            Ok(Some(_)) => return outcome.transpose(),
            Ok(None) => self.shared.shown.ended(Ok(())),
            Err(error) => self.shared.shown.ended(Err(error)),
        }
        self.state = Receiving::Over;
        outcome.transpose()
    }

    async fn receive(&mut self) -> Result<Option<Res>, Error> {
        if let Receiving::Head(response) = &mut self.state {
            let response = response.await.map_err(|error| self.shared.broke(error))?;
            let (head, body) = response.into_parts();
            if let Some(status) = GrpcStatus::from_headers(&head.headers) {
                return self.ended(status);
            }
            if head.status != StatusCode::OK {
                return Err(self.shared.error(
                    ErrorKind::Answered,
                    Phase::Answered,
                    format!("something in front of Milvus answered HTTP {}", head.status),
                ));
            }
            self.state = Receiving::Body(body);
        }
        let Receiving::Body(body) = &mut self.state else {
            return Ok(None);
        };
        loop {
            if let Some(message) = take_frame(
                &mut self.buffer,
                self.shared.pool.options.max_response_bytes,
            )
            .map_err(|(kind, detail)| self.shared.error(kind, Phase::Decode, detail))?
            {
                let message: Res = decode_message(message).map_err(|error| {
                    self.shared
                        .error(ErrorKind::Decode, Phase::Decode, error.to_string())
                })?;
                return match (self.status)(&message).filter(|status| !status.is_success()) {
                    Some(status) => Err(self
                        .shared
                        .error(ErrorKind::Answered, Phase::Answered, "")
                        .with_answer(ServerAnswer::from_status(status))),
                    None => Ok(Some(message)),
                };
            }
            match body.data().await {
                Some(chunk) => {
                    let chunk = chunk.map_err(|error| self.shared.broke(error))?;
                    // An error here means that the stream is over, and then the next read says so.
                    let _ = body.flow_control().release_capacity(chunk.len());
                    self.buffer.extend_from_slice(&chunk);
                }
                None => break,
            }
        }
        let trailers = body
            .trailers()
            .await
            .map_err(|error| self.shared.broke(error))?;
        match trailers.as_ref().and_then(GrpcStatus::from_headers) {
            Some(status) => self.ended(status),
            None => Err(self.shared.error(
                ErrorKind::Decode,
                Phase::Decode,
                "the stream ended without a grpc-status",
            )),
        }
    }

    fn ended(&self, status: GrpcStatus) -> Result<Option<Res>, Error> {
        let kind = match status.code {
            GrpcCode::Ok if self.buffer.is_empty() => return Ok(None),
            GrpcCode::Ok => {
                return Err(self.shared.error(
                    ErrorKind::Decode,
                    Phase::Decode,
                    "the stream ended within a message",
                ));
            }
            GrpcCode::Unauthenticated => ErrorKind::Unauthenticated,
            GrpcCode::PermissionDenied => ErrorKind::PermissionDenied,
            GrpcCode::Unimplemented => ErrorKind::Unimplemented,
            GrpcCode::Unavailable => ErrorKind::Unavailable,
            _ => ErrorKind::Answered,
        };
        Err(self
            .shared
            .error(kind, Phase::Answered, "")
            .with_answer(ServerAnswer::from_grpc(status.code, status.message)))
    }
}

/// The first whole message in the buffer.
fn take_frame(buffer: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, (ErrorKind, String)> {
    let Some((&compressed, rest)) = buffer.split_first() else {
        return Ok(None);
    };
    let Some(length) = rest.first_chunk::<4>() else {
        return Ok(None);
    };
    let len = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if compressed != 0 {
        return Err((
            ErrorKind::Decode,
            "a message is compressed, which was not asked for".into(),
        ));
    }
    if len > limit {
        return Err((
            ErrorKind::ResponseTooLarge,
            format!("a message has {len} bytes, the limit is {limit} bytes"),
        ));
    }
    if buffer.len() < GRPC_PREFIX_LEN + len {
        return Ok(None);
    }
    let mut frame = buffer.split_to(GRPC_PREFIX_LEN + len);
    frame.advance(GRPC_PREFIX_LEN);
    Ok(Some(frame.freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_whole_and_in_order() {
        let mut buffer = BytesMut::from(&[0, 0, 0, 0, 2, b'h', b'i', 0, 0, 0, 0, 0, 0, 0][..]);
        assert_eq!(take_frame(&mut buffer, 10).unwrap().unwrap(), "hi");
        assert_eq!(take_frame(&mut buffer, 10).unwrap().unwrap(), "");
        assert_eq!(take_frame(&mut buffer, 10).unwrap(), None);
        assert_eq!(buffer.len(), 2);
        let mut large = BytesMut::from(&[0, 0, 0, 0, 11][..]);
        assert_eq!(
            take_frame(&mut large, 10).unwrap_err().0,
            ErrorKind::ResponseTooLarge
        );
    }
}
