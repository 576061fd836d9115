//! Patterns as Python reads them, by a library that bounds the steps of a match.

use super::call::{Call, wrong};
use fancy_regex::{Captures, Regex, RegexBuilder};
use minijinja::Error;

/// Steps that one match may take before it is given up.
const STEPS: usize = 1_000_000;

/// How a pattern is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) ignore_case: bool,
    pub(super) multi_line: bool,
}

impl Options {
    /// Those that a call names.
    pub(super) fn of(call: &Call<'_, '_, '_>) -> Self {
        Self {
            ignore_case: call.flag("ignorecase", false),
            multi_line: call.flag("multiline", false),
        }
    }
}

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    pub(super) fn new(text: &str, options: Options) -> Result<Self, Error> {
        let flags = if options.multi_line { "(?m)" } else { "" };
        let end = if options.multi_line { "$" } else { r"(?=\n?\z)" };
        let regex = RegexBuilder::new(&format!("{flags}{}", from_python(text, end)))
            .case_insensitive(options.ignore_case)
            .backtrack_limit(STEPS)
            .build();
        match regex {
            Ok(regex) => Ok(Self { text: text.to_owned(), regex }),
            Err(error) => {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim();
                Err(wrong(format!("`{text}` is not a regular expression: {why}")))
            }
        }
    }

    fn given_up(&self) -> Error {
        wrong(format!("matching `{}` takes too long and was stopped", self.text))
    }

    /// Whether the text matches; where `at_start`, from its beginning.
    pub(super) fn matches(&self, text: &str, at_start: bool) -> Result<bool, Error> {
        if !at_start {
            return self.regex.is_match(text).map_err(|_| self.given_up());
        }
        let found = self.regex.find(text).map_err(|_| self.given_up())?;
        Ok(found.is_some_and(|found| found.start() == 0))
    }

    /// The first match.
    pub(super) fn first<'t>(&self, text: &'t str) -> Result<Option<Captures<'t>>, Error> {
        self.regex.captures(text).map_err(|_| self.given_up())
    }

    /// All matches. As in Python an empty one may follow another directly.
    pub(super) fn all<'t>(&self, text: &'t str) -> Result<Vec<Captures<'t>>, Error> {
        let mut all = Vec::new();
        let mut at = 0;
        while at <= text.len() {
            let found = self.regex.captures_from_pos(text, at).map_err(|_| self.given_up())?;
            let Some(found) = found else { break };
            let Some(whole) = found.get(0) else { break };
            at = whole.end();
            if whole.end() == whole.start() {
                at += text[at..].chars().next().map_or(1, char::len_utf8);
            }
            all.push(found);
        }
        Ok(all)
    }
}

/// A pattern of Python in the words of the regex library; `end` is what `$` becomes.
pub(super) fn from_python(pattern: &str, end: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern.char_indices().peekable();
    let mut class: Option<usize> = None;
    while let Some((at, c)) = rest.next() {
        match (c, class) {
            ('\\', _) => match rest.next() {
                Some((_, 'Z')) if class.is_none() => out.push_str(r"\z"),
                // These mean words' ends to the library.
                Some((_, c @ ('<' | '>'))) => out.push(c),
                Some((_, c)) => out.extend(['\\', c]),
                None => out.push('\\'),
            },
            ('[', None) => {
                out.push('[');
                let mut start = at + 1;
                if let Some((_, '^')) = rest.peek() {
                    out.push('^');
                    rest.next();
                    start += 1;
                }
                if let Some((_, ']')) = rest.peek() {
                    out.push_str(r"\]");
                    rest.next();
                    start += 1;
                }
                class = Some(start);
            }
            // Within a class the library knows classes and sets; Python does not.
            ('[', Some(_)) => out.push_str(r"\["),
            ('&' | '~', Some(_)) => out.extend(['\\', c]),
            (']', Some(_)) => {
                out.push(']');
                class = None;
            }
            ('$', None) => out.push_str(end),
            ('{', None) if repetition(&pattern[at..]).is_none() => out.push_str(r"\{"),
            ('{', None) if pattern[at..].starts_with("{,") => out.push_str("{0"),
            (c, _) => out.push(c),
        }
    }
    out
}

/// Whether `text` begins with a count of repetitions.
fn repetition(text: &str) -> Option<()> {
    let (inner, _) = text.strip_prefix('{')?.split_once('}')?;
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = match inner.split_once(',') {
        Some((least, most)) => inner.len() > 1 && is_number(least) && is_number(most),
        None => !inner.is_empty() && is_number(inner),
    };
    fits.then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_what_it_means_in_python() {
        for (pattern, text, matches) in [
            (r"a$", "a\n", true),
            (r"a\Z", "a\n", false),
            (r"^{{ x }}$", "{{ x }}", true),
            (r"[[]", "[", true),
            (r"[]a]+$", "]a", true),
            (r"[^]]", "]", false),
            (r"\<b\>", "<b>", true),
            (r"[a&&b]+$", "a&b", true),
            (r"^a{,2}$", "aa", true),
            (r"(?P<x>a)(?P=x)", "aa", true),
            (r"(a)\1", "aa", true),
            (r"a(?!b)", "ab", false),
            (r"(?<=a)b", "ab", true),
            (r"\d{2,}", "é12", true),
        ] {
            let found = Pattern::new(pattern, Options::default()).unwrap().matches(text, false);
            assert_eq!(found.unwrap(), matches, "{pattern} on {text:?}");
        }
    }

    #[test]
    fn a_pattern_that_never_ends_is_given_up() {
        let pattern = Pattern::new(r"(a|a|aa)+\1$", Options::default()).unwrap();
        let error = pattern.matches(&format!("{}b", "a".repeat(60)), false).unwrap_err();
        assert!(error.to_string().contains("takes too long"), "{error}");
    }
}
