//! `milvusctl top`: how all aliases are, live.
//!
//! Invariant: what is shown is what the connections of this process say of themselves and the events of their pools. They
//! carry one small call at an interval and nothing else, so rates and latencies are those of that call.

mod probe;
mod view;

use std::time::{Duration, SystemTime};

use clap::Args;
use milvus_connections::Connections;
use tokio::signal::unix::{SignalKind, signal};

use crate::aliases::{all, configured, registry};
use crate::arguments::SharedArguments;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Format, Report as _};
use crate::screen::{Screen, Size};
use probe::Probes;
use view::Snapshot;

/// How long a single snapshot waits for answers: longer than a connect takes by default.
const ANSWERS_LIMIT: Duration = Duration::from_secs(12);

/// Watch all aliases live: state, channels, calls, latencies, last error.
///
/// Connects each alias by itself and asks it for its version once per interval (one call of some hundred bytes per alias),
/// which is what the rates and latencies are those of; another program's calls are not seen. A lost connection heals by
/// itself, and the events below the table tell how. Keys: q or Ctrl-C ends.
///
/// When piped, or with --once, there is one snapshot as soon as every alias has answered or failed: as JSON, a line for each
/// alias. The exit code is then that of the last alias that failed.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  milvusctl top
  milvusctl top prod staging --interval 5
  milvusctl top --once
  milvusctl top | jq -r 'select(.state != \"ready\") | .alias'")]
pub(crate) struct TopArguments {
    /// The aliases to watch [default: all that are configured]
    #[arg(value_name = "ALIAS")]
    aliases: Vec<String>,
    /// Seconds from one look, and one call to each alias, to the next; at least 0.1
    #[arg(long, short, value_name = "SECONDS", default_value = "1", value_parser = interval)]
    interval: Duration,
    /// One snapshot, also on a terminal
    #[arg(long)]
    once: bool,
}

fn interval(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "it must be a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(interval) if interval >= Duration::from_millis(100) => Ok(interval),
        _ => Err("it must be 0.1 or more seconds".to_owned()),
    }
}

pub(super) async fn run(
    arguments: &TopArguments,
    shared: &SharedArguments,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let connections = registry(shared, console);
    let aliases = chosen(&arguments.aliases, &connections)?;
    let probes = Probes::start(&connections, &aliases, arguments.interval);
    let is_live = !arguments.once && console.is_terminal() && console.format() == Format::Table;
    if is_live {
        watch(&probes, arguments.interval, console).await?;
        return Ok(Exit::Success);
    }
    probes.all_known(ANSWERS_LIMIT).await;
    let snapshot = probes.snapshot(None);
    match console.format() {
        Format::Table => console.print(|paint| snapshot.render(paint))?,
        Format::Json => console.print(|_| snapshot.to_json_lines())?,
    }
    Ok(probes.worst())
}

/// The aliases that are asked for, all of which must be known.
fn chosen(named: &[String], connections: &Connections) -> Result<Vec<String>, Failure> {
    if named.is_empty() {
        return configured(connections);
    }
    let known = all(connections)?;
    for alias in named.iter().filter(|alias| !known.contains(alias)) {
        // The registry knows how to say it, and which alias is alike.
        connections.explain(alias)?;
    }
    Ok(named.to_vec())
}

/// Draws a frame at each interval, and when the terminal's size changes, until a key or signal ends it.
async fn watch(probes: &Probes, interval: Duration, console: &mut Console) -> Result<(), Failure> {
    let mut resized = signal(SignalKind::window_change())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let mut screen = Screen::open()?;
    let mut tick = tokio::time::interval(interval);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last: Option<Snapshot> = None;
    loop {
        tokio::select! {
            _ = tick.tick() => last = Some(probes.snapshot(last.as_ref())),
            _ = resized.recv() => {}
            key = screen.key() => if matches!(key, b'q' | b'Q') { break },
            _ = &mut interrupted => break,
            _ = terminated.recv() => break,
        }
        if let Some(snapshot) = &last {
            let size = Size::of_terminal();
            let now = SystemTime::now();
            console.print(|paint| {
                let lines = snapshot.frame(size, paint, now, interval);
                Screen::frame(&lines)
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_not_so_short_that_they_would_be_a_load() {
        assert_eq!(interval("0.5"), Ok(Duration::from_millis(500)));
        interval("0").unwrap_err();
        interval("-1").unwrap_err();
        interval("often").unwrap_err();
    }
}
