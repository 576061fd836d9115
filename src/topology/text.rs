//! `encoding`, `delimiter`, `multiline` and `max_line_bytes`: the settings by which sources make
//! records out of text. Each means the same wherever it stands.

use super::multiline;
use super::settings::ByteSize;
use crate::event::log::framing::Framing;
use crate::event::log::stream::{OnLongLine, Text};
use encoding_rs::Encoding;

/// So many bytes are enough for what ends a line.
const LONGEST_DELIMITER: usize = 64;

/// The longest line, unless the config says otherwise.
pub fn longest_line() -> ByteSize {
    ByteSize(1 << 20)
}

/// How text is written, unless the config says otherwise.
pub fn utf_8() -> String {
    "utf-8".to_owned()
}

/// Checks `max_line_bytes`; the error is in a user's words.
///
/// # Errors
/// Where it is below 1KiB or above `most`.
pub fn check_longest(longest: ByteSize, most: ByteSize) -> Result<(), String> {
    if (1 << 10..=most.0).contains(&longest.0) {
        return Ok(());
    }
    Err(format!("`max_line_bytes` is {longest}; it can be from 1KiB to {most}"))
}

/// What cuts text as these settings say, into lines no longer than `longest`; the error is in a
/// user's words.
///
/// # Errors
/// Where one of them cannot be.
pub fn framing(
    encoding: &str,
    delimiter: Option<&str>,
    multiline: Option<&multiline::Config>,
    longest: ByteSize,
) -> Result<Framing, String> {
    let label = Encoding::for_label(encoding.as_bytes()).ok_or_else(|| {
        format!("`encoding` is `{encoding}`, which is no label of the WHATWG's list")
    })?;
    let delimiter = delimiter.unwrap_or("\n");
    if delimiter.is_empty() {
        return Err("`delimiter` is empty; leave it out for line feeds".to_owned());
    }
    if delimiter.len() > LONGEST_DELIMITER {
        let bytes = delimiter.len();
        return Err(format!(
            "`delimiter` has {bytes} bytes; it can have up to {LONGEST_DELIMITER}"
        ));
    }
    let joiner = multiline.map(|multiline| multiline.joiner(longest)).transpose()?;
    Ok(Framing::new(label, delimiter, joiner))
}

/// The same for a source that reads a stream.
///
/// # Errors
/// As for [`framing`].
pub fn text(
    encoding: &str,
    delimiter: Option<&str>,
    multiline: Option<&multiline::Config>,
    (longest, on_long_line): (ByteSize, OnLongLine),
) -> Result<Text, String> {
    let framing = framing(encoding, delimiter, multiline, longest)?;
    let timeout = multiline.map(|multiline| multiline.timeout.0);
    Ok(Text { framing, longest: longest.as_usize(), on_long_line, timeout })
}
