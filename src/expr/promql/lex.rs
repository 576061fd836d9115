//! The words of an expression, and where they stand.

use super::parse::Problem;

/// A word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name or keyword.
    Word(String),
    /// A number.
    Number(f64),
    /// A length of time, in milliseconds: `1h30m`.
    Time(u64),
    /// Text in quotes.
    Text(String),
    /// A sign: `(`, `>=`.
    Sign(&'static str),
    /// Nothing more.
    End,
}

/// Longer ones first.
const SIGNS: [&str; 23] = [
    "==", "!=", "<=", ">=", "=~", "!~", "(", ")", "{", "}", "[", "]", ",", "+", "-", "*", "/", "%",
    "^", "<", ">", "=", "@",
];

const UNITS: [(&str, u64); 7] = [
    ("ms", 1),
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
];

/// Cuts an expression into words with their places, in bytes.
pub(super) fn lex(text: &str) -> Result<Vec<(usize, Token)>, Problem> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (token, len) = match first {
            _ if first.is_whitespace() => {
                at += first.len_utf8();
                continue;
            }
            '#' => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            '"' | '\'' | '`' => quoted(rest, first, at)?,
            '0'..='9' => number(rest, at)?,
            '.' if rest[1..].starts_with(|next: char| next.is_ascii_digit()) => number(rest, at)?,
            'a'..='z' | 'A'..='Z' | '_' | ':' => {
                let part = |letter: char| letter.is_ascii_alphanumeric() || "_:".contains(letter);
                let len = rest.find(|letter| !part(letter)).unwrap_or(rest.len());
                (Token::Word(rest[..len].to_owned()), len)
            }
            _ => {
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
                let sign = sign.ok_or_else(|| {
                    Problem::new(at, format!("`{first}` has no meaning in an expression"))
                })?;
                (Token::Sign(sign), sign.len())
            }
        };
        tokens.push((at, token));
        at += len;
    }
    tokens.push((text.len(), Token::End));
    Ok(tokens)
}

fn quoted(rest: &str, quote: char, at: usize) -> Result<(Token, usize), Problem> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((place, letter)) = chars.next() {
        match letter {
            _ if letter == quote => return Ok((Token::Text(text), place + 1)),
            '\\' if quote != '`' => match chars.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, 'r')) => text.push('\r'),
                Some((_, letter @ ('\\' | '"' | '\''))) => text.push(letter),
                _ => {
                    let told = "a backslash in text is written `\\\\`";
                    return Err(Problem::new(at + place, told));
                }
            },
            _ => text.push(letter),
        }
    }
    Err(Problem::new(at, format!("the text that begins here has no closing {quote}")))
}

fn number(rest: &str, at: usize) -> Result<(Token, usize), Problem> {
    let part = |letter: char| letter.is_ascii_alphanumeric() || "._".contains(letter);
    let mut len = rest.find(|letter| !part(letter)).unwrap_or(rest.len());
    if let Some(hex) = rest[..len].strip_prefix("0x").or(rest[..len].strip_prefix("0X")) {
        let value = u32::from_str_radix(hex, 16).map_err(|_| wrong_number(&rest[..len], at))?;
        return Ok((Token::Number(f64::from(value)), len));
    }
    if let Some(millis) = time(&rest[..len]) {
        return Ok((Token::Time(millis), len));
    }
    // The sign of an exponent belongs to the number.
    if rest[..len].ends_with(['e', 'E']) && rest[len..].starts_with(['+', '-']) {
        let more = &rest[len + 1..];
        len += 1 + more.find(|it: char| !it.is_ascii_digit()).unwrap_or(more.len());
    }
    let value = rest[..len].parse().map_err(|_| wrong_number(&rest[..len], at))?;
    Ok((Token::Number(value), len))
}

fn wrong_number(found: &str, at: usize) -> Problem {
    Problem::new(at, format!("found `{found}`, expected a number or a time such as `5m`"))
}

/// A length of time, if it is one.
fn time(mut text: &str) -> Option<u64> {
    let mut total = 0u64;
    while !text.is_empty() {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let count: u64 = text[..digits].parse().ok()?;
        text = &text[digits..];
        let (unit, factor) = UNITS.iter().find(|(unit, _)| text.starts_with(unit))?;
        text = &text[unit.len()..];
        total = total.checked_add(count.checked_mul(*factor)?)?;
    }
    Some(total)
}
