//! Regular expressions as Python has them, for the tasks that edit text.
//!
//! Patterns may look around and refer back; how many steps one match may take is bounded.

use super::Failure;
use fancy_regex::{Captures, Regex, RegexBuilder};
use std::fmt::Write as _;

/// Steps back that one match may take before it is given up.
const MOST_STEPS: usize = 10_000_000;

/// What a pattern is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// One line, its end included: `$` is before the line's end.
    Line,
    /// A text of many lines: `^` and `$` are at every line.
    Lines,
    /// A text of many lines as one: `.` matches line ends too, `^` and `$` are at its ends.
    Whole,
}

/// A pattern, compiled.
#[derive(Debug)]
pub(super) struct Pattern(Regex);

impl Pattern {
    /// Compiles `text`; the error says what is wrong with it.
    pub(super) fn new(text: &str, over: Over) -> Result<Self, String> {
        let many = over == Over::Lines || has_flag(text, 'm');
        let translated = translate(text, over, many);
        let flags = match (over, many) {
            (Over::Whole, false) => "(?s)",
            (Over::Whole, true) => "(?sm)",
            _ => "(?m)",
        };
        let built =
            RegexBuilder::new(&format!("{flags}{translated}")).backtrack_limit(MOST_STEPS).build();
        built.map(Self).map_err(|error| {
            let error = match error {
                fancy_regex::Error::ParseError(_, error) => error.to_string(),
                error => error.to_string(),
            };
            format!("`{text}` is no regular expression: {error}")
        })
    }

    /// Whether it matches anywhere in `text`.
    pub(super) fn is_match(&self, text: &str) -> Result<bool, Failure> {
        self.0.is_match(text).map_err(|error| too_long(&error))
    }

    /// Whether it matches at the beginning of `text`.
    pub(super) fn matches_start(&self, text: &str) -> Result<bool, Failure> {
        let found = self.0.find(text).map_err(|error| too_long(&error))?;
        Ok(found.is_some_and(|found| found.start() == 0))
    }

    /// The first match from the byte `at` on.
    pub(super) fn captures<'t>(
        &self,
        text: &'t str,
        at: usize,
    ) -> Result<Option<Captures<'t>>, Failure> {
        self.0.captures_from_pos(text, at).map_err(|error| too_long(&error))
    }

    /// The names of its groups, where they have one.
    pub(super) fn group_names(&self) -> impl Iterator<Item = Option<&str>> {
        self.0.capture_names()
    }

    /// What is wrong with `template` as the new text in place of a match, if anything.
    pub(super) fn check_template(&self, template: &str) -> Result<(), Failure> {
        let has = |name: &str| match name.parse::<usize>() {
            Ok(number) => number < self.0.captures_len(),
            Err(_) => self.group_names().flatten().any(|known| known == name),
        };
        filled(template, |name| if has(name) { Ok("") } else { Err(no_group(name)) }).map(drop)
    }

    /// `text` with every match replaced by `template`, and how many they were. As in Python, an
    /// empty match right behind another one counts.
    pub(super) fn replace_all(
        &self,
        text: &str,
        template: &str,
    ) -> Result<(String, usize), Failure> {
        let (mut out, mut copied, mut at, mut count) = (String::new(), 0, 0, 0);
        while at <= text.len() {
            let Some(found) = self.captures(text, at)? else { break };
            let Some(whole) = found.get(0) else { break };
            out.push_str(&text[copied..whole.start()]);
            out.push_str(&expand(template, &found)?);
            count += 1;
            copied = whole.end();
            at = whole.end();
            if whole.start() == whole.end() {
                at += text[at..].chars().next().map_or(1, char::len_utf8);
            }
        }
        out.push_str(&text[copied..]);
        Ok((out, count))
    }
}

fn too_long(error: &fancy_regex::Error) -> Failure {
    Failure::new(format!("the pattern is given up: {error}"))
}

