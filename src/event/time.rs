//! Times in text: written and read by hand, since a log has one in every line.
//!
//! All times are nanoseconds since the epoch, which reach from 1677 to 2262.

use super::moment::Moment;

pub(super) const NS: i64 = 1_000_000_000;
pub(super) const DAY: i64 = 86_400;

/// Appends a time as RFC 3339 in UTC. The fraction has three, six or nine digits, as many as
/// the time needs, and is left out where it is zero.
pub fn write_rfc3339(out: &mut Vec<u8>, time_ns: i64) {
    let seconds = time_ns.div_euclid(NS);
    let nanos = time_ns.rem_euclid(NS);
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY);
    digits(out, year, 4);
    for (mark, value) in [
        (b'-', month),
        (b'-', day),
        (b'T', second / 3600),
        (b':', second / 60 % 60),
        (b':', second % 60),
    ] {
        out.push(mark);
        digits(out, value, 2);
    }
    if nanos != 0 {
        out.push(b'.');
        match (nanos % 1_000_000, nanos % 1_000) {
            (0, _) => digits(out, nanos / 1_000_000, 3),
            (_, 0) => digits(out, nanos / 1_000, 6),
            _ => digits(out, nanos, 9),
        }
    }
    out.push(b'Z');
}

/// Appends the lowest `count` digits of `value`.
fn digits(out: &mut Vec<u8>, value: i64, count: u32) {
    for place in (0..count).rev() {
        let digit = value / 10i64.pow(place) % 10;
        out.push(b'0' + u8::try_from(digit).unwrap_or(0));
    }
}

/// Reads RFC 3339, and what people write nearly like it: a blank or `t` for `T`, a comma before
/// the fraction, `+0200` for `+02:00`, and no zone at all, which counts as UTC.
pub fn parse_rfc3339(text: &[u8]) -> Option<i64> {
    match super::moment::rfc3339(text)? {
        Moment::Utc(time_ns) | Moment::Local(time_ns) => Some(time_ns),
    }
}

/// Reads the time of the common log format: `10/Oct/2000:13:55:36 -0700`.
pub fn parse_clf(text: &[u8]) -> Option<i64> {
    let &[d1, d2, b'/', a, b, c, b'/', y1, y2, y3, y4, b':', ref rest @ ..] = text else {
        return None;
    };
    let (time, rest) = clock(rest)?;
    let [b' ', rest @ ..] = rest else { return None };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    total(days(year, month([a, b, c])?, two(d1, d2)?)?, time - zone(rest)?, 0)
}

/// A number since the epoch, in the unit that its size tells: seconds, milliseconds,
/// microseconds or nanoseconds. (Seconds reach the year 5138 before they look like milliseconds.)
pub fn from_epoch(number: f64) -> Option<i64> {
    const LATEST_IN_SECONDS: f64 = 1e11;
    let size = number.abs();
    let factor = if size < LATEST_IN_SECONDS {
        1e9
    } else if size < LATEST_IN_SECONDS * 1e3 {
        1e6
    } else if size < LATEST_IN_SECONDS * 1e6 {
        1e3
    } else {
        1.0
    };
    let fits = number.is_finite() && size * factor < 9.2e18;
    // A double has about 16 digits: what is below a microsecond is noise, except where the
    // number is one of nanoseconds, which is whole.
    #[expect(clippy::cast_possible_truncation, reason = "checked to fit")]
    let nanos = || {
        if factor == 1.0 { number as i64 } else { (number * factor / 1e3).round() as i64 * 1000 }
    };
    fits.then(nanos)
}

/// `13:55:36` at the start of `text`, as seconds of the day, and what follows.
pub(super) fn clock(text: &[u8]) -> Option<(i64, &[u8])> {
    let &[h1, h2, b':', m1, m2, b':', s1, s2, ref rest @ ..] = text else { return None };
    let (hour, minute, second) = (two(h1, h2)?, two(m1, m2)?, two(s1, s2)?);
    // 60 is a leap second.
    (hour < 24 && minute < 60 && second <= 60).then_some((hour * 3600 + minute * 60 + second, rest))
}

