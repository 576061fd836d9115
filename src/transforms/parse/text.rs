//! Cutting text: what the parsers of formats have in common.

use memchr::{memchr, memchr2};

/// What is before the first `byte`, and what is after it.
pub(super) fn until(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr(byte, text)?;
    Some((&text[..at], &text[at + 1..]))
}

/// The text up to the first blank, and what follows the blank; all of it where there is none.
pub(super) fn word(text: &[u8]) -> (&[u8], &[u8]) {
    until(text, b' ').unwrap_or((text, &[]))
}

/// What stands between the quote that `text` begins with and the next one that no backslash
/// escapes, and what follows.
pub(super) fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    quoted_by(text, b'"')
}

/// As [`quoted`], with any quote.
pub(super) fn quoted_by(text: &[u8], quote: u8) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(&[quote])?;
    let mut from = 0;
    loop {
        let at = from + memchr2(quote, b'\\', text.get(from..)?)?;
        if text[at] == quote {
            return Some((&text[..at], &text[at + 1..]));
        }
        from = at + 2;
    }
}

/// What stands between the bracket that `text` begins with and the next closing one, and what
/// follows.
pub(super) fn bracketed(text: &[u8]) -> Option<(&[u8], &[u8])> {
    until(text.strip_prefix(b"[")?, b']')
}

/// Without the blanks at its start.
pub(super) fn skip_blanks(text: &[u8]) -> &[u8] {
    let count = text.iter().take_while(|byte| **byte == b' ').count();
    &text[count..]
}

/// An address and its port, parted at the last colon. An address alone has no port, and neither
/// has an IPv6 address without brackets, where nobody could tell.
pub(super) fn address(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match with_port(text) {
        Some((host, _)) if memchr(b':', host).is_some() && !host.ends_with(b"]") => (text, None),
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    }
}

/// What is before the last colon, and the digits after it.
pub(super) fn with_port(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (host, port) = text.split_at_checked(memchr::memrchr(b':', text)?)?;
    let port = &port[1..];
    is_whole(port).then_some((host, port))
}

/// Undoes the escapes of log formats: `\"`, `\\`, `\n`, `\t`, `\r`, `\x1F`; others stay.
pub(super) fn unescape(text: &[u8], out: &mut Vec<u8>) {
    undo(text, out, |after| match *after {
        [b'x', a, b, ..] => Some((hex(a)? << 4 | hex(b)?, 3)),
        [b'n', ..] => Some((b'\n', 1)),
        [b't', ..] => Some((b'\t', 1)),
        [b'r', ..] => Some((b'\r', 1)),
        [byte @ (b'"' | b'\\' | b'\''), ..] => Some((byte, 1)),
        _ => None,
    });
}

/// Undoes the escapes of CEF: `\=`, `\|`, `\\`, `\n`, `\r`; others stay.
pub(super) fn unescape_cef(text: &[u8], out: &mut Vec<u8>) {
    undo(text, out, |after| match *after {
        [b'n', ..] => Some((b'\n', 1)),
        [b'r', ..] => Some((b'\r', 1)),
        [byte @ (b'=' | b'|' | b'\\'), ..] => Some((byte, 1)),
        _ => None,
    });
}

/// Undoes the escapes of RFC 5424's structured data: `\"`, `\\`, `\]`; others stay.
pub(super) fn unescape_syslog(text: &[u8], out: &mut Vec<u8>) {
    keep_escaped(text, b"\"\\]", out);
}

/// Takes the backslash away before any of `bytes`, and nowhere else.
pub(super) fn keep_escaped(text: &[u8], bytes: &[u8], out: &mut Vec<u8>) {
    undo(text, out, |after| {
        after.first().filter(|byte| bytes.contains(byte)).map(|byte| (*byte, 1))
    });
}

