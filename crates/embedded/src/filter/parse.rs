//! Builds the tree of an expression by operator precedence.
//!
//! The invariants: any text gives a tree or an error that points into the text, and no tree is deeper than [`MAX_DEPTH`].

use std::ops::Range;

use super::ast::{ArithmeticOp, BinaryOp, CompareOp, Expr, ExprKind};
use super::error::Fault;
use super::token::{Token, tokenize};

/// Nesting that an expression may have; deep enough for anything written by hand or by a query builder (chains of `and` and
/// `or`, and lists, don't nest), small enough for the stack of any thread.
pub(super) const MAX_DEPTH: usize = 128;

/// Binding powers: larger binds tighter.
pub(super) mod power {
    pub(in crate::filter) const OR: u8 = 1;
    pub(in crate::filter) const AND: u8 = 2;
    pub(in crate::filter) const BIT_OR: u8 = 3;
    pub(in crate::filter) const BIT_XOR: u8 = 4;
    pub(in crate::filter) const BIT_AND: u8 = 5;
    pub(in crate::filter) const EQUALITY: u8 = 6;
    pub(in crate::filter) const RELATION: u8 = 7;
    pub(in crate::filter) const IN: u8 = 9;
    pub(in crate::filter) const SHIFT: u8 = 10;
    pub(in crate::filter) const SUM: u8 = 11;
    pub(in crate::filter) const PRODUCT: u8 = 12;
    pub(in crate::filter) const UNARY: u8 = 13;
    pub(in crate::filter) const POWER: u8 = 14;
    pub(in crate::filter) const REGEX: u8 = 15;
    pub(in crate::filter) const LIKE: u8 = 16;
    pub(in crate::filter) const PRIMARY: u8 = 17;
}

#[derive(Clone, Copy)]
pub(super) enum Infix {
    Or,
    And,
    Binary(BinaryOp, u8),
    In { negated: bool },
    IsNull { negated: bool },
}

/// Parses a whole expression.
pub(super) fn parse(text: &str) -> Result<Expr, Fault> {
    let mut parser = Parser {
        tokens: tokenize(text)?,
        position: 0,
        nesting: 0,
    };
    let expr = parser.expression(0)?;
    match parser.peek() {
        Token::End => Ok(expr),
        other => Err(parser.fault(format!("expected an operator, found {}", other.describe()))),
    }
}

pub(super) struct Parser {
    /// Never empty; the last is [`Token::End`].
    tokens: Vec<(Token, Range<usize>)>,
    pub(super) position: usize,
    nesting: usize,
}

impl Parser {
    pub(super) fn at(&self, offset: usize) -> &(Token, Range<usize>) {
        let last = self.tokens.len() - 1;
        &self.tokens[(self.position + offset).min(last)]
    }

    pub(super) fn peek(&self) -> &Token {
        &self.at(0).0
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.at(0).1.clone()
    }

