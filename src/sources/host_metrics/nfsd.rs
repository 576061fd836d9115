//! `nfsd`: what NFS clients asked of this host.

use super::collector::{CollectError, Collector, Malformed, parsed_if_there};
use super::families::{Families, labels};
use super::rpc::{self, V2, V3};
use crate::event::metric::{Family, Labels, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// The operations of version 4 from the kernel's fourth number on, under `node_exporter`'s names;
/// `""` where it tells of none.
const V4: [&str; 37] = [
    "Access",
    "Close",
    "Commit",
    "Create",
    "DelegPurge",
    "DelegReturn",
    "GetAttr",
    "GetFH",
    "Link",
    "Lock",
    "Lockt",
    "Locku",
    "Lookup",
    "LookupRoot",
    "Nverify",
    "Open",
    "OpenAttr",
    "OpenConfirm",
    "OpenDgrd",
    "PutFH",
    "",
    "",
    "Read",
    "ReadDir",
    "ReadLink",
    "Remove",
    "Rename",
    "Renew",
    "RestoreFH",
    "SaveFH",
    "SecInfo",
    "SetAttr",
    "SetClientID",
    "SetClientIDConfirm",
    "Verify",
    "Write",
    "RelLockOwner",
];
/// How many operations that there are not stand before them.
const UNUSED: usize = 3;

/// First word of a line, place of a number in it, family, kind, what it counts.
const NUMBERS: [(&str, usize, &str, MetricKind, &str); 12] = {
    use MetricKind::{Counter, Gauge};
    [
        ("rc", 0, "node_nfsd_reply_cache_hits_total", Counter, "Replies sent from the cache."),
        ("rc", 1, "node_nfsd_reply_cache_misses_total", Counter, "Replies put into the cache."),
        ("rc", 2, "node_nfsd_reply_cache_nocache_total", Counter, "Replies that need no cache."),
        ("fh", 0, "node_nfsd_file_handles_stale_total", Counter, "Files asked for that are gone."),
        ("io", 0, "node_nfsd_disk_bytes_read_total", Counter, "Bytes read for clients."),
        ("io", 1, "node_nfsd_disk_bytes_written_total", Counter, "Bytes written for clients."),
        ("th", 0, "node_nfsd_server_threads", Gauge, "Threads that serve."),
        ("ra", 0, "node_nfsd_read_ahead_cache_size_blocks", Gauge, "Blocks of the read-ahead."),
        (
            "ra",
            11,
            "node_nfsd_read_ahead_cache_not_found_total",
            Counter,
            "Reads that the read-ahead did not foresee.",
        ),
        ("net", 3, "node_nfsd_connections_total", Counter, "Connections accepted over TCP."),
        ("rpc", 0, "node_nfsd_server_rpcs_total", Counter, "Calls received."),
        // Not a call, but an answer to one that others want to know.
        ("wdeleg_getattr", 0, "node_nfsd_requests_total", Counter, REQUESTS),
    ]
};
const REQUESTS: &str = "Requests of clients.";

/// First word, place, label, its value: numbers that are parts of one family.
const PARTS: [(&str, usize, &str, &str, &str); 5] = [
    ("net", 2, "node_nfsd_packets_total", "proto", "tcp"),
    ("net", 1, "node_nfsd_packets_total", "proto", "udp"),
    ("rpc", 2, "node_nfsd_rpc_errors_total", "error", "fmt"),
    ("rpc", 3, "node_nfsd_rpc_errors_total", "error", "auth"),
    ("rpc", 4, "node_nfsd_rpc_errors_total", "error", "cInt"),
];

/// Reads `/proc/net/rpc/nfsd`.
pub struct Nfsd {
    file: HeldFile,
}

impl Nfsd {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { file: HeldFile::new(roots.procfs.join("net/rpc/nfsd")) }
    }
}

impl Collector for Nfsd {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        out.extend(parsed_if_there(&mut self.file, families)?);
        Ok(())
    }
}

fn families(text: &str) -> Result<Vec<Family>, Malformed> {
    let mut families = Families::default();
    for line in rpc::lines(text) {
        let (word, values) = line?;
        let value = |at: usize| values.get(at).map(|value| *value as f64);
        for (_, at, name, kind, help) in NUMBERS.iter().filter(|(first, ..)| *first == word) {
            let told = match word {
                "wdeleg_getattr" => labels([("method", "WdelegGetattr"), ("proto", "4")]),
                _ => Labels::default(),
            };
            if let Some(value) = value(*at) {
                families.add((*name, *kind), *help, told, value);
            }
        }
        for (_, at, name, label, part) in PARTS.iter().filter(|(first, ..)| *first == word) {
            if let Some(value) = value(*at) {
                let help = "Packets and calls by kind.";
                families.counter(*name, help, labels([(label, part)]), value);
            }
        }
        let (version, methods, before) = match word {
            // The first number says how many follow, the second counts what does nothing.
            "proc2" => ("2", &V2[1..], 2),
            "proc3" => ("3", &V3[1..], 2),
            "proc4ops" => ("4", &V4[..], UNUSED + 1),
            _ => continue,
        };
        for (at, method) in methods.iter().enumerate().filter(|(_, method)| !method.is_empty()) {
            let told = labels([("method", method), ("proto", version)]);
            let value = value(before + at).unwrap_or(0.0);
            families.counter("node_nfsd_requests_total", REQUESTS, told, value);
        }
    }
    Ok(families.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::metric::SampleValue;

    #[test]
    fn operations_of_version_four_have_their_names() {
        let families = families("proc4ops 6 0 0 0 1098 2 0\n").unwrap();
        let sample = &families[0].samples[0];
        assert_eq!((&*sample.labels[0].1, sample.value.clone()), {
            ("Access", SampleValue::Number(1098.0))
        });
    }

    #[test]
    fn a_line_that_no_kernel_writes_is_told() {
        assert!(families("rc one 2 3\n").is_err());
    }
}
