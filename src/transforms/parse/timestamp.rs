//! Reading a record's time from one of its fields.

use super::options::{OnBadTime, TimestampSettings};
use super::zone::{Clock, Timezone};
use crate::event::log::FieldRef;
use crate::event::moment::{Moment, asctime, rfc3164, rfc3339, year_of};
use crate::event::time::{from_epoch, parse_clf};
use chrono::format::{Item, Parsed, StrftimeItems, parse};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use std::borrow::Cow;

/// One way in which a time may be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeFormat(String);

const NAMES: [&str; 8] =
    ["rfc3339", "unix", "unix_ms", "unix_us", "unix_ns", "clf", "syslog", "asctime"];

impl<'de> Deserialize<'de> for TimeFormat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        if NAMES.contains(&&*text) {
            return Ok(Self(text.into_owned()));
        }
        if !text.contains('%') {
            return Err(de::Error::custom(format!(
                "`{text}` is neither a form of time ({}) nor has it a code such as `%Y`",
                NAMES.join(", ")
            )));
        }
        if StrftimeItems::new(&text).any(|item| item == Item::Error) {
            return Err(de::Error::custom(format!("`{text}` has a code that there is not")));
        }
        Ok(Self(text.into_owned()))
    }
}

impl JsonSchema for TimeFormat {
    fn schema_name() -> Cow<'static, str> {
        "TimeFormat".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string"})
    }
}

/// A form, ready to read.
enum Form {
    Rfc3339,
    /// A number, and how many nanoseconds one is.
    Unix(i64),
    Clf,
    Syslog,
    Asctime,
    Codes(Vec<Item<'static>>),
}

impl Form {
    fn new(format: &TimeFormat) -> Self {
        match format.0.as_str() {
            "rfc3339" => Self::Rfc3339,
            "unix" => Self::Unix(1_000_000_000),
            "unix_ms" => Self::Unix(1_000_000),
            "unix_us" => Self::Unix(1_000),
            "unix_ns" => Self::Unix(1),
            "clf" => Self::Clf,
            "syslog" => Self::Syslog,
            "asctime" => Self::Asctime,
            codes => Self::Codes(StrftimeItems::new(codes).map(Item::to_owned).collect()),
        }
    }

    fn read(&self, text: &[u8], now_ns: i64) -> Option<Moment> {
        match self {
            Self::Rfc3339 => rfc3339(text),
            Self::Unix(unit_ns) => epoch(text, *unit_ns).map(Moment::Utc),
            Self::Clf => parse_clf(text).map(Moment::Utc),
            Self::Syslog => {
                rfc3164(text, now_ns).filter(|(_, rest)| rest.is_empty()).map(|(moment, _)| moment)
            }
            Self::Asctime => asctime(text),
            Self::Codes(items) => codes(items, std::str::from_utf8(text).ok()?, now_ns),
        }
    }
}

/// Reads the times of records.
pub(super) struct Reader {
    pub(super) on_error: OnBadTime,
    forms: Vec<Form>,
    clock: Clock,
}

impl Reader {
    pub(super) fn new(config: &TimestampSettings, timezone: &Timezone) -> Self {
        Self {
            on_error: config.on_error,
            forms: config.formats.iter().map(Form::new).collect(),
            clock: Clock::new(config.timezone.as_ref().unwrap_or(timezone)),
        }
    }

    /// The time that a field holds, in nanoseconds since the epoch.
    pub(super) fn read(&mut self, value: FieldRef<'_>, now_ns: i64) -> Option<i64> {
        let text = value.as_text();
        let moment = if self.forms.is_empty() {
            match &text {
                Some(text) => rfc3339(text)?,
                None => Moment::Utc(from_epoch(value.as_number()?)?),
            }
        } else {
            let text = match (text, value) {
                (Some(text), _) => text,
                (None, FieldRef::Json(raw)) => Cow::Borrowed(raw),
                (None, FieldRef::Int(_) | FieldRef::Float(_)) => {
                    let mut digits = Vec::new();
                    value.write_display(&mut digits);
                    Cow::Owned(digits)
                }
                _ => return None,
            };
            self.forms.iter().find_map(|form| form.read(&text, now_ns))?
        };
        Some(self.clock.time_ns(moment))
    }
}

/// A decimal number of units, exactly.
fn epoch(text: &[u8], unit_ns: i64) -> Option<i64> {
    let (sign, text) = match text.strip_prefix(b"-") {
        Some(text) => (-1, text),
        None => (1, text),
    };
    let (whole, fraction) = super::text::until(text, b'.').unwrap_or((text, &[]));
    let digits = |text: &[u8]| -> Option<i64> { std::str::from_utf8(text).ok()?.parse().ok() };
    if !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return None;
    }
    let whole = digits(whole)?.checked_mul(unit_ns)?;
    let (mut part, mut place) = (0, unit_ns);
    for digit in fraction {
        place /= 10;
        part += i64::from(digit - b'0') * place;
    }
    whole.checked_add(part)?.checked_mul(sign)
}

