//! Changes as people read them: one line each, and unified diffs of text.

use super::change::{Access, Before, Change, Effect, List, Time};
use super::passwords;
use super::state::Means;
use crate::host::acl::{Acl, Who, letters};
use bytes::Bytes;
use similar::TextDiff;
use std::borrow::Cow;
use std::fmt::Write as _;

/// Files beyond this are summarised: a diff of them helps nobody and costs minutes.
const DIFF_LIMIT_BYTES: usize = 1 << 20;

impl Change {
    /// What happens, on one line.
    pub fn summary(&self) -> String {
        let path = self.path.display();
        match &self.effect {
            Effect::Write {
                before: Before::File { size_bytes, access: old, .. },
                content,
                access,
                ..
            } => {
                format!(
                    "{path}: {size_bytes} → {} bytes{}",
                    content.len(),
                    difference(*old, *access)
                )
            }
            Effect::Write { before, content, access, .. } => {
                let instead = instead(before);
                format!(
                    "{path}: new file, {} bytes, {}{instead}",
                    content.len(),
                    described(*access)
                )
            }
            Effect::Mkdir { access } => format!("{path}: new directory, {}", described(*access)),
            Effect::Mode { before, after } => format!("{path}: mode {before:04o} → {after:04o}"),
            Effect::Owner { before, after } => {
                format!("{path}{}", difference(*before, *after).replacen(',', ":", 1))
            }
            Effect::Times { accessed, modified, .. } => {
                let mut out = format!("{path}: ");
                for (name, time) in [("accessed", accessed), ("modified", modified)] {
                    match time {
                        Time::Preserve => continue,
                        Time::Now => out.push_str(name),
                        // Writing to a String cannot fail.
                        Time::At(at) => drop(write!(out, "{name} {}", at.seconds)),
                    }
                    out.push(' ');
                }
                out.trim_end().to_owned()
            }
            Effect::Attribute { name, before, after } => {
                let shown = |value: &Bytes| format!("{:?}", String::from_utf8_lossy(value));
                match (before, after) {
                    (_, None) => format!("{path}: {name} removed"),
                    (None, Some(after)) => format!("{path}: {name} {}", shown(after)),
                    (Some(before), Some(after)) => {
                        format!("{path}: {name} {} → {}", shown(before), shown(after))
                    }
                }
            }
            Effect::Acl { list, before, after } => {
                let of = if *list == List::Default { "default access list" } else { "access list" };
                format!("{path}: {of}, {}", list_difference(before, after))
            }
            Effect::Symlink { before, target } => {
                format!("{path}: link to {}{}", target.display(), instead(before))
            }
            Effect::Hardlink { before, target } => {
                format!("{path}: hard link to {}{}", target.display(), instead(before))
            }
            Effect::Rename { to } => format!("{path}: renamed to {}", to.display()),
            Effect::Remove { before } => {
                format!("{path}: removed{}", instead(before).replacen(", instead of", ",", 1))
            }
            Effect::Property { of, name, before, after } => match (before, after) {
                (Some(before), Some(after)) => format!("{of}: {name} {before} → {after}"),
                (None, Some(after)) => format!("{of}: {name} {after}"),
                (Some(before), None) => format!("{of}: {name} {before} → none"),
                (None, None) => format!("{of}: {name}"),
            },
            Effect::Setting { before, after } => {
                let [before, after] = [before, after].map(|value| String::from_utf8_lossy(value));
                format!("{path}: {before} → {after}")
            }
            Effect::State(step) => {
                let is_final = step.back.is_none() && matches!(step.by, Means::Network { .. });
                let end = if is_final { ", for good: it cannot be made again" } else { "" };
                format!("{}: {} → {}{end}", step.of, step.before, step.after)
            }
            Effect::Run { argv } => format!("run {}", argv.join(" ")),
        }
    }

