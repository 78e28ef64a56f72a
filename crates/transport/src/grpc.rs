//! One unary gRPC exchange over one HTTP/2 stream.
//!
//! Invariant: the outcome says what is *proved*: a request that was certainly not sent or certainly not looked at is
//! never mixed up with one whose fate is unknown. Dropping the future resets this stream and nothing else.
//!
//! Sources: "gRPC over HTTP2" (PROTOCOL-HTTP2.md of gRPC) for framing and status; RFC 9113, sections 6.8 and 8.7, for
//! what GOAWAY and REFUSED_STREAM prove.

use std::future::poll_fn;

use bytes::{Buf as _, Bytes, BytesMut};
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response, StatusCode};
use milvus_protocol::{EncodedMessage, ReceivedMessage};

mod metadata;
mod status;

pub(crate) use metadata::{CallMetadata, new_request_id};
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
    /// Sorts an error of a stream whose request had been handed to HTTP/2.
    fn after_submission(error: h2::Error) -> Self {
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

/// Sends one request and reads its answer. `sender` must belong to a channel with a free stream.
pub(crate) async fn exchange(
    mut sender: SendRequest<Bytes>,
    request: Request<()>,
    body: &EncodedMessage,
    max_response: usize,
) -> Result<Answer, Broken> {
    poll_fn(|cx| sender.poll_ready(cx))
        .await
        .map_err(Broken::NotSent)?;
    let (response, mut stream) = sender
        .send_request(request, false)
        .map_err(Broken::NotSent)?;
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
    let response = response.await.map_err(Broken::after_submission)?;
    read_answer(response, max_response).await
}

async fn read_answer(
    response: Response<RecvStream>,
    max_response: usize,
) -> Result<Answer, Broken> {
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
    let message = read_message(&mut body, max_response).await?;
    let trailers = body.trailers().await.map_err(Broken::after_submission)?;
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
    max_response: usize,
) -> Result<Option<ReceivedMessage>, Broken> {
    let mut start = BytesMut::new();
    let mut message: Option<Incoming> = None;
    while let Some(chunk) = body.data().await {
        let mut chunk = chunk.map_err(Broken::after_submission)?;
        // The peer may send as much again; an error here means that the stream is over, and then the next read says so.
        let _ = body.flow_control().release_capacity(chunk.len());
        if message.is_none() {
            if start.is_empty() && chunk.len() >= PREFIX {
                message = Some(Incoming::begin(&mut chunk, max_response)?);
            } else {
                start.extend_from_slice(&chunk);
                chunk = Bytes::new();
                if start.len() >= PREFIX {
                    chunk = start.split().freeze();
                    message = Some(Incoming::begin(&mut chunk, max_response)?);
                }
            }
        }
        if let Some(message) = &mut message {
            message.push(chunk)?;
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
struct Incoming {
    len: usize,
    whole: Option<Bytes>,
    parts: BytesMut,
}

impl Incoming {
    fn begin(chunk: &mut Bytes, limit: usize) -> Result<Self, Broken> {
        let compressed = chunk.get_u8();
        let len = usize::try_from(chunk.get_u32()).unwrap_or(usize::MAX);
        if compressed != 0 {
            return Err(Broken::Malformed(
                "the answer is compressed, which was not asked for".into(),
            ));
        }
        if len > limit {
            return Err(Broken::TooLarge { len, limit });
        }
        Ok(Self {
            len,
            whole: None,
            parts: BytesMut::new(),
        })
    }

    fn push(&mut self, chunk: Bytes) -> Result<(), Broken> {
        if chunk.is_empty() {
            return Ok(());
        }
        if self.whole.is_some() || self.parts.len() + chunk.len() > self.len {
            return Err(Broken::Malformed(
                "the answer holds more than one message".into(),
            ));
        }
        if chunk.len() == self.len {
            self.whole = Some(chunk);
            return Ok(());
        }
        if self.parts.capacity() == 0 {
            self.parts.reserve(self.len);
        }
        self.parts.extend_from_slice(&chunk);
        Ok(())
    }

    fn finish(self) -> Result<ReceivedMessage, Broken> {
        let message = self
            .whole
            .map_or_else(|| self.parts.into(), ReceivedMessage::from);
        if message.len() == self.len {
            Ok(message)
        } else {
            Err(Broken::Malformed(format!(
                "the answer ended after {} of {} bytes",
                message.len(),
                self.len
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use milvus_protocol::milvus::BoolResponse;
    use prost::Message as _;

    use super::*;

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
        let mut incoming = Incoming::begin(&mut bytes, 100).unwrap();
        for piece in [bytes, Bytes::new(), tail] {
            incoming.push(piece).unwrap();
        }
        let received = incoming.finish().unwrap();
        assert_eq!(received.decode::<BoolResponse>().unwrap(), message());
    }

    #[test]
    fn too_long_too_short_and_compressed_are_told() {
        let begin = |mut bytes: Bytes, limit| {
            Incoming::begin(&mut bytes, limit).map(|incoming| (incoming, bytes))
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
}
