//! The filters, tests and look-ups that an expression or template calls, held against those that
//! there are: the library notices an unknown one only when it comes to it.

use super::{collection, filters, jinja::Problem, lookups, suggest, tests};
use minijinja::machinery::{Token, tokenize};
use minijinja::{Environment, ErrorKind};
use std::collections::HashSet;
use std::sync::LazyLock;

/// What can be called in one way.
struct Kind {
    word: &'static str,
    listed: LazyLock<HashSet<&'static str>>,
    /// How something of that name is called on nothing.
    call: &'static str,
    unknown: ErrorKind,
}

static FILTER: Kind = Kind {
    word: "filter",
    listed: LazyLock::new(|| filters::entries().flat_map(|(_, all)| names(all)).collect()),
    call: "none|",
    unknown: ErrorKind::UnknownFilter,
};
static TEST: Kind = Kind {
    word: "test",
    listed: LazyLock::new(|| tests::entries().flat_map(|(_, all)| names(all)).collect()),
    call: "none is ",
    unknown: ErrorKind::UnknownTest,
};

fn names(entries: Vec<&'static super::call::Entry>) -> impl Iterator<Item = &'static str> {
    entries.into_iter().flat_map(|entry| entry.names.iter().copied())
}

/// Complains about the first filter, test or look-up in `text` that is not known. Text that cannot
/// be read is complained about elsewhere.
pub(super) fn check(
    text: &str,
    is_expression: bool,
    environment: &Environment<'_>,
) -> Result<(), Problem> {
    if !["|", "is", "filter", "lookup", "query"].iter().any(|word| text.contains(word)) {
        return Ok(());
    }
    let tokens: Result<Vec<_>, _> =
        tokenize(text, is_expression, environment.syntax().clone()).collect();
    let Ok(tokens) = tokens else { return Ok(()) };
    let filter = |at| unknown(&FILTER, dotted(&tokens, at), environment);
    let test = |at| unknown(&TEST, dotted(&tokens, at), environment);
    let token = |at: usize| tokens.get(at).map(|(token, _)| token);
    for at in 0..tokens.len() {
        let follows_dot = at > 0 && matches!(token(at - 1), Some(Token::Dot));
        let begins_block = at > 0 && matches!(token(at - 1), Some(Token::BlockStart));
        let found = match token(at) {
            Some(Token::Pipe) => filter(at + 1),
            Some(Token::Ident("filter")) if begins_block => filter(at + 1),
            Some(Token::Ident("is")) if !follows_dot => {
                let negated = matches!(token(at + 1), Some(Token::Ident("not")));
                test(at + 1 + usize::from(negated))
            }
            Some(Token::Ident("lookup" | "query")) if !follows_dot => {
                look_up(token(at + 1), token(at + 2))
            }
            _ => None,
        };
        if let Some(problem) = found {
            return Err(problem);
        }
    }
    Ok(())
}

/// What is wrong with a look-up whose name is written out: one that is worked out is judged then.
fn look_up(open: Option<&Token<'_>>, name: Option<&Token<'_>>) -> Option<Problem> {
    let name: &str = match (open?, name?) {
        (Token::ParenOpen, Token::Str(name)) => name,
        (Token::ParenOpen, Token::String(name)) => name,
        _ => return None,
    };
    if lookups::is_known(name) { None } else { Some(lookups::unknown(name)) }
}

/// The name that begins at token number `at`, its collection's prefix included.
fn dotted<S>(tokens: &[(Token<'_>, S)], mut at: usize) -> Option<String> {
    let Some((Token::Ident(first), _)) = tokens.get(at) else { return None };
    let mut name = (*first).to_owned();
    while let (Some((Token::Dot, _)), Some((Token::Ident(next), _))) =
        (tokens.get(at + 1), tokens.get(at + 2))
    {
        name.extend([".", next]);
        at += 2;
    }
    Some(name)
}

fn unknown(kind: &Kind, name: Option<String>, environment: &Environment<'_>) -> Option<Problem> {
    let name = name?;
    // The library has names of its own that no list of ours holds.
    let is_known = |name: &str| {
        let call = format!("{}{name}", kind.call);
        let tried = environment.compile_expression(&call).and_then(|call| call.eval(()));
        !tried.is_err_and(|error| error.kind() == kind.unknown)
    };
    if kind.listed.contains(&*name) || is_known(&name) {
        return None;
    }
    let near = suggest::nearest(collection::short(&name), kind.listed.iter().copied());
    Some(suggest::problem(format!("there is no {} `{name}`", kind.word), near))
}

#[cfg(test)]
mod unit {
    use super::*;
    use crate::expr::jinja::Engine;

    fn complaint(text: &str) -> Option<(String, Option<String>)> {
        let is_expression = !text.contains("{{") && !text.contains("{%");
        let problem = check(text, is_expression, Engine::new().environment()).err()?;
        Some((problem.message, problem.hint))
    }

    #[test]
    fn a_filter_or_test_that_is_not_there_is_named_with_the_one_that_was_meant() {
        for (text, message, hint) in [
            ("a | uper", "there is no filter `uper`", Some("did you mean `upper`?")),
            (
                "{{ a }} {{ b | upper | jion(',') }}",
                "there is no filter `jion`",
                Some("did you mean `join`?"),
            ),
            ("a is not definde", "there is no test `definde`", Some("did you mean `defined`?")),
            ("{% if a is zzzzzzz %}{% endif %}", "there is no test `zzzzzzz`", None),
            (
                "{% filter uper %}{% endfilter %}",
                "there is no filter `uper`",
                Some("did you mean `upper`?"),
            ),
            (
                "a | ansible.builtin.uper",
                "there is no filter `ansible.builtin.uper`",
                Some("did you mean `upper`?"),
            ),
            (
                "{{ lookup('flie', 'a') }}",
                "there is no look-up `flie`",
                Some("did you mean `file`?"),
            ),
            ("query(\"zzzzzzz\")", "there is no look-up `zzzzzzz`", None),
        ] {
            let found = complaint(text);
            assert_eq!(found, Some((message.to_owned(), hint.map(str::to_owned))), "{text}");
        }
    }

    #[test]
    fn what_is_there_or_is_only_text_is_left_alone() {
        for text in [
            "a | upper | ansible.builtin.to_json",
            "a is ansible.builtin.match('x') and b is not in [1]",
            "'x | uper' ~ \"is nope\"",
            "x.is.nope",
            "{% raw %}{{ a | uper }}{% endraw %} is nope | uper {# a | uper #}",
            "{% filter upper %}this is text{% endfilter %}",
            "a | default('x') is defined",
            "lookup('ansible.builtin.file', 'a') ~ query('vars', 'b')",
            "query('community.general.flattened', a) | ansible.netcommon.ipaddr",
            "lookup(kind, 'a') ~ x.lookup('nope') ~ lookup",
        ] {
            assert_eq!(complaint(text), None, "{text}");
        }
    }
}
