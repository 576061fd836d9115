//! What a plain (unquoted) YAML scalar means: a truth value, a number, nothing, or text.

use super::tree::Value;
use std::sync::Arc;

/// How YAML's plain scalars are read. TOML and JSON know only one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// As `PyYAML` reads them, and so Ansible (`no` is false, `0644` is octal): for apply, role and
    /// vars files.
    Yaml11,
    /// The core schema of YAML 1.2: for all other files.
    Yaml12,
}

/// The value of the plain scalar `text`. Dates stay text, as do whole numbers past 64 bits, whose
/// digits would otherwise be lost.
pub fn resolve(text: &str, dialect: Dialect) -> Value {
    let source: Arc<str> = text.into();
    if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    if let Some(value) = truth(text, dialect) {
        return Value::Bool { value, text: source };
    }
    // Numbers begin with one of these; most scalars are told apart here.
    if !text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
        return Value::String(source);
    }
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let number = match dialect {
        Dialect::Yaml11 => number_11(digits, text),
        Dialect::Yaml12 => number_12(digits, text),
    };
    match number {
        Some(Number::Int(value)) => {
            let value = if negative { -value } else { value };
            i64::try_from(value).map_or_else(
                |_| Value::String(source.clone()),
                |value| Value::Int { value, text: source.clone() },
            )
        }
        Some(Number::Float(value)) if negative => Value::Float { value: -value, text: source },
        Some(Number::Float(value)) => Value::Float { value, text: source },
        None => Value::String(source),
    }
}

enum Number {
    Int(i128),
    Float(f64),
}

fn truth(text: &str, dialect: Dialect) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        "yes" | "Yes" | "YES" | "on" | "On" | "ON" if dialect == Dialect::Yaml11 => Some(true),
        "no" | "No" | "NO" | "off" | "Off" | "OFF" if dialect == Dialect::Yaml11 => Some(false),
        _ => None,
    }
}

/// YAML 1.1 as `PyYAML` reads it: `0644` is octal, `0o644` is text, `1e3` is text, `22:30` is a
/// number to the base 60.
fn number_11(digits: &str, text: &str) -> Option<Number> {
    if let Some(special) = special(digits) {
        return Some(special);
    }
    let is_signed = digits.len() < text.len();
    let late_underscore = digits.contains([':', 'e', 'E'])
        && !digits.starts_with("0x")
        && digits
            .rsplit([':', 'e', 'E'])
            .next()
            .and_then(|last| last.split('.').next())
            .is_some_and(|last| last.contains('_'));
    if late_underscore || (is_signed && digits.starts_with('.')) {
        return None;
    }
    let clean: String = digits.chars().filter(|c| *c != '_').collect();
    let first_is_digit = digits.starts_with(|first: char| first.is_ascii_digit());
    let radix = |digits: &str, radix| i128::from_str_radix(digits, radix).ok().map(Number::Int);
    if let Some(binary) = clean.strip_prefix("0b") {
        return all(binary, |c| matches!(c, '0' | '1')).then(|| radix(binary, 2))?;
    }
    if let Some(hex) = clean.strip_prefix("0x") {
        return all(hex, |c| c.is_ascii_hexdigit()).then(|| radix(hex, 16))?;
    }
    if first_is_digit && all(&clean, |c| c.is_ascii_digit()) {
        if clean.len() > 1 && clean.starts_with('0') {
            return all(&clean, |c| matches!(c, '0'..='7')).then(|| radix(&clean, 8))?;
        }
        return radix(&clean, 10);
    }
    if first_is_digit && clean.contains(':') {
        return base_60(&clean, digits);
    }
    float_11(&clean, digits)
}

fn float_11(clean: &str, digits: &str) -> Option<Number> {
    let (whole, rest) = clean.split_once('.')?;
    if digits.starts_with('_') || digits.starts_with("._") {
        return None;
    }
    let (fraction, exponent) = match rest.split_once(['e', 'E']) {
        Some((fraction, exponent)) => (fraction, Some(exponent)),
        None => (rest, None),
    };
    let digits_only = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let exponent_fits = exponent.is_none_or(|exponent| {
        exponent.strip_prefix(['+', '-']).is_some_and(|digits| all(digits, |c| c.is_ascii_digit()))
    });
    let some = !whole.is_empty() || !fraction.is_empty();
    let fits = some && digits_only(whole) && digits_only(fraction) && exponent_fits;
    fits.then(|| clean.parse().ok().map(Number::Float))?
}

