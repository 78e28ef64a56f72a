//! The fault server and the frame proxy do what their rules say, seen by a plain HTTP/2 client.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod calls;
mod client;
mod connections;
mod frames;