/// Reads a time by strftime's codes. What is missing of the time of day is zero.
fn codes(items: &[Item<'static>], text: &str, now_ns: i64) -> Option<Moment> {
    let mut parsed = Parsed::new();
    parse(&mut parsed, text, items.iter()).ok()?;
    if parsed.timestamp().is_some() {
        let time = parsed.to_naive_datetime_with_offset(0).ok()?;
        return time.and_utc().timestamp_nanos_opt().map(Moment::Utc);
    }
    if parsed.hour_div_12().is_none() && parsed.hour_mod_12().is_none() {
        parsed.set_hour(0).ok()?;
    }
    if parsed.minute().is_none() {
        parsed.set_minute(0).ok()?;
    }
    let offset = parsed.offset();
    let shown = |parsed: &Parsed| {
        parsed.to_naive_datetime_with_offset(0).ok()?.and_utc().timestamp_nanos_opt()
    };
    // The offset is taken into account below; with it the library would ask for both to agree.
    let has_year =
        parsed.year().is_some() || parsed.isoyear().is_some() || parsed.year_mod_100().is_some();
    let local = if has_year {
        shown(&parsed)?
    } else {
        let limit = now_ns.saturating_add(86_400_000_000_000);
        let year = year_of(limit);
        (year - 8..=year).rev().find_map(|year| {
            let mut parsed = parsed.clone();
            parsed.set_year(year).ok()?;
            shown(&parsed).filter(|local| *local <= limit)
        })?
    };
    match offset {
        Some(seconds) => local.checked_sub(i64::from(seconds) * 1_000_000_000).map(Moment::Utc),
        None => Some(Moment::Local(local)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::time::{parse_rfc3339, write_rfc3339};
    use proptest::prelude::*;

    const NOW: &str = "2026-03-01T00:00:00Z";

    fn reader(yaml: &str) -> Reader {
        Reader::new(&serde_yaml::from_str(yaml).unwrap(), &Timezone::Utc)
    }

    fn read(formats: &str, text: &str) -> Option<String> {
        let mut reader =
            reader(&format!("{{field: t, timezone: Europe/Berlin, formats: {formats}}}"));
        let now = parse_rfc3339(NOW.as_bytes()).unwrap();
        let time_ns = reader.read(FieldRef::Text(text.as_bytes()), now)?;
        let mut out = Vec::new();
        write_rfc3339(&mut out, time_ns);
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn each_form_is_read_and_the_first_that_fits_counts() {
        for (formats, text, time) in [
            ("[rfc3339]", "2024-02-29T12:00:00Z", "2024-02-29T12:00:00Z"),
            ("[rfc3339]", "2024-02-29 12:00:00", "2024-02-29T11:00:00Z"),
            ("[unix]", "1709208000.25", "2024-02-29T12:00:00.250Z"),
            ("[unix]", "-0.5", "1969-12-31T23:59:59.500Z"),
            ("[unix_ms]", "1709208000123", "2024-02-29T12:00:00.123Z"),
            ("[unix_us]", "1709208000123456", "2024-02-29T12:00:00.123456Z"),
            ("[unix_ns]", "1709208000123456789", "2024-02-29T12:00:00.123456789Z"),
            ("[clf]", "29/Feb/2024:14:00:00 +0200", "2024-02-29T12:00:00Z"),
            ("[syslog]", "Feb  9 12:00:00", "2026-02-09T11:00:00Z"),
            ("[syslog]", "Dec  9 12:00:00", "2025-12-09T11:00:00Z"),
            ("[asctime]", "Thu Feb 29 12:00:00 2024", "2024-02-29T11:00:00Z"),
            ("['%d.%m.%Y %H:%M']", "29.02.2024 12:00", "2024-02-29T11:00:00Z"),
            (
                "['%Y-%m-%d %H:%M:%S%.f %z']",
                "2024-02-29 12:00:00.5 -0700",
                "2024-02-29T19:00:00.500Z",
            ),
            (
                "['%Y-%m-%dT%H:%M:%S,%3f%:z']",
                "2024-02-29T12:00:00,500+02:00",
                "2024-02-29T10:00:00.500Z",
            ),
            ("['%b %e %I:%M:%S %p']", "Feb  9 01:00:00 PM", "2026-02-09T12:00:00Z"),
            ("['%Y%m%d']", "20240229", "2024-02-28T23:00:00Z"),
            ("['%s']", "1709208000", "2024-02-29T12:00:00Z"),
            ("[unix, rfc3339]", "2024-02-29T12:00:00Z", "2024-02-29T12:00:00Z"),
        ] {
            assert_eq!(read(formats, text).as_deref(), Some(time), "{formats} {text}");
        }
        assert_eq!(read("[unix]", "2024-02-29T12:00:00Z"), None);
        assert_eq!(read("[unix]", "99999999999999"), None);
        assert_eq!(read("['%Y']", "2024x"), None);
    }

    #[test]
    fn a_form_that_there_is_not_is_refused_when_the_config_is_read() {
        for (format, words) in
            [("iso", "neither a form of time"), ("'%Q'", "a code that there is not")]
        {
            let error = serde_yaml::from_str::<TimeFormat>(format).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_brings_the_readers_down(text: Vec<u8>, digits in "-?[0-9.]{0,30}", now: i64) {
            let mut all = reader(
                "{field: t, formats: [rfc3339, unix, unix_ms, unix_ns, clf, syslog, asctime, \
                 '%Y-%m-%d %H:%M:%S%.f %z', '%d %b %I:%M %p', '%s', '%j %G %V %u']}",
            );
            all.read(FieldRef::Text(&text), now);
            all.read(FieldRef::Text(digits.as_bytes()), now);
        }
    }
}
