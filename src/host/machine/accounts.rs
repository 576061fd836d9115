//! Users and groups: who is called what, as far as the host or a dry run knows.
//!
//! The C library answers, from the files and from whatever else the host is set up for. What a dry
//! run has foretold of the files comes before that.

use super::command::Command;
use super::fault::Fault;
use super::path::Follow;
use super::{Back, Machine, look};
use crate::host::accounts::entries::{Group, User};
use crate::host::accounts::table::{Entry, Table};
use nix::unistd::{self, Gid, Uid, getegid, geteuid};
use std::collections::HashMap;
use std::path::Path;

/// Where users are.
pub(super) const PASSWD: &str = "/etc/passwd";
/// Where groups are.
pub(super) const GROUP: &str = "/etc/group";

/// Effective user and group of this process: who owns what it makes.
pub(super) fn own_ids() -> (u32, u32) {
    (geteuid().as_raw(), getegid().as_raw())
}

/// Names that were looked up. The C library reads its files anew for each.
#[derive(Debug, Default)]
pub(super) struct Names {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Machine {
    /// Whether this process is root, who alone may give files to others.
    pub fn is_root(&self) -> bool {
        own_ids().0 == 0
    }

    /// The name of whoever runs this.
    pub fn own_name(&self) -> String {
        self.user_name(own_ids().0)
    }

