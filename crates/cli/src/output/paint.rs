//! Colour, or none.
//!
//! Invariant: colour only repeats what the words say: without it nothing is lost.

use anstyle::{AnsiColor, Style};

use super::clean;

/// How text is painted, and how much room it has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    is_colored: bool,
    width: usize,
}

/// What a text is, from which its colour follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Text like any other.
    Plain,
    /// A name or heading.
    Strong,
    /// Less important than what is around it.
    Faint,
    /// All is well.
    Good,
    /// It failed.
    Bad,
    /// Worth a look.
    Notable,
}

impl Paint {
    pub(crate) fn new(is_colored: bool, width: usize) -> Self {
        Self { is_colored, width }
    }

    /// Columns of the terminal.
    pub(crate) fn width(self) -> usize {
        self.width
    }

    pub(crate) fn is_colored(self) -> bool {
        self.is_colored
    }

    /// The text, cleaned, in the colour of its tone.
    pub(crate) fn tone(self, tone: Tone, text: &str) -> String {
        let text = clean(text);
        if !self.is_colored || tone == Tone::Plain || text.is_empty() {
            return text;
        }
        let style = match tone {
            Tone::Plain => Style::new(),
            Tone::Strong => Style::new().bold(),
            Tone::Faint => Style::new().dimmed(),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
            Tone::Notable => AnsiColor::Yellow.on_default(),
        };
        format!("{style}{text}{style:#}")
    }
}
