//! Facilities and severities: words, numbers, and the spellings that programs use.

/// Facilities by number (RFC 5424, table 1).
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

/// Severities by number (RFC 5424, table 2), with what others call them.
const SEVERITIES: [&[&str]; 8] = [
    &["emerg", "emergency", "panic"],
    &["alert"],
    &["crit", "critical", "fatal"],
    &["err", "error"],
    &["warning", "warn"],
    &["notice"],
    &["info", "informational", "information"],
    &["debug", "trace"],
];

/// `user`.
pub(super) const USER: u8 = 1;
/// `info`.
pub(super) const INFO: u8 = 6;

/// The number of a facility that is given as a word or a number.
pub(super) fn facility(text: &[u8]) -> Option<u8> {
    let named = FACILITIES.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(text));
    named.or_else(|| number(text, FACILITIES.len())).and_then(|at| at.try_into().ok())
}

/// The number of a severity that is given as a word or a number.
pub(super) fn severity(text: &[u8]) -> Option<u8> {
    let named = SEVERITIES
        .iter()
        .position(|names| names.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(text)));
    named.or_else(|| number(text, SEVERITIES.len())).and_then(|at| at.try_into().ok())
}

fn number(text: &[u8], below: usize) -> Option<usize> {
    std::str::from_utf8(text).ok()?.parse().ok().filter(|number| *number < below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_mean_what_the_standard_says() {
        for (text, number) in [("kern", 0), ("AUTH", 4), ("local7", 23), ("16", 16)] {
            assert_eq!(facility(text.as_bytes()), Some(number), "{text}");
        }
        for (text, number) in [("emerg", 0), ("Error", 3), ("WARN", 4), ("7", 7), ("trace", 7)] {
            assert_eq!(severity(text.as_bytes()), Some(number), "{text}");
        }
        for text in ["", "24", "-1", "local8", "\u{fffd}"] {
            assert_eq!(facility(text.as_bytes()), None, "{text}");
            assert_eq!(severity(text.as_bytes()), None, "{text}");
        }
    }
}
