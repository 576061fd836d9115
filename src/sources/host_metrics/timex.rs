//! `timex`: how the kernel keeps its clock in step with the world.

use nix::errno::Errno;

use super::collector::{CollectError, Collector};
use crate::event::metric::{Family, MetricKind};
use crate::host::clock;
use crate::host::roots::Roots;

/// An offset beyond this, in seconds, is the kernel's own overflow on some virtual machines.
const LARGEST_OFFSET_SECONDS: f64 = 4.0;

/// Asks the kernel, not a file.
#[derive(Default)]
pub struct Timex {
    overflows: u64,
}

impl Timex {
    /// The collector for this host, whatever the roots are.
    pub fn new(_: &Roots) -> Self {
        Self::default()
    }
}

impl Collector for Timex {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let told = match clock::discipline() {
            Err(Errno::EPERM | Errno::EACCES) => return Err(CollectError::NoData),
            Err(errno) => {
                return Err(CollectError::Io { path: "adjtimex".into(), error: errno.into() });
            }
            Ok(told) => told,
        };
        self.overflows += u64::from(told.offset_seconds.abs() > LARGEST_OFFSET_SECONDS);
        let [frequency, stability, jitter, shift] = told.pulse;
        let [jitters, intervals, errors, unstable] = told.pulse_counts;
        let synchronized = if told.is_synchronized { 1.0 } else { 0.0 };
        let gauges = [
            ("node_timex_offset_seconds", "Seconds that the clock is ahead.", told.offset_seconds),
            (
                "node_timex_frequency_adjustment_ratio",
                "How much faster than by itself the clock runs.",
                told.frequency_ratio,
            ),
            (
                "node_timex_maxerror_seconds",
                "The clock is wrong by no more seconds than this.",
                told.largest_error_seconds,
            ),
            (
                "node_timex_estimated_error_seconds",
                "The clock is wrong by about so many seconds.",
                told.estimated_error_seconds,
            ),
            ("node_timex_status", "State of the clock's discipline, in bits.", told.status),
            (
                "node_timex_loop_time_constant",
                "How slowly corrections are made.",
                told.time_constant,
            ),
            ("node_timex_tick_seconds", "Seconds between two ticks.", told.tick_seconds),
            (
                "node_timex_tai_offset_seconds",
                "Seconds that atomic time is ahead of UTC.",
                told.tai_offset_seconds,
            ),
            (
                "node_timex_sync_status",
                "Whether a reliable source of time is followed.",
                synchronized,
            ),
            ("node_timex_pps_frequency_hertz", "Frequency of the pulse per second.", frequency),
            (
                "node_timex_pps_stability_hertz",
                "How much that frequency changed of late.",
                stability,
            ),
            ("node_timex_pps_jitter_seconds", "How much the pulse per second jitters.", jitter),
            ("node_timex_pps_shift_seconds", "Length of the interval of calibration.", shift),
        ];
        let counters = [
            ("node_timex_pps_jitter_total", "Times that the pulse jittered too much.", jitters),
            ("node_timex_pps_calibration_total", "Intervals of calibration.", intervals),
            ("node_timex_pps_error_total", "Intervals of calibration that went wrong.", errors),
            (
                "node_timex_pps_stability_exceeded_total",
                "Times that the pulse was too unstable.",
                unstable,
            ),
            (
                "node_timex_offset_overflow_total",
                "Times that the kernel gave an offset of more than four seconds.",
                self.overflows as f64,
            ),
        ];
        for (kind, values) in
            [(MetricKind::Gauge, &gauges[..]), (MetricKind::Counter, &counters[..])]
        {
            for (name, help, value) in values {
                out.push(Family::single(*name, kind, *help, *value));
            }
        }
        Ok(())
    }
}
