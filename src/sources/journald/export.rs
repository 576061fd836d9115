//! The journal's export format: fields of text or bytes, entries with an empty line between.

use std::ops::Range;

/// A field within an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: Range<usize>,
    pub(super) value: Range<usize>,
}

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// An entry that ends before this byte; its fields were given.
    Entry(usize),
    /// An entry whose rest is still to come.
    Unfinished,
    /// Bytes that are no entry.
    Broken,
}

/// Reads the entry that begins at `from`. Its fields, as far as they are there, are put into
/// `fields`, with places in `bytes`.
pub(super) fn entry(bytes: &[u8], from: usize, fields: &mut Vec<Field>) -> Step {
    fields.clear();
    let mut at = from;
    loop {
        let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) else {
            return Step::Unfinished;
        };
        let Some(line) = memchr::memchr(b'\n', rest) else { return Step::Unfinished };
        if line == 0 {
            return Step::Entry(at + 1);
        }
        let end = at + line;
        match memchr::memchr(b'=', &rest[..line]) {
            Some(0) => return Step::Broken,
            Some(equals) => {
                fields.push(Field { name: at..at + equals, value: at + equals + 1..end });
                at = end + 1;
            }
            // A field of bytes: the name alone, their number, the bytes, a line feed.
            None => {
                let Some(count) = bytes.get(end + 1..end + 9) else { return Step::Unfinished };
                let count = count.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
                let begin = end + 9;
                let stop = usize::try_from(count).ok().and_then(|count| begin.checked_add(count));
                let Some(stop) = stop.filter(|stop| *stop < usize::MAX) else {
                    return Step::Broken;
                };
                match bytes.get(stop) {
                    None => return Step::Unfinished,
                    Some(b'\n') => {}
                    Some(_) => return Step::Broken,
                }
                fields.push(Field { name: at..end, value: begin..stop });
                at = stop + 1;
            }
        }
    }
}

/// The value of a field of this name, the first where there are several.
pub(super) fn value<'b>(bytes: &'b [u8], fields: &[Field], name: &str) -> Option<&'b [u8]> {
    let is_it = |field: &&Field| bytes.get(field.name.clone()) == Some(name.as_bytes());
    fields.iter().find(is_it).and_then(|field| bytes.get(field.value.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Names and values of one entry.
    type Owned = Vec<(String, Vec<u8>)>;

    /// All entries as names and values, how many bytes they take, and how it went on.
    fn all(bytes: &[u8]) -> (Vec<Owned>, usize, Step) {
        let (mut found, mut at, mut fields) = (Vec::new(), 0, Vec::new());
        loop {
            match entry(bytes, at, &mut fields) {
                Step::Entry(end) => {
                    let own = |field: &Field| {
                        let name = String::from_utf8_lossy(&bytes[field.name.clone()]).into_owned();
                        (name, bytes[field.value.clone()].to_vec())
                    };
                    found.push(fields.iter().map(own).collect());
                    at = end;
                }
                other => return (found, at, other),
            }
        }
    }

    fn write(entries: &[Vec<(String, Vec<u8>)>]) -> Vec<u8> {
        let mut out = Vec::new();
        for entry in entries {
            for (name, value) in entry {
                out.extend_from_slice(name.as_bytes());
                if value.contains(&b'\n') {
                    out.push(b'\n');
                    out.extend_from_slice(&(value.len() as u64).to_le_bytes());
                } else {
                    out.push(b'=');
                }
                out.extend_from_slice(value);
                out.push(b'\n');
            }
            out.push(b'\n');
        }
        out
    }

    #[test]
    fn fields_of_text_and_of_bytes_are_read() {
        let text = b"MESSAGE=one=1\nPRIORITY=6\n\nMESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n\nMESS";
        let (found, used, rest) = all(text);
        assert_eq!(found[0][0], ("MESSAGE".to_owned(), b"one=1".to_vec()));
        assert_eq!(found[1], [("MESSAGE".to_owned(), b"a\nb".to_vec())]);
        assert_eq!((used, rest), (text.len() - 4, Step::Unfinished));
        assert_eq!(all(b"=x\n").2, Step::Broken);
        assert_eq!(all(b"A\n\xff\xff\xff\xff\xff\xff\xff\xff\n\n").2, Step::Broken);
        assert_eq!(all(b"A\n\x01\0\0\0\0\0\0\0abc\n").2, Step::Broken);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_and_no_prefix_of_it_is_mistaken(
            entries in proptest::collection::vec(
                proptest::collection::vec(
                    ("[A-Z_]{1,8}", proptest::collection::vec(any::<u8>(), 0..20)), 1..5),
                0..5),
            cut: proptest::sample::Index,
        ) {
            let bytes = write(&entries);
            let (found, used, rest) = all(&bytes);
            prop_assert_eq!((&found, used, rest), (&entries, bytes.len(), Step::Unfinished));
            let (found, _, rest) = all(&bytes[..cut.index(bytes.len() + 1)]);
            prop_assert!(entries.starts_with(&found));
            prop_assert_eq!(rest, Step::Unfinished);
        }

        #[test]
        fn no_bytes_break_it(bytes: Vec<u8>) {
            let (_, used, _) = all(&bytes);
            prop_assert!(used <= bytes.len());
        }
    }
}
