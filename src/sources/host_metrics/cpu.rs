//! `cpu`: seconds that each processor spent in each mode, throttling, and who is set apart.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector, Malformed, parsed};
use super::cpu_info::CpuInfo;
use super::filter::Pattern;
use crate::event::metric::{Family, Labels, MetricKind, Text};
use crate::host::{proc::HeldFile, roots::Roots};

/// The kernel counts processor time in hundredths of a second, whatever its own tick is.
const TICKS_PER_SECOND: f64 = 100.0;

/// A processor whose idle time falls by this much was unplugged and came back; a smaller fall is
/// the kernel's known inaccuracy.
const REPLUGGED_SECONDS: f64 = 3.0;

/// No kernel counts as many.
const MOST_PROCESSORS: u32 = 1 << 16;

/// The columns of a processor's line in `/proc/stat`. Guest time is in `user` and `nice` too.
const MODES: [&str; 10] =
    ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "user", "nice"];
const IDLE: usize = 3;
const FIRST_GUEST: usize = 8;

/// Seconds per column of [`MODES`].
type Seconds = [f64; MODES.len()];

/// What to tell of.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Tell of virtual machines' time too, which is in `user` and `nice` as well.
    pub guest: bool,
    /// Tell what the processors are too.
    pub info: bool,
    /// Of their flags, tell of those in which this is found; it switches `info` on.
    pub flags: Option<Pattern>,
    /// Of their bugs, tell of those in which this is found; it switches `info` on.
    pub bugs: Option<Pattern>,
}

impl Default for Options {
    fn default() -> Self {
        Self { guest: true, info: false, flags: None, bugs: None }
    }
}

impl Options {
    fn info(&self, procfs: &Path) -> Option<CpuInfo> {
        let wanted = self.info || self.flags.is_some() || self.bugs.is_some();
        wanted.then(|| CpuInfo::new(procfs, self.flags.clone(), self.bugs.clone()))
    }
}

/// Reads `/proc/stat` and `/sys/devices/system/cpu`.
pub struct Cpu {
    stat: HeldFile,
    options: Options,
    /// By processor number.
    seen: BTreeMap<u32, Seen>,
    isolated: Vec<Labels>,
    packages: Vec<Throttle>,
    cores: Vec<Throttle>,
    online: Vec<(Labels, HeldFile)>,
    info: Option<CpuInfo>,
}

/// What is known of one processor.
struct Seen {
    /// The highest values seen: counters never fall.
    seconds: Seconds,
    /// The labels of each of them.
    labels: [Labels; MODES.len()],
}

impl Seen {
    fn new(number: u32) -> Self {
        let cpu = Text::from(number.to_string());
        let labels = MODES
            .map(|mode| Labels::from([("cpu".into(), cpu.clone()), ("mode".into(), mode.into())]));
        Self { seconds: Seconds::default(), labels }
    }
}

/// One counter of throttling: whose it is, and where it is read.
struct Throttle {
    labels: Labels,
    count: HeldFile,
}

impl Cpu {
    /// The collector for a host. Which cores and packages there are, and which processors are
    /// isolated, is read once: it is fixed when the kernel starts.
    pub fn new(roots: &Roots, options: &Options) -> Self {
        let directory = roots.sysfs.join("devices/system/cpu");
        let isolated = fs::read_to_string(directory.join("isolated")).unwrap_or_default();
        let mut cpu = Self {
            stat: HeldFile::of_short_lines(roots.procfs.join("stat")),
            options: options.clone(),
            seen: BTreeMap::new(),
            isolated: parse_list(&isolated).into_iter().map(cpu_labels).collect(),
            packages: Vec::new(),
            cores: Vec::new(),
            online: Vec::new(),
            info: options.info(&roots.procfs),
        };
        let processors = processors(&directory);
        for (number, path) in &processors {
            cpu.add_topology(*number, path);
        }
        // Where the first processor cannot be switched off, node_exporter tells of none.
        let can_go = |path: &PathBuf| path.join("online").exists();
        if !processors.iter().any(|(number, path)| *number == 0 && can_go(path)) {
            cpu.online.clear();
        }
        cpu
    }

    fn add_topology(&mut self, number: u32, path: &Path) {
        if path.join("online").exists() {
            self.online.push((cpu_labels(number), HeldFile::of_short_lines(path.join("online"))));
        }
        let id = |name| HeldFile::of_short_lines(path.join("topology").join(name)).number();
        let (Some(package), Some(core)) = (id("physical_package_id"), id("core_id")) else {
            return;
        };
        let label = |name, id: u64| (Text::from(name), Text::from(id.to_string()));
        let labels = [label("core", core), label("package", package)].into();
        add_throttle(&mut self.cores, labels, path.join("thermal_throttle/core_throttle_count"));
        let labels = [label("package", package)].into();
        let count = path.join("thermal_throttle/package_throttle_count");
        add_throttle(&mut self.packages, labels, count);
    }

    fn update(&mut self, stat: &[(u32, Seconds)]) {
        for (number, new) in stat {
            let seen = self.seen.entry(*number).or_insert_with(|| Seen::new(*number));
            let seen = &mut seen.seconds;
            if seen[IDLE] - new[IDLE] >= REPLUGGED_SECONDS {
                *seen = Seconds::default();
            }
            for (seen, new) in seen.iter_mut().zip(new) {
                *seen = seen.max(*new);
            }
        }
    }
}

/// Several processors share a core, and several cores a package: the first that has the file
/// speaks for it.
fn add_throttle(throttles: &mut Vec<Throttle>, labels: Labels, count: PathBuf) {
    if count.exists() && throttles.iter().all(|throttle| throttle.labels != labels) {
        throttles.push(Throttle { labels, count: HeldFile::of_short_lines(count) });
    }
}

