//! What this process itself takes of the host.

use std::fs;

use nix::unistd::{SysconfVar, sysconf};

use crate::event::metric::{Family, MetricKind};
use crate::host::proc::HeldFile;
use crate::host::roots::Roots;

/// This process, with its file under `/proc` held open.
#[derive(Debug)]
pub struct OwnProcess {
    stat: HeldFile,
    descriptors: std::path::PathBuf,
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
        let constant = |name| sysconf(name).ok().flatten().and_then(|value| value.try_into().ok());
        let ticks: Option<u32> = constant(SysconfVar::CLK_TCK).and_then(|t: u64| t.try_into().ok());
        let boot = fs::read_to_string(roots.procfs.join("stat")).ok();
        let boot = boot.as_deref().and_then(|text| {
            text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
        });
        Self {
            stat: HeldFile::new(roots.procfs.join("self/stat")),
            descriptors: roots.procfs.join("self/fd"),
            ticks_per_second: f64::from(ticks.unwrap_or(100)),
            page_bytes: constant(SysconfVar::PAGE_SIZE).unwrap_or(4096),
            boot_seconds: boot,
        }
    }

    /// What the process takes as of now; `None` where `/proc` does not say.
    ///
    /// - Source: fields 14, 15, 22, 23 and 24 of `/proc/self/stat`, `/proc/self/fd`, and `btime` in
    ///   `/proc/stat`.
    pub fn usage(&mut self) -> Option<Usage> {
        let open_descriptors = fs::read_dir(&self.descriptors).ok().map(Iterator::count);
        let [user, system, start, virtual_bytes, pages] = parse(&self.stat.text().ok()?)?;
        let seconds = |ticks: u64| ticks as f64 / self.ticks_per_second;
        Some(Usage {
            cpu_seconds: seconds(user + system),
            resident_bytes: pages * self.page_bytes,
            virtual_bytes,
            open_descriptors,
            start_seconds: self.boot_seconds.map(|boot| boot as f64 + seconds(start)),
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

/// utime, stime, starttime, vsize and rss. The name in front may hold anything, even `)`.
fn parse(text: &str) -> Option<[u64; 5]> {
    let (_, rest) = text.rsplit_once(") ")?;
    let words: Vec<&str> = rest.split_ascii_whitespace().collect();
    // The state, which follows the name, is field 3.
    let field = |number: usize| words.get(number - 3)?.parse().ok();
    Some([field(14)?, field(15)?, field(22)?, field(23)?, field(24)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_shifts_no_field() {
        let text = "7 (a) b (c) R 1 1 1 0 -1 4194560 0 0 0 0 140 15 0 0 20 0 1 0 9000 8192 3 18446";
        assert_eq!(parse(text), Some([140, 15, 9000, 8192, 3]));
        assert_eq!(parse("7 (a) R 1"), None);
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
