//! `mountstats`: what went over the network for each NFS mount.

use std::collections::HashSet;

use super::collector::{CollectError, Collector, Malformed, parsed};
use super::families::{Families, labels};
use crate::event::metric::{Family, Labels, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// A float holds whole numbers up to here; `node_exporter` lets larger ones begin anew.
const LARGEST: u64 = 1 << 53;
const MILLISECONDS: f64 = 1000.0;

/// What the numbers of the line `bytes` are.
const BYTES: [&str; 8] = [
    "read_bytes_total",
    "write_bytes_total",
    "direct_read_bytes_total",
    "direct_write_bytes_total",
    "total_read_bytes_total",
    "total_write_bytes_total",
    "read_pages_total",
    "write_pages_total",
];

/// What the numbers of the line `events` are; the kernel no longer counts the one without a name.
const EVENTS: [&str; 27] = [
    "inode_revalidate",
    "dnode_revalidate",
    "data_invalidate",
    "attribute_invalidate",
    "vfs_open",
    "vfs_lookup",
    "vfs_access",
    "vfs_update_page",
    "vfs_read_page",
    "vfs_read_pages",
    "vfs_write_page",
    "vfs_write_pages",
    "vfs_getdents",
    "vfs_setattr",
    "vfs_flush",
    "vfs_fsync",
    "vfs_lock",
    "vfs_file_release",
    "",
    "truncation",
    "write_extension",
    "silly_rename",
    "short_read",
    "short_write",
    "jukebox_delay",
    "pnfs_read",
    "pnfs_write",
];

/// What the numbers of the line `xprt` are, after the port; those without a name are not told.
const TRANSPORT: [&str; 12] = [
    "bind_total",
    "connect_total",
    "",
    "idle_time_seconds",
    "sends_total",
    "receives_total",
    "bad_transaction_ids_total",
    "",
    "backlog_queue_total",
    "maximum_rpc_slots",
    "sending_queue_total",
    "pending_queue_total",
];
/// What UDP has no number for: it does not connect.
const CONNECTING: std::ops::Range<usize> = 1..4;

/// What the numbers of an operation are, and how many of the kernel's units make one.
const OPERATION: [(&str, f64); 8] = [
    ("requests_total", 1.0),
    ("transmissions_total", 1.0),
    ("major_timeouts_total", 1.0),
    ("sent_bytes_total", 1.0),
    ("received_bytes_total", 1.0),
    ("queue_time_seconds_total", MILLISECONDS),
    ("response_time_seconds_total", MILLISECONDS),
    ("request_time_seconds_total", MILLISECONDS),
];

/// Reads `/proc/self/mountstats`.
pub struct Mountstats {
    file: HeldFile,
}

impl Mountstats {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { file: HeldFile::new(roots.procfs.join("self/mountstats")) }
    }
}

impl Collector for Mountstats {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        out.extend(parsed(&mut self.file, families)?);
        Ok(())
    }
}

fn families(text: &str) -> Result<Vec<Family>, Malformed> {
    let mut families = Families::default();
    // Mounts of the same export share their connection, and its numbers.
    let mut seen = HashSet::new();
    let lines: Vec<&str> = text.lines().collect();
    let begins = |line: &&str| line.starts_with("device ");
    let mut rest = &lines[..];
    while let Some((header, body)) = rest.split_first() {
        let end = body.iter().position(begins).unwrap_or(body.len());
        let (mount, after) = body.split_at(end);
        rest = after;
        let words: Vec<&str> = header.split(' ').collect();
        let ["device", export, "mounted", "on", point, "with", "fstype", kind, ..] = words[..]
        else {
            continue;
        };
        if !matches!(kind, "nfs" | "nfs4") {
            continue;
        }
        let (address, protocol) = way(export, mount);
        let told = labels([
            ("export", export),
            ("mountaddr", address),
            ("mountpoint", point),
            ("protocol", protocol),
        ]);
        let help = "An NFS mount; always 1.";
        families.gauge("node_mountstats_nfs_mountpoint_info", help, told, 1.0);
        if seen.insert((export, address, protocol)) {
            let told = labels([("export", export), ("mountaddr", address), ("protocol", protocol)]);
            add_mount(mount, &told, &mut families)?;
        }
    }
    Ok(families.into())
}

