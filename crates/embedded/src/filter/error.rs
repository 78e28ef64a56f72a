//! What is wrong with a filter, and where.

use std::fmt;
use std::ops::Range;

/// A filter that can't be parsed, or that doesn't fit the collection.
///
/// Its text starts as Milvus's does (`cannot parse expression: …, error: …`), and then shows the place:
///
/// ```text
/// cannot parse expression: price > and stock < 3, error: expected a value, found 'and'
///   price > and stock < 3
///           ^^^
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    expression: Box<str>,
    span: Range<usize>,
    reason: Box<str>,
}

/// A reason and the bytes of the expression that it is about, before the expression itself is attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) span: Range<usize>,
    pub(super) reason: String,
}

impl Fault {
    pub(super) fn new(span: Range<usize>, reason: impl Into<String>) -> Self {
        Self {
            span,
            reason: reason.into(),
        }
    }

    pub(super) fn in_expression(self, expression: &str) -> FilterError {
        FilterError {
            expression: expression.into(),
            span: self.span,
            reason: self.reason.into(),
        }
    }
}

impl FilterError {
    /// What is wrong.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The bytes of the expression that the error is about; empty at its end when something is missing there.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The line that contains the error, cut to a readable length, and the column and width of the mark below it.
    fn excerpt(&self) -> (String, usize, usize) {
        const BEFORE: usize = 48;
        const TOTAL: usize = 96;
        let text = &self.expression;
        let start = floor_boundary(text, self.span.start);
        let end = floor_boundary(text, self.span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let lead = text[line_start..start].chars().count();
        let skipped = lead.saturating_sub(BEFORE);
        let line: Vec<char> = text[line_start..line_end]
            .chars()
            .skip(skipped)
            .take(TOTAL)
            .collect();
        let (prefix, column) = if skipped > 0 {
            ("… ", lead - skipped + 2)
        } else {
            ("", lead)
        };
        let room = (line.len() + prefix.chars().count())
            .saturating_sub(column)
            .max(1);
        let marked = text[start..end.min(line_end)]
            .chars()
            .count()
            .clamp(1, room);
        // Control characters would move the mark.
        let shown: String = line
            .into_iter()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        (format!("{prefix}{shown}"), column, marked)
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 256;
        let shown = floor_boundary(&self.expression, SHOWN);
        let rest = if shown < self.expression.len() {
            "…"
        } else {
            ""
        };
        writeln!(
            f,
            "cannot parse expression: {}{rest}, error: {}",
            &self.expression[..shown],
            self.reason
        )?;
        let (line, column, width) = self.excerpt();
        write!(f, "  {line}\n  {:column$}{:^<width$}", "", "")
    }
}

impl std::error::Error for FilterError {}
