//! `fibrechannel`: the Fibre Channel adapters, what went through them and what went wrong.

use std::path::PathBuf;

use super::collector::{CollectError, Collector};
use super::families::{Families, labels};
use crate::event::metric::{Family, Labels, Text};
use crate::host::roots::Roots;
use crate::host::sysfs;

/// Labels, which are called as the files are; sorted, `fc_host` left out.
const INFO: [&str; 10] = [
    "dev_loss_tmo",
    "fabric_name",
    "port_id",
    "port_name",
    "port_state",
    "port_type",
    "speed",
    "supported_classes",
    "supported_speeds",
    "symbolic_name",
];

/// File in `statistics`, end of the family's name, what it counts. The kernel writes hexadecimal.
const COUNTERS: [(&str, &str, &str); 14] = [
    ("dumped_frames", "dumped_frames", "Frames thrown away."),
    ("error_frames", "error_frames", "Frames with an error."),
    ("fcp_packet_aborts", "fcp_packet_aborts", "Packets given up."),
    ("invalid_crc_count", "invalid_crc", "Frames with a wrong checksum."),
    ("invalid_tx_word_count", "invalid_tx_words", "Wrong words sent."),
    ("link_failure_count", "link_failure", "Times that the link failed."),
    ("loss_of_signal_count", "loss_of_signal", "Times that the signal was lost."),
    ("loss_of_sync_count", "loss_of_sync", "Times that the beat was lost."),
    ("nos_count", "nos", "Times that the other side was not operational."),
    ("rx_frames", "rx_frames", "Frames received."),
    ("rx_words", "rx_words", "Words received."),
    ("seconds_since_last_reset", "seconds_since_last_reset", "Seconds since the last reset."),
    ("tx_frames", "tx_frames", "Frames sent."),
    ("tx_words", "tx_words", "Words sent."),
];

/// Reads `/sys/class/fc_host`.
pub struct Fibrechannel {
    folder: PathBuf,
}

impl Fibrechannel {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { folder: roots.sysfs.join("class/fc_host") }
    }
}

impl Collector for Fibrechannel {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut families = Families::default();
        for host in sysfs::names(&self.folder) {
            let folder = self.folder.join(&host);
            let text = |file: &str| sysfs::text(folder.join(file)).unwrap_or_default();
            let own = INFO.map(|label| {
                let value = text(label);
                let value = value.strip_prefix("0x").unwrap_or(&value).to_owned();
                (Text::from(label), Text::from(value))
            });
            let told = own.into_iter().collect::<Labels>().with("fc_host", &host);
            families.gauge("node_fibrechannel_info", "What adapter this is; always 1.", told, 1.0);
            for (file, end, help) in COUNTERS {
                let value = counter(&text(&format!("statistics/{file}")));
                if let Some(value) = value {
                    let name = format!("node_fibrechannel_{end}_total");
                    families.counter(name, help, labels([("fc_host", &host)]), value as f64);
                }
            }
        }
        if families.is_empty() {
            return Err(CollectError::NoData);
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}

/// A hexadecimal number; all ones stand for what an adapter does not count.
fn counter(text: &str) -> Option<u64> {
    let value = u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()?;
    (value != u64::MAX).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_adapter_does_not_count_is_not_told() {
        assert_eq!(counter("0x13"), Some(19));
        assert_eq!(counter("0xffffffffffffffff"), None);
        assert_eq!(counter(""), None);
    }
}
