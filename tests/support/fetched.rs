//! Servers that `.ci/servers` has fetched.

use crate::skip::skipped;
use std::path::{Path, PathBuf};

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
