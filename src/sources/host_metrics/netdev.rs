//! `netdev`: what went through each network interface, and what went wrong there.

use std::borrow::Cow;

use super::collector::{CollectError, Collector, Malformed, reading};
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// The columns of `/proc/net/dev`, under the names of their families, with what they count.
const COLUMNS: [(&str, &str); 16] = [
    ("node_network_receive_bytes_total", "Bytes received."),
    ("node_network_receive_packets_total", "Packets received."),
    ("node_network_receive_errs_total", "Packets received with an error of any kind."),
    ("node_network_receive_drop_total", "Packets received and thrown away."),
    ("node_network_receive_fifo_total", "Packets lost since a receive queue was full."),
    ("node_network_receive_frame_total", "Packets received with a broken frame."),
    ("node_network_receive_compressed_total", "Compressed packets received."),
    ("node_network_receive_multicast_total", "Multicast packets received."),
    ("node_network_transmit_bytes_total", "Bytes sent."),
    ("node_network_transmit_packets_total", "Packets sent."),
    ("node_network_transmit_errs_total", "Packets that could not be sent, for any reason."),
    ("node_network_transmit_drop_total", "Packets thrown away instead of sent."),
    ("node_network_transmit_fifo_total", "Packets lost since a send queue was full."),
    ("node_network_transmit_colls_total", "Collisions while sending."),
    ("node_network_transmit_carrier_total", "Packets lost since the carrier was."),
    ("node_network_transmit_compressed_total", "Compressed packets sent."),
];

/// Reads `/proc/net/dev`, which is what `node_exporter` does when it is told not to use netlink.
pub struct Netdev {
    file: HeldFile,
}

impl Netdev {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { file: HeldFile::new(roots.procfs.join("net/dev")) }
    }
}

impl Collector for Netdev {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.file.path().to_owned();
        let text = self.file.text().map_err(reading(&path))?;
        let counter = |(name, help)| Family::new(name, MetricKind::Counter, help);
        let mut families = COLUMNS.map(counter);
        for line in text.lines().skip(2) {
            let (device, values) = parse(line).map_err(|line| line.of(&path))?;
            for (family, value) in families.iter_mut().zip(values) {
                let labels = vec![("device".into(), Cow::Owned(device.to_owned()))];
                family.push(labels, value as f64);
            }
        }
        out.extend(families);
        Ok(())
    }
}

/// An interface and its columns. A name may hold a colon (an alias), so the last one separates.
fn parse(line: &str) -> Result<(&str, [u64; COLUMNS.len()]), Malformed> {
    let malformed = || Malformed::new(line, "`interface:` and sixteen counters");
    let (device, counters) = line.rsplit_once(':').ok_or_else(malformed)?;
    let mut words = counters.split_ascii_whitespace();
    let mut values = [0; COLUMNS.len()];
    for value in &mut values {
        *value = words.next().and_then(|word| word.parse().ok()).ok_or_else(malformed)?;
    }
    Ok((device.trim(), values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_read_even_where_no_space_follows_its_colon() {
        let (device, values) =
            parse("  eth0:437303281 23689 1 2 3 4 5 6 1351506 12469 7 8 9 10 11 12").unwrap();
        assert_eq!(device, "eth0");
        assert_eq!(values[..3], [437_303_281, 23_689, 1]);
        assert_eq!(values[15], 12);
    }

    #[test]
    fn a_line_with_too_few_counters_is_told() {
        assert!(parse("eth0: 1 2 3").is_err());
        assert!(parse("eth0").is_err());
    }
}
