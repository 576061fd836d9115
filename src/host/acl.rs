//! Access control lists of files (acl(5)): who may do what, beyond owner, group and others.
//!
//! The kernel keeps them in two extended attributes, in the layout of its
//! `include/uapi/linux/posix_acl_xattr.h`: the version 2, then entries of tag, permissions and id,
//! all little-endian.

use std::collections::BTreeMap;

/// Whom an entry is about. In the order in which the kernel wants them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// The owner.
    Owner,
    /// The user with this id.
    User(u32),
    /// The group that the file belongs to.
    OwningGroup,
    /// The group with this id.
    Group(u32),
    /// The most that groups and the users named get.
    Mask,
    /// Everybody else.
    Other,
}

const VERSION: u32 = 2;
const NO_ID: u32 = u32::MAX;

impl Who {
    fn tag(self) -> (u16, u32) {
        match self {
            Self::Owner => (0x01, NO_ID),
            Self::User(id) => (0x02, id),
            Self::OwningGroup => (0x04, NO_ID),
            Self::Group(id) => (0x08, id),
            Self::Mask => (0x10, NO_ID),
            Self::Other => (0x20, NO_ID),
        }
    }

    fn read(tag: u16, id: u32) -> Option<Self> {
        Some(match tag {
            0x01 => Self::Owner,
            0x02 => Self::User(id),
            0x04 => Self::OwningGroup,
            0x08 => Self::Group(id),
            0x10 => Self::Mask,
            0x20 => Self::Other,
            _ => return None,
        })
    }

    /// Whether the mask limits it.
    fn is_masked(self) -> bool {
        matches!(self, Self::User(_) | Self::OwningGroup | Self::Group(_))
    }
}

/// A list, or the lack of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl {
    /// Permissions (4 read, 2 write, 1 execute) of each.
    entries: BTreeMap<Who, u8>,
}

impl Acl {
    /// What these permission bits say.
    pub fn of_mode(mode: u32) -> Self {
        let bits = |shift: u32| (mode >> shift & 7) as u8;
        let entries = [(Who::Owner, bits(6)), (Who::OwningGroup, bits(3)), (Who::Other, bits(0))];
        Self { entries: entries.into() }
    }

