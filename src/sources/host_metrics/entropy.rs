//! `entropy`: how much the kernel's source of random numbers has to draw from.

use super::collector::{CollectError, Collector};
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// Reads `/proc/sys/kernel/random`.
pub struct Entropy {
    available: HeldFile,
    size: HeldFile,
}

impl Entropy {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        let file =
            |name| HeldFile::of_short_lines(roots.procfs.join("sys/kernel/random").join(name));
        Self { available: file("entropy_avail"), size: file("poolsize") }
    }
}

impl Collector for Entropy {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let (Some(available), Some(size)) = (self.available.number(), self.size.number()) else {
            return Err(CollectError::NoData);
        };
        let gauge =
            |name, help, value: u64| Family::single(name, MetricKind::Gauge, help, value as f64);
        out.push(gauge(
            "node_entropy_available_bits",
            "Random bits that are there now.",
            available,
        ));
        out.push(gauge("node_entropy_pool_size_bits", "Random bits that there can be.", size));
        Ok(())
    }
}
