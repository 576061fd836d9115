//! The zone of times that do not say theirs.

use crate::event::moment::Moment;
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use std::borrow::Cow;

/// The zone of times that do not say theirs: `local` (the host's), `UTC`, or a name such as
/// `Europe/Berlin`.
///
/// The rules of a named zone are the host's where it has them, else those that are built in, since
/// containers often have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Timezone {
    /// The host's, as `TZ` or `/etc/localtime` have it.
    #[default]
    Local,
    /// Universal time.
    Utc,
    /// A zone of the IANA's list.
    Named(TimeZone),
}

impl Timezone {
    fn named(text: &str) -> Result<Self, String> {
        match text {
            "local" => Ok(Self::Local),
            "UTC" | "utc" | "Z" => Ok(Self::Utc),
            name => TimeZone::get(name).map(Self::Named).map_err(|_| {
                format!("`{name}` is no time zone; write `local`, `UTC` or a name such as `Europe/Berlin`")
            }),
        }
    }
}

impl<'de> Deserialize<'de> for Timezone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        Self::named(&text).map_err(de::Error::custom)
    }
}

impl JsonSchema for Timezone {
    fn schema_name() -> Cow<'static, str> {
        "Timezone".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "`local`, `UTC`, or a name such as `Europe/Berlin`.",
        })
    }
}

/// Turns what clocks show into moments. Remembers the last answer, since lines that follow each
/// other were written at about the same time.
pub(super) struct Clock {
    zone: TimeZone,
    /// A quarter of an hour, in which no zone changes, and its offset in seconds.
    last: Option<(i64, i64)>,
}

const QUARTER_SECONDS: i64 = 900;
const NS: i64 = 1_000_000_000;

impl Clock {
    pub(super) fn new(zone: &Timezone) -> Self {
        let zone = match zone {
            Timezone::Local => TimeZone::system(),
            Timezone::Utc => TimeZone::UTC,
            Timezone::Named(zone) => zone.clone(),
        };
        Self { zone, last: None }
    }

    /// Seconds that clocks in the zone are ahead, when they show `local_seconds`. Where clocks
    /// were set back and show a time twice, the first one is meant; a time that they skipped
    /// counts as if they had not.
    fn offset(&self, local_seconds: i64) -> i64 {
        let ahead = || {
            let shown = Timestamp::from_second(local_seconds).ok()?;
            let shown = Offset::UTC.to_datetime(shown);
            let moment = self.zone.to_ambiguous_timestamp(shown).compatible().ok()?;
            Some(local_seconds - moment.as_second())
        };
        // Only beyond the year 9999.
        ahead().unwrap_or(0)
    }

    /// Nanoseconds since the epoch.
    pub(super) fn time_ns(&mut self, moment: Moment) -> i64 {
        let shown = match moment {
            Moment::Utc(time_ns) => return time_ns,
            Moment::Local(shown) => shown,
        };
        let quarter = shown.div_euclid(NS * QUARTER_SECONDS);
        let offset = match self.last {
            Some((known, offset)) if known == quarter => offset,
            _ => {
                let offset = self.offset(shown.div_euclid(NS));
                self.last = Some((quarter, offset));
                offset
            }
        };
        shown.saturating_sub(offset * NS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::moment::rfc3339;
    use crate::event::time::write_rfc3339;

    fn utc(zone: &str, text: &str) -> String {
        let mut clock = Clock::new(&Timezone::named(zone).unwrap());
        let mut out = Vec::new();
        write_rfc3339(&mut out, clock.time_ns(rfc3339(text.as_bytes()).unwrap()));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_a_clock_shows_depends_on_the_zone_and_the_season() {
        let berlin = |text| utc("Europe/Berlin", text);
        assert_eq!(berlin("2024-01-15 12:00:00"), "2024-01-15T11:00:00Z");
        assert_eq!(berlin("2024-07-15 12:00:00"), "2024-07-15T10:00:00Z");
        // Shown twice: the first one; skipped: as if clocks had not been set.
        assert_eq!(berlin("2024-10-27 02:30:00"), "2024-10-27T00:30:00Z");
        assert_eq!(berlin("2024-03-31 02:30:00"), "2024-03-31T01:30:00Z");
        assert_eq!(utc("UTC", "2024-07-15 12:00:00"), "2024-07-15T12:00:00Z");
        assert_eq!(utc("Asia/Kathmandu", "2024-07-15 12:00:00"), "2024-07-15T06:15:00Z");
        // What says its zone needs none.
        assert_eq!(berlin("2024-07-15T12:00:00Z"), "2024-07-15T12:00:00Z");
        assert!(Timezone::named("Europe/Berlyn").unwrap_err().contains("is no time zone"));
    }

    #[test]
    fn the_remembered_answer_is_the_one_that_would_be_found() {
        let mut clock = Clock::new(&Timezone::named("Europe/Berlin").unwrap());
        // Through the night in which clocks are set, in steps of seven minutes.
        let start = 1_711_836_000;
        for shown in (start..start + 30_000).step_by(420) {
            let found = clock.time_ns(Moment::Local(shown * NS));
            assert_eq!(found, (shown - clock.offset(shown)) * NS);
        }
    }
}
