//! `selinux`: whether SELinux is enforced, now and after the next start. What `seboolean` and
//! `sefcontext` have in common with it is here too.

use super::{Failure, Module, Outcome, Task, TaskContext, system};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::path::Follow;
use crate::host::machine::state::Transition;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::path::Path;

pub(super) static MODULE: Module = Module {
    name: "selinux",
    summary: "Makes sure that SELinux is enforced, or not (held against records of such a host, not \
              against one).",
    acts_unless: None,
    spec: Spec {
        not_yet: &[&["update_kernel_param"]],
        ..Spec::new(&[
            Param::new("state", Kind::OneOf(&["disabled", "enforcing", "permissive"])).required().says(
                "`enforcing`, `permissive` (only told), or `disabled`, which takes a start of the host.",
            ),
            Param::new("policy", Kind::Text)
                .says("The policy, such as `targeted`; needed unless it is disabled."),
            Param::new("configfile", Kind::Path)
                .or(&["conf", "file"])
                .says("The file; `/etc/selinux/config` where not given."),
        ])
    },
    check,
    build: |params| Box::new(Selinux { params }),
};

pub(super) const FILE: &str = "/etc/selinux/config";
/// Where the kernel shows it; there is none where SELinux is disabled.
pub(super) const KERNEL: &str = "/sys/fs/selinux";

fn check(params: &Params) -> Vec<Diagnostic> {
    system::needs("selinux", params, "", &["enforcing", "permissive"], &["policy"])
}

struct Selinux {
    params: Params,
}

impl Task for Selinux {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let state = params.text("state").unwrap_or_default();
        let path = params.path("configfile").unwrap_or_else(|| FILE.into());
        let shown = path.display().to_string();
        let Some(old) = system::read(machine, &path)? else {
            let failure = Failure::new(format!("there is no file {shown}"));
            let hint = "install SELinux and a policy for it first".to_owned();
            return Err(Failure { hint: Some(hint), ..failure });
        };
        let was_policy = system::value(&old, "SELINUXTYPE").map(str::to_owned);
        let policy = params.text("policy").map(str::to_owned).or(was_policy.clone());
        let mut new = set(&old, "SELINUX", state);
        if let Some(policy) = &policy {
            new = set(&new, "SELINUXTYPE", policy);
        }
        if new != old {
            system::write(machine, &path, new, false)?;
        }
        // What the kernel has not loaded, or has loaded for good, only a start changes.
        let mut needs_start = was_policy != policy;
        match enforced(machine)? {
            None => needs_start |= state != "disabled",
            Some(_) if state == "disabled" => needs_start = true,
            Some(now) => enforce(machine, now, state)?,
        }
        let outcome = Outcome::default()
            .with("configfile", shown)
            .with("policy", policy)
            .with("state", state)
            .with("reboot_required", needs_start);
        let message = needs_start.then(|| "the host has to be started again for that".to_owned());
        Ok(Outcome { message, ..outcome })
    }
}

/// How the kernel treats what the policy forbids; `None` where SELinux is disabled.
fn enforced(machine: &Machine) -> Result<Option<&'static str>, Failure> {
    match machine.foretold_state("SELinux").as_deref() {
        Some("enforcing") => return Ok(Some("enforcing")),
        Some(_) => return Ok(Some("permissive")),
        None => {}
    }
    let told = system::read(machine, &Path::new(KERNEL).join("enforce"))?;
    Ok(told.map(|told| if told.trim() == "1" { "enforcing" } else { "permissive" }))
}

fn enforce(machine: &mut Machine, now: &str, state: &str) -> Result<(), Failure> {
    if now == state {
        return Ok(());
    }
    let argv = |state| {
        let number = if state == "enforcing" { "1" } else { "0" };
        system::argv(&["setenforce", number])
    };
    Ok(machine.transition(&Transition {
        of: "SELinux".into(),
        before: now.to_owned(),
        after: state.to_owned(),
        argv: argv(state),
        back: Some(argv(now)),
    })?)
}

/// The file with a line `NAME=value`, in its place or at the end.
fn set(text: &str, name: &str, wanted: &str) -> String {
    if system::value(text, name) == Some(wanted) {
        return text.to_owned();
    }
    let line = format!("{name}={wanted}");
    let is_it = |it: &str| it.trim().strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
    let mut lines: Vec<&str> = text.lines().collect();
    match lines.iter().rposition(|it| is_it(it)) {
        Some(at) => lines[at] = &line,
        None => lines.push(&line),
    }
    system::join(&lines)
}

/// The policy that is loaded, by the file; `None` where SELinux is disabled, which is an error unless
/// the task minds not.
pub(super) fn policy(machine: &Machine, params: &Params) -> Result<Option<String>, Failure> {
    let is_on = machine.stat(&Path::new(KERNEL).join("enforce"), Follow::Yes)?.is_some();
    if !is_on && !params.flag("ignore_selinux_state", false) {
        let failure = Failure::new("SELinux is disabled on this host");
        let hint = "`ignore_selinux_state: true` changes the stored policy nevertheless".to_owned();
        return Err(Failure { hint: Some(hint), ..failure });
    }
    let text = system::read(machine, Path::new(FILE))?.unwrap_or_default();
    Ok(system::value(&text, "SELINUXTYPE").map(str::to_owned))
}

/// Accepting that SELinux is disabled.
pub(super) const IGNORE: Param = Param::new("ignore_selinux_state", Kind::Bool)
    .says("Do it although SELinux is disabled, as in the making of an image.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_changed_where_it_is_and_comments_stay() {
        let text = "# SELINUX= can be one of three\nSELINUX=permissive\nSELINUXTYPE=targeted\n";
        assert_eq!(set(text, "SELINUX", "enforcing"), text.replace("permissive", "enforcing"));
        assert_eq!(set(text, "SELINUXTYPE", "targeted"), text);
        assert_eq!(system::value(text, "SELINUX"), Some("permissive"));
        assert_eq!(set("", "SELINUX", "disabled"), "SELINUX=disabled\n");
    }
}
