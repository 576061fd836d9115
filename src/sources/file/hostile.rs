//! Checkpoints that are none.

use super::checkpoint;

/// Whatever a checkpoint says, its entries have numbers of their own, and what is written of them
/// is read as the same.
///
/// After a first byte that is odd, each line gets the checksum that it should have.
pub(crate) fn checkpoint(input: &[u8]) {
    let Some((how, bytes)) = input.split_first() else { return };
    let sealed = checkpoint::sealed(bytes);
    let loaded = checkpoint::read(if how % 2 == 1 { &sealed } else { bytes });
    let mut keys: Vec<u64> = loaded.entries.iter().map(|entry| entry.key).collect();
    let entries = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert!(keys.len() == entries && !keys.contains(&0), "{loaded:?}");
    let Ok(text) = checkpoint::written(loaded.entries.iter()) else { return };
    let again = checkpoint::read(text.as_bytes());
    assert_eq!((again.damaged, again.entries.len()), (0, entries));
}

const ENTRY: &str = r#"{"key":1,"content":9,"path":"/var/log/a","device":1,"inode":2,"fingerprint":{"bytes":3,"sum":4},"rotated":true,"seen":5,"sinks":[["out",{"offset":7,"anchor":8}]]}"#;

/// Good input.
pub(crate) fn checkpoints() -> Vec<Vec<u8>> {
    let last = ENTRY.replace("\"key\":1", "\"key\":9223372036854775807");
    let old = ENTRY.replace("\"key\":1,", "");
    let raw = ENTRY.replace("\"/var/log/a\"", "[47,255]");
    let lines = [ENTRY, &last, "{\"gone\":1}", &old, &raw, &old];
    let text = format!("driftless checkpoint 2\n{}\n", lines.join("\n"));
    let good = checkpoint::sealed(text.as_bytes());
    vec![[b"\x01", text.as_bytes()].concat(), [b"\0", &*good].concat()]
}
