//! Replaces secrets in whatever leaves the program.

use super::spellings::spellings;
use super::{MASK, Secrets};
use aho_corasick::{AhoCorasick, MatchKind};
use arc_swap::ArcSwap;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Finds secrets in text, raw or encoded. It holds them in plain for as long as it lives, which
/// is as long as the program. All clones share what they know, so that a reload
/// reaches every writer.
#[derive(Clone, Default)]
pub struct Masker(Arc<ArcSwap<Known>>);

#[derive(Default)]
struct Known {
    patterns: BTreeSet<Vec<u8>>,
    finder: Option<AhoCorasick>,
}

impl Masker {
    /// A masker that knows `secrets`.
    pub fn new(secrets: &Secrets) -> Self {
        let masker = Self::default();
        masker.add(secrets);
        masker
    }

    /// Makes `secrets` known too. Those of an earlier config stay known: text with them may still
    /// be on its way.
    pub fn add(&self, secrets: &Secrets) {
        self.0.rcu(|known| {
            let mut patterns = known.patterns.clone();
            patterns.extend(secrets.iter().flat_map(|(_, value)| spellings(value.expose())));
            let finder = (!patterns.is_empty()).then(|| finder(&patterns)).flatten();
            Known { patterns, finder }
        });
    }

    /// The text with `***` for every secret in it; borrowed where there is none.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.mask_bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // Patterns are whole characters, so that nothing but text is left.
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// The same for bytes.
    pub fn mask_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let known = self.0.load();
        let Some(finder) = &known.finder else { return Cow::Borrowed(bytes) };
        let mut masked = Vec::new();
        let mut end = 0;
        for found in finder.find_iter(bytes) {
            masked.extend_from_slice(&bytes[end..found.start()]);
            masked.extend_from_slice(MASK.as_bytes());
            end = found.end();
        }
        if end == 0 {
            return Cow::Borrowed(bytes);
        }
        masked.extend_from_slice(&bytes[end..]);
        Cow::Owned(masked)
    }

    /// The same for the beginning of something longer: an end that may be the beginning of a secret
    /// is left out.
    pub fn mask_beginning<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        self.mask_bytes(&bytes[..bytes.len() - self.undecided(bytes)])
    }

    /// Whether the text holds a secret: what an argument list must not.
    pub fn reveals(&self, text: &str) -> bool {
        self.0.load().finder.as_ref().is_some_and(|finder| finder.is_match(text))
    }

    /// How many bytes at the end of `bytes` may be the beginning of a secret whose rest is still
    /// to come.
    pub(super) fn undecided(&self, bytes: &[u8]) -> usize {
        let known = self.0.load();
        let longest = known.patterns.iter().map(Vec::len).max().unwrap_or(1);
        let begins = |at: &usize| {
            let tail = &bytes[*at..];
            known.patterns.range(tail.to_vec()..).next().is_some_and(|it| it.starts_with(tail))
        };
        let next = |from: usize| (from..bytes.len()).find(begins).unwrap_or(bytes.len());
        let mut decided = next(bytes.len().saturating_sub(longest - 1));
        for found in known.finder.iter().flat_map(|finder| finder.find_iter(bytes)) {
            // A whole secret is not cut in two because its end looks like a beginning.
            if (found.start() + 1..found.end()).contains(&decided) {
                decided = next(found.end());
            }
        }
        bytes.len() - decided
    }
}

fn finder(patterns: &BTreeSet<Vec<u8>>) -> Option<AhoCorasick> {
    // Building can fail only past 2^31 states, which a config of 1 MiB cannot reach.
    AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(patterns).ok()
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Masker")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::secret::one;
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    const VALUE: &str = "s3cr\"t/pÄss wörd+>>?";

    #[test]
    fn a_secret_is_masked_raw_and_in_every_usual_encoding() {
        let masker = Masker::new(&one(VALUE));
        let hex: String = VALUE.bytes().map(|byte| format!("{byte:02x}")).collect();
        let json = serde_json::to_string(VALUE).unwrap();
        let again = serde_json::to_string(&json).unwrap();
        let in_json_in_json = again[3..again.len() - 3].to_owned();
        for text in [
            VALUE.to_owned(),
            VALUE.to_uppercase(),
            VALUE.to_lowercase(),
            hex.to_uppercase(),
            hex,
            json,
            in_json_in_json,
            "s3cr%22t%2Fp%C3%84ss%20w%C3%B6rd%2B%3E%3E%3F".to_owned(),
            "s3cr%22t%2fp%c3%84ss+w%c3%b6rd%2b%3e%3e%3f".to_owned(),
            "s3cr\\\"t\\/p\\u00c4ss w\\u00f6rd+>>?".to_owned(),
        ] {
            let masked = masker.mask(&text).into_owned();
            assert!(masked.trim_matches('"') == MASK, "{text} became {masked}");
            assert!(masker.reveals(&text));
        }
    }

    #[test]
    fn base64_hides_no_secret_wherever_it_stands() {
        let masker = Masker::new(&one(VALUE));
        for before in ["", "u", "us", "user:", "user::"] {
            for after in ["", "x", "xy", "xyz"] {
                let text = format!("{before}{VALUE}{after}");
                for encoded in [STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                    let masked = masker.mask(&encoded);
                    assert!(masked.contains(MASK), "{encoded}");
                    assert!(masked.len() < before.len() * 2 + after.len() * 2 + 10, "{masked}");
                }
            }
        }
    }

    #[test]
    fn each_line_of_a_key_is_masked_on_its_own() {
        let masker = Masker::new(&one("-----BEGIN KEY-----\nMIIEvQIBADAN\nBgkqhkiG9w0B\n"));
        assert_eq!(masker.mask("+  BgkqhkiG9w0B"), "+  ***");
        assert_eq!(masker.mask("a -----BEGIN KEY-----\nMIIEvQIBADAN\nBgkqhkiG9w0B\n b"), "a *** b");
    }

    #[test]
    fn a_text_that_is_cut_within_a_secret_shows_nothing_of_it() {
        let masker = Masker::new(&one("first-secret"));
        assert_eq!(*masker.mask_beginning(b"a first-secret and first-sec"), *b"a *** and ");
        assert_eq!(*masker.mask_beginning(b"a first-secret, b"), *b"a ***, b");
    }

    #[test]
    fn a_reload_reaches_all_clones_and_forgets_nothing() {
        let masker = Masker::new(&one("first-secret"));
        let clone = masker.clone();
        masker.add(&one("other-secret"));
        assert_eq!(clone.mask("first-secret other-secret"), "*** ***");
    }

    #[test]
    fn innocent_text_is_not_copied() {
        let masker = Masker::new(&one("first-secret"));
        assert!(matches!(masker.mask("nothing to see"), Cow::Borrowed(_)));
        assert!(matches!(Masker::default().mask("first-secret"), Cow::Borrowed(_)));
        assert!(!format!("{masker:?}").contains("first"));
    }
}
