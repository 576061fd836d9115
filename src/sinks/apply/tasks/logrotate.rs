//! `logrotate`: which logs are rotated and how, as a file of its own.

use super::{Failure, Module, Outcome, Task, TaskContext, file_attributes, system};
use crate::event::fault::{Diagnostic, nearest};
use crate::host::machine::Machine;
use crate::host::machine::command::Command;
use crate::host::machine::path::Follow;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::path::Path;

pub(super) static MODULE: Module = Module {
    name: "logrotate",
    summary: "Makes sure that logs are rotated, or no longer.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("name", Kind::Text)
            .required()
            .says("What it is called: the name of the file in `/etc/logrotate.d`."),
        Param::new("state", Kind::OneOf(&["absent", "present"]))
            .says("Whether the file is there; `present` where not given."),
        Param::new("paths", Kind::Texts).says("The logs; patterns are taken."),
        Param::new("options", Kind::Texts)
            .says("How: directives of logrotate, such as `weekly`, `rotate 4` or `compress`."),
        Param::new("prerotate", Kind::Text).says("Commands that a shell runs before."),
        Param::new("postrotate", Kind::Text)
            .says("Commands that a shell runs afterwards, such as `systemctl reload nginx`."),
        file_attributes::BACKUP,
    ]),
    check,
    build: |params| Box::new(Logrotate { params }),
};

const DIRECTORY: &str = "/etc/logrotate.d";

/// Where `logrotate` may be; not all have these directories in their PATH.
const PROGRAMS: [&str; 2] = ["/usr/sbin/logrotate", "/usr/bin/logrotate"];

/// The directives of logrotate 3.21 that stand on a line of their own within braces.
const DIRECTIVES: &[&str] = &[
    "addextension",
    "allowhardlink",
    "compress",
    "compresscmd",
    "compressext",
    "compressoptions",
    "copy",
    "copytruncate",
    "create",
    "createolddir",
    "daily",
    "dateext",
    "dateformat",
    "datehourago",
    "dateyesterday",
    "delaycompress",
    "extension",
    "hourly",
    "ifempty",
    "mail",
    "mailfirst",
    "maillast",
    "maxage",
    "maxsize",
    "minage",
    "minsize",
    "missingok",
    "monthly",
    "noallowhardlink",
    "nocompress",
    "nocopy",
    "nocopytruncate",
    "nocreate",
    "nocreateolddir",
    "nodateext",
    "nodelaycompress",
    "nomail",
    "nomissingok",
    "noolddir",
    "norenamecopy",
    "nosharedscripts",
    "noshred",
    "notifempty",
    "olddir",
    "renamecopy",
    "rotate",
    "sharedscripts",
    "shred",
    "shredcycles",
    "size",
    "start",
    "su",
    "uncompresscmd",
    "weekly",
    "yearly",
];

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = system::needs("logrotate", params, "present", &["present"], &["paths"]);
    complaints.extend(system::check_file_name(params, "name"));
    for path in params.texts("paths").unwrap_or_default() {
        if !path.contains("{{") && (!path.starts_with('/') || path.contains(['"', '\n', '{', '}']))
        {
            let why = format!("`{path}` is no absolute path of a log");
            complaints.push(Diagnostic::new(why, params.place("paths")));
        }
    }
    for option in params.texts("options").unwrap_or_default() {
        let word = option.split_whitespace().next().unwrap_or_default();
        if option.contains("{{") || DIRECTIVES.contains(&word) && !option.contains('\n') {
            continue;
        }
        let why = format!("logrotate has no directive `{option}`");
        let complaint = Diagnostic::new(why, params.place("options"));
        complaints.push(match nearest(word, DIRECTIVES.iter().copied()) {
            Some(near) => complaint.hint(format!("did you mean `{near}`?")),
            None => complaint,
        });
    }
    for name in ["prerotate", "postrotate"] {
        let lines = params.text(name).into_iter().flat_map(str::lines);
        if lines.map(str::trim).any(|line| ["endscript", "}"].contains(&line)) {
            let why = format!("a line of `{name}` would end it");
            complaints.push(Diagnostic::new(why, params.place(name)));
        }
    }
    complaints
}

