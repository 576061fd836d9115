//! Where Ansible's Jinja is more lenient than the library, or knows more: a chain of names below
//! something undefined is undefined (`a.b.c | default('x')`, `a.b is defined`), times can be
//! subtracted, `%` formats text, and in tasks a backslash is itself. Such places are spelled otherwise before the library reads them.

use super::call::refuse_undefined;
use super::filters;
use super::format::printf;
use super::unparse::{Uses, unparse};
use minijinja::machinery::{Span, Token, parse_expr, tokenize};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Rest, Value};
use minijinja::{Environment, Error, State};
use std::borrow::Cow;

/// Follows names that may lead nowhere.
const WITHIN: &str = "__within";
/// Subtracts, times too.
const MINUS: &str = "__minus";
/// The rest of a division, or text with values in the places of `%s` and its like.
const REST: &str = "__rest";

/// Makes the functions known that the other spelling uses.
pub(super) fn register(environment: &mut Environment<'static>) {
    environment.add_function(WITHIN, |value: &Value, names: Rest<Value>| -> Result<Value, Error> {
        let mut found = value.clone();
        for name in names.iter() {
            if found.is_undefined() {
                return Ok(found);
            }
            refuse_undefined(&found)?;
            found = match found.get_item(name)? {
                item if item.is_undefined() => match name.as_str() {
                    Some(name) => found.get_attr(name)?,
                    None => item,
                },
                item => item,
            };
        }
        Ok(found)
    });
    environment.add_function(MINUS, |state: &mut State<'_, '_>, a: &Value, b: &Value| {
        refuse_undefined(a)?;
        refuse_undefined(b)?;
        match filters::minus(a, b) {
            Some(made) => Ok(made),
            None => {
                let plain = state.env().compile_expression("a - b")?;
                plain.eval(minijinja::context! { a => a, b => b })
            }
        }
    });
    environment.add_function(REST, |state: &mut State<'_, '_>, a: &Value, b: &Value| {
        refuse_undefined(a)?;
        refuse_undefined(b)?;
        match a.as_str() {
            Some(text) => {
                let values = match b.is_tuple() {
                    true => b.try_iter()?.collect(),
                    false => vec![b.clone()],
                };
                Ok(printf(text, &values)?.into())
            }
            None => {
                let plain = state.env().compile_expression("a % b")?;
                plain.eval(minijinja::context! { a => a, b => b })
            }
        }
    });
}

/// How a backslash in a string of an expression is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backslash {
    /// It is itself, as between braces in Ansible's tasks: `regex_replace('(a)', '\\1')`.
    Plain,
    /// It escapes what follows, as in conditions and template files.
    Escapes,
}

/// An expression in the spelling that the library takes.
pub(super) fn expression(text: &str, backslash: Backslash) -> Cow<'_, str> {
    match tokens_spelled(text, true, &SyntaxConfig::default(), backslash) {
        Cow::Borrowed(text) => operators(text),
        Cow::Owned(text) => operators(&text).into_owned().into(),
    }
}

/// The same for a whole template.
pub(super) fn template<'t>(
    text: &'t str,
    syntax: &SyntaxConfig,
    backslash: Backslash,
) -> Cow<'t, str> {
    let text = tokens_spelled(text, false, syntax, backslash);
    if !may_have_operators(&text) {
        return text;
    }
    let Ok(tokens) = tokenized(&text, false, syntax) else { return text };
    let (mut out, mut written, mut start) = (String::new(), 0, None);
    for (token, span) in &tokens {
        match (token, start) {
            (Token::VariableStart, _) => start = Some(span.end_offset as usize),
            (Token::VariableEnd, Some(from)) => {
                let Some(inner) = text.get(from..span.start_offset as usize) else { continue };
                let (Some(before), Cow::Owned(spelled)) =
                    (text.get(written..from), operators(inner))
                else {
                    continue;
                };
                out.extend([before, " ", &spelled, " "]);
                written = span.start_offset as usize;
                start = None;
            }
            _ => {}
        }
    }
    match written {
        0 => text,
        _ => (out + &text[written..]).into(),
    }
}

fn may_have_operators(text: &str) -> bool {
    let has_time = text.contains("to_datetime") || text.contains("now(");
    text.contains('%') && text.contains(['\'', '"']) || has_time && text.contains('-')
}

/// An expression with functions in place of the operators that the library lacks for text and
/// times.
fn operators(text: &str) -> Cow<'_, str> {
    if !may_have_operators(text) {
        return text.into();
    }
    let Ok(expr) = parse_expr(text) else { return text.into() };
    let mut uses = Uses { operators: Some((MINUS, REST)), ..Uses::default() };
    let mut again = String::new();
    unparse(&expr, &mut uses, &mut again);
    again.into()
}

type Tokens<'t> = Vec<(Token<'t>, Span)>;

fn tokenized<'t>(
    text: &'t str,
    is_expression: bool,
    syntax: &SyntaxConfig,
) -> Result<Tokens<'t>, Error> {
    tokenize(text, is_expression, syntax.clone()).collect()
}