    /// Reads the attribute's bytes. The error says what is wrong with them.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let Some((version, rest)) = bytes.split_first_chunk::<4>() else {
            return Err(format!("a list of {} bytes is too short", bytes.len()));
        };
        let version = u32::from_le_bytes(*version);
        if version != VERSION {
            return Err(format!("a list of version {version} is not known, only {VERSION}"));
        }
        let (entries, rest) = rest.as_chunks::<8>();
        if !rest.is_empty() {
            return Err("the list ends in half an entry".into());
        }
        let mut acl = Self::default();
        for [t0, t1, p0, p1, i0, i1, i2, i3] in entries {
            let tag = u16::from_le_bytes([*t0, *t1]);
            let permissions = u16::from_le_bytes([*p0, *p1]);
            let id = u32::from_le_bytes([*i0, *i1, *i2, *i3]);
            let who = Who::read(tag, id).ok_or_else(|| format!("the tag {tag:#x} is not known"))?;
            acl.entries.insert(who, (permissions & 7) as u8);
        }
        Ok(acl)
    }

    /// The attribute's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = VERSION.to_le_bytes().to_vec();
        for (who, permissions) in &self.entries {
            let (tag, id) = who.tag();
            bytes.extend(tag.to_le_bytes());
            bytes.extend(u16::from(*permissions).to_le_bytes());
            bytes.extend(id.to_le_bytes());
        }
        bytes
    }

    /// Whether it says nothing at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether it says no more than a mode does.
    pub fn is_minimal(&self) -> bool {
        self.entries.keys().all(|who| matches!(who, Who::Owner | Who::OwningGroup | Who::Other))
    }

    /// The permission bits that go with it; those of the group are what the mask allows.
    pub fn mode(&self) -> u32 {
        let bits = |who| u32::from(self.get(who).unwrap_or(0));
        let group = if self.get(Who::Mask).is_some() { Who::Mask } else { Who::OwningGroup };
        bits(Who::Owner) << 6 | bits(group) << 3 | bits(Who::Other)
    }

    /// The same after the permission bits were set to these, as the kernel does it.
    #[must_use]
    pub fn with_mode(mut self, mode: u32) -> Self {
        let group = if self.get(Who::Mask).is_some() { Who::Mask } else { Who::OwningGroup };
        for (who, permissions) in Self::of_mode(mode).entries {
            self.set(if who == Who::OwningGroup { group } else { who }, permissions);
        }
        self
    }

    /// All entries, in order.
    pub fn entries(&self) -> impl Iterator<Item = (Who, u8)> {
        self.entries.iter().map(|(who, permissions)| (*who, *permissions))
    }

    /// What `who` may do, before the mask.
    pub fn get(&self, who: Who) -> Option<u8> {
        self.entries.get(&who).copied()
    }

    /// Gives `who` these permissions.
    pub fn set(&mut self, who: Who, permissions: u8) {
        self.entries.insert(who, permissions & 7);
    }

    /// Takes the entry of `who` away.
    pub fn remove(&mut self, who: Who) {
        self.entries.remove(&who);
    }

    /// Lets the mask allow all that the entries ask for.
    pub fn open_mask(&mut self) {
        let all = self.entries().filter(|(who, _)| who.is_masked());
        let all = all.fold(0, |all, (_, permissions)| all | permissions);
        self.set(Who::Mask, all);
    }

    /// Of these permissions of `who` those that the mask leaves.
    pub fn effective(&self, who: Who, permissions: u8) -> u8 {
        match self.get(Who::Mask) {
            Some(mask) if who.is_masked() => permissions & mask,
            _ => permissions,
        }
    }

    /// What the kernel would refuse it for.
    ///
    /// Errors: what is missing.
    pub fn check(&self) -> Result<(), &'static str> {
        let has = |who| self.get(who).is_some();
        if self.is_empty() {
            return Ok(());
        }
        if !(has(Who::Owner) && has(Who::OwningGroup) && has(Who::Other)) {
            return Err("the entries of the owner, the owning group and others must stay");
        }
        let named = self.entries.keys().any(|who| matches!(who, Who::User(_) | Who::Group(_)));
        if named && !has(Who::Mask) {
            return Err("the mask must stay as long as users or groups are named");
        }
        Ok(())
    }
}

/// `rw-`.
pub fn letters(permissions: u8) -> String {
    let letter = |bit, letter| if permissions & bit != 0 { letter } else { '-' };
    [letter(4, 'r'), letter(2, 'w'), letter(1, 'x')].into_iter().collect()
}

/// Any bytes in place of a list.
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile {
    use super::Acl;

    pub(crate) fn list(bytes: &[u8]) {
        if let Ok(acl) = Acl::decode(bytes) {
            // What was understood is written so that it is understood again.
            assert_eq!(Acl::decode(&acl.encode()), Ok(acl));
        }
    }

    pub(crate) fn lists() -> Vec<Vec<u8>> {
        let mut acl = Acl::of_mode(0o640);
        acl.set(super::Who::User(33), 6);
        acl.open_mask();
        vec![acl.encode(), Acl::of_mode(0o755).encode()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_as_it_was_written_and_owners_do_not_get_lost() {
        let mut acl = Acl::of_mode(0o750);
        acl.set(Who::Group(7), 6);
        assert!(acl.check().is_err(), "named groups need a mask");
        acl.open_mask();
        assert_eq!(acl.check(), Ok(()));
        assert_eq!(Acl::decode(&acl.encode()), Ok(acl.clone()));
        assert_eq!((acl.mode(), acl.get(Who::Mask)), (0o770, Some(7)));
        let closed = acl.with_mode(0o640);
        assert_eq!((closed.effective(Who::Group(7), 6), closed.mode()), (4, 0o640));
        assert_eq!(closed.get(Who::OwningGroup), Some(5), "the mask changes, not what is below it");
    }

    #[test]
    fn damaged_lists_are_refused() {
        for wrong in [
            &b""[..],
            b"\x02\0\0",
            b"\x03\0\0\0",
            b"\x02\0\0\0\x01\0",
            b"\x02\0\0\0\x03\0\x07\0\xff\xff\xff\xff",
        ] {
            assert!(Acl::decode(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(Acl::decode(b"\x02\0\0\0"), Ok(Acl::default()));
    }
}
