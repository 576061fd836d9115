//! `package`: packages with whatever the host manages them with.

use super::{Failure, Module, Outcome, Task, TaskContext, apk, apt, dnf, no_check, pacman, zypper};
use crate::event::tree::{Key, Node, Value as Tree};
use crate::expr::collection;
use crate::host::machine::Machine;
use crate::host::machine::path::Follow;
use crate::sinks::apply::params::{Kind, Param, Params, Spec, Stage};
use std::path::Path;

pub(super) static MODULE: Module = Module {
    name: "package",
    summary: "Makes sure that packages are installed, or not, with the host's own package manager.",
    acts_unless: None,
    spec: Spec {
        others: Some("a parameter of the package manager's own task"),
        ..Spec::new(&[
            Param::new("name", Kind::Texts).required().says("The packages."),
            Param::new("state", Kind::Text).says(
                "What becomes of them: `present`, where not given, `absent` or `latest`.",
            ),
            Param::new("use", Kind::Text).says(
                "The package manager; `auto`, where not given, takes that of the host. This version \
                 knows `apt`, `dnf`, `yum`, `zypper`, `pacman` and `apk`.",
            ),
        ])
    },
    check: no_check,
    build: |params| Box::new(Package { params }),
};

/// The managers' own tasks.
static MODULES: [&Module; 6] =
    [&apt::MODULE, &dnf::MODULE, &dnf::YUM, &zypper::MODULE, &pacman::MODULE, &apk::MODULE];

/// Package managers by the programs that they are.
const MANAGERS: [(&str, &str); 7] = [
    ("apt", "/usr/bin/apt-get"),
    ("dnf", "/usr/bin/dnf"),
    ("dnf", "/usr/bin/dnf5"),
    ("yum", "/usr/bin/yum"),
    ("zypper", "/usr/bin/zypper"),
    ("pacman", "/usr/bin/pacman"),
    ("apk", "/sbin/apk"),
];

struct Package {
    params: Params,
}

impl Task for Package {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let manager = self.manager(machine)?;
        let Some(module) = MODULES.iter().find(|module| module.name == manager) else {
            let why =
                format!("Could not find a matching action for the \"{manager}\" package manager.");
            let hint = "a `command` task can start it".to_owned();
            return Err(Failure { hint: Some(hint), ..Failure::new(why) });
        };
        let list = self.params.texts("name").unwrap_or_default();
        let list = list.iter().map(|name| Node::string(name)).collect();
        let mut of_both = vec![("name", Node::new(Tree::List(list)))];
        of_both.extend(self.params.text("state").map(|state| ("state", Node::string(state))));
        let named =
            of_both.into_iter().map(|(name, node)| (Key { name: name.into(), span: None }, node));
        let mut entries: Vec<(Key, Node)> = named.collect();
        entries.extend(self.params.others.iter().cloned());
        let args = Node { span: self.params.span.clone(), ..Node::new(Tree::Map(entries)) };
        let params = Params::read(module.name, &module.spec, &args, Stage::Rendered)
            .map_err(Failure::first)?;
        let complaints = (module.check)(&params);
        if !complaints.is_empty() {
            return Err(Failure::first(complaints));
        }
        (module.build)(params).converge(machine, cx)
    }
}

impl Package {
    fn manager(&self, machine: &Machine) -> Result<String, Failure> {
        if let Some(given) = self.params.text("use").filter(|given| *given != "auto") {
            return Ok(collection::short(given).to_owned());
        }
        for (name, program) in MANAGERS {
            if machine.stat(Path::new(program), Follow::Yes)?.is_some() {
                return Ok(name.to_owned());
            }
        }
        Err(Failure::new("this host has no package manager that is known here"))
    }
}
