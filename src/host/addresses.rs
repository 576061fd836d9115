//! The addresses that this host's network interfaces have.

use std::net::IpAddr;

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::sys::socket::SockaddrStorage;

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The interface's name.
    pub interface: String,
    /// The address.
    pub address: IpAddr,
    /// How many bits of it are the network's; `None` where the kernel does not say.
    pub prefix: Option<u32>,
    /// The address that all hosts of the network listen to.
    pub broadcast: Option<IpAddr>,
}

/// Every interface's addresses, in the kernel's order; none where it does not say.
///
/// - Source: getifaddrs(3).
pub fn bindings() -> Vec<Binding> {
    let Ok(told) = getifaddrs() else { return Vec::new() };
    let binding = |entry: InterfaceAddress| {
        let mask = entry.netmask.as_ref().and_then(ip).map(|mask| match mask {
            IpAddr::V4(mask) => u32::from(mask).count_ones(),
            IpAddr::V6(mask) => u128::from(mask).count_ones(),
        });
        Some(Binding {
            address: ip(entry.address.as_ref()?)?,
            prefix: mask,
            broadcast: entry.broadcast.as_ref().and_then(ip),
            interface: entry.interface_name,
        })
    };
    told.filter_map(binding).collect()
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_has_its_address_with_the_bits_of_its_network() {
        let bound = bindings();
        let own = bound.iter().find(|it| it.address == IpAddr::from([127, 0, 0, 1]));
        // An interface that is down has none.
        if let Some(own) = own {
            assert_eq!((&*own.interface, own.prefix), ("lo", Some(8)));
        }
    }
}
