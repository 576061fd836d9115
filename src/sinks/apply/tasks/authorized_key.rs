//! `authorized_key`: which SSH keys open a user's account.

use super::copy::make_directories;
use super::{Failure, Module, Outcome, Task, TaskContext, web};
use crate::event::fault::Diagnostic;
use crate::host::accounts::entries::User;
use crate::host::machine::Machine;
use crate::host::machine::mode::Mode;
use crate::host::machine::path::Follow;
use crate::host::machine::write::{Attributes, WriteOptions};
use crate::net::fetch::Trust;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use bytes::Bytes;
use std::path::{Path, PathBuf};

pub(super) static MODULE: Module = Module {
    name: "authorized_key",
    summary: "Makes sure that an SSH key opens a user's account, or that it does not.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("user", Kind::Text).required().says("The user."),
        Param::new("key", Kind::Text).required().says(
            "The public key, or several, a line each; or the `http` address of a text that holds them.",
        ),
        Param::new("state", Kind::OneOf(&["absent", "present"]))
            .says("Whether the key is there; `present` where not given."),
        Param::new("key_options", Kind::Text)
            .says("What the key is good for, in place of what `key` says of it: `no-pty,from=\"…\"`."),
        Param::new("comment", Kind::Text).says("Its comment, in place of the one in `key`."),
        Param::new("exclusive", Kind::Bool).says("No other key is in the file, nor anything else."),
        Param::new("path", Kind::Path)
            .says("The file; `.ssh/authorized_keys` in the user's home where not given."),
        Param::new("manage_dir", Kind::Bool).says(
            "Make the file's directory, and see to it that it is the user's and nobody else can read \
             it; true where not given.",
        ),
        Param::new("follow", Kind::Bool).says("Where the file is a link, write what it leads to."),
        Param::new("validate_certs", Kind::Bool).says(
            "Where `key` is an address, believe only a server that can prove who it is; true where \
             not given.",
        ),
    ]),
    check,
    build: |params| Box::new(AuthorizedKey { params }),
};

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    if let Some(text) = params.text("key").filter(|text| !is_address(text))
        && let Err(why) = keys(params, text)
    {
        complaints.push(Diagnostic::new(why, params.place("key")));
    }
    for name in ["key_options", "comment"] {
        if params.text(name).is_some_and(|text| text.contains('\n')) {
            let why = format!("`{name}` holds a line end, and would begin another key");
            complaints.push(Diagnostic::new(why, params.place(name)));
        }
    }
    complaints
}

fn is_address(text: &str) -> bool {
    text.starts_with("http")
}

/// A line of the file.
#[derive(Clone, Debug, PartialEq)]
struct Key {
    /// What it is good for, taken apart at the commas.
    options: Vec<String>,
    kind: String,
    blob: String,
    comment: String,
}

impl Key {
    /// The names of kinds of keys; what comes before one are options.
    const KINDS: [&'static str; 8] = [
        "sk-ecdsa-sha2-nistp256@openssh.com",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "ssh-ed25519",
        "ssh-dss",
        "ssh-rsa",
    ];

    fn read(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first()?.starts_with('#') {
            return None;
        }
        let at = words.iter().position(|word| Self::KINDS.contains(word))?;
        Some(Self {
            options: options(&words[..at].join(" ")),
            kind: words[at].to_owned(),
            blob: (*words.get(at + 1)?).to_owned(),
            comment: words[at + 2..].join(" "),
        })
    }

    fn line(&self) -> String {
        let options = if self.options.is_empty() { None } else { Some(self.options.join(",")) };
        let comment = Some(self.comment.clone()).filter(|comment| !comment.is_empty());
        let words = [options, Some(self.kind.clone()), Some(self.blob.clone()), comment];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// Whether both say the same; the order of options means nothing.
    fn says(&self, other: &Self) -> bool {
        let sorted = |key: &Self| {
            let mut options = key.options.clone();
            options.sort();
            options
        };
        self.kind == other.kind && self.comment == other.comment && sorted(self) == sorted(other)
    }
}

/// Options, taken apart at the commas that are not within quotes.
fn options(text: &str) -> Vec<String> {
    let mut quote = None;
    let parts = text.split(|c| {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
        c == ',' && quote.is_none()
    });
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// The keys in `text`, with what the parameters say in its place.
fn keys(params: &Params, text: &str) -> Result<Vec<Key>, String> {
    let mut found = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let Some(mut key) = Key::read(line) else {
            let shown: String = line.chars().take(40).collect();
            return Err(format!("`{shown}` is no public SSH key"));
        };
        if let Some(given) = params.text("key_options") {
            key.options = options(given);
        }
        if let Some(comment) = params.text("comment") {
            comment.clone_into(&mut key.comment);
        }
        found.push(key);
    }
    Ok(found)
}

struct AuthorizedKey {
    params: Params,
}

impl Task for AuthorizedKey {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let name = params.text("user").unwrap_or_default();
        let given = params.text("key").unwrap_or_default();
        let Some(user) = machine.user(name)? else {
            let hint = Some(format!("make it first, with `user: {{name: {name}}}`"));
            return Err(Failure { hint, ..Failure::new(format!("there is no user `{name}`")) });
        };
        let fetched = match is_address(given) {
            true => Some(web::text(machine, given.trim(), self.trust())?),
            false => None,
        };
        let keys = keys(params, fetched.as_deref().unwrap_or(given)).map_err(Failure::new)?;
        let usual = || Path::new(&user.home).join(".ssh/authorized_keys");
        let path = params.path("path").unwrap_or_else(usual);
        let old = match machine.stat(&path, Follow::Yes)? {
            Some(_) => String::from_utf8(machine.read(&path)?.to_vec())
                .map_err(|_| Failure::new(format!("{} is no UTF-8 text", path.display())))?,
            None => String::new(),
        };
        let (exclusive, state) =
            (params.flag("exclusive", false), params.text("state").unwrap_or("present"));
        let new =
            if state == "present" { with(&old, &keys, exclusive) } else { without(&old, &keys) };
        if state == "present" || new != old {
            self.write(machine, &user, &path, new)?;
        }
        Ok(Outcome::default()
            .with("user", name)
            .with("key", given)
            .with("keyfile", path.display().to_string())
            .with("path", params.text("path"))
            .with("state", state)
            .with("exclusive", exclusive)
            .with("manage_dir", params.flag("manage_dir", true))
            .with("key_options", params.text("key_options"))
            .with("comment", params.text("comment"))
            .with("follow", params.flag("follow", false))
            .with("validate_certs", params.flag("validate_certs", true)))
    }
}

