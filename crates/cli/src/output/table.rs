//! Tables of text, and text that is wrapped.
//!
//! Invariant: columns line up by what the terminal shows, not by bytes or characters: an alias may be written in any
//! script.

use unicode_width::UnicodeWidthStr as _;

use super::{Paint, Tone, clean};

/// One field of a table.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
    is_number: bool,
}

impl Cell {
    pub(crate) fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        Self {
            text: clean(text.as_ref()),
            tone,
            is_number: false,
        }
    }

    pub(crate) fn plain(text: impl AsRef<str>) -> Self {
        Self::new(text, Tone::Plain)
    }

    /// Aligned to the right.
    pub(crate) fn number(text: impl AsRef<str>) -> Self {
        Self {
            is_number: true,
            ..Self::plain(text)
        }
    }
}

/// Rows of cells, two spaces between the columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(crate) fn with_heading(names: &[&str]) -> Self {
        Self {
            rows: vec![
                names
                    .iter()
                    .map(|name| Cell::new(name, Tone::Faint))
                    .collect(),
            ],
        }
    }

    pub(crate) fn push(&mut self, row: impl Into<Vec<Cell>>) {
        self.rows.push(row.into());
    }

    pub(crate) fn render(&self, indent: usize, paint: Paint) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cells = |column: usize| self.rows.iter().filter_map(move |row| row.get(column));
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                cells(column)
                    .map(|cell| cell.text.width())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            for (cell, width) in row.iter().zip(&widths) {
                let padding = " ".repeat(width.saturating_sub(cell.text.width()));
                let shown = paint.tone(cell.tone, &cell.text);
                if cell.is_number {
                    line.push_str(&format!("{padding}{shown}  "));
                } else {
                    line.push_str(&format!("{shown}{padding}  "));
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// The text in lines of at most `width` columns, broken at spaces; a longer word stands alone.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.width() + 1 + word.width() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_in_any_script() {
        let mut table = Table::with_heading(&["ALIAS", "MS", "STATE"]);
        table.push([
            Cell::plain("生产"),
            Cell::number("12.5"),
            Cell::new("ready", Tone::Good),
        ]);
        table.push([Cell::plain("dev"), Cell::number("3"), Cell::plain("")]);
        insta::assert_snapshot!(table.render(1, Paint::new(false, 80)), @r"
         ALIAS  MS    STATE
         生产   12.5  ready
         dev       3
        ");
        let colored = table.render(0, Paint::new(true, 80));
        assert!(colored.contains("\u{1b}[32mready\u{1b}[0m"), "{colored:?}");
    }

    #[test]
    fn lines_break_at_spaces() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("unbreakable x", 3), ["unbreakable", "x"]);
        assert_eq!(wrap("", 3), [""]);
    }
}
