//! Packed batches that are none.

use super::{Packed, PackedKind, pack};
use crate::event::Batch;
use crate::event::encode::{Encoder, Encoding, Extra};
use crate::event::log::{LogBatch, Origin, Value, Verdict};
use bytes::Bytes;
use std::sync::Arc;

/// What unpacks can be written, and packs and unpacks as the same.
///
/// The first byte chooses the kind.
pub(crate) fn batch(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else { return };
    let kind = if kind % 2 == 0 { PackedKind::Logs } else { PackedKind::Metrics };
    let Some(unpacked) = unpacked(kind, &Bytes::copy_from_slice(bytes)) else { return };
    let text = text(&unpacked);
    let mut again = Vec::new();
    assert_eq!(pack(&unpacked, &mut again), Some(kind));
    let again = self::unpacked(kind, &again.into());
    assert!(again.as_ref().map(self::text) == Some(text), "{unpacked:?} {again:?}");
}

fn unpacked(kind: PackedKind, bytes: &Bytes) -> Option<Batch> {
    Packed::new(kind, bytes)?.unpack()
}

/// What can be written of a batch.
pub(crate) fn text(batch: &Batch) -> Vec<u8> {
    let mut text = Vec::new();
    for encoding in [Encoding::Ndjson, Encoding::Text] {
        let written = Encoder::new(&encoding, Extra::Origin).append(batch, &mut text);
        assert!(written.is_ok(), "it is no set of tasks");
    }
    text
}

/// Good input.
pub(crate) fn batches() -> Vec<Vec<u8>> {
    let lines = Bytes::from_static(b"one\n{\"a\":1}\nthree\n");
    let origin = Arc::new(Origin { source: "app".into(), ..Origin::default() });
    let plain = LogBatch::from_lines(&lines, origin, 7, 1_700_000_000_000_000_000);
    let mut touched = plain.clone();
    touched.rewrite(|record, writer| {
        writer.push_text("message", record.message());
        writer.push("n", Value::Int(-3));
        writer.push_text("text", b"of its own");
        writer.set_time_ns(1);
        if record.message() == b"three" { Verdict::Drop } else { Verdict::Touched }
    });
    let packed = |logs: LogBatch| {
        let mut out = vec![0];
        pack(&Batch::Logs(logs), &mut out);
        out
    };
    vec![packed(plain), packed(touched)]
}
