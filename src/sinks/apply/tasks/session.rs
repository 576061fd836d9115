//! Who is logged in where this runs: tasks must not lock them out.

use crate::host::machine::Machine;
use std::net::IpAddr;
use std::path::Path;

/// A connection over TCP that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Connection {
    /// The address of the other side.
    pub(super) theirs: IpAddr,
    /// Its port.
    pub(super) their_port: u16,
    /// The address on this host.
    pub(super) ours: IpAddr,
    /// The port on this host.
    pub(super) our_port: u16,
}

impl Connection {
    /// Reads what sshd tells those who log in: `SSH_CONNECTION`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        Some(Self {
            theirs: words.next()?.parse().ok()?,
            their_port: words.next()?.parse().ok()?,
            ours: words.next()?.parse().ok()?,
            our_port: words.next()?.parse().ok()?,
        })
    }
}

/// The session that this process was started in. Programs between, such as sudo, may have dropped what
/// sshd told, so that those above are asked.
pub(super) fn of(machine: &Machine) -> Option<Connection> {
    with_parents(machine).into_iter().find_map(|pid| {
        let environment = machine.read(Path::new(&format!("/proc/{pid}/environ"))).ok()?;
        let environment = String::from_utf8_lossy(&environment).into_owned();
        let told = environment.split('\0').find_map(|it| it.strip_prefix("SSH_CONNECTION="))?;
        Connection::parse(told)
    })
}

/// This process and all above it.
pub(super) fn with_parents(machine: &Machine) -> Vec<u32> {
    let mut pid = std::process::id();
    let mut found = vec![pid];
    while pid > 1 {
        let parent =
            machine.read(Path::new(&format!("/proc/{pid}/status"))).ok().and_then(|text| {
                let text = String::from_utf8_lossy(&text).into_owned();
                text.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())
            });
        pid = parent.unwrap_or(0);
        found.push(pid);
    }
    found
}
