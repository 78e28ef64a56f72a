//! How a report looks: as tables for people, or as JSON for programs.
//!
//! Invariant: text from elsewhere (a server's answer, a file, an argument) can't move the terminal's cursor or colour it:
//! control characters are taken out here, and nothing reaches the terminal except through here.

use clap::ValueEnum;
use serde::Serialize;

mod clean;
mod paint;
mod table;

pub(crate) use clean::{clean, mask_passwords};
pub(crate) use paint::{Paint, Tone};
pub(crate) use table::{Cell, Table, wrap};

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Tables and sentences, for people
    Table,
    /// One JSON document, for programs
    Json,
}

/// Whether a report is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What a command found out: shown to people, or serialised.
pub(crate) trait Report: Serialize {
    /// The report for people; every line ends with a line feed.
    fn render(&self, paint: Paint) -> String;
}

/// Lines of `label: text`, indented, the texts below each other and wrapped.
pub(crate) fn labelled(parts: &[(&str, &str)], paint: Paint) -> String {
    const INDENT: usize = 2;
    let widest = parts
        .iter()
        .map(|(label, _)| label.len())
        .max()
        .unwrap_or(0)
        + 1;
    let mut text = String::new();
    for (label, part) in parts {
        let label = format!("{label}:");
        let room = paint.width().saturating_sub(INDENT + widest + 1);
        for (number, line) in wrap(&clean(part), room).iter().enumerate() {
            let label = if number == 0 { label.as_str() } else { "" };
            let label = paint.tone(Tone::Faint, &format!("{label:widest$}"));
            text.push_str(&format!("{:INDENT$}{label} {line}\n", ""));
        }
    }
    text
}
