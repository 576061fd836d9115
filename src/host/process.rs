//! What processes take of the host, and this one in particular.

use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::{SysconfVar, sysconf};

use crate::event::metric::{Family, MetricKind};
use crate::host::proc::HeldFile;
use crate::host::roots::Roots;

/// This process, with its file under `/proc` held open.
#[derive(Debug)]
pub struct OwnProcess {
    stat: HeldFile,
    descriptors: PathBuf,
    ticks_per_second: f64,
    page_bytes: u64,
    boot_seconds: Option<u64>,
}

/// What the process takes as of now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Processor time since the start, user's and kernel's, in seconds.
    pub cpu_seconds: f64,
    /// Memory that is in RAM, in bytes.
    pub resident_bytes: u64,
    /// Memory that is mapped, in bytes.
    pub virtual_bytes: u64,
    /// Open file descriptors; `None` where `/proc` does not say.
    pub open_descriptors: Option<usize>,
    /// When the process started, in seconds since the epoch; `None` where `/proc` does not say when
    /// the host did.
    pub start_seconds: Option<f64>,
}

impl OwnProcess {
    /// This process. The host's start is read now, since it does not change.
    pub fn new(roots: &Roots) -> Self {
        let boot = fs::read_to_string(roots.procfs.join("stat")).ok();
        let boot = boot.as_deref().and_then(|text| {
            text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
        });
        Self {
            stat: HeldFile::of_short_lines(roots.procfs.join("self/stat")),
            descriptors: roots.procfs.join("self/fd"),
            ticks_per_second: ticks_per_second(),
            page_bytes: page_bytes(),
            boot_seconds: boot,
        }
    }

    /// What the process takes as of now; `None` where `/proc` does not say.
    ///
    /// - Source: fields 14, 15, 22, 23 and 24 of `/proc/self/stat`, `/proc/self/fd`, and `btime` in
    ///   `/proc/stat`.
    pub fn usage(&mut self) -> Option<Usage> {
        let open_descriptors = open_descriptors(&self.descriptors);
        let text = self.stat.text().ok()?;
        let stat = Stat::parse(&text)?;
        let seconds = |ticks: u64| ticks as f64 / self.ticks_per_second;
        let started = seconds(stat.start_ticks);
        Some(Usage {
            cpu_seconds: seconds(stat.user_ticks) + seconds(stat.system_ticks),
            resident_bytes: stat.resident_pages.saturating_mul(self.page_bytes),
            virtual_bytes: stat.virtual_bytes,
            open_descriptors,
            start_seconds: self.boot_seconds.map(|boot| boot as f64 + started),
        })
    }

    /// The same as metrics, and which Driftless this is.
    pub fn families(&mut self) -> Vec<Family> {
        let mut build = Family::new(
            "driftless_build_info",
            MetricKind::Gauge,
            "Always 1; the label tells which Driftless this is.",
        );
        build.push(vec![("version".into(), env!("CARGO_PKG_VERSION").into())], 1.0);
        let mut families = vec![build];
        let counter = |name, help, value| Family::single(name, MetricKind::Counter, help, value);
        let gauge = |name, help, value| Family::single(name, MetricKind::Gauge, help, value);
        let Some(usage) = self.usage() else { return families };
        families.extend([
            counter(
                "process_cpu_seconds_total",
                "Processor time that the agent has used, in seconds.",
                usage.cpu_seconds,
            ),
            gauge(
                "process_resident_memory_bytes",
                "Memory of the agent that is in RAM, in bytes.",
                usage.resident_bytes as f64,
            ),
            gauge(
                "process_virtual_memory_bytes",
                "Memory that the agent has mapped, in bytes.",
                usage.virtual_bytes as f64,
            ),
        ]);
        families.extend(usage.open_descriptors.map(|count| {
            gauge("process_open_fds", "File descriptors that the agent has open.", count as f64)
        }));
        families.extend(usage.start_seconds.map(|start| {
            let help = "When the agent started, in seconds since the epoch.";
            gauge("process_start_time_seconds", help, start)
        }));
        families
    }
}

/// How many descriptors the folder `/proc/PID/fd` tells of: as its size (Linux 6.2 and later), else
/// as its entries, one of which is for reading them.
fn open_descriptors(folder: &Path) -> Option<usize> {
    let told = fs::metadata(folder).ok()?.len();
    if told > 0 { usize::try_from(told).ok() } else { Some(fs::read_dir(folder).ok()?.count()) }
}

/// Ticks of processor time in a second, as `/proc` counts them.
pub fn ticks_per_second() -> f64 {
    constant(SysconfVar::CLK_TCK).and_then(|ticks| ticks.try_into().ok()).map_or(100.0, u32::into)
}

/// Bytes of a page of memory.
pub fn page_bytes() -> u64 {
    constant(SysconfVar::PAGE_SIZE).unwrap_or(4096)
}

fn constant(name: SysconfVar) -> Option<u64> {
    sysconf(name).ok().flatten()?.try_into().ok()
}

/// What `/proc/PID/stat` says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat<'t> {
    /// The name of its program, cut to 15 bytes.
    pub name: &'t str,
    /// The number of the process that started it.
    pub parent: u32,
    /// Processor time of its own.
    pub user_ticks: u64,
    /// Processor time that the kernel spent for it.
    pub system_ticks: u64,
    /// Its threads.
    pub threads: u64,
    /// When it began, since the host did.
    pub start_ticks: u64,
    /// Memory that is mapped, in bytes.
    pub virtual_bytes: u64,
    /// Memory that is in RAM, in pages.
    pub resident_pages: u64,
}

impl<'t> Stat<'t> {
    /// Reads the line. The name stands in brackets and may hold anything, even `)`.
    ///
    /// - Source: fields 2, 4, 14, 15, 20, 22, 23 and 24 of `proc_pid_stat(5)`.
    pub fn parse(text: &'t str) -> Option<Self> {
        let (before, rest) = text.rsplit_once(") ")?;
        let (_, name) = before.split_once('(')?;
        let words: Vec<&str> = rest.split_ascii_whitespace().collect();
        // The state, which follows the name, is field 3.
        let field = |number: usize| words.get(number - 3)?.parse().ok();
        Some(Self {
            name,
            parent: words.get(1)?.parse().ok()?,
            user_ticks: field(14)?,
            system_ticks: field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_shifts_no_field() {
        let text = "7 (a) b (c) R 1 1 1 0 -1 4194560 0 0 0 0 140 15 0 0 20 0 1 0 9000 8192 3 18446";
        let stat = Stat {
            name: "a) b (c",
            parent: 1,
            user_ticks: 140,
            system_ticks: 15,
            threads: 1,
            start_ticks: 9000,
            virtual_bytes: 8192,
            resident_pages: 3,
        };
        assert_eq!(Stat::parse(text), Some(stat));
        assert_eq!(Stat::parse("7 (a) R 1"), None);
    }

    #[test]
    fn this_process_has_memory_files_and_a_start() {
        let usage = OwnProcess::new(&Roots::live()).usage().unwrap();
        assert!(usage.resident_bytes > 1 << 20 && usage.resident_bytes <= usage.virtual_bytes);
        assert!(usage.open_descriptors.unwrap() >= 3);
        let now = crate::host::clock::now().as_secs_f64();
        assert!((now - usage.start_seconds.unwrap()).abs() < 86_400.0);
    }
}
