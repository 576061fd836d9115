//! The users and groups that a host's own files name, and what the shadow tools do with them, as data:
//! nothing here reads or writes. `host::machine` does.

pub mod entries;
mod numbers;
pub mod settings;
pub mod table;

use chrono::NaiveDate;
use entries::{Group, GroupShadow, Range, Shadow, User};
use settings::Settings;
use std::ops::RangeInclusive;
use table::Table;

/// All account files of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// `/etc/passwd`.
    pub passwd: Table,
    /// `/etc/group`.
    pub group: Table,
    /// `/etc/shadow`, where there is one.
    pub shadow: Option<Table>,
    /// `/etc/gshadow`, where there is one.
    pub gshadow: Option<Table>,
    /// `/etc/subuid`, where there is one.
    pub subuid: Option<Table>,
    /// `/etc/subgid`, where there is one.
    pub subgid: Option<Table>,
    /// How new accounts are made.
    pub settings: Settings,
    /// The day, counted from 1970.
    pub today: i64,
}

/// Of which kind a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A user's.
    User,
    /// A group's.
    Group,
}

/// Where the number of something new may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Whether it is one of the system.
    pub of_system: bool,
    /// The least, in place of the one that login.defs names.
    pub least: Option<u32>,
    /// The greatest, in place of the one that login.defs names.
    pub most: Option<u32>,
}

impl Accounts {
    /// The user called `name`.
    pub fn user(&self, name: &str) -> Option<User> {
        self.passwd.find(name)
    }

    /// All users.
    pub fn users(&self) -> impl Iterator<Item = User> {
        self.passwd.entries()
    }

    /// The group called `name`.
    pub fn group(&self, name: &str) -> Option<Group> {
        self.group.find(name)
    }

    /// The first group with the number `gid`.
    pub fn group_of(&self, gid: u32) -> Option<Group> {
        self.group.entries::<Group>().find(|group| group.gid == gid)
    }

    /// What the shadow file says of the user `name`.
    pub fn shadow_of(&self, name: &str) -> Option<Shadow> {
        self.shadow.as_ref()?.find(name)
    }

    /// The groups that name `user` as a member, in the order of the file.
    pub fn memberships(&self, user: &str) -> Vec<String> {
        let groups = self.group.entries::<Group>();
        let its = groups.filter(|group| group.members.iter().any(|member| member == user));
        its.map(|group| group.name).collect()
    }

    /// A number that nobody has. `is_taken` knows of those that no local file names.
    ///
    /// # Errors
    /// All are taken.
    pub fn free_number(
        &self,
        kind: Kind,
        numbers: Numbers,
        is_taken: impl Fn(u32) -> bool,
    ) -> Result<u32, String> {
        let range = self.range(kind, numbers);
        let used = match kind {
            Kind::User => self.users().map(|user| user.uid).collect(),
            Kind::Group => self.group.entries::<Group>().map(|group| group.gid).collect(),
        };
        numbers::pick(&range, numbers.of_system, &used, is_taken).ok_or_else(|| {
            let whose = if kind == Kind::User { "user" } else { "group" };
            let (least, most) = (range.start(), range.end());
            format!("no number from {least} to {most} is free for a new {whose}")
        })
    }

    /// Where new numbers are.
    fn range(&self, kind: Kind, numbers: Numbers) -> RangeInclusive<u32> {
        let Numbers { of_system, least, most } = numbers;
        let name = if kind == Kind::User { "UID" } else { "GID" };
        self.settings.numbers(name, of_system, least, most)
    }

    /// The number of the group that a user gets for itself: the user's own where it is free.
    ///
    /// # Errors
    /// All are taken.
    pub fn own_group_number(
        &self,
        uid: u32,
        numbers: Numbers,
        is_taken: impl Fn(u32) -> bool,
    ) -> Result<u32, String> {
        // What narrows the users' numbers says nothing of groups.
        let numbers = Numbers { least: None, most: None, ..numbers };
        let ordinary = self.range(Kind::Group, numbers);
        // One of the system may be below those that are picked.
        let least = if numbers.of_system { 1 } else { *ordinary.start() };
        if (least..=*ordinary.end()).contains(&uid)
            && self.group_of(uid).is_none()
            && !is_taken(uid)
        {
            return Ok(uid);
        }
        self.free_number(Kind::Group, numbers, is_taken)
    }

    /// Adds a group.
    pub fn add_group(&mut self, name: &str, gid: u32) {
        let password = if self.gshadow.is_some() { "x" } else { "!" }.to_owned();
        self.group.put(&Group { name: name.into(), password, gid, members: Vec::new() });
        if let Some(gshadow) = &mut self.gshadow {
            let (admins, members) = (Vec::new(), Vec::new());
            gshadow.put(&GroupShadow { name: name.into(), password: "!".into(), admins, members });
        }
    }

