//! `top_processes`: what those programs take that take most. No collector of `node_exporter`'s.
//!
//! Processes of one name are told of together, so that series stay few while processes come and go.
//!
//! Source: `/proc/PID/stat` (`proc_pid_stat(5)`) and `/proc/PID/io`, which others than root may only
//! read of their own processes.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector};
use super::families::KnownLabels;
use crate::event::metric::{Family, MetricKind};
use crate::host::process::{Stat, page_bytes, ticks_per_second};
use crate::host::roots::Roots;
use crate::host::sysfs;

/// What is known of a name is forgotten once no process has had it for so long.
const MEMORY: Duration = Duration::from_secs(900);
/// Names that are remembered, at most.
const MOST_NAMES: usize = 10_000;

/// How much to tell.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How many names are told of for each of processor time, memory, and bytes read and written:
    /// those that take most, up to 100.
    #[schemars(range(min = 1, max = 100))]
    pub count: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { count: 10 }
    }
}

/// Adds up what processes of one name have taken.
pub struct TopProcesses {
    procfs: PathBuf,
    count: usize,
    ticks_per_second: f64,
    page_bytes: f64,
    processes: HashMap<u32, Seen>,
    names: HashMap<String, Taken>,
    round: u64,
    labels: KnownLabels,
}

/// A process as it was last seen.
struct Seen {
    /// Tells it from a later one of the same number.
    start: u64,
    ticks: u64,
    io: [u64; 2],
    round: u64,
}

/// What processes of one name have taken since they were first seen.
struct Taken {
    ticks: u64,
    /// Bytes read and written.
    io: [u64; 2],
    /// The same since the round before.
    new_ticks: u64,
    new_io: u64,
    pages: u64,
    processes: u32,
    threads: u64,
    last: Instant,
}

impl TopProcesses {
    /// The collector for a host.
    pub fn new(roots: &Roots, options: &Options) -> Self {
        Self {
            procfs: roots.procfs.clone(),
            count: options.count.clamp(1, 100),
            ticks_per_second: ticks_per_second(),
            page_bytes: page_bytes() as f64,
            processes: HashMap::new(),
            names: HashMap::new(),
            round: 0,
            labels: KnownLabels::default(),
        }
    }

    /// A process that ends while it is being looked at is none.
    fn look_at(&mut self, pid: u32, now: Instant) {
        let folder = self.procfs.join(pid.to_string());
        let Ok(text) = fs::read(folder.join("stat")) else { return };
        let text = String::from_utf8_lossy(&text);
        let Some(stat) = Stat::parse(&text) else { return };
        let name = name_of(&stat);
        if !self.names.contains_key(name) && self.names.len() >= MOST_NAMES {
            return;
        }
        let io = io_of(&folder);
        let ticks = stat.user_ticks.saturating_add(stat.system_ticks);
        let before = self.processes.get(&pid).filter(|seen| seen.start == stat.start_ticks);
        // Of a process that began after the last round, all that it took is new.
        let (old_ticks, old_io) = match before {
            Some(seen) => (seen.ticks, seen.io),
            None if self.round == 1 => (ticks, io),
            None => (0, [0; 2]),
        };
        let taken = self.names.entry(name.to_owned()).or_insert_with(|| Taken::none(now));
        taken.last = now;
        taken.processes += 1;
        taken.threads = taken.threads.saturating_add(stat.threads);
        taken.pages = taken.pages.saturating_add(stat.resident_pages);
        // The first look counts from where it finds them.
        let known = |old| if before.is_some() { old } else { 0 };
        taken.new_ticks = taken.new_ticks.saturating_add(ticks.saturating_sub(old_ticks));
        taken.ticks = taken.ticks.saturating_add(ticks.saturating_sub(known(old_ticks)));
        for ((total, new), old) in taken.io.iter_mut().zip(io).zip(old_io) {
            taken.new_io = taken.new_io.saturating_add(new.saturating_sub(old));
            *total = total.saturating_add(new.saturating_sub(known(old)));
        }
        let (start, round) = (stat.start_ticks, self.round);
        self.processes.insert(pid, Seen { start, ticks, io, round });
    }

