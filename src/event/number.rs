//! Floats as Go writes them, which is how Prometheus's own programs do.

/// A decimal exponent from which on `1e+06` is written instead of digits.
const LARGE: i32 = 6;
/// A decimal exponent below which `1e-05` is written instead of zeros.
const SMALL: i32 = -4;

/// Appends `value` with the fewest digits that read back as the same number: `0.25`, `1e+06`,
/// `NaN`, `+Inf`.
pub fn push_float(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if value.fract() == 0.0 && value.abs() < 1e6 {
        // Exact: whole and small. Also writes -0 as 0.
        out.extend_from_slice(itoa::Buffer::new().format(value as i32).as_bytes());
    } else {
        push_digits(value, out);
    }
}

/// A finite number other than zero.
fn push_digits(value: f64, out: &mut Vec<u8>) {
    if value < 0.0 {
        out.push(b'-');
    }
    let mut buffer = ryu::Buffer::new();
    let decimal = Decimal::parse(buffer.format_finite(value.abs()).as_bytes());
    let digits = decimal.digits();
    let exponent = decimal.point - 1;
    if !(SMALL..LARGE).contains(&exponent) {
        out.push(digits[0]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.push(b'e');
        out.push(if exponent < 0 { b'-' } else { b'+' });
        let size = exponent.unsigned_abs();
        if size < 10 {
            out.push(b'0');
        }
        out.extend_from_slice(itoa::Buffer::new().format(size).as_bytes());
    } else if decimal.point <= 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', decimal.point.unsigned_abs() as usize));
        out.extend_from_slice(digits);
    } else {
        let whole = decimal.point.unsigned_abs() as usize;
        let before = whole.min(digits.len());
        out.extend_from_slice(&digits[..before]);
        out.extend(std::iter::repeat_n(b'0', whole - before));
        if digits.len() > before {
            out.push(b'.');
            out.extend_from_slice(&digits[before..]);
        }
    }
}

/// The digits of a number, without zeros at either end, and where its point is: `0.DIGITS` times
/// ten to the power of `point`.
struct Decimal {
    digits: [u8; 24],
    length: usize,
    point: i32,
}

impl Decimal {
    /// Takes `ryu`'s forms apart: `12.5`, `0.001`, `1e16`, `1.5e-7`.
    fn parse(text: &[u8]) -> Self {
        let mut decimal = Self { digits: [0; 24], length: 0, point: 0 };
        let mut after_point = false;
        for (at, &byte) in text.iter().enumerate() {
            match byte {
                b'.' => after_point = true,
                b'e' => {
                    decimal.point += exponent(&text[at + 1..]);
                    break;
                }
                b'0' if decimal.length == 0 => decimal.point -= i32::from(after_point),
                digit => {
                    if let Some(slot) = decimal.digits.get_mut(decimal.length) {
                        *slot = digit;
                        decimal.length += 1;
                    }
                    decimal.point += i32::from(!after_point);
                }
            }
        }
        while decimal.length > 1 && decimal.digits[decimal.length - 1] == b'0' {
            decimal.length -= 1;
        }
        decimal
    }

    fn digits(&self) -> &[u8] {
        &self.digits[..self.length.max(1)]
    }
}

fn exponent(text: &[u8]) -> i32 {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The number that up to eighteen digits, without a sign, stand for: nearly every number in a
/// log, in a few instructions.
#[inline]
pub fn short_whole(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    digits
        .iter()
        .try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: f64) -> String {
        let mut out = Vec::new();
        push_float(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_read_as_node_exporter_prints_them() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-42.0, "-42"),
            (999_999.0, "999999"),
            (1e6, "1e+06"),
            (8_885_917.0, "8.885917e+06"),
            (1_418_183_276.0, "1.418183276e+09"),
            (3_831_959_552.0, "3.831959552e+09"),
            (123_456.789, "123456.789"),
            (10_870.69, "10870.69"),
            (0.01, "0.01"),
            (0.0001, "0.0001"),
            (0.000_012_5, "1.25e-05"),
            (-1.5e-7, "-1.5e-07"),
            (1e21, "1e+21"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ];
        for (value, text) in cases {
            assert_eq!(written(value), text);
        }
    }

    proptest! {
        #[test]
        fn every_number_reads_back_as_itself(value: f64) {
            let text = written(value);
            let back: f64 = text.parse().unwrap();
            prop_assert!(back == value || (back.is_nan() && value.is_nan()), "{value:e} {text}");
        }

        #[test]
        fn the_form_depends_on_the_size_alone(value in -1e9..1e9f64) {
            let text = written(value);
            let small = value.abs() < 1e-4 && value != 0.0;
            prop_assert_eq!(text.contains('e'), small || value.abs() >= 1e6, "{}", text);
        }
    }
}
