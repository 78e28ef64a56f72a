//! HTTP/2 frames as bytes (RFC 9113, section 4): enough to recognise, drop and make them, and no header compression.
//!
//! Invariant: what is read and passed on is byte for byte what was received.

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::Reason;

/// The connection preface that a client sends before its first frame (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Length, type, flags and stream of a frame take nine bytes.
const HEADER_LENGTH: usize = 9;

/// The setting SETTINGS_MAX_CONCURRENT_STREAMS.
pub(super) const MAX_CONCURRENT_STREAMS: u16 = 3;

const ACKNOWLEDGEMENT: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// The type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// A part of a body.
    Data,
    /// The start of a stream, or its trailers.
    Headers,
    /// Deprecated.
    Priority,
    /// The end of a stream by force.
    ResetStream,
    /// The sender's limits.
    Settings,
    /// Never sent by gRPC.
    PushPromise,
    /// A question whether the peer is there, or the answer.
    Ping,
    /// No further streams on this connection.
    GoAway,
    /// More room for bodies.
    WindowUpdate,
    /// More of the headers before it.
    Continuation,
    /// A type that RFC 9113 does not define.
    Unknown(u8),
}

const KINDS: [FrameKind; 10] = [
    FrameKind::Data,
    FrameKind::Headers,
    FrameKind::Priority,
    FrameKind::ResetStream,
    FrameKind::Settings,
    FrameKind::PushPromise,
    FrameKind::Ping,
    FrameKind::GoAway,
    FrameKind::WindowUpdate,
    FrameKind::Continuation,
];

impl FrameKind {
    fn from_number(number: u8) -> Self {
        KINDS
            .get(usize::from(number))
            .copied()
            .unwrap_or(Self::Unknown(number))
    }

    fn number(self) -> u8 {
        match self {
            Self::Unknown(number) => number,
            known => (0_u8..)
                .zip(KINDS)
                .find(|(_, kind)| *kind == known)
                .map_or(u8::MAX, |(n, _)| n),
        }
    }
}

/// One HTTP/2 frame.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// What the frame is.
    pub kind: FrameKind,
    /// Its flags; their meaning depends on the kind.
    pub flags: u8,
    /// The stream, 0 for the connection.
    pub stream: u32,
    /// What follows the frame's header.
    pub payload: Bytes,
}

impl Frame {
    /// GOAWAY: the sender will not look at streams above `last_stream`.
    pub fn go_away(last_stream: u32, reason: Reason, debug: &str) -> Self {
        let mut payload = BytesMut::new();
        payload.put_u32(last_stream);
        payload.put_u32(reason.into());
        payload.put_slice(debug.as_bytes());
        Self::on_connection(FrameKind::GoAway, payload.freeze())
    }

    /// RST_STREAM: `stream` is over.
    pub fn reset_stream(stream: u32, reason: Reason) -> Self {
        let payload = Bytes::copy_from_slice(&u32::from(reason).to_be_bytes());
        Self {
            kind: FrameKind::ResetStream,
            flags: 0,
            stream,
            payload,
        }
    }

    /// SETTINGS with pairs of identifier and value.
    pub fn settings(settings: &[(u16, u32)]) -> Self {
        let mut payload = BytesMut::new();
        for (identifier, value) in settings {
            payload.put_u16(*identifier);
            payload.put_u32(*value);
        }
        Self::on_connection(FrameKind::Settings, payload.freeze())
    }

    /// PING with eight opaque bytes.
    pub fn ping(opaque: [u8; 8]) -> Self {
        Self::on_connection(FrameKind::Ping, Bytes::copy_from_slice(&opaque))
    }

    fn on_connection(kind: FrameKind, payload: Bytes) -> Self {
        Self {
            kind,
            flags: 0,
            stream: 0,
            payload,
        }
    }

