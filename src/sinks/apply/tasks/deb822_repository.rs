//! `deb822_repository`: a place where apt finds packages, as a file of fields.

use super::{Failure, Module, Outcome, Task, TaskContext, web};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::meta::Kind as Found;
use crate::host::machine::mode::Mode;
use crate::host::machine::path::Follow;
use crate::host::machine::write::{Attributes, WriteOptions};
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use bytes::Bytes;
use minijinja::Value;
use std::path::{Path, PathBuf};

pub(super) static MODULE: Module = Module {
    name: "deb822_repository",
    summary: "Makes sure that apt knows a repository, or not, as a file of fields of its own.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("name", Kind::Text).required().says(
            "The name of the repository, which its file and that of its key get too: in small letters, \
             with `-` for blanks and `_`, and without other signs.",
        ),
        Param::new("state", Kind::OneOf(&["absent", "present"])).says(
            "Whether apt knows it; `present` where not given. With `absent` its key goes too.",
        ),
        Param::new("types", Kind::Texts)
            .says("`deb`, where not given, for packages, `deb-src` for their sources."),
        Param::new("uris", Kind::Texts).says("Where the repository is."),
        Param::new("suites", Kind::Texts).says(
            "The releases, such as `bookworm`; or a path below `uris`, with a `/` at its end and \
             without `components`.",
        ),
        Param::new("components", Kind::Texts).says("The parts of a release, such as `main`."),
        Param::new("signed_by", Kind::Text).says(
            "What proves that the repository is genuine: the path of a file with keys, the URL of one, \
             which goes to `/etc/apt/keyrings`, a key itself in its armour, or fingerprints.",
        ),
        Param::new("architectures", Kind::Texts).says("Only packages for these."),
        Param::new("languages", Kind::Texts).says("Only descriptions in these languages."),
        Param::new("targets", Kind::Texts).says("Only these of the lists that apt fetches."),
        Param::new("enabled", Kind::Bool).says("Whether apt uses it."),
        Param::new("trusted", Kind::Bool)
            .says("Whether its packages are taken without proof; apt decides where not given."),
        Param::new("allow_insecure", Kind::Bool).says("It may be without signatures."),
        Param::new("allow_weak", Kind::Bool).says("Its signature may be of a weak kind."),
        Param::new("allow_downgrade_to_insecure", Kind::Bool)
            .says("It may have no signature any more although it had one."),
        Param::new("by_hash", Kind::Bool)
            .says("Whether lists are fetched by what they must be, not by their names."),
        Param::new("pdiffs", Kind::Bool).says("Whether only what is new of a list is fetched."),
        Param::new("check_date", Kind::Bool)
            .says("Whether a repository of the future is refused."),
        Param::new("date_max_future", Kind::Int)
            .says("How far in the future it may be, in seconds."),
        Param::new("check_valid_until", Kind::Bool)
            .says("Whether a repository is refused whose time is over."),
        Param::new("inrelease_path", Kind::Text)
            .says("Where its `InRelease` is, from where such a file usually is."),
        Param::new("mode", Kind::Mode).says("The permissions of the file; 0644 where not given."),
    ]),
    check,
    build: |params| Box::new(Repository { params }),
};

/// The fields of the file, in its order, by the parameters that they are.
const FIELDS: [(&str, &str); 20] = [
    ("allow_downgrade_to_insecure", "Allow-Downgrade-To-Insecure"),
    ("allow_insecure", "Allow-Insecure"),
    ("allow_weak", "Allow-Weak"),
    ("architectures", "Architectures"),
    ("by_hash", "By-Hash"),
    ("check_date", "Check-Date"),
    ("check_valid_until", "Check-Valid-Until"),
    ("components", "Components"),
    ("date_max_future", "Date-Max-Future"),
    ("enabled", "Enabled"),
    ("inrelease_path", "Inrelease-Path"),
    ("languages", "Languages"),
    ("name", "X-Repolib-Name"),
    ("pdiffs", "Pdiffs"),
    ("signed_by", "Signed-By"),
    ("suites", "Suites"),
    ("targets", "Targets"),
    ("trusted", "Trusted"),
    ("types", "Types"),
    ("uris", "URIs"),
];

const SOURCES: &str = "/etc/apt/sources.list.d";
const KEYRINGS: &str = "/etc/apt/keyrings";
/// What a key in text begins with.
const ARMOUR: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    let name = params.text("name").unwrap_or_default();
    if params.has("name") && file_name(name).is_empty() && !name.is_empty() {
        let why = format!("`name` is `{name}`, which leaves no name for a file");
        let complaint = Diagnostic::new(why, params.place("name"));
        complaints.push(complaint.hint("letters and digits are left of it, and `-`"));
    }
    for word in list(params, "types").iter().filter(|word| !["deb", "deb-src"].contains(word)) {
        let why = format!("`types` takes `deb` or `deb-src`, and this is `{word}`");
        complaints.push(Diagnostic::new(why, params.place("types")));
    }
    complaints
}

/// The name of a repository as that of a file.
fn file_name(name: &str) -> String {
    let mut made = String::new();
    let mut after_blank = false;
    for c in name.to_lowercase().chars() {
        let is_blank = c == '_' || c.is_whitespace();
        match c {
            'a'..='z' | '0'..='9' | '-' => made.push(c),
            // Several in a row are one.
            _ if is_blank && !after_blank => made.push('-'),
            _ => {}
        }
        after_blank = is_blank;
    }
    made
}

