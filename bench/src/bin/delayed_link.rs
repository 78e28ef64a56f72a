//! A link with a delay, in a process of its own: what is sent to it arrives later at the server behind it, and back.
//!
//! Prints its address and works until its standard input ends.
//!
//! Invariant: the delay is that of each byte; the bandwidth stays what loopback and this process have.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use milvus_bench::resources::pin_to_core;
use milvus_testkit::fault::{FrameProxy, LinkOptions};

#[derive(Parser)]
struct Arguments {
    /// The server behind the link
    #[arg(long)]
    upstream: SocketAddr,
    /// How much later each byte arrives, each way, in milliseconds
    #[arg(long)]
    delay: u64,
    /// The core to stay on
    #[arg(long)]
    core: Option<usize>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(core) = arguments.core {
        pin_to_core(core)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let options = LinkOptions {
            delay: Duration::from_millis(arguments.delay),
            opaque: true,
        };
        let proxy = FrameProxy::start(arguments.upstream, options).await?;
        println!("{}", proxy.address());
        let (ended, end) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            let _ = ended.send(());
        });
        end.await.context("standard input is gone")
    })
}