    /// What this host is called.
    pub fn host_name(&self) -> String {
        unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The id of the user called `name`; digits are an id.
    pub fn user_id(&self, name: &str) -> Result<u32, Fault> {
        match (self.user(name)?, name.parse::<u32>()) {
            (Some(user), _) => Ok(user.uid),
            (None, Ok(id)) if id != u32::MAX => Ok(id),
            _ => Err(self.absence(format!("there is no user `{name}`"))),
        }
    }

    /// The id of the group called `name`; digits are an id.
    pub fn group_id(&self, name: &str) -> Result<u32, Fault> {
        match (self.group(name)?, name.parse::<u32>()) {
            (Some(group), _) => Ok(group.gid),
            (None, Ok(id)) if id != u32::MAX => Ok(id),
            _ => Err(self.absence(format!("there is no group `{name}`"))),
        }
    }

    /// The name of the user `uid`, else the number.
    pub fn user_name(&self, uid: u32) -> String {
        let look_up = || {
            let found = self.user_of(uid).ok().flatten();
            found.map_or_else(|| uid.to_string(), |user| user.name)
        };
        self.names.borrow_mut().users.entry(uid).or_insert_with(look_up).clone()
    }

    /// The name of the group `gid`, else the number.
    pub fn group_name(&self, gid: u32) -> String {
        let look_up = || {
            let found = self.group_of(gid).ok().flatten();
            found.map_or_else(|| gid.to_string(), |group| group.name)
        };
        self.names.borrow_mut().groups.entry(gid).or_insert_with(look_up).clone()
    }

    /// The user called `name`.
    pub fn user(&self, name: &str) -> Result<Option<User>, Fault> {
        self.known(
            PASSWD,
            |user: &User| user.name == name,
            || unistd::User::from_name(name).map(|user| user.map(User::from)),
        )
    }

    /// The user with the number `uid`.
    pub fn user_of(&self, uid: u32) -> Result<Option<User>, Fault> {
        self.known(
            PASSWD,
            |user: &User| user.uid == uid,
            || unistd::User::from_uid(Uid::from_raw(uid)).map(|user| user.map(User::from)),
        )
    }

    /// The group called `name`.
    pub fn group(&self, name: &str) -> Result<Option<Group>, Fault> {
        self.known(
            GROUP,
            |group: &Group| group.name == name,
            || unistd::Group::from_name(name).map(|group| group.map(Group::from)),
        )
    }

    /// The group with the number `gid`.
    pub fn group_of(&self, gid: u32) -> Result<Option<Group>, Fault> {
        self.known(
            GROUP,
            |group: &Group| group.gid == gid,
            || unistd::Group::from_gid(Gid::from_raw(gid)).map(|group| group.map(Group::from)),
        )
    }

    /// What `getent` says of a database of the host, or of one key in it: how it ends, and the lines.
    /// What a dry run has foretold comes before that.
    pub fn getent(
        &self,
        database: &str,
        key: Option<&str>,
        service: Option<&str>,
    ) -> Result<(i32, String), Fault> {
        if let (Some(key), None) = (key, service)
            && let Some(found) = self.account(database, key)
        {
            return Ok(found.map_or((2, String::new()), |line| (0, format!("{line}\n"))));
        }
        let has_file = ["passwd", "group", "shadow", "gshadow"].contains(&database);
        let file = Path::new("/etc").join(database);
        let files = if has_file { self.foretold(&file)? } else { None };
        if let (Some((would_be, is)), Some(key)) = (&files, key) {
            if let Some(line) = would_be.line_of(key) {
                return Ok((0, format!("{line}\n")));
            }
            if is.line_of(key).is_some() {
                return Ok((2, String::new()));
            }
        }
        let words = ["getent", database].into_iter().chain(key);
        let words = words.chain(service.into_iter().flat_map(|service| ["-s", service]));
        let argv = words.map(str::to_owned).collect();
        let output = self.query(&Command { argv, ..Command::default() })?;
        let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
        if let (Some((would_be, is)), None) = (&files, key) {
            let is_elsewhere =
                |line: &&str| line.split(':').next().is_some_and(|name| !is.has(name));
            let lines: Vec<&str> =
                would_be.lines().chain(said.lines().filter(is_elsewhere)).collect();
            said = lines.join("\n");
        }
        Ok((output.code(), said))
    }

    /// The line of one user or group, by name or number, without a program; `None` where only one
    /// can tell.
    fn account(&self, database: &str, key: &str) -> Option<Option<String>> {
        let is_number = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
        let number = if is_number { Some(key.parse().ok()?) } else { None };
        match (database, number) {
            ("passwd", Some(uid)) => Some(self.user_of(uid).ok()?.map(|user| user.line())),
            ("passwd", None) => Some(self.user(key).ok()?.map(|user| user.line())),
            ("group", Some(gid)) => Some(self.group_of(gid).ok()?.map(|group| group.line())),
            ("group", None) => Some(self.group(key).ok()?.map(|group| group.line())),
            _ => None,
        }
    }

    /// What a dry run has foretold of `file`, else what the C library says.
    fn known<E: Entry>(
        &self,
        file: &str,
        is_it: impl Fn(&E) -> bool,
        look_up: impl FnOnce() -> nix::Result<Option<E>>,
    ) -> Result<Option<E>, Fault> {
        if let Some((would_be, is)) = self.foretold(Path::new(file))? {
            let found = would_be.entries().find(&is_it);
            // The C library would find what is to be taken away.
            if found.is_some() || is.entries().any(|entry| is_it(&entry)) {
                return Ok(found);
            }
        }
        look_up().map_err(|e| Fault::new(format!("cannot look up users and groups: {e}")))
    }

    /// The file as it would be and as the host has it, where a dry run has changed it.
    fn foretold(&self, file: &Path) -> Result<Option<(Table, Table)>, Fault> {
        let Back::Overlay(overlay) = &self.back else { return Ok(None) };
        let path = self.resolve(file, Follow::Yes)?;
        if !overlay.is_foretold(&path) {
            return Ok(None);
        }
        let would_be = overlay.lstat(&path)?.map(|_| overlay.read(&path)).transpose()?;
        let found = look::lstat(&path)?;
        let is = found.map(|found| look::read(&path, found.size_bytes)).transpose()?;
        let table = |content: Option<bytes::Bytes>| Table::read(&content.unwrap_or_default());
        Ok(Some((table(would_be), table(is))))
    }
}

impl From<unistd::User> for User {
    fn from(found: unistd::User) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            name: found.name,
            password: text(found.passwd.as_bytes()),
            uid: found.uid.as_raw(),
            gid: found.gid.as_raw(),
            comment: text(found.gecos.as_bytes()),
            home: found.dir.to_string_lossy().into_owned(),
            shell: found.shell.to_string_lossy().into_owned(),
        }
    }
}

impl From<unistd::Group> for Group {
    fn from(found: unistd::Group) -> Self {
        let password = String::from_utf8_lossy(found.passwd.as_bytes()).into_owned();
        Self { name: found.name, password, gid: found.gid.as_raw(), members: found.mem }
    }
}