    /// Whether this is the answer to a SETTINGS or PING frame.
    pub fn is_acknowledgement(&self) -> bool {
        matches!(self.kind, FrameKind::Settings | FrameKind::Ping)
            && self.flags & ACKNOWLEDGEMENT != 0
    }

    /// Whether this frame completes a block of headers.
    pub(super) fn ends_headers(&self) -> bool {
        matches!(self.kind, FrameKind::Headers | FrameKind::Continuation)
            && self.flags & END_HEADERS != 0
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(HEADER_LENGTH + self.payload.len());
        // The length is 24 bits wide; a payload that came from a peer or from this file fits.
        bytes.put_uint(self.payload.len() as u64, 3);
        bytes.put_u8(self.kind.number());
        bytes.put_u8(self.flags);
        bytes.put_u32(self.stream);
        bytes.put_slice(&self.payload);
        bytes.freeze()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?}(stream {}, flags {:#x}, {} bytes)",
            self.kind,
            self.stream,
            self.flags,
            self.payload.len()
        )
    }
}

/// What a stream of received bytes holds next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A part of the client's preface.
    Preface(Bytes),
    Frame(Frame),
}

/// Cuts received bytes into frames.
#[derive(Debug)]
pub(super) struct FrameReader {
    preface_left: usize,
    buffer: BytesMut,
}

impl FrameReader {
    /// A reader of what a client sends, which starts with the preface.
    pub(super) fn of_client() -> Self {
        Self {
            preface_left: PREFACE.len(),
            buffer: BytesMut::new(),
        }
    }

    /// A reader of what a server sends.
    pub(super) fn of_server() -> Self {
        Self {
            preface_left: 0,
            buffer: BytesMut::new(),
        }
    }

    /// Where received bytes go.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next piece, when it has been received whole.
    pub(super) fn next_piece(&mut self) -> Option<Piece> {
        if self.preface_left > 0 {
            let length = self.preface_left.min(self.buffer.len());
            self.preface_left -= length;
            return (length > 0).then(|| Piece::Preface(self.buffer.split_to(length).freeze()));
        }
        let mut header = self.buffer.get(..HEADER_LENGTH)?;
        let length = usize::try_from(header.get_uint(3)).ok()?;
        let kind = FrameKind::from_number(header.get_u8());
        let flags = header.get_u8();
        let stream = header.get_u32() & 0x7fff_ffff;
        if self.buffer.len() < HEADER_LENGTH + length {
            return None;
        }
        self.buffer.advance(HEADER_LENGTH);
        let payload = self.buffer.split_to(length).freeze();
        Some(Piece::Frame(Frame {
            kind,
            flags,
            stream,
            payload,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut() {
        let frames = [
            Frame::settings(&[(MAX_CONCURRENT_STREAMS, 7)]),
            Frame::ping(*b"eight by"),
            Frame {
                kind: FrameKind::Data,
                flags: 1,
                stream: 3,
                payload: Bytes::from_static(b"body"),
            },
            Frame {
                kind: FrameKind::Unknown(77),
                flags: 9,
                stream: 5,
                payload: Bytes::new(),
            },
            Frame::go_away(9, Reason::NO_ERROR, "bye"),
            Frame::reset_stream(3, Reason::REFUSED_STREAM),
        ];
        let mut bytes = PREFACE.to_vec();
        for frame in &frames {
            bytes.extend_from_slice(&frame.encode());
        }
        for size in [1, 2, 7, 24, bytes.len()] {
            let (mut reader, mut preface, mut read) =
                (FrameReader::of_client(), Vec::new(), Vec::new());
            for part in bytes.chunks(size) {
                reader.buffer().extend_from_slice(part);
                while let Some(piece) = reader.next_piece() {
                    match piece {
                        Piece::Preface(part) => preface.extend_from_slice(&part),
                        Piece::Frame(frame) => read.push(frame),
                    }
                }
            }
            assert_eq!(
                (preface.as_slice(), read.as_slice()),
                (PREFACE, frames.as_slice()),
                "cut at {size}"
            );
        }
    }
}
