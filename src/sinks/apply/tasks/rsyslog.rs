//! `rsyslog`: what rsyslog does beside what its own file says, as a file of its own.

use super::{Failure, Module, Outcome, Task, TaskContext, file_attributes, system};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::path::Follow;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use bytes::Bytes;
use std::path::Path;

pub(super) static MODULE: Module = Module {
    name: "rsyslog",
    summary: "Makes sure that rsyslog follows some rules, or no longer.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("name", Kind::Text).required().says(
            "What it is called: the name of the file in `/etc/rsyslog.d`, without `.conf`. Files are \
             read in the order of their names.",
        ),
        Param::new("state", Kind::OneOf(&["absent", "present"]))
            .says("Whether the file is there; `present` where not given."),
        Param::new("content", Kind::Text).says(
            "The rules. Where rsyslog is installed it looks at them before they count; a service that \
             is to follow them has to be restarted (`notify`).",
        ),
        file_attributes::BACKUP,
    ]),
    check,
    build: |params| Box::new(Rsyslog { params }),
};

const DIRECTORY: &str = "/etc/rsyslog.d";
const PROGRAM: &str = "/usr/sbin/rsyslogd";

/// A file of inputs alone is one that rsyslog would not start with; others have outputs.
const OUTPUT: &str = "\n*.* /dev/null\n";

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = system::needs("rsyslog", params, "present", &["present"], &["content"]);
    complaints.extend(system::check_file_name(params, "name"));
    complaints
}

struct Rsyslog {
    params: Params,
}

impl Task for Rsyslog {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let name = params.text("name").unwrap_or_default();
        let name = name.strip_suffix(".conf").unwrap_or(name);
        let path = Path::new(DIRECTORY).join(format!("{name}.conf"));
        let outcome = Outcome::default().with("path", path.display().to_string());
        if params.text("state") == Some("absent") {
            machine.remove(&path)?;
            return Ok(outcome);
        }
        let mut content = params.text("content").unwrap_or_default().to_owned();
        if !content.ends_with('\n') {
            content.push('\n');
        }
        if system::read(machine, &path)?.as_ref() == Some(&content) {
            return Ok(outcome);
        }
        must_be_understood(machine, &content)?;
        let backup = system::write(machine, &path, content, params.flag("backup", false))?;
        Ok(system::with_backup(outcome, backup))
    }
}

fn must_be_understood(machine: &Machine, content: &str) -> Result<(), Failure> {
    if machine.stat(Path::new(PROGRAM), Follow::Yes)?.is_none() {
        return Ok(());
    }
    let argv = system::argv(&[PROGRAM, "-N1", "-f", "%s"]);
    let output = machine.guard_content(&argv, &Bytes::from(format!("{content}{OUTPUT}")))?;
    if output.is_success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let of_file = |line: &&str| {
        let line = line.strip_prefix("rsyslogd: ").unwrap_or(line);
        !line.starts_with("version ") && !line.starts_with("End of config")
    };
    let why = said.lines().find(of_file).unwrap_or_default();
    let why = why.strip_prefix("rsyslogd: ").unwrap_or(why);
    let why = why.split(" [v").next().unwrap_or_default();
    Err(Failure::new(format!("rsyslog objects: {why}")))
}
