//! Which of two versions of Debian packages is the newer one.
//!
//! Source: deb-version(7): an epoch before the first colon, a revision behind the last dash. Both
//! remaining parts are compared piece by piece, what is no digit first, then the number behind it.
//! `~` comes before everything, even before the end; letters come before other characters.

use std::cmp::Ordering;

/// Compares two versions; what is no version compares as the text that it is.
pub fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (Parts::of(left), Parts::of(right));
    left.epoch
        .cmp(&right.epoch)
        .then_with(|| compare_part(left.upstream, right.upstream))
        .then_with(|| compare_part(left.revision, right.revision))
}

struct Parts<'t> {
    epoch: u64,
    upstream: &'t str,
    revision: &'t str,
}

impl<'t> Parts<'t> {
    fn of(version: &'t str) -> Self {
        let (epoch, rest) = match version.split_once(':') {
            Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
            None => (0, version),
        };
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Self { epoch, upstream, revision }
    }
}

fn compare_part(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    while !left.is_empty() || !right.is_empty() {
        let words = (until(&mut left, u8::is_ascii_digit), until(&mut right, u8::is_ascii_digit));
        let longest = words.0.len().max(words.1.len());
        // One more, so that the end of a word is compared with what the other goes on with.
        for at in 0..=longest {
            match weight(words.0.get(at)).cmp(&weight(words.1.get(at))) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
        let is_no_digit = |byte: &u8| !byte.is_ascii_digit();
        let numbers = (until(&mut left, is_no_digit), until(&mut right, is_no_digit));
        match compare_numbers(numbers.0, numbers.1) {
            Ordering::Equal => {}
            unequal => return unequal,
        }
    }
    Ordering::Equal
}

/// Takes off what comes before the first byte that `ends` it.
fn until<'t>(text: &mut &'t [u8], ends: impl Fn(&u8) -> bool) -> &'t [u8] {
    let (taken, rest) = text.split_at(text.iter().position(ends).unwrap_or(text.len()));
    *text = rest;
    taken
}

/// Numbers may be longer than any that a machine counts with.
fn compare_numbers(left: &[u8], right: &[u8]) -> Ordering {
    let plain = |digits: &[u8]| -> Vec<u8> {
        digits.iter().copied().skip_while(|digit| *digit == b'0').collect()
    };
    let (left, right) = (plain(left), plain(right));
    left.len().cmp(&right.len()).then_with(|| left.cmp(&right))
}

fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn versions_are_ordered_as_dpkg_orders_them() {
        let ordered = [
            "~~", "~", "0~rc1", "0", "0.0", "1~", "1-0~", "1", "1-1", "1a", "1a-1", "1+b", "1.0",
            "1.2~1", "1.2", "1.10", "1:0", "1:0.9-1", "2:0",
        ];
        for (at, left) in ordered.iter().enumerate() {
            for (other, right) in ordered.iter().enumerate() {
                assert_eq!(compare(left, right), at.cmp(&other), "{left} and {right}");
            }
        }
        // No number is the number zero.
        for (left, right) in [("", "0"), ("01.0", "1.0"), ("1.0", "0:1.0"), ("1-0", "1")] {
            assert_eq!(compare(left, right), Ordering::Equal, "{left} and {right}");
        }
    }

    #[test]
    fn dpkg_itself_says_the_same() {
        let versions = ["1.0", "1.0~rc1", "1.0-1", "1.0+b1", "1:0.1", "1.0a", "10", "9", "1.0-1~x"];
        for left in versions {
            for right in versions {
                let says = |word: &str| {
                    let mut command = Command::new("dpkg");
                    let status = command.args(["--compare-versions", left, word, right]).status();
                    status.ok().map(|status| status.success())
                };
                let Some(is_less) = says("lt") else { return };
                assert_eq!(compare(left, right) == Ordering::Less, is_less, "{left} and {right}");
            }
        }
    }
}
