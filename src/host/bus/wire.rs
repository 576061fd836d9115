//! D-Bus messages as bytes: what a call is written as, and what an answer says.
//!
//! Format: the D-Bus specification, "Message Protocol". Little-endian is written, both are read.

/// What a message carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Bytes, booleans and all whole numbers without a sign; also the place of a descriptor.
    Number(u64),
    /// Whole numbers with a sign.
    Signed(i64),
    /// A floating-point number.
    Float(f64),
    /// Text, an object's path or a signature.
    Text(String),
    /// Arrays, structures and entries of dictionaries. Variants are what is in them.
    List(Vec<Value>),
}

impl Value {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The number, if it is one without a sign.
    pub fn number(&self) -> Option<u64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// What is in it; nothing where it is no list.
    pub fn list(&self) -> &[Self] {
        if let Self::List(values) = self { values } else { &[] }
    }
}

/// A call: whom it goes to, and texts as its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The bus name: `org.freedesktop.systemd1`.
    pub destination: &'a str,
    /// The object.
    pub path: &'a str,
    /// The interface that the method belongs to.
    pub interface: &'a str,
    /// The method.
    pub method: &'a str,
    /// Its arguments.
    pub arguments: &'a [&'a str],
}

/// An answer to a call.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    /// The serial number of the call.
    pub(super) to: u32,
    /// What it says; the error's name where it is one.
    pub(super) content: Result<Value, String>,
}

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;

/// Codes of a header's fields.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// Bytes before a header's fields, the length of the fields included.
pub(super) const FIXED_BYTES: usize = 16;
/// The largest message that is read. The specification has 128 MiB; a host of 10,000 units needs 2.
const MOST_BYTES: usize = 16 << 20;
/// How deep values may be in one another. The specification has 32 arrays and 32 structures.
const DEEPEST: u32 = 64;

/// Appends a call.
pub(super) fn write(call: &Call<'_>, serial: u32, out: &mut Vec<u8>) {
    // What stands in front is of a multiple of eight bytes, to which all is aligned.
    let mut message = vec![b'l', METHOD_CALL, 0, 1];
    let mut body = Vec::new();
    call.arguments.iter().for_each(|text| push_text(text, &mut body));
    push_u32(body.len(), &mut message);
    message.extend_from_slice(&serial.to_le_bytes());
    let mut fields = Vec::new();
    let mut field = |code, kind: &[u8; 1], text: &str| {
        pad(8, &mut fields);
        fields.extend_from_slice(&[code, 1, kind[0], 0]);
        if kind == b"g" { push_signature(text, &mut fields) } else { push_text(text, &mut fields) }
    };
    field(PATH, b"o", call.path);
    field(INTERFACE, b"s", call.interface);
    field(MEMBER, b"s", call.method);
    field(DESTINATION, b"s", call.destination);
    if !call.arguments.is_empty() {
        field(SIGNATURE, b"g", &"s".repeat(call.arguments.len()));
    }
    push_u32(fields.len(), &mut message);
    message.extend_from_slice(&fields);
    pad(8, &mut message);
    message.extend_from_slice(&body);
    out.extend_from_slice(&message);
}

fn push_u32(number: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
}

