//! The entries of the account files, as passwd(5), shadow(5), group(5), gshadow(5) and subuid(5) have
//! them.

use super::table::Entry;
use std::fmt;

/// A user: a line of `/etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// What it is called.
    pub name: String,
    /// `x` where `/etc/shadow` has the password.
    pub password: String,
    /// Its number.
    pub uid: u32,
    /// The number of its primary group.
    pub gid: u32,
    /// Who it is, in words.
    pub comment: String,
    /// Where its files are.
    pub home: String,
    /// What a login starts.
    pub shell: String,
}

impl Entry for User {
    fn read(fields: &[&str]) -> Option<Self> {
        let [name, password, uid, gid, comment, home, shell] = fields else { return None };
        Some(Self {
            name: (*name).to_owned(),
            password: (*password).to_owned(),
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            comment: (*comment).to_owned(),
            home: (*home).to_owned(),
            shell: (*shell).to_owned(),
        })
    }

    fn line(&self) -> String {
        let Self { name, password, uid, gid, comment, home, shell } = self;
        format!("{name}:{password}:{uid}:{gid}:{comment}:{home}:{shell}")
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// A group: a line of `/etc/group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What it is called.
    pub name: String,
    /// `x` where `/etc/gshadow` has the password.
    pub password: String,
    /// Its number.
    pub gid: u32,
    /// Who belongs to it beyond those whose primary group it is.
    pub members: Vec<String>,
}

impl Entry for Group {
    fn read(fields: &[&str]) -> Option<Self> {
        let [name, password, gid, members] = fields else { return None };
        Some(Self {
            name: (*name).to_owned(),
            password: (*password).to_owned(),
            gid: gid.parse().ok()?,
            members: list(members),
        })
    }

    fn line(&self) -> String {
        let Self { name, password, gid, members } = self;
        format!("{name}:{password}:{gid}:{}", members.join(","))
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// A password and how long it is good for: a line of `/etc/shadow`. Days count from 1970.
#[derive(Clone, PartialEq, Eq)]
pub struct Shadow {
    /// Whose.
    pub name: String,
    /// The hash; `!` before it locks it.
    pub password: String,
    /// The day when it was last changed.
    pub changed: Option<i64>,
    /// Days before it may be changed again.
    pub min: Option<i64>,
    /// Days after which it must be changed.
    pub max: Option<i64>,
    /// Days of warning before that.
    pub warn: Option<i64>,
    /// Days for which an expired password still opens the account.
    pub inactive: Option<i64>,
    /// The day when the account ends.
    pub expires: Option<i64>,
    /// Reserved.
    pub flag: String,
}

/// Without the hash.
impl fmt::Debug for Shadow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shadow").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Shadow {
    /// Whether the password is locked, so that nothing that is typed matches it.
    pub fn is_locked(&self) -> bool {
        self.password.starts_with('!')
    }
}

impl Entry for Shadow {
    fn read(fields: &[&str]) -> Option<Self> {
        let [name, password, changed, min, max, warn, inactive, expires, flag] = fields else {
            return None;
        };
        // Nothing and -1 mean the same.
        let days = |text: &str| text.parse().ok().filter(|days| *days >= 0);
        Some(Self {
            name: (*name).to_owned(),
            password: (*password).to_owned(),
            changed: days(changed),
            min: days(min),
            max: days(max),
            warn: days(warn),
            inactive: days(inactive),
            expires: days(expires),
            flag: (*flag).to_owned(),
        })
    }

    fn line(&self) -> String {
        let days = |days: Option<i64>| days.map_or(String::new(), |days| days.to_string());
        let Self { name, password, changed, min, max, warn, inactive, expires, flag } = self;
        let days = [changed, min, max, warn, inactive, expires].map(|field| days(*field)).join(":");
        format!("{name}:{password}:{days}:{flag}")
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// The password and members of a group: a line of `/etc/gshadow`.
#[derive(Clone, PartialEq, Eq)]
pub struct GroupShadow {
    /// Whose.
    pub name: String,
    /// The hash; `!` where there is none.
    pub password: String,
    /// Who may change it.
    pub admins: Vec<String>,
    /// Who belongs to the group.
    pub members: Vec<String>,
}

/// Without the hash.
impl fmt::Debug for GroupShadow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupShadow").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Entry for GroupShadow {
    fn read(fields: &[&str]) -> Option<Self> {
        let [name, password, admins, members] = fields else { return None };
        let (name, password) = ((*name).to_owned(), (*password).to_owned());
        Some(Self { name, password, admins: list(admins), members: list(members) })
    }

    fn line(&self) -> String {
        let Self { name, password, admins, members } = self;
        format!("{name}:{password}:{}:{}", admins.join(","), members.join(","))
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// Numbers that a user may give to others in a namespace: a line of `/etc/subuid` or `/etc/subgid`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Whose, by name or number.
    pub owner: String,
    /// The first.
    pub first: u64,
    /// How many.
    pub count: u64,
}

impl Entry for Range {
    fn read(fields: &[&str]) -> Option<Self> {
        let [owner, first, count] = fields else { return None };
        let (first, count) = (first.parse().ok()?, count.parse().ok()?);
        Some(Self { owner: (*owner).to_owned(), first, count })
    }

    fn line(&self) -> String {
        format!("{}:{}:{}", self.owner, self.first, self.count)
    }

    fn name(&self) -> &str {
        &self.owner
    }
}

fn list(field: &str) -> Vec<String> {
    field.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
