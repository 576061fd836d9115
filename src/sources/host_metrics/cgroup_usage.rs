//! `cgroup_usage`: what each control group, and with it each unit of systemd, takes of the host. No
//! collector of `node_exporter`'s.
//!
//! Source: the files of cgroup v2, as the kernel's `cgroup-v2.rst` has them.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector};
use super::families::{Families, KnownLabels};
use super::filter::Filter;
use crate::event::metric::{Family, Labels};
use crate::host::roots::Roots;
use crate::host::sysfs;

/// Folders that are looked at, whatever is told of them.
const MOST_FOLDERS: usize = 10_000;

/// Which groups to tell of.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Control groups, by their paths, such as `/system.slice/ssh.service`.
    pub cgroups: Filter,
    /// How many are told of, at most: those that are nearest to the root come first.
    pub max_cgroups: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { cgroups: Filter::default(), max_cgroups: 200 }
    }
}

/// Walks through `/sys/fs/cgroup`.
pub struct CgroupUsage {
    root: PathBuf,
    options: Options,
    labels: KnownLabels,
}

impl CgroupUsage {
    /// The collector for a host.
    pub fn new(roots: &Roots, options: &Options) -> Self {
        let root = roots.sysfs.join("fs/cgroup");
        Self { root, options: options.clone(), labels: KnownLabels::default() }
    }

    fn tell(&mut self, folder: &Path, path: &str, families: &mut Families) {
        let unit = unit_of(path);
        let pairs = [("cgroup", path), ("unit", unit)];
        let labels = self.labels.get(pairs);
        let text = |name: &str| sysfs::text(folder.join(name));
        if let Some(text) = text("cpu.stat") {
            for (key, mode) in [("system_usec", "system"), ("user_usec", "user")] {
                let [cgroup, unit] = pairs;
                let labels = self.labels.get([cgroup, ("mode", mode), unit]);
                let help = "Processor time that the group has used, in seconds.";
                families.counter_of(
                    ("driftless_cgroup_cpu_seconds_total", help),
                    &labels,
                    value(&text, key).map(seconds),
                );
            }
            families.counter_of(
                (
                    "driftless_cgroup_cpu_throttled_seconds_total",
                    "Seconds during which the group waited since it had used its share of processors.",
                ),
                &labels,
                value(&text, "throttled_usec").map(seconds),
            );
        }
        let number = |name: &str| sysfs::number::<f64>(folder.join(name));
        for (file, name, help) in [
            (
                "memory.current",
                "driftless_cgroup_memory_bytes",
                "Memory that the group uses, page cache included, in bytes.",
            ),
            (
                "memory.max",
                "driftless_cgroup_memory_limit_bytes",
                "Memory that the group may use, in bytes; absent where there is no limit.",
            ),
            (
                "memory.swap.current",
                "driftless_cgroup_swap_bytes",
                "Swap that the group uses, in bytes.",
            ),
            ("pids.current", "driftless_cgroup_tasks", "Processes and threads of the group."),
        ] {
            if let Some(value) = number(file) {
                families.gauge(name, help, labels.clone(), value);
            }
        }
        families.counter_of(
            (
                "driftless_cgroup_oom_kills_total",
                "Processes of the group that the kernel has killed for want of memory.",
            ),
            &labels,
            text("memory.events").and_then(|text| value(&text, "oom_kill")),
        );
        if let Some(text) = text("io.stat") {
            for (key, name, help) in [
                ("rbytes", "driftless_cgroup_read_bytes_total", "Bytes read from disks."),
                ("wbytes", "driftless_cgroup_written_bytes_total", "Bytes written to disks."),
                ("rios", "driftless_cgroup_reads_total", "Reads from disks."),
                ("wios", "driftless_cgroup_writes_total", "Writes to disks."),
            ] {
                families.counter_of((name, help), &labels, Some(sum(&text, key)));
            }
        }
        self.pressure(folder, pairs, families);
    }

