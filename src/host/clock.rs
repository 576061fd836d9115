//! What time the host thinks it is, and in which zone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::libc;

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

/// How the kernel keeps its clock in step with the world, as adjtimex(2) tells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Discipline {
    /// Whether a reliable source of time is followed.
    pub is_synchronized: bool,
    /// Seconds that the clock is ahead of that source.
    pub offset_seconds: f64,
    /// How much faster than by itself the clock is made to run, 1 being not at all.
    pub frequency_ratio: f64,
    /// The clock is wrong by no more than this, in seconds.
    pub largest_error_seconds: f64,
    /// The clock is wrong by about this, in seconds.
    pub estimated_error_seconds: f64,
    /// `STA_*` in bits.
    pub status: f64,
    /// How slowly corrections are made.
    pub time_constant: f64,
    /// Seconds between two ticks.
    pub tick_seconds: f64,
    /// Seconds that atomic time is ahead of UTC.
    pub tai_offset_seconds: f64,
    /// The pulse per second: frequency and its stability in hertz, jitter and length of an
    /// interval in seconds.
    pub pulse: [f64; 4],
    /// The pulse per second: times that the jitter was too large, intervals, errors, and times that
    /// the stability was too bad.
    pub pulse_counts: [f64; 4],
}

/// Asks the kernel. It changes nothing, and needs no rights.
pub fn discipline() -> Result<Discipline, Errno> {
    /// The kernel gives frequencies in millionths, as fixed point numbers of 16 bits.
    const FREQUENCY: f64 = 1_000_000.0 * 65_536.0;
    const MICROSECONDS: f64 = 1e6;
    /// State of a clock that follows nothing.
    const ERROR: i32 = 5;
    let (told, state) = sys::clock_discipline()?;
    let fraction = if told.status & libc::STA_NANO == 0 { MICROSECONDS } else { 1e9 };
    Ok(Discipline {
        is_synchronized: state != ERROR,
        offset_seconds: told.offset as f64 / fraction,
        frequency_ratio: 1.0 + told.freq as f64 / FREQUENCY,
        largest_error_seconds: told.maxerror as f64 / MICROSECONDS,
        estimated_error_seconds: told.esterror as f64 / MICROSECONDS,
        status: f64::from(told.status),
        time_constant: told.constant as f64,
        tick_seconds: told.tick as f64 / MICROSECONDS,
        tai_offset_seconds: f64::from(told.tai),
        pulse: [
            told.ppsfreq as f64 / FREQUENCY,
            told.stabil as f64 / FREQUENCY,
            told.jitter as f64 / fraction,
            f64::from(told.shift),
        ],
        pulse_counts: [told.jitcnt, told.calcnt, told.errcnt, told.stbcnt]
            .map(|count| count as f64),
    })
}
