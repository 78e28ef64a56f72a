//! One unary gRPC exchange over one HTTP/2 stream.
//!
//! Invariant: the outcome says what is *proved*: a request that was certainly not sent or certainly not looked at is
//! never mixed up with one whose fate is unknown. Dropping the future resets this stream and nothing else.
//!
//! Sources: "gRPC over HTTP2" (PROTOCOL-HTTP2.md of gRPC) for framing and status; RFC 9113, sections 6.8 and 8.7, for
//! what GOAWAY and REFUSED_STREAM prove.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Buf as _, Bytes, BytesMut};
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response, StatusCode};
use milvus_protocol::{EncodedMessage, ReceivedMessage};

mod memory;
mod metadata;
mod status;

pub(crate) use memory::AnswerMemory;
use memory::Taken;
pub(crate) use metadata::{CallMetadata, RequestId};
pub(crate) use status::GrpcStatus;

/// The gRPC prefix of a message: one byte "compressed", four bytes length.
const PREFIX: usize = 5;

/// A complete answer: the status, and the message where there is one.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: GrpcStatus,
    pub(crate) message: Option<ReceivedMessage>,
}

/// An exchange without a complete answer, by what it proves.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The request never left.
    NotSent(h2::Error),
    /// The server said that it has not looked at the request.
    Refused(h2::Error),
    /// The request may have reached the server, and nobody knows what became of it.
    MaybeSent(h2::Error),
    /// The server answered, but not as gRPC demands.
    Malformed(String),
    /// The answer is larger than the limit: its length and the limit, in bytes.
    TooLarge { len: usize, limit: usize },
    /// Something answered that is not gRPC.
    NotGrpc {
        status: StatusCode,
        content_type: String,
    },
}

impl Broken {
    /// Sorts an error of a stream whose request had been handed to HTTP/2 and whose answer had not begun. Once it has, the
    /// request was looked at, whatever the peer says of the stream afterwards.
    fn before_answer(error: h2::Error) -> Self {
        // A stream sees the peer's GOAWAY only when its id is above the last one that the peer will look at; the same
        // holds by definition for REFUSED_STREAM.
        let refused = error.is_remote()
            && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM));
        if refused {
            Self::Refused(error)
        } else {
            Self::MaybeSent(error)
        }
    }
}

/// How an answer is taken.
#[derive(Clone, Copy)]
pub(crate) struct Taking<'a> {
    /// The longest message, in bytes.
    pub(crate) most: usize,
    pub(crate) memory: &'a AnswerMemory,
}

/// Whether the message of a request has been handed to HTTP/2; for one who gives up on the exchange.
#[derive(Default)]
pub(crate) struct HandedOver(AtomicBool);

