//! The parts of an expression that stand before an operator: literals, columns, lists, calls, instants, and what has a prefix.

use std::ops::Range;

use super::ast::BinaryOp;
use super::ast::{ColumnRef, CompareOp, Expr, ExprKind, Sign, Subscript, UnaryOp};
use super::elements::ELEMENT;
use super::error::Fault;
use super::parse::{Infix, Parser, power};
use super::token::Token;

/// Words that are operators or constants and so can't name a column.
const RESERVED: [&str; 12] = [
    "and", "AND", "or", "OR", "not", "NOT", "in", "IN", "like", "LIKE", "exists", "EXISTS",
];

impl Parser {
    pub(super) fn instant_follows(&self) -> bool {
        self.is_word(0, "iso") && matches!(self.at(1).0, Token::Text(_))
    }

    fn text(&mut self) -> Option<(String, Range<usize>)> {
        let Token::Text(text) = self.peek() else {
            return None;
        };
        let text = text.clone();
        Some((text, self.advance().1))
    }

    /// `column [± interval 'duration'] op` has been read; `iso 'instant'` follows.
    pub(super) fn instant_after(&mut self, left: Expr, op: CompareOp) -> Result<Expr, Fault> {
        self.position += 1;
        let Some(instant) = self.text() else {
            return Err(self.fault("expected an instant in quotes"));
        };
        let (column, interval) = match left.kind {
            ExprKind::Instant {
                column,
                interval,
                instant,
                ..
            } if instant.0.is_empty() => (column, interval),
            _ => (Box::new(left), None),
        };
        let (span, below) = (column.span.start..instant.1.end, column.depth);
        self.node(
            ExprKind::Instant {
                column,
                interval,
                op,
                instant,
            },
            span,
            below,
        )
    }

    /// `iso 'instant' op column [± interval 'duration']`, the form with the instant first.
    fn instant_first(&mut self, start: usize) -> Result<Expr, Fault> {
        self.position += 1;
        let Some(instant) = self.text() else {
            return Err(self.fault("expected an instant in quotes"));
        };
        let Some((Infix::Binary(BinaryOp::Compare(op), _), _)) = self.infix()? else {
            return Err(self.fault("expected a comparison after the instant"));
        };
        self.position += 1;
        let column = self.expression(power::SUM)?;
        let (column, interval) = match column.kind {
            ExprKind::Instant {
                column, interval, ..
            } => (column, interval),
            _ => (Box::new(column), None),
        };
        let (span, below) = (start..self.at(0).1.start.max(column.span.end), column.depth);
        self.node(
            ExprKind::Instant {
                column,
                interval,
                op: op.mirrored(),
                instant,
            },
            span,
            below,
        )
    }

    pub(super) fn prefix(&mut self) -> Result<Expr, Fault> {
        let (token, span) = self.advance();
        match token {
            Token::Integer(number) => self.node(ExprKind::Integer(number), span, 0),
            Token::Float(number) => self.node(ExprKind::Float(number), span, 0),
            Token::Text(text) => self.node(ExprKind::Text(text), span, 0),
            Token::Meta => self.column("$meta".into(), span),
            Token::Word(word) => self.word(word, span),
            Token::Sign("(") => {
                let mut inner = self.expression(0)?;
                let end = self.expect_sign(")")?.end;
                inner.span = span.start..end;
                Ok(inner)
            }
            Token::Sign("[") => self.list(span.start),
            Token::Sign("{") => {
                let (Token::Word(name), _) = self.advance() else {
                    self.position -= 1;
                    return Err(self.fault("expected the name of a template value, as in {name}"));
                };
                let end = self.expect_sign("}")?.end;
                self.node(ExprKind::Template(name), span.start..end, 0)
            }
            Token::Sign("+") => self.unary(UnaryOp::Plus, span),
            Token::Sign("-") => self.unary(UnaryOp::Minus, span),
            Token::Sign("!") => self.unary(UnaryOp::Not, span),
            Token::Sign("~") => self.unary(UnaryOp::BitNot, span),
            Token::Sign("$") if self.is_sign("[") => self.column(ELEMENT.into(), span),
            Token::Sign("$") => Err(Fault::new(
                span,
                "'$' stands for a struct of an array and needs a member, as in $[member]",
            )),
            other => {
                self.position -= 1;
                Err(Fault::new(
                    span,
                    format!("expected a value, found {}", other.describe()),
                ))
            }
        }
    }

    fn unary(&mut self, op: UnaryOp, span: Range<usize>) -> Result<Expr, Fault> {
        let operand = self.expression(power::UNARY)?;
        let (span, below) = (span.start..operand.span.end, operand.depth);
        self.node(ExprKind::Unary(op, Box::new(operand)), span, below)
    }