struct Logrotate {
    params: Params,
}

impl Task for Logrotate {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let path = Path::new(DIRECTORY).join(params.text("name").unwrap_or_default());
        let outcome = Outcome::default().with("path", path.display().to_string());
        if params.text("state") == Some("absent") {
            machine.remove(&path)?;
            return Ok(outcome);
        }
        let content = self.content();
        if system::read(machine, &path)?.as_ref() == Some(&content) {
            return Ok(outcome);
        }
        must_be_understood(machine, &content)?;
        let backup = system::write(machine, &path, content, params.flag("backup", false))?;
        Ok(system::with_backup(outcome, backup))
    }
}

impl Logrotate {
    fn content(&self) -> String {
        let params = &self.params;
        let quoted = |path: &String| match path.contains(char::is_whitespace) {
            true => format!("\"{path}\""),
            false => path.clone(),
        };
        let paths = params.texts("paths").unwrap_or_default();
        let mut text = paths.iter().map(quoted).collect::<Vec<_>>().join("\n");
        text.push_str(" {\n");
        for option in params.texts("options").unwrap_or_default() {
            text.push_str(&format!("    {}\n", option.trim()));
        }
        for name in ["prerotate", "postrotate"] {
            if let Some(script) = params.text(name) {
                let lines = script.trim_end().lines();
                let lines: String = lines.map(|line| format!("        {line}\n")).collect();
                text.push_str(&format!("    {name}\n{lines}    endscript\n"));
            }
        }
        text.push_str("}\n");
        text
    }
}

/// It does not look at what is no file of its owner's alone; the file is gone at once.
const LOOK: &str = r#"f=$(mktemp) || exit; cat >"$f"; "$0" -d "$f"; rm -f "$f""#;

/// Lets `logrotate`, where it is installed, look at the file before it counts. It ends with an error
/// too where a log is missing, which the file cannot help.
fn must_be_understood(machine: &Machine, content: &str) -> Result<(), Failure> {
    for program in PROGRAMS {
        if machine.stat(Path::new(program), Follow::Yes)?.is_none() {
            continue;
        }
        let command = Command {
            argv: system::argv(&["sh", "-c", LOOK, program]),
            stdin: Some(content.as_bytes().to_vec()),
            ..Command::default()
        };
        let output = machine.guard(&command)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // `error: FILE:LINE why`
        let complaint = said.lines().find_map(|line| {
            let (_, why) = line.strip_prefix("error: /")?.split_once(':')?;
            why.starts_with(|c: char| c.is_ascii_digit()).then_some(why)
        });
        return match complaint {
            Some(why) => Err(Failure::new(format!("logrotate objects: line {why}"))),
            None => Ok(()),
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_paths_directives_and_scripts() {
        let given = [
            ("name", "app"),
            ("paths", "/var/log/my app.log"),
            ("options", "rotate 4"),
            ("postrotate", "kill -HUP 1\n"),
        ];
        let params = system::params(&MODULE, &given);
        assert!(check(&params).is_empty());
        let text = Logrotate { params }.content();
        let expected = "\"/var/log/my app.log\" {\n    rotate 4\n    postrotate\n        \
            kill -HUP 1\n    endscript\n}\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_directive_that_there_is_not_is_told_with_the_one_that_was_meant() {
        let given = [("name", "app"), ("paths", "/var/log/a"), ("options", "rotat 4")];
        let complaints = check(&system::params(&MODULE, &given));
        assert_eq!(complaints[0].message, "logrotate has no directive `rotat 4`");
        assert_eq!(complaints[0].hint.as_deref(), Some("did you mean `rotate`?"));
    }
}
