//! Which number is free, picked as the shadow tools pick it: so that a dry run knows it, and a host
//! that both look after has no surprises.

use super::entries::Range;
use std::collections::HashSet;
use std::ops::RangeInclusive;

/// The number for a new user or group: one above the highest that is in use within `range`; for those
/// of the system one below the lowest. Where that end is reached, the first that is free from the
/// other end.
///
/// `used` are those of the local files; `is_taken` knows of others.
pub(super) fn pick(
    range: &RangeInclusive<u32>,
    of_system: bool,
    used: &HashSet<u32>,
    is_taken: impl Fn(u32) -> bool,
) -> Option<u32> {
    let (least, most) = (*range.start(), *range.end());
    let within = || used.iter().copied().filter(|id| range.contains(id));
    let is_free = |id: &u32| !used.contains(id) && !is_taken(*id);
    if of_system {
        let start = within().min().and_then(|id| id.checked_sub(1)).filter(|id| *id >= least);
        let start = start.unwrap_or(most);
        let mut ahead = (least..=start).rev().chain((least..=most).rev());
        return ahead.find(is_free);
    }
    let start = within().max().and_then(|id| id.checked_add(1)).filter(|id| *id <= most);
    let start = start.unwrap_or(least);
    let mut ahead = (start..=most).chain(least..=most);
    ahead.find(is_free)
}

/// The first of `count` numbers in a row that nobody has, from `least` to `most`.
pub(super) fn free_range(ranges: &[Range], least: u64, most: u64, count: u64) -> Option<u64> {
    let mut sorted: Vec<_> = ranges.iter().map(|range| (range.first, range.count)).collect();
    sorted.sort_unstable();
    let mut low = least;
    for (first, taken) in sorted {
        let high = first.min(most.saturating_add(1));
        if high > low && high - low >= count {
            return Some(low);
        }
        low = low.max(first.saturating_add(taken));
        if low > most {
            return None;
        }
    }
    (most.checked_sub(low)? + 1 >= count).then_some(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_number_is_above_those_in_use_and_one_of_the_system_below() {
        let used = HashSet::from([1000, 1005, 999, 65534]);
        let pick = |range, of_system, taken: &[u32]| {
            super::pick(&range, of_system, &used, |id| taken.contains(&id))
        };
        assert_eq!(pick(1000..=60_000, false, &[]), Some(1006));
        assert_eq!(pick(1000..=60_000, false, &[1006, 1007]), Some(1008));
        assert_eq!(
            pick(1000..=1005, false, &[]),
            Some(1001),
            "from the start where the end is met"
        );
        assert_eq!(pick(1005..=1005, false, &[]), None);
        assert_eq!(pick(101..=999, true, &[]), Some(998));
        assert_eq!(pick(101..=998, true, &[]), Some(998));
        assert_eq!(pick(RangeInclusive::new(5, 4), false, &[]), None, "an empty range");
    }

    #[test]
    fn numbers_for_namespaces_fill_the_first_hole_that_is_large_enough() {
        let range = |first, count| Range { owner: "x".into(), first, count };
        assert_eq!(free_range(&[], 100, 200, 50), Some(100));
        assert_eq!(free_range(&[range(100, 50)], 100, 200, 50), Some(150));
        assert_eq!(free_range(&[range(160, 10), range(100, 50)], 100, 300, 50), Some(170));
        assert_eq!(free_range(&[range(150, 10)], 100, 200, 50), Some(100));
        assert_eq!(free_range(&[range(120, 60)], 100, 200, 50), None);
    }
}
