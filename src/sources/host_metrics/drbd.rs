//! `drbd`: disks that are kept alike on two hosts over the network.

use super::collector::{CollectError, Collector, Malformed, parsed_if_there};
use super::families::{Families, labels};
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

const KIBIBYTES: f64 = 1024.0;

/// Key, end of the family's name, kind, what one of the kernel's units is, what it says.
/// `node_exporter` takes what was received for bytes, and so does who reads it.
const NUMBERS: [(&str, &str, MetricKind, f64, &str); 11] = {
    use MetricKind::{Counter, Gauge};
    [
        ("ns", "network_sent_bytes_total", Counter, KIBIBYTES, "Bytes sent to the other host."),
        ("nr", "network_received_bytes_total", Counter, 1.0, "Received from the other host."),
        ("dw", "disk_written_bytes_total", Counter, KIBIBYTES, "Bytes written to the disk."),
        ("dr", "disk_read_bytes_total", Counter, KIBIBYTES, "Bytes read from the disk."),
        ("al", "activitylog_writes_total", Counter, 1.0, "Writes to the log of activity."),
        ("bm", "bitmap_writes_total", Counter, 1.0, "Writes to the map of what differs."),
        ("lo", "local_pending", Gauge, 1.0, "Requests that the disk has to do."),
        ("pe", "remote_pending", Gauge, 1.0, "Requests that the other host has to answer."),
        ("ua", "remote_unacknowledged", Gauge, 1.0, "Requests that it waits for an answer to."),
        ("ap", "application_pending", Gauge, 1.0, "Requests of programs under way."),
        ("ep", "epochs", Gauge, 1.0, "Epochs of writes."),
    ]
};

/// Reads `/proc/drbd`.
pub struct Drbd {
    file: HeldFile,
}

impl Drbd {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { file: HeldFile::new(roots.procfs.join("drbd")) }
    }
}

impl Collector for Drbd {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        out.extend(parsed_if_there(&mut self.file, families)?);
        Ok(())
    }
}

/// Words `KEY:VALUE`; one that is a number without a value begins a device.
fn families(text: &str) -> Result<Vec<Family>, Malformed> {
    let mut families = Families::default();
    let mut device = None;
    for line in text.lines() {
        for word in line.split_ascii_whitespace() {
            let Some((key, value)) = word.split_once(':') else { continue };
            if value.is_empty() && key.parse::<u32>().is_ok() {
                device = Some(format!("drbd{key}"));
                continue;
            }
            let Some(device) = &device else { continue };
            add(device, key, value, &mut families)
                .ok_or_else(|| Malformed::new(line, "words `key:value` of a device"))?;
        }
    }
    Ok(families.into())
}

fn add(device: &str, key: &str, value: &str, families: &mut Families) -> Option<()> {
    let told = || labels([("device", device)]);
    let sides = |families: &mut Families, name: &'static str, help: &'static str, good: &str| {
        let (local, remote) = value.split_once('/')?;
        for (node, state) in [("local", local), ("remote", remote)] {
            let told = labels([("device", device), ("node", node)]);
            families.gauge(name, help, told, if state == good { 1.0 } else { 0.0 });
        }
        Some(())
    };
    match key {
        "ro" => {
            let help = "Whether a host may write: 1 yes, 0 no.";
            sides(families, "node_drbd_node_role_is_primary", help, "Primary")
        }
        "ds" => {
            let help = "Whether a host's disk has all: 1 yes, 0 no.";
            sides(families, "node_drbd_disk_state_is_up_to_date", help, "UpToDate")
        }
        "cs" => {
            let is = if value == "Connected" { 1.0 } else { 0.0 };
            let help = "Whether the hosts are connected: 1 yes, 0 no.";
            families.gauge("node_drbd_connected", help, told(), is);
            Some(())
        }
        "oos" => {
            let help = "Bytes that the hosts do not have alike.";
            let bytes = value.parse::<f64>().ok()? * KIBIBYTES;
            families.gauge("node_drbd_out_of_sync_bytes", help, told(), bytes);
            Some(())
        }
        _ => {
            let known = NUMBERS.iter().find(|(known, ..)| *known == key);
            let Some((_, end, kind, unit, help)) = known else { return Some(()) };
            let value = value.parse::<f64>().ok()? * unit;
            families.add((format!("node_drbd_{end}"), *kind), *help, told(), value);
            Some(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_belong_to_the_device_before_them() {
        let text =
            "version: 8.4.3 (api:1)\n\n 1: cs:WFConnection ro:Primary/Unknown\n  ns:2 wo:d\n";
        let families = families(text).unwrap();
        let names: Vec<_> = families.iter().map(|family| &*family.name).collect();
        let expected = [
            "node_drbd_connected",
            "node_drbd_node_role_is_primary",
            "node_drbd_network_sent_bytes_total",
        ];
        assert_eq!(names, expected);
        assert_eq!(families[2].samples[0].labels[0].1, "drbd1");
    }

    #[test]
    fn a_count_that_is_no_number_is_told() {
        assert!(families(" 1: ns:many\n").is_err());
    }
}
