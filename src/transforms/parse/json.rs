//! One JSON object in one pass: every byte is checked, values are left unopened.

use crate::event::scan::json_special;

/// Containers that may stand within each other, as deep as other readers of JSON go.
const DEPTH_LIMIT: u32 = 127;

/// Reads the object that `text` is, with white space around it or not. `entry` is given each
/// name, still escaped and without its quotes, and each value as it is written.
///
/// Accepts what RFC 8259 allows, and beyond it asks that strings can be had as Unicode text (no
/// lone surrogates), that numbers fit a double, and that nesting stays below a limit: exactly
/// what `serde_json` asks.
///
/// # Errors
/// Where `text` is anything else; says what was expected, and at which byte.
pub(super) fn object<'t>(
    text: &'t str,
    mut entry: impl FnMut(&'t str, &'t str) -> Result<(), &'static str>,
) -> Result<(), Wrong> {
    let mut reader = Reader { text: text.as_bytes(), at: 0 };
    reader
        .object(|name, value| {
            // Both are cut at ASCII bytes, so that the slices are always there.
            entry(text.get(name.0..name.1).unwrap_or(""), text.get(value.0..value.1).unwrap_or(""))
        })
        .map_err(|expected| Wrong { expected, at: reader.at })
}

/// Why a text is not a JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) expected: &'static str,
    /// The byte, from 0.
    pub(super) at: usize,
}

/// From and to.
type Place = (usize, usize);

type Checked<T> = Result<T, &'static str>;

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

impl Reader<'_> {
    fn object(&mut self, mut entry: impl FnMut(Place, Place) -> Checked<()>) -> Checked<()> {
        self.space();
        self.expect(b'{', "an object")?;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return self.end();
        }
        loop {
            self.expect(b'"', "a name in quotes")?;
            let start = self.at;
            self.string()?;
            let name = (start, self.at - 1);
            self.space();
            self.expect(b':', "`:`")?;
            self.space();
            let start = self.at;
            self.value()?;
            entry(name, (start, self.at))?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return self.end();
                }
                _ => return Err("`,` or `}`"),
            }
            self.space();
        }
    }

    fn end(&mut self) -> Checked<()> {
        self.space();
        if self.at == self.text.len() { Ok(()) } else { Err("nothing after the object") }
    }

    /// Any value. What is open is remembered as one bit each, a one for an object, so that no
    /// input makes the stack grow.
    fn value(&mut self) -> Checked<()> {
        let (mut open, mut depth) = (0u128, 1u32);
        loop {
            let container = match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    self.string()?;
                    false
                }
                Some(b'-' | b'0'..=b'9') => {
                    self.number()?;
                    false
                }
                Some(b'{') => true,
                Some(b'[') => true,
                Some(b't') => self.word(b"true")?,
                Some(b'f') => self.word(b"false")?,
                Some(b'n') => self.word(b"null")?,
                _ => return Err("a value"),
            };
            if container {
                let object = self.peek() == Some(b'{');
                self.at += 1;
                if depth == DEPTH_LIMIT {
                    return Err("less nesting (at most 127 levels)");
                }
                open = open << 1 | u128::from(object);
                depth += 1;
                self.space();
                if self.peek() != Some(closing(open)) {
                    if object {
                        self.name()?;
                    }
                    continue;
                }
            }
            // A value has ended, or an empty container is about to.
            loop {
                if depth == 1 {
                    return Ok(());
                }
                self.space();
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        self.space();
                        if open & 1 == 1 {
                            self.name()?;
                        }
                        break;
                    }
                    Some(byte) if byte == closing(open) => {
                        self.at += 1;
                        open >>= 1;
                        depth -= 1;
                    }
                    _ => return Err(if open & 1 == 1 { "`,` or `}`" } else { "`,` or `]`" }),
                }
            }
        }
    }

    /// `"name":`
    fn name(&mut self) -> Checked<()> {
        self.expect(b'"', "a name in quotes")?;
        self.string()?;
        self.space();
        self.expect(b':', "`:`")?;
        self.space();
        Ok(())
    }

    /// The rest of a string whose first quote was taken.
    fn string(&mut self) -> Checked<()> {
        loop {
            self.at = json_special(self.text, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err("no control character in a string"),
                None => return Err("`\"`"),
            }
        }
    }

    fn escape(&mut self) -> Checked<()> {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                const HALF: &str = "both halves of a surrogate pair";
                match self.unit()? {
                    0xD800..=0xDBFF if self.text.get(self.at..self.at + 2) == Some(b"\\u") => {
                        if !matches!(self.unit()?, 0xDC00..=0xDFFF) {
                            return Err(HALF);
                        }
                    }
                    0xD800..=0xDFFF => return Err(HALF),
                    _ => {}
                }
            }
            _ => return Err("an escape that JSON knows"),
        }
        Ok(())
    }

    /// `\u1234`
    fn unit(&mut self) -> Checked<u32> {
        let digits = self.text.get(self.at + 2..self.at + 6).unwrap_or_default();
        let number = digits
            .iter()
            .try_fold(0, |sum, byte| char::from(*byte).to_digit(16).map(|digit| sum * 16 + digit));
        match number {
            Some(number) if digits.len() == 4 => {
                self.at += 6;
                Ok(number)
            }
            _ => Err("four hexadecimal digits"),
        }
    }

    fn number(&mut self) -> Checked<()> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err("a digit"),
        }
        if matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err("no zero before other digits");
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        let mut large = self.at - start > 300;
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            let exponent = self.at;
            self.digits()?;
            large |= self.at - exponent > 2;
        }
        if large {
            let text = self.text.get(start..self.at).unwrap_or_default();
            let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
            if !number.is_some_and(f64::is_finite) {
                return Err("a number that fits a double");
            }
        }
        Ok(())
    }

    fn digits(&mut self) -> Checked<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err("a digit") } else { Ok(()) }
    }

    /// Takes a word that is a value; it is not a container.
    fn word(&mut self, word: &[u8]) -> Checked<bool> {
        if !self.text.get(self.at..).unwrap_or_default().starts_with(word) {
            return Err("a value");
        }
        self.at += word.len();
        Ok(false)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Checked<()> {
        if self.peek() != Some(byte) {
            return Err(expected);
        }
        self.at += 1;
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }
}

