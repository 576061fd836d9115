//! Sizes, durations, and the settings that every component has in common.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

/// A number of bytes, written `10MiB`, `64KiB`, `1GB` or as a bare number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// A length of time, written `250ms`, `30s`, `5m`, `1h30m` or `1d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

const SIZES: [(&str, u64); 10] = [
    ("", 1),
    ("B", 1),
    ("KB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];

const PERIODS: [(&str, u64); 6] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
];

impl ByteSize {
    /// As a length in memory.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("found `{text}`, expected a size such as `10MiB` or `64KB`");
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let count: u64 = text[..digits].parse().map_err(|_| wrong())?;
        let unit = text[digits..].trim();
        let (_, factor) =
            SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(wrong)?;
        count.checked_mul(*factor).map(Self).ok_or_else(wrong)
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("found `{text}`, expected a duration such as `30s`, `5m` or `1h30m`");
        let mut rest = text.trim();
        let mut total = 0u64;
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let count: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
            let unit = &rest[..letters];
            rest = rest[letters..].trim_start();
            let (_, factor) = PERIODS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
            let part = count.checked_mul(*factor).ok_or_else(wrong)?;
            total = total.checked_add(part).ok_or_else(wrong)?;
        }
        Ok(Self(Duration::from_millis(total)))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, factor): &&(&str, u64)| self.0 >= *factor && self.0.is_multiple_of(*factor);
        match SIZES.iter().rev().filter(|(name, _)| name.ends_with("iB")).find(fits) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let fits = |(_, factor): &&(&str, u64)| millis >= *factor && millis.is_multiple_of(*factor);
        match PERIODS.iter().rev().find(fits) {
            Some((unit, factor)) => write!(f, "{}{unit}", millis / factor),
            None => write!(f, "{millis}ms"),
        }
    }
}

/// A quantity that people write as text, with a unit.
trait Written: FromStr<Err = String> {
    /// What a config should have here.
    const EXPECTED: &'static str;

    /// The quantity that a bare number stands for, if it stands for any.
    fn of_number(number: u64) -> Option<Self>;
}

impl Written for ByteSize {
    const EXPECTED: &'static str = "a size such as `10MiB`";

    fn of_number(number: u64) -> Option<Self> {
        Some(Self(number))
    }
}

impl Written for Period {
    const EXPECTED: &'static str = "a duration such as `30s` or `5m`";

    /// A number without a unit could mean seconds or milliseconds.
    fn of_number(_: u64) -> Option<Self> {
        None
    }
}

struct WrittenVisitor<T>(std::marker::PhantomData<T>);

impl<T: Written> de::Visitor<'_> for WrittenVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        T::of_number(number).ok_or_else(|| E::invalid_type(de::Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(de::Unexpected::Signed(number), &self)),
        }
    }
}

macro_rules! written_as_text {
    ($type:ident, $pattern:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(WrittenVisitor::<Self>(std::marker::PhantomData))
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": ["string", "integer"],
                    "pattern": $pattern,
                    "description": <$type as Written>::EXPECTED,
                })
            }
        }
    };
}

written_as_text!(ByteSize, "^[0-9]+ *([KMGT]i?)?B?$");
written_as_text!(Period, "^([0-9]+(ms|s|m|h|d|w) *)+$");

/// When a request is full.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchSettings {
    /// Send once the encoded records take this much.
    pub bytes: ByteSize,
    /// Send once there are this many records.
    pub records: u64,
    /// Send once the oldest record has waited this long.
    pub age: Period,
}

impl Default for BatchSettings {
    fn default() -> Self {
        let age = Period(Duration::from_secs(1));
        Self { bytes: ByteSize(1 << 20), records: u64::MAX, age }
    }
}

/// How a request that met a passing fault is tried again. By default there is no limit to the
/// attempts: a sink that is away holds its source back, and nothing is lost.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetrySettings {
    /// The first pause; it doubles with each attempt. Up to a quarter is taken off at random, so
    /// that many agents do not come back at the same moment.
    pub initial: Period,
    /// The longest pause, unless the other side asks for a longer one.
    pub max: Period,
    /// After so many attempts the request's records are given up: to the `dead_letter`, or
    /// dropped and counted. Without end where it is not said.
    pub attempts: Option<NonZeroU32>,
}

impl Default for RetrySettings {
    fn default() -> Self {
        let seconds = |n| Period(Duration::from_secs(n));
        Self { initial: seconds(1), max: seconds(30), attempts: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_read_as_people_write_them() {
        assert_eq!("10MiB".parse(), Ok(ByteSize(10 << 20)));
        assert_eq!("64 KB".parse(), Ok(ByteSize(64_000)));
        assert_eq!("1h30m".parse(), Ok(Period(Duration::from_secs(5400))));
        assert_eq!("250ms".parse(), Ok(Period(Duration::from_millis(250))));
        for wrong in ["", "5", "5 parsecs", "-1s", "99999999999999999999s", "1.5h"] {
            assert!(wrong.parse::<Period>().is_err(), "{wrong}");
        }
        for wrong in ["", "MiB", "5XB", "99999999999TiB"] {
            assert!(wrong.parse::<ByteSize>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_printed_reads_back() {
        for text in ["10MiB", "1000", "1GiB"] {
            assert_eq!(text.parse::<ByteSize>().unwrap().to_string(), text);
        }
        for text in ["90m", "1d", "1500ms"] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
    }
}
