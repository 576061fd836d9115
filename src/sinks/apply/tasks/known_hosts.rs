//! `known_hosts`: which keys prove that a host is the one that SSH means to reach.

use super::{Failure, Module, Outcome, Task, TaskContext};
use crate::event::fault::Diagnostic;
use crate::event::hmac::hmac;
use crate::host::machine::Machine;
use crate::host::machine::path::Follow;
use crate::host::machine::write::{Attributes, WriteOptions};
use crate::sinks::apply::expand::expand_path;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use minijinja::Value;
use sha1::Sha1;
use std::path::PathBuf;

pub(super) static MODULE: Module = Module {
    name: "known_hosts",
    summary: "Makes sure that a file of known hosts has the key of a host, or not.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("name", Kind::Text).or(&["host"]).required().says(
            "The host, as the key names it: `example.org`, an address, or `[example.org]:2222`.",
        ),
        Param::new("key", Kind::Text).says(
            "The line of the file: `example.org ssh-ed25519 AAAA…`. With `state: absent` and without \
             a key all keys of the host go.",
        ),
        Param::new("state", Kind::OneOf(&["absent", "present"]))
            .says("Whether the key is there; `present` where not given."),
        Param::new("path", Kind::Path)
            .says("The file; `~/.ssh/known_hosts` where not given. Its directory must be there."),
        Param::new("hash_host", Kind::Bool)
            .says("Write the name of the host so that it cannot be read."),
    ]),
    check,
    build: |params| Box::new(KnownHosts { params }),
};

fn check(params: &Params) -> Vec<Diagnostic> {
    let name = params.text("name").unwrap_or_default();
    let mut complaints = Vec::new();
    if name.contains(',') {
        let why = format!("`name` is `{name}`, and a single name is expected");
        complaints.push(Diagnostic::new(why, params.place("name")));
    }
    match params.text("key").filter(|key| !key.trim().is_empty()) {
        None if params.text("state") != Some("absent") && !params.has("key") => {
            let why = "a host that is to be known needs its `key`";
            complaints.push(Diagnostic::new(why, params.span.clone()));
        }
        Some(key) if params.has("name") && !name.contains(',') => match Line::read(key) {
            None => {
                let why = "`key` is not `HOST KIND KEY`, as a line of the file is";
                complaints.push(Diagnostic::new(why, params.place("key")));
            }
            Some(line) if !line.is_of(&name.to_lowercase()) => {
                let why = format!("the key is that of `{}`, not of `{name}`", line.host);
                complaints.push(Diagnostic::new(why, params.place("key")));
            }
            Some(_) => {}
        },
        _ => {}
    }
    complaints
}

/// A line of the file.
#[derive(Clone, Debug, PartialEq)]
struct Line<'a> {
    /// `@cert-authority` or `@revoked`.
    marker: Option<&'a str>,
    host: &'a str,
    kind: &'a str,
    key: &'a str,
}

impl<'a> Line<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut words = text.split_whitespace().peekable();
        let marker = words.next_if(|word| word.starts_with('@'));
        let (host, kind, key) = (words.next()?, words.next()?, words.next()?);
        (!host.starts_with('#')).then_some(Self { marker, host, kind, key })
    }

    /// Whether it is about `host`, which is in small letters.
    fn is_of(&self, host: &str) -> bool {
        if let Some((salt, hash)) = self.hashed() {
            return hmac::<Sha1>(&salt, host.as_bytes())[..] == hash[..];
        }
        let mut found = false;
        for pattern in self.host.to_lowercase().split(',') {
            match pattern.strip_prefix('!') {
                Some(pattern) if matches(pattern, host) => return false,
                Some(_) => {}
                None => found |= matches(pattern, host),
            }
        }
        found
    }

    /// Salt and hash of a name that cannot be read.
    fn hashed(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let (salt, hash) = self.host.strip_prefix("|1|")?.split_once('|')?;
        Some((STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?))
    }

    /// Whether both say the same of a host; of two names that cannot be read both are of it.
    fn says(&self, other: &Self) -> bool {
        let is_same_host =
            self.host == other.host || self.hashed().is_some() && other.hashed().is_some();
        is_same_host && (self.marker, self.kind, self.key) == (other.marker, other.kind, other.key)
    }
}