fn push_text(text: &str, out: &mut Vec<u8>) {
    pad(4, out);
    push_u32(text.len(), out);
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

fn push_signature(text: &str, out: &mut Vec<u8>) {
    out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

fn pad(to: usize, out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(to), 0);
}

/// How long the message is that begins with `fixed`; `None` where it cannot be one.
pub(super) fn length(fixed: &[u8]) -> Option<usize> {
    let mut reader = Reader::new(fixed)?;
    reader.at = 4;
    let body = reader.u32()? as usize;
    reader.at = 12;
    let fields = reader.u32()? as usize;
    let head = (FIXED_BYTES + fields).next_multiple_of(8);
    let whole = head.checked_add(body)?;
    (whole <= MOST_BYTES).then_some(whole)
}

/// Reads a whole message. `Some(None)` for one that answers nothing, such as a signal; `None` for
/// one that breaks the rules.
pub(super) fn read(message: &[u8]) -> Option<Option<Answer>> {
    let mut reader = Reader::new(message)?;
    let kind = *message.get(1)?;
    reader.at = 12;
    let (mut to, mut signature, mut error) = (None, String::new(), String::new());
    let end = FIXED_BYTES + reader.u32()? as usize;
    while reader.at < end {
        reader.align(8)?;
        let code = reader.byte()?;
        match (code, reader.variant(0)?) {
            (REPLY_SERIAL, Value::Number(serial)) => to = u32::try_from(serial).ok(),
            (SIGNATURE, Value::Text(text)) => signature = text,
            (ERROR_NAME, Value::Text(text)) => error = text,
            _ => {}
        }
    }
    if ![METHOD_RETURN, ERROR].contains(&kind) {
        return Some(None);
    }
    let to = to?;
    if kind == ERROR {
        return Some(Some(Answer { to, content: Err(error) }));
    }
    reader.align(8)?;
    let mut signature = signature.as_bytes();
    let mut values = Vec::new();
    while !signature.is_empty() {
        values.push(reader.value(&mut signature, 0)?);
    }
    // Nearly every method gives one value.
    let content = if values.len() == 1 { values.pop()? } else { Value::List(values) };
    Some(Some(Answer { to, content: Ok(content) }))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    is_big: bool,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let is_big = match bytes.first()? {
            b'l' => false,
            b'B' => true,
            _ => return None,
        };
        Some(Self { bytes, at: 0, is_big })
    }

    fn align(&mut self, to: usize) -> Option<()> {
        self.at = self.at.checked_next_multiple_of(to)?;
        (self.at <= self.bytes.len()).then_some(())
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    /// A number of so many bytes, aligned to them.
    fn number(&mut self, size: usize) -> Option<u64> {
        self.align(size)?;
        let bytes = self.take(size)?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if self.is_big { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
    }

    fn u32(&mut self) -> Option<u32> {
        self.number(4).and_then(|number| u32::try_from(number).ok())
    }

    fn text(&mut self, length: usize) -> Option<Value> {
        let text = std::str::from_utf8(self.take(length)?).ok()?.to_owned();
        (self.byte()? == 0).then_some(Value::Text(text))
    }

    fn variant(&mut self, depth: u32) -> Option<Value> {
        let length = usize::from(self.byte()?);
        let Value::Text(signature) = self.text(length)? else { return None };
        let mut signature = signature.as_bytes();
        let value = self.value(&mut signature, depth)?;
        signature.is_empty().then_some(value)
    }

    /// The value that `signature` begins with; it is left with what follows.
    fn value(&mut self, signature: &mut &[u8], depth: u32) -> Option<Value> {
        if depth > DEEPEST {
            return None;
        }
        let (kind, rest) = signature.split_first()?;
        *signature = rest;
        Some(match kind {
            b'y' => Value::Number(u64::from(self.byte()?)),
            b'q' => Value::Number(self.number(2)?),
            b'b' | b'u' | b'h' => Value::Number(self.number(4)?),
            b't' => Value::Number(self.number(8)?),
            b'n' => Value::Signed(i64::from(self.number(2)? as u16 as i16)),
            b'i' => Value::Signed(i64::from(self.number(4)? as u32 as i32)),
            b'x' => Value::Signed(self.number(8)? as i64),
            b'd' => Value::Float(f64::from_bits(self.number(8)?)),
            b's' | b'o' => {
                let length = self.u32()? as usize;
                self.text(length)?
            }
            b'g' => {
                let length = usize::from(self.byte()?);
                self.text(length)?
            }
            b'v' => self.variant(depth + 1)?,
            b'a' => {
                let length = self.u32()? as usize;
                let of = first_type(signature)?;
                *signature = signature.get(of.len()..)?;
                self.align(alignment(of))?;
                let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len())?;
                let mut values = Vec::new();
                while self.at < end {
                    values.push(self.value(&mut { of }, depth + 1)?);
                }
                Value::List(values)
            }
            b'(' | b'{' => {
                self.align(8)?;
                let mut values = Vec::new();
                while !matches!(signature.first()?, b')' | b'}') {
                    values.push(self.value(signature, depth + 1)?);
                }
                *signature = signature.get(1..)?;
                // Nothing would be read, so that an array of it would never end.
                (!values.is_empty()).then_some(Value::List(values))?
            }
            _ => return None,
        })
    }
}

/// The first whole type of a signature.
fn first_type(signature: &[u8]) -> Option<&[u8]> {
    let mut open = 0_u32;
    for (at, kind) in signature.iter().enumerate() {
        match kind {
            b'(' | b'{' => open += 1,
            b')' | b'}' => open = open.checked_sub(1)?,
            _ => {}
        }
        if open == 0 && *kind != b'a' {
            return signature.get(..=at);
        }
    }
    None
}

fn alignment(of: &[u8]) -> usize {
    match of.first() {
        Some(b'n' | b'q') => 2,
        Some(b'b' | b'i' | b'u' | b'h' | b's' | b'o' | b'a') => 4,
        Some(b'x' | b't' | b'd' | b'(' | b'{') => 8,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer to call 7, whose body is of `signature`.
    fn answer(signature: &str, body: &[u8]) -> Vec<u8> {
        let mut fields = vec![REPLY_SERIAL, 1, b'u', 0, 7, 0, 0, 0, SIGNATURE, 1, b'g', 0];
        push_signature(signature, &mut fields);
        let mut message = vec![b'l', METHOD_RETURN, 0, 1];
        push_u32(body.len(), &mut message);
        push_u32(1, &mut message);
        push_u32(fields.len(), &mut message);
        message.extend(fields);
        pad(8, &mut message);
        message.extend_from_slice(body);
        message
    }

    fn content(signature: &str, body: &[u8]) -> Option<Value> {
        let answer = read(&answer(signature, body))??;
        assert_eq!(answer.to, 7);
        answer.content.ok()
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn a_call_is_read_as_one_and_its_length_is_told_by_its_beginning() {
        let mut out = Vec::new();
        let call = Call {
            destination: "org.example.One",
            path: "/org/example",
            interface: "org.example.Two",
            method: "Ask",
            arguments: &["what", ""],
        };
        write(&call, 3, &mut out);
        assert_eq!(length(&out[..FIXED_BYTES]), Some(out.len()));
        assert_eq!(read(&out), Some(None), "it answers nothing");
    }

    #[test]
    fn values_in_one_another_are_read() {
        let body = b"\x14\0\0\0\0\0\0\0\x01\0\0\0a\0\0\0\x01\0\0\0b\0\0\0\x05\0\0\0";
        let expected = Value::List(vec![text("a"), text("b"), Value::Number(5)]);
        assert_eq!(content("a(ssu)", body), Some(Value::List(vec![expected])));
        assert_eq!(content("v", b"\x01t\0\0\0\0\0\0\x2a\0\0\0\0\0\0\0"), Some(Value::Number(42)));
        assert_eq!(content("as", &[0; 4]), Some(Value::List(Vec::new())));
    }

    #[test]
    fn what_breaks_the_rules_is_refused() {
        for (signature, body) in [
            ("s", &b"\xff\xff\xff\xff"[..]),
            ("s", b"\x01\0\0\0ab"),
            ("a()", b"\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
            ("a", b"\0\0\0\0"),
            ("z", b""),
            ("v", &[1, b'v', 0].repeat(100)),
        ] {
            assert_eq!(content(signature, body), None, "{signature}");
        }
        assert_eq!(length(b"l\x02\0\x01\xff\xff\xff\xff\0\0\0\0\0\0\0\0"), None, "4 GiB");
        assert_eq!(read(b"x"), None);
    }
}