/// What closes the innermost container.
fn closing(open: u128) -> u8 {
    if open & 1 == 1 { b'}' } else { b']' }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether it is an object, after checking that both readers say so, or both do not, and
    /// that they see the same entries.
    fn accepted(text: &str) -> bool {
        let mut entries = Vec::new();
        let mine = object(text, |name, value| {
            entries.push((name, value));
            Ok(())
        });
        let theirs = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text);
        assert_eq!(mine.is_ok(), theirs.is_ok(), "{text:?}: {mine:?}, {theirs:?}");
        if let Ok(theirs) = theirs {
            let mine: serde_json::Map<_, _> = entries
                .into_iter()
                .map(|(name, value)| {
                    let name = serde_json::from_str(&format!("\"{name}\"")).unwrap();
                    (name, serde_json::from_str(value).unwrap())
                })
                .collect();
            assert_eq!(mine, theirs);
        }
        mine.is_ok()
    }

    #[test]
    fn valid_objects_are_accepted() {
        for text in [
            "{}",
            " \t\r\n{ } ",
            r#"{"a":1}"#,
            r#"{"a":1,"a":2}"#,
            r#"{ "a" : [ ] , "b" : { } , "c" : [ { "d" : [ 1 , [ ] ] } , "e" ] }"#,
            r#"{"a":-0,"b":-0.0,"c":1e5,"d":1E-5,"e":1.5e+10,"f":0e0,"g":1e-400}"#,
            r#"{"":"","é":"ü\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}"#,
            r#"{"a":null,"b":true,"c":false}"#,
            "{\"a\":\"\u{7f}\u{2028}\"}",
        ] {
            assert!(accepted(text), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "}",
            "[]",
            "1",
            "null",
            "\"a\"",
            "{}{}",
            "{} x",
            "{,}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{,"a":1}"#,
            r#"{"a":1 "b":2}"#,
            r#"{a:1}"#,
            r#"{'a':1}"#,
            r#"{"a":01}"#,
            r#"{"a":-}"#,
            r#"{"a":1.}"#,
            r#"{"a":.5}"#,
            r#"{"a":1e}"#,
            r#"{"a":1e+}"#,
            r#"{"a":+1}"#,
            r#"{"a":1e999}"#,
            r#"{"a":NaN}"#,
            r#"{"a":tru}"#,
            r#"{"a":truex}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":"\u12"}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":"\ud800\u0041"}"#,
            r#"{"a":"\udc00"}"#,
            r#"{"a":"b}"#,
            "{\"a\":\"\t\"}",
            "{\"a\":\"\0\"}",
            r#"{"a":[1,]}"#,
            r#"{"a":[,1]}"#,
            r#"{"a":[1}"#,
            r#"{"a":{"b":1]}"#,
            r#"{"a":{"b"}}"#,
            r#"{"a":{1:2}}"#,
            r#"{"a":[1 2]}"#,
            r#"{"a":{"b":1,}}"#,
            "\u{feff}{}",
            r#"{"a":1}]"#,
            r#"{"a":0x1}"#,
        ] {
            assert!(!accepted(text), "{text}");
        }
    }

    #[test]
    fn nesting_has_a_limit_and_long_numbers_do_not_hurt() {
        for levels in [1, 126, 127, 128, 5000] {
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                let inner = if open == "[" { "" } else { "1" };
                let nested = format!("{}{inner}{}", open.repeat(levels), close.repeat(levels));
                accepted(&format!("{{\"a\":{nested}}}"));
            }
        }
        accepted(&format!("{{\"a\":{}}}", "9".repeat(400)));
        accepted(&format!("{{\"a\":0.{}}}", "9".repeat(400)));
    }

    /// An object that is valid, before somebody breaks it.
    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<i64>().prop_map(|n| n.to_string()),
            any::<f32>().prop_map(|n| serde_json::Value::from(n).to_string()),
            any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
            "\"(\\\\u[0-9a-fA-F]{4}|\\\\n|[a-z ])*\"",
        ];
        let value = leaf.prop_recursive(4, 20, 4, |inner| {
            let name = any::<String>().prop_map(|text| serde_json::Value::from(text).to_string());
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4)
                    .prop_map(|items| format!("[ {}]", items.join(" ,"))),
                proptest::collection::vec((name, inner), 0..4).prop_map(|entries| {
                    let entries = entries.iter().map(|(name, value)| format!("{name}: {value}"));
                    format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
                }),
            ]
        });
        value.prop_map(|value| format!("{{\"a\":{value}}}"))
    }

    proptest! {
        #[test]
        fn both_readers_agree_on_valid_and_on_broken_objects(
            text in json(),
            at: proptest::sample::Index,
            by in "[\\[\\]{}\",:0-9eE.+\\\\ua \t\n-]{0,2}",
        ) {
            accepted(&text);
            let mut chars: Vec<char> = text.chars().collect();
            let at = at.index(chars.len());
            chars.splice(at..=at, by.chars());
            accepted(&chars.into_iter().collect::<String>());
        }

        #[test]
        fn both_readers_agree_on_noise(text in "[\\[\\]{}\",:0-9eE.\\\\ua -]{0,12}") {
            accepted(&format!("{{{text}}}"));
            accepted(&text);
        }
    }
}
