//! `sefcontext`: which label of SELinux files get that are at certain paths.

use super::{Failure, Module, Outcome, Task, TaskContext, selinux, system};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::state::Transition;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::path::Path;

pub(super) static MODULE: Module = Module {
    name: "sefcontext",
    summary: "Makes sure that files at certain paths get a label of SELinux (held against records of \
              such a host, not against one). `restorecon` gives it to those that are there.",
    acts_unless: None,
    spec: Spec {
        not_yet: &[&["substitute", "equal"]],
        ..Spec::new(&[
            Param::new("target", Kind::Text)
                .or(&["path"])
                .required()
                .says("The paths: a regular expression, such as `/srv/www(/.*)?`."),
            Param::new("ftype", Kind::OneOf(&["a", "b", "c", "d", "f", "l", "p", "s"])).says(
                "Which kind of file: `a` all, where not given; `f` files, `d` directories, `l` links, \
                 `s` sockets, `p` pipes, `b` and `c` devices.",
            ),
            Param::new("setype", Kind::Text).says("The type, such as `httpd_sys_content_t`."),
            Param::new("seuser", Kind::Text).says("The user; `system_u` where not given."),
            Param::new("selevel", Kind::Text).or(&["serange"]).says("The level; `s0` where not given."),
            Param::new("state", Kind::OneOf(&["absent", "present"]))
                .says("Whether that is so; `present` where not given."),
            Param::new("reload", Kind::Bool)
                .says("Let the kernel read the policy anew; true where not given."),
            selinux::IGNORE,
        ])
    },
    check,
    build: |params| Box::new(Sefcontext { params }),
};

/// How the table and the program name kinds of files.
const KINDS: [(&str, &str); 8] = [
    ("a", ""),
    ("b", "-b"),
    ("c", "-c"),
    ("d", "-d"),
    ("f", "--"),
    ("l", "-l"),
    ("p", "-p"),
    ("s", "-s"),
];
const NONE: &str = "none";

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = system::needs("sefcontext", params, "present", &["present"], &["setype"]);
    for name in ["target", "setype", "seuser", "selevel"] {
        if let Some(text) = params.text(name).filter(|text| !text.contains("{{"))
            && (text.is_empty() || text.contains(char::is_whitespace) || text.starts_with('-'))
        {
            let why = format!("`{name}` is one word, and this is `{text}`");
            complaints.push(Diagnostic::new(why, params.place(name)));
        }
    }
    complaints
}

struct Sefcontext {
    params: Params,
}

/// A label without the role, which the policy gives.
#[derive(Clone, PartialEq, Eq)]
struct Label {
    user: String,
    kind: String,
    level: String,
}

impl Task for Sefcontext {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let text = |name| params.text(name).unwrap_or_default();
        let (target, ftype) = (text("target"), params.text("ftype").unwrap_or("a"));
        let state = params.text("state").unwrap_or("present");
        let outcome = Outcome::default()
            .with("target", target)
            .with("ftype", ftype)
            .with("setype", params.text("setype"))
            .with("state", state);
        let policy = selinux::policy(machine, params)?.unwrap_or_else(|| "targeted".to_owned());
        let now = self.now(machine, &policy)?;
        let wanted = (state == "present").then(|| {
            let or = |name, usual: &str| params.text(name).unwrap_or(usual).to_owned();
            let (user, level) = match &now {
                Some(now) => (or("seuser", &now.user), or("selevel", &now.level)),
                None => (or("seuser", "system_u"), or("selevel", "s0")),
            };
            Label { user, kind: text("setype").to_owned(), level }
        });
        if now == wanted {
            return Ok(outcome);
        }
        let (argv, back) =
            (self.argv(now.as_ref(), wanted.as_ref()), self.argv(wanted.as_ref(), now.as_ref()));
        let told = |label: Option<&Label>| match label {
            Some(label) => format!("{}:{}:{}", label.user, label.kind, label.level),
            None => NONE.to_owned(),
        };
        machine.transition(&Transition {
            of: self.of(),
            before: told(now.as_ref()),
            after: told(wanted.as_ref()),
            argv,
            back: Some(back),
        })?;
        Ok(outcome)
    }
}

impl Sefcontext {
    fn of(&self) -> String {
        let text = |name, usual| self.params.text(name).unwrap_or(usual);
        format!("SELinux label of {} ({})", text("target", ""), text("ftype", "a"))
    }

    /// The command that leads from one label to another.
    fn argv(&self, from: Option<&Label>, to: Option<&Label>) -> Vec<String> {
        let text = |name, usual| self.params.text(name).unwrap_or(usual);
        let mut argv = system::argv(&["semanage", "fcontext"]);
        if !self.params.flag("reload", true) {
            argv.push("-N".into());
        }
        let action = match (from, to) {
            (None, Some(_)) => "-a",
            (Some(_), Some(_)) => "-m",
            (_, None) => "-d",
        };
        argv.extend(system::argv(&[action, "-f", text("ftype", "a")]));
        if let Some(to) = to {
            argv.extend(system::argv(&["-s", &to.user, "-t", &to.kind, "-r", &to.level]));
        }
        argv.push(text("target", "").to_owned());
        argv
    }

    /// The label that somebody has set, by the local table: `TARGET [KIND] USER:ROLE:TYPE:LEVEL`.
    fn now(&self, machine: &Machine, policy: &str) -> Result<Option<Label>, Failure> {
        if let Some(foretold) = machine.foretold_state(&self.of()) {
            let mut parts = foretold.splitn(3, ':').map(str::to_owned);
            let (user, kind, level) = (parts.next(), parts.next(), parts.next());
            return Ok(match (user, kind, level) {
                (Some(user), Some(kind), Some(level)) => Some(Label { user, kind, level }),
                _ => None,
            });
        }
        let path =
            Path::new("/etc/selinux").join(policy).join("contexts/files/file_contexts.local");
        let table = system::read(machine, &path)?.unwrap_or_default();
        let ftype = self.params.text("ftype").unwrap_or("a");
        let sign = KINDS.iter().find(|(name, _)| *name == ftype).map_or("", |(_, sign)| sign);
        let label = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (target, kind, label) = match words[..] {
                [target, label] => (target, "", label),
                [target, kind, label] => (target, kind, label),
                _ => return None,
            };
            let is_it = target == self.params.text("target").unwrap_or_default() && kind == sign;
            let mut parts = label.splitn(4, ':').filter(|_| is_it).map(str::to_owned);
            let (user, _, kind) = (parts.next()?, parts.next()?, parts.next()?);
            Some(Label { user, kind, level: parts.next().unwrap_or_else(|| "s0".to_owned()) })
        };
        Ok(table.lines().filter_map(label).next_back())
    }
}
