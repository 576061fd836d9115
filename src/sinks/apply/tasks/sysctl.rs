//! `sysctl`: a setting of the kernel, now and after the next start.

use super::{Failure, Module, Outcome, Task, TaskContext, file_attributes, system};
use crate::event::fault::Diagnostic;
use crate::event::tree::Node;
use crate::host::machine::Machine;
use crate::host::machine::mode::Mode;
use crate::host::machine::path::Follow;
use crate::host::machine::write::WriteOptions;
use crate::sinks::apply::params::{Kind, Param, Params, Spec, truth};
use bytes::Bytes;
use std::path::PathBuf;

pub(super) static MODULE: Module = Module {
    name: "sysctl",
    summary: "Makes sure that a setting of the kernel has a value, now and after the next start.",
    acts_unless: None,
    spec: Spec {
        not_yet: &[file_attributes::NOT_YET],
        shared: &[file_attributes::PARAMS],
        ..Spec::new(&[
            Param::new("name", Kind::Text).or(&["key"]).required().says(
                "The setting: `net.ipv4.ip_forward`. Where a part of the name has a dot, as a network \
                 interface may, the parts have slashes between: `net/ipv4/conf/eth0.5/forwarding`.",
            ),
            Param::new("value", Kind::Any).or(&["val"]).says(
                "Its value; words for true and false are `1` and `0`. Blanks in a row count as one.",
            ),
            Param::new("state", Kind::OneOf(&["absent", "present"])).says(
                "Whether the file names it; `present` where not given. With `absent` the kernel keeps \
                 the value that it has.",
            ),
            Param::new("reload", Kind::Bool).says(
                "Compare the value that the kernel has too, and set it; true where not given. Other \
                 lines of the file are not for this task to set.",
            ),
            Param::new("sysctl_set", Kind::Bool).says("The same, also with `reload: false`."),
            Param::new("ignoreerrors", Kind::Bool)
                .says("Let a setting be that this kernel has not, and name it in the file."),
            Param::new("sysctl_file", Kind::Path)
                .says("The file; `/etc/sysctl.conf` where not given."),
        ])
    },
    check,
    build: |params| Box::new(Sysctl { params, kernel: "/proc/sys".into() }),
};

const FILE: &str = "/etc/sysctl.conf";

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    let mut complain =
        |name: &str, why: String| complaints.push(Diagnostic::new(why, params.place(name)));
    let name = params.text("name").map(str::trim).filter(|name| !name.contains("{{"));
    if let Some(name) = name.filter(|name| !is_setting(name)) {
        let why = format!("`{name}` is no setting of the kernel, such as `net.ipv4.ip_forward`");
        complain("name", why);
    }
    match params.any("value") {
        Some(node) if node.scalar_text().is_none() => {
            complain("value", format!("`value` takes text, and this is {}", node.kind()));
        }
        Some(node) if node.scalar_text().is_some_and(|text| text.trim().contains('\n')) => {
            complain("value", "`value` is one line".into());
        }
        _ => {}
    }
    complaints.extend(system::needs("sysctl", params, "present", &["present"], &["value"]));
    complaints
}

/// Whether the name can be that of a file below `/proc/sys`.
fn is_setting(name: &str) -> bool {
    let is_part = |part: &str| !["", ".", ".."].contains(&part);
    place(name).split('/').all(is_part)
        && !name.contains(['=', '#', ';'])
        && !name.contains(char::is_whitespace)
}

struct Sysctl {
    params: Params,
    /// Where the kernel shows its settings.
    kernel: PathBuf,
}

impl Task for Sysctl {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        self.work(machine)
    }
}

impl Sysctl {
    fn work(&self, machine: &mut Machine) -> Result<Outcome, Failure> {
        let params = &self.params;
        let name = params.text("name").unwrap_or_default().trim();
        let is_absent = params.text("state") == Some("absent");
        let value = params.any("value").filter(|_| !is_absent).map(plain);
        let mut outcome = Outcome::default();
        let sets = params.flag("reload", true) || params.flag("sysctl_set", false);
        // First, so that no file names for good what the kernel refuses.
        if let Some(value) = value.as_deref().filter(|_| sets) {
            outcome.message = self.set(machine, name, value)?;
        }
        let path = params.path("sysctl_file").unwrap_or_else(|| FILE.into());
        let old = system::read(machine, &path)?;
        if is_absent && old.is_none() {
            return Ok(outcome);
        }
        let text = old.as_deref().unwrap_or_default();
        let new = settle(text, name, value.as_deref()).unwrap_or_else(|| text.to_owned());
        let mut attributes = file_attributes::read(params, machine)?;
        if old.is_none() {
            attributes.mode.get_or_insert(Mode::Exact(0o644));
        }
        let unsafe_writes = params.flag("unsafe_writes", false);
        let options = WriteOptions { follow: true, unsafe_writes, ..WriteOptions::default() };
        machine.write_file(&path, &Bytes::from(new), &attributes, &options)?;
        Ok(outcome)
    }

