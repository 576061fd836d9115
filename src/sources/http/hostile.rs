//! Bodies of any form.

use super::Format;
use super::body::{Packing, decode};
use serde::de::IgnoredAny;

/// The largest body that is taken.
const MOST_BYTES: usize = 1 << 16;

/// Each record of a body that is taken is a JSON object on one line, and nothing is larger than
/// allowed.
///
/// The first byte chooses packing and format.
pub(crate) fn body(input: &[u8]) {
    let Some((how, bytes)) = input.split_first() else { return };
    let packing = [Packing::Plain, Packing::Gzip, Packing::Zstd][usize::from(how % 3)];
    let format = [Format::Ndjson, Format::Json, Format::Text][usize::from(how / 3 % 3)];
    let Ok(records) = decode(bytes.to_vec(), packing, (format, None), MOST_BYTES) else { return };
    assert!(records.data.len() <= MOST_BYTES, "{} bytes", records.data.len());
    for (from, to) in records.places.unwrap_or_default() {
        let record = &records.data[from..to];
        let is_json = serde_json::from_slice::<IgnoredAny>(record).is_ok();
        assert!(is_json && record.starts_with(b"{"), "{:?}", String::from_utf8_lossy(record));
        assert!(!record.contains(&b'\n'), "{:?}", String::from_utf8_lossy(record));
    }
}

/// Good input.
pub(crate) fn bodies() -> Vec<Vec<u8>> {
    let lines = &b" {\"a\":1} \r\n\n{\"b\":[2,{}]}\n{\"c\":\"\\u00e9 x\"}"[..];
    let list = &b"[{\"a\":\n 1},\n{}]\n"[..];
    let one = &b"\n{\"a\":\r\n[null,\"x\"]}"[..];
    let zstd = zstd::encode_all(lines, 1).unwrap_or_default();
    let mut gzip = flate2::bufread::GzEncoder::new(lines, flate2::Compression::fast());
    let mut packed = Vec::new();
    // Reading from memory does not fail.
    std::io::Read::read_to_end(&mut gzip, &mut packed).ok();
    vec![
        [b"\0", lines].concat(),
        [b"\x03", list].concat(),
        [b"\x03", one].concat(),
        [b"\x02", &*zstd].concat(),
        [b"\x01", &*packed].concat(),
    ]
}
