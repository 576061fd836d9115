//! `mount_facts`: what is mounted, and what a table of mounts names, as a variable.

use super::{Failure, Module, Outcome, Task, TaskContext, values};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::command::Command;
use crate::host::machine::path::Follow;
use crate::host::mounts::unescape;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use globset::{Glob, GlobMatcher};
use indexmap::IndexMap;
use minijinja::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) static MODULE: Module = Module {
    name: "mount_facts",
    summary: "Tells what is mounted and what tables name, as `ansible_facts.mount_points`.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("sources", Kind::Texts).says(
            "Where to look: files in the form of `/etc/fstab`; `static`, `/etc/fstab`; `dynamic`, what \
             is mounted; `mount`, what `mount_binary` says; `all`, static and dynamic, where not \
             given.",
        ),
        Param::new("mount_binary", Kind::Text)
            .says("The program of the source `mount`; `mount` where not given."),
        Param::new("devices", Kind::Texts)
            .says("Patterns for devices; others are left out. `[!/]*` is what is no path."),
        Param::new("fstypes", Kind::Texts)
            .says("Patterns for kinds of file systems; others are left out."),
        Param::new("timeout", Kind::Any).says(
            "How many seconds each mount has to tell how full it is; 10 where not given.",
        ),
        Param::new("on_timeout", Kind::OneOf(&["error", "ignore", "warn"])).says(
            "What becomes of a mount that does not tell in time: the task fails, where not given, or \
             the sizes are left out.",
        ),
        Param::new("include_aggregate_mounts", Kind::Bool)
            .says("List all mounts in `aggregate_mounts`, also those of one point that are many."),
    ]),
    check,
    build: |params| Box::new(MountFacts { params }),
};

const STATIC: &str = "/etc/fstab";
/// The first of these that is there tells what is mounted.
const DYNAMIC: [&str; 2] = ["/etc/mtab", "/proc/mounts"];
const BY_UUID: &str = "/dev/disk/by-uuid";
const PATIENCE: Duration = Duration::from_secs(10);

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints: Vec<Diagnostic> =
        values::check_number(params, "timeout").into_iter().collect();
    if let Ok(Some(seconds)) = values::number(params, "timeout")
        && seconds <= 0.0
    {
        let why = format!("`timeout` is more than 0, and this is {seconds}");
        complaints.push(Diagnostic::new(why, params.place("timeout")));
    }
    for name in ["devices", "fstypes"] {
        for pattern in params.texts(name).unwrap_or_default() {
            if !pattern.contains("{{")
                && let Err(error) = Glob::new(pattern)
            {
                let why = format!("`{name}`: `{pattern}` is no pattern: {error}");
                complaints.push(Diagnostic::new(why, params.place(name)));
            }
        }
    }
    if params.texts("sources").unwrap_or_default().iter().any(String::is_empty) {
        complaints.push(Diagnostic::new("a source is empty", params.place("sources")));
    }
    complaints
}

struct MountFacts {
    params: Params,
}

