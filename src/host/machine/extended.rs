//! Extended attributes and access control lists: what a file has beyond mode and owner.

use super::change::{Effect, List};
use super::fault::Fault;
use super::foretell::on_host;
use super::live::Manner;
use super::meta::{Kind, Meta};
use super::path::Follow;
use super::seen::Depth;
use super::{Back, Machine, look};
use crate::host::acl::Acl;
use crate::host::xattr;
use bytes::Bytes;
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::io;
use std::path::Path;

impl Machine {
    /// The extended attribute `name` (namespace included) of what is at `path`; `None` where there
    /// is none of that name, or the file system has none at all.
    ///
    /// Errors: nothing is at `path`, or it may not be looked at.
    pub fn attribute(
        &self,
        path: &Path,
        follow: Follow,
        name: &str,
    ) -> Result<Option<Bytes>, Fault> {
        let (resolved, _) = self.must_be(path, follow)?;
        self.attribute_resolved(&resolved, name)
    }

    /// All extended attributes of what is at `path`, by name.
    ///
    /// Errors: as [`Self::attribute`].
    pub fn attributes_by_name(
        &self,
        path: &Path,
        follow: Follow,
    ) -> Result<BTreeMap<String, Bytes>, Fault> {
        let (resolved, _) = self.must_be(path, follow)?;
        let names = match &self.back {
            Back::Live => look::attribute_names(&resolved)?,
            Back::Overlay(overlay) => overlay.attribute_names(&resolved)?,
        };
        let mut all = BTreeMap::new();
        for name in names {
            if let Some(value) = self.attribute_resolved(&resolved, &name)? {
                all.insert(name, value);
            }
        }
        Ok(all)
    }

    /// Makes sure that the extended attribute `name` has this value, or is not there.
    ///
    /// Errors: the file system has no such attributes, or they may not be set.
    pub fn set_attribute(
        &mut self,
        path: &Path,
        follow: Follow,
        name: &str,
        value: Option<Bytes>,
    ) -> Result<(), Fault> {
        let (resolved, _) = self.must_be(path, follow)?;
        let before = self.attribute_resolved(&resolved, name)?;
        if before == value {
            return Ok(());
        }
        must_have(&resolved, name)?;
        let effect = Effect::Attribute { name: name.to_owned(), before, after: value };
        self.perform(resolved, effect, Manner::Atomic)
    }

    /// An access control list of what is at `path`. That of access is what the mode says where
    /// there is no other; the default one is empty where there is none.
    ///
    /// Errors: as [`Self::attribute`], and a list that is not understood.
    pub fn acl(&self, path: &Path, follow: Follow, list: List) -> Result<Acl, Fault> {
        let (resolved, found) = self.must_be(path, follow)?;
        self.acl_resolved(&resolved, &found, list)
    }

    /// Makes sure that what is at `path` has this access control list.
    ///
    /// Errors: the file system has none, or they may not be set.
    pub fn set_acl(
        &mut self,
        path: &Path,
        follow: Follow,
        list: List,
        wanted: &Acl,
    ) -> Result<(), Fault> {
        let (resolved, found) = self.must_be(path, follow)?;
        let before = self.acl_resolved(&resolved, &found, list)?;
        if before == *wanted {
            return Ok(());
        }
        // A mode is all that is asked for, and every file system has that.
        let effect = if list == List::Access && before.is_minimal() && wanted.is_minimal() {
            Effect::Mode { before: found.mode, after: found.mode & !0o777 | wanted.mode() }
        } else {
            must_have(&resolved, list.attribute())?;
            Effect::Acl { list, before, after: wanted.clone() }
        };
        self.perform(resolved, effect, Manner::Atomic)
    }

    fn must_be(&self, path: &Path, follow: Follow) -> Result<(std::path::PathBuf, Meta), Fault> {
        let resolved = self.see(path, follow, Depth::Content)?;
        match self.lstat_resolved(&resolved)? {
            Some(found) => Ok((resolved, found)),
            None => Err(Fault::new(format!("there is nothing at {}", path.display()))),
        }
    }

    fn attribute_resolved(&self, path: &Path, name: &str) -> Result<Option<Bytes>, Fault> {
        match &self.back {
            Back::Live => look::attribute(path, name),
            Back::Overlay(overlay) => overlay.attribute(path, name),
        }
    }

    fn acl_resolved(&self, path: &Path, found: &Meta, list: List) -> Result<Acl, Fault> {
        let bytes = match found.kind {
            // Links have neither mode nor list.
            Kind::Link => None,
            _ => self.attribute_resolved(path, list.attribute())?,
        };
        let Some(bytes) = bytes else {
            return Ok(match list {
                List::Access => Acl::of_mode(found.mode),
                List::Default => Acl::default(),
            });
        };
        let acl = Acl::decode(&bytes).map_err(|why| {
            Fault::new(format!("the access control list of {}: {why}", path.display()))
        })?;
        Ok(if list == List::Access { acl.with_mode(found.mode) } else { acl })
    }
}

/// Complains where the file system that `path` is on, or would be, has no attributes like `name`.
fn must_have(path: &Path, name: &str) -> Result<(), Fault> {
    let there = on_host(path);
    let has = CString::new(name).map_err(io::Error::from).and_then(|name| xattr::get(there, &name));
    match has {
        Err(error) if error.raw_os_error() == Some(Errno::ENOTSUP as i32) => {
            let path = path.display();
            let family = name.split('.').next().unwrap_or(name);
            let why =
                format!("the file system of {path} has no attributes of the kind `{family}.`");
            Err(Fault::new(why).hint("`xattr` and `acl` are options of some mounts"))
        }
        _ => Ok(()),
    }
}