/// The directories `cpuN`, in the order of N.
fn processors(directory: &Path) -> Vec<(u32, PathBuf)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix("cpu")?.parse().ok();
    let numbered =
        entries.map(|entry| entry.path()).filter_map(|path| Some((number(&path)?, path)));
    let mut found: Vec<(u32, PathBuf)> = numbered.collect();
    found.sort();
    found
}

impl Collector for Cpu {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let stat = parsed(&mut self.stat, parse_stat)?;
        self.update(&stat);

        let counter = |name, help| Family::new(name, MetricKind::Counter, help);
        let mut throttles = |throttles: &mut [Throttle], name, help| {
            let mut family = counter(name, help);
            for throttle in throttles {
                if let Some(count) = throttle.count.number() {
                    family.push(throttle.labels.clone(), count as f64);
                }
            }
            out.push(family);
        };
        throttles(
            &mut self.cores,
            "node_cpu_core_throttles_total",
            "How often this core was slowed down against heat.",
        );
        throttles(
            &mut self.packages,
            "node_cpu_package_throttles_total",
            "How often this package was slowed down against heat.",
        );
        let mut guest = counter(
            "node_cpu_guest_seconds_total",
            "Seconds that a processor ran virtual machines, by mode; counted in its own modes too.",
        );
        let mut seconds =
            counter("node_cpu_seconds_total", "Seconds that a processor spent in each mode.");
        guest = guest.with_room(self.seen.len() * (MODES.len() - FIRST_GUEST));
        seconds = seconds.with_room(self.seen.len() * FIRST_GUEST);
        for seen in self.seen.values() {
            for (column, (labels, value)) in seen.labels.iter().zip(seen.seconds).enumerate() {
                let is_guest = column >= FIRST_GUEST;
                if is_guest && !self.options.guest {
                    continue;
                }
                let family = if is_guest { &mut guest } else { &mut seconds };
                family.push(labels.clone(), value);
            }
        }
        let gauge = |name, help| Family::new(name, MetricKind::Gauge, help);
        let mut isolated = gauge(
            "node_cpu_isolated",
            "A processor that the scheduler leaves alone since the kernel started; always 1.",
        );
        for labels in &self.isolated {
            isolated.push(labels.clone(), 1.0);
        }
        let mut online =
            gauge("node_cpu_online", "Whether the kernel uses this processor: 1 yes, 0 no.");
        for (labels, file) in &mut self.online {
            let value = if file.number() == Some(1) { 1.0 } else { 0.0 };
            online.push(labels.clone(), value);
        }
        out.extend([guest, isolated, online, seconds]);
        if let Some(info) = &mut self.info {
            out.extend(info.families()?);
        }
        Ok(())
    }
}

fn cpu_labels(number: u32) -> Labels {
    [("cpu".into(), number.to_string().into())].into()
}

/// The lines `cpuN`; the line `cpu`, their sum, is left to the reader's own addition. Columns that
/// an old kernel lacks are zero.
fn parse_stat(text: &str) -> Result<Vec<(u32, Seconds)>, Malformed> {
    let mut found = Vec::new();
    for line in text.lines().take_while(|line| line.starts_with("cpu")) {
        let mut words = line.split_ascii_whitespace();
        let number = words.next().and_then(|word| word.strip_prefix("cpu")).unwrap_or_default();
        if number.is_empty() {
            continue;
        }
        let malformed = || Malformed::new(line, "`cpuN` and ticks per mode");
        let number = number.parse().map_err(|_| malformed())?;
        let mut seconds = Seconds::default();
        for (seconds, word) in seconds.iter_mut().zip(words) {
            let ticks: u64 = word.parse().map_err(|_| malformed())?;
            *seconds = ticks as f64 / TICKS_PER_SECOND;
        }
        found.push((number, seconds));
    }
    Ok(found)
}

/// The kernel's way to write a set of processors: `1,3-5`.
fn parse_list(list: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        (last < MOST_PROCESSORS).then_some(first..=last)
    };
    list.trim().split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "/nonexistent";

    fn after(lines: &[&str]) -> Seconds {
        let mut cpu = Cpu::new(&Roots::below(Path::new(EMPTY)), &Options::default());
        for line in lines {
            cpu.update(&parse_stat(line).unwrap());
        }
        cpu.seen[&0].seconds
    }

    #[test]
    fn ticks_become_seconds_and_absent_columns_zero() {
        let stat =
            parse_stat("cpu  9 9 9 9\ncpu0 301 0 250 1000 5\ncpu12 1 2 3 4\nintr 1\n").unwrap();
        assert_eq!(stat[0], (0, [3.01, 0.0, 2.5, 10.0, 0.05, 0.0, 0.0, 0.0, 0.0, 0.0]));
        assert_eq!(stat[1].0, 12);
    }

    #[test]
    fn a_counter_that_falls_a_little_stands_still() {
        let seen = after(&["cpu0 100 0 100 1000 500", "cpu0 110 0 90 999 400"]);
        assert_eq!(seen[..5], [1.1, 0.0, 1.0, 10.0, 5.0]);
    }

    #[test]
    fn a_processor_that_was_unplugged_starts_anew() {
        let seen = after(&["cpu0 100 0 100 1000 500", "cpu0 1 0 2 700 3"]);
        assert_eq!(seen[..5], [0.01, 0.0, 0.02, 7.0, 0.03]);
    }

    #[test]
    fn a_list_of_processors_is_counted_out() {
        assert_eq!(parse_list("1,3-5,9\n"), [1, 3, 4, 5, 9]);
        assert!(parse_list("\n").is_empty());
        assert_eq!(parse_list("0-4294967295,2"), [2], "no host has so many");
    }
}