    fn pressure(
        &mut self,
        folder: &Path,
        [cgroup, unit]: [(&'static str, &str); 2],
        families: &mut Families,
    ) {
        for resource in ["cpu", "io", "memory"] {
            let Some(text) = sysfs::text(folder.join(format!("{resource}.pressure"))) else {
                continue;
            };
            let labels = self.labels.get([cgroup, ("resource", resource), unit]);
            for (line, name, help) in [
                (
                    "some",
                    "driftless_cgroup_pressure_waiting_seconds_total",
                    "Seconds during which some task of the group waited for the resource.",
                ),
                (
                    "full",
                    "driftless_cgroup_pressure_stalled_seconds_total",
                    "Seconds during which no task of the group got on, for want of the resource.",
                ),
            ] {
                families.counter_of((name, help), &labels, stalled(&text, line).map(seconds));
            }
        }
    }
}

impl Collector for CgroupUsage {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        if !self.root.join("cgroup.controllers").exists() {
            return Err(CollectError::NoData);
        }
        self.labels.begin();
        let mut families = Families::default();
        let (mut told, mut left_out) = (0, 0);
        // What is nearest to the root comes first, so that the bound takes away the leaves.
        let mut waiting = VecDeque::from([(self.root.clone(), String::new())]);
        let mut folders = 0;
        while let Some((folder, path)) = waiting.pop_front() {
            folders += 1;
            if folders > MOST_FOLDERS {
                break;
            }
            for name in groups(&folder) {
                let path = format!("{path}/{name}");
                waiting.push_back((folder.join(&name), path));
            }
            if path.is_empty() || !self.options.cgroups.allows(&path) {
                continue;
            }
            if told < self.options.max_cgroups {
                self.tell(&folder, &path, &mut families);
                told += 1;
            } else {
                left_out += 1;
            }
        }
        families.gauge(
            "driftless_cgroups_left_out",
            "Control groups that are not told of since there are too many.",
            Labels::default(),
            f64::from(left_out),
        );
        out.extend(Vec::from(families));
        Ok(())
    }
}

/// The groups in a group.
fn groups(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut names: Vec<String> =
        folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The innermost unit of systemd on the path, empty where there is none.
fn unit_of(path: &str) -> &str {
    let kinds = [".service", ".scope", ".slice", ".socket", ".mount", ".swap"];
    let is_unit = |part: &&str| kinds.iter().any(|kind| part.ends_with(kind));
    path.rsplit('/').find(is_unit).unwrap_or_default()
}

/// The number behind `key` at the beginning of a line.
fn value(text: &str, key: &str) -> Option<f64> {
    let of_line = |line: &str| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok();
    text.lines().find_map(of_line)
}

/// The sum of `key=NUMBER` over all devices.
fn sum(text: &str, key: &str) -> f64 {
    let of_word = |word: &str| word.strip_prefix(key)?.strip_prefix('=')?.parse::<f64>().ok();
    text.split_ascii_whitespace().filter_map(of_word).sum()
}

/// `total=` of the line that begins with `word`, in microseconds.
fn stalled(text: &str, word: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.split(' ').next() == Some(word))?;
    line.split(' ').find_map(|field| field.strip_prefix("total=")?.parse().ok())
}

fn seconds(microseconds: f64) -> f64 {
    microseconds / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::exposition;

    fn host(groups: &[(&str, &[(&str, &str)])]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let top = root.path().join("sys/fs/cgroup");
        fs::create_dir_all(&top).unwrap();
        fs::write(top.join("cgroup.controllers"), "cpu io memory pids\n").unwrap();
        for (path, files) in groups {
            fs::create_dir_all(top.join(path)).unwrap();
            for (name, text) in *files {
                fs::write(top.join(path).join(name), text).unwrap();
            }
        }
        root
    }

    fn told(root: &Path, options: &str) -> Vec<String> {
        let options = serde_json::from_str(options).unwrap();
        let mut families = Vec::new();
        CgroupUsage::new(&Roots::below(root), &options).collect(&mut families).unwrap();
        let mut text = Vec::new();
        assert_eq!(exposition::encode(&families, &mut text), 0);
        let text = String::from_utf8(text).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn a_unit_is_told_with_all_that_it_takes() {
        let files: &[(&str, &str)] = &[
            ("cpu.stat", "usage_usec 3\nuser_usec 2500000\nsystem_usec 500000\nthrottled_usec 7\n"),
            ("memory.current", "4096\n"),
            ("memory.max", "max\n"),
            ("memory.events", "low 0\noom 2\noom_kill 1\n"),
            ("io.stat", "8:0 rbytes=10 wbytes=1 rios=3 wios=1\n8:16 rbytes=5 wbytes=0 rios=1\n"),
            ("memory.pressure", "some avg10=0.00 total=1000000\nfull avg10=0.00 total=0\n"),
            ("pids.current", "9\n"),
        ];
        let root = host(&[("system.slice/ssh.service", files)]);
        let told = told(root.path(), "{}");
        let labels = r#"cgroup="/system.slice/ssh.service""#;
        for (name, extra, value) in [
            ("cpu_seconds_total", r#"mode="system","#, "0.5"),
            ("cpu_seconds_total", r#"mode="user","#, "2.5"),
            ("cpu_throttled_seconds_total", "", "7e-06"),
            ("memory_bytes", "", "4096"),
            ("tasks", "", "9"),
            ("oom_kills_total", "", "1"),
            ("read_bytes_total", "", "15"),
            ("written_bytes_total", "", "1"),
            ("reads_total", "", "4"),
            ("writes_total", "", "1"),
            ("pressure_waiting_seconds_total", r#"resource="memory","#, "1"),
            ("pressure_stalled_seconds_total", r#"resource="memory","#, "0"),
        ] {
            let line =
                format!("driftless_cgroup_{name}{{{labels},{extra}unit=\"ssh.service\"}} {value}");
            assert!(told.contains(&line), "{line} is not in {told:#?}");
        }
        assert_eq!(told.len(), 13, "{told:#?}");
    }

    #[test]
    fn series_are_bounded_and_what_is_nearest_to_the_root_is_told() {
        let files: &[(&str, &str)] = &[("pids.current", "1\n")];
        let root = host(&[("a.slice/x.service/deep", files), ("b.slice", files), ("c", files)]);
        fs::write(root.path().join("sys/fs/cgroup/a.slice/pids.current"), "2\n").unwrap();
        let told_with = |options: &str| told(root.path(), options);
        assert_eq!(
            told_with(r#"{"max_cgroups": 3}"#),
            [
                r#"driftless_cgroup_tasks{cgroup="/a.slice",unit="a.slice"} 2"#,
                r#"driftless_cgroup_tasks{cgroup="/b.slice",unit="b.slice"} 1"#,
                r#"driftless_cgroup_tasks{cgroup="/c",unit=""} 1"#,
                "driftless_cgroups_left_out 2",
            ]
        );
        assert_eq!(
            told_with(r#"{"cgroups": {"include": "deep"}}"#),
            [
                r#"driftless_cgroup_tasks{cgroup="/a.slice/x.service/deep",unit="x.service"} 1"#,
                "driftless_cgroups_left_out 0",
            ]
        );
    }

    #[test]
    fn what_makes_no_sense_in_a_file_is_nothing() {
        for text in ["", "\0\n", "user_usec\n", "user_usec -\n", "some total=\n", "x=\n= =\n"] {
            let files = ["cpu.stat", "io.stat", "memory.pressure", "memory.current"];
            let files = files.map(|name| (name, text));
            let root = host(&[("a", &files)]);
            let told = told(root.path(), "{}");
            assert_eq!(told.len(), 5, "only the sums over no device: {told:?}");
        }
        let root = tempfile::tempdir().unwrap();
        let collected = CgroupUsage::new(&Roots::below(root.path()), &Options::default())
            .collect(&mut Vec::new());
        assert!(matches!(collected, Err(CollectError::NoData)));
    }
}
