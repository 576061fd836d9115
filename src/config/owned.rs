//! Variables that are for one group or one host: `vars/groups/NAME` and `vars/hosts/NAME`.

use super::discover::{FileKind, Found, is_config};
use super::fleet::Groups;
use super::read::{Dialect, read_file};
use crate::event::fault::{Diagnostic, nearest};
use crate::event::tree::{Node, Value};
use std::path::{Path, PathBuf};

/// Whose a file of variables is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A group's.
    Group(String),
    /// A host's.
    Host(String),
}

/// A file that was found and not yet read.
#[derive(Clone, Debug)]
pub struct Owned {
    /// Whose it is.
    pub owner: Owner,
    /// Where it is.
    pub path: PathBuf,
}

/// The folders in `vars`: of everybody, of groups, of hosts.
pub(super) const FOLDERS: [&str; 3] = ["all", "groups", "hosts"];

/// The files below `vars/groups` or `vars/hosts`, whose `entries` these are: a file by itself, or a
/// folder of files, which `list` lists.
pub(super) fn owned(
    entries: Vec<PathBuf>,
    owner: fn(String) -> Owner,
    list: &mut dyn FnMut(&Path) -> Vec<PathBuf>,
) -> Vec<Owned> {
    let mut found = Vec::new();
    for path in entries {
        let part = if path.is_dir() { path.file_name() } else { path.file_stem() };
        let Some(name) = part.and_then(|name| name.to_str()).map(str::to_owned) else { continue };
        let files = match path.is_dir() {
            true => list(&path),
            false => vec![path],
        };
        let files = files.into_iter().filter(|path| is_config(path));
        found.extend(files.map(|path| Owned { owner: owner(name.clone()), path }));
    }
    found
}

/// Reads those that count on `host`, weakest first: the files of each group in the order in which
/// the host belongs to them, then those of the host.
pub(super) fn of_host(
    owned: &[Owned],
    groups: &Groups,
    host: &str,
    complaints: &mut Vec<Diagnostic>,
) -> Vec<Vec<Found>> {
    let owners = groups.of_host.iter().map(|name| Owner::Group(name.clone()));
    let mut all = Vec::new();
    for owner in owners.chain([Owner::Host(host.to_owned())]) {
        let mut found = Vec::new();
        for file in owned.iter().filter(|it| it.owner == owner) {
            match read(file) {
                Ok(file) => found.push(file),
                Err(more) => complaints.extend(more),
            }
        }
        all.push(found);
    }
    all
}

/// Those that do not count on `host`.
pub(super) fn others(owned: Vec<Owned>, groups: &Groups, host: &str) -> Vec<Owned> {
    let counts = |owned: &Owned| match &owned.owner {
        Owner::Group(name) => groups.of_host.contains(name),
        Owner::Host(name) => name == host,
    };
    owned.into_iter().filter(|owned| !counts(owned)).collect()
}

/// Reads one.
///
/// # Errors
/// All that keeps it from being read.
fn read(owned: &Owned) -> Result<Found, Vec<Diagnostic>> {
    let node = read_file(&owned.path, Dialect::Yaml11)?;
    Ok(Found { kind: FileKind::Vars, path: owned.path.clone(), node })
}

/// What is wrong with those of other groups and hosts, which a config that is checked for one host
/// does not need.
pub fn complaints(others: &[Owned]) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    for other in others {
        match read(other) {
            Ok(mut found) => {
                found.node.take("when");
                super::scope::variables(&found.node, &mut complaints);
            }
            Err(more) => complaints.extend(more),
        }
    }
    complaints
}

/// Remarks on variables of groups that the fleet's file does not know; where it declares none, only
/// hosts know which there are.
pub(super) fn remarks(owned: &[Owned], groups: &Groups) -> Vec<Diagnostic> {
    let is_known = |name: &str| groups.of_host.iter().chain(&groups.declared).any(|it| it == name);
    let mut told: Vec<&str> = Vec::new();
    let mut remarks = Vec::new();
    for Owned { owner, path } in owned {
        let Owner::Group(name) = owner else { continue };
        if groups.declared.is_empty() || is_known(name) || told.contains(&name.as_str()) {
            continue;
        }
        told.push(name);
        let message =
            format!("`{}` is for the group `{name}`, which is not declared", path.display());
        let mut remark = Diagnostic::new(message, None);
        remark.hint = Some(match nearest(name, groups.declared.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`groups` in fleet.yml says which there are".to_owned(),
        });
        remarks.push(remark);
    }
    remarks
}

/// Puts the variables of `from` into `into`, in place of those of the same name.
pub(super) fn replace(into: &mut Node, from: Node) {
    let (Value::Map(entries), Value::Map(more)) = (&mut into.value, from.value) else { return };
    for (key, node) in more {
        match entries.iter_mut().find(|(known, _)| known == &key) {
            Some(known) => *known = (key, node),
            None => entries.push((key, node)),
        }
    }
}
