//! How `milvusctl top` looks: from a snapshot, and the terminal's size, to lines.
//!
//! Invariant: the same snapshot, size and time give the same text; no line is wider than the terminal, and a frame is not
//! higher. Everything that came from elsewhere is cleaned before it is measured and painted.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use milvus_connections::transport::{ConnectionState, ConnectionStatus};
use serde::Serialize;
use tokio::time::Instant;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::output::{Paint, Report, Tone, clean};
use crate::screen::Size;

/// A name or an address takes no more columns.
const WIDEST_NAME: usize = 32;
/// Without a terminal there is room for everything.
const ALL: Size = Size {
    columns: 160,
    rows: usize::MAX,
};

/// How all aliases were at one moment.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Snapshot {
    pub(super) rows: Vec<AliasRow>,
    #[serde(skip)]
    pub(super) events: Vec<SeenEvent>,
    #[serde(skip)]
    pub(super) taken: Instant,
}

/// One alias. Those of one configuration share a pool, and with it its numbers.
#[derive(Clone, Debug, Serialize)]
pub(super) struct AliasRow {
    pub(super) alias: String,
    address: String,
    state: ConnectionState,
    server_version: String,
    /// Ready channels.
    channels: usize,
    /// Of those, the ones whose peer does not answer.
    unresponsive_channels: usize,
    draining_channels: usize,
    calls_in_flight: u32,
    calls_waiting: usize,
    /// Since the last look; `None` at the first.
    pub(super) calls_per_second: Option<f64>,
    p50_micros: Option<u64>,
    p99_micros: Option<u64>,
    succeeded: u64,
    failed: u64,
    retried: u64,
    /// Why the last connect or call failed; `None` when it did not.
    failure: Option<String>,
    /// Why the last dial or channel failed, also long ago.
    last_error: Option<String>,
}

/// What happened to a channel.
#[derive(Clone, Debug)]
pub(super) struct SeenEvent {
    pub(super) at: SystemTime,
    pub(super) alias: String,
    pub(super) what: String,
}

impl AliasRow {
    pub(super) fn of(status: ConnectionStatus, failure: Option<String>) -> Self {
        let ready = || status.channels.iter().filter(|channel| !channel.draining);
        Self {
            channels: ready().count(),
            unresponsive_channels: ready().filter(|channel| channel.unresponsive).count(),
            draining_channels: status.channels.len() - ready().count(),
            alias: status.alias,
            address: status.address,
            state: status.state,
            server_version: status.server.version,
            calls_in_flight: status.calls_in_flight,
            calls_waiting: status.calls_waiting,
            calls_per_second: None,
            p50_micros: status.calls.p50_micros,
            p99_micros: status.calls.p99_micros,
            succeeded: status.calls.succeeded,
            failed: status.calls.failed,
            retried: status.calls.retried,
            failure,
            last_error: status.last_error,
        }
    }

    pub(super) fn unconnected(
        alias: &str,
        address: &str,
        state: ConnectionState,
        failure: Option<String>,
    ) -> Self {
        Self {
            alias: alias.to_owned(),
            address: address.to_owned(),
            state,
            server_version: String::new(),
            channels: 0,
            unresponsive_channels: 0,
            draining_channels: 0,
            calls_in_flight: 0,
            calls_waiting: 0,
            calls_per_second: None,
            p50_micros: None,
            p99_micros: None,
            succeeded: 0,
            failed: 0,
            retried: 0,
            last_error: failure.clone(),
            failure,
        }
    }

    /// Calls that have ended.
    pub(super) fn calls(&self) -> u64 {
        self.succeeded + self.failed
    }

    fn state_in_words(&self) -> (Tone, String) {
        let tone = match self.state {
            ConnectionState::Ready if self.unresponsive_channels > 0 => Tone::Notable,
            ConnectionState::Ready => Tone::Good,
            ConnectionState::Down | ConnectionState::Closed => Tone::Bad,
            _ => Tone::Notable,
        };
        let silent = match self.unresponsive_channels {
            0 => String::new(),
            count => format!(", {count} silent"),
        };
        (tone, format!("{}{silent}", self.state))
    }

    fn cells(&self) -> [(Tone, String); 11] {
        let plain = |text: String| (Tone::Plain, text);
        let counted = |count: u64| {
            if count == 0 {
                (Tone::Faint, "0".to_owned())
            } else {
                (Tone::Plain, count.to_string())
            }
        };
        let failed = if self.failed > 0 {
            Tone::Bad
        } else {
            Tone::Faint
        };
        [
            (Tone::Strong, clean(&self.alias)),
            plain(clean(&self.address)),
            self.state_in_words(),
            plain(match self.draining_channels {
                0 => self.channels.to_string(),
                draining => format!("{}+{draining}", self.channels),
            }),
            counted(self.calls_in_flight.into()),
            counted(self.calls_waiting as u64),
            plain(
                self.calls_per_second
                    .map_or("–".into(), |rate| format!("{rate:.1}")),
            ),
            plain(milliseconds(self.p50_micros)),
            plain(milliseconds(self.p99_micros)),
            counted(self.retried),
            (failed, self.failed.to_string()),
        ]
    }