fn tokens_spelled<'t>(
    text: &'t str,
    is_expression: bool,
    syntax: &SyntaxConfig,
    backslash: Backslash,
) -> Cow<'t, str> {
    let plain = backslash == Backslash::Plain && text.contains('\\');
    if !plain && !["default", "defined", "|d", "| d"].iter().any(|word| text.contains(word)) {
        return text.into();
    }
    // What cannot be read is the library's to complain about.
    let Ok(tokens) = tokenized(text, is_expression, syntax) else { return text.into() };
    let mut edits: Vec<(usize, usize, String)> = Vec::new();
    let mut in_variable = is_expression;
    let mut at = 0;
    while let Some((token, span)) = tokens.get(at) {
        let (start, end) = (span.start_offset as usize, span.end_offset as usize);
        match token {
            Token::VariableStart => in_variable = true,
            Token::VariableEnd => in_variable = is_expression,
            Token::Str(_) | Token::String(_) if plain && in_variable => {
                let spelled = text.get(start..end).unwrap_or_default();
                if spelled.contains('\\') {
                    edits.push((start, end, doubled(spelled)));
                }
            }
            Token::Ident(_) => {
                let found = chain(&tokens, at).filter(|(_, next)| is_asked_for(&tokens[*next..]));
                if let Some((chain, next)) = found {
                    let end = tokens[next - 1].1.end_offset as usize;
                    edits.push((start, end, format!("{WITHIN}({})", chain.join(", "))));
                    at = next;
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    if edits.is_empty() {
        return text.into();
    }
    let (mut out, mut written) = (String::new(), 0);
    for (start, end, spelled) in edits {
        let Some(before) = text.get(written..start) else { continue };
        out.extend([before, &spelled]);
        written = end;
    }
    (out + text.get(written..).unwrap_or_default()).into()
}

/// A string as it is written, with every backslash doubled that does not stand before a quote.
fn doubled(spelled: &str) -> String {
    let mut out = String::new();
    let mut rest = spelled.chars().peekable();
    while let Some(c) = rest.next() {
        out.push(c);
        if c == '\\' && !matches!(rest.peek(), Some('\'' | '"')) {
            out.push('\\');
        }
    }
    out
}

/// A name and what is looked up below it, from token number `at`, and the number of the token
/// after it.
fn chain(tokens: &[(Token<'_>, Span)], at: usize) -> Option<(Vec<String>, usize)> {
    let token = |at: usize| tokens.get(at).map(|(token, _)| token);
    let Some(Token::Ident(name)) = token(at) else { return None };
    let before = at.checked_sub(1).and_then(token);
    if matches!(before, Some(Token::Dot | Token::Pipe)) {
        return None;
    }
    let mut parts = vec![(*name).to_owned()];
    let mut next = at + 1;
    loop {
        match (token(next), token(next + 1), token(next + 2)) {
            (Some(Token::Dot), Some(Token::Ident(name)), _) => {
                parts.push(format!("'{name}'"));
                next += 2;
            }
            (Some(Token::BracketOpen), Some(key), Some(Token::BracketClose)) => {
                parts.push(match key {
                    Token::Str(key) => serde_json::Value::from(*key).to_string(),
                    Token::String(key) => serde_json::Value::from(&**key).to_string(),
                    Token::Int(number) => number.to_string(),
                    Token::Ident(name) => (*name).to_owned(),
                    _ => return None,
                });
                next += 3;
            }
            _ => break,
        }
    }
    (parts.len() > 1).then_some((parts, next))
}

/// Whether what follows asks whether there is something.
fn is_asked_for(tokens: &[(Token<'_>, Span)]) -> bool {
    let mut words = tokens.iter().map(|(token, _)| token);
    match words.next() {
        Some(Token::Pipe) => matches!(words.next(), Some(Token::Ident("default" | "d"))),
        Some(Token::Ident("is")) => match words.next() {
            Some(Token::Ident("not")) => {
                matches!(words.next(), Some(Token::Ident("defined" | "undefined")))
            }
            word => matches!(word, Some(Token::Ident("defined" | "undefined"))),
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_is_spelled_otherwise() {
        for (text, spelled) in [
            ("a.b['c'].d | default('x')", "__within(a, 'b', \"c\", 'd') | default('x')"),
            ("a.b is not defined and c.d", "__within(a, 'b') is not defined and c.d"),
            ("'a.b is defined'", "'a.b is defined'"),
            ("a.b[0]", "a.b[0]"),
            ("a | default(b.c | d(1))", "a | default(__within(b, 'c') | d(1))"),
            ("f().b is defined", "f().b is defined"),
            (r"'\1' ~ 'it\'s'", r"'\\1' ~ 'it\'s'"),
            ("'%s' % 1", r#"__rest("%s", (1))"#),
        ] {
            assert_eq!(expression(text, Backslash::Plain), spelled, "{text}");
        }
        let text = "a.b is defined {{ a.b is defined }}{% raw %}{{ a.b is defined }}{% endraw %}";
        let spelled = "a.b is defined {{ __within(a, 'b') is defined }}{% raw %}{{ a.b is defined }}{% endraw %}";
        assert_eq!(template(text, &SyntaxConfig::default(), Backslash::Escapes), spelled);
    }
}
