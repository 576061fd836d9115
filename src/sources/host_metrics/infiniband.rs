//! `infiniband`: the InfiniBand and RDMA adapters, what went through them and what went wrong.

use std::path::{Path, PathBuf};

use super::collector::{CollectError, Collector};
use super::families::{Families, labels};
use crate::event::metric::Family;
use crate::host::roots::Roots;
use crate::host::sysfs;

/// The hardware counts words of four bytes.
const WORD_BYTES: f64 = 4.0;

/// File, end of the family's name, bytes of one unit, what it counts.
type Counter = (&'static str, &'static str, f64, &'static str);

/// In `counters`.
const COUNTERS: [Counter; 22] = [
    ("excessive_buffer_overrun_errors", "excessive_buffer_overrun_errors", 1.0, "Buffers overrun."),
    ("link_downed", "link_downed", 1.0, "Times that the link went down."),
    ("link_error_recovery", "link_error_recovery", 1.0, "Times that the link came back."),
    (
        "local_link_integrity_errors",
        "local_link_integrity_errors",
        1.0,
        "Times that the link had too many errors.",
    ),
    ("multicast_rcv_packets", "multicast_packets_received", 1.0, "Multicast packets received."),
    ("multicast_xmit_packets", "multicast_packets_transmitted", 1.0, "Multicast packets sent."),
    (
        "port_rcv_constraint_errors",
        "port_constraint_errors_received",
        1.0,
        "Packets received against the rules.",
    ),
    (
        "port_xmit_constraint_errors",
        "port_constraint_errors_transmitted",
        1.0,
        "Packets not sent since that is against the rules.",
    ),
    ("port_rcv_data", "port_data_received_bytes", WORD_BYTES, "Bytes received."),
    ("port_xmit_data", "port_data_transmitted_bytes", WORD_BYTES, "Bytes sent."),
    ("port_rcv_discards", "port_discards_received", 1.0, "Packets received and thrown away."),
    ("port_xmit_discards", "port_discards_transmitted", 1.0, "Packets thrown away, not sent."),
    ("port_rcv_errors", "port_errors_received", 1.0, "Packets received with an error."),
    ("port_rcv_packets", "port_packets_received", 1.0, "Packets received."),
    ("port_xmit_packets", "port_packets_transmitted", 1.0, "Packets sent."),
    (
        "port_rcv_remote_physical_errors",
        "port_receive_remote_physical_errors",
        1.0,
        "Packets received that were marked as bad.",
    ),
    (
        "port_rcv_switch_relay_errors",
        "port_receive_switch_relay_errors",
        1.0,
        "Packets that a switch could not forward.",
    ),
    ("port_xmit_wait", "port_transmit_wait", 1.0, "Ticks that passed while data waited."),
    ("symbol_error", "symbol_error", 1.0, "Small errors of the link."),
    ("unicast_rcv_packets", "unicast_packets_received", 1.0, "Unicast packets received."),
    ("unicast_xmit_packets", "unicast_packets_transmitted", 1.0, "Unicast packets sent."),
    ("VL15_dropped", "vl15_dropped", 1.0, "Packets of the management thrown away."),
];

/// In `counters_ext`, which old drivers have.
const LEGACY: [Counter; 8] = [
    ("port_rcv_data_64", "legacy_data_received_bytes", WORD_BYTES, "Bytes received."),
    ("port_xmit_data_64", "legacy_data_transmitted_bytes", WORD_BYTES, "Bytes sent."),
    ("port_rcv_packets_64", "legacy_packets_received", 1.0, "Packets received."),
    ("port_xmit_packets_64", "legacy_packets_transmitted", 1.0, "Packets sent."),
    (
        "port_multicast_rcv_packets",
        "legacy_multicast_packets_received",
        1.0,
        "Multicast packets received.",
    ),
    (
        "port_multicast_xmit_packets",
        "legacy_multicast_packets_transmitted",
        1.0,
        "Multicast packets sent.",
    ),
    (
        "port_unicast_rcv_packets",
        "legacy_unicast_packets_received",
        1.0,
        "Unicast packets received.",
    ),
    (
        "port_unicast_xmit_packets",
        "legacy_unicast_packets_transmitted",
        1.0,
        "Unicast packets sent.",
    ),
];

/// Reads `/sys/class/infiniband`.
pub struct Infiniband {
    folder: PathBuf,
}

impl Infiniband {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { folder: roots.sysfs.join("class/infiniband") }
    }
}

impl Collector for Infiniband {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut families = Families::default();
        for device in sysfs::names(&self.folder) {
            let folder = self.folder.join(&device);
            let text = |file| sysfs::text(folder.join(file)).unwrap_or_default();
            let told = labels([
                ("board_id", &text("board_id")),
                ("device", &device),
                ("firmware_version", &text("fw_ver")),
                ("hca_type", &text("hca_type")),
            ]);
            families.gauge("node_infiniband_info", "What adapter this is; always 1.", told, 1.0);
            for port in sysfs::names(folder.join("ports")) {
                add_port(&folder.join("ports").join(&port), &device, &port, &mut families);
            }
        }
        if families.is_empty() {
            return Err(CollectError::NoData);
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}

fn add_port(folder: &Path, device: &str, port: &str, families: &mut Families) {
    let told = || labels([("device", device), ("port", port)]);
    let states = [
        ("state", "node_infiniband_state_id", "How the port is: 1 down to 4 active."),
        (
            "phys_state",
            "node_infiniband_physical_state_id",
            "How the port's link is: 2 polling, 3 switched off, 5 up.",
        ),
    ];
    for (file, name, help) in states {
        let id = sysfs::text(folder.join(file));
        // `4: ACTIVE`
        let id = id.as_deref().and_then(|text| text.split(':').next()?.trim().parse().ok());
        if let Some(id) = id {
            families.gauge(name, help, told(), id);
        }
    }
    if let Some(rate) = sysfs::text(folder.join("rate")).and_then(|text| bytes_per_second(&text)) {
        let help = "How fast the port can be, in bytes a second.";
        families.gauge("node_infiniband_rate_bytes_per_second", help, told(), rate);
    }
    for (subfolder, counters) in [("counters", &COUNTERS[..]), ("counters_ext", &LEGACY[..])] {
        for (file, end, unit, help) in counters {
            // What an adapter does not count reads `N/A (no PMA)`.
            if let Some(value) = sysfs::number::<u64>(folder.join(subfolder).join(file)) {
                let name = format!("node_infiniband_{end}_total");
                families.counter(name, *help, told(), value as f64 * unit);
            }
        }
    }
}

/// `40 Gb/sec (4X QDR)`
fn bytes_per_second(rate: &str) -> Option<f64> {
    let gigabits: f64 = rate.split_once(" Gb/sec")?.0.trim().parse().ok()?;
    Some(gigabits * 1e9 / 8.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_told_in_bytes() {
        assert_eq!(bytes_per_second("2.5 Gb/sec (1X SDR)"), Some(312_500_000.0));
        assert_eq!(bytes_per_second("fast"), None);
    }
}
