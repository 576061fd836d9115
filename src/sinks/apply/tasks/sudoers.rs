//! `sudoers`: what somebody may do with `sudo`, as a file of its own.

use super::{Failure, Module, Outcome, Task, TaskContext};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::mode::Mode;
use crate::host::machine::path::Follow;
use crate::host::machine::write::{Attributes, WriteOptions};
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use bytes::Bytes;
use std::path::Path;

pub(super) static MODULE: Module = Module {
    name: "sudoers",
    summary: "Makes sure that a user or group may run commands with `sudo`, or no longer may.",
    acts_unless: None,
    spec: Spec {
        exclusive: &[&["user", "group"]],
        ..Spec::new(&[
            Param::new("name", Kind::Text).required().says(
                "The name of the rule, and of its file. `sudo` leaves out files with a dot in their \
                 name.",
            ),
            Param::new("state", Kind::OneOf(&["absent", "present"]))
                .says("Whether the rule is there; `present` where not given."),
            Param::new("user", Kind::Text).says("Who may run the commands."),
            Param::new("group", Kind::Text).says("The group whose members may run the commands."),
            Param::new("commands", Kind::Texts)
                .says("The commands, with their paths, as a list or with commas between; or `ALL`."),
            Param::new("runas", Kind::Text)
                .says("As whom they are run; as root where not given."),
            Param::new("host", Kind::Text).says("On which host; `ALL` where not given."),
            Param::new("nopassword", Kind::Bool)
                .says("No password is asked for; true where not given."),
            Param::new("noexec", Kind::Bool).says("What is run may run nothing else."),
            Param::new("setenv", Kind::Bool).says("The environment may be kept."),
            Param::new("defaults", Kind::Texts)
                .says("Settings that count for this user or group, such as `!targetpw`."),
            Param::new("sudoers_path", Kind::Path)
                .says("The directory of the file; `/etc/sudoers.d` where not given."),
            Param::new("validation", Kind::OneOf(&["absent", "detect", "required"])).says(
                "Whether `visudo` must find the rule right first: `detect`, where not given, asks it \
                 where it is installed.",
            ),
        ])
    },
    check,
    build: |params| Box::new(Sudoers { params }),
};

/// Where `visudo` may be; not all have these directories in their PATH.
const VISUDO: [&str; 3] = ["/usr/sbin/visudo", "/usr/local/sbin/visudo", "/usr/bin/visudo"];

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    let mut complain =
        |name: &str, why: String| complaints.push(Diagnostic::new(why, params.place(name)));
    let is_file_name = |name: &str| !name.is_empty() && !name.contains('/') && name != "..";
    if let Some(name) = params.text("name").filter(|name| !is_file_name(name)) {
        complain("name", format!("`name` is `{name}`, and the name of a file is expected"));
    }
    if let Some(path) = params.text("sudoers_path").filter(|path| !path.starts_with('/')) {
        complain("sudoers_path", format!("the path `{path}` is not absolute"));
    }
    let lists = ["commands", "defaults"].map(|name| (name, params.texts(name)));
    let texts = ["user", "group", "host", "runas"]
        .map(|name| (name, params.text(name)))
        .into_iter()
        .filter_map(|(name, text)| Some((name, text?)));
    let items = lists
        .into_iter()
        .flat_map(|(name, items)| items.into_iter().flatten().map(move |it| (name, it.as_str())));
    for (name, _) in texts.chain(items).filter(|(_, text)| text.contains('\n')) {
        complain(name, format!("`{name}` holds a line end, and would begin another rule"));
    }
    if params.text("state") != Some("absent") {
        if params.texts("commands").is_none_or(<[String]>::is_empty) && !params.has("commands") {
            complain("state", "`sudoers` needs `commands`".into());
        }
        if !params.has("user") && !params.has("group") {
            complain("state", "`sudoers` needs one of `user`, `group`".into());
        }
    }
    complaints
}

struct Sudoers {
    params: Params,
}

impl Task for Sudoers {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let name = params.text("name").unwrap_or_default();
        let directory = params.path("sudoers_path").unwrap_or_else(|| "/etc/sudoers.d".into());
        let path = directory.join(name);
        if params.text("state") == Some("absent") {
            machine.remove(&path)?;
            return Ok(Outcome::default());
        }
        let options = WriteOptions { validate: self.validate(machine)?, ..WriteOptions::default() };
        let attributes = Attributes { mode: Some(Mode::Exact(0o440)), ..Attributes::default() };
        machine.write_file(&path, &Bytes::from(self.content()), &attributes, &options)?;
        let is_left_out = name.contains('.') || name.ends_with('~');
        let message = format!("sudo leaves out {}: there is a dot in its name", path.display());
        Ok(Outcome { message: is_left_out.then_some(message), ..Outcome::default() })
    }
}

impl Sudoers {
    fn content(&self) -> String {
        let params = &self.params;
        let owner = match (params.text("user"), params.text("group")) {
            (Some(user), _) => user.to_owned(),
            (None, group) => format!("%{}", group.unwrap_or_default()),
        };
        let commands = match params.texts("commands").unwrap_or_default() {
            // One text is taken apart at its commas, but not at those of a command's own.
            [one] if !one.contains("\\,") => one.split(',').map(str::trim).collect(),
            all => all.iter().map(String::as_str).collect::<Vec<_>>(),
        };
        let defaults = params.texts("defaults").unwrap_or_default().iter();
        let defaults: String =
            defaults.map(|setting| format!("Defaults:{owner} {setting}\n")).collect();
        let host = params.text("host").unwrap_or("ALL");
        let runas = params.text("runas").map_or(String::new(), |runas| format!("({runas})"));
        let tag = |name, usual, tag| if params.flag(name, usual) { tag } else { "" };
        let noexec = tag("noexec", false, "NOEXEC:");
        let nopassword = tag("nopassword", true, "NOPASSWD:");
        let setenv = tag("setenv", false, "SETENV:");
        let commands = commands.join(", ");
        format!("{defaults}{owner} {host}={runas}{noexec}{nopassword}{setenv} {commands}\n")
    }

    /// The command that looks at the rule before it counts.
    fn validate(&self, machine: &Machine) -> Result<Option<Vec<String>>, Failure> {
        let wish = self.params.text("validation").unwrap_or("detect");
        if wish == "absent" {
            return Ok(None);
        }
        for program in VISUDO {
            if machine.stat(Path::new(program), Follow::Yes)?.is_some() {
                return Ok(Some([program, "-c", "-f", "%s"].map(str::to_owned).into()));
            }
        }
        if wish == "required" {
            let failure = Failure::new("there is no program `visudo` to check the rule with");
            return Err(Failure { hint: Some("install sudo first".into()), ..failure });
        }
        Ok(None)
    }
}
