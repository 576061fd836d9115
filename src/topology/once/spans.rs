//! Spans: parts of a file's content, in order and without overlap.

/// Which bytes of a content are meant. Neighbours become one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans(Vec<(u64, u64)>);

impl Spans {
    /// Adds the bytes from `begin` to before `end`.
    pub fn add(&mut self, begin: u64, end: u64) {
        if begin >= end {
            return;
        }
        // Mostly a file's records come in order.
        match self.0.last_mut() {
            Some(last) if begin > last.1 => self.0.push((begin, end)),
            Some(last) if begin >= last.0 => last.1 = last.1.max(end),
            None => self.0.push((begin, end)),
            Some(_) => self.insert(begin, end),
        }
    }

    fn insert(&mut self, begin: u64, end: u64) {
        let first = self.0.partition_point(|span| span.1 < begin);
        let after = self.0.partition_point(|span| span.0 <= end);
        let joined = self.0[first..after]
            .iter()
            .fold((begin, end), |all, span| (all.0.min(span.0), all.1.max(span.1)));
        self.0.splice(first..after, [joined]);
    }

    /// Adds all of `other`.
    pub fn add_all(&mut self, other: &Self) {
        other.iter().for_each(|(begin, end)| self.add(begin, end));
    }

    /// Whether all of these bytes are in it.
    pub fn hold(&self, begin: u64, end: u64) -> bool {
        let after = self.0.partition_point(|span| span.0 <= begin);
        after.checked_sub(1).is_some_and(|at| self.0[at].1 >= end)
    }

    /// The parts that have something of these bytes.
    pub fn touching(&self, begin: u64, end: u64) -> Self {
        let first = self.0.partition_point(|span| span.1 <= begin);
        let after = self.0.partition_point(|span| span.0 < end);
        Self(self.0.get(first..after).unwrap_or_default().to_vec())
    }

    /// Forgets what lies before `mark`.
    pub fn forget_before(&mut self, mark: u64) {
        let gone = self.0.partition_point(|span| span.1 <= mark);
        self.0.drain(..gone);
    }

    /// Where the last part ends; 0 where there is none.
    pub fn end(&self) -> u64 {
        self.0.last().map_or(0, |span| span.1)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many parts there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The parts, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn they_hold_what_was_added_and_nothing_else(
            added in prop::collection::vec((0u64..60, 0u64..12), 0..20),
            mark in 0u64..70,
        ) {
            let mut spans = Spans::default();
            let mut bytes = [false; 100];
            for (begin, length) in added {
                spans.add(begin, begin + length);
                bytes[begin as usize..(begin + length) as usize].fill(true);
            }
            prop_assert!(spans.0.is_sorted_by(|one, next| one.1 < next.0), "{spans:?}");
            for begin in 0..80 {
                for end in begin + 1..90 {
                    let all = bytes[begin..end].iter().all(|byte| *byte);
                    let some = bytes[begin..end].iter().any(|byte| *byte);
                    prop_assert_eq!(spans.hold(begin as u64, end as u64), all);
                    let touching = spans.touching(begin as u64, end as u64);
                    prop_assert_eq!(!touching.is_empty(), some);
                    prop_assert_eq!(touching.hold(begin as u64, end as u64), all);
                }
            }
            spans.forget_before(mark);
            for (at, byte) in bytes.iter().enumerate().skip(mark as usize) {
                prop_assert_eq!(spans.hold(at as u64, at as u64 + 1), *byte);
            }
        }
    }
}
