//! `udp_queues`: bytes that wait in the queues of all UDP sockets.

use super::collector::{CollectError, Collector, Malformed};
use super::families::KnownLabels;
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// Reads `/proc/net/udp` and `/proc/net/udp6`.
pub struct UdpQueues {
    files: [(&'static str, HeldFile); 2],
    labels: KnownLabels,
}

impl UdpQueues {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        let file = |path| HeldFile::of_short_lines(roots.procfs.join(path));
        let files = [("v4", file("net/udp")), ("v6", file("net/udp6"))];
        Self { files, labels: KnownLabels::default() }
    }
}

impl Collector for UdpQueues {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        self.labels.begin();
        let help = "Bytes that wait in the queues of UDP sockets, to be sent or to be read.";
        let mut family = Family::new("node_udp_queues", MetricKind::Gauge, help).with_room(4);
        for (ip, file) in &mut self.files {
            let path = file.shared_path();
            let Ok(text) = file.text() else { continue };
            let [sending, receiving] = parse(&text).map_err(|line| line.of(&path))?;
            for (queue, bytes) in [("rx", receiving), ("tx", sending)] {
                family.push(self.labels.get([("ip", ip), ("queue", queue)]), bytes as f64);
            }
        }
        if family.samples.is_empty() {
            return Err(CollectError::NoData);
        }
        out.push(family);
        Ok(())
    }
}

/// The sums of the fifth column, `TX:RX` in hexadecimal.
fn parse(text: &str) -> Result<[u64; 2], Malformed> {
    let mut sums = [0_u64; 2];
    for line in text.lines().skip(1) {
        let queues = line.split_ascii_whitespace().nth(4).and_then(|column| {
            let (sending, receiving) = column.split_once(':')?;
            let bytes = |word| u64::from_str_radix(word, 16).ok();
            Some([bytes(sending)?, bytes(receiving)?])
        });
        let queues =
            queues.ok_or_else(|| Malformed::new(line, "a socket with its queues, `tx:rx`"))?;
        for (sum, bytes) in sums.iter_mut().zip(queues) {
            *sum = sum.wrapping_add(bytes);
        }
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queues_of_all_sockets_are_added_up() {
        let table = "sl local rem st tx:rx\n\
            0: 00000000:0016 00000000:0000 0A 00000015:00000001 00:00000000\n\
            1: 00000000:0017 00000000:0000 0A 00000001:0000000a 00:00000000\n";
        assert_eq!(parse(table), Ok([22, 11]));
        assert!(parse("sl\n0: 00000000:0016\n").is_err());
    }
}