/// `1:30` is 90. The first part is not zero, the others are below 60.
fn base_60(clean: &str, digits: &str) -> Option<Number> {
    let (whole, fraction) = match clean.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (clean, None),
    };
    if fraction.is_none() && digits.starts_with('0') {
        return None;
    }
    let mut value: i128 = 0;
    for (index, part) in whole.split(':').enumerate() {
        let number: i128 = part.parse().ok()?;
        let fits = index == 0 || (part.len() <= 2 && number < 60);
        if !fits || !all(part, |c| c.is_ascii_digit()) {
            return None;
        }
        value = value.checked_mul(60)?.checked_add(number)?;
    }
    match fraction {
        None => Some(Number::Int(value)),
        Some(fraction) if fraction.chars().all(|c| c.is_ascii_digit()) => {
            let fraction: f64 = format!("0.{fraction}0").parse().ok()?;
            #[expect(clippy::cast_precision_loss, reason = "it becomes a float by definition")]
            Some(Number::Float(value as f64 + fraction))
        }
        Some(_) => None,
    }
}

/// The core schema of YAML 1.2: `0644` is 644, `0o644` is octal.
fn number_12(digits: &str, text: &str) -> Option<Number> {
    if let Some(special) = special(digits) {
        return Some(special);
    }
    let radix = |digits: &str, radix| i128::from_str_radix(digits, radix).ok().map(Number::Int);
    if let Some(octal) = text.strip_prefix("0o") {
        return all(octal, |c| matches!(c, '0'..='7')).then(|| radix(octal, 8))?;
    }
    if let Some(hex) = text.strip_prefix("0x") {
        return all(hex, |c| c.is_ascii_hexdigit()).then(|| radix(hex, 16))?;
    }
    if all(digits, |c| c.is_ascii_digit()) {
        return radix(digits, 10).or(Some(Number::Int(i128::MAX)));
    }
    // Rust's own floats have the same form, once words and signs are out of the way.
    let plain = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    let allowed = digits.chars().all(|c| c.is_ascii_digit() || ".eE+-".contains(c));
    (plain && allowed).then(|| digits.parse().ok().map(Number::Float))?
}

fn special(digits: &str) -> Option<Number> {
    match digits {
        ".inf" | ".Inf" | ".INF" => Some(Number::Float(f64::INFINITY)),
        ".nan" | ".NaN" | ".NAN" => Some(Number::Float(f64::NAN)),
        _ => None,
    }
}

fn all(text: &str, test: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(test)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, dialect: Dialect) -> String {
        match resolve(text, dialect) {
            Value::Null => "null".to_owned(),
            Value::Bool { value, .. } => value.to_string(),
            Value::Int { value, .. } => value.to_string(),
            Value::Float { value, .. } => format!("{value:?}"),
            _ => "text".to_owned(),
        }
    }

    #[test]
    fn yaml_1_1_is_read_as_pyyaml_reads_it() {
        let cases = [
            ("yes", "true"),
            ("No", "false"),
            ("ON", "true"),
            ("off", "false"),
            ("y", "text"),
            ("True", "true"),
            ("tRUE", "text"),
            ("~", "null"),
            ("", "null"),
            ("nil", "text"),
            ("0", "0"),
            ("-7", "-7"),
            ("+7", "7"),
            ("0644", "420"),
            ("0o644", "text"),
            ("08", "text"),
            ("0x1F", "31"),
            ("0b101", "5"),
            ("1_000", "1000"),
            ("_1", "text"),
            ("-0x10", "-16"),
            ("1:30", "90"),
            ("22:30:00", "81000"),
            ("1:60", "text"),
            ("08:30", "text"),
            ("-.5", "text"),
            ("1:_3", "text"),
            ("8:5._", "485.0"),
            (".5e-_2", "text"),
            ("1.5", "1.5"),
            ("1.", "1.0"),
            (".5", "0.5"),
            ("-1.5", "-1.5"),
            ("1e3", "text"),
            ("1.0e3", "text"),
            ("1.0e+3", "1000.0"),
            ("1_0.5", "10.5"),
            ("1:30.5", "90.5"),
            (".inf", "inf"),
            ("-.INF", "-inf"),
            (".nan", "NaN"),
            ("inf", "text"),
            (".", "text"),
            ("-", "text"),
            ("1.2.3", "text"),
            ("2026-01-01", "text"),
            ("10.0.0.1", "text"),
            ("99999999999999999999", "text"),
            ("é", "text"),
            ("-é", "text"),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text, Dialect::Yaml11), expected, "{text}");
        }
    }

    #[test]
    fn yaml_1_2_is_read_by_its_core_schema() {
        let cases = [
            ("yes", "text"),
            ("off", "text"),
            ("True", "true"),
            ("null", "null"),
            ("0644", "644"),
            ("0o644", "420"),
            ("0x1F", "31"),
            ("-0x1F", "text"),
            ("0b1", "text"),
            ("1_000", "text"),
            ("1:30", "text"),
            ("1e3", "1000.0"),
            ("1.5E-3", "0.0015"),
            ("+.5", "0.5"),
            (".", "text"),
            ("-.inf", "-inf"),
            ("-", "text"),
            ("e3", "text"),
            ("1.2.3", "text"),
            ("+12", "12"),
            ("99999999999999999999", "text"),
            ("999999999999999999999999999999999999999999", "text"),
            ("nan", "text"),
            ("1d", "text"),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text, Dialect::Yaml12), expected, "{text}");
        }
    }
}
