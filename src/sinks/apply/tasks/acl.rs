//! `acl`: who may do what with a file, beyond its mode.

use super::{Failure, Module, Outcome, Task, TaskContext, file_attributes};
use crate::event::fault::Diagnostic;
use crate::host::acl::{Acl as Entries, Who, letters};
use crate::host::machine::Machine;
use crate::host::machine::change::List;
use crate::host::machine::meta::{Kind as FileKind, Meta};
use crate::host::machine::path::Follow;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::path::{Path, PathBuf};

pub(super) static MODULE: Module = Module {
    name: "acl",
    summary: "Makes sure that an access control list has an entry, or not; or tells its entries.",
    acts_unless: None,
    spec: Spec {
        exclusive: &[&["entry", "entity"], &["entry", "etype"], &["entry", "permissions"]],
        ..Spec::new(&[
            Param::new("path", Kind::Path).or(&["name"]).required().says("The file or directory."),
            Param::new("state", Kind::OneOf(&["absent", "present", "query"]))
                .says("Whether the entry is there; `query` (where not given) only tells the list."),
            Param::new("entry", Kind::Text).says(
                "The entry in one: `user:www:rx`, `group::r`, `default:user:www:rwx`; without \
                 permissions where it is to be absent.",
            ),
            Param::new("etype", Kind::OneOf(&["group", "mask", "other", "user"]))
                .says("What kind of entry."),
            Param::new("entity", Kind::Account)
                .says("The user or group of the entry; without one the owner or the owning group."),
            Param::new("permissions", Kind::Text).says(
                "Of `r`, `w`, `x` and `X` (`x` where it is a directory or somebody may run it \
                 already); or a digit as in a mode.",
            ),
            Param::new("default", Kind::Bool)
                .says("The list that new entries of a directory get, not that of the directory."),
            Param::new("recursive", Kind::Bool)
                .says("All that is below `path` too; links are left out."),
            Param::new("recalculate_mask", Kind::OneOf(&["default", "mask", "no_mask"])).says(
                "Whether the mask is opened for all that the entries ask for: always, never, or \
                 unless the entry is the mask itself (where not given).",
            ),
            file_attributes::FOLLOW
                .says("Where `path` is a link, what it leads to; true where not given."),
            Param::new("use_nfsv4_acls", Kind::Bool)
                .says("Only `false`: lists of NFS version 4 are of another kind."),
        ])
    },
    check,
    build: |params| Box::new(Acl { params }),
};

struct Acl {
    params: Params,
}

/// An entry as the parameters have it.
#[derive(Debug, PartialEq)]
struct Entry {
    etype: String,
    entity: String,
    permissions: Option<String>,
    list: List,
}

impl Entry {
    /// The entry that `entry`, or the parameters beside it, ask for; none for a query.
    fn of(params: &Params) -> Result<Option<Self>, String> {
        let state = params.text("state").unwrap_or("query");
        let mut list = if params.flag("default", false) { List::Default } else { List::Access };
        if state == "query" {
            let unwanted = ["entry", "recursive"].into_iter().find(|name| params.has(name));
            if let Some(name) = unwanted.filter(|name| *name == "entry" || params.flag(name, false))
            {
                return Err(format!("`{name}` goes with `state: present` or `state: absent`"));
            }
            if params.text("recalculate_mask").is_some_and(|wish| wish != "default") {
                return Err(
                    "a query changes no mask, so that `recalculate_mask` means nothing".into()
                );
            }
            return Ok(None);
        }
        let permissions = |given: Option<&str>| match (state, given) {
            ("present", None) => {
                Err("an entry that is to be present needs its permissions".to_owned())
            }
            ("absent", Some(_)) => {
                Err("an entry that is to be absent takes no permissions".to_owned())
            }
            (_, given) => Ok(given.map(str::to_owned)),
        };
        let Some(text) = params.text("entry") else {
            let Some(etype) = params.text("etype") else {
                return Err(format!("`state: {state}` needs `entry`, or `etype`"));
            };
            let entity = params.text("entity").unwrap_or_default().to_owned();
            let permissions = permissions(params.text("permissions"))?;
            return Ok(Some(Self { etype: etype.to_owned(), entity, permissions, list }));
        };
        let mut parts: Vec<&str> = text.split(':').collect();
        if parts.len() > 1 && ["default", "d"].contains(&parts[0].to_ascii_lowercase().as_str()) {
            list = List::Default;
            parts.remove(0);
        }
        let (etype, entity, given) = match parts[..] {
            [etype, entity] => (etype, entity, None),
            [etype, entity, permissions] => (etype, entity, Some(permissions)),
            _ => {
                let form = if state == "present" { "TYPE:NAME:PERMISSIONS" } else { "TYPE:NAME" };
                return Err(format!("`entry` is `{text}`, and `{form}` is expected"));
            }
        };
        let etype = match etype.to_ascii_lowercase().as_str() {
            "user" | "u" => "user",
            "group" | "g" => "group",
            "mask" | "m" => "mask",
            "other" | "o" => "other",
            _ => {
                let expected = "`user`, `group`, `mask` or `other`";
                return Err(format!("`entry` begins with `{etype}`, and {expected} is expected"));
            }
        };
        let permissions = permissions(given.filter(|given| !given.is_empty()))?;
        Ok(Some(Self { etype: etype.into(), entity: entity.into(), permissions, list }))
    }

