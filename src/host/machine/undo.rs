//! Takes effects back, newest first, as far as the journal knows what was before.

use super::Machine;
use super::change::{Before, Change, Effect, Time};
use super::fault::Fault;
use super::live::Manner;
use super::path::Follow;
use super::state::Step;
use std::path::Path;

impl Machine {
    /// Undoes all effects from the `from`th on. That is itself an effect, which the journal keeps.
    /// Returns what stays as it is, and why.
    pub fn undo(&mut self, from: usize) -> Vec<Fault> {
        let done: Vec<Change> = self.journal.get(from..).unwrap_or_default().to_vec();
        done.iter().rev().filter_map(|change| self.undo_one(change).err()).collect()
    }

    fn undo_one(&mut self, change: &Change) -> Result<(), Fault> {
        let path = change.path.as_path();
        match &change.effect {
            Effect::Write { before, .. }
            | Effect::Symlink { before, .. }
            | Effect::Hardlink { before, .. }
            | Effect::Remove { before } => self.restore(path, before),
            Effect::Mkdir { .. } => self.restore(path, &Before::Nothing),
            Effect::Mode { before, after } => {
                let effect = Effect::Mode { before: *after, after: *before };
                self.perform(path.to_owned(), effect, Manner::Atomic)
            }
            Effect::Owner { before, after } => {
                let effect = Effect::Owner { before: *after, after: *before };
                self.perform(path.to_owned(), effect, Manner::Atomic)
            }
            Effect::Attribute { name, before, after } => {
                let (before, after) = (after.clone(), before.clone());
                let effect = Effect::Attribute { name: name.clone(), before, after };
                self.perform(path.to_owned(), effect, Manner::Atomic)
            }
            Effect::Acl { list, before, after } => {
                let (before, after) = (after.clone(), before.clone());
                self.perform(
                    path.to_owned(),
                    Effect::Acl { list: *list, before, after },
                    Manner::Atomic,
                )
            }
            Effect::Rename { to } => {
                let effect = Effect::Rename { to: change.path.clone() };
                self.perform(to.clone(), effect, Manner::Atomic)
            }
            Effect::Times { before, accessed, modified } => {
                let back = |now, then| if now == Time::Preserve { now } else { Time::At(then) };
                let accessed = back(*accessed, before.accessed);
                let modified = back(*modified, before.modified);
                self.set_times(path, Follow::No, accessed, modified)
            }
            // What was run for it is told of beside.
            Effect::Property { .. } => Ok(()),
            Effect::Setting { before, after } => {
                let (before, after) = (after.clone(), before.clone());
                self.perform(path.to_owned(), Effect::Setting { before, after }, Manner::Atomic)
            }
            Effect::State(step) => match &step.back {
                Some(back) => self.take(&Step {
                    of: step.of.clone(),
                    before: step.after.clone(),
                    after: step.before.clone(),
                    by: back.clone(),
                    back: Some(step.by.clone()),
                }),
                None => Err(Fault::new(format!("{} cannot be undone", change.summary()))),
            },
            Effect::Run { .. } => {
                Err(Fault::new(format!("`run` of {} cannot be undone", path.display())))
            }
        }
    }