impl HandedOver {
    /// False: the peer has nothing that it could act on, and never will.
    pub(crate) fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sends one request and reads its answer. `sender` must belong to a channel with a free stream.
pub(crate) async fn exchange(
    mut sender: SendRequest<Bytes>,
    request: Request<()>,
    body: &EncodedMessage,
    taking: Taking<'_>,
    handed_over: &HandedOver,
) -> Result<Answer, Broken> {
    let (response, mut stream) = sender
        .send_request(request, false)
        .map_err(Broken::NotSent)?;
    // A peer that allows fewer streams than a moment ago leaves the stream in HTTP/2's own queue. Its message stays here
    // meanwhile: a head without a message is no request, whenever it leaves.
    poll_fn(|cx| sender.poll_ready(cx))
        .await
        .map_err(Broken::NotSent)?;
    handed_over.0.store(true, Ordering::Relaxed);
    let mut segments = body.segments().iter().peekable();
    while let Some(segment) = segments.next() {
        if stream
            .send_data(segment.clone(), segments.peek().is_none())
            .is_err()
        {
            // The stream has ended early; the response below says why.
            break;
        }
    }
    let response = response.await.map_err(Broken::before_answer)?;
    read_answer(response, taking).await
}

async fn read_answer(response: Response<RecvStream>, taking: Taking<'_>) -> Result<Answer, Broken> {
    let (head, mut body) = response.into_parts();
    let content_type = head
        .headers
        .get(http::header::CONTENT_TYPE)
        .map(http::HeaderValue::as_bytes)
        .unwrap_or_default();
    if head.status != StatusCode::OK || !content_type.starts_with(b"application/grpc") {
        if let Some(status) = GrpcStatus::from_headers(&head.headers) {
            return Ok(Answer {
                status,
                message: None,
            });
        }
        let content_type = String::from_utf8_lossy(content_type).into_owned();
        return Err(Broken::NotGrpc {
            status: head.status,
            content_type,
        });
    }
    if body.is_end_stream() {
        return status_of(&head.headers).map(|status| Answer {
            status,
            message: None,
        });
    }
    let message = read_message(&mut body, taking).await?;
    let trailers = body.trailers().await.map_err(Broken::MaybeSent)?;
    let status = match &trailers {
        Some(trailers) => status_of(trailers)?,
        None => status_of(&head.headers)?,
    };
    Ok(Answer { status, message })
}

fn status_of(headers: &HeaderMap) -> Result<GrpcStatus, Broken> {
    GrpcStatus::from_headers(headers)
        .ok_or_else(|| Broken::Malformed("the answer ended without a grpc-status".into()))
}

/// Reads the one message of a unary answer. A message that comes in one piece is not copied; a longer one is copied
/// once, into a buffer of its own length.
async fn read_message(
    body: &mut RecvStream,
    taking: Taking<'_>,
) -> Result<Option<ReceivedMessage>, Broken> {
    let mut start = BytesMut::new();
    let mut message: Option<Incoming<'_>> = None;
    while let Some(chunk) = body.data().await {
        let mut chunk = chunk.map_err(Broken::MaybeSent)?;
        let received = chunk.len();
        if message.is_none() {
            if start.is_empty() && chunk.len() >= PREFIX {
                message = Some(Incoming::begin(&mut chunk, taking)?);
            } else {
                start.extend_from_slice(&chunk);
                chunk = Bytes::new();
                if start.len() >= PREFIX {
                    chunk = start.split().freeze();
                    message = Some(Incoming::begin(&mut chunk, taking)?);
                }
            }
        }
        if let Some(message) = &mut message {
            message.push(chunk)?;
        }
        // After the last piece come the trailers, which need no window; what the stream holds of the connection's comes back
        // with its end.
        if !message.as_ref().is_some_and(Incoming::is_whole) {
            // The peer may send as much again; an error here means that the stream is over, and then the next read says so.
            let _ = body.flow_control().release_capacity(received);
        }
    }
    match message {
        Some(message) => message.finish().map(Some),
        None if start.is_empty() => Ok(None),
        None => Err(Broken::Malformed(
            "the answer ended within the prefix of its message".into(),
        )),
    }
}

/// A message on its way in.
struct Incoming<'a> {
    len: usize,
    memory: &'a AnswerMemory,
    whole: Option<Bytes>,
    parts: Option<Taken>,
}

impl<'a> Incoming<'a> {
    fn begin(chunk: &mut Bytes, taking: Taking<'a>) -> Result<Self, Broken> {
        let compressed = chunk.get_u8();
        let len = usize::try_from(chunk.get_u32()).unwrap_or(usize::MAX);
        if compressed != 0 {
            return Err(Broken::Malformed(
                "the answer is compressed, which was not asked for".into(),
            ));
        }
        let limit = taking.most;
        if len > limit {
            return Err(Broken::TooLarge { len, limit });
        }
        Ok(Self {
            len,
            memory: taking.memory,
            whole: None,
            parts: None,
        })
    }

    fn received(&self) -> usize {
        let parts = self.parts.as_ref().map_or(0, |parts| parts.buffer.len());
        self.whole.as_ref().map_or(parts, Bytes::len)
    }

    fn is_whole(&self) -> bool {
        self.received() == self.len
    }