pub(super) fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(count)?;
    if digits.is_empty() {
        return None;
    }
    let padded = digits.iter().map(|digit| i64::from(digit - b'0')).chain(std::iter::repeat(0));
    Some((padded.take(9).fold(0, |sum, digit| sum * 10 + digit), rest))
}

/// `+02:00`, `-0700`, in seconds.
pub(super) fn zone(text: &[u8]) -> Option<i64> {
    let ([sign, h1, h2, b':', m1, m2] | [sign, h1, h2, m1, m2]) = *text else { return None };
    let seconds = two(h1, h2)? * 3600 + two(m1, m2)? * 60;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

pub(super) fn two(tens: u8, ones: u8) -> Option<i64> {
    let both = tens.is_ascii_digit() && ones.is_ascii_digit();
    both.then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

pub(super) fn month(name: [u8; 3]) -> Option<i64> {
    Some(match &name {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    })
}

pub(super) fn total(days: i64, seconds: i64, nanos: i64) -> Option<i64> {
    (days * DAY + seconds).checked_mul(NS)?.checked_add(nanos)
}

/// Days from the epoch to a date of the Gregorian calendar. Years are counted from March, so
/// that the leap day is the last one.
pub(super) fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day < 1 || day > longest {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(year * 365 + leap_days + day_of_year - EPOCH_FROM_MARCH_0)
}

/// Days from 1 March of the year 0 to 1 January 1970.
const EPOCH_FROM_MARCH_0: i64 = 719_468;
/// Days in the 400 years after which the calendar repeats.
const ERA: i64 = 146_097;

/// Year, month and day of a day counted from the epoch.
pub(super) fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_FROM_MARCH_0;
    let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = (from_march + 2) % 12 + 1;
    let year = era * 400 + year + i64::from(month <= 2);
    (year, month, day_of_year - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(time_ns: i64) -> String {
        let mut out = Vec::new();
        write_rfc3339(&mut out, time_ns);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn a_time_that_is_written_reads_back(time_ns: i64) {
            prop_assert_eq!(parse_rfc3339(written(time_ns).as_bytes()), Some(time_ns));
        }

        #[test]
        fn the_calendar_is_the_one_everybody_uses(seconds in -9_000_000_000i64..9_000_000_000) {
            let there = chrono::DateTime::from_timestamp(seconds, 0).unwrap();
            let there = there.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
            prop_assert_eq!(written(seconds * NS), there);
        }

        #[test]
        fn no_text_brings_the_readers_down(text: Vec<u8>, number: f64) {
            parse_rfc3339(&text);
            parse_clf(&text);
            from_epoch(number);
        }
    }

    #[test]
    fn a_fraction_has_as_many_digits_as_it_needs() {
        for (time_ns, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_500_000_000, "1970-01-01T00:00:01.500Z"),
            (1_000, "1970-01-01T00:00:00.000001Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
        ] {
            assert_eq!(written(time_ns), text);
        }
    }

    #[test]
    fn the_usual_spellings_are_read_and_nonsense_is_not() {
        let noon = Some(1_709_208_000_000_000_000);
        for text in [
            "2024-02-29T12:00:00Z",
            "2024-02-29 12:00:00",
            "2024-02-29t14:00:00,0+0200",
            "2024-02-29T05:00:00.000-07:00",
        ] {
            assert_eq!(parse_rfc3339(text.as_bytes()), noon, "{text}");
        }
        for text in [
            "",
            "2023-02-29T12:00:00Z",
            "2024-02-29T24:00:00Z",
            "2024-02-29T12:00:00.Z",
            "2024-02-29T12:00:00 UTC",
        ] {
            assert_eq!(parse_rfc3339(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_clf(b"29/Feb/2024:14:00:00 +0200"), noon);
        assert_eq!(parse_clf(b"29/Foo/2024:14:00:00 +0200"), None);
    }

    #[test]
    fn the_size_of_a_number_tells_its_unit() {
        let expected = Some(1_700_000_000_123_000_000);
        for number in [1_700_000_000.123, 1_700_000_000_123.0, 1_700_000_000_123_000.0] {
            assert_eq!(from_epoch(number), expected);
        }
        assert_eq!(from_epoch(f64::NAN), None);
        assert_eq!(from_epoch(1e300), None);
    }
}
