//! Times as logs write them, many of which leave the zone or the year to the reader.

use super::time::{DAY, NS, civil, clock, days, fraction, month, total, two, zone};

/// What a text says about a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nanoseconds since the epoch.
    Utc(i64),
    /// What a clock on the wall showed, as if that wall were in UTC; the zone is not told.
    Local(i64),
}

/// A time and what follows it in the text.
type Read<'t> = Option<(Moment, &'t [u8])>;

/// Reads RFC 3339 as [`super::time::parse_rfc3339`] does, and says whether a zone was given.
pub fn rfc3339(text: &[u8]) -> Option<Moment> {
    let (local, rest) = date_and_clock(text, b'-')?;
    match rest {
        [] => Some(Moment::Local(local)),
        [b'Z' | b'z'] => Some(Moment::Utc(local)),
        _ => at_offset(local, zone(rest)?),
    }
}

/// `2016/10/25 14:49:34`, as nginx writes it in its error log.
pub fn slashed(text: &[u8]) -> Read<'_> {
    let (local, rest) = date_and_clock(text, b'/')?;
    Some((Moment::Local(local), rest))
}

/// `06/Feb/2009:12:14:14.655`, as haproxy writes it: the common log format's without a zone.
pub fn haproxy(text: &[u8]) -> Option<Moment> {
    let &[d1, d2, b'/', a, b, c, b'/', y1, y2, y3, y4, b':', ref rest @ ..] = text else {
        return None;
    };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let day = days(year, month([a, b, c])?, two(d1, d2)?)?;
    match time_of(day, rest)? {
        (local, []) => Some(Moment::Local(local)),
        (local, [b' ', rest @ ..]) => at_offset(local, zone(rest)?),
        _ => None,
    }
}

/// `Sun Dec 04 04:47:44.123456 2005`, as Apache and C's `asctime` write it; the fraction may be
/// missing.
pub fn asctime(text: &[u8]) -> Option<Moment> {
    let (&[_, _, _, b' ', a, b, c, b' ', d1, d2, b' '], rest) = text.split_first_chunk()? else {
        return None;
    };
    let (second, nanos, rest) = clock_and_fraction(rest)?;
    let &[b' ', y1, y2, y3, y4] = rest else { return None };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let local = total(days(year, month([a, b, c])?, day_number(d1, d2)?)?, second, nanos)?;
    Some(Moment::Local(local))
}

/// `Oct 11 22:14:15` of RFC 3164, also with a year after the day and with a fraction; where the
/// year is missing it is guessed.
///
/// The year is the latest one in which the time lies no more than a day after `now_ns`: nobody
/// writes of the future, but clocks differ.
pub fn rfc3164(text: &[u8], now_ns: i64) -> Read<'_> {
    let (&[a, b, c, b' ', d1, d2, b' '], rest) = text.split_first_chunk()? else { return None };
    let (month, day) = (month([a, b, c])?, day_number(d1, d2)?);
    if let &[y1, y2, y3, y4, b' ', ref rest @ ..] = rest
        && rest.get(2) == Some(&b':')
    {
        let year = two(y1, y2)? * 100 + two(y3, y4)?;
        let (local, rest) = time_of(days(year, month, day)?, rest)?;
        return Some((Moment::Local(local), rest));
    }
    let (second, nanos, rest) = clock_and_fraction(rest)?;
    Some((Moment::Local(guess(month, day, second, nanos, now_ns)?), rest))
}

/// `0505 17:59:40.692994` of klog, where the year is guessed as [`rfc3164`] does.
pub fn klog(text: &[u8], now_ns: i64) -> Read<'_> {
    let (&[m1, m2, d1, d2, b' '], rest) = text.split_first_chunk()? else { return None };
    let (second, nanos, rest) = clock_and_fraction(rest)?;
    Some((Moment::Local(guess(two(m1, m2)?, two(d1, d2)?, second, nanos, now_ns)?), rest))
}

/// `20210131 14:48:54.411655` of glog.
pub fn glog(text: &[u8]) -> Read<'_> {
    let (&[y1, y2, y3, y4, m1, m2, d1, d2, b' '], rest) = text.split_first_chunk()? else {
        return None;
    };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let (local, rest) = time_of(days(year, two(m1, m2)?, two(d1, d2)?)?, rest)?;
    Some((Moment::Local(local), rest))
}

/// The latest year in which a date lies no more than a day after `now_ns`, as a time.
fn guess(month: i64, day: i64, second: i64, nanos: i64, now_ns: i64) -> Option<i64> {
    let limit = now_ns.saturating_add(DAY * NS);
    let year = year_of(limit);
    // A 29 February may be up to eight years back (around 1900, 2100 and 2200).
    (year - 8..=year)
        .rev()
        .filter_map(|year| total(days(year, month, day)?, second, nanos))
        .find(|local| *local <= limit)
}