    /// Gives a group another number; it stays the primary group of those whose it was.
    pub fn renumber_group(&mut self, name: &str, gid: u32) {
        let Some(group) = self.group(name) else { return };
        self.passwd.update(|user: &mut User| {
            if user.gid == group.gid {
                user.gid = gid;
            }
        });
        self.group.put(&Group { gid, ..group });
    }

    /// Takes a group away.
    pub fn remove_group(&mut self, name: &str) {
        self.group.remove(name);
        if let Some(gshadow) = &mut self.gshadow {
            gshadow.remove(name);
        }
    }

    /// The shadow entry that a new user gets.
    pub fn new_shadow(&self, name: &str, password: &str, of_system: bool) -> Shadow {
        let days = |name| self.settings.number(name).filter(|days| *days >= 0 && !of_system);
        let inactive = self.settings.default("INACTIVE").and_then(|text| text.parse().ok());
        let ends = self.settings.default("EXPIRE");
        let ends = ends.and_then(|text| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok());
        let expires = ends.map(|day| (day - NaiveDate::default()).num_days());
        Shadow {
            name: name.into(),
            password: password.into(),
            changed: Some(self.today).filter(|today| *today > 0),
            min: days("PASS_MIN_DAYS"),
            max: days("PASS_MAX_DAYS"),
            warn: days("PASS_WARN_AGE"),
            inactive: inactive.filter(|days| *days >= 0 && !of_system),
            expires: expires.filter(|day| *day >= 0 && !of_system),
            flag: String::new(),
        }
    }

    /// Puts what is said of a user in its place.
    pub fn put_user(&mut self, user: &User) {
        self.passwd.put(user);
    }

    /// The same of its password; without a shadow file nothing is kept.
    pub fn put_shadow(&mut self, shadow: &Shadow) {
        if let Some(table) = &mut self.shadow {
            table.put(shadow);
        }
    }

    /// Gives a user numbers for namespaces, where the host does that and it has none.
    ///
    /// # Errors
    /// All are taken.
    pub fn give_sub_numbers(&mut self, name: &str) -> Result<(), String> {
        for (kind, table) in [("UID", &mut self.subuid), ("GID", &mut self.subgid)] {
            let (least, most, count) = self.settings.sub_numbers(kind);
            let Some(table) = table.as_mut().filter(|table| count > 0 && !table.has(name)) else {
                continue;
            };
            let taken: Vec<Range> = table.entries().collect();
            let first = numbers::free_range(&taken, least, most, count).ok_or_else(|| {
                let file = format!("/etc/sub{}", kind.to_lowercase());
                format!("{file} has no {count} free numbers in a row from {least} to {most}")
            })?;
            table.put(&Range { owner: name.into(), first, count });
        }
        Ok(())
    }

    /// Makes `user` a member of `groups`, and of no other unless `keeps` says so of it.
    pub fn join(&mut self, user: &str, groups: &[String], keeps: impl Fn(&str) -> bool) {
        let settle = |group: &str, members: &mut Vec<String>| {
            let is_member = members.iter().any(|member| member == user);
            if groups.iter().any(|wanted| wanted == group) {
                if !is_member {
                    members.push(user.to_owned());
                }
            } else if is_member && !keeps(group) {
                members.retain(|member| member != user);
            }
        };
        self.group.update(|group: &mut Group| settle(&group.name, &mut group.members));
        if let Some(gshadow) = &mut self.gshadow {
            gshadow.update(|group: &mut GroupShadow| settle(&group.name, &mut group.members));
        }
    }

    /// Takes a user away from all files, and its own group where nobody else is in it. With `force`
    /// that goes too where it is somebody else's primary group.
    pub fn remove_user(&mut self, name: &str, force: bool) {
        let Some(user) = self.user(name) else { return };
        self.passwd.remove(name);
        self.join(name, &[], |_| false);
        if let Some(gshadow) = &mut self.gshadow {
            gshadow.update(|group: &mut GroupShadow| group.admins.retain(|admin| admin != name));
        }
        for table in [&mut self.shadow, &mut self.subuid, &mut self.subgid].into_iter().flatten() {
            table.remove(name);
        }
        let is_used = !force && self.users().any(|other| other.gid == user.gid);
        let own = self.group(name).filter(|group| group.gid == user.gid);
        if let Some(own) = own
            && self.settings.is_on("USERGROUPS_ENAB")
            && own.members.is_empty()
            && !is_used
        {
            self.remove_group(name);
        }
    }
}