    /// What is wrong, or was.
    fn trouble(&self) -> Option<(Tone, String)> {
        let now = self
            .failure
            .as_ref()
            .map(|failure| (Tone::Bad, clean(failure)));
        now.or_else(|| {
            let error = clean(self.last_error.as_ref()?);
            Some((Tone::Faint, format!("last error: {error}")))
        })
    }
}

fn milliseconds(micros: Option<u64>) -> String {
    micros.map_or("–".into(), |micros| {
        format!("{}.{:02}", micros / 1_000, micros % 1_000 / 10)
    })
}

/// Hours, minutes and seconds of a day in UTC.
fn clock(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() % 86_400;
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// Texts side by side, cut where the terminal ends.
#[derive(Clone, Debug, Default)]
struct Line(Vec<(Tone, String)>);

impl Line {
    fn push(&mut self, tone: Tone, text: impl Into<String>) {
        self.0.push((tone, text.into()));
    }

    fn render(&self, columns: usize, paint: Paint) -> String {
        let mut left = columns;
        let mut line = String::new();
        for (tone, text) in &self.0 {
            let shown = cut(text, left);
            left -= shown.width();
            line.push_str(&paint.tone(*tone, &shown));
        }
        line.trim_end().to_owned()
    }
}

/// The text in at most so many columns; an ellipsis says that there was more.
fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut width = 0;
    for character in text.chars() {
        width += character.width().unwrap_or(0);
        if width + 1 > columns {
            break;
        }
        kept.push(character);
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

const HEADINGS: [&str; 11] = [
    "ALIAS",
    "ADDRESS",
    "STATE",
    "CHANNELS",
    "IN FLIGHT",
    "WAITING",
    "CALLS/S",
    "P50 MS",
    "P99 MS",
    "RETRIED",
    "FAILED",
];
/// The first ones are texts, the others numbers.
const TEXTS: usize = 3;

impl Snapshot {
    /// The table, and below each alias what is wrong with it.
    fn table(&self) -> Vec<Line> {
        let mut rows = vec![HEADINGS.map(|heading| (Tone::Faint, heading.to_owned()))];
        rows.extend(self.rows.iter().map(|row| {
            row.cells()
                .map(|(tone, text)| (tone, cut(&text, WIDEST_NAME)))
        }));
        let width = |column: usize| {
            let widths = rows.iter().filter_map(|row| row.get(column));
            widths.map(|(_, text)| text.width()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
        let mut lines = Vec::new();
        for (number, row) in rows.iter().enumerate() {
            let mut line = Line::default();
            for (column, ((tone, text), width)) in row.iter().zip(&widths).enumerate() {
                let padding = " ".repeat(width.saturating_sub(text.width()));
                if column < TEXTS {
                    line.push(*tone, text.clone());
                    line.push(Tone::Plain, padding);
                } else {
                    line.push(Tone::Plain, padding);
                    line.push(*tone, text.clone());
                }
                line.push(Tone::Plain, "  ");
            }
            lines.push(line);
            let alias = number.checked_sub(1).and_then(|index| self.rows.get(index));
            if let Some((tone, trouble)) = alias.and_then(AliasRow::trouble) {
                let mut line = Line::default();
                line.push(tone, format!("  {trouble}"));
                lines.push(line);
            }
        }
        lines
    }

    /// A whole terminal: heading, table, and as many of the latest events as there is room for.
    pub(super) fn frame(
        &self,
        size: Size,
        paint: Paint,
        now: SystemTime,
        interval: Duration,
    ) -> Vec<String> {
        let mut heading = Line::default();
        heading.push(Tone::Strong, "milvusctl top");
        let about = format!(
            "  {} aliases, a call each every {} s  {} UTC  ",
            self.rows.len(),
            interval.as_secs_f64(),
            clock(now)
        );
        heading.push(Tone::Plain, about);
        heading.push(Tone::Faint, "q ends");
        let mut lines = vec![heading, Line::default()];
        lines.extend(self.table());
        if lines.len() > size.rows {
            let hidden = lines.len() + 1 - size.rows;
            lines.truncate(size.rows.saturating_sub(1));
            let mut more = Line::default();
            more.push(Tone::Faint, format!("… {hidden} more lines"));
            lines.push(more);
        }
        // An empty line and a heading, then at least one event.
        let room = size.rows.saturating_sub(lines.len() + 2);
        if room > 0 && !self.events.is_empty() {
            lines.push(Line::default());
            let mut heading = Line::default();
            heading.push(Tone::Faint, "EVENTS");
            lines.push(heading);
            let first = self.events.len().saturating_sub(room);
            for event in self.events.iter().skip(first) {
                let mut line = Line::default();
                line.push(Tone::Faint, format!("{}  ", clock(event.at)));
                line.push(Tone::Strong, clean(&event.alias));
                line.push(Tone::Plain, format!("  {}", clean(&event.what)));
                lines.push(line);
            }
        }
        lines.truncate(size.rows);
        let rendered = lines.iter().map(|line| line.render(size.columns, paint));
        rendered.collect()
    }

    /// For programs: a line for each alias.
    pub(super) fn to_json_lines(&self) -> String {
        let lines = self.rows.iter().map(|row| {
            // Texts and numbers always have a JSON form.
            serde_json::to_string(row).unwrap_or_default() + "\n"
        });
        lines.collect()
    }
}

impl Report for Snapshot {
    fn render(&self, paint: Paint) -> String {
        let lines = self.table();
        let lines = lines
            .iter()
            .map(|line| line.render(ALL.columns, paint) + "\n");
        lines.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(alias: &str, state: ConnectionState, failure: Option<&str>) -> AliasRow {
        AliasRow::unconnected(alias, "10.0.0.1:19530", state, failure.map(str::to_owned))
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn snapshot() -> Snapshot {
        let healthy = AliasRow {
            channels: 2,
            draining_channels: 1,
            calls_in_flight: 3,
            calls_per_second: Some(1.0),
            p50_micros: Some(420),
            p99_micros: Some(12_345),
            succeeded: 70,
            retried: 4,
            last_error: Some("connection refused".into()),
            ..row("prod", ConnectionState::Ready, None)
        };
        let silent = AliasRow {
            channels: 1,
            unresponsive_channels: 1,
            calls_waiting: 2,
            failed: 1,
            ..row(
                "生产",
                ConnectionState::Ready,
                Some("no answer within 5.0 s"),
            )
        };
        let events = [
            (3_600, "prod", "channel #1: ready, to 10.0.0.1:19530"),
            (3_661, "生产", "channel #2: the server does not answer"),
        ];
        let event = |(seconds, alias, what): (u64, &str, &str)| SeenEvent {
            at: at(seconds),
            alias: alias.to_owned(),
            what: what.to_owned(),
        };
        Snapshot {
            rows: vec![
                healthy,
                silent,
                row("dev", ConnectionState::Connecting, None),
                row(
                    "old",
                    ConnectionState::Down,
                    Some("the name is \u{1b}[31munknown"),
                ),
            ],
            events: events.map(event).to_vec(),
            taken: Instant::now(),
        }
    }

    fn frame(columns: usize, rows: usize) -> String {
        let paint = Paint::new(false, columns);
        let size = Size { columns, rows };
        let lines = snapshot().frame(size, paint, at(3_725), Duration::from_secs(1));
        assert!(lines.len() <= rows);
        assert!(
            lines.iter().all(|line| line.width() <= columns),
            "{lines:?}"
        );
        lines.join("\n")
    }

    #[test]
    fn a_wide_terminal_shows_everything() {
        insta::assert_snapshot!(frame(120, 30), @r"
        milvusctl top  4 aliases, a call each every 1 s  01:02:05 UTC  q ends

        ALIAS  ADDRESS         STATE            CHANNELS  IN FLIGHT  WAITING  CALLS/S  P50 MS  P99 MS  RETRIED  FAILED
        prod   10.0.0.1:19530  ready                 2+1          3        0      1.0    0.42   12.34        4       0
          last error: connection refused
        生产   10.0.0.1:19530  ready, 1 silent         1          0        2        –       –       –        0       1
          no answer within 5.0 s
        dev    10.0.0.1:19530  connecting              0          0        0        –       –       –        0       0
        old    10.0.0.1:19530  down                    0          0        0        –       –       –        0       0
          the name is \u{1b}[31munknown

        EVENTS
        01:00:00  prod  channel #1: ready, to 10.0.0.1:19530
        01:01:01  生产  channel #2: the server does not answer
        ");
    }

    #[test]
    fn a_narrow_and_low_terminal_shows_what_fits() {
        insta::assert_snapshot!(frame(46, 6), @r"
        milvusctl top  4 aliases, a call each every 1…

        ALIAS  ADDRESS         STATE            CHANN…
        prod   10.0.0.1:19530  ready                 …
          last error: connection refused
        … 5 more lines
        ");
    }

    #[test]
    fn no_size_is_too_small() {
        for columns in 0..60 {
            for rows in 0..14 {
                frame(columns, rows);
            }
        }
    }

    #[test]
    fn colour_repeats_what_the_words_say() {
        let size = Size {
            columns: 100,
            rows: 20,
        };
        let now = at(0);
        let colored = snapshot().frame(size, Paint::new(true, 100), now, Duration::from_secs(1));
        let text = colored.join("\n");
        assert!(text.contains("\u{1b}[32mready\u{1b}[0m"), "{text:?}");
        assert!(!text.contains("\u{1b}[31munknown"), "{text:?}");
    }

    #[test]
    fn programs_get_a_line_for_each_alias() {
        let lines = snapshot().to_json_lines();
        let rows: Vec<serde_json::Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(rows.len(), 4);
        assert_eq!(rows[0]["alias"], "prod");
        assert_eq!(rows[1]["unresponsive_channels"], 1);
        assert_eq!(rows[3]["state"], "down");
    }
}
