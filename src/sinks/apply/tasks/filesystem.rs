//! `filesystem`: which file system is on a device or in a file.

use super::{Failure, Module, Outcome, Task, TaskContext, system};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::command::Command;
use crate::host::machine::path::Follow;
use crate::host::machine::state::Transition;
use crate::host::mounts;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use crate::sinks::apply::words::{Quotes, split};
use std::path::Path;

pub(super) static MODULE: Module = Module {
    name: "filesystem",
    summary: "Makes sure that a device or a file holds a file system, or none.",
    acts_unless: None,
    spec: Spec {
        not_yet: &[&["resizefs", "uuid"]],
        ..Spec::new(&[
            Param::new("dev", Kind::Path)
                .or(&["device"])
                .required()
                .says("The device, or a file that is as large as the file system will be."),
            Param::new("fstype", Kind::OneOf(KINDS)).or(&["type"]).says("The kind of file system."),
            Param::new("state", Kind::OneOf(&["absent", "present"])).says(
                "`present` where not given; with `absent` what it holds is no file system any more.",
            ),
            Param::new("force", Kind::Bool)
                .says("Make the file system although there is another one, which is lost."),
            Param::new("opts", Kind::Text).says("More arguments of the program `mkfs.FSTYPE`."),
        ])
    },
    check,
    build: |params| Box::new(Filesystem { params }),
};

const KINDS: &[&str] = &["btrfs", "ext2", "ext3", "ext4", "f2fs", "swap", "vfat", "xfs"];
const NONE: &str = "none";

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = system::needs("filesystem", params, "present", &["present"], &["fstype"]);
    if let Some(Err(quote)) = params.text("opts").map(|text| split(text, Quotes::Resolve)) {
        let why = format!("a {quote} in `opts` is not closed");
        complaints.push(Diagnostic::new(why, params.place("opts")));
    }
    complaints
}

struct Filesystem {
    params: Params,
}

impl Task for Filesystem {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let text = |name| params.text(name).unwrap_or_default();
        let given = text("dev");
        let dev = machine.resolve(Path::new(given), Follow::Yes)?;
        let dev = dev.display().to_string();
        if machine.stat(Path::new(&dev), Follow::Yes)?.is_none() {
            return match text("state") {
                "absent" => Ok(Outcome::default()),
                _ => Err(Failure::new(format!("there is no device or file {given}"))),
            };
        }
        let of = format!("file system of {dev}");
        let now = match machine.foretold_state(&of) {
            Some(foretold) => foretold,
            None => found(machine, &dev)?,
        };
        let wanted = if text("state") == "absent" { NONE } else { text("fstype") };
        if now == wanted {
            return Ok(Outcome::default());
        }
        must_be_idle(machine, &dev)?;
        if now != NONE && wanted != NONE && !params.flag("force", false) {
            let failure =
                Failure::new(format!("{given} holds {now}, and {wanted} would replace it"));
            let hint = "`force: true` does that, and what is in it is lost".to_owned();
            return Err(Failure { hint: Some(hint), ..failure });
        }
        let wipe = system::argv(&["wipefs", "--all", &dev]);
        let argv = if wanted == NONE { wipe.clone() } else { self.make(wanted, now != NONE, &dev) };
        // Only what has put a file system where there was none can be undone.
        let back = (now == NONE).then_some(wipe);
        machine.transition(&Transition {
            of,
            before: now,
            after: wanted.to_owned(),
            argv,
            back,
        })?;
        Ok(Outcome::default())
    }
}

impl Filesystem {
    /// The command that makes the file system without a question.
    fn make(&self, kind: &str, forces: bool, dev: &str) -> Vec<String> {
        let program = if kind == "swap" { "mkswap".to_owned() } else { format!("mkfs.{kind}") };
        let mut argv = vec![program];
        let quiet: &[&str] = match kind {
            // On a file and on a whole disk too.
            "ext2" | "ext3" | "ext4" => &["-q", "-F"],
            "xfs" | "btrfs" | "f2fs" | "swap" if forces => &["-f"],
            _ => &[],
        };
        argv.extend(system::argv(quiet));
        let opts = self.params.text("opts").unwrap_or_default();
        argv.extend(split(opts, Quotes::Resolve).unwrap_or_default());
        argv.push(dev.to_owned());
        argv
    }
}

/// What a device or file holds.
fn found(machine: &Machine, dev: &str) -> Result<String, Failure> {
    if machine.foretells_below(Path::new(dev)) {
        // A file that an earlier task would make.
        return Ok(NONE.to_owned());
    }
    let argv = system::argv(&["blkid", "-p", "-o", "value", "-s", "TYPE", dev]);
    let output = machine.query(&Command { argv, ..Command::default() })?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match (output.code(), said.is_empty()) {
        (0, false) => Ok(said),
        // 2 is its way to say that nothing is there.
        (0 | 2, true) => Ok(NONE.to_owned()),
        (_, _) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(Failure::new(format!("blkid does not tell what {dev} holds: {said}")))
        }
    }
}

/// What is mounted or swapped to is not touched, whatever is said.
fn must_be_idle(machine: &Machine, dev: &str) -> Result<(), Failure> {
    let table = machine.read(Path::new("/proc/self/mountinfo"))?;
    let mounts = mounts::parse(&table).map_err(Failure::new)?;
    if let Some(mount) = mounts.iter().find(|mount| mount.device == dev) {
        let why = format!("{dev} is mounted at {}", mount.point.display());
        return Err(Failure { hint: Some("unmount it first".into()), ..Failure::new(why) });
    }
    let swaps = system::read(machine, Path::new("/proc/swaps"))?.unwrap_or_default();
    if swaps.lines().any(|line| line.split_whitespace().next() == Some(dev)) {
        return Err(Failure::new(format!("{dev} is in use as swap")));
    }
    Ok(())
}