/// A mount, and the line that told of it.
struct Told {
    source: String,
    line: String,
    device: String,
    point: String,
    fstype: String,
    options: String,
    /// Whether it is saved, and when it is checked; what `mount` says has neither.
    numbers: Vec<(&'static str, i64)>,
}

impl Task for MountFacts {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let uuids = uuids(machine)?;
        let (devices, fstypes) = (self.patterns("devices")?, self.patterns("fstypes")?);
        let is_one = |patterns: &[GlobMatcher], text: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| pattern.is_match(text))
        };
        let mut points: IndexMap<String, Value> = IndexMap::new();
        let mut all = Vec::new();
        for told in self.told(machine)? {
            let by_uuid = told.device.strip_prefix("UUID=").map(|uuid| uuid.trim_matches('"'));
            let device = match by_uuid {
                Some(uuid) => uuids.iter().find(|(known, _)| known == uuid).map(|(_, path)| path),
                None => None,
            };
            let device = device.map_or(told.device.clone(), |path| path.display().to_string());
            if !is_one(&devices, &device) || !is_one(&fstypes, &told.fstype) {
                continue;
            }
            let uuid = match by_uuid {
                Some(uuid) => Some(uuid.to_owned()),
                None => of_device(machine, &uuids, &device)?,
            };
            let point = told.point.clone();
            let value = self.value(machine, told, uuid)?;
            points.entry(point).or_insert_with(|| value.clone());
            all.push(value);
        }
        let aggregate =
            if params.flag("include_aggregate_mounts", false) { all } else { Vec::new() };
        let facts = Value::from_pairs([
            ("mount_points", Value::from_pairs(points)),
            ("aggregate_mounts", Value::from(aggregate)),
        ]);
        // What an earlier task would mount is in no table yet.
        let unknown = machine.foretells_state_of("mount ");
        Ok(Outcome { unknown, ..Outcome::default().with("ansible_facts", facts) })
    }
}

impl MountFacts {
    fn patterns(&self, name: &str) -> Result<Vec<GlobMatcher>, Failure> {
        let patterns = self.params.texts(name).unwrap_or_default().iter();
        let one = |pattern: &String| {
            let glob = Glob::new(pattern).map_err(|error| {
                Failure::new(format!("`{name}`: `{pattern}` is no pattern: {error}"))
            })?;
            Ok(glob.compile_matcher())
        };
        patterns.map(one).collect()
    }

    /// All that the sources tell, each source once.
    fn told(&self, machine: &Machine) -> Result<Vec<Told>, Failure> {
        let given = self.params.texts("sources").unwrap_or_default();
        let words =
            if given.is_empty() { vec!["all"] } else { given.iter().map(String::as_str).collect() };
        let mut sources: Vec<&str> = Vec::new();
        for word in words {
            match word {
                "all" => sources.extend(DYNAMIC.into_iter().chain([STATIC])),
                "dynamic" => sources.extend(DYNAMIC),
                "static" => sources.push(STATIC),
                other => sources.push(other),
            }
        }
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for source in sources {
            if source == "mount" {
                if seen.insert(PathBuf::from(source)) {
                    found.extend(self.said_by_mount(machine)?);
                }
                continue;
            }
            let path = Path::new(source);
            if machine.stat(path, Follow::Yes)?.is_none()
                || !seen.insert(machine.resolve(path, Follow::Yes)?)
            {
                continue;
            }
            let text = machine.read(path)?;
            let text = String::from_utf8_lossy(&text);
            found.extend(text.lines().filter_map(|line| of_table(source, line)));
        }
        Ok(found)
    }

    fn said_by_mount(&self, machine: &Machine) -> Result<Vec<Told>, Failure> {
        let program = self.params.text("mount_binary").unwrap_or("mount").to_owned();
        let command = Command { argv: vec![program.clone()], ..Command::default() };
        let output = machine.query(&command)?;
        if !output.is_success() {
            let how = output.how_it_ended();
            return Err(Failure::new(format!("`{program}` does not tell what is mounted ({how})")));
        }
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(said.lines().filter_map(of_mount).collect())
    }

