//! Cuts a text into tokens and runs them through filters.

use std::collections::HashSet;

use regex::Regex;
use rust_stemmers::Stemmer;

use super::folding;

/// A token and its place in the sequence that the tokenizer made; filters that drop tokens leave gaps, which phrases see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The text after all filters.
    pub text: String,
    /// Place in the sequence, from 0.
    pub position: u32,
}

/// How a text is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tokenizer {
    /// Runs of alphanumeric characters.
    Standard,
    /// Runs of characters that are not ASCII white space.
    Whitespace,
}

/// What happens to each token, in order.
pub(super) enum Filter {
    Lowercase,
    AsciiFolding,
    /// Keeps tokens of ASCII letters and digits alone.
    AlphanumericOnly,
    /// Keeps tokens with a Chinese character.
    ChineseOnly(Regex),
    /// Keeps tokens with a Chinese character or an ASCII letter or digit.
    ChineseAlphanumericOnly(Regex),
    /// Drops tokens of punctuation alone.
    RemovePunctuation,
    /// Keeps tokens of at most so many bytes.
    Length(usize),
    Stop(HashSet<String>),
    Stem(Stemmer),
    /// Keeps tokens in which the expression matches.
    Regex(Regex),
}

/// A tokenizer and its filters. Cheap to share behind an `Arc`; see [`Analyzer::from_json`] for Milvus's parameters.
///
/// ```
/// use milvus_embedded::text::Analyzer;
/// let tokens = Analyzer::english().tokens("The Cats are running!");
/// let texts: Vec<_> = tokens.iter().map(|token| token.text.as_str()).collect();
/// assert_eq!(texts, ["cat", "run"]);
/// ```
pub struct Analyzer {
    pub(super) tokenizer: Tokenizer,
    pub(super) filters: Vec<Filter>,
    /// Name for debugging output.
    pub(super) description: String,
}

impl std::fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Analyzer({})", self.description)
    }
}

impl Analyzer {
    /// Calls `each` with every token and its position. No memory is taken for a token but one shared buffer.
    pub fn for_each_token(&self, text: &str, mut each: impl FnMut(&str, u32)) {
        let cut: fn(char) -> bool = match self.tokenizer {
            Tokenizer::Standard => |c| !c.is_alphanumeric(),
            Tokenizer::Whitespace => |c| c.is_ascii_whitespace(),
        };
        let mut buffer = String::new();
        let mut position = 0u32;
        for word in text.split(cut).filter(|word| !word.is_empty()) {
            buffer.clear();
            buffer.push_str(word);
            if self.filters.iter().all(|filter| filter.apply(&mut buffer)) {
                each(&buffer, position);
            }
            position = position.saturating_add(1);
        }
    }

    /// All tokens in order.
    pub fn tokens(&self, text: &str) -> Vec<Token> {
        let mut tokens = Vec::new();
        self.for_each_token(text, |text, position| {
            tokens.push(Token {
                text: text.to_owned(),
                position,
            })
        });
        tokens
    }
}

impl Filter {
    /// Changes the token; false drops it.
    fn apply(&self, token: &mut String) -> bool {
        match self {
            Self::Lowercase => {
                if token.is_ascii() {
                    token.make_ascii_lowercase();
                } else {
                    *token = token.to_lowercase();
                }
                true
            }
            Self::AsciiFolding => {
                if !token.is_ascii() {
                    *token = folding::to_ascii(token);
                }
                true
            }
            Self::AlphanumericOnly => token.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            Self::ChineseOnly(pattern)
            | Self::ChineseAlphanumericOnly(pattern)
            | Self::Regex(pattern) => pattern.is_match(token),
            Self::RemovePunctuation => !token
                .chars()
                .all(|c| !c.is_alphanumeric() && !c.is_whitespace() && !c.is_control()),
            Self::Length(most) => token.len() <= *most,
            Self::Stop(words) => !words.contains(token),
            Self::Stem(stemmer) => {
                let stem = stemmer.stem(token);
                if stem != token.as_str() {
                    *token = stem.into_owned();
                }
                true
            }
        }
    }
}