/// Whether `text` is what `pattern` stands for: `*` is anything, `?` one character.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut in_text) = (0, 0);
    let mut star = None;
    while in_text < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, in_text));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[in_text] => {
                at += 1;
                in_text += 1;
            }
            _ => match &mut star {
                // The star takes one more.
                Some((star, taken)) => {
                    *taken += 1;
                    (at, in_text) = (*star + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// The line with the name of its host hashed. The salt comes of the line, so that a dry run shows what
/// a run will write; it differs with each key, which is all that a salt is for.
fn with_hash(line: &str, host: &str) -> String {
    let salt = hmac::<Sha1>(b"driftless known_hosts", format!("{host} {line}").as_bytes());
    let hash = hmac::<Sha1>(&salt, host.as_bytes());
    let hashed = format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(hash));
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let at = usize::from(line.trim_start().starts_with('@'));
    if let Some(word) = words.get_mut(at) {
        *word = &hashed;
    }
    words.join(" ")
}

struct KnownHosts {
    params: Params,
}

impl Task for KnownHosts {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let usual = || PathBuf::from(expand_path("~/.ssh/known_hosts"));
        let path = params.path("path").unwrap_or_else(usual);
        let is_there = machine.stat(&path, Follow::Yes)?.is_some();
        let old = match is_there {
            true => String::from_utf8(machine.read(&path)?.to_vec())
                .map_err(|_| Failure::new(format!("{} is no UTF-8 text", path.display())))?,
            false => String::new(),
        };
        let new = self.settled(&old);
        if new != old {
            let options = WriteOptions { follow: true, ..WriteOptions::default() };
            let content = Bytes::from(new.clone());
            machine.write_file(&path, &content, &Attributes::default(), &options)?;
        }
        let header = path.display().to_string();
        let before_header = if is_there { header.as_str() } else { "/dev/null" };
        let diff = [
            ("before_header", before_header),
            ("after_header", header.as_str()),
            ("before", old.as_str()),
            ("after", new.as_str()),
        ];
        Ok(Outcome::default()
            .with("name", params.text("name"))
            .with("key", params.text("key"))
            .with("path", header.as_str())
            .with("hash_host", params.flag("hash_host", false))
            .with("state", params.text("state").unwrap_or("present"))
            .with("diff", Value::from_pairs(diff.map(|(name, text)| (name, Value::from(text))))))
    }
}

impl KnownHosts {
    /// What becomes of the file.
    fn settled(&self, text: &str) -> String {
        let params = &self.params;
        let host = params.text("name").unwrap_or_default().to_lowercase();
        let is_absent = params.text("state") == Some("absent");
        let mut lines: Vec<&str> = text.lines().collect();
        let Some(given) = params.text("key").map(str::trim).filter(|key| !key.is_empty()) else {
            // Without a key all go that prove the host; authorities and revocations stay.
            let stays = |line: &&str| {
                Line::read(line).is_none_or(|line| line.marker.is_some() || !line.is_of(&host))
            };
            lines.retain(stays);
            return joined(&lines, text);
        };
        let hashed = params.flag("hash_host", false).then(|| with_hash(given, &host));
        let written = hashed.as_deref().unwrap_or(given);
        let Some(wanted) = Line::read(written) else { return text.to_owned() };
        let mut found = None;
        for (at, line) in lines.iter().enumerate() {
            let Some(line) = Line::read(line).filter(|line| line.is_of(&host)) else { continue };
            if wanted.says(&line) {
                found = Some((at, true));
                break;
            }
            if line.marker.is_none() && line.kind == wanted.kind {
                found = Some((at, false));
                break;
            }
        }
        match found {
            Some((_, true)) if !is_absent => return text.to_owned(),
            Some((at, _)) => {
                lines.remove(at);
            }
            None => {}
        }
        if !is_absent {
            lines.push(written);
        }
        joined(&lines, text)
    }
}

/// Lines as a text, which is the old one where they are the same.
fn joined(lines: &[&str], old: &str) -> String {
    if lines.iter().copied().eq(old.lines()) {
        return old.to_owned();
    }
    lines.iter().flat_map(|line| [*line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_matches_patterns_as_ssh_matches_them() {
        let is_of = |hosts: &str, host: &str| {
            let text = format!("{hosts} ssh-rsa AAAA");
            Line::read(&text).unwrap().is_of(host)
        };
        assert!(is_of("a,Example.ORG,10.0.0.1", "example.org"));
        assert!(is_of("*.example.org", "www.example.org") && is_of("*.e", "*.e"));
        assert!(!is_of("*.example.org,!www.example.org", "www.example.org"));
        assert!(is_of("[a]:2222", "[a]:2222") && !is_of("a", "[a]:2222") && is_of("?", "a"));
        // Made by `ssh-keygen -H`.
        let hashed = "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg=";
        assert!(is_of(hashed, "192.168.1.61") && !is_of(hashed, "192.168.1.62"));
    }

    #[test]
    fn a_hashed_name_is_that_of_its_host_and_of_no_other() {
        let text = with_hash("@revoked example.org ssh-rsa AAAA", "example.org");
        let line = Line::read(&text).unwrap();
        assert_eq!((line.marker, line.key), (Some("@revoked"), "AAAA"));
        assert!(line.is_of("example.org") && !line.is_of("example.com"));
    }
}
