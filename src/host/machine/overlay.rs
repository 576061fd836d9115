//! What a dry run remembers: the effects that it foretold, laid over the host as it is.

use super::change::{Access, Change, Effect, List, Time};
use super::fault::Fault;
use super::look;
use super::meta::{Inode, Kind, Meta, Stamp};
use crate::host::acl::Acl;
use crate::host::xattr;
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::ops::Bound;
use std::path::{Path, PathBuf};

/// Foretold effects. All paths are free of links in their parents.
#[derive(Clone, Debug, Default)]
pub(super) struct Overlay {
    /// Names that were made (with their inode) or taken away.
    names: BTreeMap<PathBuf, Option<Inode>>,
    /// Inodes that were made or changed.
    inodes: HashMap<Inode, Foretold>,
    /// How many inodes were made.
    made: u64,
    /// What things that are no files would be like, by what they are and by the property's name.
    properties: BTreeMap<(String, &'static str), Option<String>>,
    /// States of things that are no files, by what they are of.
    states: BTreeMap<String, String>,
}

/// An inode as it would be.
#[derive(Clone, Debug)]
struct Foretold {
    meta: Meta,
    content: Body,
    attributes: Attributes,
}

/// The extended attributes of an inode as it would be.
#[derive(Clone, Debug, Default)]
struct Attributes {
    /// The path of the host where those are that nothing is foretold of.
    host: Option<PathBuf>,
    /// Those that were set or taken away.
    foretold: BTreeMap<String, Option<Bytes>>,
}

#[derive(Clone, Debug)]
enum Body {
    /// These bytes.
    Bytes(Bytes),
    /// What the host has at this path.
    Host(PathBuf),
    /// A link to this.
    Link(PathBuf),
    /// A directory that is new: nothing of the host shows through.
    Empty,
}

impl Overlay {
    /// See [`look::lstat`].
    pub(super) fn lstat(&self, path: &Path) -> Result<Option<Meta>, Fault> {
        Ok(self.find(path)?.map(|found| found.meta))
    }

    fn find(&self, path: &Path) -> Result<Option<Foretold>, Fault> {
        match self.names.get(path) {
            Some(None) => return Ok(None),
            Some(Some(inode)) => return Ok(self.inodes.get(inode).cloned()),
            None => {}
        }
        if !self.shows_through(path) {
            return Ok(None);
        }
        let Some(meta) = look::lstat(path)? else { return Ok(None) };
        Ok(Some(match self.inodes.get(&meta.inode) {
            Some(changed) => changed.clone(),
            None => {
                let host = Some(path.to_owned());
                let attributes = Attributes { host, ..Attributes::default() };
                Foretold { meta, content: Body::Host(path.to_owned()), attributes }
            }
        }))
    }

    /// Whether the host's own entry at `path` is still reached: no parent was removed, replaced
    /// or made anew.
    fn shows_through(&self, path: &Path) -> bool {
        path.ancestors().skip(1).all(|parent| match self.names.get(parent) {
            None => true,
            Some(None) => false,
            Some(Some(inode)) => self.inodes.get(inode).is_some_and(|found| {
                found.meta.kind == Kind::Directory && matches!(found.content, Body::Host(_))
            }),
        })
    }

    /// What a property would be; `None` where nothing is foretold of it.
    pub(super) fn property(&self, of: &str, name: &'static str) -> Option<&Option<String>> {
        self.properties.get(&(of.to_owned(), name))
    }

    /// All foretold properties of this name, by what they are of.
    pub(super) fn properties(
        &self,
        name: &'static str,
    ) -> impl Iterator<Item = (&str, &Option<String>)> {
        let named = self.properties.iter().filter(move |((_, own), _)| *own == name);
        named.map(|((of, _), value)| (of.as_str(), value))
    }

    /// Whether something is foretold of `path` or of what is below it.
    pub(super) fn foretells_below(&self, path: &Path) -> bool {
        self.names
            .range::<Path, _>((Bound::Included(path), Bound::Unbounded))
            .next()
            .is_some_and(|(name, _)| name.starts_with(path))
    }

    /// See [`look::read`].
    pub(super) fn read(&self, path: &Path) -> Result<Bytes, Fault> {
        match self.find(path)?.map(|found| (found.content, found.meta.size_bytes)) {
            Some((Body::Bytes(bytes), _)) => Ok(bytes),
            Some((Body::Host(path), size_bytes)) => look::read(&path, size_bytes),
            _ => look::read(path, 0),
        }
    }

    /// See [`look::open`].
    pub(super) fn open(&self, path: &Path) -> Result<Box<dyn std::io::Read>, Fault> {
        match self.find(path)?.map(|found| found.content) {
            Some(Body::Bytes(bytes)) => Ok(Box::new(std::io::Cursor::new(bytes))),
            Some(Body::Host(path)) => look::open(&path),
            _ => look::open(path),
        }
    }

