//! Paths with `*`, `?` and `[…]` in them, and what they stand for.

use super::Failure;
use crate::host::machine::Machine;
use crate::host::machine::meta::Kind as FileKind;
use crate::host::machine::path::Follow;
use globset::Glob;
use std::path::{Path, PathBuf};

/// Whether a path may stand for others.
pub(super) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// All that is at the paths that `pattern` stands for, sorted; names that begin with a dot only
/// where the pattern does.
pub(super) fn matching(pattern: &Path, machine: &Machine) -> Result<Vec<PathBuf>, Failure> {
    let pattern = &*machine.absolute(pattern)?;
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.components().skip(1) {
        let part = part.as_os_str().to_string_lossy();
        let mut next = Vec::new();
        if is_pattern(&part) {
            let glob = Glob::new(&part)
                .map_err(|error| Failure::new(format!("`{part}` is no pattern: {error}")))?
                .compile_matcher();
            for directory in &found {
                let is_directory = machine
                    .stat(directory, Follow::Yes)?
                    .is_some_and(|found| found.kind == FileKind::Directory);
                let names = if is_directory { machine.list(directory)? } else { Vec::new() };
                let hidden = part.starts_with('.');
                let names = names.into_iter().filter(|name| {
                    glob.is_match(name) && (hidden || !name.as_encoded_bytes().starts_with(b"."))
                });
                next.extend(names.map(|name| directory.join(name)));
            }
        } else {
            for directory in &found {
                let path = directory.join(&*part);
                if machine.stat(&path, Follow::Yes)?.is_some() {
                    next.push(path);
                }
            }
        }
        found = next;
    }
    Ok(found)
}
