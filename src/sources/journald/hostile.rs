//! What journalctl may give, and cursors that are none.

use super::cursor;
use super::export::{Field, Step, entry};

/// Entries and their fields are where they are said to be, a beginning of the bytes has no other
/// entries than the whole, and a cursor is nothing that journalctl could take for an option.
pub(crate) fn journal(input: &[u8]) {
    let all = entries(input);
    for end in [input.len() / 3, input.len() / 2, input.len().saturating_sub(1)] {
        assert!(all.starts_with(&entries(&input[..end])), "a beginning has no others");
    }
    let known = cursor::read(input);
    for cursor in known.iter().filter_map(|known| known.cursor.as_deref()) {
        assert!(!cursor.starts_with('-') && !cursor.contains([' ', '\n', '\0']), "{cursor}");
        cursor::is_past(cursor, "s=0639c7;i=1f;t=5f");
    }
}

fn entries(bytes: &[u8]) -> Vec<(Vec<Field>, usize)> {
    let (mut all, mut at, mut fields) = (Vec::new(), 0, Vec::new());
    while let Step::Entry(end) = entry(bytes, at, &mut fields) {
        assert!(end > at && end <= bytes.len(), "it goes on");
        for field in &fields {
            let (name, value) = (bytes.get(field.name.clone()), bytes.get(field.value.clone()));
            assert!(name.is_some_and(|name| !name.is_empty()) && value.is_some(), "{field:?}");
        }
        all.push((fields.clone(), end));
        at = end;
    }
    all
}

/// Good input.
pub(crate) fn journals() -> Vec<Vec<u8>> {
    let entries = b"__CURSOR=s=1;i=2\nMESSAGE=one=1\nPRIORITY=6\n\n\
        MESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n\nM=\n\n";
    let cursor = br#"[{"sink":"a","cursor":null},{"sink":"b","cursor":"s=0639c7;i=1f;t=5f;x=9"}]"#;
    vec![entries.to_vec(), cursor.to_vec()]
}