/// What is wrong with a name for a new user or group; Debian takes the rest.
pub fn name_fault(name: &str) -> Option<String> {
    const MOST_BYTES: usize = 32;
    let why = if name.is_empty() {
        "is empty".to_owned()
    } else if name.len() > MOST_BYTES {
        format!("is over {MOST_BYTES} bytes")
    } else if name.starts_with(['-', '+', '~']) {
        "begins with `-`, `+` or `~`".to_owned()
    } else if let Some(odd) = name.chars().find(|c| {
        matches!(c, ':' | ',' | '/' | '\\' | '"' | '#') || c.is_whitespace() || c.is_control()
    }) {
        format!("holds {odd:?}")
    } else if name.bytes().all(|byte| byte.is_ascii_digit()) {
        "is nothing but digits, and would be taken for a number".to_owned()
    } else if matches!(name, "." | "..") {
        "is that of a directory".to_owned()
    } else {
        return None;
    };
    Some(format!("the name `{}` {why}", name.escape_debug()))
}

/// What keeps `text` from being a field of these files.
pub fn field_fault(what: &str, text: &str) -> Option<String> {
    let odd = text.chars().find(|c| *c == ':' || c.is_control())?;
    Some(format!("`{what}` holds {odd:?}, which ends a field of /etc/passwd"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        let table = |text: &str| Table::read(text.as_bytes());
        Accounts {
            passwd: table(
                "root:x:0:0:root:/root:/bin/sh\n# note\na:x:1000:1000::/home/a:/bin/sh\n+::::::",
            ),
            group: table("root:x:0:\na:x:1000:\ng:x:1001:a,b\n"),
            shadow: Some(table("root:*:1:0:99999:7:::\na:$6$x:1:0:99999:7:::\n")),
            gshadow: Some(table("g:!:a:a,b\n")),
            subuid: Some(table("a:100000:65536\n")),
            subgid: None,
            settings: Settings::read(
                "# x\nUSERGROUPS_ENAB yes\nPASS_MAX_DAYS\t90\nUMASK 027\nUID_MIN 0x7d0\n",
                "SHELL=/bin/sh\nEXPIRE=1970-02-01\nINACTIVE=\n",
            ),
            today: 20_000,
        }
    }

    #[test]
    fn what_is_not_changed_stays_as_it_is_and_nis_stays_last() {
        let mut files = accounts();
        let user = User { name: "b".into(), uid: 1002, ..files.user("a").unwrap() };
        files.put_user(&user);
        let text = String::from_utf8(files.passwd.content().to_vec()).unwrap();
        assert_eq!(
            text,
            "root:x:0:0:root:/root:/bin/sh\n# note\na:x:1000:1000::/home/a:/bin/sh\n\
             b:x:1002:1000::/home/a:/bin/sh\n+::::::\n"
        );
        let odd = Table::read(b"x:\xe9:\n\n y");
        assert_eq!(odd.content(), &b"x:\xe9:\n\n y"[..], "bytes that are no text");
        assert_eq!(Table::read(b"").content(), "");
    }

    #[test]
    fn who_goes_leaves_groups_and_takes_its_own_along_where_nobody_else_is_in_it() {
        let mut files = accounts();
        let mut shared = files.clone();
        files.remove_user("a", false);
        assert_eq!((files.user("a"), files.group("a")), (None, None));
        assert_eq!(files.group("g").unwrap().members, ["b"]);
        let gshadow: GroupShadow = files.gshadow.as_ref().unwrap().find("g").unwrap();
        assert_eq!((gshadow.admins.len(), gshadow.members), (0, vec!["b".to_owned()]));
        assert!(files.shadow_of("a").is_none());
        assert!(!files.subuid.unwrap().has("a"));
        let other = User { name: "c".into(), uid: 1003, ..shared.user("a").unwrap() };
        shared.put_user(&other);
        shared.remove_user("a", false);
        assert!(shared.group("a").is_some(), "it is the primary group of another");
    }

    #[test]
    fn a_new_user_gets_what_the_host_says_of_new_users() {
        let files = accounts();
        let shadow = files.new_shadow("n", "!", false);
        assert_eq!((shadow.max, shadow.min, shadow.expires), (Some(90), None, Some(31)));
        let shadow = files.new_shadow("n", "!", true);
        assert_eq!((shadow.max, shadow.expires, shadow.changed), (None, None, Some(20_000)));
        assert_eq!(files.settings.home_mode(None), 0o750);
        assert_eq!(files.settings.home_mode(Some(0o077)), 0o700);
        let numbers = Numbers::default();
        assert_eq!(files.free_number(Kind::User, numbers, |_| false), Ok(2000), "0x7d0");
        assert_eq!(files.own_group_number(2000, numbers, |_| false), Ok(2000));
        assert_eq!(files.own_group_number(1000, numbers, |_| false), Ok(1002));
    }
}
