//! Turns letters beyond ASCII into their nearest ASCII letters.
//!
//! Unicode's compatibility decomposition takes accents off; what it does not decompose is in the table.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The text with every character that has an ASCII equivalent replaced by it; others stay.
pub(super) fn to_ascii(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            folded.push(c);
        } else if let Some(ascii) = special(c) {
            folded.push_str(ascii);
        } else {
            let start = folded.len();
            folded.extend(
                std::iter::once(c)
                    .nfkd()
                    .filter(|part| !is_combining_mark(*part)),
            );
            // Only a result in ASCII counts: other scripts stay as they were written.
            let letters: String = folded[start..]
                .chars()
                .map(|part| special(part).unwrap_or("").chars().next().unwrap_or(part))
                .collect();
            folded.truncate(start);
            if letters.is_ascii() && !letters.is_empty() {
                folded.push_str(&letters);
            } else {
                folded.push(c);
            }
        }
    }
    folded
}

/// Characters without decomposition.
fn special(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'ẞ' => "SS",
        'æ' => "ae",
        'Æ' => "AE",
        'œ' => "oe",
        'Œ' => "OE",
        'ø' => "o",
        'Ø' => "O",
        'đ' | 'ð' => "d",
        'Đ' | 'Ð' => "D",
        'ħ' => "h",
        'Ħ' => "H",
        'ı' => "i",
        'ĸ' => "q",
        'ł' => "l",
        'Ł' => "L",
        'ŋ' => "n",
        'Ŋ' => "N",
        'ŧ' => "t",
        'Ŧ' => "T",
        'þ' => "th",
        'Þ' => "TH",
        'ƒ' => "f",
        'ə' => "a",
        '‘' | '’' | '‚' | '‛' | '′' | '‹' | '›' => "'",
        '“' | '”' | '„' | '″' | '«' | '»' => "\"",
        '‐' | '‑' | '‒' | '–' | '—' | '⁻' => "-",
        _ => return None,
    })
}
