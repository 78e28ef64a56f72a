//! `like` patterns: `%` stands for any text, `_` for one character, `\` takes the next character as it is.

use memchr::memmem;

/// A compiled pattern. The common shapes are matched by comparing bytes.
#[derive(Debug, Clone)]
pub(super) enum LikePattern {
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    Suffix(Box<[u8]>),
    Contains(Box<memmem::Finder<'static>>),
    General(Box<[Part]>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Byte(u8),
    One,
    Many,
}

impl LikePattern {
    pub(super) fn new(pattern: &str) -> Self {
        let parts = parts(pattern);
        let literal = |parts: &[Part]| -> Option<Box<[u8]>> {
            parts
                .iter()
                .map(|part| {
                    if let Part::Byte(byte) = part {
                        Some(*byte)
                    } else {
                        None
                    }
                })
                .collect()
        };
        let shapes = match parts.as_slice() {
            [Part::Many, middle @ .., Part::Many] => literal(middle)
                .map(|text| Self::Contains(Box::new(memmem::Finder::new(&text).into_owned()))),
            [Part::Many] => Some(Self::Prefix(Box::new([]))),
            [Part::Many, tail @ ..] => literal(tail).map(Self::Suffix),
            [head @ .., Part::Many] => literal(head).map(Self::Prefix),
            all => literal(all).map(Self::Exact),
        };
        shapes.unwrap_or_else(|| Self::General(parts.into()))
    }

    pub(super) fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Exact(wanted) => text == &**wanted,
            Self::Prefix(head) => text.starts_with(head),
            Self::Suffix(tail) => text.ends_with(tail),
            Self::Contains(finder) => finder.find(text).is_some(),
            Self::General(parts) => matches_parts(parts, text),
        }
    }
}

/// Cuts a pattern into parts; runs of `%` become one.
fn parts(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::with_capacity(pattern.len());
    let mut bytes = pattern.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => parts.push(Part::Byte(bytes.next().unwrap_or(b'\\'))),
            b'%' if parts.last() != Some(&Part::Many) => parts.push(Part::Many),
            b'%' => {}
            b'_' => parts.push(Part::One),
            other => parts.push(Part::Byte(other)),
        }
    }
    parts
}

/// Position after the character that starts at `at`.
fn next_character(text: &[u8], at: usize) -> usize {
    let mut next = at + 1;
    while text.get(next).is_some_and(|byte| byte & 0xc0 == 0x80) {
        next += 1;
    }
    next
}

/// Matches left to right; on a mismatch the last `%` takes one more character. No earlier `%` needs to be tried again, so that
/// the time is at most the product of the lengths.
fn matches_parts(parts: &[Part], text: &[u8]) -> bool {
    let (mut part, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match parts.get(part) {
            None if at == text.len() => return true,
            Some(Part::Many) => {
                part += 1;
                retry = Some((part, at));
                continue;
            }
            Some(Part::One) if at < text.len() => {
                part += 1;
                at = next_character(text, at);
                continue;
            }
            Some(Part::Byte(byte)) if text.get(at) == Some(byte) => {
                part += 1;
                at += 1;
                continue;
            }
            _ => {}
        }
        match retry {
            Some((after, from)) if from < text.len() => {
                let from = next_character(text, from);
                retry = Some((after, from));
                (part, at) = (after, from);
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The pattern as a regular expression.
    fn reference(pattern: &str, text: &str) -> bool {
        let mut expression = String::from("(?s)^");
        let mut characters = pattern.chars();
        while let Some(c) = characters.next() {
            match c {
                '%' => expression.push_str(".*"),
                '_' => expression.push('.'),
                '\\' => expression.push_str(&regex::escape(
                    &characters.next().unwrap_or('\\').to_string(),
                )),
                other => expression.push_str(&regex::escape(&other.to_string())),
            }
        }
        expression.push('$');
        regex::Regex::new(&expression).unwrap().is_match(text)
    }

    proptest! {
        #[test]
        fn agrees_with_a_regular_expression(pattern in "[ab%_é\\\\]{0,8}", text in "[abé%_\\\\]{0,10}") {
            prop_assert_eq!(LikePattern::new(&pattern).matches(text.as_bytes()), reference(&pattern, &text));
        }
    }

    #[test]
    fn common_shapes_have_their_own_matchers() {
        assert!(matches!(LikePattern::new("ab%"), LikePattern::Prefix(_)));
        assert!(matches!(LikePattern::new("%ab"), LikePattern::Suffix(_)));
        assert!(matches!(LikePattern::new("%ab%"), LikePattern::Contains(_)));
        assert!(matches!(LikePattern::new("a\\%b"), LikePattern::Exact(_)));
        assert!(matches!(LikePattern::new("a%b"), LikePattern::General(_)));
    }
}
