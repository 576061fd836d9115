//! Splits text into words as a POSIX shell would, without running or expanding anything.
//! An expression in braces stays in one piece.

/// How quotes and backslashes are treated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Quotes {
    /// They mark words and vanish.
    Resolve,
    /// They mark words and stay, for a later splitting.
    Keep,
}

/// The words of `text`; the error names the quote that is not closed.
pub fn split(text: &str, quotes: Quotes) -> Result<Vec<String>, char> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some((expression, behind)) = expression(rest) {
            word.get_or_insert_default().push_str(expression);
            rest = behind;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        let escapes = c == '\\' && quote != Some('\'');
        if escapes && let Some(next) = rest.chars().next() {
            let into = word.get_or_insert_default();
            // Inside double quotes a backslash is only special before these.
            let special = quote.is_none() || matches!(next, '"' | '\\' | '$' | '`' | '\n');
            if quotes == Quotes::Keep || !special {
                into.push('\\');
            }
            if quotes == Quotes::Keep || next != '\n' {
                into.push(next);
            }
            rest = &rest[next.len_utf8()..];
            continue;
        }
        let opens = quote.is_none() && matches!(c, '"' | '\'');
        if opens || quote == Some(c) {
            quote = opens.then_some(c);
            let into = word.get_or_insert_default();
            if quotes == Quotes::Keep {
                into.push(c);
            }
        } else if quote.is_none() && c.is_whitespace() {
            words.extend(word.take());
        } else {
            word.get_or_insert_default().push(c);
        }
    }
    words.extend(word);
    match quote {
        Some(quote) => Err(quote),
        None => Ok(words),
    }
}

/// What Jinja reads at the start of `text`, with its marks, and what follows it.
fn expression(text: &str) -> Option<(&str, &str)> {
    const MARKS: [(&str, &str); 3] = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")];
    let (_, end) = MARKS.iter().find(|(start, _)| text.starts_with(start))?;
    Some(text.split_at(text.find(end)? + end.len()))
}

/// Splits a word of the form `key=value`, where `key` is a name.
pub(super) fn key_value(word: &str) -> Option<(&str, &str)> {
    let (key, value) = word.split_once('=')?;
    let is_name = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then_some((key, value))
}

/// The same where expressions may be in the key too: `{{ name }}=value`.
pub(super) fn computed_value(word: &str) -> Option<(&str, &str)> {
    let mut from = 0;
    while let Some(opens) = word[from..].find("{{").map(|at| from + at)
        && !word[from..opens].contains('=')
    {
        from = opens + word[opens..].find("}}")? + 2;
    }
    let equals = from + word[from..].find('=')?;
    let (key, value) = (&word[..equals], &word[equals + 1..]);
    if from > 0 { Some((key, value)) } else { key_value(word) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_be_computed() {
        let cases = [
            ("{{ 'a=b' }}={{ x == 1 }}", Some(("{{ 'a=b' }}", "{{ x == 1 }}"))),
            ("user_{{ n }}=x=y", Some(("user_{{ n }}", "x=y"))),
            ("a={{ b }}", Some(("a", "{{ b }}"))),
            ("a-b=c", None),
            ("{{ a }}", None),
        ];
        for (word, pair) in cases {
            assert_eq!(computed_value(word), pair, "{word}");
        }
    }

    #[test]
    fn words_end_where_a_shell_ends_them() {
        let cases: [(&str, &[&str]); 8] = [
            ("a  b\tc\n", &["a", "b", "c"]),
            ("a 'b c' \"d e\"", &["a", "b c", "d e"]),
            (r#"x="a b"c"#, &["x=a bc"]),
            (r#"a\ b "c\"d" 'e\f' "g\h""#, &["a b", "c\"d", r"e\f", r"g\h"]),
            ("'' \"\"", &["", ""]),
            ("echo {{ a if b == 'x y' else c }}/d", &["echo", "{{ a if b == 'x y' else c }}/d"]),
            (
                "msg={% if a == 'x y' %}b c{% endif %}{# d e #} f",
                &["msg={% if a == 'x y' %}b", "c{% endif %}{# d e #}", "f"],
            ),
            ("", &[]),
        ];
        for (text, words) in cases {
            assert_eq!(split(text, Quotes::Resolve).unwrap(), words, "{text}");
        }
        assert_eq!(split("a 'b", Quotes::Resolve), Err('\''));
        assert_eq!(split("a 'b c'", Quotes::Keep).unwrap(), ["a", "'b c'"]);
    }
}