    /// The texts of a file before and after as they may be shown: without what people log in with.
    pub fn shown<'t>(&self, old: &'t str, new: &'t str) -> (Cow<'t, str>, Cow<'t, str>) {
        if passwords::hides(&self.path) {
            let (old, new) = passwords::hide(old, new);
            return (old.into(), new.into());
        }
        (old.into(), new.into())
    }

    /// The change of a file's text as a unified diff; `None` where text has no part in it. What is
    /// binary or too long is summarised in one line.
    pub fn diff(&self) -> Option<String> {
        let (before, after): (&Before, &[u8]) = match &self.effect {
            Effect::Write { before, content, .. } => (before, content),
            Effect::Remove { before } => (before, b""),
            _ => return None,
        };
        let old: &[u8] = match before {
            Before::File { content: Some(content), .. } => content,
            Before::File { content: None, size_bytes, .. } if *size_bytes > 0 => {
                return Some(format!(
                    "{size_bytes} → {} bytes, too long to compare\n",
                    after.len()
                ));
            }
            _ => b"",
        };
        if old == after {
            return None;
        }
        if old.len().max(after.len()) > DIFF_LIMIT_BYTES {
            return Some(format!("{} → {} bytes, too long to compare\n", old.len(), after.len()));
        }
        let (Some(old_text), Some(new_text)) = (as_text(old), as_text(after)) else {
            return Some(format!("binary, {} → {} bytes\n", old.len(), after.len()));
        };
        let (old_text, new_text) = &self.shown(old_text, new_text);
        let name = self.path.display().to_string();
        let old_name = if matches!(before, Before::File { .. }) { &name } else { "/dev/null" };
        let new_name =
            if matches!(self.effect, Effect::Remove { .. }) { "/dev/null" } else { name.as_str() };
        let diff = TextDiff::from_lines(old_text.as_ref(), new_text.as_ref());
        Some(diff.unified_diff().context_radius(3).header(old_name, new_name).to_string())
    }
}

fn as_text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

fn described(access: Access) -> String {
    format!("mode {:04o}, owner {}:{}", access.mode, access.uid, access.gid)
}

fn difference(old: Access, new: Access) -> String {
    let mut out = String::new();
    let mut say = |text: String| {
        out.push_str(", ");
        out.push_str(&text);
    };
    if old.uid != new.uid {
        say(format!("owner {} → {}", old.uid, new.uid));
    }
    if old.gid != new.gid {
        say(format!("group {} → {}", old.gid, new.gid));
    }
    if old.mode != new.mode {
        say(format!("mode {:04o} → {:04o}", old.mode, new.mode));
    }
    out
}

/// The entries that go and those that come: `-user:33:r-- +user:33:rw-`.
fn list_difference(old: &Acl, new: &Acl) -> String {
    let spelled = |sign: char, (who, permissions): (Who, u8)| {
        let who = match who {
            Who::Owner => "user:".to_owned(),
            Who::User(id) => format!("user:{id}"),
            Who::OwningGroup => "group:".to_owned(),
            Who::Group(id) => format!("group:{id}"),
            Who::Mask => "mask:".to_owned(),
            Who::Other => "other:".to_owned(),
        };
        format!("{sign}{who}:{}", letters(permissions))
    };
    let gone = old.entries().filter(|(who, old)| new.get(*who) != Some(*old));
    let come = new.entries().filter(|(who, new)| old.get(*who) != Some(*new));
    let gone = gone.map(|entry| spelled('-', entry));
    gone.chain(come.map(|entry| spelled('+', entry))).collect::<Vec<_>>().join(" ")
}

fn instead(before: &Before) -> String {
    match before {
        Before::Nothing => String::new(),
        Before::File { size_bytes, .. } => format!(", instead of a file of {size_bytes} bytes"),
        Before::Link(target) => format!(", instead of a link to {}", target.display()),
        Before::Directory(_) => ", instead of a directory".into(),
        Before::Special(_) => ", instead of something that is neither file nor directory".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::machine::change::Extras;

    const ACCESS: Access = Access { mode: 0o600, uid: 0, gid: 0 };

    fn write(old: Option<&'static [u8]>, new: &'static [u8]) -> Change {
        let before = old.map_or(Before::Nothing, |old| Before::File {
            content: Some(Bytes::from_static(old)),
            size_bytes: old.len() as u64,
            access: ACCESS,
            extras: Extras::default(),
        });
        let access = Access { mode: 0o644, ..ACCESS };
        let (content, restored) = (Bytes::from_static(new), None);
        let effect = Effect::Write { before, content, access, restored };
        Change { path: "/etc/x".into(), effect }
    }

    #[test]
    fn text_is_shown_line_by_line_and_binary_is_summed_up() {
        let diff = write(Some(b"a\nb\n"), b"a\nc\n").diff().unwrap();
        assert_eq!(diff, "--- /etc/x\n+++ /etc/x\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n");
        assert_eq!(write(Some(b"a"), b"\0\xff").diff().unwrap(), "binary, 1 → 2 bytes\n");
        assert!(write(None, b"a\n").diff().unwrap().starts_with("--- /dev/null\n"));
    }

    #[test]
    fn a_change_of_content_tells_the_change_of_mode_too() {
        assert_eq!(write(Some(b"a"), b"bc").summary(), "/etc/x: 1 → 2 bytes, mode 0600 → 0644");
        let (before, after) = (ACCESS, Access { gid: 5, ..ACCESS });
        let owner = Change { path: "/x".into(), effect: Effect::Owner { before, after } };
        assert_eq!(owner.summary(), "/x: group 0 → 5");
    }
}