    pub(super) fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault::new(self.span(), reason)
    }

    pub(super) fn advance(&mut self) -> (Token, Range<usize>) {
        let token = self.at(0).clone();
        self.position += 1;
        token
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(found) if *found == sign)
    }

    pub(super) fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        self.position += usize::from(found);
        found
    }

    pub(super) fn expect_sign(&mut self, sign: &str) -> Result<Range<usize>, Fault> {
        let span = self.span();
        if self.take_sign(sign) {
            return Ok(span);
        }
        Err(self.fault(format!(
            "expected '{sign}', found {}",
            self.peek().describe()
        )))
    }

    /// Whether the token `offset` ahead is this keyword, all lower or all upper case.
    pub(super) fn is_word(&self, offset: usize, keyword: &str) -> bool {
        matches!(&self.at(offset).0, Token::Word(word) if word == keyword || *word == keyword.to_ascii_uppercase())
    }

    pub(super) fn node(
        &self,
        kind: ExprKind,
        span: Range<usize>,
        below: usize,
    ) -> Result<Expr, Fault> {
        let depth = below + 1;
        if depth > MAX_DEPTH {
            return Err(Fault::new(
                span,
                format!("the expression is nested more than {MAX_DEPTH} levels deep"),
            ));
        }
        Ok(Expr { kind, span, depth })
    }

    /// An expression whose operators bind at least as tightly as `least`.
    pub(super) fn expression(&mut self, least: u8) -> Result<Expr, Fault> {
        self.nesting += 1;
        if self.nesting > MAX_DEPTH {
            return Err(self.fault(format!(
                "the expression is nested more than {MAX_DEPTH} levels deep"
            )));
        }
        let mut left = self.prefix()?;
        while let Some((infix, binding)) = self.infix()? {
            if binding < least {
                break;
            }
            left = self.combine(left, infix, binding)?;
        }
        self.nesting -= 1;
        Ok(left)
    }

    /// The operator at the current place and how tightly it binds, if one stands there.
    pub(super) fn infix(&self) -> Result<Option<(Infix, u8)>, Fault> {
        use ArithmeticOp::{Add, Divide, Modulo, Multiply, Subtract};
        use CompareOp::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
        let binary = |op, binding| Some((Infix::Binary(op, binding), binding));
        let sign = match self.peek() {
            Token::Sign(sign) => *sign,
            Token::Word(_) => return Ok(self.infix_word()),
            _ => return Ok(None),
        };
        Ok(match sign {
            "||" => Some((Infix::Or, power::OR)),
            "&&" => Some((Infix::And, power::AND)),
            "|" => binary(BinaryOp::Bitwise("|"), power::BIT_OR),
            "^" => binary(BinaryOp::Bitwise("^"), power::BIT_XOR),
            "&" => binary(BinaryOp::Bitwise("&"), power::BIT_AND),
            "==" => binary(BinaryOp::Compare(Equal), power::EQUALITY),
            "!=" => binary(BinaryOp::Compare(NotEqual), power::EQUALITY),
            "<" => binary(BinaryOp::Compare(Less), power::RELATION),
            "<=" => binary(BinaryOp::Compare(LessEqual), power::RELATION),
            ">" => binary(BinaryOp::Compare(Greater), power::RELATION),
            ">=" => binary(BinaryOp::Compare(GreaterEqual), power::RELATION),
            "<<" => binary(BinaryOp::Bitwise("<<"), power::SHIFT),
            ">>" => binary(BinaryOp::Bitwise(">>"), power::SHIFT),
            "+" => binary(BinaryOp::Arithmetic(Add), power::SUM),
            "-" => binary(BinaryOp::Arithmetic(Subtract), power::SUM),
            "*" => binary(BinaryOp::Arithmetic(Multiply), power::PRODUCT),
            "/" => binary(BinaryOp::Arithmetic(Divide), power::PRODUCT),
            "%" => binary(BinaryOp::Arithmetic(Modulo), power::PRODUCT),
            "**" => binary(BinaryOp::Power, power::POWER),
            "=~" => binary(BinaryOp::RegexMatch, power::REGEX),
            "!~" => binary(BinaryOp::RegexNotMatch, power::REGEX),
            "=" => return Err(self.fault("'=' does not compare; write '=='")),
            _ => None,
        })
    }

    fn infix_word(&self) -> Option<(Infix, u8)> {
        if self.is_word(0, "and") {
            return Some((Infix::And, power::AND));
        }
        if self.is_word(0, "or") {
            return Some((Infix::Or, power::OR));
        }
        if self.is_word(0, "like") {
            return Some((Infix::Binary(BinaryOp::Like, power::LIKE), power::LIKE));
        }
        if self.is_word(0, "in") {
            return Some((Infix::In { negated: false }, power::IN));
        }
        if self.is_word(0, "not") && self.is_word(1, "in") {
            return Some((Infix::In { negated: true }, power::IN));
        }
        if self.is_word(0, "is") {
            let negated = self.is_word(1, "not");
            if self.is_word(1 + usize::from(negated), "null") {
                return Some((Infix::IsNull { negated }, power::PRIMARY));
            }
        }
        None
    }

    fn combine(&mut self, left: Expr, infix: Infix, binding: u8) -> Result<Expr, Fault> {
        match infix {
            Infix::And | Infix::Or => {
                self.position += 1;
                let right = self.expression(binding + 1)?;
                self.chain(left, right, matches!(infix, Infix::And))
            }
            Infix::In { negated } => {
                self.position += 1 + usize::from(negated);
                let list = self.expression(binding + 1)?;
                let (span, below) = (left.span.start..list.span.end, left.depth.max(list.depth));
                self.node(
                    ExprKind::In {
                        value: Box::new(left),
                        list: Box::new(list),
                        negated,
                    },
                    span,
                    below,
                )
            }
            Infix::IsNull { negated } => {
                let end = self.at(1 + usize::from(negated)).1.end;
                self.position += 2 + usize::from(negated);
                let (span, below) = (left.span.start..end, left.depth);
                self.node(
                    ExprKind::IsNull {
                        column: Box::new(left),
                        negated,
                    },
                    span,
                    below,
                )
            }
            Infix::Binary(op, binding) => self.binary(left, op, binding),
        }
    }

    /// Joins operands of `and` (or `or`) into one flat list, so that long chains don't nest.
    fn chain(&self, left: Expr, right: Expr, and: bool) -> Result<Expr, Fault> {
        let span = left.span.start..right.span.end;
        let mut below = right.depth;
        let mut operands = match left {
            Expr {
                kind: ExprKind::And(list),
                depth,
                ..
            } if and => {
                below = below.max(depth - 1);
                list
            }
            Expr {
                kind: ExprKind::Or(list),
                depth,
                ..
            } if !and => {
                below = below.max(depth - 1);
                list
            }
            other => {
                below = below.max(other.depth);
                vec![other]
            }
        };
        operands.push(right);
        self.node(
            if and {
                ExprKind::And(operands)
            } else {
                ExprKind::Or(operands)
            },
            span,
            below,
        )
    }

    fn binary(&mut self, left: Expr, op: BinaryOp, binding: u8) -> Result<Expr, Fault> {
        self.position += 1;
        if let BinaryOp::Compare(compare) = op {
            if self.instant_follows() {
                return self.instant_after(left, compare);
            }
            if let ExprKind::Instant { .. } = left.kind {
                return Err(self.fault("an instant is compared as in: created_at + INTERVAL 'P1D' > ISO '2025-01-01T00:00:00Z'"));
            }
        }
        let right = self.expression(binding + 1)?;
        if let (BinaryOp::Compare(first), true) = (op, matches!(right.kind, ExprKind::Column(_)))
            && let Some(second) = self.range_continues(first)
        {
            return self.range(left, first, right, second);
        }
        let (span, below) = (left.span.start..right.span.end, left.depth.max(right.depth));
        self.node(
            ExprKind::Binary(op, Box::new(left), Box::new(right)),
            span,
            below,
        )
    }

    /// The second comparison of `1 < column <= 5`, when it points the same way as the first.
    fn range_continues(&self, first: CompareOp) -> Option<CompareOp> {
        let Ok(Some((Infix::Binary(BinaryOp::Compare(second), _), _))) = self.infix() else {
            return None;
        };
        let upward = |op| matches!(op, CompareOp::Less | CompareOp::LessEqual);
        let downward = |op| matches!(op, CompareOp::Greater | CompareOp::GreaterEqual);
        ((upward(first) && upward(second)) || (downward(first) && downward(second)))
            .then_some(second)
    }

    fn range(
        &mut self,
        left: Expr,
        first: CompareOp,
        column: Expr,
        second: CompareOp,
    ) -> Result<Expr, Fault> {
        self.position += 1;
        let right = self.expression(power::RELATION + 1)?;
        let span = left.span.start..right.span.end;
        let below = left.depth.max(column.depth).max(right.depth);
        let (first_inclusive, second_inclusive) = (
            matches!(first, CompareOp::LessEqual | CompareOp::GreaterEqual),
            matches!(second, CompareOp::LessEqual | CompareOp::GreaterEqual),
        );
        let (column, left, right) = (Box::new(column), Box::new(left), Box::new(right));
        let kind = if matches!(first, CompareOp::Less | CompareOp::LessEqual) {
            ExprKind::Range {
                column,
                lower: left,
                lower_inclusive: first_inclusive,
                upper: right,
                upper_inclusive: second_inclusive,
            }
        } else {
            ExprKind::Range {
                column,
                lower: right,
                lower_inclusive: second_inclusive,
                upper: left,
                upper_inclusive: first_inclusive,
            }
        };
        self.node(kind, span, below)
    }
}
