//! A network of a test's own, with nothing in it but a loopback link.

use super::installed::has;
use super::skip::skipped;
use nix::sched::{CloneFlags, unshare};
use std::process::Command;

/// Whether `ip` did it.
pub(crate) fn ip(arguments: &str) -> bool {
    let done = Command::new("ip").args(arguments.split(' ')).output();
    done.is_ok_and(|output| output.status.success())
}

/// Runs a test there; says so where that cannot be.
pub(crate) fn in_own_network(test: fn()) {
    if !nix::unistd::geteuid().is_root() {
        return skipped("a network of its own needs root");
    }
    if !has("ip") {
        return;
    }
    // One thread alone goes there, and what it starts goes with it.
    let thread = std::thread::spawn(move || {
        if unshare(CloneFlags::CLONE_NEWNET).is_err() || !ip("link set lo up") {
            return skipped("a network of its own is not possible here");
        }
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}
