//! `swapfile`: a file that the kernel swaps to, now and after the next start.

use super::{Failure, Module, Outcome, Task, TaskContext, system};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::meta::{Kind as FileKind, Meta};
use crate::host::machine::mode::Mode;
use crate::host::machine::path::Follow;
use crate::host::machine::state::Transition;
use crate::host::machine::write::{Attributes, WriteOptions};
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use bytes::Bytes;
use std::io::Read as _;
use std::path::{Path, PathBuf};

pub(super) static MODULE: Module = Module {
    name: "swapfile",
    summary: "Makes sure that the kernel can swap to a file, now and after the next start, or not. Tried \
              against stand-ins for `swapon` and `swapoff` alone.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("path", Kind::Path)
            .says("The file; `/swapfile` where not given. It can be read by root alone."),
        Param::new("size", Kind::Text)
            .says("How large, such as `2GiB` or `512MiB`. One of another size is made anew."),
        Param::new("state", Kind::OneOf(&["absent", "present"])).says(
            "`present` where not given; with `absent`, the file and its line in the table go.",
        ),
        Param::new("priority", Kind::Int).says(
            "From 0 to 32767; what has more is used first. The kernel's choice where not given.",
        ),
        Param::new("fstab", Kind::Path)
            .says("The table that has it used after each start; `/etc/fstab` where not given."),
    ]),
    check,
    build: |params| Box::new(Swapfile { params }),
};

/// The least that mkswap(8) takes: ten pages.
const LEAST_BYTES: u64 = 40 << 10;
/// What a file has at the end of its first page that is one to swap to.
const MARK: &[u8] = b"SWAPSPACE2";
const PAGE_BYTES: usize = 4096;
const NOT_USED: &str = "not used";

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = system::needs("swapfile", params, "present", &["present"], &["size"]);
    let mut complain =
        |name: &str, why: String| complaints.push(Diagnostic::new(why, params.place(name)));
    if let Some(size) = params.text("size").filter(|size| !size.contains("{{")) {
        match bytes(size) {
            None => complain("size", format!("`{size}` is no size, such as `2GiB`")),
            Some(bytes) if bytes < LEAST_BYTES => {
                complain("size", format!("`{size}` is less than 40 KiB, the least to swap to"));
            }
            Some(_) => {}
        }
    }
    if let Some(path) = params.text("path").filter(|path| !path.contains("{{"))
        && (!path.starts_with('/') || path.contains(char::is_whitespace))
    {
        complain("path", format!("`{path}` is no absolute path without blanks"));
    }
    if params.int("priority").is_some_and(|priority| !(0..=32_767).contains(&priority)) {
        complain("priority", "`priority` is from 0 to 32767".into());
    }
    complaints
}

/// A size in bytes, in whole pages.
fn bytes(size: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 9] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("K", 1 << 10),
        ("M", 1 << 20),
        ("G", 1 << 30),
    ];
    let size = size.trim();
    let unit = UNITS.iter().find_map(|(unit, bytes)| Some((size.strip_suffix(unit)?, *bytes)));
    let (number, unit) = unit.unwrap_or((size, 1));
    let bytes = number.trim().parse::<u64>().ok()?.checked_mul(unit)?;
    Some(bytes / PAGE_BYTES as u64 * PAGE_BYTES as u64)
}

struct Swapfile {
    params: Params,
}

impl Task for Swapfile {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let path = params.path("path").unwrap_or_else(|| "/swapfile".into());
        let job = Job { params, path: machine.resolve(&path, Follow::Yes)? };
        if params.text("state") == Some("absent") {
            job.enter(machine, false)?;
            job.stop(machine)?;
            machine.remove(&job.path)?;
        } else {
            job.make(machine)?;
            job.enter(machine, true)?;
            job.start(machine)?;
        }
        Ok(Outcome::default().with("path", path.display().to_string()))
    }
}

struct Job<'a> {
    params: &'a Params,
    path: PathBuf,
}