    /// As Ansible tells it.
    fn text(&self) -> String {
        let permissions = self.permissions.iter().map(|permissions| format!(":{permissions}"));
        format!("{}:{}{}", self.etype, self.entity, permissions.collect::<String>())
    }

    fn who(&self, machine: &Machine) -> Result<Who, Failure> {
        let named = !self.entity.is_empty();
        Ok(match self.etype.as_str() {
            "user" if named => Who::User(machine.user_id(&self.entity)?),
            "user" => Who::Owner,
            "group" if named => Who::Group(machine.group_id(&self.entity)?),
            "group" => Who::OwningGroup,
            etype if named => {
                return Err(Failure::new(format!("the entry `{etype}` takes no name")));
            }
            "mask" => Who::Mask,
            _ => Who::Other,
        })
    }
}

/// Permissions as bits, and whether `X` asks for more where it fits.
fn bits(permissions: &str) -> Result<(u8, bool), String> {
    if let [digit @ b'0'..=b'7'] = permissions.as_bytes() {
        return Ok((digit - b'0', false));
    }
    let mut found = (0, false);
    for letter in permissions.chars() {
        match letter {
            'r' => found.0 |= 4,
            'w' => found.0 |= 2,
            'x' => found.0 |= 1,
            'X' => found.1 = true,
            '-' => {}
            _ => {
                return Err(format!(
                    "the permissions `{permissions}` are not made of `r`, `w`, `x`, `X`"
                ));
            }
        }
    }
    Ok(found)
}

fn check(params: &Params) -> Vec<Diagnostic> {
    // Where what is wrong is written: in one text, or in parts.
    let place = |name: &str| params.place(if params.has("entry") { "entry" } else { name });
    let mut complaints = Vec::new();
    if params.flag("use_nfsv4_acls", false) {
        let why = "`use_nfsv4_acls: true` is not supported: lists of NFS version 4 are set where the \
                   files are, on the server";
        complaints.push(Diagnostic::new(why, params.place("use_nfsv4_acls")));
    }
    let entry = ["entry", "etype", "permissions", "state"];
    // What holds an expression is judged when the task runs.
    let is_plain = entry.iter().all(|name| !params.has(name) || params.text(name).is_some());
    if is_plain {
        match Entry::of(params) {
            Err(why) => complaints.push(Diagnostic::new(why, place("etype"))),
            Ok(Some(Entry { permissions: Some(permissions), .. })) => {
                let wrong = bits(&permissions).err();
                complaints.extend(wrong.map(|why| Diagnostic::new(why, place("permissions"))));
            }
            Ok(_) => {}
        }
    }
    complaints
}

impl Task for Acl {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let path = params.path("path").unwrap_or_default();
        let follow = if params.flag("follow", true) { Follow::Yes } else { Follow::No };
        let Some(found) = machine.stat(&path, follow)? else {
            return Err(Failure::new(format!("there is nothing at {}", path.display())));
        };
        let entry = Entry::of(params).map_err(Failure::new)?;
        let (message, list) = match &entry {
            Some(entry) => {
                let job = Job::new(entry, params, machine)?;
                if params.flag("recursive", false) {
                    job.all(machine, &path, &found)?;
                } else {
                    job.one(machine, &path, follow, &found)?;
                }
                let is = if entry.permissions.is_some() { "present" } else { "absent" };
                (format!("{} is {is}", entry.text()), entry.list)
            }
            None => {
                let list = if params.flag("default", false) { List::Default } else { List::Access };
                ("current acl".to_owned(), list)
            }
        };
        let mut lines = Vec::new();
        let below =
            if params.flag("recursive", false) { below(machine, &path)? } else { Vec::new() };
        for path in std::iter::once(path).chain(below) {
            let only_default = list == List::Default;
            let told = told(machine, &path, follow, only_default)?;
            if !lines.is_empty() && !told.is_empty() {
                lines.push(String::new());
            }
            lines.extend(told);
        }
        Ok(Outcome::default().with("msg", message).with("acl", lines))
    }
}

/// What is to be done to one list after another.
struct Job<'a> {
    list: List,
    who: Who,
    /// None where the entry goes.
    permissions: Option<(u8, bool)>,
    mask: &'a str,
}

impl<'a> Job<'a> {
    fn new(entry: &Entry, params: &'a Params, machine: &Machine) -> Result<Self, Failure> {
        let permissions = entry.permissions.as_deref().map(bits).transpose();
        Ok(Self {
            list: entry.list,
            who: entry.who(machine)?,
            permissions: permissions.map_err(Failure::new)?,
            mask: params.text("recalculate_mask").unwrap_or("default"),
        })
    }