/// Whether flags at the beginning of the pattern (`(?im)`) say so.
fn has_flag(text: &str, flag: char) -> bool {
    let flags = text.strip_prefix("(?").and_then(|rest| rest.split_once(')'));
    flags.is_some_and(|(flags, _)| {
        flags.chars().all(|c| c.is_ascii_alphabetic()) && flags.contains(flag)
    })
}

/// Python's spelling in that of the library.
fn translate(text: &str, over: Over, many: bool) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    let mut class_start = None;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        let in_class = class_start.is_some();
        match c {
            '\\' => {
                let next = rest.chars().next().unwrap_or('\\');
                rest = &rest[next.len_utf8().min(rest.len())..];
                match next {
                    'Z' if !in_class => out.push_str("\\z"),
                    '<' | '>' | '/' | '"' | '\'' | '`' | ' ' | '%' | '@' | '=' | ':' | ','
                    | ';' | '!' => out.push(next),
                    _ => out.extend(['\\', next]),
                }
            }
            ']' if class_start.is_some_and(|start| out.len() > start) => {
                class_start = None;
                out.push(']');
            }
            // Inside a class these mean themselves in Python, and sets of classes in the library.
            '[' | ']' | '&' | '~' if in_class => out.extend(['\\', c]),
            '[' => {
                out.push('[');
                if let Some(after) = rest.strip_prefix('^') {
                    out.push('^');
                    rest = after;
                }
                class_start = Some(out.len());
            }
            '^' if !in_class && !many => out.push_str("\\A"),
            '$' if !in_class && !many && over == Over::Whole => out.push_str("(?=\\n?\\z)"),
            '{' if !in_class && !is_quantifier(rest) => out.push_str("\\{"),
            '{' if !in_class => {
                let end = rest.find('}').map_or(0, |end| end + 1);
                out.push('{');
                // `{,n}` is from none to n.
                if rest.starts_with(',') {
                    out.push('0');
                }
                out.push_str(&rest[..end]);
                rest = &rest[end..];
            }
            '}' if !in_class => out.push_str("\\}"),
            '(' if !in_class && rest.starts_with('?') => {
                let flags = rest[1..].split([')', ':']).next().unwrap_or_default();
                let are_flags = !flags.is_empty() && flags.chars().all(|c| "aiLmsux-".contains(c));
                if are_flags {
                    // Which letters `\w` knows is not for the pattern to say.
                    let kept = flags.replace(['a', 'L', 'u'], "");
                    rest = &rest[1 + flags.len()..];
                    match (kept.is_empty(), rest.strip_prefix(')')) {
                        (true, Some(after)) => rest = after,
                        _ => {
                            out.push_str("(?");
                            out.push_str(&kept);
                        }
                    }
                } else {
                    out.push('(');
                }
            }
            c => out.push(c),
        }
    }
    out
}

/// Whether what follows a `{` makes it a count of repetitions.
fn is_quantifier(rest: &str) -> bool {
    let Some((inside, _)) = rest.split_once('}') else { return false };
    let (from, to) = inside.split_once(',').unwrap_or((inside, "0"));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !inside.is_empty() && inside != "," && is_number(from) && is_number(to)
}

/// `template` with `\1`, `\g<1>` and `\g<name>` replaced by what the groups matched, and Python's
/// escapes (`\n`, `\t`) by what they stand for.
pub(super) fn expand(template: &str, found: &Captures<'_>) -> Result<String, Failure> {
    filled(template, |name| {
        let matched = match name.parse::<usize>() {
            Ok(number) if number < found.len() => found.get(number),
            Err(_) if !name.is_empty() => found.name(name),
            _ => return Err(no_group(name)),
        };
        Ok(matched.map_or("", |found| found.as_str()))
    })
}

fn no_group(name: &str) -> Failure {
    Failure::new(format!("the pattern has no group `{name}`"))
}