    fn word(&mut self, word: String, span: Range<usize>) -> Result<Expr, Fault> {
        match word.as_str() {
            "true" | "True" | "TRUE" => return self.node(ExprKind::Bool(true), span, 0),
            "false" | "False" | "FALSE" => return self.node(ExprKind::Bool(false), span, 0),
            "not" | "NOT" => return self.unary(UnaryOp::Not, span),
            "exists" | "EXISTS" => {
                let operand = self.expression(power::PRIMARY + 1)?;
                let (span, below) = (span.start..operand.span.end, operand.depth);
                return self.node(ExprKind::Exists(Box::new(operand)), span, below);
            }
            "iso" | "ISO" if matches!(self.peek(), Token::Text(_)) => {
                self.position -= 1;
                return self.instant_first(span.start);
            }
            _ => {}
        }
        if RESERVED.contains(&word.as_str()) {
            self.position -= 1;
            return Err(Fault::new(
                span,
                format!("expected a value, found '{word}'"),
            ));
        }
        if self.is_sign("(") {
            return self.call(word, span);
        }
        self.column(word, span)
    }

    fn column(&mut self, name: String, mut span: Range<usize>) -> Result<Expr, Fault> {
        let start = span.start;
        let mut path = Vec::new();
        while self.take_sign("[") {
            path.push(match self.advance() {
                (Token::Text(key), at) if key.is_empty() => return Err(Fault::new(at, "a JSON key can't be empty")),
                (Token::Text(key), _) => Subscript::Key(key),
                (Token::Integer(index), _) => Subscript::Index(index),
                (Token::Word(member), _) => Subscript::Member(member),
                (other, at) => {
                    let found = other.describe();
                    return Err(Fault::new(at, format!("expected a JSON key in quotes or the index of an element, found {found}")));
                }
            });
            span.end = self.expect_sign("]")?.end;
        }
        let column = self.node(
            ExprKind::Column(ColumnRef { name, path }),
            start..span.end,
            0,
        )?;
        self.interval(column)
    }

    /// Reads `± interval 'duration'` behind a column. The comparison that must follow completes the node.
    fn interval(&mut self, column: Expr) -> Result<Expr, Fault> {
        let sign = match self.peek() {
            Token::Sign("+") => Sign::Plus,
            Token::Sign("-") => Sign::Minus,
            _ => return Ok(column),
        };
        if !(self.is_word(1, "interval") && matches!(self.at(2).0, Token::Text(_))) {
            return Ok(column);
        }
        self.position += 2;
        let Some((text, at)) = self.text() else {
            return Ok(column);
        };
        let (span, below) = (column.span.start..at.end, column.depth);
        let nowhere = (String::new(), at.clone());
        let kind = ExprKind::Instant {
            column: Box::new(column),
            interval: Some((sign, text, at)),
            op: CompareOp::Equal,
            instant: nowhere,
        };
        self.node(kind, span, below)
    }

    /// Elements up to `]`; a comma may follow the last.
    fn list(&mut self, start: usize) -> Result<Expr, Fault> {
        let mut elements = Vec::new();
        while !self.is_sign("]") {
            elements.push(self.expression(0)?);
            if !self.take_sign(",") && !self.is_sign("]") {
                return Err(self.fault(format!(
                    "expected ',' or ']', found {}",
                    self.peek().describe()
                )));
            }
        }
        let end = self.expect_sign("]")?.end;
        let below = elements
            .iter()
            .map(|element| element.depth)
            .max()
            .unwrap_or(0);
        self.node(ExprKind::List(elements), start..end, below)
    }

    fn call(&mut self, name: String, span: Range<usize>) -> Result<Expr, Fault> {
        let lower = name.to_ascii_lowercase();
        if name != lower && name != name.to_ascii_uppercase() {
            return Err(Fault::new(
                span,
                format!("'{name}' is not a function; names are all lower or all upper case"),
            ));
        }
        self.expect_sign("(")?;
        let mut arguments = Vec::new();
        let mut option = None;
        while !self.is_sign(")") {
            let named =
                matches!(self.peek(), Token::Word(_)) && matches!(self.at(1).0, Token::Sign("="));
            if let (true, (Token::Word(key), _)) = (named, self.at(0).clone()) {
                self.position += 2;
                option = Some((key.to_ascii_lowercase(), Box::new(self.expression(0)?)));
            } else {
                arguments.push(self.expression(0)?);
            }
            if option.is_some() || !self.take_sign(",") {
                break;
            }
        }
        let end = self.expect_sign(")")?.end;
        let of_option = option.iter().map(|(_, value)| value.depth);
        let below = arguments
            .iter()
            .map(|argument| argument.depth)
            .chain(of_option)
            .max()
            .unwrap_or(0);
        self.node(
            ExprKind::Call {
                name: lower,
                arguments,
                option,
            },
            span.start..end,
            below,
        )
    }
}