    /// `path` and all below it, as far as they have such lists.
    fn all(&self, machine: &mut Machine, path: &Path, found: &Meta) -> Result<(), Failure> {
        if self.list == List::Access || found.kind == FileKind::Directory {
            self.one(machine, path, Follow::Yes, found)?;
        }
        for path in below(machine, path)? {
            let Some(found) = machine.stat(&path, Follow::No)? else { continue };
            if self.list == List::Access || found.kind == FileKind::Directory {
                self.one(machine, &path, Follow::No, &found)?;
            }
        }
        Ok(())
    }

    fn one(
        &self,
        machine: &mut Machine,
        path: &Path,
        follow: Follow,
        found: &Meta,
    ) -> Result<(), Failure> {
        if found.kind == FileKind::Link {
            return Err(Failure::new(format!(
                "{} is a link, and links have no list",
                path.display()
            )));
        }
        if self.list == List::Default && found.kind != FileKind::Directory {
            let (path, kind) = (path.display(), found.kind.described());
            return Err(Failure::new(format!(
                "{path} is {kind}, and only directories have a default list"
            )));
        }
        let access = machine.acl(path, follow, List::Access)?;
        let mut acl = match self.list {
            List::Access => access.clone(),
            List::Default => machine.acl(path, follow, List::Default)?,
        };
        let old = acl.clone();
        match self.permissions {
            None => acl.remove(self.who),
            Some((bits, may_run)) => {
                let somebody_may_run = acl.entries().any(|(_, bits)| bits & 1 != 0);
                let runs = may_run && (found.kind == FileKind::Directory || somebody_may_run);
                acl.set(self.who, bits | u8::from(runs));
            }
        }
        if self.list == List::Default && !acl.is_empty() {
            // What a default list does not say of these is taken from the list of access.
            for who in [Who::Owner, Who::OwningGroup, Who::Other] {
                if acl.get(who).is_none() {
                    acl.set(who, access.get(who).unwrap_or(0));
                }
            }
        }
        self.set_mask(&mut acl);
        acl.check()
            .map_err(|why| Failure::new(format!("the list of {}: {why}", path.display())))?;
        if acl != old {
            machine.set_acl(path, follow, self.list, &acl)?;
        }
        Ok(())
    }

    fn set_mask(&self, acl: &mut Entries) {
        if acl.is_minimal() {
            return;
        }
        let is_about_mask = self.who == Who::Mask;
        if acl.get(Who::Mask).is_none() && !is_about_mask {
            acl.set(Who::Mask, acl.get(Who::OwningGroup).unwrap_or(0));
        }
        if self.mask == "mask" || (self.mask == "default" && !is_about_mask) {
            acl.open_mask();
        }
    }
}

/// All that is below a directory, sorted, without links.
fn below(machine: &Machine, path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let is_directory =
        |found: Option<Meta>| found.is_some_and(|found| found.kind == FileKind::Directory);
    let mut found = Vec::new();
    if !is_directory(machine.stat(path, Follow::Yes)?) {
        return Ok(found);
    }
    let mut ahead = vec![path.to_owned()];
    while let Some(directory) = ahead.pop() {
        for name in machine.list(&directory)? {
            let path = directory.join(name);
            match machine.stat(&path, Follow::No)?.map(|found| found.kind) {
                None | Some(FileKind::Link) => continue,
                Some(FileKind::Directory) => ahead.push(path.clone()),
                Some(_) => {}
            }
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The entries as `getfacl --omit-header` shows them.
fn told(
    machine: &Machine,
    path: &Path,
    follow: Follow,
    only_default: bool,
) -> Result<Vec<String>, Failure> {
    let line = |acl: &Entries, prefix: &str, (who, bits): (Who, u8)| {
        let name = match who {
            Who::Owner => "user:".to_owned(),
            Who::User(id) => format!("user:{}", machine.user_name(id)),
            Who::OwningGroup => "group:".to_owned(),
            Who::Group(id) => format!("group:{}", machine.group_name(id)),
            Who::Mask => "mask:".to_owned(),
            Who::Other => "other:".to_owned(),
        };
        let effective = acl.effective(who, bits);
        let note = if effective == bits {
            String::new()
        } else {
            format!("\t#effective:{}", letters(effective))
        };
        format!("{prefix}{name}:{}{note}", letters(bits))
    };
    let mut lines = Vec::new();
    if !only_default {
        let acl = machine.acl(path, follow, List::Access)?;
        lines.extend(acl.entries().map(|entry| line(&acl, "", entry)));
    }
    let acl = machine.acl(path, follow, List::Default)?;
    let prefix = if only_default { "" } else { "default:" };
    lines.extend(acl.entries().map(|entry| line(&acl, prefix, entry)));
    Ok(lines)
}
