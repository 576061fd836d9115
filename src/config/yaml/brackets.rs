//! Lists and mappings in brackets over several lines, where a line stands further left than YAML
//! 1.2 wants it: `PyYAML` does not look at the indentation in brackets.

use super::Broken;
use saphyr_parser::ScanError;

/// Lines that are mended in one file; a file with more is not written by people.
const MOST: usize = 200;

/// Goes through the events of `text` by `parse`. Where a line in brackets stands too far left, it
/// is put at the end of the line before, which in brackets means the same and leaves every other
/// character where it is, and all begins again.
pub(super) fn mended<T>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, Broken>,
    byte_of: impl Fn(usize) -> usize,
) -> Result<T, Broken> {
    let mut text = std::borrow::Cow::Borrowed(text);
    for _ in 0..MOST {
        let broken = match parse(&text) {
            Err(broken) if is_about_indentation(&broken.error) => broken,
            result => return result,
        };
        let Some(end) = line_end_before(&text, byte_of(broken.error.marker().index())) else {
            return Err(broken);
        };
        text.to_mut().replace_range(end..=end, " ");
    }
    parse(&text)
}

fn is_about_indentation(error: &ScanError) -> bool {
    ["invalid indentation", "invalid indentation in flow construct"].contains(&error.info())
}

/// The end of the line before the one that has only blanks before `at`. None where a comment would
/// swallow what is put behind it.
fn line_end_before(text: &str, at: usize) -> Option<usize> {
    let end = text.get(..at)?.trim_end_matches(' ').len().checked_sub(1)?;
    let before = text.get(..end)?;
    let line = before.rsplit('\n').next().unwrap_or(before);
    (text.as_bytes()[end] == b'\n' && !line.contains('#')).then_some(end)
}
