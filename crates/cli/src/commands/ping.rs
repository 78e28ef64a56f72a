//! `milvusctl ping`: connects and measures round trips.
//!
//! Invariant: what is timed is the smallest call of Milvus (its version), over a channel that is ready: the network and
//! the proxy, not the dial, which is timed apart.

use std::time::Duration;

use clap::Args;
use milvus_connections::transport::{CallOptions, Connection};
use milvus_protocol::milvus::GetVersionRequest;
use milvus_protocol::rpc;
use serde::Serialize;
use tokio::time::Instant;

use crate::aliases::{Meant, meant};
use crate::arguments::SharedArguments;
use crate::connection_arguments::ConnectionArguments;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Format, Paint, Report, Tone};
use crate::progress::during;

/// Connect and measure round trips.
///
/// Makes small calls one after the other and says how long they took. Ctrl-C ends it early, with its summary. The exit code
/// is that of the last call that failed.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  milvusctl ping
  milvusctl ping prod --count 100 --interval 0
  milvusctl ping localhost:19530 --user root --password-env MILVUS_PASSWORD
  milvusctl ping prod | jq .round_trip.p99_micros")]
pub(crate) struct PingArguments {
    /// A name or an address [default: the default alias]
    #[arg(value_name = "ALIAS|ADDRESS|URI")]
    target: Option<String>,
    /// How many calls to make
    #[arg(long, short, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Seconds from the beginning of one call to the next
    #[arg(long, short, value_name = "SECONDS", default_value = "1", value_parser = interval)]
    interval: Duration,
    #[command(flatten)]
    connection: ConnectionArguments,
}

fn interval(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "it must be a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "it must be zero or more seconds".to_owned())
}

#[derive(Debug, Serialize)]
struct Ping {
    alias: String,
    address: String,
    server_version: String,
    connect_micros: u64,
    calls: Vec<Call>,
    failed: usize,
    round_trip: Option<RoundTrip>,
}

/// One call.
#[derive(Debug, Serialize)]
struct Call {
    micros: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

/// The times of the calls that succeeded, in microseconds.
#[derive(Debug, PartialEq, Serialize)]
struct RoundTrip {
    min_micros: u64,
    mean_micros: u64,
    p50_micros: u64,
    p95_micros: u64,
    p99_micros: u64,
    max_micros: u64,
}

impl RoundTrip {
    /// `None` when there are no times.
    fn of(mut times: Vec<u64>) -> Option<Self> {
        times.sort_unstable();
        let count = u64::try_from(times.len()).ok()?;
        // Nearest rank: the smallest time that this share of the times does not exceed.
        let percentile = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100).max(1);
            times.get(rank - 1).copied()
        };
        Some(Self {
            min_micros: *times.first()?,
            mean_micros: times.iter().sum::<u64>() / count,
            p50_micros: percentile(50)?,
            p95_micros: percentile(95)?,
            p99_micros: percentile(99)?,
            max_micros: *times.last()?,
        })
    }
}

/// Microseconds as milliseconds.
fn milliseconds(micros: u64) -> String {
    format!("{}.{:02}", micros / 1_000, micros % 1_000 / 10)
}

impl Ping {
    fn heading(&self, paint: Paint) -> String {
        let version = if self.server_version.is_empty() {
            String::new()
        } else {
            format!(", Milvus {}", self.server_version)
        };
        let address = if self.address == self.alias {
            String::new()
        } else {
            format!(" ({})", self.address)
        };
        format!(
            "{}{}\n",
            paint.tone(Tone::Strong, &self.alias),
            paint.tone(
                Tone::Plain,
                &format!(
                    "{address}{version}: connected in {} ms",
                    milliseconds(self.connect_micros)
                )
            )
        )
    }
}

impl Call {
    fn render(&self, number: usize, paint: Paint) -> String {
        match &self.error {
            None => format!("{number:>5}  {:>10} ms\n", milliseconds(self.micros)),
            Some(failure) => format!(
                "{number:>5}  {} {}\n",
                paint.tone(Tone::Bad, "failed:"),
                paint.tone(Tone::Plain, &failure.reason)
            ),
        }
    }
}