    /// See [`look::read_link`].
    pub(super) fn read_link(&self, path: &Path) -> Result<PathBuf, Fault> {
        match self.find(path)?.map(|found| found.content) {
            Some(Body::Link(target)) => Ok(target),
            Some(Body::Host(path)) => look::read_link(&path),
            _ => look::read_link(path),
        }
    }

    /// See [`look::list`].
    pub(super) fn list(&self, path: &Path) -> Result<Vec<OsString>, Fault> {
        let mut names = match self.find(path)?.map(|found| found.content) {
            Some(Body::Empty) => Vec::new(),
            Some(Body::Host(path)) => look::list(&path)?,
            _ => look::list(path)?,
        };
        let below = (Bound::Excluded(path), Bound::Unbounded);
        let below =
            self.names.range::<Path, _>(below).take_while(|(name, _)| name.starts_with(path));
        for (child, inode) in below.filter(|(name, _)| name.parent() == Some(path)) {
            let Some(name) = child.file_name() else { continue };
            names.retain(|known| known != name);
            if inode.is_some() {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// See [`look::attribute_names`].
    pub(super) fn attribute_names(&self, path: &Path) -> Result<Vec<String>, Fault> {
        let Some(found) = self.find(path)? else { return Ok(Vec::new()) };
        let mut names = match &found.attributes.host {
            Some(host) => look::attribute_names(host)?,
            None => Vec::new(),
        };
        for (name, value) in &found.attributes.foretold {
            names.retain(|known| known != name);
            if value.is_some() {
                names.push(name.clone());
            }
        }
        Ok(names)
    }

    /// See [`look::attribute`].
    pub(super) fn attribute(&self, path: &Path, name: &str) -> Result<Option<Bytes>, Fault> {
        let Some(found) = self.find(path)? else { return Ok(None) };
        match (found.attributes.foretold.get(name), &found.attributes.host) {
            (Some(value), _) => Ok(value.clone()),
            (None, Some(host)) => look::attribute(host, name),
            (None, None) => Ok(None),
        }
    }

    /// The extended attributes of what would be written or made at `path`. A file that replaces
    /// another keeps them, but for those that belong to its bytes; what is new gets the default
    /// access control list of its directory.
    fn attributes_at(&self, path: &Path, kind: Kind) -> Result<Attributes, Fault> {
        if let Some(old) = self.find(path)?.filter(|old| old.meta.kind == Kind::File) {
            let mut attributes = old.attributes;
            let gone = xattr::OF_CONTENT.map(|name| (name.to_owned(), None));
            attributes.foretold.extend(gone);
            return Ok(attributes);
        }
        let mut attributes = Attributes::default();
        let inherited = match path.parent() {
            Some(parent) => self.attribute(parent, xattr::ACL_DEFAULT)?,
            None => None,
        };
        let Some(bytes) = inherited else { return Ok(attributes) };
        let is_minimal = Acl::decode(&bytes).is_ok_and(|acl| acl.is_minimal());
        let mut get = |name: &str| attributes.foretold.insert(name.to_owned(), Some(bytes.clone()));
        if !is_minimal {
            get(xattr::ACL_ACCESS);
        }
        if kind == Kind::Directory {
            get(xattr::ACL_DEFAULT);
        }
        Ok(attributes)
    }

    /// Remembers an effect. Whether it is possible has been found out before.
    pub(super) fn record(&mut self, change: &Change) -> Result<(), Fault> {
        let path = &change.path;
        match &change.effect {
            Effect::Write { content, access, restored, .. } => {
                let attributes = self.attributes_at(path, Kind::File)?;
                let size = content.len() as u64;
                self.make(path, Kind::File, *access, size, Body::Bytes(content.clone()));
                let modified = restored.as_ref().and_then(|extras| extras.modified);
                self.change(path, |found| {
                    found.attributes = attributes;
                    found.meta.modified = modified.unwrap_or(found.meta.modified);
                })?;
            }
            Effect::Mkdir { access } => {
                let attributes = self.attributes_at(path, Kind::Directory)?;
                self.make(path, Kind::Directory, *access, 0, Body::Empty);
                self.change(path, |found| found.attributes = attributes)?;
            }
            Effect::Symlink { target, .. } => {
                let (uid, gid) = super::accounts::own_ids();
                let access = Access { mode: 0o777, uid, gid };
                let size = target.as_os_str().len() as u64;
                self.make(path, Kind::Link, access, size, Body::Link(target.clone()));
            }
            Effect::Hardlink { target, .. } => {
                let inode = self.own(target)?;
                self.names.insert(path.clone(), inode);
            }
            Effect::Mode { after, .. } => self.change(path, |found| found.meta.mode = *after)?,
            Effect::Owner { after, .. } => self.change(path, |found| {
                let meta = &mut found.meta;
                (meta.uid, meta.gid, meta.mode) = (after.uid, after.gid, after.mode);
                if meta.kind == Kind::File {
                    // As with set-id bits: rights do not change hands.
                    found.attributes.foretold.insert(xattr::CAPABILITY.to_owned(), None);
                }
            })?,
            Effect::Times { accessed, modified, .. } => self.change(path, |found| {
                set_time(&mut found.meta.accessed, *accessed);
                set_time(&mut found.meta.modified, *modified);
            })?,
            Effect::Attribute { name, after, .. } => self.change(path, |found| {
                found.attributes.foretold.insert(name.clone(), after.clone());
            })?,
            Effect::Acl { list, after, .. } => self.change(path, |found| {
                let says_more = match list {
                    List::Access => !after.is_minimal(),
                    List::Default => !after.is_empty(),
                };
                if *list == List::Access {
                    found.meta.mode = found.meta.mode & !0o777 | after.mode();
                }
                let bytes = says_more.then(|| after.encode().into());
                found.attributes.foretold.insert(list.attribute().to_owned(), bytes);
            })?,
            Effect::Rename { to } => self.rename(path, to)?,
            Effect::Remove { .. } => {
                self.names.insert(path.clone(), None);
            }
            Effect::Property { of, name, after, .. } => {
                self.properties.insert((of.clone(), name), after.clone());
            }
            Effect::Setting { after, .. } => self.change(path, |found| {
                let line = [&after[..], b"\n"].concat();
                found.content = Body::Bytes(line.into());
            })?,
            Effect::State(step) => {
                self.states.insert(step.of.clone(), step.after.clone());
            }
            Effect::Run { .. } => {}
        }
        let entry_only = matches!(
            change.effect,
            Effect::Mode { .. }
                | Effect::Owner { .. }
                | Effect::Times { .. }
                | Effect::Attribute { .. }
                | Effect::Acl { .. }
                | Effect::Property { .. }
                | Effect::Setting { .. }
                | Effect::State(_)
                | Effect::Run { .. }
        );
        match path.parent() {
            // A directory whose names change is itself written to.
            Some(parent) if !entry_only => {
                self.change(parent, |found| found.meta.modified = Stamp::now())
            }
            _ => Ok(()),
        }
    }

    fn make(&mut self, path: &Path, kind: Kind, access: Access, size_bytes: u64, content: Body) {
        self.made += 1;
        let now = Stamp::now();
        let meta = Meta {
            kind,
            mode: access.mode,
            uid: access.uid,
            gid: access.gid,
            size_bytes,
            accessed: now,
            modified: now,
            changed: now,
            inode: (0, self.made),
            links: if kind == Kind::Directory { 2 } else { 1 },
            blocks: size_bytes.div_ceil(4096) * 8,
            block_bytes: 4096,
            device: 0,
            is_char_device: false,
        };
        self.names.insert(path.to_owned(), Some(meta.inode));
        let attributes = Attributes::default();
        self.inodes.insert(meta.inode, Foretold { meta, content, attributes });
    }

    /// Gives all that is at and below `path` a name at and below `to`.
    fn rename(&mut self, path: &Path, to: &Path) -> Result<(), Fault> {
        let mut ahead = vec![(path.to_owned(), to.to_owned())];
        while let Some((from, to)) = ahead.pop() {
            let Some(mut found) = self.find(&from)? else { continue };
            if found.meta.kind == Kind::Directory {
                let names = self.list(&from)?;
                ahead.extend(names.iter().map(|name| (from.join(name), to.join(name))));
                // All that is in it has its own name here: the host shows it elsewhere.
                found.content = Body::Empty;
            }
            self.names.insert(to, Some(found.meta.inode));
            self.inodes.insert(found.meta.inode, found);
            self.names.remove(&from);
        }
        self.names.insert(path.to_owned(), None);
        match to.parent() {
            Some(parent) => self.change(parent, |found| found.meta.modified = Stamp::now()),
            None => Ok(()),
        }
    }

    /// The foretold state of something that is no file.
    pub(super) fn state(&self, of: &str) -> Option<&str> {
        self.states.get(of).map(String::as_str)
    }

    /// Whether a state is foretold of something whose name begins like this.
    pub(super) fn knows_state_of(&self, beginning: &str) -> bool {
        let from = (Bound::Included(beginning), Bound::Unbounded);
        self.states.range::<str, _>(from).next().is_some_and(|(of, _)| of.starts_with(beginning))
    }

    /// Whether what is at `path` would be another file than the host has there.
    pub(super) fn is_foretold(&self, path: &Path) -> bool {
        self.names.contains_key(path)
    }

    /// Takes what is at `path` into the overlay, so that it can be changed.
    fn own(&mut self, path: &Path) -> Result<Option<Inode>, Fault> {
        let Some(found) = self.find(path)? else { return Ok(None) };
        let inode = found.meta.inode;
        self.inodes.entry(inode).or_insert(found);
        Ok(Some(inode))
    }

    fn change(&mut self, path: &Path, change: impl FnOnce(&mut Foretold)) -> Result<(), Fault> {
        if let Some(inode) = self.own(path)?
            && let Some(found) = self.inodes.get_mut(&inode)
        {
            change(found);
        }
        Ok(())
    }
}

fn set_time(stamp: &mut Stamp, to: Time) {
    match to {
        Time::Preserve => {}
        Time::Now => *stamp = Stamp::now(),
        Time::At(at) => *stamp = at,
    }
}
