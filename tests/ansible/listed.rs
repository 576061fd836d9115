//! The list of what does not hold, with the reason of each.

use std::collections::BTreeMap;

const LIST: &str = include_str!("does_not_hold.txt");

/// By the task's place, `target/tasks/file.yml:line`: the reason why it does not hold.
pub(super) fn listed() -> BTreeMap<&'static str, &'static str> {
    let mut found = BTreeMap::new();
    let mut before = "";
    for line in LIST.lines().filter(|line| !line.starts_with('#')) {
        let (place, reason) = line.split_once(" | ").expect("a place and a reason");
        assert!(!reason.trim().is_empty(), "{place} has no reason");
        assert!(found.insert(place, reason).is_none(), "{place} is there twice");
        assert!(before < place, "{place} is out of order");
        before = place;
    }
    found
}
