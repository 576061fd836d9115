//! `xfs`: what each XFS file system has done.

use std::path::PathBuf;

use super::collector::{CollectError, Collector, Malformed, reading};
use super::families::{Families, labels};
use crate::event::metric::Family;
use crate::host::roots::Roots;
use crate::host::sysfs;

/// First word of a line, and what its numbers count: ends of families' names, `""` where a number
/// is not told.
const LINES: [(&str, &[&str]); 8] = [
    (
        "extent_alloc",
        &[
            "extent_allocation_extents_allocated",
            "extent_allocation_blocks_allocated",
            "extent_allocation_extents_freed",
            "extent_allocation_blocks_freed",
        ],
    ),
    (
        "abt",
        &[
            "allocation_btree_lookups",
            "allocation_btree_compares",
            "allocation_btree_records_inserted",
            "allocation_btree_records_deleted",
        ],
    ),
    (
        "blk_map",
        &[
            "block_mapping_reads",
            "block_mapping_writes",
            "block_mapping_unmaps",
            "block_mapping_extent_list_insertions",
            "block_mapping_extent_list_deletions",
            "block_mapping_extent_list_lookups",
            "block_mapping_extent_list_compares",
        ],
    ),
    (
        "bmbt",
        &[
            "block_map_btree_lookups",
            "block_map_btree_compares",
            "block_map_btree_records_inserted",
            "block_map_btree_records_deleted",
        ],
    ),
    (
        "dir",
        &[
            "directory_operation_lookup",
            "directory_operation_create",
            "directory_operation_remove",
            "directory_operation_getdents",
        ],
    ),
    (
        "ig",
        &[
            "inode_operation_attempts",
            "inode_operation_found",
            "inode_operation_recycled",
            "inode_operation_missed",
            "inode_operation_duplicates",
            "inode_operation_reclaims",
            "inode_operation_attribute_changes",
        ],
    ),
    ("rw", &["write_calls", "read_calls"]),
    (
        "vnodes",
        &[
            "vnode_active",
            "vnode_allocate",
            "vnode_get",
            "vnode_hold",
            "vnode_release",
            "vnode_reclaim",
            "vnode_remove",
        ],
    ),
];

/// Reads `/sys/fs/xfs/DEVICE/stats/stats`.
pub struct Xfs {
    folder: PathBuf,
}

impl Xfs {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { folder: roots.sysfs.join("fs/xfs") }
    }
}

impl Collector for Xfs {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut families = Families::default();
        for device in sysfs::names(&self.folder) {
            let path = self.folder.join(&device).join("stats/stats");
            if device == "stats" || !path.exists() {
                continue;
            }
            let text = std::fs::read_to_string(&path).map_err(reading(&path))?;
            for (end, value) in parse(&text).map_err(|line| line.of(&path))? {
                let help = format!("What XFS counts as {}.", end.replace('_', " "));
                let name = format!("node_xfs_{end}_total");
                families.counter(name, help, labels([("device", &device)]), f64::from(value));
            }
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}

fn parse(text: &str) -> Result<Vec<(&'static str, u32)>, Malformed> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let word = words.next().unwrap_or_default();
        let Some((_, ends)) = LINES.iter().find(|(known, _)| *known == word) else { continue };
        for end in *ends {
            let value = words.next().and_then(|word| word.parse().ok());
            let value = value.ok_or_else(|| Malformed::new(line, "a number for each count"))?;
            found.push((*end, value));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_under_the_names_of_their_places() {
        let found = parse("rw 28 7\nxpc 1 2 3\n").unwrap();
        assert_eq!(found, [("write_calls", 28), ("read_calls", 7)]);
        assert!(parse("rw 28\n").is_err());
    }
}
