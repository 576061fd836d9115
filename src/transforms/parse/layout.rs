//! The names of the objects before: lines of one log mostly have the same names in the same
//! order, and a name that is where it was need only be compared, not read.

use crate::event::log::KeyId;

/// Names further back than this are read each time; so are longer ones.
const LIMIT: usize = 64;

/// What stood where in the last object.
#[derive(Debug)]
pub(super) struct Layout {
    entries: Vec<Entry>,
    /// How many are remembered.
    limit: usize,
}

/// A name as it is written, up to the colon: `"status":`.
#[derive(Debug, Default)]
struct Entry {
    text: Vec<u8>,
    /// Its first sixteen bytes, and which bits of them are its own: most names fit, and are
    /// compared at one go.
    head: u128,
    mask: u128,
    /// The name's number in the batch at hand.
    key: Option<KeyId>,
}

impl Layout {
    pub(super) fn new() -> Self {
        Self { entries: Vec::new(), limit: LIMIT }
    }

    /// One that never remembers anything.
    pub(super) fn nothing() -> Self {
        Self { entries: Vec::new(), limit: 0 }
    }

    /// Numbers of names are a batch's own.
    pub(super) fn begin_batch(&mut self) {
        for entry in &mut self.entries {
            entry.key = None;
        }
    }

    /// How long the name at this position is with its quotes and colon, if `text` has it at `at`.
    #[inline]
    pub(super) fn length_at(&self, position: usize, text: &[u8], at: usize) -> Option<usize> {
        let entry = self.entries.get(position)?;
        let length = entry.text.len();
        let same = match text.get(at..).and_then(<[u8]>::first_chunk::<16>) {
            Some(head) if length <= 16 => u128::from_le_bytes(*head) & entry.mask == entry.head,
            _ => text.get(at..)?.starts_with(&entry.text),
        };
        (same && length > 0).then_some(length)
    }

    /// Remembers a name as it is written; says whether it does.
    pub(super) fn note(&mut self, position: usize, text: &[u8]) -> bool {
        if position >= self.limit || text.len() > LIMIT {
            return false;
        }
        if self.entries.len() <= position {
            self.entries.resize_with(position + 1, Entry::default);
        }
        let entry = &mut self.entries[position];
        let mut head = [0; 16];
        let known = text.len().min(16);
        head[..known].copy_from_slice(&text[..known]);
        entry.text.clear();
        entry.text.extend_from_slice(text);
        entry.head = u128::from_le_bytes(head);
        entry.mask =
            u128::MAX.checked_shr(128 - 8 * u32::try_from(known).unwrap_or(0)).unwrap_or(0);
        entry.key = None;
        true
    }

    /// The number of the name at this position, if it is known.
    #[inline]
    pub(super) fn key(&self, position: usize) -> Option<KeyId> {
        self.entries.get(position)?.key
    }

    /// Remembers the number of the name at this position.
    pub(super) fn set_key(&mut self, position: usize, key: KeyId) {
        if let Some(entry) = self.entries.get_mut(position) {
            entry.key = Some(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_only_where_all_of_it_stands_where_it_stood() {
        for name in ["\"a\":", "\"exactly_sixtee\":", "\"longer_than_sixteen_bytes\":"] {
            let mut layout = Layout::new();
            assert!(layout.note(1, name.as_bytes()));
            let text = format!("{{{name}1}}");
            assert_eq!(layout.length_at(1, text.as_bytes(), 1), Some(name.len()), "{name}");
            assert_eq!(layout.length_at(0, text.as_bytes(), 1), None);
            assert_eq!(layout.length_at(1, text.as_bytes(), 2), None);
            assert_eq!(layout.length_at(1, &text.as_bytes()[..name.len()], 1), None);
            let other = text.replace("\":", "x\":");
            assert_eq!(layout.length_at(1, other.as_bytes(), 1), None, "{other}");
        }
    }
}