    /// What is told of a mount.
    fn value(&self, machine: &Machine, told: Told, uuid: Option<String>) -> Result<Value, Failure> {
        let mut fields: IndexMap<&str, Value> = IndexMap::from([
            ("device", told.device.into()),
            ("mount", told.point.as_str().into()),
            ("fstype", told.fstype.into()),
            ("options", told.options.into()),
        ]);
        fields.extend(told.numbers.into_iter().map(|(name, number)| (name, number.into())));
        let limit = values::number(&self.params, "timeout")?;
        let limit = limit
            .map_or(PATIENCE, |seconds| Duration::try_from_secs_f64(seconds).unwrap_or(PATIENCE));
        match machine.space(Path::new(&told.point), limit) {
            Ok(Some(space)) => fields.extend([
                ("size_total", space.size_bytes.into()),
                ("size_available", space.available_bytes.into()),
                ("block_size", space.block_bytes.into()),
                ("block_total", space.blocks.into()),
                ("block_available", space.blocks_available.into()),
                ("block_used", space.blocks.saturating_sub(space.blocks_available).into()),
                ("inode_total", space.inodes.into()),
                ("inode_available", space.inodes_available.into()),
                ("inode_used", space.inodes.saturating_sub(space.inodes_available).into()),
            ]),
            Ok(None) => {}
            Err(fault) if self.params.text("on_timeout").is_none_or(|it| it == "error") => {
                return Err(fault.into());
            }
            Err(_) => {}
        }
        fields.insert("uuid", uuid.map_or_else(|| Value::from(()), Value::from));
        let context = [("source", told.source), ("source_data", told.line)];
        fields.insert("ansible_context", Value::from_pairs(context));
        Ok(Value::from_pairs(fields))
    }
}

/// A line of a table: `DEVICE POINT TYPE OPTIONS [DUMP [PASSNO]]`.
fn of_table(source: &str, line: &str) -> Option<Told> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let plain = |field: &str| String::from_utf8_lossy(&unescape(field.as_bytes())).into_owned();
    let fields: Vec<String> = line.split_whitespace().map(plain).collect();
    let [device, point, fstype, options, numbers @ ..] = &fields[..] else { return None };
    let numbers = ["dump", "passno"].into_iter().zip(numbers);
    let numbers = numbers.map_while(|(name, text)| Some((name, text.parse().ok()?))).collect();
    let [device, point, fstype, options] = [device, point, fstype, options].map(Clone::clone);
    let (source, line) = (source.to_owned(), line.to_owned());
    Some(Told { source, line, device, point, fstype, options, numbers })
}

/// A line of the program: `DEVICE on POINT type TYPE (OPTIONS)`.
fn of_mount(line: &str) -> Option<Told> {
    let (device, rest) = line.split_once(" on ")?;
    let (point, rest) = rest.rsplit_once(" type ")?;
    let (fstype, options) = rest.split_once(" (")?;
    let [device, point, fstype, options] =
        [device, point, fstype, options.split(')').next()?].map(str::to_owned);
    let (source, line) = ("mount".to_owned(), line.to_owned());
    Some(Told { source, line, device, point, fstype, options, numbers: Vec::new() })
}

/// File systems by their number, and the devices that they are on.
fn uuids(machine: &Machine) -> Result<Vec<(String, PathBuf)>, Failure> {
    let directory = Path::new(BY_UUID);
    if machine.stat(directory, Follow::Yes)?.is_none() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for name in machine.list(directory)? {
        let device = machine.resolve(&directory.join(&name), Follow::Yes)?;
        found.push((name.to_string_lossy().into_owned(), device));
    }
    Ok(found)
}

fn of_device(
    machine: &Machine,
    uuids: &[(String, PathBuf)],
    device: &str,
) -> Result<Option<String>, Failure> {
    if !device.starts_with('/') || uuids.is_empty() {
        return Ok(None);
    }
    let device = machine.resolve(Path::new(device), Follow::Yes)?;
    Ok(uuids.iter().find(|(_, path)| *path == device).map(|(uuid, _)| uuid.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_tables_and_of_the_program_are_read() {
        let told = of_table("/etc/fstab", "UUID=1 /srv/two\\040words ext4 ro 1").unwrap();
        assert_eq!(
            (told.point.as_str(), &told.numbers[..]),
            ("/srv/two words", &[("dump", 1)][..])
        );
        assert!(of_table("/etc/fstab", "# a b c d").is_none());
        let told = of_mount("tmpfs on /run/two words type tmpfs (rw,size=1k)").unwrap();
        assert_eq!((told.point.as_str(), told.options.as_str()), ("/run/two words", "rw,size=1k"));
    }
}
