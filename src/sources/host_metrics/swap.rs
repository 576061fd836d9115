//! `swap`: each place to swap to, its size and how much of it is used.

use super::collector::{CollectError, Collector, Malformed, reading};
use super::families::labels;
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

const KIBIBYTES: f64 = 1024.0;

/// Reads `/proc/swaps`.
pub struct Swap {
    file: HeldFile,
}

impl Swap {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { file: HeldFile::new(roots.procfs.join("swaps")) }
    }
}

impl Collector for Swap {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.file.shared_path();
        let text = self.file.text().map_err(reading(&path))?;
        let gauge = |name, help| Family::new(name, MetricKind::Gauge, help);
        let mut size = gauge("node_swap_size_bytes", "Size of a place to swap to, in bytes.");
        let mut used = gauge("node_swap_used_bytes", "How much of it is used, in bytes.");
        let mut priority =
            gauge("node_swap_priority", "Its priority: the highest is filled first.");
        for line in text.lines().skip(1) {
            let (device, kind, [total, taken, rank]) =
                parse(line).map_err(|line| line.of(&path))?;
            let told = || labels([("device", device), ("swap_type", kind)]);
            size.push(told(), total * KIBIBYTES);
            used.push(told(), taken * KIBIBYTES);
            priority.push(told(), rank);
        }
        out.extend([priority, size, used]);
        Ok(())
    }
}

/// `FILE TYPE SIZE USED PRIORITY`; the kernel writes spaces in a file's name as `\040`.
fn parse(line: &str) -> Result<(&str, &str, [f64; 3]), Malformed> {
    let malformed = || Malformed::new(line, "a file, its type and three numbers");
    let mut words = line.split_ascii_whitespace();
    let (device, kind) = words.next().zip(words.next()).ok_or_else(malformed)?;
    let mut number = || words.next().and_then(|word| word.parse().ok()).ok_or_else(malformed);
    Ok((device, kind, [number()?, number()?, number()?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_of_one_place() {
        let line = "/dev/zram0   partition\t8388604\t\t76\t\t-2";
        assert_eq!(parse(line), Ok(("/dev/zram0", "partition", [8_388_604.0, 76.0, -2.0])));
        assert!(parse("/swap file 1").is_err());
    }
}
