//! Tests that a machine cannot run: they say so, and `.ci/run` counts them as skipped.

#![allow(dead_code)] // No test needs all of it.

use std::io::Write;
use std::path::{Path, PathBuf};

/// Says that a test, or a part of one, is left out. Straight to where errors go, since cargo hides
/// what passing tests print.
pub(crate) fn skipped(why: &str) {
    writeln!(std::io::stderr(), "skipped: {why}").unwrap();
}

/// Whether the host has a program; says so where it does not.
pub(crate) fn has(program: &str) -> bool {
    let there = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/lib/systemd"]
        .iter()
        .any(|dir| Path::new(dir).join(program).exists());
    if !there {
        skipped(&format!("{program} is not installed"));
    }
    there
}

/// A file of a server that `.ci/servers` has fetched; says so where it is not there.
pub(crate) fn fetched(name: &str, path: &str) -> Option<PathBuf> {
    let servers = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/servers");
    let path = servers.join(name).join(path);
    if !path.exists() {
        skipped(&format!("{name} is not installed (.ci/servers fetches it)"));
        return None;
    }
    Some(path)
}
