//! Keeps hashes of passwords out of what is shown of a change.

use std::collections::HashMap;
use std::path::Path;

/// Whether the file at `path` holds hashes.
pub(super) fn hides(path: &Path) -> bool {
    const FILES: [&str; 5] = ["passwd", "shadow", "gshadow", "group", "opasswd"];
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let stem = name.trim_end_matches('-').split('.').next().unwrap_or(name);
    let is_theirs = |parent| ["/etc", "/etc/security"].map(Path::new).contains(&parent);
    path.parent().is_some_and(is_theirs) && FILES.contains(&stem)
}

/// The old and the new text of such a file with stars in the place of hashes. That a password is
/// another one than before can be seen.
pub(super) fn hide(old: &str, new: &str) -> (String, String) {
    let password = |line: &str| -> Option<(String, String)> {
        let mut fields = line.split(':');
        Some((fields.next()?.to_owned(), fields.next()?.to_owned()))
    };
    let before: HashMap<String, String> = old.lines().filter_map(password).collect();
    let is_new = |name: &str, hash: &str| {
        before
            .get(name)
            .is_some_and(|before| !bare(before).is_empty() && bare(before) != bare(hash))
    };
    let hidden = |text: &str, is_new: &dyn Fn(&str, &str) -> bool| {
        text.split_inclusive('\n').map(|line| hide_line(line, is_new)).collect()
    };
    (hidden(old, &|_, _| false), hidden(new, &is_new))
}

fn hide_line(line: &str, is_new: &dyn Fn(&str, &str) -> bool) -> String {
    let Some((name, rest)) = line.split_once(':') else { return line.to_owned() };
    let hash = rest.split(':').next().unwrap_or(rest).trim_end_matches('\n');
    let behind = &rest[hash.len()..];
    if bare(hash).is_empty() || hash == "x" {
        return line.to_owned();
    }
    let lock = &hash[..hash.len() - bare(hash).len()];
    let stars = if is_new(name, hash) { "*** (another)" } else { "***" };
    format!("{name}:{lock}{stars}{behind}")
}

/// A hash without the marks of a locked password.
fn bare(hash: &str) -> &str {
    hash.trim_start_matches(['!', '*'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_hidden_and_what_happens_to_them_is_seen() {
        let old = "root:*:1:\na:$6$one:2:\nb:!$6$two:3:\nc:!:4:\n";
        let new = "root:*:1:\na:!$6$one:2:\nb:$6$three:3:\nc:$6$four:4:\nd:!:5:\n";
        let (old, new) = hide(old, new);
        assert_eq!(old, "root:*:1:\na:***:2:\nb:!***:3:\nc:!:4:\n");
        assert_eq!(new, "root:*:1:\na:!***:2:\nb:*** (another):3:\nc:***:4:\nd:!:5:\n");
    }

    #[test]
    fn all_files_with_hashes_are_known_and_no_others() {
        for path in ["/etc/shadow", "/etc/shadow-", "/etc/gshadow.1.2026~", "/etc/passwd"] {
            assert!(hides(Path::new(path)), "{path}");
        }
        for path in ["/etc/hosts", "/srv/shadow", "/etc/shadowy", "/"] {
            assert!(!hides(Path::new(path)), "{path}");
        }
    }
}
