//! `journald`: settings of systemd's journal, as a file of their own.

use super::{Failure, Module, Outcome, Task, TaskContext, file_attributes, system};
use crate::event::fault::{Diagnostic, nearest};
use crate::event::tree::Node;
use crate::host::machine::Machine;
use crate::host::machine::write::Attributes;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::path::Path;

pub(super) static MODULE: Module = Module {
    name: "journald",
    summary: "Makes sure that systemd's journal has some settings, or no longer.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("name", Kind::Text).says(
            "What it is called: the name of the file in `/etc/systemd/journald.conf.d`, without \
             `.conf`; `driftless` where not given. The last file that has a setting counts.",
        ),
        Param::new("state", Kind::OneOf(&["absent", "present"]))
            .says("Whether the file is there; `present` where not given."),
        Param::new("settings", Kind::Any).says(
            "A mapping, such as `{Storage: persistent, SystemMaxUse: 500M}`: see journald.conf(5). The \
             journal follows them when it is restarted (`notify`).",
        ),
        file_attributes::BACKUP,
    ]),
    check,
    build: |params| Box::new(Journald { params }),
};

const DIRECTORY: &str = "/etc/systemd/journald.conf.d";

/// The settings of journald.conf(5), systemd 257.
const SETTINGS: &[&str] = &[
    "Audit",
    "Compress",
    "ForwardToConsole",
    "ForwardToKMsg",
    "ForwardToSocket",
    "ForwardToSyslog",
    "ForwardToWall",
    "LineMax",
    "MaxFileSec",
    "MaxLevelConsole",
    "MaxLevelKMsg",
    "MaxLevelSocket",
    "MaxLevelStore",
    "MaxLevelSyslog",
    "MaxLevelWall",
    "MaxRetentionSec",
    "RateLimitBurst",
    "RateLimitIntervalSec",
    "ReadKMsg",
    "RuntimeKeepFree",
    "RuntimeMaxFileSize",
    "RuntimeMaxFiles",
    "RuntimeMaxUse",
    "Seal",
    "SplitMode",
    "Storage",
    "SyncIntervalSec",
    "SystemKeepFree",
    "SystemMaxFileSize",
    "SystemMaxFiles",
    "SystemMaxUse",
    "TTYPath",
];

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = system::needs("journald", params, "present", &["present"], &["settings"]);
    complaints.extend(system::check_file_name(params, "name"));
    let Some(node) = params.any("settings") else { return complaints };
    let Some(settings) = node.as_map() else {
        if node.scalar_text().is_none_or(|text| !text.contains("{{")) {
            let why = format!("`settings` takes a mapping, and this is {}", node.kind());
            complaints.push(Diagnostic::new(why, node.span.clone()));
        }
        return complaints;
    };
    for (key, value) in settings {
        if !SETTINGS.contains(&&*key.name) {
            let why = format!("the journal has no setting `{}`", key.name);
            let complaint = Diagnostic::new(why, key.span.clone());
            complaints.push(match nearest(&key.name, SETTINGS.iter().copied()) {
                Some(near) => complaint.hint(format!("did you mean `{near}`?")),
                None => complaint,
            });
        } else if value.scalar_text().is_none_or(|text| text.contains('\n')) {
            let why =
                format!("`{}` takes one line of text, and this is {}", key.name, value.kind());
            complaints.push(Diagnostic::new(why, value.span.clone()));
        }
    }
    complaints
}

struct Journald {
    params: Params,
}

impl Task for Journald {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let name = params.text("name").unwrap_or("driftless");
        let name = name.strip_suffix(".conf").unwrap_or(name);
        let directory = Path::new(DIRECTORY);
        let path = directory.join(format!("{name}.conf"));
        let outcome = Outcome::default().with("path", path.display().to_string());
        if params.text("state") == Some("absent") {
            machine.remove(&path)?;
            return Ok(outcome);
        }
        let settings = params.any("settings").and_then(Node::as_map).unwrap_or_default();
        let line = |(key, value): &(crate::event::tree::Key, Node)| {
            format!("{}={}\n", key.name, value.scalar_text().unwrap_or_default())
        };
        let content = format!("[Journal]\n{}", settings.iter().map(line).collect::<String>());
        if system::read(machine, &path)?.as_ref() == Some(&content) {
            return Ok(outcome);
        }
        machine.mkdir(directory, &Attributes::default())?;
        let backup = system::write(machine, &path, content, params.flag("backup", false))?;
        Ok(system::with_backup(outcome, backup))
    }
}
