//! `nfs`: what this host asked of NFS servers.

use super::collector::{CollectError, Collector, Malformed, parsed_if_there};
use super::families::{Families, labels};
use super::rpc::{self, V2, V3};
use crate::event::metric::Family;
use crate::host::{proc::HeldFile, roots::Roots};

/// The procedures of version 4, in the kernel's order.
const V4: [&str; 59] = [
    "Null",
    "Read",
    "Write",
    "Commit",
    "Open",
    "OpenConfirm",
    "OpenNoattr",
    "OpenDowngrade",
    "Close",
    "Setattr",
    "FsInfo",
    "Renew",
    "SetClientID",
    "SetClientIDConfirm",
    "Lock",
    "Lockt",
    "Locku",
    "Access",
    "Getattr",
    "Lookup",
    "LookupRoot",
    "Remove",
    "Rename",
    "Link",
    "Symlink",
    "Create",
    "Pathconf",
    "StatFs",
    "ReadLink",
    "ReadDir",
    "ServerCaps",
    "DelegReturn",
    "GetACL",
    "SetACL",
    "FsLocations",
    "ReleaseLockowner",
    "Secinfo",
    "FsidPresent",
    "ExchangeID",
    "CreateSession",
    "DestroySession",
    "Sequence",
    "GetLeaseTime",
    "ReclaimComplete",
    "GetDeviceInfo",
    "LayoutGet",
    "LayoutCommit",
    "LayoutReturn",
    "SecinfoNoName",
    "TestStateID",
    "FreeStateID",
    "GetDeviceList",
    "BindConnToSession",
    "DestroyClientID",
    "Seek",
    "Allocate",
    "DeAllocate",
    "LayoutStats",
    "Clone",
];

/// Reads `/proc/net/rpc/nfs`.
pub struct Nfs {
    file: HeldFile,
}

impl Nfs {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { file: HeldFile::new(roots.procfs.join("net/rpc/nfs")) }
    }
}

impl Collector for Nfs {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        out.extend(parsed_if_there(&mut self.file, families)?);
        Ok(())
    }
}

fn families(text: &str) -> Result<Vec<Family>, Malformed> {
    let mut families = Families::default();
    for line in rpc::lines(text) {
        let (word, values) = line?;
        let mut counter = |name, help, at: usize| {
            let value = values.get(at).copied().unwrap_or(0) as f64;
            families.counter(name, help, Vec::new(), value);
        };
        match word {
            "net" => {
                let help = "Connections made over TCP.";
                counter("node_nfs_connections_total", help, 3);
                for (protocol, at) in [("tcp", 2), ("udp", 1)] {
                    families.counter(
                        "node_nfs_packets_total",
                        "Packets sent and received.",
                        labels([("protocol", protocol)]),
                        values.get(at).copied().unwrap_or(0) as f64,
                    );
                }
            }
            "rpc" => {
                counter("node_nfs_rpcs_total", "Calls made.", 0);
                counter("node_nfs_rpc_retransmissions_total", "Calls sent again.", 1);
                let help = "Times that credentials were renewed.";
                counter("node_nfs_rpc_authentication_refreshes_total", help, 2);
            }
            "proc2" => add(&mut families, "2", &V2, &values),
            "proc3" => add(&mut families, "3", &V3, &values),
            "proc4" => add(&mut families, "4", &V4, &values),
            _ => {}
        }
    }
    Ok(families.into())
}

/// The first number says how many follow. What an old kernel does not know was never called.
fn add(families: &mut Families, version: &str, methods: &[&str], values: &[u64]) {
    for (at, method) in methods.iter().enumerate() {
        families.counter(
            "node_nfs_requests_total",
            "Procedures called.",
            labels([("method", method), ("proto", version)]),
            values.get(at + 1).copied().unwrap_or(0) as f64,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::metric::SampleValue;

    #[test]
    fn procedures_have_their_names_and_an_old_kernel_has_fewer() {
        let families = families("net 70 70 69 45\nrpc 1 2 3\nproc4 3 7 8 9\n").unwrap();
        let requests = families.last().unwrap();
        assert_eq!(requests.samples.len(), V4.len());
        assert_eq!(requests.samples[1].labels[0].1, "Read");
        assert_eq!(requests.samples[1].value, SampleValue::Number(8.0));
        assert_eq!(requests.samples[58].value, SampleValue::Number(0.0));
    }
}
