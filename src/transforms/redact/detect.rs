//! What is looked for, and how it is told from what only looks like it.

use core::net::Ipv6Addr;
use indexmap::IndexMap;
use regex::bytes::{CaptureLocations, Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::Look;
use schemars::JsonSchema;
use serde::Deserialize;

/// Something that should not be in a log, and that is known by its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// Numbers of payment cards: 13 to 19 digits, bare or in groups, with a right checksum (Luhn).
    Card,
    /// E-mail addresses.
    Email,
    /// IPv4 addresses.
    Ipv4,
    /// IPv6 addresses.
    Ipv6,
    /// US social security numbers, written `123-45-6789`.
    Ssn,
    /// What follows `Bearer`.
    BearerToken,
    /// JSON web tokens.
    Jwt,
    /// Key IDs of AWS: `AKIA…`, `ASIA…` and their like.
    AwsAccessKey,
    /// Secret keys of AWS, where a name with `secret` and `key` stands before them.
    AwsSecretKey,
    /// Private keys in PEM, from their first line to their last.
    PrivateKey,
    /// Tokens of GitHub, GitLab and Slack.
    ServiceToken,
}

/// Memory for a compiled pattern.
const SIZE_LIMIT: usize = 4 << 20;

/// Tells whether a hit, given with the whole text, is what it looks like.
type Check = fn(&[u8], usize, usize) -> bool;

struct Detector {
    regex: Regex,
    /// Where the parts of a hit are, where only a group of it is hidden.
    places: Option<CaptureLocations>,
    check: Check,
    /// A card number may be a part of what looks like one.
    is_card: bool,
}

/// All that is looked for.
pub(super) struct Detectors {
    each: Vec<Detector>,
    /// Whether any of them may be there; `None` where that cannot be asked of many lines at once.
    any: Regex,
    any_fits_many_lines: bool,
}

impl Known {
    fn pattern(self) -> (&'static str, Check) {
        match self {
            Self::Card => (r"(?-u)\b[2-6](?:[ -]?[0-9]){12,}\b", |_, _, _| true),
            Self::Email => (
                r"(?-u)[A-Za-z0-9._%+-]*[A-Za-z0-9_%+-]@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}",
                |_, _, _| true,
            ),
            Self::Ipv4 => (
                r"(?-u)\b(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(?:\.(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}\b",
                is_no_part_of_a_version,
            ),
            Self::Ipv6 => (
                r"(?-u)(?:[0-9A-Fa-f]{0,4}:){2,7}(?:(?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9A-Fa-f]{1,4})?",
                is_ipv6,
            ),
            Self::Ssn => (r"(?-u)\b[0-8][0-9]{2}-[0-9]{2}-[0-9]{4}\b", is_ssn),
            Self::BearerToken => {
                (r"(?-u)(?i:\bbearer)[ \t:=]+([A-Za-z0-9._~+/-]{6,}=*)", |_, _, _| true)
            }
            Self::Jwt => {
                (r"(?-u)\beyJ[A-Za-z0-9_-]{5,}\.eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*", |_, _, _| {
                    true
                })
            }
            Self::AwsAccessKey => (
                r"(?-u)\b(?:AKIA|ASIA|AROA|AIDA|AGPA|AIPA|ANPA|ANVA|ABIA|ACCA)[A-Z2-7]{16}\b",
                |_, _, _| true,
            ),
            Self::AwsSecretKey => (
                r#"(?-u)(?i:secret[_-]?(?:access[_-]?)?key)[\\"' \t]{0,4}[:= \t]{1,4}[\\"' \t]{0,4}([A-Za-z0-9/+]{40})"#,
                |_, _, _| true,
            ),
            Self::PrivateKey => (
                r"(?-u)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?s:.*?-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|.*)",
                |_, _, _| true,
            ),
            Self::ServiceToken => (
                r"(?-u)\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}|glpat-[A-Za-z0-9_-]{20,}|xox[abeprs]-[A-Za-z0-9-]{10,})",
                |_, _, _| true,
            ),
        }
    }
}

impl Detectors {
    pub(super) fn new(known: &[Known], own: &IndexMap<String, String>) -> Result<Self, String> {
        let mut each = Vec::new();
        let mut all = Vec::new();
        for known in known {
            let (pattern, check) = known.pattern();
            each.push(Detector::new(pattern, check, *known == Known::Card)?);
            all.push(format!("(?:{pattern})"));
        }
        let mut any_fits_many_lines = true;
        for (name, pattern) in own {
            let named = |reason: String| format!("`{name}`: {reason}");
            any_fits_many_lines &= fits_many_lines(pattern).map_err(named)?;
            let detector = Detector::new(pattern, |_, _, _| true, false).map_err(named)?;
            if detector.regex.is_match(b"") {
                return Err(named(format!(
                    "`{pattern}` matches nothing at all, and so everywhere"
                )));
            }
            each.push(detector);
            all.push(format!("(?:{pattern})"));
        }
        let any = compile(&all.join("|"))?;
        Ok(Self { each, any, any_fits_many_lines })
    }

