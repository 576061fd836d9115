//! Programs of the host that tests run.

use crate::skip::skipped;
use std::path::Path;

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
