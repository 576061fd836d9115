//! A root to throw away: what runs in it sees this machine's files, but changes a copy in memory
//! that is gone with it.

use super::skip::skipped;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Sets the root up and goes into it; the file says with which arguments.
pub(crate) const SETUP: &str = include_str!("throwaway.sh");

/// Runs the shell script `script` in a root of its own, with private mounts, processes, names and
/// network. Read-only at `/share` is `share`.
///
/// `None`, and a line that says why, where this machine does not let us.
pub(crate) fn run(script: &str, share: &Path) -> Option<Output> {
    let host = fs::read_link("/proc/self/ns/mnt").ok()?;
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"])
        .args(["--uts", "--ipc", "--net", "--", "bash", "-c", SETUP, "throwaway"])
        .arg(&host)
        .arg(script)
        .arg(share)
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => return skip(&format!("unshare (Debian package util-linux): {error}")),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    if !nix::unistd::geteuid().is_root() {
        return skip("making one needs root");
    }
    if !said.contains("throwaway root is ready") {
        return skip(said.trim());
    }
    Some(output)
}

fn skip(why: &str) -> Option<Output> {
    skipped(&format!("no throwaway root: {why}"));
    None
}
