//! What the benchmarks share: the client program that every Rust peer is built into, the report, and the look at what a
//! process costs.
//!
//! A benchmark is a driver (`src/main.rs`) that starts servers and *client processes*, one per peer and case, and reads one
//! line of JSON from each. All Rust peers are the same program around another [`client::Peer`], so that a difference between
//! them is a difference between the libraries.
//!
//! Invariant: a peer does in its measured part what a user of it would write, and nothing else.

pub mod client;
pub mod data;
pub mod databases;
pub mod faults;
pub mod messages;
pub mod report;
pub mod resources;
