//! One JSON object in one pass: every byte is checked, values are left unopened.

use super::layout::Layout;
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
    mut entry: impl FnMut(Name<'t>, &'t [u8]) -> Result<(), &'static str>,
) -> Result<(), Wrong> {
    object_like(text, &mut Layout::nothing(), |_, _, name, value| entry(name, value))
}

/// As [`object`], where other objects went before: `layout` remembers their names and where they
/// stood. `entry` is given it too, and the place in it that stands for the name, if there is one.
pub(super) fn object_like<'t>(
    text: &'t str,
    layout: &mut Layout,
    mut entry: impl FnMut(&mut Layout, Option<usize>, Name<'t>, &'t [u8]) -> Result<(), &'static str>,
) -> Result<(), Wrong> {
    let mut reader = Reader { text: text.as_bytes(), at: 0 };
    reader
        .object(layout, |layout, slot, name, form, value| {
            // Both are cut at ASCII bytes, so that the slices are always there.
            let name = text.get(name.0..name.1).unwrap_or("");
            let name = match form {
                Form::Plain => Name::Plain(name),
                Form::Escaped => Name::Escaped(name),
            };
            let value = text.as_bytes().get(value.0..value.1).unwrap_or_default();
            entry(layout, slot, name, value)
        })
        .map_err(|expected| Wrong { expected, at: reader.at })
}

/// An entry's name as it is written, without its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name<'t> {
    /// It means what it says.
    Plain(&'t str),
    /// It holds escapes.
    Escaped(&'t str),
}

/// Whether a string holds escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Plain,
    Escaped,
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
    fn object(
        &mut self,
        layout: &mut Layout,
        mut entry: impl FnMut(&mut Layout, Option<usize>, Place, Form, Place) -> Checked<()>,
    ) -> Checked<()> {
        self.space();
        self.expect(b'{', "an object")?;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return self.end();
        }
        let mut position = 0;
        loop {
            let begin = self.at;
            let (name, form, slot) =
                if let Some(length) = layout.length_at(position, self.text, begin) {
                    self.at += length;
                    ((begin + 1, self.at - 2), Form::Plain, Some(position))
                } else {
                    self.expect(b'"', "a name in quotes")?;
                    let form = self.string()?;
                    let name = (begin + 1, self.at - 1);
                    self.space();
                    self.expect(b':', "`:`")?;
                    let as_usual = form == Form::Plain && self.at == name.1 + 2;
                    let noted = as_usual && layout.note(position, &self.text[begin..self.at]);
                    (name, form, noted.then_some(position))
                };
            self.space();
            let start = self.at;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    self.string()?;
                }
                Some(b'-' | b'0'..=b'9') => self.number()?,
                _ => self.value()?,
            }
            entry(layout, slot, name, form, (start, self.at))?;
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
            position += 1;
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
                Some(b'{' | b'[') => true,
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
    #[inline(always)]
    fn string(&mut self) -> Checked<Form> {
        let mut form = Form::Plain;
        loop {
            self.at = json_special(self.text, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(form);
                }
                Some(b'\\') => {
                    form = Form::Escaped;
                    self.escape()?;
                }
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
                    0xD800..=0xDBFF => {
                        let another = self.text.get(self.at..self.at + 2) == Some(b"\\u");
                        if !another || !matches!(self.unit()?, 0xDC00..=0xDFFF) {
                            return Err(HALF);
                        }
                    }
                    0xDC00..=0xDFFF => return Err(HALF),
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

    #[inline(always)]
    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    #[inline(always)]
    fn expect(&mut self, byte: u8, expected: &'static str) -> Checked<()> {
        if self.peek() != Some(byte) {
            return Err(expected);
        }
        self.at += 1;
        Ok(())
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }
}

/// What closes the innermost container.
fn closing(open: u128) -> u8 {
    if open & 1 == 1 { b'}' } else { b']' }
}
