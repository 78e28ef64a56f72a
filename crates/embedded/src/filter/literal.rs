//! Numbers and strings as the filter language writes them.

use super::token::Token;

type Scanned = Result<(Token, usize), (usize, String)>;

/// A number at the start of `text`: decimal, octal `0…`, `0x…`, `0b…`, decimal and hexadecimal floats.
pub(super) fn number(text: &str) -> Scanned {
    let bytes = text.as_bytes();
    let length = number_length(bytes);
    let token = &text[..length];
    if let Some(next) = text[length..].chars().next()
        && (next == '_' || next == '.' || next.is_alphanumeric())
    {
        let end = text
            .find(|c: char| c != '_' && c != '.' && !c.is_alphanumeric())
            .unwrap_or(text.len());
        return Err((end, format!("'{}' is not a number", &text[..end])));
    }
    let lower = token.to_ascii_lowercase();
    if let Some(hex) = lower.strip_prefix("0x") {
        return match hex.split_once('p') {
            Some((mantissa, exponent)) => {
                hex_float(mantissa, exponent).map(|value| (Token::Float(value), length))
            }
            None => u64::from_str_radix(hex, 16)
                .ok()
                .map(|value| (Token::Integer(value), length)),
        }
        .ok_or_else(|| (length, format!("'{token}' is not a number of 64 bits")));
    }
    let integer = if let Some(binary) = lower.strip_prefix("0b") {
        u64::from_str_radix(binary, 2).ok()
    } else if lower.contains(['.', 'e']) {
        return match lower.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok((Token::Float(value), length)),
            _ => Err((
                length,
                format!("'{token}' is not a number that fits 64 bits"),
            )),
        };
    } else if lower.len() > 1 && lower.starts_with('0') {
        u64::from_str_radix(&lower, 8).ok()
    } else {
        lower.parse().ok()
    };
    match integer {
        Some(value) => Ok((Token::Integer(value), length)),
        None => Err((
            length,
            format!("'{token}' is not an integer that fits 64 bits"),
        )),
    }
}

fn number_length(bytes: &[u8]) -> usize {
    let run = |from: usize, accept: fn(&u8) -> bool| {
        from + bytes[from..].iter().take_while(|byte| accept(byte)).count()
    };
    let exponent = |at: usize, letter: u8| {
        if bytes.get(at).map(u8::to_ascii_lowercase) != Some(letter) {
            return at;
        }
        let digits = at + 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let end = run(digits.min(bytes.len()), u8::is_ascii_digit);
        if end > digits { end } else { at }
    };
    let fraction = |at: usize, accept: fn(&u8) -> bool| {
        if bytes.get(at) == Some(&b'.') {
            run(at + 1, accept)
        } else {
            at
        }
    };
    match bytes {
        [b'0', b'x' | b'X', ..] => exponent(
            fraction(run(2, u8::is_ascii_hexdigit), u8::is_ascii_hexdigit),
            b'p',
        ),
        [b'0', b'b' | b'B', ..] => run(2, u8::is_ascii_digit),
        _ => exponent(
            fraction(run(0, u8::is_ascii_digit), u8::is_ascii_digit),
            b'e',
        ),
    }
}

fn hex_float(mantissa: &str, exponent: &str) -> Option<f64> {
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digit = |c: char| c.to_digit(16).map(f64::from);
    let mut value = whole
        .chars()
        .try_fold(0.0, |value, c| Some(value * 16.0 + digit(c)?))?;
    let mut weight = 1.0;
    for c in fraction.chars() {
        weight /= 16.0;
        value += digit(c)? * weight;
    }
    let scaled = value * 2f64.powi(exponent.parse().ok()?);
    scaled.is_finite().then_some(scaled)
}

/// A quoted string whose quote stands at `prefix`, with C escapes. An escape that C doesn't know keeps its backslash, because
/// patterns of `like` write `\%` and `\_`.
pub(super) fn quoted(text: &str, prefix: usize) -> Scanned {
    let (body, length) = body(text, prefix)?;
    let mut out: Vec<u8> = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at..];
        let used = unescape(escape, &mut out).map_err(|reason| (length, reason))?;
        rest = &escape[used..];
    }
    out.extend_from_slice(rest.as_bytes());
    match String::from_utf8(out) {
        Ok(value) => Ok((Token::Text(value), length)),
        Err(_) => Err((
            length,
            "the escapes of this string do not make UTF-8 text".into(),
        )),
    }
}

/// A raw string: `r"…"`. A backslash stays, and keeps a quote behind it from ending the string.
pub(super) fn raw(text: &str) -> Scanned {
    let (body, length) = body(text, 1)?;
    Ok((Token::Text(body.to_owned()), length))
}

/// What stands between the quotes, and the length of the whole token.
fn body(text: &str, prefix: usize) -> Result<(&str, usize), (usize, String)> {
    let bytes = text.as_bytes();
    let quote = bytes[prefix];
    let mut at = prefix + 1;
    loop {
        match bytes.get(at) {
            None => return Err((text.len(), "this string has no closing quote".into())),
            Some(b'\n' | b'\r') => return Err((at, "a string can't span lines; write \\n".into())),
            Some(b'\\') => at += 2,
            Some(byte) if *byte == quote => return Ok((&text[prefix + 1..at], at + 1)),
            Some(_) => at += 1,
        }
    }
}

/// Appends what the escape at the start of `text` stands for; gives the bytes it takes.
fn unescape(text: &str, out: &mut Vec<u8>) -> Result<usize, String> {
    let bytes = text.as_bytes();
    let simple = match bytes.get(1) {
        Some(b'a') => 0x07,
        Some(b'b') => 0x08,
        Some(b'f') => 0x0c,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'v') => 0x0b,
        Some(&byte @ (b'\\' | b'\'' | b'"' | b'?')) => byte,
        Some(b'0'..=b'7') => return octal(&bytes[1..], out),
        Some(b'x') => return hex(text, 2, 2, out),
        Some(b'u') => return hex(text, 4, 4, out),
        Some(b'U') => return hex(text, 8, 8, out),
        _ => {
            out.push(b'\\');
            return Ok(1);
        }
    };
    out.push(simple);
    Ok(2)
}

fn octal(digits: &[u8], out: &mut Vec<u8>) -> Result<usize, String> {
    let length = digits
        .iter()
        .take(3)
        .take_while(|byte| matches!(byte, b'0'..=b'7'))
        .count();
    let value = digits[..length]
        .iter()
        .fold(0u32, |value, digit| value * 8 + u32::from(digit - b'0'));
    out.push(u8::try_from(value).map_err(|_| "an octal escape is at most \\377".to_owned())?);
    Ok(1 + length)
}

/// `\x` with two digits gives a byte, `\u` with four and `\U` with eight a character.
fn hex(text: &str, digits: usize, width: usize, out: &mut Vec<u8>) -> Result<usize, String> {
    let wrong = || format!("'{}' needs {digits} hexadecimal digits", &text[..2]);
    let code = text
        .get(2..2 + width)
        .filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .ok_or_else(wrong)?;
    let value = u32::from_str_radix(code, 16).map_err(|_| wrong())?;
    match u8::try_from(value) {
        Ok(byte) if width == 2 => out.push(byte),
        _ => {
            let character =
                char::from_u32(value).ok_or_else(|| format!("\\u{code} is not a character"))?;
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    Ok(2 + width)
}