    /// The names that take most of something.
    fn top(&self) -> BTreeSet<&str> {
        let mut chosen = BTreeSet::new();
        let measures: [fn(&Taken) -> u64; 3] =
            [|taken| taken.new_ticks, |taken| taken.pages, |taken| taken.new_io];
        for measure in measures {
            let alive = self.names.iter().filter(|(_, taken)| taken.processes > 0);
            let mut ranked: Vec<(u64, u64, &str)> = alive
                .map(|(name, taken)| (measure(taken), taken.ticks, name.as_str()))
                .filter(|(takes, ..)| *takes > 0)
                .collect();
            // Of equals those that have taken most so far, and then the first by name.
            ranked.sort_by(|a, b| (b.0, b.1).cmp(&(a.0, a.1)).then(a.2.cmp(b.2)));
            chosen.extend(ranked.into_iter().take(self.count).map(|(.., name)| name));
        }
        chosen
    }
}

impl Taken {
    fn none(now: Instant) -> Self {
        Self {
            ticks: 0,
            io: [0; 2],
            new_ticks: 0,
            new_io: 0,
            pages: 0,
            processes: 0,
            threads: 0,
            last: now,
        }
    }
}

impl Collector for TopProcesses {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let now = Instant::now();
        self.round += 1;
        self.labels.begin();
        for taken in self.names.values_mut() {
            let Taken { ticks, io, last, .. } = *taken;
            *taken = Taken { ticks, io, last, ..Taken::none(now) };
        }
        let pids = sysfs::numbered(&self.procfs, "");
        for pid in pids.iter().filter_map(|pid| pid.parse().ok()) {
            self.look_at(pid, now);
        }
        let round = self.round;
        self.processes.retain(|_, seen| seen.round == round);
        self.names.retain(|_, taken| now.duration_since(taken.last) < MEMORY);
        if self.processes.is_empty() {
            return Err(CollectError::NoData);
        }
        let chosen: Vec<String> = self.top().into_iter().map(str::to_owned).collect();
        let family = |name, kind, help| Family::new(name, kind, help).with_room(chosen.len());
        let counter = |name, help| family(name, MetricKind::Counter, help);
        let gauge = |name, help| family(name, MetricKind::Gauge, help);
        let mut families = [
            counter(
                "driftless_top_processes_cpu_seconds_total",
                "Processor time that processes of this name have used, in seconds.",
            ),
            gauge(
                "driftless_top_processes_resident_bytes",
                "Memory of processes of this name that is in RAM, in bytes.",
            ),
            counter(
                "driftless_top_processes_read_bytes_total",
                "Bytes that processes of this name had read from disks.",
            ),
            counter(
                "driftless_top_processes_written_bytes_total",
                "Bytes that processes of this name had written to disks.",
            ),
            gauge("driftless_top_processes_count", "Processes of this name."),
            gauge("driftless_top_processes_threads", "Threads of processes of this name."),
        ];
        for name in &chosen {
            let Some(taken) = self.names.get(name) else { continue };
            let labels = self.labels.get([("name", name)]);
            let values = [
                taken.ticks as f64 / self.ticks_per_second,
                taken.pages as f64 * self.page_bytes,
                taken.io[0] as f64,
                taken.io[1] as f64,
                f64::from(taken.processes),
                taken.threads as f64,
            ];
            for (family, value) in families.iter_mut().zip(values) {
                family.push(labels.clone(), value);
            }
        }
        out.extend(families);
        Ok(())
    }
}

/// The process's name. The kernel's own workers are many and called after what they do at the
/// moment, as in `kworker/0:1H-kblockd`.
fn name_of<'s>(stat: &Stat<'s>) -> &'s str {
    const KTHREADD: u32 = 2;
    match stat.parent {
        KTHREADD => stat.name.split('/').next().unwrap_or(stat.name),
        _ => stat.name,
    }
}

