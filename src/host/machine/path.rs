//! From the path that a task names to the path that is acted upon.
//!
//! Links in parent directories are followed, since merged `/usr` and `/var/run` are made of them.
//! Not followed are those that somebody else could have laid as a trap: a link that neither root
//! nor we own, or one that lies in such a person's directory.

use super::Machine;
use super::accounts::own_ids;
use super::fault::Fault;
use super::meta::{Kind, Meta};
use std::borrow::Cow;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::time::Instant;

/// As many links as the kernel follows.
const MOST_LINKS: usize = 40;

/// Whether a link at the very end of a path is meant itself, or what it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// What it leads to.
    Yes,
    /// The link itself.
    No,
}

impl Machine {
    /// From now on relative paths are below `base`, and programs run there.
    pub fn begin_at(&mut self, base: &Path) {
        let base = if base.as_os_str().is_empty() { Path::new(".") } else { base };
        self.base = std::path::absolute(base).ok();
    }

    /// The path from `/` on.
    ///
    /// Errors: a relative path, where nobody has said what it is below.
    pub fn absolute<'p>(&self, path: &'p Path) -> Result<Cow<'p, Path>, Fault> {
        match &self.base {
            _ if path.is_absolute() => Ok(Cow::Borrowed(path)),
            Some(base) => Ok(Cow::Owned(base.join(path))),
            None => Err(Fault::new(format!("the path `{}` is not absolute", path.display()))
                .hint("begin it with `/`")),
        }
    }

    /// The same path without `.`, `..` and links, except at its end where `follow` is
    /// [`Follow::No`]. What does not exist is taken as written.
    ///
    /// Errors: a NUL byte, too many links, a link laid by somebody else.
    pub fn resolve(&self, path: &Path, follow: Follow) -> Result<PathBuf, Fault> {
        let path = &*self.absolute(path)?;
        if path.as_os_str().as_encoded_bytes().contains(&0) {
            return Err(Fault::new(format!("the path {path:?} holds a NUL byte")));
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(self.walk(Walk::default(), path, path, follow)?.done);
        };
        let known = self.directories.borrow().get(parent).cloned();
        let begun = match known {
            Some(walk) => walk,
            None => {
                let walk = self.walk(Walk::default(), path, parent, Follow::Yes)?;
                if self.directories_since.get().is_none() {
                    self.directories_since.set(Some(Instant::now()));
                }
                self.directories.borrow_mut().insert(parent.to_owned(), walk.clone());
                walk
            }
        };
        Ok(self.walk(begun, path, Path::new(name), follow)?.done)
    }

    /// Goes on from `walk` by `way`, which is a part of `path`.
    fn walk(&self, walk: Walk, path: &Path, way: &Path, follow: Follow) -> Result<Walk, Fault> {
        let Walk { mut done, mut trusted, mut links } = walk;
        let mut ahead: Vec<OsString> = Vec::new();
        push_components(way, &mut ahead);
        while let Some(name) = ahead.pop() {
            if name == ".." {
                done.pop();
                continue;
            }
            done.push(&name);
            if ahead.is_empty() && follow == Follow::No {
                break;
            }
            let Some(found) = self.lstat_resolved(&done)? else {
                while let Some(name) = ahead.pop() {
                    if name == ".." {
                        done.pop();
                    } else {
                        done.push(name);
                    }
                }
                break;
            };
            if found.kind != Kind::Link {
                trusted = is_trusted(&found);
                continue;
            }
            if !(trusted && is_trusted(&found)) {
                let directory = if is_trusted(&found) { done.parent() } else { None };
                let whose = directory.and_then(|it| self.lstat_resolved(it).ok().flatten());
                let owner = self.user_name(whose.unwrap_or(found).uid);
                return Err(Fault::new(format!(
                    "{} is a link in the hands of the user {owner}, and leads elsewhere",
                    done.display()
                ))
                .hint("name the path that is meant, without the link"));
            }
            links += 1;
            if links > MOST_LINKS {
                return Err(Fault::new(format!("{} leads through too many links", path.display())));
            }
            let target = self.read_link_resolved(&done)?;
            done.pop();
            if target.is_absolute() {
                done = PathBuf::from("/");
            }
            push_components(&target, &mut ahead);
        }
        Ok(Walk { done, trusted, links })
    }
}

/// How far a walk along a path has come.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// Where it is, without links.
    done: PathBuf,
    /// Whether only root or we could have put something here.
    trusted: bool,
    /// How many links it has followed.
    links: usize,
}

impl Default for Walk {
    fn default() -> Self {
        Self { done: PathBuf::from("/"), trusted: true, links: 0 }
    }
}

/// Whether only root or we could have put it there.
fn is_trusted(found: &Meta) -> bool {
    found.uid == 0 || found.uid == own_ids().0
}

/// Puts the components of `path` on the stack, the first on top.
fn push_components(path: &Path, ahead: &mut Vec<OsString>) {
    ahead.extend(path.components().rev().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    }));
}
