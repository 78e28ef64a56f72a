//! Walks JSON text to one value without building a tree.
//!
//! Texts are validated when they are inserted, so this reader checks only what it needs in order not to go astray. The
//! invariant is that no text at all, valid or not, makes it panic, loop or recurse: malformed text reads as absent.

use std::borrow::Cow;

/// One step of a path. As in a JSON pointer a step that is a decimal number means an element of an array or a key of an object,
/// whichever is there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Step {
    key: Box<str>,
    index: Option<usize>,
}

impl Step {
    /// A step by key (or, for a decimal number, by position).
    pub fn new(key: impl Into<Box<str>>) -> Self {
        let key = key.into();
        let plain = key.len() == 1 || !key.starts_with('0');
        let index = key
            .parse()
            .ok()
            .filter(|_: &usize| plain && key.bytes().all(|byte| byte.is_ascii_digit()));
        Self { key, index }
    }

    /// The step's text.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// A value inside a JSON text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Node<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without fraction or exponent that fits 64 bits.
    Int(i64),
    /// Any other number.
    Double(f64),
    /// What stands between the quotes, escapes unresolved: see [`unescape`].
    Str(&'a [u8]),
    /// The text of an array.
    Array(&'a [u8]),
    /// The text of an object.
    Object(&'a [u8]),
}

impl<'a> Node<'a> {
    /// The first value of a text.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let start = skip_space(text, 0);
        let end = skip_value(text, start)?;
        Self::of(text.get(start..end)?)
    }

    /// A value whose text starts with its first and ends with its last byte.
    fn of(text: &'a [u8]) -> Option<Self> {
        Some(match text.first()? {
            b'n' if text == b"null" => Self::Null,
            b't' if text == b"true" => Self::Bool(true),
            b'f' if text == b"false" => Self::Bool(false),
            b'"' => Self::Str(text.get(1..text.len().checked_sub(1)?)?),
            b'[' => Self::Array(text),
            b'{' => Self::Object(text),
            _ => return number(text),
        })
    }

    /// The value at the end of a path that starts here.
    pub fn walk(self, path: &[Step]) -> Option<Self> {
        path.iter().try_fold(self, |node, step| node.step(step))
    }

    fn step(self, step: &Step) -> Option<Self> {
        match self {
            Self::Object(_) => self
                .entries()
                .find(|(key, _)| key_equals(key, &step.key))
                .map(|(_, value)| value),
            Self::Array(_) => self.elements().nth(step.index?),
            _ => None,
        }
    }

    /// Elements of an array; none for any other value.
    pub fn elements(self) -> impl Iterator<Item = Node<'a>> {
        let text = if let Self::Array(text) = self {
            text
        } else {
            &[]
        };
        Cursor { text, position: 1 }.map(|(start, end)| {
            text.get(start..end)
                .and_then(Self::of)
                .unwrap_or(Self::Null)
        })
    }

    /// Keys (escapes unresolved) and values of an object; none for any other value.
    pub fn entries(self) -> impl Iterator<Item = (&'a [u8], Node<'a>)> {
        let text = if let Self::Object(text) = self {
            text
        } else {
            &[]
        };
        entry_texts(text).map_while(|(key, value)| Some((key, Self::of(value)?)))
    }
}

/// Keys (escapes unresolved) of an object, which begins with its brace, and the texts of their values.
pub fn entry_texts(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut position = 1;
    std::iter::from_fn(move || {
        let key_start = skip_space(text, position);
        let key_end = skip_value(text, key_start)?;
        let Node::Str(key) = Node::of(text.get(key_start..key_end)?)? else {
            return None;
        };
        let colon = skip_space(text, key_end);
        if text.get(colon) != Some(&b':') {
            return None;
        }
        let start = skip_space(text, colon + 1);
        let end = skip_value(text, start)?;
        let value = text.get(start..end)?;
        position = skip_space(text, end);
        if text.get(position) == Some(&b',') {
            position += 1;
        }
        Some((key, value))
    })
}

/// Yields the byte ranges of an array's elements.
struct Cursor<'a> {
    text: &'a [u8],
    position: usize,
}

impl Iterator for Cursor<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        let start = skip_space(self.text, self.position);
        let end = skip_value(self.text, start)?;
        self.position = skip_space(self.text, end);
        if self.text.get(self.position) == Some(&b',') {
            self.position += 1;
        }
        Some((start, end))
    }
}

/// The value at the end of `path` in `text`, or `None` when there is none.
pub fn find<'a>(text: &'a [u8], path: &[Step]) -> Option<Node<'a>> {
    Node::parse(text)?.walk(path)
}

/// The characters of a string node, or of a key.
pub fn unescape(raw: &[u8]) -> Cow<'_, str> {
    if !raw.contains(&b'\\') {
        return String::from_utf8_lossy(raw);
    }
    let mut quoted = Vec::with_capacity(raw.len() + 2);
    quoted.push(b'"');
    quoted.extend_from_slice(raw);
    quoted.push(b'"');
    serde_json::from_slice::<String>(&quoted)
        .map(Cow::Owned)
        .unwrap_or_default()
}

