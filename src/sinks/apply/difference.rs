//! What a result holds as `diff` where diffs are asked for: before and after, in Ansible's shapes.

use crate::event::secret::Masker;
use crate::host::machine::change::{Access, Before, Change, Effect, Time};
use crate::host::machine::meta::Stamp;
use minijinja::Value;
use std::path::Path;

/// Text beyond this is left out, as Ansible does.
const MOST_BYTES: usize = 104_448;

/// The modules whose `diff` is a list, also of one or none.
const LISTS: [&str; 4] = ["blockinfile", "copy", "lineinfile", "template"];

/// The two sides of a difference, by the name of what differs.
#[derive(Default)]
struct Sides {
    before: Vec<(String, Value)>,
    after: Vec<(String, Value)>,
}

impl Sides {
    /// Adds what differs; of a later difference only where it led to counts.
    fn add(&mut self, name: &str, before: Value, after: Value) {
        self.after.retain(|(known, _)| known != name);
        self.after.push((name.to_owned(), after));
        if !self.before.iter().any(|(known, _)| known == name) {
            self.before.push((name.to_owned(), before));
        }
    }

    fn value(self) -> Vec<(&'static str, Value)> {
        vec![("before", Value::from_pairs(self.before)), ("after", Value::from_pairs(self.after))]
    }
}

/// What differences are told with.
pub(super) struct Around<'a> {
    pub(super) masker: &'a Masker,
    /// What time it is.
    pub(super) now: Stamp,
}

/// The `diff` of a task of `module` that made `changes`. `path` is the path that the task is about,
/// as it is written and as it is resolved.
pub(super) fn of(
    module: &str,
    path: Option<(&str, &Path)>,
    changes: &[Change],
    around: &Around<'_>,
) -> Option<Value> {
    let Around { masker, .. } = around;
    if let ("file", Some((written, resolved))) = (module, path) {
        return Some(Value::from_pairs(of_file(written, resolved, changes, around).value()));
    }
    let mut found: Vec<Value> = Vec::new();
    for change in changes {
        let shown = masker.mask(&change.path.display().to_string()).into_owned();
        found.extend(of_content(&shown, change, masker));
        let mut sides = Sides::default();
        add(&mut sides, &change.effect, around);
        if !sides.after.is_empty() {
            let mut pairs = sides.value();
            let header = Value::from(format!("{shown} (file attributes)"));
            pairs.extend([("before_header", header.clone()), ("after_header", header)]);
            found.push(Value::from_pairs(pairs));
        }
    }
    match &found[..] {
        _ if LISTS.contains(&module) => Some(found.into()),
        [] => None,
        [one] => Some(one.clone()),
        _ => Some(found.into()),
    }
}

/// That of `file`: always the path, and what of it differs.
fn of_file(written: &str, resolved: &Path, changes: &[Change], around: &Around<'_>) -> Sides {
    let mut sides = Sides::default();
    let path = Value::from(around.masker.mask(written).into_owned());
    sides.add("path", path.clone(), path);
    let mut gone = [Vec::new(), Vec::new()];
    for change in changes {
        if change.path == resolved {
            add(&mut sides, &change.effect, around);
        } else if let Effect::Remove { before } = &change.effect {
            let kind = usize::from(!matches!(before, Before::Directory(_)));
            gone[kind].push(Value::from(change.path.display().to_string()));
        }
    }
    let is_removed = |change: &Change| {
        change.path == resolved
            && matches!(change.effect, Effect::Remove { before: Before::Directory(_) })
    };
    if changes.iter().any(is_removed) {
        let [directories, files] = gone.map(Value::from);
        let content = Value::from_pairs([("directories", directories), ("files", files)]);
        sides.before.push(("path_content".to_owned(), content));
    }
    sides
}

