//! What a lookup in the registry costs, from one thread to eight:
//! `cargo run --release -p milvus-connections --example lookup_cost`.
//!
//! A flat line means that threads don't wait for each other. `get` hands out a clone, so that its threads share the
//! reference count of one client; `with` lends it.
#![allow(clippy::print_stdout, reason = "it prints what it measures")]

use std::error::Error;
use std::hint::black_box;
use std::sync::Barrier;

use milvus_connections::{ConnectionParams, Connections};
use milvus_testkit::fault::{FaultServer, FaultServerOptions};

const LOOKUPS: u32 = 2_000_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = FaultServer::start(FaultServerOptions::default()).await?;
    let connections = Connections::isolated();
    let aliases = (0..100).map(|n| (format!("alias-{n}"), ConnectionParams::host("elsewhere")));
    connections.add_connection(aliases)?;
    let address = server.address().to_string();
    connections
        .connect_with("production", ConnectionParams::address(address))
        .await?;

    println!("ns per lookup    threads:      1      2      4      8   (100 other aliases)");
    report(
        "has_connection",
        |connections| {
            black_box(connections.has_connection(black_box("production")));
        },
        &connections,
    );
    report(
        "with",
        |connections| {
            let _ = black_box(connections.with(black_box("production"), |client| {
                black_box(client);
            }));
        },
        &connections,
    );
    report(
        "get",
        |connections| {
            let _ = black_box(connections.get(black_box("production")));
        },
        &connections,
    );
    Ok(())
}

fn report(name: &str, lookup: impl Fn(&Connections) + Sync, connections: &Connections) {
    let mut line = format!("{name:<25}");
    for threads in [1, 2, 4, 8] {
        line.push_str(&format!(" {:>6.1}", cost(threads, &lookup, connections)));
    }
    println!("{line}");
}

/// Nanoseconds of processor time for one lookup, so that a busy machine doesn't count: a thread that waits for another
/// one's cache line is on the processor, one that waits for its turn is not.
fn cost(threads: usize, lookup: &(impl Fn(&Connections) + Sync), connections: &Connections) -> f64 {
    let start = Barrier::new(threads);
    let used: u64 = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    let before = processor_nanoseconds();
                    for _ in 0..LOOKUPS {
                        lookup(connections);
                    }
                    processor_nanoseconds() - before
                })
            })
            .collect();
        workers
            .into_iter()
            .filter_map(|worker| worker.join().ok())
            .sum()
    });
    used as f64 / threads as f64 / f64::from(LOOKUPS)
}

/// Linux's count for the calling thread; 0 where there is none.
fn processor_nanoseconds() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|first| first.parse().ok())
        .unwrap_or(0)
}
