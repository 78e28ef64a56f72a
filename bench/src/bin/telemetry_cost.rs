//! What spans and metrics cost a call when no subscriber and no recorder is installed.
//!
//! The arguments are the core to stay on and the address of a server to connect to; the outcome is one line of JSON: the
//! nanoseconds of one call.
//!
//! Invariant: nothing listens in this process, as in a program that has not asked for telemetry.

use anyhow::Context as _;
use milvus_bench::resources::pin_to_core;
use milvus_transport::{Connection, ConnectionConfig, parse_uri, telemetry_of};
use serde_json::json;

/// Enough to be some tenths of a second, few enough to be repeated.
const CALLS: u32 = 1_000_000;
/// The first passes warm up; the best one is the one that nobody disturbed.
const PASSES: u32 = 5;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    pin_to_core(arguments.next().context("the core")?.parse()?)?;
    let uri = arguments.next().context("the address of a server")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let config = ConnectionConfig::new(parse_uri(&uri)?.target);
    let best = runtime.block_on(async {
        let connection = Connection::connect("bench", config).await?;
        let passes = (0..PASSES).filter_map(|_| telemetry_of(&connection, CALLS));
        passes.min().context("no channel was ready")
    })?;
    let nanoseconds = best.as_secs_f64() * 1e9 / f64::from(CALLS);
    println!("{}", json!({ "nanoseconds": nanoseconds }));
    Ok(())
}