    fn push(&mut self, chunk: Bytes) -> Result<(), Broken> {
        if chunk.is_empty() {
            return Ok(());
        }
        if self.whole.is_some() || self.received() + chunk.len() > self.len {
            return Err(Broken::Malformed(
                "the answer holds more than one message".into(),
            ));
        }
        if chunk.len() == self.len {
            self.whole = Some(chunk);
            return Ok(());
        }
        let parts = self.parts.get_or_insert_with(|| self.memory.take(self.len));
        parts.buffer.extend_from_slice(&chunk);
        Ok(())
    }

    fn finish(self) -> Result<ReceivedMessage, Broken> {
        if !self.is_whole() {
            return Err(Broken::Malformed(format!(
                "the answer ended after {} of {} bytes",
                self.received(),
                self.len
            )));
        }
        Ok(match (self.whole, self.parts) {
            (Some(whole), _) => whole.into(),
            (None, Some(parts)) => self.memory.keep(parts).into(),
            (None, None) => ReceivedMessage::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;
    use milvus_protocol::encode_grpc_frame;
    use milvus_protocol::milvus::BoolResponse;
    use prost::Message as _;

    use super::*;

    fn taking(memory: &AnswerMemory, most: usize) -> Taking<'_> {
        Taking { most, memory }
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(message);
        bytes
    }

    fn message() -> BoolResponse {
        BoolResponse {
            value: true,
            ..BoolResponse::default()
        }
    }

    #[test]
    fn pieces_are_one_message() {
        let mut bytes = Bytes::from(framed(&message().encode_to_vec()));
        let tail = bytes.split_off(PREFIX + 1);
        let memory = AnswerMemory::default();
        let mut incoming = Incoming::begin(&mut bytes, taking(&memory, 100)).unwrap();
        for piece in [bytes, Bytes::new(), tail] {
            incoming.push(piece).unwrap();
        }
        let received = incoming.finish().unwrap();
        assert_eq!(received.decode::<BoolResponse>().unwrap(), message());
    }

    #[test]
    fn too_long_too_short_and_compressed_are_told() {
        let memory = AnswerMemory::default();
        let begin = |mut bytes: Bytes, most| {
            Incoming::begin(&mut bytes, taking(&memory, most)).map(|incoming| (incoming, bytes))
        };
        assert!(matches!(
            begin(framed(b"hello").into(), 4),
            Err(Broken::TooLarge { len: 5, limit: 4 })
        ));
        let (mut incoming, bytes) = begin(framed(b"hello").into(), 5).unwrap();
        incoming.push(bytes.slice(..2)).unwrap();
        assert!(matches!(incoming.finish(), Err(Broken::Malformed(_))));
        let (mut incoming, bytes) = begin(framed(b"hello").into(), 5).unwrap();
        incoming.push(bytes).unwrap();
        assert!(matches!(
            incoming.push("x".into()),
            Err(Broken::Malformed(_))
        ));
        let mut compressed = framed(b"hello");
        compressed[0] = 1;
        assert!(matches!(
            begin(compressed.into(), 5),
            Err(Broken::Malformed(_))
        ));
    }

    #[tokio::test]
    async fn a_message_is_not_handed_over_while_the_peer_allows_no_stream() {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let server = tokio::spawn(async move {
            let mut server = h2::server::Builder::new()
                .max_concurrent_streams(0)
                .handshake::<_, Bytes>(far)
                .await
                .unwrap();
            server.accept().await.is_some_and(|call| call.is_ok())
        });
        let (sender, connection) = h2::client::handshake(near).await.unwrap();
        let driver = tokio::spawn(connection);
        while sender.current_max_send_streams() != 0 {
            tokio::task::yield_now().await;
        }
        let (memory, handed_over) = (AnswerMemory::default(), HandedOver::default());
        let body = encode_grpc_frame(&message(), 100).unwrap();
        {
            let request = Request::post("http://localhost/call").body(()).unwrap();
            let taking = taking(&memory, 100);
            let exchanged = exchange(sender.clone(), request, &body, taking, &handed_over);
            let mut exchanged = pin!(exchanged);
            for _ in 0..10 {
                assert!((&mut exchanged).now_or_never().is_none());
                tokio::task::yield_now().await;
            }
        }
        assert!(!handed_over.is());
        driver.abort();
        assert!(!server.await.unwrap(), "a call has arrived");
    }
}