    /// Has the kernel take the value; what there is to say about that.
    fn set(
        &self,
        machine: &mut Machine,
        name: &str,
        value: &str,
    ) -> Result<Option<String>, Failure> {
        let path = self.kernel.join(place(name));
        if machine.stat(&path, Follow::Yes)?.is_none() {
            let why = format!("this kernel has no setting `{name}`");
            if self.params.flag("ignoreerrors", false) {
                return Ok(Some(why));
            }
            let hint = "a module of the kernel may bring it (`modprobe`); `ignoreerrors: true` \
                        only names it in the file"
                .to_owned();
            return Err(Failure { hint: Some(hint), ..Failure::new(why) });
        }
        machine.set_kernel(&path, value)?;
        let now = machine.read(&path)?;
        let now = String::from_utf8_lossy(&now);
        let is_taken = now.split_whitespace().eq(value.split_whitespace());
        Ok((!is_taken).then(|| format!("the kernel made `{}` of `{value}`", now.trim())))
    }
}

/// Any text in place of a file.
#[cfg(any(test, fuzzing))]
pub(super) fn hostile(text: &str) {
    for value in [None, Some("1")] {
        let new = settle(text, "a.b", value);
        assert_eq!(new.and_then(|new| settle(&new, "a.b", value)), None);
    }
}

/// The value as the kernel has it.
fn plain(node: &Node) -> String {
    match truth(node) {
        Some(true) => "1".to_owned(),
        Some(false) => "0".to_owned(),
        None => node.scalar_text().unwrap_or_default().trim().to_owned(),
    }
}

/// Where a setting is below `/proc/sys`. The first of `.` and `/` in its name is what parts it; the
/// other one stands for the first within a part. That is how sysctl(8) reads names.
fn place(name: &str) -> String {
    match name.find(['.', '/']) {
        Some(at) if name[at..].starts_with('.') => {
            let swapped = |c| match c {
                '.' => '/',
                '/' => '.',
                c => c,
            };
            name.chars().map(swapped).collect()
        }
        _ => name.to_owned(),
    }
}

/// What a line of the file sets: the setting, and its value.
fn entry(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    if line.starts_with(['#', ';']) {
        return None;
    }
    let (key, value) = line.split_once('=')?;
    Some((key.trim(), value.trim()))
}

