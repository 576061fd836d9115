//! The network of this host: its interfaces, addresses and routes.

use super::Machine;
use super::fault::Fault;
use crate::host::network::{self, Address, Interface, Route, Whole};
use std::io;
use std::path::{Path, PathBuf};

impl Machine {
    /// All interfaces as they are; what a dry run has foretold of them is beside, in
    /// [`Machine::foretold_state`].
    ///
    /// Errors: the kernel does not tell.
    pub fn interfaces(&self) -> Result<Vec<Interface>, Fault> {
        network::interfaces().map_err(|error| fault("the network interfaces", &error))
    }

    /// The addresses of all interfaces as they are, likewise.
    pub fn addresses(&self) -> Result<Vec<Address>, Fault> {
        network::addresses().map_err(|error| fault("the addresses", &error))
    }

    /// The routes of the main table over the interface with the number `over` as they are, likewise.
    pub fn routes(&self, over: u32) -> Result<Vec<Route>, Fault> {
        network::routes(over).map_err(|error| fault("the routes", &error))
    }

    /// All that makes up the interface with the number `index`; `None` where it could not be made again.
    pub fn whole_interface(&self, index: u32) -> Result<Option<Whole>, Fault> {
        Whole::read(index).map_err(|error| fault("the network interfaces", &error))
    }

    /// Whether this process may change the network; where the kernel shows what is changed.
    pub(super) fn check_network(&self, interface: &str) -> Result<PathBuf, Fault> {
        if may_change() {
            return Ok(Path::new("/sys/class/net").join(interface));
        }
        let why = format!("there is no permission to change the interface `{interface}`");
        Err(Fault::new(why).hint("run as root"))
    }
}

fn fault(what: &str, error: &io::Error) -> Fault {
    Fault::new(format!("cannot read {what}: {}", Fault::said(error)))
}

/// Whether this process has the right that the kernel asks for: `CAP_NET_ADMIN`.
fn may_change() -> bool {
    const NETWORK: u32 = 12;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let rights = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let rights = rights.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    // Where it cannot be told, the kernel will say.
    rights.is_none_or(|rights| rights >> NETWORK & 1 == 1)
}
