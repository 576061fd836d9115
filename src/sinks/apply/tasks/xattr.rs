//! `xattr`: extended attributes of a file.

use super::{Failure, Module, Outcome, Task, TaskContext, file_attributes};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::path::Follow;
use crate::host::xattr::{ACL_ACCESS, ACL_DEFAULT};
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use minijinja::Value;
use std::path::Path;

pub(super) static MODULE: Module = Module {
    name: "xattr",
    summary: "Makes sure that a file has an extended attribute, or not; or tells which it has.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("path", Kind::Path)
            .or(&["name"])
            .required()
            .says("The file or directory."),
        Param::new("namespace", Kind::Text)
            .says(
                "Put before a `key` that does not begin with it; `user` where not given.",
            ),
        Param::new("key", Kind::Text).says("The attribute."),
        Param::new("value", Kind::Text).says(
            "What it holds; as with `setfattr`, `0x` begins bytes in hex and `0s` bytes in base64. \
             With a value the attribute is set whatever `state` says.",
        ),
        Param::new("state", Kind::OneOf(&["absent", "all", "keys", "present", "read"])).says(
            "`present` and `absent` are about one attribute; `read` (where not given) returns that, \
             `all` returns all of the namespace, `keys` their names.",
        ),
        file_attributes::FOLLOW.says(
                "Where `path` is a link, what it leads to; true where not given.",
            ),
    ]),
    check,
    build: |params| Box::new(Xattr { params }),
};

struct Xattr {
    params: Params,
}

fn check(params: &Params) -> Vec<Diagnostic> {
    let complain = |why: &str| vec![Diagnostic::new(why, params.span.clone())];
    let state = params.text("state").unwrap_or("read");
    if matches!(state, "present" | "absent") && !params.has("key") {
        return complain(&format!("`state: {state}` needs the `key` that it is about"));
    }
    if params.has("value") && !params.has("key") {
        return complain("a `value` needs the `key` that it is for");
    }
    if state == "present" && !params.has("value") {
        return complain("`state: present` needs a `value`");
    }
    if params.has("value") && state == "absent" {
        return complain("`state: absent` takes no `value`");
    }
    match params.text("value").map(bytes_of) {
        Some(Err(why)) => complain(&why),
        _ => Vec::new(),
    }
}

impl Task for Xattr {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let path = params.path("path").unwrap_or_default();
        let follow = if params.flag("follow", true) { Follow::Yes } else { Follow::No };
        let namespace = params.text("namespace").unwrap_or("user");
        let key = params.text("key").map(|key| full_name(namespace, key));
        let state =
            if params.has("value") { "present" } else { params.text("state").unwrap_or("read") };
        let told = |message: String, found: Vec<(String, String)>| {
            let found = found.into_iter().map(|(name, value)| (name, Value::from(value)));
            let outcome = Outcome::default().with("msg", message);
            outcome.with("xattr", Value::from_iter(found))
        };
        let Some(key) = key.filter(|_| !matches!(state, "all" | "keys")) else {
            let all = self.all(machine, &path, follow, namespace, state == "keys")?;
            let keys = state == "keys";
            let message = if keys { "returning all keys" } else { "dumping all" };
            return Ok(told(message.into(), all));
        };
        if [ACL_ACCESS, ACL_DEFAULT].contains(&key.as_str()) && state != "read" {
            let failure = Failure::new(format!("`{key}` is an access control list"));
            let hint = Some("the task type `acl` sets those".into());
            return Err(Failure { hint, ..failure });
        }
        let found = machine.attribute(&path, follow, &key)?;
        let found = found.map(|value| (key.clone(), text_of(&value))).into_iter().collect();
        let message = match state {
            "present" => {
                let text = params.text("value").unwrap_or_default();
                let value = bytes_of(text).map_err(Failure::new)?;
                machine.set_attribute(&path, follow, &key, Some(value))?;
                format!("{key} set to {text}")
            }
            "absent" => {
                machine.set_attribute(&path, follow, &key, None)?;
                format!("{key} removed")
            }
            _ => format!("returning {key}"),
        };
        Ok(told(message, found))
    }
}

impl Xattr {
    /// All attributes of the namespace, without their values where only the names count.
    fn all(
        &self,
        machine: &Machine,
        path: &Path,
        follow: Follow,
        namespace: &str,
        names_only: bool,
    ) -> Result<Vec<(String, String)>, Failure> {
        let all = machine.attributes_by_name(path, follow)?.into_iter();
        let wanted =
            |name: &str| name.strip_prefix(namespace).is_some_and(|rest| rest.starts_with('.'));
        let all = all.filter(|(name, _)| namespace.is_empty() || wanted(name));
        let shown = |value: &Bytes| if names_only { String::new() } else { text_of(value) };
        Ok(all.map(|(name, value)| (name, shown(&value))).collect())
    }
}

/// A key with its namespace.
fn full_name(namespace: &str, key: &str) -> String {
    let has_it = key.strip_prefix(namespace).is_some_and(|rest| rest.starts_with('.'));
    if namespace.is_empty() || has_it { key.to_owned() } else { format!("{namespace}.{key}") }
}

/// The bytes that a value is written for.
fn bytes_of(text: &str) -> Result<Bytes, String> {
    let wrong =
        |what: &str| format!("`value` is `{text}`, and {what} is expected after the prefix");
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let pairs = digits.as_bytes().chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
            let is_hex = pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            is_hex.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
        });
        let bytes: Option<Vec<u8>> = pairs.collect();
        return bytes.map(Bytes::from).ok_or_else(|| wrong("pairs of hex digits"));
    }
    if let Some(coded) = text.strip_prefix("0s").or_else(|| text.strip_prefix("0S")) {
        return BASE64_STANDARD.decode(coded).map(Bytes::from).map_err(|_| wrong("base64"));
    }
    Ok(Bytes::from(text.to_owned()))
}

/// A value as text; bytes that are none in base64.
fn text_of(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) if !text.contains('\0') => text.to_owned(),
        _ => format!("0s{}", BASE64_STANDARD.encode(value)),
    }
}