/// The summary; heading and calls have been shown as they came.
impl Report for Ping {
    fn render(&self, paint: Paint) -> String {
        let failed = format!("{} failed", self.failed);
        let tone = if self.failed == 0 {
            Tone::Plain
        } else {
            Tone::Bad
        };
        let mut text = format!(
            "\n{} calls, {}\n",
            self.calls.len(),
            paint.tone(tone, &failed)
        );
        if let Some(times) = &self.round_trip {
            text.push_str(&format!(
                "min {}  mean {}  p50 {}  p95 {}  p99 {}  max {} ms\n",
                milliseconds(times.min_micros),
                milliseconds(times.mean_micros),
                milliseconds(times.p50_micros),
                milliseconds(times.p95_micros),
                milliseconds(times.p99_micros),
                milliseconds(times.max_micros)
            ));
        }
        text
    }
}

pub(super) async fn run(
    arguments: &PingArguments,
    shared: &SharedArguments,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let Meant { connections, alias } = meant(
        arguments.target.as_deref(),
        &arguments.connection,
        shared,
        console,
    )?;
    let began = Instant::now();
    let client = during(
        console,
        &format!("connecting to {alias}"),
        connections.connect(&alias),
    )
    .await?;
    let connect_micros = micros(began.elapsed());
    let connection = client.connection();
    let mut ping = Ping {
        address: connection.address().to_string(),
        server_version: connection.server().version,
        connect_micros,
        calls: Vec::new(),
        failed: 0,
        round_trip: None,
        alias,
    };
    let is_live = console.format() == Format::Table;
    if is_live {
        console.print(|paint| ping.heading(paint))?;
    }
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let mut tick = tokio::time::interval(arguments.interval.max(Duration::from_nanos(1)));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for number in 1..=arguments.count {
        let next = async {
            tick.tick().await;
            call(connection).await
        };
        let call = tokio::select! {
            call = next => call,
            _ = &mut interrupted => break,
        };
        if is_live {
            console.print(|paint| call.render(number as usize, paint))?;
        }
        ping.calls.push(call);
    }
    connections.disconnect(&ping.alias).await;
    finish(ping, console)
}

async fn call(connection: &Connection) -> Call {
    let began = Instant::now();
    let answer = connection
        .call_with(
            &rpc::GET_VERSION,
            GetVersionRequest {},
            CallOptions::default(),
        )
        .await;
    Call {
        micros: micros(began.elapsed()),
        error: answer.err().map(Failure::from),
    }
}

fn finish(mut ping: Ping, console: &mut Console) -> Result<Exit, Failure> {
    ping.failed = ping
        .calls
        .iter()
        .filter(|call| call.error.is_some())
        .count();
    ping.round_trip = RoundTrip::of(
        ping.calls
            .iter()
            .filter(|call| call.error.is_none())
            .map(|call| call.micros)
            .collect(),
    );
    console.report(&ping)?;
    let worst = ping.calls.iter().rev().find_map(|call| call.error.as_ref());
    Ok(worst.map_or(Exit::Success, |failure| failure.exit_code))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times = RoundTrip::of((1..=200).rev().collect()).unwrap();
        let expected = RoundTrip {
            min_micros: 1,
            mean_micros: 100,
            p50_micros: 100,
            p95_micros: 190,
            p99_micros: 198,
            max_micros: 200,
        };
        assert_eq!(times, expected);
        let one = RoundTrip::of(vec![7]).unwrap();
        assert_eq!((one.p50_micros, one.p99_micros), (7, 7));
        assert_eq!(RoundTrip::of(Vec::new()), None);
    }

    #[test]
    fn intervals_are_seconds() {
        assert_eq!(interval("0.25"), Ok(Duration::from_millis(250)));
        assert_eq!(interval("0"), Ok(Duration::ZERO));
        interval("-1").unwrap_err();
        interval("soon").unwrap_err();
    }
}
