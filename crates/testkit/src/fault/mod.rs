//! Servers that misbehave on demand: a gRPC server with scripted answers, a proxy that works on HTTP/2 frames, and
//! listeners that never get as far as HTTP/2.
//!
//! | to make | use |
//! |---|---|
//! | an answer, an in-band status, a gRPC status, a stall, a reset, a GOAWAY for the n-th call of an RPC | [`FaultServer`] with [`Rule`]s |
//! | a frame that is lost, delayed, replaced or injected, in front of any plain-text server | [`FrameProxy`] with [`FrameRule`]s |
//! | a link with a fixed delay | [`FrameProxy`] with [`LinkOptions::delay`] |
//! | a port that is silent, closes at once, has a full backlog, or speaks HTTP/1.1 | [`FaultListener`] |
//!
//! Each [`FaultServer`] has the frame level of a [`FrameProxy`] built in, see [`FaultServer::link`].
//!
//! Invariants: everything listens on loopback and stops when its guard is dropped; counters only grow; a call counts as
//! applied exactly when a server that was not faulty would have applied it.

mod answers;
mod frame;
mod link;
mod listener;
mod proxy;
mod relay;
mod rule;
mod server;
mod tls;

pub use frame::{Frame, FrameKind};
pub use link::{
    Direction, FrameRule, FrameThen, FrameWhen, LastStream, Link, LinkCounters, LinkOptions,
};
pub use listener::{FaultListener, ListenerFault};
pub use proxy::FrameProxy;
pub use rule::{Call, Rule, Then, When};
pub use server::{FaultServer, FaultServerOptions};
pub use tls::FaultTls;
