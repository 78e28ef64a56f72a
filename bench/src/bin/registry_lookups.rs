//! What it costs to ask the registry for the client of an alias, from one thread and from several.
//!
//! The arguments are the address of a server to connect to and how many milliseconds each measurement takes; the outcome is
//! one line of JSON: processor nanoseconds per lookup by verb and number of threads.
//!
//! Invariant: processor time is counted, not time on the wall, so that more threads than cores say something.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use milvus_bench::resources::processor_time;
use milvus_connections::{ConnectionParams, connections};
use serde_json::{Value, json};

const ALIASES: usize = 100;
/// So many lookups between two looks at whether it is time to stop.
const STRIDE: u64 = 1000;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().context("the address of a server")?;
    let milliseconds: u64 = arguments.next().context("how long")?.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let names: Vec<String> = (0..ALIASES)
        .map(|number| format!("alias-{number}"))
        .collect();
    runtime.block_on(async {
        for name in &names {
            let params = ConnectionParams::address(address.as_str());
            connections().connect_with(name, params).await?;
        }
        anyhow::Ok(())
    })?;
    let mut outcome: Vec<Value> = Vec::new();
    for threads in [1, 2, 4, 8] {
        let duration = Duration::from_millis(milliseconds);
        let get = nanoseconds(&names, threads, duration, |name| {
            black_box(connections().get(name)).is_ok()
        })?;
        let with = nanoseconds(&names, threads, duration, |name| {
            connections()
                .with(name, |client| black_box(client).database().is_empty())
                .is_ok()
        })?;
        outcome.push(json!({ "threads": threads, "get": get, "with": with }));
    }
    println!("{}", json!({ "lookups": outcome }));
    std::process::exit(0);
}

fn nanoseconds(
    names: &[String],
    threads: usize,
    duration: Duration,
    lookup: impl Fn(&str) -> bool + Copy + Send + 'static,
) -> anyhow::Result<f64> {
    let over = Arc::new(AtomicBool::new(false));
    let before = processor_time();
    let mut handles = Vec::new();
    for first in 0..threads {
        let over = Arc::clone(&over);
        let names = names.to_vec();
        handles.push(thread::spawn(move || {
            let (mut lookups, mut failed, mut index) = (0_u64, 0_u64, first);
            while !over.load(Ordering::Relaxed) {
                for _ in 0..STRIDE {
                    index = (index + 1) % names.len();
                    failed += u64::from(!lookup(&names[index]));
                }
                lookups += STRIDE;
            }
            (lookups, failed)
        }));
    }
    thread::sleep(duration);
    over.store(true, Ordering::Relaxed);
    let mut lookups = 0;
    for handle in handles {
        let (made, failed) = handle
            .join()
            .map_err(|_| anyhow::anyhow!("a thread panicked"))?;
        anyhow::ensure!(failed == 0, "{failed} lookups failed");
        lookups += made;
    }
    let spent = processor_time() - before;
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let each = spent.as_secs_f64() * 1e9 / lookups as f64;
    Ok(each)
}
