//! How requests are delivered: the settings that all sinks that send them have in common.

use super::request::Marking;
use super::settings::{BatchSettings, Period, RetrySettings};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// What a sink's config says of delivery, and what the sink itself knows of it.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    /// When a request is full.
    pub batch: BatchSettings,
    /// When it is tried again.
    pub retry: RetrySettings,
    /// How many are in flight at a time.
    pub concurrency: Concurrency,
    /// How many go in a while.
    pub rate_limit: Option<RateLimit>,
    /// How long an attempt may take; it then counts as one that met a passing fault.
    pub timeout: Option<Duration>,
    /// Whether requests of one destination go one after the other, whatever the concurrency.
    pub key_order: bool,
    /// Whether the server answers for each record, or may be sent some of them alone.
    pub partial: bool,
    /// Whether requests keep the extents of their records, for a journal.
    pub extents: bool,
    /// Destinations that are filled at a time. Beyond that the oldest goes first.
    pub open_requests: usize,
    /// Bytes that are held for all destinations together, but at least `batch.bytes`. Beyond that
    /// the oldest goes first.
    pub open_bytes: usize,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            batch: BatchSettings::default(),
            retry: RetrySettings::default(),
            concurrency: Concurrency::default(),
            rate_limit: None,
            timeout: None,
            key_order: true,
            partial: false,
            extents: false,
            open_requests: 1000,
            open_bytes: 16 << 20,
        }
    }
}

impl Delivery {
    /// What has to be noted of each record.
    pub(super) fn marking(&self, dead_letters: bool) -> Marking {
        match (dead_letters, self.partial) {
            (true, _) => Marking::Letters,
            (false, true) => Marking::Places,
            (false, false) => Marking::Nothing,
        }
    }
}

/// How many requests are in flight at a time: a number, or `adaptive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// So many.
    Fixed(u32),
    /// Begins with one; one more at a time while answers come as quickly as usual, half as many
    /// after a failure or a slow answer; 64 at the most.
    Adaptive,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self::Fixed(1)
    }
}

struct ConcurrencyVisitor;

impl de::Visitor<'_> for ConcurrencyVisitor {
    type Value = Concurrency;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number from 1 to 64, or `adaptive`")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Concurrency, E> {
        match u32::try_from(number) {
            Ok(number @ 1..=64) => Ok(Concurrency::Fixed(number)),
            _ => Err(E::invalid_value(de::Unexpected::Unsigned(number), &self)),
        }
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Concurrency, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(de::Unexpected::Signed(number), &self)),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Concurrency, E> {
        match text {
            "adaptive" => Ok(Concurrency::Adaptive),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }
}

impl<'de> Deserialize<'de> for Concurrency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ConcurrencyVisitor)
    }
}

impl JsonSchema for Concurrency {
    fn schema_name() -> Cow<'static, str> {
        "Concurrency".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "oneOf": [
                { "type": "integer", "minimum": 1, "maximum": 64 },
                {
                    "const": "adaptive",
                    "description": "Begins with one request; one more at a time while answers \
                                    come as quickly as usual, half as many after a failure or a \
                                    slow answer; 64 at the most.",
                },
            ],
        })
    }
}

/// How many requests go in a while, evenly spaced: a number for each second, or
/// `{requests: 100, per: 1m}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many.
    pub requests: u32,
    /// In how long.
    pub per: Period,
}

/// The long way to write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LongRate {
    /// How many requests.
    requests: u32,
    /// In how long.
    #[serde(default = "a_second")]
    per: Period,
}

fn a_second() -> Period {
    Period(Duration::from_secs(1))
}

struct RateVisitor;

impl<'de> de::Visitor<'de> for RateVisitor {
    type Value = RateLimit;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of requests each second, or `requests` with `per`")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<RateLimit, E> {
        match u32::try_from(number) {
            Ok(requests @ 1..) => Ok(RateLimit { requests, per: a_second() }),
            _ => Err(E::invalid_value(de::Unexpected::Unsigned(number), &self)),
        }
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<RateLimit, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(de::Unexpected::Signed(number), &self)),
        }
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<RateLimit, A::Error> {
        let long = LongRate::deserialize(de::value::MapAccessDeserializer::new(map))?;
        if long.requests == 0 || long.per.0.is_zero() {
            return Err(de::Error::custom("a rate of nothing lets nothing through"));
        }
        Ok(RateLimit { requests: long.requests, per: long.per })
    }
}

impl<'de> Deserialize<'de> for RateLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RateVisitor)
    }
}

impl JsonSchema for RateLimit {
    fn schema_name() -> Cow<'static, str> {
        "RateLimit".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let long = LongRate::json_schema(generator);
        schemars::json_schema!({ "oneOf": [{ "type": "integer", "minimum": 1 }, long] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_flight_and_rates_read_as_people_write_them() {
        let concurrency = |text: &str| serde_json::from_str::<Concurrency>(text);
        assert_eq!(concurrency("4").unwrap(), Concurrency::Fixed(4));
        assert_eq!(concurrency("\"adaptive\"").unwrap(), Concurrency::Adaptive);
        for wrong in ["0", "65", "-1", "\"many\""] {
            let refusal = concurrency(wrong).unwrap_err().to_string();
            assert!(refusal.contains("from 1 to 64, or `adaptive`"), "{refusal}");
        }
        let rate = |text: &str| serde_json::from_str::<RateLimit>(text);
        assert_eq!(rate("10").unwrap(), RateLimit { requests: 10, per: a_second() });
        let minute = rate(r#"{"requests": 100, "per": "1m"}"#).unwrap();
        assert_eq!(minute.per.0, Duration::from_secs(60));
        assert!(rate("0").is_err());
        assert!(rate(r#"{"requests": 1, "per": "0s"}"#).is_err());
    }
}
