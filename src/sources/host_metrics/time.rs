//! `time`: the host's clock, its zone, and the hardware that the kernel counts time by.

use std::fs;
use std::path::Path;

use super::collector::{CollectError, Collector};
use super::families::KnownLabels;
use crate::event::metric::{Family, Labels, MetricKind};
use crate::host::{clock, proc::HeldFile, roots::Roots};

/// Reads the clock, and `/sys/devices/system/clocksource/clocksourceN`.
pub struct Time {
    sources: Vec<ClockSource>,
    labels: KnownLabels,
}

/// One device's files.
struct ClockSource {
    available: HeldFile,
    current: HeldFile,
}

impl Time {
    /// The collector for a host. The list of clock source devices is taken once: it is fixed when
    /// the kernel starts.
    pub fn new(roots: &Roots) -> Self {
        let sources = clock_sources(&roots.sysfs.join("devices/system/clocksource"));
        Self { sources, labels: KnownLabels::default() }
    }
}

fn clock_sources(directory: &Path) -> Vec<ClockSource> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("clocksource"))
    });
    paths.sort();
    let source = |path: &std::path::PathBuf| ClockSource {
        available: HeldFile::of_short_lines(path.join("available_clocksource")),
        current: HeldFile::of_short_lines(path.join("current_clocksource")),
    };
    paths.iter().map(source).collect()
}

impl Collector for Time {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        self.labels.begin();
        let now = clock::now();
        let zone = clock::zone_at(now);
        let gauge = |name, help| Family::new(name, MetricKind::Gauge, help);
        let mut available = gauge(
            "node_time_clocksource_available_info",
            "A clock source that the kernel could count time by; always 1.",
        );
        let mut current = gauge(
            "node_time_clocksource_current_info",
            "The clock source that the kernel counts time by; always 1.",
        );
        for (device, source) in self.sources.iter_mut().enumerate() {
            let mut buffer = itoa::Buffer::new();
            let device = buffer.format(device);
            let mut labels =
                |name: &str| self.labels.get([("clocksource", name), ("device", device)]);
            for name in source.available.text().unwrap_or_default().split_ascii_whitespace() {
                available.push(labels(name), 1.0);
            }
            if let Ok(name) = source.current.text() {
                current.push(labels(name.trim()), 1.0);
            }
        }
        let mut offset = gauge(
            "node_time_zone_offset_seconds",
            "How far local time is ahead of UTC, in seconds, with the zone's abbreviation.",
        );
        offset.push(self.labels.get([("time_zone", &zone.name)]), zone.offset_seconds as f64);
        let mut seconds = gauge("node_time_seconds", "The clock, in seconds since the epoch.");
        seconds.push(Labels::default(), now.as_secs_f64());
        out.extend([available, current, seconds, offset]);
        Ok(())
    }
}
