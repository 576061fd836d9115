//! `openrc`: services of Alpine Linux and Gentoo.

use super::sysvinit::{self, Script};
use super::{Failure, Module, Outcome, Task, TaskContext};
use crate::host::machine::Machine;
use crate::host::machine::path::Follow;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::path::{Path, PathBuf};

pub(super) static MODULE: Module = Module {
    name: "openrc",
    summary: "Makes sure that a service of OpenRC runs, starts by itself, or not. Tried against a \
              stand-in for `rc-service` alone, and directories such as OpenRC makes.",
    acts_unless: None,
    spec: Spec {
        one_of: &[&["enabled", "state"]],
        ..Spec::new(&[
            Param::new("name", Kind::Text).or(&["service"]).required().says("The script."),
            Param::new("state", Kind::OneOf(&["reloaded", "restarted", "started", "stopped"]))
                .says(
                    "Whether it runs, by what `rc-service NAME status` answers. `restarted` and \
                     `reloaded` act each time.",
                ),
            Param::new("enabled", Kind::Bool).says("Whether it starts in the runlevel."),
            Param::new("runlevel", Kind::Text).says("Which one; `default` where not given."),
            sysvinit::PATTERN,
            sysvinit::SLEEP,
            sysvinit::ARGUMENTS,
        ])
    },
    check: sysvinit::check,
    build: |params| Box::new(OpenRc { params }),
};

/// A directory for each runlevel, with a link to the script of each service that starts in it.
const RUNLEVELS: &str = "/etc/runlevels";

/// Whether this manager is at work on the host, or is what would be at its start.
pub(super) fn is_here(machine: &Machine) -> Result<bool, Failure> {
    for path in ["/run/openrc", "/sbin/openrc-run"] {
        if machine.stat(Path::new(path), Follow::Yes)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Brings about what the parameters say.
pub(super) fn converge(
    params: &Params,
    machine: &mut Machine,
    cx: &TaskContext<'_>,
) -> Result<Outcome, Failure> {
    let name = params.text("name").unwrap_or_default();
    let script = Script::required(machine, name)?;
    let mut outcome = Outcome::default().with("name", name);
    if params.has("enabled") {
        let wanted = params.flag("enabled", false);
        enable(machine, &script.path, params.text("runlevel").unwrap_or("default"), wanted)?;
        outcome = outcome.with("enabled", wanted);
    }
    let Some(state) = params.text("state") else { return Ok(outcome) };
    let start = vec!["rc-service".to_owned(), name.to_owned()];
    sysvinit::settle(params, machine, cx, &script, start)?;
    Ok(outcome.with("state", if state == "stopped" { "stopped" } else { "started" }))
}

/// What `rc-update add` and `rc-update delete` do.
fn enable(
    machine: &mut Machine,
    script: &Path,
    runlevel: &str,
    wanted: bool,
) -> Result<(), Failure> {
    let directory: PathBuf = Path::new(RUNLEVELS).join(runlevel);
    let link = directory.join(script.file_name().unwrap_or_default());
    let is_there = machine.stat(&link, Follow::No)?.is_some();
    if is_there == wanted {
        return Ok(());
    }
    if !wanted {
        return Ok(machine.remove(&link)?);
    }
    if machine.stat(Path::new(RUNLEVELS), Follow::Yes)?.is_none() {
        return Err(Failure::new(format!("there is no {RUNLEVELS}, so that OpenRC is not here")));
    }
    if machine.stat(&directory, Follow::Yes)?.is_none() {
        let hint = format!("`file: {{path: {}, state: directory}}` makes it", directory.display());
        let why = format!("there is no runlevel `{runlevel}`");
        return Err(Failure { hint: Some(hint), ..Failure::new(why) });
    }
    Ok(machine.symlink(&link, script)?)
}

struct OpenRc {
    params: Params,
}

impl Task for OpenRc {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        converge(&self.params, machine, cx)
    }
}
