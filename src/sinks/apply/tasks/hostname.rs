//! `hostname`: what the host is called.

use super::{Failure, Module, Outcome, Task, TaskContext, system};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::path::Follow;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use minijinja::Value;
use std::path::Path;

pub(super) static MODULE: Module = Module {
    name: "hostname",
    summary: "Makes sure that the host has this name, now and after the next start.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("name", Kind::Text).required().says("The name, up to 64 bytes."),
        Param::new("use", Kind::OneOf(STRATEGIES)).says(
            "In which file the name is kept: `/etc/hostname` (`alpine`, `debian`, `systemd`), \
             `/etc/conf.d/hostname` (`openrc`), `/etc/sysconfig/network` (`redhat`), \
             `/etc/HOSTNAME` (`sles`), or in none (`generic`). Where not given, in the one that \
             the host has.",
        ),
    ]),
    check,
    build: |params| Box::new(Hostname { params }),
};

const STRATEGIES: &[&str] = &["alpine", "debian", "generic", "openrc", "redhat", "sles", "systemd"];

/// Writing it is what sethostname(2) does.
const OF_KERNEL: &str = "/proc/sys/kernel/hostname";

/// The kernel takes no longer one.
const MOST_BYTES: usize = 64;

fn check(params: &Params) -> Vec<Diagnostic> {
    let is_known = |name: &&str| !name.contains("{{");
    let Some(name) = params.text("name").filter(is_known) else { return Vec::new() };
    let why = if name.is_empty() || name.len() > MOST_BYTES {
        format!("the name of a host has 1 to {MOST_BYTES} bytes, and `{name}` has {}", name.len())
    } else if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        format!("the name of a host has letters, digits, `-` and `.`, and this is `{name}`")
    } else if name.starts_with(['-', '.']) || name.contains("..") {
        format!("no part of the name of a host is empty or begins with `-`, and this is `{name}`")
    } else {
        return Vec::new();
    };
    vec![Diagnostic::new(why, params.place("name"))]
}

struct Hostname {
    params: Params,
}

impl Task for Hostname {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let name = self.params.text("name").unwrap_or_default();
        if let Some((path, assignment)) = self.place(machine)? {
            let old = system::read(machine, path)?;
            let new = settle(old.as_deref(), name, assignment);
            system::write(machine, path, new, false)?;
        }
        machine.set_kernel(Path::new(OF_KERNEL), name)?;
        let (short, domain) = name.split_once('.').unwrap_or((name, ""));
        let facts = [
            ("ansible_hostname", short),
            ("ansible_nodename", name),
            ("ansible_fqdn", name),
            ("ansible_domain", domain),
        ];
        let facts = Value::from_iter(facts.map(|(name, value)| (name, Value::from(value))));
        Ok(Outcome::default().with("name", name).with("ansible_facts", facts))
    }
}

impl Hostname {
    /// The file that keeps the name, and what is before the name in it.
    fn place(
        &self,
        machine: &Machine,
    ) -> Result<Option<(&'static Path, Option<&'static str>)>, Failure> {
        let openrc = Path::new("/etc/conf.d/hostname");
        let found = match self.params.text("use") {
            Some(strategy) => strategy,
            None => match machine.stat(openrc, Follow::Yes)? {
                Some(_) => "openrc",
                None => "systemd",
            },
        };
        Ok(match found {
            "generic" => None,
            "openrc" => Some((openrc, Some("hostname"))),
            "redhat" => Some((Path::new("/etc/sysconfig/network"), Some("HOSTNAME"))),
            "sles" => Some((Path::new("/etc/HOSTNAME"), None)),
            _ => Some((Path::new("/etc/hostname"), None)),
        })
    }
}

/// The file with the name in it: as its first line that is no comment, or behind `assignment=`.
fn settle(old: Option<&str>, name: &str, assignment: Option<&str>) -> String {
    let Some(variable) = assignment else {
        let is_name = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
        let now = old.unwrap_or_default().lines().find(is_name);
        return match old {
            Some(old) if now.is_some_and(|now| now.trim() == name) => old.to_owned(),
            _ => format!("{name}\n"),
        };
    };
    let line = match variable {
        "hostname" => format!("{variable}=\"{name}\""),
        _ => format!("{variable}={name}"),
    };
    let mut lines: Vec<&str> = old.unwrap_or_default().lines().collect();
    let begins = |line: &str| {
        line.trim_start().strip_prefix(variable).is_some_and(|rest| rest.starts_with('='))
    };
    match lines.iter().position(|line| begins(line)) {
        Some(at) => lines[at] = &line,
        None => lines.push(&line),
    }
    system::join(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_put_where_the_file_has_it() {
        assert_eq!(settle(None, "web", None), "web\n");
        assert_eq!(settle(Some("# by hand\nweb\n"), "web", None), "# by hand\nweb\n");
        assert_eq!(settle(Some("old\n"), "web", None), "web\n");
        let network = "NETWORKING=yes\nHOSTNAME=old\n";
        let new = settle(Some(network), "web", Some("HOSTNAME"));
        assert_eq!(new, "NETWORKING=yes\nHOSTNAME=web\n");
        assert_eq!(settle(None, "web", Some("hostname")), "hostname=\"web\"\n");
    }
}
