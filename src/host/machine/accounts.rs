//! Users and groups.

use super::Machine;
use super::fault::Fault;
use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid};
use std::collections::HashMap;

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

    /// The id of the user called `name`; digits are an id.
    pub fn user_id(&self, name: &str) -> Result<u32, Fault> {
        let found =
            User::from_name(name).map_err(|e| Fault::new(format!("cannot look up users: {e}")))?;
        match (found, name.parse::<u32>()) {
            (Some(user), _) => Ok(user.uid.as_raw()),
            (None, Ok(id)) if id != u32::MAX => Ok(id),
            _ => Err(Fault::new(format!("there is no user `{name}`"))),
        }
    }

    /// The id of the group called `name`; digits are an id.
    pub fn group_id(&self, name: &str) -> Result<u32, Fault> {
        let found = Group::from_name(name)
            .map_err(|e| Fault::new(format!("cannot look up groups: {e}")))?;
        match (found, name.parse::<u32>()) {
            (Some(group), _) => Ok(group.gid.as_raw()),
            (None, Ok(id)) if id != u32::MAX => Ok(id),
            _ => Err(Fault::new(format!("there is no group `{name}`"))),
        }
    }

    /// The name of the user `uid`, else the number.
    pub fn user_name(&self, uid: u32) -> String {
        let look_up = || {
            let found = User::from_uid(Uid::from_raw(uid)).ok().flatten();
            found.map_or_else(|| uid.to_string(), |user| user.name)
        };
        self.names.borrow_mut().users.entry(uid).or_insert_with(look_up).clone()
    }

    /// The name of the group `gid`, else the number.
    pub fn group_name(&self, gid: u32) -> String {
        let look_up = || {
            let found = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
            found.map_or_else(|| gid.to_string(), |group| group.name)
        };
        self.names.borrow_mut().groups.entry(gid).or_insert_with(look_up).clone()
    }
}