    /// Puts back what was at `path`.
    fn restore(&mut self, path: &Path, before: &Before) -> Result<(), Fault> {
        let found = self.lstat_resolved(path)?;
        let now = self.before(path, found.as_ref())?;
        let effect = match before {
            Before::Nothing if now == Before::Nothing => return Ok(()),
            Before::Nothing => Effect::Remove { before: now },
            Before::File { content: Some(content), access, extras, .. } => Effect::Write {
                before: now,
                content: content.clone(),
                access: *access,
                restored: Some(extras.clone()),
            },
            Before::Link(target) => Effect::Symlink { before: now, target: target.clone() },
            Before::Directory(access) => Effect::Mkdir { access: *access },
            Before::File { content: None, size_bytes, .. } => {
                let path = path.display();
                let why = format!("the {size_bytes} bytes that {path} had were too many to keep");
                return Err(Fault::new(why));
            }
            Before::Special(_) => {
                let path = path.display();
                return Err(Fault::new(format!("the device or pipe {path} cannot be put back")));
            }
        };
        self.perform(path.to_owned(), effect, Manner::Atomic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::machine::meta::Stamp;
    use crate::host::machine::mode::Mode;
    use crate::host::machine::write::{Attributes, WriteOptions};
    use bytes::Bytes;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_that_is_put_back_has_its_time_and_attributes_again() {
        use crate::host::xattr;
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(86_400);
        let names = ["replaced", "removed"].map(|name| root.join(name));
        for path in &names {
            fs::write(path, "old\n").unwrap();
            // Not every file system has them.
            xattr::set(path, c"user.note", b"mine").ok();
            fs::File::open(path).unwrap().set_modified(long_ago).unwrap();
        }
        let attributes = names.each_ref().map(|path| xattr::all(path).unwrap());
        let mut machine = Machine::live();
        let (none, options) = (Attributes::default(), WriteOptions::default());
        machine.write_file(&names[0], &Bytes::from_static(b"new\n"), &none, &options).unwrap();
        machine.remove(&names[1]).unwrap();
        assert_eq!(machine.undo(0), []);
        for (path, attributes) in names.iter().zip(attributes) {
            assert_eq!(fs::read(path).unwrap(), b"old\n");
            assert_eq!(fs::metadata(path).unwrap().modified().unwrap(), long_ago);
            assert_eq!(xattr::all(path).unwrap(), attributes);
        }
    }

    #[test]
    fn times_that_were_set_are_put_back() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().canonicalize().unwrap().join("file");
        fs::write(&path, "").unwrap();
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::new(86_400, 5);
        fs::File::open(&path).unwrap().set_modified(long_ago).unwrap();
        let mut machine = Machine::live();
        let time = Time::At(Stamp { seconds: 1_000_000, nanoseconds: 0 });
        machine.set_times(&path, Follow::No, Time::Preserve, time).unwrap();
        assert_ne!(fs::metadata(&path).unwrap().modified().unwrap(), long_ago);
        assert_eq!(machine.undo(0), []);
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), long_ago);
    }

    #[test]
    fn what_was_done_is_undone_newest_first_in_both_backs() {
        for machine in [Machine::live as fn() -> Machine, Machine::overlay] {
            let root = tempfile::tempdir().unwrap();
            let root = root.path().canonicalize().unwrap();
            let at = |name: &str| root.join(name);
            fs::write(at("old"), "old\n").unwrap();
            fs::set_permissions(at("old"), fs::Permissions::from_mode(0o640)).unwrap();
            fs::write(at("gone"), "gone\n").unwrap();
            let mut machine = machine();
            let mode = |mode| Attributes { mode: Some(Mode::Exact(mode)), ..Attributes::default() };
            let write = |machine: &mut Machine, name: &str, text: &'static str| {
                let (content, options) =
                    (Bytes::from_static(text.as_bytes()), WriteOptions::default());
                machine.write_file(&at(name), &content, &mode(0o600), &options).unwrap();
            };
            write(&mut machine, "before", "stays\n");
            let mark = machine.journal().len();
            machine.mkdir(&at("dir"), &mode(0o755)).unwrap();
            write(&mut machine, "dir/new", "1\n");
            write(&mut machine, "old", "new\n");
            write(&mut machine, "old", "newer\n");
            machine.symlink(&at("link"), Path::new("old")).unwrap();
            machine.remove(&at("gone")).unwrap();
            machine.rename(&at("dir"), &at("moved")).unwrap();
            write(&mut machine, "moved/new", "2\n");
            assert_eq!(machine.undo(mark), []);
            assert_eq!(machine.read(&at("old")).unwrap(), "old\n");
            assert_eq!(machine.stat(&at("old"), Follow::No).unwrap().unwrap().mode, 0o640);
            assert_eq!(machine.read(&at("gone")).unwrap(), "gone\n");
            assert_eq!(machine.list(&root).unwrap(), ["before", "gone", "old"]);
        }
    }
}
