//! What time the host thinks it is, and in which zone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::host::sys;

/// The zone that the host's clock on the wall is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its abbreviation as of now: `UTC`, `CET`, `CEST`.
    pub name: String,
    /// Seconds east of UTC.
    pub offset_seconds: i64,
}

/// Time since the epoch; zero where the clock stands before it.
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The zone in force at `time`, from the TZ variable or `/etc/localtime`.
pub fn zone_at(time: Duration) -> Zone {
    let (name, offset_seconds) = sys::local_zone(time.as_secs());
    Zone { name, offset_seconds }
}

/// Nanoseconds since the epoch; zero where the clock stands before it.
pub fn now_ns() -> i64 {
    i64::try_from(now().as_nanos()).unwrap_or(i64::MAX)
}
