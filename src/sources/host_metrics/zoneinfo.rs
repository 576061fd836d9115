//! `zoneinfo`: how the pages of each zone of memory are used.

use super::collector::{CollectError, Collector, Malformed, parsed};
use super::families::{Families, labels};
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// The kernel's word, end of the family's name, kind. `nr_free_pages` stands for the number behind
/// `pages free`, which is the same.
const ENTRIES: [(&str, &str, MetricKind); 32] = {
    use MetricKind::{Counter, Gauge};
    [
        ("high", "high_pages", Gauge),
        ("low", "low_pages", Gauge),
        ("managed", "managed_pages", Gauge),
        ("min", "min_pages", Gauge),
        ("nr_active_anon", "nr_active_anon_pages", Gauge),
        ("nr_active_file", "nr_active_file_pages", Gauge),
        ("nr_anon_pages", "nr_anon_pages", Gauge),
        ("nr_anon_transparent_hugepages", "nr_anon_transparent_hugepages", Gauge),
        ("nr_dirtied", "nr_dirtied_total", Counter),
        ("nr_dirty", "nr_dirty_pages", Gauge),
        ("nr_file_pages", "nr_file_pages", Gauge),
        ("nr_free_pages", "nr_free_pages", Gauge),
        ("nr_inactive_anon", "nr_inactive_anon_pages", Gauge),
        ("nr_inactive_file", "nr_inactive_file_pages", Gauge),
        ("nr_isolated_anon", "nr_isolated_anon_pages", Gauge),
        ("nr_isolated_file", "nr_isolated_file_pages", Gauge),
        ("nr_kernel_stack", "nr_kernel_stacks", Gauge),
        ("nr_mapped", "nr_mapped_pages", Gauge),
        ("nr_shmem", "nr_shmem_pages", Gauge),
        ("nr_slab_reclaimable", "nr_slab_reclaimable_pages", Gauge),
        ("nr_slab_unreclaimable", "nr_slab_unreclaimable_pages", Gauge),
        ("nr_unevictable", "nr_unevictable_pages", Gauge),
        ("nr_writeback", "nr_writeback_pages", Gauge),
        ("nr_written", "nr_written_total", Counter),
        ("numa_foreign", "numa_foreign_total", Counter),
        ("numa_hit", "numa_hit_total", Counter),
        ("numa_interleave", "numa_interleave_total", Counter),
        ("numa_local", "numa_local_total", Counter),
        ("numa_miss", "numa_miss_total", Counter),
        ("numa_other", "numa_other_total", Counter),
        ("present", "present_pages", Gauge),
        ("spanned", "spanned_pages", Gauge),
    ]
};

/// Reads `/proc/zoneinfo`.
pub struct Zoneinfo {
    file: HeldFile,
}

impl Zoneinfo {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { file: HeldFile::new(roots.procfs.join("zoneinfo")) }
    }
}

impl Collector for Zoneinfo {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        out.extend(parsed(&mut self.file, families)?);
        Ok(())
    }
}

/// A line `Node N, zone NAME` begins a zone; its own numbers end where those of its processors
/// begin, which use some of the same words.
fn families(text: &str) -> Result<Vec<Family>, Malformed> {
    let mut families = Families::default();
    let mut zone = None;
    for line in text.lines() {
        if let Some(header) = line.strip_prefix("Node ") {
            zone = header.split_once(", zone").map(|(node, zone)| (node.trim(), zone.trim()));
            continue;
        }
        let Some((node, name)) = zone else { continue };
        let told = || labels([("node", node), ("zone", name)]);
        let line = line.trim_start();
        if line == "pagesets" {
            zone = None;
        } else if let Some(list) = line.strip_prefix("protection: (") {
            for (at, pages) in list.trim_end_matches(')').split(',').enumerate() {
                let pages = pages.trim().parse();
                let pages = pages.map_err(|_| Malformed::new(line, "numbers in brackets"))?;
                let help = "Pages kept from those who could do with a higher zone.";
                families.gauge(format!("node_zoneinfo_protection_{at}"), help, told(), pages);
            }
        } else {
            let mut words = line.split_ascii_whitespace();
            let (Some(word), Some(number)) = (words.next(), words.next()) else { continue };
            let Some((_, end, kind)) = ENTRIES.iter().find(|(known, ..)| *known == word) else {
                continue;
            };
            let value =
                number.parse().map_err(|_| Malformed::new(line, "a number after the word"))?;
            let help = format!("Pages of a zone that the kernel counts as {word}.");
            families.add((format!("node_zoneinfo_{end}"), *kind), help, told(), value);
        }
    }
    Ok(families.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_at_a_processor_is_not_the_zones() {
        let text = "Node 0, zone  DMA\n  pages free 7\n    high 14\n    protection: (0, 9)\n  \
            pagesets\n    cpu: 0\n      high: 3\n      high 4\nNode 0, zone Normal\n  high 20\n";
        let families = families(text).unwrap();
        let names: Vec<_> = families.iter().map(|family| &*family.name).collect();
        let expected = [
            "node_zoneinfo_high_pages",
            "node_zoneinfo_protection_0",
            "node_zoneinfo_protection_1",
        ];
        assert_eq!(names, expected);
        assert_eq!(families[0].samples.len(), 2);
    }
}
