//! Owner, group and mode: parameters and results that all file tasks share.

use super::{Failure, Outcome};
use crate::host::machine::Machine;
use crate::host::machine::meta::{Kind, Meta};
use crate::host::machine::path::Follow;
use crate::host::machine::write::Attributes;
use crate::sinks::apply::params::{Kind as ParamKind, Param, Params};
use std::path::Path;

/// Permissions.
const MODE: Param = Param::new("mode", ParamKind::Mode).says(
    "The permissions: `\"0644\"` or `u=rw,g=r,o=`. Where not given, those that are there stay, and \
     what is new gets the usual ones.",
);

/// The owner.
const OWNER: Param = Param::new("owner", ParamKind::Account)
    .says("The user that it belongs to, by name or number; left alone where not given.");

/// The group.
const GROUP: Param = Param::new("group", ParamKind::Account)
    .says("The group that it belongs to, by name or number; left alone where not given.");

/// Writing in place.
const UNSAFE_WRITES: Param = Param::new("unsafe_writes", ParamKind::Bool).says(
    "Write in place where the file cannot be replaced, since something is mounted on it; a reader \
     may then see half of it.",
);

/// Keeping the old file.
pub(super) const BACKUP: Param = Param::new("backup", ParamKind::Bool)
    .says("Keep the old file under a dated name beside the new one.");

/// A check of the new content.
pub(super) const VALIDATE: Param = Param::new("validate", ParamKind::CommandLine).says(
    "A command that must succeed before the new content takes effect; `%s` in it is a file with \
     that content.",
);

/// Whether a link at the end of the path is meant itself.
pub(super) const FOLLOW: Param = Param::new("follow", ParamKind::Bool);

/// Who may do what with a file that is written.
pub(super) const PARAMS: &[Param] = &[MODE, OWNER, GROUP, UNSAFE_WRITES];

/// Parameters of Ansible's file tasks that no file task here has yet.
pub(super) const NOT_YET: &[&str] =
    &["attributes", "attr", "selevel", "serole", "setype", "seuser"];

/// The same of those that take their content from somewhere.
pub(super) const CONTENT_NOT_YET: &[&str] = &["decrypt", "checksum"];

/// What the parameters `mode`, `owner` and `group` ask for. Names must be known on the host.
pub(super) fn read(params: &Params, machine: &Machine) -> Result<Attributes, Failure> {
    let owner = params.text("owner").map(|name| machine.user_id(name)).transpose()?;
    let group = params.text("group").map(|name| machine.group_id(name)).transpose()?;
    Ok(Attributes { mode: params.mode("mode"), uid: owner, gid: group })
}

/// What Ansible returns of the thing at `path`: its permissions, size and state.
pub(super) fn returned(
    outcome: Outcome,
    machine: &Machine,
    path: &Path,
    follow: Follow,
) -> Result<Outcome, Failure> {
    let Some(found) = machine.stat(path, follow)? else {
        return Ok(outcome.with("state", "absent"));
    };
    let outcome = outcome
        .with("mode", format!("0{:03o}", found.mode))
        .with("uid", found.uid)
        .with("gid", found.gid)
        .with("owner", machine.user_name(found.uid))
        .with("group", machine.group_name(found.gid))
        .with("size", found.size_bytes);
    Ok(outcome.with("state", state(&found)))
}

/// Ansible's word for a kind of file.
pub(super) fn state(found: &Meta) -> &'static str {
    match found.kind {
        Kind::Directory => "directory",
        Kind::Link => "link",
        Kind::File | Kind::Fifo | Kind::Socket | Kind::Device => "file",
    }
}
