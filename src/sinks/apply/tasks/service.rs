//! `service`: services with whatever the host manages them with.

use super::systemd::{self, Systemd};
use super::sysvinit::{self, Script};
use super::{Failure, Module, Outcome, Task, TaskContext, no_check, openrc};
use crate::event::tree::{Key, Node, Value as Tree};
use crate::expr::collection;
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec, Stage};

pub(super) static MODULE: Module = Module {
    name: "service",
    summary: "Makes sure that a service runs, starts by itself, or not, with the host's own manager.",
    acts_unless: None,
    spec: Spec {
        one_of: &[&["enabled", "state"]],
        ..Spec::new(&[
            Param::new("name", Kind::Text).required().says("The service."),
            Param::new("state", Kind::OneOf(&["reloaded", "restarted", "started", "stopped"])).says(
                "Whether it runs. `restarted` and `reloaded` act each time, and start what does not \
                 run.",
            ),
            Param::new("enabled", Kind::Bool).says("Whether it starts by itself."),
            Param::new("pattern", Kind::Text).says(
                "Of a script a part of what a process of it was started with: it runs where there is one, \
                 whatever its `status` answers. systemd is asked itself.",
            ),
            Param::new("use", Kind::Text).says(
                "What manages services: `systemd`, `openrc` or `sysvinit`; `auto`, where not given, \
                 takes systemd where it is at work, OpenRC where that is installed, else systemd or \
                 the script in `/etc/init.d`.",
            ),
            Param::new("sleep", Kind::Int).says(
                "How long to wait between stop and start of a restart, in seconds; systemd needs \
                 none.",
            ),
            Param::new("arguments", Kind::Texts)
                .or(&["args"])
                .says("Further arguments for a script; systemd takes none."),
            Param::new("runlevel", Kind::Text)
                .says("Of OpenRC the runlevel; `default` where not given. Others have none."),
        ])
    },
    check: no_check,
    build: |params| Box::new(Service { params }),
};

/// The tasks that it hands its work on to, that of most hosts first.
pub(super) const MANAGERS: &[&str] = &["systemd", "sysvinit", "openrc"];

struct Service {
    params: Params,
}

impl Task for Service {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let name = self.params.text("name").unwrap_or_default();
        match self.manager(machine, name)?.as_str() {
            "systemd" => {
                let params = self.handed_on()?;
                Systemd { params }.converge(machine, cx)
            }
            "openrc" => openrc::converge(&self.params, machine, cx),
            "sysvinit" => sysvinit::converge(&self.params, machine, cx),
            other => {
                let why = format!("the service manager `{other}` is not supported");
                let hint = "`systemd`, `openrc` and `sysvinit` are".to_owned();
                Err(Failure { hint: Some(hint), ..Failure::new(why) })
            }
        }
    }
}

impl Service {
    fn manager(&self, machine: &Machine, name: &str) -> Result<String, Failure> {
        if let Some(given) = self.params.text("use").filter(|given| *given != "auto") {
            return Ok(collection::short(given).to_owned());
        }
        if systemd::runs(machine)? {
            return Ok("systemd".to_owned());
        }
        if openrc::is_here(machine)? {
            return Ok("openrc".to_owned());
        }
        let has_script = Script::find(machine, name)?.is_some();
        // A script can be started where systemd is only installed.
        if has_script && (self.params.has("state") || !systemd::is_installed(machine)?) {
            return Ok("sysvinit".to_owned());
        }
        if systemd::is_installed(machine)? {
            return Ok("systemd".to_owned());
        }
        let failure = Failure::new(format!("nothing on this host manages the service `{name}`"));
        let hint = "neither systemd nor a script of that name in /etc/init.d is there".to_owned();
        Err(Failure { hint: Some(hint), ..failure })
    }

    /// The parameters that systemd has too.
    fn handed_on(&self) -> Result<Params, Failure> {
        let text = |name: &'static str| Some((name, Node::string(self.params.text(name)?)));
        let enabled = self.params.has("enabled").then(|| {
            let word = if self.params.flag("enabled", false) { "yes" } else { "no" };
            ("enabled", Node::string(word))
        });
        let given = [text("name"), text("state"), enabled].into_iter().flatten();
        let entries =
            given.map(|(name, node)| (Key { name: name.into(), span: None }, node)).collect();
        let args = Node { span: self.params.span.clone(), ..Node::new(Tree::Map(entries)) };
        let module = &systemd::MODULE;
        let params = Params::read(module.name, &module.spec, &args, Stage::Rendered)
            .map_err(Failure::first)?;
        match (module.check)(&params) {
            complaints if complaints.is_empty() => Ok(params),
            complaints => Err(Failure::first(complaints)),
        }
    }
}
