//! What a task says, as short as it fits a line of the log: a program may have printed megabytes.

use crate::event::secret::Masker;
use std::borrow::Cow;

/// A longer text is cut, in bytes. It leaves a line shorter than what journald takes at a time.
const LONGEST_BYTES: usize = 4096;

/// So much is kept of its end, where programs say what was wrong.
const END_BYTES: usize = 2048;

/// The beginning and the end of a text. It is masked first: of a secret that is cut through nobody
/// could tell that it is one.
pub(super) fn shorten<'t>(text: &'t str, masker: &Masker) -> Cow<'t, str> {
    if text.len() <= LONGEST_BYTES {
        return Cow::Borrowed(text);
    }
    let text = masker.mask(text);
    let (mut head, mut tail) = (LONGEST_BYTES - END_BYTES, text.len().saturating_sub(END_BYTES));
    while !text.is_char_boundary(head.min(text.len())) {
        head -= 1;
    }
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    if head >= tail {
        return Cow::Owned(text.into_owned());
    }
    let (left_out, head, tail) = (tail - head, &text[..head], &text[tail..]);
    Cow::Owned(format!("{head}… ({left_out} bytes, which the audit trail has) …{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::secret::SecretText;

    #[test]
    fn of_a_long_text_beginning_and_end_are_told_and_no_part_of_a_secret() {
        let secret = SecretText::new("narwhal-in-the-fjord".to_owned());
        let masker = Masker::new(&[("A".to_owned(), secret)].into_iter().collect());
        assert_eq!(shorten("short", &masker), "short");
        for before in 2000..2060 {
            let text = format!("{}narwhal-in-the-fjord{}end", "a".repeat(before), "ü".repeat(9000));
            let short = shorten(&text, &masker);
            assert!(short.len() < 4300 && short.starts_with("aaa") && short.ends_with("üend"));
            assert!(!["narw", "hal-", "fjord"].iter().any(|part| short.contains(part)), "{short}");
        }
        let masked_to_nothing = "narwhal-in-the-fjord".repeat(300);
        assert!(!shorten(&masked_to_nothing, &masker).contains("narwhal"));
    }
}
