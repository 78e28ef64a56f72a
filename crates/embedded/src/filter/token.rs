//! Cuts an expression into tokens.
//!
//! Words are not classified here: `and`, `like`, `is` and the like are recognised by the parser where they can stand, so that
//! only the words that Milvus reserves are closed to column names.

use std::ops::Range;

use super::error::Fault;
use super::literal;

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// Magnitude of an integer; its sign is an operator.
    Integer(u64),
    Float(f64),
    Text(String),
    /// A name or keyword.
    Word(String),
    /// `$meta`.
    Meta,
    /// An operator or bracket.
    Sign(&'static str),
    End,
}

impl Token {
    /// How an error text calls the token.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Integer(number) => format!("'{number}'"),
            Self::Float(number) => format!("'{number}'"),
            Self::Text(text) => format!("string '{text}'"),
            Self::Word(word) => format!("'{word}'"),
            Self::Meta => "'$meta'".into(),
            Self::Sign(sign) => format!("'{sign}'"),
            Self::End => "the end of the expression".into(),
        }
    }
}

/// Longest first, so that `<=` is not read as `<`.
const SIGNS: [&str; 32] = [
    "**", "<<", ">>", "<=", ">=", "==", "!=", "=~", "!~", "&&", "||", "<", ">", "=", "!", "~", "+",
    "-", "*", "/", "%", "&", "|", "^", "(", ")", "[", "]", "{", "}", ",", "$",
];

/// Cuts the whole expression; the last token is [`Token::End`].
pub(super) fn tokenize(text: &str) -> Result<Vec<(Token, Range<usize>)>, Fault> {
    let mut tokens = Vec::with_capacity(text.len() / 4 + 2);
    let mut position = 0;
    loop {
        let rest = &text[position..];
        let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        position += rest.len() - trimmed.len();
        let Some(first) = trimmed.chars().next() else {
            tokens.push((Token::End, text.len()..text.len()));
            return Ok(tokens);
        };
        let (token, length) = next(trimmed, first).map_err(|(length, reason)| {
            let end = (position + length).min(text.len());
            Fault::new(position..end, reason)
        })?;
        tokens.push((token, position..position + length));
        position += length;
    }
}

/// The token at the start of `text` and its length, or the length of what is wrong and why.
fn next(text: &str, first: char) -> Result<(Token, usize), (usize, String)> {
    let bytes = text.as_bytes();
    let digit_follows = bytes.get(1).is_some_and(u8::is_ascii_digit);
    if first.is_ascii_digit() || (first == '.' && digit_follows) {
        return literal::number(text);
    }
    if first == '\'' || first == '"' {
        return literal::quoted(text, 0);
    }
    if let Some(prefix) = string_prefix(bytes) {
        let raw = matches!(first, 'r' | 'R');
        return if raw {
            literal::raw(text)
        } else {
            literal::quoted(text, prefix)
        };
    }
    if first == '_' || first.is_alphabetic() {
        let end = text
            .find(|c: char| c != '_' && !c.is_alphanumeric())
            .unwrap_or(text.len());
        return Ok((Token::Word(text[..end].to_owned()), end));
    }
    if let Some(tail) = text.strip_prefix("$meta")
        && !tail.starts_with(|c: char| c == '_' || c.is_alphanumeric())
    {
        return Ok((Token::Meta, 5));
    }
    match SIGNS.iter().find(|sign| text.starts_with(**sign)) {
        Some(sign) => Ok((Token::Sign(sign), sign.len())),
        None => Err((
            first.len_utf8(),
            format!("'{first}' can't stand in an expression"),
        )),
    }
}

/// Length of an encoding or raw prefix whose string follows at once.
fn string_prefix(bytes: &[u8]) -> Option<usize> {
    let length = match bytes {
        [b'u', b'8', ..] => 2,
        [b'u' | b'U' | b'L' | b'r' | b'R', ..] => 1,
        _ => return None,
    };
    matches!(bytes.get(length), Some(b'\'' | b'"')).then_some(length)
}