impl AuthorizedKey {
    fn trust(&self) -> Trust {
        match self.params.flag("validate_certs", true) {
            true => Trust::Proven(Box::default()),
            false => Trust::Anybody,
        }
    }

    fn write(
        &self,
        machine: &mut Machine,
        user: &User,
        path: &Path,
        text: String,
    ) -> Result<(), Failure> {
        let own = |mode| Attributes {
            mode: Some(Mode::Exact(mode)),
            uid: Some(user.uid),
            gid: Some(user.gid),
        };
        let directory = path.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
        let found = machine.stat(&directory, Follow::Yes)?;
        if self.params.flag("manage_dir", true) {
            let others = found.as_ref().filter(|found| found.uid != user.uid);
            if let Some(found) = others.filter(|_| self.params.has("path")) {
                let (owner, name) = (machine.user_name(found.uid), &user.name);
                let directory = directory.display();
                let why = format!("{directory} belongs to the user `{owner}`, not to `{name}`");
                let hint = "`manage_dir: false` leaves it to its owner".to_owned();
                return Err(Failure { hint: Some(hint), ..Failure::new(why) });
            }
            machine.mkdir(&directory, &own(0o700))?;
            machine.set_attributes(&directory, Follow::Yes, &own(0o700))?;
        } else if found.is_none() {
            make_directories(machine, &directory, &Attributes::default())?;
        }
        let follow = self.params.flag("follow", false);
        let options = WriteOptions { follow, ..WriteOptions::default() };
        machine.write_file(path, &Bytes::from(text), &own(0o600), &options)?;
        Ok(())
    }
}

/// The text with these keys in it, and with `exclusive` nothing else. A key that is there and says
/// something else is taken out and comes last.
fn with(text: &str, keys: &[Key], exclusive: bool) -> String {
    let mut lines: Vec<(String, Option<Key>)> =
        text.lines().map(|line| (line.to_owned(), Key::read(line))).collect();
    let is_of =
        |line: &Option<Key>, key: &Key| line.as_ref().is_some_and(|known| known.blob == key.blob);
    for key in keys {
        let known = lines.iter().rev().find(|(_, line)| is_of(line, key));
        if known.is_some_and(|(_, line)| line.as_ref().is_some_and(|known| known.says(key))) {
            continue;
        }
        lines.retain(|(_, line)| !is_of(line, key));
        lines.push((key.line(), Some(key.clone())));
    }
    if exclusive {
        lines.retain(|(_, line)| keys.iter().any(|key| is_of(line, key)));
    }
    whole(lines.iter().map(|(line, _)| line.as_str()), text)
}

/// The text without these keys.
fn without(text: &str, keys: &[Key]) -> String {
    let goes = |line: &str| {
        Key::read(line).is_some_and(|line| keys.iter().any(|key| key.blob == line.blob))
    };
    whole(text.lines().filter(|line| !goes(line)), text)
}

/// Lines as a text, which is the old one where they are the same.
fn whole<'a>(lines: impl Iterator<Item = &'a str> + Clone, old: &str) -> String {
    if lines.clone().eq(old.lines()) {
        return old.to_owned();
    }
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(line: &str) -> Key {
        Key::read(line).unwrap()
    }

    #[test]
    fn a_key_is_told_by_its_blob_and_its_options_in_any_order() {
        let first = key(r#"from="10.0.0.1,10.0.0.2",no-pty ssh-rsa AAAA me at home"#);
        assert_eq!(first.options, [r#"from="10.0.0.1,10.0.0.2""#, "no-pty"]);
        assert_eq!((first.blob.as_str(), first.comment.as_str()), ("AAAA", "me at home"));
        assert!(first.says(&key(r#"no-pty,from="10.0.0.1,10.0.0.2" ssh-rsa AAAA me at home"#)));
        assert!(!first.says(&key("ssh-rsa AAAA me at home")));
        assert_eq!(Key::read("# ssh-rsa AAAA"), None);
        assert_eq!(Key::read("ssh-rsa"), None);
    }

    #[test]
    fn what_is_not_about_the_key_stays_and_a_changed_key_comes_last() {
        let old = "# mine\nssh-rsa AAAA one\nodd\nssh-rsa BBBB two\n";
        let one = [key("ssh-rsa AAAA one")];
        assert_eq!(with(old, &one, false), old);
        let other = [key("ssh-rsa AAAA uno")];
        assert_eq!(with(old, &other, false), "# mine\nodd\nssh-rsa BBBB two\nssh-rsa AAAA uno\n");
        assert_eq!(with(old, &one, true), "ssh-rsa AAAA one\n");
        assert_eq!(with("ssh-rsa B x", &one, false), "ssh-rsa B x\nssh-rsa AAAA one\n");
        assert_eq!(without(old, &other), "# mine\nodd\nssh-rsa BBBB two\n");
        assert_eq!(without("odd", &one), "odd");
    }
}
