//! `processes`: how many processes and threads there are, and what they are doing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::collector::{CollectError, Collector};
use super::families::labels;
use crate::event::metric::{Family, MetricKind};
use crate::host::roots::Roots;
use crate::host::sysfs;

/// Reads `/proc/PID/stat` and `/proc/PID/task/TID/stat`.
pub struct Processes {
    procfs: PathBuf,
}

/// How often each state was seen.
type States = BTreeMap<char, u32>;

impl Processes {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { procfs: roots.procfs.clone() }
    }
}

impl Collector for Processes {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut count = Count::default();
        for pid in sysfs::numbered(&self.procfs, "") {
            count.add_process(&self.procfs.join(pid));
        }
        let mut gauge = |name, help, value: f64| {
            out.push(Family::single(name, MetricKind::Gauge, help, value));
        };
        gauge("node_processes_pids", "Processes.", f64::from(count.processes));
        gauge("node_processes_threads", "Threads of all processes.", count.threads as f64);
        let limit = |name| sysfs::number::<f64>(self.procfs.join("sys/kernel").join(name));
        if let Some(limit) = limit("threads-max") {
            gauge("node_processes_max_threads", "Threads that there can be.", limit);
        }
        if let Some(limit) = limit("pid_max") {
            gauge("node_processes_max_processes", "Processes that there can be.", limit);
        }
        let states = [
            ("node_processes_state", "Processes, by state.", "state", count.process_states),
            (
                "node_processes_threads_state",
                "Threads, by state.",
                "thread_state",
                count.thread_states,
            ),
        ];
        for (name, help, label, states) in states {
            let mut family = Family::new(name, MetricKind::Gauge, help);
            for (state, number) in states {
                let state = state.to_string();
                family.push(labels([(label, &state)]), f64::from(number));
            }
            out.push(family);
        }
        Ok(())
    }
}

#[derive(Default)]
struct Count {
    processes: u32,
    threads: u64,
    process_states: States,
    thread_states: States,
}

impl Count {
    /// A process that ends while it is being looked at is none.
    fn add_process(&mut self, folder: &Path) {
        let read = |path: PathBuf| fs::read(path).ok();
        let Some(stat) = read(folder.join("stat")) else { return };
        let Some((state, threads)) = parse(&String::from_utf8_lossy(&stat)) else { return };
        self.processes += 1;
        self.threads += threads;
        *self.process_states.entry(state).or_default() += 1;
        if threads == 1 {
            // Saves most of the reads: the only thread is the process.
            if folder.join("task").is_dir() {
                *self.thread_states.entry(state).or_default() += 1;
            }
            return;
        }
        for thread in sysfs::numbered(folder.join("task"), "") {
            let stat = read(folder.join("task").join(thread).join("stat"));
            let state = stat.and_then(|stat| parse(&String::from_utf8_lossy(&stat)));
            if let Some((state, _)) = state {
                *self.thread_states.entry(state).or_default() += 1;
            }
        }
    }
}

/// State and number of threads: the third and the twentieth field. The second, in brackets, may
/// hold anything.
fn parse(stat: &str) -> Option<(char, u64)> {
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(16)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_mislead() {
        let stat = "7 (a) R (b) S 2 0 0 0 -1 2129984 0 0 0 0 14 0 0 0 20 0 3 0 24 0";
        assert_eq!(parse(stat), Some(('S', 3)));
        assert_eq!(parse("7 (a) S 2"), None);
    }
}