impl Job<'_> {
    fn shown(&self) -> String {
        self.path.display().to_string()
    }

    fn of(&self, what: &str) -> String {
        format!("{what} {}", self.shown())
    }

    /// Makes the file, where it is not one of the right size to swap to.
    fn make(&self, machine: &mut Machine) -> Result<(), Failure> {
        let shown = self.shown();
        let wanted = self.params.text("size").and_then(bytes).unwrap_or_default();
        let size = self.of("size of");
        let found = machine.stat(&self.path, Follow::No)?;
        if let Some(found) = found.as_ref().filter(|found| found.kind != FileKind::File) {
            let kind = found.kind.described();
            return Err(Failure::new(format!("{shown} is {kind}, and a file is expected")));
        }
        let is_swap = self.is_swap(machine, found.as_ref())?;
        if found.as_ref().is_some_and(|found| found.size_bytes > 0)
            && !is_swap
            && machine.foretold_state(&size).is_none()
        {
            let failure = Failure::new(format!("{shown} holds something else than swap"));
            let hint = "remove it first, or name another file".to_owned();
            return Err(Failure { hint: Some(hint), ..failure });
        }
        let now = match machine.foretold_state(&size) {
            Some(foretold) => foretold.trim_end_matches(" bytes").parse().unwrap_or(0),
            None => found.as_ref().map_or(0, |found| found.size_bytes),
        };
        if now == wanted && is_swap {
            let mode = Attributes { mode: Some(Mode::Exact(0o600)), ..Attributes::default() };
            machine.set_attributes(&self.path, Follow::No, &mode)?;
            return Ok(());
        }
        self.stop(machine)?;
        // Empty, and for root alone before anything can be in it.
        let mode = Attributes { mode: Some(Mode::Exact(0o600)), ..Attributes::default() };
        machine.write_file(&self.path, &Bytes::new(), &mode, &WriteOptions::default())?;
        machine.transition(&Transition {
            of: size,
            before: "0 bytes".into(),
            after: format!("{wanted} bytes"),
            argv: system::argv(&["fallocate", "-l", &wanted.to_string(), &shown]),
            back: Some(system::argv(&["truncate", "-s", "0", &shown])),
        })?;
        machine.transition(&Transition {
            of: self.of("file system of"),
            before: "none".into(),
            after: "swap".into(),
            argv: system::argv(&["mkswap", &shown]),
            back: Some(system::argv(&["wipefs", "--all", &shown])),
        })?;
        Ok(())
    }

    /// Whether the file is one to swap to.
    fn is_swap(&self, machine: &Machine, found: Option<&Meta>) -> Result<bool, Failure> {
        if let Some(foretold) = machine.foretold_state(&self.of("file system of")) {
            return Ok(foretold == "swap");
        }
        if found.is_none_or(|found| found.size_bytes < LEAST_BYTES) {
            return Ok(false);
        }
        let mut page = Vec::new();
        let read = machine.reader(&self.path)?.take(PAGE_BYTES as u64).read_to_end(&mut page);
        read.map_err(|error| Failure::new(format!("{}: {error}", self.shown())))?;
        Ok(page.ends_with(MARK))
    }

    /// Has the table name the file, or not.
    fn enter(&self, machine: &mut Machine, is_wanted: bool) -> Result<(), Failure> {
        let fstab = self.params.path("fstab").unwrap_or_else(|| "/etc/fstab".into());
        let old = system::read(machine, &fstab)?.unwrap_or_default();
        let shown = self.shown();
        let is_it = |line: &str| line.split_whitespace().next() == Some(shown.as_str());
        let priority = self.params.int("priority");
        let options = priority.map_or("sw".to_owned(), |priority| format!("sw,pri={priority}"));
        let wanted = format!("{shown} none swap {options} 0 0");
        let mut is_there = false;
        let mut lines = Vec::new();
        for line in old.lines() {
            if !is_it(line) {
                lines.push(line);
            } else if is_wanted && !is_there {
                is_there = true;
                let is_same = line.split_whitespace().eq(wanted.split_whitespace());
                lines.push(if is_same { line } else { &wanted });
            }
        }
        if is_wanted && !is_there {
            lines.push(&wanted);
        }
        if old.lines().ne(lines.iter().copied()) {
            system::write(machine, &fstab, system::join(&lines), false)?;
        }
        Ok(())
    }

    /// What the kernel swaps to, by its priority; `None` where that is not the file.
    fn used(&self, machine: &Machine) -> Result<Option<String>, Failure> {
        if let Some(foretold) = machine.foretold_state(&self.of("swap")) {
            return Ok((foretold != NOT_USED).then_some(foretold));
        }
        let swaps = system::read(machine, Path::new("/proc/swaps"))?.unwrap_or_default();
        let line = swaps.lines().find(|line| line.split_whitespace().next() == Some(&self.shown()));
        let priority = line.map(|line| line.split_whitespace().last().unwrap_or_default());
        Ok(priority.map(|priority| format!("priority {priority}")))
    }

    fn start(&self, machine: &mut Machine) -> Result<(), Failure> {
        let priority = self.params.int("priority");
        let wanted = priority.map(|priority| format!("priority {priority}"));
        match self.used(machine)? {
            Some(now) if wanted.as_ref().is_none_or(|wanted| *wanted == now) => return Ok(()),
            Some(_) => self.stop(machine)?,
            None => {}
        }
        let shown = self.shown();
        let mut argv = system::argv(&["swapon"]);
        if let Some(priority) = priority {
            argv.extend(system::argv(&["-p", &priority.to_string()]));
        }
        argv.push(shown.clone());
        machine.transition(&Transition {
            of: self.of("swap"),
            before: NOT_USED.into(),
            after: wanted.unwrap_or_else(|| "used".into()),
            argv,
            back: Some(system::argv(&["swapoff", &shown])),
        })?;
        Ok(())
    }

    /// Has the kernel take back what it has put there.
    fn stop(&self, machine: &mut Machine) -> Result<(), Failure> {
        let Some(before) = self.used(machine)? else { return Ok(()) };
        let shown = self.shown();
        machine.transition(&Transition {
            of: self.of("swap"),
            before,
            after: NOT_USED.into(),
            argv: system::argv(&["swapoff", &shown]),
            back: Some(system::argv(&["swapon", &shown])),
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_pages_in_any_unit() {
        assert_eq!(bytes("2GiB"), Some(2 << 30));
        assert_eq!(bytes("512M"), Some(512 << 20));
        assert_eq!(bytes("1MB"), Some(999_424));
        assert_eq!(bytes("81920"), Some(81_920));
        assert_eq!(bytes("much"), None);
    }
}