fn filled<'f>(
    template: &str,
    of_group: impl Fn(&str) -> Result<&'f str, Failure>,
) -> Result<String, Failure> {
    let mut out = String::with_capacity(template.len());
    let group = |out: &mut String, name: &str| -> Result<(), Failure> {
        out.push_str(of_group(name)?);
        Ok(())
    };
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let mut chars = after.chars();
        rest = chars.as_str();
        let Some(c) = chars.next() else {
            out.push('\\');
            break;
        };
        rest = chars.as_str();
        match c {
            'g' if rest.starts_with('<') => {
                let Some((name, after)) = rest[1..].split_once('>') else {
                    return Err(Failure::new("`\\g<` in the new text lacks its `>`"));
                };
                group(&mut out, name)?;
                rest = after;
            }
            '0' => {
                let digits: String =
                    rest.chars().take(2).take_while(|c| *c < '8' && *c >= '0').collect();
                rest = &rest[digits.len()..];
                let code = u32::from_str_radix(&format!("0{digits}"), 8).unwrap_or(0);
                out.extend(char::from_u32(code));
            }
            '1'..='9' => {
                let digits = rest.bytes().take(1).take_while(u8::is_ascii_digit).count();
                let name = format!("{c}{}", &rest[..digits]);
                rest = &rest[digits..];
                group(&mut out, &name)?;
            }
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'a' => out.push('\x07'),
            'b' => out.push('\x08'),
            'f' => out.push('\x0c'),
            'v' => out.push('\x0b'),
            '\\' => out.push('\\'),
            c if c.is_ascii_alphabetic() => {
                let failure = Failure::new(format!("`\\{c}` in the new text means nothing"));
                let hint = format!("a backslash itself is `\\\\{c}`");
                return Err(Failure { hint: Some(hint), ..failure });
            }
            // Writing to a String cannot fail.
            c => drop(write!(out, "\\{c}")),
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(pattern: &str, over: Over, text: &str, template: &str) -> String {
        Pattern::new(pattern, over).unwrap().replace_all(text, template).unwrap().0
    }

    /// What Python 3.11 makes of the same.
    #[test]
    fn patterns_mean_what_python_means_by_them() {
        for (pattern, text, template, expected) in [
            ("x*", "abxd", "-", "-a-b--d-"),
            ("^", "a\nb\n", "#", "#a\n#b\n#"),
            ("^(.*)$", "a\nb", "[\\1]", "[a]\n[b]"),
            ("(?P<k>\\w+)=(?P<v>.*)", "a=1", "\\g<v>=\\g<k>", "1=a"),
            ("a{,2}b", "aab", "x", "x"),
            ("a{x}", "a{x}", "y", "y"),
            ("[[]a]", "[a]", "y", "y"),
            ("[]x]", "]x", "y", "yy"),
            ("(?i)ABC", "abc", "y", "y"),
            ("(?<=a)b(?=c)", "abc bc", "y", "ayc bc"),
            ("(a)\\1", "aa", "\\g<0>\\g<1>", "aaa"),
            ("a", "a", "\\\\n\\n\\.", "\\n\n\\."),
            ("b\\Z", "b\nb", "y", "b\ny"),
        ] {
            assert_eq!(replaced(pattern, Over::Lines, text, template), expected, "{pattern}");
        }
        assert!(Pattern::new("^$", Over::Line).unwrap().is_match("\n").unwrap());
        assert!(!Pattern::new("^$", Over::Line).unwrap().is_match("a\n").unwrap());
        assert!(Pattern::new("a$", Over::Line).unwrap().is_match("a\n").unwrap());
        assert!(!Pattern::new("a$", Over::Whole).unwrap().is_match("a\nb").unwrap());
        assert!(Pattern::new("a$", Over::Whole).unwrap().is_match("a\n").unwrap());
    }

    #[test]
    fn a_pattern_that_would_take_for_ever_is_given_up() {
        let pattern = Pattern::new("(?=a)(a+)+(?=b)c", Over::Line).unwrap();
        let failure = pattern.is_match(&"a".repeat(60)).unwrap_err();
        assert!(failure.message.starts_with("the pattern is given up"), "{failure:?}");
    }
}
