//! Go's `printf` for text and numbers.

use super::value::Value;
use crate::event::number::push_float;

/// A field may be so wide, and a number have so many digits.
const WIDEST: usize = 1000;

/// A number with the fewest digits that say which it is.
pub(super) fn shortest(value: f64) -> String {
    let mut out = Vec::new();
    push_float(value, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// A text with `%…` in the place of values.
///
/// # Errors
/// A field that is too wide.
pub(super) fn printf(form: &str, values: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut values = values.iter();
    let mut rest = form;
    while let Some((before, behind)) = rest.split_once('%') {
        out.push_str(before);
        let (field, verb, after) = Field::read(behind)?;
        rest = after;
        match verb {
            Some('%') => out.push('%'),
            Some(verb) => out.push_str(&match values.next() {
                Some(value) => field.padded(field.write(verb, value)),
                None => format!("%!{verb}(MISSING)"),
            }),
            None => out.push_str("%!(NOVERB)"),
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[derive(Default)]
struct Field {
    flags: String,
    width: usize,
    precision: Option<usize>,
}

impl Field {
    /// What stands behind `%`: the field, the letter that ends it, and the rest.
    fn read(text: &str) -> Result<(Self, Option<char>, &str), String> {
        let end = text.find(|letter| !"-+ 0#".contains(letter)).unwrap_or(text.len());
        let (flags, rest) = text.split_at(end);
        let (width, rest) = digits(rest)?;
        let (precision, rest) = match rest.strip_prefix('.') {
            Some(rest) => digits(rest).map(|(digits, rest)| (Some(digits.unwrap_or(0)), rest))?,
            None => (None, rest),
        };
        let field = Self { flags: flags.to_owned(), width: width.unwrap_or(0), precision };
        let mut letters = rest.chars();
        let verb = letters.next();
        Ok((field, verb, letters.as_str()))
    }

    fn write(&self, verb: char, value: &Value) -> String {
        match (verb, value) {
            ('v', value) => value.shown(),
            ('s', Value::Text(text)) => match self.precision {
                Some(most) => text.chars().take(most).collect(),
                None => text.clone(),
            },
            ('q', Value::Text(text)) => format!("{text:?}"),
            ('t', Value::Bool(value)) => value.to_string(),
            ('d', Value::Int(value)) => self.signed(*value < 0, value.unsigned_abs().to_string()),
            ('x', Value::Int(value)) => {
                self.signed(*value < 0, format!("{:x}", value.unsigned_abs()))
            }
            ('f' | 'F' | 'e' | 'g', Value::Float(value)) => self.float(verb, *value),
            (verb, value) => {
                let kind = match value {
                    Value::Text(_) => "string",
                    Value::Float(_) => "float64",
                    Value::Int(_) => "int",
                    Value::Bool(_) => "bool",
                    Value::Map(_) => "map[string]string",
                    Value::List(_) => "template.queryResult",
                    Value::Sample(_) => "*template.sample",
                };
                format!("%!{verb}({kind}={})", value.shown())
            }
        }
    }

    fn float(&self, verb: char, value: f64) -> String {
        if !value.is_finite() {
            let plus = value > 0.0 && !self.flags.contains('+');
            return shortest(value).trim_start_matches(|sign| sign == '+' && plus).to_owned();
        }
        let size = value.abs();
        let text = match (verb, self.precision) {
            ('g', None) => shortest(size),
            ('g', Some(digits)) => general(size, digits),
            ('e', digits) => scientific(size, digits.unwrap_or(6)),
            (_, digits) => format!("{size:.*}", digits.unwrap_or(6)),
        };
        self.signed(value.is_sign_negative(), text)
    }

    fn signed(&self, is_negative: bool, text: String) -> String {
        match is_negative {
            true => format!("-{text}"),
            false if self.flags.contains('+') => format!("+{text}"),
            false if self.flags.contains(' ') => format!(" {text}"),
            false => text,
        }
    }

    fn padded(&self, text: String) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        if missing == 0 {
            text
        } else if self.flags.contains('-') {
            text + &" ".repeat(missing)
        } else if self.flags.contains('0') {
            let digits = text.trim_start_matches(['-', '+', ' ']);
            let sign = &text[..text.len() - digits.len()];
            format!("{sign}{}{digits}", "0".repeat(missing))
        } else {
            " ".repeat(missing) + &text
        }
    }
}

fn digits(text: &str) -> Result<(Option<usize>, &str), String> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() {
        return Ok((None, rest));
    }
    let number = digits.parse().ok().filter(|number| *number <= WIDEST);
    let number = number.ok_or_else(|| format!("a field of `printf` is at most {WIDEST} wide"))?;
    Ok((Some(number), rest))
}

/// `%.Ng`: so many digits that count, without zeros at the end.
pub(super) fn general(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return shortest(value);
    }
    let digits = digits.max(1);
    let text = scientific(value, digits - 1);
    let exponent = text.split_once('e').and_then(|(_, power)| power.parse::<i32>().ok());
    let exponent = exponent.unwrap_or_default();
    let most = i32::try_from(digits).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= most {
        let (number, power) = text.split_once('e').unwrap_or((&text, "+00"));
        return format!("{}e{power}", trimmed(number));
    }
    let places = usize::try_from(most - 1 - exponent).unwrap_or_default();
    trimmed(&format!("{value:.places$}")).to_owned()
}

/// Without zeros at the end of a fraction.
fn trimmed(number: &str) -> &str {
    match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => number,
    }
}

/// `%.Ne`: an exponent has a sign and two digits at least.
fn scientific(value: f64, places: usize) -> String {
    let text = format!("{value:.places$e}");
    let (number, power) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = power.parse().unwrap_or_default();
    format!("{number}e{power:+03}")
}
