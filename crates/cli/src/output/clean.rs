//! Text from elsewhere, made safe to show.
//!
//! Invariant: what comes out holds no control character, and no password in a URI's user information.

/// The text without characters that would move the cursor, change colours or turn the direction of writing.
pub(crate) fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' | '\t' => cleaned.push(' '),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            character if character.is_control() => cleaned.extend(character.escape_default()),
            character => cleaned.push(character),
        }
    }
    cleaned
}

/// The text with `***` in place of whatever looks like a password in a URI: `scheme://user:password@host`.
///
/// A net below those that know what is a secret: a command line, an alias or a server's answer may hold one where nobody
/// expects it.
pub(crate) fn mask_passwords(text: &str) -> String {
    const SCHEME_END: &str = "://";
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(SCHEME_END) {
        let (before, after) = rest.split_at(at + SCHEME_END.len());
        masked.push_str(before);
        let end = after
            .find(|c: char| {
                c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '`' | '<' | '>')
            })
            .unwrap_or(after.len());
        let (uri, following) = after.split_at(end);
        match uri.rfind('@').map(|at| uri.split_at(at)) {
            Some((user_information, host)) if user_information.contains(':') => {
                let user = user_information.split(':').next().unwrap_or_default();
                masked.push_str(&format!("{user}:***{host}"));
            }
            _ => masked.push_str(uri),
        }
        rest = following;
    }
    masked.push_str(rest);
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(
            clean("a\u{1b}[31mred\u{7}\nnext\u{202e}"),
            "a\\u{1b}[31mred\\u{7} next"
        );
        assert_eq!(clean("größer 向量"), "größer 向量");
    }

    #[test]
    fn passwords_in_uris_are_masked() {
        let masked = |text| mask_passwords(text);
        assert_eq!(
            masked("see http://u:canary@h:1/db, and"),
            "see http://u:***@h:1/db, and"
        );
        assert_eq!(
            masked("\"https://u:can@ary@h\" http://:canary@h"),
            "\"https://u:***@h\" http://:***@h"
        );
        assert_eq!(masked("https://u:p/canary@h"), "https://u:***@h");
        for harmless in [
            "http://user@host:19530/db",
            "http://[::1]:1",
            "https://h",
            "a:b@c",
            "://",
        ] {
            assert_eq!(masked(harmless), harmless);
        }
    }
}
