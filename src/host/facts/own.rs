//! The host's own facts, which its owner has written down or has programs for.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::geteuid;
use serde_json::{Map, Value};

use super::Host;
use super::run::output_of;

/// How long a program may take to tell a fact.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where Facter looks for facts, the folder that counts most last.
const FACTER: [&str; 3] =
    ["/opt/puppetlabs/facter/facts.d", "/etc/puppetlabs/facter/facts.d", "/etc/facter/facts.d"];

/// `local`: by the file's name, what is in `NAME.fact`: JSON, or INI. One that can be executed is
/// run, and tells the same by what it prints; one that others than root and this user can write is
/// not.
/// - Source: `/etc/ansible/facts.d`.
pub(super) fn local(host: &Host) -> Value {
    let mut facts = Map::new();
    for path in files(&host.roots.file("/etc/ansible/facts.d")) {
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
        if path.extension().is_some_and(|end| end == "fact")
            && let Some(text) = content(&path)
        {
            let value = serde_json::from_str(&text).unwrap_or_else(|_| ini(&text));
            facts.insert(name.to_owned(), value);
        }
    }
    Value::Object(facts)
}

/// `external`: what is in files `*.txt` (lines `name=value`), `*.json` and `*.yaml`, and what other
/// files print that can be executed, in any of these forms. Of two facts of one name the one of the
/// file that is read last counts. One that others than root and this user can write is not run.
/// - Source: `/opt/puppetlabs/facter/facts.d`, `/etc/puppetlabs/facter/facts.d`,
///   `/etc/facter/facts.d`.
pub(super) fn external(host: &Host) -> Value {
    let mut facts = Map::new();
    for path in FACTER.iter().flat_map(|folder| files(&host.roots.file(folder))) {
        let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
        let read = || fs::read_to_string(&path).ok();
        let told = match end {
            "txt" => read().map(|text| lines(&text)),
            "json" => read().and_then(|text| serde_json::from_str(&text).ok()),
            "yaml" => read().and_then(|text| serde_yaml::from_str(&text).ok()),
            _ if may_run(&path) => output_of(&path, &[], PATIENCE).map(|text| printed(&text)),
            _ => None,
        };
        if let Some(Value::Object(told)) = told {
            facts.extend(told);
        }
    }
    Value::Object(facts)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    paths
}

fn content(path: &Path) -> Option<String> {
    let is_program = fs::metadata(path).ok()?.permissions().mode() & 0o111 != 0;
    if !is_program {
        return fs::read_to_string(path).ok();
    }
    if may_run(path) { output_of(path, &[], PATIENCE) } else { None }
}

/// Whether it is a program that nobody but root and this user can have written.
fn may_run(path: &Path) -> bool {
    let Ok(found) = fs::metadata(path) else { return false };
    let mode = found.permissions().mode();
    let is_ours = found.uid() == 0 || found.uid() == geteuid().as_raw();
    mode & 0o111 != 0 && mode & 0o022 == 0 && is_ours
}

/// `name=value` a line, as JSON texts.
fn lines(text: &str) -> Value {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    Value::Object(pairs.map(|(name, value)| (name.trim().to_owned(), value.into())).collect())
}

/// What a program prints is of one of three forms, which the text itself tells.
fn printed(text: &str) -> Value {
    let json = serde_json::from_str(text).ok();
    let yaml = || serde_yaml::from_str(text).ok();
    json.or_else(yaml).filter(Value::is_object).unwrap_or_else(|| lines(text))
}

/// Sections of `name = value` or `name: value`. Names are in lower case, as Python's reader of such
/// files has them.
fn ini(text: &str) -> Value {
    let mut sections = Map::new();
    let mut section = None;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.insert(name.to_owned(), Value::Object(Map::new()));
            section = Some(name);
        } else if let Some(section) = section
            && let Some(entries) = sections.get_mut(section).and_then(Value::as_object_mut)
        {
            let (name, value) = line.split_once(['=', ':']).unwrap_or((line, ""));
            entries.insert(name.trim().to_lowercase(), value.trim().into());
        }
    }
    Value::Object(sections)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::roots::Roots;
    use serde_json::json;

    fn host(files: &[(&str, u32, &str)]) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        for (path, mode, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
        }
        let host = Host::of(Roots::below(root.path()));
        (root, host)
    }

    #[test]
    fn facts_in_ansibles_folder_are_read_in_all_its_forms() {
        let (_root, host) = host(&[
            ("etc/ansible/facts.d/a.fact", 0o644, "{\"x\": [1]}"),
            ("etc/ansible/facts.d/b.fact", 0o644, "# c\n[General]\nAsdf = 1\nbar: 2\n"),
            ("etc/ansible/facts.d/c.fact", 0o755, "#!/bin/sh\necho '{\"run\": true}'\n"),
            ("etc/ansible/facts.d/d.fact", 0o777, "#!/bin/sh\necho '{\"run\": true}'\n"),
            ("etc/ansible/facts.d/e.txt", 0o644, "no fact\n"),
        ]);
        let expected = json!({
            "a": {"x": [1]},
            "b": {"General": {"asdf": "1", "bar": "2"}},
            "c": {"run": true},
        });
        assert_eq!(local(&host), expected);
    }

    #[test]
    fn facts_in_facters_folders_are_read_in_all_its_forms() {
        let (_root, host) = host(&[
            ("etc/facter/facts.d/a.txt", 0o644, "role=web\n\nsite=a=b\n"),
            ("etc/facter/facts.d/b.json", 0o644, "{\"rack\": 3}"),
            ("etc/facter/facts.d/c.yaml", 0o644, "tags: [a, b]\n"),
            ("etc/facter/facts.d/d.sh", 0o755, "#!/bin/sh\necho shell=yes\n"),
            ("etc/facter/facts.d/e", 0o755, "#!/bin/sh\necho '{\"rack\": 4}'\n"),
            ("etc/facter/facts.d/f", 0o644, "#!/bin/sh\necho not=executable\n"),
        ]);
        let expected = json!({
            "role": "web", "site": "a=b", "rack": 4, "tags": ["a", "b"], "shell": "yes",
        });
        assert_eq!(external(&host), expected);
    }
}