/// The server's address and the protocol that it is reached by.
fn way<'a>(export: &'a str, mount: &[&'a str]) -> (&'a str, &'a str) {
    let after = |word: &str| mount.iter().find_map(|line| line.trim().strip_prefix(word));
    let options = after("opts:").unwrap_or_default().trim();
    let option = |name: &str| options.split(',').find_map(|option| option.strip_prefix(name));
    let host = export.split(":/").next().unwrap_or(export);
    let transport = after("xprt:").and_then(|line| line.split_ascii_whitespace().next());
    let protocol = transport.or_else(|| option("proto=")).unwrap_or_default();
    (option("mountaddr=").unwrap_or(host), protocol)
}

fn add_mount(mount: &[&str], told: &Labels, families: &mut Families) -> Result<(), Malformed> {
    let mut transports = 0_usize;
    let mut are_operations = false;
    for line in mount {
        let Some((word, rest)) = line.trim().split_once(':') else {
            are_operations |= line.trim() == "per-op statistics";
            continue;
        };
        let mut counter = |name: String, labels: Labels, value: f64| {
            let kind =
                if name.ends_with("_total") { MetricKind::Counter } else { MetricKind::Gauge };
            let help = "What the kernel counts for an NFS mount.";
            families.add((format!("node_mountstats_nfs_{name}"), kind), help, labels, value);
        };
        if are_operations {
            let numbers = numbers(line, rest)?;
            for ((name, per_unit), number) in OPERATION.iter().zip(numbers) {
                let labels = told.with("operation", word);
                counter(format!("operations_{name}"), labels, number / per_unit);
            }
            continue;
        }
        match word {
            "age" => {
                let age = numbers(line, rest)?.first().copied().unwrap_or(0.0);
                counter("age_seconds_total".to_owned(), told.clone(), age);
            }
            "bytes" => {
                for (name, number) in BYTES.iter().zip(numbers(line, rest)?) {
                    counter((*name).to_owned(), told.clone(), number);
                }
            }
            "events" => {
                let events = EVENTS.iter().zip(numbers(line, rest)?);
                for (name, number) in events.filter(|(name, _)| !name.is_empty()) {
                    counter(format!("event_{name}_total"), told.clone(), number);
                }
            }
            "xprt" => {
                let (protocol, rest) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
                let mut numbers = numbers(line, rest)?.into_iter().skip(1).collect::<Vec<_>>();
                if protocol == "udp" && numbers.len() >= CONNECTING.start {
                    let nothing = vec![0.0; CONNECTING.len()];
                    drop(numbers.splice(CONNECTING.start..CONNECTING.start, nothing));
                }
                let transport = transports.to_string();
                transports += 1;
                let known = TRANSPORT.iter().zip(numbers);
                for (name, number) in known.filter(|(name, _)| !name.is_empty()) {
                    let labels = told.with("transport", &transport);
                    counter(format!("transport_{name}"), labels, number);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn numbers(line: &str, rest: &str) -> Result<Vec<f64>, Malformed> {
    let number = |word: &str| word.parse::<u64>().map(|number| (number % LARGEST) as f64);
    let numbers = rest.split_ascii_whitespace().map(number).collect::<Result<_, _>>();
    numbers.map_err(|_| Malformed::new(line.trim(), "numbers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "device rootfs mounted on / with fstype rootfs\n\
        device nas:/x mounted on /a with fstype nfs4 statvers=1.1\n\topts:\trw,vers=4.0\n\
        \tage:\t7\n\txprt:\tudp 832 1 5 6 0 9 2 24 26 57\n\tper-op statistics\n\
        \t        READ: 1 2 0 3 4 6000 7000 8000\n\n\
        device nas:/x mounted on /b with fstype nfs4 statvers=1.1\n\
        \tage:\t7\n\txprt:\tudp 832 1 5 6 0 9 2 24 26 57\n";

    #[test]
    fn mounts_of_one_export_share_their_numbers() {
        let families = families(TEXT).unwrap();
        let samples = |name: &str| {
            let name = format!("node_mountstats_nfs_{name}");
            families.iter().find(|family| family.name == name).map_or(0, |f| f.samples.len())
        };
        assert_eq!((samples("mountpoint_info"), samples("age_seconds_total")), (2, 1));
        assert_eq!(samples("operations_queue_time_seconds_total"), 1);
    }

    #[test]
    fn udp_has_no_numbers_for_connecting() {
        use crate::event::metric::SampleValue;
        let families = families(TEXT).unwrap();
        let name = "node_mountstats_nfs_transport_sends_total";
        let sends = families.iter().find(|family| family.name == name).unwrap();
        assert_eq!(sends.samples[0].value, SampleValue::Number(5.0));
    }
}