    /// Whether nothing of it is in any line of the text.
    pub(super) fn finds_nothing_in_all(&self, lines: &[u8]) -> bool {
        self.any_fits_many_lines && !self.any.is_match(lines)
    }

    /// Whether nothing of it is in the text; sure only where it says so.
    pub(super) fn finds_nothing(&self, text: &[u8]) -> bool {
        self.any_fits_many_lines && !self.any.is_match(text)
    }

    /// Adds where in the text something is to be hidden.
    pub(super) fn find(&mut self, text: &[u8], hits: &mut Vec<(usize, usize)>) {
        if !self.any.is_match(text) {
            return;
        }
        for detector in &mut self.each {
            detector.find(text, hits);
        }
    }
}

impl Detector {
    fn new(pattern: &str, check: Check, is_card: bool) -> Result<Self, String> {
        let regex = compile(pattern)?;
        let places = (regex.captures_len() > 1).then(|| regex.capture_locations());
        Ok(Self { regex, places, check, is_card })
    }

    fn find(&mut self, text: &[u8], hits: &mut Vec<(usize, usize)>) {
        let check = self.check;
        let Some(places) = &mut self.places else {
            for hit in self.regex.find_iter(text) {
                if self.is_card {
                    card(text, hit.start(), hit.end(), hits);
                } else if !hit.is_empty() && check(text, hit.start(), hit.end()) {
                    hits.push((hit.start(), hit.end()));
                }
            }
            return;
        };
        let mut at = 0;
        while let Some(hit) = self.regex.captures_read_at(places, text, at) {
            at = hit.end().max(at + 1);
            if let Some((start, end)) = places.get(1)
                && start < end
                && check(text, start, end)
            {
                hits.push((start, end));
            }
            if at > text.len() {
                break;
            }
        }
    }
}

fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(SIZE_LIMIT).build().map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim();
        let reason = reason.strip_prefix("error: ").unwrap_or(reason);
        format!("`{pattern}` is not a regular expression: {reason}")
    })
}

/// Whether a hit in one line is a hit in many lines too: the pattern does not ask for the
/// beginning or the end of the text.
fn fits_many_lines(pattern: &str) -> Result<bool, String> {
    let hir = ParserBuilder::new().utf8(false).build().parse(pattern);
    let hir = hir.map_err(|_| compile(pattern).err().unwrap_or_default())?;
    let looks = hir.properties().look_set();
    let ends = [Look::Start, Look::End, Look::StartCRLF, Look::EndCRLF];
    Ok(!ends.into_iter().any(|look| looks.contains(look)))
}

/// Adds the card number in what looks like one: all of it, or else some of its groups.
fn card(text: &[u8], start: usize, end: usize, hits: &mut Vec<(usize, usize)>) {
    if is_card(&text[start..end]) {
        return hits.push((start, end));
    }
    let is_separator = |at: usize| matches!(text.get(at), Some(b' ' | b'-'));
    let starts = (start..end).filter(|at| *at == start || is_separator(at - 1));
    for from in starts {
        let to = (from..=end)
            .rev()
            .find(|at| (*at == end || is_separator(*at)) && is_card(&text[from..*at]));
        if let Some(to) = to {
            return hits.push((from, to));
        }
    }
}

/// Luhn's checksum over 13 to 19 digits.
fn is_card(text: &[u8]) -> bool {
    let (mut count, mut sum) = (0u32, 0u32);
    for digit in text.iter().rev().filter(|byte| byte.is_ascii_digit()) {
        let digit = u32::from(digit - b'0');
        let doubled = if count % 2 == 1 { digit * 2 } else { digit };
        sum += if doubled > 9 { doubled - 9 } else { doubled };
        count += 1;
    }
    let first = text.first().copied().unwrap_or_default();
    (13..=19).contains(&count) && sum % 10 == 0 && (b'2'..=b'6').contains(&first)
}

/// `1.2.3.4.5` is no address, and neither is a part of it.
fn is_no_part_of_a_version(text: &[u8], start: usize, end: usize) -> bool {
    let before = start.checked_sub(1).and_then(|at| text.get(at));
    let digit_after = text.get(end + 1).is_some_and(u8::is_ascii_digit);
    before != Some(&b'.') && !(text.get(end) == Some(&b'.') && digit_after)
}

/// Times of day and paths of names have colons too.
fn is_ipv6(text: &[u8], start: usize, end: usize) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_');
    let alone = !start.checked_sub(1).and_then(|at| text.get(at)).is_some_and(is_word)
        && !text.get(end).is_some_and(is_word);
    let found = std::str::from_utf8(&text[start..end]).unwrap_or_default();
    alone && found.len() > 2 && found.parse::<Ipv6Addr>().is_ok()
}

/// Some numbers were never given to anybody.
fn is_ssn(text: &[u8], start: usize, end: usize) -> bool {
    let found = &text[start..end];
    let alone = !matches!(start.checked_sub(1).and_then(|at| text.get(at)), Some(b'-'))
        && text.get(end) != Some(&b'-');
    alone
        && !found.starts_with(b"000")
        && !found.starts_with(b"666")
        && found.get(4..6) != Some(b"00")
        && found.get(7..) != Some(b"0000")
}