/// The file that gives the setting this value, or none; `None` where it does so as it is. Of several
/// lines for a setting the last one counts.
fn settle(old: &str, name: &str, value: Option<&str>) -> Option<String> {
    let wanted = place(name);
    // A `-` before it has systemd-sysctl let it be where the kernel refuses it.
    let bare = |key: &'_ str| place(key.strip_prefix('-').unwrap_or(key)) == wanted;
    let is_it = |line: &&str| entry(line).is_some_and(|(key, _)| bare(key));
    let last = old.lines().collect::<Vec<_>>().iter().rposition(is_it);
    let now = last.and_then(|at| entry(old.lines().nth(at)?));
    let is_same = match (now, value) {
        (None, None) => true,
        (Some((_, now)), Some(value)) => now.split_whitespace().eq(value.split_whitespace()),
        _ => false,
    };
    if is_same {
        return None;
    }
    let mut lines: Vec<String> = Vec::new();
    for (at, line) in old.lines().enumerate() {
        match (entry(line), value) {
            (Some((key, _)), Some(value)) if last == Some(at) => {
                lines.push(format!("{key}={value}"));
            }
            (Some((key, _)), _) if bare(key) => {}
            _ => lines.push(line.to_owned()),
        }
    }
    if let (None, Some(value)) = (last, value) {
        lines.push(format!("{name}={value}"));
    }
    Some(system::join(&lines))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    #[test]
    fn a_setting_is_found_under_each_of_its_names() {
        for name in ["net.ipv4.conf.eth0/5.forwarding", "net/ipv4/conf/eth0.5/forwarding"] {
            assert_eq!(place(name), "net/ipv4/conf/eth0.5/forwarding");
        }
        assert!(is_setting("kernel.panic") && !is_setting("net..x") && !is_setting("a/../b"));
    }

    #[test]
    fn a_line_is_changed_where_it_is_and_other_lines_stay() {
        let old = "# swap\nvm.swappiness = 60\n\n-net/ipv4/ip_forward=0\nkernel.panic=1\n";
        let new = settle(old, "net.ipv4.ip_forward", Some("1")).unwrap();
        assert_eq!(new, old.replace("ip_forward=0", "ip_forward=1"));
        assert_eq!(settle(&new, "net.ipv4.ip_forward", Some("1")), None);
        assert_eq!(settle(old, "vm/swappiness", Some("60")), None);
        assert_eq!(settle("", "a.b", Some("1  2")).unwrap(), "a.b=1  2\n");
        let gone = settle(old, "vm.swappiness", None).unwrap();
        assert_eq!(gone, old.replace("vm.swappiness = 60\n", ""));
        assert_eq!(settle(old, "vm.none", None), None);
        let twice = settle("a.b=1\na.c=1\na.b=2\n", "a.b", Some("3")).unwrap();
        assert_eq!(twice, "a.c=1\na.b=3\n");
    }

    /// A task with these parameters, and a kernel that is a directory.
    fn task(root: &Path, given: &[(&str, &str)]) -> Sysctl {
        let file = root.join("conf").display().to_string();
        let given: Vec<_> = [given, &[("sysctl_file", file.as_str())]].concat();
        Sysctl { params: system::params(&MODULE, &given), kernel: root.to_owned() }
    }

    #[test]
    fn kernel_and_file_are_both_compared_and_set_as_foretold() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let (setting, file) = (root.join("net/range"), root.join("conf"));
        fs::create_dir(root.join("net")).unwrap();
        fs::write(&setting, "1\t2\n").unwrap();
        fs::write(&file, "net.range=1 2\n").unwrap();
        let settles = |given: &[(&str, &str)]| {
            let task = task(&root, given);
            let (mut dry, mut live) = (Machine::overlay(), Machine::live());
            let before = (fs::read(&setting).unwrap(), fs::read(&file).unwrap());
            task.work(&mut dry).unwrap();
            assert_eq!(before, (fs::read(&setting).unwrap(), fs::read(&file).unwrap()));
            task.work(&mut live).unwrap();
            assert_eq!(dry.journal(), live.journal());
            let mut again = Machine::live();
            task.work(&mut again).unwrap();
            assert_eq!(again.journal(), []);
            live
        };
        assert_eq!(settles(&[("name", "net.range"), ("value", "1  2")]).journal(), []);
        let mut both = settles(&[("name", "net.range"), ("value", "3 4")]);
        assert_eq!(both.journal().len(), 2);
        assert_eq!(fs::read_to_string(&setting).unwrap(), "3 4\n");
        assert_eq!(both.undo(0), []);
        assert_eq!(fs::read_to_string(&setting).unwrap(), "1\t2\n");
        assert_eq!(fs::read_to_string(&file).unwrap(), "net.range=1 2\n");
        settles(&[("name", "net.range"), ("value", "5"), ("reload", "no")]);
        assert_eq!(fs::read_to_string(&setting).unwrap(), "1\t2\n");
        assert_eq!(fs::read_to_string(&file).unwrap(), "net.range=5\n");
        settles(&[("name", "net/range"), ("state", "absent")]);
        assert_eq!(fs::read_to_string(&file).unwrap(), "");
    }

    #[test]
    fn a_setting_that_the_kernel_has_not_fails_before_anything_is_written() {
        let root = tempfile::tempdir().unwrap();
        let given = [("name", "net.none"), ("value", "yes")];
        for mut machine in [Machine::overlay(), Machine::live()] {
            let failure = task(root.path(), &given).work(&mut machine).unwrap_err();
            assert_eq!(failure.message, "this kernel has no setting `net.none`");
            assert_eq!(machine.journal(), []);
        }
        let given = [&given[..], &[("ignoreerrors", "yes")]].concat();
        let done = task(root.path(), &given).work(&mut Machine::live()).unwrap();
        assert_eq!(done.message.as_deref(), Some("this kernel has no setting `net.none`"));
        assert_eq!(fs::read_to_string(root.path().join("conf")).unwrap(), "net.none=1\n");
    }
}