/// How the text of a file differs; what is no text, or too long, is only said to be so.
fn of_content(path: &str, change: &Change, masker: &Masker) -> Option<Value> {
    let Effect::Write { before, content, .. } = &change.effect else { return None };
    let (old, old_size): (&[u8], u64) = match before {
        Before::File { content, size_bytes, .. } => {
            (content.as_deref().unwrap_or_default(), *size_bytes)
        }
        _ => (b"", 0),
    };
    if old == content && old_size == content.len() as u64 {
        return None;
    }
    let text = |bytes, size: usize| match std::str::from_utf8(bytes) {
        _ if size > MOST_BYTES => Err(("larger", MOST_BYTES)),
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(("binary", 1)),
    };
    let old_size = usize::try_from(old_size).unwrap_or(usize::MAX);
    let (old, new) = (text(old, old_size), text(content, content.len()));
    let (shown_old, shown_new) = change.shown(old.unwrap_or_default(), new.unwrap_or_default());
    let mut pairs = vec![
        ("before_header".to_owned(), Value::from(path)),
        ("after_header".to_owned(), path.into()),
    ];
    for (side, file, shown, text) in
        [("before", "dst", shown_old, old), ("after", "src", shown_new, new)]
    {
        pairs.push(match text {
            Ok(_) => (side.to_owned(), masker.mask(&shown).into_owned().into()),
            Err((why, number)) => (format!("{file}_{why}"), number.into()),
        });
    }
    Some(Value::from_pairs(pairs))
}

/// Adds what an effect changes beside the bytes of a file.
fn add(sides: &mut Sides, effect: &Effect, around: &Around<'_>) {
    let mut states = |before: &Before, after: &str| {
        let was = state(before);
        if was != after {
            sides.add("state", was.into(), after.into());
        }
    };
    match effect {
        Effect::Write { before: Before::File { access: old, .. }, access, .. }
        | Effect::Owner { before: old, after: access } => add_access(sides, *old, *access),
        Effect::Write { .. } => {}
        Effect::Mkdir { .. } => states(&Before::Nothing, "directory"),
        Effect::Mode { before, after } => sides.add("mode", octal(*before), octal(*after)),
        Effect::Times { before, accessed, modified } => {
            for (name, was, time) in
                [("atime", before.accessed, accessed), ("mtime", before.modified, modified)]
            {
                match time {
                    Time::Preserve => {}
                    Time::Now => sides.add(name, seconds(was), seconds(around.now)),
                    Time::At(at) => sides.add(name, seconds(was), seconds(*at)),
                }
            }
        }
        Effect::Symlink { before, target } => {
            states(before, "link");
            let old = match before {
                Before::Link(old) => old.display().to_string().into(),
                _ => Value::from(()),
            };
            let target = around.masker.mask(&target.display().to_string()).into_owned();
            sides.add("src", old, target.into());
        }
        Effect::Hardlink { before, .. } => states(before, "hard"),
        Effect::Remove { before } => states(before, "absent"),
        Effect::Property { of, name, before, after } => {
            let value = |side: &Option<String>| match side {
                Some(text) => Value::from(around.masker.mask(text).into_owned()),
                None => Value::from(()),
            };
            sides.add(&format!("{of}: {name}"), value(before), value(after));
        }
        Effect::Setting { before, after } => {
            let shown = |value: &[u8]| {
                Value::from(around.masker.mask(&String::from_utf8_lossy(value)).into_owned())
            };
            sides.add("value", shown(before), shown(after));
        }
        Effect::State(step) => {
            let shown = |value: &str| Value::from(around.masker.mask(value).into_owned());
            sides.add("state", shown(&step.before), shown(&step.after));
        }
        Effect::Rename { .. }
        | Effect::Attribute { .. }
        | Effect::Acl { .. }
        | Effect::Run { .. } => {}
    }
}

fn add_access(sides: &mut Sides, old: Access, new: Access) {
    if old.mode != new.mode {
        sides.add("mode", octal(old.mode), octal(new.mode));
    }
    for (name, old, new) in [("owner", old.uid, new.uid), ("group", old.gid, new.gid)] {
        if old != new {
            sides.add(name, old.into(), new.into());
        }
    }
}

fn octal(bits: u32) -> Value {
    format!("{bits:04o}").into()
}

fn seconds(stamp: Stamp) -> Value {
    stamp.as_seconds().into()
}

/// Ansible's word for what was at a path.
fn state(before: &Before) -> &'static str {
    match before {
        Before::Nothing => "absent",
        Before::Link(_) => "link",
        Before::Directory(_) => "directory",
        Before::File { .. } | Before::Special(_) => "file",
    }
}
