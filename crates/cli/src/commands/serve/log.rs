//! The log of `serve`: what the server and the database tell, one line each, on standard error.
//!
//! Invariant: only our own crates are heard, none of which logs a secret; passwords in URIs are masked all the same, as in
//! everything that the program writes.

use std::io::{self, Write};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::console::Console;
use crate::failure::Failure;
use crate::output::mask_passwords;

/// Says the level when `--log` doesn't.
const VARIABLE: &str = "MILVUSCTL_LOG";
/// The crates that are heard: all of ours begin so.
const OURS: &str = "milvus";

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Level {
    Off,
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl Level {
    fn filter(self) -> LevelFilter {
        match self {
            Self::Off => LevelFilter::OFF,
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

/// Begins to log, unless the console stands in for the process's streams: a log belongs to the process.
pub(super) fn start(asked: Option<Level>, console: &Console) -> Result<(), Failure> {
    let level = match (asked, console.variable(VARIABLE)) {
        (Some(level), _) => level,
        (None, None) => Level::default(),
        (None, Some(text)) => clap::ValueEnum::from_str(text, true).map_err(|_| {
            Failure::usage(
                format!("can't log as {VARIABLE} says"),
                format!("{text:?} is no level"),
            )
            .hint("The levels are off, error, warn, info, debug and trace.")
        })?,
    };
    if !console.is_of_process() {
        return Ok(());
    }
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(|| Masked(io::stderr()));
    let ours = Targets::new().with_target(OURS, level.filter());
    // Another log of this process stays what it is.
    let _ = tracing_subscriber::registry()
        .with(lines)
        .with(ours)
        .try_init();
    Ok(())
}

/// Each line comes in one piece.
struct Masked(io::Stderr);

impl Write for Masked {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        self.0.write_all(mask_passwords(&text).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
