//! The commands, run in this process and as the program that was built; one binary, since linking is what takes time.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod faults;
mod help;
#[cfg(unix)]
mod process;
mod profile_file;
mod program;
#[cfg(unix)]
mod serving;