/// The year in which a moment lies, in UTC.
pub fn year_of(time_ns: i64) -> i64 {
    civil(time_ns.div_euclid(DAY * NS)).0
}

/// `2016-10-25`, then `T`, `t` or a blank, then the time with or without a fraction.
fn date_and_clock(text: &[u8], mark: u8) -> Option<(i64, &[u8])> {
    let &[y1, y2, y3, y4, one, m1, m2, two_, d1, d2, b'T' | b't' | b' ', ref rest @ ..] = text
    else {
        return None;
    };
    if one != mark || two_ != mark {
        return None;
    }
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    time_of(days(year, two(m1, m2)?, two(d1, d2)?)?, rest)
}

fn time_of(day: i64, text: &[u8]) -> Option<(i64, &[u8])> {
    let (second, nanos, rest) = clock_and_fraction(text)?;
    Some((total(day, second, nanos)?, rest))
}

/// `13:55:36` or `13:55:36.123`: second of the day, nanoseconds, and what follows.
fn clock_and_fraction(text: &[u8]) -> Option<(i64, i64, &[u8])> {
    let (second, rest) = clock(text)?;
    let (nanos, rest) = match rest {
        [b'.' | b',', rest @ ..] => fraction(rest)?,
        _ => (0, rest),
    };
    Some((second, nanos, rest))
}

/// A day of one digit may have a blank or a zero before it.
fn day_number(tens: u8, ones: u8) -> Option<i64> {
    two(if tens == b' ' { b'0' } else { tens }, ones)
}

fn at_offset(local: i64, offset_seconds: i64) -> Option<Moment> {
    local.checked_sub(offset_seconds * NS).map(Moment::Utc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::time::parse_rfc3339;
    use proptest::prelude::*;

    fn at(text: &str) -> i64 {
        parse_rfc3339(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_missing_zone_is_told_from_a_given_one() {
        let noon = at("2024-02-29T12:00:00Z");
        assert_eq!(rfc3339(b"2024-02-29 12:00:00"), Some(Moment::Local(noon)));
        assert_eq!(rfc3339(b"2024-02-29T14:00:00+02:00"), Some(Moment::Utc(noon)));
        assert_eq!(haproxy(b"29/Feb/2024:12:00:00.000"), Some(Moment::Local(noon)));
        assert_eq!(asctime(b"Thu Feb 29 12:00:00 2024"), Some(Moment::Local(noon)));
        assert_eq!(slashed(b"2024/02/29 12:00:00 x"), Some((Moment::Local(noon), &b" x"[..])));
        assert_eq!(glog(b"20240229 12:00:00 x"), Some((Moment::Local(noon), &b" x"[..])));
    }

    #[test]
    fn a_missing_year_is_the_latest_that_fits() {
        let read = |text: &str, now: &str| match rfc3164(text.as_bytes(), at(now)).unwrap().0 {
            Moment::Local(time) | Moment::Utc(time) => time,
        };
        for (text, now, expected) in [
            ("Oct 11 22:14:15", "2026-10-12T00:00:00Z", "2026-10-11T22:14:15Z"),
            ("Dec 31 23:59:59", "2026-01-01T00:00:01Z", "2025-12-31T23:59:59Z"),
            // A clock that is a little ahead, over the turn of the year too.
            ("Jan  1 00:00:05", "2025-12-31T23:59:59Z", "2026-01-01T00:00:05Z"),
            ("Jun  5 00:00:00", "2026-06-03T12:00:00Z", "2025-06-05T00:00:00Z"),
            ("Feb 29 01:00:00", "2027-03-01T00:00:00Z", "2024-02-29T01:00:00Z"),
            ("Feb  9 2003 01:00:00.5", "2027-03-01T00:00:00Z", "2003-02-09T01:00:00.5Z"),
        ] {
            assert_eq!(read(text, now), at(expected), "{text} at {now}");
        }
        assert_eq!(rfc3164(b"Foo 11 22:14:15", 0), None);
        assert_eq!(rfc3164(b"Feb 30 22:14:15", 0), None);
        let klog = klog(b"0505 17:59:40.692994  1", at("2026-11-01T00:00:00Z")).unwrap();
        assert_eq!(klog, (Moment::Local(at("2026-05-05T17:59:40.692994Z")), &b"  1"[..]));
    }

    proptest! {
        #[test]
        fn no_text_brings_the_readers_down(text: Vec<u8>, now: i64) {
            rfc3339(&text);
            slashed(&text);
            haproxy(&text);
            asctime(&text);
            glog(&text);
            rfc3164(&text, now);
            klog(&text, now);
        }

        #[test]
        fn a_guess_is_never_far_ahead(
            now in 0i64..4_000_000_000_000_000_000, month in 1i64..13, day in 1i64..32,
        ) {
            if let Some(time) = guess(month, day, 0, 0, now) {
                prop_assert!(time <= now + DAY * NS);
            }
        }
    }
}
