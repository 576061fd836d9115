//! What a time is on the calendar, in UTC.

use super::functions::Calendar;
use chrono::{DateTime, Datelike as _, Timelike as _, Utc};

/// A part of a time in seconds since the epoch; no number where there is no such time.
pub(super) fn part(part: Calendar, seconds: f64) -> f64 {
    // What is beyond the range of the integer has no place on the calendar either.
    let Some(time) = DateTime::<Utc>::from_timestamp(seconds as i64, 0) else { return f64::NAN };
    if seconds.is_nan() {
        return f64::NAN;
    }
    f64::from(match part {
        Calendar::Minute => time.minute(),
        Calendar::Hour => time.hour(),
        Calendar::DayOfWeek => time.weekday().num_days_from_sunday(),
        Calendar::DayOfMonth => time.day(),
        Calendar::DayOfYear => time.ordinal(),
        Calendar::DaysInMonth => u32::from(time.num_days_in_month()),
        Calendar::Month => time.month(),
        Calendar::Year => return f64::from(time.year()),
    })
}