/// A list; a single text is several with commas between.
fn list<'p>(params: &'p Params, name: &str) -> Vec<&'p str> {
    match params.texts(name).unwrap_or_default() {
        [one] => one.split(',').map(str::trim).filter(|word| !word.is_empty()).collect(),
        all => all.iter().map(String::as_str).collect(),
    }
}

struct Repository {
    params: Params,
}

impl Task for Repository {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let name = file_name(self.params.text("name").unwrap_or_default());
        if name.is_empty() {
            return Err(Failure::new("`name` leaves no name for a file"));
        }
        let path = Path::new(SOURCES).join(format!("{name}.sources"));
        let outcome = Outcome::default().with("dest", path.display().to_string());
        if self.params.text("state") == Some("absent") {
            machine.remove(&path)?;
            let keys = ["asc", "gpg"].map(|end| key_path(&name, end));
            for key in &keys {
                machine.remove(key)?;
            }
            let key = keys[1].display().to_string();
            return Ok(outcome.with("repo", Value::from(())).with("key_filename", key));
        }
        let key = self.key(machine, &name)?;
        let content = self.content(key.as_deref());
        let mode = self.params.mode("mode").unwrap_or(Mode::Exact(0o644));
        let attributes = Attributes { mode: Some(mode), ..Attributes::default() };
        let bytes = Bytes::from(content.clone());
        machine.write_file(&path, &bytes, &attributes, &WriteOptions::default())?;
        let key = key.map_or(Value::from(()), |key| key.display().to_string().into());
        Ok(outcome.with("repo", content).with("key_filename", key))
    }
}

fn key_path(name: &str, end: &str) -> PathBuf {
    Path::new(KEYRINGS).join(format!("{name}.{end}"))
}

impl Repository {
    /// The file with the key, where it is one; what is at a URL becomes one.
    fn key(&self, machine: &mut Machine, name: &str) -> Result<Option<PathBuf>, Failure> {
        let Some(given) = self.params.text("signed_by") else { return Ok(None) };
        if given.starts_with('/') {
            let path = Path::new(given);
            let found = machine.stat(path, Follow::Yes)?;
            return Ok(found.filter(|it| it.kind == Found::File).map(|_| path.to_owned()));
        }
        if given.contains('\n') || !given.contains("://") {
            return Ok(None);
        }
        let mut request = web::request(&self.params, 10.0)?;
        request.url = given.to_owned();
        let why = |what: String| Failure::new(format!("Could not fetch signed_by key: {what}"));
        let answer = machine.fetch(&request).map_err(|fault| why(fault.message))?;
        if !(200..300).contains(&answer.status) {
            let (status, reason) = (answer.status, &answer.reason);
            return Err(why(format!("{given}: the server answers {status} {reason}")));
        }
        let key = web::unpacked(&self.params, answer)?.body;
        if key.is_empty() {
            return Err(why(format!("there is nothing at {given}")));
        }
        let is_armoured = key.windows(ARMOUR.len()).any(|part| part == ARMOUR.as_bytes());
        let path = key_path(name, if is_armoured { "asc" } else { "gpg" });
        let is_there = machine.stat(&path, Follow::Yes)?.is_some() && machine.read(&path)? == key;
        let readable = |mode| Attributes { mode: Some(Mode::Exact(mode)), ..Attributes::default() };
        if !is_there {
            let keyrings = Path::new(KEYRINGS);
            machine.mkdir(keyrings, &readable(0o755))?;
            let of_root = Attributes { uid: Some(0), gid: Some(0), ..readable(0o755) };
            machine.set_attributes(keyrings, Follow::Yes, &of_root)?;
        }
        machine.write_file(&path, &key, &readable(0o644), &WriteOptions::default())?;
        Ok(Some(path))
    }

    fn content(&self, key: Option<&Path>) -> String {
        let mut text = String::new();
        for (name, field) in FIELDS {
            if let Some(value) = self.value(name, key) {
                let gap = if value.is_empty() || value.starts_with('\n') { "" } else { " " };
                text.push_str(&format!("{field}:{gap}{value}\n"));
            }
        }
        text
    }

    /// A field as text; `None` where it is not given.
    fn value(&self, name: &str, key: Option<&Path>) -> Option<String> {
        let params = &self.params;
        let value = match (name, key) {
            ("signed_by", Some(key)) => key.display().to_string(),
            ("types", _) if !params.has(name) => "deb".to_owned(),
            _ if !params.has(name) => return None,
            _ => match (params.text(name), params.texts(name), params.int(name)) {
                (Some(text), ..) => text.to_owned(),
                (_, Some(_), _) => list(params, name).join(" "),
                (_, _, Some(number)) => number.to_string(),
                _ => if params.flag(name, false) { "yes" } else { "no" }.to_owned(),
            },
        };
        Some(if value.contains('\n') { indented(&value) } else { value })
    }
}

/// Several lines as a field has them: each begins with blanks, and an empty one is a dot.
fn indented(text: &str) -> String {
    let line = |line: &str| match line.trim() {
        "" => "\n    .".to_owned(),
        line => format!("\n    {line}"),
    };
    text.trim().lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_has_small_letters_digits_and_dashes() {
        for (name, expected) in [
            ("Debian_Backports  main", "debian-backports-main"),
            ("a.b/c", "abc"),
            ("_x_", "-x-"),
            ("a _ b", "a-b"),
            ("a.-_.b", "a--b"),
            ("!", ""),
        ] {
            assert_eq!(file_name(name), expected, "{name}");
        }
    }

    #[test]
    fn a_field_of_several_lines_has_a_dot_for_an_empty_one() {
        assert_eq!(indented("\n a\n\n b\n"), "\n    a\n    .\n    b");
    }
}