/// Bytes read from and written to disks; nothing where that may not be read.
fn io_of(folder: &Path) -> [u64; 2] {
    let Some(text) = sysfs::text(folder.join("io")) else { return [0; 2] };
    let value = |key: &str| {
        let of_line = |line: &str| line.strip_prefix(key)?.trim().parse().ok();
        text.lines().find_map(of_line).unwrap_or(0)
    };
    [value("read_bytes:"), value("write_bytes:")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::exposition;

    struct Host(tempfile::TempDir);

    impl Host {
        /// Name, parent, start, ticks, pages and bytes written.
        fn runs(&self, pid: u32, process: (&str, u32, u64, u64, u64, u64)) {
            let (name, parent, start, ticks, pages, written) = process;
            let folder = self.0.path().join(format!("proc/{pid}"));
            fs::create_dir_all(&folder).unwrap();
            let stat = format!(
                "{pid} ({name}) S {parent} 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 2 0 {start} 0 {pages}"
            );
            fs::write(folder.join("stat"), stat).unwrap();
            let io = format!("rchar: 9\nread_bytes: 0\nwrite_bytes: {written}\n");
            fs::write(folder.join("io"), io).unwrap();
        }

        fn ends(&self, pid: u32) {
            fs::remove_dir_all(self.0.path().join(format!("proc/{pid}"))).unwrap();
        }
    }

    fn told(collector: &mut TopProcesses, name: &str) -> Vec<String> {
        let mut families = Vec::new();
        collector.collect(&mut families).unwrap();
        let mut text = Vec::new();
        assert_eq!(exposition::encode(&families, &mut text), 0);
        let text = String::from_utf8(text).unwrap();
        let of = |line: &str| {
            line.strip_prefix("driftless_top_processes_")?.strip_prefix(name).map(str::to_owned)
        };
        text.lines().filter_map(of).collect()
    }

    fn collector(host: &Host, count: usize) -> TopProcesses {
        let mut collector = TopProcesses::new(&Roots::below(host.0.path()), &Options { count });
        (collector.ticks_per_second, collector.page_bytes) = (100.0, 4096.0);
        collector
    }

    #[test]
    fn what_processes_of_a_name_took_never_falls_when_one_of_them_ends() {
        let host = Host(tempfile::tempdir().unwrap());
        host.runs(10, ("web", 1, 5, 300, 1, 0));
        host.runs(11, ("web", 1, 6, 200, 2, 0));
        let mut top = collector(&host, 5);
        assert_eq!(told(&mut top, "cpu_seconds_total"), [r#"{name="web"} 5"#]);
        host.ends(11);
        host.runs(10, ("web", 1, 5, 350, 1, 0));
        assert_eq!(told(&mut top, "cpu_seconds_total"), [r#"{name="web"} 5.5"#]);
        // Another process of the same number begins from nothing.
        host.runs(10, ("web", 1, 9, 100, 1, 0));
        assert_eq!(told(&mut top, "cpu_seconds_total"), [r#"{name="web"} 6.5"#]);
        assert_eq!(told(&mut top, "resident_bytes"), [r#"{name="web"} 4096"#]);
        assert_eq!(told(&mut top, "threads"), [r#"{name="web"} 2"#]);
    }

    #[test]
    fn those_that_take_most_of_anything_are_told_of_and_no_others() {
        let host = Host(tempfile::tempdir().unwrap());
        let mut top = collector(&host, 1);
        host.runs(1, ("idle", 0, 1, 0, 0, 0));
        host.runs(2, ("kthreadd", 0, 1, 0, 0, 0));
        let names = |busy: u64, written: u64| {
            host.runs(20, ("a (b) c", 1, 1, 10 + busy, 1, 0));
            host.runs(21, ("large", 1, 1, 5, 1000, 0));
            host.runs(22, ("writer", 1, 1, 1, 1, 7 + written));
            host.runs(23, ("kworker/0:1H-kblockd", 2, 1, 10 + 2 * busy, 0, 0));
        };
        names(0, 0);
        let largest = told(&mut top, "count");
        assert_eq!(largest, [r#"{name="large"} 1"#], "nothing is known of the time before");
        names(50, 1);
        let expected = ["kworker", "large", "writer"].map(|name| format!("{{name=\"{name}\"}} 1"));
        assert_eq!(told(&mut top, "count"), expected);
    }

    #[test]
    fn whatever_stands_in_the_files_nothing_breaks() {
        let host = Host(tempfile::tempdir().unwrap());
        host.runs(1, ("ok", 0, 1, 7, 1, 0));
        for (pid, stat) in [(2, &b""[..]), (3, b"3 (x"), (4, b"\xff\xfe) S"), (5, b"5 (x) S -1")] {
            let folder = host.0.path().join(format!("proc/{pid}"));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("stat"), stat).unwrap();
        }
        host.runs(6, ("wrapped", 0, 1, u64::MAX, u64::MAX, u64::MAX));
        host.runs(7, ("wrapped", 0, 1, u64::MAX, u64::MAX, u64::MAX));
        let mut top = collector(&host, 5);
        for _ in 0..2 {
            assert_eq!(told(&mut top, "count").len(), 2);
        }
    }
}