/// Undoes escapes. `known` is given what follows a backslash, and gives the byte that is meant and
/// how many stand for it; where it knows none, the backslash stays.
#[inline]
fn undo(text: &[u8], out: &mut Vec<u8>, known: impl Fn(&[u8]) -> Option<(u8, usize)>) {
    let mut rest = text;
    while let Some(at) = memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let (byte, taken) = known(rest).unwrap_or((b'\\', 0));
        out.push(byte);
        rest = rest.get(taken..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// Undoes the escapes of the inside of a valid JSON string.
pub(super) fn unescape_json(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = match rest[at + 1..] {
            [b'u', a, b, c, d, ref after @ ..] => {
                let (character, after) = unit([a, b, c, d], after);
                let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                after
            }
            [letter, ref after @ ..] => {
                out.push(match letter {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'b' => 8,
                    b'f' => 12,
                    other => other,
                });
                after
            }
            [] => &[],
        };
    }
    out.extend_from_slice(rest);
}

/// The character of a `\u1234`, which may be one half of a pair.
fn unit(digits: [u8; 4], after: &[u8]) -> (Option<char>, &[u8]) {
    let number = |digits: [u8; 4]| {
        digits.iter().try_fold(0, |sum, digit| Some(sum << 4 | u32::from(hex(*digit)?)))
    };
    let Some(high) = number(digits) else { return (None, after) };
    if !(0xd800..0xdc00).contains(&high) {
        return (char::from_u32(high), after);
    }
    let &[b'\\', b'u', a, b, c, d, ref rest @ ..] = after else { return (None, after) };
    match number([a, b, c, d]) {
        Some(low @ 0xdc00..0xe000) => {
            (char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)), rest)
        }
        _ => (None, after),
    }
}

/// The value of a hexadecimal digit.
pub(super) fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// A name that a text gives to a field.
pub(super) fn name(text: &[u8]) -> Result<&str, &'static str> {
    std::str::from_utf8(text).map_err(|_| "names that are UTF-8")
}

/// Digits and nothing else, few enough for 64 bits.
pub(super) fn is_whole(text: &[u8]) -> bool {
    (1..=18).contains(&text.len()) && text.iter().all(u8::is_ascii_digit)
}

/// A number as JSON writes it, without an exponent, short enough for 64 bits or a double.
pub(super) fn is_json_number(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let whole = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let well_begun = whole == 1 || whole > 1 && text[0] != b'0';
    well_begun
        && text.len() <= 18
        && match &text[whole..] {
            [] => true,
            [b'.', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_is_parted_from_its_port_but_not_torn_apart() {
        let parts = |text: &'static str| {
            let (host, port) = address(text.as_bytes());
            (
                std::str::from_utf8(host).unwrap(),
                port.map(|port| std::str::from_utf8(port).unwrap()),
            )
        };
        assert_eq!(parts("10.0.0.1:80"), ("10.0.0.1", Some("80")));
        assert_eq!(parts("[::1]:80"), ("[::1]", Some("80")));
        assert_eq!(parts("::1"), ("::1", None));
        assert_eq!(parts("10.0.0.1"), ("10.0.0.1", None));
        assert_eq!(parts("10.0.0.1:"), ("10.0.0.1:", None));
    }

    proptest! {
        #[test]
        fn escapes_of_json_are_undone_as_serde_json_does(text: String) {
            let json = serde_json::to_string(&text).unwrap();
            let mut out = Vec::new();
            unescape_json(&json.as_bytes()[1..json.len() - 1], &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), text);
        }

        #[test]
        fn what_is_taken_for_a_number_is_one(text in "-?[0-9]{0,20}(\\.[0-9]{0,4})?|[-.0-9e]{0,8}") {
            if is_json_number(text.as_bytes()) {
                prop_assert!(serde_json::from_str::<serde_json::Number>(&text).is_ok());
            }
        }

        #[test]
        fn no_text_brings_the_cutters_down(text: Vec<u8>) {
            let mut out = Vec::new();
            unescape(&text, &mut out);
            unescape_json(&text, &mut out);
            address(&text);
            quoted(&text);
            bracketed(&text);
        }
    }
}