fn key_equals(raw: &[u8], key: &str) -> bool {
    if raw.contains(&b'\\') {
        unescape(raw) == key
    } else {
        raw == key.as_bytes()
    }
}

fn skip_space(text: &[u8], mut position: usize) -> usize {
    while matches!(text.get(position), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        position += 1;
    }
    position
}

/// Position after the string whose opening quote stands before `position`.
fn skip_string(text: &[u8], mut position: usize) -> Option<usize> {
    loop {
        match text.get(position)? {
            b'"' => return Some(position + 1),
            b'\\' => position += 2,
            _ => position += 1,
        }
    }
}

/// Position after the value that starts at `start`; `None` where no value starts or the text ends within it.
fn skip_value(text: &[u8], start: usize) -> Option<usize> {
    match text.get(start)? {
        b'"' => skip_string(text, start + 1),
        b'{' | b'[' => {
            let mut depth = 0usize;
            let mut position = start;
            loop {
                match text.get(position)? {
                    b'"' => {
                        position = skip_string(text, position + 1)?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => {
                        depth -= 1;
                        if depth == 0 {
                            return Some(position + 1);
                        }
                    }
                    _ => {}
                }
                position += 1;
            }
        }
        b',' | b':' | b'}' | b']' => None,
        _ => {
            let ends = |byte: &u8| {
                matches!(
                    byte,
                    b',' | b':' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'
                )
            };
            Some(
                text[start..]
                    .iter()
                    .position(ends)
                    .map_or(text.len(), |length| start + length),
            )
        }
    }
}

fn number<'a>(text: &[u8]) -> Option<Node<'a>> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, text),
    };
    // Eighteen digits can't overflow; longer ones take the general way.
    if !digits.is_empty() && digits.len() <= 18 && digits.iter().all(u8::is_ascii_digit) {
        let magnitude = digits
            .iter()
            .fold(0i64, |value, digit| value * 10 + i64::from(digit - b'0'));
        return Some(Node::Int(if negative { -magnitude } else { magnitude }));
    }
    if !digits.first()?.is_ascii_digit() {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    text.parse()
        .map(Node::Int)
        .or_else(|_| text.parse().map(Node::Double))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9f64..1e9).prop_map(Value::from),
            "[a-c\"\\\\é\u{1}\u{1F600}{}\\[\\],:]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-c0-2\"\\\\é]{0,3}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn same(node: Node<'_>, value: &Value) -> bool {
        match (node, value) {
            (Node::Null, Value::Null) => true,
            (Node::Bool(a), Value::Bool(b)) => a == *b,
            (Node::Int(a), Value::Number(b)) => b.as_i64() == Some(a),
            (Node::Double(a), Value::Number(b)) => b.as_f64() == Some(a),
            (Node::Str(a), Value::String(b)) => unescape(a) == *b,
            (node @ Node::Array(_), Value::Array(b)) => {
                node.elements().count() == b.len()
                    && node.elements().zip(b).all(|(a, b)| same(a, b))
            }
            (node @ Node::Object(_), Value::Object(b)) => {
                node.entries().count() == b.len()
                    && node
                        .entries()
                        .all(|(key, a)| b.get(&*unescape(key)).is_some_and(|b| same(a, b)))
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn reads_what_serde_json_writes(value in tree(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            prop_assert!(same(Node::parse(text.as_bytes()).unwrap(), &value), "{}", text);
        }

        #[test]
        fn walks_like_a_json_pointer(value in tree(), path in prop::collection::vec("[a-c0-2]{1,2}", 0..4)) {
            let text = value.to_string();
            let steps: Vec<_> = path.iter().map(|key| Step::new(key.as_str())).collect();
            let pointer: String = path.iter().map(|key| format!("/{key}")).collect();
            match (find(text.as_bytes(), &steps), value.pointer(&pointer)) {
                (None, None) => {}
                (Some(node), Some(found)) => prop_assert!(same(node, found)),
                (node, found) => prop_assert!(false, "{node:?} {found:?} {text} {pointer}"),
            }
        }

        #[test]
        fn no_bytes_make_it_panic(text in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\",:\\-1e".to_vec())], 0..64)) {
            if let Some(node) = Node::parse(&text) {
                node.elements().count();
                node.entries().count();
                node.walk(&[Step::new("a"), Step::new("0")]);
            }
        }
    }

    #[test]
    fn integers_at_the_edges_of_64_bits_are_exact_and_larger_ones_are_doubles() {
        assert_eq!(
            Node::parse(b"-9223372036854775808"),
            Some(Node::Int(i64::MIN))
        );
        assert_eq!(
            Node::parse(b"9223372036854775807"),
            Some(Node::Int(i64::MAX))
        );
        assert_eq!(
            Node::parse(b"9223372036854775808"),
            Some(Node::Double(9_223_372_036_854_775_808.0))
        );
        assert_eq!(Node::parse(b" 1.0 "), Some(Node::Double(1.0)));
    }
}
